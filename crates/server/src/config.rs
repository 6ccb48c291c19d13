//! `wanglou.toml`: what must be known before the database is open. Everything else is edited in the console.
//!
//! Precedence: default < file < flag, resolved once, here.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use jiff::tz::TimeZone;
use serde::Deserialize;
use wanglou_detect::Limits;
use wanglou_lake::{Retention, TooShort};
use wanglou_model::SourceId;

use crate::rulebook::{ProcessingArgs, RuleSources};

/// The address of the console and the API, where nothing else is said.
pub(crate) const DEFAULT_LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8443);
/// The zone of times that come without one.
const DEFAULT_TIME_ZONE: &str = "Asia/Shanghai";
/// Events wait no longer for older ones.
const MAX_LATENESS_SECS: u32 = 3_600;
/// Telemetry that may wait for detection: two seconds of 60,000 events of 500 bytes.
const DEFAULT_QUEUE_MIB: u32 = 64;

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file `{path}`")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The file is not as documented.
    #[error("the configuration file `{path}` is wrong: {message}")]
    Parse { path: PathBuf, message: String },
    /// No data directory is given.
    #[error("say where everything is kept: `--data-dir DIR`, or `data_dir` in the configuration file")]
    NoDataDir,
    /// The time zone is not known.
    #[error("`time_zone`: `{name}` is not an IANA time zone such as `Asia/Shanghai`")]
    TimeZone { name: String },
    /// Plain HTTP would be reachable from outside.
    #[error(
        "plain HTTP is for this machine only, but `{listen}` is not a loopback address: listen on 127.0.0.1 or leave `--dev-http` out"
    )]
    PlainHttp { listen: SocketAddr },
    /// A certificate without a key, or the other way round.
    #[error("`tls.certificate` and `tls.key` go together: give both or neither")]
    HalfTls,
    /// Correlations would be told too late to be of use.
    #[error(
        "`correlation.lateness_secs`: {seconds} is too long: events may wait up to an hour (3600) for older ones"
    )]
    Lateness { seconds: u32 },
    /// Correlations could remember nothing.
    #[error(
        "`correlation.memory_mib` and `correlation.groups` must be more than 0: with nothing remembered no correlation rule can find anything"
    )]
    NoWindows,
    /// Events would not be kept as long as the law asks.
    #[error("`[retention]`: {0}")]
    Retention(#[from] TooShort),
    /// A class of events that is no number.
    #[error("`[retention.classes]`: `{class}` is no OCSF class: write its class_uid, such as 5001 = 365")]
    RetentionClass { class: String },
    /// Two watched folders would be one source.
    #[error(
        "two watched folders are named `{name}`: give them different names with `[[folders]] source = …`"
    )]
    FolderName { name: String },
}

/// The file as written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct File {
    /// Address and port of the console and the API. Default: `0.0.0.0:8443`.
    listen: Option<SocketAddr>,
    /// Where everything is kept.
    data_dir: Option<PathBuf>,
    /// The zone of times that come without one. Default: `Asia/Shanghai`.
    time_zone: Option<String>,
    tls: TlsFile,
    syslog: SyslogFile,
    flow: FlowFile,
    folders: Vec<FolderFile>,
    /// Unix sockets to which programs of this machine write lines, such as Suricata.
    sockets: Vec<FolderFile>,
    /// Sigma rules beside the built-in ones: folders, files or zips. They are read again when they change.
    rules: Vec<PathBuf>,
    /// pySigma processing pipelines that change all rules, in order of their priority.
    pipelines: Vec<PathBuf>,
    /// YAML maps from placeholders to their values.
    placeholders: Vec<PathBuf>,
    correlation: CorrelationFile,
    /// Names of sources that lose nothing when there is more than can be worked off: a quarter of the queue is theirs.
    priority: Vec<String>,
    limits: LimitsFile,
    retention: RetentionFile,
}

/// `[correlation]`: how correlation rules count.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CorrelationFile {
    /// Seconds that an event waits for older ones from slower sources, where a rule looks at the order of events or at
    /// an upper bound; `event_count`, `value_count` and `temporal` with lower bounds never wait. Default: 30.
    lateness_secs: u32,
    /// Windows of all rules together take no more memory than that; then the quietest are forgotten. Default: 300.
    memory_mib: usize,
    /// Groups (different `group-by` values) that one rule remembers at most. Default: 1,000,000.
    groups: usize,
}

impl Default for CorrelationFile {
    fn default() -> Self {
        let limits = Limits::default();
        Self { lateness_secs: 30, memory_mib: limits.bytes >> 20, groups: limits.groups }
    }
}

/// `[tls]`. Without it a certificate authority of our own is made in `DATA_DIR/tls`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TlsFile {
    /// PEM file with the certificate and those above it.
    certificate: Option<PathBuf>,
    /// PEM file with its key.
    key: Option<PathBuf>,
    /// Names and addresses for the certificate that we make ourselves, beside the machine's own.
    names: Vec<String>,
}

/// `[syslog]`: where syslog is taken. Default: nowhere.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SyslogFile {
    /// Address for UDP, or several.
    udp: OneOrMany,
    /// Address for TCP, or several.
    tcp: OneOrMany,
    /// Address for TLS, or several.
    tls: OneOrMany,
    /// PEM file with the authority that certified the senders over TLS. Without it any sender is let in.
    client_authority: Option<PathBuf>,
}

/// `[flow]`: where NetFlow, IPFIX, sFlow and NetStream are taken. Default: nowhere.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct FlowFile {
    /// Address for UDP, or several.
    udp: OneOrMany,
}

/// `[limits]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LimitsFile {
    /// MiB of telemetry that may wait for detection; beyond it senders are held back. Default: 64.
    queue_mib: Option<u32>,
    /// MiB of the disk that are kept free: with less, nothing more is acknowledged. Default: a twentieth of the disk, at
    /// most 1,024.
    keep_free_mib: Option<u32>,
}

/// `[retention]`: how long events are kept.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RetentionFile {
    /// Days. Default: 190; network logs no less than 184.
    days: Option<u32>,
    /// Days of single OCSF classes, by their `class_uid`.
    classes: BTreeMap<String, u32>,
}

impl RetentionFile {
    fn resolve(self) -> Result<Retention, ConfigError> {
        let class = |(class, days): (String, u32)| match class.parse() {
            Ok(number) => Ok((number, days)),
            Err(_) => Err(ConfigError::RetentionClass { class }),
        };
        let classes = self.classes.into_iter().map(class).collect::<Result<_, _>>()?;
        Ok(Retention::new(self.days.unwrap_or(Retention::DEFAULT_DAYS), classes)?)
    }
}

/// One address, or a list.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(SocketAddr),
    Many(Vec<SocketAddr>),
}

impl Default for OneOrMany {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl From<OneOrMany> for Vec<SocketAddr> {
    fn from(addresses: OneOrMany) -> Self {
        match addresses {
            OneOrMany::One(address) => vec![address],
            OneOrMany::Many(addresses) => addresses,
        }
    }
}

/// `[[folders]]`: a folder whose files are followed. `[[sockets]]` are written the same way.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FolderFile {
    /// The folder, or the socket to make.
    path: PathBuf,
    /// Name of the source. Default: `folder:` or `socket:` and its own name.
    source: Option<String>,
}

/// What the command line says; it goes before the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flags {
    pub data_dir: Option<PathBuf>,
    pub listen: Option<SocketAddr>,
    pub dev_http: bool,
    pub syslog_udp: Vec<SocketAddr>,
    pub syslog_tcp: Vec<SocketAddr>,
    pub syslog_tls: Vec<SocketAddr>,
    pub flow: Vec<SocketAddr>,
    pub watch: Vec<WatchFlag>,
    pub socket: Vec<WatchFlag>,
    pub rules: RuleSources,
}

/// `--watch [NAME=]DIR`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WatchFlag {
    name: Option<String>,
    path: PathBuf,
}

impl FromStr for WatchFlag {
    type Err = Infallible;

    /// What stands before `=` is a name if it could not be a part of a path.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        let named = text.split_once('=').filter(|(name, _)| !name.is_empty() && !name.contains(['/', '.']));
        Ok(match named {
            Some((name, path)) => Self { name: Some(name.to_owned()), path: path.into() },
            None => Self { name: None, path: text.into() },
        })
    }
}

/// How the door is locked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// Plain HTTP, on loopback only.
    PlainOnLoopback,
    /// TLS with a certificate that was given.
    Given { certificate: PathBuf, key: PathBuf },
    /// TLS with a certificate of our own authority, for these names beside the machine's own.
    Own { names: Vec<String> },
}

/// A folder whose files are followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Folder {
    /// Name of the source.
    pub name: String,
    pub path: PathBuf,
}

/// Everything, checked.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub data_dir: PathBuf,
    pub listen: SocketAddr,
    pub door: Door,
    pub zone: TimeZone,
    pub syslog_udp: Vec<SocketAddr>,
    pub syslog_tcp: Vec<SocketAddr>,
    pub syslog_tls: Vec<SocketAddr>,
    pub client_authority: Option<PathBuf>,
    pub flow: Vec<SocketAddr>,
    pub folders: Vec<Folder>,
    /// Unix sockets, named as folders are.
    pub sockets: Vec<Folder>,
    /// Rules beside the built-in ones, and what changes rules.
    pub rules: RuleSources,
    /// How much correlation rules may remember, and how long they wait.
    pub correlation: Limits,
    /// How long events are kept.
    pub retention: Retention,
    pub limits: IntakeLimits,
}

/// What the platform may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IntakeLimits {
    /// Bytes of telemetry that may wait for detection. Decoded they take several times as much.
    pub queue_bytes: usize,
    /// Bytes of the disk that are kept free, where they are configured.
    pub reserve_bytes: Option<u64>,
    /// Sources that a part of the queue is kept for.
    pub priority: HashSet<SourceId>,
}

impl File {
    /// Reads the file.
    ///
    /// # Errors
    /// [`ConfigError::Read`] and [`ConfigError::Parse`].
    pub(crate) fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        toml::from_str(&text)
            .map_err(|error| ConfigError::Parse { path: path.to_owned(), message: error.to_string() })
    }
}

impl Config {
    /// Puts file and flags together and checks them.
    ///
    /// # Errors
    /// [`ConfigError`] says which setting is wrong and what to write instead.
    pub(crate) fn resolve(file: File, flags: Flags) -> Result<Self, ConfigError> {
        let listen = flags.listen.or(file.listen).unwrap_or(DEFAULT_LISTEN);
        let door = match (flags.dev_http, file.tls.certificate, file.tls.key) {
            (true, ..) if !listen.ip().is_loopback() => return Err(ConfigError::PlainHttp { listen }),
            (true, ..) => Door::PlainOnLoopback,
            (false, Some(certificate), Some(key)) => Door::Given { certificate, key },
            (false, None, None) => Door::Own { names: file.tls.names },
            (false, ..) => return Err(ConfigError::HalfTls),
        };
        let zone_name = file.time_zone.as_deref().unwrap_or(DEFAULT_TIME_ZONE);
        let zone = TimeZone::get(zone_name)
            .map_err(|_error| ConfigError::TimeZone { name: zone_name.to_owned() })?;
        let named = |kind, files: Vec<FolderFile>, flags: Vec<WatchFlag>| {
            let flags = flags.into_iter().map(|WatchFlag { name, path }| FolderFile { path, source: name });
            unique(files.into_iter().chain(flags).map(|file| Folder::of(kind, file)).collect())
        };
        Ok(Self {
            data_dir: flags.data_dir.or(file.data_dir).ok_or(ConfigError::NoDataDir)?,
            listen,
            door,
            zone,
            syslog_udp: [file.syslog.udp.into(), flags.syslog_udp].concat(),
            syslog_tcp: [file.syslog.tcp.into(), flags.syslog_tcp].concat(),
            syslog_tls: [file.syslog.tls.into(), flags.syslog_tls].concat(),
            client_authority: file.syslog.client_authority,
            flow: [file.flow.udp.into(), flags.flow].concat(),
            folders: named("folder", file.folders, flags.watch)?,
            sockets: named("socket", file.sockets, flags.socket)?,
            rules: RuleSources {
                paths: [file.rules, flags.rules.paths].concat(),
                processing: ProcessingArgs {
                    pipeline: [file.pipelines, flags.rules.processing.pipeline].concat(),
                    placeholders: [file.placeholders, flags.rules.processing.placeholders].concat(),
                },
            },
            correlation: file.correlation.limits()?,
            limits: intake_limits(&file.limits, &file.priority),
            retention: file.retention.resolve()?,
        })
    }
}

impl CorrelationFile {
    fn limits(self) -> Result<Limits, ConfigError> {
        if self.lateness_secs > MAX_LATENESS_SECS {
            return Err(ConfigError::Lateness { seconds: self.lateness_secs });
        }
        let (bytes, groups) = (self.memory_mib.saturating_mul(1 << 20), self.groups);
        if bytes == 0 || groups == 0 {
            return Err(ConfigError::NoWindows);
        }
        let lateness_nanos = i64::from(self.lateness_secs) * 1_000_000_000;
        Ok(Limits { lateness_nanos, bytes, groups, ..Limits::default() })
    }
}

impl Folder {
    fn of(kind: &str, file: FolderFile) -> Self {
        let own = file.path.file_name().map_or_else(|| "root".into(), |name| name.to_string_lossy());
        Self { name: file.source.unwrap_or_else(|| format!("{kind}:{own}")), path: file.path }
    }
}

fn intake_limits(limits: &LimitsFile, priority: &[String]) -> IntakeLimits {
    let queue_mib = limits.queue_mib.unwrap_or(DEFAULT_QUEUE_MIB).max(1);
    IntakeLimits {
        queue_bytes: usize::try_from(queue_mib).unwrap_or(usize::MAX).saturating_mul(1 << 20),
        reserve_bytes: limits.keep_free_mib.map(|mib| u64::from(mib) << 20),
        priority: priority.iter().map(|name| SourceId::new(name)).collect(),
    }
}

fn unique(folders: Vec<Folder>) -> Result<Vec<Folder>, ConfigError> {
    let mut names = BTreeSet::new();
    for folder in &folders {
        if !names.insert(folder.name.as_str()) {
            return Err(ConfigError::FolderName { name: folder.name.clone() });
        }
    }
    Ok(folders)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> File {
        toml::from_str(text).unwrap()
    }

    fn flags(data_dir: &str) -> Flags {
        Flags { data_dir: Some(data_dir.into()), ..Flags::default() }
    }

    #[test]
    fn flags_go_before_the_file_and_add_to_its_lists() {
        let file = file(
            "listen = '10.0.0.1:443'\ndata_dir = '/a'\n[syslog]\nudp = ['0.0.0.0:514']\n\
             [[folders]]\npath = '/var/log/nginx'\nsource = 'web'",
        );
        let flags = Flags {
            listen: Some("127.0.0.1:8080".parse().unwrap()),
            syslog_udp: vec!["127.0.0.1:5514".parse().unwrap()],
            watch: vec!["/tmp/drop".parse().unwrap(), "sample=/tmp/x=y".parse().unwrap()],
            ..flags("/b")
        };
        let config = Config::resolve(file, flags).unwrap();
        assert_eq!(config.data_dir, Path::new("/b"));
        assert_eq!(config.listen.port(), 8080);
        assert_eq!(config.syslog_udp.len(), 2);
        let names: Vec<_> = config.folders.iter().map(|folder| folder.name.as_str()).collect();
        assert_eq!(names, ["web", "folder:drop", "sample"]);
        assert_eq!(config.folders[2].path, Path::new("/tmp/x=y"));
        assert_eq!(config.door, Door::Own { names: vec![] });
    }

    /// The file that the package installs, with its examples switched on.
    #[test]
    fn the_packaged_file_and_its_examples_are_understood() {
        let text = include_str!("../../../packaging/wanglou.toml");
        let is_example = |line: &str| line.contains(" = ") || line.starts_with('[');
        let all: String = text
            .lines()
            .map(|line| line.strip_prefix("# ").filter(|rest| is_example(rest)).unwrap_or(line))
            .map(|line| format!("{line}\n"))
            .collect();
        let config = Config::resolve(file(&all), Flags::default()).unwrap();
        assert!(matches!(config.door, Door::Given { .. }));
        assert_eq!((config.syslog_udp.len(), config.syslog_tcp.len(), config.folders.len()), (1, 1, 1));
        assert_eq!(config.folders[0].name, "nginx");
        let written = Config::resolve(file("data_dir = '/a'"), Flags::default()).unwrap().correlation;
        assert_eq!(config.correlation, written, "the file shows the defaults");
        assert_eq!((config.syslog_tls.len(), config.flow.len()), (1, 1));
        assert_eq!(config.sockets[0].name, "suricata");
        assert_eq!(config.limits.reserve_bytes, Some(2 << 30));
        assert!(config.limits.priority.contains(&SourceId::new("nginx")));
        assert_ne!(config.retention, Retention::default());
    }

    #[test]
    fn what_cannot_be_is_refused_with_the_remedy() {
        let outside = Flags { dev_http: true, ..flags("/a") };
        let error = Config::resolve(File::default(), outside).unwrap_err();
        assert!(error.to_string().contains("listen on 127.0.0.1"), "{error}");
        let error = Config::resolve(File::default(), Flags::default()).unwrap_err();
        assert!(matches!(error, ConfigError::NoDataDir));
        let error = Config::resolve(file("[tls]\nkey = 'k.pem'"), flags("/a")).unwrap_err();
        assert!(matches!(error, ConfigError::HalfTls));
        let error = Config::resolve(file("time_zone = 'Asia/Beijing'"), flags("/a")).unwrap_err();
        assert!(matches!(error, ConfigError::TimeZone { .. }));
        for wrong in ["lateness_secs = 7200", "memory_mib = 0", "groups = 0"] {
            assert!(
                Config::resolve(self::file(&format!("[correlation]\n{wrong}")), flags("/a")).is_err(),
                "{wrong}"
            );
        }
        for (retention, remedy) in [
            ("days = 90", "第二十三条"),
            ("classes = { 4001 = 30 }", "第二十三条"),
            ("classes = { dns = 365 }", "class_uid"),
        ] {
            let error = Config::resolve(file(&format!("[retention]\n{retention}")), flags("/a")).unwrap_err();
            assert!(error.to_string().contains(remedy), "{error}");
        }
        let twice =
            Flags { watch: vec!["/a/log".parse().unwrap(), "/b/log".parse().unwrap()], ..flags("/a") };
        assert!(matches!(
            Config::resolve(File::default(), twice).unwrap_err(),
            ConfigError::FolderName { .. }
        ));
        assert!(toml::from_str::<File>("listem = '127.0.0.1:1'").is_err());
    }
}

//! TLS: a certificate authority of our own made at the first start, or a certificate that is given.
//!
//! The authority's key stays in `DATA_DIR/tls` and signs nothing but this server's certificate, which is made anew when
//! it is about to expire or the names change. People import `DATA_DIR/tls/ca.pem` into their browsers once.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{Timestamp, ToSpan, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::config::Door;

/// How long the authority is good, in days: longer than the hardware.
const AUTHORITY_DAYS: i64 = 3650;
/// How long the server's certificate is good, in days: browsers refuse more than 398.
const CERTIFICATE_DAYS: i64 = 397;
/// A certificate with fewer days left is made anew at start.
const RENEW_DAYS: i64 = 30;
/// What ALPN offers, best first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// A file cannot be read or written.
    #[error("cannot {step} `{path}`")]
    File {
        step: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// A file is not PEM with what is wanted in it.
    #[error("`{path}` holds no {wanted} in PEM form: {reason}")]
    Pem { path: PathBuf, wanted: &'static str, reason: String },
    /// A certificate cannot be made.
    #[error("cannot make a certificate")]
    Make(#[from] rcgen::Error),
    /// The certificate and its key cannot be used.
    #[error("the certificate cannot be used")]
    Use(#[from] rustls::Error),
}

/// TLS, ready to use.
pub(crate) struct Tls {
    pub config: Arc<ServerConfig>,
    /// SHA-256 of the server's certificate, as browsers show it.
    pub fingerprint: String,
    /// The authority's certificate to import, if it is our own.
    pub authority: Option<PathBuf>,
}

impl Tls {
    /// Sets TLS up; `None` for a door without.
    ///
    /// # Errors
    /// [`TlsError`].
    pub(crate) fn open(door: &Door, data_dir: &Path, listen: SocketAddr) -> Result<Option<Self>, TlsError> {
        if *door == Door::PlainOnLoopback {
            return Ok(None);
        }
        let Identity { chain, key, authority } = Identity::of(door, data_dir, listen)?;
        let fingerprint = chain.first().map(fingerprint).unwrap_or_default();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = PROTOCOLS.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(Some(Self { config: Arc::new(config), fingerprint, authority }))
    }
}

/// What the platform shows to prove who it is.
struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    /// The authority's certificate to import, if it is our own.
    authority: Option<PathBuf>,
}

impl Identity {
    /// The given certificate, or one of our own authority.
    fn of(door: &Door, data_dir: &Path, listen: SocketAddr) -> Result<Self, TlsError> {
        let (certificate, key, authority) = match door {
            Door::Given { certificate, key } => (certificate.clone(), key.clone(), None),
            Door::Own { .. } | Door::PlainOnLoopback => {
                let names = if let Door::Own { names } = door { names.as_slice() } else { &[] };
                let own = OwnAuthority { dir: data_dir.join("tls") };
                own.ensure(&all_names(names, listen))?;
                (own.file("server.pem"), own.file("server.key"), Some(own.file("ca.pem")))
            }
        };
        let chain = read_chain(&certificate)?;
        let key = PrivateKeyDer::from_pem_file(&key).map_err(|error| TlsError::Pem {
            path: key,
            wanted: "private key",
            reason: error.to_string(),
        })?;
        Ok(Self { chain, key, authority })
    }
}

/// TLS for senders of syslog: the door's certificate; with `client_authority`, only those whom it certified get in.
///
/// # Errors
/// [`TlsError`].
pub(crate) fn for_syslog(
    door: &Door,
    data_dir: &Path,
    listen: SocketAddr,
    client_authority: Option<&Path>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let Identity { chain, key, .. } = Identity::of(door, data_dir, listen)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = match client_authority {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let wrong = |reason: String| TlsError::Pem { path: path.to_owned(), wanted: "authority", reason };
            let mut roots = RootCertStore::empty();
            for certificate in read_chain(path)? {
                roots.add(certificate)?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| wrong(error.to_string()))?)
        }
    };
    Ok(Arc::new(builder.with_single_cert(chain, key)?))
}

/// What the certificate was made for; kept beside it.
#[derive(PartialEq, Serialize, Deserialize)]
struct Issued {
    names: BTreeSet<String>,
    expires: Timestamp,
}

/// The authority and its one certificate.
struct OwnAuthority {
    dir: PathBuf,
}

impl OwnAuthority {
    fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Makes what is missing or about to expire.
    fn ensure(&self, names: &BTreeSet<String>) -> Result<(), TlsError> {
        fs::create_dir_all(&self.dir).map_err(|source| TlsError::File {
            step: "create",
            path: self.dir.clone(),
            source,
        })?;
        let authority = self.authority()?;
        let now = Timestamp::now();
        if self.file("server.pem").exists() && self.is_current(names, now) {
            return Ok(());
        }
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names.iter().cloned().collect::<Vec<_>>())?;
        params.distinguished_name.push(DnType::CommonName, "Wanglou");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let expires = set_life(&mut params, now, CERTIFICATE_DAYS);
        let certificate = params.signed_by(&key, &authority)?;
        let authority_pem = self.read("ca.pem")?;
        self.write_secret("server.key", &key.serialize_pem())?;
        self.write("server.pem", &format!("{}{authority_pem}", certificate.pem()))?;
        let issued = Issued { names: names.clone(), expires };
        self.write("server.json", &serde_json::to_string(&issued).unwrap_or_default())
    }

    /// The authority, made at the first start.
    fn authority(&self) -> Result<Issuer<'static, KeyPair>, TlsError> {
        let (key_file, is_new) = (self.file("ca.key"), !self.file("ca.pem").exists());
        let key = if is_new {
            KeyPair::generate()?
        } else {
            KeyPair::from_pem(&self.read("ca.key")?).map_err(|error| TlsError::Pem {
                path: key_file,
                wanted: "private key",
                reason: error.to_string(),
            })?
        };
        let mut params = CertificateParams::new(Vec::new())?;
        // The name holds a part of the key's hash, so that two authorities in one browser are not confused.
        let id = hex::encode(Sha256::digest(key.public_key_raw()).get(..4).unwrap_or_default());
        params.distinguished_name.push(DnType::CommonName, format!("Wanglou CA {id}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        if is_new {
            set_life(&mut params, Timestamp::now(), AUTHORITY_DAYS);
            self.write_secret("ca.key", &key.serialize_pem())?;
            self.write("ca.pem", &params.self_signed(&key)?.pem())?;
        }
        Ok(Issuer::new(params, key))
    }

    fn is_current(&self, names: &BTreeSet<String>, now: Timestamp) -> bool {
        let issued =
            self.read("server.json").ok().and_then(|text| serde_json::from_str::<Issued>(&text).ok());
        issued.is_some_and(|issued| {
            issued.names == *names && issued.expires.duration_since(now).as_hours() > RENEW_DAYS * 24
        })
    }

    fn read(&self, name: &str) -> Result<String, TlsError> {
        let path = self.file(name);
        fs::read_to_string(&path).map_err(|source| TlsError::File { step: "read", path, source })
    }

    fn write(&self, name: &str, text: &str) -> Result<(), TlsError> {
        self.write_with_mode(name, text, 0o644)
    }

    fn write_secret(&self, name: &str, text: &str) -> Result<(), TlsError> {
        self.write_with_mode(name, text, 0o600)
    }

    /// Writes to the side and renames, so that a crash leaves the old file or the new one.
    fn write_with_mode(&self, name: &str, text: &str, mode: u32) -> Result<(), TlsError> {
        let (path, side) = (self.file(name), self.file(&format!("{name}.new")));
        let written = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode)
            .open(&side)
            .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&side, &path));
        written.map_err(|source| TlsError::File { step: "write", path, source })
    }
}

/// Sets the life of a certificate, from yesterday on because clocks differ; tells its end.
fn set_life(params: &mut CertificateParams, now: Timestamp, days: i64) -> Timestamp {
    let day = |offset: i64| {
        let date = now.to_zoned(TimeZone::UTC).date().saturating_add(offset.days());
        (
            date,
            rcgen::date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs()),
        )
    };
    params.not_before = day(-1).1;
    let (date, end) = day(days - 1);
    params.not_after = end;
    date.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp()).unwrap_or(now)
}

/// The given names, this machine's own, and the address it listens on.
fn all_names(given: &[String], listen: SocketAddr) -> BTreeSet<String> {
    let loopback = [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()];
    let mut names: BTreeSet<String> = loopback.iter().map(ToString::to_string).collect();
    names.insert("localhost".into());
    names.extend(host_name());
    names.extend(given.iter().cloned());
    let address = if listen.ip().is_unspecified() { outward_address() } else { Some(listen.ip()) };
    names.extend(address.map(|address| address.to_string()));
    names
}

fn host_name() -> Option<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let name = name.trim();
    let is_dns =
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
    is_dns.then(|| name.to_owned())
}

/// The address this machine would use to reach others. Connecting a UDP socket sends nothing; the address is one of
/// those kept for documentation (RFC 5737).
pub(crate) fn outward_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    socket.local_addr().ok().map(|address| address.ip()).filter(|address| !address.is_unspecified())
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |reason: String| TlsError::Pem { path: path.to_owned(), wanted: "certificate", reason };
    let chain: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| wrong(error.to_string()))?;
    if chain.is_empty() { Err(wrong("it has no certificate".into())) } else { Ok(chain) }
}

fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    let bytes: Vec<String> =
        Sha256::digest(certificate.as_ref()).iter().map(|byte| format!("{byte:02X}")).collect();
    bytes.join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authority_stays_and_the_certificate_follows_its_names() {
        let dir = tempfile::tempdir().unwrap();
        let listen = "127.0.0.1:8443".parse().unwrap();
        let open = |names: &[&str]| {
            let door = Door::Own { names: names.iter().map(ToString::to_string).collect() };
            Tls::open(&door, dir.path(), listen).unwrap().unwrap()
        };
        let first = open(&[]);
        let authority = fs::read_to_string(first.authority.unwrap()).unwrap();
        assert_eq!(first.fingerprint, open(&[]).fingerprint);
        let renamed = open(&["wanglou.example"]);
        assert_ne!(first.fingerprint, renamed.fingerprint);
        assert_eq!(authority, fs::read_to_string(renamed.authority.unwrap()).unwrap());
        let key = fs::metadata(dir.path().join("tls/ca.key")).unwrap();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&key.permissions()) & 0o777, 0o600);
    }

    #[test]
    fn a_file_without_certificate_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("empty.pem");
        fs::write(&file, "").unwrap();
        let door = Door::Given { certificate: file.clone(), key: file };
        let error = Tls::open(&door, dir.path(), "127.0.0.1:1".parse().unwrap()).err().unwrap();
        assert!(error.to_string().contains("empty.pem` holds no certificate"), "{error}");
    }
}

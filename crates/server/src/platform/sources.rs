//! The sources that the configuration names: opened at start, each with a task that hands its deliveries to the intake.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use wanglou_ingest::source::{
    Checkpoints, Counters, Delivery, FlowUdp, FlowUdpConfig, SyslogTcp, SyslogTcpConfig, SyslogUdp,
    SyslogUdpConfig, UnixLines, UnixLinesConfig, WatchedFolder, WatchedFolderConfig,
};
use wanglou_lake::{Batch, Lake, Origin};
use wanglou_model::{SourceId, Timestamp};

use super::Platform;
use super::intake::{Intake, IntakeError};
use crate::config::Folder;
use crate::state::StateError;

/// Deliveries of one source that wait to be logged.
const WAITING_DELIVERIES: usize = 64;
/// Pause before a delivery that could not be logged is tried again.
const LOG_PAUSE: Duration = Duration::from_secs(1);

/// A source cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourcesError {
    /// An address or a folder.
    #[error("cannot open the source `{name}` ({what})")]
    Open {
        name: String,
        what: String,
        #[source]
        source: io::Error,
    },
    /// Its name belongs to a source of another kind.
    #[error(
        "the name `{name}` belongs to another source: give the folder another one with `[[folders]] source = …`"
    )]
    NameTaken { name: String },
    /// The database failed.
    #[error(transparent)]
    State(#[from] StateError),
}

/// The sources to open.
#[derive(Clone, Debug, Default)]
pub(crate) struct SourcePlan {
    pub syslog_udp: Vec<SocketAddr>,
    pub syslog_tcp: Vec<SocketAddr>,
    pub syslog_tls: Vec<SocketAddr>,
    /// For syslog over TLS.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    pub flow: Vec<SocketAddr>,
    /// Where flow sources keep their templates.
    pub templates_dir: PathBuf,
    pub folders: Vec<Folder>,
    /// Unix sockets.
    pub sockets: Vec<Folder>,
}

/// An open source.
#[derive(Debug)]
pub(crate) struct OpenSource {
    pub name: SourceId,
    /// The address or folder, for the start-up banner.
    pub what: String,
    pub counters: Arc<Counters>,
    task: JoinHandle<()>,
}

impl OpenSource {
    /// Waits until what it held is handed on.
    pub(crate) async fn finished(self) {
        if self.task.await.is_err() {
            tracing::error!(source = %self.name, "a source failed");
        }
    }
}

/// Opens the sources.
///
/// # Errors
/// [`SourcesError`] names the one that cannot be opened.
pub(crate) async fn open(platform: &Platform, plan: SourcePlan) -> Result<Vec<OpenSource>, SourcesError> {
    let mut opened = Vec::new();
    for (name, address) in named("syslog-udp", &plan.syslog_udp) {
        register(platform, &name, "syslog-udp").await?;
        let failed = |source| open_error(&name, &address, source);
        let source = SyslogUdp::bind(SyslogUdpConfig::new(name.clone(), address)).await.map_err(failed)?;
        let what = source.local_addr().map_err(failed)?.to_string();
        let (counters, (sender, task)) = (source.counters(), pump(platform));
        let stop = platform.stop_signal();
        tokio::spawn(end(name.clone(), async move { source.run(sender, stop).await }));
        opened.push(OpenSource { name, what, counters, task });
    }
    for (name, address) in named("syslog-tcp", &plan.syslog_tcp) {
        opened.push(open_tcp(platform, name, address, None).await?);
    }
    for (name, address) in named("syslog-tls", &plan.syslog_tls) {
        opened.push(open_tcp(platform, name, address, plan.tls.clone()).await?);
    }
    for (name, address) in named("flow", &plan.flow) {
        opened.push(open_flow(platform, name, address, &plan.templates_dir).await?);
    }
    for Folder { name, path } in plan.sockets {
        let (name, what) = (SourceId::new(&name), path.display().to_string());
        register(platform, &name, "unix-socket").await?;
        let source = UnixLines::bind(UnixLinesConfig::new(name.clone(), path))
            .map_err(|source| open_error(&name, &what, source))?;
        let (counters, (sender, task)) = (source.counters(), pump(platform));
        let stop = platform.stop_signal();
        tokio::spawn(end(name.clone(), async move { source.run(sender, stop).await }));
        opened.push(OpenSource { name, what, counters, task });
    }
    for Folder { name, path } in plan.folders {
        let (name, what) = (SourceId::new(&name), path.display().to_string());
        register(platform, &name, "folder").await?;
        let checkpoints = Arc::new(LakeCheckpoints(Arc::clone(&platform.lake)));
        let source = WatchedFolder::new(WatchedFolderConfig::new(name.clone(), path), checkpoints)
            .map_err(|source| open_error(&name, &what, source))?;
        let (counters, (sender, task)) = (source.counters(), pump(platform));
        let stop = platform.stop_signal();
        tokio::spawn(end(name.clone(), async move { source.run(sender, stop).await }));
        opened.push(OpenSource { name, what, counters, task });
    }
    Ok(opened)
}

async fn open_tcp(
    platform: &Platform,
    name: SourceId,
    address: SocketAddr,
    tls: Option<Arc<rustls::ServerConfig>>,
) -> Result<OpenSource, SourcesError> {
    register(platform, &name, if tls.is_some() { "syslog-tls" } else { "syslog-tcp" }).await?;
    let failed = |source| open_error(&name, &address, source);
    let config = SyslogTcpConfig::new(name.clone(), address);
    let source = match tls {
        None => SyslogTcp::bind(config).await,
        Some(tls) => SyslogTcp::bind_tls(config, tls).await,
    };
    let source = source.map_err(failed)?;
    let what = source.local_addr().map_err(failed)?.to_string();
    let (counters, (sender, task)) = (source.counters(), pump(platform));
    let stop = platform.stop_signal();
    tokio::spawn(end(name.clone(), async move { source.run(sender, stop).await }));
    Ok(OpenSource { name, what, counters, task })
}

async fn open_flow(
    platform: &Platform,
    name: SourceId,
    address: SocketAddr,
    templates_dir: &Path,
) -> Result<OpenSource, SourcesError> {
    register(platform, &name, "flow").await?;
    let failed = |source| open_error(&name, &address, source);
    std::fs::create_dir_all(templates_dir).map_err(failed)?;
    let templates = templates_dir.join(format!("{}.json", name.as_str().replace(':', "-")));
    let config = FlowUdpConfig { templates: Some(templates), ..FlowUdpConfig::new(name.clone(), address) };
    let source = FlowUdp::bind(config).await.map_err(failed)?;
    let what = source.local_addr().map_err(failed)?.to_string();
    let (counters, (sender, task)) = (source.counters(), pump(platform));
    let stop = platform.stop_signal();
    tokio::spawn(end(name.clone(), async move { source.run(sender, stop).await }));
    Ok(OpenSource { name, what, counters, task })
}

fn open_error(name: &SourceId, what: &dyn std::fmt::Display, source: io::Error) -> SourcesError {
    SourcesError::Open { name: name.as_str().to_owned(), what: what.to_string(), source }
}

/// The first is named after its kind, others with their port.
fn named<'a>(
    kind: &'a str,
    addresses: &'a [SocketAddr],
) -> impl Iterator<Item = (SourceId, SocketAddr)> + 'a {
    addresses.iter().enumerate().map(move |(index, address)| {
        let name = if index == 0 { kind.to_owned() } else { format!("{kind}:{}", address.port()) };
        (SourceId::new(&name), *address)
    })
}

async fn register(platform: &Platform, name: &SourceId, kind: &str) -> Result<(), SourcesError> {
    if !platform.state.create_source(name, kind, None, Timestamp::now()).await? {
        return Err(SourcesError::NameTaken { name: name.as_str().to_owned() });
    }
    platform.ledger.open(name);
    Ok(())
}

async fn end(name: SourceId, run: impl Future<Output = io::Result<()>>) {
    if let Err(error) = run.await {
        tracing::error!(source = %name, %error, "a source has ended");
    }
}

/// Hands deliveries to the intake until the source lets go of its sender.
fn pump(platform: &Platform) -> (mpsc::Sender<Delivery>, JoinHandle<()>) {
    let (sender, mut deliveries) = mpsc::channel(WAITING_DELIVERIES);
    let intake = platform.intake.clone();
    let task = tokio::spawn(async move {
        while let Some(delivery) = deliveries.recv().await {
            hand_over(&intake, batch(delivery)).await;
        }
    });
    (sender, task)
}

/// Logs a batch, again and again until it works: what was taken from the wire must not be lost while we run.
async fn hand_over(intake: &Intake, batch: Batch) {
    loop {
        match intake.take(batch.clone()).await {
            Ok(_) => return,
            Err(error @ (IntakeError::Log(_) | IntakeError::DiskFull)) => {
                tracing::error!(%error, source = %batch.source, "logging a delivery failed; trying again");
                tokio::time::sleep(LOG_PAUSE).await;
            }
            Err(IntakeError::Full | IntakeError::Stopping) => {
                tracing::warn!(source = %batch.source, "a delivery came too late: we are stopping");
                return;
            }
        }
    }
}

fn batch(delivery: Delivery) -> Batch {
    let origin = match delivery.file {
        Some(file) => {
            Origin::File { identity: file.identity, path: file.path, start: file.start, end: file.end }
        }
        None => Origin::Arrival,
    };
    Batch { source: delivery.source, arrival: Timestamp::now(), origin, frames: delivery.frames }
}

/// The log remembers how far files are read.
struct LakeCheckpoints(Arc<Lake>);

impl Checkpoints for LakeCheckpoints {
    fn offset(&self, source: &SourceId, identity: &str) -> Option<u64> {
        self.0.checkpoint(source, identity)
    }
}

//! A Unix socket to which programs of this machine write lines, such as Suricata's `eve-log` with
//! `filetype: unix_stream`.

use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::sync::{mpsc, watch};
use wanglou_model::SourceId;

use super::connection::{Acceptor, Connection};
use super::{Counters, Delivery};

/// Who may write: the platform's user and group, of which the senders must be.
const MODE: u32 = 0o660;

/// Settings of a Unix socket.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnixLinesConfig {
    /// Names the source, such as `suricata`.
    pub source: SourceId,
    /// Where the socket is made.
    pub path: PathBuf,
    /// Longest line, in bytes. A longer one is dropped and counted; the connection goes on.
    #[serde(default = "default_max_frame_bytes")]
    pub max_frame_bytes: usize,
    /// Connections held at a time; further ones are closed at once and counted.
    #[serde(default = "default_max_connections")]
    pub max_connections: usize,
}

fn default_max_frame_bytes() -> usize {
    // Suricata's alerts with payload and packets reach some hundred KiB.
    1 << 20
}
fn default_max_connections() -> usize {
    // Suricata writes over one, or one a thread.
    256
}

impl UnixLinesConfig {
    /// Settings for `path`, the others at their defaults.
    #[must_use]
    pub fn new(source: SourceId, path: PathBuf) -> Self {
        Self {
            source,
            path,
            max_frame_bytes: default_max_frame_bytes(),
            max_connections: default_max_connections(),
        }
    }
}

/// A listening socket.
#[derive(Debug)]
pub struct UnixLines {
    config: UnixLinesConfig,
    listener: UnixListener,
    counters: Arc<Counters>,
}

impl UnixLines {
    /// Makes the socket. One that an earlier process left behind is replaced.
    ///
    /// # Errors
    /// When something else stands there, another process listens, or the folder cannot be written to.
    pub fn bind(config: UnixLinesConfig) -> io::Result<Self> {
        clear(&config.path)?;
        let listener = UnixListener::bind(&config.path)?;
        std::fs::set_permissions(&config.path, std::fs::Permissions::from_mode(MODE))?;
        Ok(Self { config, listener, counters: Arc::default() })
    }

    /// Its counters, which live on after it.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Accepts and receives until `shutdown` turns true; then what has been read of the connections is handed on and
    /// they are closed.
    ///
    /// # Errors
    /// None at present: a failing connection ends alone, a failing accept is tried again.
    pub async fn run(self, out: mpsc::Sender<Delivery>, shutdown: watch::Receiver<bool>) -> io::Result<()> {
        let acceptor = Acceptor {
            source: self.config.source,
            max_frame_bytes: self.config.max_frame_bytes,
            max_connections: self.config.max_connections,
            // A program of this machine that is gone closes its end.
            idle: Duration::MAX,
            counters: self.counters,
            out,
        };
        let serve = |connection: Connection, stream, _peer, shutdown| connection.receive(stream, shutdown);
        acceptor.run(|context| self.listener.poll_accept(context), serve, shutdown).await;
        // A socket that nobody listens on only misleads; when it is gone already, all is well.
        _ = std::fs::remove_file(&self.config.path);
        Ok(())
    }
}

/// Takes away a socket that nobody listens on any more.
fn clear(path: &Path) -> io::Result<()> {
    let kind = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?.file_type(),
    };
    if !kind.is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file of another kind"));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there")),
        Err(_nobody) => std::fs::remove_file(path),
    }
}

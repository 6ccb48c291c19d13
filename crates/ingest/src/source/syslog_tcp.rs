//! Syslog over TCP (RFC 6587) and over TLS (RFC 5425): octet counting and line ends.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_rustls::{TlsAcceptor, rustls};
use wanglou_model::SourceId;

use super::connection::{Acceptor, Connection};
use super::{Counters, Delivery, DropReason, stopped};

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(20);

/// Settings of a syslog TCP source.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyslogTcpConfig {
    /// Names the source, such as `syslog-tcp`.
    pub source: SourceId,
    /// Address and port to listen on, such as `0.0.0.0:601` or `[::]:601`.
    pub listen: SocketAddr,
    /// Longest message, in bytes. A longer one is dropped and counted; the connection goes on.
    #[serde(default = "default_max_frame_bytes")]
    pub max_frame_bytes: usize,
    /// Connections held at a time; further ones are closed at once and counted.
    #[serde(default = "default_max_connections")]
    pub max_connections: usize,
    /// Seconds after which a connection that sends nothing is closed. Senders reconnect.
    #[serde(default = "default_idle_timeout_secs")]
    pub idle_timeout_secs: u64,
}

fn default_max_frame_bytes() -> usize {
    // RFC 5425 asks for 8 KiB; JSON in syslog and split audit events reach some hundred.
    1 << 20
}
fn default_max_connections() -> usize {
    // A city has about a thousand senders.
    4_096
}
fn default_idle_timeout_secs() -> u64 {
    // Quiet devices send a mark every twenty minutes to an hour.
    2 * 3_600
}

impl SyslogTcpConfig {
    /// Settings for `listen`, the others at their defaults.
    #[must_use]
    pub fn new(source: SourceId, listen: SocketAddr) -> Self {
        Self {
            source,
            listen,
            max_frame_bytes: default_max_frame_bytes(),
            max_connections: default_max_connections(),
            idle_timeout_secs: default_idle_timeout_secs(),
        }
    }
}

/// A listening socket.
pub struct SyslogTcp {
    config: SyslogTcpConfig,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    counters: Arc<Counters>,
}

impl std::fmt::Debug for SyslogTcp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SyslogTcp").field("config", &self.config).finish_non_exhaustive()
    }
}

impl SyslogTcp {
    /// Binds the socket.
    ///
    /// # Errors
    /// What the kernel says: the address is in use, or the port needs a privilege.
    pub async fn bind(config: SyslogTcpConfig) -> io::Result<Self> {
        let listener = TcpListener::bind(config.listen).await?;
        Ok(Self { config, listener, tls: None, counters: Arc::default() })
    }

    /// Binds the socket for senders that speak TLS; which of them are let in is `tls`'s to say.
    ///
    /// # Errors
    /// As [`SyslogTcp::bind`].
    pub async fn bind_tls(config: SyslogTcpConfig, tls: Arc<rustls::ServerConfig>) -> io::Result<Self> {
        Ok(Self { tls: Some(TlsAcceptor::from(tls)), ..Self::bind(config).await? })
    }

    /// The address it is bound to.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
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
            idle: Duration::from_secs(self.config.idle_timeout_secs),
            counters: self.counters,
            out,
        };
        let tls = self.tls;
        let serve = move |connection: Connection, stream, peer, shutdown| {
            let tls = tls.clone();
            async move {
                match tls {
                    None => connection.receive(stream, shutdown).await,
                    Some(tls) => connection.shake_hands(tls, stream, peer, shutdown).await,
                }
            }
        };
        acceptor.run(|context| self.listener.poll_accept(context), serve, shutdown).await;
        Ok(())
    }
}

impl Connection {
    /// Receives once the sender has shown, in time, that it may.
    async fn shake_hands(
        self,
        tls: TlsAcceptor,
        stream: TcpStream,
        peer: SocketAddr,
        mut shutdown: watch::Receiver<bool>,
    ) {
        let handshake = tokio::select! {
            handshake = tokio::time::timeout(HANDSHAKE, tls.accept(stream)) => handshake,
            () = stopped(&mut shutdown) => return,
        };
        let error = match handshake {
            Ok(Ok(stream)) => return self.receive(stream, shutdown).await,
            Ok(Err(error)) => error.to_string(),
            Err(_elapsed) => "it takes too long".to_owned(),
        };
        self.counters.add_dropped(DropReason::Handshake, 1);
        tracing::warn!(source = %self.source, %peer, error, "a TLS handshake failed");
    }
}

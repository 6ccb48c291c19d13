//! Syslog over UDP (RFC 5426): one datagram, one frame.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use wanglou_model::SourceId;

use super::datagrams::{DatagramReader, Datagrams};
use super::{Counters, Delivery};

/// Settings of a syslog UDP source.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyslogUdpConfig {
    /// Names the source, such as `syslog-udp`.
    pub source: SourceId,
    /// Address and port to listen on, such as `0.0.0.0:514` or `[::]:514`.
    pub listen: SocketAddr,
    /// Receive buffer asked of the kernel, in bytes: what a burst may fill while storage is busy. The kernel grants at
    /// most `net.core.rmem_max`.
    #[serde(default = "default_receive_buffer_bytes")]
    pub receive_buffer_bytes: usize,
}

fn default_receive_buffer_bytes() -> usize {
    // A second of 20,000 messages of 400 bytes.
    8 << 20
}

impl SyslogUdpConfig {
    /// Settings for `listen`, the others at their defaults.
    #[must_use]
    pub fn new(source: SourceId, listen: SocketAddr) -> Self {
        Self { source, listen, receive_buffer_bytes: default_receive_buffer_bytes() }
    }
}

/// A bound socket.
#[derive(Debug)]
pub struct SyslogUdp(Datagrams<Whole>);

impl SyslogUdp {
    /// Binds the socket.
    ///
    /// # Errors
    /// What the kernel says: the address is in use, or the port needs a privilege.
    pub async fn bind(config: SyslogUdpConfig) -> io::Result<Self> {
        Datagrams::bind(config.source, config.listen, config.receive_buffer_bytes, Whole).await.map(Self)
    }

    /// The address it is bound to.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Its counters, which live on after it.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        self.0.counters()
    }

    /// Receives until `shutdown` turns true or nobody takes what it delivers.
    ///
    /// # Errors
    /// When the socket fails for good.
    pub async fn run(self, out: mpsc::Sender<Delivery>, shutdown: watch::Receiver<bool>) -> io::Result<()> {
        self.0.run(out, shutdown).await
    }
}

/// A datagram is a frame.
#[derive(Debug)]
struct Whole;

impl DatagramReader for Whole {
    fn read(&mut self, _from: SocketAddr, datagram: &[u8], frames: &mut Vec<Bytes>, _counters: &Counters) {
        if !datagram.is_empty() {
            frames.push(Bytes::copy_from_slice(datagram));
        }
    }
}

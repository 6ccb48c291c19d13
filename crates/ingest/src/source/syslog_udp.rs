//! Syslog over UDP (RFC 5426): one datagram, one frame.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;
use wanglou_model::SourceId;

use super::{Counters, Delivery, DropReason, kernel_drops, stopped};

/// The largest UDP payload (65,535 bytes less the smallest headers).
const MAX_DATAGRAM_BYTES: usize = 65_507;
/// Datagrams handed on together: enough to make a batch worth its commit, few enough to keep what waits small.
const MAX_BATCH_FRAMES: usize = 512;
/// Bytes handed on together.
const MAX_BATCH_BYTES: usize = 1 << 20;
/// How often the kernel's count of lost datagrams is read.
const DROPS_EVERY: Duration = Duration::from_secs(1);

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
pub struct SyslogUdp {
    source: SourceId,
    socket: UdpSocket,
    counters: Arc<Counters>,
}

impl SyslogUdp {
    /// Binds the socket.
    ///
    /// # Errors
    /// What the kernel says: the address is in use, or the port needs a privilege.
    pub async fn bind(config: SyslogUdpConfig) -> io::Result<Self> {
        let socket = UdpSocket::bind(config.listen).await?;
        if let Err(error) = socket2::SockRef::from(&socket).set_recv_buffer_size(config.receive_buffer_bytes)
        {
            tracing::warn!(source = %config.source, %error, "receive buffer keeps the kernel's default size");
        }
        Ok(Self { source: config.source, socket, counters: Arc::default() })
    }

    /// The address it is bound to.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Its counters, which live on after it.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Receives until `shutdown` turns true or nobody takes what it delivers.
    ///
    /// # Errors
    /// When the socket fails for good.
    pub async fn run(
        self,
        out: mpsc::Sender<Delivery>,
        mut shutdown: watch::Receiver<bool>,
    ) -> io::Result<()> {
        let inode = kernel_drops::inode(&self.socket);
        let mut lost = 0;
        let mut tick = tokio::time::interval(DROPS_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut buffer = vec![0; MAX_DATAGRAM_BYTES];
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut shutdown) => break,
                _ = tick.tick() => self.note_kernel_drops(inode, &mut lost),
                ready = self.socket.readable() => {
                    ready?;
                    if self.deliver(&mut buffer, &out).await?.is_closed() {
                        break;
                    }
                }
            }
        }
        // What the kernel already holds was received.
        while self.deliver(&mut buffer, &out).await? == Delivered::Frames {}
        self.note_kernel_drops(inode, &mut lost);
        Ok(())
    }

    /// Hands on the datagrams that wait, up to a batch.
    async fn deliver(&self, buffer: &mut [u8], out: &mpsc::Sender<Delivery>) -> io::Result<Delivered> {
        let mut frames: Vec<Bytes> = Vec::new();
        let mut arena = BytesMut::new();
        let mut bytes = 0;
        while frames.len() < MAX_BATCH_FRAMES && bytes < MAX_BATCH_BYTES {
            match self.socket.try_recv_from(buffer) {
                Ok((len, _)) => {
                    arena.extend_from_slice(buffer.get(..len).unwrap_or_default());
                    bytes += len;
                    frames.push(arena.split().freeze());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // An ICMP answer to something sent from this port, or a signal: nothing of ours.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::ConnectionRefused | io::ErrorKind::Interrupted
                    ) => {}
                Err(error) => return Err(error),
            }
        }
        frames.retain(|frame| !frame.is_empty());
        if frames.is_empty() {
            return Ok(Delivered::Nothing);
        }
        self.counters.add_received(frames.len() as u64, bytes as u64);
        let delivery = Delivery { source: self.source.clone(), frames, file: None };
        Ok(if out.send(delivery).await.is_ok() { Delivered::Frames } else { Delivered::Closed })
    }

    fn note_kernel_drops(&self, inode: Option<u64>, lost: &mut u64) {
        let Some(now) = inode.and_then(kernel_drops::count).filter(|now| now > lost) else { return };
        self.counters.add_dropped(DropReason::KernelBuffer, now - *lost);
        tracing::error!(source = %self.source, datagrams = now - *lost, "kernel dropped datagrams: receive buffer full");
        *lost = now;
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delivered {
    Frames,
    Nothing,
    Closed,
}

impl Delivered {
    fn is_closed(self) -> bool {
        self == Self::Closed
    }
}

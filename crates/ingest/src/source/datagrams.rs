//! UDP sockets: datagrams in, frames out.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;
use wanglou_model::SourceId;

use super::{Counters, Delivery, DropReason, kernel_drops, stopped};

/// The largest UDP payload (65,535 bytes less the smallest headers).
const MAX_DATAGRAM_BYTES: usize = 65_507;
/// Frames handed on together: enough to make a batch worth its commit, few enough to keep what waits small.
const MAX_BATCH_FRAMES: usize = 512;
/// Bytes handed on together.
const MAX_BATCH_BYTES: usize = 1 << 20;
/// How often the kernel's count of lost datagrams is read.
const DROPS_EVERY: Duration = Duration::from_secs(1);

/// Makes frames of datagrams.
pub(super) trait DatagramReader: Send {
    /// Takes one datagram; its frames go to `frames`, what it lost to the counters.
    fn read(&mut self, from: SocketAddr, datagram: &[u8], frames: &mut Vec<Bytes>, counters: &Counters);
    /// Called about once a second, and at the end.
    fn tick(&mut self) {}
}

/// A bound socket and what reads its datagrams.
#[derive(Debug)]
pub(super) struct Datagrams<R> {
    source: SourceId,
    socket: UdpSocket,
    counters: Arc<Counters>,
    reader: R,
}

impl<R: DatagramReader> Datagrams<R> {
    pub(super) async fn bind(
        source: SourceId,
        listen: SocketAddr,
        receive_buffer_bytes: usize,
        reader: R,
    ) -> io::Result<Self> {
        let socket = UdpSocket::bind(listen).await?;
        if let Err(error) = socket2::SockRef::from(&socket).set_recv_buffer_size(receive_buffer_bytes) {
            tracing::warn!(%source, %error, "receive buffer keeps the kernel's default size");
        }
        Ok(Self { source, socket, counters: Arc::default(), reader })
    }

    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    pub(super) fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    pub(super) async fn run(
        mut self,
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
                _ = tick.tick() => {
                    self.note_kernel_drops(inode, &mut lost);
                    self.reader.tick();
                }
                ready = self.socket.readable() => {
                    ready?;
                    if self.deliver(&mut buffer, &out).await? == Delivered::Closed {
                        break;
                    }
                }
            }
        }
        // What the kernel already holds was received.
        while self.deliver(&mut buffer, &out).await? == Delivered::Frames {}
        self.note_kernel_drops(inode, &mut lost);
        self.reader.tick();
        Ok(())
    }

    /// Hands on the frames of the datagrams that wait, up to a batch.
    async fn deliver(&mut self, buffer: &mut [u8], out: &mpsc::Sender<Delivery>) -> io::Result<Delivered> {
        let mut frames: Vec<Bytes> = Vec::new();
        let (mut read, mut is_any) = (0, false);
        while frames.len() < MAX_BATCH_FRAMES && read < MAX_BATCH_BYTES {
            match self.socket.try_recv_from(buffer) {
                Ok((len, from)) => {
                    (read, is_any) = (read + len, true);
                    let datagram = buffer.get(..len).unwrap_or_default();
                    self.reader.read(from, datagram, &mut frames, &self.counters);
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
        if frames.is_empty() {
            return Ok(if is_any { Delivered::Frames } else { Delivered::Nothing });
        }
        self.counters.add_received(frames.len() as u64, frames.iter().map(Bytes::len).sum::<usize>() as u64);
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
    /// Datagrams were read; there may be more.
    Frames,
    Nothing,
    Closed,
}

//! Connections of senders: accepted while there is room, then bytes in, frames out, until each ends.

use std::fmt::Debug;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use wanglou_model::SourceId;

use super::{Counters, Delivery, DropReason, Framed, Framer, stopped};

/// Bytes read at once, and so about what one delivery holds.
const READ_BYTES: usize = 64 << 10;

/// How long to wait after the kernel refused to accept (no file descriptors left), so as not to spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Lets senders of one source in.
pub(super) struct Acceptor {
    pub(super) source: SourceId,
    pub(super) max_frame_bytes: usize,
    /// Connections held at a time; further ones are closed at once and counted.
    pub(super) max_connections: usize,
    pub(super) idle: Duration,
    pub(super) counters: Arc<Counters>,
    pub(super) out: mpsc::Sender<Delivery>,
}

impl Acceptor {
    /// Accepts until `shutdown` turns true, then waits until what has been read of the connections is handed on.
    /// `serve` receives from a stream. A failing connection ends alone, a failing accept is tried again.
    pub(super) async fn run<S, P: Debug, F: Future<Output = ()> + Send + 'static>(
        self,
        mut poll_accept: impl FnMut(&mut Context<'_>) -> Poll<io::Result<(S, P)>>,
        serve: impl Fn(Connection, S, P, watch::Receiver<bool>) -> F,
        mut shutdown: watch::Receiver<bool>,
    ) {
        let slots = Arc::new(Semaphore::new(self.max_connections));
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = stopped(&mut shutdown) => break,
                () = self.out.closed() => break,
                Some(_) = connections.join_next() => continue,
                accepted = poll_fn(&mut poll_accept) => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(source = %self.source, %error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
                self.counters.add_dropped(DropReason::TooManyConnections, 1);
                tracing::warn!(source = %self.source, ?peer, "connection refused: too many");
                continue;
            };
            let connection = Connection {
                source: self.source.clone(),
                framer: Framer::new(self.max_frame_bytes),
                idle: self.idle,
                counters: Arc::clone(&self.counters),
                out: self.out.clone(),
            };
            let served = serve(connection, stream, peer, shutdown.clone());
            connections.spawn(async move {
                served.await;
                drop(slot);
            });
        }
        while connections.join_next().await.is_some() {}
    }
}

/// What is done with a stream, whatever it runs over.
pub(super) struct Connection {
    pub(super) source: SourceId,
    pub(super) framer: Framer,
    /// A connection that sends nothing for so long is closed. Senders reconnect.
    pub(super) idle: Duration,
    pub(super) counters: Arc<Counters>,
    pub(super) out: mpsc::Sender<Delivery>,
}

impl Connection {
    /// Receives until the sender, the time or the platform ends it.
    pub(super) async fn receive(
        mut self,
        mut stream: impl AsyncRead + Unpin,
        mut shutdown: watch::Receiver<bool>,
    ) {
        let mut buffer = BytesMut::new();
        loop {
            buffer.reserve(READ_BYTES);
            let read = tokio::select! {
                read = tokio::time::timeout(self.idle, stream.read_buf(&mut buffer)) => read,
                () = stopped(&mut shutdown) => break,
            };
            match read {
                Ok(Ok(0) | Err(_)) | Err(_) => break,
                Ok(Ok(_)) => {}
            }
            if !self.deliver(&mut buffer, Vec::new()).await {
                return;
            }
        }
        let last = match self.framer.finish(&mut buffer) {
            Ok(last) => last.into_iter().collect(),
            Err(_) => {
                self.counters.add_dropped(DropReason::Truncated, 1);
                Vec::new()
            }
        };
        self.deliver(&mut buffer, last).await;
    }

    /// Hands on the whole frames in `buffer` after `frames`. `false` when nobody takes them any more.
    async fn deliver(&mut self, buffer: &mut BytesMut, mut frames: Vec<Bytes>) -> bool {
        while let Some(framed) = self.framer.next(buffer) {
            match framed {
                Framed::Frame(frame) => frames.push(frame),
                Framed::TooLong => self.counters.add_dropped(DropReason::TooLong, 1),
            }
        }
        if frames.is_empty() {
            return true;
        }
        self.counters.add_received(frames.len() as u64, frames.iter().map(Bytes::len).sum::<usize>() as u64);
        let delivery = Delivery { source: self.source.clone(), frames, file: None };
        self.out.send(delivery).await.is_ok()
    }
}

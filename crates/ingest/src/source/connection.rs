//! One connection of a sender: bytes in, frames out, until it ends.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::{mpsc, watch};
use wanglou_model::SourceId;

use super::{Counters, Delivery, DropReason, Framed, Framer, stopped};

/// Bytes read at once, and so about what one delivery holds.
const READ_BYTES: usize = 64 << 10;

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

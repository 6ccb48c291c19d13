//! The way in: every batch is made durable, then queued for inspection.
//!
//! The queue is bounded by bytes. Senders that can wait (TCP, files) wait; HTTP is told to come back later.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, mpsc};
use wanglou_lake::{Appended, Batch, Lake, LakeError, LogPosition};
use wanglou_model::Timestamp;

use super::decode::{Decoded, line_count};
use super::ledger::Ledger;
use crate::state::State;

/// Bytes of batches that may wait for inspection. Decoded they take several times as much.
const MAX_QUEUED_BYTES: usize = 64 * 1024 * 1024;
/// The queue is accounted in pieces of this size, because a semaphore counts in 32 bits.
const PIECE_BYTES: usize = 1024;
/// What a frame costs beside its bytes.
const FRAME_OVERHEAD_BYTES: usize = 64;

/// A batch that is in the log.
#[derive(Debug)]
pub(crate) struct Logged {
    pub position: LogPosition,
    pub batch: Batch,
    /// What is in it, if that is known already.
    pub decoded: Option<Decoded>,
    /// Its lines are in the ledger as settled: it was applied before a crash and only has to reach the lake.
    pub is_settled: bool,
    /// Given back when the batch is settled.
    pub room: OwnedSemaphorePermit,
}

/// What the pipeline is told.
#[derive(Debug)]
pub(crate) enum Queued {
    /// A batch of before the start; they come in the log's order.
    Replayed(Logged),
    /// A new batch; these may overtake each other.
    New(Logged),
    /// No more batches of before the start come.
    ReplayOver,
    /// This is the time: what was enqueued before came before.
    Clock(Timestamp),
}

/// The batch was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IntakeError {
    /// The pipeline is behind: come back later.
    #[error("the pipeline is full")]
    Full,
    /// The platform is stopping.
    #[error("the platform is stopping")]
    Stopping,
    /// The log failed.
    #[error("the log failed")]
    Log(#[from] LakeError),
}

/// Takes batches in.
#[derive(Clone)]
pub(crate) struct Intake {
    lake: Arc<Lake>,
    state: State,
    ledger: Arc<Ledger>,
    room: Arc<Semaphore>,
    /// Of its own: new batches wait for those of before the start and must not take the room that these need.
    replay_room: Arc<Semaphore>,
    /// Taken away at the end, so that the pipeline sees the end of its queue.
    queue: Arc<Mutex<Option<mpsc::UnboundedSender<Queued>>>>,
}

impl Intake {
    /// The way in and the queue behind it.
    pub(crate) fn new(
        lake: Arc<Lake>,
        state: State,
        ledger: Arc<Ledger>,
    ) -> (Self, mpsc::UnboundedReceiver<Queued>) {
        let (queue, receiver) = mpsc::unbounded_channel();
        let room = || Arc::new(Semaphore::new(MAX_QUEUED_BYTES / PIECE_BYTES));
        let queue = Arc::new(Mutex::new(Some(queue)));
        (Self { lake, state, ledger, room: room(), replay_room: room(), queue }, receiver)
    }

    /// Takes a decoded batch if there is room for it now. Durable when it returns.
    pub(crate) async fn offer(&self, batch: Batch, decoded: Decoded) -> Result<Appended, IntakeError> {
        let room =
            Arc::clone(&self.room).try_acquire_many_owned(pieces(&batch)).map_err(|error| match error {
                TryAcquireError::NoPermits => IntakeError::Full,
                TryAcquireError::Closed => IntakeError::Stopping,
            })?;
        self.log(batch, Some(decoded), room).await
    }

    /// Takes a batch, waiting until there is room. Durable when it returns.
    pub(crate) async fn take(&self, batch: Batch) -> Result<Appended, IntakeError> {
        let room = Arc::clone(&self.room).acquire_many_owned(pieces(&batch)).await;
        self.log(batch, None, room.map_err(|_closed| IntakeError::Stopping)?).await
    }

    /// Queues a batch that was in the log before the start. Its lines are counted unless they were settled before.
    pub(crate) async fn replay(&self, position: LogPosition, batch: Batch, is_settled: bool) {
        let room = Arc::clone(&self.replay_room).acquire_many_owned(pieces(&batch)).await;
        let Ok(room) = room else { return };
        if !is_settled {
            self.ledger.logged(&batch.source, line_count(&batch.frames), batch.arrival);
        }
        self.enqueue(Queued::Replayed(Logged { position, batch, decoded: None, is_settled, room }));
    }

    /// All batches that were in the log before the start are queued.
    pub(crate) fn replay_over(&self) {
        self.enqueue(Queued::ReplayOver);
    }

    /// Tells the pipeline the time.
    pub(crate) fn tell_time(&self, now: Timestamp) {
        self.enqueue(Queued::Clock(now));
    }

    /// Takes nothing more in. What is queued is still worked off.
    pub(crate) fn close(&self) {
        self.room.close();
        self.replay_room.close();
        self.queue.lock().take();
    }

    fn enqueue(&self, queued: Queued) {
        if let Some(queue) = &*self.queue.lock() {
            // When there is no pipeline any more, we stop: the log keeps the batch for the next start.
            _ = queue.send(queued);
        }
    }

    async fn log(
        &self,
        batch: Batch,
        decoded: Option<Decoded>,
        room: OwnedSemaphorePermit,
    ) -> Result<Appended, IntakeError> {
        let intake = self.clone();
        // A task of its own: a client that hangs up must not take a logged batch out of the queue.
        let task = tokio::spawn(async move {
            let appended = intake.lake.append(batch.clone()).await?;
            let lines = line_count(&batch.frames);
            match appended {
                Appended::At(position) => {
                    intake.ledger.logged(&batch.source, lines, batch.arrival);
                    let logged = Logged { position, batch, decoded, is_settled: false, room };
                    intake.enqueue(Queued::New(logged));
                }
                Appended::AlreadyHad(_) => {
                    intake.ledger.repeated(&batch.source, lines);
                    if let Err(error) = intake.state.count_duplicates(&batch.source, lines).await {
                        tracing::warn!(%error, "counting a repeated batch failed");
                    }
                }
            }
            Ok(appended)
        });
        task.await.unwrap_or(Err(IntakeError::Stopping))
    }
}

fn pieces(batch: &Batch) -> u32 {
    let bytes = batch.frame_bytes() + batch.frames.len() * FRAME_OVERHEAD_BYTES;
    u32::try_from((bytes / PIECE_BYTES + 1).min(MAX_QUEUED_BYTES / PIECE_BYTES)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use wanglou_lake::{LakeConfig, Origin};
    use wanglou_model::SourceId;

    #[tokio::test]
    async fn a_full_queue_refuses_and_room_given_back_is_used_again() {
        let dir = tempfile::tempdir().unwrap();
        let lake = Arc::new(Lake::open(LakeConfig::at(dir.path().join("lake"))).await.unwrap());
        let state = State::open(&dir.path().join("state.sqlite")).await.unwrap();
        let ledger = Arc::new(Ledger::default());
        let (intake, mut queue) = Intake::new(lake, state, Arc::clone(&ledger));
        let source = SourceId::new("web");
        let batch = || Batch {
            source: source.clone(),
            arrival: Timestamp::from_secs(1),
            origin: Origin::Arrival,
            frames: vec![Bytes::from(vec![b'x'; MAX_QUEUED_BYTES / 4])],
        };
        for _ in 0..3 {
            intake.offer(batch(), Decoded::default()).await.unwrap();
        }
        let refused = intake.offer(batch(), Decoded::default()).await;
        assert!(matches!(refused, Err(IntakeError::Full)), "frames cost more than their bytes");
        drop(queue.recv().await.unwrap());
        intake.offer(batch(), Decoded::default()).await.unwrap();
        assert_eq!(ledger.sums(&source).in_flight, 4);
        intake.close();
        assert!(matches!(intake.offer(batch(), Decoded::default()).await, Err(IntakeError::Stopping)));
    }
}

//! The way in: every batch is made durable, then queued for inspection.
//!
//! The queue is bounded by bytes and shared fairly ([`Room`]). Senders that can wait (TCP, files) wait; HTTP is told to
//! come back later. When the disk is nearly full nothing is taken, so that what has been taken can still be stored; it
//! goes on by itself when there is room again.

use std::io::ErrorKind;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::mpsc;
use wanglou_ingest::Accounted;
use wanglou_lake::{Appended, Batch, Lake, LakeError, LogPosition, WalError};
use wanglou_model::Timestamp;

use super::decode::line_count;
use super::ledger::Ledger;
use super::room::{NoPlace, Place, Room};
use crate::state::State;

/// What a frame costs beside its bytes.
const FRAME_OVERHEAD_BYTES: usize = 64;

/// A batch that is in the log.
#[derive(Debug)]
pub(crate) struct Logged {
    pub position: LogPosition,
    pub batch: Batch,
    /// What is in it, if that is known already.
    pub decoded: Option<Accounted>,
    /// Its lines are in the ledger as settled: it was applied before a crash and only has to reach the lake.
    pub is_settled: bool,
    /// Given back when the batch is settled.
    pub place: Place,
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
    /// The disk is nearly full, or refused a write: come back when somebody has made room.
    #[error("the disk is full")]
    DiskFull,
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
    room: Arc<Room>,
    /// Of its own: new batches wait for those of before the start and must not take the room that these need.
    replay_room: Arc<Room>,
    /// Taken away at the end, so that the pipeline sees the end of its queue.
    queue: Arc<Mutex<Option<mpsc::UnboundedSender<Queued>>>>,
}

impl Intake {
    /// The way in and the queue behind it.
    pub(crate) fn new(
        lake: Arc<Lake>,
        state: State,
        ledger: Arc<Ledger>,
        room: Arc<Room>,
        replay_room: Arc<Room>,
    ) -> (Self, mpsc::UnboundedReceiver<Queued>) {
        let (queue, receiver) = mpsc::unbounded_channel();
        let queue = Arc::new(Mutex::new(Some(queue)));
        (Self { lake, state, ledger, room, replay_room, queue }, receiver)
    }

    /// Takes a decoded batch if there is room for it now. Durable when it returns.
    pub(crate) async fn offer(&self, batch: Batch, decoded: Accounted) -> Result<Appended, IntakeError> {
        let place = self.room.try_enter(&batch.source, size(&batch)).map_err(|error| match error {
            NoPlace::Full => IntakeError::Full,
            NoPlace::Shut => IntakeError::DiskFull,
            NoPlace::Closed => IntakeError::Stopping,
        })?;
        self.log(batch, Some(decoded), place).await
    }

    /// Takes a batch, waiting until there is room. Durable when it returns.
    pub(crate) async fn take(&self, batch: Batch) -> Result<Appended, IntakeError> {
        let place = self.room.enter(&batch.source, size(&batch)).await.ok_or(IntakeError::Stopping)?;
        self.log(batch, None, place).await
    }

    /// Queues a batch that was in the log before the start. Its lines are counted unless they were settled before.
    pub(crate) async fn replay(&self, position: LogPosition, batch: Batch, is_settled: bool) {
        let Some(place) = self.replay_room.enter(&batch.source, size(&batch)).await else { return };
        if !is_settled {
            self.ledger.logged(&batch.source, line_count(&batch.frames), batch.arrival);
        }
        self.enqueue(Queued::Replayed(Logged { position, batch, decoded: None, is_settled, place }));
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
        decoded: Option<Accounted>,
        place: Place,
    ) -> Result<Appended, IntakeError> {
        let intake = self.clone();
        // A task of its own: a client that hangs up must not take a logged batch out of the queue.
        let task = tokio::spawn(async move {
            let appended = intake.lake.append(batch.clone()).await.map_err(log_failure)?;
            let lines = line_count(&batch.frames);
            match appended {
                Appended::At(position) => {
                    intake.ledger.logged(&batch.source, lines, batch.arrival);
                    let logged = Logged { position, batch, decoded, is_settled: false, place };
                    intake.enqueue(Queued::New(logged));
                }
                Appended::AlreadyHad(_) => {
                    intake.ledger.repeated(&batch.source, lines, batch.arrival);
                    let counted = intake.state.count_duplicates(&batch.source, lines, batch.arrival);
                    if let Err(error) = counted.await {
                        tracing::warn!(%error, "counting a repeated batch failed");
                    }
                }
            }
            Ok(appended)
        });
        task.await.unwrap_or(Err(IntakeError::Stopping))
    }
}

/// What a batch takes of the queue.
fn size(batch: &Batch) -> usize {
    batch.frame_bytes() + batch.frames.len() * FRAME_OVERHEAD_BYTES
}

/// A write that did not fit on the disk is no fault of ours: the sender keeps the batch.
fn log_failure(error: LakeError) -> IntakeError {
    match &error {
        LakeError::Log(WalError::Write { source, .. })
            if matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) =>
        {
            IntakeError::DiskFull
        }
        _ => IntakeError::Log(error),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use bytes::Bytes;
    use wanglou_lake::{LakeConfig, Origin};
    use wanglou_model::SourceId;

    const QUEUE_BYTES: usize = 1 << 20;

    #[tokio::test]
    async fn a_full_queue_refuses_and_room_given_back_is_used_again() {
        let dir = tempfile::tempdir().unwrap();
        let lake = Arc::new(Lake::open(LakeConfig::at(dir.path().join("lake"))).await.unwrap());
        let state = State::open(&dir.path().join("state.sqlite")).await.unwrap();
        let ledger = Arc::new(Ledger::default());
        let room = Room::new(QUEUE_BYTES, HashSet::new());
        let replay_room = Room::new(QUEUE_BYTES, HashSet::new());
        let (intake, mut queue) =
            Intake::new(lake, state, Arc::clone(&ledger), Arc::clone(&room), replay_room);
        let source = SourceId::new("web");
        let batch = || Batch {
            source: source.clone(),
            arrival: Timestamp::from_secs(1),
            origin: Origin::Arrival,
            frames: vec![Bytes::from(vec![b'x'; QUEUE_BYTES / 10])],
        };
        for _ in 0..2 {
            intake.offer(batch(), Accounted::default()).await.unwrap();
        }
        let refused = intake.offer(batch(), Accounted::default()).await;
        assert!(matches!(refused, Err(IntakeError::Full)), "a source alone gets a quarter");
        drop(queue.recv().await.unwrap());
        intake.offer(batch(), Accounted::default()).await.unwrap();
        assert_eq!(ledger.sums(&source).in_flight, 3);
        room.shut(true);
        assert!(matches!(intake.offer(batch(), Accounted::default()).await, Err(IntakeError::DiskFull)));
        intake.close();
        assert!(matches!(intake.offer(batch(), Accounted::default()).await, Err(IntakeError::Stopping)));
    }
}

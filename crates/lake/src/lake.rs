//! The lake as the other rooms see it: append, store, search.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use datafusion::error::DataFusionError;
use futures::Stream;
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinHandle;
use wanglou_model::{EventUid, SourceId, Timestamp};

use crate::fresh::{Admission, Fresh};
use crate::parquet::EncodedFile;
use crate::provider::FileList;
use crate::rows::day_of;
use crate::search::Searcher;
use crate::table::{DataFile, EventTable};
use crate::upkeep::merge::{Pace, merge};
use crate::upkeep::retention::{Held, Judge, Retention, Retired};
use crate::wal::{Bounds, Wal, WalOptions};
use crate::{
    Appended, Batch, Bucket, Buckets, Hit, LakeConfig, LakeError, LogPosition, Page, Query, StoredEvent,
    WalError, parquet, upkeep,
};

/// How long to wait before a failed commit is tried again, at first and at most.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Files that go, and files that are written in their place, in one commit at most.
const RETIRED_AT_ONCE: (usize, usize) = (1000, 4);

/// The event store of one process.
///
/// The life of a batch: [`Lake::append`] makes it durable; whoever decodes it hands its events to [`Lake::store`],
/// from when on they are found; in the background, complete log segments become files of the table. After a crash,
/// [`Lake::replay`] gives the batches that are durable but not in the table, to be decoded and stored again.
pub struct Lake {
    inner: Arc<Inner>,
    committer: JoinHandle<()>,
    merger: JoinHandle<()>,
}

struct Inner {
    wal: Arc<Wal>,
    fresh: Arc<Fresh>,
    table: Mutex<EventTable>,
    searcher: Searcher,
    /// The last log segment that was deleted when the lake was opened.
    retired_at_open: u64,
    /// Segments up to this one may be deleted when they are in the table.
    released: AtomicU64,
    /// The last log segment that is in the table.
    committed: AtomicU64,
    /// The last that was deleted. Held while segments are deleted.
    retired: Mutex<u64>,
    closing: AtomicBool,
    failed_commits: AtomicU64,
    table_version: AtomicU64,
    last_failure: parking_lot::Mutex<Option<String>>,
    /// A partition with so many small files is merged.
    merge_files: usize,
    pace: Pace,
    /// Told when files came to the table.
    grown: Notify,
    /// Held by the one upkeep at a time.
    merging: Mutex<()>,
    /// Held as long as the lake is open.
    _lock: File,
}

/// The lake in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LakeStats {
    /// Bytes of the log on disk.
    pub log_bytes: u64,
    /// Log segments that are not in the table yet.
    pub log_segments: u64,
    /// Batches that are durable and whose events have not been stored.
    pub batches_waiting: u64,
    /// Events that are searchable and not in the table yet.
    pub fresh_events: u64,
    /// What these take in memory, estimated.
    pub fresh_bytes: u64,
    /// Files of the table.
    pub table_files: u64,
    /// Bytes of these files.
    pub table_bytes: u64,
    /// Events in them.
    pub table_events: u64,
    /// Version of the Delta table.
    pub table_version: u64,
    /// Keys of batches that are remembered.
    pub keys_remembered: u64,
    /// Keys that were forgotten before [`KEY_MEMORY`](crate::KEY_MEMORY) was over because there were too many.
    pub keys_forgotten_early: u64,
    /// Attempts to bring a segment into the table that failed; they are repeated.
    pub failed_commits: u64,
    /// Why the last of them failed, unless one has succeeded since.
    pub last_failure: Option<String>,
    /// Losses of the log that were set aside when it was opened.
    pub damage: Vec<String>,
}

impl Lake {
    /// Opens the lake, making it if it is not there, and begins to bring complete segments into the table.
    ///
    /// # Errors
    /// When another process has it open, when its log is damaged, or when a file cannot be read or made.
    pub async fn open(config: LakeConfig) -> Result<Self, LakeError> {
        let lock = lock(&config.dir)?;
        let spill = fresh_spill_dir(&config.dir)?;
        let table = EventTable::open(&config.dir.join("events")).await?;
        let committed = table.committed();
        let files = FileList::new(table.dir(), table.files());
        let fresh = Arc::new(Fresh::new(config.fresh_bytes, committed, files));
        let retired = committed.min(config.released);
        let wal = {
            let (dir, options, fresh) = (config.dir.join("wal"), wal_options(&config), Arc::clone(&fresh));
            let bounds = Bounds { committed, retired };
            blocking(move || Wal::open(&dir, options, bounds, fresh)).await??
        };
        fresh.begin_turns();
        let inner = Arc::new(Inner {
            wal: Arc::new(wal),
            fresh,
            table_version: AtomicU64::new(table.version()),
            table: Mutex::new(table),
            searcher: Searcher::new(&config, &spill)?,
            retired_at_open: retired,
            released: AtomicU64::new(config.released),
            committed: AtomicU64::new(committed),
            retired: Mutex::new(retired),
            closing: AtomicBool::new(false),
            failed_commits: AtomicU64::new(0),
            last_failure: parking_lot::Mutex::new(None),
            merge_files: config.merge_files,
            pace: Pace::of(config.upkeep_share),
            grown: Notify::new(),
            merging: Mutex::new(()),
            _lock: lock,
        });
        let committer = tokio::spawn(Arc::clone(&inner).keep_committing());
        let merger = tokio::spawn(Arc::clone(&inner).keep_merging());
        Ok(Self { inner, committer, merger })
    }

    /// Makes a batch durable. When this returns it survives a crash and a power failure, as far as the disk keeps
    /// its word.
    ///
    /// # Errors
    /// When it could not be written: then none of it is in the log, and the sender should send it again.
    pub async fn append(&self, batch: Batch) -> Result<Appended, LakeError> {
        if self.inner.closing.load(Ordering::Acquire) {
            return Err(LakeError::Closing);
        }
        Ok(self.inner.wal.append(&batch).await?)
    }

    /// The batches that were durable when the lake was opened and not in the table, or not released, in order. They
    /// are read from disk as the iterator goes on. Each must be decoded and stored, even when it holds no event;
    /// those that are in the table stay as they are.
    pub fn replay(&self) -> impl Iterator<Item = Result<(LogPosition, Batch), WalError>> + Send + 'static {
        self.inner.wal.replay(self.inner.retired_at_open)
    }

    /// Whether no batch that was appended in this process before the one at `position` waits for its turn; it is
    /// taken by asking. Whoever must see batches in the order of the log asks, for answers to [`Lake::append`]
    /// overtake each other.
    #[must_use]
    pub fn take_turn(&self, position: LogPosition) -> bool {
        self.inner.fresh.take_turn(position)
    }

    /// Whether the batch at `position` is in the table.
    #[must_use]
    pub fn is_committed(&self, position: LogPosition) -> bool {
        position.segment <= self.inner.committed.load(Ordering::Acquire)
    }

    /// The segments up to `segment` need not be given by [`Lake::replay`] again once they are in the table.
    ///
    /// # Errors
    /// When a segment could not be deleted; it is tried again with the next.
    pub async fn release(&self, segment: u64) -> Result<(), LakeError> {
        self.inner.released.fetch_max(segment, Ordering::AcqRel);
        self.inner.retire().await
    }

    /// The first segment that a restart would replay.
    pub async fn first_kept(&self) -> u64 {
        *self.inner.retired.lock().await + 1
    }

    /// Takes the events of the batch at `position`, decoded. They are found by searches from when this returns. A
    /// batch that is stored already is left as it is. Waits while too many events are on their way to the table.
    ///
    /// # Errors
    /// When the log does not have the batch.
    pub async fn store(&self, position: LogPosition, events: Vec<StoredEvent>) -> Result<(), LakeError> {
        loop {
            match self.inner.fresh.admit(position) {
                Admission::Admitted => break,
                Admission::Done => return Ok(()),
                Admission::Unknown => return Err(LakeError::UnknownPosition(position)),
                Admission::Wait(room) => room.await,
            }
        }
        self.inner.fresh.store(position, events).map_err(|error| LakeError::Encode(error.into()))?;
        if self.inner.fresh.needs_seal() {
            self.inner.wal.seal().await?;
        }
        Ok(())
    }

    /// The offset after the last line of a file that is durable: where to read on.
    #[must_use]
    pub fn checkpoint(&self, source: &SourceId, identity: &str) -> Option<u64> {
        self.inner.wal.checkpoint(source, identity)
    }

    /// One page of the events that match a query. Going from cursor to cursor gives every event that was there at
    /// the beginning, once, whatever arrives meanwhile.
    ///
    /// # Errors
    /// When the query makes no sense, takes too long or needs too much memory.
    pub async fn search(&self, query: &Query) -> Result<Page, LakeError> {
        self.inner.searcher.page(&self.view()?, query).await
    }

    /// How the events that match are spread over the query's time range; parts without events included.
    ///
    /// # Errors
    /// As [`Lake::search`].
    pub async fn histogram(&self, query: &Query, buckets: Buckets) -> Result<Vec<Bucket>, LakeError> {
        self.inner.searcher.histogram(&self.view()?, query, buckets).await
    }

    /// The `n` most frequent values of a field among the events that match, most frequent first. An event with
    /// several values counts by its first, one without any not at all.
    ///
    /// # Errors
    /// As [`Lake::search`].
    pub async fn top(&self, query: &Query, field: &str, n: usize) -> Result<Vec<(String, u64)>, LakeError> {
        self.inner.searcher.top(&self.view()?, query, field, n).await
    }

    /// The event with this id, if it is there. It is looked for at `time` first, to the millisecond: then only the files of
    /// that time are opened.
    ///
    /// # Errors
    /// As [`Lake::search`].
    pub async fn event(&self, uid: EventUid, time: Option<Timestamp>) -> Result<Option<Hit>, LakeError> {
        self.inner.searcher.event(&self.view()?, uid, time).await
    }

    /// All events that match, in the order of the query and without its limit, as they are read.
    ///
    /// # Errors
    /// As [`Lake::search`]; the stream ends after an error.
    pub async fn stream(
        &self,
        query: &Query,
    ) -> Result<impl Stream<Item = Result<Vec<Hit>, LakeError>> + Send + use<>, LakeError> {
        self.inner.searcher.stream(&self.view()?, query).await
    }

    /// Brings all events whose batches and those before them are stored into the table.
    ///
    /// # Errors
    /// When a file or the commit could not be written. Nothing is lost: it is tried again later.
    pub async fn flush(&self) -> Result<(), LakeError> {
        self.inner.wal.seal().await?;
        self.inner.commit_complete().await
    }

    /// Takes no more batches and flushes. Batches that are not stored by now are given by [`Lake::replay`] next time.
    ///
    /// # Errors
    /// As [`Lake::flush`].
    pub async fn close(&self) -> Result<(), LakeError> {
        self.inner.closing.store(true, Ordering::Release);
        self.committer.abort();
        self.merger.abort();
        self.flush().await
    }

    /// Merges small files where there are many, and deletes files that nobody needs any more. This goes on by itself
    /// while the lake is open.
    ///
    /// # Errors
    /// When a file or the commit could not be written: then the table is as it was.
    pub async fn compact(&self) -> Result<(), LakeError> {
        self.inner.merge_crowds(Pace::of(1.0)).await
    }

    /// Takes away the events that have been kept for as long as `retention` says, counted in whole days of arrival
    /// before `now`; those that are `held` stay. The files go from the disk when no search can need them any more.
    ///
    /// # Errors
    /// When a file cannot be read or the commit not be written: what was not committed is as it was.
    pub async fn retire(
        &self,
        retention: &Retention,
        now: Timestamp,
        held: &[Held],
    ) -> Result<Retired, LakeError> {
        self.inner.retire_events(retention, now, held).await
    }

    /// Whether [`Lake::retire`] would have something to look at.
    #[must_use]
    pub fn is_anything_past(&self, retention: &Retention, now: Timestamp) -> bool {
        let today = day_of(now);
        self.inner.fresh.files().iter().any(|file| retention.is_past_for_some(file.arrival_day, today))
    }

    /// The lake in numbers, now.
    #[must_use]
    pub fn stats(&self) -> LakeStats {
        let inner = &self.inner;
        let (fresh, files) = (inner.fresh.stats(), inner.fresh.files());
        let (keys_remembered, keys_forgotten_early) = inner.wal.key_counts();
        LakeStats {
            log_bytes: inner.wal.bytes(),
            log_segments: fresh.segments as u64,
            batches_waiting: fresh.batches_waiting as u64,
            fresh_events: fresh.events,
            fresh_bytes: fresh.bytes as u64,
            table_files: files.iter().count() as u64,
            table_bytes: files.iter().map(|file| file.bytes).sum(),
            table_events: files.iter().filter_map(|file| file.stats).map(|stats| stats.rows).sum(),
            table_version: inner.table_version.load(Ordering::Relaxed),
            keys_remembered: keys_remembered as u64,
            keys_forgotten_early,
            failed_commits: inner.failed_commits.load(Ordering::Relaxed),
            last_failure: inner.last_failure.lock().clone(),
            damage: inner.wal.damage().iter().map(ToString::to_string).collect(),
        }
    }

    fn view(&self) -> Result<crate::fresh::View, LakeError> {
        self.inner.fresh.view().map_err(|error| DataFusionError::from(error).into())
    }
}

impl Drop for Lake {
    fn drop(&mut self) {
        self.committer.abort();
        self.merger.abort();
    }
}

impl Inner {
    /// Brings segments into the table as they become complete, for ever.
    async fn keep_committing(self: Arc<Self>) {
        let mut pause = RETRY.0;
        loop {
            match self.commit_complete().await {
                Ok(()) => {
                    pause = RETRY.0;
                    self.fresh.changed().await;
                }
                Err(error) => {
                    tracing::error!(%error, retry_after = ?pause, "events stay in the log for now");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(RETRY.1);
                }
            }
        }
    }

    /// Brings all complete segments into the table, in order.
    async fn commit_complete(&self) -> Result<(), LakeError> {
        let result = self.try_commit_complete().await;
        let failure = result.as_ref().err().map(full_text);
        self.failed_commits.fetch_add(u64::from(failure.is_some()), Ordering::Relaxed);
        *self.last_failure.lock() = failure;
        result
    }

    /// Merges small files as commits make them, for ever.
    async fn keep_merging(self: Arc<Self>) {
        loop {
            self.grown.notified().await;
            if let Err(error) = self.merge_crowds(self.pace).await {
                tracing::error!(error = full_text(&error), "small files stay as they are for now");
            }
        }
    }

    /// One thread, one merge at a time, of what fits in memory: neither intake nor searches wait for it. The table is
    /// locked only for the commit; no one else takes files away meanwhile.
    async fn merge_crowds(&self, pace: Pace) -> Result<(), LakeError> {
        let _one = self.merging.lock().await;
        loop {
            let (dir, files) = {
                let table = self.table.lock().await;
                (table.dir().to_owned(), table.files())
            };
            let Some(crowd) = upkeep::crowd(&files, self.merge_files) else {
                let deleted = blocking(move || upkeep::vacuum(&dir, &files, SystemTime::now())).await?;
                if let Err(error) = deleted {
                    tracing::warn!(%error, "files that nobody needs stay on disk for now");
                }
                return Ok(());
            };
            let (merged, crowd) = blocking(move || (merge(&dir, &crowd, pace), crowd)).await?;
            let mut table = self.table.lock().await;
            table.replace(&crowd, merged.map_err(LakeError::Encode)?).await?;
            self.list_anew(&table);
        }
    }

    async fn retire_events(
        &self,
        retention: &Retention,
        now: Timestamp,
        held: &[Held],
    ) -> Result<Retired, LakeError> {
        let _one = self.merging.lock().await;
        let (dir, files) = {
            let table = self.table.lock().await;
            (table.dir().to_owned(), table.files())
        };
        let judge = Arc::new(Judge { retention: retention.clone(), today: day_of(now), held: held.to_vec() });
        let mut retired = Retired::default();
        let (mut old, mut rest) = (Vec::new(), Vec::new());
        for file in judge.suspects(&files) {
            let (judge, dir, pace) = (Arc::clone(&judge), dir.clone(), self.pace);
            let (fate, file) = blocking(move || (pace.paced(|| judge.fate(&dir, &file)), file)).await?;
            let fate = fate.map_err(LakeError::Encode)?;
            retired.held += fate.held;
            retired.events += fate.goes;
            if fate.goes > 0 {
                old.push(file);
                rest.extend(fate.rest);
            }
            if old.len() >= RETIRED_AT_ONCE.0 || rest.len() >= RETIRED_AT_ONCE.1 {
                retired.files += self.commit_retired(&mut old, &mut rest).await?;
            }
        }
        retired.files += self.commit_retired(&mut old, &mut rest).await?;
        Ok(retired)
    }

    async fn commit_retired(
        &self,
        old: &mut Vec<Arc<DataFile>>,
        rest: &mut Vec<EncodedFile>,
    ) -> Result<u64, LakeError> {
        if old.is_empty() {
            return Ok(0);
        }
        let mut table = self.table.lock().await;
        table.retire(old, std::mem::take(rest)).await?;
        self.list_anew(&table);
        let files = old.len() as u64;
        old.clear();
        Ok(files)
    }

    fn list_anew(&self, table: &EventTable) {
        self.table_version.store(table.version(), Ordering::Relaxed);
        self.fresh.replace_files(FileList::new(table.dir(), table.files()));
    }

    async fn try_commit_complete(&self) -> Result<(), LakeError> {
        let mut table = self.table.lock().await;
        let encode = |error| LakeError::Encode(error);
        while let Some((segment, rows)) = self.fresh.next_complete().map_err(|e| encode(e.into()))? {
            let files = blocking(move || parquet::encode(&rows)).await?.map_err(encode)?;
            table.commit(segment, files).await?;
            self.table_version.store(table.version(), Ordering::Relaxed);
            self.fresh.commit(segment, FileList::new(table.dir(), table.files()));
            self.committed.fetch_max(segment, Ordering::AcqRel);
            self.grown.notify_one();
            if let Err(error) = self.retire().await {
                // The events are in the table, so nothing hangs on this: opening the lake deletes the segment.
                tracing::warn!(%error, segment, "a log segment that is no longer needed stays on disk");
            }
        }
        Ok(())
    }

    /// Deletes the segments that are in the table and released, in order.
    async fn retire(&self) -> Result<(), LakeError> {
        let mut retired = self.retired.lock().await;
        let last = self.committed.load(Ordering::Acquire).min(self.released.load(Ordering::Acquire));
        while *retired < last {
            let (wal, segment) = (Arc::clone(&self.wal), *retired + 1);
            blocking(move || wal.retire(segment)).await??;
            *retired = segment;
        }
        Ok(())
    }
}

fn wal_options(config: &LakeConfig) -> WalOptions {
    WalOptions {
        segment_bytes: config.segment_bytes,
        segment_age: config.segment_age,
        group_window: config.group_window,
        compress: config.compress_log,
        on_damage: config.on_damage,
    }
}

/// Makes the lake's directory and takes its lock.
fn lock(dir: &Path) -> Result<File, LakeError> {
    let failed = |source| LakeError::Prepare { path: dir.into(), source };
    std::fs::create_dir_all(dir).map_err(failed)?;
    let file =
        File::options().create(true).truncate(false).write(true).open(dir.join("lock")).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(LakeError::InUse { path: dir.into() }),
        Err(std::fs::TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// The directory for what queries spill, emptied of what a crash left in it.
fn fresh_spill_dir(dir: &Path) -> Result<PathBuf, LakeError> {
    let spill = dir.join("spill");
    let removed = match std::fs::remove_dir_all(&spill) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => std::fs::create_dir_all(&spill),
    };
    removed.map_err(|source| LakeError::Prepare { path: spill.clone(), source })?;
    Ok(spill)
}

/// Runs what takes the processor or the disk for long away from the threads that serve.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, LakeError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| LakeError::Closing)
}

/// An error with its causes.
fn full_text(error: &LakeError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests;

//! Segments on their way from the log to the table: which of their batches are still to be decoded, and the events of
//! the others, held in memory and searchable at once.
//!
//! The one idea: the events of a segment are here until the moment its files are in the list that searches use, and
//! both change under one lock. A search therefore sees every event once, whenever it starts.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::error::ArrowError;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::provider::FileList;
use crate::wal::Observer;
use crate::{LogPosition, StoredEvent, rows};

/// This many events go into a record batch together; fewer wait as they are, for a batch of one row is costly.
const BATCH_ROWS: usize = 2048;
/// What an event takes beside its raw bytes and their copy in attributes, roughly.
const EVENT_OVERHEAD_BYTES: usize = 768;

/// What one search sees.
pub(crate) struct View {
    pub files: FileList,
    /// Events that are not in these files.
    pub fresh: Vec<RecordBatch>,
}

/// How storing a batch may go on.
pub(crate) enum Admission<'a> {
    /// It may be stored.
    Admitted,
    /// It has been stored before, or is in the table.
    Done,
    /// The log does not have it.
    Unknown,
    /// There is no room: ask again after this.
    Wait(Notified<'a>),
}

/// The segments that are not in the table yet.
pub(crate) struct Fresh {
    state: Mutex<State>,
    limit_bytes: usize,
    room: Notify,
    ready: Notify,
}

struct State {
    segments: BTreeMap<u64, Segment>,
    bytes: usize,
    committed: u64,
    files: FileList,
    /// Batches appended in this process whose turn has not come.
    turns: BTreeSet<LogPosition>,
}

#[derive(Default)]
struct Segment {
    /// Each batch by its offset, and whether its events are here.
    batches: HashMap<u64, bool>,
    waiting: usize,
    sealed: bool,
    columns: Vec<RecordBatch>,
    tail: Vec<Arc<StoredEvent>>,
    events: u64,
    bytes: usize,
}

/// How much is here.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FreshStats {
    pub segments: usize,
    pub batches_waiting: usize,
    pub events: u64,
    pub bytes: usize,
}

impl Fresh {
    pub(crate) fn new(limit_bytes: usize, committed: u64, files: FileList) -> Self {
        let state = State { segments: BTreeMap::new(), bytes: 0, committed, files, turns: BTreeSet::new() };
        Self { state: Mutex::new(state), limit_bytes, room: Notify::new(), ready: Notify::new() }
    }

    /// What was appended so far was so before this process: it has no turn.
    pub(crate) fn begin_turns(&self) {
        self.state.lock().turns.clear();
    }

    /// Whether the batch at `at` is the first whose turn has not come; now it has.
    pub(crate) fn take_turn(&self, at: LogPosition) -> bool {
        let turns = &mut self.state.lock().turns;
        turns.first() == Some(&at) && turns.pop_first().is_some()
    }

    /// Whether the batch at `at` may be stored now.
    pub(crate) fn admit(&self, at: LogPosition) -> Admission<'_> {
        // Made before looking, so that room which comes in between is not missed.
        let room = self.room.notified();
        let state = self.state.lock();
        if at.segment <= state.committed {
            return Admission::Done;
        }
        let segment = state.segments.get(&at.segment);
        match segment.and_then(|segment| segment.batches.get(&at.offset)) {
            None => Admission::Unknown,
            Some(true) => Admission::Done,
            // The first segment is always let in: all room comes from completing it.
            Some(false) if state.is_first(at.segment) || state.bytes < self.limit_bytes => {
                Admission::Admitted
            }
            Some(false) => Admission::Wait(room),
        }
    }

    /// Takes the events of the batch at `at`; they can be found from now on.
    pub(crate) fn store(&self, at: LogPosition, events: Vec<StoredEvent>) -> Result<(), ArrowError> {
        let columns = if events.len() >= BATCH_ROWS { Some(rows::encode(&events)?) } else { None };
        let bytes = events.iter().map(estimated_bytes).sum::<usize>();
        let mut state = self.state.lock();
        let Some(segment) = state.segments.get_mut(&at.segment) else { return Ok(()) };
        let Some(stored @ false) = segment.batches.get_mut(&at.offset) else { return Ok(()) };
        *stored = true;
        segment.waiting -= 1;
        segment.events += events.len() as u64;
        segment.bytes += bytes;
        match columns {
            Some(columns) => segment.columns.push(columns),
            None => segment.tail.extend(events.into_iter().map(Arc::new)),
        }
        if segment.tail.len() >= BATCH_ROWS {
            segment.freeze()?;
        }
        state.bytes += bytes;
        drop(state);
        self.ready.notify_one();
        Ok(())
    }

    /// Whether there is no room and none can come before the segment that is being written is sealed.
    pub(crate) fn needs_seal(&self) -> bool {
        let state = self.state.lock();
        state.bytes >= self.limit_bytes && state.segments.values().next().is_some_and(|first| !first.sealed)
    }

    /// The files and the events that are not in them, as of now.
    pub(crate) fn view(&self) -> Result<View, ArrowError> {
        let (files, mut fresh, tail) = {
            let state = self.state.lock();
            let segments = || state.segments.values();
            let columns: Vec<_> = segments().flat_map(|segment| &segment.columns).cloned().collect();
            let tail: Vec<_> = segments().flat_map(|segment| &segment.tail).cloned().collect();
            (state.files.clone(), columns, tail)
        };
        if !tail.is_empty() {
            fresh.push(rows::encode(tail.iter().map(AsRef::as_ref))?);
        }
        Ok(View { files, fresh })
    }

    /// The next segment for the table, when it is complete, and its events. They stay here until
    /// [`Fresh::commit`].
    pub(crate) fn next_complete(&self) -> Result<Option<(u64, Vec<RecordBatch>)>, ArrowError> {
        let mut state = self.state.lock();
        let Some((number, segment)) = state.segments.iter_mut().next() else { return Ok(None) };
        if !segment.sealed || segment.waiting > 0 {
            return Ok(None);
        }
        segment.freeze()?;
        Ok(Some((*number, segment.columns.clone())))
    }

    /// The events of `segment` are in `files` now.
    pub(crate) fn commit(&self, segment: u64, files: FileList) {
        let mut state = self.state.lock();
        state.files = files;
        state.committed = state.committed.max(segment);
        if let Some(gone) = state.segments.remove(&segment) {
            state.bytes -= gone.bytes;
        }
        drop(state);
        self.room.notify_waiters();
    }

    /// The same rows are in `files` now.
    pub(crate) fn replace_files(&self, files: FileList) {
        self.state.lock().files = files;
    }

    /// Returns when a segment may have become complete.
    pub(crate) async fn changed(&self) {
        self.ready.notified().await;
    }

    pub(crate) fn stats(&self) -> FreshStats {
        let state = self.state.lock();
        FreshStats {
            segments: state.segments.len(),
            batches_waiting: state.segments.values().map(|segment| segment.waiting).sum(),
            events: state.segments.values().map(|segment| segment.events).sum(),
            bytes: state.bytes,
        }
    }

    /// The list of files that searches use now.
    pub(crate) fn files(&self) -> FileList {
        self.state.lock().files.clone()
    }
}

impl Observer for Fresh {
    fn appended(&self, at: LogPosition) {
        let mut state = self.state.lock();
        state.turns.insert(at);
        if at.segment > state.committed {
            let segment = state.segments.entry(at.segment).or_default();
            segment.batches.insert(at.offset, false);
            segment.waiting += 1;
        }
    }

    fn sealed(&self, segment: u64) {
        let mut state = self.state.lock();
        if segment > state.committed {
            state.segments.entry(segment).or_default().sealed = true;
        }
        drop(state);
        self.ready.notify_one();
    }
}

impl State {
    fn is_first(&self, segment: u64) -> bool {
        self.segments.keys().next() == Some(&segment)
    }
}

impl Segment {
    /// Turns the tail into columns.
    fn freeze(&mut self) -> Result<(), ArrowError> {
        if !self.tail.is_empty() {
            self.columns.push(rows::encode(self.tail.iter().map(AsRef::as_ref))?);
            self.tail.clear();
        }
        Ok(())
    }
}

fn estimated_bytes(stored: &StoredEvent) -> usize {
    stored.raw.len() * 2 + EVENT_OVERHEAD_BYTES
}

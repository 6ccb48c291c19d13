//! The windows of correlation rules in the running platform: every batch of the log is counted once, in the log's
//! order, over restarts too.
//!
//! The state is saved to one file now and then ([`super::snapshot`]), with the position up to which it has counted the
//! log. The log keeps what comes after that position; at start it is read again and counted on top of the file. What
//! is found in it again belongs to batches that SQL knows as applied, and changes nothing. So a restart at any instant
//! ends in the state that no restart would have had.
//!
//! The correlator's clock is the arrival of batches. When none come, the machine's clock takes over: an idle mark says
//! that nothing came until then, and hits that waited for older ones are counted. A mark is kept in SQL together with
//! what it found, and is repeated where it stood when the log is read again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wanglou_detect::{Correlator, Engine, Limits, RuleIndex};
use wanglou_lake::LogPosition;
use wanglou_model::{Event, Finding, Place, Record, Timestamp};

use super::correlation::Counted;

/// Nothing in the log comes before this.
pub(crate) const BEGINNING: LogPosition = LogPosition { segment: 0, offset: 0 };

/// The state is saved when the log begins a segment, but not sooner than this after the last time …
const SAVE_EVERY: Duration = Duration::from_secs(15);
/// … nor before so many times what saving cost: large states take no more than a twentieth of the processor.
const SAVE_COST: u32 = 20;
/// A batch may be on its way into the log so long after its arrival was noted.
const ON_ITS_WAY_NANOS: i64 = 2 * 1_000_000_000;

/// Nothing came until `clock` after the batch at `after`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub after: LogPosition,
    pub clock: Timestamp,
}

/// Bytes to be saved, once everything up to `covers` is in SQL.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// The last batch that is counted in it.
    pub covers: LogPosition,
    /// The last segment of the log that is not needed when this is saved.
    pub releases: u64,
    pub bytes: Vec<u8>,
}

/// The windows, and how far the log is counted into them.
pub(crate) struct Windows {
    correlator: Correlator,
    limits: Limits,
    /// The last batch that is counted.
    counted: LogPosition,
    /// Marks of before the restart that have not been repeated.
    marks: VecDeque<Mark>,
    saved: LogPosition,
    saved_at: Instant,
    cost: Duration,
    /// The correlator is at work: if we come across this, it failed there.
    is_counting: bool,
    /// How often the state was thrown away because the correlator failed.
    resets: u64,
}

impl Windows {
    /// Goes on from `correlator`, which has counted the log up to `counted`.
    pub(crate) fn new(
        correlator: Correlator,
        limits: Limits,
        counted: LogPosition,
        mut marks: Vec<Mark>,
    ) -> Self {
        marks.sort_by_key(|mark| (mark.after, mark.clock));
        Self {
            correlator,
            limits,
            counted,
            marks: marks.into(),
            saved: counted,
            saved_at: Instant::now(),
            cost: Duration::ZERO,
            is_counting: false,
            resets: 0,
        }
    }

    /// How it stands, in numbers.
    pub(crate) fn numbers(&self) -> Counted {
        Counted { stats: self.correlator.stats(), resets: self.resets }
    }

    /// Takes other rules: windows of correlations that did not change go on.
    pub(crate) fn adopt(&mut self, engine: Arc<Engine>) {
        self.correlator = self.correlator.adopt(engine);
    }

    /// Begins a batch; false when it is counted already. What the time until its arrival completes goes to `out`.
    pub(crate) fn begin(
        &mut self,
        position: LogPosition,
        arrival: Timestamp,
        out: &mut Vec<Finding>,
    ) -> bool {
        if position <= self.counted {
            return false;
        }
        self.repeat_marks(Some(position));
        self.is_counting = true;
        self.correlator.advance(arrival, out);
        self.is_counting = false;
        true
    }

    /// Counts an event of a batch that was begun.
    pub(crate) fn count(
        &mut self,
        hits: &[RuleIndex],
        record: &Record,
        event: &Event,
        place: &Place,
        out: &mut Vec<Finding>,
    ) {
        self.is_counting = true;
        self.correlator.observe(hits, record, event, Some(place), out);
        self.is_counting = false;
    }

    /// Ends a batch.
    pub(crate) fn end(&mut self, position: LogPosition) {
        self.counted = self.counted.max(position);
    }

    /// The inspection failed. If it was the correlator that did, its state cannot be trusted.
    pub(crate) fn recover(&mut self, engine: &Arc<Engine>) {
        if std::mem::take(&mut self.is_counting) {
            tracing::error!("correlation failed: the windows of all correlation rules begin anew");
            self.correlator = Correlator::with_limits(Arc::clone(engine), self.limits);
            self.resets += 1;
        }
    }

    /// The log of before the restart has been read: what comes now is new.
    pub(crate) fn replayed(&mut self) {
        self.repeat_marks(None);
    }

    /// Nothing has come until `now`. Counts what has waited long enough, if anything has.
    pub(crate) fn idle(&mut self, now: Timestamp, out: &mut Vec<Finding>) -> Option<Mark> {
        let clock = now.plus_nanos(-ON_ITS_WAY_NANOS);
        self.correlator.due().filter(|due| *due <= clock)?;
        self.is_counting = true;
        self.correlator.advance(clock, out);
        self.is_counting = false;
        Some(Mark { after: self.counted, clock })
    }

    /// The state, if it should be saved before the batch at `next` is counted.
    pub(crate) fn snapshot_before(&mut self, next: LogPosition) -> Option<Snapshot> {
        let is_due = next.segment > self.counted.segment
            && self.counted > self.saved
            && self.saved_at.elapsed() >= SAVE_EVERY.max(self.cost * SAVE_COST);
        is_due.then(|| self.snapshot(next.segment - 1))
    }

    /// The state at the end.
    pub(crate) fn last_snapshot(&mut self) -> Snapshot {
        self.snapshot(self.counted.segment.saturating_sub(1))
    }

    fn snapshot(&mut self, releases: u64) -> Snapshot {
        let started = Instant::now();
        let bytes = self.correlator.snapshot();
        self.cost = started.elapsed();
        self.saved = self.counted;
        self.saved_at = Instant::now();
        Snapshot { covers: self.counted, releases, bytes }
    }

    /// Repeats the marks that stood before a batch. What they found is in SQL.
    fn repeat_marks(&mut self, before: Option<LogPosition>) {
        while let Some(mark) = self.marks.pop_front_if(|mark| before.is_none_or(|before| mark.after < before))
        {
            self.correlator.advance(mark.clock, &mut Vec::new());
        }
    }
}

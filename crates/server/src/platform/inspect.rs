//! From the bytes of a batch to events and findings: decode, normalise, detect. No I/O, no clock.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use jiff::tz::TimeZone;
use wanglou_detect::{Engine, RuleIndex, Scratch, suppress};
use wanglou_ingest::{Accounted, Catalog, EventContext, FrameDecoder, FrameRecord, is_blank, normalize};
use wanglou_lake::{Batch, LogPosition, Origin, StoredEvent};
use wanglou_model::{Finding, Place, Record, TenantId, Timestamp};

use super::decode::{decode, line_count};
use super::habits::FieldCounts;
use super::rules::Rules;
use super::suppressions::Suppressions;
use super::windows::Windows;
use crate::state::{BatchOutcome, DeadFrame, MarkOutcome};

/// An event is late when it arrives so long after it happened, by its own account.
const LATE_AFTER_NANOS: i64 = 3_600 * 1_000_000_000;

/// What is known of telemetry, shared by all that inspect it.
#[derive(Clone)]
pub(crate) struct Knowledge {
    /// The products and how to recognise them.
    pub catalog: Arc<Catalog>,
    /// The rules.
    pub engine: Arc<Engine>,
    /// Where new ones come from.
    pub rules: Arc<Rules>,
    /// What hides findings.
    pub suppressions: Arc<Suppressions>,
    /// The zone of times that come without one.
    pub zone: TimeZone,
}

/// Inspects batches one after the other; keeps the state of correlation rules between them.
pub(crate) struct Inspector {
    knowledge: Knowledge,
    decoder: FrameDecoder,
    scratch: Scratch,
    pub windows: Windows,
}

/// A batch with all that was found in it.
#[derive(Debug)]
pub(crate) struct Inspected {
    /// For the state database.
    pub outcome: BatchOutcome,
    /// For the lake.
    pub events: Vec<StoredEvent>,
    /// How often fields are there, to notice when they are not.
    pub fields: FieldCounts,
}

impl Inspector {
    /// One that goes on with these windows.
    pub(crate) fn new(knowledge: Knowledge, windows: Windows) -> Self {
        Self {
            decoder: FrameDecoder::new(Arc::clone(&knowledge.catalog)),
            scratch: knowledge.engine.scratch(),
            windows,
            knowledge,
        }
    }

    /// Inspects a batch, decoding it if that is not done. A batch that makes our own code fail becomes dead letters as
    /// a whole: it must not stop the ones behind it.
    pub(crate) fn inspect(
        &mut self,
        position: LogPosition,
        batch: &Batch,
        decoded: Option<Accounted>,
    ) -> Inspected {
        if let Some(engine) = self.knowledge.rules.take_pending() {
            self.go_on_with(engine);
        }
        let inspection = AssertUnwindSafe(|| {
            let decoded = decoded.unwrap_or_else(|| decode(&mut self.decoder, &batch.origin, &batch.frames));
            self.inspect_decoded(position, batch, decoded)
        });
        let inspected = std::panic::catch_unwind(inspection).unwrap_or_else(|_panic| {
            tracing::error!(source = %batch.source, ?position, "a batch broke the inspection");
            self.decoder = FrameDecoder::new(Arc::clone(&self.knowledge.catalog));
            self.scratch = self.knowledge.engine.scratch();
            self.windows.recover(&self.knowledge.engine);
            give_up(position, batch)
        });
        self.windows.end(position);
        inspected
    }

    /// Nothing has come until `now`: what correlation rules found by waiting.
    pub(crate) fn idle(&mut self, now: Timestamp) -> Option<MarkOutcome> {
        let mut findings = Vec::new();
        let waited = AssertUnwindSafe(|| self.windows.idle(now, &mut findings));
        let mark = std::panic::catch_unwind(waited).unwrap_or_else(|_panic| {
            self.windows.recover(&self.knowledge.engine);
            None
        })?;
        let suppressed = self.take_hidden(&mut findings);
        Some(MarkOutcome { mark, findings, suppressed })
    }

    /// Takes other rules. Windows of correlations that did not change go on.
    fn go_on_with(&mut self, engine: Arc<Engine>) {
        self.scratch = engine.scratch();
        self.windows.adopt(Arc::clone(&engine));
        self.knowledge.engine = engine;
    }

    fn inspect_decoded(&mut self, position: LogPosition, batch: &Batch, decoded: Accounted) -> Inspected {
        let mut outcome = empty_outcome(position, batch);
        let mut events = Vec::with_capacity(decoded.records.len());
        let tenant = TenantId::default();
        let is_new = self.windows.begin(position, batch.arrival, &mut outcome.findings);
        // Events of one frame are numbered from 0.
        let mut numbering = (usize::MAX, 0);
        outcome.stored = decoded.headers;
        outcome.evaluated = decoded.headers;
        for FrameRecord { frame, lines, record } in decoded.records {
            numbering = if numbering.0 == frame { (frame, numbering.1 + 1) } else { (frame, 0) };
            let context = EventContext {
                uid: batch.event_uid(position, frame, numbering.1),
                source: batch.source.clone(),
                arrival: batch.arrival,
                tenant: tenant.clone(),
                zone: self.knowledge.zone.clone(),
            };
            let place = place(batch, frame);
            let event = self.detect(&record, context, place, is_new, &mut outcome.findings);
            outcome.evaluated += lines;
            outcome.late += u64::from(is_late(&event));
            events.push(event);
            outcome.stored += lines;
        }
        outcome.suppressed = self.take_hidden(&mut outcome.findings);
        outcome.rejected = decoded
            .rejected
            .into_iter()
            .filter_map(|rejected| {
                let frame = batch.frames.get(rejected.frame)?.clone();
                Some(DeadFrame { frame, kind: rejected.kind, reason: rejected.reason })
            })
            .collect();
        outcome.events = events.len() as u64;
        let fields = FieldCounts::of(events.iter().map(|stored| &stored.event));
        Inspected { outcome, events, fields }
    }

    /// Takes out what suppressions hide.
    fn take_hidden(&self, findings: &mut Vec<Finding>) -> Vec<Finding> {
        let suppressors = self.knowledge.suppressions.active();
        let now = Timestamp::now();
        findings.extract_if(.., |finding| suppress::apply(&suppressors, finding, now)).collect()
    }

    fn detect(
        &mut self,
        record: &Record,
        context: EventContext,
        place: Place,
        is_new: bool,
        findings: &mut Vec<Finding>,
    ) -> StoredEvent {
        let event = normalize(record, context);
        let engine = &self.knowledge.engine;
        let hits: &[RuleIndex] = engine.evaluate(record, &mut self.scratch);
        for hit in hits.iter().copied().filter(|hit| !engine.is_silent(*hit)) {
            findings.push(engine.finding(hit, record, &event, Some(place.clone())));
        }
        if is_new && !hits.is_empty() {
            self.windows.count(hits, record, &event, &place, findings);
        }
        StoredEvent { event, format: record.format, raw: record.raw.clone(), place: Some(place) }
    }
}

/// Whether an event came long after it happened: what looks at windows of time may have missed it.
fn is_late(stored: &StoredEvent) -> bool {
    let event = &stored.event;
    event.arrival.nanos().saturating_sub(event.time.nanos()) > LATE_AFTER_NANOS
}

fn empty_outcome(position: LogPosition, batch: &Batch) -> BatchOutcome {
    BatchOutcome {
        position,
        source: batch.source.clone(),
        arrival: batch.arrival,
        lines: line_count(&batch.frames),
        stored: 0,
        evaluated: 0,
        events: 0,
        late: 0,
        rejected: Vec::new(),
        findings: Vec::new(),
        suppressed: Vec::new(),
    }
}

fn give_up(position: LogPosition, batch: &Batch) -> Inspected {
    let reason = "the platform failed on this batch: please report it";
    let rejected = batch
        .frames
        .iter()
        .filter(|frame| !is_blank(frame))
        .map(|frame| DeadFrame { frame: frame.clone(), kind: "failed", reason: reason.into() })
        .collect();
    let outcome = BatchOutcome { rejected, ..empty_outcome(position, batch) };
    Inspected { outcome, events: Vec::new(), fields: FieldCounts::default() }
}

/// Where a line stands: for a file its path, otherwise the source; the record is its 1-based number in the batch.
fn place(batch: &Batch, frame: usize) -> Place {
    let file = match &batch.origin {
        Origin::File { path, .. } => path.clone(),
        Origin::Keyed { .. } | Origin::Arrival => batch.source.as_str().to_owned(),
    };
    Place { file, record: frame as u64 + 1 }
}

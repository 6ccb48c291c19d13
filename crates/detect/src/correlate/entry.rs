//! One event as a window remembers it: compact, for there are millions.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use wanglou_model::{Event, EventUid, Evidence, Place, Record, Timestamp};

use super::hit::Observed;
use crate::{Engine, RuleIndex};

/// The evidence of an event of more bytes is made at once: it is smaller than the event.
const MAX_DEFERRED_BYTES: usize = 8 << 10;

/// An event in a window: when, which, where.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) time: i64,
    /// The event's id, in halves: as one number it would be aligned to 16 bytes.
    pub(super) uid: [u64; 2],
    /// What is counted of it: the hash of its values, or the bits of its number.
    pub(super) value: u64,
    /// The record's number within its file.
    pub(super) record: u64,
    pub(super) origin: Arc<Origin>,
    pub(super) evidence: Option<Arc<Whole>>,
    /// Which of the correlation's rules it stands for, by position.
    pub(super) part: u16,
}

/// Where events come from; shared by all of one file or source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    /// Empty when the place is not known.
    pub(super) file: String,
    pub(super) product: String,
}

/// The whole evidence of an event, for as many as the budget allows. Most is never read: it is made when it is.
#[derive(Debug)]
pub(super) struct Whole {
    content: Mutex<Content>,
    time: i64,
    budget: Arc<AtomicUsize>,
}

#[derive(Debug)]
enum Content {
    /// Of this event, which this rule matched.
    Later(Box<(RuleIndex, Record, Event, Option<Place>)>),
    Made(Arc<[u8]>),
}

impl Whole {
    /// Keeps the evidence if there is room for it.
    pub(super) fn keep(
        engine: &Engine,
        rule: RuleIndex,
        observed: &Observed<'_>,
        budget: &Arc<AtomicUsize>,
    ) -> Option<Arc<Self>> {
        let Observed { record, event, place, .. } = observed;
        let mut content = Content::Later(Box::new((
            rule,
            // A copy of the bytes: they may be a part of a much larger buffer.
            Record { raw: Bytes::copy_from_slice(&record.raw), ..(*record).clone() },
            (*event).clone(),
            place.cloned(),
        )));
        if record.raw.len() > MAX_DEFERRED_BYTES {
            content.json(engine);
        }
        Self::within(content, event.time.nanos(), budget)
    }

    pub(super) fn from_json(json: &[u8], time: i64, budget: &Arc<AtomicUsize>) -> Option<Arc<Self>> {
        Self::within(Content::Made(json.into()), time, budget)
    }

    fn within(content: Content, time: i64, budget: &Arc<AtomicUsize>) -> Option<Arc<Self>> {
        budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).ok()?;
        Some(Arc::new(Self { content: Mutex::new(content), time, budget: Arc::clone(budget) }))
    }

    /// When its event happened.
    pub(super) fn time(&self) -> i64 {
        self.time
    }

    /// The evidence as JSON; `engine` is the one whose rule it is of.
    pub(super) fn json(&self, engine: &Engine) -> Arc<[u8]> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner).json(engine)
    }
}

impl Content {
    fn json(&mut self, engine: &Engine) -> Arc<[u8]> {
        if let Self::Later(parts) = self {
            let (rule, record, event, place) = &mut **parts;
            let evidence = engine.evidence(*rule, record, event, place.take());
            // An evidence is plain data: writing it does not fail.
            *self = Self::Made(serde_json::to_vec(&evidence).unwrap_or_default().into());
        }
        match self {
            Self::Made(json) => Arc::clone(json),
            Self::Later(_) => Arc::default(),
        }
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        self.budget.fetch_add(1, Ordering::Relaxed);
    }
}

impl Entry {
    pub(super) fn at(&self) -> (i64, [u64; 2]) {
        (self.time, self.uid)
    }

    pub(super) fn event(&self) -> EventUid {
        join(self.uid)
    }

    pub(super) fn place(&self) -> Option<Place> {
        let file = &self.origin.file;
        (!file.is_empty()).then(|| Place { file: file.clone(), record: self.record })
    }

    /// Its evidence: whole if that was kept, otherwise which event, when and where.
    pub(super) fn evidence(&self, engine: &Engine) -> Evidence {
        let whole = self.evidence.as_ref().and_then(|whole| serde_json::from_slice(&whole.json(engine)).ok());
        whole.unwrap_or_else(|| Evidence {
            event: self.event(),
            time: Timestamp::from_nanos(self.time),
            place: self.place(),
            product: self.origin.product.clone(),
            matches: Vec::new(),
            artifacts: serde_json::Map::new(),
        })
    }
}

/// A 128-bit id in halves, the more significant one first.
pub(super) fn split(uid: u128) -> [u64; 2] {
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
    [(uid >> 64) as u64, uid as u64]
}

fn join([high, low]: [u64; 2]) -> EventUid {
    EventUid::from_u128(u128::from(high) << 64 | u128::from(low))
}

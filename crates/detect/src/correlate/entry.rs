//! One event as a window remembers it: compact, for there are millions.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use wanglou_model::{EventUid, Evidence, Place, Timestamp};

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

/// The whole evidence of an event, for as many as the budget allows.
#[derive(Debug)]
pub(super) struct Whole {
    json: Box<[u8]>,
    budget: Arc<AtomicUsize>,
}

impl Whole {
    /// Keeps the evidence if there is room for it.
    pub(super) fn keep(evidence: &Evidence, budget: &Arc<AtomicUsize>) -> Option<Arc<Self>> {
        let json = serde_json::to_vec(evidence).ok()?;
        Self::from_json(json.into(), budget)
    }

    pub(super) fn from_json(json: Box<[u8]>, budget: &Arc<AtomicUsize>) -> Option<Arc<Self>> {
        budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).ok()?;
        Some(Arc::new(Self { json, budget: Arc::clone(budget) }))
    }

    pub(super) fn json(&self) -> &[u8] {
        &self.json
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
    pub(super) fn evidence(&self) -> Evidence {
        let whole = self.evidence.as_ref().and_then(|whole| serde_json::from_slice(whole.json()).ok());
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

//! Different values within a sliding window: exact up to [`MAX_EXACT`], beyond it a sample from which their number is
//! estimated.
//!
//! The sample is Wegman's: of all values it holds those whose hash begins with `level` zero bits, each with the time it
//! was last seen; when there are too many the level rises and half of them go. Which values are in the sample depends
//! on their hashes alone, so it slides with the window exactly as the values themselves would, and the cost of an event
//! does not depend on how many there are. With m values in the sample the relative standard error is about 1/√m.

use std::collections::VecDeque;
use std::mem::size_of;

use rustc_hash::FxHashMap;
use wanglou_model::Correlated;

use super::entry::Entry;

/// Values held exactly; also the most that a sample holds. The standard error of a full sample is 1.1 %, just after it
/// was halved 1.6 %.
pub(super) const MAX_EXACT: usize = 8_192;
/// Up to here the few values are compared one by one.
const MAX_LISTED: usize = 16;

/// The values of one group.
#[derive(Debug, Default)]
pub(super) struct Values {
    /// The newest event of each value; of the newest values only.
    pub(super) recent: VecDeque<Entry>,
    pub(super) many: Option<Box<Many>>,
}

/// More values than are compared one by one.
#[derive(Debug, Default)]
pub(super) struct Many {
    /// When each was last seen.
    pub(super) newest: FxHashMap<u64, i64>,
    /// Sightings, oldest first; one that `newest` does not confirm has been superseded.
    pub(super) sightings: VecDeque<(i64, u64)>,
    /// A value is in the sample when its hash begins with so many zero bits; 0: all are.
    pub(super) level: u32,
}

impl Values {
    /// How many different values there are, and the relative standard error if that is an estimate.
    #[expect(clippy::cast_precision_loss, reason = "a sample has at most some thousands")]
    pub(super) fn count(&self) -> (f64, Option<f64>) {
        let Some(many) = &self.many else { return (self.recent.len() as f64, None) };
        let sampled = many.newest.len() as f64;
        if many.level == 0 {
            return (sampled, None);
        }
        (sampled * 2_f64.powi(many.level.cast_signed()), Some(1.0 / sampled.max(1.0).sqrt()))
    }

    /// Takes a value in. No more than `needed` different ones are remembered: more would not change what is decided.
    pub(super) fn insert(&mut self, entry: Entry, needed: usize) {
        let (time, value) = (entry.time, entry.value);
        self.list(entry);
        if self.many.is_none() && self.recent.len() > MAX_LISTED {
            let sightings: VecDeque<_> = self.recent.iter().map(|entry| (entry.time, entry.value)).collect();
            let newest = sightings.iter().map(|(time, value)| (*value, *time)).collect();
            self.many = Some(Box::new(Many { newest, sightings, level: 0 }));
        } else if let Some(many) = &mut self.many {
            many.see(time, value);
        }
        match &mut self.many {
            Some(many) => many.shrink(needed),
            None if self.recent.len() > needed => _ = self.recent.pop_front(),
            None => {}
        }
    }

    /// Whether the evidence of an event with this value is worth keeping: that of one sighting proves a value, until
    /// it is older than the window.
    pub(super) fn wants_evidence(&self, value: u64, from: i64) -> bool {
        let known = self.recent.iter().rfind(|known| known.value == value);
        match known.map(|known| known.evidence.as_ref()) {
            Some(Some(evidence)) => evidence.time() < from,
            Some(None) => true,
            // Of very many values only the newest are listed; a repetition looks like a first sighting there.
            None => !self.many.as_ref().is_some_and(|many| many.newest.contains_key(&value)),
        }
    }

    fn list(&mut self, mut entry: Entry) {
        if let Some(at) = self.recent.iter().rposition(|known| known.value == entry.value) {
            if self.recent.get(at).is_some_and(|known| known.at() >= entry.at()) {
                return;
            }
            let known = self.recent.remove(at);
            entry.evidence = entry.evidence.or_else(|| known.and_then(|known| known.evidence));
        }
        let at = self.recent.partition_point(|known| known.at() < entry.at());
        if self.recent.is_empty() {
            self.recent.reserve_exact(1);
        }
        self.recent.insert(at, entry);
        if self.recent.len() > Correlated::MAX_EVENTS {
            self.recent.pop_front();
        }
    }

    pub(super) fn forget_before(&mut self, time: i64) {
        while self.recent.front().is_some_and(|entry| entry.time < time) {
            self.recent.pop_front();
        }
        if let Some(many) = &mut self.many {
            many.forget_before(time);
            if many.newest.is_empty() {
                self.many = None;
            }
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let many = self.many.as_ref().map_or(0, |many| {
            size_of::<Many>() + many.newest.capacity() * 20 + many.sightings.capacity() * 16
        });
        self.recent.capacity() * size_of::<Entry>() + many
    }
}

impl Many {
    fn see(&mut self, time: i64, value: u64) {
        if value.leading_zeros() < self.level {
            return;
        }
        let known = self.newest.entry(value).or_insert(i64::MIN);
        if *known >= time {
            return;
        }
        *known = time;
        match self.sightings.back() {
            Some(back) if *back > (time, value) => {
                let at = self.sightings.partition_point(|known| *known < (time, value));
                self.sightings.insert(at, (time, value));
            }
            _ => self.sightings.push_back((time, value)),
        }
        // Superseded sightings are swept before they are the larger part.
        if self.sightings.len() > 2 * self.newest.len() + MAX_LISTED {
            let newest = &self.newest;
            self.sightings.retain(|(time, value)| newest.get(value) == Some(time));
        }
    }

    fn shrink(&mut self, needed: usize) {
        while self.newest.len() > needed && self.forget_oldest() {}
        while self.newest.len() > MAX_EXACT && self.level < u64::BITS {
            self.level += 1;
            let level = self.level;
            self.newest.retain(|value, _| value.leading_zeros() >= level);
            self.sightings.retain(|(_, value)| value.leading_zeros() >= level);
        }
    }

    fn forget_before(&mut self, time: i64) {
        while self.sightings.front().is_some_and(|(seen, _)| *seen < time) && self.forget_oldest() {}
    }

    /// Takes out the oldest sighting, and its value unless it was seen again.
    fn forget_oldest(&mut self) -> bool {
        let Some((time, value)) = self.sightings.pop_front() else { return false };
        if self.newest.get(&value) == Some(&time) {
            self.newest.remove(&value);
        }
        true
    }
}

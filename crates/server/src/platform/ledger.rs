//! The loss ledger: for every source, received = stored + rejected + in flight, and evaluated = stored.
//!
//! `received` and `in flight` are counted where lines come in, `stored`, `rejected` and `evaluated` where the pipeline
//! is done with them; the sums of finished batches are kept in SQL and read at start. All numbers are lines.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use wanglou_model::{SourceId, Timestamp};

use crate::state::{BatchOutcome, SourceRow};

/// One source's sums.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub received: u64,
    pub stored: u64,
    pub rejected: u64,
    pub evaluated: u64,
    pub in_flight: u64,
    pub events: u64,
    pub duplicates: u64,
    pub last_seen: Option<Timestamp>,
}

impl Sums {
    /// Whether nothing is lost.
    pub(crate) fn is_balanced(&self) -> bool {
        self.received == self.stored + self.rejected + self.in_flight && self.evaluated == self.stored
    }
}

/// The sums of all sources.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    sources: Mutex<BTreeMap<SourceId, Sums>>,
}

impl Ledger {
    /// The sums that were kept.
    pub(crate) fn load(rows: &[SourceRow]) -> Self {
        let sources = rows
            .iter()
            .map(|row| {
                let sums = Sums {
                    received: row.received,
                    stored: row.stored,
                    rejected: row.rejected,
                    evaluated: row.evaluated,
                    in_flight: 0,
                    events: row.events,
                    duplicates: row.duplicates,
                    last_seen: row.last_seen,
                };
                (row.name.clone(), sums)
            })
            .collect();
        Self { sources: Mutex::new(sources) }
    }

    /// A source is there, though nothing has come from it.
    pub(crate) fn open(&self, source: &SourceId) {
        self.with(source, |_| {});
    }

    /// Lines are in the log.
    pub(crate) fn logged(&self, source: &SourceId, lines: u64, arrival: Timestamp) {
        self.with(source, |sums| {
            sums.received += lines;
            sums.in_flight += lines;
            sums.last_seen = Some(arrival);
        });
    }

    /// Lines came again under a known key.
    pub(crate) fn repeated(&self, source: &SourceId, lines: u64) {
        self.with(source, |sums| sums.duplicates += lines);
    }

    /// The pipeline is done with a batch: its findings are kept and its events searchable.
    pub(crate) fn settled(&self, outcome: &BatchOutcome) {
        let rejected = outcome.rejected.len() as u64;
        self.with(&outcome.source, |sums| {
            let stored = outcome.lines.saturating_sub(rejected);
            sums.in_flight = sums.in_flight.saturating_sub(outcome.lines);
            sums.stored += stored;
            sums.evaluated += outcome.evaluated;
            sums.rejected += rejected;
            sums.events += outcome.events;
        });
    }

    /// One source's sums.
    pub(crate) fn sums(&self, source: &SourceId) -> Sums {
        self.sources.lock().get(source).cloned().unwrap_or_default()
    }

    /// All sources' sums, by name.
    pub(crate) fn all(&self) -> BTreeMap<SourceId, Sums> {
        self.sources.lock().clone()
    }

    /// Lines in the log that are not settled, of all sources.
    pub(crate) fn in_flight(&self) -> u64 {
        self.sources.lock().values().map(|sums| sums.in_flight).sum()
    }

    fn with(&self, source: &SourceId, change: impl FnOnce(&mut Sums)) {
        change(self.sources.lock().entry(source.clone()).or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_lines_unbalance_the_sums() {
        let balanced =
            Sums { received: 10, stored: 7, evaluated: 7, rejected: 1, in_flight: 2, ..Sums::default() };
        assert!(balanced.is_balanced());
        assert!(!Sums { received: 11, ..balanced.clone() }.is_balanced());
        assert!(!Sums { evaluated: 6, ..balanced }.is_balanced());
    }
}

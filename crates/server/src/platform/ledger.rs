//! The loss ledger: for every source and hour, received = stored + rejected + in flight, and evaluated = stored.
//!
//! Each number is counted where it comes about, none is what the others leave: `received` where lines come in, `stored`
//! and `rejected` by what the decoder said of each line, `evaluated` where rules were applied. So the difference shows a
//! loss, and is shown. Sums of finished batches are kept in SQL, in the transaction that keeps their findings, under the
//! hour of arrival that the log remembers; what is in flight is in the log. Nothing of it is lost or doubled by a crash.
//! All numbers are lines unless they say otherwise.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use wanglou_model::{SourceId, Timestamp};

use super::habits::{FieldCounts, Habit, Warning};
use crate::state::{BatchOutcome, HOUR_NANOS, HourRow, KeptLedger, Stage, Sums, hour_of};

/// Hours that are kept in hand for every source; older ones are in SQL only.
pub(crate) const HOURS_IN_HAND: i64 = 7 * 24;
/// What is known of one source.
#[derive(Debug, Default)]
struct Account {
    total: Sums,
    hours: BTreeMap<Timestamp, Sums>,
    habit: Habit,
}

impl Account {
    /// Changes the sums of all times and those of an hour.
    fn change(&mut self, at: Timestamp, change: impl Fn(&mut Sums)) {
        change(&mut self.total);
        change(self.hours.entry(hour_of(at)).or_default());
    }

    /// The hours in hand, up to now. An hour that still has something in flight stays whatever its age.
    fn forget(&mut self, now: Timestamp) {
        let oldest = hour_of(now).plus_nanos(-HOURS_IN_HAND * HOUR_NANOS);
        self.hours.retain(|hour, sums| *hour >= oldest || sums.in_flight > 0);
    }
}

/// The sums of all sources.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    sources: Mutex<BTreeMap<SourceId, Account>>,
}

impl Ledger {
    /// The sums that were kept.
    pub(crate) fn load(kept: KeptLedger, now: Timestamp) -> Self {
        let mut sources: BTreeMap<SourceId, Account> = BTreeMap::new();
        for row in kept.sources {
            let account = sources.entry(row.name).or_default();
            let total = &mut account.total;
            (total.received, total.stored) = (row.received, row.stored);
            (total.rejected, total.evaluated) = (row.rejected, row.evaluated);
            (total.events, total.duplicates) = (row.events, row.duplicates);
            (total.late, total.last_seen) = (row.late, row.last_seen);
            account.habit = Habit::load(row.habit.as_deref(), now);
        }
        for (source, reason, count) in kept.reasons {
            let total = &mut sources.entry(source).or_default().total;
            total.dropped += if reason.stage == Stage::Dropped { count } else { 0 };
            total.reasons.insert(reason, count);
        }
        for HourRow { source, hour, sums } in kept.hours {
            sources.entry(source).or_default().hours.insert(hour, sums);
        }
        Self { sources: Mutex::new(sources) }
    }

    /// A source is there, though nothing has come from it.
    pub(crate) fn open(&self, source: &SourceId) {
        self.with(source, |_| {});
    }

    /// Lines are in the log.
    pub(crate) fn logged(&self, source: &SourceId, lines: u64, arrival: Timestamp) {
        self.with(source, |account| {
            account.change(arrival, |sums| {
                sums.received += lines;
                sums.in_flight += lines;
                sums.last_seen = Some(arrival);
            });
            account.habit.arrived(arrival);
        });
    }

    /// Lines came again under a known key.
    pub(crate) fn repeated(&self, source: &SourceId, lines: u64, arrival: Timestamp) {
        self.with(source, |account| account.change(arrival, |sums| sums.duplicates += lines));
    }

    /// A source could not take frames.
    pub(crate) fn dropped(&self, source: &SourceId, kind: &str, frames: u64, at: Timestamp) {
        self.with(source, |account| {
            account.change(at, |sums| {
                sums.dropped += frames;
                sums.because(Stage::Dropped, kind, frames);
            });
        });
    }

    /// The pipeline is done with a batch: its findings are kept and its events searchable.
    pub(crate) fn settled(&self, outcome: &BatchOutcome, fields: &FieldCounts) {
        self.with(&outcome.source, |account| {
            account.change(outcome.arrival, |sums| sums.settle(outcome));
            account.habit.filled(fields, outcome.arrival);
        });
    }

    /// One source's sums.
    pub(crate) fn sums(&self, source: &SourceId) -> Sums {
        self.sources.lock().get(source).map(|account| account.total.clone()).unwrap_or_default()
    }

    /// All sources' sums, by name.
    pub(crate) fn all(&self) -> BTreeMap<SourceId, Sums> {
        self.sources.lock().iter().map(|(source, account)| (source.clone(), account.total.clone())).collect()
    }

    /// The hours in hand from `since` on, of one source or all, oldest first.
    pub(crate) fn hours(&self, source: Option<&SourceId>, since: Timestamp) -> Vec<HourRow> {
        let sources = self.sources.lock();
        let mut rows: Vec<HourRow> = sources
            .iter()
            .filter(|(name, _)| source.is_none_or(|wanted| wanted == *name))
            .flat_map(|(name, account)| {
                let hours = account.hours.range(hour_of(since)..);
                hours.map(|(hour, sums)| HourRow { source: name.clone(), hour: *hour, sums: sums.clone() })
            })
            .collect();
        rows.sort_by(|a, b| (a.hour, &a.source).cmp(&(b.hour, &b.source)));
        rows
    }

    /// Lines in the log that are not settled, of all sources.
    pub(crate) fn in_flight(&self) -> u64 {
        self.sources.lock().values().map(|account| account.total.in_flight).sum()
    }

    /// Lines that are not settled, by source and hour; those where there are none left out.
    pub(crate) fn in_flight_by_hour(&self) -> BTreeMap<(SourceId, Timestamp), u64> {
        let sources = self.sources.lock();
        let hours = sources.iter().flat_map(|(name, account)| {
            account.hours.iter().map(|(hour, sums)| ((name.clone(), *hour), sums.in_flight))
        });
        hours.filter(|(_, in_flight)| *in_flight > 0).collect()
    }

    /// What people should look at, by source.
    pub(crate) fn warnings(&self, now: Timestamp) -> BTreeMap<SourceId, Vec<Warning>> {
        let sources = self.sources.lock();
        let warnings = sources.iter().map(|(name, account)| (name.clone(), account.habit.warnings(now)));
        warnings.filter(|(_, warnings)| !warnings.is_empty()).collect()
    }

    /// The habits that have changed since they were last asked for, to be kept.
    pub(crate) fn changed_habits(&self) -> Vec<(SourceId, String)> {
        let mut sources = self.sources.lock();
        let changed =
            sources.iter_mut().filter_map(|(name, account)| Some((name.clone(), account.habit.save()?)));
        changed.collect()
    }

    /// Lets go of hours that are long past.
    pub(crate) fn forget(&self, now: Timestamp) {
        for account in self.sources.lock().values_mut() {
            account.forget(now);
        }
    }

    fn with(&self, source: &SourceId, change: impl FnOnce(&mut Account)) {
        change(self.sources.lock().entry(source.clone()).or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_add_up_to_the_total_and_old_ones_are_let_go() {
        let (ledger, source) = (Ledger::default(), SourceId::new("web"));
        let hour = |n: i64| Timestamp::from_secs(1_790_000_000 + n * 3_600);
        for n in [0, 0, 1, 200] {
            ledger.logged(&source, 5, hour(n));
        }
        ledger.dropped(&source, "kernel_buffer", 3, hour(1));
        let rows = ledger.hours(Some(&source), hour(0));
        let received: Vec<_> = rows.iter().map(|row| (row.sums.received, row.sums.dropped)).collect();
        assert_eq!(received, [(10, 0), (5, 3), (5, 0)]);
        let total = ledger.sums(&source);
        assert_eq!((total.received, total.in_flight, total.dropped), (20, 20, 3));
        ledger.forget(hour(200));
        assert_eq!(ledger.hours(None, hour(0)).len(), 3, "what is in flight is not let go");
        assert_eq!(ledger.in_flight_by_hour().len(), 3);
    }
}

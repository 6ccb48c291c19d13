//! Keeps in SQL what no batch brings there: frames that sources could not take, what is in flight, what is usual for a
//! source; and tells in the log when a person should look at one.
//!
//! Once a second. A crash forgets at most what sources dropped in its last second.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use wanglou_ingest::source::{Counters, DropReason};
use wanglou_model::{SourceId, Timestamp};

use super::habits::Warning;
use super::ledger::Ledger;
use crate::state::{HOUR_NANOS, Reason, Stage, State, StateError, hour_of};

/// How often.
const EVERY: Duration = Duration::from_secs(1);
/// Rounds between looks at what is long past.
const ROUNDS_TO_HABITS: u64 = 60;
/// Hours of the ledger that are kept: thirteen months and a bit.
const HOURS_KEPT: i64 = 400 * 24;

/// The counters of a source.
pub(crate) type SourceCounters = Vec<(SourceId, Arc<Counters>)>;

/// Keeps the books until aborted.
pub(crate) async fn keep(books: Arc<Mutex<Books>>) {
    let mut rounds = tokio::time::interval(EVERY);
    for round in 0_u64.. {
        rounds.tick().await;
        let (now, mut books) = (Timestamp::now(), books.lock().await);
        let mut done = books.round(now).await;
        if round % ROUNDS_TO_HABITS == 0 && done.is_ok() {
            done = books.look_back(now).await;
        }
        if let Err(error) = done {
            tracing::warn!(%error, "the books of the ledger wait");
        }
    }
}

/// The books.
pub(crate) struct Books {
    ledger: Arc<Ledger>,
    state: State,
    counters: SourceCounters,
    /// What has been entered of the counters.
    entered: HashMap<(SourceId, DropReason), u64>,
    /// What is in the ledger and not yet in SQL.
    dropped: BTreeMap<(SourceId, Timestamp, Reason), u64>,
    in_flight: BTreeMap<(SourceId, Timestamp), u64>,
    told: HashSet<(SourceId, String)>,
}

impl Books {
    pub(crate) fn new(ledger: Arc<Ledger>, state: State, counters: SourceCounters) -> Self {
        Self {
            ledger,
            state,
            counters,
            entered: HashMap::new(),
            dropped: BTreeMap::new(),
            // What an earlier process noted is not known: the first note replaces it.
            in_flight: BTreeMap::from([((SourceId::new(""), Timestamp::from_nanos(0)), 1)]),
            told: HashSet::new(),
        }
    }

    /// Enters all there is, at the end.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn close(&mut self, now: Timestamp) -> Result<(), StateError> {
        self.round(now).await?;
        self.look_back(now).await
    }

    /// Enters what has changed.
    ///
    /// # Errors
    /// When the database fails; it is entered the next time.
    pub(crate) async fn round(&mut self, now: Timestamp) -> Result<(), StateError> {
        self.count_dropped(now);
        if !self.dropped.is_empty() {
            self.state.count_dropped(&self.dropped).await?;
            self.dropped.clear();
        }
        let in_flight = self.ledger.in_flight_by_hour();
        if in_flight != self.in_flight {
            self.state.note_in_flight(&in_flight).await?;
            self.in_flight = in_flight;
        }
        self.tell(now);
        Ok(())
    }

    fn count_dropped(&mut self, now: Timestamp) {
        for (source, counters) in &self.counters {
            for reason in DropReason::ALL {
                let count = counters.dropped(reason);
                let entered = self.entered.entry((source.clone(), reason)).or_default();
                let more = count.saturating_sub(*entered);
                if more == 0 {
                    continue;
                }
                *entered = count;
                self.ledger.dropped(source, reason.name(), more, now);
                let reason = Reason { stage: Stage::Dropped, kind: reason.name().to_owned() };
                *self.dropped.entry((source.clone(), hour_of(now), reason)).or_default() += more;
            }
        }
    }

    async fn look_back(&mut self, now: Timestamp) -> Result<(), StateError> {
        self.ledger.forget(now);
        let habits = self.ledger.changed_habits();
        if !habits.is_empty() {
            self.state.keep_habits(habits).await?;
        }
        self.state.forget_hours(hour_of(now).plus_nanos(-HOURS_KEPT * HOUR_NANOS)).await
    }

    /// Tells of what is new among the warnings, once.
    fn tell(&mut self, now: Timestamp) {
        let warnings = self.ledger.warnings(now);
        let mut standing = HashSet::new();
        for (source, warning) in
            warnings.iter().flat_map(|(source, all)| all.iter().map(move |one| (source, one)))
        {
            let key = match warning {
                Warning::Silent { .. } => (source.clone(), String::new()),
                Warning::FieldEmpty { kind, field, .. } => (source.clone(), format!("{kind} {field}")),
            };
            if !self.told.contains(&key) {
                tell_one(source, warning);
            }
            standing.insert(key);
        }
        self.told = standing;
    }
}

fn tell_one(source: &SourceId, warning: &Warning) {
    match warning {
        Warning::Silent { since, usual_pause_s } => {
            tracing::warn!(%source, %since, usual_pause_s, "a source has fallen silent");
        }
        Warning::FieldEmpty { kind, field, usual_share, share, .. } => {
            tracing::warn!(%source, kind, field, usual_share, share, "a field is empty that used to be there");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_source_drops_and_what_is_in_flight_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(&dir.path().join("state.sqlite")).await.unwrap();
        let (ledger, source, now) =
            (Arc::new(Ledger::default()), SourceId::new("syslog-udp"), Timestamp::from_secs(7_300));
        state.create_source(&source, "syslog-udp", None, now).await.unwrap();
        let counters = Arc::new(Counters::default());
        let mut books =
            Books::new(Arc::clone(&ledger), state.clone(), vec![(source.clone(), Arc::clone(&counters))]);
        ledger.logged(&source, 7, now);
        counters.add_dropped(DropReason::KernelBuffer, 5);
        books.round(now).await.unwrap();
        counters.add_dropped(DropReason::KernelBuffer, 1);
        books.round(now).await.unwrap();
        books.round(now).await.unwrap();
        let hours = state.ledger_hours(None, now).await.unwrap();
        let [row] = &hours[..] else { panic!("{hours:?}") };
        assert_eq!((row.hour, row.sums.received, row.sums.in_flight), (Timestamp::from_secs(7_200), 7, 7));
        assert_eq!((row.sums.dropped, ledger.sums(&source).dropped), (6, 6));
        // A process that begins anew has nothing in flight until it reads the log.
        let again = Ledger::load(state.ledger(now).await.unwrap(), now);
        let sums = again.sums(&source);
        assert_eq!((sums.received, sums.dropped, again.hours(None, now)[0].sums.received), (0, 6, 0));
        let mut books = Books::new(Arc::new(again), state.clone(), Vec::new());
        books.round(now).await.unwrap();
        assert_eq!(state.ledger_hours(None, now).await.unwrap()[0].sums.in_flight, 0);
        state.forget_hours(Timestamp::from_secs(10_800)).await.unwrap();
        assert!(state.ledger_hours(None, Timestamp::from_secs(0)).await.unwrap().is_empty());
    }
}

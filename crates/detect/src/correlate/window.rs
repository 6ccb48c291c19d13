//! One group's sliding window.

use wanglou_model::Finding;

use super::entry::Entry;
use super::numbers::Numbers;
use super::sequence::{InOrder, Together};
use super::timeline::Timeline;
use super::values::Values;
use crate::sigma::{Aggregate, Comparison};

/// What a window needs to know of its rule.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) aggregate: Aggregate,
    pub(crate) timespan_nanos: i64,
    /// All must hold for what is reached.
    pub(crate) conditions: Vec<(Comparison, f64)>,
    /// More events (or values) need not be remembered: the conditions would hold or not all the same.
    pub(crate) needed: usize,
}

impl Terms {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "bounds of counts are whole and small"
    )]
    pub(crate) fn new(
        aggregate: Aggregate,
        timespan_nanos: i64,
        mut conditions: Vec<(Comparison, f64)>,
        rules: usize,
    ) -> Self {
        if conditions.is_empty() {
            conditions.push((Comparison::GreaterOrEqual, rules as f64));
        }
        let decisive = |(comparison, bound): &(Comparison, f64)| match comparison {
            Comparison::Less | Comparison::GreaterOrEqual => *bound as usize,
            _ => *bound as usize + 1,
        };
        let needed = conditions.iter().map(decisive).max().unwrap_or(1).max(1);
        Self { aggregate, timespan_nanos, conditions, needed }
    }

    /// Whether what the conditions ask for can only be reached by more events, whatever their order: then there is
    /// nothing to wait for.
    pub(crate) fn only_grows(&self) -> bool {
        matches!(self.aggregate, Aggregate::EventCount | Aggregate::ValueCount(_) | Aggregate::Temporal)
            && self
                .conditions
                .iter()
                .all(|(comparison, _)| matches!(comparison, Comparison::Greater | Comparison::GreaterOrEqual))
    }

    /// The condition as a rule writes it.
    pub(crate) fn text(&self) -> String {
        let fields = self.aggregate.fields().iter().map(|field| format!("field: {field}"));
        let percentile = match &self.aggregate {
            Aggregate::Percentile(_, percent) => Some(format!("percentile: {percent}")),
            _ => None,
        };
        let bounds = self.conditions.iter().map(|(c, bound)| format!("{}: {bound}", c.name()));
        fields.chain(percentile).chain(bounds).collect::<Vec<_>>().join(", ")
    }

    fn sums(&self) -> bool {
        matches!(self.aggregate, Aggregate::Sum(_) | Aggregate::Average(_))
    }
}

/// What has been reached, and the relative standard error if that is an estimate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reached {
    pub(super) value: f64,
    pub(super) error: Option<f64>,
}

/// What came of an event.
#[derive(Clone, Copy, Debug)]
pub(super) enum Added {
    /// It was counted before.
    Repeated,
    /// It counts; what is reached if the conditions hold.
    Counted(Option<Reached>),
}

/// What one group remembers.
#[derive(Debug)]
pub(super) enum Window {
    Events(Timeline),
    Values(Values),
    Numbers(Box<Numbers>),
    Together(Together),
    InOrder(Box<InOrder>),
}

impl Window {
    pub(super) fn new(aggregate: &Aggregate) -> Self {
        match aggregate {
            Aggregate::EventCount => Self::Events(Timeline::default()),
            Aggregate::ValueCount(_) => Self::Values(Values::default()),
            Aggregate::Temporal => Self::Together(Together::default()),
            Aggregate::TemporalOrdered => Self::InOrder(Box::default()),
            _ => Self::Numbers(Box::default()),
        }
    }

    /// Takes an event into the window that ends at `newest` and says what is reached, if the conditions hold for it.
    pub(super) fn add(&mut self, entry: Entry, newest: i64, terms: &Terms) -> Added {
        let from = newest.saturating_sub(terms.timespan_nanos);
        let value = entry.value;
        self.forget_before(from, terms);
        let (value, error) = match self {
            Self::Events(events) => {
                if !events.insert(entry) {
                    return Added::Repeated;
                }
                while events.len() > terms.needed {
                    events.pop();
                }
                (whole(events.len()), None)
            }
            Self::Values(values) => {
                values.insert(entry, terms.needed);
                values.count()
            }
            Self::Numbers(numbers) => {
                numbers.insert(entry, terms.sums());
                match numbers.reached(&terms.aggregate, value) {
                    Some(reached) => reached,
                    None => return Added::Counted(None),
                }
            }
            Self::Together(together) => {
                together.insert(entry);
                (whole(together.newest.len()), None)
            }
            Self::InOrder(order) => {
                order.insert(&entry);
                (whole(order.longest().len()), None)
            }
        };
        let holds = terms.conditions.iter().all(|(comparison, bound)| comparison.holds(value, *bound));
        Added::Counted(holds.then_some(Reached { value, error }))
    }

    fn forget_before(&mut self, time: i64, terms: &Terms) {
        match self {
            Self::Events(events) => while events.pop_before(time).is_some() {},
            Self::Values(values) => values.forget_before(time),
            Self::Numbers(numbers) => numbers.forget_before(time, terms.sums()),
            Self::Together(together) => together.forget_before(time),
            Self::InOrder(order) => order.forget_before(time),
        }
    }

    /// Whether an event that is older than others can still be counted where it belongs.
    pub(super) fn takes_late(&self) -> bool {
        !matches!(self, Self::InOrder(_))
    }

    /// The events that a finding names, oldest first.
    pub(super) fn listed(&self) -> Vec<&Entry> {
        match self {
            Self::Events(Timeline { recent, .. }) | Self::Values(Values { recent, .. }) => {
                recent.iter().collect()
            }
            Self::Numbers(numbers) => numbers.events.recent.iter().collect(),
            Self::Together(together) => {
                let mut listed: Vec<&Entry> = together.newest.iter().collect();
                listed.sort_by_key(|entry| entry.at());
                listed
            }
            Self::InOrder(order) => order.longest().iter().collect(),
        }
    }

    /// For how many events the window stands, and since when.
    pub(super) fn extent(&self) -> (u64, Option<i64>) {
        let (count, first) = match self {
            Self::Events(events) => (events.len(), events.first()),
            Self::Values(values) => {
                let (count, _) = values.count();
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
                let count = count as usize;
                let many =
                    values.many.as_ref().and_then(|many| many.sightings.front()).map(|(time, _)| *time);
                (count, many.or_else(|| values.recent.front().map(|entry| entry.time)))
            }
            Self::Numbers(numbers) => {
                (numbers.events.len().saturating_mul(1 << numbers.level.min(20)), numbers.events.first())
            }
            Self::Together(_) | Self::InOrder(_) => {
                let listed = self.listed();
                (listed.len(), listed.first().map(|entry| entry.time))
            }
        };
        (count as u64, first)
    }

    /// Whether the evidence of an event at `time` with this value is worth keeping.
    pub(super) fn wants_evidence(&self, value: u64, time: i64, terms: &Terms) -> bool {
        let recent = match self {
            Self::Values(values) => {
                return values.wants_evidence(value, time.saturating_sub(terms.timespan_nanos));
            }
            Self::Events(Timeline { recent, .. }) => recent,
            Self::Numbers(numbers) => &numbers.events.recent,
            Self::Together(_) | Self::InOrder(_) => return true,
        };
        recent.len() < Finding::MAX_EVIDENCES
            || recent.iter().filter(|entry| entry.evidence.is_some()).count() < Finding::MAX_EVIDENCES
    }

    /// What it takes on the heap.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Events(events) => events.bytes(),
            Self::Values(values) => values.bytes(),
            Self::Numbers(numbers) => size_of::<Numbers>() + numbers.events.bytes(),
            Self::Together(together) => together.newest.capacity() * size_of::<Entry>(),
            Self::InOrder(order) => size_of::<InOrder>() + order.bytes(),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "windows hold at most a million events")]
fn whole(count: usize) -> f64 {
    count as f64
}

//! Correlation: counting events, or different values, of groups within sliding windows of event time.
//!
//! One idea: a window holds no more than it takes to decide. A group remembers the events that still count towards
//! its threshold; when the threshold is reached, a finding is raised, the events are forgotten and the group stays
//! *raised*: further events only extend it. It is ready to raise again once its window has emptied, that is, when the
//! next event comes later than one time span after the last. So memory a group is bounded by the threshold, counts are
//! exact, and an attack that goes on raises one finding, not one for each event.
//!
//! Time is event time. Events may come out of order: one that is older than the newest of its group by less than the
//! time span is counted where it belongs, an older one is not counted. An event that lacks a group-by field (or, for
//! value_count, a counted field) belongs to no group and is not counted. Groups and values compare without regard to
//! case, as Sigma does everywhere.
//!
//! Memory is bounded by [`Limits`]; when it is full, the group that was quiet longest is forgotten, and counted in
//! [`Correlator::evicted`]. Groups whose window has closed go little by little as events come.
//! An event's time counts as no later than its arrival, so that no sender can move a window into the future.

mod state;
mod window;

use std::sync::Arc;

use rustc_hash::FxHashMap;
use wanglou_model::{Entity, Event, EventUid, Evidence, Finding, FindingUid, Place, Record};

use crate::engine::verdict;
use crate::sigma::Comparison;
use crate::text::fold;
use crate::{Engine, RuleIndex};
use state::RuleState;
use window::{Counted, Terms};

/// What a correlation rule counts, and where.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The correlation itself.
    pub(crate) rule: RuleIndex,
    /// By counted rule: the columns of its fields.
    pub(crate) inputs: FxHashMap<RuleIndex, Input>,
    /// Different values are counted, not events.
    pub(crate) counts_values: bool,
    /// The names of the group-by fields.
    pub(crate) group_by: Vec<String>,
    pub(crate) timespan_nanos: i64,
    /// All must hold for the count.
    pub(crate) conditions: Vec<(Comparison, u64)>,
}

/// Where a correlation finds its fields in the events of one rule.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) group: Vec<u32>,
    pub(crate) counted: Vec<u32>,
}

/// How much a correlator may remember.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Groups of one rule.
    pub groups: usize,
    /// Events and values of all rules together.
    pub events: usize,
    /// Events whose evidence is kept whole (some 2 KiB each); of the others, place and time are.
    pub evidences: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { groups: 200_000, events: 1_000_000, evidences: 20_000 }
    }
}

/// The state of all correlation rules.
#[derive(Debug)]
pub struct Correlator {
    engine: Arc<Engine>,
    limits: Limits,
    /// By plan.
    rules: Vec<RuleState>,
    /// The number of the last event counted.
    sequence: u64,
    events: usize,
    evidences: usize,
    evicted: u64,
}

/// One event as a correlation sees it.
struct Observed<'a> {
    hit: RuleIndex,
    record: &'a Record,
    event: &'a Event,
    place: Option<&'a Place>,
}

impl Correlator {
    /// No events seen.
    #[must_use]
    pub fn new(engine: Arc<Engine>) -> Self {
        Self::with_limits(engine, Limits::default())
    }

    /// No events seen; remembers as much as the limits say.
    #[must_use]
    pub fn with_limits(engine: Arc<Engine>, limits: Limits) -> Self {
        let rules = engine.plans().iter().map(|_| RuleState::default()).collect();
        Self { engine, limits, rules, sequence: 0, events: 0, evidences: 0, evicted: 0 }
    }

    /// How many groups were forgotten for want of room while their window was still open.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// How many groups are remembered now.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.rules.iter().map(RuleState::len).sum()
    }

    /// Takes the hits of one event, in order of event time (small disorder is tolerated), and gives the findings that
    /// reach their threshold. An event that several rules of one correlation match counts once there.
    pub fn observe(
        &mut self,
        hits: &[RuleIndex],
        record: &Record,
        event: &Event,
        place: Option<&Place>,
        out: &mut Vec<Finding>,
    ) {
        let engine = Arc::clone(&self.engine);
        for (index, plan) in engine.plans().iter().enumerate() {
            if let Some(hit) = hits.iter().copied().find(|hit| plan.inputs.contains_key(hit)) {
                out.extend(self.count(&engine, index, plan, &Observed { hit, record, event, place }));
            }
        }
    }

    fn count(
        &mut self,
        engine: &Engine,
        index: usize,
        plan: &Plan,
        observed: &Observed<'_>,
    ) -> Option<Finding> {
        let Observed { hit, record, event, .. } = *observed;
        let input = plan.inputs.get(&hit)?;
        let group = engine.texts(&input.group, record)?;
        let value = if plan.counts_values {
            let values = engine.texts(&input.counted, record)?;
            // The lengths keep (`ab`, `c`) apart from (`a`, `bc`).
            Some(
                values
                    .iter()
                    .map(|value| format!("{}:{}", value.len(), fold(value)))
                    .collect::<String>()
                    .into(),
            )
        } else {
            None
        };
        self.sequence += 1;
        let arrival = event.arrival.nanos();
        let time = event.time.nanos().min(arrival);
        self.make_room(index, plan, time, arrival);

        let is_whole = self.evidences < self.limits.evidences;
        let evidence = if is_whole {
            engine.evidence(hit, record, event, observed.place.cloned())
        } else {
            outline(event, observed.place)
        };
        let counted = Counted { evidence, is_whole, value };
        let terms = Terms { timespan_nanos: plan.timespan_nanos, conditions: &plan.conditions };
        let key: Vec<String> = group.iter().map(|value| fold(value)).collect();
        let state = self.rules.get_mut(index)?;
        let window = &mut state.touch(&key, self.sequence, arrival).window;
        let before = window.size();
        let complete = window.add(time, self.sequence, counted, terms);
        let after = window.size();
        self.events = self.events + after.0 - before.0;
        self.evidences = self.evidences + after.1 - before.1;
        complete.map(|events| finding(engine, plan, &group, events, observed))
    }

    /// Forgets groups whose window has closed, and open ones when there is no room for one event more.
    fn make_room(&mut self, index: usize, plan: &Plan, time: i64, arrival: i64) {
        // Two for each event that comes: closed groups go faster than new ones can come.
        for _ in 0..2 {
            let closed = self.rules.get_mut(index).and_then(|state| {
                state.remove_closed(
                    time.saturating_sub(plan.timespan_nanos),
                    arrival.saturating_sub(plan.timespan_nanos),
                )
            });
            let Some(group) = closed else { break };
            self.release(&group);
        }
        if self.rules.get(index).is_some_and(|state| state.len() >= self.limits.groups) {
            self.evict(index, time);
        }
        while self.events >= self.limits.events {
            let oldest =
                self.rules.iter().enumerate().filter_map(|(index, state)| Some((state.oldest()?, index)));
            let Some((_, oldest)) = oldest.min() else { return };
            self.evict(oldest, time);
        }
    }

    fn evict(&mut self, index: usize, time: i64) {
        let Some(group) = self.rules.get_mut(index).and_then(RuleState::remove_oldest) else { return };
        let timespan = self.engine.plans().get(index).map_or(0, |plan| plan.timespan_nanos);
        let is_open = group.window.newest().is_some_and(|newest| newest.saturating_add(timespan) >= time);
        self.evicted += u64::from(is_open);
        self.release(&group);
    }

    fn release(&mut self, group: &state::Group) {
        let (events, evidences) = group.window.size();
        self.events -= events;
        self.evidences -= evidences;
    }
}

/// What is kept of an event when there is no room for its whole evidence.
fn outline(event: &Event, place: Option<&Place>) -> Evidence {
    Evidence {
        event: event.uid,
        time: event.time,
        place: place.cloned(),
        product: event.product.id.clone(),
        matches: Vec::new(),
        artifacts: serde_json::Map::new(),
    }
}

/// The finding of a group that reached its threshold with this event. Its id depends on the events that stand as
/// evidence, so that the same events read again make the same finding.
fn finding(
    engine: &Engine,
    plan: &Plan,
    group: &[String],
    events: Vec<Counted>,
    observed: &Observed<'_>,
) -> Finding {
    let rule = engine.rule(plan.rule);
    let event = observed.event;
    let times = || events.iter().map(|counted| counted.evidence.time);
    let (first_seen, last_seen) = (times().min().unwrap_or(event.time), times().max().unwrap_or(event.time));
    let count = events.len() as u64;
    let evidences: Vec<Evidence> =
        events.into_iter().map(|counted| counted.evidence).take(Finding::MAX_EVIDENCES).collect();
    let uids: Vec<EventUid> = evidences.iter().map(|evidence| evidence.event).collect();
    let group: Vec<(String, String)> = plan.group_by.iter().cloned().zip(group.iter().cloned()).collect();
    let key: String =
        group.iter().map(|(field, value)| format!("{field}={}:{value};", value.len())).collect();
    let (outcome, outcome_proof) = verdict::outcome(observed.record, event);
    Finding {
        uid: FindingUid::of(&rule.id, &rule.version, &uids, &key),
        rule: Arc::clone(rule),
        severity: rule.severity,
        first_seen,
        last_seen,
        count,
        evidences,
        group,
        entities: Entity::of_event(event),
        direction: verdict::direction(event),
        outcome,
        outcome_proof,
    }
}

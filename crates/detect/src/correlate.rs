//! Correlation: what groups of events reach within sliding windows of event time.
//!
//! # Time
//! Time is event time, but an event counts as no later than its arrival, so that no sender can move a window into the
//! future. Events come out of order. Where order matters a hit therefore waits for [`Limits::lateness_nanos`] after its
//! arrival; what has waited is counted in order of event time, with everything that is older. Events whose delays
//! differ by less than that are counted in the order in which they happened, in whatever order they came. Order matters
//! to `temporal_ordered`, to upper bounds (`lt`, `lte`, `eq`, `neq`), to sums, means and percentiles, and to
//! correlations of correlations; `event_count`, `value_count` and `temporal` with lower bounds alone are reached by
//! more events in whatever order, so they count at once and raise with the event that completes them. The clock is the
//! arrival of events, never the machine's: the same log gives the same findings, at whatever speed it is read. An event
//! that comes later still is counted where it belongs if that is within a time span of the newest of its group (never
//! for `temporal_ordered`, whose earlier steps have been forgotten); otherwise it is not, and [`Stats::late`] says so.
//!
//! # What is reached
//! - A window holds the events of one time span, both ends included. An event that lacks a group-by field, or the
//!   field that is counted, is not counted. Groups and values compare without regard to case. Without `group-by` all
//!   events are one group.
//! - `event_count`: an event that several rules of one correlation match counts once. `value_count` with several
//!   fields counts their different combinations. `temporal` counts the different rules; without a condition all must
//!   have matched; one event may stand for several. `temporal_ordered` counts how many of the rules matched in order;
//!   events of the same instant may stand in any order, one event alone is no sequence.
//! - `value_sum`, `value_avg`, `value_percentile` with `percentile: P` (as pySigma has it; nearest rank) compare the
//!   number over the window. `value_percentile` without `percentile` is the specification's example: the share, in per
//!   cent, that this event's value has among all values of the window.
//! - Expressions over rule names and `value_median` are no part of Sigma 2.1 and are refused.
//! - A correlation of correlations counts the events with which the inner one holds. Its group-by fields are read from
//!   that event. The inner one is silent unless `generate` is set.
//!
//! # Findings
//! A finding is raised when the conditions hold, once an *episode*: it ends when they have not held for one time span.
//! Meanwhile the finding is extended: when its events have doubled, or a minute after it was last told of, another
//! finding with the same id and [`is_extension`](wanglou_model::Correlated::is_extension) brings the count of events
//! since and the time of the newest. What comes after the last of these, less than a minute's events, is not told.
//! The matches of an event that comes while an episode goes on are not kept, only which, when and where it was.
//!
//! # Memory
//! A window holds no more than it takes to decide: for `gte: 10` ten events. Up to 8,192 different values (4,096
//! numbers) of a group are held exactly, beyond that a sample; the finding then says how wrong it may be. A sample
//! becomes exact again when its window has emptied. Bounds are [`Limits`]; when they are reached the group that was
//! quiet longest is forgotten, and counted in [`Stats::evicted`]. Groups whose window has closed go little by little.
//! [`Correlator::snapshot`] and [`Correlator::restore`] carry everything over a restart.

mod entry;
mod groups;
mod hit;
mod numbers;
mod report;
mod sequence;
mod snapshot;
mod timeline;
mod values;
mod window;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use rustc_hash::FxHashMap;
use wanglou_model::{Event, Finding, Place, Record, Timestamp};

use crate::{Engine, RuleIndex};
use groups::{Episode, Group, Groups};
use hit::{Fed, Hit, Observed, Reader};
pub use snapshot::{SnapshotError, seal};
pub(crate) use window::Terms;
use window::{Added, Window};

/// What a correlation rule counts, and where.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The correlation itself.
    pub(crate) rule: RuleIndex,
    /// The rules it names, in its order.
    pub(crate) parts: Vec<RuleIndex>,
    /// By detection rule: as what it counts.
    pub(crate) feeds: FxHashMap<RuleIndex, Vec<Feed>>,
    /// The names of the group-by fields.
    pub(crate) group_by: Vec<String>,
    pub(crate) terms: Terms,
    /// Its events are counted in their order, after waiting for late ones.
    pub(crate) waits: bool,
}

impl Plan {
    /// The plans that it counts.
    pub(crate) fn vias(&self) -> impl Iterator<Item = u32> + '_ {
        self.feeds.values().flatten().filter_map(|feed| feed.via)
    }
}

/// Where a correlation finds its fields in the events of one rule.
#[derive(Clone, Debug)]
pub(crate) struct Feed {
    /// Which of the correlation's rules the event stands for.
    pub(crate) part: u16,
    /// That rule is a correlation: the plan that must hold with the event.
    pub(crate) via: Option<u32>,
    pub(crate) group: Vec<u32>,
    pub(crate) counted: Vec<u32>,
}

/// How much a correlator may remember, and how long it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Groups of one rule.
    pub groups: usize,
    /// Bytes of all groups of all rules, estimated.
    pub bytes: usize,
    /// Events whose evidence is kept whole (some 2 KiB each); of the others, place and time are.
    pub evidences: usize,
    /// How long a hit waits for older ones, in nanoseconds.
    pub lateness_nanos: i64,
    /// Hits that wait; when there are more, the oldest wait no longer.
    pub waiting: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { groups: 1_000_000, bytes: 300 << 20, evidences: 20_000, lateness_nanos: 0, waiting: 100_000 }
    }
}

/// A correlator in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Groups forgotten for want of room while their window was still open.
    pub evicted: u64,
    /// Events that came too late to be counted.
    pub late: u64,
    /// Hits that could not wait as long as they should.
    pub hurried: u64,
    /// Groups remembered now.
    pub groups: u64,
    /// What they take, estimated.
    pub bytes: u64,
    /// Hits that wait now.
    pub waiting: u64,
}

/// The state of all correlation rules.
#[derive(Debug)]
pub struct Correlator {
    engine: Arc<Engine>,
    limits: Limits,
    reader: Reader,
    /// By plan.
    rules: Vec<Groups>,
    /// The latest arrival.
    clock: i64,
    /// Hits that wait, in order of their time.
    waiting: BTreeMap<(i64, [u64; 2]), Hit>,
    /// In order of arrival: until when each waits.
    until: VecDeque<(i64, (i64, [u64; 2]))>,
    bytes: usize,
    stats: Stats,
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
        Self {
            reader: Reader::new(&engine, limits.evidences),
            rules: engine.plans().iter().map(|_| Groups::default()).collect(),
            engine,
            limits,
            clock: i64::MIN,
            waiting: BTreeMap::new(),
            until: VecDeque::new(),
            bytes: 0,
            stats: Stats::default(),
        }
    }

    /// The correlator in numbers, now.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let groups = self.rules.iter().map(Groups::len).sum::<usize>();
        Stats {
            groups: groups as u64,
            bytes: self.bytes as u64,
            waiting: self.waiting.len() as u64,
            ..self.stats
        }
    }

    /// Takes the hits of one event, and gives the findings of all that has waited long enough.
    pub fn observe(
        &mut self,
        hits: &[RuleIndex],
        record: &Record,
        event: &Event,
        place: Option<&Place>,
        out: &mut Vec<Finding>,
    ) {
        self.advance(event.arrival, out);
        let engine = Arc::clone(&self.engine);
        let time = event.time.nanos().min(event.arrival.nanos());
        let observed = Observed { hits, record, event, place, time };
        let rules = &self.rules;
        let wants = |fed: &Fed| {
            let (Some(groups), Some(plan)) =
                (rules.get(fed.plan as usize), engine.plans().get(fed.plan as usize))
            else {
                return false;
            };
            groups.get(&fed.key).is_none_or(|group| {
                group.episode.is_none() && group.window.wants_evidence(fed.value, time, &plan.terms)
            })
        };
        let Some(mut hit) = self.reader.read(&engine, &observed, wants) else { return };
        let mut waiting = Vec::new();
        if self.limits.lateness_nanos > 0 {
            let waits = |fed: &mut Fed| engine.plans().get(fed.plan as usize).is_some_and(|plan| plan.waits);
            waiting = hit.feeds.extract_if(.., waits).collect();
        }
        let found = out.len();
        self.count(&engine, &hit, out);
        out.iter_mut().skip(found).for_each(|finding| observed.tail().complete(finding));
        if waiting.is_empty() {
            return;
        }
        let at = hit.at();
        let hit = Hit { tail: Some(observed.tail()), feeds: waiting, ..hit };
        if self.waiting.insert(at, hit).is_none() {
            self.until.push_back((self.clock.saturating_add(self.limits.lateness_nanos), at));
        }
        while self.waiting.len() > self.limits.waiting
            && let Some((_, oldest)) = self.waiting.pop_first()
        {
            self.stats.hurried += 1;
            self.count(&engine, &oldest, out);
        }
    }

    /// Moves the clock and gives the findings of all that has waited long enough.
    pub fn advance(&mut self, arrival: Timestamp, out: &mut Vec<Finding>) {
        self.clock = self.clock.max(arrival.nanos());
        let mut horizon = None;
        while let Some((_, at)) = self.until.front().copied().filter(|(until, _)| *until <= self.clock) {
            self.until.pop_front();
            horizon = horizon.max(Some(at));
        }
        let engine = Arc::clone(&self.engine);
        while let Some(oldest) = self.waiting.first_entry().filter(|oldest| Some(*oldest.key()) <= horizon) {
            let hit = oldest.remove();
            self.count(&engine, &hit, out);
        }
    }

    /// When the first of the hits that wait will have waited long enough, by the clock.
    #[must_use]
    pub fn due(&self) -> Option<Timestamp> {
        self.until.front().map(|(until, _)| Timestamp::from_nanos(*until))
    }

    /// Waits no longer: gives the findings of all hits.
    pub fn finish(&mut self, out: &mut Vec<Finding>) {
        self.until.clear();
        let engine = Arc::clone(&self.engine);
        while let Some((_, hit)) = self.waiting.pop_first() {
            self.count(&engine, &hit, out);
        }
    }

    /// Counts one event into everything that it feeds, inner correlations first.
    fn count(&mut self, engine: &Engine, hit: &Hit, out: &mut Vec<Finding>) {
        let mut held: Vec<u32> = Vec::new();
        let mut counted = None;
        for fed in &hit.feeds {
            let Some(plan) = engine.plans().get(fed.plan as usize) else { continue };
            let is_temporal = matches!(
                plan.terms.aggregate,
                crate::sigma::Aggregate::Temporal | crate::sigma::Aggregate::TemporalOrdered
            );
            if fed.via.is_some_and(|via| !held.contains(&via)) || (!is_temporal && counted == Some(fed.plan))
            {
                continue;
            }
            counted = Some(fed.plan);
            self.make_room(fed, plan, hit.time);
            let (holds, finding) = self.count_one(engine, plan, hit, fed);
            if holds && !held.contains(&fed.plan) {
                held.push(fed.plan);
            }
            out.extend(finding.filter(|_| !engine.is_silent(plan.rule)));
        }
    }

    /// Counts an event into one group; whether the conditions hold with it, and the finding to give.
    fn count_one(&mut self, engine: &Engine, plan: &Plan, hit: &Hit, fed: &Fed) -> (bool, Option<Finding>) {
        let terms = &plan.terms;
        let Some(groups) = self.rules.get_mut(fed.plan as usize) else { return (false, None) };
        let before = groups.get(&fed.key).map_or(0, Group::bytes);
        let clock = self.clock;
        let make = || Group::new(fed.key, Window::new(&terms.aggregate), hit.time, clock);
        let Some(group) = groups.touch(fed.key, make) else { return (false, None) };
        let is_late = hit.time < group.newest;
        if hit.time < group.newest.saturating_sub(terms.timespan_nanos)
            || (is_late && !group.window.takes_late())
        {
            self.stats.late += 1;
            return (false, None);
        }
        group.newest = group.newest.max(hit.time);
        group.arrival = clock;
        let Added::Counted(reached) = group.window.add(hit.entry(fed), group.newest, terms) else {
            return (false, None);
        };
        let newest = group.newest;
        if group.episode.as_ref().is_some_and(|e| newest > e.held.saturating_add(terms.timespan_nanos)) {
            group.episode = None;
        }
        let finding = match (&mut group.episode, reached) {
            (Some(episode), reached) => {
                if reached.is_some() {
                    episode.held = newest;
                }
                report::extended(engine, plan, episode, (hit, fed), reached)
            }
            (None, None) => None,
            (None, Some(reached)) => {
                let finding = report::raised(engine, plan, group, hit, fed, reached);
                group.episode = Some(Box::new(Episode {
                    finding: finding.uid.as_u128(),
                    held: newest,
                    reported: finding.count,
                    unreported: 0,
                    reported_at: newest,
                }));
                Some(finding)
            }
        };
        self.bytes = (self.bytes + group.bytes()).saturating_sub(before);
        (reached.is_some(), finding)
    }

    /// Forgets groups whose window has closed, and open ones when there is no room for one more.
    fn make_room(&mut self, fed: &Fed, plan: &Plan, time: i64) {
        let index = fed.plan as usize;
        let Some(groups) = self.rules.get_mut(index) else { return };
        // Two for each event that comes: closed groups go faster than new ones can come.
        for _ in 0..2 {
            let is_closed = groups.oldest().is_some_and(|group| {
                let span = plan.terms.timespan_nanos.saturating_add(self.limits.lateness_nanos);
                let closes = |at: i64| at.saturating_add(span);
                group.key != fed.key && closes(group.newest) < time && closes(group.arrival) < self.clock
            });
            let Some(group) = is_closed.then(|| groups.remove_oldest()).flatten() else { break };
            self.bytes = self.bytes.saturating_sub(group.bytes());
        }
        if groups.len() >= self.limits.groups && groups.get(&fed.key).is_none() {
            self.evict(index, time);
        }
        while self.bytes >= self.limits.bytes {
            let ages = self.rules.iter().zip(0..).filter_map(|(groups, index)| {
                Some((groups.oldest().filter(|group| group.key != fed.key)?.arrival, index))
            });
            let Some((_, oldest)) = ages.min() else { return };
            self.evict(oldest, time);
        }
    }

    fn evict(&mut self, index: usize, time: i64) {
        let Some(group) = self.rules.get_mut(index).and_then(Groups::remove_oldest) else { return };
        let timespan = self.engine.plans().get(index).map_or(0, |plan| plan.terms.timespan_nanos);
        self.stats.evicted += u64::from(group.newest.saturating_add(timespan) >= time);
        self.bytes = self.bytes.saturating_sub(group.bytes());
    }
}

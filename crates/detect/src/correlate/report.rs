//! From a group whose conditions hold to its finding.

use std::sync::Arc;

use wanglou_model::{
    Correlated, CorrelatedEvent, Direction, EventUid, Evidence, Finding, FindingUid, Outcome, Timestamp,
};

use super::Plan;
use super::entry::Entry;
use super::groups::{Episode, Group};
use super::hit::{Fed, Hit};
use super::window::Reached;
use crate::Engine;

/// An episode that goes on is told of again when so much time has passed …
const TELL_AFTER_NANOS: i64 = 60 * 1_000_000_000;

/// The finding of a group that begins an episode with this event. Its id depends on the events that stand as evidence,
/// so that the same events read again make the same finding.
pub(super) fn raised(
    engine: &Engine,
    plan: &Plan,
    group: &Group,
    hit: &Hit,
    fed: &Fed,
    reached: Reached,
) -> Finding {
    let listed = group.window.listed();
    let evidences: Vec<Evidence> =
        listed.iter().take(Finding::MAX_EVIDENCES).map(|entry| entry.evidence(engine)).collect();
    let uids: Vec<EventUid> = evidences.iter().map(|evidence| evidence.event).collect();
    let (count, first) = group.window.extent();
    let mut finding = outline(engine, plan, hit, fed, reached);
    let key: String =
        finding.group.iter().map(|(field, value)| format!("{field}={}:{value};", value.len())).collect();
    finding.uid = FindingUid::of(&finding.rule.id, &finding.rule.version, &uids, &key);
    finding.first_seen = Timestamp::from_nanos(first.unwrap_or(hit.time));
    finding.last_seen = Timestamp::from_nanos(group.newest);
    finding.count = count;
    finding.evidences = evidences;
    if let Some(correlation) = &mut finding.correlation {
        correlation.events = listed.into_iter().map(|entry| named(engine, plan, entry)).collect();
    }
    finding
}

/// Counts an event into an episode; the finding that extends the one raised, when it is time to tell.
pub(super) fn extended(
    engine: &Engine,
    plan: &Plan,
    episode: &mut Episode,
    (hit, fed): (&Hit, &Fed),
    reached: Option<Reached>,
) -> Option<Finding> {
    episode.unreported += 1;
    // … or when there were as many events again as it has told of.
    let is_due = hit.time.saturating_sub(episode.reported_at) >= TELL_AFTER_NANOS
        || episode.unreported >= episode.reported;
    let reached = reached.filter(|_| is_due)?;
    let mut finding = outline(engine, plan, hit, fed, reached);
    finding.uid = FindingUid::from_u128(episode.finding);
    finding.first_seen = Timestamp::from_nanos(episode.reported_at.min(hit.time));
    finding.count = episode.unreported;
    if let Some(correlation) = &mut finding.correlation {
        correlation.is_extension = true;
    }
    episode.reported = episode.reported.saturating_add(episode.unreported);
    episode.unreported = 0;
    episode.reported_at = hit.time;
    Some(finding)
}

fn outline(engine: &Engine, plan: &Plan, hit: &Hit, fed: &Fed, reached: Reached) -> Finding {
    let rule = engine.rule(plan.rule);
    let terms = &plan.terms;
    let correlation = Correlated {
        kind: terms.aggregate.name().to_owned(),
        condition: terms.text(),
        timespan_secs: terms.timespan_nanos / 1_000_000_000,
        reached: reached.value,
        error: reached.error,
        events: Vec::new(),
        is_extension: false,
    };
    let time = Timestamp::from_nanos(hit.time);
    let mut finding = Finding {
        uid: FindingUid::from_u128(0),
        rule: Arc::clone(rule),
        severity: rule.severity,
        first_seen: time,
        last_seen: time,
        count: 0,
        evidences: Vec::new(),
        group: plan.group_by.iter().cloned().zip(fed.group.iter().cloned()).collect(),
        correlation: Some(Box::new(correlation)),
        entities: Vec::new(),
        direction: Direction::Unknown,
        outcome: Outcome::Unknown,
        outcome_proof: String::new(),
        suppressions: Vec::new(),
    };
    if let Some(tail) = &hit.tail {
        tail.clone().complete(&mut finding);
    }
    finding
}

fn named(engine: &Engine, plan: &Plan, entry: &Entry) -> CorrelatedEvent {
    let rule = plan.parts.get(usize::from(entry.part)).map(|part| engine.rule(*part));
    CorrelatedEvent {
        rule: rule.map(|rule| (rule.id.clone(), rule.title.clone())).unwrap_or_default(),
        event: entry.event(),
        time: Timestamp::from_nanos(entry.time),
        place: entry.place(),
    }
}

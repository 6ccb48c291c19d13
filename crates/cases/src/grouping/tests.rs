use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use proptest::prelude::*;
use wanglou_model::{Entity, EntityKind, EntityRole, Finding, FindingUid, IncidentId, Timestamp};

use crate::fixtures::{actor, at, finding, host, incident_of, secs, target, user};
use crate::*;

/// Incidents in memory.
#[derive(Clone, Debug, Default, PartialEq)]
struct Memory {
    incidents: BTreeMap<IncidentId, Incident>,
    members: BTreeMap<FindingUid, IncidentId>,
}

impl IncidentRepository for Memory {
    type Error = Infallible;

    async fn incident_of(&self, finding: FindingUid) -> Result<Option<IncidentId>, Infallible> {
        Ok(self.members.get(&finding).copied())
    }

    async fn candidates(
        &self,
        keys: &[LinkKey],
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Incident>, Infallible> {
        let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
        let is_candidate = |incident: &&Incident| {
            incident.state.is_open()
                && incident.last_seen >= from
                && incident.first_seen <= to
                && incident.keys().iter().any(|key| keys.contains(key))
        };
        Ok(self.incidents.values().filter(is_candidate).cloned().collect())
    }

    async fn put(&mut self, incident: &Incident, finding: FindingUid) -> Result<(), Infallible> {
        self.incidents.insert(incident.id, incident.clone());
        self.members.insert(finding, incident.id);
        Ok(())
    }
}

impl Memory {
    fn take(&mut self, grouping: &Grouping, finding: &Finding) -> IncidentId {
        let taken = ready(take(self, grouping, finding, secs(1_000_000)));
        match taken {
            Taken::AlreadyIn(id) => id,
            Taken::Joined(incident) | Taken::Opened(incident) => incident.id,
        }
    }

    fn after(findings: &[Finding]) -> Self {
        let mut memory = Self::default();
        for finding in findings {
            memory.take(&Grouping::default(), finding);
        }
        memory
    }
}

/// The result of a future that never waits.
fn ready<T>(future: impl Future<Output = Result<T, Infallible>>) -> T {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(Ok(value)) => value,
        Poll::Pending => panic!("the memory repository never waits"),
    }
}

fn how_many(findings: &[Finding]) -> usize {
    Memory::after(findings).incidents.len()
}

#[test]
fn an_attack_from_one_address_and_its_traces_on_the_host_are_one_story() {
    let story = [
        finding(1, &[actor("203.0.113.9"), target("10.0.0.9"), host("web-01")]),
        finding(60, &[actor("203.0.113.9"), host("web-01")]),
        finding(90, &[host("web-01"), user("www-data")]),
        finding(120, &[actor("10.0.0.9"), target("10.0.0.20"), host("db-01")]),
    ];
    assert_eq!(how_many(&story), 1);
}

#[test]
fn different_attackers_of_one_host_are_different_stories() {
    let a = finding(1, &[actor("203.0.113.9"), host("web-01")]);
    let b = finding(2, &[actor("198.51.100.7"), host("web-01")]);
    assert_eq!(how_many(&[a.clone(), b.clone()]), 2);
    let same_user = [
        finding(3, &[actor("203.0.113.9"), user("corp\\li")]),
        finding(4, &[actor("198.51.100.7"), user("corp\\li")]),
    ];
    assert_eq!(how_many(&same_user), 1, "one account used from two addresses");
    let root = [finding(3, &[host("a"), user("root")]), finding(4, &[host("b"), user("root")])];
    assert_eq!(how_many(&root), 2, "root is everybody's account");
}

#[test]
fn a_noisy_scan_stays_one_incident_and_does_not_swallow_its_targets() {
    let mut findings: Vec<Finding> =
        (0..300).map(|n| finding(n, &[actor("10.9.9.9"), host(&format!("h{}", n % 100))])).collect();
    assert_eq!(how_many(&findings), 1);
    findings.push(finding(301, &[host("h42"), user("corp\\li")]));
    findings.push(finding(302, &[host("h43"), user("corp\\wang")]));
    assert_eq!(how_many(&findings), 3);
}

#[test]
fn a_hub_joins_only_what_was_opened_for_it() {
    let many = (0..8).map(|n| finding(n, &[actor(&format!("203.0.113.{n}")), host("portal")]));
    let quiet = (100..110).map(|n| finding(n, &[host("portal")]));
    let memory = Memory::after(&many.chain(quiet).collect::<Vec<_>>());
    assert_eq!(memory.incidents.len(), 9);
    let own: Vec<_> = memory.incidents.values().filter(|one| one.anchor == "host:portal").collect();
    assert_eq!(own.len(), 1);
    assert_eq!(own[0].finding_count, 10);
}

#[test]
fn infrastructure_joins_nothing() {
    let mut grouping = Grouping::default();
    grouping.infrastructure.insert((EntityKind::Address, "10.0.0.53".into()));
    let mut memory = Memory::default();
    for n in 0..4 {
        memory.take(&grouping, &finding(n, &[actor("10.0.0.53"), host(&format!("h{n}"))]));
    }
    assert_eq!(memory.incidents.len(), 4);
}

#[test]
fn time_separates() {
    let hour = 3_600;
    let on_host = |second: i64| at(finding(u32::try_from(second).unwrap(), &[host("a")]), second);
    assert_eq!(how_many(&[on_host(0), on_host(7 * hour), on_host(14 * hour)]), 1);
    assert_eq!(how_many(&[on_host(0), on_host(9 * hour)]), 2);
    assert_eq!(how_many(&[on_host(14 * hour), on_host(7 * hour), on_host(0)]), 1, "late events too");
    let endless: Vec<Finding> = (0..30).map(|n| on_host(n * 6 * hour)).collect();
    assert!(how_many(&endless) >= 2, "an endless story is cut");
}

#[test]
fn a_closed_incident_takes_nothing_more() {
    let first = finding(1, &[host("a")]);
    let mut incident = incident_of(&first);
    incident.transition(State::Closed, "li", "误报", secs(20)).unwrap();
    let answer = Grouping::default().assign(&finding(2, &[host("a")]), &[incident]);
    assert!(matches!(answer, Assignment::Open(_)));
}

#[test]
fn findings_without_entities_gather_by_rule() {
    assert_eq!(how_many(&[finding(1, &[]), finding(2, &[]), finding(3, &[host("a")])]), 2);
}

fn entities() -> impl Strategy<Value = Vec<Entity>> {
    let kind = prop_oneof![
        Just(EntityKind::Address),
        Just(EntityKind::User),
        Just(EntityKind::Host),
        Just(EntityKind::Hash),
        Just(EntityKind::Process),
    ];
    let role = prop_oneof![Just(EntityRole::Actor), Just(EntityRole::Target), Just(EntityRole::Related)];
    let entity =
        (kind, role, 0..6_u8).prop_map(|(kind, role, n)| Entity { kind, role, value: format!("e{n}") });
    prop::collection::vec(entity, 0..4)
}

fn findings() -> impl Strategy<Value = Vec<Finding>> {
    prop::collection::vec((0..400_000_u32, entities()), 1..40)
        .prop_map(|all| all.iter().map(|(second, entities)| finding(*second, entities)).collect())
}

proptest! {
    #[test]
    fn every_finding_is_in_exactly_one_incident_and_is_counted_once(findings in findings()) {
        let memory = Memory::after(&findings);
        let distinct: std::collections::BTreeSet<FindingUid> = findings.iter().map(|f| f.uid).collect();
        prop_assert_eq!(memory.members.len(), distinct.len());
        let counted: u64 = memory.incidents.values().map(|incident| incident.finding_count).sum();
        prop_assert_eq!(counted, distinct.len() as u64);
        for incident in memory.incidents.values() {
            prop_assert!(incident.first_seen <= incident.last_seen);
            let span = incident.last_seen.nanos() - incident.first_seen.nanos();
            prop_assert!(span <= Grouping::default().span_nanos);
            prop_assert!(incident.keys().contains(&incident.anchor));
        }
    }

    #[test]
    fn a_replay_changes_nothing(findings in findings(), from in any::<prop::sample::Index>()) {
        let once = Memory::after(&findings);
        let mut again = once.clone();
        for finding in &findings[from.index(findings.len())..] {
            again.take(&Grouping::default(), finding);
        }
        prop_assert_eq!(&once, &again);
    }

    #[test]
    fn the_order_of_candidates_does_not_matter(findings in findings(), last in entities()) {
        let candidates: Vec<Incident> = Memory::after(&findings).incidents.into_values().collect();
        let backwards: Vec<Incident> = candidates.iter().rev().cloned().collect();
        let asked = finding(200_000, &last);
        let grouping = Grouping::default();
        prop_assert_eq!(grouping.assign(&asked, &candidates), grouping.assign(&asked, &backwards));
    }

    #[test]
    fn no_walk_leaves_the_state_machine(steps in prop::collection::vec((0..5_usize, any::<bool>()), 0..30)) {
        let mut incident = incident_of(&finding(1, &[host("a")]));
        for (to, with_reason) in steps {
            let (before, changes) = (incident.state, incident.history.len());
            let to = State::ALL[to];
            let result = incident.transition(to, "li", if with_reason { "因为" } else { "" }, secs(9));
            prop_assert_eq!(result.is_ok(), incident.history.len() == changes + 1);
            prop_assert_eq!(incident.state, if result.is_ok() { to } else { before });
            prop_assert!(result.is_err() || before.next().contains(&to));
        }
    }
}

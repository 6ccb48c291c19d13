use wanglou_cases::State as Stage;
use wanglou_model::{
    Direction, Entity, EntityRole, EventUid, Evidence, Outcome, RuleInfo, RuleKind, Severity,
};

use super::rows::MAX_DEAD_FRAME_BYTES;
use super::*;
use crate::state::{FindingQuery, IncidentChange, IncidentQuery};

fn finding(event: u128, seconds: i64, address: &str) -> Finding {
    let rule = RuleInfo {
        id: "rule-1".into(),
        kind: RuleKind::Sigma,
        version: "1".into(),
        title: "Odd request".into(),
        title_zh: None,
        description: String::new(),
        description_zh: None,
        severity: Severity::High,
        status: "test".into(),
        tags: vec!["attack.initial-access".into()],
        falsepositives: Vec::new(),
        references: Vec::new(),
        author: String::new(),
        file: "rule.yml".into(),
        logsource: String::new(),
        filters: Vec::new(),
    };
    let (event, time) = (EventUid::from_u128(event), Timestamp::from_secs(seconds));
    Finding {
        uid: FindingUid::of(&rule.id, &rule.version, &[event], ""),
        rule: rule.into(),
        severity: Severity::High,
        first_seen: time,
        last_seen: time,
        count: 1,
        evidences: vec![Evidence {
            event,
            time,
            place: None,
            product: "web-access".into(),
            matches: Vec::new(),
            artifacts: serde_json::Map::new(),
        }],
        group: Vec::new(),
        correlation: None,
        entities: vec![Entity { kind: EntityKind::Address, value: address.into(), role: EntityRole::Actor }],
        direction: Direction::Unknown,
        outcome: Outcome::Unknown,
        outcome_proof: String::new(),
        suppressions: Vec::new(),
    }
}

fn outcome(offset: u64, findings: Vec<Finding>) -> BatchOutcome {
    BatchOutcome {
        position: LogPosition { segment: 1, offset },
        source: SourceId::new("web"),
        arrival: Timestamp::from_secs(1),
        lines: 10,
        stored: 9,
        evaluated: 9,
        events: 9,
        late: 2,
        rejected: vec![DeadFrame {
            frame: vec![b'x'; 10_000].into(),
            kind: "unrecognised",
            reason: "unreadable".into(),
        }],
        findings,
        suppressed: Vec::new(),
    }
}

struct Fixture {
    state: State,
    _dir: tempfile::TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(&dir.path().join("state.sqlite")).await.unwrap();
        let now = Timestamp::from_secs(1);
        assert!(state.create_source(&SourceId::new("web"), "folder", None, now).await.unwrap());
        Self { state, _dir: dir }
    }

    async fn apply(&self, outcomes: &[BatchOutcome]) -> Applied {
        self.state.apply(outcomes, None, &Grouping::default(), Timestamp::from_secs(100)).await.unwrap()
    }

    async fn findings(&self) -> Vec<(u64, String)> {
        let query = FindingQuery { limit: 100, ..FindingQuery::default() };
        let rows = self.state.findings(&query).await.unwrap();
        rows.into_iter().map(|row| (row.finding.count, row.incident)).collect()
    }

    async fn incidents(&self) -> Vec<Incident> {
        let query = IncidentQuery { limit: 100, ..IncidentQuery::default() };
        self.state.incidents(&query).await.unwrap()
    }
}

#[tokio::test]
async fn a_batch_that_comes_again_changes_nothing() {
    let fixture = Fixture::new().await;
    let batch = outcome(1, vec![finding(1, 10, "10.0.0.5")]);
    assert_eq!(fixture.apply(std::slice::from_ref(&batch)).await.new_findings, 1);
    let again = fixture.apply(&[batch]).await;
    assert_eq!((again.new_findings, again.findings.len(), again.incidents.len()), (0, 0, 0));
    assert_eq!(fixture.findings().await[0].0, 1);
    let source = fixture.state.sources().await.unwrap().remove(0);
    assert_eq!((source.received, source.stored, source.rejected, source.evaluated), (10, 9, 1, 9));
    let (letters, total) = fixture.state.dead_letters(Some("web"), 10).await.unwrap();
    assert_eq!((letters.len(), total, letters[0].bytes), (1, 1, 10_000));
    assert_eq!(letters[0].frame.len(), MAX_DEAD_FRAME_BYTES);
    let applied = fixture.state.applied_batches().await.unwrap();
    assert_eq!(applied, HashSet::from([LogPosition { segment: 1, offset: 1 }]));
    fixture.state.forget_applied(1).await.unwrap();
    assert_eq!(fixture.state.applied_batches().await.unwrap().len(), 1);
}

#[tokio::test]
async fn findings_about_the_same_things_fold_within_an_hour_and_not_beyond() {
    let fixture = Fixture::new().await;
    fixture.apply(&[outcome(1, vec![finding(1, 10, "10.0.0.5"), finding(2, 20, "10.0.0.5")])]).await;
    fixture.apply(&[outcome(2, vec![finding(3, 30, "10.0.0.5"), finding(4, 40, "10.0.0.6")])]).await;
    fixture.apply(&[outcome(3, vec![finding(5, 30 + 3_601, "10.0.0.5")])]).await;
    let mut counts: Vec<u64> = fixture.findings().await.into_iter().map(|(count, _)| count).collect();
    counts.sort_unstable();
    assert_eq!(counts, [1, 1, 3]);
    let mut incidents = fixture.incidents().await;
    incidents.sort_by_key(|incident| incident.event_count);
    let sums: Vec<_> =
        incidents.iter().map(|incident| (incident.finding_count, incident.event_count)).collect();
    assert_eq!(sums, [(1, 1), (2, 4)]);
}

#[tokio::test]
async fn what_a_person_closed_stays_closed() {
    let fixture = Fixture::new().await;
    fixture.apply(&[outcome(1, vec![finding(1, 10, "10.0.0.5")])]).await;
    let first = fixture.incidents().await.remove(0).id;
    let close = IncidentChange::Stage(Stage::Closed, "false alarm".into());
    fixture.state.change_incident(first, close, "wang", Timestamp::from_secs(50)).await.unwrap();
    fixture.apply(&[outcome(2, vec![finding(2, 20, "10.0.0.5")])]).await;
    let findings = fixture.findings().await;
    assert_eq!(findings.len(), 2);
    assert_ne!(findings[0].1, findings[1].1);
    let closed = fixture.state.incident(first).await.unwrap().unwrap();
    assert_eq!((closed.state, closed.event_count), (Stage::Closed, 1));
}

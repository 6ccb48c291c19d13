//! Findings for the tests of this room.

use std::sync::Arc;

use wanglou_model::{
    Direction, Entity, EntityKind, EntityRole, EventUid, Finding, FindingUid, Outcome, RuleInfo, RuleKind,
    Severity, SourceId, Timestamp,
};

use crate::{Grouping, Incident};

pub(crate) fn secs(secs: i64) -> Timestamp {
    Timestamp::from_secs(secs)
}

pub(crate) fn actor(address: &str) -> Entity {
    Entity { kind: EntityKind::Address, value: address.into(), role: EntityRole::Actor }
}

pub(crate) fn target(address: &str) -> Entity {
    Entity { kind: EntityKind::Address, value: address.into(), role: EntityRole::Target }
}

pub(crate) fn host(name: &str) -> Entity {
    Entity { kind: EntityKind::Host, value: name.into(), role: EntityRole::Target }
}

pub(crate) fn user(name: &str) -> Entity {
    Entity { kind: EntityKind::User, value: name.into(), role: EntityRole::Actor }
}

/// A medium finding of one event at second `n`; equal `n` and entities make the same finding.
pub(crate) fn finding(n: u32, entities: &[Entity]) -> Finding {
    let event = EventUid::at(&SourceId::new("test"), format!("{n}{entities:?}").as_bytes());
    Finding {
        uid: FindingUid::of("rule", "1", &[event], ""),
        rule: Arc::new(RuleInfo {
            id: "rule".into(),
            kind: RuleKind::Sigma,
            version: "1".into(),
            title: "Suspicious command".into(),
            title_zh: None,
            description: String::new(),
            description_zh: None,
            severity: Severity::Medium,
            status: "test".into(),
            tags: vec!["attack.execution".into()],
            falsepositives: Vec::new(),
            references: Vec::new(),
            author: String::new(),
            file: String::new(),
            logsource: String::new(),
            filters: Vec::new(),
        }),
        severity: Severity::Medium,
        first_seen: secs(n.into()),
        last_seen: secs(n.into()),
        count: 1,
        evidences: Vec::new(),
        group: Vec::new(),
        correlation: None,
        entities: entities.to_vec(),
        direction: Direction::Unknown,
        outcome: Outcome::Unknown,
        outcome_proof: String::new(),
        suppressions: Vec::new(),
    }
}

/// The same at another second.
pub(crate) fn at(mut finding: Finding, second: i64) -> Finding {
    (finding.first_seen, finding.last_seen) = (secs(second), secs(second));
    finding
}

/// The same from another rule.
pub(crate) fn rule(mut finding: Finding, id: &str, tag: &str) -> Finding {
    let rule = Arc::make_mut(&mut finding.rule);
    rule.id = id.into();
    rule.title = format!("Rule {id}");
    rule.tags = vec![tag.into()];
    finding
}

/// The same from a rule of this title.
pub(crate) fn named(mut finding: Finding, title: &str, title_zh: Option<&str>) -> Finding {
    let rule = Arc::make_mut(&mut finding.rule);
    rule.id = title.into();
    rule.title = title.into();
    rule.title_zh = title_zh.map(str::to_owned);
    finding
}

/// The incident that a finding opens.
pub(crate) fn incident_of(finding: &Finding) -> Incident {
    Incident::open(finding, &Grouping::default().anchor(finding), secs(10))
}

//! Findings (告警): what a detector says of one or more events, and why.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

use crate::attack::Attacks;
use crate::{Entity, Event, EventUid, FindingUid, Severity, Timestamp, ocsf};

/// What kind of detector made a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleKind {
    /// A Sigma rule on a single event.
    Sigma,
    /// A Sigma correlation rule on a group of events.
    Correlation,
}

/// What people need to know about the rule behind a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleInfo {
    /// The Sigma id (a UUID), or the rule's name or file when it has none.
    pub id: String,
    /// What kind of rule.
    pub kind: RuleKind,
    /// A digest of the rule's text: findings of a changed rule are new findings.
    pub version: String,
    /// English title.
    pub title: String,
    /// Chinese title, if the rule carries one (`title_zh`).
    pub title_zh: Option<String>,
    /// What it means, in English.
    pub description: String,
    /// What it means, in Chinese (`description_zh`).
    pub description_zh: Option<String>,
    /// Sigma level.
    pub severity: Severity,
    /// Sigma status (`stable`, `test`, `experimental` …).
    pub status: String,
    /// Sigma tags as written.
    pub tags: Vec<String>,
    /// What else may look like it.
    pub falsepositives: Vec<String>,
    /// Where to read more.
    pub references: Vec<String>,
    /// Who wrote it.
    pub author: String,
    /// The file it was read from.
    pub file: String,
    /// What telemetry it speaks of, as `product: windows, category: process_creation`; empty for correlations.
    #[serde(default)]
    pub logsource: String,
    /// Titles of the Sigma filters that restrict it.
    #[serde(default)]
    pub filters: Vec<String>,
}

impl RuleInfo {
    /// What its tags say of ATT&CK.
    #[must_use]
    pub fn attacks(&self) -> Attacks {
        Attacks::from_tags(self.tags.iter().map(String::as_str))
    }
}

/// One field that made a rule match: the smallest proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldMatch {
    /// The record's own field name; empty for a keyword found anywhere.
    pub field: String,
    /// Its value; of one longer than 1,024 bytes a part of that size around what matched.
    pub value: String,
    /// What the rule asked of it, as the rule writes it (`Image|endswith: '\cmd.exe'`).
    pub pattern: String,
    /// The rule's selection it belongs to.
    pub selection: String,
    /// Which part of the whole value matched; `None` when the rule asks nothing of its text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<Span>,
    /// How many bytes of the whole value stand before `value`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub value_from: u64,
}

/// A part of a value. The end is exclusive; both counts begin at 0 with the whole value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Where it begins, in bytes of UTF-8.
    pub start: u64,
    /// Where it ends, in bytes of UTF-8.
    pub end: u64,
    /// Where it begins, in characters.
    pub char_start: u64,
    /// Where it ends, in characters.
    pub char_end: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A suppression that was considered when a finding was raised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Considered {
    /// The suppression's id.
    pub id: String,
    /// Whether it hides the finding.
    pub hides: bool,
    /// Why, or which of its conditions does not hold.
    pub because: String,
    /// Who answers for it.
    pub owner: String,
    /// Why it was made.
    pub reason: String,
}

/// Where an event stands, so that a person finds it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The file; archive members as `a.zip!inner`. For live telemetry, the source.
    pub file: String,
    /// 1-based line (the first line of a multi-line record), array index + 1, or `EventRecordID`.
    pub record: u64,
}

/// Which way an attack goes, seen from the bureau's own networks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From outside to inside (外对内).
    Inbound,
    /// From inside to outside (内对外).
    Outbound,
    /// Between own hosts, or on one (横向).
    Lateral,
    /// Not known.
    #[default]
    Unknown,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Tried (企图).
    Attempt,
    /// Worked (成功).
    Success,
    /// The target is in the attacker's hands (失陷).
    Compromise,
    /// Not known (未知).
    #[default]
    Unknown,
}

/// The evidence of one event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The event.
    pub event: EventUid,
    /// When it happened.
    pub time: Timestamp,
    /// Where it stands.
    pub place: Option<Place>,
    /// Product that recorded it (`content/products.yaml`).
    pub product: String,
    /// The fields that matched.
    pub matches: Vec<FieldMatch>,
    /// OCSF evidence artifacts of the event (`process`, `src_endpoint`, `http_request` …).
    pub artifacts: Map<String, Json>,
}

/// OCSF objects of an event that serve as evidence artifacts.
const ARTIFACTS: [&str; 17] = [
    "actor",
    "api",
    "connection_info",
    "container",
    "database",
    "device",
    "dst_endpoint",
    "email",
    "file",
    "http_request",
    "http_response",
    "job",
    "process",
    "query",
    "script",
    "src_endpoint",
    "user",
];

impl Evidence {
    /// The artifacts that an event speaks of.
    #[must_use]
    pub fn artifacts_of(event: &Event) -> Map<String, Json> {
        let mut all = event.attributes.to_json_of(|name| ARTIFACTS.contains(&name));
        ARTIFACTS.iter().filter_map(|name| Some(((*name).to_owned(), all.remove(*name)?))).collect()
    }

    fn to_json(&self) -> Json {
        let mut evidence = self.artifacts.clone();
        evidence.insert(
            "data".into(),
            json!({
                "file": self.place.as_ref().map(|place| &place.file),
                "record": self.place.as_ref().map(|place| place.record),
                "matches": self.matches,
                "event_uid": self.event,
                "time": self.time,
                "product": self.product,
            }),
        );
        Json::Object(evidence)
    }
}

/// One of the events that a correlation counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorrelatedEvent {
    /// The rule that matched it: its id and title.
    pub rule: (String, String),
    /// The event.
    pub event: EventUid,
    /// When it happened.
    pub time: Timestamp,
    /// Where it stands.
    pub place: Option<Place>,
}

/// What a correlation counted, over which events, and what it was compared with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Correlated {
    /// The Sigma type (`event_count`, `value_count` …).
    pub kind: String,
    /// The condition as the rule has it (`field: user, gte: 100`).
    pub condition: String,
    /// Width of the window, in seconds.
    pub timespan_secs: i64,
    /// What was reached when the finding was raised: the count, number of values or rules, sum, mean or percentile.
    pub reached: f64,
    /// When `reached` is an estimate: its relative standard error (0.01: one per cent).
    pub error: Option<f64>,
    /// The events, oldest first: the newest [`Correlated::MAX_EVENTS`] of the window.
    pub events: Vec<CorrelatedEvent>,
    /// The finding was raised before: this adds to its count what came since, and says how long it has gone on.
    pub is_extension: bool,
}

impl Correlated {
    /// How many events are named one by one.
    pub const MAX_EVENTS: usize = 100;
}

/// A detector's verdict, with its proof. Shown to people as 告警.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Its id: a hash of rule, rule version and events, so that a re-evaluation finds the same one.
    pub uid: FindingUid,
    /// The rule.
    pub rule: Arc<RuleInfo>,
    /// How bad.
    pub severity: Severity,
    /// Time of its first event.
    pub first_seen: Timestamp,
    /// Time of its last event.
    pub last_seen: Timestamp,
    /// How many events it stands for.
    pub count: u64,
    /// Its events' evidence: at most [`Finding::MAX_EVIDENCES`], the first ones.
    pub evidences: Vec<Evidence>,
    /// For a correlation: what its events have in common, (field, value).
    pub group: Vec<(String, String)>,
    /// For a correlation: what it counted.
    #[serde(default)]
    pub correlation: Option<Box<Correlated>>,
    /// The things it is about.
    pub entities: Vec<Entity>,
    /// Which way it goes.
    pub direction: Direction,
    /// What came of it.
    pub outcome: Outcome,
    /// Why we think so, in words; empty when the outcome is unknown.
    pub outcome_proof: String,
    /// The suppressions of its rule that were considered.
    #[serde(default)]
    pub suppressions: Vec<Considered>,
}

impl Finding {
    /// How many events keep their evidence inside the finding; the others are counted, and found by search.
    pub const MAX_EVIDENCES: usize = 20;

    /// Whether a suppression hides it.
    #[must_use]
    pub fn is_suppressed(&self) -> bool {
        self.suppressions.iter().any(|considered| considered.hides)
    }

    /// The finding as an OCSF Detection Finding (class 2004).
    #[must_use]
    pub fn to_json(&self) -> Json {
        let class = ocsf::class(ocsf::DETECTION_FINDING);
        let rule = &self.rule;
        let observables: Vec<Json> = self
            .entities
            .iter()
            .map(|entity| {
                let (type_id, type_name) = entity.kind.observable();
                json!({ "name": entity.kind.name(), "type_id": type_id, "type": type_name, "value": entity.value })
            })
            .collect();
        let group: Vec<Json> =
            self.group.iter().map(|(field, value)| json!({ "field": field, "value": value })).collect();
        let mut unmapped = json!({
            "direction": self.direction,
            "outcome": self.outcome,
            "outcome_proof": self.outcome_proof,
            "title_zh": rule.title_zh,
            "description_zh": rule.description_zh,
            "falsepositives": rule.falsepositives,
            "group": group,
            "filters": rule.filters,
            "suppressions": self.suppressions,
        });
        if let (Some(correlation), Some(unmapped)) = (&self.correlation, unmapped.as_object_mut()) {
            unmapped.insert("correlation".into(), json!(correlation));
        }
        let (status_id, status) = if self.is_suppressed() { (3, "Suppressed") } else { (1, "New") };
        json!({
            "class_uid": ocsf::DETECTION_FINDING,
            "class_name": class.map(|class| class.caption),
            "category_uid": class.map(|class| class.category_uid),
            "category_name": class.map(|class| class.category),
            "activity_id": 1,
            "activity_name": "Create",
            "type_uid": u64::from(ocsf::DETECTION_FINDING) * 100 + 1,
            "type_name": "Detection Finding: Create",
            "severity_id": self.severity.id(),
            "severity": self.severity.caption(),
            "status_id": status_id,
            "status": status,
            "is_alert": true,
            "time": self.last_seen.millis(),
            "start_time": self.first_seen.millis(),
            "end_time": self.last_seen.millis(),
            "count": self.count,
            "message": rule.title,
            "metadata": {
                "version": ocsf::VERSION,
                "uid": self.uid,
                "product": { "name": "Wanglou", "vendor_name": "Wanglou", "version": env!("CARGO_PKG_VERSION") },
            },
            "finding_info": {
                "uid": self.uid,
                "title": rule.title,
                "desc": rule.description,
                "first_seen_time": self.first_seen.millis(),
                "last_seen_time": self.last_seen.millis(),
                "attacks": rule.attacks().to_json(),
                "analytic": { "uid": rule.id, "name": rule.title, "type_id": 1, "type": "Rule", "version": rule.version },
                "related_events": self.evidences.iter().map(|e| json!({ "uid": e.event })).collect::<Vec<_>>(),
                "related_events_count": self.count,
                "src_url": rule.references.first(),
                "types": rule.tags,
            },
            "evidences": self.evidences.iter().map(Evidence::to_json).collect::<Vec<_>>(),
            "observables": observables,
            "unmapped": unmapped,
        })
    }
}

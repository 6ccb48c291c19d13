//! An incident as the API shows it: made of what [`wanglou_cases`] keeps.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wanglou_cases as cases;
use wanglou_model::{Severity, Timestamp};

/// Where an incident stands, after OCSF Incident Finding `status_id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum IncidentState {
    /// 新建
    New,
    /// 处置中
    InProgress,
    /// 挂起
    OnHold,
    /// 已解决
    Resolved,
    /// 已关闭
    Closed,
}

/// How bad, in Sigma's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SeverityName {
    /// 信息
    Informational,
    /// 低
    Low,
    /// 中
    Medium,
    /// 高
    High,
    /// 严重
    Critical,
}

impl From<Severity> for SeverityName {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Informational => Self::Informational,
            Severity::Low => Self::Low,
            Severity::Medium => Self::Medium,
            Severity::High => Self::High,
            Severity::Critical => Self::Critical,
        }
    }
}

/// One incident.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct IncidentInfo {
    /// 32 hexadecimal digits.
    pub id: String,
    /// English title.
    pub title: String,
    /// Chinese title.
    pub title_zh: String,
    /// The worst of its findings.
    pub severity: SeverityName,
    /// Where it stands.
    pub state: IncidentState,
    /// When it was opened.
    #[schema(value_type = String, format = DateTime)]
    pub opened: Timestamp,
    /// When anything last changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated: Timestamp,
    /// Time of its first event.
    #[schema(value_type = String, format = DateTime)]
    pub first_seen: Timestamp,
    /// Time of its last event.
    #[schema(value_type = String, format = DateTime)]
    pub last_seen: Timestamp,
    /// How many findings it holds.
    pub finding_count: u64,
    /// How many events they stand for.
    pub event_count: u64,
    /// What it is about, most findings first.
    pub entities: Vec<IncidentEntityInfo>,
    /// ATT&CK tactics in the order of an attack.
    pub tactics: Vec<TacticInfo>,
    /// Who did what, oldest first.
    pub history: Vec<ChangeInfo>,
}

/// One thing an incident is about.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct IncidentEntityInfo {
    /// `host`, `user`, `address`, `hash`, `domain`, `file` or `process`.
    pub kind: String,
    /// Its canonical name.
    pub value: String,
    /// `actor`, `target` or `related`.
    pub role: String,
    /// How many of the findings name it.
    pub findings: u64,
}

/// An ATT&CK tactic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct TacticInfo {
    /// `TA0002`
    pub uid: String,
    /// `Execution`
    pub name: String,
    /// `执行`
    pub name_zh: String,
}

/// An ATT&CK technique.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct TechniqueInfo {
    /// `T1059.001`
    pub uid: String,
    /// `PowerShell`
    pub name: String,
}

/// What changed in an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ChangeKind {
    /// It was opened.
    Opened,
    /// Its state changed.
    State,
    /// Somebody wrote a note.
    Note,
    /// Its severity changed.
    Severity,
}

/// One change of an incident.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ChangeInfo {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Who: a user's name, or `system` for the platform itself.
    pub by: String,
    /// What kind of change.
    pub kind: ChangeKind,
    /// For a change of state or severity: from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// For a change of state or severity: to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The note.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What happened at one point of the timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TimelineKind {
    /// A finding.
    Finding,
    /// A change of the incident.
    Change,
}

/// One entry of the timeline.
#[derive(Serialize, ToSchema)]
pub(crate) struct TimelineItem {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What it is.
    pub kind: TimelineKind,
    /// The rule's title, for a finding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The rule's Chinese title, for a finding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title_zh: Option<String>,
    /// The finding's severity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<SeverityName>,
    /// The finding's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finding_uid: Option<String>,
    /// How many events the finding stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// The change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<ChangeInfo>,
}

/// One tactic of the ATT&CK path.
#[derive(Serialize, ToSchema)]
pub(crate) struct PathStepInfo {
    /// The tactic.
    pub tactic: TacticInfo,
    /// The techniques seen.
    pub techniques: Vec<TechniqueInfo>,
    /// How many findings.
    pub findings: u64,
    /// First time.
    #[schema(value_type = String, format = DateTime)]
    pub first_seen: Timestamp,
    /// Last time.
    #[schema(value_type = String, format = DateTime)]
    pub last_seen: Timestamp,
}

impl From<IncidentState> for cases::State {
    fn from(state: IncidentState) -> Self {
        match state {
            IncidentState::New => Self::New,
            IncidentState::InProgress => Self::InProgress,
            IncidentState::OnHold => Self::OnHold,
            IncidentState::Resolved => Self::Resolved,
            IncidentState::Closed => Self::Closed,
        }
    }
}

impl From<cases::State> for IncidentState {
    fn from(state: cases::State) -> Self {
        match state {
            cases::State::New => Self::New,
            cases::State::InProgress => Self::InProgress,
            cases::State::OnHold => Self::OnHold,
            cases::State::Resolved => Self::Resolved,
            cases::State::Closed => Self::Closed,
        }
    }
}

impl From<&cases::Incident> for IncidentInfo {
    fn from(incident: &cases::Incident) -> Self {
        let mut entities: Vec<IncidentEntityInfo> = incident
            .entities
            .iter()
            .map(|held| IncidentEntityInfo {
                kind: held.entity.kind.name().to_owned(),
                value: held.entity.value.clone(),
                role: role_name(held.entity.role).to_owned(),
                findings: held.findings,
            })
            .collect();
        entities.sort_by_key(|entity| std::cmp::Reverse(entity.findings));
        let tactics = incident.tactics.iter().map(|tactic| TacticInfo {
            uid: tactic.uid.clone(),
            name: tactic.name.clone(),
            name_zh: tactic.name_zh.clone(),
        });
        Self {
            id: incident.id.to_string(),
            title: incident.title.clone(),
            title_zh: incident.title_zh.clone(),
            severity: incident.severity.into(),
            state: incident.state.into(),
            opened: incident.opened,
            updated: incident.updated,
            first_seen: incident.first_seen,
            last_seen: incident.last_seen,
            finding_count: incident.finding_count,
            event_count: incident.event_count,
            entities,
            tactics: tactics.collect(),
            history: incident.history.iter().map(ChangeInfo::from).collect(),
        }
    }
}

const fn role_name(role: wanglou_model::EntityRole) -> &'static str {
    match role {
        wanglou_model::EntityRole::Actor => "actor",
        wanglou_model::EntityRole::Target => "target",
        wanglou_model::EntityRole::Related => "related",
    }
}

impl From<&cases::Change> for ChangeInfo {
    fn from(change: &cases::Change) -> Self {
        let mut info = Self {
            at: change.at,
            by: change.by.clone(),
            kind: ChangeKind::Opened,
            from: None,
            to: None,
            note: None,
        };
        match &change.kind {
            cases::ChangeKind::Opened { .. } => {}
            cases::ChangeKind::State { from, to, note } => {
                info.kind = ChangeKind::State;
                (info.from, info.to) = (Some(from.name().to_owned()), Some(to.name().to_owned()));
                info.note = (!note.is_empty()).then(|| note.clone());
            }
            cases::ChangeKind::Note { text } => {
                info.kind = ChangeKind::Note;
                info.note = Some(text.clone());
            }
            cases::ChangeKind::Severity { from, to } => {
                info.kind = ChangeKind::Severity;
                (info.from, info.to) = (Some(from.level().to_owned()), Some(to.level().to_owned()));
            }
        }
        info
    }
}

impl From<cases::TimelineEntry> for TimelineItem {
    fn from(entry: cases::TimelineEntry) -> Self {
        let empty = Self {
            at: entry.at,
            kind: TimelineKind::Change,
            title: None,
            title_zh: None,
            severity: None,
            finding_uid: None,
            count: None,
            change: None,
        };
        match entry.kind {
            cases::TimelineKind::Finding { uid, title, title_zh, severity, count, .. } => Self {
                kind: TimelineKind::Finding,
                title: Some(title),
                title_zh,
                severity: Some(severity.into()),
                finding_uid: Some(uid.to_string()),
                count: Some(count),
                ..empty
            },
            cases::TimelineKind::Change { change } => Self { change: Some((&change).into()), ..empty },
        }
    }
}

impl From<cases::PathStep> for PathStepInfo {
    fn from(step: cases::PathStep) -> Self {
        let techniques = step
            .techniques
            .into_iter()
            .map(|technique| TechniqueInfo { uid: technique.uid, name: technique.name.to_owned() });
        Self {
            tactic: TacticInfo {
                uid: step.tactic.to_owned(),
                name: step.name.to_owned(),
                name_zh: step.name_zh.to_owned(),
            },
            techniques: techniques.collect(),
            findings: step.findings,
            first_seen: step.first_seen,
            last_seen: step.last_seen,
        }
    }
}

//! Incidents (安全事件): list, one with its story, change of state, notes.

use std::collections::BTreeMap;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use wanglou_cases as cases;
use wanglou_model::{Finding, IncidentId, Severity, Timestamp};

use super::App;
use super::events::OcsfObject;
use super::extract::{Json, Path, Query};
use super::findings::{by_severity, cursor_after, parse_cursor, parse_list};
use super::guard::{Caller, Origin};
use super::problem::{Kind, Problem, ProblemDocument};
use crate::state::{Act, ChangeError, FindingQuery, IncidentChange, IncidentQuery, IncidentSums};

/// Incidents of one answer: if not asked otherwise, and at most.
const DEFAULT_INCIDENTS: u32 = 50;
const MAX_INCIDENTS: u32 = 200;
/// Findings of one incident's story.
const MAX_STORY_FINDINGS: u64 = 500;

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

/// A page of incidents.
#[derive(Serialize, ToSchema)]
pub(crate) struct IncidentPage {
    /// Last updated first.
    pub incidents: Vec<IncidentInfo>,
    /// Gives the next page when passed as `cursor`; absent at the end.
    pub next_cursor: Option<String>,
    /// Of all incidents, whatever the filter.
    pub counts: IncidentCounts,
}

/// How many incidents there are.
#[derive(Serialize, ToSchema)]
pub(crate) struct IncidentCounts {
    /// By state; every state is there.
    pub by_state: BTreeMap<String, u64>,
    /// Open ones by severity; every severity is there.
    pub by_severity: BTreeMap<String, u64>,
}

/// One incident with its story.
#[derive(Serialize, ToSchema)]
pub(crate) struct IncidentStory {
    /// The incident.
    pub incident: IncidentInfo,
    /// Its findings (OCSF class 2004), newest first: at most 500.
    pub findings: Vec<OcsfObject>,
    /// Findings and changes in order of time.
    pub timeline: Vec<TimelineItem>,
    /// The ATT&CK path.
    pub attack_path: Vec<PathStepInfo>,
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

/// Which incidents.
#[derive(Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct IncidentFilter {
    /// One or more of `new`, `in_progress`, `on_hold`, `resolved`, `closed`, joined by commas.
    pub state: Option<String>,
    /// One or more of `informational`, `low`, `medium`, `high`, `critical`, joined by commas.
    pub severity: Option<String>,
    /// At most so many: 1 to 200, 50 if not given.
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// A change of state.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StateChange {
    /// Where it shall stand.
    pub state: IncidentState,
    /// Why, or what was done: at most 10,000 characters. Needed for every state but `in_progress`, and to take an incident up again.
    #[schema(max_length = 10000)]
    #[serde(default)]
    pub note: String,
}

/// A note.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewNote {
    /// 1 to 10,000 characters.
    #[schema(min_length = 1, max_length = 10000)]
    pub text: String,
}

/// Lists incidents, last updated first.
#[utoipa::path(get, path = "/incidents", tag = "incidents", security(("session" = [])), params(IncidentFilter), responses(
    (status = 200, body = IncidentPage),
    (status = 400, body = ProblemDocument, content_type = "application/problem+json"),
))]
pub(crate) async fn list_incidents(
    State(app): State<App>,
    Query(filter): Query<IncidentFilter>,
) -> Result<axum::Json<IncidentPage>, Problem> {
    let query = IncidentQuery {
        stages: parse_list(filter.state.as_deref(), "state")?,
        severities: parse_list(filter.severity.as_deref(), "severity")?,
        after: parse_cursor(filter.cursor.as_deref())?,
        limit: filter.limit.unwrap_or(DEFAULT_INCIDENTS).clamp(1, MAX_INCIDENTS).into(),
    };
    let state = &app.platform.state;
    let rows = state.incidents(&query).await.map_err(|error| Problem::internal(&error))?;
    let sums = state.incident_sums().await.map_err(|error| Problem::internal(&error))?;
    let next_cursor =
        cursor_after(&rows, query.limit, |incident| (incident.updated, incident.id.to_string()));
    Ok(axum::Json(IncidentPage {
        incidents: rows.iter().map(IncidentInfo::from).collect(),
        next_cursor,
        counts: (&sums).into(),
    }))
}

/// One incident with its findings, timeline and ATT&CK path.
#[utoipa::path(get, path = "/incidents/{id}", tag = "incidents", security(("session" = [])),
    params(("id" = String, Path, description = "32 hexadecimal digits")),
    responses(
        (status = 200, body = IncidentStory),
        (status = 404, body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(crate) async fn get_incident(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<axum::Json<IncidentStory>, Problem> {
    let state = &app.platform.state;
    let incident = state.incident(parse_id(&id)?).await.map_err(|error| Problem::internal(&error))?;
    let incident = incident.ok_or_else(|| not_found(&id))?;
    let query = FindingQuery {
        incident: Some(incident.id.to_string()),
        limit: MAX_STORY_FINDINGS,
        ..FindingQuery::default()
    };
    let rows = state.findings(&query).await.map_err(|error| Problem::internal(&error))?;
    let objects = rows.iter().map(OcsfObject::from).collect();
    let findings: Vec<Finding> = rows.into_iter().map(|row| row.finding).collect();
    Ok(axum::Json(IncidentStory {
        timeline: cases::timeline(&incident, &findings).into_iter().map(TimelineItem::from).collect(),
        attack_path: cases::attack_path(&findings).into_iter().map(PathStepInfo::from).collect(),
        incident: (&incident).into(),
        findings: objects,
    }))
}

/// Moves an incident to another state.
#[utoipa::path(post, path = "/incidents/{id}/state", tag = "incidents", security(("session" = [])),
    params(("id" = String, Path, description = "32 hexadecimal digits")),
    request_body = StateChange,
    responses(
        (status = 200, body = IncidentInfo),
        (status = 404, body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, body = ProblemDocument, content_type = "application/problem+json", description = "This state cannot follow the present one"),
    ))]
pub(crate) async fn change_state(
    State(app): State<App>,
    Origin(origin): Origin,
    caller: Caller,
    Path(id): Path<String>,
    Json(request): Json<StateChange>,
) -> Result<axum::Json<IncidentInfo>, Problem> {
    let change = IncidentChange::Stage(request.state.into(), request.note);
    apply(&app, &caller, origin, &id, change, "incident.state").await
}

/// Adds a note to an incident.
#[utoipa::path(post, path = "/incidents/{id}/notes", tag = "incidents", security(("session" = [])),
    params(("id" = String, Path, description = "32 hexadecimal digits")),
    request_body = NewNote,
    responses(
        (status = 200, body = IncidentInfo),
        (status = 404, body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(crate) async fn add_note(
    State(app): State<App>,
    Origin(origin): Origin,
    caller: Caller,
    Path(id): Path<String>,
    Json(request): Json<NewNote>,
) -> Result<axum::Json<IncidentInfo>, Problem> {
    apply(&app, &caller, origin, &id, IncidentChange::Note(request.text), "incident.note").await
}

/// Changes an incident, writes down who did it, and tells everybody.
async fn apply(
    app: &App,
    caller: &Caller,
    origin: std::net::IpAddr,
    id: &str,
    change: IncidentChange,
    act: &'static str,
) -> Result<axum::Json<IncidentInfo>, Problem> {
    let (platform, by, now) = (&app.platform, caller.user.name.as_str(), Timestamp::now());
    let changed = platform.state.change_incident(parse_id(id)?, change, by, now).await;
    let incident = changed.map_err(|error| match error {
        ChangeError::Missing => not_found(id),
        ChangeError::Transition(error) => transition_problem(&error),
        ChangeError::Note(error) => note_problem(&error),
        ChangeError::State(error) => Problem::internal(&error),
    })?;
    let origin = origin.to_string();
    let act = Act { who: by, origin: &origin, act, object: id, outcome: "ok" };
    platform.state.audit(act, now).await.map_err(|error| Problem::internal(&error))?;
    let info = IncidentInfo::from(&incident);
    platform.live.tell_changed(incident);
    Ok(axum::Json(info))
}

fn parse_id(id: &str) -> Result<IncidentId, Problem> {
    id.parse().map_err(|_error| not_found(id))
}

fn not_found(id: &str) -> Problem {
    Problem::not_found("incident", "安全事件", id)
}

fn transition_problem(error: &cases::TransitionError) -> Problem {
    match error {
        cases::TransitionError::NotAllowed { from, to } => Problem::new(
            Kind::Conflict,
            error.to_string(),
            format!("处于“{}”状态的安全事件不能变为“{}”", from.caption_zh(), to.caption_zh()),
        ),
        cases::TransitionError::ReasonMissing { from, to } => Problem::invalid(
            error.to_string(),
            format!("请填写说明：为何由“{}”变为“{}”", from.caption_zh(), to.caption_zh()),
        ),
        cases::TransitionError::Note(error) => note_problem(error),
    }
}

fn note_problem(error: &cases::NoteError) -> Problem {
    let detail_zh = match error {
        cases::NoteError::Empty => "说明不能为空".to_owned(),
        cases::NoteError::TooLong { chars } => {
            format!("说明共 {chars} 个字符，不得超过 {} 个", cases::MAX_NOTE_CHARS)
        }
    };
    Problem::invalid(error.to_string(), detail_zh)
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

impl From<&IncidentSums> for IncidentCounts {
    fn from(sums: &IncidentSums) -> Self {
        let by_state = cases::State::ALL
            .iter()
            .map(|state| {
                (state.name().to_owned(), sums.by_stage.get(&state.id()).copied().unwrap_or_default())
            })
            .collect();
        Self { by_state, by_severity: by_severity(&sums.open_by_severity) }
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

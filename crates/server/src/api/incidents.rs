//! Incidents (安全事件): list, one with its story, change of state, notes.

mod view;

use std::collections::BTreeMap;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use wanglou_cases as cases;
use wanglou_model::{Finding, IncidentId, Timestamp};

use super::App;
use super::events::OcsfObject;
use super::extract::{Json, Path, Query};
use super::findings::{by_severity, cursor_after, parse_cursor, parse_list};
use super::guard::{Caller, Origin};
use super::problem::{Kind, Problem, ProblemDocument};
pub(crate) use view::{IncidentInfo, IncidentState, PathStepInfo, SeverityName, TacticInfo, TimelineItem};

use crate::state::{Act, ChangeError, FindingQuery, IncidentChange, IncidentQuery, IncidentSums};

/// Incidents of one answer: if not asked otherwise, and at most.
const DEFAULT_INCIDENTS: u32 = 50;
const MAX_INCIDENTS: u32 = 200;
/// Findings of one incident's story.
const MAX_STORY_FINDINGS: u64 = 500;

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

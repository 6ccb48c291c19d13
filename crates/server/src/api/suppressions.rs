//! Suppressions: findings that somebody has answered for, until a date. What they hide stays to be seen.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wanglou_detect::suppress::{Suppression, Suppressor};
use wanglou_model::{Finding, Timestamp};

use super::App;
use super::events::OcsfObject;
use super::extract::{Json, Path, parse_time};
use super::guard::{Caller, Origin};
use super::problem::{Problem, ProblemDocument};
use crate::state::{Act, SuppressedQuery, SuppressionRow};

/// What a suppression is tried on: findings of the last 30 days, the newest so many.
const TRIED_NANOS: i64 = 30 * 86_400 * 1_000_000_000;
const MAX_TRIED: u64 = 20_000;
/// Findings that are shown.
const MAX_SHOWN: usize = 20;
const MAX_LISTED: u64 = 500;

/// A suppression to be.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSuppression {
    /// Id of the rule; absent: of any rule, then there must be conditions.
    pub rule: Option<String>,
    /// What must hold, each by one of the values: `address`, `user`, `host`, `domain`, `file`, `process`, `hash` (also
    /// with `actor.` or `target.` before it), `source`, `product`, `field.NAME`, `group.NAME`. `*` and `?` are
    /// wildcards; addresses may be networks.
    #[serde(default)]
    pub when: BTreeMap<String, Vec<String>>,
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// From when on it hides nothing any more (RFC 3339).
    #[schema(value_type = String, format = DateTime)]
    pub expires: String,
}

/// A suppression.
#[derive(Serialize, ToSchema)]
pub(crate) struct SuppressionInfo {
    /// Its id.
    pub id: String,
    /// The rule, if it is about one.
    pub rule: Option<String>,
    /// What must hold of a finding.
    pub when: BTreeMap<String, Vec<String>>,
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// Until when.
    #[schema(value_type = String, format = DateTime)]
    pub expires: Timestamp,
    /// `active`, `expired` or `revoked`.
    pub state: String,
    /// When it was made, and by whom.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    pub created_by: String,
    /// When it was taken back, and by whom.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub revoked: Option<Timestamp>,
    pub revoked_by: Option<String>,
    /// Findings that it has hidden.
    pub hidden: u64,
    /// When it last hid one.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_hidden: Option<Timestamp>,
}

/// All suppressions.
#[derive(Serialize, ToSchema)]
pub(crate) struct SuppressionList {
    /// Newest first; expired and revoked ones too.
    pub suppressions: Vec<SuppressionInfo>,
}

/// What a suppression would have hidden in the last 30 days.
#[derive(Serialize, ToSchema)]
pub(crate) struct SuppressionPreview {
    /// Findings that were looked at: the newest 20,000 at most.
    pub considered: u64,
    /// How many of them it would have hidden. One finding may stand for many events.
    pub would_hide: u64,
    /// For how many events these stand.
    pub events: u64,
    /// Of which severity they are.
    pub by_severity: BTreeMap<String, u64>,
    /// The newest twenty, as OCSF Detection Findings.
    pub findings: Vec<OcsfObject>,
}

/// Findings that a suppression has hidden.
#[derive(Serialize, ToSchema)]
pub(crate) struct HiddenFindings {
    /// OCSF Detection Findings with `status_id` 3 (Suppressed), newest first, at most 500.
    pub findings: Vec<OcsfObject>,
}

/// Lists the suppressions.
#[utoipa::path(get, path = "/suppressions", tag = "rules", security(("session" = [])), responses(
    (status = 200, body = SuppressionList),
))]
pub(crate) async fn list_suppressions(
    State(app): State<App>,
) -> Result<axum::Json<SuppressionList>, Problem> {
    let rows = app.platform.state.suppressions().await.map_err(|error| Problem::internal(&error))?;
    let now = Timestamp::now();
    Ok(axum::Json(SuppressionList { suppressions: rows.into_iter().map(|row| info(row, now)).collect() }))
}

/// Shows what a suppression would have hidden in the last 30 days; makes nothing.
#[utoipa::path(post, path = "/suppressions/preview", tag = "rules", security(("session" = [])), request_body = NewSuppression, responses(
    (status = 200, body = SuppressionPreview),
    (status = 400, body = ProblemDocument, content_type = "application/problem+json"),
))]
pub(crate) async fn preview_suppression(
    State(app): State<App>,
    Json(request): Json<NewSuppression>,
) -> Result<axum::Json<SuppressionPreview>, Problem> {
    let suppressor = request.read(Timestamp::now())?;
    let now = Timestamp::now();
    let query = SuppressedQuery { rule: request.rule, from: now.plus_nanos(-TRIED_NANOS), limit: MAX_TRIED };
    let tried =
        app.platform.state.findings_to_try(&query).await.map_err(|error| Problem::internal(&error))?;
    let considered = tried.len() as u64;
    let is_hidden =
        |finding: &Finding| suppressor.consider(finding, now).is_some_and(|considered| considered.hides);
    let hidden: Vec<Finding> = tried.into_iter().filter(is_hidden).collect();
    let mut by_severity: BTreeMap<String, u64> = BTreeMap::new();
    for finding in &hidden {
        *by_severity.entry(finding.severity.level().to_owned()).or_default() += 1;
    }
    Ok(axum::Json(SuppressionPreview {
        considered,
        would_hide: hidden.len() as u64,
        events: hidden.iter().map(|finding| finding.count).sum(),
        by_severity,
        findings: hidden.iter().take(MAX_SHOWN).map(|finding| OcsfObject::of_finding(finding, "")).collect(),
    }))
}

/// Makes a suppression. It hides findings from the next batch on; those that are there stay.
#[utoipa::path(post, path = "/suppressions", tag = "rules", security(("session" = [])), request_body = NewSuppression, responses(
    (status = 201, body = SuppressionInfo),
    (status = 400, body = ProblemDocument, content_type = "application/problem+json"),
))]
pub(crate) async fn create_suppression(
    State(app): State<App>,
    Origin(origin): Origin,
    caller: Caller,
    Json(request): Json<NewSuppression>,
) -> Result<(StatusCode, axum::Json<SuppressionInfo>), Problem> {
    let now = Timestamp::now();
    let suppressor = request.read(now)?;
    let suppression = suppressor.suppression();
    let added = app.platform.state.add_suppression(suppression, &caller.user.name, now).await;
    added.map_err(|error| Problem::internal(&error))?;
    changed(&app, &caller, origin, "suppression.create", &suppression.id).await?;
    let row = SuppressionRow {
        suppression: suppression.clone(),
        created: now,
        created_by: caller.user.name.clone(),
        revoked: None,
        revoked_by: None,
        hidden: 0,
        last_hidden: None,
    };
    Ok((StatusCode::CREATED, axum::Json(info(row, now))))
}

/// Takes a suppression back. What it has hidden stays to be seen.
#[utoipa::path(delete, path = "/suppressions/{id}", tag = "rules", security(("session" = [])),
    params(("id" = String, Path, description = "The suppression")),
    responses(
        (status = 204, description = "Taken back"),
        (status = 404, body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(crate) async fn revoke_suppression(
    State(app): State<App>,
    Origin(origin): Origin,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let revoked = app.platform.state.revoke_suppression(&id, &caller.user.name, Timestamp::now()).await;
    if !revoked.map_err(|error| Problem::internal(&error))? {
        return Err(Problem::not_found("suppression in force", "生效中的抑制规则", &id));
    }
    changed(&app, &caller, origin, "suppression.revoke", &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Shows what a suppression has hidden.
#[utoipa::path(get, path = "/suppressions/{id}/findings", tag = "rules", security(("session" = [])),
    params(("id" = String, Path, description = "The suppression")),
    responses((status = 200, body = HiddenFindings)))]
pub(crate) async fn hidden_findings(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<axum::Json<HiddenFindings>, Problem> {
    let hidden =
        app.platform.state.hidden_by(&id, MAX_LISTED).await.map_err(|error| Problem::internal(&error))?;
    let findings = hidden.iter().map(|finding| OcsfObject::of_finding(finding, "")).collect();
    Ok(axum::Json(HiddenFindings { findings }))
}

impl NewSuppression {
    fn read(&self, now: Timestamp) -> Result<Suppressor, Problem> {
        let expires = parse_time("expires", &self.expires)?;
        if expires <= now {
            return Err(Problem::invalid("`expires` must be in the future", "expires 必须晚于当前时间"));
        }
        let suppression = Suppression {
            id: uuid::Uuid::new_v4().to_string(),
            rule: self.rule.clone(),
            when: self.when.clone(),
            owner: self.owner.clone(),
            reason: self.reason.clone(),
            expires,
        };
        Suppressor::new(suppression)
            .map_err(|error| Problem::invalid(error.to_string(), format!("抑制规则有误：{error}")))
    }
}

fn info(row: SuppressionRow, now: Timestamp) -> SuppressionInfo {
    let state = match row.revoked {
        Some(_) => "revoked",
        None if row.suppression.expires <= now => "expired",
        None => "active",
    };
    let Suppression { id, rule, when, owner, reason, expires } = row.suppression;
    SuppressionInfo {
        id,
        rule,
        when,
        owner,
        reason,
        expires,
        state: state.to_owned(),
        created: row.created,
        created_by: row.created_by,
        revoked: row.revoked,
        revoked_by: row.revoked_by,
        hidden: row.hidden,
        last_hidden: row.last_hidden,
    }
}

/// Puts a change into force and writes it down.
async fn changed(
    app: &App,
    caller: &Caller,
    origin: std::net::IpAddr,
    act: &'static str,
    object: &str,
) -> Result<(), Problem> {
    app.platform.suppressions.refresh().await.map_err(|error| Problem::internal(&error))?;
    let origin = origin.to_string();
    let act = Act { who: &caller.user.name, origin: &origin, act, object, outcome: "ok" };
    app.platform.state.audit(act, Timestamp::now()).await.map_err(|error| Problem::internal(&error))
}

//! Findings (告警), as OCSF Detection Findings.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use wanglou_model::{Finding, FindingUid, Severity, Timestamp};

use super::App;
use super::events::OcsfObject;
use super::extract::{Path, Query, parse_time};
use super::problem::{Problem, ProblemDocument};
use crate::state::{FindingQuery, FindingRow};

/// Findings of one answer: if not asked otherwise, and at most.
const DEFAULT_FINDINGS: u32 = 100;
const MAX_FINDINGS: u32 = 500;

/// A page of findings.
#[derive(Serialize, ToSchema)]
pub(crate) struct FindingPage {
    /// OCSF Detection Findings (class 2004), newest first. `unmapped.incident` is the id of the incident.
    pub findings: Vec<OcsfObject>,
    /// Gives the next page when passed as `cursor`; absent at the end.
    pub next_cursor: Option<String>,
}

/// Which findings.
#[derive(Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct FindingFilter {
    /// Last seen from, inclusive (RFC 3339).
    #[param(value_type = Option<String>, format = DateTime)]
    pub from: Option<String>,
    /// Last seen to, exclusive (RFC 3339).
    #[param(value_type = Option<String>, format = DateTime)]
    pub to: Option<String>,
    /// One or more of `informational`, `low`, `medium`, `high`, `critical`, joined by commas.
    pub severity: Option<String>,
    /// The rule's id.
    pub rule: Option<String>,
    /// The incident's id.
    pub incident: Option<String>,
    /// `kind:value`, such as `address:10.0.0.8`.
    pub entity: Option<String>,
    /// At most so many: 1 to 500, 100 if not given.
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// Lists findings, newest first.
#[utoipa::path(get, path = "/findings", tag = "findings", security(("session" = [])), params(FindingFilter), responses(
    (status = 200, body = FindingPage),
    (status = 400, body = ProblemDocument, content_type = "application/problem+json"),
))]
pub(crate) async fn list_findings(
    State(app): State<App>,
    Query(filter): Query<FindingFilter>,
) -> Result<Json<FindingPage>, Problem> {
    let query = filter.read()?;
    let rows = app.platform.state.findings(&query).await.map_err(|error| Problem::internal(&error))?;
    let next_cursor =
        cursor_after(&rows, query.limit, |row| (row.finding.last_seen, row.finding.uid.to_string()));
    Ok(Json(FindingPage { findings: rows.iter().map(OcsfObject::from).collect(), next_cursor }))
}

/// One finding.
#[utoipa::path(get, path = "/findings/{uid}", tag = "findings", security(("session" = [])),
    params(("uid" = String, Path, description = "32 hexadecimal digits")),
    responses(
        (status = 200, body = OcsfObject),
        (status = 404, body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(crate) async fn get_finding(
    State(app): State<App>,
    Path(uid): Path<String>,
) -> Result<Json<OcsfObject>, Problem> {
    let not_found = || Problem::not_found("finding", "告警", &uid);
    let id: FindingUid = uid.parse().map_err(|_error| not_found())?;
    let found = app.platform.state.finding(id).await.map_err(|error| Problem::internal(&error))?;
    found.as_ref().map(|row| Json(OcsfObject::from(row))).ok_or_else(not_found)
}

impl FindingFilter {
    fn read(&self) -> Result<FindingQuery, Problem> {
        let time =
            |name, text: &Option<String>| text.as_deref().map(|text| parse_time(name, text)).transpose();
        let entity = self.entity.as_deref().map(|text| {
            text.split_once(':').map(|(kind, value)| (kind.to_owned(), value.to_owned())).ok_or_else(|| {
                Problem::invalid(
                    "`entity` reads `kind:value`, such as `address:10.0.0.8`",
                    "参数 entity 的写法为“类型:值”，例如 address:10.0.0.8",
                )
            })
        });
        Ok(FindingQuery {
            from: time("from", &self.from)?,
            to: time("to", &self.to)?,
            severities: parse_list(self.severity.as_deref(), "severity")?,
            rule: self.rule.clone(),
            incident: self.incident.clone(),
            entity: entity.transpose()?,
            after: parse_cursor(self.cursor.as_deref())?,
            limit: self.limit.unwrap_or(DEFAULT_FINDINGS).clamp(1, MAX_FINDINGS).into(),
        })
    }
}

impl From<&FindingRow> for OcsfObject {
    fn from(row: &FindingRow) -> Self {
        Self::of_finding(&row.finding, &row.incident)
    }
}

impl OcsfObject {
    /// A finding with the id of its incident under `unmapped.incident`, where our other additions are.
    pub(super) fn of_finding(finding: &Finding, incident: &str) -> Self {
        let Value::Object(mut json) = finding.to_json() else { return Self(serde_json::Map::new()) };
        if let Some(Value::Object(unmapped)) = json.get_mut("unmapped") {
            unmapped.insert("incident".into(), incident.into());
        }
        Self(json)
    }
}

/// Names joined by commas.
pub(super) fn parse_list<T: std::str::FromStr<Err = String>>(
    text: Option<&str>,
    name: &str,
) -> Result<Vec<T>, Problem> {
    let names = text.unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty());
    names
        .map(|item| {
            item.parse().map_err(|error: String| {
                Problem::invalid(format!("`{name}`: {error}"), format!("参数 {name} 有误：{error}"))
            })
        })
        .collect()
}

/// A cursor reads `nanoseconds:id` of the last row; clients do not look into it.
pub(super) fn parse_cursor(text: Option<&str>) -> Result<Option<(Timestamp, String)>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let parsed = text
        .split_once(':')
        .and_then(|(nanos, id)| Some((Timestamp::from_nanos(nanos.parse().ok()?), id.to_owned())));
    parsed.map(Some).ok_or_else(|| {
        Problem::invalid("`cursor` is not one that this call gave", "参数 cursor 不是本接口返回的值")
    })
}

/// The cursor of the next page, if this one is full.
pub(super) fn cursor_after<T>(
    rows: &[T],
    limit: u64,
    key: impl Fn(&T) -> (Timestamp, String),
) -> Option<String> {
    let last = rows.last().filter(|_| rows.len() as u64 == limit)?;
    let (time, id) = key(last);
    Some(format!("{}:{id}", time.nanos()))
}

/// Severity names with how many; every severity is there.
pub(super) fn by_severity(
    counts: &std::collections::BTreeMap<u8, u64>,
) -> std::collections::BTreeMap<String, u64> {
    Severity::ALL
        .iter()
        .map(|severity| {
            (severity.level().to_owned(), counts.get(&severity.id()).copied().unwrap_or_default())
        })
        .collect()
}

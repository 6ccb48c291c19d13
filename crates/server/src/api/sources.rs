//! Sources of telemetry and their dead letters.

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use wanglou_model::{SourceId, Timestamp};

use super::App;
use super::extract::{Json, Path, Query};
use super::guard::{Caller, Origin};
use super::problem::{Kind, Problem, ProblemDocument};
use crate::platform::Platform;
use crate::state::{Act, Secret, SourceRow};

/// The longest name of a source.
const MAX_NAME_CHARS: usize = 64;
/// Dead letters of one answer: if not asked otherwise, and at most.
const DEFAULT_DEAD_LETTERS: u32 = 100;
const MAX_DEAD_LETTERS: u32 = 1_000;

/// One source.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct SourceInfo {
    /// Its name, also the `source` of its events.
    pub name: String,
    /// `http`, `syslog-udp`, `syslog-tcp`, `syslog-tls`, `flow`, `unix-socket` or `folder`.
    pub kind: String,
    /// When it was created.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    /// When its last events arrived.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_seen: Option<Timestamp>,
    /// Lines received since the platform was set up.
    pub received: u64,
}

/// All sources.
#[derive(Serialize, ToSchema)]
pub(crate) struct SourceList {
    /// By name.
    pub sources: Vec<SourceInfo>,
}

/// What creates a source.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSource {
    /// 1 to 64 of: letters, digits, `-`, `_`, `.`.
    #[schema(min_length = 1, max_length = 64)]
    pub name: String,
}

/// A new source with its token.
#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedSource {
    /// The source.
    pub source: SourceInfo,
    /// Goes into `Authorization: Bearer …`. Shown this once; only its hash is kept.
    pub token: String,
}

/// Lines that could not be read.
#[derive(Serialize, ToSchema)]
pub(crate) struct DeadLetters {
    /// Newest first.
    pub dead_letters: Vec<DeadLetter>,
    /// How many were ever rejected; only the newest are kept.
    pub total: u64,
}

/// One line that could not be read.
#[derive(Serialize, ToSchema)]
pub(crate) struct DeadLetter {
    /// Where it came through.
    pub source: String,
    /// When it arrived.
    #[schema(value_type = String, format = DateTime)]
    pub arrived: Timestamp,
    /// Why it could not be read.
    pub reason: String,
    /// Its text, bytes that are not UTF-8 replaced; cut to 8 KiB.
    pub text: String,
    /// Its whole size in bytes.
    pub bytes: u64,
}

/// Which dead letters.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeadLetterFilter {
    /// Only of this source.
    pub source: Option<String>,
    /// At most so many: 1 to 1,000, 100 if not given.
    pub limit: Option<u32>,
}

/// Lists the sources.
#[utoipa::path(get, path = "/sources", tag = "sources", security(("session" = [])), responses(
    (status = 200, body = SourceList),
    (status = 401, body = ProblemDocument, content_type = "application/problem+json"),
))]
pub(crate) async fn list_sources(State(app): State<App>) -> Result<axum::Json<SourceList>, Problem> {
    Ok(axum::Json(SourceList { sources: all(&app.platform).await? }))
}

/// Creates an HTTP source and its token.
#[utoipa::path(post, path = "/sources", tag = "sources", security(("session" = [])), request_body = NewSource, responses(
    (status = 201, body = CreatedSource),
    (status = 400, body = ProblemDocument, content_type = "application/problem+json", description = "The name is not allowed"),
    (status = 409, body = ProblemDocument, content_type = "application/problem+json", description = "The name is taken"),
))]
pub(crate) async fn create_source(
    State(app): State<App>,
    Origin(origin): Origin,
    caller: Caller,
    Json(request): Json<NewSource>,
) -> Result<(StatusCode, axum::Json<CreatedSource>), Problem> {
    check_name(&request.name)?;
    let (name, now) = (SourceId::new(&request.name), Timestamp::now());
    let token = Secret::generate("wlsrc");
    let created = app.platform.state.create_source(&name, HTTP, Some(&token), now).await;
    if !created.map_err(|error| Problem::internal(&error))? {
        return Err(Problem::new(
            Kind::Conflict,
            format!("there is a source `{name}` already"),
            format!("已有名为“{name}”的数据源"),
        ));
    }
    audit(&app, &caller, origin, "source.create", name.as_str()).await?;
    app.platform.ledger.open(&name);
    let sums = app.platform.ledger.sums(&name);
    let source = SourceInfo {
        name: name.as_str().to_owned(),
        kind: HTTP.to_owned(),
        created: now,
        last_seen: sums.last_seen,
        received: sums.received,
    };
    Ok((StatusCode::CREATED, axum::Json(CreatedSource { source, token: token.reveal().to_owned() })))
}

/// Withdraws an HTTP source's token. Its events stay.
#[utoipa::path(delete, path = "/sources/{name}", tag = "sources", security(("session" = [])),
    params(("name" = String, Path, description = "The source")),
    responses(
        (status = 204, description = "Withdrawn"),
        (status = 404, body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(crate) async fn delete_source(
    State(app): State<App>,
    Origin(origin): Origin,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    let withdrawn = app.platform.state.withdraw_source(&name).await;
    if !withdrawn.map_err(|error| Problem::internal(&error))? {
        return Err(Problem::not_found("HTTP source with a token", "持有令牌的 HTTP 数据源", &name));
    }
    audit(&app, &caller, origin, "source.delete", &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists lines that could not be read.
#[utoipa::path(get, path = "/dead-letters", tag = "sources", security(("session" = [])), params(DeadLetterFilter), responses(
    (status = 200, body = DeadLetters),
))]
pub(crate) async fn dead_letters(
    State(app): State<App>,
    Query(filter): Query<DeadLetterFilter>,
) -> Result<axum::Json<DeadLetters>, Problem> {
    let limit = filter.limit.unwrap_or(DEFAULT_DEAD_LETTERS).clamp(1, MAX_DEAD_LETTERS);
    let found = app.platform.state.dead_letters(filter.source.as_deref(), limit.into()).await;
    let (rows, total) = found.map_err(|error| Problem::internal(&error))?;
    let dead_letters = rows
        .into_iter()
        .map(|row| DeadLetter {
            source: row.source,
            arrived: row.arrived,
            reason: row.reason,
            text: String::from_utf8_lossy(&row.frame).into_owned(),
            bytes: row.bytes,
        })
        .collect();
    Ok(axum::Json(DeadLetters { dead_letters, total }))
}

/// The kind of sources that this API makes.
const HTTP: &str = "http";

/// All sources with what the ledger knows of them now.
pub(super) async fn all(platform: &Platform) -> Result<Vec<SourceInfo>, Problem> {
    let rows = platform.state.sources().await.map_err(|error| Problem::internal(&error))?;
    let with_sums = |row: SourceRow| {
        let sums = platform.ledger.sums(&row.name);
        SourceInfo {
            name: row.name.as_str().to_owned(),
            kind: row.kind,
            created: row.created,
            last_seen: sums.last_seen,
            received: sums.received,
        }
    };
    Ok(rows.into_iter().map(with_sums).collect())
}

fn check_name(name: &str) -> Result<(), Problem> {
    let is_plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if is_plain && (1..=MAX_NAME_CHARS).contains(&name.len()) {
        return Ok(());
    }
    Err(Problem::invalid(
        "a source's name has 1 to 64 of: letters, digits, `-`, `_`, `.`",
        "数据源名称须为 1 至 64 个字母、数字或 - _ . 字符",
    ))
}

async fn audit(
    app: &App,
    caller: &Caller,
    origin: std::net::IpAddr,
    act: &'static str,
    object: &str,
) -> Result<(), Problem> {
    let origin = origin.to_string();
    let act = Act { who: &caller.user.name, origin: &origin, act, object, outcome: "ok" };
    app.platform.state.audit(act, Timestamp::now()).await.map_err(|error| Problem::internal(&error))
}

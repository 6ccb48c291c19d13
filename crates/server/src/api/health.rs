//! Health and metrics: for load balancers, `systemd` and Prometheus.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

use wanglou_model::Timestamp;

use super::App;
use super::problem::{Problem, ProblemDocument};
use crate::platform::Phase;
use crate::platform::correlation::Standing;

/// How the platform is.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// `starting` while the log is replayed, `ready`, or `stopping`.
    #[schema(example = "ready")]
    pub status: String,
    /// The platform's version.
    pub version: String,
    /// Seconds since start.
    pub uptime_s: u64,
    /// How correlation rules stand.
    pub correlation: CorrelationHealth,
}

/// How correlation rules stand. Whatever they could not count is here; all is well when everything but `groups`,
/// `bytes` and `waiting` is 0.
#[derive(Serialize, ToSchema)]
pub(crate) struct CorrelationHealth {
    /// Windows that are open, one for each group.
    pub groups: u64,
    /// What they take in memory, estimated.
    pub bytes: u64,
    /// Events that wait for older ones.
    pub waiting: u64,
    /// Open windows forgotten for want of room since the windows began: raise `correlation.memory_mib` or
    /// `correlation.groups`, or narrow the rules.
    pub evicted: u64,
    /// Events that came too late to be counted.
    pub late: u64,
    /// Events counted before older ones could have come, for want of room.
    pub hurried: u64,
    /// How often the windows began empty since start because their state could not be used.
    pub windows_lost: u64,
    /// How often they could not be saved since start.
    pub save_failures: u64,
    /// When they were last saved since start; a restart goes on from there and from the log.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub saved_at: Option<Timestamp>,
}

impl From<Standing> for CorrelationHealth {
    fn from(standing: Standing) -> Self {
        let stats = standing.counted.stats;
        Self {
            groups: stats.groups,
            bytes: stats.bytes,
            waiting: stats.waiting,
            evicted: stats.evicted,
            late: stats.late,
            hurried: stats.hurried,
            windows_lost: standing.lost + standing.counted.resets,
            save_failures: standing.save_failures,
            saved_at: standing.saved_at,
        }
    }
}

/// Says how the platform is. Open to all.
#[utoipa::path(get, path = "/health", tag = "health", responses((status = 200, body = Health)))]
pub(crate) async fn health(State(app): State<App>) -> Json<Health> {
    let status = match app.platform.phase() {
        Phase::Starting => "starting",
        Phase::Ready => "ready",
        Phase::Stopping => "stopping",
    };
    Json(Health {
        status: status.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_s: app.platform.uptime().as_secs(),
        correlation: app.platform.correlation.standing().into(),
    })
}

/// Metrics in the Prometheus (OpenMetrics) text format. Also at `/metrics`. Needs a session, or a source's token.
#[utoipa::path(get, path = "/metrics", tag = "health", security(("session" = []), ("source" = [])), responses(
    (status = 200, description = "OpenMetrics text", content_type = "application/openmetrics-text", body = String),
    (status = 401, body = ProblemDocument, content_type = "application/problem+json"),
))]
pub(crate) async fn metrics(State(app): State<App>) -> Result<impl IntoResponse, Problem> {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let text = app.platform.metrics().map_err(|error| Problem::internal(&error))?;
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], text))
}

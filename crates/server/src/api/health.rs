//! Health and metrics: for load balancers, `systemd` and Prometheus.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::problem::{Problem, ProblemDocument};
use crate::platform::Phase;

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

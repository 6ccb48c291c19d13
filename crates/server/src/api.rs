//! The HTTP API: thin handlers over [`crate::platform`], one file for each resource.
//!
//! The OpenAPI document is made from the code and committed as `docs/openapi.json`; the console's client is generated
//! from it. A test fails when the two differ (`BLESS=1` writes it anew).

mod compat;
mod console;
mod events;
mod extract;
mod findings;
pub(crate) mod guard;
mod health;
mod incidents;
mod ingest;
pub(crate) mod ledger;
mod overview;
mod problem;
mod rules;
mod search;
mod session;
mod sources;
mod stream;
mod suppressions;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate};
use utoipa::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::platform::Platform;
use problem::Problem;

/// Where the API lives.
pub(crate) const PREFIX: &str = "/api/v1";
/// Largest JSON body; the ingest call has limits of its own.
const MAX_JSON_BYTES: usize = 64 * 1024;
/// What every answer carries. Styles may stand inline because the component library puts them there; scripts may not.
const SECURITY_HEADERS: [(HeaderName, HeaderValue); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
             font-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; \
             frame-ancestors 'none'",
        ),
    ),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), microphone=(), geolocation=()"),
    ),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
];
/// Browsers that came over TLS once come over TLS for a year.
const STRICT_TRANSPORT: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// What handlers work with.
#[derive(Clone)]
pub(crate) struct App {
    platform: Arc<Platform>,
    is_tls: bool,
}

impl App {
    /// For this platform, behind TLS or not.
    pub(crate) fn new(platform: Arc<Platform>, is_tls: bool) -> Self {
        Self { platform, is_tls }
    }
}

/// The API and the console.
pub(crate) fn router(app: &App) -> Router {
    let (api, _document) = routes(app).split_for_parts();
    let is_tls = app.is_tls;
    // Server-sent events must go out as they come.
    let compressible = DefaultPredicate::new().and(NotForContentType::const_new("text/event-stream"));
    api.route(
        "/metrics",
        get(health::metrics)
            .layer(middleware::from_fn_with_state(app.clone(), guard::require_session_or_token)),
    )
    .route(&format!("{PREFIX}/openapi.json"), get(openapi))
    .merge(compat::elastic::routes())
    .merge(compat::splunk::routes())
    .merge(compat::otlp::routes())
    .fallback(console::file)
    .layer(DefaultBodyLimit::max(MAX_JSON_BYTES))
    .layer(CompressionLayer::new().compress_when(compressible))
    .layer(middleware::from_fn(move |request: Request, next: Next| finish(request, next, is_tls)))
    .with_state(app.clone())
}

/// The OpenAPI document.
#[must_use]
pub(crate) fn document() -> utoipa::openapi::OpenApi {
    // Joined before they are nested: nesting would let the later of two operations on one path replace the other.
    let routes = open_routes().merge(session_routes()).merge(metrics_routes());
    Document::openapi().nest(PREFIX, routes.into_openapi())
}

async fn openapi() -> axum::Json<utoipa::openapi::OpenApi> {
    axum::Json(document())
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Wanglou 望楼",
        description = "The city security situational-awareness platform. State-changing calls with a session cookie need the header `X-Wanglou-CSRF: 1`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
        version = "1",
    ),
    components(schemas(stream::Rate)),
    modifiers(&Security),
)]
struct Document;

struct Security;

impl utoipa::Modify for Security {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        components.add_security_scheme(
            "session",
            SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(guard::SESSION_COOKIE))),
        );
        components.add_security_scheme(
            "source",
            SecurityScheme::Http(
                HttpBuilder::new()
                    .scheme(HttpAuthScheme::Bearer)
                    .description(Some("The token of an HTTP source"))
                    .build(),
            ),
        );
    }
}

fn routes(app: &App) -> OpenApiRouter<App> {
    let with_session = middleware::from_fn_with_state(app.clone(), guard::require_session);
    let with_either = middleware::from_fn_with_state(app.clone(), guard::require_session_or_token);
    OpenApiRouter::new().nest(
        PREFIX,
        open_routes()
            .merge(session_routes().route_layer(with_session))
            .merge(metrics_routes().route_layer(with_either)),
    )
}

/// Calls that anybody may make; each checks for itself what it needs (a set-up token, a password, a source's token).
fn open_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(session::setup_status, session::set_up))
        .routes(routes!(session::log_on))
        .routes(routes!(health::health))
        .routes(routes!(ingest::ingest))
}

/// Calls for those who are logged on.
fn session_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(session::who_am_i, session::log_off))
        .routes(routes!(sources::list_sources, sources::create_source))
        .routes(routes!(sources::delete_source))
        .routes(routes!(ledger::ledger))
        .routes(routes!(ledger::ledger_hours))
        .routes(routes!(sources::dead_letters))
        .routes(routes!(events::search_events))
        .routes(routes!(search::search_with_facets))
        .routes(routes!(search::search_fields))
        .routes(routes!(events::event_histogram))
        .routes(routes!(events::top_values))
        .routes(routes!(events::get_event))
        .routes(routes!(findings::list_findings))
        .routes(routes!(findings::get_finding))
        .routes(routes!(incidents::list_incidents))
        .routes(routes!(incidents::get_incident))
        .routes(routes!(incidents::change_state))
        .routes(routes!(incidents::add_note))
        .routes(routes!(rules::list_rules))
        .routes(routes!(rules::reload_rules))
        .routes(routes!(suppressions::list_suppressions, suppressions::create_suppression))
        .routes(routes!(suppressions::preview_suppression))
        .routes(routes!(suppressions::revoke_suppression))
        .routes(routes!(suppressions::hidden_findings))
        .routes(routes!(overview::overview))
        .routes(routes!(stream::stream))
}

fn metrics_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(health::metrics))
}

/// Makes problems into documents and adds the security headers; answers of the API are not kept by browsers.
async fn finish(request: Request, next: Next, is_tls: bool) -> Response {
    let path = request.uri().path().to_owned();
    let mut response = next.run(request).await;
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        response = problem.answer(&path);
    }
    let headers = response.headers_mut();
    for (name, value) in SECURITY_HEADERS {
        headers.insert(name, value);
    }
    if is_tls {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, STRICT_TRANSPORT);
    }
    if path.starts_with(PREFIX) {
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_document_is_what_the_code_says() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
        let mut text = document().to_pretty_json().unwrap();
        text.push('\n');
        if std::env::var_os("BLESS").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        let committed_paths = serde_json::from_str::<serde_json::Value>(&committed).unwrap();
        let session = &committed_paths["paths"]["/api/v1/session"];
        assert!(["get", "post", "delete"].iter().all(|method| session.get(method).is_some()));
        assert!(committed == text, "docs/openapi.json differs from the code: run this test with BLESS=1");
    }
}

//! Elasticsearch as far as shippers need it: `_bulk`, and the questions that Beats, Logstash, Fluent Bit, Vector,
//! rsyslog and syslog-ng ask before it. Index names are taken and mean nothing here: what a document is shows in it.

use axum::Router;
use axum::body::Body;
use axum::extract::{RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use wanglou_lake::Origin;

use super::super::problem::Problem;
use super::super::{App, console};
use super::{body, keep, source};

/// What shippers are told they speak to: they refuse servers older than they know.
const VERSION: &str = "8.17.0";
/// Official clients refuse answers without it.
const PRODUCT: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-elastic-product"), HeaderValue::from_static("Elasticsearch"));
/// Actions in one request.
const MAX_ACTIONS: usize = 100_000;

/// The calls, at the root, where shippers expect them.
pub(in super::super) fn routes() -> Router<App> {
    let mut routes = Router::new()
        .route("/", any(root))
        .route("/_bulk", post(bulk).put(bulk))
        .route("/{index}/_bulk", post(bulk).put(bulk))
        .route("/{index}/{kind}/_bulk", post(bulk).put(bulk));
    for path in [
        "/_license",
        "/_xpack",
        "/_cluster/health",
        "/_cat/health",
        "/_nodes/http",
        "/_nodes/_all/http",
        "/_index_template/{name}",
        "/_component_template/{name}",
        "/_template/{name}",
        "/_ilm/policy/{name}",
        "/_data_stream/{name}",
        "/_alias/{name}",
        "/_ingest/pipeline/{name}",
    ] {
        routes = routes.route(path, any(ask));
    }
    routes
}

/// The console for browsers, Elasticsearch for whoever brings a token.
async fn root(state: State<App>, request: Request) -> Response {
    if request.headers().contains_key(header::AUTHORIZATION) {
        return ask(state, request).await;
    }
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return console::file(request.uri().clone()).await;
    }
    StatusCode::METHOD_NOT_ALLOWED.into_response()
}

/// Answers what shippers ask before they send: all is there already and nothing need be set up.
async fn ask(State(app): State<App>, request: Request) -> Response {
    if let Err(problem) = source(&app, request.headers()).await {
        return refusal(&problem);
    }
    let path = request.uri().path();
    let is_change = !matches!(*request.method(), Method::GET | Method::HEAD);
    let answer = match path {
        "/" => json!({
            "name": "wanglou", "cluster_name": "wanglou", "cluster_uuid": "wanglou",
            "version": {
                "number": VERSION, "build_flavor": "default", "build_type": "tar", "build_hash": "0",
                "build_date": "2024-12-11T12:08:05.663969764Z", "build_snapshot": false,
                "lucene_version": "9.12.0", "minimum_wire_compatibility_version": "7.17.0",
                "minimum_index_compatibility_version": "7.0.0",
            },
            "tagline": "You Know, for Search",
        }),
        "/_license" => json!({ "license": {
            "status": "active", "uid": "wanglou", "type": "basic", "mode": "basic",
        } }),
        "/_xpack" => json!({
            "license": { "uid": "wanglou", "type": "basic", "mode": "basic", "status": "active" },
            "features": { "ilm": { "available": true, "enabled": true } },
        }),
        "/_cluster/health" => json!({
            "cluster_name": "wanglou", "status": "green", "timed_out": false, "number_of_nodes": 1,
            "number_of_data_nodes": 1,
        }),
        "/_nodes/http" | "/_nodes/_all/http" => json!({ "cluster_name": "wanglou", "nodes": {} }),
        "/_cat/health" => return found("wanglou green\n".into_response()),
        _ if is_change => json!({ "acknowledged": true }),
        _ => json!({}),
    };
    found(axum::Json(answer).into_response())
}

fn found(mut response: Response) -> Response {
    response.headers_mut().insert(PRODUCT.0, PRODUCT.1);
    response
}

/// An error as Elasticsearch writes it. The status is what senders act on: 429 and 503 make them come again.
fn refusal(problem: &Problem) -> Response {
    let status = problem.status();
    let kind = match status {
        StatusCode::UNAUTHORIZED => "security_exception",
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => "es_rejected_execution_exception",
        _ => "illegal_argument_exception",
    };
    let error = json!({ "type": kind, "reason": problem.detail() });
    let body = json!({ "error": { "root_cause": [error], "type": kind, "reason": problem.detail() }, "status": status.as_u16() });
    let mut response = (status, axum::Json(body)).into_response();
    if let Some(seconds) = problem.retry_after_seconds() {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    if status == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::from_static("Basic realm=\"wanglou\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    found(response)
}

/// Takes documents. Answered after they are on disk.
async fn bulk(State(app): State<App>, RawQuery(query): RawQuery, headers: HeaderMap, sent: Body) -> Response {
    let is_short = query.is_some_and(|query| query.contains("filter_path="));
    match take(&app, &headers, sent).await {
        Ok(items) => found(axum::Json(report(&items, is_short)).into_response()),
        Err(problem) => refusal(&problem),
    }
}

async fn take(app: &App, headers: &HeaderMap, sent: Body) -> Result<Vec<Item>, Problem> {
    let source = source(app, headers).await?;
    let (_place, body) = body(app, &source, headers, sent).await?;
    let (mut items, frames) = read(&body)?;
    // Documents with ids of their own are the same when they come again; without ids two equal ones are two.
    let is_named = !frames.is_empty() && items.iter().all(|item| item.id.is_some());
    let origin = if is_named {
        Origin::Keyed { key: format!("bulk:{}", blake3::hash(&body).to_hex()) }
    } else {
        Origin::Arrival
    };
    let refused = keep(app, source, origin, frames).await?;
    for (item, reason) in items.iter_mut().filter(|item| item.refused.is_none()).zip(refused) {
        item.refused = reason;
    }
    Ok(items)
}

/// One action and what became of it.
#[derive(Debug, PartialEq)]
struct Item {
    action: &'static str,
    index: Option<String>,
    id: Option<String>,
    refused: Option<String>,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(rename = "_index")]
    index: Option<String>,
    #[serde(rename = "_id")]
    id: Option<Value>,
}

/// The actions of a body, and the documents of those that are not refused.
fn read(body: &Bytes) -> Result<(Vec<Item>, Vec<Bytes>), Problem> {
    let mut lines = body
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter(|line| !line.is_empty());
    let (mut items, mut frames) = (Vec::new(), Vec::new());
    while let Some(line) = lines.next() {
        if items.len() == MAX_ACTIONS {
            return Err(Problem::invalid(
                format!("send at most {MAX_ACTIONS} actions at a time"),
                format!("每批最多 {MAX_ACTIONS} 个操作，请分批发送"),
            ));
        }
        let malformed = || {
            let number = items.len() + 1;
            Problem::invalid(
                format!(
                    "Malformed action/metadata line of action {number}: expected {{\"create\": …}} or {{\"index\": …}}; nothing of the body was taken"
                ),
                format!("第 {number} 个操作的元数据行格式有误，本批数据未被接收"),
            )
        };
        let action: serde_json::Map<String, Value> =
            serde_json::from_slice(line).map_err(|_error| malformed())?;
        let (name, meta) = action.into_iter().next().ok_or_else(malformed)?;
        let meta: Meta = serde_json::from_value(meta).map_err(|_error| malformed())?;
        let (action, refused) = match name.as_str() {
            "create" => ("create", None),
            "index" => ("index", None),
            // What is logged is not changed or taken back.
            "update" => ("update", Some("events are not updated here".to_owned())),
            "delete" => ("delete", Some("events are not deleted here".to_owned())),
            _ => return Err(malformed()),
        };
        if action != "delete" {
            let document = lines.next().ok_or_else(malformed)?;
            if refused.is_none() {
                frames.push(body.slice_ref(document));
            }
        }
        let id = meta.id.map(|id| id.as_str().map_or_else(|| id.to_string(), ToOwned::to_owned));
        items.push(Item { action, index: meta.index, id, refused });
    }
    Ok((items, frames))
}

fn report(items: &[Item], is_short: bool) -> Value {
    let rows: Vec<Value> = items.iter().map(|item| row(item, is_short)).collect();
    json!({ "took": 1, "errors": items.iter().any(|item| item.refused.is_some()), "items": rows })
}

fn row(item: &Item, is_short: bool) -> Value {
    let result = match &item.refused {
        Some(reason) => json!({
            "_index": item.index, "_id": item.id, "status": 400,
            "error": { "type": "document_parsing_exception", "reason": reason },
        }),
        None if is_short => json!({ "status": 201 }),
        None => json!({
            "_index": item.index, "_id": item.id, "_version": 1, "result": "created", "status": 201,
            "_shards": { "total": 1, "successful": 1, "failed": 0 }, "_seq_no": 0, "_primary_term": 1,
        }),
    };
    json!({ item.action: result })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_and_documents_are_paired() {
        let body = Bytes::from_static(
            b"{\"create\":{\"_index\":\"logs\"}}\n{\"message\":\"a\"}\r\n{\"delete\":{\"_id\":\"7\"}}\n\n{\"index\":{\"_id\":1}}\n{\"b\":2}",
        );
        let (items, frames) = read(&body).unwrap();
        assert_eq!(frames, ["{\"message\":\"a\"}", "{\"b\":2}"]);
        let actions: Vec<_> = items.iter().map(|item| (item.action, item.id.as_deref())).collect();
        assert_eq!(actions, [("create", None), ("delete", Some("7")), ("index", Some("1"))]);
        let report = report(&items, true);
        assert_eq!(report["errors"], true);
        assert_eq!(report["items"][0], json!({ "create": { "status": 201 } }));
        assert_eq!(report["items"][1]["delete"]["status"], 400);
    }

    #[test]
    fn a_body_cut_off_is_refused_as_a_whole() {
        for body in ["{\"create\":{}}", "{\"create\":{}}\n{}\n{\"other\":{}}\n{}", "nonsense\n", "{}\n{}"] {
            assert!(read(&Bytes::from_static(body.as_bytes())).is_err(), "{body}");
        }
    }
}

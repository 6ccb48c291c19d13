//! Splunk's HTTP event collector. Answered after the events are on disk, so an acknowledgement is true at once.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use wanglou_ingest::FrameDecoder;
use wanglou_lake::Origin;

use super::super::App;
use super::super::problem::Problem;
use super::{body, keep, source};

/// Events in one request.
const MAX_EVENTS: usize = 100_000;
/// Acknowledgements asked for in one request.
const MAX_ACKS: usize = 10_000;
/// Names a sender's channel; with it comes an acknowledgement id.
const CHANNEL: &str = "x-splunk-request-channel";

/// Acknowledgement ids, handed out once an event is on disk. They restart with the platform, as Splunk's do.
static ACKS: AtomicU64 = AtomicU64::new(0);

/// The calls.
pub(in super::super) fn routes() -> Router<App> {
    Router::new()
        .route("/services/collector", post(events))
        .route("/services/collector/event", post(events))
        .route("/services/collector/event/1.0", post(events))
        .route("/services/collector/raw", post(raw))
        .route("/services/collector/raw/1.0", post(raw))
        .route("/services/collector/ack", post(acknowledged))
        .route("/services/collector/health", get(health))
        .route("/services/collector/health/1.0", get(health))
}

async fn health() -> Response {
    axum::Json(json!({ "text": "HEC is healthy", "code": 17 })).into_response()
}

async fn events(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    sent: Body,
) -> Response {
    let taken = async {
        let source = source(&app, &headers).await?;
        let (_place, body) = body(&app, &source, &headers, sent).await?;
        let mut decoder = FrameDecoder::new(std::sync::Arc::clone(&app.platform.catalog));
        let read = tokio::task::spawn_blocking(move || read(&body, &mut decoder));
        let frames = match read.await.map_err(|error| Problem::internal(&error))? {
            Ok(frames) => frames,
            Err(refusal) => return Ok(Some(refusal)),
        };
        keep(&app, source, Origin::Arrival, frames).await?;
        Ok(None)
    };
    answer(taken.await, &headers, query.as_deref())
}

async fn raw(State(app): State<App>, RawQuery(query): RawQuery, headers: HeaderMap, sent: Body) -> Response {
    let taken = async {
        let source = source(&app, &headers).await?;
        let (_place, body) = body(&app, &source, &headers, sent).await?;
        let lines = body.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let frames: Vec<Bytes> =
            lines.filter(|line| !line.trim_ascii().is_empty()).map(|line| body.slice_ref(line)).collect();
        if frames.is_empty() {
            return Ok(Some(Refusal { code: 5, text: "No data", event: None }));
        }
        keep(&app, source, Origin::Arrival, frames).await?;
        Ok(None)
    };
    answer(taken.await, &headers, query.as_deref())
}

#[derive(Deserialize)]
struct Acks {
    acks: Vec<u64>,
}

async fn acknowledged(State(app): State<App>, headers: HeaderMap, sent: Body) -> Response {
    let asked = async {
        let source = source(&app, &headers).await?;
        let (_place, body) = body(&app, &source, &headers, sent).await?;
        Ok::<_, Problem>(serde_json::from_slice::<Acks>(&body).unwrap_or(Acks { acks: Vec::new() }))
    };
    match asked.await {
        Ok(Acks { acks }) => {
            let given = ACKS.load(Ordering::Relaxed);
            let acks: Map<String, Value> =
                acks.iter().take(MAX_ACKS).map(|id| (id.to_string(), (*id < given).into())).collect();
            axum::Json(json!({ "acks": acks })).into_response()
        }
        Err(problem) => refuse(&problem),
    }
}

/// Why a body is refused, in Splunk's numbers.
#[derive(Debug, PartialEq)]
struct Refusal {
    code: u32,
    text: &'static str,
    /// The first event that is wrong.
    event: Option<usize>,
}

fn answer(taken: Result<Option<Refusal>, Problem>, headers: &HeaderMap, query: Option<&str>) -> Response {
    match taken {
        Ok(None) => {
            let has_channel =
                headers.contains_key(CHANNEL) || query.is_some_and(|query| query.contains("channel="));
            let mut body = json!({ "text": "Success", "code": 0 });
            if has_channel && let Some(body) = body.as_object_mut() {
                body.insert("ackId".into(), ACKS.fetch_add(1, Ordering::Relaxed).into());
            }
            axum::Json(body).into_response()
        }
        Ok(Some(Refusal { code, text, event })) => {
            let mut body = json!({ "text": text, "code": code });
            if let (Some(event), Some(body)) = (event, body.as_object_mut()) {
                body.insert("invalid-event-number".into(), event.into());
            }
            (StatusCode::BAD_REQUEST, axum::Json(body)).into_response()
        }
        Err(problem) => refuse(&problem),
    }
}

fn refuse(problem: &Problem) -> Response {
    let status = problem.status();
    let code = match status {
        StatusCode::UNAUTHORIZED => 4,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => 9,
        StatusCode::INTERNAL_SERVER_ERROR => 8,
        _ => 6,
    };
    // Splunk's own senders come again after 503, and give up after 429.
    let status =
        if status == StatusCode::TOO_MANY_REQUESTS { StatusCode::SERVICE_UNAVAILABLE } else { status };
    let mut response =
        (status, axum::Json(json!({ "text": problem.detail(), "code": code }))).into_response();
    if let Some(seconds) = problem.retry_after_seconds() {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// The frames of a body of events, which stand one after the other with or without anything between.
fn read(body: &[u8], decoder: &mut FrameDecoder) -> Result<Vec<Bytes>, Refusal> {
    let mut frames = Vec::new();
    for envelope in serde_json::Deserializer::from_slice(body).into_iter::<Map<String, Value>>() {
        let wrong = |code, text| Refusal { code, text, event: Some(frames.len()) };
        let envelope = envelope.map_err(|_error| wrong(6, "Invalid data format"))?;
        if frames.len() == MAX_EVENTS {
            return Err(wrong(6, "Too many events"));
        }
        let frame = frame(envelope, decoder).ok_or_else(|| wrong(12, "Event field is required"))?;
        frames.push(frame);
    }
    if frames.is_empty() { Err(Refusal { code: 5, text: "No data", event: None }) } else { Ok(frames) }
}

/// An object keeps its own fields, and the envelope's beside them where it has none of that name. A line that is
/// recognised stands for itself; any other text becomes the `message`.
fn frame(mut envelope: Map<String, Value>, decoder: &mut FrameDecoder) -> Option<Bytes> {
    let mut event = match envelope.remove("event")? {
        Value::Object(event) => event,
        Value::String(line) if line.trim().is_empty() => return None,
        Value::String(line) => {
            let line = Bytes::from(line);
            if decoder.decode(&line, &mut |_record| {}).is_ok() {
                return Some(line);
            }
            Map::from_iter([("message".to_owned(), String::from_utf8_lossy(&line).into())])
        }
        Value::Null => return None,
        other => Map::from_iter([("message".to_owned(), other)]),
    };
    let fields = envelope.remove("fields");
    if let Some(Value::Object(fields)) = fields {
        for (name, value) in fields {
            event.entry(name).or_insert(value);
        }
    }
    for (name, value) in envelope {
        event.entry(name).or_insert(value);
    }
    serde_json::to_vec(&event).ok().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(body: &str) -> Result<Vec<String>, Refusal> {
        let mut decoder = FrameDecoder::new(crate::content::catalog().unwrap());
        let frames = read(body.as_bytes(), &mut decoder)?;
        Ok(frames.iter().map(|frame| String::from_utf8_lossy(frame).into_owned()).collect())
    }

    #[test]
    fn envelopes_give_their_events() {
        let body = r#"{"time":1790000000.5,"host":"web","event":{"src_ip":"10.0.0.1","host":"own"}}{"event":"<34>Oct 11 22:14:15 gw su: failed"}
            {"host":"h","fields":{"zone":"dmz"},"event":17}"#;
        let frames = frames(body).unwrap();
        let json = |at: usize| serde_json::from_str::<Value>(&frames[at]).unwrap();
        assert_eq!(json(0), json!({ "host": "own", "src_ip": "10.0.0.1", "time": 1_790_000_000.5 }));
        assert_eq!(frames[1], "<34>Oct 11 22:14:15 gw su: failed");
        assert_eq!(json(2), json!({ "host": "h", "message": 17, "zone": "dmz" }));
    }

    #[test]
    fn the_wrong_event_is_named() {
        let code = |body: &str| frames(body).map_err(|refusal| (refusal.code, refusal.event));
        assert_eq!(code(""), Err((5, None)));
        assert_eq!(code(r#"{"event":"<1>a"}{"host":"x"}"#), Err((12, Some(1))));
        assert_eq!(code(r#"{"event":"<1>a"}{"eve"#), Err((6, Some(1))));
    }
}

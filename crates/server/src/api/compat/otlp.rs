//! OpenTelemetry logs (OTLP) over HTTP, in protobuf and JSON, and over gRPC. Answered after the records are on disk.

mod wire;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use prost::Message;
use serde_json::{Map, Value, json};
use wanglou_ingest::FrameDecoder;
use wanglou_lake::Origin;

use super::super::App;
use super::super::problem::{Kind, Problem};
use super::{body, keep, source};
use wire::{
    AnyValue, ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse, KeyValue,
    LogRecord, Status,
};

/// Log records in one request.
const MAX_RECORDS: usize = 100_000;
/// How deep values may stand in values.
const MAX_DEPTH: usize = 32;
/// What stands before a gRPC message: whether it is packed, and its length.
const GRPC_PREFIX_BYTES: usize = 5;

/// The calls, where exporters expect them.
pub(in super::super) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/logs", post(export))
        .route("/opentelemetry.proto.collector.logs.v1.LogsService/Export", post(export_grpc))
}

/// How a request is written, and so its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Json,
    Protobuf,
}

impl Encoding {
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let kind =
            headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        match kind.split(';').next().unwrap_or_default().trim() {
            "application/json" => Ok(Self::Json),
            "application/x-protobuf" => Ok(Self::Protobuf),
            other => Err(Problem::new(
                Kind::UnsupportedMedia,
                format!(
                    "`Content-Type: {other}` is not read here: send application/x-protobuf or application/json"
                ),
                format!("不支持 Content-Type: {other}，请使用 application/x-protobuf 或 application/json"),
            )),
        }
    }

    const fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Json => "application/json",
            Self::Protobuf => "application/x-protobuf",
        })
    }

    fn read(self, body: &Bytes) -> Result<ExportLogsServiceRequest, Problem> {
        let wrong = |error: &dyn std::fmt::Display| {
            Problem::invalid(
                format!("the body is no OTLP logs request ({error}): nothing of it was taken"),
                "内容不是有效的 OTLP 日志请求，本批数据未被接收",
            )
        };
        match self {
            Self::Json => serde_json::from_slice(body).map_err(|error| wrong(&error)),
            Self::Protobuf => ExportLogsServiceRequest::decode(body.clone()).map_err(|error| wrong(&error)),
        }
    }
}

async fn export(State(app): State<App>, headers: HeaderMap, sent: Body) -> Response {
    let encoding = match Encoding::of(&headers) {
        Ok(encoding) => encoding,
        Err(problem) => return refusal(&problem, Encoding::Json),
    };
    match take(&app, &headers, sent, move |body| encoding.read(&body)).await {
        Ok(answer) => {
            let body = match encoding {
                Encoding::Json => answer.to_json().to_string().into_bytes(),
                Encoding::Protobuf => answer.encode_to_vec(),
            };
            ([(header::CONTENT_TYPE, encoding.content_type())], body).into_response()
        }
        Err(problem) => refusal(&problem, encoding),
    }
}

/// An error as OTLP wants it: a `google.rpc.Status`. Exporters send again after 429 and 503.
fn refusal(problem: &Problem, encoding: Encoding) -> Response {
    let status = problem.status();
    let (code, message) = (grpc_code(status), problem.detail().to_owned());
    let body = match encoding {
        Encoding::Json => json!({ "code": code, "message": message }).to_string().into_bytes(),
        Encoding::Protobuf => Status { code, message }.encode_to_vec(),
    };
    let mut response = (status, [(header::CONTENT_TYPE, encoding.content_type())], body).into_response();
    if let Some(seconds) = problem.retry_after_seconds() {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// The codes of gRPC; exporters send again after `UNAVAILABLE`.
fn grpc_code(status: StatusCode) -> i32 {
    const INVALID_ARGUMENT: i32 = 3;
    const INTERNAL: i32 = 13;
    const UNAVAILABLE: i32 = 14;
    const UNAUTHENTICATED: i32 = 16;
    match status {
        StatusCode::UNAUTHORIZED => UNAUTHENTICATED,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => UNAVAILABLE,
        StatusCode::INTERNAL_SERVER_ERROR => INTERNAL,
        _ => INVALID_ARGUMENT,
    }
}

async fn export_grpc(State(app): State<App>, headers: HeaderMap, sent: Body) -> Response {
    let is_packed = headers.get("grpc-encoding").is_some_and(|encoding| encoding.as_bytes() == b"gzip");
    let taken = take(&app, &headers, sent, move |body| {
        let message = grpc_message(&body, is_packed)?;
        Encoding::Protobuf.read(&message)
    });
    let (answer, code, message) = match taken.await {
        Ok(answer) => (Some(answer), 0, String::new()),
        Err(problem) => (None, grpc_code(problem.status()), problem.detail().to_owned()),
    };
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", code.into());
    // Trailers are ASCII; what is not would have to be escaped.
    let message: String =
        message.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect();
    if let Ok(message) = HeaderValue::from_str(&message) {
        trailers.insert("grpc-message", message);
    }
    let body = answer.map(|answer| grpc_frame(&answer)).unwrap_or_default();
    let body = Body::new(Full::new(body).with_trailers(async move { Some(Ok(trailers)) }));
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"))], body).into_response()
}

/// The one message of a unary call.
fn grpc_message(body: &Bytes, is_packed: bool) -> Result<Bytes, Problem> {
    let cut = || Problem::invalid("the gRPC message is cut off", "gRPC 消息不完整");
    let (prefix, message) = body.split_at_checked(GRPC_PREFIX_BYTES).ok_or_else(cut)?;
    let (flag, length) = match prefix {
        [flag, length @ ..] => {
            (*flag, length.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte)))
        }
        [] => return Err(cut()),
    };
    if message.len() != length {
        return Err(cut());
    }
    let message = body.slice_ref(message);
    match (flag, is_packed) {
        (0, _) => Ok(message),
        (_, true) => super::super::ingest::unpack(&message),
        (_, false) => Err(Problem::invalid("only gzip is read here", "仅支持 gzip 压缩")),
    }
}

fn grpc_frame(answer: &ExportLogsServiceResponse) -> Bytes {
    let message = answer.encode_to_vec();
    let mut frame = BytesMut::with_capacity(GRPC_PREFIX_BYTES + message.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap_or_default());
    frame.extend_from_slice(&message);
    frame.freeze()
}

async fn take(
    app: &App,
    headers: &HeaderMap,
    sent: Body,
    read: impl FnOnce(Bytes) -> Result<ExportLogsServiceRequest, Problem> + Send + 'static,
) -> Result<ExportLogsServiceResponse, Problem> {
    let source = source(app, headers).await?;
    let (_place, body) = body(app, &source, headers, sent).await?;
    let mut decoder = FrameDecoder::new(std::sync::Arc::clone(&app.platform.catalog));
    let frames = tokio::task::spawn_blocking(move || frames(&read(body)?, &mut decoder));
    let frames = frames.await.map_err(|error| Problem::internal(&error))??;
    let refused: Vec<String> =
        keep(app, source, Origin::Arrival, frames).await?.into_iter().flatten().collect();
    let partial_success = refused.first().map(|first| ExportLogsPartialSuccess {
        rejected_log_records: i64::try_from(refused.len()).unwrap_or(i64::MAX),
        error_message: first.clone(),
    });
    Ok(ExportLogsServiceResponse { partial_success })
}

/// One frame a log record.
fn frames(request: &ExportLogsServiceRequest, decoder: &mut FrameDecoder) -> Result<Vec<Bytes>, Problem> {
    let mut frames = Vec::new();
    for resource_logs in &request.resource_logs {
        let resource = resource_logs.resource.as_ref().map(|resource| resource.attributes.as_slice());
        for scope_logs in &resource_logs.scope_logs {
            for record in &scope_logs.log_records {
                if frames.len() == MAX_RECORDS {
                    return Err(Problem::invalid(
                        format!("send at most {MAX_RECORDS} log records at a time"),
                        format!("每批最多 {MAX_RECORDS} 条日志，请分批发送"),
                    ));
                }
                frames.push(frame(resource.unwrap_or_default(), record, decoder));
            }
        }
    }
    Ok(frames)
}

/// A body that is a line we recognise stands for itself, so that rules for its product apply. Otherwise a record is an
/// object: the body's fields, or its text as `message`, then the record's attributes, then the resource's.
fn frame(resource: &[KeyValue], record: &LogRecord, decoder: &mut FrameDecoder) -> Bytes {
    let mut event = match record.body.as_ref().map(|body| json_of(body, 0)) {
        Some(Value::Object(fields)) => fields,
        Some(Value::String(line)) => {
            let line = Bytes::from(line);
            let is_line = !line.trim_ascii().is_empty() && !line.contains(&b'\n');
            if is_line && decoder.decode(&line, &mut |_record| {}).is_ok() {
                return line;
            }
            Map::from_iter([("message".to_owned(), String::from_utf8_lossy(&line).into())])
        }
        None | Some(Value::Null) => Map::new(),
        Some(other) => Map::from_iter([("message".to_owned(), other)]),
    };
    for KeyValue { key, value } in record.attributes.iter().chain(resource) {
        let value = value.as_ref().map_or(Value::Null, |value| json_of(value, 0));
        event.entry(key.clone()).or_insert(value);
    }
    let nanos =
        if record.time_unix_nano == 0 { record.observed_time_unix_nano } else { record.time_unix_nano };
    let time = i64::try_from(nanos).ok().filter(|nanos| *nanos > 0);
    let time = time.map(|nanos| wanglou_model::Timestamp::from_nanos(nanos).to_string());
    let texts = [
        ("timestamp", time),
        ("severity", Some(record.severity_text.clone())),
        ("event_name", Some(record.event_name.clone())),
        ("trace_id", Some(hex::encode(&record.trace_id))),
        ("span_id", Some(hex::encode(&record.span_id))),
    ];
    for (name, text) in texts {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            event.entry(name).or_insert_with(|| text.into());
        }
    }
    if record.severity_number != 0 {
        event.entry("severity_number").or_insert_with(|| record.severity_number.into());
    }
    Value::Object(event).to_string().into()
}

fn json_of(value: &AnyValue, depth: usize) -> Value {
    use wire::any_value::Value as Of;
    if depth > MAX_DEPTH {
        return Value::Null;
    }
    match &value.value {
        None => Value::Null,
        Some(Of::StringValue(text)) => text.as_str().into(),
        Some(Of::BoolValue(flag)) => (*flag).into(),
        Some(Of::IntValue(number)) => (*number).into(),
        Some(Of::DoubleValue(number)) => (*number).into(),
        Some(Of::BytesValue(bytes)) => hex::encode(bytes).into(),
        Some(Of::ArrayValue(array)) => array.values.iter().map(|value| json_of(value, depth + 1)).collect(),
        Some(Of::KvlistValue(list)) => {
            let entry = |KeyValue { key, value }: &KeyValue| {
                (key.clone(), value.as_ref().map_or(Value::Null, |value| json_of(value, depth + 1)))
            };
            Value::Object(list.values.iter().map(entry).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &str = r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"portal"}}]},
        "scopeLogs":[{"scope":{"name":"s"},"logRecords":[
          {"timeUnixNano":"1790000000000000000","severityNumber":9,"severityText":"INFO","body":{"stringValue":"plain words"},
           "attributes":[{"key":"client.address","value":{"stringValue":"10.0.0.1"}},{"key":"n","value":{"intValue":"7"}}],
           "traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174"},
          {"observedTimeUnixNano":1790000001000000000,"body":{"stringValue":"<34>Oct 11 22:14:15 gw su: failed"}},
          {"body":{"kvlistValue":{"values":[{"key":"a","value":{"arrayValue":{"values":[{"boolValue":true},{"doubleValue":1.5}]}}}]}},"unknownField":1}
        ]}]}]}"#;

    fn read(request: &ExportLogsServiceRequest) -> Vec<String> {
        let mut decoder = FrameDecoder::new(crate::content::catalog().unwrap());
        let frames = frames(request, &mut decoder).unwrap();
        frames.iter().map(|frame| String::from_utf8_lossy(frame).into_owned()).collect()
    }

    #[test]
    fn json_and_protobuf_give_the_same_frames() {
        let request = Encoding::Json.read(&Bytes::from_static(REQUEST.as_bytes())).unwrap();
        let frames = read(&request);
        assert_eq!(
            serde_json::from_str::<Value>(&frames[0]).unwrap(),
            json!({
                "message": "plain words", "client.address": "10.0.0.1", "n": 7, "service.name": "portal",
                "timestamp": "2026-09-21T14:13:20Z", "severity": "INFO", "severity_number": 9,
                "trace_id": "5b8efff798038103d269b633813fc60c", "span_id": "eee19b7ec3c1b174",
            })
        );
        assert_eq!(frames[1], "<34>Oct 11 22:14:15 gw su: failed");
        assert_eq!(serde_json::from_str::<Value>(&frames[2]).unwrap()["a"], json!([true, 1.5]));
        let packed = Bytes::from(request.encode_to_vec());
        assert_eq!(read(&Encoding::Protobuf.read(&packed).unwrap()), frames);
        for (length, is_right) in [(packed.len(), true), (packed.len() + 1, false), (0, false)] {
            let prefix = u32::try_from(length).unwrap().to_be_bytes();
            let framed = Bytes::from([&[0], &prefix[..], &packed[..]].concat());
            assert_eq!(grpc_message(&framed, false).ok(), is_right.then(|| packed.clone()));
        }
        assert!(grpc_message(&packed.slice(..3), false).is_err());
        for cut in 0..packed.len() {
            _ = Encoding::Protobuf.read(&packed.slice(..cut));
        }
    }
}

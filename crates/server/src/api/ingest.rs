//! `POST /api/v1/ingest`: events over HTTP.

use std::io::Read;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use serde::Serialize;
use utoipa::ToSchema;
use wanglou_ingest::{Accounted, Catalog, FrameDecoder, is_blank};
use wanglou_lake::{Appended, Batch, Origin};
use wanglou_model::Timestamp;

use super::App;
use super::guard::source_of;
use super::problem::{Kind, Problem, ProblemDocument};
use crate::platform::decode::decode;
use crate::platform::intake::IntakeError;

/// Largest body as sent. Shippers send a few MiB at a time.
const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;
/// Largest body unpacked: bounds what a gzip bomb can do.
const MAX_UNPACKED_BYTES: usize = 32 * 1024 * 1024;
/// How much larger logs are before gzip, as a rule.
const USUAL_RATIO: usize = 20;
/// Lines in a body.
const MAX_LINES: usize = 200_000;
/// Refused lines that the report names.
const MAX_REPORTED: usize = 100;
/// Longest `Idempotency-Key`.
const MAX_KEY_BYTES: usize = 200;
/// When a sender should come back, in seconds: the pipeline works off its whole queue in a few.
const RETRY_AFTER_S: u64 = 2;
/// The same while the disk is full: a person has to make room.
const RETRY_AFTER_DISK_S: u64 = 15;

/// What became of a batch.
#[derive(Serialize, ToSchema)]
pub(crate) struct IngestReport {
    /// Lines in the body, blank ones aside.
    pub received: u64,
    /// Lines that were read; they are in the log now and survive a crash.
    pub accepted: u64,
    /// Lines that cannot be read, the first ones: at most 100. They are kept as dead letters.
    pub rejected: Vec<RejectedLine>,
    /// How many lines cannot be read.
    pub rejected_count: u64,
    /// True when this `Idempotency-Key` was seen before: nothing was added.
    pub duplicate: bool,
}

/// One refused line.
#[derive(Serialize, ToSchema)]
pub(crate) struct RejectedLine {
    /// 1-based.
    pub line: u64,
    /// Why.
    pub reason: String,
}

/// Takes a batch of events: one a line (NDJSON; syslog, access-log and auditd lines are recognised too).
///
/// Answered after the batch is on disk.
#[utoipa::path(post, path = "/ingest", tag = "ingest", security(("source" = [])),
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "Names the batch: sent again within 24 hours, it is not stored again. At most 200 printable characters."),
        ("Content-Encoding" = Option<String>, Header, description = "`gzip` or nothing."),
    ),
    request_body(content = String, content_type = "application/x-ndjson"),
    responses(
        (status = 200, body = IngestReport),
        (status = 400, body = ProblemDocument, content_type = "application/problem+json", description = "Damaged gzip, bad key"),
        (status = 401, body = ProblemDocument, content_type = "application/problem+json", description = "The token belongs to no source"),
        (status = 413, body = ProblemDocument, content_type = "application/problem+json", description = "The body, as sent or unpacked, is too large"),
        (status = 415, body = ProblemDocument, content_type = "application/problem+json", description = "An encoding other than gzip"),
        (status = 429, body = ProblemDocument, content_type = "application/problem+json", description = "The pipeline is full; `Retry-After` says when to come back"),
        (status = 503, body = ProblemDocument, content_type = "application/problem+json", description = "The platform is stopping"),
    ))]
pub(crate) async fn ingest(
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<IngestReport>, Problem> {
    let source = source_of(&app, &headers).await?;
    let key = idempotency_key(&headers)?;
    let is_gzip = is_gzip(&headers)?;
    let _room = app.platform.bodies.try_enter(&source, weight(&headers)).map_err(|_none_left| full())?;
    let arrival = Timestamp::now();
    let body = read_body(body).await?;
    let catalog = Arc::clone(&app.platform.catalog);
    let origin = key.map_or(Origin::Arrival, |key| Origin::Keyed { key });
    let read = tokio::task::spawn_blocking(move || {
        let lines = read(&body, is_gzip, &origin, catalog)?;
        Ok::<_, Problem>((lines, origin))
    });
    let (lines, origin) = read.await.map_err(|error| Problem::internal(&error))??;
    let Lines { frames, numbers, decoded } = lines;
    let mut report = report(&numbers, &decoded);
    if !frames.is_empty() {
        let appended = app.platform.intake.offer(Batch { source, arrival, origin, frames }, decoded).await?;
        report.duplicate = matches!(appended, Appended::AlreadyHad(_));
    }
    Ok(Json(report))
}

/// The lines of a body, blank ones left out.
struct Lines {
    frames: Vec<Bytes>,
    /// The 1-based number of each frame's line.
    numbers: Vec<u64>,
    decoded: Accounted,
}

fn read(body: &Bytes, is_gzip: bool, origin: &Origin, catalog: Arc<Catalog>) -> Result<Lines, Problem> {
    let body = if is_gzip { unpack(body)? } else { body.clone() };
    let (mut frames, mut numbers) = (Vec::new(), Vec::new());
    for (number, line) in (1..).zip(body.split(|byte| *byte == b'\n')) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if is_blank(line) {
            continue;
        }
        if frames.len() == MAX_LINES {
            return Err(too_large(format!("send at most {MAX_LINES} lines at a time"), MAX_LINES));
        }
        frames.push(body.slice_ref(line));
        numbers.push(number);
    }
    let decoded = decode(&mut FrameDecoder::new(catalog), origin, &frames);
    Ok(Lines { frames, numbers, decoded })
}

/// What a body may take in memory while it is read, by what its sender says of it.
pub(super) fn weight(headers: &HeaderMap) -> usize {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let sent = length.unwrap_or(MAX_BODY_BYTES).min(MAX_BODY_BYTES);
    let is_packed = headers.contains_key(header::CONTENT_ENCODING);
    sent + if is_packed { sent.saturating_mul(USUAL_RATIO).min(MAX_UNPACKED_BYTES) } else { 0 }
}

/// Reads a body as it was sent.
pub(super) async fn read_body(body: Body) -> Result<Bytes, Problem> {
    axum::body::to_bytes(body, MAX_BODY_BYTES)
        .await
        .map_err(|_error| too_large(format!("send at most {MAX_BODY_BYTES} bytes at a time"), MAX_BODY_BYTES))
}

/// Unpacks a gzip body.
pub(super) fn unpack(body: &Bytes) -> Result<Bytes, Problem> {
    let mut unpacked = Vec::new();
    let mut reader = flate2::read::MultiGzDecoder::new(&body[..]).take(MAX_UNPACKED_BYTES as u64 + 1);
    reader.read_to_end(&mut unpacked).map_err(|error| {
        Problem::invalid(
            format!("the gzip body is damaged ({error}): nothing of it was taken"),
            "gzip 内容已损坏，本批数据未被接收",
        )
    })?;
    if unpacked.len() > MAX_UNPACKED_BYTES {
        let detail = format!("the body unpacks to more than {MAX_UNPACKED_BYTES} bytes: send less at a time");
        return Err(too_large(detail, MAX_UNPACKED_BYTES));
    }
    Ok(unpacked.into())
}

fn report(numbers: &[u64], decoded: &Accounted) -> IngestReport {
    let (received, rejected_count) = (numbers.len() as u64, decoded.rejected.len() as u64);
    let rejected = decoded
        .rejected
        .iter()
        .take(MAX_REPORTED)
        .map(|rejected| RejectedLine {
            line: numbers.get(rejected.frame).copied().unwrap_or_default(),
            reason: rejected.reason.clone(),
        })
        .collect();
    let accepted = received.saturating_sub(rejected_count);
    IngestReport { received, accepted, rejected, rejected_count, duplicate: false }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().unwrap_or_default();
    let is_good = (1..=MAX_KEY_BYTES).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    is_good.then(|| Some(key.to_owned())).ok_or_else(|| {
        Problem::invalid(
            format!("`Idempotency-Key` has 1 to {MAX_KEY_BYTES} printable ASCII characters without spaces"),
            format!("Idempotency-Key 须为 1 至 {MAX_KEY_BYTES} 个可打印 ASCII 字符，不含空格"),
        )
    })
}

/// Whether a body is packed with gzip.
pub(super) fn is_gzip(headers: &HeaderMap) -> Result<bool, Problem> {
    let encoding = headers.get(header::CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?").trim());
    match encoding {
        None | Some("" | "identity") => Ok(false),
        Some("gzip" | "x-gzip") => Ok(true),
        Some(other) => Err(Problem::new(
            Kind::UnsupportedMedia,
            format!("`Content-Encoding: {other}` is not read here: send gzip or nothing"),
            format!("不支持 Content-Encoding: {other}，请使用 gzip 或不压缩"),
        )),
    }
}

fn too_large(detail: String, limit: usize) -> Problem {
    Problem::new(Kind::TooLarge, detail, format!("内容过大：上限为 {limit}，请分批发送"))
}

/// The answer to a sender that must wait.
pub(super) fn full() -> Problem {
    Problem::new(
        Kind::TooMany,
        "the pipeline is full: send the same batch again later",
        "处理队列已满，请稍后重发本批数据",
    )
    .retry_after(RETRY_AFTER_S)
}

impl From<IntakeError> for Problem {
    fn from(error: IntakeError) -> Self {
        match error {
            IntakeError::Full => full(),
            IntakeError::Stopping => Self::new(
                Kind::Unavailable,
                "the platform is stopping: send the same batch again later",
                "平台正在停止，请稍后重发本批数据",
            )
            .retry_after(RETRY_AFTER_S),
            IntakeError::DiskFull => Self::new(
                Kind::Unavailable,
                "the platform's disk is full and nothing more is acknowledged: send the same batch again later",
                "平台磁盘已满，暂停确认接收，请稍后重发本批数据",
            )
            .retry_after(RETRY_AFTER_DISK_S),
            IntakeError::Log(error) => Self::internal(&error),
        }
    }
}

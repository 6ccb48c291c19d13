//! Search over events.

use std::time::Instant;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use wanglou_model::search::Expression;
use wanglou_model::{EventUid, Timestamp};

use super::App;
use super::extract::{self, Path, Query, TimeRange};
use super::problem::{Kind, Problem, ProblemDocument};
use super::search::{placed, read_query};
use crate::platform::{bucket_nanos, width};
use wanglou_lake::{Bucket, LakeError};

/// Events of one answer: if not asked otherwise, and at most.
pub(super) const DEFAULT_EVENTS: usize = 100;
pub(super) const MAX_EVENTS: usize = 1_000;
/// Buckets of one answer: if not asked otherwise, and at most.
const DEFAULT_BUCKETS: usize = 60;
pub(super) const MAX_BUCKETS: usize = 500;
/// Values of one answer: if not asked otherwise, and at most.
pub(super) const DEFAULT_TOP: usize = 10;
const MAX_TOP: usize = 100;
/// Conditions of one query.
const MAX_CONDITIONS: usize = 20;

/// An OCSF object as it stands: attributes by name.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = BTreeMap<String, Value>)]
pub(crate) struct OcsfObject(pub serde_json::Map<String, Value>);

/// A page of events.
#[derive(Serialize, ToSchema)]
pub(crate) struct EventPage {
    /// OCSF events, newest first.
    pub events: Vec<OcsfObject>,
    /// Gives the next page when passed as `cursor`; absent at the end.
    pub next_cursor: Option<String>,
    /// How long the search took, in milliseconds.
    pub took_ms: u64,
}

/// Counts over time.
#[derive(Serialize, ToSchema)]
pub(crate) struct Histogram {
    /// Width of a bucket, in milliseconds.
    pub bucket_ms: u64,
    /// In order of time, empty ones included.
    pub buckets: Vec<TimeCount>,
}

/// One bucket.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct TimeCount {
    /// Start of the bucket.
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
    /// How many.
    pub count: u64,
}

/// The most frequent values of a field.
#[derive(Serialize, ToSchema)]
pub(crate) struct TopValues {
    /// Most frequent first.
    pub values: Vec<ValueCount>,
}

/// One value.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ValueCount {
    /// The value as text.
    pub value: String,
    /// How many events carry it.
    pub count: u64,
}

/// Which events, as documented; read by [`EventQuery`], because `where` may stand several times.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the query for the OpenAPI document")]
pub(crate) struct EventFilter {
    /// Event time from, inclusive (RFC 3339); the day before `to` if not given.
    #[param(format = DateTime)]
    from: Option<String>,
    /// Event time to, exclusive (RFC 3339); now if not given.
    #[param(format = DateTime)]
    to: Option<String>,
    /// `path:value`, for equality: a dotted OCSF path, or `source`, `product`, `class_uid`. Repeat it to ask for several
    /// at once.
    #[param(rename = "where", example = json!(["src_endpoint.ip:10.0.0.8"]))]
    conditions: Option<Vec<String>>,
    /// A query in the search language, beside `where`: `user:root and not src_ip:10.0.0.0/8 "failed password"`.
    q: Option<String>,
}

/// How much of them.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the query for the OpenAPI document")]
pub(crate) struct Paging {
    /// At most so many: 1 to 1,000, 100 if not given.
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// How finely to count.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the query for the OpenAPI document")]
pub(crate) struct Resolution {
    /// Number of buckets: 1 to 500, 60 if not given.
    buckets: Option<u32>,
}

/// What to count.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the query for the OpenAPI document")]
pub(crate) struct TopOf {
    /// The dotted OCSF path.
    field: String,
    /// How many values: 1 to 100, 10 if not given.
    n: Option<u32>,
}

type Pairs = Query<Vec<(String, String)>>;

/// Searches events, newest first.
#[utoipa::path(get, path = "/events", tag = "events", security(("session" = [])), params(EventFilter, Paging), responses(
    (status = 200, body = EventPage),
    (status = 400, body = ProblemDocument, content_type = "application/problem+json"),
))]
pub(crate) async fn search_events(
    State(app): State<App>,
    Query(pairs): Pairs,
) -> Result<Json<EventPage>, Problem> {
    let asked = EventQuery::read(pairs, &["limit", "cursor"])?;
    let started = Instant::now();
    let mut query = asked.lake_query()?;
    query.limit = asked.number("limit", DEFAULT_EVENTS, MAX_EVENTS)?;
    query.cursor = asked.rest("cursor").map(str::to_owned);
    query.newest_first = true;
    let page = app.platform.lake.search(&query).await.map_err(|error| asked.problem(error))?;
    Ok(Json(EventPage {
        events: page.hits.into_iter().map(|hit| OcsfObject(hit.json)).collect(),
        next_cursor: page.next,
        took_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    }))
}

/// One event.
#[utoipa::path(get, path = "/events/{uid}", tag = "events", security(("session" = [])),
    params(
        ("uid" = String, Path, description = "32 hexadecimal digits"),
        ("time" = Option<String>, Query, format = DateTime,
            description = "When it happened, to the millisecond (RFC 3339), where that is known: it is then found at once"),
    ),
    responses(
        (status = 200, body = OcsfObject),
        (status = 400, body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(crate) async fn get_event(
    State(app): State<App>,
    Path(uid): Path<String>,
    Query(asked): Query<EventTime>,
) -> Result<Json<OcsfObject>, Problem> {
    let not_found = || Problem::not_found("event", "日志", &uid);
    let id: EventUid = uid.parse().map_err(|_error| not_found())?;
    let time = asked.time.map(|text| extract::parse_time("time", &text)).transpose()?;
    let hit = app.platform.lake.event(id, time).await?.ok_or_else(not_found)?;
    Ok(Json(OcsfObject(hit.json)))
}

/// When an event happened.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventTime {
    time: Option<String>,
}

/// Counts events over time.
#[utoipa::path(get, path = "/events/histogram", tag = "events", security(("session" = [])), params(EventFilter, Resolution), responses(
    (status = 200, body = Histogram),
    (status = 400, body = ProblemDocument, content_type = "application/problem+json"),
))]
pub(crate) async fn event_histogram(
    State(app): State<App>,
    Query(pairs): Pairs,
) -> Result<Json<Histogram>, Problem> {
    let asked = EventQuery::read(pairs, &["buckets"])?;
    let query = asked.lake_query()?;
    let buckets = asked.number("buckets", DEFAULT_BUCKETS, MAX_BUCKETS)?;
    let width_nanos = bucket_nanos(query.from, query.to, buckets);
    let found = app.platform.lake.histogram(&query, width(width_nanos)).await;
    let found = found.map_err(|error| asked.problem(error))?;
    Ok(Json(Histogram::of_events(&found, width_nanos)))
}

/// Counts the most frequent values of a field.
#[utoipa::path(get, path = "/events/top", tag = "events", security(("session" = [])), params(EventFilter, TopOf), responses(
    (status = 200, body = TopValues),
    (status = 400, body = ProblemDocument, content_type = "application/problem+json"),
))]
pub(crate) async fn top_values(
    State(app): State<App>,
    Query(pairs): Pairs,
) -> Result<Json<TopValues>, Problem> {
    let asked = EventQuery::read(pairs, &["field", "n"])?;
    let field = asked.rest("field").ok_or_else(|| {
        Problem::invalid("say which field to count with `field`", "请用参数 field 指定要统计的字段")
    })?;
    let n = asked.number("n", DEFAULT_TOP, MAX_TOP)?;
    let found = app.platform.lake.top(&asked.lake_query()?, field, n).await;
    let found = found.map_err(|error| asked.problem(error))?;
    let values = found.into_iter().map(|(value, count)| ValueCount { value, count }).collect();
    Ok(Json(TopValues { values }))
}

/// A query as it was asked.
struct EventQuery {
    range: TimeRange,
    conditions: Vec<(String, String)>,
    matching: Expression,
    /// The query as written.
    text: String,
    rest: Vec<(String, String)>,
}

impl EventQuery {
    /// Reads the parameters; `others` are those that this call knows beside time and conditions.
    fn read(pairs: Vec<(String, String)>, others: &[&str]) -> Result<Self, Problem> {
        let (mut from, mut to) = (None, None);
        let mut text = None;
        let (mut conditions, mut rest) = (Vec::new(), Vec::new());
        for (name, value) in pairs {
            match name.as_str() {
                "from" => from = Some(value),
                "to" => to = Some(value),
                "where" => conditions.push(condition(&value)?),
                "q" if text.is_none() => text = Some(value),
                other if others.contains(&other) => rest.push((name, value)),
                other => {
                    return Err(Problem::invalid(
                        format!("there is no parameter `{other}` here"),
                        format!("此接口没有参数“{other}”"),
                    ));
                }
            }
        }
        if conditions.len() > MAX_CONDITIONS {
            return Err(Problem::invalid(
                format!("a query may have {MAX_CONDITIONS} conditions"),
                format!("查询条件最多 {MAX_CONDITIONS} 个"),
            ));
        }
        let range = TimeRange::parse(from.as_deref(), to.as_deref())?;
        let text = text.unwrap_or_default();
        Ok(Self { range, conditions, matching: read_query(&text)?, text, rest })
    }

    fn lake_query(&self) -> Result<wanglou_lake::Query, Problem> {
        Ok(wanglou_lake::Query {
            equals: self.conditions.clone(),
            matching: self.matching.clone(),
            ..wanglou_lake::Query::between(self.range.from, self.range.to)
        })
    }

    fn problem(&self, error: LakeError) -> Problem {
        placed(error, &self.text)
    }

    fn rest(&self, name: &str) -> Option<&str> {
        self.rest.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    fn number(&self, name: &str, default: usize, max: usize) -> Result<usize, Problem> {
        let Some(text) = self.rest(name) else { return Ok(default) };
        text.parse().ok().filter(|number| (1..=max).contains(number)).ok_or_else(|| {
            Problem::invalid(
                format!("`{name}` is a number from 1 to {max}"),
                format!("参数 {name} 须为 1 至 {max} 的整数"),
            )
        })
    }
}

fn condition(text: &str) -> Result<(String, String), Problem> {
    match text.split_once(':') {
        Some((path, value)) if !path.is_empty() => Ok((path.to_owned(), value.to_owned())),
        _ => Err(Problem::invalid(
            "a condition reads `path:value`, such as `where=src_endpoint.ip:10.0.0.8`",
            "查询条件的写法为“字段:值”，例如 where=src_endpoint.ip:10.0.0.8",
        )),
    }
}

impl Histogram {
    /// From the lake's buckets.
    pub(super) fn of_events(buckets: &[Bucket], width_nanos: i64) -> Self {
        Self {
            bucket_ms: u64::try_from(width_nanos / 1_000_000).unwrap_or_default(),
            buckets: buckets
                .iter()
                .map(|bucket| TimeCount { time: bucket.start, count: bucket.count })
                .collect(),
        }
    }
}

impl From<LakeError> for Problem {
    fn from(error: LakeError) -> Self {
        match &error {
            LakeError::BadQuery(_) => {
                let text = error.to_string();
                Self::invalid(text.clone(), format!("查询有误：{text}"))
            }
            LakeError::BadCondition(error) => Self::invalid(error.message.clone(), error.message_zh.clone()),
            LakeError::TooSlow { limit } => Self::invalid(
                error.to_string(),
                format!("查询超过时限 {} 秒，请缩小时间范围或增加条件", limit.as_secs()),
            ),
            LakeError::TooExpensive(_) => {
                Self::invalid(error.to_string(), "该查询所需内存超出上限，请缩小时间范围或增加条件")
            }
            LakeError::Closing => {
                Self::new(Kind::Unavailable, "the platform is stopping", "平台正在停止").retry_after(10)
            }
            _ => Self::internal(&error),
        }
    }
}

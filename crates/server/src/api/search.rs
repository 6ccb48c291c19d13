//! Search in the search language: events, their spread over time and their most frequent values in one answer.

use std::time::Instant;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wanglou_lake::LakeError;
use wanglou_model::Timestamp;
use wanglou_model::search::{self, Expression, QueryError};

use super::App;
use super::events::{
    DEFAULT_EVENTS, DEFAULT_TOP, Histogram, MAX_BUCKETS, MAX_EVENTS, OcsfObject, ValueCount,
};
use super::extract::{self, TimeRange};
use super::problem::{Problem, ProblemDocument};
use crate::platform::{bucket_nanos, width};

/// Fields counted in one search.
const MAX_FACETS: usize = 10;

/// A search in one body: events, and if asked for, what they are spread over.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchRequest {
    /// In the search language; every event if left out.
    #[serde(default)]
    #[schema(example = "user:root and not src_ip:10.0.0.0/8 \"failed password\"")]
    query: String,
    /// Event time from, inclusive (RFC 3339); the day before `to` if not given.
    #[schema(format = DateTime)]
    from: Option<String>,
    /// Event time to, exclusive (RFC 3339); now if not given.
    #[schema(format = DateTime)]
    to: Option<String>,
    /// At most so many: 1 to 1,000, 100 if not given.
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Oldest first.
    #[serde(default)]
    oldest_first: bool,
    /// Count over time in so many buckets, at most 500.
    buckets: Option<usize>,
    /// Count the most frequent values of these OCSF paths, at most 10.
    #[serde(default)]
    facets: Vec<String>,
}

/// What a search found.
#[derive(Serialize, ToSchema)]
pub(crate) struct SearchResult {
    /// OCSF events.
    pub events: Vec<OcsfObject>,
    /// Gives the next page when passed as `cursor`; absent at the end.
    pub next_cursor: Option<String>,
    /// How the events that match are spread over time.
    pub histogram: Option<Histogram>,
    /// The most frequent values of each field that was asked for.
    pub facets: Vec<Facet>,
    /// The time range searched.
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// Its end: pass it on with the cursor, so that the pages are of one search.
    #[schema(value_type = String, format = DateTime)]
    pub to: Timestamp,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// The most frequent values of one field.
#[derive(Serialize, ToSchema)]
pub(crate) struct Facet {
    /// The OCSF path.
    pub field: String,
    /// Most frequent first.
    pub values: Vec<ValueCount>,
}

/// Searches events in the search language.
#[utoipa::path(post, path = "/events/search", tag = "events", security(("session" = [])), request_body = SearchRequest, responses(
    (status = 200, body = SearchResult),
    (status = 400, body = ProblemDocument, content_type = "application/problem+json"),
))]
pub(crate) async fn search_with_facets(
    State(app): State<App>,
    extract::Json(asked): extract::Json<SearchRequest>,
) -> Result<Json<SearchResult>, Problem> {
    let started = Instant::now();
    let in_range = |name: &str, number: usize, max: usize| match number {
        number if (1..=max).contains(&number) => Ok(number),
        _ => Err(Problem::invalid(
            format!("`{name}` is a number from 1 to {max}"),
            format!("参数 {name} 须为 1 至 {max} 的整数"),
        )),
    };
    if asked.facets.len() > MAX_FACETS {
        return Err(Problem::invalid(
            format!("at most {MAX_FACETS} facets at once"),
            format!("一次最多统计 {MAX_FACETS} 个字段"),
        ));
    }
    let range = TimeRange::parse(asked.from.as_deref(), asked.to.as_deref())?;
    let query = wanglou_lake::Query {
        matching: read_query(&asked.query)?,
        limit: in_range("limit", asked.limit.unwrap_or(DEFAULT_EVENTS), MAX_EVENTS)?,
        cursor: asked.cursor,
        newest_first: !asked.oldest_first,
        ..wanglou_lake::Query::between(range.from, range.to)
    };
    let lake = &app.platform.lake;
    let page = lake.search(&query).await.map_err(|error| placed(error, &asked.query))?;
    let histogram = match asked.buckets {
        None => None,
        Some(buckets) => {
            let nanos = bucket_nanos(range.from, range.to, in_range("buckets", buckets, MAX_BUCKETS)?);
            let found = lake.histogram(&query.without_cursor(), width(nanos)).await?;
            Some(Histogram::of_events(&found, nanos))
        }
    };
    let mut facets = Vec::with_capacity(asked.facets.len());
    for field in asked.facets {
        let found = lake.top(&query.without_cursor(), &field, DEFAULT_TOP).await?;
        let values = found.into_iter().map(|(value, count)| ValueCount { value, count }).collect();
        facets.push(Facet { field, values });
    }
    Ok(Json(SearchResult {
        events: page.hits.into_iter().map(|hit| OcsfObject(hit.json)).collect(),
        next_cursor: page.next,
        histogram,
        facets,
        from: range.from,
        to: range.to,
        took_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    }))
}

/// A query, or the problem with its place.
pub(super) fn read_query(text: &str) -> Result<Expression, Problem> {
    search::parse(text).map_err(|error| pointed_at(text, &error))
}

/// What the lake says of a search: with its place, when it is the query's fault.
pub(super) fn placed(error: LakeError, query: &str) -> Problem {
    match error {
        LakeError::BadCondition(error) => pointed_at(query, &error),
        other => other.into(),
    }
}

fn pointed_at(query: &str, error: &QueryError) -> Problem {
    let characters = |end: usize| query.get(..end).unwrap_or(query).chars().count();
    Problem::invalid(error.message.clone(), error.message_zh.clone())
        .at(characters(error.span.start)..characters(error.span.end))
}

/// A field that a query may name.
#[derive(Serialize, ToSchema)]
pub(crate) struct SearchField {
    /// How it may be written, in either case; the first is the usual one.
    pub names: Vec<&'static str>,
    /// The OCSF paths it means, which may be written too: one of them must fulfil the condition.
    pub paths: Vec<&'static str>,
}

/// The short names of fields in the search language. Any OCSF path is a field too.
#[utoipa::path(get, path = "/events/fields", tag = "events", security(("session" = [])), responses(
    (status = 200, body = Vec<SearchField>),
))]
pub(crate) async fn search_fields() -> Json<Vec<SearchField>> {
    let field = |(names, paths): (&[&'static str], &[&'static str])| SearchField {
        names: names.to_vec(),
        paths: paths.to_vec(),
    };
    Json(search::short_names().map(field).collect())
}

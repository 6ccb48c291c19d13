//! Extractors that answer bad requests with problem documents instead of plain text.

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use wanglou_model::Timestamp;

use super::problem::{Kind, Problem};

/// A JSON body.
pub(crate) struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match axum::Json::<T>::from_request(request, state).await {
            Ok(axum::Json(value)) => Ok(Self(value)),
            Err(rejection) => Err(json_problem(&rejection)),
        }
    }
}

fn json_problem(rejection: &JsonRejection) -> Problem {
    let text = rejection.body_text();
    match rejection {
        JsonRejection::MissingJsonContentType(_) => Problem::new(
            Kind::UnsupportedMedia,
            "send JSON with `Content-Type: application/json`",
            "请以 Content-Type: application/json 发送 JSON",
        ),
        JsonRejection::BytesRejection(_) => Problem::new(Kind::TooLarge, text, "请求内容过大或未能完整读取"),
        _ => Problem::invalid(text.clone(), format!("请求的 JSON 有误：{text}")),
    }
}

/// Query parameters.
pub(crate) struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(query_problem(&rejection)),
        }
    }
}

fn query_problem(rejection: &QueryRejection) -> Problem {
    let text = rejection.body_text();
    Problem::invalid(text.clone(), format!("查询参数有误：{text}"))
}

/// Parameters of the path.
pub(crate) struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(rejection) => Err(path_problem(&rejection)),
        }
    }
}

fn path_problem(rejection: &PathRejection) -> Problem {
    let text = rejection.body_text();
    Problem::invalid(text.clone(), format!("路径参数有误：{text}"))
}

/// A range of time, `from` inclusive, `to` exclusive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimeRange {
    /// First instant.
    pub from: Timestamp,
    /// First instant after.
    pub to: Timestamp,
}

impl TimeRange {
    /// What a query without times means: the last day.
    const DEFAULT_SPAN_NANOS: i64 = 86_400 * 1_000_000_000;

    /// From the query's texts; the default is the day before `to`, and `to` is now.
    ///
    /// # Errors
    /// A text is no RFC 3339 time, or the range is empty.
    pub(crate) fn parse(from: Option<&str>, to: Option<&str>) -> Result<Self, Problem> {
        let to = to.map_or_else(|| Ok(Timestamp::now().plus_nanos(1)), |text| parse_time("to", text))?;
        let from = from
            .map_or_else(|| Ok(to.plus_nanos(-Self::DEFAULT_SPAN_NANOS)), |text| parse_time("from", text))?;
        if from >= to {
            return Err(Problem::invalid(
                format!("`from` ({from}) must be before `to` ({to})"),
                format!("起始时间（{from}）必须早于结束时间（{to}）"),
            ));
        }
        Ok(Self { from, to })
    }
}

/// The instant that a query's text names.
///
/// # Errors
/// It is no RFC 3339 time.
pub(crate) fn parse_time(name: &str, text: &str) -> Result<Timestamp, Problem> {
    text.parse().map_err(|error| {
        Problem::invalid(
            format!("`{name}`: {error}"),
            format!("参数 {name} 不是 RFC 3339 时间，例如 2026-11-22T08:00:00+08:00"),
        )
    })
}

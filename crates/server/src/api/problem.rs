//! Errors as people and programs read them: RFC 9457 problem documents, in English and Chinese.
//!
//! Every error of the API is made here, so that the mapping from failure to status stands in one place. What went
//! wrong inside is written to the log, never to the client.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Serialize;
use utoipa::ToSchema;

/// An RFC 9457 problem document (`application/problem+json`).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemDocument {
    /// Names the kind of problem: `urn:wanglou:problem:<kind>`.
    #[serde(rename = "type")]
    kind: String,
    /// The kind in a few words.
    title: &'static str,
    /// The kind in a few words, in Chinese.
    title_zh: &'static str,
    /// The HTTP status.
    #[schema(example = 404)]
    status: u16,
    /// What happened this time, and what to do.
    detail: String,
    /// What happened this time, and what to do, in Chinese.
    detail_zh: String,
    /// The path of the request.
    instance: String,
    /// What of the query is wrong, where a query is.
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<Position>,
}

/// A part of a text, in characters from its beginning.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct Position {
    /// Where it begins.
    start: usize,
    /// Where it is over.
    end: usize,
}

/// What went wrong, as an error of handlers. [`Problem::answer`] makes the document, once the path is known.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    kind: Kind,
    detail: String,
    detail_zh: String,
    retry_after_s: Option<u64>,
    position: Option<Position>,
}

/// The kinds of problem: slug, status, titles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The request does not say what is needed.
    Invalid,
    /// Nobody is logged on, or the token is not known.
    Unauthenticated,
    /// Known, but not allowed.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// It collides with what is there.
    Conflict,
    /// The body is larger than the limit.
    TooLarge,
    /// The body is of a kind that is not read here.
    UnsupportedMedia,
    /// Too many attempts, or the pipeline is full.
    TooMany,
    /// The platform is stopping or not ready.
    Unavailable,
    /// Our own failure.
    Internal,
}

impl Kind {
    const fn facts(self) -> (&'static str, StatusCode, &'static str, &'static str) {
        match self {
            Self::Invalid => ("invalid", StatusCode::BAD_REQUEST, "The request is not valid", "请求有误"),
            Self::Unauthenticated => {
                ("unauthenticated", StatusCode::UNAUTHORIZED, "Log in first", "尚未登录或凭据无效")
            }
            Self::Forbidden => ("forbidden", StatusCode::FORBIDDEN, "Not allowed", "不允许此操作"),
            Self::NotFound => ("not-found", StatusCode::NOT_FOUND, "Not found", "未找到"),
            Self::Conflict => {
                ("conflict", StatusCode::CONFLICT, "It conflicts with the present state", "与当前状态冲突")
            }
            Self::TooLarge => {
                ("too-large", StatusCode::PAYLOAD_TOO_LARGE, "The body is too large", "请求内容过大")
            }
            Self::UnsupportedMedia => (
                "unsupported-media-type",
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "The body's type is not supported",
                "不支持该内容类型",
            ),
            Self::TooMany => ("too-many-requests", StatusCode::TOO_MANY_REQUESTS, "Slow down", "请求过多"),
            Self::Unavailable => {
                ("unavailable", StatusCode::SERVICE_UNAVAILABLE, "Not available now", "服务暂不可用")
            }
            Self::Internal => {
                ("internal", StatusCode::INTERNAL_SERVER_ERROR, "The platform failed", "平台内部错误")
            }
        }
    }
}

impl Problem {
    /// A problem of this kind with what happened, in both languages.
    #[must_use]
    pub(crate) fn new(kind: Kind, detail: impl Into<String>, detail_zh: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), detail_zh: detail_zh.into(), retry_after_s: None, position: None }
    }

    /// A request that does not say what is needed.
    #[must_use]
    pub(crate) fn invalid(detail: impl Into<String>, detail_zh: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, detail, detail_zh)
    }

    /// There is no such `what`.
    #[must_use]
    pub(crate) fn not_found(what: &str, what_zh: &str, id: &str) -> Self {
        let id: String = id.chars().take(64).collect();
        Self::new(Kind::NotFound, format!("there is no {what} `{id}`"), format!("没有{what_zh}“{id}”"))
    }

    /// Our own failure: the cause goes to the log, not to the client.
    #[must_use]
    pub(crate) fn internal(cause: &(dyn std::error::Error + 'static)) -> Self {
        let mut text = cause.to_string();
        let mut source = cause.source();
        while let Some(inner) = source {
            text.push_str(": ");
            text.push_str(&inner.to_string());
            source = inner.source();
        }
        tracing::error!(error = %text, "request failed");
        Self::new(
            Kind::Internal,
            "the platform could not do this; its log says why",
            "平台未能完成此操作，原因见平台日志",
        )
    }

    /// Says when trying again makes sense, in seconds.
    #[must_use]
    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// The HTTP status.
    pub(crate) fn status(&self) -> StatusCode {
        self.kind.facts().1
    }

    /// What happened, and what to do, in English.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// When to come back, in seconds.
    pub(crate) fn retry_after_seconds(&self) -> Option<u64> {
        self.retry_after_s
    }

    /// Says which characters of the query it is about.
    #[must_use]
    pub(crate) fn at(mut self, characters: std::ops::Range<usize>) -> Self {
        self.position = Some(Position { start: characters.start, end: characters.end });
        self
    }

    /// The answer to a request for `path`.
    #[must_use]
    pub(crate) fn answer(self, path: &str) -> Response {
        let (slug, status, title, title_zh) = self.kind.facts();
        let document = ProblemDocument {
            kind: format!("urn:wanglou:problem:{slug}"),
            title,
            title_zh,
            status: status.as_u16(),
            detail: self.detail,
            detail_zh: self.detail_zh,
            instance: path.to_owned(),
            position: self.position,
        };
        let mut response = (status, Json(document)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl IntoResponse for Problem {
    /// An answer without a body: the outermost layer, which knows the path, puts [`Problem::answer`] in its place.
    fn into_response(self) -> Response {
        let status = self.kind.facts().1;
        (status, Extension(self)).into_response()
    }
}

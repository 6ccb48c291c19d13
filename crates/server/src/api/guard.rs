//! Who calls, and may he: session cookies with a CSRF header, bearer tokens of sources, addresses.
//!
//! Routes behind [`require_session`] cannot be reached without a session; a handler that needs to know who it is takes
//! [`Caller`].

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use axum::serve::IncomingStream;
use axum_extra::extract::CookieJar;
use axum_extra::extract::cookie::{Cookie, SameSite};
use wanglou_model::{SourceId, Timestamp};

use super::App;
use super::problem::{Kind, Problem};
use crate::listener::Gate;
use crate::state::{LoggedOn, Secret};

/// The cookie that holds a session's secret.
pub(crate) const SESSION_COOKIE: &str = "wanglou_session";
/// Any value will do: a page of another site cannot set a header without a preflight, which we do not answer.
const CSRF_HEADER: &str = "x-wanglou-csrf";

/// The address of whoever is at the other end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub SocketAddr);

impl Connected<IncomingStream<'_, Gate>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Gate>) -> Self {
        Self(*stream.remote_addr())
    }
}

/// The address a request came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin(pub IpAddr);

impl<S: Send + Sync> FromRequestParts<S> for Origin {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<Peer>>();
        Ok(Self(peer.map_or(IpAddr::from([0, 0, 0, 0]), |ConnectInfo(Peer(peer))| peer.ip().to_canonical())))
    }
}

/// The user who calls, and the secret of the session.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub user: LoggedOn,
    pub secret: Secret,
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(not_logged_on)
    }
}

/// Lets only those through who have a session, and state-changing calls only with the CSRF header.
pub(crate) async fn require_session(
    State(app): State<App>,
    jar: CookieJar,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let caller = caller(&app, &jar).await?.ok_or_else(not_logged_on)?;
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD);
    if !is_safe && !request.headers().contains_key(CSRF_HEADER) {
        return Err(Problem::new(
            Kind::Forbidden,
            "state-changing calls need the header `X-Wanglou-CSRF: 1`",
            "修改类请求必须带有请求头 X-Wanglou-CSRF: 1",
        ));
    }
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

/// Lets those through who have a session or a source's token.
pub(crate) async fn require_session_or_token(
    State(app): State<App>,
    jar: CookieJar,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if caller(&app, &jar).await?.is_none() {
        source_of(&app, request.headers()).await?;
    }
    Ok(next.run(request).await)
}

async fn caller(app: &App, jar: &CookieJar) -> Result<Option<Caller>, Problem> {
    let Some(cookie) = jar.get(SESSION_COOKIE) else { return Ok(None) };
    let secret = Secret::presented(cookie.value());
    let user = app.platform.accounts.session(&secret, Timestamp::now()).await;
    let user = user.map_err(|error| Problem::internal(&error))?;
    Ok(user.map(|user| Caller { user, secret }))
}

/// The source whose token the request carries.
///
/// # Errors
/// There is no token, or it belongs to no source.
pub(crate) async fn source_of(app: &App, headers: &HeaderMap) -> Result<SourceId, Problem> {
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .ok_or_else(|| {
            Problem::new(
                Kind::Unauthenticated,
                "send the source's token as `Authorization: Bearer …`; the console makes one under Collection",
                "请在请求头 Authorization: Bearer … 中携带数据源令牌，可在控制台“采集”页面创建",
            )
        })?;
    let source = app.platform.state.source_of(&Secret::presented(token.trim())).await;
    source.map_err(|error| Problem::internal(&error))?.ok_or_else(|| {
        Problem::new(
            Kind::Unauthenticated,
            "this token belongs to no source: it was withdrawn or mistyped",
            "该令牌不属于任何数据源：可能已被撤销或输入有误",
        )
    })
}

/// The cookie of a new session. It lasts until the browser is closed; the session's own end is kept with it.
pub(crate) fn session_cookie(secret: &Secret, is_tls: bool) -> Cookie<'static> {
    bare_cookie(secret.reveal().to_owned(), is_tls)
}

/// The cookie that removes a session.
pub(crate) fn no_cookie(is_tls: bool) -> Cookie<'static> {
    let mut cookie = bare_cookie(String::new(), is_tls);
    cookie.make_removal();
    cookie
}

fn bare_cookie(value: String, is_tls: bool) -> Cookie<'static> {
    Cookie::build((SESSION_COOKIE, value))
        .path("/")
        .http_only(true)
        .secure(is_tls)
        .same_site(SameSite::Strict)
        .build()
}

fn not_logged_on() -> Problem {
    Problem::new(Kind::Unauthenticated, "log on first", "请先登录")
}

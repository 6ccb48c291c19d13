//! Set-up of the first administrator, logging on and off.

use axum::extract::State;
use axum::http::StatusCode;
use axum_extra::extract::CookieJar;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wanglou_model::Timestamp;

use super::App;
use super::extract::Json;
use super::guard::{Caller, Origin, no_cookie, session_cookie};
use super::problem::{Kind, Problem, ProblemDocument};
use crate::platform::accounts::{AccountError, Entry, WeakPassword};
use crate::state::LoggedOn;

/// Whether the first administrator is still missing.
#[derive(Serialize, ToSchema)]
pub(crate) struct SetupStatus {
    /// True until the one-time set-up link has been used.
    pub needed: bool,
}

/// What the set-up page sends.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetupRequest {
    /// The token of the one-time link printed at start.
    pub token: String,
    /// The administrator's name: 2 to 64 characters.
    #[schema(min_length = 2, max_length = 64)]
    pub username: String,
    /// At least 12 characters, or at least 8 with three of: lower case, upper case, digits, signs.
    #[schema(min_length = 8, max_length = 256, format = Password)]
    pub password: String,
}

/// What the log-on page sends.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogOn {
    /// The user's name.
    pub username: String,
    /// The user's password.
    #[schema(format = Password)]
    pub password: String,
}

/// Who is logged on.
#[derive(Serialize, ToSchema)]
pub(crate) struct SessionInfo {
    /// The user.
    pub user: UserInfo,
}

/// A user as others see it.
#[derive(Clone, Serialize, ToSchema)]
pub(crate) struct UserInfo {
    /// The name to log on with.
    pub name: String,
    /// What the user may do: `administrator`.
    pub role: String,
}

/// Says whether the platform still waits for its first administrator.
#[utoipa::path(get, path = "/setup", tag = "session", responses((status = 200, body = SetupStatus)))]
pub(crate) async fn setup_status(State(app): State<App>) -> Result<axum::Json<SetupStatus>, Problem> {
    let needed = app.platform.accounts.needs_setup().await.map_err(|error| Problem::internal(&error))?;
    Ok(axum::Json(SetupStatus { needed }))
}

/// Creates the first administrator with the one-time token, and logs on.
#[utoipa::path(post, path = "/setup", tag = "session", request_body = SetupRequest, responses(
    (status = 201, body = SessionInfo, description = "Created; the session cookie is set"),
    (status = 400, body = ProblemDocument, content_type = "application/problem+json", description = "Name or password against the policy"),
    (status = 403, body = ProblemDocument, content_type = "application/problem+json", description = "The token is wrong, used or expired"),
    (status = 409, body = ProblemDocument, content_type = "application/problem+json", description = "There is an administrator already"),
    (status = 429, body = ProblemDocument, content_type = "application/problem+json", description = "Too many attempts"),
))]
pub(crate) async fn set_up(
    State(app): State<App>,
    Origin(origin): Origin,
    jar: CookieJar,
    Json(request): Json<SetupRequest>,
) -> Result<(StatusCode, CookieJar, axum::Json<SessionInfo>), Problem> {
    let SetupRequest { token, username, password } = request;
    let entry = app.platform.accounts.set_up(&token, &username, password, origin, Timestamp::now()).await?;
    let (jar, info) = enter(&app, jar, entry);
    Ok((StatusCode::CREATED, jar, info))
}

/// Logs on.
#[utoipa::path(post, path = "/session", tag = "session", request_body = LogOn, responses(
    (status = 200, body = SessionInfo, description = "Logged on; the session cookie is set"),
    (status = 401, body = ProblemDocument, content_type = "application/problem+json", description = "Name or password is wrong"),
    (status = 429, body = ProblemDocument, content_type = "application/problem+json", description = "Too many attempts"),
))]
pub(crate) async fn log_on(
    State(app): State<App>,
    Origin(origin): Origin,
    jar: CookieJar,
    Json(request): Json<LogOn>,
) -> Result<(CookieJar, axum::Json<SessionInfo>), Problem> {
    let LogOn { username, password } = request;
    let entry = app.platform.accounts.log_on(&username, password, origin, Timestamp::now()).await?;
    Ok(enter(&app, jar, entry))
}

/// Says who is logged on.
#[utoipa::path(get, path = "/session", tag = "session", security(("session" = [])), responses(
    (status = 200, body = SessionInfo),
    (status = 401, body = ProblemDocument, content_type = "application/problem+json"),
))]
pub(crate) async fn who_am_i(caller: Caller) -> axum::Json<SessionInfo> {
    axum::Json(caller.user.into())
}

/// Logs off.
#[utoipa::path(delete, path = "/session", tag = "session", security(("session" = [])), responses(
    (status = 204, description = "Logged off"),
    (status = 401, body = ProblemDocument, content_type = "application/problem+json"),
))]
pub(crate) async fn log_off(
    State(app): State<App>,
    Origin(origin): Origin,
    jar: CookieJar,
    caller: Caller,
) -> Result<(StatusCode, CookieJar), Problem> {
    let done = app.platform.accounts.log_off(&caller.secret, &caller.user, origin, Timestamp::now()).await;
    done.map_err(|error| Problem::internal(&error))?;
    Ok((StatusCode::NO_CONTENT, jar.add(no_cookie(app.is_tls))))
}

fn enter(app: &App, jar: CookieJar, entry: Entry) -> (CookieJar, axum::Json<SessionInfo>) {
    (jar.add(session_cookie(&entry.secret, app.is_tls)), axum::Json(entry.user.into()))
}

impl From<LoggedOn> for SessionInfo {
    fn from(user: LoggedOn) -> Self {
        Self { user: UserInfo { name: user.name, role: user.role } }
    }
}

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        let text = error.to_string();
        match error {
            AccountError::Throttled(wait) => {
                let seconds = wait.as_secs() + 1;
                Self::new(Kind::TooMany, text, format!("失败次数过多，请在 {seconds} 秒后重试"))
                    .retry_after(seconds)
            }
            AccountError::Refused => Self::new(Kind::Unauthenticated, text, "用户名或密码错误"),
            AccountError::SetupToken => Self::new(
                Kind::Forbidden,
                format!("{text}: start `wanglou serve` again to get a new one"),
                "初始化链接无效、已使用或已过期，请重新启动 wanglou serve 获取新链接",
            ),
            AccountError::AlreadySetUp => Self::new(Kind::Conflict, text, "管理员已创建，无需再次初始化"),
            AccountError::Name => Self::invalid(text, "用户名须为 2 至 64 个字母、汉字、数字或 . _ - 字符"),
            AccountError::Password(weak) => Self::invalid(text, weak_zh(weak)),
            AccountError::Hash(_) => Self::internal(&error),
            AccountError::State(error) => Self::internal(&error),
        }
    }
}

const fn weak_zh(weak: WeakPassword) -> &'static str {
    match weak {
        WeakPassword::Short => {
            "密码至少 12 个字符；或至少 8 个字符且包含小写字母、大写字母、数字、符号中的三类"
        }
        WeakPassword::Long => "密码不得超过 256 个字符",
        WeakPassword::Monotonous => "密码中不同的字符至少 5 个",
        WeakPassword::ContainsName => "密码不得包含用户名",
    }
}

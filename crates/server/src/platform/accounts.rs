//! Who may come in: the one-time set-up, passwords, sessions.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use wanglou_model::Timestamp;

use super::throttle::Throttle;
use crate::state::{Act, LoggedOn, Secret, State, StateError};

/// How long the set-up link is good.
pub(crate) const SETUP_TOKEN_LIFE: Duration = Duration::from_secs(24 * 3600);
/// How long a session lasts at most: a shift.
pub(crate) const SESSION_LIFE: Duration = Duration::from_secs(12 * 3600);
/// How long a session lasts without use. 等保 asks for a time-out (GB/T 22239-2019 8.1.4.1 b); the number is ours.
const SESSION_IDLE: Duration = Duration::from_secs(3600);
/// Long enough without further rules.
const LONG_PASSWORD_CHARS: usize = 12;
/// The shortest password, if it mixes [`MIN_CLASSES`] kinds of characters (GB/T 22239-2019 8.1.4.1 a).
const MIN_PASSWORD_CHARS: usize = 8;
const MIN_CLASSES: usize = 3;
/// More is no safer, and hashing it costs us time.
const MAX_PASSWORD_CHARS: usize = 256;
/// A long password of fewer different characters is `aaaaaaaaaaaa`.
const MIN_DISTINCT_CHARS: usize = 5;
/// The role of the one administrator.
const ADMINISTRATOR: &str = "administrator";

/// The request was refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccountError {
    /// Too many failures: come back after this time.
    #[error("too many failed attempts; try again in {} s", .0.as_secs())]
    Throttled(Duration),
    /// Name or password is wrong; which of them is not said.
    #[error("name or password is wrong")]
    Refused,
    /// The set-up token is wrong, used or expired.
    #[error("the set-up link is wrong, used or expired")]
    SetupToken,
    /// Set-up is done.
    #[error("the administrator is set up already")]
    AlreadySetUp,
    /// The name is not allowed.
    #[error("the name must have 2 to 64 letters, digits, `.`, `_` or `-`")]
    Name,
    /// The password is too weak.
    #[error(transparent)]
    Password(#[from] WeakPassword),
    /// Hashing failed.
    #[error("hashing the password failed: {0}")]
    Hash(String),
    /// The database failed.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Why a password is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WeakPassword {
    /// Too short.
    #[error(
        "use at least {LONG_PASSWORD_CHARS} characters, or {MIN_PASSWORD_CHARS} with three of: lower case, upper case, digits, signs"
    )]
    Short,
    /// Too long.
    #[error("use at most {MAX_PASSWORD_CHARS} characters")]
    Long,
    /// The same few characters again and again.
    #[error("use at least {MIN_DISTINCT_CHARS} different characters")]
    Monotonous,
    /// It contains the name.
    #[error("the password must not contain the name")]
    ContainsName,
}

/// A user who has just come in, with the cookie's secret.
#[derive(Debug)]
pub(crate) struct Entry {
    pub user: LoggedOn,
    pub secret: Secret,
}

/// Accounts and sessions.
#[derive(Debug)]
pub(crate) struct Accounts {
    state: State,
    throttle: Throttle,
}

impl Accounts {
    /// On this database.
    pub(crate) fn new(state: State) -> Self {
        Self { state, throttle: Throttle::default() }
    }

    /// Whether there is no administrator yet.
    pub(crate) async fn needs_setup(&self) -> Result<bool, StateError> {
        Ok(!self.state.has_users().await?)
    }

    /// Makes a new set-up token, which replaces the one before; `None` when set-up is done.
    pub(crate) async fn setup_token(&self, now: Timestamp) -> Result<Option<Secret>, StateError> {
        if self.state.has_users().await? {
            return Ok(None);
        }
        let token = Secret::generate("wlsetup");
        self.state.put_setup_token(&token, now.plus_nanos(nanos(SETUP_TOKEN_LIFE))).await?;
        Ok(Some(token))
    }

    /// Creates the administrator and lets him in.
    pub(crate) async fn set_up(
        &self,
        token: &str,
        name: &str,
        password: String,
        origin: IpAddr,
        now: Timestamp,
    ) -> Result<Entry, AccountError> {
        const THROTTLED_AS: &str = "set-up";
        self.check_throttle(origin, THROTTLED_AS)?;
        if self.state.has_users().await? {
            return Err(AccountError::AlreadySetUp);
        }
        let token = Secret::presented(token);
        if !self.state.is_setup_token(&token, now).await? {
            self.throttle.fail(origin, THROTTLED_AS, Instant::now());
            self.audit(name, origin, "setup", "wrong token", now).await?;
            return Err(AccountError::SetupToken);
        }
        check_name(name)?;
        check_password(name, &password)?;
        let hash = hash(password).await?;
        if !self.state.set_up(&token, name, ADMINISTRATOR, hash, now).await? {
            return Err(AccountError::SetupToken);
        }
        self.audit(name, origin, "setup", "ok", now).await?;
        let user = self.state.user(name).await?.ok_or(AccountError::Refused)?;
        self.enter(user.id, LoggedOn { name: user.name, role: user.role }, now).await
    }

    /// Lets a user in.
    pub(crate) async fn log_on(
        &self,
        name: &str,
        password: String,
        origin: IpAddr,
        now: Timestamp,
    ) -> Result<Entry, AccountError> {
        self.check_throttle(origin, name)?;
        let user = self.state.user(name).await?;
        // A name that does not exist costs the same time as one that does.
        let hash = user.as_ref().map_or(NOBODYS_HASH, |user| &user.password_hash).to_owned();
        let is_right = verify(password, hash).await;
        let Some(user) = user.filter(|_| is_right) else {
            self.throttle.fail(origin, name, Instant::now());
            self.audit(name, origin, "session.open", "refused", now).await?;
            return Err(AccountError::Refused);
        };
        self.throttle.succeed(origin, name);
        self.audit(&user.name, origin, "session.open", "ok", now).await?;
        self.enter(user.id, LoggedOn { name: user.name, role: user.role }, now).await
    }

    /// Who holds this session.
    pub(crate) async fn session(
        &self,
        secret: &Secret,
        now: Timestamp,
    ) -> Result<Option<LoggedOn>, StateError> {
        let created_after = now.plus_nanos(-nanos(SESSION_LIFE));
        let used_after = now.plus_nanos(-nanos(SESSION_IDLE));
        self.state.session(secret, created_after, used_after, now).await
    }

    /// Ends a session.
    pub(crate) async fn log_off(
        &self,
        secret: &Secret,
        user: &LoggedOn,
        origin: IpAddr,
        now: Timestamp,
    ) -> Result<(), StateError> {
        self.state.close_session(secret).await?;
        self.audit(&user.name, origin, "session.close", "ok", now).await
    }

    /// Forgets sessions that are over.
    pub(crate) async fn sweep(&self, now: Timestamp) -> Result<(), StateError> {
        let created_before = now.plus_nanos(-nanos(SESSION_LIFE));
        self.state.sweep_sessions(created_before, now.plus_nanos(-nanos(SESSION_IDLE))).await
    }

    fn check_throttle(&self, origin: IpAddr, name: &str) -> Result<(), AccountError> {
        self.throttle
            .wait(origin, name, Instant::now())
            .map_or(Ok(()), |wait| Err(AccountError::Throttled(wait)))
    }

    async fn enter(&self, id: i64, user: LoggedOn, now: Timestamp) -> Result<Entry, AccountError> {
        let secret = Secret::generate("wlsess");
        self.state.open_session(&secret, id, now).await?;
        Ok(Entry { user, secret })
    }

    async fn audit(
        &self,
        who: &str,
        origin: IpAddr,
        act: &'static str,
        outcome: &str,
        now: Timestamp,
    ) -> Result<(), StateError> {
        let who: String = who.chars().take(MAX_NAME_CHARS).collect();
        let origin = origin.to_string();
        self.state.audit(Act { who: &who, origin: &origin, act, object: "", outcome }, now).await
    }
}

const MAX_NAME_CHARS: usize = 64;

/// The hash of a password that nobody has, with the parameters of [`Argon2::default`].
const NOBODYS_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5bm9ib2R5bm9ib2R5$Gv+Fb+h3tqj0SEtAbnVHuIqJmvJxPVCyOkQq/K2XNRM";

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

fn check_name(name: &str) -> Result<(), AccountError> {
    let chars = name.chars().count();
    let is_plain = name.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-'));
    if (2..=MAX_NAME_CHARS).contains(&chars) && is_plain { Ok(()) } else { Err(AccountError::Name) }
}

fn check_password(name: &str, password: &str) -> Result<(), WeakPassword> {
    let chars = password.chars().count();
    let classes = [
        password.chars().any(char::is_lowercase),
        password.chars().any(char::is_uppercase),
        password.chars().any(|c| c.is_ascii_digit()),
        password.chars().any(|c| !c.is_alphanumeric()),
    ];
    let is_mixed = classes.into_iter().filter(|found| *found).count() >= MIN_CLASSES;
    let distinct: std::collections::BTreeSet<char> = password.chars().collect();
    if chars > MAX_PASSWORD_CHARS {
        Err(WeakPassword::Long)
    } else if chars < MIN_PASSWORD_CHARS || (chars < LONG_PASSWORD_CHARS && !is_mixed) {
        Err(WeakPassword::Short)
    } else if distinct.len() < MIN_DISTINCT_CHARS {
        Err(WeakPassword::Monotonous)
    } else if password.to_lowercase().contains(&name.to_lowercase()) {
        Err(WeakPassword::ContainsName)
    } else {
        Ok(())
    }
}

/// Argon2id with the parameters OWASP recommends (19 MiB, 2 passes), off the async threads.
async fn hash(password: String) -> Result<String, AccountError> {
    let hashing = tokio::task::spawn_blocking(move || {
        Argon2::default().hash_password(password.as_bytes()).map(|hash| hash.to_string())
    });
    match hashing.await {
        Ok(Ok(hash)) => Ok(hash),
        Ok(Err(error)) => Err(AccountError::Hash(error.to_string())),
        Err(error) => Err(AccountError::Hash(error.to_string())),
    }
}

async fn verify(password: String, hash: String) -> bool {
    tokio::task::spawn_blocking(move || {
        PasswordHash::new(&hash)
            .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
    })
    .await
    .unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_passwords_are_refused_with_a_reason() {
        assert_eq!(check_password("wang", "correct horse battery"), Ok(()));
        assert_eq!(check_password("wang", "Tr0ub4&d"), Ok(()));
        assert_eq!(check_password("wang", "望楼之上灯火通明夜不能寐"), Ok(()));
        assert_eq!(check_password("wang", "troubador"), Err(WeakPassword::Short));
        assert_eq!(check_password("wang", "Aa1!"), Err(WeakPassword::Short));
        assert_eq!(check_password("wang", "aaaaaaaaaaaabb"), Err(WeakPassword::Monotonous));
        assert_eq!(check_password("wang", "WANG-2026-secret"), Err(WeakPassword::ContainsName));
        assert_eq!(check_password("wang", &"ab1 C".repeat(60)), Err(WeakPassword::Long));
    }

    #[test]
    fn names_are_plain() {
        assert!(check_name("王工").is_ok() && check_name("duty.1").is_ok());
        for name in ["", "a", "a b", "<b>", &"x".repeat(65)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[tokio::test]
    async fn a_hash_verifies_only_its_password() {
        let kept = hash("correct horse battery".into()).await.unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(verify("correct horse battery".into(), kept.clone()).await);
        assert!(!verify("wrong".into(), kept).await);
        assert!(PasswordHash::new(NOBODYS_HASH).is_ok());
    }
}

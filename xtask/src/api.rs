//! A small client of the platform's HTTP API, for the commands that drive a running platform.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// The administrator that drills create. Their platforms live on loopback and die with the drill.
const USER: &str = "drill-admin";

/// A session on a platform.
pub(crate) struct Session {
    agent: ureq::Agent,
    address: String,
    cookie: String,
}

impl Session {
    /// Uses the one-time set-up link to create the administrator and signs in as that user.
    pub(crate) fn set_up(address: &str, link: &str) -> Result<Self> {
        let Some((_, token)) = link.split_once("token=") else { bail!("`{link}` holds no set-up token") };
        // Made anew each time: a drill's password guards nothing, and is nowhere written down.
        let password = format!("Drill-{}-{}", std::process::id(), jiff::Timestamp::now().as_nanosecond());
        let agent = agent();
        let answer = agent
            .post(format!("{address}/api/v1/setup"))
            .header("X-Wanglou-CSRF", "1")
            .send_json(json!({ "token": token, "username": USER, "password": password }))
            .context("POST setup")?;
        let cookie =
            answer.headers().get("set-cookie").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        Ok(Self { agent, address: address.to_owned(), cookie })
    }

    /// Creates an HTTP source and gives its token.
    pub(crate) fn create_source(&self, name: &str) -> Result<String> {
        let mut answer = self
            .agent
            .post(format!("{}/api/v1/sources", self.address))
            .header("Cookie", &self.cookie)
            .header("X-Wanglou-CSRF", "1")
            .send_json(json!({ "name": name }))
            .context("POST sources")?;
        let body: Value = answer.body_mut().read_json().context("reading the new source")?;
        body.get("token")
            .and_then(Value::as_str)
            .map(str::to_owned)
            .context("the new source came without a token")
    }

    /// The body of a GET below `/api/v1/` as it comes, for as long as it comes.
    pub(crate) fn open(&self, path: &str) -> Result<impl std::io::Read + Send + 'static> {
        let agent: ureq::Agent = ureq::Agent::config_builder().build().into();
        let answer = agent
            .get(format!("{}/api/v1/{path}", self.address))
            .header("Cookie", &self.cookie)
            .call()
            .with_context(|| format!("GET {path}"))?;
        Ok(answer.into_body().into_reader())
    }

    /// A GET below `/api/v1/`.
    pub(crate) fn get(&self, path: &str) -> Result<Value> {
        let mut answer = self
            .agent
            .get(format!("{}/api/v1/{path}", self.address))
            .header("Cookie", &self.cookie)
            .call()
            .with_context(|| format!("GET {path}"))?;
        answer.body_mut().with_config().limit(1 << 30).read_json().with_context(|| format!("reading {path}"))
    }
}

/// Posts one keyed batch of NDJSON and says whether the platform acknowledged it.
pub(crate) fn post_batch(
    agent: &ureq::Agent,
    address: &str,
    token: &str,
    key: &str,
    body: &str,
) -> Result<()> {
    agent
        .post(format!("{address}/api/v1/ingest"))
        .header("Authorization", format!("Bearer {token}"))
        .header("Idempotency-Key", key)
        .header("Content-Type", "application/x-ndjson")
        .send(body)
        .map(|_| ())
        .context("POST ingest")
}

/// A client that gives up on a dead platform after ten seconds.
pub(crate) fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().timeout_global(Some(std::time::Duration::from_secs(10))).build().into()
}

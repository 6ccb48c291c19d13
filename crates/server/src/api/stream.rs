//! `GET /api/v1/stream`: what happens, as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures::Stream;
use serde::Serialize;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use utoipa::ToSchema;

use super::App;
use super::events::OcsfObject;
use super::incidents::IncidentInfo;
use super::problem::ProblemDocument;
use crate::platform::live::News;

/// Silence after which a comment line keeps the connection alive: below the usual timeouts of proxies.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Data of `event: rate`, once a second.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct Rate {
    /// Events stored in the last second.
    pub events: u64,
    /// Findings made in the last second.
    pub findings: u64,
    /// Lines in the log that wait for detection.
    pub in_flight: u64,
}

/// Live news as server-sent events.
///
/// `event: finding` carries an OCSF Detection Finding, `event: incident` an `IncidentInfo`, `event: rate` a `Rate`.
/// A comment line every 15 seconds keeps the connection alive. A client that is too slow loses news, and is told by
/// `event: lagged` with `{"missed": n}`.
#[utoipa::path(get, path = "/stream", tag = "overview", security(("session" = [])), responses(
    (status = 200, description = "Server-sent events", content_type = "text/event-stream", body = String),
    (status = 401, body = ProblemDocument, content_type = "application/problem+json"),
))]
pub(crate) async fn stream(State(app): State<App>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let listener = Listener { news: app.platform.live.subscribe(), stop: app.platform.stop_signal() };
    let events = futures::stream::unfold(listener, |mut listener| async move {
        let event = listener.next().await?;
        Some((Ok(event), listener))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT))
}

/// One reader of the live stream.
struct Listener {
    news: broadcast::Receiver<News>,
    stop: watch::Receiver<bool>,
}

impl Listener {
    /// The next event; `None` when the platform stops.
    async fn next(&mut self) -> Option<Event> {
        tokio::select! {
            biased;
            _ = self.stop.wait_for(|stop| *stop) => None,
            news = self.news.recv() => match news {
                Ok(news) => Some(event(&news)),
                Err(RecvError::Lagged(missed)) => {
                    Some(Event::default().event("lagged").data(format!("{{\"missed\":{missed}}}")))
                }
                Err(RecvError::Closed) => None,
            },
        }
    }
}

fn event(news: &News) -> Event {
    match news {
        News::Finding(found) => json("finding", &OcsfObject::of_finding(&found.0, &found.1.to_string())),
        News::Incident(incident) => json("incident", &IncidentInfo::from(&**incident)),
        News::Rate(rate) => {
            json("rate", &Rate { events: rate.events, findings: rate.findings, in_flight: rate.in_flight })
        }
    }
}

fn json(topic: &str, data: &impl Serialize) -> Event {
    Event::default().event(topic).data(serde_json::to_string(data).unwrap_or_default())
}

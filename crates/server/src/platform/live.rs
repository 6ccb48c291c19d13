//! What happens now: news for the live stream, and how fast events come.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::broadcast;
use wanglou_cases::Incident;
use wanglou_model::{Finding, IncidentId};

use crate::state::Applied;

/// News that wait for a slow reader; a reader further behind loses the oldest and is told so.
const BACKLOG: usize = 512;
/// Findings, and incidents, told in one second: a flood is seen in the sums, not told one by one.
const MAX_TOLD: usize = 50;
/// Seconds over which the rate is averaged.
const RATE_SPAN: usize = 10;

/// One piece of news.
#[derive(Clone, Debug)]
pub(crate) enum News {
    /// A finding is new, or stands for more events now.
    Finding(Arc<(Finding, IncidentId)>),
    /// An incident was opened or changed.
    Incident(Arc<Incident>),
    /// A second has passed.
    Rate(Rate),
}

/// What happened in one second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    /// Events that became searchable.
    pub events: u64,
    /// New findings.
    pub findings: u64,
    /// Lines in the log that wait for detection.
    pub in_flight: u64,
}

/// The live stream and the meters behind it.
#[derive(Debug)]
pub(crate) struct Live {
    sender: broadcast::Sender<News>,
    events: AtomicU64,
    findings: AtomicU64,
    /// Findings told in this second.
    told: AtomicUsize,
    seconds: Mutex<VecDeque<u64>>,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            sender: broadcast::Sender::new(BACKLOG),
            events: AtomicU64::new(0),
            findings: AtomicU64::new(0),
            told: AtomicUsize::new(0),
            seconds: Mutex::default(),
        }
    }
}

impl Live {
    /// News from now on.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<News> {
        self.sender.subscribe()
    }

    fn tell(&self, news: News) {
        // Nobody listening is no failure.
        _ = self.sender.send(news);
    }

    /// Tells that somebody changed an incident.
    pub(crate) fn tell_changed(&self, incident: Incident) {
        self.tell(News::Incident(Arc::new(incident)));
    }

    /// Tells what the pipeline found: the newest, where there is much.
    pub(crate) fn tell_found(&self, applied: Applied) {
        let room = MAX_TOLD.saturating_sub(self.told.load(Ordering::Relaxed));
        let (findings, incidents) = (applied.findings.len(), applied.incidents.len());
        for finding in applied.findings.into_iter().skip(findings.saturating_sub(room)) {
            self.tell(News::Finding(Arc::new(finding)));
        }
        for incident in applied.incidents.into_iter().skip(incidents.saturating_sub(room)) {
            self.tell(News::Incident(Arc::new(incident)));
        }
        self.told.fetch_add(findings.max(incidents).min(MAX_TOLD), Ordering::Relaxed);
    }

    /// Counts what the pipeline did.
    pub(crate) fn count(&self, events: u64, findings: u64) {
        self.events.fetch_add(events, Ordering::Relaxed);
        self.findings.fetch_add(findings, Ordering::Relaxed);
    }

    /// Ends a second, and tells of it.
    pub(crate) fn tick(&self, in_flight: u64) {
        let events = self.events.swap(0, Ordering::Relaxed);
        let findings = self.findings.swap(0, Ordering::Relaxed);
        self.told.store(0, Ordering::Relaxed);
        let mut seconds = self.seconds.lock();
        if seconds.len() == RATE_SPAN {
            seconds.pop_front();
        }
        seconds.push_back(events);
        drop(seconds);
        self.tell(News::Rate(Rate { events, findings, in_flight }));
    }

    /// Events a second, mean of the last ten seconds.
    #[expect(clippy::cast_precision_loss, reason = "a rate for people: 2^53 events a second are not met")]
    pub(crate) fn rate(&self) -> f64 {
        let seconds = self.seconds.lock();
        let events: u64 = seconds.iter().sum();
        if seconds.is_empty() { 0.0 } else { events as f64 / seconds.len() as f64 }
    }
}

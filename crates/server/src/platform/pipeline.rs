//! The one consumer of the log: inspects batches in order, keeps what was found, makes events searchable.
//!
//! Two stages joined by a short channel: a thread that computes ([`Inspector`]) and a task that writes. Writing goes
//! to SQL first and to the lake after it: a batch that is in the lake never comes again, so its findings must be kept
//! before. What fails is tried again until it works; meanwhile the queue fills and senders are held back.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use wanglou_cases::Grouping;
use wanglou_lake::{Lake, LogPosition, StoredEvent};
use wanglou_model::Timestamp;

use super::correlation::{Correlation, Counted};
use super::habits::FieldCounts;
use super::inspect::{Inspected, Inspector};
use super::intake::{Logged, Queued};
use super::ledger::Ledger;
use super::live::Live;
use super::metrics::Metrics;
use super::room::Place;
use super::snapshot::Files;
use super::windows::Snapshot;
use crate::state::{BatchOutcome, MarkOutcome, State};

/// Batches written in one transaction.
const GROUP_BATCHES: usize = 64;
/// Lines after which a group is closed, so that its events are searchable soon.
const GROUP_LINES: u64 = 20_000;
/// Groups that may wait between the stages.
const GROUPS_AHEAD: usize = 2;
/// Pause before something that failed is tried again; doubled up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Where results go.
pub(crate) struct Outlets {
    pub state: State,
    pub lake: Arc<Lake>,
    pub ledger: Arc<Ledger>,
    pub live: Arc<Live>,
    pub metrics: Arc<Metrics>,
    pub grouping: Arc<Grouping>,
    /// Where the state of correlation rules is saved.
    pub files: Arc<Files>,
    /// How it stands.
    pub correlation: Arc<Correlation>,
}

/// Batches that are written together.
#[derive(Default)]
struct Group {
    outcomes: Vec<BatchOutcome>,
    events: Vec<Vec<StoredEvent>>,
    fields: Vec<FieldCounts>,
    are_settled: Vec<bool>,
    places: Vec<Place>,
    /// What was found after them, because nothing came for a while.
    mark: Option<MarkOutcome>,
    /// The state of correlation rules after them, to be saved.
    snapshot: Option<Snapshot>,
    /// The same in numbers.
    correlation: Counted,
}

impl Group {
    fn is_empty(&self) -> bool {
        self.outcomes.is_empty() && self.mark.is_none() && self.snapshot.is_none()
    }
}

/// Runs until the queue is closed and empty.
///
/// # Errors
/// The inspecting thread cannot be started.
pub(crate) fn start(
    queue: mpsc::UnboundedReceiver<Queued>,
    inspector: Inspector,
    outlets: Outlets,
) -> std::io::Result<tokio::task::JoinHandle<()>> {
    let (groups, inspected) = mpsc::channel(GROUPS_AHEAD);
    let line = Line { lake: Arc::clone(&outlets.lake), is_replaying: true, waiting: BTreeMap::new() };
    let stage = Stage { line, inspector, groups, group: Group::default() };
    std::thread::Builder::new().name("inspect".into()).spawn(move || stage.run(queue))?;
    Ok(tokio::spawn(write(inspected, outlets)))
}

/// New batches in the order of the log, after those of before the start.
struct Line {
    lake: Arc<Lake>,
    is_replaying: bool,
    waiting: BTreeMap<LogPosition, Logged>,
}

impl Line {
    fn next(&mut self) -> Option<Logged> {
        let first = self.waiting.first_entry().filter(|_| !self.is_replaying)?;
        self.lake.take_turn(*first.key()).then(|| first.remove())
    }
}

/// The writing stage is gone.
struct Gone;

/// The stage that computes.
struct Stage {
    line: Line,
    inspector: Inspector,
    groups: mpsc::Sender<Group>,
    group: Group,
}

impl Stage {
    fn run(mut self, mut queue: mpsc::UnboundedReceiver<Queued>) {
        let mut received = Vec::with_capacity(GROUP_BATCHES);
        while queue.blocking_recv_many(&mut received, GROUP_BATCHES) > 0 {
            if received.drain(..).try_for_each(|queued| self.take(queued)).is_err() || self.send().is_err() {
                return;
            }
        }
        self.group.snapshot = Some(self.inspector.windows.last_snapshot());
        // When the writer is gone, the log is counted again at the next start.
        _ = self.send();
    }

    fn take(&mut self, queued: Queued) -> Result<(), Gone> {
        match queued {
            Queued::Replayed(logged) => self.inspect(logged)?,
            Queued::New(logged) => _ = self.line.waiting.insert(logged.position, logged),
            Queued::ReplayOver => {
                self.line.is_replaying = false;
                self.inspector.windows.replayed();
            }
            Queued::Clock(now) => {
                if !self.line.is_replaying && self.line.waiting.is_empty() {
                    // A mark stands after the batches of its group.
                    if self.group.mark.is_some() {
                        self.send()?;
                    }
                    self.group.mark = self.inspector.idle(now);
                }
            }
        }
        while let Some(logged) = self.line.next() {
            self.inspect(logged)?;
        }
        Ok(())
    }

    fn inspect(&mut self, logged: Logged) -> Result<(), Gone> {
        let Logged { position, batch, decoded, is_settled, place } = logged;
        if let Some(snapshot) = self.inspector.windows.snapshot_before(position) {
            self.group.snapshot = Some(snapshot);
        }
        if self.group.snapshot.is_some() || self.group.mark.is_some() {
            self.send()?;
        }
        let Inspected { outcome, events, fields } = self.inspector.inspect(position, &batch, decoded);
        self.group.outcomes.push(outcome);
        self.group.events.push(events);
        self.group.fields.push(fields);
        self.group.are_settled.push(is_settled);
        self.group.places.push(place);
        let lines = self.group.outcomes.iter().map(|outcome| outcome.lines).sum::<u64>();
        if lines >= GROUP_LINES { self.send() } else { Ok(()) }
    }

    fn send(&mut self) -> Result<(), Gone> {
        if self.group.is_empty() {
            return Ok(());
        }
        let mut group = std::mem::take(&mut self.group);
        group.correlation = self.inspector.windows.numbers();
        self.groups.blocking_send(group).map_err(|_closed| Gone)
    }
}

async fn write(mut inspected: mpsc::Receiver<Group>, outlets: Outlets) {
    while let Some(group) = inspected.recv().await {
        write_group(group, &outlets).await;
    }
}

async fn write_group(group: Group, outlets: &Outlets) {
    let applied = until_done("keeping findings failed", || {
        outlets.state.apply(&group.outcomes, group.mark.as_ref(), &outlets.grouping, Timestamp::now())
    })
    .await;
    outlets.correlation.counted(&group.correlation);
    if let Some(snapshot) = group.snapshot {
        // All that it covers is in SQL now.
        save(snapshot, outlets).await;
    }
    let batches = group.outcomes.iter().zip(group.events).zip(group.fields).zip(group.are_settled);
    for (((outcome, events), fields), is_settled) in batches {
        until_done("storing events failed", || outlets.lake.store(outcome.position, events.clone())).await;
        if !is_settled {
            outlets.ledger.settled(outcome, &fields);
            outlets.metrics.settled(outcome);
            outlets.live.count(outcome.events, 0);
        }
    }
    drop(group.places);
    outlets.live.count(0, applied.new_findings);
    outlets.metrics.found(&applied);
    outlets.live.tell_found(applied);
}

/// Saves the state of correlation rules and lets the log go that is not needed with it. When that fails the log keeps
/// what the last one needs.
async fn save(snapshot: Snapshot, outlets: &Outlets) {
    let (covers, releases, bytes) = (snapshot.covers, snapshot.releases, snapshot.bytes.len() as u64);
    let files = Arc::clone(&outlets.files);
    let saved = tokio::task::spawn_blocking(move || files.save(&snapshot)).await;
    if let Err(error) = saved.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
        tracing::error!(%error, path = %outlets.files.path().display(), "the windows of correlation rules were not saved: the log is kept for them");
        return outlets.correlation.save_failed();
    }
    outlets.correlation.saved(bytes, Timestamp::now());
    if let Err(error) = outlets.state.forget_marks(covers).await {
        tracing::warn!(%error, "forgetting old idle marks failed");
    }
    if let Err(error) = outlets.lake.release(releases).await {
        tracing::warn!(%error, "a log segment that is no longer needed stays on disk");
    }
}

/// Tries until it works.
async fn until_done<T, E, F>(failure: &'static str, attempt: impl Fn() -> F) -> T
where
    F: Future<Output = Result<T, E>>,
    E: std::error::Error + 'static,
{
    let mut pause = FIRST_PAUSE;
    loop {
        match attempt().await {
            Ok(done) => return done,
            Err(error) => {
                let cause = error.source().map(ToString::to_string);
                tracing::error!(%error, cause, retry_in = ?pause, "{failure}");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

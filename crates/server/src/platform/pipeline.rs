//! The one consumer of the log: inspects batches in order, keeps what was found, makes events searchable.
//!
//! Two stages joined by a short channel: a thread that computes ([`Inspector`]) and a task that writes. Writing goes
//! to SQL first and to the lake after it: a batch that is in the lake never comes again, so its findings must be kept
//! before. What fails is tried again until it works; meanwhile the queue fills and senders are held back.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, mpsc};
use wanglou_cases::Grouping;
use wanglou_lake::{Lake, StoredEvent};
use wanglou_model::Timestamp;

use super::inspect::{Inspected, Inspector, Knowledge};
use super::intake::Logged;
use super::ledger::Ledger;
use super::live::Live;
use super::metrics::Metrics;
use crate::state::{BatchOutcome, State};

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
}

/// Batches that are written together.
#[derive(Default)]
struct Group {
    outcomes: Vec<BatchOutcome>,
    events: Vec<Vec<StoredEvent>>,
    are_settled: Vec<bool>,
    room: Vec<OwnedSemaphorePermit>,
    /// The state of correlation rules after it.
    correlation: wanglou_detect::Stats,
}

/// Runs until the queue is closed and empty.
///
/// # Errors
/// The inspecting thread cannot be started.
pub(crate) fn start(
    queue: mpsc::UnboundedReceiver<Logged>,
    knowledge: Knowledge,
    outlets: Outlets,
) -> std::io::Result<tokio::task::JoinHandle<()>> {
    let (groups, inspected) = mpsc::channel(GROUPS_AHEAD);
    std::thread::Builder::new()
        .name("inspect".into())
        .spawn(move || inspect(queue, &mut Inspector::new(knowledge), &groups))?;
    Ok(tokio::spawn(write(inspected, outlets)))
}

fn inspect(
    mut queue: mpsc::UnboundedReceiver<Logged>,
    inspector: &mut Inspector,
    groups: &mpsc::Sender<Group>,
) {
    let mut waiting = Vec::with_capacity(GROUP_BATCHES);
    while queue.blocking_recv_many(&mut waiting, GROUP_BATCHES) > 0 {
        let mut group = Group::default();
        for Logged { position, batch, decoded, is_settled, room } in waiting.drain(..) {
            let Inspected { outcome, events } = inspector.inspect(position, &batch, decoded);
            group.outcomes.push(outcome);
            group.events.push(events);
            group.are_settled.push(is_settled);
            group.room.push(room);
            group.correlation = inspector.correlation();
            if group.outcomes.iter().map(|outcome| outcome.lines).sum::<u64>() >= GROUP_LINES
                && groups.blocking_send(std::mem::take(&mut group)).is_err()
            {
                return;
            }
        }
        if !group.outcomes.is_empty() && groups.blocking_send(group).is_err() {
            return;
        }
    }
}

async fn write(mut inspected: mpsc::Receiver<Group>, outlets: Outlets) {
    while let Some(group) = inspected.recv().await {
        write_group(group, &outlets).await;
    }
}

async fn write_group(group: Group, outlets: &Outlets) {
    let applied = until_done("keeping findings failed", || {
        outlets.state.apply(&group.outcomes, &outlets.grouping, Timestamp::now())
    })
    .await;
    for ((outcome, events), is_settled) in group.outcomes.iter().zip(group.events).zip(group.are_settled) {
        until_done("storing events failed", || outlets.lake.store(outcome.position, events.clone())).await;
        if !is_settled {
            outlets.ledger.settled(outcome);
            outlets.metrics.settled(outcome);
            outlets.live.count(outcome.events, 0);
        }
    }
    drop(group.room);
    outlets.live.count(0, applied.new_findings);
    outlets.metrics.found(&applied);
    outlets.metrics.correlated(&group.correlation);
    outlets.live.tell_found(applied);
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

//! The platform: what `wanglou serve` runs, without the door (HTTP) in front of it.
//!
//! A batch goes [`intake`] → write-ahead log → [`pipeline`] ([`inspect`]: decode, normalise, detect) → SQL and lake.
//! [`Platform`] is the one handle the API has on all of it.

pub(crate) mod accounts;
mod bookkeeping;
pub(crate) mod correlation;
pub(crate) mod decode;
pub(crate) mod habits;
mod inspect;
pub(crate) mod intake;
pub(crate) mod ledger;
pub(crate) mod live;
mod metrics;
mod overview;
mod pipeline;
mod retention;
pub(crate) mod room;
pub(crate) mod rules;
mod snapshot;
mod sources;
mod storage;
pub(crate) mod suppressions;
mod throttle;
pub(crate) mod windows;

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use wanglou_cases::Grouping;
use wanglou_detect::{Correlator, Limits};
use wanglou_ingest::Catalog;
use wanglou_lake::{Lake, LakeConfig, LakeError, LogPosition, Retention};
use wanglou_model::Timestamp;

pub(crate) use overview::{Overview, OverviewError, bucket_nanos, width};
pub(crate) use sources::{OpenSource, SourcePlan, SourcesError};

use crate::config::IntakeLimits;
use crate::content;
use crate::rulebook::RuleSources;
use crate::state::{HOUR_NANOS, State, StateError};
use accounts::Accounts;
use bookkeeping::{Books, SourceCounters};
use correlation::Correlation;
use inspect::{Inspector, Knowledge};
use intake::Intake;
use ledger::Ledger;
use live::Live;
use metrics::Metrics;
use pipeline::Outlets;
use room::Room;
use rules::Rules;
use snapshot::Files;
use storage::Storage;
use suppressions::Suppressions;
use windows::{BEGINNING, Windows};

/// How often sessions are swept and finished segments of the log forgotten.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// Bytes of bodies of requests that are read at once.
const MAX_BODY_BYTES: usize = 128 << 20;

/// Batches after which the progress of a replay is told again.
const REPLAY_TOLD_EVERY: u64 = 1_000;
/// How often the end of a replay is looked for.
const REPLAY_POLL: Duration = Duration::from_millis(100);

/// The platform could not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// The built-in content is wrong.
    #[error("the built-in content cannot be used")]
    Content(#[source] anyhow::Error),
    /// The state database failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// The event store failed.
    #[error("cannot open the event store")]
    Lake(#[from] LakeError),
    /// A source cannot be opened.
    #[error(transparent)]
    Sources(#[from] SourcesError),
    /// A thread cannot be started.
    #[error("cannot start the pipeline")]
    Thread(#[source] std::io::Error),
}

/// Where the platform is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The log is being replayed.
    Starting,
    /// All is well.
    Ready,
    /// Nothing is taken in any more.
    Stopping,
}

/// How the platform is set up.
#[derive(Clone, Debug)]
pub(crate) struct Plan<'p> {
    pub data_dir: &'p Path,
    /// The zone of times that come without one.
    pub zone: TimeZone,
    pub sources: SourcePlan,
    /// How much correlation rules may remember, and how long they wait.
    pub correlation: Limits,
    /// Rules beside the built-in ones, and what changes rules.
    pub rules: RuleSources,
    pub limits: IntakeLimits,
    /// How long events are kept.
    pub retention: Retention,
}

/// The running platform.
pub(crate) struct Platform {
    pub state: State,
    pub lake: Arc<Lake>,
    pub intake: Intake,
    pub ledger: Arc<Ledger>,
    pub live: Arc<Live>,
    pub accounts: Accounts,
    pub catalog: Arc<Catalog>,
    metrics: Arc<Metrics>,
    pub correlation: Arc<Correlation>,
    /// What the sources count, to be shown in the metrics.
    counters: OnceLock<SourceCounters>,
    pub storage: Arc<Storage>,
    /// Room for bodies that are being read, in bytes.
    pub bodies: Arc<Room>,
    pub rules: Arc<Rules>,
    pub suppressions: Arc<Suppressions>,
    started: Instant,
    phase: AtomicU8,
    stop: watch::Sender<bool>,
}

/// What must be waited for at the end.
pub(crate) struct Tasks {
    pipeline: JoinHandle<()>,
    /// The open sources.
    pub sources: Vec<OpenSource>,
    chores: Vec<JoinHandle<()>>,
    books: Arc<tokio::sync::Mutex<Books>>,
}

impl Platform {
    /// Opens everything and starts the sources.
    ///
    /// # Errors
    /// [`StartError`] names what cannot be opened.
    pub(crate) async fn start(plan: Plan<'_>) -> Result<(Arc<Self>, Tasks), StartError> {
        let catalog = content::catalog().map_err(|error| StartError::Content(error.into()))?;
        let rules = Arc::new(Rules::start(plan.rules).map_err(StartError::Content)?);
        let state = State::open(&plan.data_dir.join("state.sqlite")).await?;
        let (files, correlation) = (Arc::new(Files::new(plan.data_dir)), Arc::new(Correlation::default()));
        let (correlator, counted) =
            restore(Arc::clone(&files), Arc::clone(&rules), plan.correlation, &correlation).await;
        let windows = Windows::new(correlator, plan.correlation, counted, state.idle_marks().await?);
        correlation.counted(&windows.numbers());
        // What the windows have not counted must stay in the log.
        let released = counted.segment.saturating_sub(1);
        let config = LakeConfig { released, ..LakeConfig::at(plan.data_dir.join("lake")) };
        let lake = Arc::new(Lake::open(config).await?);

        let applied = state.applied_batches().await?;
        let now = Timestamp::now();
        let kept = state.ledger(now.plus_nanos(-ledger::HOURS_IN_HAND * HOUR_NANOS)).await?;
        let ledger = Arc::new(Ledger::load(kept, now));
        let room = Room::new(plan.limits.queue_bytes, plan.limits.priority.clone());
        let replay_room = Room::new(plan.limits.queue_bytes, plan.limits.priority.clone());
        let (intake, queue) = Intake::new(
            Arc::clone(&lake),
            state.clone(),
            Arc::clone(&ledger),
            Arc::clone(&room),
            replay_room,
        );
        let outlets = Outlets {
            state: state.clone(),
            lake: Arc::clone(&lake),
            ledger: Arc::clone(&ledger),
            live: Arc::default(),
            metrics: Arc::default(),
            grouping: Arc::new(Grouping::default()),
            files,
            correlation: Arc::clone(&correlation),
        };
        let suppressions = Arc::new(Suppressions::open(state.clone()).await?);
        let (live, metrics) = (Arc::clone(&outlets.live), Arc::clone(&outlets.metrics));
        let knowledge = Knowledge {
            catalog: Arc::clone(&catalog),
            engine: Arc::clone(&rules.current().engine),
            rules: Arc::clone(&rules),
            suppressions: Arc::clone(&suppressions),
            zone: plan.zone,
        };
        let pipeline = pipeline::start(queue, Inspector::new(knowledge, windows), outlets)
            .map_err(StartError::Thread)?;
        let platform = Arc::new(Self {
            accounts: Accounts::new(state.clone()),
            catalog: Arc::clone(&catalog),
            state,
            lake,
            intake,
            ledger,
            live,
            metrics,
            correlation,
            counters: OnceLock::new(),
            storage: Arc::default(),
            bodies: Room::new(MAX_BODY_BYTES, plan.limits.priority),
            rules: Arc::clone(&rules),
            suppressions,
            started: Instant::now(),
            phase: AtomicU8::new(Phase::Starting as u8),
            stop: watch::Sender::new(false),
        });
        let storage = Arc::clone(&platform.storage);
        let mut chores = vec![
            tokio::spawn(storage.watch(plan.data_dir.to_owned(), plan.limits.reserve_bytes, room)),
            tokio::spawn(replay(Arc::clone(&platform), applied, counted)),
            tokio::spawn(tick(Arc::clone(&platform))),
            tokio::spawn(sweep(Arc::clone(&platform))),
            tokio::spawn(rules.watch()),
            tokio::spawn(retention::keep(Arc::clone(&platform), plan.retention)),
        ];
        let sources = sources::open(&platform, plan.sources).await?;
        let counters = sources.iter().map(|source| (source.name.clone(), Arc::clone(&source.counters)));
        let counters: SourceCounters = counters.collect();
        _ = platform.counters.set(counters.clone());
        let books = Books::new(Arc::clone(&platform.ledger), platform.state.clone(), counters);
        let books = Arc::new(tokio::sync::Mutex::new(books));
        chores.push(tokio::spawn(bookkeeping::keep(Arc::clone(&books))));
        Ok((platform, Tasks { pipeline, sources, chores, books }))
    }

    /// Where the platform is in its life.
    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Starting,
            1 => Phase::Ready,
            _ => Phase::Stopping,
        }
    }

    /// Time since start.
    pub(crate) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// How many rules are loaded.
    pub(crate) fn rule_count(&self) -> usize {
        self.rules.current().loaded
    }

    /// Metrics as Prometheus reads them.
    ///
    /// # Errors
    /// Never in practice.
    pub(crate) fn metrics(&self) -> Result<String, std::fmt::Error> {
        for (source, counters) in self.counters.get().into_iter().flatten() {
            self.metrics.dropped(source, counters);
        }
        self.metrics.correlated(&self.correlation.standing());
        self.metrics.encode(self.ledger.in_flight())
    }

    /// Turns true when the platform is told to stop.
    pub(crate) fn stop_signal(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// Tells sources and streams to stop.
    pub(crate) fn stop(&self) {
        self.phase.store(Phase::Stopping as u8, Ordering::Release);
        self.stop.send_replace(true);
    }

    /// Stops cleanly: sources first, then what is queued is finished, then lake and database are closed.
    pub(crate) async fn close(&self, tasks: Tasks) {
        self.stop();
        for source in tasks.sources {
            source.finished().await;
        }
        for chore in tasks.chores {
            chore.abort();
            _ = chore.await;
        }
        self.intake.close();
        if tasks.pipeline.await.is_err() {
            tracing::error!("the pipeline failed; the log keeps what it had not finished");
        }
        if let Err(error) = tasks.books.lock().await.close(Timestamp::now()).await {
            tracing::warn!(%error, "the last entries of the ledger were not kept");
        }
        if let Err(error) = self.lake.close().await {
            tracing::error!(%error, "closing the event store failed; the log keeps its events");
        }
        self.state.clone().close().await;
    }

    fn advance_to_ready(&self) {
        _ = self.phase.compare_exchange(
            Phase::Starting as u8,
            Phase::Ready as u8,
            Ordering::AcqRel,
            Ordering::Acquire,
        );
    }
}

/// The correlator that goes on from where the last process was, and how far that had counted the log.
async fn restore(
    files: Arc<Files>,
    rules: Arc<Rules>,
    limits: Limits,
    correlation: &Correlation,
) -> (Correlator, LogPosition) {
    let engine = Arc::clone(&rules.current().engine);
    let fresh = Correlator::with_limits(Arc::clone(&engine), limits);
    // Both take long when there is much of it.
    let read = move || files.restore(engine, limits);
    match tokio::task::spawn_blocking(read).await {
        Ok(Ok(Some(restored))) => restored,
        Ok(Ok(None)) => (fresh, BEGINNING),
        Ok(Err(_)) | Err(_) => {
            correlation.lost();
            (fresh, BEGINNING)
        }
    }
}

/// Hands the pipeline what the log holds and the lake or the windows do not.
async fn replay(platform: Arc<Platform>, applied: HashSet<LogPosition>, counted: LogPosition) {
    let mut batches = 0_u64;
    let mut outstanding = platform.lake.replay();
    loop {
        // The log is read from disk, off the asynchronous threads.
        let step = tokio::task::spawn_blocking(move || (outstanding.next(), outstanding)).await;
        let Ok((next, rest)) = step else { break };
        outstanding = rest;
        match next {
            None => break,
            Some(Err(error)) => tracing::error!(%error, "a part of the log cannot be read"),
            Some(Ok((position, _))) if position <= counted && platform.lake.is_committed(position) => {}
            Some(Ok((position, batch))) => {
                batches += 1;
                if batches % REPLAY_TOLD_EVERY == 1 {
                    tracing::info!(batches, in_flight = platform.ledger.in_flight(), "replaying the log");
                }
                platform.intake.replay(position, batch, applied.contains(&position)).await;
            }
        }
    }
    platform.intake.replay_over();
    while batches > 0 && platform.ledger.in_flight() > 0 {
        tokio::time::sleep(REPLAY_POLL).await;
    }
    if batches > 0 {
        tracing::info!(batches, "the log is replayed");
    }
    platform.advance_to_ready();
}

/// Ends a second, every second.
async fn tick(platform: Arc<Platform>) {
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    loop {
        seconds.tick().await;
        platform.live.tick(platform.ledger.in_flight());
        platform.intake.tell_time(Timestamp::now());
    }
}

/// Forgets what is not needed any more.
async fn sweep(platform: Arc<Platform>) {
    let mut rounds = tokio::time::interval(SWEEP_EVERY);
    loop {
        rounds.tick().await;
        if let Err(error) = platform.accounts.sweep(Timestamp::now()).await {
            tracing::warn!(%error, "forgetting old sessions failed");
        }
        let first_kept = platform.lake.first_kept().await;
        if let Err(error) = platform.state.forget_applied(first_kept).await {
            tracing::warn!(%error, "forgetting finished batches failed");
        }
    }
}

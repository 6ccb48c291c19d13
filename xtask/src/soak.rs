//! Long tests. `kill`: the platform is killed with signal 9 again and again while a sender posts keyed batches, and
//! at the end what is stored is checked against the sender's own list. `fuzz`: every fuzz target for longer.

use std::collections::BTreeMap;
use std::path::PathBuf;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use serde_json::Value;

use crate::api::{Session, agent, post_batch};
use crate::run::{check, command, human, say, step};
use crate::up::{self, Platform};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    which: Option<Which>,
}

#[derive(Subcommand)]
enum Which {
    /// Kill -9 during ingest, and count
    Kill(KillPlan),
    /// Run every fuzz target for this many seconds
    Fuzz {
        /// Seconds for each target
        #[arg(long, default_value_t = 600)]
        seconds: u32,
    },
}

/// How a kill drill goes.
#[derive(Clone, Parser)]
pub(crate) struct KillPlan {
    /// Events to send
    #[arg(long, default_value_t = 1_000_000)]
    events: u64,
    /// Events in a batch
    #[arg(long, default_value_t = 1_000)]
    batch: u64,
    /// How many times the platform is killed
    #[arg(long, default_value_t = 10)]
    kills: u64,
    /// Build profile of the platform
    #[arg(long, default_value = "up")]
    profile: String,
}

impl KillPlan {
    /// The form that fits into the tests.
    pub(crate) fn small() -> Self {
        Self { events: 20_000, batch: 200, kills: 3, profile: "dev".into() }
    }
}

pub(crate) fn run(args: &Args) -> Result<()> {
    match &args.which {
        Some(Which::Kill(plan)) => kill(plan),
        Some(Which::Fuzz { seconds }) => fuzz(*seconds),
        None => {
            let plan = KillPlan::parse_from(["kill"]);
            step("kill -9 during ingest", || kill(&plan))?;
            step("fuzz", || fuzz(600))
        }
    }
}

/// Runs every fuzz target for `seconds`.
pub(crate) fn fuzz(seconds: u32) -> Result<()> {
    let words = ["cargo", "test", "--quiet", "--locked"];
    let mut command = command(&crate::root().join("fuzz"), &words);
    // A target dir of its own: the fuzz workspace has its own lock file and so its own builds.
    command.env("CARGO_TARGET_DIR", crate::target_dir().join("fuzz"));
    check(command.env("WANGLOU_FUZZ_SECONDS", seconds.to_string()), "cargo test in fuzz/")
}

/// Kills the platform `plan.kills` times while it ingests, then checks that every acknowledged event is there once.
pub(crate) fn kill(plan: &KillPlan) -> Result<()> {
    let wanglou = up::build(&plan.profile)?;
    let home = tempfile::tempdir().context("a folder for the drill")?;
    let site = Site {
        wanglou,
        data: home.path().join("data"),
        watched: home.path().join("watched"),
        port: up::free_port()?,
    };
    std::fs::create_dir_all(&site.watched)?;

    let mut platform = site.start()?;
    let link = platform.setup_link().context("a fresh platform printed no set-up link")?;
    let session = Session::set_up(&platform.address, &link)?;
    let sender = Sender::start(plan, platform.address.clone(), session.create_source("drill")?);
    let mut recoveries = Vec::new();
    for nth in 1..=plan.kills {
        sender.wait_until(plan.events * nth / (plan.kills + 1))?;
        platform.kill()?;
        let since = Instant::now();
        platform = site.start()?;
        recoveries.push(since.elapsed());
    }
    let resent = sender.finish()?;
    let stored = count_stored(&session, plan.events)?;
    let (missing, doubled) = compare(&stored, plan.events);
    let slowest = recoveries.iter().max().copied().unwrap_or_default();
    say(&format!(
        "  {} events in keyed batches of {}, {} kills, {resent} batches sent again: {missing} missing, {doubled} doubled; \
         slowest restart {}",
        plan.events,
        plan.batch,
        plan.kills,
        human(slowest)
    ));
    platform.stop()?;
    if missing + doubled > 0 {
        bail!("{missing} acknowledged events are missing and {doubled} are doubled");
    }
    Ok(())
}

struct Site {
    wanglou: PathBuf,
    data: PathBuf,
    watched: PathBuf,
    port: u16,
}

impl Site {
    fn start(&self) -> Result<Platform> {
        Platform::start_at(self.port, &self.wanglou, &self.data, &self.watched)
    }
}

/// Sends numbered events in keyed batches, each again until it is acknowledged, as a good sender does.
struct Sender {
    thread: std::thread::JoinHandle<Result<u64>>,
    acknowledged: Arc<AtomicU64>,
}

/// A sender that gets no acknowledgement for this long gives up: the platform is not coming back.
const GIVE_UP_AFTER: Duration = Duration::from_secs(120);

impl Sender {
    fn start(plan: &KillPlan, address: String, token: String) -> Self {
        let acknowledged = Arc::new(AtomicU64::new(0));
        let (plan, seen) = (plan.clone(), Arc::clone(&acknowledged));
        let thread = std::thread::spawn(move || {
            let agent = agent();
            let mut resent = 0;
            let mut first = 0;
            while first < plan.events {
                let last = (first + plan.batch).min(plan.events);
                let body: String = (first..last).map(event_line).collect();
                let since = Instant::now();
                while let Err(error) = post_batch(&agent, &address, &token, &format!("batch-{first}"), &body)
                {
                    if since.elapsed() > GIVE_UP_AFTER {
                        return Err(error);
                    }
                    resent += 1;
                    std::thread::sleep(Duration::from_millis(50));
                }
                seen.store(last, Ordering::Relaxed);
                first = last;
            }
            Ok(resent)
        });
        Self { thread, acknowledged }
    }

    fn wait_until(&self, events: u64) -> Result<()> {
        while self.acknowledged.load(Ordering::Relaxed) < events {
            if self.thread.is_finished() {
                bail!("the sender stopped early");
            }
            // Short and odd, so that kills fall at varied instants of a batch's life.
            std::thread::sleep(Duration::from_millis(3));
        }
        Ok(())
    }

    fn finish(self) -> Result<u64> {
        self.thread.join().map_err(|_| anyhow::anyhow!("the sender panicked"))?
    }
}

fn event_line(number: u64) -> String {
    let time = jiff::Timestamp::now();
    let host = number % 250;
    format!(
        "{{\"drill_seq\":{number},\"timestamp\":\"{time}\",\"src_ip\":\"10.1.0.{host}\",\"message\":\"drill event {number}\"}}\n"
    )
}

/// How often each number is stored.
fn count_stored(session: &Session, expected: u64) -> Result<BTreeMap<u64, u64>> {
    wait_until_evaluated(session, expected)?;
    let mut seen = BTreeMap::new();
    let mut cursor = String::new();
    loop {
        let page = session.get(&format!("events?limit=1000&where=source:drill{cursor}"))?;
        for event in page.get("events").and_then(Value::as_array).into_iter().flatten() {
            let raw = event.get("raw_data").and_then(Value::as_str).unwrap_or_default();
            let line: Value =
                serde_json::from_str(raw).with_context(|| format!("stored raw data `{raw}`"))?;
            let number =
                line.get("drill_seq").and_then(Value::as_u64).context("a stored event without a number")?;
            *seen.entry(number).or_insert(0) += 1;
        }
        match page.get("next_cursor").and_then(Value::as_str) {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(seen),
        }
    }
}

fn wait_until_evaluated(session: &Session, expected: u64) -> Result<()> {
    let since = Instant::now();
    while since.elapsed() < GIVE_UP_AFTER {
        let ledger = session.get("ledger")?;
        let in_flight: u64 = sum(&ledger, "in_flight");
        if in_flight == 0 && sum(&ledger, "stored") >= expected {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    bail!("the platform did not finish storing: its ledger says {}", session.get("ledger")?);
}

fn sum(ledger: &Value, column: &str) -> u64 {
    let rows = ledger.get("sources").and_then(Value::as_array);
    rows.into_iter().flatten().filter_map(|row| row.get(column)?.as_u64()).sum()
}

fn compare(stored: &BTreeMap<u64, u64>, expected: u64) -> (u64, u64) {
    let missing = (0..expected).filter(|number| !stored.contains_key(number)).count() as u64;
    let doubled = stored.values().map(|times| times - 1).sum();
    (missing, doubled)
}

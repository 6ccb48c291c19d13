//! `wanglou lake bench`: how fast and how small the event store is on this machine, with invented telemetry.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use jiff::tz::TimeZone;
use serde_json::json;
use wanglou_ingest::{EventContext, FrameDecoder, normalize};
use wanglou_lake::{Appended, Batch, Buckets, Lake, LakeConfig, Origin, Query, StoredEvent};
use wanglou_model::search::{Expression, parse};
use wanglou_model::{SourceId, TenantId, Timestamp};

use super::traffic::{COMMON_WORD, RARE_ADDRESS, RARE_WORD, Traffic};
use crate::content;

/// 2026-06-01T00:00:00Z, when the telemetry begins.
const BEGINNING: i64 = 1_780_272_000;
const DAY_SECS: i64 = 86_400;
/// Lines that arrive together.
const BATCH: usize = 5_000;
/// Every so manieth event is written as JSON to measure what the store saves.
const SAMPLED: usize = 20;
/// Each latency is the median of this many.
const RUNS: usize = 5;

#[derive(clap::Args)]
pub(super) struct Args {
    /// A folder for the events, which must not exist; it is left for other engines to read
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// How many events
    #[arg(long, default_value_t = 1_000_000)]
    events: usize,
    /// Over how many days
    #[arg(long, default_value_t = 30)]
    days: u32,
}

/// Makes events, stores them, asks for them; prints one JSON object a figure.
pub(super) async fn run(args: &Args) -> anyhow::Result<()> {
    anyhow::ensure!(!args.dir.exists(), "`{}` exists: name a new folder", args.dir.display());
    let config = LakeConfig { upkeep_share: 1.0, ..LakeConfig::at(args.dir.join("lake")) };
    let lake = Lake::open(config).await?;
    fill(&lake, args).await?;
    let merging = Cpu::now()?;
    lake.compact().await?;
    figure("merge small files", merging.seconds_since()?, "CPU s");
    let stats = lake.stats();
    figure("files of the table", stats.table_files as f64, "files");
    figure("table", stats.table_bytes as f64 / stats.table_events.max(1) as f64, "bytes/event");
    let log = folder_bytes(&args.dir.join("lake/events/_delta_log"))?;
    figure("Delta log", log as f64 / 1e6, "MB");
    ask(&lake, args.days).await?;
    lake.close().await?;
    Ok(())
}

async fn fill(lake: &Lake, args: &Args) -> anyhow::Result<()> {
    let mut decoder =
        FrameDecoder::new(content::catalog().context("the built-in table of products is wrong")?);
    let mut traffic = Traffic::new();
    let per_day = args.events / args.days.max(1) as usize;
    let (mut raw, mut ndjson, mut made) = (0_usize, 0_usize, 0_usize);
    let (mut decoding, mut storing) = (0.0, 0.0);
    let mut slowest = Duration::ZERO;
    for day in 0..i64::from(args.days) {
        let midnight = BEGINNING + day * DAY_SECS;
        for first in (0..per_day).step_by(BATCH) {
            let count = BATCH.min(per_day - first);
            let micros = |n: usize| {
                (midnight * 1_000_000) + (first + n) as i64 * (DAY_SECS * 1_000_000) / per_day as i64
            };
            let frames = (0..count).map(|n| traffic.line(micros(n))).collect::<Vec<_>>();
            let arrival = Timestamp::from_nanos(micros(count) * 1_000);
            let batch = Batch { source: SourceId::new("bench"), arrival, origin: Origin::Arrival, frames };
            let cpu = Cpu::now()?;
            let started = Instant::now();
            let Appended::At(position) = lake.append(batch.clone()).await? else { continue };
            slowest = slowest.max(started.elapsed());
            storing += cpu.seconds_since()?;
            let cpu = Cpu::now()?;
            let events = decoded(&mut decoder, &batch, position);
            decoding += cpu.seconds_since()?;
            raw += batch.frames.iter().map(bytes::Bytes::len).sum::<usize>();
            ndjson += sampled_json(&events);
            made += events.len();
            let cpu = Cpu::now()?;
            lake.store(position, events).await?;
            storing += cpu.seconds_since()?;
        }
        let cpu = Cpu::now()?;
        lake.flush().await?;
        storing += cpu.seconds_since()?;
    }
    figure("events", made as f64, "events");
    figure("raw text", raw as f64 / made.max(1) as f64, "bytes/event");
    figure("as OCSF NDJSON with raw text", ndjson as f64 / made.max(1) as f64, "bytes/event");
    figure("decode and normalise", raw as f64 / 1e6 / decoding, "MB raw/CPU s");
    figure("log, encode, sort, commit", raw as f64 / 1e6 / storing, "MB raw/CPU s");
    figure("log, encode, sort, commit (NDJSON)", ndjson as f64 / 1e6 / storing, "MB NDJSON/CPU s");
    figure("all of it", raw as f64 / 1e6 / (decoding + storing), "MB raw/CPU s");
    figure("slowest acknowledgement", slowest.as_secs_f64() * 1e3, "ms");
    Ok(())
}

fn decoded(
    decoder: &mut FrameDecoder,
    batch: &Batch,
    position: wanglou_lake::LogPosition,
) -> Vec<StoredEvent> {
    let mut events = Vec::with_capacity(batch.frames.len());
    let mut keep = |frame: usize, record: wanglou_model::Record| {
        let context = EventContext {
            uid: batch.event_uid(position, frame, 0),
            source: batch.source.clone(),
            arrival: batch.arrival,
            tenant: TenantId::default(),
            zone: TimeZone::UTC,
        };
        let event = normalize(&record, context);
        events.push(StoredEvent { event, format: record.format, raw: record.raw.clone(), place: None });
    };
    for (frame, line) in batch.frames.iter().enumerate() {
        let one = std::slice::from_ref(line);
        decoder.decode_lines(one, &mut |_, record| keep(frame, record), &mut |_, _| {});
    }
    events
}

/// Bytes as OCSF NDJSON, from a sample.
fn sampled_json(events: &[StoredEvent]) -> usize {
    let bytes = events.iter().step_by(SAMPLED).map(|stored| {
        let mut json = stored.event.to_json(None);
        json.insert("raw_data".into(), String::from_utf8_lossy(&stored.raw).into());
        serde_json::Value::Object(json).to_string().len() + 1
    });
    bytes.sum::<usize>() * SAMPLED
}

/// What analysts ask, each several times.
async fn ask(lake: &Lake, days: u32) -> anyhow::Result<()> {
    let day = |number: i64| Timestamp::from_secs(BEGINNING + number * DAY_SECS);
    let days = i64::from(days);
    let whole = Query::between(day(0), day(days));
    let one_day = Query::between(day(days / 2), day(days / 2 + 1));
    let text =
        |query: &Query, text: &str| Ok::<_, anyhow::Error>(Query { matching: parse(text)?, ..query.clone() });
    let no_hash = "hash:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let pages = [
        ("needle: an address", &whole, format!("dst_ip:{RARE_ADDRESS} or src_ip:{RARE_ADDRESS}")),
        ("needle: an absent address", &whole, "src_ip:192.0.2.99".to_owned()),
        ("needle: an absent hash", &whole, no_hash.to_owned()),
        ("newest 100 of a user, one day", &one_day, "user:wangfang".to_owned()),
        ("newest 100 of all", &whole, String::new()),
        ("newest 100 of a word in every fiftieth", &whole, COMMON_WORD.to_owned()),
        ("rare word, all hits", &whole, RARE_WORD.to_owned()),
        ("absent word", &whole, "zebrafish".to_owned()),
        ("substring, newest 100", &whole, "*eploymen*".to_owned()),
        (
            "network and not user, one day",
            &one_day,
            "src_ip:10.11.0.0/16 and not user:(root or lina)".to_owned(),
        ),
    ];
    for (name, range, query) in pages {
        let query = text(range, &query)?;
        let mut hits = 0;
        latency(name, async || {
            hits = lake.search(&query).await?.hits.len();
            Ok(())
        })
        .await?;
        figure(&format!("{name}: hits"), hits as f64, "events");
    }
    let month = Query { matching: Expression::All, ..whole.clone() };
    latency("histogram of the whole time, hourly", async || {
        lake.histogram(&month, Buckets::Width(Duration::from_secs(3600))).await?;
        Ok(())
    })
    .await?;
    for (name, range, field) in [
        ("top 10 source addresses, one day", &one_day, "src_endpoint.ip"),
        ("top 10 users, whole time", &whole, "user.name"),
        ("top 10 of what is not promoted, one day", &one_day, "connection_info.protocol_name"),
    ] {
        latency(name, async || {
            lake.top(range, field, 10).await?;
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// The median of some runs, wall and CPU.
async fn latency(name: &str, mut ask: impl AsyncFnMut() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let cpu = Cpu::now()?;
    let mut took = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let started = Instant::now();
        ask().await?;
        took.push(started.elapsed());
    }
    took.sort();
    let median = took.get(RUNS / 2).copied().unwrap_or_default();
    figure(name, median.as_secs_f64() * 1e3, "ms");
    figure(&format!("{name}: CPU"), cpu.seconds_since()? * 1e3 / RUNS as f64, "CPU ms");
    Ok(())
}

#[expect(clippy::print_stdout, reason = "figures are the command's output")]
fn figure(name: &str, value: f64, unit: &str) {
    println!("{}", json!({ "name": name, "value": value, "unit": unit }));
}

fn folder_bytes(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}

/// CPU time of this process, all threads.
struct Cpu(f64);

impl Cpu {
    fn now() -> anyhow::Result<Self> {
        /// The kernel's unit here, whatever its own clock.
        const TICKS_PER_SECOND: f64 = 100.0;
        let stat = std::fs::read_to_string("/proc/self/stat").context("cannot read the CPU time")?;
        // The name of the program, in parentheses, may hold anything.
        let fields = stat.rsplit(") ").next().unwrap_or_default();
        let ticks = fields.split(' ').skip(11).take(2).filter_map(|field| field.parse::<f64>().ok());
        Ok(Self(ticks.sum::<f64>() / TICKS_PER_SECOND))
    }

    fn seconds_since(&self) -> anyhow::Result<f64> {
        Ok(Self::now()?.0 - self.0)
    }
}

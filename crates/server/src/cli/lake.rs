//! `wanglou lake`: what the event store holds, whether it is whole, and keeping it small.

mod bench;
mod traffic;

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;
use wanglou_lake::{FileFault, Lake, LakeConfig, Reader};

use super::{ExitStatus, offline};

/// Looks after the event store 检查与维护日志库
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Compares every file with the BLAKE3 digest recorded when it was written
    Check(Place),
    /// Says how many files, bytes and events there are
    Stats(Place),
    /// Merges small files and deletes what nobody needs; the platform does so by itself while it runs
    Compact(Place),
    /// Measures the store on this machine with invented telemetry: one JSON object a figure
    Bench(bench::Args),
}

#[derive(clap::Args)]
struct Place {
    /// The platform's data directory
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// How to show it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

const EXAMPLES: &str = "\
Examples:
  wanglou lake check --data-dir /var/lib/wanglou
  wanglou lake stats --data-dir /var/lib/wanglou --format json
  wanglou lake compact --data-dir /var/lib/wanglou     with the platform stopped
  wanglou lake bench --dir /var/tmp/bench --events 5000000

Exit codes: 0 whole, 1 a file is damaged or missing, 2 the store cannot be read, 64 wrong usage.";

/// Does the task.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match &args.task {
            Task::Check(place) => check(place).await,
            Task::Stats(place) => stats(place).await,
            Task::Compact(place) => compact(place).await,
            Task::Bench(args) => bench::run(args).await.map(|()| ExitStatus::CLEAN),
        }
    })
}

fn config(data_dir: &Path) -> LakeConfig {
    LakeConfig::at(data_dir.join("lake"))
}

async fn check(place: &Place) -> anyhow::Result<ExitStatus> {
    let reader = Reader::open(&config(&place.data_dir)).await?;
    let mut out = offline::Output::open(None)?;
    let (mut files, mut without, mut damaged) = (0_u64, 0_u64, Vec::new());
    for (path, fault) in reader.check()? {
        files += 1;
        match fault {
            None => {}
            Some(FileFault::NoDigest) => without += 1,
            Some(FileFault::Unreadable) => damaged.push((path, "cannot be read or is gone")),
            Some(FileFault::Changed) => damaged.push((path, "is not as it was written")),
        }
    }
    if place.format == Format::Json {
        let damaged: Vec<_> =
            damaged.iter().map(|(path, what)| json!({"path": path, "fault": what})).collect();
        writeln!(out, "{}", json!({"files": files, "without_digest": without, "damaged": damaged}))?;
    } else {
        for (path, what) in &damaged {
            writeln!(out, "{path}  {what}: restore it from a backup")?;
        }
        writeln!(out, "{files} files: {} damaged, {without} without a recorded digest", damaged.len())?;
    }
    out.flush()?;
    Ok(ExitStatus { found: !damaged.is_empty(), unreadable: false })
}

async fn stats(place: &Place) -> anyhow::Result<ExitStatus> {
    let reader = Reader::open(&config(&place.data_dir)).await?;
    let (files, bytes, events) = reader.totals();
    show(place, files, bytes, events)
}

async fn compact(place: &Place) -> anyhow::Result<ExitStatus> {
    let lake = Lake::open(config(&place.data_dir)).await?;
    lake.compact().await?;
    let stats = lake.stats();
    show(place, stats.table_files, stats.table_bytes, stats.table_events)
}

fn show(place: &Place, files: u64, bytes: u64, events: u64) -> anyhow::Result<ExitStatus> {
    let mut out = offline::Output::open(None)?;
    let each = if events > 0 { bytes as f64 / events as f64 } else { 0.0 };
    match place.format {
        Format::Json => {
            writeln!(
                out,
                "{}",
                json!({"files": files, "bytes": bytes, "events": events, "bytes_per_event": each})
            )?;
        }
        Format::Text => {
            writeln!(
                out,
                "{events} events in {files} files, {:.1} MB, {each:.1} bytes an event",
                bytes as f64 / 1e6
            )?;
        }
    }
    out.flush()?;
    Ok(ExitStatus::CLEAN)
}

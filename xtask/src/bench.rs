//! Benchmarks: whole processes, in CPU seconds (which other work on the machine disturbs least), each value beside a
//! floor measured in the same run.

mod ingest;
mod lake;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::run::{output, say, step};
use crate::up;

/// Each figure is the median of this many runs.
const RUNS: usize = 5;
/// The benchmark's input: the sample telemetry, repeated to about this many bytes.
const INPUT_BYTES: usize = 64 << 20;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which benchmark
    #[arg(value_enum)]
    name: Name,
    /// Write the rows to this file as JSON too
    #[arg(long)]
    json: Option<PathBuf>,
    /// Build profile to measure
    #[arg(long, default_value = "up")]
    profile: String,
    /// Of `ingest`: measure this `wanglou` instead of building one
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Of `ingest`: how long to send as fast as possible
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Of `lake`: how many events
    #[arg(long, default_value_t = 3_000_000)]
    events: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Name {
    /// `wanglou scan` and `wanglou parse` over the sample telemetry, beside decompression-free line counting
    Scan,
    /// The detection engine with all SigmaHQ rules, beside rsigma and the floors (reads `WANGLOU_CORPORA`)
    Detect,
    /// The running platform: lines of 500 bytes over syslog/TCP and NDJSON/HTTP, and the time from a socket to a finding
    Ingest,
    /// Correlation by type, as values and groups grow, beside rsigma's
    Correlate,
    /// The event store with invented telemetry, beside DuckDB and chdb where the Python of `WANGLOU_ENGINES` has them
    Lake,
}

/// One measured figure.
#[derive(Clone, Serialize, Deserialize)]
struct Row {
    name: String,
    value: f64,
    unit: String,
    baseline: f64,
    ratio: f64,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let rows = match args.name {
        Name::Scan => scan(&args.profile)?,
        Name::Detect => detect()?,
        Name::Ingest => {
            let built = || up::build(&args.profile);
            ingest::measure(&args.binary.clone().map_or_else(built, Ok)?, args.seconds)?
        }
        Name::Correlate => [peers(&["groups"])?, peers(&["correlate"])?].concat(),
        Name::Lake => lake::measure(&args.profile, args.events)?,
    };
    for row in &rows {
        say(&format!(
            "{:<44} {:>14.1} {:<24} floor {:>14.1}  ratio {:.3}",
            row.name, row.value, row.unit, row.baseline, row.ratio
        ));
    }
    if let Some(path) = &args.json {
        let json = serde_json::to_string_pretty(&rows)?;
        fs::write(path, json + "\n").with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

fn detect() -> Result<Vec<Row>> {
    let corpora = std::env::var("WANGLOU_CORPORA")
        .context("set WANGLOU_CORPORA to the folder with sigma-rules and evtx-attack-samples")?;
    peers(&["detect", &corpora])
}

/// Runs the bench workspace, which has the peers that the house itself does not depend on.
fn peers(arguments: &[&str]) -> Result<Vec<Row>> {
    let manifest = crate::root().join("bench/Cargo.toml").display().to_string();
    let target = crate::target_dir().join("bench").display().to_string();
    let command = ["cargo", "run", "--release", "--quiet", "--manifest-path", &manifest];
    let rest = ["--target-dir", &target, "--"];
    let printed =
        step("measure", || output(&crate::root(), &[command.as_slice(), &rest, arguments].concat()))?;
    let rows = printed.lines().map(|line| serde_json::from_str(line).with_context(|| format!("`{line}`")));
    rows.collect()
}

fn scan(profile: &str) -> Result<Vec<Row>> {
    let wanglou = up::build(profile)?;
    let home = tempfile::tempdir()?;
    let inputs = step("make the input", || make_inputs(home.path()))?;
    let mut rows = Vec::new();
    for input in &inputs {
        let name = input.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let stats = home.path().join("stats.json");
        let (wanglou, file, stats_text) =
            (wanglou.to_string_lossy(), input.to_string_lossy(), stats.to_string_lossy());
        let floor = median(|| cpu_seconds(&format!("wc -l '{file}'")))?;
        let parse = median(|| cpu_seconds(&format!("'{wanglou}' parse --threads 1 '{file}'")))?;
        let scan = median(|| {
            cpu_seconds(&format!(
                "'{wanglou}' scan --threads 1 --format ndjson --stats '{stats_text}' '{file}' || test $? = 1"
            ))
        })?;
        let stats: serde_json::Value = serde_json::from_str(&fs::read_to_string(&stats)?)?;
        let Some(events) = stats.get("events").and_then(serde_json::Value::as_f64) else {
            bail!("no event count in the statistics")
        };
        for (what, seconds) in [("parse", parse), ("scan", scan)] {
            rows.push(Row {
                name: format!("{what} {name}"),
                value: events / seconds,
                unit: "events/CPU-second".to_owned(),
                baseline: events / floor,
                ratio: floor / seconds,
            });
        }
    }
    Ok(rows)
}

/// The sample files, each repeated until it is large enough for process start not to matter.
fn make_inputs(folder: &Path) -> Result<Vec<PathBuf>> {
    let samples = folder.join("samples");
    fs::create_dir_all(&samples)?;
    crate::replay::replay(&samples)?;
    let mut inputs = Vec::new();
    for entry in fs::read_dir(&samples)? {
        let path = entry?.path();
        let text = fs::read(&path)?;
        if text.is_empty() {
            continue;
        }
        fs::write(&path, text.repeat((INPUT_BYTES / text.len()).max(1)))?;
        inputs.push(path);
    }
    inputs.sort();
    Ok(inputs)
}

/// User and system CPU seconds of a shell command and what it starts, its output thrown away.
fn cpu_seconds(script: &str) -> Result<f64> {
    let printed =
        output(&crate::root(), &["sh", "-c", &format!("{{ {script}; }} >/dev/null 2>&1 || exit 1; times")])?;
    let Some(children) = printed.lines().nth(1) else { bail!("`times` printed {printed:?}") };
    children.split_whitespace().map(parse_times).sum()
}

/// `1m2.345s`
fn parse_times(text: &str) -> Result<f64> {
    let (minutes, seconds) =
        text.trim_end_matches('s').split_once('m').with_context(|| format!("`{text}`"))?;
    Ok(minutes.parse::<f64>()? * 60.0 + seconds.parse::<f64>()?)
}

fn median(mut measure: impl FnMut() -> Result<f64>) -> Result<f64> {
    let mut values = (0..RUNS).map(|_| measure()).collect::<Result<Vec<_>>>()?;
    values.sort_by(f64::total_cmp);
    Ok(values.get(RUNS / 2).copied().unwrap_or_default().max(0.01))
}

#[cfg(test)]
mod tests {
    #[test]
    fn reads_what_the_shell_prints() {
        assert!((super::parse_times("1m2.500s").unwrap() - 62.5).abs() < 1e-9);
        assert!(super::parse_times("x").is_err());
    }
}

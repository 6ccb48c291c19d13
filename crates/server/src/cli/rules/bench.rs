//! `wanglou rules bench`: what each rule costs on given events, and what all of them cost together.
//!
//! Together, rules share the search of a value, so that one rule more costs less than it does alone. Alone is what
//! tells them apart: a rule without anything rare to look for is dear in any company.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::io::{self, IsTerminal, Write, stderr};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use wanglou_detect::{Engine, compile, rules};
use wanglou_model::Record;

use super::records::each;
use super::{CheckFormat, Said};
use crate::cli::{ExitStatus, UsageError};
use crate::content;
use crate::scan::output::visible;

/// Shows what each rule costs on events of yours, dearest first 测量每条规则的开销
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Folders, files or zips [default: the built-in rules]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Events to run the rules on: files or folders in any format that `scan` reads, `-` for standard input
    #[arg(long, short, required = true, value_name = "PATH")]
    events: Vec<PathBuf>,
    /// Events that are taken at most, the first ones
    #[arg(long, value_name = "N", default_value_t = 50_000)]
    max_events: usize,
    /// Rule files that are shown in the table; JSON has them all
    #[arg(long, value_name = "N", default_value_t = 25)]
    top: usize,
    /// How to show the result
    #[arg(long, value_enum, default_value_t = CheckFormat::Text)]
    format: CheckFormat,
}

const EXAMPLES: &str = "\
Examples:
  wanglou rules bench --events /var/log/
  wanglou rules bench sigma/rules --events evidence/ --top 50
  wanglou rules bench my-rules/ --events sample.ndjson --format json

A rule is measured by itself, with the rules of the same file; the least of three passes counts.

Exit codes: 0 measured, 2 some input unreadable, 64 wrong usage.";

/// Passes over the events, of which the fastest counts: whatever else the machine does only adds time.
const PASSES: usize = 3;

#[derive(Serialize)]
struct Report {
    events: usize,
    rules: usize,
    /// All rules in one engine, nanoseconds an event.
    together_ns: f64,
    /// An engine without rules, nanoseconds an event; taken off each rule's own figure.
    floor_ns: f64,
    /// What could not be read.
    unread: Vec<String>,
    /// Dearest first.
    files: Vec<Cost>,
}

#[derive(Serialize)]
struct Cost {
    file: String,
    /// Titles of the rules in the file.
    titles: Vec<String>,
    /// Nanoseconds an event.
    ns: f64,
    /// Events on which a rule of the file fires.
    matched: usize,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<Said> {
    let (files, diagnostics) =
        if args.paths.is_empty() { (content::rules(), Vec::new()) } else { rules::read(&args.paths) };
    let (records, mut unread) = records_of(&args.events, args.max_events)?;
    if records.is_empty() {
        return Err(UsageError("there is no event to run the rules on".to_owned()).into());
    }
    unread.extend(diagnostics.iter().map(|found| format!("{}: {}", found.file, found.message)));
    let taxonomy = content::taxonomy().context("the built-in taxonomy is wrong")?;
    let all = compile(&files, &taxonomy);
    let floor = measure(&compile(&[], &taxonomy).engine, &records).0;
    let together = measure(&all.engine, &records).0;
    let titles = titles_by_file(&all.engine);
    drop(all);

    let progress = progress(files.len());
    let mut costs = Vec::new();
    for file in &files {
        if let Some(titles) = titles.get(&file.path) {
            let engine = compile(std::slice::from_ref(file), &taxonomy).engine;
            let (ns, matched) = measure(&engine, &records);
            costs.push(Cost {
                file: file.path.clone(),
                titles: titles.clone(),
                ns: (ns - floor).max(0.0),
                matched,
            });
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    costs.sort_by(|a, b| b.ns.total_cmp(&a.ns));
    let report = Report {
        events: records.len(),
        rules: titles.values().map(Vec::len).sum(),
        together_ns: together,
        floor_ns: floor,
        unread,
        files: costs,
    };
    let status = ExitStatus { found: false, unreadable: !report.unread.is_empty() };
    let written = match args.format {
        CheckFormat::Text => write_text(&report, args.top, out),
        CheckFormat::Json => serde_json::to_writer_pretty(&mut *out, &report)
            .map_err(io::Error::from)
            .and_then(|()| writeln!(out)),
    };
    Ok((status, written))
}

fn records_of(paths: &[PathBuf], most: usize) -> anyhow::Result<(Vec<Record>, Vec<String>)> {
    let mut records = Vec::new();
    let unread = each(paths, &mut |_, _, record| {
        if records.len() == most {
            return ControlFlow::Break(());
        }
        records.push(record.clone());
        ControlFlow::Continue(())
    })?;
    Ok((records, unread))
}

fn titles_by_file(engine: &Engine) -> BTreeMap<String, Vec<String>> {
    let mut titles: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (_, rule) in engine.rules() {
        titles.entry(rule.file.clone()).or_default().push(rule.title.clone());
    }
    titles
}

/// Nanoseconds an event, and how many events a rule fires on.
fn measure(engine: &Engine, records: &[Record]) -> (f64, usize) {
    let mut scratch = engine.scratch();
    let mut fastest = Duration::MAX;
    let mut matched = 0;
    for _ in 0..PASSES {
        let start = Instant::now();
        matched = 0;
        for record in records {
            matched += usize::from(!black_box(engine.evaluate(record, &mut scratch)).is_empty());
        }
        fastest = fastest.min(start.elapsed());
    }
    #[expect(clippy::cast_precision_loss, reason = "a figure to be read")]
    let events = records.len() as f64;
    (fastest.as_secs_f64() * 1e9 / events, matched)
}

fn progress(files: usize) -> ProgressBar {
    if !stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:32.cyan/dim} {pos} of {len} rule files  {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(files as u64).with_style(style.progress_chars("━━─"))
}

fn write_text(report: &Report, top: usize, out: &mut dyn Write) -> io::Result<()> {
    for line in &report.unread {
        writeln!(out, "✘ {}", visible(line))?;
    }
    writeln!(out, "ns an event   fires on  rule")?;
    for cost in report.files.iter().take(top) {
        let titles = cost.titles.join(" · ");
        writeln!(
            out,
            "{:11.1} {:10}  {}  ({})",
            cost.ns,
            cost.matched,
            visible(&titles),
            visible(&cost.file)
        )?;
    }
    if let Some(more) = report.files.len().checked_sub(top).filter(|more| *more > 0) {
        writeln!(out, "… and {more} rule files more: --top {}", report.files.len())?;
    }
    let alone: f64 = report.files.iter().map(|cost| cost.ns).sum();
    writeln!(
        out,
        "{} rules over {} events: {:.0} ns an event together, {alone:.0} ns the sum of each alone",
        report.rules, report.events, report.together_ns
    )
}

//! `wanglou ledger`: the loss ledger on a terminal, read beside a running platform or after it.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::ValueEnum;
use serde::Serialize;
use wanglou_model::{SourceId, Timestamp};

use super::ExitStatus;
use crate::api::ledger::{LedgerHour, LedgerLine};
use crate::config::{Config, File, Flags};
use crate::state::{HOUR_NANOS, HourRow, State, Sums, hour_of};

/// Shows what was received, what became of it, and whether anything is missing 查看收发账目，核对有无丢失
#[derive(clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    /// The platform's data directory
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The platform's configuration file, to find the data directory
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Only this source
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// How many hours back, this one included
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=9_600))]
    hours: u32,
    /// One line for each source, or for each hour of each source
    #[arg(long, value_enum, default_value_t = By::Source)]
    by: By,
    /// How to show it
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

const HELP: &str = "\
Received = stored + rejected + in flight, and evaluated = stored: what is missing stands under `missing`, in red.
All numbers are lines, but for `late` (events that arrived over an hour after they happened) and `dropped` (frames that a
source could not take: they are not part of what was received).

Examples:
  wanglou ledger --data-dir /var/lib/wanglou
  wanglou ledger --config /etc/wanglou/wanglou.toml --by hour --hours 48 --source nginx
  wanglou ledger --data-dir /var/lib/wanglou --format json | jq '.[] | select(.balanced | not)'

Exit codes: 0 nothing is missing, 1 something is, 2 the ledger cannot be read.";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    Source,
    Hour,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
}

/// Shows the ledger.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitStatus> {
    let file = args.config.as_deref().map(File::read).transpose()?.unwrap_or_default();
    let config = Config::resolve(file, Flags { data_dir: args.data_dir, ..Flags::default() })?;
    let since = Timestamp::now().plus_nanos(-(i64::from(args.hours) - 1) * HOUR_NANOS);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")?;
    let rows = runtime.block_on(async {
        let state = State::open_to_read(&config.data_dir.join("state.sqlite")).await?;
        let rows = state.ledger_hours(args.source.as_deref(), since).await;
        state.close().await;
        rows
    });
    let rows = rows.context(
        "cannot read the ledger: give the data directory of a platform that this release has started once",
    )?;
    let is_missing = rows.iter().any(|row| !row.sums.is_balanced());
    let written = match args.by {
        By::Source => {
            let rows: Vec<_> = by_source(&rows).into_iter().map(|(name, sums)| (None, name, sums)).collect();
            write(&rows, args.format)
        }
        By::Hour => {
            let rows: Vec<_> = rows.into_iter().map(|row| (Some(row.hour), row.source, row.sums)).collect();
            write(&rows, args.format)
        }
    };
    written.context("cannot write to standard output")?;
    Ok(ExitStatus { found: is_missing, unreadable: false })
}

fn by_source(rows: &[HourRow]) -> BTreeMap<SourceId, Sums> {
    let mut sources: BTreeMap<SourceId, Sums> = BTreeMap::new();
    for row in rows {
        sources.entry(row.source.clone()).or_default().add(&row.sums);
    }
    sources
}

type Row = (Option<Timestamp>, SourceId, Sums);

fn write(rows: &[Row], format: Format) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match format {
        Format::Json => {
            let lines = rows.iter().map(|(hour, source, sums)| {
                let line = LedgerLine::new(source, sums, Vec::new());
                match hour {
                    Some(hour) => Line::Hour(LedgerHour { hour: *hour, line }),
                    None => Line::Source(line),
                }
            });
            serde_json::to_writer_pretty(&mut out, &lines.collect::<Vec<_>>())?;
            writeln!(out)
        }
        Format::Table => write_table(rows, &mut out, io::stdout().is_terminal()),
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum Line {
    Source(LedgerLine),
    Hour(LedgerHour),
}

fn write_table(rows: &[Row], out: &mut impl Write, is_colored: bool) -> io::Result<()> {
    if rows.is_empty() {
        return writeln!(out, "nothing was received in these hours 所选时段内没有收到日志");
    }
    let name_width = rows.iter().map(|(_, name, _)| console::measure_text_width(name.as_str())).max();
    let name_width = name_width.unwrap_or_default().max("source".len());
    let has_hours = rows.iter().any(|(hour, ..)| hour.is_some());
    let hour_title = if has_hours { format!("{:<17}", "hour (UTC)") } else { String::new() };
    writeln!(
        out,
        "{hour_title}{} {:>12} {:>12} {:>9} {:>9} {:>12} {:>9} {:>9} {:>8}",
        console::pad_str("source", name_width, console::Alignment::Left, None),
        "received",
        "stored",
        "rejected",
        "in flight",
        "evaluated",
        "late",
        "dropped",
        "missing",
    )?;
    for (hour, name, sums) in rows {
        let hour = hour.map_or_else(String::new, |hour| format!("{:<17}", hour_text(hour)));
        let name = console::pad_str(name.as_str(), name_width, console::Alignment::Left, None);
        let missing = format!("{:>8}", missing(sums));
        let missing = if is_colored && !sums.is_balanced() { red(&missing) } else { missing };
        writeln!(
            out,
            "{hour}{name} {:>12} {:>12} {:>9} {:>9} {:>12} {:>9} {:>9} {missing}",
            sums.received,
            sums.stored,
            sums.rejected,
            sums.in_flight,
            sums.evaluated,
            sums.late,
            sums.dropped,
        )?;
        for (reason, count) in &sums.reasons {
            writeln!(
                out,
                "{:indent$}{} {}: {count}",
                "",
                reason.stage.name(),
                reason.kind,
                indent = hour.len() + 2
            )?;
        }
    }
    Ok(())
}

/// What does not add up: lines that are nowhere and, after a comma, stored lines that no rule saw.
fn missing(sums: &Sums) -> String {
    match (sums.unaccounted(), sums.unevaluated()) {
        (lost, 0) => lost.to_string(),
        (lost, unseen) => format!("{lost},{unseen}"),
    }
}

fn red(text: &str) -> String {
    format!("\u{1b}[1;31m{text}\u{1b}[0m")
}

/// `2026-11-25 06:00`
fn hour_text(hour: Timestamp) -> String {
    let text = hour_of(hour).to_string();
    text.get(..16).unwrap_or(&text).replace('T', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Stage;

    #[test]
    fn what_is_missing_stands_out_and_reasons_below() {
        let mut sums = Sums { received: 120, stored: 100, rejected: 17, evaluated: 99, ..Sums::default() };
        sums.because(Stage::Rejected, "malformed", 17);
        let hour = Timestamp::from_secs(1_790_000_000);
        let rows = [
            (Some(hour), SourceId::new("防火墙"), sums),
            (Some(hour), SourceId::new("web"), Sums::default()),
        ];
        let mut text = Vec::new();
        write_table(&rows, &mut text, false).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(
            text,
            "\
hour (UTC)       source     received       stored  rejected in flight    evaluated      late   dropped  missing
2026-09-21 14:00 防火墙          120          100        17         0           99         0         0      3,1
                   rejected malformed: 17
2026-09-21 14:00 web               0            0         0         0            0         0         0        0
"
        );
        let mut coloured = Vec::new();
        write_table(&rows, &mut coloured, true).unwrap();
        assert!(String::from_utf8(coloured).unwrap().contains("\u{1b}[1;31m     3,1\u{1b}[0m"));
    }
}

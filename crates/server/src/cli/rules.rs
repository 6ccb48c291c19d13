//! `wanglou rules`: checks, explains, tests and measures Sigma rules.

mod backtest;
mod bench;
mod coverage;
mod explain;
mod lint;
mod pages;
mod records;
mod samples;

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::Subcommand;
use serde::Serialize;
use wanglou_detect::{Diagnostic, FailedRule};

use super::{ExitStatus, offline};
use crate::rulebook::{ProcessingArgs, Rulebook};
use crate::scan::output::visible;

/// Checks, explains, tests and lists Sigma rules 检查、解释、测试与列出规则
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Check(CheckArgs),
    List(ListArgs),
    Explain(explain::Args),
    Test(samples::Args),
    Lint(lint::Args),
    Coverage(coverage::Args),
    Backtest(backtest::Args),
    Bench(bench::Args),
}

/// Says for each rule that fails why and where 检查规则，逐条说明错误的位置、原因与改法
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
struct CheckArgs {
    /// Rules to check: folders, files or zips
    #[arg(required_unless_present = "explain", value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    processing: ProcessingArgs,
    /// Show what a code such as E015 means, with an example, instead
    #[arg(long, value_name = "CODE", conflicts_with = "paths")]
    explain: Option<String>,
    /// How to show the result
    #[arg(long, value_enum, default_value_t = CheckFormat::Text)]
    format: CheckFormat,
}

const EXAMPLES: &str = "\
Examples:
  wanglou rules check my-rules/
  wanglou rules check --format json sigma.zip
  wanglou rules check --pipeline our-fields.yml --placeholders our-names.yml sigma/
  wanglou rules check --explain E015

Exit codes: 0 all rules load, 1 some rule fails, 2 some input unreadable, 64 wrong usage.";

/// What a sub-command has to say: how it ended, and whether that could be written.
type Said = (ExitStatus, io::Result<()>);

/// How a result is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum CheckFormat {
    /// For reading
    Text,
    /// One JSON object
    Json,
}

/// Lists the rules that load, one a line: level, id, title 列出规则
#[derive(clap::Args)]
struct ListArgs {
    /// Folders, files or zips [default: the built-in rules]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
}

/// The result of a check as JSON.
#[derive(Serialize)]
struct Report<'r> {
    loaded: usize,
    failed: &'r [FailedRule],
    diagnostics: &'r [Diagnostic],
}

/// Runs the sub-command.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitStatus> {
    let mut out = BufWriter::new(io::stdout());
    let (status, written) = match args.command {
        Command::Check(CheckArgs { explain: Some(code), .. }) => {
            (ExitStatus::CLEAN, writeln!(out, "{}", pages::page(&code)?))
        }
        Command::Check(args) => {
            let rulebook = Rulebook::load_processed(&args.paths, &args.processing)?;
            let written = match args.format {
                CheckFormat::Text => write_text(&rulebook, &mut out),
                CheckFormat::Json => write_json(&rulebook, &mut out),
            };
            (status_of(&rulebook), written)
        }
        Command::List(args) => {
            let rulebook = Rulebook::load(&args.paths)?;
            rulebook.complain();
            (ExitStatus::CLEAN, write_list(&rulebook, &mut out))
        }
        Command::Explain(args) => explain::run(&args, &mut out)?,
        Command::Test(args) => samples::run(&args, &mut out)?,
        Command::Lint(args) => lint::run(&args, &mut out)?,
        Command::Coverage(args) => coverage::run(&args, &mut out)?,
        Command::Backtest(args) => backtest::run(&args, &mut out)?,
        Command::Bench(args) => bench::run(&args, &mut out)?,
    };
    offline::unless_closed(written.and_then(|()| out.flush())).context("cannot write to standard output")?;
    Ok(status)
}

/// The code of a file that cannot be read at all, unlike a rule that is wrong.
const UNREADABLE: &str = "E001";

fn status_of(rulebook: &Rulebook) -> ExitStatus {
    ExitStatus {
        found: rulebook.errors().any(|error| error.code != UNREADABLE),
        unreadable: rulebook.errors().any(|error| error.code == UNREADABLE),
    }
}

fn write_text(rulebook: &Rulebook, out: &mut dyn Write) -> io::Result<()> {
    for diagnostic in &rulebook.diagnostics {
        for line in diagnostic.to_string().lines() {
            writeln!(out, "{}", visible(line))?;
        }
        writeln!(out)?;
    }
    let warnings = rulebook.diagnostics.len() - rulebook.errors().count();
    writeln!(out, "{} rules load, {} fail, {warnings} warnings", rulebook.loaded, rulebook.failed.len())
}

fn write_json(rulebook: &Rulebook, out: &mut dyn Write) -> io::Result<()> {
    let Rulebook { loaded, failed, diagnostics, .. } = rulebook;
    serde_json::to_writer_pretty(&mut *out, &Report { loaded: *loaded, failed, diagnostics })?;
    writeln!(out)
}

fn write_list(rulebook: &Rulebook, out: &mut dyn Write) -> io::Result<()> {
    let mut rules: Vec<_> = rulebook.engine.rules().map(|(_, rule)| rule).collect();
    rules.sort_by_key(|rule| (std::cmp::Reverse(rule.severity), rule.title.as_str()));
    for rule in rules {
        let title = rule.title_zh.as_ref().map_or_else(String::new, |zh| format!("  {}", visible(zh)));
        writeln!(out, "{:13}  {}  {}{title}", rule.severity, visible(&rule.id), visible(&rule.title))?;
    }
    Ok(())
}

//! The command line: one file a command.
//!
//! Exit codes are a contract (0 clean, 1 findings, 2 some input unreadable, 3 both, 64 usage): [`ExitStatus`] is the
//! only place that makes them.

mod lake;
mod ledger;
mod offline;
mod parse;
mod parsers;
mod rules;
mod scan;
mod search;
mod serve;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// Wanglou 望楼: finds attacks in logs, live and after the fact, and says why.
///
/// 面向城市数据局的安全态势感知平台：离线研判日志，在线监测告警，每条告警都说明缘由。
#[derive(Parser)]
#[command(name = "wanglou", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = EXAMPLES, max_term_width = 110)]
struct Cli {
    /// What to log to standard error, as a tracing filter such as `info` or `wanglou=debug`
    #[arg(long, global = true, value_name = "FILTER")]
    log: Option<String>,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  wanglou scan evidence/                        find attacks in a folder of logs
  wanglou scan --format html -o report.html *.evtx
  wanglou parse access.log | head               see how records are read
  wanglou rules check my-rules/                 find mistakes in Sigma rules
  wanglou serve --data-dir /var/lib/wanglou     run the platform
  wanglou ledger --data-dir /var/lib/wanglou    see that nothing was lost
  wanglou search --data-dir /var/lib/wanglou 'user:root -src_ip:10.0.0.0/8'

Exit codes: 0 clean, 1 findings, 2 some input unreadable, 3 both, 64 wrong usage.";

#[derive(Subcommand)]
enum Command {
    Scan(Box<scan::Args>),
    Parse(parse::Args),
    Parsers(parsers::Args),
    Rules(rules::Args),
    Search(Box<search::Args>),
    Lake(lake::Args),
    Serve(Box<serve::Args>),
    Ledger(ledger::Args),
}

/// How a command ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ExitStatus {
    /// Findings at or above the level that counts, or rules that fail.
    pub found: bool,
    /// Some input could not be read (whole).
    pub unreadable: bool,
}

impl ExitStatus {
    /// Nothing found, everything read.
    pub(crate) const CLEAN: Self = Self { found: false, unreadable: false };
    /// The command could not do its work.
    pub(crate) const UNREADABLE: Self = Self { found: false, unreadable: true };
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(u8::from(status.found) | u8::from(status.unreadable) << 1)
    }
}

/// The command line was wrong (`EX_USAGE` of sysexits.h).
const USAGE: u8 = 64;

/// An argument that only the command itself can judge is wrong.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub String);

/// Runs the command line of this process.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Nothing can be done about a closed terminal.
            _ = error.print();
            return if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    if let Err(reason) = start_log(&cli) {
        eprintln!("error: {reason}");
        return ExitCode::from(USAGE);
    }
    let result = match cli.command {
        Command::Scan(args) => scan::run(&args),
        Command::Parse(args) => parse::run(&args),
        Command::Parsers(args) => parsers::run(&args),
        Command::Rules(args) => rules::run(args),
        Command::Lake(args) => lake::run(&args),
        Command::Search(args) => search::run(&args),
        Command::Serve(args) => serve::run(*args),
        Command::Ledger(args) => ledger::run(args),
    };
    match result {
        Ok(status) => status.into(),
        Err(error) => {
            eprintln!("error: {error:#}");
            if error.is::<UsageError>() { ExitCode::from(USAGE) } else { ExitStatus::UNREADABLE.into() }
        }
    }
}

/// Logs to standard error: quiet for one-off commands, state changes for the platform.
fn start_log(cli: &Cli) -> Result<(), String> {
    let default =
        if matches!(cli.command, Command::Serve(_)) { "warn,wanglou=info" } else { "warn,evtx=error" };
    let wanted = cli.log.as_deref().unwrap_or(default);
    let filter = EnvFilter::try_new(wanted).map_err(|error| {
        format!("`--log {wanted}`: {error}; use a filter such as `info` or `wanglou=debug`")
    })?;
    let is_terminal = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(is_terminal)
        .with_writer(std::io::stderr)
        .init();
    Ok(())
}

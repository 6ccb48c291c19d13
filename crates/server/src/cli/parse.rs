//! `wanglou parse`: normalised events, so that a parser can be judged from outside.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use super::ExitStatus;

/// Shows the normalised events of log files as OCSF NDJSON 输出归一化后的日志
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Files and folders to read
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Say for each event where it stands: {"origin": {"file", "record"}, "product", "event"}
    #[arg(long)]
    origin: bool,
    /// Write to this file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Threads to use [default: one a processor]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Time zone of log times that name none, such as Asia/Shanghai [default: this machine's]
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  wanglou parse access.log
  wanglou parse --origin --output events.ndjson evidence/

Exit codes: 0 all read, 2 some input unreadable, 64 wrong usage.";

/// Writes the events.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitStatus> {
    anyhow::bail!("this build cannot parse {:?} yet", args.paths)
}

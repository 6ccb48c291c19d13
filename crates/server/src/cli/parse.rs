//! `wanglou parse`: normalised events, so that a parser can be judged from outside.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::Context;

use super::{ExitStatus, offline};
use crate::scan::events::{self, Parse};
use crate::scan::{Interrupt, Progress};

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
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    let zone = offline::zone(args.zone.as_deref())?;
    let interrupt = Interrupt::on_signals().context("cannot wait for Ctrl-C")?;
    let mut output = offline::Output::open(args.output.as_deref())?;
    let discovery = wanglou_ingest::discover(&args.paths);
    let parse = Parse {
        reader: offline::reader()?,
        progress: Progress::of(discovery.inputs.iter().map(|input| input.bytes).sum()),
        discovery,
        threads: offline::threads(args.threads),
        zone,
        origin: args.origin,
        interrupt,
    };
    match events::write(&parse, &mut output) {
        Ok(journal) => {
            journal.complain();
            Ok(ExitStatus { found: false, unreadable: !journal.failed.is_empty() })
        }
        Err(error) => {
            offline::unless_closed(Err(error))
                .with_context(|| format!("cannot write the events to {output}"))?;
            Ok(ExitStatus::CLEAN)
        }
    }
}

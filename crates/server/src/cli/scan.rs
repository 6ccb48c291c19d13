//! `wanglou scan`: offline triage.

use std::io::Write;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use anyhow::Context;
use wanglou_detect::suppress::{self, Suppressor};
use wanglou_model::Severity;

use super::{ExitStatus, UsageError, offline};
use crate::rulebook::{ProcessingArgs, Rulebook};
use crate::scan::output::{self, Audience, Language, OutputFormat};
use crate::scan::{self, Interrupt, Progress, Scan, Stats};

/// Columns of what is no terminal.
const DEFAULT_WIDTH: usize = 120;

/// Finds attacks in log files and says why 离线研判：在日志文件中查找攻击痕迹
///
/// What each file is, is found by its content. Folders, .gz, .zst and .zip are opened. Read are: EVTX; JSON arrays and
/// NDJSON (Sysmon, Winlogbeat, flat Windows JSON, Suricata EVE, Zeek, CloudTrail, Kubernetes audit); Zeek TSV; syslog;
/// Linux auditd; nginx and Apache access logs; ModSecurity audit logs.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Files and folders to scan
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Sigma rules: a folder, file or zip; may be given several times [default: the built-in rules]
    #[arg(long, value_name = "PATH")]
    rules: Vec<PathBuf>,
    #[command(flatten)]
    processing: ProcessingArgs,
    /// Leave out findings that this YAML file answers for: a list of {rule, when, owner, reason, expires}
    #[arg(long, value_name = "FILE")]
    suppressions: Option<PathBuf>,
    /// Show suppressed findings too, as such
    #[arg(long, requires = "suppressions")]
    show_suppressed: bool,
    /// How to show the findings
    #[arg(long, value_enum, default_value_t = OutputFormat::Table)]
    format: OutputFormat,
    /// Write the findings to this file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Leave out findings below this level: informational, low, medium, high, critical
    #[arg(long, value_name = "LEVEL", default_value_t = Severity::Informational)]
    min_level: Severity,
    /// Exit with 1 only for findings at or above this level
    #[arg(long, value_name = "LEVEL", default_value_t = Severity::Informational)]
    fail_level: Severity,
    /// Threads to use [default: one a processor]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Write counts, failed and skipped files, failed rules, time and memory to this JSON file
    #[arg(long, value_name = "FILE")]
    stats: Option<PathBuf>,
    /// Time zone of log times that name none, such as Asia/Shanghai [default: this machine's]
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// Language of the table and of the report when it opens [default: zh under a Chinese locale, else en]
    #[arg(long, value_enum)]
    lang: Option<Language>,
}

const EXAMPLES: &str = "\
Examples:
  wanglou scan evidence/
  wanglou scan --rules sigma/rules --min-level medium *.evtx
  wanglou scan --rules sigma/ --pipeline our-fields.yml --placeholders our-names.yml logs/
  wanglou scan --format html --output report.html --stats stats.json evidence.zip
  wanglou scan --format ndjson --fail-level high /var/log > findings.ndjson

Exit codes: 0 no findings, 1 findings at or above --fail-level, 2 some input unreadable, 3 both, 64 wrong usage.
Ctrl-C keeps what was found so far.";

/// Scans and writes what was found.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    let zone = offline::zone(args.zone.as_deref())?;
    let interrupt = Interrupt::on_signals().context("cannot wait for Ctrl-C")?;
    let mut output = offline::Output::open(args.output.as_deref())?;
    let mut stats_file = args.stats.as_deref().map(offline::create).transpose()?;
    let rulebook = Rulebook::load_processed(&args.rules, &args.processing)?;
    rulebook.complain();
    if rulebook.loaded == 0 {
        anyhow::bail!("no rule could be loaded, so nothing could be found; `wanglou rules check` says why");
    }
    let discovery = wanglou_ingest::discover(&args.paths);
    let progress = Progress::of(discovery.inputs.iter().map(|input| input.bytes).sum());
    let scan = Scan {
        suppressions: args.suppressions.as_deref().map(suppressions).transpose()?.unwrap_or_default(),
        show_suppressed: args.show_suppressed,
        suppressed: AtomicUsize::new(0),
        engine: Arc::clone(&rulebook.engine),
        reader: offline::reader()?,
        discovery,
        threads: offline::threads(args.threads),
        min_level: args.min_level,
        zone: zone.clone(),
        keep: args.format.keep(),
        progress,
        interrupt,
    };
    let outcome = scan::run(&scan).context("cannot keep what was found in a temporary file")?;
    outcome.journal.complain();
    let suppressed = scan.suppressed.into_inner();
    if suppressed > 0 {
        let remedy = if args.show_suppressed { "" } else { "; --show-suppressed shows them" };
        eprintln!("note: {suppressed} findings are suppressed{remedy}");
    }

    let stats = Stats::of(&outcome, rulebook.loaded, &rulebook.failed);
    let audience = Audience {
        language: args.lang.unwrap_or_else(locale_language),
        colour: output.is_terminal() && !is_set("NO_COLOR"),
        width: console::Term::stdout().size_checked().map_or(DEFAULT_WIDTH, |(_, columns)| columns.into()),
        zone,
    };
    let written = output::write(args.format, &outcome.findings, &stats, &audience, &mut output);
    offline::unless_closed(written).with_context(|| format!("cannot write the findings to {output}"))?;
    if let (Some(file), Some(path)) = (&mut stats_file, &args.stats) {
        // Again: the peak of memory may have come with the writing.
        let stats = Stats::of(&outcome, rulebook.loaded, &rulebook.failed);
        serde_json::to_writer_pretty(&mut *file, &stats)
            .map_err(std::io::Error::from)
            .and_then(|()| file.flush())
            .with_context(|| format!("cannot write the statistics to `{}`", path.display()))?;
    }
    if outcome.interrupted {
        eprintln!("note: the scan was stopped before its end; this is what was found so far");
    }
    Ok(ExitStatus {
        found: outcome.findings.worst().is_some_and(|worst| worst >= args.fail_level),
        unreadable: !outcome.journal.failed.is_empty(),
    })
}

/// Reads a file of suppressions.
fn suppressions(path: &Path) -> anyhow::Result<Vec<Suppressor>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    suppress::read(&text).map_err(|error| UsageError(format!("`{}`: {error}", path.display())).into())
}

/// Chinese under a Chinese locale (POSIX.1 §8.2: the first of these that is set counts).
fn locale_language() -> Language {
    let locale = ["LC_ALL", "LC_MESSAGES", "LANG"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    if locale.is_some_and(|locale| locale.starts_with("zh")) { Language::Zh } else { Language::En }
}

fn is_set(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| !value.is_empty())
}

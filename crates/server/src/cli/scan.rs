//! `wanglou scan`: offline triage.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use wanglou_model::Severity;

use super::ExitStatus;

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
  wanglou scan --format html --output report.html --stats stats.json evidence.zip
  wanglou scan --format ndjson --fail-level high /var/log > findings.ndjson

Exit codes: 0 no findings, 1 findings at or above --fail-level, 2 some input unreadable, 3 both, 64 wrong usage.
Ctrl-C keeps what was found so far.";

/// How findings are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum OutputFormat {
    /// For reading in a terminal
    Table,
    /// One JSON array of OCSF Detection Findings
    Json,
    /// One OCSF Detection Finding a line
    Ndjson,
    /// For spreadsheets (RFC 4180)
    Csv,
    /// One self-contained page: timeline, tactics, hosts, search
    Html,
}

/// The language people read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Language {
    /// 简体中文
    Zh,
    /// English
    En,
}

/// Scans and writes what was found.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitStatus> {
    anyhow::bail!("this build cannot scan {:?} yet", args.paths)
}

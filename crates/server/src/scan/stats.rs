//! The statistics of a scan: what `--stats` writes.

use std::collections::BTreeMap;

use serde::Serialize;
use wanglou_detect::FailedRule;
use wanglou_model::Severity;

use super::journal::{Rejection, Unread};
use super::{Journal, Outcome};

/// What `--stats` writes.
#[derive(Debug, Serialize)]
pub(crate) struct Stats<'s> {
    /// Records read.
    pub events: u64,
    /// Bytes read, archives unpacked.
    pub bytes: u64,
    /// Findings at or above `--min-level`.
    pub findings: u64,
    /// The same by level.
    pub findings_by_level: BTreeMap<&'static str, u64>,
    /// Files met; each member of an archive is one.
    pub files: u64,
    /// Files that could not be read, or not to their end.
    pub files_failed: &'s [Unread],
    /// Files that hold no log we know.
    pub files_skipped: &'s [Unread],
    /// Records by format.
    pub formats: &'s BTreeMap<&'static str, u64>,
    /// Pieces of files that are no records.
    pub records_rejected: u64,
    /// The first thousand of them.
    pub rejected: &'s [Rejection],
    /// Rules in use.
    pub rules_loaded: usize,
    /// Rules that are not, and why.
    pub rules_failed: &'s [FailedRule],
    /// Wall-clock time.
    pub seconds: f64,
    /// The most memory this process ever held.
    pub peak_rss_bytes: u64,
    /// Whether it was stopped before the end.
    pub interrupted: bool,
    /// This program's version.
    pub version: &'static str,
}

impl<'s> Stats<'s> {
    /// Of a scan.
    pub(crate) fn of(outcome: &'s Outcome, rules_loaded: usize, rules_failed: &'s [FailedRule]) -> Self {
        let Journal { events, bytes, files, failed, skipped, rejections, rejected, formats } =
            &outcome.journal;
        let summary = &outcome.findings.summary;
        Self {
            events: *events,
            bytes: *bytes,
            findings: outcome.findings.len() as u64,
            findings_by_level: Severity::ALL.map(|level| (level.level(), summary.of_level(level))).into(),
            files: *files,
            files_failed: failed,
            files_skipped: skipped,
            formats,
            records_rejected: *rejected,
            rejected: rejections,
            rules_loaded,
            rules_failed,
            seconds: outcome.seconds,
            peak_rss_bytes: peak_rss_bytes().unwrap_or_default(),
            interrupted: outcome.interrupted,
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}

/// `VmHWM` of proc(5).
fn peak_rss_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

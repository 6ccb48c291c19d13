//! What became of the files: counted, and for everything that was not read, where and why.

use std::collections::BTreeMap;

use serde::Serialize;
use wanglou_ingest::{Discovery, FileReport, FileStatus};

/// Refused pieces that are kept with place and reason; the others are counted.
const MAX_REJECTIONS: usize = 1_000;

/// A file and why it was not read, or not to its end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Unread {
    /// The file.
    pub file: String,
    /// Why.
    pub reason: String,
}

/// A piece of a file that is no record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Rejection {
    /// The file.
    pub file: String,
    /// Where in it.
    pub record: u64,
    /// Why.
    pub reason: String,
}

/// The journal of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Journal {
    /// Records read.
    pub events: u64,
    /// Bytes read, unpacked.
    pub bytes: u64,
    /// Files met, archive members each.
    pub files: u64,
    /// Files that are damaged, unreadable or beyond a limit.
    pub failed: Vec<Unread>,
    /// Files that hold no log we know.
    pub skipped: Vec<Unread>,
    /// Pieces that are no records: the first ones.
    pub rejections: Vec<Rejection>,
    /// Pieces that are no records: how many.
    pub rejected: u64,
    /// Records by format.
    pub formats: BTreeMap<&'static str, u64>,
}

impl Journal {
    /// Takes in what became of one input.
    pub(crate) fn report(&mut self, reports: Vec<FileReport>) {
        for report in reports {
            self.files += 1;
            self.events += report.events;
            self.bytes += report.bytes;
            if let Some(format) = report.format
                && report.events > 0
            {
                *self.formats.entry(format.name()).or_default() += report.events;
            }
            if let FileStatus::Skipped(reason) = report.status {
                // The lines of what is no log are no damaged records.
                self.rejections.retain(|rejection| rejection.file != report.file);
                self.skipped.push(Unread { file: report.file, reason });
                continue;
            }
            self.rejected += report.rejected;
            if let FileStatus::Failed(reason) = report.status {
                self.failed.push(Unread { file: report.file, reason });
            }
        }
    }

    /// Keeps where and why a piece is no record.
    pub(crate) fn reject(&mut self, file: &str, record: u64, reason: &str) {
        if self.rejections.len() < MAX_REJECTIONS {
            self.rejections.push(Rejection { file: file.into(), record, reason: reason.into() });
        }
    }

    /// Takes in what could not even be found, and puts all in order.
    pub(crate) fn close(&mut self, discovery: &Discovery) {
        self.files += discovery.failed.len() as u64;
        let missing = discovery.failed.iter();
        self.failed
            .extend(missing.map(|(file, reason)| Unread { file: file.clone(), reason: reason.clone() }));
        self.failed.sort();
        self.skipped.sort();
        self.rejections.sort();
    }

    /// Says on standard error what was not read, so that nothing is missed in silence.
    pub(crate) fn complain(&self) {
        const SHOWN: usize = 20;
        for unread in self.failed.iter().take(SHOWN) {
            eprintln!("warning: `{}`: {}", visible(&unread.file), visible(&unread.reason));
        }
        if let Some(more) = self.failed.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            eprintln!("warning: {more} more files could not be read whole; --stats lists them all");
        }
        for rejection in self.rejections.iter().take(SHOWN) {
            let Rejection { file, record, reason } = rejection;
            eprintln!("warning: `{}`, record {record}: {}", visible(file), visible(reason));
        }
        if self.rejected > SHOWN as u64 {
            eprintln!(
                "warning: {} more pieces are no records; --stats lists them",
                self.rejected - SHOWN as u64
            );
        }
    }
}

fn visible(text: &str) -> String {
    super::output::visible(text).into_owned()
}

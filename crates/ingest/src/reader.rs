//! Reads files of any kind we know, to their last readable record.
//!
//! What a file is shows in its first bytes; archives are read like folders, in memory that does not grow with the
//! file. Damage ends the damaged part, not the reading, and is said in the [`FileReport`].

mod archive;
mod documents;
mod lines;
mod output;
mod peeked;
mod session;

use std::ops::ControlFlow;
use std::sync::Arc;

use wanglou_model::{Format, Record};

use crate::{Catalog, Input, ReadLimits};

/// Takes the records of files as they are read.
pub trait RecordSink {
    /// A record; `number` is its first line (from 1), its index in a JSON array plus 1, or its `EventRecordID`.
    /// The record is reused after the call. `Break` ends the reading.
    fn record(&mut self, file: &Arc<str>, number: u64, record: &Record) -> ControlFlow<()>;
    /// So many more bytes of the input are done.
    fn advance(&mut self, _bytes: u64) {}
    /// A piece of the file that is no record.
    fn rejected(&mut self, _file: &Arc<str>, _number: u64, _reason: &str) {}
}

/// What became of one file or archive member.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FileReport {
    /// Its name; a member of an archive is `archive.zip!member`.
    pub file: String,
    /// How many bytes of it were read, unpacked.
    pub bytes: u64,
    /// The format of its records, when it has any; the first one's where they differ.
    pub format: Option<Format>,
    /// Records delivered.
    pub events: u64,
    /// Pieces that were no records.
    pub rejected: u64,
    /// How it ended.
    pub status: FileStatus,
}

/// How the reading of a file ended.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase", tag = "status", content = "reason")]
pub enum FileStatus {
    /// To its end.
    Read,
    /// Not read, for it holds nothing we know: empty, binary, another kind of file.
    Skipped(String),
    /// Damaged or beyond a limit. What was readable before and around the damage was delivered.
    Failed(String),
}

/// Reads files. One reader may serve many threads.
#[derive(Debug)]
pub struct Reader {
    catalog: Arc<Catalog>,
    limits: ReadLimits,
}

impl Reader {
    /// A reader that names products by `catalog` and keeps within `limits`.
    #[must_use]
    pub fn new(catalog: Arc<Catalog>, limits: ReadLimits) -> Self {
        Self { catalog, limits }
    }

    /// Reads one file, and all files within if it is an archive; one report for each.
    pub fn read(&self, input: &Input, sink: &mut dyn RecordSink) -> Vec<FileReport> {
        session::Session::new(&self.catalog, self.limits, input, sink).read()
    }
}

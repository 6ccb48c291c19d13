//! What comes out of one file, counted, on its way to the caller.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use wanglou_model::{Format, Record};

use super::{FileReport, FileStatus, RecordSink};
use crate::decode::{DecodeError, DecodeSink};

/// After so many lines in no known format, and none in one, a file is taken for no log.
const LINES_TO_TELL: usize = 1000;
/// Records between two words about progress.
const RECORDS_A_TICK: u64 = 256;

/// The caller's sink, and how far the input has been read.
pub(super) struct Progress<'a> {
    sink: &'a mut dyn RecordSink,
    taken: Rc<Cell<u64>>,
    told: u64,
    stopped: bool,
}

impl<'a> Progress<'a> {
    pub(super) fn new(sink: &'a mut dyn RecordSink) -> Self {
        Self { sink, taken: Rc::default(), told: 0, stopped: false }
    }

    /// The count of bytes of the input that have been read.
    pub(super) fn taken(&self) -> Rc<Cell<u64>> {
        Rc::clone(&self.taken)
    }

    pub(super) fn take(&mut self, bytes: u64) {
        self.taken.set(self.taken.get() + bytes);
        self.tick();
    }

    /// Whether the caller wants no more.
    pub(super) fn stopped(&self) -> bool {
        self.stopped
    }

    fn tick(&mut self) {
        let taken = self.taken.get();
        if taken > self.told {
            self.sink.advance(taken - self.told);
            self.told = taken;
        }
    }

    /// Says that the input, of so many bytes, is done, however much of it was looked at.
    pub(super) fn finish(&mut self, bytes: u64) {
        self.taken.set(self.taken.get().max(bytes));
        self.tick();
    }
}

/// What comes out of one file.
pub(super) struct Output<'s, 'a> {
    file: Arc<str>,
    progress: &'s mut Progress<'a>,
    format: Option<Format>,
    events: u64,
    rejected: u64,
    /// Lines in no known format before the first record, held back until it is clear that this is a log.
    held: Vec<(u64, DecodeError)>,
    /// The first piece that a decoder refused.
    refused: Option<String>,
}

impl<'s, 'a> Output<'s, 'a> {
    pub(super) fn new(file: &str, progress: &'s mut Progress<'a>) -> Self {
        Self {
            file: file.into(),
            progress,
            format: None,
            events: 0,
            rejected: 0,
            held: Vec::new(),
            refused: None,
        }
    }

    /// Whether the caller wants no more.
    pub(super) fn stopped(&self) -> bool {
        self.progress.stopped
    }

    /// Whether enough was seen to tell that this is no log.
    pub(super) fn is_no_log(&self) -> bool {
        self.events == 0 && self.held.len() >= LINES_TO_TELL
    }

    /// The report, once `bytes` were read to the end or to the `damage`. `known`: the file is a log even when it
    /// holds no record.
    pub(super) fn report(mut self, bytes: u64, damage: Option<String>, known: bool) -> FileReport {
        let status = match (damage, self.refused.take()) {
            (Some(reason), _) => FileStatus::Failed(reason),
            // A file of prose may hold a line that looks like a record; a damaged log holds little else.
            (None, Some(reason)) if self.events == 0 && self.held.is_empty() => FileStatus::Failed(reason),
            (None, _) if self.events > 0 || known => FileStatus::Read,
            (None, _) => FileStatus::Skipped(match self.held.first() {
                Some((_, error)) => error.to_string(),
                None => "holds no records".to_owned(),
            }),
        };
        if !matches!(status, FileStatus::Skipped(_)) {
            self.release();
        }
        FileReport {
            file: self.file.to_string(),
            bytes,
            format: self.format,
            events: self.events,
            rejected: self.rejected,
            status,
        }
    }

    /// Passes on the lines held back.
    fn release(&mut self) {
        for (number, error) in std::mem::take(&mut self.held) {
            self.reject(number, &error);
        }
    }

    fn reject(&mut self, number: u64, error: &DecodeError) {
        self.rejected += 1;
        self.progress.sink.rejected(&self.file, number, &error.to_string());
    }
}

impl DecodeSink for Output<'_, '_> {
    fn record(&mut self, number: u64, record: &mut Record) {
        if self.progress.stopped {
            return;
        }
        self.release();
        self.format.get_or_insert(record.format);
        self.events += 1;
        self.progress.stopped = self.progress.sink.record(&self.file, number, record).is_break();
        if self.events.is_multiple_of(RECORDS_A_TICK) {
            self.progress.tick();
        }
    }

    fn rejected(&mut self, number: u64, error: DecodeError) {
        if self.events == 0 && matches!(error, DecodeError::Unrecognised { .. }) {
            self.held.push((number, error));
            return;
        }
        self.release();
        if self.refused.is_none() {
            self.refused = Some(format!("record {number}: {error}"));
        }
        self.reject(number, &error);
    }
}

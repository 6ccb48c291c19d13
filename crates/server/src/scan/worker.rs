//! One thread of a scan: runs the rules over the records of the files it takes.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use parking_lot::Mutex;
use wanglou_detect::{RuleIndex, Scratch};
use wanglou_ingest::{Input, RecordSink, normalize};
use wanglou_model::{Place, Record, Timestamp};

use super::correlation::Correlated;
use super::findings::{Findings, Keep, Prepared, Rank};
use super::{Journal, Scan, Stamp};

/// What all workers put together.
pub(super) struct Collected {
    pub findings: Findings,
    pub correlated: Correlated,
    pub journal: Journal,
    /// Why the temporary file could not take more; the scan ends.
    pub error: Option<io::Error>,
}

impl Collected {
    pub(super) fn new(keep: Keep) -> Self {
        Self {
            findings: Findings::new(keep),
            correlated: Correlated::default(),
            journal: Journal::default(),
            error: None,
        }
    }
}

/// One thread's state.
pub(super) struct Worker<'s> {
    scan: &'s Scan,
    stamp: &'s Stamp,
    collected: &'s Mutex<Collected>,
    scratch: Scratch,
    hits: Vec<RuleIndex>,
    /// Where it is: the input's number, its arrival, and how many records of it were seen.
    input: usize,
    arrival: Timestamp,
    ordinal: u64,
}

impl<'s> Worker<'s> {
    pub(super) fn new(scan: &'s Scan, stamp: &'s Stamp, collected: &'s Mutex<Collected>) -> Self {
        Self {
            scan,
            stamp,
            collected,
            scratch: scan.engine.scratch(),
            hits: Vec::new(),
            input: 0,
            arrival: Timestamp::default(),
            ordinal: 0,
        }
    }

    /// Reads one input to its end.
    pub(super) fn read(&mut self, number: usize, input: &Input) {
        (self.input, self.ordinal, self.arrival) = (number, 0, Stamp::arrival(&input.path));
        let reports = super::read_guarded(&self.scan.reader, input, self);
        self.collected.lock().journal.report(reports);
    }

    /// What a record that rules match costs.
    fn found(&mut self, file: &Arc<str>, number: u64, record: &Record) -> io::Result<()> {
        let engine = &self.scan.engine;
        let context = self.stamp.context(file, number, self.ordinal, self.arrival);
        let event = normalize(record, context);
        let rank: Rank = (self.input, self.ordinal);
        for hit in self.hits.iter().copied() {
            if engine.is_silent(hit) || engine.rule(hit).severity < self.scan.min_level {
                continue;
            }
            let place = Place { file: file.to_string(), record: number };
            let mut finding = engine.finding(hit, record, &event, Some(place));
            if self.scan.hides(&mut finding) {
                continue;
            }
            let prepared = Prepared::new(finding, self.scan.keep);
            self.collected.lock().findings.push(prepared, rank)?;
            self.scan.progress.found();
        }
        if engine.has_correlations() {
            self.hits.retain(|hit| engine.feeds_correlation(*hit));
            if !self.hits.is_empty() {
                let seen = super::correlation::Seen { file, number, record, time: event.time, rank };
                self.collected.lock().correlated.push(&self.hits, &seen, self.arrival)?;
            }
        }
        Ok(())
    }
}

impl RecordSink for Worker<'_> {
    fn record(&mut self, file: &Arc<str>, number: u64, record: &Record) -> ControlFlow<()> {
        self.ordinal += 1;
        let hits = self.scan.engine.evaluate(record, &mut self.scratch);
        if !hits.is_empty() {
            self.hits.clear();
            self.hits.extend_from_slice(hits);
            if let Err(error) = self.found(file, number, record) {
                self.collected.lock().error.get_or_insert(error);
                return ControlFlow::Break(());
            }
        }
        if self.scan.interrupt.is_set() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn advance(&mut self, bytes: u64) {
        self.scan.progress.advance(bytes);
    }

    fn rejected(&mut self, file: &Arc<str>, number: u64, reason: &str) {
        self.collected.lock().journal.reject(file, number, reason);
    }
}

//! Offline triage: reads files, runs all rules over their records and collects what they find.
//!
//! The one idea: work is shared out by file, largest first, and only a record that a rule matches costs more than its
//! decoding. What is found is kept in a [`Findings`] and put in order of time at the end; the hits that feed
//! correlation rules are kept beside it and run through the [`Correlator`](wanglou_detect::Correlator) in order of
//! event time. Both overflow to a temporary file, so that memory does not grow with the evidence.
//!
//! [`events`] is the same without rules: the normalised events in file order.

pub(crate) mod columns;
mod correlation;
pub(crate) mod events;
mod findings;
mod interrupt;
mod journal;
pub(crate) mod output;
mod progress;
mod record_codec;
mod spool;
mod stamp;
mod stats;
mod summary;
mod worker;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use jiff::tz::TimeZone;
use parking_lot::Mutex;
use wanglou_detect::Engine;
use wanglou_detect::suppress::{self, Suppressor};
use wanglou_ingest::{Discovery, FileReport, Input, Reader};
use wanglou_model::{Finding, Severity, Timestamp};

pub(crate) use findings::{Findings, Keep};
pub(crate) use interrupt::Interrupt;
pub(crate) use journal::{Journal, Unread};
pub(crate) use progress::Progress;
pub(crate) use stamp::Stamp;
pub(crate) use stats::Stats;
pub(crate) use summary::Summary;

/// What to scan, and how.
pub(crate) struct Scan {
    /// The rules.
    pub engine: Arc<Engine>,
    /// Reads the files.
    pub reader: Reader,
    /// The files.
    pub discovery: Discovery,
    /// How many threads read.
    pub threads: NonZeroUsize,
    /// What hides findings.
    pub suppressions: Vec<Suppressor>,
    /// Whether hidden findings are shown, as suppressed.
    pub show_suppressed: bool,
    /// Findings that were hidden.
    pub suppressed: AtomicUsize,
    /// Milder findings are left out.
    pub min_level: Severity,
    /// The zone of log times that name none.
    pub zone: TimeZone,
    /// In what form findings will be wanted.
    pub keep: Keep,
    /// Whether to show how far it is.
    pub progress: Progress,
    /// When to stop early.
    pub interrupt: Interrupt,
}

/// What came of a scan.
pub(crate) struct Outcome {
    /// What was found, in order of time.
    pub findings: Findings,
    /// What became of the files.
    pub journal: Journal,
    /// Whether it was stopped before the end.
    pub interrupted: bool,
    /// How long it took.
    pub seconds: f64,
}

/// Scans.
///
/// # Errors
/// When the temporary file that takes what memory should not hold cannot be written.
pub(crate) fn run(scan: &Scan) -> std::io::Result<Outcome> {
    let started = Instant::now();
    let Scan { discovery, threads, progress, interrupt, .. } = scan;
    let stamp = Stamp::new(scan.zone.clone());
    let collected = Mutex::new(worker::Collected::new(scan.keep));
    let order = largest_first(&discovery.inputs);
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..threads.get().min(order.len()) {
            scope.spawn(|| {
                let mut worker = worker::Worker::new(scan, &stamp, &collected);
                while let Some((number, input)) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if interrupt.is_set() {
                        break;
                    }
                    worker.read(*number, input);
                }
            });
        }
    });
    progress.finish();
    let worker::Collected { mut findings, correlated, mut journal, error } = collected.into_inner();
    if let Some(error) = error {
        return Err(error);
    }
    correlation::run(correlated, scan, &stamp, &mut findings)?;
    findings.sort();
    journal.close(discovery);
    Ok(Outcome {
        findings,
        journal,
        interrupted: interrupt.is_set(),
        seconds: started.elapsed().as_secs_f64(),
    })
}

impl Scan {
    /// Notes which suppressions were considered; says whether the finding is left out, which is counted.
    fn hides(&self, finding: &mut Finding) -> bool {
        if self.suppressions.is_empty() || !suppress::apply(&self.suppressions, finding, Timestamp::now()) {
            return false;
        }
        self.suppressed.fetch_add(1, Ordering::Relaxed);
        !self.show_suppressed
    }
}

/// The inputs with their numbers, the largest first: the last ones to end are then small.
fn largest_first(inputs: &[Input]) -> Vec<(usize, &Input)> {
    let mut order: Vec<(usize, &Input)> = inputs.iter().enumerate().collect();
    order.sort_by_key(|(number, input)| (std::cmp::Reverse(input.bytes), *number));
    order
}

/// Reads one input. A mistake of ours that ends in a panic costs that file, not the scan.
fn read_guarded(
    reader: &Reader,
    input: &Input,
    sink: &mut dyn wanglou_ingest::RecordSink,
) -> Vec<FileReport> {
    let reading = std::panic::AssertUnwindSafe(|| reader.read(input, sink));
    std::panic::catch_unwind(reading).unwrap_or_else(|_| {
        let reason = "reading stopped at a mistake of ours; please report it with the message above";
        let status = wanglou_ingest::FileStatus::Failed(reason.to_owned());
        let file = input.display.clone();
        vec![FileReport { file, bytes: 0, format: None, events: 0, rejected: 0, status }]
    })
}

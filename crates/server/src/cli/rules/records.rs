//! Records for rules to be run on: files in any format that `scan` reads, or standard input.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use jiff::tz::TimeZone;
use wanglou_detect::{Correlator, Engine, RuleIndex};
use wanglou_ingest::{EventContext, FileStatus, Reader, RecordSink, discover, normalize};
use wanglou_model::{Event, EventUid, Finding, Place, Record, SourceId, TenantId, Timestamp};

use crate::cli::offline;

/// What stands for standard input.
const STANDARD_INPUT: &str = "-";

/// Takes a record with its file and number.
pub(super) type Each<'a> = dyn FnMut(&Arc<str>, u64, &Record) -> ControlFlow<()> + 'a;

/// Calls `sink` for each record of the inputs with its place, until it breaks. What cannot be read is said.
pub(super) fn each(paths: &[PathBuf], sink: &mut Each<'_>) -> anyhow::Result<Vec<String>> {
    let reader = offline::reader()?;
    let mut unread = Vec::new();
    for path in paths {
        if path == Path::new(STANDARD_INPUT) {
            let mut file = tempfile::NamedTempFile::new().context("cannot keep standard input")?;
            io::copy(&mut io::stdin().lock(), &mut file).context("cannot read standard input")?;
            file.flush()?;
            read(&reader, file.path(), sink, &mut unread);
        } else {
            read(&reader, path, sink, &mut unread);
        }
    }
    Ok(unread)
}

fn read(reader: &Reader, path: &Path, sink: &mut Each<'_>, unread: &mut Vec<String>) {
    let found = discover(&[path.to_owned()]);
    if found.inputs.is_empty() {
        unread.push(format!("`{}` is no file or folder that can be read", path.display()));
    }
    let mut sink = Sink { sink, is_over: false };
    for input in found.inputs {
        if sink.is_over {
            return;
        }
        for report in reader.read(&input, &mut sink) {
            match report.status {
                FileStatus::Read => {}
                // What lies in a folder beside the logs is no mistake; what was named itself is.
                FileStatus::Skipped(_) if path.is_dir() => {}
                other if !sink.is_over => unread.push(format!("{}: {other:?}", report.file)),
                _ => {}
            }
            if report.rejected > 0 && !sink.is_over {
                unread.push(format!("{}: {} records cannot be read", report.file, report.rejected));
            }
        }
    }
}

struct Sink<'s> {
    sink: &'s mut Each<'s>,
    is_over: bool,
}

impl RecordSink for Sink<'_> {
    fn record(&mut self, file: &Arc<str>, number: u64, record: &Record) -> ControlFlow<()> {
        let flow = (self.sink)(file, number, record);
        self.is_over |= flow.is_break();
        flow
    }
}

/// What rules say of one set of records: each record's own hits, and what correlations find among them by event time.
pub(super) struct Verdicts {
    pub unread: Vec<String>,
    /// By record: the rules that fire on it.
    pub hits: Vec<Vec<RuleIndex>>,
    pub correlated: Vec<Finding>,
}

/// Runs all rules on the records of some files, as `scan` does.
pub(super) fn judge(engine: &Arc<Engine>, paths: &[PathBuf], zone: &TimeZone) -> anyhow::Result<Verdicts> {
    let mut scratch = engine.scratch();
    let mut hits = Vec::new();
    let mut seen: Vec<(Vec<RuleIndex>, Record, Event, Place)> = Vec::new();
    let unread = each(paths, &mut |file, number, record| {
        let matched = engine.evaluate(record, &mut scratch).to_vec();
        if matched.iter().any(|hit| engine.feeds_correlation(*hit)) {
            let event = event_of(record, file, number, zone);
            let place = Place { file: file.to_string(), record: number };
            seen.push((matched.clone(), record.clone(), event, place));
        }
        hits.push(matched);
        ControlFlow::Continue(())
    })?;
    seen.sort_by_key(|(_, _, event, _)| event.time);
    let mut correlator = Correlator::new(Arc::clone(engine));
    let mut correlated = Vec::new();
    for (matched, record, event, place) in &seen {
        correlator.observe(matched, record, event, Some(place), &mut correlated);
    }
    Ok(Verdicts { unread, hits, correlated })
}

/// The event of a record that was read from a file just now.
fn event_of(record: &Record, file: &str, number: u64, zone: &TimeZone) -> Event {
    let source = SourceId::new("file");
    let context = EventContext {
        uid: EventUid::at(&source, format!("{file}:{number}").as_bytes()),
        source,
        arrival: Timestamp::now(),
        tenant: TenantId::default(),
        zone: zone.clone(),
    };
    normalize(record, context)
}

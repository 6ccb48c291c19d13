//! Correlation over a whole scan: the hits of all files, in order of event time.
//!
//! Files are read in parallel and in any order, and correlation counts within windows of time; so the records that
//! feed correlation rules are kept (in a [`Spool`]) until all files are read, sorted, and only then counted.

use std::io;
use std::sync::Arc;

use smallvec::SmallVec;
use wanglou_detect::{Correlator, RuleIndex};
use wanglou_ingest::normalize;
use wanglou_model::{Place, Record, Timestamp};

use super::findings::{Findings, Prepared, Rank};
use super::record_codec::{Products, decode, encode};
use super::spool::{Span, Spool};
use super::{Scan, Stamp};

/// The records that feed correlations.
#[derive(Default)]
pub(super) struct Correlated {
    spool: Spool,
    products: Products,
    entries: Vec<Entry>,
    files: Vec<Arc<str>>,
}

struct Entry {
    time: Timestamp,
    arrival: Timestamp,
    rank: Rank,
    file: usize,
    number: u64,
    hits: SmallVec<[RuleIndex; 2]>,
    span: Span,
}

/// A record where it was seen.
pub(super) struct Seen<'r> {
    pub file: &'r Arc<str>,
    pub number: u64,
    pub record: &'r Record,
    pub time: Timestamp,
    pub rank: Rank,
}

impl Correlated {
    /// Keeps a record with those of its hits that feed correlations.
    pub(super) fn push(&mut self, hits: &[RuleIndex], seen: &Seen<'_>, arrival: Timestamp) -> io::Result<()> {
        let bytes = encode(seen.record, &mut self.products);
        let span = self.spool.append(&bytes)?;
        let file = self.file_number(seen.file);
        self.entries.push(Entry {
            time: seen.time,
            arrival,
            rank: seen.rank,
            file,
            number: seen.number,
            hits: hits.into(),
            span,
        });
        Ok(())
    }

    /// Records come file by file: the last few names are the ones asked for.
    fn file_number(&mut self, file: &Arc<str>) -> usize {
        if let Some(found) = self.files.iter().rposition(|known| Arc::ptr_eq(known, file)) {
            return found;
        }
        self.files.push(Arc::clone(file));
        self.files.len() - 1
    }
}

/// Runs the correlation rules over all that was kept and adds what they find.
pub(super) fn run(
    mut correlated: Correlated,
    scan: &Scan,
    stamp: &Stamp,
    findings: &mut Findings,
) -> io::Result<()> {
    correlated.entries.sort_by_key(|entry| (entry.time, entry.rank));
    let mut correlator = Correlator::new(Arc::clone(&scan.engine));
    let mut found = Vec::new();
    let now = Timestamp::now();
    for entry in &correlated.entries {
        let Some(file) = correlated.files.get(entry.file) else { continue };
        let record = decode(&correlated.spool.read(entry.span)?, &correlated.products)?;
        let context = stamp.context(file, entry.number, entry.rank.1, entry.arrival);
        let mut event = normalize(&record, context);
        // Events count as no later than their arrival; the time of a copied file must not squeeze them together.
        event.arrival = now;
        let place = Place { file: file.to_string(), record: entry.number };
        correlator.observe(&entry.hits, &record, &event, Some(&place), &mut found);
        for finding in found.drain(..).filter(|finding| finding.severity >= scan.min_level) {
            findings.push(Prepared::new(finding, scan.keep), entry.rank)?;
        }
    }
    Ok(())
}

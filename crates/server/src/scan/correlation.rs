//! Correlation over a whole scan: the hits of all files, in order of event time.
//!
//! Files are read in parallel and in any order, and correlation counts within windows of time; so the records that
//! feed correlation rules are kept (in a [`Spool`]) until all files are read, sorted, and only then counted.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use wanglou_detect::{Correlator, RuleIndex};
use wanglou_ingest::normalize;
use wanglou_model::{Finding, FindingUid, Place, Record, Timestamp};

use super::findings::{Findings, Prepared, Rank};
use super::record_codec::{Products, decode, encode};
use super::spool::{Span, Spool};
use super::{Scan, Stamp};

/// Findings that wait for what extends them; beyond it the oldest waits no longer, and its count is as first told.
const MAX_OPEN: usize = 4_096;

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
    let mut open = Open::default();
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
        for mut finding in found.drain(..).filter(|finding| finding.severity >= scan.min_level) {
            if scan.hides(&mut finding) {
                continue;
            }
            if let Some((finding, rank)) = open.take(finding, entry.rank) {
                findings.push(Prepared::new(finding, scan.keep), rank)?;
            }
        }
    }
    for (finding, rank) in open.rest() {
        findings.push(Prepared::new(finding, scan.keep), rank)?;
    }
    Ok(())
}

/// Findings that may yet be extended: a scan shows each once, with all that it stands for.
#[derive(Default)]
struct Open {
    findings: FxHashMap<FindingUid, (Finding, Rank)>,
    order: VecDeque<FindingUid>,
}

impl Open {
    /// Takes a finding, or what extends one, and gives one that can wait no longer.
    fn take(&mut self, finding: Finding, rank: Rank) -> Option<(Finding, Rank)> {
        let is_extension = finding.correlation.as_ref().is_some_and(|correlation| correlation.is_extension);
        if is_extension {
            if let Some((held, _)) = self.findings.get_mut(&finding.uid) {
                held.count = held.count.saturating_add(finding.count);
                held.last_seen = held.last_seen.max(finding.last_seen);
            }
            return None;
        }
        if !self.findings.contains_key(&finding.uid) {
            self.order.push_back(finding.uid);
        }
        self.findings.insert(finding.uid, (finding, rank));
        let oldest = if self.order.len() > MAX_OPEN { self.order.pop_front() } else { None };
        oldest.and_then(|oldest| self.findings.remove(&oldest))
    }

    fn rest(mut self) -> impl Iterator<Item = (Finding, Rank)> {
        self.order.into_iter().filter_map(move |uid| self.findings.remove(&uid))
    }
}

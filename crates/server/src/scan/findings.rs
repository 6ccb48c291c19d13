//! What a scan found: an index in memory, the findings themselves in a [`Spool`].

use std::io;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use wanglou_model::{
    Considered, Correlated, Direction, Entity, Evidence, Finding, FindingUid, Outcome, RuleInfo, Severity,
    Timestamp,
};

use super::Summary;
use super::spool::{Span, Spool};

/// In what form findings are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Ready for output as OCSF JSON: each is rendered once, by the thread that found it.
    Ocsf,
    /// As findings, for formats that look into them.
    Whole,
}

/// Findings, in order of time after [`Findings::sort`].
#[derive(Debug)]
pub(crate) struct Findings {
    keep: Keep,
    spool: Spool,
    index: Vec<Entry>,
    rules: Vec<Arc<RuleInfo>>,
    rule_numbers: FxHashMap<(String, String), u32>,
    /// Their counts.
    pub summary: Summary,
}

/// Where a finding came from, for an order that does not depend on the number of threads: input, record, rule.
pub(super) type Rank = (usize, u64);

#[derive(Debug)]
struct Entry {
    time: Timestamp,
    rank: Rank,
    severity: Severity,
    rule: u32,
    span: Span,
}

/// A finding as it is spooled: its rule by number.
#[derive(Serialize, Deserialize)]
struct Stored {
    uid: FindingUid,
    rule: u32,
    severity: Severity,
    first_seen: Timestamp,
    last_seen: Timestamp,
    count: u64,
    evidences: Vec<Evidence>,
    group: Vec<(String, String)>,
    correlation: Option<Box<Correlated>>,
    entities: Vec<Entity>,
    direction: Direction,
    outcome: Outcome,
    outcome_proof: String,
    suppressions: Vec<Considered>,
}

/// A finding made ready for [`Findings::push`], outside the lock.
pub(super) struct Prepared {
    finding: Finding,
    rendered: Option<Vec<u8>>,
}

impl Prepared {
    pub(super) fn new(finding: Finding, keep: Keep) -> Self {
        let rendered = (keep == Keep::Ocsf).then(|| finding.to_json().to_string().into_bytes());
        Self { finding, rendered }
    }
}

impl Findings {
    /// None yet.
    pub(crate) fn new(keep: Keep) -> Self {
        Self {
            keep,
            spool: Spool::default(),
            index: Vec::new(),
            rules: Vec::new(),
            rule_numbers: FxHashMap::default(),
            summary: Summary::default(),
        }
    }

    /// Adds one.
    pub(super) fn push(&mut self, prepared: Prepared, rank: Rank) -> io::Result<()> {
        let Prepared { mut finding, rendered } = prepared;
        let rule = self.rule_number(&finding.rule);
        self.summary.count(&finding);
        let (time, severity) = (finding.last_seen, finding.severity);
        let bytes = match rendered {
            Some(bytes) => bytes,
            None => {
                for evidence in &mut finding.evidences {
                    // Only OCSF output shows them.
                    evidence.artifacts.clear();
                }
                serde_json::to_vec(&Stored::of(finding, rule))?
            }
        };
        let span = self.spool.append(&bytes)?;
        self.index.push(Entry { time, rank, severity, rule, span });
        Ok(())
    }

    fn rule_number(&mut self, rule: &Arc<RuleInfo>) -> u32 {
        let key = (rule.id.clone(), rule.version.clone());
        *self.rule_numbers.entry(key).or_insert_with(|| {
            self.rules.push(Arc::clone(rule));
            u32::try_from(self.rules.len() - 1).unwrap_or(u32::MAX)
        })
    }

    /// Puts them in order of time; at the same time in order of files and records.
    pub(super) fn sort(&mut self) {
        self.index.sort_by_key(|entry| (entry.time, entry.rank));
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// The worst level there is.
    pub(crate) fn worst(&self) -> Option<Severity> {
        self.index.iter().map(|entry| entry.severity).max()
    }

    /// All as OCSF JSON texts.
    ///
    /// # Errors
    /// Each, when the temporary file cannot be read.
    pub(crate) fn ocsf(&self) -> impl Iterator<Item = io::Result<Vec<u8>>> {
        self.index.iter().map(|entry| match self.keep {
            Keep::Ocsf => self.spool.read(entry.span),
            Keep::Whole => Ok(self.finding(entry)?.to_json().to_string().into_bytes()),
        })
    }

    /// All of them, with no artifacts in their evidence. Empty when kept as [`Keep::Ocsf`].
    ///
    /// # Errors
    /// Each, when the temporary file cannot be read.
    pub(crate) fn iter(&self) -> impl Iterator<Item = io::Result<Finding>> {
        let entries = if self.keep == Keep::Whole { self.index.as_slice() } else { &[] };
        entries.iter().map(|entry| self.finding(entry))
    }

    /// The `limit` worst ones, in order of time.
    ///
    /// # Errors
    /// Each, when the temporary file cannot be read.
    pub(crate) fn worst_first(&self, limit: usize) -> impl Iterator<Item = io::Result<Finding>> {
        let mut chosen: Vec<(usize, &Entry)> = self.index.iter().enumerate().collect();
        if chosen.len() > limit {
            chosen.sort_by_key(|(place, entry)| (std::cmp::Reverse(entry.severity), *place));
            chosen.truncate(limit);
            chosen.sort_by_key(|(place, _)| *place);
        }
        chosen.into_iter().map(|(_, entry)| self.finding(entry))
    }

    fn finding(&self, entry: &Entry) -> io::Result<Finding> {
        let bytes = self.spool.read(entry.span)?;
        let stored: Stored = serde_json::from_slice(&bytes)?;
        let rule = self.rules.get(entry.rule as usize).ok_or(io::ErrorKind::NotFound)?;
        Ok(stored.with(Arc::clone(rule)))
    }
}

impl Stored {
    fn of(finding: Finding, rule: u32) -> Self {
        Self {
            uid: finding.uid,
            rule,
            severity: finding.severity,
            first_seen: finding.first_seen,
            last_seen: finding.last_seen,
            count: finding.count,
            evidences: finding.evidences,
            group: finding.group,
            correlation: finding.correlation,
            entities: finding.entities,
            direction: finding.direction,
            outcome: finding.outcome,
            outcome_proof: finding.outcome_proof,
            suppressions: finding.suppressions,
        }
    }

    fn with(self, rule: Arc<RuleInfo>) -> Finding {
        Finding {
            uid: self.uid,
            rule,
            severity: self.severity,
            first_seen: self.first_seen,
            last_seen: self.last_seen,
            count: self.count,
            evidences: self.evidences,
            group: self.group,
            correlation: self.correlation,
            entities: self.entities,
            direction: self.direction,
            outcome: self.outcome,
            outcome_proof: self.outcome_proof,
            suppressions: self.suppressions,
        }
    }
}

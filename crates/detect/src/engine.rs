//! The engine: all rules compiled into one program, run over records.
//!
//! The cost of a record depends on its own size and on what it nearly matches, not on the number of rules:
//! 1. the router says which logsources the record belongs to; only their columns and rules are in question;
//! 2. each value of the record is looked at for *witnesses*: of each rule the items without which it cannot match and
//!    which are likely to hold most rarely. Most values hold none, and that is found out by a look at a few bytes
//!    ([`sieve`]);
//! 3. a rule's condition is evaluated only when one of its witnesses holds. Its other items are asked about then: one
//!    by one what is cheap, in one pass over the field what is not. A rule that can match without any witness (a pure
//!    `not`, or a test for null) is looked at for every record of its logsource.
//!
//! Semantics where the specification leaves room: a field that occurs several times matches when one of its values
//! does. Missing and null are the same to `field: null`; an empty text is neither. `neq` is the negation of equality,
//! so it holds for a missing field. Numbers and texts compare by their decimal text; `lt` and its kin also read numbers
//! written as text. Keywords are searched in every value, and in the whole line for syslog. A filter's condition is
//! joined to the rule's with `and`.

mod column;
mod compile;
mod ends;
mod evaluate;
mod everyday;
pub(crate) mod explain;
mod grams;
mod item;
mod mapping;
mod plan;
mod program;
mod router;
mod sieve;
mod test;
pub(crate) mod verdict;
mod witness;

use std::sync::Arc;

use wanglou_model::{Event, Evidence, FieldMatch, Finding, FindingUid, Place, Record, RuleInfo};

pub(crate) use compile::parsed_rules;
pub use compile::{compile, compile_with};
pub use evaluate::Scratch;
use explain::Explanation;

use crate::Diagnostic;
use crate::correlate::Plan;
use program::Program;

/// What became of the rules.
#[derive(Debug)]
pub struct Compilation {
    /// The engine, with every rule that is sound.
    pub engine: Engine,
    /// How many rules are loaded, correlations included.
    pub loaded: usize,
    /// The rules that are not, and why.
    pub failed: Vec<FailedRule>,
    /// Everything there is to say about the rules, in order of files and lines.
    pub diagnostics: Vec<Diagnostic>,
}

/// A rule that is not loaded.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FailedRule {
    /// The file it stands in.
    pub file: String,
    /// Its id, if it got far enough to have one.
    pub rule_id: Option<String>,
    /// Its title, if it has one.
    pub title: Option<String>,
    /// Why: the first error's code, line and message.
    pub reason: String,
}

/// Names a loaded rule within its engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleIndex(pub(crate) u32);

/// All rules, compiled into one program. Immutable: share it between threads.
#[derive(Debug)]
pub struct Engine {
    /// Detection rules, then correlations.
    rules: Vec<Arc<RuleInfo>>,
    program: Program,
    plans: Vec<Plan>,
    silent: Vec<bool>,
}

impl Engine {
    /// New working memory.
    #[must_use]
    pub fn scratch(&self) -> Scratch {
        Scratch::for_program(&self.program)
    }

    /// The detection rules that match a record, in order of their index. Allocates nothing once the scratch has seen
    /// records of this size and shape.
    pub fn evaluate<'s>(&self, record: &Record, scratch: &'s mut Scratch) -> &'s [RuleIndex] {
        self.program.evaluate(record, scratch)
    }

    /// A rule.
    ///
    /// # Panics
    /// When the index comes from another engine that has more rules.
    #[must_use]
    #[expect(clippy::indexing_slicing, reason = "documented: only engines make indices, each for itself")]
    pub fn rule(&self, index: RuleIndex) -> &Arc<RuleInfo> {
        &self.rules[index.0 as usize]
    }

    /// All rules, correlations last.
    pub fn rules(&self) -> impl Iterator<Item = (RuleIndex, &Arc<RuleInfo>)> {
        (0..).map(RuleIndex).zip(&self.rules)
    }

    /// Why a rule matches a record: the fields that its condition rests on. Empty when it does not match, or matches
    /// by what is not there.
    #[must_use]
    pub fn explain(&self, index: RuleIndex, record: &Record) -> Vec<FieldMatch> {
        self.program.explain(index, record)
    }

    /// What becomes of a detection rule on a record, node by node, also when it does not match; `None` for a
    /// correlation, which sees no single record.
    #[must_use]
    pub fn trace(&self, index: RuleIndex, record: &Record) -> Option<Explanation> {
        self.program.trace(index, record, &self.rule(index).logsource)
    }

    /// The rules that a correlation counts; empty for other rules.
    #[must_use]
    pub fn counted_by(&self, index: RuleIndex) -> Vec<RuleIndex> {
        let plan = self.plans.iter().find(|plan| plan.rule == index);
        let mut counted: Vec<RuleIndex> =
            plan.into_iter().flat_map(|plan| plan.parts.iter().copied()).collect();
        counted.sort_unstable();
        counted
    }

    /// The finding of a rule that matches a record.
    #[must_use]
    pub fn finding(&self, index: RuleIndex, record: &Record, event: &Event, place: Option<Place>) -> Finding {
        let rule = self.rule(index);
        let (outcome, outcome_proof) = verdict::outcome(record, event);
        Finding {
            uid: FindingUid::of(&rule.id, &rule.version, &[event.uid], ""),
            rule: Arc::clone(rule),
            severity: rule.severity,
            first_seen: event.time,
            last_seen: event.time,
            count: 1,
            evidences: vec![self.evidence(index, record, event, place)],
            group: Vec::new(),
            correlation: None,
            entities: wanglou_model::Entity::of_event(event),
            direction: verdict::direction(event),
            outcome,
            outcome_proof,
            suppressions: Vec::new(),
        }
    }

    /// The evidence of one event for a rule that matches it.
    pub(crate) fn evidence(
        &self,
        index: RuleIndex,
        record: &Record,
        event: &Event,
        place: Option<Place>,
    ) -> Evidence {
        Evidence {
            event: event.uid,
            time: event.time,
            place,
            product: event.product.id.clone(),
            matches: self.explain(index, record),
            artifacts: Evidence::artifacts_of(event),
        }
    }

    /// Whether a rule only feeds correlations and raises no finding of its own.
    #[must_use]
    pub fn is_silent(&self, index: RuleIndex) -> bool {
        self.silent.get(index.0 as usize).copied().unwrap_or(false)
    }

    /// Whether a correlation counts the matches of a rule: a [`Correlator`](crate::Correlator) wants no others.
    #[must_use]
    pub fn feeds_correlation(&self, index: RuleIndex) -> bool {
        self.plans.iter().any(|plan| plan.feeds.contains_key(&index))
    }

    /// Whether there are correlation rules.
    #[must_use]
    pub fn has_correlations(&self) -> bool {
        !self.plans.is_empty()
    }

    pub(crate) fn plans(&self) -> &[Plan] {
        &self.plans
    }

    /// The first value that is not null of each of the columns, as text; `None` when one has none.
    pub(crate) fn texts(&self, columns: &[u32], record: &Record) -> Option<Vec<String>> {
        self.program.texts(columns, record)
    }
}

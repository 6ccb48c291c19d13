//! The engine.

use std::sync::Arc;

use wanglou_model::{Event, FieldMatch, Finding, FindingUid, Place, Record, RuleInfo};

use crate::{Diagnostic, RuleFile, Taxonomy, yaml};

/// What became of the rules.
#[derive(Debug)]
pub struct Compilation {
    /// The engine, with every rule that is sound.
    pub engine: Engine,
    /// How many rules are loaded.
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
    /// Why: the first error's code, message and line.
    pub reason: String,
}

/// Names a loaded rule within its engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleIndex(u32);

/// All rules, compiled into one program. Immutable: share it between threads.
#[derive(Debug, Default)]
pub struct Engine {
    rules: Vec<Arc<RuleInfo>>,
}

/// The working memory of one thread's evaluations. Reused from record to record.
#[derive(Debug, Default)]
pub struct Scratch {
    hits: Vec<RuleIndex>,
}

/// Compiles rules.
#[must_use]
pub fn compile(files: &[RuleFile], _taxonomy: &Taxonomy) -> Compilation {
    let mut reporter_found = Vec::new();
    for file in files {
        let mut reporter = crate::diagnostic::Reporter::new(&file.path, &file.text);
        for document in yaml::documents(&file.text) {
            if let Err(error) = document.root {
                reporter.report(error.code, error.mark, error.message);
            }
        }
        reporter_found.append(&mut reporter.found);
    }
    Compilation { engine: Engine::default(), loaded: 0, failed: Vec::new(), diagnostics: reporter_found }
}

impl Engine {
    /// New working memory.
    #[must_use]
    pub fn scratch(&self) -> Scratch {
        Scratch::default()
    }

    /// The rules that match a record, in order of their index.
    pub fn evaluate<'s>(&self, _record: &Record, scratch: &'s mut Scratch) -> &'s [RuleIndex] {
        scratch.hits.clear();
        &scratch.hits
    }

    /// A rule.
    ///
    /// # Panics
    /// Never for an index that this engine gave.
    #[must_use]
    #[expect(clippy::indexing_slicing, reason = "only this engine makes indices")]
    pub fn rule(&self, index: RuleIndex) -> &Arc<RuleInfo> {
        &self.rules[index.0 as usize]
    }

    /// All rules.
    pub fn rules(&self) -> impl Iterator<Item = (RuleIndex, &Arc<RuleInfo>)> {
        self.rules.iter().enumerate().map(|(i, rule)| (RuleIndex(u32::try_from(i).unwrap_or(u32::MAX)), rule))
    }

    /// Why a rule matches a record.
    #[must_use]
    pub fn explain(&self, _index: RuleIndex, _record: &Record) -> Vec<FieldMatch> {
        Vec::new()
    }

    /// The finding of a rule that matches a record.
    #[must_use]
    pub fn finding(&self, index: RuleIndex, record: &Record, event: &Event, place: Option<Place>) -> Finding {
        let rule = self.rule(index);
        let evidence = wanglou_model::Evidence {
            event: event.uid,
            time: event.time,
            place,
            product: event.product.id.clone(),
            matches: self.explain(index, record),
            artifacts: wanglou_model::Evidence::artifacts_of(&event.to_json(None)),
        };
        Finding {
            uid: FindingUid::of(&rule.id, &rule.version, &[event.uid], ""),
            rule: Arc::clone(rule),
            severity: rule.severity,
            first_seen: event.time,
            last_seen: event.time,
            count: 1,
            evidences: vec![evidence],
            group: Vec::new(),
            entities: wanglou_model::Entity::of_event(event),
            direction: wanglou_model::Direction::Unknown,
            outcome: wanglou_model::Outcome::Unknown,
            outcome_proof: String::new(),
        }
    }

    /// Whether a rule only feeds correlations and raises no finding of its own.
    #[must_use]
    pub fn is_silent(&self, _index: RuleIndex) -> bool {
        false
    }

    /// Whether there are correlation rules.
    #[must_use]
    pub fn has_correlations(&self) -> bool {
        false
    }
}

//! Sigma 2.1 as data: rules, correlations and filters, read from YAML documents.
//!
//! Everything here is independent of any telemetry: fields are named as the rule names them, selections are resolved
//! into one boolean expression over items, and values are tests ready to be run.

mod compare;
mod condition;
mod correlation;
mod detection;
mod encode;
mod expectation;
mod header;
mod modifier;
mod pattern;
mod placeholder;
mod regex;

use std::sync::Arc;

use ipnet::IpNet;

pub(crate) use compare::{Number, Order, TimePart};
pub(crate) use condition::{Selection, read as read_condition};
pub(crate) use correlation::{Aggregate, Comparison, Correlation};
pub(crate) use detection::read_selection;
pub(crate) use header::{Header, digest, texts};
pub(crate) use pattern::{Pattern, Piece, Shape};
pub(crate) use regex::Regex;

use crate::diagnostic::{self, Rejected, Reporter};
use crate::yaml::{self, Mark, Node};

/// One document of a rule file.
#[derive(Debug)]
pub(crate) enum Document {
    Rule(Rule),
    Correlation(Correlation),
    Filter(Filter),
}

/// A detection rule.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) header: Header,
    pub(crate) logsource: Logsource,
    pub(crate) detection: Detection,
}

/// A filter: a detection that further restricts other rules.
#[derive(Debug)]
pub(crate) struct Filter {
    pub(crate) header: Header,
    pub(crate) logsource: Logsource,
    /// The rules it restricts, by id or name; empty for all.
    pub(crate) rules: Vec<(String, Mark)>,
    pub(crate) detection: Detection,
}

/// What telemetry a rule speaks of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Logsource {
    pub(crate) product: Option<String>,
    pub(crate) category: Option<String>,
    pub(crate) service: Option<String>,
}

impl std::fmt::Display for Logsource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let named = [("product", &self.product), ("category", &self.category), ("service", &self.service)];
        let parts = named.iter().filter_map(|(name, value)| Some(format!("{name}: {}", value.as_ref()?)));
        f.write_str(&parts.collect::<Vec<_>>().join(", "))
    }
}

/// A condition over items.
#[derive(Clone, Debug, Default)]
pub(crate) struct Detection {
    pub(crate) items: Vec<Item>,
    pub(crate) condition: Expr,
}

/// A boolean expression; its leaves are indices into the detection's items.
#[derive(Clone, Debug)]
pub(crate) enum Expr {
    /// True when all are; true when empty.
    And(Vec<Expr>),
    /// True when one is; false when empty.
    Or(Vec<Expr>),
    Not(Box<Expr>),
    Item(usize),
}

impl Expr {
    /// The same over items that stand so many places later.
    fn shifted(&self, offset: usize) -> Self {
        let all = |parts: &[Self]| parts.iter().map(|part| part.shifted(offset)).collect();
        match self {
            Self::And(parts) => Self::And(all(parts)),
            Self::Or(parts) => Self::Or(all(parts)),
            Self::Not(part) => Self::Not(Box::new(part.shifted(offset))),
            Self::Item(item) => Self::Item(item + offset),
        }
    }
}

impl Default for Expr {
    fn default() -> Self {
        Self::And(Vec::new())
    }
}

/// Where the values of placeholders come from.
pub(crate) trait Placeholders {
    /// The values of `%name%` in a field of a rule, as Sigma strings; `None` when nobody gives any.
    fn values(&self, about: About<'_>, field: &str, name: &str) -> Option<Vec<String>>;
}

/// What is known of a rule while its values are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About<'r> {
    pub(crate) header: &'r Header,
    pub(crate) logsource: &'r Logsource,
}

impl Detection {
    /// Joins another detection, or its negation, with `and`.
    pub(crate) fn join(&mut self, other: &Self, negated: bool) {
        let offset = self.items.len();
        self.items.extend(other.items.iter().cloned());
        let added = other.condition.shifted(offset);
        let added = if negated { Expr::Not(Box::new(added)) } else { added };
        self.condition = Expr::And(vec![std::mem::take(&mut self.condition), added]);
    }

    /// Makes tests without regard to case ready to be run on folded values. Until then their texts are as written, so
    /// that pipelines can change them.
    pub(crate) fn fold(&mut self) {
        for written in self.items.iter_mut().flat_map(|item| &mut item.tests) {
            let Test::Text { pattern, cased } = &mut written.test else { continue };
            if pattern.shape() == Shape::Anything {
                written.test = Test::NotNull;
            } else if !*cased {
                *pattern = std::mem::take(pattern).map_literals(crate::text::fold);
            }
        }
    }
}

/// One entry of a selection: a field (`None`: the whole record) of which one of the tests must hold.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) selection: Arc<str>,
    pub(crate) field: Option<Arc<str>>,
    /// The key as the rule writes it, modifiers included.
    pub(crate) key: Arc<str>,
    /// Where the key stands.
    pub(crate) mark: Mark,
    pub(crate) tests: Vec<Written>,
}

/// A test and the value it was written as.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) test: Test,
    pub(crate) value: Box<str>,
}

/// What is asked of one value of a field.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Test {
    /// The value's text has this form; without regard to case, then the pattern is folded.
    Text { pattern: Pattern, cased: bool },
    /// The expression matches somewhere in the value's text.
    Regex(Arc<Regex>),
    /// The value is an address of this network.
    Cidr(IpNet),
    /// The value is a number that compares so.
    Number { order: Order, number: Number },
    /// The value is a time of which this part compares so.
    Time { part: TimePart, order: Order, number: i64 },
    /// The field is there, be it empty or null.
    Present,
    /// The field is there and not null.
    NotNull,
    /// The value is, begins with, ends with or contains a value of another field of the record.
    SameAs { field: Arc<str>, before: bool, after: bool, cased: bool },
}

/// Reads one document. Problems are reported; a document with an error is rejected, the others are not touched.
pub(crate) fn read(
    document: &yaml::Document<'_>,
    root: &Node,
    placeholders: &dyn Placeholders,
    reporter: &mut Reporter<'_>,
) -> Result<Document, Rejected> {
    let Some(entries) = root.as_map() else {
        return Err(reporter.report(&diagnostic::NOT_A_RULE, root.mark, "this document is not a map"));
    };
    let kind =
        entries.iter().find(|(key, _)| ["detection", "correlation", "filter"].contains(&key.text.as_str()));
    let Some((kind, _)) = kind else {
        let message = "this document has neither `detection` nor `correlation` nor `filter`";
        header::name_rule(root, reporter);
        return Err(reporter.report(&diagnostic::NOT_A_RULE, root.mark, message));
    };
    let header = header::read(document, root, reporter)?;
    match kind.text.as_str() {
        "correlation" => correlation::read(header, root, reporter).map(Document::Correlation),
        "filter" => detection::read_filter(header, root, placeholders, reporter).map(Document::Filter),
        _ => detection::read_rule(header, root, placeholders, reporter).map(Document::Rule),
    }
}

/// The rules that a document counts, if it is a correlation, sound or not.
pub(crate) fn counted_names(root: &Node) -> Vec<String> {
    header::texts(root.get("correlation").and_then(|correlation| correlation.get("rules")))
}

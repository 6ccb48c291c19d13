//! Why a rule matches, or does not: the expression is walked again over one record, this time with names.

use std::cell::{LazyCell, OnceCell};
use std::collections::BTreeSet;
use std::ops::Range;

use serde::Serialize;
use wanglou_model::{FieldMatch, Format, Record, Span, Value};

use super::RuleIndex;
use super::mapping::RouteId;
use super::program::{Body, Program};
use super::router::append_folded;
use super::test::{self, Subject};
use crate::sigma::{Expr, Item, Test, Written};
use crate::text::fold;

/// Matches of one finding; more prove nothing more.
const MAX_MATCHES: usize = 64;
/// Bytes of a value that are shown.
const MAX_VALUE_BYTES: usize = 1_024;
/// Of a longer value, bytes that are shown before what matched.
const CONTEXT_BYTES: usize = 128;
/// Values and tests of one item that an explanation lists.
const MAX_LISTED: usize = 20;

/// What became of one rule on one record, node by node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Whether the rule fires: the record is routed to it and its condition holds.
    pub fires: bool,
    /// Whether the rule is asked about such records at all.
    pub routing: Routing,
    /// The condition, evaluated even when the record is not routed to the rule.
    pub condition: ConditionTrace,
    /// What the verdict rests on, as the finding says it; empty when the rule does not fire.
    pub matches: Vec<FieldMatch>,
}

/// The way of a record to a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Routing {
    /// Whether the record belongs to the rule's logsource.
    pub is_routed: bool,
    /// The rule's logsource.
    pub rule_wants: String,
    /// The logsources that the record belongs to.
    pub record_is: Vec<String>,
    /// The record's format.
    pub format: String,
    /// The record's product.
    pub product: String,
}

/// How the parts of a condition are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Logic {
    /// All parts must hold.
    And,
    /// One part must hold.
    Or,
    /// The part must not hold.
    Not,
    /// An entry of a selection.
    Item,
}

/// A node of a condition, and whether it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConditionTrace {
    /// What kind of node.
    pub logic: Logic,
    /// Whether it holds.
    pub holds: bool,
    /// The selection, when everything below belongs to one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selection: Option<String>,
    /// Its parts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<ConditionTrace>,
    /// What an entry asks, and of what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<ItemTrace>,
}

/// An entry of a selection on one record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ItemTrace {
    /// The key as the rule writes it, modifiers included; empty for keywords.
    pub key: String,
    /// What the rule asks for, as it writes it: the first twenty values.
    pub wanted: Vec<String>,
    /// How many values it asks for.
    pub wanted_total: usize,
    /// What the record has under the field: the first twenty values. Empty: the field is missing. Of keywords: what
    /// matched.
    pub found: Vec<FoundValue>,
    /// What matched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matched: Option<FieldMatch>,
}

/// A value of the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FoundValue {
    /// The record's own field name.
    pub field: String,
    /// Its value, cut to 1,024 bytes; `null` when it is null.
    pub value: Option<String>,
}

impl Program {
    /// The fields that a rule's match rests on.
    pub(super) fn explain(&self, rule: RuleIndex, record: &Record) -> Vec<FieldMatch> {
        let Some(walk) = self.walk(rule, record) else { return Vec::new() };
        let mut matches = Vec::new();
        if walk.holds(&walk.body.detection.condition) {
            walk.collect(&walk.body.detection.condition, &mut matches);
        }
        matches
    }

    /// See [`crate::Engine::trace`].
    pub(super) fn trace(&self, rule: RuleIndex, record: &Record, wants: &str) -> Option<Explanation> {
        let walk = self.walk(rule, record)?;
        let source = self.logsources.get(walk.body.logsource as usize)?;
        let is_routed = source.routes.iter().any(|route| walk.routes.contains(route));
        let names = walk.routes.iter().filter_map(|route| self.route_names.get(*route));
        let mut record_is: Vec<String> = names.filter(|name| !name.is_empty()).cloned().collect();
        record_is.sort();
        record_is.dedup();
        let routing = Routing {
            is_routed,
            rule_wants: wants.to_owned(),
            record_is,
            format: record.format.name().to_owned(),
            product: record.product.id.clone(),
        };
        let condition = walk.trace(&walk.body.detection.condition);
        let fires = is_routed && condition.holds;
        let mut matches = Vec::new();
        if fires {
            walk.collect(&walk.body.detection.condition, &mut matches);
        }
        Some(Explanation { fires, routing, condition, matches })
    }

    /// See [`crate::Engine::texts`].
    pub(super) fn texts(&self, columns: &[u32], record: &Record) -> Option<Vec<String>> {
        // Most fields have one name in a format, whatever the route.
        let routes = LazyCell::new(|| self.active_routes(record));
        let first = |column: &u32| {
            let mapping = self.mappings.get(*column as usize)?;
            let values = mapping.values(record, &|route| routes.contains(&route));
            let value = values.into_iter().find(|(_, value)| *value != Value::Null)?.1;
            Some(text_of(value))
        };
        columns.iter().map(first).collect()
    }

    fn walk<'p, 'r>(&'p self, rule: RuleIndex, record: &'r Record) -> Option<Walk<'p, 'r>> {
        let body = self.rules.get(rule.0 as usize)?;
        let mut proofs = Vec::new();
        proofs.resize_with(body.detection.items.len(), OnceCell::new);
        Some(Walk { program: self, record, body, routes: self.active_routes(record), proofs })
    }

    fn active_routes(&self, record: &Record) -> BTreeSet<RouteId> {
        let mut routes = BTreeSet::new();
        self.router.route(record, &mut String::new(), |route| _ = routes.insert(route));
        routes
    }
}

struct Walk<'p, 'r> {
    program: &'p Program,
    record: &'r Record,
    body: &'p Body,
    routes: BTreeSet<RouteId>,
    /// By item, once it has been asked for: conditions are walked more than once.
    proofs: Vec<OnceCell<Option<Proof<'p, 'r>>>>,
}

impl<'p, 'r> Walk<'p, 'r> {
    fn holds(&self, expr: &Expr) -> bool {
        match expr {
            Expr::And(parts) => parts.iter().all(|part| self.holds(part)),
            Expr::Or(parts) => parts.iter().any(|part| self.holds(part)),
            Expr::Not(part) => !self.holds(part),
            Expr::Item(item) => self.find(*item).is_some(),
        }
    }

    /// Adds the items that make a true expression true.
    fn collect(&self, expr: &Expr, matches: &mut Vec<FieldMatch>) {
        match expr {
            Expr::And(parts) => parts.iter().for_each(|part| self.collect(part, matches)),
            Expr::Or(parts) => {
                parts.iter().filter(|part| self.holds(part)).for_each(|part| self.collect(part, matches));
            }
            Expr::Not(_) => {}
            Expr::Item(index) => {
                let Some(found) = self.find(*index) else { return };
                let found = found.to_match();
                if matches.len() < MAX_MATCHES && !matches.contains(&found) {
                    matches.push(found);
                }
            }
        }
    }

    fn trace(&self, expr: &Expr) -> ConditionTrace {
        let node = |logic, holds, parts: Vec<ConditionTrace>| {
            let first = parts.first().and_then(|part| part.selection.clone());
            let selection = first.filter(|name| parts.iter().all(|p| p.selection.as_ref() == Some(name)));
            ConditionTrace { logic, holds, selection, parts, item: None }
        };
        match expr {
            Expr::And(parts) => {
                let parts: Vec<_> = parts.iter().map(|part| self.trace(part)).collect();
                node(Logic::And, parts.iter().all(|part| part.holds), parts)
            }
            Expr::Or(parts) => {
                let parts: Vec<_> = parts.iter().map(|part| self.trace(part)).collect();
                node(Logic::Or, parts.iter().any(|part| part.holds), parts)
            }
            Expr::Not(part) => {
                let part = self.trace(part);
                node(Logic::Not, !part.holds, vec![part])
            }
            Expr::Item(index) => self.trace_item(*index),
        }
    }

    fn trace_item(&self, index: usize) -> ConditionTrace {
        let matched = self.find(index).map(|found| found.to_match());
        let item = self.body.detection.items.get(index);
        let found = match item.is_some_and(|item| item.field.is_some()) {
            true => {
                let values = self.values(self.body.columns.get(index).copied(), true);
                values.iter().take(MAX_LISTED).map(Found::shown).collect()
            }
            false => Vec::new(),
        };
        let item = item.map(|item| ItemTrace {
            key: item.key.to_string(),
            wanted: item.tests.iter().take(MAX_LISTED).map(|written| written.value.to_string()).collect(),
            wanted_total: item.tests.len(),
            found,
            matched: matched.clone(),
        });
        let selection = self.body.detection.items.get(index).map(|item| item.selection.to_string());
        ConditionTrace { logic: Logic::Item, holds: matched.is_some(), selection, parts: Vec::new(), item }
    }

    /// The first test of an item that holds, and for which value.
    fn find(&self, index: usize) -> Option<&Proof<'p, 'r>> {
        self.proofs.get(index)?.get_or_init(|| self.prove(index)).as_ref()
    }

    fn prove(&self, index: usize) -> Option<Proof<'p, 'r>> {
        let item = self.body.detection.items.get(index)?;
        let values = self.values(self.body.columns.get(index).copied(), item.field.is_some());
        item.tests.iter().find_map(|written| {
            let others = match &written.test {
                Test::SameAs { field, .. } => self.others(field),
                _ => Vec::new(),
            };
            let is_match = |found: &&Found<'r>| {
                test::holds(&written.test, found.subject(), others.iter().map(Found::subject))
            };
            let found = values.iter().find(is_match)?.clone();
            let same = others
                .into_iter()
                .find(|other| test::holds(&written.test, found.subject(), std::iter::once(other.subject())));
            Some(Proof { item, written, found, same })
        })
    }

    fn values(&self, column: Option<u32>, named: bool) -> Vec<Found<'r>> {
        if named {
            let mapping = column.and_then(|column| self.program.mappings.get(column as usize));
            let values =
                mapping.map(|mapping| mapping.values(self.record, &|route| self.routes.contains(&route)));
            return values
                .into_iter()
                .flatten()
                .map(|(path, value)| Found::new(path.name(), value))
                .collect();
        }
        if self.record.format == Format::Syslog
            && let Ok(line) = std::str::from_utf8(&self.record.raw)
        {
            return vec![Found::new("", Value::Str(line))];
        }
        self.record.fields.iter_named().map(|(_, value)| Found::new("", value)).collect()
    }

    /// The values of the field that another one is compared with.
    fn others(&self, field: &str) -> Vec<Found<'r>> {
        let column = self.body.compared.iter().find(|(name, _)| &**name == field).map(|(_, column)| *column);
        self.values(column, true)
    }
}

/// A test that holds, with the value for which it does.
struct Proof<'p, 'r> {
    item: &'p Item,
    written: &'p Written,
    found: Found<'r>,
    /// The value that a [`Test::SameAs`] compares with.
    same: Option<Found<'r>>,
}

impl Proof<'_, '_> {
    fn to_match(&self) -> FieldMatch {
        let text = self.found.text();
        let range = self.locate(text);
        let (value, value_from) = excerpt(text, range.as_ref());
        FieldMatch {
            field: self.found.name.to_owned(),
            value,
            pattern: pattern(self.item, self.written),
            selection: self.item.selection.to_string(),
            span: range.map(|range| span(text, range)),
            value_from,
        }
    }

    /// Which part of the value the test asks for.
    fn locate(&self, text: &str) -> Option<Range<usize>> {
        let folded = &self.found.folded;
        match &self.written.test {
            Test::Text { pattern, cased: true } => pattern.locate(text),
            Test::Text { pattern, cased: false } => pattern.locate(folded).map(|range| unfold(text, range)),
            Test::Regex(regex) => regex.find(text),
            Test::Cidr(_) | Test::Number { .. } | Test::Time { .. } => Some(0..text.len()),
            Test::SameAs { before, after, .. } => {
                let other = self.same.as_ref()?;
                let start = match (before, after) {
                    (true, true) => folded.find(other.folded.as_str())?,
                    (true, false) => folded.len().checked_sub(other.folded.len())?,
                    _ => 0,
                };
                Some(unfold(text, start..start + other.folded.len()))
            }
            Test::Present | Test::NotNull => None,
        }
    }
}

/// The part of a text that a part of its folded form stands for.
fn unfold(text: &str, folded: Range<usize>) -> Range<usize> {
    if text.is_ascii() {
        return folded;
    }
    let mut at = 0;
    let (mut start, mut end) = (text.len(), text.len());
    for (offset, c) in text.char_indices() {
        if at >= folded.end {
            end = offset;
            break;
        }
        let next = at + fold(c.encode_utf8(&mut [0; 4])).len();
        if start == text.len() && next > folded.start {
            start = offset;
        }
        at = next;
    }
    start.min(end)..end
}

fn span(text: &str, range: Range<usize>) -> Span {
    let chars = |end: usize| text.get(..end).map_or(0, |before| before.chars().count() as u64);
    Span {
        start: range.start as u64,
        end: range.end as u64,
        char_start: chars(range.start),
        char_end: chars(range.end),
    }
}

/// A value under its name, and its folded text.
#[derive(Clone, Debug)]
struct Found<'r> {
    name: &'r str,
    value: Value<'r>,
    folded: String,
}

impl<'r> Found<'r> {
    fn new(name: &'r str, value: Value<'r>) -> Self {
        let mut folded = String::new();
        append_folded(value, &mut folded);
        Self { name, value, folded }
    }

    fn subject(&self) -> Subject<'_> {
        Subject { value: self.value, folded: &self.folded }
    }

    fn text(&self) -> &str {
        self.subject().text()
    }

    fn shown(&self) -> FoundValue {
        let value = (self.value != Value::Null).then(|| excerpt(self.text(), None).0);
        FoundValue { field: self.name.to_owned(), value }
    }
}

fn text_of(value: Value<'_>) -> String {
    Found::new("", value).text().to_owned()
}

/// What the rule asked, as it writes it.
fn pattern(item: &Item, written: &Written) -> String {
    if item.key.is_empty() { written.value.to_string() } else { format!("{}: {}", item.key, written.value) }
}

/// As much of a text as is shown, around what matched, and how many bytes stand before it.
fn excerpt(text: &str, matched: Option<&Range<usize>>) -> (String, u64) {
    let from = match matched {
        Some(range) if range.end > MAX_VALUE_BYTES => {
            text.floor_char_boundary(range.start.saturating_sub(CONTEXT_BYTES))
        }
        _ => 0,
    };
    let to = text.floor_char_boundary(from.saturating_add(MAX_VALUE_BYTES));
    (text.get(from..to).unwrap_or_default().to_owned(), from as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_the_folded_text_is_found_in_the_text_as_written() {
        // `İ` folds to three bytes where it has two.
        let text = "aİbC中D";
        let folded = fold(text);
        for part in ["a", "b", "bc", "c中", "d"] {
            let at = folded.find(part).unwrap();
            let range = unfold(text, at..at + part.len());
            assert_eq!(fold(text.get(range).unwrap()), part);
        }
    }

    #[test]
    fn long_values_are_cut_around_what_matched() {
        let text = format!("{}needle{}", "中".repeat(2_000), "x".repeat(5_000));
        let at = text.find("needle").unwrap();
        let (value, from) = excerpt(&text, Some(&(at..at + 6)));
        assert!(value.len() <= MAX_VALUE_BYTES && value.contains("needle"));
        assert_eq!(text.get(from as usize..from as usize + value.len()), Some(value.as_str()));
        assert_eq!(excerpt("short", Some(&(0..5))), ("short".to_owned(), 0));
    }
}

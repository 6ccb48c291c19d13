//! Why a rule matches: the expression is walked again over one record, this time with names.

use std::collections::BTreeSet;

use wanglou_model::{FieldMatch, Format, Record, Value};

use super::RuleIndex;
use super::mapping::RouteId;
use super::program::{Body, Program};
use super::router::append_folded;
use super::test::{self, Subject};
use crate::sigma::{Expr, Item, Test, Written};

/// Matches of one finding; more prove nothing more.
const MAX_MATCHES: usize = 64;
/// Bytes of a value that are shown.
const MAX_VALUE_BYTES: usize = 1_024;

impl Program {
    /// The fields that a rule's match rests on.
    pub(super) fn explain(&self, rule: RuleIndex, record: &Record) -> Vec<FieldMatch> {
        let Some(body) = self.rules.get(rule.0 as usize) else { return Vec::new() };
        let walk = Walk { program: self, record, body, routes: self.active_routes(record) };
        let mut matches = Vec::new();
        if walk.holds(&body.detection.condition) {
            walk.collect(&body.detection.condition, &mut matches);
        }
        matches
    }

    /// See [`crate::Engine::texts`].
    pub(super) fn texts(&self, columns: &[u32], record: &Record) -> Option<Vec<String>> {
        let routes = self.active_routes(record);
        let first = |column: &u32| {
            let mapping = self.mappings.get(*column as usize)?;
            let values = mapping.values(record, &|route| routes.contains(&route));
            let value = values.into_iter().find(|(_, value)| *value != Value::Null)?.1;
            Some(text_of(value))
        };
        columns.iter().map(first).collect()
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
}

impl<'r> Walk<'_, 'r> {
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
                let Some((item, written, name, value)) = self.find(*index) else { return };
                let found = FieldMatch {
                    field: name.to_owned(),
                    value: clip(&value),
                    pattern: pattern(item, written),
                    selection: item.selection.to_string(),
                };
                if matches.len() < MAX_MATCHES && !matches.contains(&found) {
                    matches.push(found);
                }
            }
        }
    }

    /// The first test of an item that holds, and for which value.
    fn find(&self, index: usize) -> Option<(&Item, &Written, &'r str, String)> {
        let item = self.body.detection.items.get(index)?;
        let values = self.values(self.body.columns.get(index).copied(), item.field.is_some());
        item.tests.iter().find_map(|written| {
            let others = match &written.test {
                Test::SameAs { field, .. } => self.others(field),
                _ => Vec::new(),
            };
            let (name, value, _) = values
                .iter()
                .find(|found| test::holds(&written.test, subject(found), others.iter().map(subject)))?;
            Some((item, written, *name, text_of(*value)))
        })
    }

    fn values(&self, column: Option<u32>, named: bool) -> Vec<Found<'r>> {
        if named {
            let mapping = column.and_then(|column| self.program.mappings.get(column as usize));
            let values =
                mapping.map(|mapping| mapping.values(self.record, &|route| self.routes.contains(&route)));
            return values.into_iter().flatten().map(|(path, value)| found(path.name(), value)).collect();
        }
        if self.record.format == Format::Syslog
            && let Ok(line) = std::str::from_utf8(&self.record.raw)
        {
            return vec![found("", Value::Str(line))];
        }
        self.record.fields.iter_named().map(|(_, value)| found("", value)).collect()
    }

    /// The values of the field that another one is compared with.
    fn others(&self, field: &str) -> Vec<Found<'r>> {
        let column = self.body.compared.iter().find(|(name, _)| &**name == field).map(|(_, column)| *column);
        self.values(column, true)
    }
}

/// A value under its name, and its folded text.
type Found<'r> = (&'r str, Value<'r>, String);

fn found<'r>(name: &'r str, value: Value<'r>) -> Found<'r> {
    let mut folded = String::new();
    append_folded(value, &mut folded);
    (name, value, folded)
}

fn subject<'f>(found: &'f Found<'_>) -> Subject<'f> {
    Subject { value: found.1, folded: &found.2 }
}

fn text_of(value: Value<'_>) -> String {
    let (_, value, folded) = &found("", value);
    Subject { value: *value, folded }.text().to_owned()
}

/// What the rule asked, as it writes it.
fn pattern(item: &Item, written: &Written) -> String {
    if item.key.is_empty() { written.value.to_string() } else { format!("{}: {}", item.key, written.value) }
}

fn clip(text: &str) -> String {
    text.get(..text.floor_char_boundary(MAX_VALUE_BYTES)).unwrap_or(text).to_owned()
}

//! Selections: from YAML to items and expressions.

use std::sync::Arc;

use super::condition::{self, Selection};
use super::expectation::{self, Alternative};
use super::header::texts;
use super::modifier;
use super::{About, Detection, Expr, Filter, Header, Item, Logsource, Placeholders, Rule, Written};
use crate::diagnostic::{self, Rejected, Reporter};
use crate::yaml::{Key, Mark, Node, Yaml};

/// Items of one rule, spellings expanded; the largest public rule has some 700 values.
const MAX_TESTS: usize = 50_000;

pub(super) fn read_rule(
    header: Header,
    root: &Node,
    placeholders: &dyn Placeholders,
    reporter: &mut Reporter<'_>,
) -> Result<Rule, Rejected> {
    let logsource = logsource(root, reporter);
    let Some(node) = root.get("detection") else {
        return Err(reporter.report(&diagnostic::MISSING, root.mark, "the rule has no `detection`"));
    };
    let none = Logsource::default();
    let about = About { header: &header, logsource: logsource.as_ref().unwrap_or(&none) };
    let detection = read(node, &[], &|field, name| placeholders.values(about, field, name), reporter);
    Ok(Rule { header, logsource: logsource?, detection: detection? })
}

pub(super) fn read_filter(
    header: Header,
    root: &Node,
    placeholders: &dyn Placeholders,
    reporter: &mut Reporter<'_>,
) -> Result<Filter, Rejected> {
    let logsource = logsource(root, reporter)?;
    let Some(node) = root.get("filter") else {
        return Err(reporter.report(&diagnostic::MISSING, root.mark, "the document has no `filter`"));
    };
    let rules = filtered_rules(node, reporter)?;
    let about = About { header: &header, logsource: &logsource };
    let expand: Expand<'_> = &|field, name| placeholders.values(about, field, name);
    let detection = read(node, &["rules"], expand, reporter)?;
    Ok(Filter { header, logsource, rules, detection })
}

/// The rules that a filter names; none when it says `any`. A filter that names none by mistake must not restrict all.
fn filtered_rules(filter: &Node, reporter: &mut Reporter<'_>) -> Result<Vec<(String, Mark)>, Rejected> {
    let Some(named) = filter.get("rules") else {
        let message = "the filter has no `rules`: a list of ids or names, or `any`";
        return Err(reporter.report(&diagnostic::MISSING, filter.mark, message));
    };
    if named.text().is_some_and(|text| text.eq_ignore_ascii_case("any")) {
        return Ok(Vec::new());
    }
    let rules: Vec<(String, Mark)> = match &named.value {
        Yaml::List(items) => {
            items.iter().filter_map(|item| Some((item.text()?.to_owned(), item.mark))).collect()
        }
        _ => texts(Some(named)).into_iter().map(|id| (id, named.mark)).collect(),
    };
    if rules.is_empty() {
        let message = "`rules` names no rule; write a list of ids or names, or `any`";
        return Err(reporter.report(&diagnostic::EMPTY, named.mark, message));
    }
    Ok(rules)
}

fn logsource(root: &Node, reporter: &mut Reporter<'_>) -> Result<Logsource, Rejected> {
    let Some(node) = root.get("logsource") else {
        return Err(reporter.report(&diagnostic::MISSING, root.mark, "the rule has no `logsource`"));
    };
    if node.as_map().is_none() {
        return Err(reporter.report(&diagnostic::WRONG_TYPE, node.mark, "`logsource` must be a map"));
    }
    // A part that cannot be read must not widen the rule to all that the others mean.
    for key in ["product", "category", "service"] {
        if let Some(part) = node.get(key).filter(|part| part.as_scalar().is_none()) {
            let message = format!("`{key}` must be text");
            return Err(reporter.report(&diagnostic::WRONG_TYPE, part.mark, message));
        }
    }
    let part = |key: &str| node.get(key).and_then(Node::text).map(str::to_lowercase);
    let logsource =
        Logsource { product: part("product"), category: part("category"), service: part("service") };
    if logsource == Logsource::default() {
        let message = "`logsource` names neither product nor category nor service";
        return Err(reporter.report(&diagnostic::MISSING, node.mark, message));
    }
    Ok(logsource)
}

/// Reads a `detection` (or `filter`) map; `others` are keys of it that are no selections.
fn read(
    node: &Node,
    others: &[&str],
    expand: Expand<'_>,
    reporter: &mut Reporter<'_>,
) -> Result<Detection, Rejected> {
    let Some(entries) = node.as_map() else {
        return Err(reporter.report(
            &diagnostic::WRONG_TYPE,
            node.mark,
            "this must be a map of selections and a condition",
        ));
    };
    let Some(condition) = node.get("condition") else {
        return Err(reporter.report(&diagnostic::MISSING, node.mark, "there is no `condition`"));
    };
    let mut builder = Builder { reporter, expand, items: Vec::new(), tests: 0 };
    let mut selections = Vec::new();
    let mut rejected = None;
    for (key, value) in entries {
        if key.text == "condition" || key.text == "timeframe" || others.contains(&key.text.as_str()) {
            continue;
        }
        match builder.selection(key, value) {
            Ok(expr) => selections.push(Selection { name: key.text.as_str().into(), mark: key.mark, expr }),
            Err(error) => rejected = Some(error),
        }
    }
    let items = builder.items;
    if let Some(rejected) = rejected {
        return Err(rejected);
    }
    let condition = condition::read(condition, &selections, reporter)?;
    Ok(Detection { items, condition })
}

/// Reads a map of fields as one selection, without placeholders: what pipelines add to rules.
pub(crate) fn read_selection(
    name: &str,
    node: &Node,
    reporter: &mut Reporter<'_>,
) -> Result<Detection, Rejected> {
    let mut builder = Builder { reporter, expand: &|_, _| None, items: Vec::new(), tests: 0 };
    let key = Key { text: name.to_owned(), mark: node.mark };
    let condition = builder.selection(&key, node)?;
    Ok(Detection { items: builder.items, condition })
}

/// The values of a placeholder in a field.
pub(super) type Expand<'e> = &'e dyn Fn(&str, &str) -> Option<Vec<String>>;

struct Builder<'r, 'a> {
    reporter: &'r mut Reporter<'a>,
    expand: Expand<'r>,
    items: Vec<Item>,
    tests: usize,
}

impl Builder<'_, '_> {
    fn selection(&mut self, key: &Key, value: &Node) -> Result<Expr, Rejected> {
        let name: Arc<str> = key.text.as_str().into();
        match &value.value {
            Yaml::Map(entries) => self.map(&name, entries, value),
            Yaml::List(elements) if elements.is_empty() => Err(self.reporter.report(
                &diagnostic::EMPTY,
                value.mark,
                format!("selection `{name}` is empty"),
            )),
            Yaml::List(elements) => {
                let mut branches = Vec::new();
                let mut keywords = Vec::new();
                for element in elements {
                    match &element.value {
                        Yaml::Map(entries) => branches.push(self.map(&name, entries, element)?),
                        Yaml::Scalar(_) => keywords.push(element),
                        Yaml::List(_) => {
                            let message = "a selection's list holds maps or keywords, not lists";
                            return Err(self.reporter.report(&diagnostic::WRONG_TYPE, element.mark, message));
                        }
                    }
                }
                if !keywords.is_empty() {
                    branches.push(self.entry(&name, &keyword_key(value), &keywords)?);
                }
                Ok(one_or(branches, Expr::Or))
            }
            Yaml::Scalar(_) => self.entry(&name, &keyword_key(value), &[value]),
        }
    }

    fn map(&mut self, name: &Arc<str>, entries: &[(Key, Node)], node: &Node) -> Result<Expr, Rejected> {
        if entries.is_empty() {
            return Err(self.reporter.report(
                &diagnostic::EMPTY,
                node.mark,
                format!("selection `{name}` is empty"),
            ));
        }
        let mut parts = Vec::new();
        let mut rejected = None;
        for (key, value) in entries {
            let values: Vec<&Node> = match &value.value {
                Yaml::List(elements) => elements.iter().collect(),
                _ => vec![value],
            };
            if values.is_empty() {
                let message = format!("`{}` has no value", key.text);
                rejected = Some(self.reporter.report(&diagnostic::EMPTY, value.mark, message));
                continue;
            }
            match self.entry(name, key, &values) {
                Ok(expr) => parts.push(expr),
                Err(error) => rejected = Some(error),
            }
        }
        rejected.map_or_else(|| Ok(one_or(parts, Expr::And)), Err)
    }

    /// One key and its values.
    fn entry(&mut self, selection: &Arc<str>, key: &Key, values: &[&Node]) -> Result<Expr, Rejected> {
        let modified = modifier::read(key, self.reporter)?;
        if modified.all && values.len() < 2 {
            self.reporter.report(&diagnostic::SINGLE_ALL, key.mark, "`all` with a single value");
        }
        let mut alternatives = Vec::new();
        let mut rejected = None;
        for value in values {
            match expectation::read(&modified, value, self.expand, self.reporter) {
                Ok(alternative) => alternatives.push(alternative),
                Err(error) => rejected = Some(error),
            }
        }
        if let Some(rejected) = rejected {
            return Err(rejected);
        }
        self.tests += alternatives.iter().map(Alternative::len).sum::<usize>();
        if self.tests > MAX_TESTS {
            let message = format!("the rule has more than {MAX_TESTS} values");
            return Err(self.reporter.report(&diagnostic::LIMIT, key.mark, message));
        }
        let place = Place { selection, key: key.text.as_str().into(), mark: key.mark, field: modified.field };
        let expr = if modified.all {
            let all =
                alternatives.into_iter().map(|alternative| self.any(&place, vec![alternative])).collect();
            one_or(all, Expr::And)
        } else {
            self.any(&place, alternatives)
        };
        Ok(if modified.negated { Expr::Not(Box::new(expr)) } else { expr })
    }

    /// One of the alternatives holds: the tests join in one item; a field that must be absent is a negation.
    fn any(&mut self, place: &Place<'_>, alternatives: Vec<Alternative>) -> Expr {
        let mut tests = Vec::new();
        let mut absences = Vec::new();
        for alternative in alternatives {
            match alternative {
                Alternative::Tests(more) => tests.extend(more),
                Alternative::Not(test) => absences.push(test),
            }
        }
        let mut branches = Vec::new();
        if !tests.is_empty() {
            branches.push(self.item(place, tests));
        }
        for absence in absences {
            let item = self.item(place, vec![absence]);
            branches.push(Expr::Not(Box::new(item)));
        }
        one_or(branches, Expr::Or)
    }

    fn item(&mut self, place: &Place<'_>, tests: Vec<Written>) -> Expr {
        self.items.push(Item {
            selection: Arc::clone(place.selection),
            field: (!place.field.is_empty()).then(|| place.field.into()),
            key: Arc::clone(&place.key),
            mark: place.mark,
            tests,
        });
        Expr::Item(self.items.len() - 1)
    }
}

/// Where an item belongs.
struct Place<'a> {
    selection: &'a Arc<str>,
    key: Arc<str>,
    mark: Mark,
    field: &'a str,
}

fn keyword_key(node: &Node) -> Key {
    Key { text: String::new(), mark: node.mark }
}

/// The only expression, or all of them joined.
pub(super) fn one_or(mut parts: Vec<Expr>, join: fn(Vec<Expr>) -> Expr) -> Expr {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            join(parts)
        }
        None => join(parts),
    }
}

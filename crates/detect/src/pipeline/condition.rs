//! The conditions of pipelines.

use std::collections::{BTreeMap, BTreeSet};

use regex_automata::meta::Regex;

use super::values::{plain_text, written_text};
use crate::sigma::{About, Detection, Header, Item, Logsource, Number, Piece, Test};

/// What rule conditions look at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts<'r> {
    pub(super) header: &'r Header,
    pub(super) logsource: &'r Logsource,
    /// Empty while placeholders are replaced: conditions on it are refused there.
    pub(super) detection: Option<&'r Detection>,
    pub(super) applied: Option<&'r BTreeSet<String>>,
    pub(super) state: &'r BTreeMap<String, String>,
}

impl<'r> Facts<'r> {
    pub(super) fn of(about: About<'r>, state: &'r BTreeMap<String, String>) -> Self {
        Self { header: about.header, logsource: about.logsource, detection: None, applied: None, state }
    }
}

/// A condition on the rule.
#[derive(Debug)]
pub(super) enum RuleCondition {
    Logsource(Logsource),
    ContainsField(String),
    ContainsItem {
        field: String,
        value: String,
    },
    Applied(String),
    State {
        key: String,
        value: String,
    },
    /// Pipelines change detection rules; correlations name their results.
    IsRule(bool),
    Attribute {
        name: String,
        value: String,
        operator: Operator,
    },
    Tag(String),
}

/// How an attribute compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    GreaterOrEqual,
    Greater,
    LessOrEqual,
    Less,
    In,
    NotIn,
}

impl RuleCondition {
    /// Whether the condition can be answered before the detection is read.
    pub(super) fn is_about_the_head(&self) -> bool {
        matches!(self, Self::Logsource(_) | Self::IsRule(_) | Self::Attribute { .. } | Self::Tag(_))
    }

    pub(super) fn holds(&self, facts: &Facts<'_>) -> bool {
        let items = facts.detection.map(|detection| detection.items.as_slice()).unwrap_or_default();
        match self {
            Self::Logsource(wanted) => crate::taxonomy::covers(wanted, facts.logsource),
            Self::ContainsField(field) => items.iter().any(|item| item.field.as_deref() == Some(field)),
            Self::ContainsItem { field, value } => items.iter().any(|item| {
                item.field.as_deref() == Some(field)
                    && item.tests.iter().any(|written| plain_text(&written.test).as_ref() == Some(value))
            }),
            Self::Applied(id) => facts.applied.is_some_and(|applied| applied.contains(id)),
            Self::State { key, value } => facts.state.get(key) == Some(value),
            Self::IsRule(is_rule) => *is_rule,
            Self::Tag(tag) => facts.header.info.tags.contains(tag),
            Self::Attribute { name, value, operator } => {
                attribute(facts, name).is_some_and(|found| operator.holds(&found, value))
            }
        }
    }
}

/// A rule's attribute as texts; several when it is a list.
fn attribute(facts: &Facts<'_>, name: &str) -> Option<Vec<String>> {
    let info = &facts.header.info;
    let one = |text: &str| (!text.is_empty()).then(|| vec![text.to_owned()]);
    match name {
        "id" => one(&info.id),
        "name" => facts.header.name.as_deref().and_then(one),
        "title" => one(&info.title),
        "description" => one(&info.description),
        "author" => one(&info.author),
        "status" => one(&info.status),
        "level" => Some(vec![info.severity.to_string()]),
        "tags" => Some(info.tags.clone()),
        "references" => Some(info.references.clone()),
        "falsepositives" => Some(info.falsepositives.clone()),
        other => facts.state.get(&format!("attribute.{other}")).map(|value| vec![value.clone()]),
    }
}

/// Levels and statuses are ordered; the position in this list is their number.
const ORDERED: [&[&str]; 2] = [
    &["informational", "low", "medium", "high", "critical"],
    &["unsupported", "deprecated", "experimental", "test", "stable"],
];

impl Operator {
    fn holds(self, found: &[String], value: &str) -> bool {
        let [only] = found else {
            let is_in = found.iter().any(|item| item == value);
            return match self {
                Self::In => is_in,
                Self::NotIn => !is_in,
                Self::NotEqual => true,
                _ => false,
            };
        };
        let rank = |text: &str| ORDERED.iter().find_map(|list| list.iter().position(|item| *item == text));
        let ordering = match (rank(only), rank(value)) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => match (Number::parse(only), Number::parse(value)) {
                (Some(a), Some(b)) => a.compare(b),
                _ => only.as_str().cmp(value),
            },
        };
        match self {
            Self::Equal | Self::In => ordering.is_eq(),
            Self::NotEqual | Self::NotIn => ordering.is_ne(),
            Self::GreaterOrEqual => ordering.is_ge(),
            Self::Greater => ordering.is_gt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Less => ordering.is_lt(),
        }
    }
}

/// A condition on one entry of a selection: a field and its values.
#[derive(Debug)]
pub(super) enum ItemCondition {
    MatchString { regex: Regex, negated: bool, all: bool },
    MatchValue { value: String, all: bool },
    ContainsWildcard { all: bool },
    IsNull { all: bool },
    Applied(String),
    State { key: String, value: String },
}

impl ItemCondition {
    pub(super) fn holds(&self, items: &[&Item], applied: &BTreeSet<String>, facts: &Facts<'_>) -> bool {
        let values = || items.iter().flat_map(|item| &item.tests);
        let joined = |all: bool, test: &dyn Fn(&crate::sigma::Written) -> bool| {
            if all { values().all(test) } else { values().any(test) }
        };
        match self {
            Self::MatchString { regex, negated, all } => joined(*all, &|written| {
                written_text(&written.test).is_some_and(|text| regex.is_match(&text)) != *negated
            }),
            Self::MatchValue { value, all } => {
                joined(*all, &|written| plain_text(&written.test).as_ref() == Some(value))
            }
            Self::ContainsWildcard { all } => joined(*all, &|written| match &written.test {
                Test::Text { pattern, .. } => {
                    pattern.pieces().iter().any(|piece| !matches!(piece, Piece::Literal(_)))
                }
                Test::NotNull => &*written.value != "null",
                _ => false,
            }),
            Self::IsNull { all } => {
                joined(*all, &|written| written.test == Test::NotNull && &*written.value == "null")
            }
            Self::Applied(id) => applied.contains(id),
            Self::State { key, value } => facts.state.get(key) == Some(value),
        }
    }
}

/// A condition on a field's name.
#[derive(Debug)]
pub(super) enum FieldCondition {
    Include(Fields),
    Exclude(Fields),
    /// Like those on items: one entry has one field.
    Applied(String),
    State {
        key: String,
        value: String,
    },
}

/// Names of fields.
#[derive(Debug)]
pub(super) enum Fields {
    Plain(Vec<String>),
    /// Matched from the beginning of the name.
    Regexes(Vec<Regex>),
}

impl Fields {
    fn contains(&self, field: Option<&str>) -> bool {
        field.is_some_and(|field| match self {
            Self::Plain(names) => names.iter().any(|name| name == field),
            Self::Regexes(regexes) => regexes.iter().any(|regex| regex.is_match(field)),
        })
    }
}

impl FieldCondition {
    pub(super) fn holds(&self, field: Option<&str>, facts: &Facts<'_>) -> bool {
        match self {
            Self::Include(fields) => fields.contains(field),
            Self::Exclude(fields) => !fields.contains(field),
            Self::Applied(id) => facts.applied.is_some_and(|applied| applied.contains(id)),
            Self::State { key, value } => facts.state.get(key) == Some(value),
        }
    }
}

//! What pipelines consist of, once read.

use std::collections::BTreeMap;

use regex_automata::meta::Regex;

use super::condition::{FieldCondition, ItemCondition, RuleCondition};
use crate::sigma::{Detection, Expr, Logsource};

/// A pipeline.
#[derive(Debug)]
pub(super) struct Pipeline {
    /// Lower ones run first.
    pub(super) priority: i64,
    pub(super) vars: BTreeMap<String, Vec<String>>,
    pub(super) steps: Vec<Step>,
}

/// One transformation and when it applies.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) id: Option<String>,
    pub(super) does: Transformation,
    pub(super) rule: Gate<RuleCondition>,
    pub(super) items: Gate<ItemCondition>,
    pub(super) fields: Gate<FieldCondition>,
}

/// Conditions and how they join.
#[derive(Debug)]
pub(super) struct Gate<C> {
    pub(super) conditions: Vec<C>,
    pub(super) join: Join,
    pub(super) negated: bool,
}

/// How conditions join.
#[derive(Debug)]
pub(super) enum Join {
    All,
    Any,
    /// An expression over the conditions, by their index.
    Expression(Expr),
}

impl<C> Gate<C> {
    /// Whether the gate is open; one without conditions always is.
    pub(super) fn holds(&self, test: impl Fn(&C) -> bool) -> bool {
        if self.conditions.is_empty() {
            return true;
        }
        let joined = match &self.join {
            Join::All => self.conditions.iter().all(test),
            Join::Any => self.conditions.iter().any(test),
            Join::Expression(expr) => evaluate(expr, &|index| self.conditions.get(index).is_some_and(&test)),
        };
        joined != self.negated
    }
}

fn evaluate(expr: &Expr, test: &dyn Fn(usize) -> bool) -> bool {
    match expr {
        Expr::And(parts) => parts.iter().all(|part| evaluate(part, test)),
        Expr::Or(parts) => parts.iter().any(|part| evaluate(part, test)),
        Expr::Not(part) => !evaluate(part, test),
        Expr::Item(index) => test(*index),
    }
}

/// Which placeholders a transformation handles.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) include: Option<Vec<String>>,
    pub(super) exclude: Vec<String>,
}

impl Names {
    pub(super) fn contains(&self, name: &str) -> bool {
        let is_in = |names: &Vec<String>| names.iter().any(|other| other == name);
        self.include.as_ref().is_none_or(is_in) && !is_in(&self.exclude)
    }
}

/// Which letters `case` writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    Lower,
    Upper,
    Snake,
}

/// What is done.
#[derive(Debug)]
pub(super) enum Transformation {
    /// Field → its new names, of which one must match.
    MapFields(BTreeMap<String, Vec<String>>),
    /// Beginning of a field's name → what stands there instead.
    MapPrefixes(BTreeMap<String, Vec<String>>),
    Prefix(String),
    Suffix(String),
    DropItem,
    AddCondition {
        detection: Detection,
        template: bool,
        negated: bool,
    },
    ChangeLogsource(Logsource),
    ReplaceString {
        regex: Regex,
        replacement: String,
        skip_special: bool,
    },
    MapString(BTreeMap<String, Vec<String>>),
    SetValue(String),
    /// String to case-sensitive expression; the other methods of `regex` change nothing in what matches.
    CaseSensitive,
    Case(Case),
    SplitHashes {
        algorithms: Vec<String>,
        prefix: String,
        drop_algorithm: bool,
        fields: Vec<String>,
    },
    ValuePlaceholders(Names),
    WildcardPlaceholders(Names),
    SetState {
        key: String,
        value: String,
    },
    SetAttribute {
        key: String,
        value: String,
    },
    RefuseRule(String),
    RefuseItem(String),
    Nest(Vec<Step>),
    /// What changes only how results of queries are shown, or a value's type, which verdicts do not depend on.
    Nothing,
}

//! Correlation rules: how often, or with how many values, other rules match within a time span.

use rustc_hash::FxHashMap;

use super::header::texts;
use super::{Header, Number};
use crate::diagnostic::{self, Rejected, Reporter};
use crate::yaml::{Mark, Node, Yaml};

/// The longest time span: a month and a day.
const MAX_TIMESPAN_NANOS: i64 = 32 * 86_400 * 1_000_000_000;
/// A higher count could not be held exactly in bounded memory.
const MAX_THRESHOLD: u64 = 1_000_000;

/// A correlation rule of a supported type.
#[derive(Debug)]
pub(crate) struct Correlation {
    pub(crate) header: Header,
    pub(crate) aggregate: Aggregate,
    /// The rules it counts, by id or name.
    pub(crate) rules: Vec<(String, Mark)>,
    pub(crate) group_by: Vec<String>,
    pub(crate) timespan_nanos: i64,
    /// All must hold for the count.
    pub(crate) conditions: Vec<(Comparison, u64)>,
    /// Alias → (rule → field).
    pub(crate) aliases: FxHashMap<String, FxHashMap<String, String>>,
    /// Whether the rules it counts raise findings of their own.
    pub(crate) generate: bool,
}

/// What is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Aggregate {
    /// Events.
    EventCount,
    /// Different values of these fields together.
    ValueCount(Vec<String>),
}

/// How the count compares with a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Less,
    LessOrEqual,
    Equal,
    NotEqual,
    GreaterOrEqual,
    Greater,
}

impl Comparison {
    pub(crate) fn holds(self, count: u64, bound: u64) -> bool {
        match self {
            Self::Less => count < bound,
            Self::LessOrEqual => count <= bound,
            Self::Equal => count == bound,
            Self::NotEqual => count != bound,
            Self::GreaterOrEqual => count >= bound,
            Self::Greater => count > bound,
        }
    }
}

pub(super) fn read(
    header: Header,
    root: &Node,
    reporter: &mut Reporter<'_>,
) -> Result<Correlation, Rejected> {
    let Some(node) = root.get("correlation").filter(|node| node.as_map().is_some()) else {
        return Err(reporter.report(&diagnostic::WRONG_TYPE, header.mark, "`correlation` must be a map"));
    };
    let aggregate = aggregate(node, reporter)?;
    let rules = rules(node, reporter)?;
    let timespan_nanos = timespan(node, reporter)?;
    let conditions = conditions(node, reporter)?;
    let generate =
        [node, root].iter().find_map(|node| node.get("generate")).and_then(Node::text) == Some("true");
    Ok(Correlation {
        header,
        aggregate,
        rules,
        group_by: texts(node.get("group-by")),
        timespan_nanos,
        conditions,
        aliases: aliases(node),
        generate,
    })
}

fn aggregate(node: &Node, reporter: &mut Reporter<'_>) -> Result<Aggregate, Rejected> {
    let Some(kind) = node.get("type") else {
        return Err(reporter.report(
            &diagnostic::BAD_CORRELATION,
            node.mark,
            "the correlation has no `type`",
        ));
    };
    match kind.text().unwrap_or_default() {
        "event_count" => Ok(Aggregate::EventCount),
        "value_count" => {
            let condition = node.get("condition");
            let fields = texts(condition.and_then(|condition| condition.get("field")));
            if fields.is_empty() {
                let mark = condition.map_or(node.mark, |condition| condition.mark);
                let message = "value_count needs the `field` to count, within `condition`";
                return Err(reporter.report(&diagnostic::BAD_CORRELATION, mark, message));
            }
            Ok(Aggregate::ValueCount(fields))
        }
        name @ ("temporal" | "temporal_ordered" | "value_sum" | "value_avg" | "value_percentile") => {
            let message = format!("correlations of type `{name}` are not supported yet");
            Err(reporter.report(&diagnostic::UNSUPPORTED_CORRELATION, kind.mark, message))
        }
        name => {
            let message = format!("`{name}` is no correlation type");
            Err(reporter.report(&diagnostic::BAD_CORRELATION, kind.mark, message))
        }
    }
}

fn rules(node: &Node, reporter: &mut Reporter<'_>) -> Result<Vec<(String, Mark)>, Rejected> {
    let listed = node.get("rules");
    let rules: Vec<(String, Mark)> = match listed.map(|listed| &listed.value) {
        Some(Yaml::List(items)) => {
            items.iter().filter_map(|item| Some((item.text()?.to_owned(), item.mark))).collect()
        }
        Some(Yaml::Scalar(_)) => {
            listed.and_then(|node| Some((node.text()?.to_owned(), node.mark))).into_iter().collect()
        }
        _ => Vec::new(),
    };
    if rules.is_empty() {
        let mark = listed.map_or(node.mark, |listed| listed.mark);
        return Err(reporter.report(&diagnostic::BAD_CORRELATION, mark, "the correlation names no `rules`"));
    }
    Ok(rules)
}

fn timespan(node: &Node, reporter: &mut Reporter<'_>) -> Result<i64, Rejected> {
    let Some(timespan) = node.get("timespan").or_else(|| node.get("timeframe")) else {
        return Err(reporter.report(
            &diagnostic::BAD_CORRELATION,
            node.mark,
            "the correlation has no `timespan`",
        ));
    };
    let text = timespan.text().unwrap_or_default().trim();
    let seconds = match text.chars().next_back() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3_600,
        Some('d') => 86_400,
        _ => 0,
    };
    let digits: &str = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let nanos = digits
        .parse::<i64>()
        .ok()
        .filter(|_| digits.len() + 1 == text.len())
        .and_then(|number| number.checked_mul(seconds * 1_000_000_000))
        .filter(|nanos| (1..=MAX_TIMESPAN_NANOS).contains(nanos));
    nanos.ok_or_else(|| {
        let message = format!("`{text}` is no time span: write a number and s, m, h or d, at most 32d");
        reporter.report(&diagnostic::BAD_CORRELATION, timespan.mark, message)
    })
}

fn conditions(node: &Node, reporter: &mut Reporter<'_>) -> Result<Vec<(Comparison, u64)>, Rejected> {
    let Some(condition) = node.get("condition") else {
        return Err(reporter.report(
            &diagnostic::BAD_CORRELATION,
            node.mark,
            "the correlation has no `condition`",
        ));
    };
    let mut bounds = Vec::new();
    for (key, value) in condition.as_map().unwrap_or_default() {
        let comparison = match key.text.as_str() {
            "field" => continue,
            "lt" => Comparison::Less,
            "lte" => Comparison::LessOrEqual,
            "eq" => Comparison::Equal,
            "neq" => Comparison::NotEqual,
            "gte" => Comparison::GreaterOrEqual,
            "gt" => Comparison::Greater,
            other => {
                let message = format!("`{other}` is no comparison: use gt, gte, lt, lte, eq or neq");
                return Err(reporter.report(&diagnostic::BAD_CORRELATION, key.mark, message));
            }
        };
        let bound = match value.text().and_then(Number::parse) {
            Some(Number::Int(bound)) => u64::try_from(bound).ok().filter(|bound| *bound <= MAX_THRESHOLD),
            _ => None,
        };
        let Some(bound) = bound else {
            let message = format!("a count is compared with a whole number from 0 to {MAX_THRESHOLD}");
            return Err(reporter.report(&diagnostic::BAD_CORRELATION, value.mark, message));
        };
        bounds.push((comparison, bound));
    }
    if bounds.is_empty() {
        let message = "the condition compares the count with nothing";
        return Err(reporter.report(&diagnostic::BAD_CORRELATION, condition.mark, message));
    }
    let first_holds = bounds.iter().all(|(comparison, bound)| comparison.holds(1, *bound));
    if first_holds
        && !bounds.iter().any(|(c, _)| matches!(c, Comparison::Greater | Comparison::GreaterOrEqual))
    {
        let message = "this condition holds from the first event on";
        reporter.report(&diagnostic::TRIVIAL_THRESHOLD, condition.mark, message);
    }
    Ok(bounds)
}

fn aliases(node: &Node) -> FxHashMap<String, FxHashMap<String, String>> {
    let entries = |node: &Node| node.as_map().unwrap_or_default().to_vec();
    let aliases = node.get("aliases").map(entries).unwrap_or_default();
    aliases
        .into_iter()
        .map(|(alias, rules)| {
            let fields = entries(&rules)
                .into_iter()
                .filter_map(|(rule, field)| Some((rule.text, field.text()?.to_owned())));
            (alias.text, fields.collect())
        })
        .collect()
}

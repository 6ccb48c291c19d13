//! Correlation rules: how often, or with how many values, other rules match within a time span.

use rustc_hash::FxHashMap;

use super::header::texts;
use super::{Header, Number};
use crate::diagnostic::{self, Rejected, Reporter};
use crate::yaml::{Mark, Node, Yaml};

/// The longest time span: a month and a day.
const MAX_TIMESPAN_NANOS: i64 = 32 * 86_400 * 1_000_000_000;
/// A higher count could not be held in bounded memory.
const MAX_THRESHOLD: f64 = 1_000_000.0;

/// More rules in one correlation than anyone writes.
const MAX_RULES: usize = 256;

/// A correlation rule.
#[derive(Debug)]
pub(crate) struct Correlation {
    pub(crate) header: Header,
    pub(crate) aggregate: Aggregate,
    /// The rules it counts, by id or name, in the order in which it names them.
    pub(crate) rules: Vec<(String, Mark)>,
    pub(crate) group_by: Vec<String>,
    pub(crate) timespan_nanos: i64,
    /// All must hold for what is reached; empty: all rules of a temporal correlation must have matched.
    pub(crate) conditions: Vec<(Comparison, f64)>,
    /// Alias → (rule → field).
    pub(crate) aliases: FxHashMap<String, FxHashMap<String, String>>,
    /// Whether the rules it counts raise findings of their own.
    pub(crate) generate: bool,
}

/// What is counted or computed over the events of a group.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Aggregate {
    /// Events.
    EventCount,
    /// Different values of these fields together.
    ValueCount(Vec<String>),
    /// Different rules that matched.
    Temporal,
    /// Rules that matched in the order in which they are named.
    TemporalOrdered,
    /// The sum of a number.
    Sum(Vec<String>),
    /// The mean of a number.
    Average(Vec<String>),
    /// The number below which so many per cent of the values lie (`percentile` in the condition).
    Percentile(Vec<String>, f64),
    /// How many per cent of the values are the one that this event has (no `percentile` in the condition).
    Share(Vec<String>),
}

impl Aggregate {
    /// The Sigma name of the type.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::EventCount => "event_count",
            Self::ValueCount(_) => "value_count",
            Self::Temporal => "temporal",
            Self::TemporalOrdered => "temporal_ordered",
            Self::Sum(_) => "value_sum",
            Self::Average(_) => "value_avg",
            Self::Percentile(..) | Self::Share(_) => "value_percentile",
        }
    }

    /// The fields whose values it looks at.
    pub(crate) fn fields(&self) -> &[String] {
        match self {
            Self::EventCount | Self::Temporal | Self::TemporalOrdered => &[],
            Self::ValueCount(fields)
            | Self::Sum(fields)
            | Self::Average(fields)
            | Self::Percentile(fields, _)
            | Self::Share(fields) => fields,
        }
    }

    /// Whether what it compares is a whole number from 0 on.
    fn counts(&self) -> bool {
        matches!(self, Self::EventCount | Self::ValueCount(_) | Self::Temporal | Self::TemporalOrdered)
    }
}

/// How what is reached compares with a number.
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
    #[expect(clippy::float_cmp, reason = "the rule asks for equality; counts are whole and exact")]
    pub(crate) fn holds(self, reached: f64, bound: f64) -> bool {
        match self {
            Self::Less => reached < bound,
            Self::LessOrEqual => reached <= bound,
            Self::Equal => reached == bound,
            Self::NotEqual => reached != bound,
            Self::GreaterOrEqual => reached >= bound,
            Self::Greater => reached > bound,
        }
    }

    /// As Sigma writes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Less => "lt",
            Self::LessOrEqual => "lte",
            Self::Equal => "eq",
            Self::NotEqual => "neq",
            Self::GreaterOrEqual => "gte",
            Self::Greater => "gt",
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
    let group_by = group_by(node, reporter)?;
    let timespan_nanos = timespan(node, reporter)?;
    let conditions = conditions(node, &aggregate, reporter)?;
    let generate =
        [node, root].iter().find_map(|node| node.get("generate")).and_then(Node::text) == Some("true");
    Ok(Correlation {
        header,
        aggregate,
        rules,
        group_by,
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
    let name = kind.text().unwrap_or_default();
    let condition = node.get("condition");
    let fields = texts(condition.and_then(|condition| condition.get("field")));
    let mark = condition.map_or(node.mark, |condition| condition.mark);
    if name.starts_with("value_") && name != "value_median" && fields.is_empty() {
        let message = format!("{name} needs the `field` to count, within `condition`");
        return Err(reporter.report(&diagnostic::BAD_CORRELATION, mark, message));
    }
    if fields.len() > 1 && ["value_sum", "value_avg", "value_percentile"].contains(&name) {
        let message = format!("{name} computes over one `field`");
        return Err(reporter.report(&diagnostic::BAD_CORRELATION, mark, message));
    }
    match name {
        "event_count" => Ok(Aggregate::EventCount),
        "temporal" => Ok(Aggregate::Temporal),
        "temporal_ordered" => Ok(Aggregate::TemporalOrdered),
        "value_count" => Ok(Aggregate::ValueCount(fields)),
        "value_sum" => Ok(Aggregate::Sum(fields)),
        "value_avg" => Ok(Aggregate::Average(fields)),
        "value_percentile" => match condition.and_then(|condition| condition.get("percentile")) {
            None => Ok(Aggregate::Share(fields)),
            Some(written) => match number(written).filter(|percent| (0.0..=100.0).contains(percent)) {
                Some(percent) => Ok(Aggregate::Percentile(fields, percent)),
                None => {
                    let message = "`percentile` is a number from 0 to 100";
                    Err(reporter.report(&diagnostic::BAD_CORRELATION, written.mark, message))
                }
            },
        },
        "value_median" => {
            let message = "`value_median` is no correlation type of Sigma 2.1: use value_percentile with `percentile: 50`";
            Err(reporter.report(&diagnostic::BAD_CORRELATION, kind.mark, message))
        }
        name => {
            let message = format!("`{name}` is no correlation type");
            Err(reporter.report(&diagnostic::BAD_CORRELATION, kind.mark, message))
        }
    }
}

fn number(node: &Node) -> Option<f64> {
    node.text().and_then(Number::parse).map(Number::as_f64)
}

/// The fields of `group-by`, each once. A correlation without any counts all events together.
fn group_by(node: &Node, reporter: &mut Reporter<'_>) -> Result<Vec<String>, Rejected> {
    let fields = texts(node.get("group-by"));
    let twice = fields.iter().enumerate().find(|(at, field)| fields.iter().take(*at).any(|f| f == *field));
    if let (Some((_, field)), Some(listed)) = (twice, node.get("group-by")) {
        let message = format!("`group-by` names `{field}` twice");
        return Err(reporter.report(&diagnostic::BAD_CORRELATION, listed.mark, message));
    }
    Ok(fields)
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
    let twice =
        rules.iter().enumerate().find(|(at, (name, _))| rules.iter().take(*at).any(|(n, _)| n == name));
    if let Some((_, (name, mark))) = twice {
        let message = format!("the correlation names the rule `{name}` twice");
        return Err(reporter.report(&diagnostic::BAD_CORRELATION, *mark, message));
    }
    if let Some((_, mark)) = rules.get(MAX_RULES) {
        let message = format!("a correlation names at most {MAX_RULES} rules");
        return Err(reporter.report(&diagnostic::BAD_CORRELATION, *mark, message));
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

fn conditions(
    node: &Node,
    aggregate: &Aggregate,
    reporter: &mut Reporter<'_>,
) -> Result<Vec<(Comparison, f64)>, Rejected> {
    let is_temporal = matches!(aggregate, Aggregate::Temporal | Aggregate::TemporalOrdered);
    let Some(condition) = node.get("condition") else {
        if is_temporal {
            return Ok(Vec::new());
        }
        let message = "the correlation has no `condition`";
        return Err(reporter.report(&diagnostic::BAD_CORRELATION, node.mark, message));
    };
    let Some(entries) = condition.as_map() else {
        let message = "the condition of a correlation is a map such as `gte: 5`; expressions over rule names are no part of Sigma 2.1";
        return Err(reporter.report(&diagnostic::BAD_CORRELATION, condition.mark, message));
    };
    let mut bounds = Vec::new();
    for (key, value) in entries {
        let comparison = match key.text.as_str() {
            "field" => continue,
            "percentile" if matches!(aggregate, Aggregate::Percentile(..)) => continue,
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
        bounds.push((comparison, bound(value, aggregate, reporter)?));
    }
    if bounds.is_empty() {
        let message = "the condition compares the count with nothing";
        return Err(reporter.report(&diagnostic::BAD_CORRELATION, condition.mark, message));
    }
    let first_holds = bounds.iter().all(|(comparison, bound)| comparison.holds(1.0, *bound));
    if aggregate.counts()
        && first_holds
        && !bounds.iter().any(|(c, _)| matches!(c, Comparison::Greater | Comparison::GreaterOrEqual))
    {
        let message = "this condition holds from the first event on";
        reporter.report(&diagnostic::TRIVIAL_THRESHOLD, condition.mark, message);
    }
    Ok(bounds)
}

fn bound(value: &Node, aggregate: &Aggregate, reporter: &mut Reporter<'_>) -> Result<f64, Rejected> {
    let found = number(value);
    if !aggregate.counts() {
        let message = "it is compared with a number";
        return found.ok_or_else(|| reporter.report(&diagnostic::BAD_CORRELATION, value.mark, message));
    }
    found.filter(|bound| bound.fract() == 0.0 && (0.0..=MAX_THRESHOLD).contains(bound)).ok_or_else(|| {
        let message = format!("a count is compared with a whole number from 0 to {MAX_THRESHOLD}");
        reporter.report(&diagnostic::BAD_CORRELATION, value.mark, message)
    })
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

//! Selections: from YAML to items and expressions.

use std::sync::Arc;

use super::condition::{self, Selection};
use super::encode;
use super::header::texts;
use super::modifier::{self, Kind, Modified, Transform};
use super::regex::RegexError;
use super::{
    Detection, Expr, Filter, Header, Item, Logsource, Number, Pattern, Regex, Rule, Shape, Test, Written,
};
use crate::diagnostic::{self, Rejected, Reporter};
use crate::text::fold;
use crate::yaml::{Key, Node, Resolved, Yaml};

/// Items of one rule, spellings expanded; the largest public rule has some 700 values.
const MAX_TESTS: usize = 50_000;

pub(super) fn read_rule(header: Header, root: &Node, reporter: &mut Reporter<'_>) -> Result<Rule, Rejected> {
    let logsource = logsource(root, reporter);
    let Some(node) = root.get("detection") else {
        return Err(reporter.report(&diagnostic::MISSING, root.mark, "the rule has no `detection`"));
    };
    let detection = read(node, &[], reporter);
    Ok(Rule { header, logsource: logsource?, detection: detection? })
}

pub(super) fn read_filter(
    header: Header,
    root: &Node,
    reporter: &mut Reporter<'_>,
) -> Result<Filter, Rejected> {
    let logsource = logsource(root, reporter)?;
    let Some(node) = root.get("filter") else {
        return Err(reporter.report(&diagnostic::MISSING, root.mark, "the document has no `filter`"));
    };
    let mut rules = Vec::new();
    if let Some(named) = node.get("rules") {
        let any = named.text() == Some("any");
        match &named.value {
            Yaml::List(items) => {
                rules.extend(items.iter().filter_map(|item| Some((item.text()?.to_owned(), item.mark))));
            }
            Yaml::Scalar(_) if !any => {
                rules.extend(texts(Some(named)).into_iter().map(|id| (id, named.mark)));
            }
            _ => {}
        }
    }
    let detection = read(node, &["rules"], reporter)?;
    Ok(Filter { header, logsource, rules, detection })
}

fn logsource(root: &Node, reporter: &mut Reporter<'_>) -> Result<Logsource, Rejected> {
    let Some(node) = root.get("logsource") else {
        return Err(reporter.report(&diagnostic::MISSING, root.mark, "the rule has no `logsource`"));
    };
    if node.as_map().is_none() {
        return Err(reporter.report(&diagnostic::WRONG_TYPE, node.mark, "`logsource` must be a map"));
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
fn read(node: &Node, others: &[&str], reporter: &mut Reporter<'_>) -> Result<Detection, Rejected> {
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
    let mut builder = Builder { reporter, items: Vec::new(), tests: 0 };
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

struct Builder<'r, 'a> {
    reporter: &'r mut Reporter<'a>,
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
            match self.tests(&modified, value) {
                Ok(tests) => alternatives.push(tests),
                Err(error) => rejected = Some(error),
            }
        }
        if let Some(rejected) = rejected {
            return Err(rejected);
        }
        let place = Place { selection, key: key.text.as_str().into(), field: modified.field };
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
            tests,
        });
        Expr::Item(self.items.len() - 1)
    }

    /// The tests of one value; more than one when a modifier makes several texts of it.
    fn tests(&mut self, modified: &Modified<'_>, node: &Node) -> Result<Alternative, Rejected> {
        let Some(scalar) = node.as_scalar() else {
            let message = "a value must be text, a number, true, false or null";
            return Err(self.reporter.report(&diagnostic::WRONG_TYPE, node.mark, message));
        };
        let resolved = scalar.resolve();
        if resolved == Resolved::Null {
            return self.null(modified, node);
        }
        let text = scalar.text.as_str();
        let value: Box<str> = match resolved {
            Resolved::Text(_) => format!("'{text}'").into(),
            _ => text.into(),
        };
        let one = |test| Ok(Alternative::Tests(vec![Written { test, value: value.clone() }]));
        match modified.kind {
            Kind::Text => self.text(modified, &resolved, text, &value, node),
            Kind::Regex(flags) => {
                self.expand(modified, text, node)?;
                match Regex::new(text, flags) {
                    Ok(regex) => one(Test::Regex(Arc::new(regex))),
                    Err(error) => Err(self.bad_regex(&error, node)),
                }
            }
            Kind::Cidr => {
                self.expand(modified, text, node)?;
                let network =
                    text.parse().ok().or_else(|| text.parse::<std::net::IpAddr>().ok().map(Into::into));
                match network {
                    Some(network) => one(Test::Cidr(canonical(network))),
                    None => Err(self
                        .bad_value(node, format!("`{text}` is no network such as 10.0.0.0/8 or fe80::/10"))),
                }
            }
            Kind::Number(order) => match Number::parse(text) {
                Some(number) => one(Test::Number { order, number }),
                None => Err(self.bad_value(node, format!("`{text}` is no number"))),
            },
            Kind::Time(part, order) => match text.trim().parse() {
                Ok(number) => one(Test::Time { part, order, number }),
                Err(_) => Err(self.bad_value(node, format!("`{text}` is no whole number"))),
            },
            Kind::Exists => {
                let written = Written { test: Test::Present, value: value.clone() };
                match text.to_ascii_lowercase().as_str() {
                    "true" | "yes" => Ok(Alternative::Tests(vec![written])),
                    "false" | "no" => Ok(Alternative::Not(written)),
                    _ => Err(self.bad_value(node, "`exists` takes true or false".to_owned())),
                }
            }
            Kind::FieldReference => one(Test::SameAs {
                field: text.into(),
                before: modified.before,
                after: modified.after,
                cased: modified.cased,
            }),
        }
    }

    fn null(&mut self, modified: &Modified<'_>, node: &Node) -> Result<Alternative, Rejected> {
        let plain = modified.kind == Kind::Text
            && modified.transforms.is_empty()
            && !modified.before
            && !modified.after;
        if !plain || modified.field.is_empty() {
            return Err(self.bad_value(node, "null is a value of its own and takes no modifier".to_owned()));
        }
        Ok(Alternative::Not(Written { test: Test::NotNull, value: "null".into() }))
    }

    fn text(
        &mut self,
        modified: &Modified<'_>,
        resolved: &Resolved<'_>,
        text: &str,
        value: &str,
        node: &Node,
    ) -> Result<Alternative, Rejected> {
        let number;
        let text = match resolved {
            // As records' numbers are written when they are compared as text.
            Resolved::Float(float) => {
                number = float.to_string();
                number.as_str()
            }
            Resolved::Int(int) => {
                number = int.to_string();
                number.as_str()
            }
            _ => text,
        };
        let keyword = modified.field.is_empty();
        let patterns = self.transformed(modified, text, node)?;
        self.tests += patterns.len();
        if self.tests > MAX_TESTS {
            let message = format!("the rule has more than {MAX_TESTS} values");
            return Err(self.reporter.report(&diagnostic::LIMIT, node.mark, message));
        }
        let tests = patterns.into_iter().map(|pattern| {
            let pattern = pattern.open(modified.before || keyword, modified.after || keyword);
            let test = match pattern.shape() {
                Shape::Anything => Test::NotNull,
                _ if modified.cased => Test::Text { pattern, cased: true },
                _ => Test::Text { pattern: pattern.map_literals(fold), cased: false },
            };
            Written { test, value: value.into() }
        });
        Ok(Alternative::Tests(tests.collect()))
    }

    /// The patterns that the value becomes by its transformations.
    fn transformed(
        &mut self,
        modified: &Modified<'_>,
        text: &str,
        node: &Node,
    ) -> Result<Vec<Pattern>, Rejected> {
        let mut patterns = vec![Pattern::parse(text)];
        let mut bytes: Option<Vec<u8>> = None;
        for transform in &modified.transforms {
            let encodes = !matches!(transform, Transform::Windash | Transform::Expand);
            if encodes && bytes.is_none() {
                let Some(plain) = Pattern::parse(text).plain().map(str::to_owned) else {
                    return Err(self.bad_value(node, "a value with wildcards cannot be encoded".to_owned()));
                };
                bytes = Some(plain.into_bytes());
            }
            let input = bytes.take();
            match (transform, input) {
                (Transform::Expand, input) => {
                    self.expand(modified, text, node)?;
                    bytes = input;
                }
                (Transform::Windash, None) => patterns = Pattern::with_any_dashes(text),
                (Transform::Utf16 { big_endian, mark }, Some(input)) => {
                    let Ok(plain) = std::str::from_utf8(&input) else {
                        return Err(self.bad_value(node, "only text can be made UTF-16".to_owned()));
                    };
                    let mut encoded = if *mark { vec![0xff, 0xfe] } else { Vec::new() };
                    encoded.extend(encode::utf16(plain, *big_endian));
                    bytes = Some(encoded);
                }
                (Transform::Base64, Some(input)) => bytes = Some(encode::base64(&input).into_bytes()),
                (Transform::Base64Offset, Some(input)) => {
                    if modified.transforms.last() != Some(&Transform::Base64Offset) {
                        let message = "`base64offset` must be the last transformation";
                        return Err(self.reporter.report(&diagnostic::MODIFIER_CONFLICT, node.mark, message));
                    }
                    return Ok(encode::base64_offsets(&input)
                        .iter()
                        .map(|part| Pattern::literal(part))
                        .collect());
                }
                _ => {
                    let message = "`windash` goes before encodings, not after";
                    return Err(self.reporter.report(&diagnostic::MODIFIER_CONFLICT, node.mark, message));
                }
            }
        }
        let Some(bytes) = bytes else { return Ok(patterns) };
        match std::str::from_utf8(&bytes) {
            Ok(encoded) => Ok(vec![Pattern::literal(encoded)]),
            Err(_) => Err(self
                .bad_value(node, "this encoding gives no text: add `base64` or `base64offset`".to_owned())),
        }
    }

    /// Placeholders have no values here: a rule that needs them is refused.
    fn expand(&mut self, modified: &Modified<'_>, text: &str, node: &Node) -> Result<(), Rejected> {
        if !modified.transforms.contains(&Transform::Expand) {
            return Ok(());
        }
        let mut parts = text.split('%');
        let mut before = parts.next().unwrap_or_default();
        while let (Some(name), Some(after)) = (parts.next(), parts.clone().next()) {
            if !before.ends_with('\\') && !name.is_empty() && !name.ends_with('\\') {
                let message = format!("the placeholder `%{name}%` has no values");
                return Err(self.reporter.report(&diagnostic::PLACEHOLDER, node.mark, message));
            }
            before = if before.ends_with('\\') { name } else { after };
        }
        Ok(())
    }

    fn bad_value(&mut self, node: &Node, message: String) -> Rejected {
        self.reporter.report(&diagnostic::BAD_VALUE, node.mark, message)
    }

    fn bad_regex(&mut self, error: &RegexError, node: &Node) -> Rejected {
        match error {
            RegexError::Syntax { reason, offset, len } => {
                let mark = node.mark_within(*offset, *len);
                self.reporter.report(
                    &diagnostic::BAD_REGEX,
                    mark,
                    format!("this is no regular expression: {reason}"),
                )
            }
            RegexError::Unsupported { what, offset, len } => {
                let mark = node.mark_within(*offset, *len);
                self.reporter.report(
                    &diagnostic::UNSUPPORTED_REGEX,
                    mark,
                    format!("the expression uses {what}"),
                )
            }
            RegexError::TooBig => {
                let message = "the expression is too big once its repetitions are counted out";
                self.reporter.report(&diagnostic::LIMIT, node.mark, message)
            }
        }
    }
}

/// Where an item belongs.
struct Place<'a> {
    selection: &'a Arc<str>,
    key: Arc<str>,
    field: &'a str,
}

/// What one value asks for.
enum Alternative {
    /// One of these holds.
    Tests(Vec<Written>),
    /// This does not hold.
    Not(Written),
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

/// An IPv4 network written as mapped IPv6 is the IPv4 network.
fn canonical(network: ipnet::IpNet) -> ipnet::IpNet {
    let network = network.trunc();
    match (network.addr().to_canonical(), network.prefix_len().checked_sub(96)) {
        (address @ std::net::IpAddr::V4(_), Some(prefix)) => {
            ipnet::IpNet::new(address, prefix).unwrap_or(network)
        }
        _ => network,
    }
}

//! What one value of a selection asks for: its modifiers applied, its test made.

use std::sync::Arc;

use super::detection::Expand;
use super::encode;
use super::modifier::{Kind, Modified, Transform};
use super::placeholder::{self, Part, join};
use super::regex::RegexError;
use super::{Number, Pattern, Regex, Shape, Test, Written};
use crate::diagnostic::{self, Rejected, Reporter};
use crate::yaml::{Node, Resolved};

/// Values that the placeholders of one value may make together.
const MAX_EXPANDED: usize = 10_000;

/// What one value asks for.
pub(super) enum Alternative {
    /// One of these holds.
    Tests(Vec<Written>),
    /// This does not hold.
    Not(Written),
}

impl Alternative {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Tests(tests) => tests.len(),
            Self::Not(_) => 1,
        }
    }
}

/// Reads one value that stands under a key with these modifiers.
pub(super) fn read(
    modified: &Modified<'_>,
    node: &Node,
    expand: Expand<'_>,
    reporter: &mut Reporter<'_>,
) -> Result<Alternative, Rejected> {
    Reader { modified, node, expand, reporter }.tests()
}

struct Reader<'m, 'r, 'a> {
    modified: &'m Modified<'m>,
    node: &'m Node,
    expand: Expand<'m>,
    reporter: &'r mut Reporter<'a>,
}

impl Reader<'_, '_, '_> {
    /// The tests of one value; more than one when a modifier makes several texts of it.
    fn tests(&mut self) -> Result<Alternative, Rejected> {
        let Some(scalar) = self.node.as_scalar() else {
            let message = "a value must be text, a number, true, false or null";
            return Err(self.reporter.report(&diagnostic::WRONG_TYPE, self.node.mark, message));
        };
        let resolved = scalar.resolve();
        if resolved == Resolved::Null {
            return self.null();
        }
        if !self.modified.transforms.contains(&Transform::Expand) {
            return self.test(&resolved, &scalar.text);
        }
        let mut tests = Vec::new();
        for text in self.expanded(&scalar.text)? {
            match self.test(&Resolved::Text(&text), &text)? {
                Alternative::Tests(more) => tests.extend(more),
                absence @ Alternative::Not(_) => return Ok(absence),
            }
        }
        Ok(Alternative::Tests(tests))
    }

    /// The tests of one value whose placeholders have been replaced.
    fn test(&mut self, resolved: &Resolved<'_>, text: &str) -> Result<Alternative, Rejected> {
        let value: Box<str> = match resolved {
            Resolved::Text(_) => format!("'{text}'").into(),
            _ => text.into(),
        };
        let one = |test| Ok(Alternative::Tests(vec![Written { test, value: value.clone() }]));
        match self.modified.kind {
            Kind::Text => self.text(resolved, text, &value),
            Kind::Regex(flags) => match Regex::new(text, flags) {
                Ok(regex) => one(Test::Regex(Arc::new(regex))),
                Err(error) => Err(self.bad_regex(&error)),
            },
            Kind::Cidr => {
                let network =
                    text.parse().ok().or_else(|| text.parse::<std::net::IpAddr>().ok().map(Into::into));
                match network {
                    Some(network) => one(Test::Cidr(canonical(network))),
                    None => {
                        Err(self.bad_value(format!("`{text}` is no network such as 10.0.0.0/8 or fe80::/10")))
                    }
                }
            }
            Kind::Number(order) => match Number::parse(text) {
                Some(number) => one(Test::Number { order, number }),
                None => Err(self.bad_value(format!("`{text}` is no number"))),
            },
            Kind::Time(part, order) => match text.trim().parse() {
                Ok(number) => one(Test::Time { part, order, number }),
                Err(_) => Err(self.bad_value(format!("`{text}` is no whole number"))),
            },
            Kind::Exists => {
                let written = Written { test: Test::Present, value: value.clone() };
                match text.to_ascii_lowercase().as_str() {
                    "true" | "yes" => Ok(Alternative::Tests(vec![written])),
                    "false" | "no" => Ok(Alternative::Not(written)),
                    _ => Err(self.bad_value("`exists` takes true or false".to_owned())),
                }
            }
            Kind::FieldReference => one(Test::SameAs {
                field: text.into(),
                before: self.modified.before,
                after: self.modified.after,
                cased: self.modified.cased,
            }),
        }
    }

    fn null(&mut self) -> Result<Alternative, Rejected> {
        let plain = self.modified.kind == Kind::Text
            && self.modified.transforms.is_empty()
            && !self.modified.before
            && !self.modified.after;
        if !plain || self.modified.field.is_empty() {
            return Err(self.bad_value("null is a value of its own and takes no modifier".to_owned()));
        }
        Ok(Alternative::Not(Written { test: Test::NotNull, value: "null".into() }))
    }

    fn text(&mut self, resolved: &Resolved<'_>, text: &str, value: &str) -> Result<Alternative, Rejected> {
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
        let keyword = self.modified.field.is_empty();
        let patterns = self.transformed(text)?;
        let tests = patterns.into_iter().map(|pattern| {
            let pattern = pattern.open(self.modified.before || keyword, self.modified.after || keyword);
            let test = match pattern.shape() {
                Shape::Anything => Test::NotNull,
                _ => Test::Text { pattern, cased: self.modified.cased },
            };
            Written { test, value: value.into() }
        });
        Ok(Alternative::Tests(tests.collect()))
    }

    /// The patterns that the value becomes by its transformations.
    fn transformed(&mut self, text: &str) -> Result<Vec<Pattern>, Rejected> {
        let mut patterns = vec![Pattern::parse(text)];
        let mut bytes: Option<Vec<u8>> = None;
        for transform in &self.modified.transforms {
            let encodes = !matches!(transform, Transform::Windash | Transform::Expand);
            if encodes && bytes.is_none() {
                let Some(plain) = Pattern::parse(text).plain().map(str::to_owned) else {
                    return Err(self.bad_value("a value with wildcards cannot be encoded".to_owned()));
                };
                bytes = Some(plain.into_bytes());
            }
            let input = bytes.take();
            match (transform, input) {
                // The text has its placeholders replaced already.
                (Transform::Expand, input) => bytes = input,
                (Transform::Windash, None) => patterns = Pattern::with_any_dashes(text),
                (Transform::Utf16 { big_endian, mark }, Some(input)) => {
                    let Ok(plain) = std::str::from_utf8(&input) else {
                        return Err(self.bad_value("only text can be made UTF-16".to_owned()));
                    };
                    let mut encoded = if *mark { vec![0xff, 0xfe] } else { Vec::new() };
                    encoded.extend(encode::utf16(plain, *big_endian));
                    bytes = Some(encoded);
                }
                (Transform::Base64, Some(input)) => bytes = Some(encode::base64(&input).into_bytes()),
                (Transform::Base64Offset, Some(input)) => {
                    if self.modified.transforms.last() != Some(&Transform::Base64Offset) {
                        let message = "`base64offset` must be the last transformation";
                        return Err(self.reporter.report(
                            &diagnostic::MODIFIER_CONFLICT,
                            self.node.mark,
                            message,
                        ));
                    }
                    return Ok(encode::base64_offsets(&input)
                        .iter()
                        .map(|part| Pattern::literal(part))
                        .collect());
                }
                _ => {
                    let message = "`windash` goes before encodings, not after";
                    return Err(self.reporter.report(
                        &diagnostic::MODIFIER_CONFLICT,
                        self.node.mark,
                        message,
                    ));
                }
            }
        }
        let Some(bytes) = bytes else { return Ok(patterns) };
        match std::str::from_utf8(&bytes) {
            Ok(encoded) => Ok(vec![Pattern::literal(encoded)]),
            Err(_) => {
                Err(self.bad_value("this encoding gives no text: add `base64` or `base64offset`".to_owned()))
            }
        }
    }

    /// The texts that the value becomes when each placeholder takes each of its values.
    fn expanded(&mut self, text: &str) -> Result<Vec<String>, Rejected> {
        let mut texts = vec![String::new()];
        for part in placeholder::parts(text) {
            let values = match part {
                Part::Text(text) => vec![text],
                Part::Placeholder(name) => match (self.expand)(self.modified.field, name) {
                    Some(values) if !values.is_empty() => self.inserted(values),
                    _ => {
                        let message = format!("the placeholder `%{name}%` has no values");
                        return Err(self.reporter.report(&diagnostic::PLACEHOLDER, self.node.mark, message));
                    }
                },
            };
            if texts.len().saturating_mul(values.len()) > MAX_EXPANDED {
                let message = format!("the placeholders make more than {MAX_EXPANDED} values");
                return Err(self.reporter.report(&diagnostic::LIMIT, self.node.mark, message));
            }
            texts = texts.iter().flat_map(|start| values.iter().map(move |end| join(start, end))).collect();
        }
        Ok(texts)
    }

    /// Values as they stand within the text: in an expression a value means itself.
    fn inserted(&self, values: Vec<String>) -> Vec<String> {
        match self.modified.kind {
            Kind::Regex(_) => values.iter().map(|value| regex_syntax::escape(value)).collect(),
            _ => values,
        }
    }

    fn bad_value(&mut self, message: String) -> Rejected {
        self.reporter.report(&diagnostic::BAD_VALUE, self.node.mark, message)
    }

    fn bad_regex(&mut self, error: &RegexError) -> Rejected {
        match error {
            RegexError::Syntax { reason, offset, len } => {
                let mark = self.node.mark_within(*offset, *len);
                self.reporter.report(
                    &diagnostic::BAD_REGEX,
                    mark,
                    format!("this is no regular expression: {reason}"),
                )
            }
            RegexError::Unsupported { what, offset, len } => {
                let mark = self.node.mark_within(*offset, *len);
                self.reporter.report(
                    &diagnostic::UNSUPPORTED_REGEX,
                    mark,
                    format!("the expression uses {what}"),
                )
            }
            RegexError::TooBig => {
                let message = "the expression is too big once its repetitions are counted out";
                self.reporter.report(&diagnostic::LIMIT, self.node.mark, message)
            }
        }
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

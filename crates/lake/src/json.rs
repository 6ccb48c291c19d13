//! Functions over the `rest` column: whether a JSON object has a value at a path, and the first value at a path.
//!
//! The path and what is looked for are part of the function, so that it parses only rows whose bytes can match.

use std::sync::Arc;

use aho_corasick::AhoCorasick;
use datafusion::arrow::array::cast::AsArray;
use datafusion::arrow::array::{ArrayRef, BooleanArray, StringArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use memchr::memmem::Finder;
use serde_json::Value as Json;
use wanglou_model::canonical_ip;
use wanglou_model::search::Pattern;

use crate::rows::address_key;

/// Whole numbers of up to this many digits are written in full wherever they stand in JSON, floats included.
const PLAIN_DIGITS: usize = 15;

/// How a value is compared with the one looked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Comparison {
    /// Its text is this; `number` when the text could be a number's, which JSON may write otherwise.
    Text { text: String, number: bool },
    /// It is this number, or decimal text of it.
    Int(i64),
    /// It is this address, however it is written.
    Address(String),
    /// It is this hash in lower case, however it is written.
    Hash(String),
    /// Its text looks like this.
    Matches(Pattern),
    /// It is an address from here to there.
    Network { low: u128, high: u128 },
    /// It is a number, or decimal text of one, between these; each with whether it is included. They are the bits of
    /// a float, for a function must be comparable.
    Between { low: Option<(u64, bool)>, high: Option<(u64, bool)> },
    /// It is a whole number, or decimal text of one, that compares so.
    Integer(Box<Comparison>),
    /// It is anything but null.
    Exists,
}

impl Comparison {
    pub(crate) fn text(text: &str) -> Self {
        Self::Text { text: text.to_owned(), number: text.parse::<f64>().is_ok() }
    }

    fn matches(&self, value: &Json) -> bool {
        match (self, value) {
            (Self::Int(wanted), value) => integer(value) == Some(*wanted),
            (Self::Integer(comparison), value) => {
                integer(value).is_some_and(|number| comparison.matches(&Json::from(number)))
            }
            (Self::Exists, value) => !value.is_null(),
            (Self::Matches(pattern), value) => scalar_text(value).is_some_and(|text| pattern.matches(&text)),
            (Self::Network { low, high }, value) => {
                let address = scalar_text(value).and_then(|text| canonical_ip(&text));
                let key = address.and_then(|address| address_key(&address)).map(u128::from_be_bytes);
                key.is_some_and(|key| (*low..=*high).contains(&key))
            }
            (Self::Between { low, high }, value) => {
                scalar_text(value).and_then(|text| text.trim().parse().ok()).is_some_and(|number: f64| {
                    let over = |(end, included)| {
                        number > f64::from_bits(end) || (included && number == f64::from_bits(end))
                    };
                    let under = |(end, included)| {
                        number < f64::from_bits(end) || (included && number == f64::from_bits(end))
                    };
                    low.is_none_or(over) && high.is_none_or(under)
                })
            }
            (Self::Text { text: wanted, .. }, value) => scalar_text(value).as_deref() == Some(wanted),
            (Self::Address(wanted), value) => scalar_text(value)
                .is_some_and(|text| canonical_ip(&text).as_deref().unwrap_or(&text) == wanted),
            (Self::Hash(wanted), value) => {
                value.as_str().is_some_and(|text| text.eq_ignore_ascii_case(wanted))
            }
        }
    }
}

/// Rules out rows by their bytes, before they are parsed.
enum Prefilter<'c> {
    Any,
    Contains(Box<Finder<'c>>),
    ContainsAnyCase(AhoCorasick),
}

impl Prefilter<'_> {
    fn of(comparison: &Comparison) -> Result<Self> {
        Ok(match comparison {
            Comparison::Text { text, number: true } if text.len() > PLAIN_DIGITS || !is_digits(text) => {
                Self::Any
            }
            Comparison::Text { text, .. } => {
                Self::Contains(Box::new(Finder::new(&escaped(text)).into_owned()))
            }
            Comparison::Hash(hash) => {
                let finder = AhoCorasick::builder().ascii_case_insensitive(true).build([escaped(hash)]);
                Self::ContainsAnyCase(finder.map_err(|error| DataFusionError::External(Box::new(error)))?)
            }
            Comparison::Matches(pattern) => match pattern.literals().max_by_key(|text| text.len()) {
                Some(text) if !may_be_number(text) => {
                    let finder = AhoCorasick::builder().ascii_case_insensitive(true).build([escaped(text)]);
                    Self::ContainsAnyCase(finder.map_err(|error| DataFusionError::External(Box::new(error)))?)
                }
                _ => Self::Any,
            },
            Comparison::Int(_)
            | Comparison::Address(_)
            | Comparison::Network { .. }
            | Comparison::Between { .. }
            | Comparison::Integer(_)
            | Comparison::Exists => Self::Any,
        })
    }

    fn passes(&self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Contains(finder) => finder.find(text.as_bytes()).is_some(),
            Self::ContainsAnyCase(finder) => finder.is_match(text),
        }
    }
}

/// The text as it stands between the quotes of a JSON string.
fn escaped(text: &str) -> String {
    let quoted = Json::from(text).to_string();
    quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned()
}

/// Whether it can be a part of a number's text, which JSON may write otherwise.
fn may_be_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E'))
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `json_has(rest)`: whether a value at the path compares equal.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct JsonHas {
    path: Vec<String>,
    comparison: Comparison,
    signature: Signature,
}

impl JsonHas {
    pub(crate) fn new(path: &str, comparison: Comparison) -> Self {
        Self { path: segments(path), comparison, signature: signature() }
    }
}

impl ScalarUDFImpl for JsonHas {
    fn name(&self) -> &'static str {
        "json_has"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let prefilter = Prefilter::of(&self.comparison)?;
        let has = |text: &str| {
            prefilter.passes(text)
                && parse(text).is_some_and(|json| {
                    first_at(&json, &self.path, &mut |value| self.comparison.matches(value).then_some(()))
                        .is_some()
                })
        };
        let rest = rest_argument(&args)?;
        let found: BooleanArray =
            rest.as_string::<i32>().iter().map(|text| Some(text.is_some_and(has))).collect();
        Ok(ColumnarValue::Array(Arc::new(found)))
    }
}

/// `json_first(rest)`: the first value at the path, as text.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct JsonFirst {
    path: Vec<String>,
    signature: Signature,
}

impl JsonFirst {
    pub(crate) fn new(path: &str) -> Self {
        Self { path: segments(path), signature: signature() }
    }
}

impl ScalarUDFImpl for JsonFirst {
    fn name(&self) -> &'static str {
        "json_first"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let first = |text: &str| {
            let json = parse(text)?;
            first_at(&json, &self.path, &mut scalar_text)
        };
        let rest = rest_argument(&args)?;
        let values: StringArray = rest.as_string::<i32>().iter().map(|text| text.and_then(first)).collect();
        Ok(ColumnarValue::Array(Arc::new(values)))
    }
}

fn signature() -> Signature {
    Signature::exact(vec![DataType::Utf8], Volatility::Immutable)
}

fn rest_argument(args: &ScalarFunctionArgs) -> Result<ArrayRef> {
    match args.args.first() {
        Some(rest) => rest.to_array(args.number_rows),
        None => Err(DataFusionError::Execution("the function needs the column `rest`".into())),
    }
}

fn segments(path: &str) -> Vec<String> {
    path.split('.').map(str::to_owned).collect()
}

fn parse(text: &str) -> Option<Json> {
    sonic_rs::from_str(text).ok()
}

/// The whole number that a value is, or that its text is.
fn integer(value: &Json) -> Option<i64> {
    match value {
        Json::Number(number) => number.as_i64(),
        Json::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// The text of a scalar as the model gives it ([`wanglou_model::Value::to_text`]); null has none.
fn scalar_text(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Bool(flag) => Some(flag.to_string()),
        Json::Number(number) => Some(match (number.is_f64(), number.as_f64()) {
            (true, Some(float)) => float.to_string(),
            _ => number.to_string(),
        }),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

/// What `pick` makes of the first value at the path that it makes anything of. Lists are looked into.
fn first_at<T>(value: &Json, path: &[String], pick: &mut dyn FnMut(&Json) -> Option<T>) -> Option<T> {
    match (value, path.split_first()) {
        (Json::Array(list), _) => list.iter().find_map(|element| first_at(element, path, pick)),
        (Json::Object(object), Some((name, rest))) => {
            let nested = object.get(name).and_then(|child| first_at(child, rest, pick));
            // A name that collides with a value is kept flat by the model: `{"a": 1, "a.b": 2}`.
            nested.or_else(|| {
                let wanted = path.join(".");
                let flat =
                    object.iter().find(|(key, _)| key.len() > name.len() && key.replace("[]", "") == wanted);
                flat.and_then(|(_, child)| first_at(child, &[], pick))
            })
        }
        (Json::Object(_), None) => None,
        (scalar, None) => pick(scalar),
        (_, Some(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(json: &str, path: &str, comparison: Comparison) -> bool {
        let function = JsonHas::new(path, comparison);
        let prefilter = Prefilter::of(&function.comparison).unwrap();
        let json_value = parse(json).unwrap();
        let found =
            first_at(&json_value, &function.path, &mut |v| function.comparison.matches(v).then_some(()));
        assert!(found.is_none() || prefilter.passes(json), "the prefilter lost a match");
        found.is_some()
    }

    #[test]
    fn values_are_found_in_objects_lists_and_flat_names() {
        let json =
            r#"{"answers":[{"rdata":"a\"b"},{"rdata":"c"}],"n":80,"f":1e16,"t":"007","a":1,"a.b[].c":"x"}"#;
        assert!(has(json, "answers.rdata", Comparison::text("a\"b")));
        assert!(has(json, "answers.rdata", Comparison::text("c")));
        assert!(!has(json, "answers", Comparison::text("c")));
        assert!(has(json, "n", Comparison::text("80")));
        assert!(has(json, "f", Comparison::text("10000000000000000")));
        assert!(has(json, "t", Comparison::Int(7)));
        assert!(!has(json, "t", Comparison::text("7")));
        assert!(has(json, "a.b.c", Comparison::text("x")));
        assert!(!has(json, "a.b", Comparison::text("x")));
    }

    #[test]
    fn addresses_and_hashes_are_equal_however_they_are_written() {
        let json = r#"{"ip":["::ffff:10.0.0.1","fe80::0:1"],"h":"ABCD"}"#;
        assert!(has(json, "ip", Comparison::Address("10.0.0.1".into())));
        assert!(has(json, "ip", Comparison::Address("fe80::1".into())));
        assert!(has(json, "h", Comparison::Hash("abcd".into())));
    }
}

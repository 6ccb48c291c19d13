//! One test on one value, without any index: for what the columns leave to be decided on demand, and for explanations.

use std::borrow::Cow;

use wanglou_model::Value;

use super::column::{address, number};
use super::router::append_folded;
use crate::sigma::{Test, TimePart};
use crate::text::fold;

/// Whether the test holds for a value. `others` are the values of the field that a [`Test::SameAs`] names.
pub(super) fn holds<'r>(test: &Test, value: Value<'_>, others: impl Iterator<Item = Value<'r>>) -> bool {
    match test {
        Test::Present => true,
        _ if value == Value::Null => false,
        Test::NotNull => true,
        Test::Text { pattern, cased: true } => pattern.is_match(&text(value)),
        Test::Text { pattern, cased: false } => pattern.is_match(&folded(value)),
        Test::Regex(regex) => regex.is_match(&text(value)),
        Test::Cidr(network) => address(&text(value)).is_some_and(|address| network.contains(&address)),
        Test::Number { order, number: bound } => {
            number(value).is_some_and(|number| order.holds(number.compare(*bound)))
        }
        Test::Time { part, order, number } => {
            time_part(*part, value).is_some_and(|found| order.holds(found.cmp(number)))
        }
        Test::SameAs { before, after, cased, .. } => {
            let form = |value| if *cased { text(value) } else { folded(value) };
            let value = form(value);
            let mut others = others.filter(|other| *other != Value::Null);
            others.any(|other| {
                let other = form(other);
                match (before, after) {
                    (true, true) => value.contains(&*other),
                    (true, false) => value.ends_with(&*other),
                    (false, true) => value.starts_with(&*other),
                    (false, false) => value == other,
                }
            })
        }
    }
}

/// A value as text.
pub(super) fn text(value: Value<'_>) -> Cow<'_, str> {
    match value {
        Value::Str(text) => Cow::Borrowed(text),
        other => {
            let mut out = String::new();
            append_folded(other, &mut out);
            Cow::Owned(out)
        }
    }
}

fn folded(value: Value<'_>) -> Cow<'_, str> {
    match value {
        Value::Str(text) => Cow::Owned(fold(text)),
        other => text(other),
    }
}

fn time_part(part: TimePart, value: Value<'_>) -> Option<i64> {
    match value {
        Value::Str(text) => part.of(text),
        _ => None,
    }
}

//! One test on one value, without any index: for what the columns leave to be decided on demand, and for explanations.

use wanglou_model::Value;

use super::column::{address, number};
use crate::sigma::{Test, TimePart};

/// A value and its text, folded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'v> {
    pub(super) value: Value<'v>,
    pub(super) folded: &'v str,
}

impl<'v> Subject<'v> {
    /// The value's text as it is. What is no text is written the same way folded or not.
    pub(super) fn text(self) -> &'v str {
        match self.value {
            Value::Str(text) => text,
            _ => self.folded,
        }
    }
}

/// Whether the test holds for a value. `others` are the values of the field that a [`Test::SameAs`] names.
pub(super) fn holds<'v>(
    test: &Test,
    subject: Subject<'_>,
    mut others: impl Iterator<Item = Subject<'v>>,
) -> bool {
    match test {
        Test::Present => true,
        _ if subject.value == Value::Null => false,
        Test::NotNull => true,
        Test::Text { pattern, cased: true } => pattern.is_match(subject.text()),
        Test::Text { pattern, cased: false } => pattern.is_match(subject.folded),
        Test::Regex(regex) => regex.is_match(subject.text()),
        Test::Cidr(network) => address(subject.folded).is_some_and(|address| network.contains(&address)),
        Test::Number { order, number: bound } => {
            number(subject.value).is_some_and(|number| order.holds(number.compare(*bound)))
        }
        Test::Time { part, order, number } => {
            time_part(*part, subject.value).is_some_and(|found| order.holds(found.cmp(number)))
        }
        Test::SameAs { before, after, cased, .. } => others.any(|other| {
            let (value, wanted) =
                if *cased { (subject.text(), other.text()) } else { (subject.folded, other.folded) };
            other.value != Value::Null
                && match (before, after) {
                    (true, true) => value.contains(wanted),
                    (true, false) => value.ends_with(wanted),
                    (false, true) => value.starts_with(wanted),
                    (false, false) => value == wanted,
                }
        }),
    }
}

fn time_part(part: TimePart, value: Value<'_>) -> Option<i64> {
    match value {
        Value::Str(text) => part.of(text),
        _ => None,
    }
}

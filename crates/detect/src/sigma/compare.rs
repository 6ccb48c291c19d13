//! Numbers and parts of times, and how they compare.

use jiff::civil::DateTime;

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Order {
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
}

impl Order {
    pub(crate) fn holds(self, ordering: std::cmp::Ordering) -> bool {
        match self {
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Equal => ordering.is_eq(),
            Self::GreaterOrEqual => ordering.is_ge(),
            Self::Greater => ordering.is_gt(),
        }
    }
}

/// A number: whole ones are kept exact.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Number {
    Int(i128),
    Float(f64),
}

impl Number {
    /// Decimal text, as rules and records write numbers.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(number) = text.parse() {
            return Some(Self::Int(number));
        }
        // Not every text that Rust reads as a float is a number to people: no `inf`, no `nan`.
        let numeric =
            text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E'));
        text.parse().ok().filter(|number: &f64| numeric && number.is_finite()).map(Self::Float)
    }

    pub(crate) fn compare(self, other: Self) -> std::cmp::Ordering {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a.cmp(&b),
            (a, b) => a.as_f64().total_cmp(&b.as_f64()),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "for numbers that need not be whole")]
    pub(crate) fn as_f64(self) -> f64 {
        match self {
            Self::Int(number) => number as f64,
            Self::Float(number) => number,
        }
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.compare(*other).is_eq()
    }
}
impl Eq for Number {}
impl std::hash::Hash for Number {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_f64().to_bits().hash(state);
    }
}

/// A part of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TimePart {
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
}

impl TimePart {
    /// This part of a time as it is written, in the writer's own zone: Sigma converts none.
    pub(crate) fn of(self, text: &str) -> Option<i64> {
        let text = text.trim();
        // Without fractions and zone: `2026-01-02T03:04:05`.
        let head = text.get(..19).unwrap_or(text);
        let time: DateTime = match head.parse() {
            Ok(time) => time,
            Err(_) if head.contains('/') => head.replace('/', "-").parse().ok()?,
            Err(_) => return None,
        };
        Some(match self {
            Self::Minute => time.minute().into(),
            Self::Hour => time.hour().into(),
            Self::Day => time.day().into(),
            Self::Week => time.date().iso_week_date().week().into(),
            Self::Month => time.month().into(),
            Self::Year => time.year().into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_exactly() {
        let number = |text: &str| Number::parse(text).unwrap();
        assert_eq!(
            number("9007199254740993").compare(number("9007199254740992")),
            std::cmp::Ordering::Greater
        );
        assert_eq!(number("10").compare(number("10.0")), std::cmp::Ordering::Equal);
        assert_eq!(number("-1.5").compare(number("-1")), std::cmp::Ordering::Less);
        assert!(
            Number::parse("inf").is_none() && Number::parse("0x10").is_none() && Number::parse("").is_none()
        );
    }

    #[test]
    fn parts_of_times_as_written() {
        for text in [
            "2025-12-04T07:01:44.982629Z",
            "2025-12-04 07:01:44.963",
            "2025-12-04T07:01:44+08:00",
            "2025/12/04 07:01:44",
        ] {
            let parts = [
                TimePart::Minute,
                TimePart::Hour,
                TimePart::Day,
                TimePart::Week,
                TimePart::Month,
                TimePart::Year,
            ];
            assert_eq!(parts.map(|part| part.of(text)), [1, 7, 4, 49, 12, 2025].map(Some), "{text}");
        }
        assert_eq!(TimePart::Hour.of("soon"), None);
    }
}

//! Instants.

use std::fmt;
use std::str::FromStr;

/// An instant, in nanoseconds since 1970-01-01T00:00:00Z: the truth about time everywhere inside (`time_ns`).
/// OCSF's `time` is milliseconds and is made only at the edge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The text is no RFC 3339 instant between the years 1678 and 2261.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not an RFC 3339 time such as 2026-11-22T08:00:00+08:00")]
pub struct ParseTimestampError {
    text: String,
}

impl Timestamp {
    /// From nanoseconds since the epoch.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }
    /// From milliseconds since the epoch; the range saturates.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }
    /// From seconds since the epoch; the range saturates.
    #[must_use]
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000_000))
    }
    /// Nanoseconds since the epoch.
    #[must_use]
    pub const fn nanos(self) -> i64 {
        self.0
    }
    /// Milliseconds since the epoch, rounded down.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }
    /// The instant `nanos` later (or earlier); the range saturates.
    #[must_use]
    pub const fn plus_nanos(self, nanos: i64) -> Self {
        Self(self.0.saturating_add(nanos))
    }
    /// The system clock's instant. Only edges call this; rooms that decide get the time as an argument.
    #[must_use]
    pub fn now() -> Self {
        jiff::Timestamp::now().into()
    }
}

impl From<jiff::Timestamp> for Timestamp {
    fn from(instant: jiff::Timestamp) -> Self {
        let nanos = instant.as_nanosecond();
        Self(i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX }))
    }
}

impl From<Timestamp> for jiff::Timestamp {
    fn from(instant: Timestamp) -> Self {
        jiff::Timestamp::from_nanosecond(i128::from(instant.0)).unwrap_or_default()
    }
}

impl FromStr for Timestamp {
    type Err = ParseTimestampError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let instant: jiff::Timestamp =
            text.trim().parse().map_err(|_| ParseTimestampError { text: text.chars().take(64).collect() })?;
        Ok(instant.into())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        jiff::Timestamp::from(*self).fmt(f)
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_and_names_what_is_wrong() {
        let instant: Timestamp = "2026-11-22T08:00:00.123456789+08:00".parse().unwrap();
        assert_eq!(instant.to_string(), "2026-11-22T00:00:00.123456789Z");
        assert_eq!(instant.millis(), 1_795_305_600_123);
        assert_eq!(Timestamp::from_nanos(-1).millis(), -1);
        assert!("yesterday".parse::<Timestamp>().unwrap_err().to_string().contains("`yesterday`"));
    }
}

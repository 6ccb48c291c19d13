//! Typed ids.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The text is no 32-digit hexadecimal id.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not an id of 32 hexadecimal digits")]
pub struct ParseIdError {
    text: String,
}

macro_rules! id128 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            /// From its number.
            #[must_use]
            pub const fn from_u128(number: u128) -> Self {
                Self(number)
            }
            /// Its number.
            #[must_use]
            pub const fn as_u128(self) -> u128 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let error = || ParseIdError { text: text.chars().take(40).collect() };
                if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
                    return Err(error());
                }
                u128::from_str_radix(text, 16).map(Self).map_err(|_| error())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id128! {
    /// Names one event for ever: a hash of where it came from, so that the same bytes read again get the same id.
    EventUid
}
id128! {
    /// Names one finding: a hash of the rule, its version and the events it speaks of.
    FindingUid
}
id128! {
    /// Names one incident: the id of the finding that opened it, so that a replay opens the same one.
    IncidentId
}

impl EventUid {
    /// The id of the event at `position` of `source`. Position: batch key + index, file identity + offset, or the
    /// log position given on arrival.
    #[must_use]
    pub fn at(source: &SourceId, position: &[u8]) -> Self {
        Self(hash_of(&[source.as_str().as_bytes(), position]))
    }
}

impl FindingUid {
    /// The id of what `rule` in `version` found in `events` (or, for a correlation, in its group).
    #[must_use]
    pub fn of(rule: &str, version: &str, events: &[EventUid], group: &str) -> Self {
        let uids: Vec<u8> = events.iter().flat_map(|uid| uid.as_u128().to_be_bytes()).collect();
        Self(hash_of(&[rule.as_bytes(), version.as_bytes(), &uids, group.as_bytes()]))
    }
}

impl IncidentId {
    /// The id of the incident that `finding` opens.
    #[must_use]
    pub const fn opened_by(finding: FindingUid) -> Self {
        Self(finding.0)
    }
}

/// The first 128 bits of BLAKE3 over the parts, each preceded by its length.
fn hash_of(parts: &[&[u8]]) -> u128 {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let mut first = [0; 16];
    hasher.finalize_xof().fill(&mut first);
    u128::from_be_bytes(first)
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// From its text.
            #[must_use]
            pub fn new(text: &str) -> Self {
                Self(text.into())
            }
            /// Its text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// Names one configured source of telemetry, such as `syslog-udp` or `http:web-gateway`.
    SourceId
}
name! {
    /// Names a tenant. A city has one: `default`.
    TenantId
}

impl Default for TenantId {
    fn default() -> Self {
        Self::new("default")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_depend_on_every_part_and_round_trip() {
        let source = SourceId::new("a");
        let uid = EventUid::at(&source, b"bc");
        assert_eq!(uid, EventUid::at(&source, b"bc"));
        assert_ne!(uid, EventUid::at(&SourceId::new("ab"), b"c"));
        assert_eq!(uid.to_string().parse::<EventUid>().unwrap(), uid);
        assert!("+0000000000000000000000000000000".parse::<EventUid>().is_err());
        assert_ne!(FindingUid::of("r", "1", &[uid], ""), FindingUid::of("r", "2", &[uid], ""));
    }
}

//! Suppressions: findings that somebody has answered for, until a date.
//!
//! A suppression names a rule (or all rules) and conditions on what a finding holds; it hides findings of which every
//! condition holds. Conditions look at the finding alone, never at the record, so that they can also be tried on
//! findings that were kept. Nothing is dropped: a hidden finding says which suppression hides it.

use std::collections::BTreeMap;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use wanglou_model::{Considered, Entity, Finding, Timestamp};

use crate::sigma::Pattern;
use crate::text::fold;

/// Values of one condition.
const MAX_VALUES: usize = 1_000;
/// Kinds of entity that a condition may name.
const KINDS: [&str; 7] = ["host", "user", "address", "hash", "domain", "file", "process"];

/// A suppression as people write it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suppression {
    /// What it is called; given by the platform when it is made there.
    #[serde(default)]
    pub id: String,
    /// Id of the rule; absent: of any rule, then there must be conditions.
    #[serde(default)]
    pub rule: Option<String>,
    /// What must hold of the finding, each by one of the values: `address`, `user`, `host`, `domain`, `file`,
    /// `process` or `hash` (also with `actor.` or `target.` before it), `source`, `product`, `field.NAME`,
    /// `group.NAME`. Values may hold `*` and `?`; addresses may be networks.
    #[serde(default)]
    pub when: BTreeMap<String, Vec<String>>,
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// From when on it hides nothing any more.
    pub expires: Timestamp,
}

/// A suppression cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SuppressionError {
    /// It would hide everything.
    #[error(
        "a suppression names a rule, conditions under `when`, or both; this one would hide every finding"
    )]
    HidesAll,
    /// A text that must be there is empty.
    #[error("`{0}` must not be empty: a suppression that nobody answers for is never looked at again")]
    Empty(&'static str),
    /// A condition that there is none of.
    #[error(
        "`{0}` is no condition; write host, user, address, hash, domain, file or process (with actor. or target. \
         before it), source, product, field.NAME or group.NAME"
    )]
    UnknownCondition(String),
    /// A condition without values, or with too many.
    #[error("`{0}` needs 1 to 1,000 values")]
    Values(String),
    /// A value that matches everything.
    #[error("`{0}: '*'` holds for every finding; leave the condition out")]
    Anything(String),
}

/// A suppression ready for use.
#[derive(Clone, Debug)]
pub struct Suppressor {
    suppression: Suppression,
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug)]
struct Condition {
    key: String,
    subject: Subject,
    values: Vec<WantedValue>,
}

#[derive(Clone, Debug)]
enum Subject {
    Entity { kind: String, role: Option<&'static str> },
    Source,
    Product,
    Field(String),
    Group(String),
}

#[derive(Clone, Debug)]
enum WantedValue {
    Text(Pattern),
    Network(IpNet),
}

impl Suppressor {
    /// Checks a suppression and makes it ready.
    ///
    /// # Errors
    /// [`SuppressionError`] says what is wrong with it.
    pub fn new(suppression: Suppression) -> Result<Self, SuppressionError> {
        if suppression.rule.is_none() && suppression.when.is_empty() {
            return Err(SuppressionError::HidesAll);
        }
        let texts = [("owner", &suppression.owner), ("reason", &suppression.reason)];
        if let Some((name, _)) = texts.into_iter().find(|(_, text)| text.trim().is_empty()) {
            return Err(SuppressionError::Empty(name));
        }
        let conditions = suppression.when.iter().map(|(key, values)| Condition::new(key, values));
        let conditions = conditions.collect::<Result<_, _>>()?;
        Ok(Self { suppression, conditions })
    }

    /// As it was written.
    #[must_use]
    pub fn suppression(&self) -> &Suppression {
        &self.suppression
    }

    /// What it says of a finding at an instant; `None` when it is not about the finding's rule, or has expired.
    #[must_use]
    pub fn consider(&self, finding: &Finding, now: Timestamp) -> Option<Considered> {
        let Suppression { id, rule, owner, reason, expires, .. } = &self.suppression;
        if *expires <= now || rule.as_ref().is_some_and(|rule| *rule != finding.rule.id) {
            return None;
        }
        let failing = self.conditions.iter().find(|condition| !condition.holds(finding));
        // A suppression of all rules is about this finding only if it hides it.
        if rule.is_none() && failing.is_some() {
            return None;
        }
        let because = match failing {
            Some(condition) => format!("`{}` does not hold", condition.key),
            None if self.conditions.is_empty() => "it hides every finding of the rule".to_owned(),
            None => {
                let keys: Vec<String> =
                    self.conditions.iter().map(|condition| format!("`{}`", condition.key)).collect();
                format!("{} holds", keys.join(" and "))
            }
        };
        Some(Considered {
            id: id.clone(),
            hides: failing.is_none(),
            because,
            owner: owner.clone(),
            reason: reason.clone(),
        })
    }
}

/// Notes on a finding which suppressions were considered. Says whether one hides it.
pub fn apply(suppressors: &[Suppressor], finding: &mut Finding, now: Timestamp) -> bool {
    finding.suppressions = suppressors.iter().filter_map(|one| one.consider(finding, now)).collect();
    finding.is_suppressed()
}

impl Condition {
    fn new(key: &str, values: &[String]) -> Result<Self, SuppressionError> {
        if values.is_empty() || values.len() > MAX_VALUES {
            return Err(SuppressionError::Values(key.to_owned()));
        }
        let subject =
            Subject::parse(key).ok_or_else(|| SuppressionError::UnknownCondition(key.to_owned()))?;
        let is_address = matches!(&subject, Subject::Entity { kind, .. } if kind == "address");
        let wanted = |value: &String| {
            let network =
                || value.parse().ok().or_else(|| Some(value.parse::<std::net::IpAddr>().ok()?.into()));
            match network().filter(|_| is_address) {
                Some(network) => WantedValue::Network(network),
                None => WantedValue::Text(Pattern::parse(value).map_literals(fold)),
            }
        };
        let values: Vec<WantedValue> = values.iter().map(wanted).collect();
        let is_anything = |wanted: &WantedValue| match wanted {
            WantedValue::Text(pattern) => {
                pattern.plain().is_none() && pattern.is_match("") && pattern.is_match("?")
            }
            WantedValue::Network(network) => network.prefix_len() == 0,
        };
        if values.iter().any(is_anything) {
            return Err(SuppressionError::Anything(key.to_owned()));
        }
        Ok(Self { key: key.to_owned(), subject, values })
    }

    fn holds(&self, finding: &Finding) -> bool {
        let mut values: Box<dyn Iterator<Item = &str> + '_> = match &self.subject {
            Subject::Entity { kind, role } => {
                let is_meant = move |entity: &&Entity| {
                    entity.kind.name() == kind && role.is_none_or(|role| role_name(entity) == role)
                };
                Box::new(finding.entities.iter().filter(is_meant).map(|entity| entity.value.as_str()))
            }
            Subject::Source => Box::new(
                finding.evidences.iter().filter_map(|evidence| Some(evidence.place.as_ref()?.file.as_str())),
            ),
            Subject::Product => Box::new(finding.evidences.iter().map(|evidence| evidence.product.as_str())),
            Subject::Field(name) => Box::new(
                finding
                    .evidences
                    .iter()
                    .flat_map(|evidence| &evidence.matches)
                    .filter(move |found| is_called(&found.field, name))
                    .map(|found| found.value.as_str()),
            ),
            Subject::Group(name) => Box::new(
                finding.group.iter().filter(move |(field, _)| field == name).map(|(_, value)| value.as_str()),
            ),
        };
        values.any(|value| self.values.iter().any(|wanted| wanted.holds(value)))
    }
}

impl Subject {
    fn parse(key: &str) -> Option<Self> {
        if let Some(name) = key.strip_prefix("field.") {
            return Some(Self::Field(name.to_owned()));
        }
        if let Some(name) = key.strip_prefix("group.") {
            return Some(Self::Group(name.to_owned()));
        }
        match key {
            "source" => return Some(Self::Source),
            "product" => return Some(Self::Product),
            _ => {}
        }
        let (role, kind) = match key.split_once('.') {
            Some(("actor", kind)) => (Some("actor"), kind),
            Some(("target", kind)) => (Some("target"), kind),
            Some(_) => return None,
            None => (None, key),
        };
        KINDS.contains(&kind).then(|| Self::Entity { kind: kind.to_owned(), role })
    }
}

impl WantedValue {
    fn holds(&self, value: &str) -> bool {
        match self {
            Self::Text(pattern) => pattern.is_match(&fold(value)),
            Self::Network(network) => value
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| network.contains(&address.to_canonical())),
        }
    }
}

fn role_name(entity: &Entity) -> &'static str {
    match entity.role {
        wanglou_model::EntityRole::Actor => "actor",
        wanglou_model::EntityRole::Target => "target",
        wanglou_model::EntityRole::Related => "related",
    }
}

/// Whether a record's field is meant by its whole path or by its last part.
fn is_called(path: &str, name: &str) -> bool {
    path.eq_ignore_ascii_case(name)
        || path.rsplit('.').next().is_some_and(|last| last.eq_ignore_ascii_case(name))
}

/// Reads a YAML list of suppressions. One without an id is called by its place in the list. An `expires` that is a
/// plain day means its beginning, in UTC.
///
/// # Errors
/// What is wrong, with the number of the entry.
pub fn read(text: &str) -> Result<Vec<Suppressor>, String> {
    let entries: Vec<Written> = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    let read = |(number, written): (usize, Written)| {
        let number = number + 1;
        let day = format!("{}T00:00:00Z", written.expires);
        let expires = written.expires.parse().or_else(|_| day.parse());
        let expires: Timestamp = expires.map_err(|_| {
            format!("entry {number}: `expires: {}` is no day or RFC 3339 time", written.expires)
        })?;
        let Written { id, rule, when, owner, reason, .. } = written;
        let id = id.unwrap_or_else(|| format!("entry-{number}"));
        let when = when.into_iter().map(|(key, values)| (key, values.into())).collect();
        Suppressor::new(Suppression { id, rule, when, owner, reason, expires })
            .map_err(|error| format!("entry {number}: {error}"))
    };
    entries.into_iter().enumerate().map(read).collect()
}

/// An entry of a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    rule: Option<String>,
    #[serde(default)]
    when: BTreeMap<String, OneOrMany>,
    owner: String,
    reason: String,
    expires: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(Scalar),
    Many(Vec<Scalar>),
}

/// A value as YAML has it: `4625` is a number there.
#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Flag(bool),
    Number(i64),
    Text(String),
}

impl From<OneOrMany> for Vec<String> {
    fn from(values: OneOrMany) -> Self {
        let values = match values {
            OneOrMany::One(value) => vec![value],
            OneOrMany::Many(values) => values,
        };
        let text = |value| match value {
            Scalar::Flag(flag) => flag.to_string(),
            Scalar::Number(number) => number.to_string(),
            Scalar::Text(text) => text,
        };
        values.into_iter().map(text).collect()
    }
}

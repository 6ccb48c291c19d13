//! The language people search events in: text to [`Expression`], with diagnostics; no storage is known here.
//!
//! ```text
//! user:root and not src_ip:10.0.0.0/8 "failed password"     conditions side by side must all hold
//! url:*/admin/* or cmd:(*whoami* or *net?user*)             * is any text, ? one character
//! http_response.code:[500 TO 599]  dst_port>=1024           { } leave the ends out
//! 登录失败  severity>=high  hash:*                            bare words are looked for in the raw text
//! ```
//! ASCII letters are equal in either case. A bare word or quoted phrase must stand whole: `err` does not find
//! `stderr`, `*err` does; between Chinese characters there are no such borders.
//!
//! Every expression can be written down again ([`std::fmt::Display`]) and reads back as itself.

mod fields;
mod parser;
mod pattern;

use std::fmt;
use std::ops::Range;

pub use fields::{Field, short_names};
pub use parser::parse;
pub use pattern::Pattern;

/// The longest query that is read, in bytes.
pub const MAX_QUERY_BYTES: usize = 8192;
/// The most conditions in one query.
pub const MAX_CONDITIONS: usize = 256;
/// How deep parentheses may nest.
pub const MAX_DEPTH: usize = 32;

/// What a search asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression {
    /// Every event.
    All,
    /// What the other does not find.
    Not(Box<Expression>),
    /// What all of them find; two at least.
    And(Vec<Expression>),
    /// What one of them finds; two at least.
    Or(Vec<Expression>),
    /// A field has a value that passes a test.
    Field(Condition),
    /// The raw text has this word or phrase.
    Text(Pattern),
}

/// A test of a field.
#[derive(Clone, Debug)]
pub struct Condition {
    /// The field.
    pub field: Field,
    /// What one of its values must pass.
    pub test: Test,
    /// Where in the query it stands, in bytes: for those who find later that it makes no sense.
    pub span: Range<usize>,
}

/// Where it stands is not part of what it means.
impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.field == other.field && self.test == other.test
    }
}

impl Eq for Condition {}

/// What a value must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// There is one.
    Exists,
    /// It is this, or looks like this.
    Is(Pattern),
    /// It lies between these.
    Between(Bound, Bound),
}

/// One end of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bound {
    /// There is none.
    Open,
    /// Here, this value included.
    Including(String),
    /// Here, this value left out.
    Excluding(String),
}

/// Why a text is no query: where, and what to write instead, in both languages.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    /// What is wrong, in bytes of the query.
    pub span: Range<usize>,
    /// What is wrong and what to do.
    pub message: String,
    /// The same in Chinese.
    pub message_zh: String,
}

impl QueryError {
    /// An error at a place.
    pub fn new(span: Range<usize>, message: impl Into<String>, message_zh: impl Into<String>) -> Self {
        Self { span, message: message.into(), message_zh: message_zh.into() }
    }

    /// The place as a number of characters before it, from 1.
    #[must_use]
    pub fn column(&self, query: &str) -> usize {
        query.get(..self.span.start).unwrap_or(query).chars().count() + 1
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, parts: &[Self], word: &str| {
            for (number, part) in parts.iter().enumerate() {
                if number > 0 {
                    write!(f, " {word} ")?;
                }
                match part {
                    Self::And(_) | Self::Or(_) => write!(f, "({part})")?,
                    _ => write!(f, "{part}")?,
                }
            }
            Ok(())
        };
        match self {
            Self::All => f.write_str("*"),
            Self::Not(inner) => match &**inner {
                Self::And(_) | Self::Or(_) => write!(f, "not ({inner})"),
                _ => write!(f, "not {inner}"),
            },
            Self::And(parts) => list(f, parts, "and"),
            Self::Or(parts) => list(f, parts, "or"),
            Self::Field(Condition { field, test, .. }) => {
                let test = test.to_string();
                match test.strip_prefix(':') {
                    // Without the space it would read as a path on a drive or as a URL.
                    Some(value) if value.starts_with(['\\', '/']) => write!(f, "{field}: {value}"),
                    _ => write!(f, "{field}{test}"),
                }
            }
            Self::Text(pattern) => write!(f, "{pattern}"),
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        let end = |bound: &Bound| match bound {
            Bound::Open => "*".to_owned(),
            Bound::Including(text) | Bound::Excluding(text) => quoted(text),
        };
        match self {
            Self::Exists => f.write_str(":*"),
            Self::Is(pattern) => write!(f, ":{pattern}"),
            Self::Between(low, high) => {
                let open = if matches!(low, Bound::Excluding(_)) { '{' } else { '[' };
                let close = if matches!(high, Bound::Excluding(_)) { '}' } else { ']' };
                write!(f, ":{open}{} TO {}{close}", end(low), end(high))
            }
        }
    }
}

#[cfg(test)]
mod tests;

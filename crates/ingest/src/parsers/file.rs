//! The form of a parser file, and what can be wrong with it, with its place and what to do.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde_saphyr::Spanned;

/// What is wrong with a parser file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParserError {
    /// The file.
    pub file: String,
    /// The line, from 1; 0 where it is not known.
    pub line: u64,
    /// The column, from 1.
    pub column: u64,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

impl fmt::Display for ParserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}\n  help: {}", self.file, self.line, self.column, self.message, self.help)
    }
}

impl std::error::Error for ParserError {}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) vendor: String,
    pub(super) parsers: Vec<ParserSource>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ParserSource {
    pub(super) id: Spanned<String>,
    pub(super) product: String,
    #[serde(rename = "match")]
    pub(super) matching: Matching,
    #[serde(default)]
    pub(super) extract: Vec<Extract>,
    #[serde(default)]
    pub(super) convert: BTreeMap<String, Convert>,
    #[serde(default)]
    pub(super) map: BTreeMap<String, Spanned<Names>>,
    #[serde(default)]
    pub(super) class: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) tests: Vec<Sample>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Matching {
    #[serde(default)]
    pub(super) all: Vec<String>,
    #[serde(default)]
    pub(super) any: Vec<String>,
    #[serde(default)]
    pub(super) not: Vec<String>,
    #[serde(default)]
    pub(super) regex: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Extract {
    /// The field whose text is read; the message without it.
    #[serde(default)]
    pub(super) from: Option<String>,
    #[serde(default)]
    pub(super) regex: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) pairs: Option<PairsSource>,
    #[serde(default)]
    pub(super) columns: Option<ColumnsSource>,
    #[serde(default)]
    pub(super) auto: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PairsSource {
    pub(super) separator: String,
    pub(super) assign: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ColumnsSource {
    pub(super) separator: String,
    /// Names in order; `_` for what is of no use.
    pub(super) names: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Convert {
    /// Values to other values.
    #[serde(default)]
    pub(super) map: BTreeMap<String, String>,
    /// A time in a form of its own, as `strftime` writes it.
    #[serde(default)]
    pub(super) time: Option<String>,
}

/// Names of fields, the first that has a value counts; `=text` is the text itself.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Names {
    One(String),
    Many(Vec<String>),
}

/// A line and what must come of it: OCSF attributes by their dotted names.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// The line.
    pub line: String,
    /// Attributes of the event and their values as text.
    #[serde(default)]
    pub expect: BTreeMap<String, String>,
}

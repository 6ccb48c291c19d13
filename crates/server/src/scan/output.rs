//! The forms in which findings are shown: one file each.
//!
//! Whatever comes from logs is hostile here too: text for terminals is made [`visible`], spreadsheets get no formulas,
//! the page gets no markup.

mod csv;
mod html;
mod json;
mod table;

pub(crate) use csv::quoted as csv_field;
use std::borrow::Cow;
use std::io::{self, Write};

use jiff::tz::TimeZone;

use super::{Findings, Keep, Stats};

/// How findings are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum OutputFormat {
    /// For reading in a terminal
    Table,
    /// One JSON array of OCSF Detection Findings
    Json,
    /// One OCSF Detection Finding a line
    Ndjson,
    /// For spreadsheets (RFC 4180)
    Csv,
    /// One self-contained page: timeline, tactics, hosts, search
    Html,
}

impl OutputFormat {
    /// In what form findings are kept for it.
    pub(crate) const fn keep(self) -> Keep {
        match self {
            Self::Json | Self::Ndjson => Keep::Ocsf,
            Self::Table | Self::Csv | Self::Html => Keep::Whole,
        }
    }
}

/// The language people read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Language {
    /// 简体中文
    Zh,
    /// English
    En,
}

impl Language {
    /// The one of two texts that is in this language.
    pub(crate) fn pick<'t>(self, zh: &'t str, en: &'t str) -> &'t str {
        match self {
            Self::Zh => zh,
            Self::En => en,
        }
    }
}

/// For whom the output is.
#[derive(Clone, Debug)]
pub(crate) struct Audience {
    /// The language of titles and labels.
    pub language: Language,
    /// Whether colours are wanted.
    pub colour: bool,
    /// Columns of the terminal.
    pub width: usize,
    /// The zone in which times are shown.
    pub zone: TimeZone,
}

/// Writes the findings.
///
/// # Errors
/// When `out` takes no more, or the temporary file cannot be read.
pub(crate) fn write(
    format: OutputFormat,
    findings: &Findings,
    stats: &Stats<'_>,
    audience: &Audience,
    out: &mut dyn Write,
) -> io::Result<()> {
    match format {
        OutputFormat::Table => table::write(findings, stats, audience, out)?,
        OutputFormat::Json => json::write_array(findings, out)?,
        OutputFormat::Ndjson => json::write_lines(findings, out)?,
        OutputFormat::Csv => csv::write(findings, out)?,
        OutputFormat::Html => html::write(findings, stats, audience.language, out)?,
    }
    out.flush()
}

/// Text from outside as it may stand in a terminal: control characters, which could move the cursor, change titles
/// or run commands there, and marks that turn the reading direction are shown by their codes.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_treacherous) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            c if is_treacherous(c) => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    shown.into()
}

fn is_treacherous(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_a_log_reaches_the_terminal_raw() {
        assert_eq!(visible("登录失败 user=li"), "登录失败 user=li");
        assert_eq!(visible("\u{1b}]0;x\u{7}a\nb\u{9b}31m"), "\\u{1b}]0;x\\u{7}a\\nb\\u{9b}31m");
        assert_eq!(visible("gpj.\u{202e}exe"), "gpj.\\u{202e}exe");
    }
}

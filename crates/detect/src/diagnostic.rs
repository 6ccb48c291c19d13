//! Diagnostics: what is wrong with a rule, where, and what to do about it.
//!
//! Codes are stable: tools and people refer to them. `E…` means that the rule (or file) is not loaded, `W…` that it is
//! loaded but deserves a look. Each code's standing remedy is kept beside it in [`Code`].

use std::fmt;

use serde::Serialize;

use crate::yaml::Mark;

/// How bad a diagnostic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DiagnosticSeverity {
    /// The rule is loaded; something about it is probably not meant.
    Warning,
    /// The rule is not loaded.
    Error,
}

/// One thing that is wrong with a rule file. `Display` renders it with the source line and a caret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Stable code, such as `E020`.
    pub code: &'static str,
    /// Error or warning.
    pub severity: DiagnosticSeverity,
    /// The file as it was named when read.
    pub file: String,
    /// 1-based line; 0 when the file as a whole is meant.
    pub line: u32,
    /// 1-based column, in characters.
    pub column: u32,
    /// The text of that line.
    pub source_line: String,
    /// How many characters the caret underlines.
    pub span_len: u32,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
    /// The id of the rule, if it got far enough to have one.
    pub rule_id: Option<String>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.severity {
            DiagnosticSeverity::Warning => "warning",
            DiagnosticSeverity::Error => "error",
        };
        writeln!(f, "{kind}[{}]: {}", self.code, self.message)?;
        if self.line == 0 {
            writeln!(f, " --> {}", self.file)?;
        } else {
            let gutter = self.line.to_string().len();
            writeln!(f, "{:gutter$}--> {}:{}:{}", "", self.file, self.line, self.column)?;
            writeln!(f, "{:gutter$} |", "")?;
            writeln!(f, "{} | {}", self.line, self.source_line)?;
            let indent = indentation(&self.source_line, self.column);
            writeln!(f, "{:gutter$} | {indent}{}", "", "^".repeat(self.span_len.max(1) as usize))?;
        }
        write!(f, "  = help: {}", self.remedy)
    }
}

/// YAML breaks lines at a lone carriage return too, and marks count so.
fn lines(text: &str) -> Vec<&str> {
    text.lines().flat_map(|line| line.split('\r')).collect()
}

/// Blank text as wide as what stands before the column, so that the caret points right also after tabs and Han text.
fn indentation(line: &str, column: u32) -> String {
    let blank = |c: char| match c {
        '\t' => '\t',
        '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' => '\u{3000}',
        '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' => '\u{3000}',
        _ => ' ',
    };
    line.chars().take(column.saturating_sub(1) as usize).map(blank).collect()
}

/// A kind of diagnostic: its code and what to do about it.
#[derive(Debug)]
pub(crate) struct Code {
    pub(crate) id: &'static str,
    pub(crate) remedy: &'static str,
}

impl Code {
    fn severity(&self) -> DiagnosticSeverity {
        if self.id.starts_with(['W', 'L']) { DiagnosticSeverity::Warning } else { DiagnosticSeverity::Error }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $id:literal, $remedy:literal;)*) => {
        $($(#[$doc])* pub(crate) static $name: Code = Code { id: $id, remedy: $remedy };)*
        static ALL: &[&Code] = &[$(&$name),*];
    };
}

codes! {
    /// The file cannot be read.
    UNREADABLE = "E001", "check that the path exists, may be read, and is a folder, a .yml file or a .zip archive";
    /// Not YAML.
    YAML_SYNTAX = "E002", "mend the YAML; texts that begin with a quote, `*`, `%`, `@`, `{` or `[` or that hold `: ` must be quoted";
    /// The same key twice in one map.
    DUPLICATE_KEY = "E003", "rename one of them or merge their values into one list; only one would count";
    /// Too big or too deep.
    LIMIT = "E004", "split the rule into smaller ones";
    /// A document that is no rule.
    NOT_A_RULE = "E005", "a Sigma document is a map with `title`, `logsource` and `detection` (or `correlation`, or `filter`)";
    /// A mandatory attribute is missing.
    MISSING = "E006", "add the attribute; the Sigma specification makes it mandatory";
    /// An attribute has the wrong type.
    WRONG_TYPE = "E007", "give the attribute the type that the Sigma specification asks for";
    /// A modifier that Sigma 2.1 does not have.
    UNKNOWN_MODIFIER = "E010", "use a modifier of the Sigma 2.1 appendix, such as contains, startswith, endswith, re or cidr";
    /// Modifiers that do not go together.
    MODIFIER_CONFLICT = "E011", "remove one of the modifiers, or put it where the specification allows it";
    /// A value that the modifier cannot take.
    BAD_VALUE = "E012", "give the modifier a value of the type it works on";
    /// A regular expression that does not parse.
    BAD_REGEX = "E013", "mend the expression; a backslash before a letter must begin a known class such as \\d or \\s";
    /// A regular expression that needs backtracking.
    UNSUPPORTED_REGEX = "E014", "rewrite without look-around and back-references (Sigma's regex flavour has neither), for example with a second selection and `not`";
    /// A placeholder without values.
    PLACEHOLDER = "E015", "give the placeholder values, or write the values into the rule and drop `expand`";
    /// A selection or list without content.
    EMPTY = "E016", "give it at least one value, or remove it";
    /// The condition does not parse.
    CONDITION_SYNTAX = "E020", "write a condition of selections, `and`, `or`, `not`, `1 of`, `all of` and parentheses";
    /// A selection that is not defined.
    UNKNOWN_SELECTION = "E021", "define the selection under `detection`, or mend its name in the condition";
    /// The removed aggregation syntax.
    AGGREGATION = "E022", "aggregations after `|` were removed from Sigma: write a correlation rule (event_count or value_count) on this rule";
    /// A correlation that lacks what it needs or has it wrong.
    BAD_CORRELATION = "E030", "see the Sigma correlation specification: type, rules, group-by, timespan (such as 5m) and condition";
    /// Correlations that count each other.
    CORRELATION_CIRCLE = "E031", "let one of them count other rules; the rules they name stay silent, as they ask";
    /// A correlation or filter names a rule that is not loaded.
    UNKNOWN_RULE = "E032", "load the rule it names in the same run, and name it by its `id` or `name`";
    /// A pipeline that is wrong.
    BAD_PIPELINE = "E040", "see the pipeline documentation: name, priority, vars and transformations, each with a `type`; a pipeline with a mistake is not used at all";
    /// A part of pipelines that only makes sense for query languages.
    UNSUPPORTED_PIPELINE = "E041", "remove it: rules are run here, not turned into queries of another system";
    /// A pipeline refused the rule.
    REFUSED_BY_PIPELINE = "E042", "the pipeline says that the rule is not for this site; change either";
    /// A field that no record of the logsource has, and that the condition cannot do without.
    LINT_UNKNOWN_FIELD = "L001", "use a field of the logsource's records, or name the logsource that has it";
    /// Parts of the condition that exclude each other.
    LINT_CONTRADICTION = "L002", "mend the values or the condition; as it stands the rule can never fire";
    /// The same detection as another rule's.
    LINT_DUPLICATE = "L003", "keep one of the two; both raise a finding for the same event";
    /// A condition that almost every record satisfies.
    LINT_BROAD = "L004", "ask for a value that is rare, or add a second selection";
    /// Work for every record.
    LINT_COSTLY = "L005", "add a `contains` of text that must be there, or name the field, so that most records are ruled out cheaply";
    /// Facts that people need and the rule does not give.
    LINT_METADATA = "L006", "add them: whoever handles the finding needs to know what it means and whom to ask";
    /// No ATT&CK tag.
    LINT_NO_TECHNIQUE = "L007", "add tags such as attack.execution and attack.t1059.001, or the rule is missing from coverage";
    /// A tag of a technique that ATT&CK does not have.
    LINT_UNKNOWN_TECHNIQUE = "L008", "mend the id, or name the technique that took its place";
    /// An unknown severity or status.
    UNKNOWN_LEVEL = "W001", "use informational, low, medium, high or critical; it counts as medium";
    /// No telemetry is known for the logsource.
    UNKNOWN_LOGSOURCE = "W002", "mend the logsource, or add it to the taxonomy; until then only records of a product with that id are searched";
    /// A selection that no condition names.
    UNUSED_SELECTION = "W003", "name it in the condition, or remove it";
    /// Two rules with one id.
    DUPLICATE_ID = "W004", "give each rule an id of its own";
    /// `all` with one value.
    SINGLE_ALL = "W005", "remove `all`: it needs at least two values";
    /// A condition that the first event satisfies.
    TRIVIAL_THRESHOLD = "W006", "add a lower bound (gt or gte): while events stream in, the first one already satisfies an upper bound";
}

/// All codes with their standing remedies, in order.
pub fn codes() -> impl Iterator<Item = (&'static str, &'static str)> {
    ALL.iter().map(|code| (code.id, code.remedy))
}

/// The diagnostics of one file as they are found, and the text they point into.
#[derive(Debug)]
pub(crate) struct Reporter<'a> {
    file: &'a str,
    lines: Vec<&'a str>,
    rule_id: Option<String>,
    pub(crate) found: Vec<Diagnostic>,
}

/// A rule was refused; the reason has been reported.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rejected;

impl<'a> Reporter<'a> {
    pub(crate) fn new(file: &'a str, text: &'a str) -> Self {
        Self { file, lines: lines(text), rule_id: None, found: Vec::new() }
    }

    pub(crate) fn file(&self) -> &'a str {
        self.file
    }

    /// Names the rule that the coming diagnostics are about.
    pub(crate) fn about(&mut self, rule_id: Option<&str>) {
        self.rule_id = rule_id.map(str::to_owned);
    }

    /// Reports a diagnostic and gives what an erring function returns.
    pub(crate) fn report(&mut self, code: &'static Code, mark: Mark, message: impl Into<String>) -> Rejected {
        let source_line = self.lines.get((mark.line as usize).wrapping_sub(1)).copied().unwrap_or_default();
        self.found.push(Diagnostic {
            code: code.id,
            severity: code.severity(),
            file: self.file.to_owned(),
            line: mark.line,
            column: mark.column,
            source_line: clip(source_line),
            span_len: mark.len.max(1),
            message: message.into(),
            remedy: code.remedy.to_owned(),
            rule_id: self.rule_id.clone(),
        });
        Rejected
    }
}

/// A diagnostic shows at most this much of a line.
const MAX_SOURCE_LINE: usize = 400;

fn clip(line: &str) -> String {
    line.chars().take(MAX_SOURCE_LINE).collect()
}

/// The diagnostic of a file that could not be read.
pub(crate) fn unreadable(file: &str, reason: &str) -> Diagnostic {
    let mut reporter = Reporter::new(file, "");
    reporter.report(&UNREADABLE, Mark::default(), reason);
    reporter.found.remove(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_in_order() {
        assert!(ALL.windows(2).all(|pair| pair[0].id < pair[1].id));
    }

    #[test]
    fn the_caret_points_at_the_column_also_after_han_text() {
        let text = "title: 中文 bad\n";
        let mut reporter = Reporter::new("a.yml", text);
        reporter.report(&BAD_VALUE, Mark { line: 1, column: 11, len: 3 }, "`bad` is bad");
        let shown = reporter.found[0].to_string();
        assert!(shown.contains("1 | title: 中文 bad\n  |        \u{3000}\u{3000} ^^^\n"), "{shown}");
    }
}

//! CSV (RFC 4180): a finding a row.

use std::io::{self, Write};

use wanglou_model::Finding;

use crate::scan::{Findings, columns};

const HEADER: [&str; 18] = [
    "time",
    "level",
    "title",
    "title_zh",
    "host",
    "user",
    "source",
    "count",
    "why",
    "tactics",
    "techniques",
    "file",
    "record",
    "product",
    "rule_id",
    "rule_file",
    "first_seen",
    "finding_uid",
];

/// Writes the header and a row for each finding.
pub(super) fn write(findings: &Findings, out: &mut dyn Write) -> io::Result<()> {
    write_row(&HEADER.map(str::to_owned), out)?;
    for finding in findings.iter() {
        write_row(&row(&finding?), out)?;
    }
    Ok(())
}

fn row(finding: &Finding) -> [String; 18] {
    let rule = &finding.rule;
    let attacks = rule.attacks();
    let tactics: Vec<&str> = attacks.tactics().iter().map(|tactic| tactic.slug).collect();
    let reasons = columns::reasons(finding);
    let name = |field: &str| if field.is_empty() { "text" } else { field }.to_owned();
    let why: Vec<String> = reasons.iter().map(|(field, value)| name(field) + "=" + value).collect();
    let evidence = finding.evidences.first();
    let place = evidence.and_then(|evidence| evidence.place.as_ref());
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    [
        finding.last_seen.to_string(),
        finding.severity.level().to_owned(),
        rule.title.clone(),
        text(rule.title_zh.as_deref()),
        text(columns::host(finding)),
        text(columns::user(finding)),
        text(columns::source(finding)),
        finding.count.to_string(),
        why.join("; "),
        tactics.join(" "),
        attacks.techniques().join(" "),
        text(place.map(|place| place.file.as_str())),
        place.map(|place| place.record.to_string()).unwrap_or_default(),
        text(evidence.map(|evidence| evidence.product.as_str())),
        rule.id.clone(),
        rule.file.clone(),
        finding.first_seen.to_string(),
        finding.uid.to_string(),
    ]
}

fn write_row(fields: &[String], out: &mut dyn Write) -> io::Result<()> {
    let fields: Vec<String> = fields.iter().map(|field| quoted(field)).collect();
    write!(out, "{}\r\n", fields.join(","))
}

/// A field as RFC 4180 has it. One that a spreadsheet would run as a formula gets a `'` before it, which spreadsheets
/// take for "this is text".
pub(crate) fn quoted(field: &str) -> String {
    let is_formula = field.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    let field = if is_formula { format!("'{field}") } else { field.to_owned() };
    if field.contains(['"', ',', '\n', '\r', ';']) || is_formula {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn fields_are_quoted_and_formulas_are_text() {
        assert_eq!(quoted("web-01"), "web-01");
        assert_eq!(quoted("a \"b\", c"), "\"a \"\"b\"\", c\"");
        assert_eq!(quoted("two\nlines"), "\"two\nlines\"");
        for formula in ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1"] {
            assert!(quoted(formula).starts_with("\"'"), "{formula}");
        }
    }
}

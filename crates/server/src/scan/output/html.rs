//! The report: one self-contained page that works without a server and without a network.
//!
//! Template, style and script are files under `scan/report/`; the findings go in as one JSON element that the script
//! reads. Nothing from a log becomes markup: the JSON holds no `<`, the script only ever sets text, and the page's
//! policy forbids everything but its own style and script.

use std::collections::HashMap;
use std::io::{self, Write};

use serde::Serialize;
use wanglou_detect::FailedRule;
use wanglou_model::attack::{TACTICS, technique};
use wanglou_model::{Finding, RuleInfo, Timestamp};

use super::Language;
use crate::scan::{Findings, Stats, Unread, columns};

const TEMPLATE: &str = include_str!("../report/report.html");
const STYLE: &str = include_str!("../report/report.css");
const SCRIPT: &str = include_str!("../report/report.js");

/// Findings in one page, the worst first: a browser stays quick with so many, and the page small enough to send.
const MAX_FINDINGS: usize = 20_000;
/// Events shown of each finding.
const MAX_EVIDENCES: usize = 5;
/// Failed and skipped files listed.
const MAX_FILES: usize = 500;

/// Writes the page.
pub(super) fn write(
    findings: &Findings,
    stats: &Stats<'_>,
    language: Language,
    out: &mut dyn Write,
) -> io::Result<()> {
    let nonce = uuid::Uuid::new_v4().simple().to_string();
    let report = Report::of(findings, stats)?;
    let mut rest = TEMPLATE;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        out.write_all(before.as_bytes())?;
        match name {
            "lang" => out.write_all(language.pick("zh-CN", "en").as_bytes())?,
            "nonce" => out.write_all(nonce.as_bytes())?,
            "style" => out.write_all(STYLE.as_bytes())?,
            "script" => out.write_all(SCRIPT.as_bytes())?,
            "data" => serde_json::to_writer(NoMarkup(out), &report)?,
            other => return Err(io::Error::other(format!("the template has an unknown mark `{other}`"))),
        }
        rest = after;
    }
    out.write_all(rest.as_bytes())
}

/// Writes JSON that may stand in a page: `<` is only ever inside a string there, and so is its escape.
struct NoMarkup<'w>(&'w mut dyn Write);

impl Write for NoMarkup<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut parts = bytes.split(|byte| *byte == b'<');
        if let Some(first) = parts.next() {
            self.0.write_all(first)?;
        }
        for part in parts {
            self.0.write_all(b"\\u003c")?;
            self.0.write_all(part)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[derive(Serialize)]
struct Report<'s> {
    generated: i64,
    version: &'static str,
    stats: Totals<'s>,
    tactics: Vec<[&'static str; 3]>,
    techniques: HashMap<String, &'static str>,
    rules: Vec<RuleRow>,
    findings: Vec<FindingRow>,
}

#[derive(Serialize)]
struct Totals<'s> {
    events: u64,
    bytes: u64,
    findings: u64,
    files: u64,
    failed: &'s [Unread],
    failed_count: usize,
    skipped: &'s [Unread],
    skipped_count: usize,
    rules_loaded: usize,
    rules_failed: &'s [FailedRule],
    seconds: f64,
    interrupted: bool,
}

#[derive(Serialize)]
struct RuleRow {
    id: String,
    level: u8,
    title: String,
    title_zh: Option<String>,
    desc: String,
    desc_zh: Option<String>,
    tactics: Vec<&'static str>,
    techniques: Vec<(Option<&'static str>, String)>,
    falsepositives: Vec<String>,
    references: Vec<String>,
    author: String,
    file: String,
}

/// Short names: there are thousands of these.
#[derive(Serialize)]
struct FindingRow {
    /// Times of the first and last event, in milliseconds.
    t: i64,
    z: i64,
    /// Rule, by number.
    r: usize,
    /// Level, OCSF `severity_id`.
    l: u8,
    /// Host, user, source address.
    h: Option<String>,
    u: Option<String>,
    s: Option<String>,
    /// Events.
    n: u64,
    /// What the events of a correlation have in common.
    g: Vec<(String, String)>,
    /// Evidence.
    e: Vec<EvidenceRow>,
    uid: String,
}

#[derive(Serialize)]
struct EvidenceRow {
    f: Option<String>,
    r: Option<u64>,
    p: String,
    t: i64,
    m: Vec<[String; 4]>,
}

impl<'s> Report<'s> {
    fn of(findings: &Findings, stats: &'s Stats<'_>) -> io::Result<Self> {
        let mut report = Self {
            generated: Timestamp::now().millis(),
            version: stats.version,
            stats: Totals {
                events: stats.events,
                bytes: stats.bytes,
                findings: stats.findings,
                files: stats.files,
                failed: stats.files_failed.get(..MAX_FILES).unwrap_or(stats.files_failed),
                failed_count: stats.files_failed.len(),
                skipped: stats.files_skipped.get(..MAX_FILES).unwrap_or(stats.files_skipped),
                skipped_count: stats.files_skipped.len(),
                rules_loaded: stats.rules_loaded,
                rules_failed: stats.rules_failed,
                seconds: stats.seconds,
                interrupted: stats.interrupted,
            },
            tactics: TACTICS.iter().map(|tactic| [tactic.uid, tactic.name, tactic.name_zh]).collect(),
            techniques: HashMap::new(),
            rules: Vec::new(),
            findings: Vec::new(),
        };
        let mut numbers: HashMap<String, usize> = HashMap::new();
        for finding in findings.worst_first(MAX_FINDINGS) {
            let finding = finding?;
            let key = format!("{} {}", finding.rule.id, finding.rule.version);
            let number = *numbers.entry(key).or_insert_with(|| {
                report.rules.push(RuleRow::of(&finding.rule));
                report.rules.len() - 1
            });
            report.findings.push(FindingRow::of(finding, number));
        }
        for (_, uid) in report.rules.iter().flat_map(|rule| &rule.techniques) {
            report.techniques.insert(uid.clone(), technique(uid).map_or("", |known| known.name));
        }
        Ok(report)
    }
}

impl RuleRow {
    fn of(rule: &RuleInfo) -> Self {
        let attacks = rule.attacks();
        Self {
            id: rule.id.clone(),
            level: rule.severity.id(),
            title: rule.title.clone(),
            title_zh: rule.title_zh.clone(),
            desc: rule.description.clone(),
            desc_zh: rule.description_zh.clone(),
            tactics: attacks.tactics().iter().map(|tactic| tactic.uid).collect(),
            techniques: attacks
                .entries
                .iter()
                .filter_map(|(tactic, uid)| Some((tactic.map(|tactic| tactic.uid), uid.clone()?)))
                .collect(),
            falsepositives: rule.falsepositives.clone(),
            references: rule.references.clone(),
            author: rule.author.clone(),
            file: rule.file.clone(),
        }
    }
}

impl FindingRow {
    fn of(finding: Finding, rule: usize) -> Self {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let (h, u, s) = (columns::host(&finding), columns::user(&finding), columns::source(&finding));
        let (h, u, s) = (owned(h), owned(u), owned(s));
        let evidences = finding.evidences.into_iter().take(MAX_EVIDENCES);
        Self {
            t: finding.first_seen.millis(),
            z: finding.last_seen.millis(),
            r: rule,
            l: finding.severity.id(),
            h,
            u,
            s,
            n: finding.count,
            g: finding.group,
            e: evidences
                .map(|evidence| {
                    let (file, record) = evidence.place.map(|place| (place.file, place.record)).unzip();
                    let matches = evidence.matches.into_iter();
                    EvidenceRow {
                        f: file,
                        r: record,
                        p: evidence.product,
                        t: evidence.time.millis(),
                        m: matches.map(|m| [m.field, m.value, m.pattern, m.selection]).collect(),
                    }
                })
                .collect(),
            uid: finding.uid.to_string(),
        }
    }
}

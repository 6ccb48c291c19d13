//! The table for a terminal: findings gathered by rule and host, the worst first, then the counts.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

use console::{Color, Style, measure_text_width, truncate_str};
use wanglou_model::{Finding, RuleInfo, Severity, Timestamp};

use super::{Audience, Language, visible};
use crate::scan::{Findings, Stats, columns};

/// Findings shown of each group.
const SHOWN_EACH: usize = 3;
/// Matches shown of each finding.
const SHOWN_REASONS: usize = 4;
/// Groups shown; a screenful is a hundred lines, and who has more reads the page or the JSON.
const SHOWN_GROUPS: usize = 200;
/// Rules and hosts in the counts.
const SHOWN_COUNTS: usize = 8;
/// The longest value shown, in columns.
const VALUE_WIDTH: usize = 96;

/// Findings of one rule on one host.
struct Group {
    rule: Arc<RuleInfo>,
    host: Option<String>,
    severity: Severity,
    findings: u64,
    first: Timestamp,
    last: Timestamp,
    samples: Vec<Finding>,
}

/// Writes the groups and the counts.
pub(super) fn write(
    findings: &Findings,
    stats: &Stats<'_>,
    audience: &Audience,
    out: &mut dyn Write,
) -> io::Result<()> {
    let page = Page { audience };
    let groups = gather(findings)?;
    for group in groups.iter().take(SHOWN_GROUPS) {
        page.group(group, out)?;
    }
    if let Some(more) = groups.len().checked_sub(SHOWN_GROUPS).filter(|more| *more > 0) {
        let text = audience.language.pick(
            "组未列出；用 --format html 或 ndjson 查看全部",
            "more groups not shown; --format html or ndjson shows all",
        );
        writeln!(out, "… {more} {text}\n")?;
    }
    page.counts(findings, stats, out)
}

fn gather(findings: &Findings) -> io::Result<Vec<Group>> {
    let mut groups: BTreeMap<(String, Option<String>), Group> = BTreeMap::new();
    for finding in findings.iter() {
        let finding = finding?;
        let host = columns::host(&finding).map(str::to_owned);
        let key = (finding.rule.id.clone(), host.clone());
        let group = groups.entry(key).or_insert_with(|| Group {
            rule: Arc::clone(&finding.rule),
            host,
            severity: finding.severity,
            findings: 0,
            first: finding.first_seen,
            last: finding.last_seen,
            samples: Vec::new(),
        });
        group.findings += 1;
        group.severity = group.severity.max(finding.severity);
        group.first = group.first.min(finding.first_seen);
        group.last = group.last.max(finding.last_seen);
        if group.samples.len() < SHOWN_EACH {
            group.samples.push(finding);
        }
    }
    let mut groups: Vec<Group> = groups.into_values().collect();
    groups.sort_by_key(|group| (std::cmp::Reverse(group.severity), group.first));
    Ok(groups)
}

struct Page<'a> {
    audience: &'a Audience,
}

impl Page<'_> {
    fn group(&self, group: &Group, out: &mut dyn Write) -> io::Result<()> {
        let dim = self.style().dim();
        let title = title(&group.rule, self.audience.language);
        write!(out, "{}  {}", self.badge(group.severity), self.style().bold().apply_to(visible(title)))?;
        if let Some(host) = &group.host {
            write!(out, "  {}", self.style().fg(Color::Cyan).apply_to(visible(host)))?;
        }
        if group.findings > 1 {
            write!(out, "  ×{}", group.findings)?;
        }
        let tactics = group.rule.attacks().tactics();
        let tactics: Vec<&str> =
            tactics.iter().map(|tactic| self.audience.language.pick(tactic.name_zh, tactic.name)).collect();
        writeln!(out, "  {}", dim.apply_to(tactics.join(", ")))?;
        for finding in &group.samples {
            self.finding(finding, out)?;
        }
        let more = group.findings - group.samples.len() as u64;
        if more > 0 {
            let until = self.audience.language.pick("条，至", "more until");
            writeln!(out, "    {}", dim.apply_to(format!("… {more} {until} {}", self.time(group.last))))?;
        }
        writeln!(out)
    }

    fn finding(&self, finding: &Finding, out: &mut dyn Write) -> io::Result<()> {
        let dim = self.style().dim();
        let mut who: Vec<String> = Vec::new();
        if let Some(user) = columns::user(finding) {
            who.push(format!("{} {}", self.audience.language.pick("用户", "user"), visible(user)));
        }
        if let Some(source) = columns::source(finding) {
            who.push(format!("{} {}", self.audience.language.pick("来自", "from"), visible(source)));
        }
        if finding.count > 1 {
            who.push(format!("{} {}", finding.count, self.audience.language.pick("条日志", "events")));
        }
        let place = columns::place(finding).unwrap_or_default();
        let line = [self.time(finding.first_seen), who.join("  ")].join("  ");
        let room = self.audience.width.saturating_sub(measure_text_width(&line) + 6);
        let place = visible(&place).into_owned();
        let place = if self.audience.colour { tail(&place, room.max(24)) } else { place };
        writeln!(out, "    {}  {}", line.trim_end(), dim.apply_to(place))?;
        let reasons = columns::reasons(finding);
        for (field, value) in reasons.iter().take(SHOWN_REASONS) {
            let value = visible(value);
            let width =
                self.audience.width.saturating_sub(measure_text_width(field) + 9).clamp(24, VALUE_WIDTH);
            let value = truncate_str(&value, width, "…");
            let name = if field.is_empty() { self.audience.language.pick("全文", "text") } else { field };
            writeln!(out, "      {}{}{value}", dim.apply_to(visible(name)), dim.apply_to("="))?;
        }
        if let Some(more) = reasons.len().checked_sub(SHOWN_REASONS).filter(|more| *more > 0) {
            let text = self.audience.language.pick("个匹配字段", "more matched fields");
            writeln!(out, "      {}", dim.apply_to(format!("… {more} {text}")))?;
        }
        Ok(())
    }

    fn counts(&self, findings: &Findings, stats: &Stats<'_>, out: &mut dyn Write) -> io::Result<()> {
        let language = self.audience.language;
        let bold = self.style().bold();
        let dim = self.style().dim();
        let summary = &findings.summary;
        let rules = summary.rules();
        let hosts = summary.hosts();
        if !rules.is_empty() {
            writeln!(out, "{}", bold.apply_to(language.pick("命中最多的规则", "Top rules")))?;
            for count in rules.iter().take(SHOWN_COUNTS) {
                let badge = self.badge(count.rule.severity);
                writeln!(out, "  {:>7}  {badge}  {}", count.findings, visible(title(&count.rule, language)))?;
            }
            self.others(rules.len(), out)?;
        }
        if !hosts.is_empty() {
            writeln!(out, "{}", bold.apply_to(language.pick("主机", "Hosts")))?;
            for count in hosts.iter().take(SHOWN_COUNTS) {
                let badge = self.badge(count.severity);
                writeln!(out, "  {:>7}  {badge}  {}", count.findings, visible(&count.host))?;
            }
            self.others(hosts.len(), out)?;
        }
        let levels: Vec<String> = Severity::ALL
            .into_iter()
            .rev()
            .filter(|level| summary.of_level(*level) > 0)
            .map(|level| format!("{} {}", self.badge(level).to_string().trim(), summary.of_level(level)))
            .collect();
        let found = match language {
            Language::Zh => format!("{} 条告警", stats.findings),
            Language::En => format!("{} findings", stats.findings),
        };
        writeln!(out, "{}  {}", bold.apply_to(found), levels.join("  "))?;
        writeln!(out, "{}", dim.apply_to(effort(stats, language)))?;
        if stats.interrupted {
            let text = language.pick("扫描中途停止，结果不完整", "The scan was stopped: this is not all");
            writeln!(out, "{}", self.style().fg(Color::Yellow).apply_to(text))?;
        }
        Ok(())
    }

    fn others(&self, all: usize, out: &mut dyn Write) -> io::Result<()> {
        match all.checked_sub(SHOWN_COUNTS).filter(|more| *more > 0) {
            Some(more) => {
                let text = format!("… {more} {}", self.audience.language.pick("项", "more"));
                writeln!(out, "  {:>7}  {}\n", "", self.style().dim().apply_to(text))
            }
            None => writeln!(out),
        }
    }

    /// To the second, in the audience's zone.
    fn time(&self, time: Timestamp) -> String {
        let local = jiff::Timestamp::from(time).to_zoned(self.audience.zone.clone());
        local.strftime("%Y-%m-%d %H:%M:%S%:z").to_string()
    }

    fn style(&self) -> Style {
        Style::new().force_styling(self.audience.colour)
    }

    /// The level, in words of one width, and in colour where there is colour.
    fn badge(&self, severity: Severity) -> console::StyledObject<&'static str> {
        let (zh, en, style) = match severity {
            Severity::Critical => ("严重", "CRIT", self.style().fg(Color::White).bg(Color::Red).bold()),
            Severity::High => ("高　", "HIGH", self.style().fg(Color::Red).bold()),
            Severity::Medium => ("中　", "MED ", self.style().fg(Color::Yellow)),
            Severity::Low => ("低　", "LOW ", self.style().fg(Color::Blue)),
            Severity::Informational => ("信息", "INFO", self.style().dim()),
        };
        style.apply_to(self.audience.language.pick(zh, en))
    }
}

fn effort(stats: &Stats<'_>, language: Language) -> String {
    let (failed, skipped) = (stats.files_failed.len(), stats.files_skipped.len());
    let (events, files, rules) = (stats.events, stats.files, stats.rules_loaded);
    let mut text = match language {
        Language::Zh => {
            format!("{events} 条日志，{files} 个文件，{rules} 条规则，用时 {:.1} 秒", stats.seconds)
        }
        Language::En => format!("{events} events in {files} files, {rules} rules, {:.1} s", stats.seconds),
    };
    let mut add = |count: usize, zh: &str, en: &str| {
        if count > 0 {
            text.push_str(&match language {
                Language::Zh => format!("；{count} {zh}"),
                Language::En => format!("; {count} {en}"),
            });
        }
    };
    add(failed, "个文件无法完整读取", "files could not be read whole");
    add(skipped, "个文件不是可识别的日志", "files hold no log we know");
    add(stats.rules_failed.len(), "条规则未加载", "rules not loaded");
    text
}

fn title(rule: &RuleInfo, language: Language) -> &str {
    match (&rule.title_zh, language) {
        (Some(title), Language::Zh) => title,
        _ => &rule.title,
    }
}

/// The end of a path: the file name tells more than the folder.
fn tail(text: &str, width: usize) -> String {
    if measure_text_width(text) <= width {
        return text.to_owned();
    }
    let mut kept: Vec<char> = Vec::new();
    let mut used = 1;
    for c in text.chars().rev() {
        used += if c.is_ascii() { 1 } else { 2 };
        if used > width {
            break;
        }
        kept.push(c);
    }
    kept.push('…');
    kept.into_iter().rev().collect()
}

//! Lint: rules that load and yet are probably not what their author wanted.
//!
//! One idea: a rule is accused only of what can be proved from its text. That it can never fire is shown by refuting
//! its condition branch by branch; where that does not succeed, nothing is said.

mod fields;
mod refute;

use std::collections::BTreeMap;

use wanglou_model::attack;

use crate::Diagnostic;
use crate::diagnostic::{self, Code, Reporter};
use crate::engine::parsed_rules;
use crate::rules::RuleFile;
use crate::sigma::{Detection, Expr, Item, Logsource, Piece, Rule, Shape, Test};
use crate::yaml::Mark;
use refute::{Refutation, refute};

/// Shorter literals of a `contains` stand in almost every value.
const MIN_CONTAINS_CHARS: usize = 3;
/// Shorter keywords are found in almost every record.
const MIN_KEYWORD_CHARS: usize = 3;

/// What is questionable about rules that load, in order of files and lines. Rules that do not load are for
/// [`compile`](crate::compile) to report.
#[must_use]
pub fn lint(files: &[RuleFile]) -> Vec<Diagnostic> {
    let rules = parsed_rules(files);
    let mut found = Vec::new();
    let mut bodies: BTreeMap<String, &(usize, Rule)> = BTreeMap::new();
    for placed in &rules {
        let (index, rule) = placed;
        let Some(file) = files.get(*index) else { continue };
        let mut desk = Desk { reporter: Reporter::new(&file.path, &file.text), rule };
        desk.reporter.about(Some(&rule.header.info.id));
        desk.check();
        let body = normal_form(&rule.logsource, &rule.detection);
        match bodies.get(&body) {
            Some((first, other)) if other.header.info.id != rule.header.info.id => {
                let path = files.get(*first).map(|file| file.path.as_str()).unwrap_or_default();
                let message = format!("it asks exactly what `{}` in `{path}` asks", other.header.info.title);
                desk.report(&diagnostic::LINT_DUPLICATE, rule.header.mark, message);
            }
            Some(_) => {}
            None => _ = bodies.insert(body, placed),
        }
        found.extend(desk.reporter.found.into_iter().map(|diagnostic| (*index, diagnostic)));
    }
    found.sort_by_key(|(file, diagnostic)| (*file, diagnostic.line, diagnostic.code));
    found.into_iter().map(|(_, diagnostic)| diagnostic).collect()
}

struct Desk<'a> {
    reporter: Reporter<'a>,
    rule: &'a Rule,
}

impl Desk<'_> {
    fn report(&mut self, code: &'static Code, mark: Mark, message: String) {
        self.reporter.report(code, mark, message);
    }

    fn check(&mut self) {
        let Rule { header, logsource, detection } = self.rule;
        match refute(detection, logsource) {
            Some(Refutation::Field { item, field }) => {
                let message = format!(
                    "`{field}` is in no record of logsource `{logsource}` that is known, and the condition needs it"
                );
                self.report(&diagnostic::LINT_UNKNOWN_FIELD, mark_of(detection, item), message);
            }
            Some(Refutation::Contradiction { item, message }) => {
                self.report(&diagnostic::LINT_CONTRADICTION, mark_of(detection, item), message);
            }
            None => self.check_breadth(),
        }
        self.check_tags();
        let info = &header.info;
        let missing: Vec<&str> = [
            ("id (a UUID)", !is_uuid(&info.id)),
            ("description", info.description.is_empty()),
            ("author", info.author.is_empty()),
            ("status", info.status.is_empty()),
            ("falsepositives", info.falsepositives.is_empty()),
        ]
        .into_iter()
        .filter_map(|(name, is_missing)| is_missing.then_some(name))
        .collect();
        if !missing.is_empty() {
            let message = format!("the rule lacks {}", missing.join(", "));
            self.report(&diagnostic::LINT_METADATA, header.mark, message);
        }
    }

    fn check_breadth(&mut self) {
        let Rule { header, detection, .. } = self.rule;
        if is_broad(&detection.condition, detection) {
            let message = "nothing that the condition asks is rare: it holds for almost every record that has the fields";
            self.report(&diagnostic::LINT_BROAD, header.mark, message.to_owned());
            return;
        }
        if let Some(item) = costly(&detection.condition, detection) {
            let is_keyword = detection.items.get(item).is_some_and(|item| item.field.is_none());
            let message = if is_keyword {
                "the condition rests on a keyword so short that it stands in almost every record"
            } else {
                "the condition rests on a regular expression without any text that must stand in the value"
            };
            self.report(&diagnostic::LINT_COSTLY, mark_of(detection, item), message.to_owned());
        }
    }

    fn check_tags(&mut self) {
        let header = &self.rule.header;
        let mut names_attack = false;
        for tag in &header.info.tags {
            let Some(name) = tag.strip_prefix("attack.") else { continue };
            names_attack = true;
            let is_technique = name.len() > 1
                && name.starts_with(['t', 'T'])
                && name.bytes().skip(1).all(|b| b.is_ascii_digit() || b == b'.');
            // Higher numbers are those of later releases.
            let number = name.get(1..).and_then(|rest| rest.split('.').next()?.parse::<u32>().ok());
            let is_later = number.is_some_and(|number| number > attack::newest_technique());
            if is_technique && !is_later && attack::technique(name).is_none() {
                let message =
                    format!("ATT&CK {} has no technique `{}`", attack::VERSION, name.to_uppercase());
                self.report(&diagnostic::LINT_UNKNOWN_TECHNIQUE, header.mark, message);
            }
        }
        if !names_attack {
            let message = "no tag names an ATT&CK tactic or technique".to_owned();
            self.report(&diagnostic::LINT_NO_TECHNIQUE, header.mark, message);
        }
    }
}

fn mark_of(detection: &Detection, item: usize) -> Mark {
    detection.items.get(item).map(|item| item.mark).unwrap_or_default()
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.char_indices().all(|(at, c)| match at {
            8 | 13 | 18 | 23 => c == '-',
            _ => c.is_ascii_hexdigit(),
        })
}

/// Whether an expression holds for almost every record that has the fields it names. What is denied counts as rare
/// only when it stands beside something that is asked for: a rule of mere exclusions is meant to be broad.
fn is_broad(expr: &Expr, detection: &Detection) -> bool {
    match expr {
        Expr::Item(item) => detection.items.get(*item).is_some_and(is_broad_item),
        Expr::And(parts) => !parts.is_empty() && parts.iter().all(|part| is_broad(part, detection)),
        Expr::Or(parts) => parts.iter().any(|part| is_broad(part, detection)),
        Expr::Not(_) => false,
    }
}

fn is_broad_item(item: &Item) -> bool {
    item.tests.iter().any(|written| match &written.test {
        Test::NotNull | Test::Present => true,
        Test::Text { pattern, .. } => match pattern.shape() {
            Shape::Anything => true,
            Shape::Contains(text) => {
                let is_plain = text
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || c.is_ascii_whitespace() || "\\/.:-".contains(c));
                is_plain && text.chars().count() < MIN_CONTAINS_CHARS
            }
            _ => false,
        },
        _ => false,
    })
}

/// The item that every record of the logsource pays for, because nothing cheaper decides before it: a regular
/// expression without a text that must be there, or a short keyword.
fn costly(expr: &Expr, detection: &Detection) -> Option<usize> {
    match expr {
        Expr::Item(index) => detection.items.get(*index).is_some_and(is_costly_item).then_some(*index),
        Expr::Or(parts) => parts.iter().find_map(|part| costly(part, detection)),
        Expr::And(parts) => {
            let mut found = None;
            for part in parts.iter().filter(|part| !matches!(part, Expr::Not(_))) {
                match costly(part, detection) {
                    Some(item) => found = Some(item),
                    None if is_broad(part, detection) => {}
                    None => return None,
                }
            }
            found
        }
        Expr::Not(_) => None,
    }
}

fn is_costly_item(item: &Item) -> bool {
    item.tests.iter().any(|written| match &written.test {
        Test::Regex(regex) => regex.required().is_empty(),
        test => item.field.is_none() && longest(test) < MIN_KEYWORD_CHARS,
    })
}

/// Characters of the longest literal that a text test asks for; other tests ask for something else.
fn longest(test: &Test) -> usize {
    let Test::Text { pattern, .. } = test else { return usize::MAX };
    let lengths = pattern.pieces().iter().map(|piece| match piece {
        Piece::Literal(text) => text.chars().count(),
        Piece::Any | Piece::One | Piece::Dash => 0,
    });
    lengths.max().unwrap_or(0)
}

/// A text that is equal for detections which differ in names, order and spelling only.
fn normal_form(logsource: &Logsource, detection: &Detection) -> String {
    format!("{logsource}\n{}", normal(&detection.condition, detection))
}

fn normal(expr: &Expr, detection: &Detection) -> String {
    let joined = |name: &str, parts: &[Expr]| {
        let mut parts: Vec<String> = parts.iter().map(|part| normal(part, detection)).collect();
        parts.sort();
        parts.dedup();
        match parts.as_slice() {
            [only] => only.clone(),
            _ => format!("{name}({})", parts.join(";")),
        }
    };
    match expr {
        Expr::And(parts) => joined("and", parts),
        Expr::Or(parts) => joined("or", parts),
        Expr::Not(part) => format!("not({})", normal(part, detection)),
        Expr::Item(index) => detection.items.get(*index).map_or_else(String::new, |item| {
            let mut tests: Vec<String> =
                item.tests.iter().map(|written| format!("{:?}", written.test)).collect();
            tests.sort();
            tests.dedup();
            format!("{:?}:{tests:?}", item.field)
        }),
    }
}

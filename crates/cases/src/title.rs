//! Titles: who did what to whom, in English and in Chinese.
//!
//! Who: the source address named most often, else the acting user. What: the two rules that weigh most, in the order
//! they fired. Whom: the host named most often, and how many others.

use wanglou_model::attack::TACTICS;
use wanglou_model::{EntityKind, EntityRole};

use crate::{Incident, IncidentRule};

/// Names come from logs; a longer one is cut.
const MAX_NAME_CHARS: usize = 64;
/// A longer rule title is cut.
const MAX_ACTIVITY_CHARS: usize = 120;
/// What a title names before it only counts.
const NAMED_ACTIVITIES: usize = 2;

/// `SSH brute force and Webshell upload by 10.0.0.5 against web-01`
pub(crate) fn english(incident: &Incident) -> String {
    let cast = Cast::of(incident);
    let rules = main_rules(incident);
    let activities: Vec<String> =
        rules.named.iter().map(|rule| cut(&rule.title, MAX_ACTIVITY_CHARS)).collect();
    let mut title = activities.join(if rules.others == 0 { " and " } else { ", " });
    if rules.others > 0 {
        title.push_str(&format!(" and {} more", rules.others));
    }
    if let Some(actor) = &cast.actor {
        title.push_str(" by ");
        title.push_str(actor);
    }
    if let Some(target) = &cast.target {
        title.push_str(if cast.actor_is_address { " against " } else { " on " });
        title.push_str(target);
        match cast.other_targets {
            0 => {}
            1 => title.push_str(" and 1 other host"),
            n => title.push_str(&format!(" and {n} other hosts")),
        }
    }
    title
}

/// `10.0.0.5 对 web-01 的 SSH 暴力破解与 Webshell 上传`
pub(crate) fn chinese(incident: &Incident) -> String {
    let cast = Cast::of(incident);
    let rules = main_rules(incident);
    let mut activities: Vec<String> = Vec::new();
    for rule in rules.named {
        let activity = chinese_activity(rule);
        if !activities.contains(&activity) {
            activities.push(activity);
        }
    }
    let what = match rules.others {
        0 => join_words(&activities, "与"),
        others => {
            let kinds = (others + activities.len()).to_string();
            spaced(&[&join_words(&activities, "、"), "等", &kinds, "类行为"])
        }
    };
    let whom = cast.target.as_ref().map(|target| match cast.other_targets {
        0 => target.clone(),
        others => spaced(&[target, "等", &(others + 1).to_string(), "台主机"]),
    });
    match (&cast.actor, whom) {
        (Some(actor), Some(whom)) if cast.actor_is_address => spaced(&[actor, "对", &whom, "的", &what]),
        (Some(actor), Some(whom)) => spaced(&[actor, "在", &whom, "上的", &what]),
        (Some(actor), None) => spaced(&[actor, "的", &what]),
        (None, Some(whom)) => spaced(&[&whom, "上的", &what]),
        (None, None) => what,
    }
}

/// The rule's Chinese title; for a rule without one, the tactics it stands for; else its English title.
fn chinese_activity(rule: &IncidentRule) -> String {
    if let Some(title) = &rule.title_zh {
        return cut(title, MAX_ACTIVITY_CHARS);
    }
    let tactics: Vec<String> = TACTICS
        .iter()
        .filter(|tactic| rule.tactics.iter().any(|uid| uid == tactic.uid))
        .take(NAMED_ACTIVITIES)
        .map(|tactic| tactic.name_zh.to_owned())
        .collect();
    if tactics.is_empty() {
        cut(&rule.title, MAX_ACTIVITY_CHARS)
    } else {
        join_words(&tactics, "、") + "行为"
    }
}

struct MainRules<'i> {
    named: Vec<&'i IncidentRule>,
    others: usize,
}

fn main_rules(incident: &Incident) -> MainRules<'_> {
    let mut rules: Vec<&IncidentRule> = Vec::new();
    for rule in &incident.rules {
        // Rules of one title (a pack and its copy) are one activity.
        if !rules.iter().any(|known| known.title == rule.title) {
            rules.push(rule);
        }
    }
    rules.sort_by_key(|rule| {
        (std::cmp::Reverse(rule.severity), std::cmp::Reverse(rule.findings), rule.first_seen)
    });
    let others = rules.len().saturating_sub(NAMED_ACTIVITIES);
    rules.truncate(NAMED_ACTIVITIES);
    rules.sort_by_key(|rule| rule.first_seen);
    MainRules { named: rules, others }
}

/// Who and whom.
struct Cast {
    actor: Option<String>,
    actor_is_address: bool,
    target: Option<String>,
    other_targets: usize,
}

impl Cast {
    fn of(incident: &Incident) -> Self {
        let main = |kind: EntityKind, role: EntityRole| {
            let fitting =
                incident.entities.iter().filter(|held| held.entity.kind == kind && held.entity.role == role);
            // The first of the most often named: `max_by_key` would give the last.
            fitting.rev().max_by_key(|held| held.findings).map(|held| cut(&held.entity.value, MAX_NAME_CHARS))
        };
        let count = |kind: EntityKind| {
            let is_target =
                |entity: &wanglou_model::Entity| entity.kind == kind && entity.role == EntityRole::Target;
            incident.entities.iter().filter(|held| is_target(&held.entity)).count()
        };
        let address = main(EntityKind::Address, EntityRole::Actor);
        let actor_is_address = address.is_some();
        let hosts = count(EntityKind::Host);
        let targets = if hosts > 0 { hosts } else { count(EntityKind::Address) };
        Self {
            actor: address.or_else(|| main(EntityKind::User, EntityRole::Actor)),
            actor_is_address,
            target: main(EntityKind::Host, EntityRole::Target)
                .or_else(|| main(EntityKind::Address, EntityRole::Target)),
            other_targets: targets.saturating_sub(1),
        }
    }
}

/// Control characters and line breaks have no place in a title.
fn cut(text: &str, chars: usize) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let mut short: String = text.trim().chars().take(chars).map(clean).collect();
    if text.trim().chars().count() > chars {
        short.push('…');
    }
    short
}

fn join_words(words: &[String], between: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for word in words {
        if !parts.is_empty() {
            parts.push(between);
        }
        parts.push(word);
    }
    spaced(&parts)
}

/// Joins, with a space wherever Han and Latin text would touch.
fn spaced(parts: &[&str]) -> String {
    let mut text = String::new();
    for part in parts {
        if let (Some(before), Some(after)) = (text.chars().last(), part.chars().next())
            && is_latin(before) != is_latin(after)
            && !is_mark(before)
            && !is_mark(after)
        {
            text.push(' ');
        }
        text.push_str(part);
    }
    text
}

fn is_latin(c: char) -> bool {
    u32::from(c) < 0x2000
}

fn is_mark(c: char) -> bool {
    c.is_whitespace() || matches!(c, '、' | '，' | '（' | '）' | '…')
}

#[cfg(test)]
mod tests {
    use crate::fixtures::{actor, at, finding, host, incident_of, named, secs, user};

    #[test]
    fn say_who_did_what_to_whom() {
        let story = [actor("10.0.0.5"), host("web-01")];
        let mut incident = incident_of(&named(finding(1, &story), "SSH brute force", Some("暴力破解")));
        assert_eq!(incident.title, "SSH brute force by 10.0.0.5 against web-01");
        assert_eq!(incident.title_zh, "10.0.0.5 对 web-01 的暴力破解");
        let upload = named(finding(2, &story), "Webshell upload", Some("Webshell 上传"));
        incident.add(&at(upload, 50), secs(60));
        assert_eq!(incident.title, "SSH brute force and Webshell upload by 10.0.0.5 against web-01");
        assert_eq!(incident.title_zh, "10.0.0.5 对 web-01 的暴力破解与 Webshell 上传");
        let third = named(finding(3, &[actor("10.0.0.5"), host("web-02")]), "Web scan", Some("Web 扫描"));
        incident.add(&at(third, 70), secs(80));
        assert_eq!(incident.title_zh, "10.0.0.5 对 web-01 等 2 台主机的暴力破解、Webshell 上传等 3 类行为");
        assert_eq!(
            incident.title,
            "SSH brute force, Webshell upload and 1 more by 10.0.0.5 against web-01 and 1 other host"
        );
    }

    #[test]
    fn say_what_is_known_when_less_is_known() {
        let on_host = incident_of(&named(finding(1, &[host("db-01"), user("li")]), "Log cleared", None));
        assert_eq!(on_host.title, "Log cleared by li on db-01");
        assert_eq!(on_host.title_zh, "li 在 db-01 上的执行行为");
        let bare = incident_of(&named(finding(1, &[]), "Log cleared", Some("清除日志")));
        assert_eq!((bare.title.as_str(), bare.title_zh.as_str()), ("Log cleared", "清除日志"));
        let hostile = incident_of(&finding(1, &[host("a\u{1b}[31m\nb")]));
        assert!(!hostile.title.contains(['\u{1b}', '\n']));
    }
}

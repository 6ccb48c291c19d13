//! One incident (安全事件): what is known of it and what happened to it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use wanglou_model::{Entity, Finding, FindingUid, IncidentId, Outcome, Severity, Timestamp};

use crate::{LinkKey, State, TransitionError, title};

/// Entities that an incident keeps. A scan of a whole network names thousands; the first ones tell the story, the
/// others are counted and stand in the findings.
const MAX_ENTITIES: usize = 500;
/// Rules that an incident keeps, with the same reason.
const MAX_RULES: usize = 200;
/// The longest note that is kept, in characters: several pages.
pub const MAX_NOTE_CHARS: usize = 10_000;
/// Who acts when the platform itself does.
pub const SYSTEM: &str = "system";
/// An attack that different rules see in this many tactics is under way, not a single odd thing.
const TACTICS_OF_A_CAMPAIGN: usize = 3;

/// The note cannot be kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// There is nothing in it.
    #[error("the note is empty")]
    Empty,
    /// It is longer than [`MAX_NOTE_CHARS`].
    #[error("the note has {chars} characters; keep it below {MAX_NOTE_CHARS} and attach the rest elsewhere")]
    TooLong {
        /// Its length.
        chars: usize,
    },
}

/// An incident: findings that belong together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Its id: that of the finding which opened it.
    pub id: IncidentId,
    /// Who did what to whom, in English.
    pub title: String,
    /// Who did what to whom, in Chinese.
    pub title_zh: String,
    /// How bad, judged from its findings.
    pub severity: Severity,
    /// Where it stands.
    pub state: State,
    /// When the platform opened it.
    pub opened: Timestamp,
    /// When it last changed.
    pub updated: Timestamp,
    /// Time of its first event.
    pub first_seen: Timestamp,
    /// Time of its last event.
    pub last_seen: Timestamp,
    /// How many findings it has.
    pub finding_count: u64,
    /// How many events its findings stand for.
    pub event_count: u64,
    /// The worst outcome that a finding proves.
    pub outcome: Outcome,
    /// The things it is about, in the order they were first named; at most 500.
    pub entities: Vec<IncidentEntity>,
    /// How many entities found no place in [`Incident::entities`]; one that recurs is counted again.
    pub entities_omitted: u64,
    /// The rules behind it, in the order they first fired; at most 200.
    pub rules: Vec<IncidentRule>,
    /// The ATT&CK tactics seen, in the order of an attack.
    pub tactics: Vec<IncidentTactic>,
    /// The text of the [`LinkKey`] it was opened for.
    pub anchor: String,
    /// What was done, oldest first.
    pub history: Vec<Change>,
}

/// One entity of an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentEntity {
    /// The thing and its part.
    #[serde(flatten)]
    pub entity: Entity,
    /// How many findings name it.
    pub findings: u64,
}

/// One rule of an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentRule {
    /// The rule's id.
    pub id: String,
    /// Its English title.
    pub title: String,
    /// Its Chinese title, if it has one.
    pub title_zh: Option<String>,
    /// The worst severity of its findings.
    pub severity: Severity,
    /// ATT&CK tactic ids.
    pub tactics: Vec<String>,
    /// How many findings are its.
    pub findings: u64,
    /// Time of its first event.
    pub first_seen: Timestamp,
}

/// One ATT&CK tactic of an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentTactic {
    /// `TA0002`.
    pub uid: String,
    /// `Execution`.
    pub name: String,
    /// `执行`.
    pub name_zh: String,
    /// How many findings show it.
    pub findings: u64,
}

/// One thing done to an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// By whom; [`SYSTEM`] for the platform.
    pub by: String,
    /// What.
    #[serde(flatten)]
    pub kind: ChangeKind,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ChangeKind {
    /// A finding opened it.
    Opened {
        /// That finding.
        finding: FindingUid,
    },
    /// Its state changed.
    State {
        /// Before.
        from: State,
        /// After.
        to: State,
        /// Why.
        note: String,
    },
    /// Somebody wrote something down.
    Note {
        /// What.
        text: String,
    },
    /// More findings made it worse.
    Severity {
        /// Before.
        from: Severity,
        /// After.
        to: Severity,
    },
}

impl Incident {
    /// The incident that `finding` opens, looked up later by `anchor`.
    #[must_use]
    pub fn open(finding: &Finding, anchor: &LinkKey, now: Timestamp) -> Self {
        let mut incident = Self {
            id: IncidentId::opened_by(finding.uid),
            title: String::new(),
            title_zh: String::new(),
            severity: Severity::Informational,
            state: State::New,
            opened: now,
            updated: now,
            first_seen: finding.first_seen,
            last_seen: finding.last_seen,
            finding_count: 0,
            event_count: 0,
            outcome: Outcome::Unknown,
            entities: Vec::new(),
            entities_omitted: 0,
            rules: Vec::new(),
            tactics: Vec::new(),
            anchor: anchor.to_string(),
            history: Vec::new(),
        };
        incident.count(finding);
        let kind = ChangeKind::Opened { finding: finding.uid };
        incident.history.push(Change { at: now, by: SYSTEM.into(), kind });
        incident.severity = incident.judge();
        incident
    }

    /// Takes one more finding in. Whether it is in already is the repository's knowledge: [`take`](crate::take) asks.
    pub fn add(&mut self, finding: &Finding, now: Timestamp) {
        self.count(finding);
        self.updated = self.updated.max(now);
        let judged = self.judge();
        if judged > self.severity {
            let kind = ChangeKind::Severity { from: self.severity, to: judged };
            self.history.push(Change { at: now, by: SYSTEM.into(), kind });
            self.severity = judged;
        }
    }

    /// Changes the state.
    ///
    /// # Errors
    /// The state machine has no such way ([`State::next`]), or the note is missing or too long.
    pub fn transition(
        &mut self,
        to: State,
        by: &str,
        note: &str,
        now: Timestamp,
    ) -> Result<(), TransitionError> {
        self.state.check(to, note)?;
        let note = if note.trim().is_empty() { String::new() } else { checked_note(note)? };
        let kind = ChangeKind::State { from: self.state, to, note };
        self.history.push(Change { at: now, by: by.to_owned(), kind });
        self.state = to;
        self.updated = self.updated.max(now);
        Ok(())
    }

    /// Writes something down.
    ///
    /// # Errors
    /// The note is empty or too long.
    pub fn note(&mut self, by: &str, text: &str, now: Timestamp) -> Result<(), NoteError> {
        let kind = ChangeKind::Note { text: checked_note(text)? };
        self.history.push(Change { at: now, by: by.to_owned(), kind });
        self.updated = self.updated.max(now);
        Ok(())
    }

    /// The keys by which a later finding may find this incident.
    #[must_use]
    pub fn keys(&self) -> BTreeSet<String> {
        let entities = self.entities.iter().filter_map(|held| LinkKey::of_entity(&held.entity));
        entities.map(|key| key.to_string()).chain([self.anchor.clone()]).collect()
    }

    fn count(&mut self, finding: &Finding) {
        self.finding_count += 1;
        self.event_count = self.event_count.saturating_add(finding.count);
        self.first_seen = self.first_seen.min(finding.first_seen);
        self.last_seen = self.last_seen.max(finding.last_seen);
        self.outcome = worse(self.outcome, finding.outcome);
        for entity in &finding.entities {
            self.count_entity(entity);
        }
        self.count_rule(finding);
        self.title = title::english(self);
        self.title_zh = title::chinese(self);
    }

    fn count_entity(&mut self, entity: &Entity) {
        if let Some(held) = self.entities.iter_mut().find(|held| held.entity == *entity) {
            held.findings += 1;
        } else if self.entities.len() < MAX_ENTITIES {
            self.entities.push(IncidentEntity { entity: entity.clone(), findings: 1 });
        } else {
            self.entities_omitted += 1;
        }
    }

    fn count_rule(&mut self, finding: &Finding) {
        let rule = &finding.rule;
        let tactics = rule.attacks().tactics();
        for tactic in &tactics {
            match self.tactics.iter_mut().find(|held| held.uid == tactic.uid) {
                Some(held) => held.findings += 1,
                None => self.tactics.push(IncidentTactic {
                    uid: tactic.uid.into(),
                    name: tactic.name.into(),
                    name_zh: tactic.name_zh.into(),
                    findings: 1,
                }),
            }
        }
        self.tactics.sort_by_key(|held| order_of(&held.uid));
        if let Some(held) = self.rules.iter_mut().find(|held| held.id == rule.id) {
            held.findings += 1;
            held.severity = held.severity.max(finding.severity);
            held.first_seen = held.first_seen.min(finding.first_seen);
        } else if self.rules.len() < MAX_RULES {
            self.rules.push(IncidentRule {
                id: rule.id.clone(),
                title: rule.title.clone(),
                title_zh: rule.title_zh.clone(),
                severity: finding.severity,
                tactics: tactics.iter().map(|tactic| tactic.uid.to_owned()).collect(),
                findings: 1,
                first_seen: finding.first_seen,
            });
        }
    }

    /// As bad as the worst finding; one level worse when different rules see several tactics of an attack; at least
    /// high when something is proven to have worked. Many mild findings of one kind stay mild.
    fn judge(&self) -> Severity {
        let worst = self.rules.iter().map(|rule| rule.severity).max().unwrap_or_default();
        let serious: Vec<_> = self.rules.iter().filter(|rule| rule.severity >= Severity::Medium).collect();
        let tactics: BTreeSet<&str> =
            serious.iter().flat_map(|rule| rule.tactics.iter().map(String::as_str)).collect();
        let is_campaign = serious.len() >= TACTICS_OF_A_CAMPAIGN && tactics.len() >= TACTICS_OF_A_CAMPAIGN;
        let judged = if is_campaign { Severity::from_id(worst.id() + 1) } else { worst };
        match self.outcome {
            Outcome::Success | Outcome::Compromise => judged.max(Severity::High),
            Outcome::Attempt | Outcome::Unknown => judged,
        }
    }
}

fn checked_note(text: &str) -> Result<String, NoteError> {
    let text = text.trim();
    let chars = text.chars().count();
    if text.is_empty() {
        Err(NoteError::Empty)
    } else if chars > MAX_NOTE_CHARS {
        Err(NoteError::TooLong { chars })
    } else {
        Ok(text.to_owned())
    }
}

fn worse(a: Outcome, b: Outcome) -> Outcome {
    let rank = |outcome| match outcome {
        Outcome::Unknown => 0,
        Outcome::Attempt => 1,
        Outcome::Success => 2,
        Outcome::Compromise => 3,
    };
    if rank(b) > rank(a) { b } else { a }
}

fn order_of(tactic: &str) -> usize {
    wanglou_model::attack::TACTICS.iter().position(|known| known.uid == tactic).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{actor, finding, host, incident_of, rule, secs};

    #[test]
    fn counts_what_its_findings_say() {
        let mut incident = incident_of(&finding(1, &[actor("10.0.0.5"), host("web-01")]));
        incident.add(&finding(2, &[actor("10.0.0.5"), host("web-02")]), secs(20));
        assert_eq!((incident.finding_count, incident.event_count), (2, 2));
        assert_eq!((incident.first_seen, incident.last_seen), (secs(1), secs(2)));
        let counts: Vec<_> =
            incident.entities.iter().map(|held| (held.entity.value.as_str(), held.findings)).collect();
        assert_eq!(counts, [("10.0.0.5", 2), ("web-01", 1), ("web-02", 1)]);
    }

    #[test]
    fn a_scan_of_a_whole_network_stays_bounded() {
        let mut incident = incident_of(&finding(0, &[actor("10.0.0.5"), host("h0")]));
        for n in 1..2_000 {
            incident.add(&finding(n, &[actor("10.0.0.5"), host(&format!("h{n}"))]), secs(2));
        }
        assert_eq!(incident.entities.len(), MAX_ENTITIES);
        assert_eq!(incident.entities.len() as u64 - 1 + incident.entities_omitted, 2_000);
        assert_eq!(incident.severity, Severity::Medium);
    }

    #[test]
    fn several_tactics_and_success_make_it_worse_and_the_history_says_so() {
        let target = [host("web-01")];
        let mut incident = incident_of(&rule(finding(1, &target), "a", "attack.initial-access"));
        incident.add(&rule(finding(2, &target), "b", "attack.execution"), secs(20));
        assert_eq!(incident.severity, Severity::Medium);
        incident.add(&rule(finding(3, &target), "c", "attack.persistence"), secs(30));
        assert_eq!(incident.severity, Severity::High);
        let last = incident.history.last().unwrap();
        assert_eq!(last.kind, ChangeKind::Severity { from: Severity::Medium, to: Severity::High });
        let names: Vec<&str> = incident.tactics.iter().map(|tactic| tactic.name.as_str()).collect();
        assert_eq!(names, ["Initial Access", "Execution", "Persistence"]);

        let mut success = finding(1, &target);
        success.outcome = Outcome::Success;
        assert_eq!(incident_of(&success).severity, Severity::High);
    }

    #[test]
    fn changes_are_kept_with_their_reason() {
        let mut incident = incident_of(&finding(1, &[host("web-01")]));
        incident.transition(State::InProgress, "wang", "", secs(5)).unwrap();
        incident.note("wang", "  已隔离主机 ", secs(6)).unwrap();
        incident.transition(State::Resolved, "li", "已清除 Webshell", secs(7)).unwrap();
        assert_eq!(incident.note("li", " ", secs(8)), Err(NoteError::Empty));
        let long = "长".repeat(MAX_NOTE_CHARS + 1);
        assert!(matches!(
            incident.transition(State::Closed, "li", &long, secs(8)),
            Err(TransitionError::Note(_))
        ));
        assert_eq!(incident.state, State::Resolved);
        let json = serde_json::to_value(&incident.history).unwrap();
        assert_eq!(json[1]["kind"], "state");
        assert_eq!(json[2]["text"], "已隔离主机");
        assert_eq!(json[3]["to"], "resolved");
        let read: Incident = serde_json::from_value(serde_json::to_value(&incident).unwrap()).unwrap();
        assert_eq!(read, incident);
    }
}

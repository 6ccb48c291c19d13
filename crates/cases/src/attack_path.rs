//! The attack path: what was seen of each ATT&CK tactic, in the order of an attack.

use serde::Serialize;
use wanglou_model::attack::{TACTICS, technique};
use wanglou_model::{Finding, Severity, Timestamp};

/// What was seen of one tactic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PathStep {
    /// `TA0002`.
    pub tactic: &'static str,
    /// `Execution`.
    pub name: &'static str,
    /// `执行`.
    pub name_zh: &'static str,
    /// The techniques, by id.
    pub techniques: Vec<PathTechnique>,
    /// How many findings show it.
    pub findings: u64,
    /// The worst of them.
    pub severity: Severity,
    /// Time of the first event.
    pub first_seen: Timestamp,
    /// Time of the last event.
    pub last_seen: Timestamp,
}

/// What was seen of one technique.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PathTechnique {
    /// `T1059.001`.
    pub uid: String,
    /// `PowerShell`; empty when the table does not know it.
    pub name: &'static str,
    /// How many findings show it.
    pub findings: u64,
}

/// The path of these findings. A finding whose rule names several tactics stands under each.
#[must_use]
pub fn attack_path(findings: &[Finding]) -> Vec<PathStep> {
    let attacks: Vec<_> = findings.iter().map(|finding| (finding, finding.rule.attacks())).collect();
    let mut path = Vec::new();
    for tactic in &TACTICS {
        let mut step: Option<PathStep> = None;
        for (finding, attacks) in &attacks {
            let techniques: Vec<Option<&String>> = attacks
                .entries
                .iter()
                .filter(|(named, _)| *named == Some(tactic))
                .map(|(_, uid)| uid.as_ref())
                .collect();
            if techniques.is_empty() {
                continue;
            }
            let step = step.get_or_insert_with(|| PathStep {
                tactic: tactic.uid,
                name: tactic.name,
                name_zh: tactic.name_zh,
                techniques: Vec::new(),
                findings: 0,
                severity: finding.severity,
                first_seen: finding.first_seen,
                last_seen: finding.last_seen,
            });
            step.count(finding, techniques.into_iter().flatten());
        }
        path.extend(step);
    }
    path
}

impl PathStep {
    fn count<'a>(&mut self, finding: &Finding, techniques: impl Iterator<Item = &'a String>) {
        self.findings += 1;
        self.severity = self.severity.max(finding.severity);
        self.first_seen = self.first_seen.min(finding.first_seen);
        self.last_seen = self.last_seen.max(finding.last_seen);
        for uid in techniques {
            match self.techniques.binary_search_by(|known| known.uid.cmp(uid)) {
                Ok(at) => self.techniques.iter_mut().skip(at).take(1).for_each(|known| known.findings += 1),
                Err(at) => {
                    let name = technique(uid).map_or("", |known| known.name);
                    self.techniques.insert(at, PathTechnique { uid: uid.clone(), name, findings: 1 });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{finding, rule, secs};

    #[test]
    fn steps_follow_the_order_of_an_attack_whatever_came_first() {
        let findings = [
            rule(finding(9, &[]), "c", "attack.t1505.003"),
            rule(finding(1, &[]), "a", "attack.t1110"),
            rule(finding(5, &[]), "a", "attack.t1110"),
            rule(finding(3, &[]), "b", "attack.initial-access"),
            rule(finding(3, &[]), "x", "cve.2021-44228"),
        ];
        let path = attack_path(&findings);
        let names: Vec<&str> = path.iter().map(|step| step.name).collect();
        assert_eq!(names, ["Initial Access", "Persistence", "Credential Access"]);
        assert!(path[0].techniques.is_empty());
        assert_eq!((path[2].findings, path[2].first_seen, path[2].last_seen), (2, secs(1), secs(5)));
        assert_eq!(path[2].techniques[0].findings, 2);
        assert_eq!(path[1].techniques[0].name, "Web Shell");
    }
}

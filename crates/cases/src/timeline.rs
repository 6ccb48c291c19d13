//! The timeline of an incident: what happened to the bureau and what the bureau did, in one order.

use serde::Serialize;
use wanglou_model::{Finding, FindingUid, Severity, Timestamp};

use crate::{Change, Incident};

/// One line of a timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TimelineEntry {
    /// When.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub kind: TimelineKind,
}

/// What stands on a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum TimelineKind {
    /// A finding, at the time of its first event.
    Finding {
        /// The finding.
        uid: FindingUid,
        /// Its rule's title.
        title: String,
        /// Its rule's title in Chinese, if there is one.
        title_zh: Option<String>,
        /// How bad.
        severity: Severity,
        /// How many events it stands for.
        count: u64,
        /// Time of its last event.
        until: Timestamp,
    },
    /// Something done to the incident.
    Change {
        /// What and by whom.
        change: Change,
    },
}

/// The timeline of an incident, oldest first; at the same instant what happened stands before what was done.
#[must_use]
pub fn timeline(incident: &Incident, findings: &[Finding]) -> Vec<TimelineEntry> {
    let happened = findings.iter().map(|finding| TimelineEntry {
        at: finding.first_seen,
        kind: TimelineKind::Finding {
            uid: finding.uid,
            title: finding.rule.title.clone(),
            title_zh: finding.rule.title_zh.clone(),
            severity: finding.severity,
            count: finding.count,
            until: finding.last_seen,
        },
    });
    let done = incident
        .history
        .iter()
        .map(|change| TimelineEntry { at: change.at, kind: TimelineKind::Change { change: change.clone() } });
    let mut entries: Vec<TimelineEntry> = happened.chain(done).collect();
    entries.sort_by_key(|entry| entry.at);
    entries
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::State;
    use crate::fixtures::{finding, host, incident_of, secs};

    #[test]
    fn findings_and_deeds_stand_in_one_order() {
        let findings = [finding(30, &[host("a")]), finding(1, &[host("a")])];
        let mut incident = incident_of(&findings[0]);
        incident.transition(State::InProgress, "wang", "", secs(20)).unwrap();
        let entries = timeline(&incident, &findings);
        let times: Vec<Timestamp> = entries.iter().map(|entry| entry.at).collect();
        assert_eq!(times, [secs(1), secs(10), secs(20), secs(30)]);
        let json = serde_json::to_value(&entries).unwrap();
        assert_eq!(json[0]["type"], "finding");
        assert_eq!(json[1]["change"]["kind"], "opened");
    }
}

//! Counts of findings by level, rule, host and tactic.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use wanglou_model::{Finding, RuleInfo, Severity, Timestamp};

use super::columns;

/// Hosts that are counted one by one; their names come from logs.
const MAX_HOSTS: usize = 10_000;

/// The counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Summary {
    levels: BTreeMap<Severity, u64>,
    rules: FxHashMap<String, RuleCount>,
    hosts: FxHashMap<String, HostCount>,
    /// Time of the first and last event.
    pub span: Option<(Timestamp, Timestamp)>,
}

/// How often a rule fired.
#[derive(Clone, Debug)]
pub(crate) struct RuleCount {
    /// The rule.
    pub rule: Arc<RuleInfo>,
    /// Findings.
    pub findings: u64,
}

/// What was found on a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostCount {
    /// The host.
    pub host: String,
    /// Findings.
    pub findings: u64,
    /// The worst level.
    pub severity: Severity,
}

impl Summary {
    /// Takes one more finding in.
    pub(super) fn count(&mut self, finding: &Finding) {
        *self.levels.entry(finding.severity).or_default() += 1;
        let rule = &finding.rule;
        let count = self.rules.entry(rule.id.clone());
        count.or_insert_with(|| RuleCount { rule: Arc::clone(rule), findings: 0 }).findings += 1;
        if let Some(host) = columns::host(finding)
            && (self.hosts.len() < MAX_HOSTS || self.hosts.contains_key(host))
        {
            let count = self.hosts.entry(host.to_owned()).or_insert_with(|| HostCount {
                host: host.to_owned(),
                findings: 0,
                severity: finding.severity,
            });
            count.findings += 1;
            count.severity = count.severity.max(finding.severity);
        }
        let (first, last) = self.span.unwrap_or((finding.first_seen, finding.last_seen));
        self.span = Some((first.min(finding.first_seen), last.max(finding.last_seen)));
    }

    /// Findings of a level.
    pub(crate) fn of_level(&self, severity: Severity) -> u64 {
        self.levels.get(&severity).copied().unwrap_or_default()
    }

    /// The rules, those that matter most first: by level, then by count.
    pub(crate) fn rules(&self) -> Vec<&RuleCount> {
        let mut rules: Vec<&RuleCount> = self.rules.values().collect();
        rules.sort_by_key(|count| {
            (std::cmp::Reverse((count.rule.severity, count.findings)), &count.rule.title, &count.rule.id)
        });
        rules
    }

    /// The hosts, the worst first.
    pub(crate) fn hosts(&self) -> Vec<&HostCount> {
        let mut hosts: Vec<&HostCount> = self.hosts.values().collect();
        hosts.sort_by_key(|count| (std::cmp::Reverse((count.severity, count.findings)), &count.host));
        hosts
    }
}

//! Which incident a finding belongs to.
//!
//! Findings belong together when they share an entity within a window of time. The signs, strongest first: the same
//! acting address, the same user, the same file hash, an address that was attacked and now attacks, the same host. The
//! weak ones are refused where they would lie:
//!
//! - two findings on one host with different attackers are two stories;
//! - an incident that spans many hosts (a scan) says nothing of what else happens on them;
//! - a hub, which is in many open incidents at once (a resolver, a proxy, a scanned server), says nothing either:
//!   it joins only the incident that was opened for it, so that its findings still stay in one place.

use std::collections::{BTreeMap, BTreeSet};

use wanglou_model::{Entity, EntityKind, EntityRole, Finding, IncidentId, Timestamp};

use crate::{Incident, KeyKind, LinkKey};

const NANOS_PER_HOUR: i64 = 3_600 * 1_000_000_000;

/// How findings are grouped.
#[derive(Clone, Debug)]
pub struct Grouping {
    /// The longest silence between findings of one incident, in nanoseconds.
    pub window_nanos: i64,
    /// The longest an incident may last, in nanoseconds; what comes later opens the next one.
    pub span_nanos: i64,
    /// An entity in more open incidents than this is a hub.
    pub hub_incidents: usize,
    /// An incident with more targets of one kind than this is wide: hosts and users alone no longer lead to it.
    pub wide_targets: usize,
    /// Entities that never join findings: resolvers, gateways, the bureau's own scanners.
    pub infrastructure: BTreeSet<(EntityKind, String)>,
}

impl Default for Grouping {
    fn default() -> Self {
        Self {
            // A night's silence ends a story; the pauses of a patient attacker within a shift do not.
            window_nanos: 8 * NANOS_PER_HOUR,
            // An endless scan is taken up afresh every third day, so that no incident outgrows a person.
            span_nanos: 72 * NANOS_PER_HOUR,
            hub_incidents: 5,
            wide_targets: 16,
            infrastructure: BTreeSet::new(),
        }
    }
}

/// What becomes of a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assignment {
    /// It belongs to this incident.
    Join(IncidentId),
    /// It opens an incident of its own, anchored at this key.
    Open(LinkKey),
}

/// How strongly a finding and an incident belong together. The order is the meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Strength {
    Rule,
    Host,
    Pivot,
    Hash,
    User,
    Actor,
}

impl Grouping {
    /// The keys by which to look for incidents that a finding may belong to; never empty.
    #[must_use]
    pub fn keys(&self, finding: &Finding) -> Vec<LinkKey> {
        let keys: BTreeSet<LinkKey> = self.links(&finding.entities).map(|(_, key)| key).collect();
        if keys.is_empty() { vec![LinkKey::of_rule(finding)] } else { keys.into_iter().collect() }
    }

    /// The key that an incident opened by this finding is anchored at: its strongest one.
    #[must_use]
    pub fn anchor(&self, finding: &Finding) -> LinkKey {
        let strongest =
            self.links(&finding.entities).min_by_key(|(entity, key)| match (key.kind, entity.role) {
                (KeyKind::Address, EntityRole::Actor) => 0,
                (KeyKind::User, _) => 1,
                (KeyKind::Hash, _) => 2,
                (KeyKind::Host, _) => 3,
                (KeyKind::Address | KeyKind::Rule, _) => 4,
            });
        strongest.map_or_else(|| LinkKey::of_rule(finding), |(_, key)| key)
    }

    /// The times between which an incident must have been active for a finding to belong to it.
    #[must_use]
    pub fn reach(&self, finding: &Finding) -> (Timestamp, Timestamp) {
        (finding.first_seen.plus_nanos(-self.window_nanos), finding.last_seen.plus_nanos(self.window_nanos))
    }

    /// Decides. `candidates`: open incidents that share a key with the finding; others do no harm. The same finding
    /// and candidates, in any order, give the same answer.
    #[must_use]
    pub fn assign(&self, finding: &Finding, candidates: &[Incident]) -> Assignment {
        let candidates: Vec<Candidate<'_>> = candidates
            .iter()
            .filter(|incident| incident.state.is_open() && self.is_near(finding, incident))
            .map(|incident| Candidate { incident, keys: incident.keys() })
            .collect();
        let mut incidents_of: BTreeMap<String, usize> = BTreeMap::new();
        for key in candidates.iter().flat_map(|candidate| &candidate.keys) {
            *incidents_of.entry(key.clone()).or_default() += 1;
        }
        let is_hub = |key: &str| incidents_of.get(key).is_some_and(|count| *count > self.hub_incidents);
        let best = candidates
            .iter()
            .filter_map(|candidate| Some((self.strength(finding, candidate, &is_hub)?, candidate.incident)))
            .max_by_key(|(strength, incident)| (*strength, incident.last_seen, incident.id));
        match best {
            Some((_, incident)) => Assignment::Join(incident.id),
            None => Assignment::Open(self.anchor(finding)),
        }
    }

    fn is_near(&self, finding: &Finding, incident: &Incident) -> bool {
        let (from, to) = self.reach(finding);
        let first = incident.first_seen.min(finding.first_seen);
        let last = incident.last_seen.max(finding.last_seen);
        incident.last_seen >= from
            && incident.first_seen <= to
            && last.nanos().saturating_sub(first.nanos()) <= self.span_nanos
    }

    /// The entities that may link, with their keys.
    fn links<'e>(&self, entities: &'e [Entity]) -> impl Iterator<Item = (&'e Entity, LinkKey)> {
        entities
            .iter()
            .filter(|entity| !self.infrastructure.contains(&(entity.kind, entity.value.clone())))
            .filter_map(|entity| Some((entity, LinkKey::of_entity(entity)?)))
    }

    fn strength(
        &self,
        finding: &Finding,
        candidate: &Candidate<'_>,
        is_hub: &dyn Fn(&str) -> bool,
    ) -> Option<Strength> {
        let mut strongest = None;
        for (entity, key) in self.links(&finding.entities) {
            let text = key.to_string();
            let is_anchor = candidate.incident.anchor == text;
            if !candidate.keys.contains(&text) || (is_hub(&text) && !is_anchor) {
                continue;
            }
            let sign = candidate.sign(entity, key.kind);
            let is_wide = !is_anchor && self.is_wide(candidate, key.kind);
            let is_refused = match sign {
                Strength::Host => is_wide || self.is_another_story(finding, candidate),
                Strength::User | Strength::Pivot => is_wide,
                Strength::Actor | Strength::Hash | Strength::Rule => false,
            };
            if !is_refused {
                strongest = strongest.max(Some(sign));
            }
        }
        let by_rule = LinkKey::of_rule(finding).to_string() == candidate.incident.anchor;
        let has_links = self.links(&finding.entities).next().is_some();
        strongest.or_else(|| (by_rule && !has_links).then_some(Strength::Rule))
    }

    /// Both have attackers, and not one in common.
    fn is_another_story(&self, finding: &Finding, candidate: &Candidate<'_>) -> bool {
        let attackers: Vec<&str> =
            self.links(&finding.entities).filter_map(|(entity, _)| acting_address(entity)).collect();
        let mut known = candidate.incident.entities.iter().filter_map(|held| acting_address(&held.entity));
        let has_known = known.next().is_some();
        has_known
            && !attackers.is_empty()
            && !attackers
                .iter()
                .any(|attacker| candidate.holds(EntityKind::Address, attacker, EntityRole::Actor))
    }

    fn is_wide(&self, candidate: &Candidate<'_>, kind: KeyKind) -> bool {
        let targets = candidate.incident.entities.iter().filter(|held| {
            held.entity.role == EntityRole::Target
                && LinkKey::of_entity(&held.entity).is_some_and(|key| key.kind == kind)
        });
        targets.count() > self.wide_targets
    }
}

fn acting_address(entity: &Entity) -> Option<&str> {
    (entity.kind == EntityKind::Address && entity.role == EntityRole::Actor).then_some(entity.value.as_str())
}

struct Candidate<'i> {
    incident: &'i Incident,
    keys: BTreeSet<String>,
}

impl Candidate<'_> {
    fn holds(&self, kind: EntityKind, value: &str, role: EntityRole) -> bool {
        let is_it = |entity: &Entity| entity.kind == kind && entity.role == role && entity.value == value;
        self.incident.entities.iter().any(|held| is_it(&held.entity))
    }

    /// What it means that this incident holds the key of `entity` too.
    fn sign(&self, entity: &Entity, kind: KeyKind) -> Strength {
        match kind {
            KeyKind::User => Strength::User,
            KeyKind::Hash => Strength::Hash,
            KeyKind::Host => Strength::Host,
            KeyKind::Rule => Strength::Rule,
            KeyKind::Address => {
                let acts = entity.role == EntityRole::Actor;
                let acted = self.holds(EntityKind::Address, &entity.value, EntityRole::Actor);
                match (acts, acted) {
                    (true, true) => Strength::Actor,
                    (false, false) => Strength::Host,
                    _ => Strength::Pivot,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;

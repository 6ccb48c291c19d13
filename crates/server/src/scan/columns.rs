//! What people look at first in a finding: which host, which user, from where, why.

use wanglou_model::{Entity, EntityKind, EntityRole, Finding};

/// The host it happened on: by name, else by address.
pub(crate) fn host(finding: &Finding) -> Option<&str> {
    let name = |role| entity(finding, EntityKind::Host, role);
    let address = || entity(finding, EntityKind::Address, EntityRole::Target);
    name(EntityRole::Target).or_else(address).or_else(|| name(EntityRole::Actor))
}

/// The user it is about: the acting one, else the one acted upon.
pub(crate) fn user(finding: &Finding) -> Option<&str> {
    let user = |role| entity(finding, EntityKind::User, role);
    user(EntityRole::Actor).or_else(|| user(EntityRole::Target))
}

/// The address it came from.
pub(crate) fn source(finding: &Finding) -> Option<&str> {
    entity(finding, EntityKind::Address, EntityRole::Actor)
}

/// The file and record of its first event, as `auth.log:12`.
pub(crate) fn place(finding: &Finding) -> Option<String> {
    let place = finding.evidences.first()?.place.as_ref()?;
    Some(format!("{}:{}", place.file, place.record))
}

/// Why it fired, one `field=value` a match: of its first event, and what a correlation's events have in common.
pub(crate) fn reasons(finding: &Finding) -> Vec<(&str, &str)> {
    let group = finding.group.iter().map(|(field, value)| (field.as_str(), value.as_str()));
    let matches = finding.evidences.first().map(|evidence| evidence.matches.as_slice()).unwrap_or_default();
    let matched = matches.iter().map(|matched| (matched.field.as_str(), matched.value.as_str()));
    let mut reasons: Vec<(&str, &str)> = Vec::new();
    for reason in group.chain(matched) {
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    reasons
}

fn entity(finding: &Finding, kind: EntityKind, role: EntityRole) -> Option<&str> {
    let is_it = |entity: &&Entity| entity.kind == kind && entity.role == role;
    finding.entities.iter().find(is_it).map(|entity| entity.value.as_str())
}

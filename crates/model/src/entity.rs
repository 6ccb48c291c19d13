//! The things an incident is about: hosts, users, addresses, files, domains.

use std::net::IpAddr;

use crate::{Event, PathId};

/// What kind of thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntityKind {
    /// A host by name, lower case.
    Host,
    /// A user, `domain\name` in lower case or a plain name.
    User,
    /// An IP address in canonical text.
    Address,
    /// A file hash, lower case.
    Hash,
    /// A domain name, lower case.
    Domain,
    /// A file path as the source wrote it.
    File,
    /// A process image as the source wrote it.
    Process,
}

impl EntityKind {
    /// The lower-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::User => "user",
            Self::Address => "address",
            Self::Hash => "hash",
            Self::Domain => "domain",
            Self::File => "file",
            Self::Process => "process",
        }
    }

    /// OCSF observable (`type_id`, `type`).
    #[must_use]
    pub const fn observable(self) -> (u8, &'static str) {
        match self {
            Self::Host | Self::Domain => (1, "Hostname"),
            Self::Address => (2, "IP Address"),
            Self::User => (4, "User Name"),
            Self::File => (45, "File Path"),
            Self::Hash => (8, "Hash"),
            Self::Process => (9, "Process Name"),
        }
    }
}

/// What part it plays in what happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntityRole {
    /// It acts: the source address, the user whose process runs.
    Actor,
    /// It is acted upon: the destination address, the account that is logged on to, the host that reports.
    Target,
    /// It is involved.
    Related,
}

/// One thing, named canonically, so that the same thing in two sources is equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Entity {
    /// What kind of thing.
    pub kind: EntityKind,
    /// Its canonical name.
    pub value: String,
    /// Its part.
    pub role: EntityRole,
}

/// The canonical text of an address: brackets and interface zone dropped, v4 mapped into v6 shown as v4.
#[must_use]
pub fn canonical_ip(text: &str) -> Option<String> {
    let text = text.trim().trim_start_matches('[').trim_end_matches(']');
    let text = text.split_once('%').map_or(text, |(address, _)| address);
    let address: IpAddr = text.parse().ok()?;
    Some(address.to_canonical().to_string())
}

macro_rules! paths {
    ($($name:ident = $path:literal;)*) => {
        struct Paths { $($name: PathId,)* }
        static PATHS: std::sync::LazyLock<Paths> = std::sync::LazyLock::new(|| Paths { $($name: PathId::reserve($path),)* });
    };
}

paths! {
    src_ip = "src_endpoint.ip";
    dst_ip = "dst_endpoint.ip";
    evidence_src_ip = "evidences[].src_endpoint.ip";
    evidence_dst_ip = "evidences[].dst_endpoint.ip";
    evidence_user = "evidences[].user.name";
    evidence_domain = "evidences[].user.domain";
    src_host = "src_endpoint.hostname";
    dst_host = "dst_endpoint.hostname";
    device_host = "device.hostname";
    device_ip = "device.ip";
    user = "user.name";
    user_domain = "user.domain";
    actor_user = "actor.user.name";
    actor_domain = "actor.user.domain";
    process_hash = "process.file.hashes[].value";
    file_hash = "file.hashes[].value";
    module_hash = "module.file.hashes[].value";
    file_path = "file.path";
    process_path = "process.file.path";
    query = "query.hostname";
    url_host = "http_request.url.hostname";
}

impl Entity {
    /// The things an event speaks of, each once; placeholders such as `-`, `0.0.0.0` and `localhost` are none.
    #[must_use]
    pub fn of_event(event: &Event) -> Vec<Self> {
        use EntityKind as Kind;
        use EntityRole::{Actor, Related, Target};
        let paths = &*PATHS;
        let mut entities = Collector { event, found: Vec::new() };
        entities.addresses(paths.src_ip, Actor);
        entities.addresses(paths.dst_ip, Target);
        // The alert of another device speaks of them in its evidence.
        entities.addresses(paths.evidence_src_ip, Actor);
        entities.addresses(paths.evidence_dst_ip, Target);
        entities.addresses(paths.device_ip, Target);
        entities.names(paths.device_host, Kind::Host, Target);
        entities.names(paths.src_host, Kind::Host, Actor);
        entities.names(paths.dst_host, Kind::Host, Target);
        entities.user(paths.actor_user, paths.actor_domain, Actor);
        entities.user(paths.user, paths.user_domain, Target);
        entities.user(paths.evidence_user, paths.evidence_domain, Actor);
        for path in [paths.process_hash, paths.file_hash, paths.module_hash] {
            entities.names(path, Kind::Hash, Related);
        }
        entities.names(paths.query, Kind::Domain, Related);
        entities.names(paths.url_host, Kind::Domain, Target);
        entities.texts(paths.file_path, Kind::File, Related);
        entities.texts(paths.process_path, Kind::Process, Actor);
        entities.found
    }
}

struct Collector<'e> {
    event: &'e Event,
    found: Vec<Entity>,
}

impl Collector<'_> {
    fn add(&mut self, kind: EntityKind, value: String, role: EntityRole) {
        let known = self.found.iter().any(|entity| entity.kind == kind && entity.value == value);
        if !known && !is_placeholder(&value) {
            self.found.push(Entity { kind, value, role });
        }
    }

    fn addresses(&mut self, path: PathId, role: EntityRole) {
        for value in self.event.attributes.get_all(path) {
            if let Some(address) = value.as_str().and_then(canonical_ip) {
                self.add(EntityKind::Address, address, role);
            }
        }
    }

    fn names(&mut self, path: PathId, kind: EntityKind, role: EntityRole) {
        for value in self.event.attributes.get_all(path) {
            let Some(text) = value.as_str() else { continue };
            match canonical_ip(text) {
                Some(address) => self.add(EntityKind::Address, address, role),
                None => self.add(kind, text.trim().trim_end_matches('.').to_lowercase(), role),
            }
        }
    }

    fn texts(&mut self, path: PathId, kind: EntityKind, role: EntityRole) {
        for value in self.event.attributes.get_all(path) {
            if let Some(text) = value.as_str() {
                self.add(kind, text.to_owned(), role);
            }
        }
    }

    fn user(&mut self, name: PathId, domain: PathId, role: EntityRole) {
        let Some(name) = self.event.attributes.text(name) else { return };
        let name = name.trim().to_lowercase();
        if is_placeholder(&name) {
            return;
        }
        match self.event.attributes.text(domain).map(str::to_lowercase) {
            Some(domain) if !is_placeholder(&domain) && !name.contains(['\\', '@']) => {
                self.add(EntityKind::User, format!("{domain}\\{name}"), role);
            }
            _ => self.add(EntityKind::User, name, role),
        }
    }
}

fn is_placeholder(value: &str) -> bool {
    matches!(
        value,
        "" | "-"
            | "?"
            | "n/a"
            | "null"
            | "(null)"
            | "unknown"
            | "localhost"
            | "0.0.0.0"
            | "::"
            | "127.0.0.1"
            | "::1"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_one_text() {
        assert_eq!(canonical_ip("::ffff:10.0.0.1").as_deref(), Some("10.0.0.1"));
        assert_eq!(canonical_ip("[FE80::1%eth0]").as_deref(), Some("fe80::1"));
        assert_eq!(canonical_ip("2001:0db8::0001").as_deref(), Some("2001:db8::1"));
        assert_eq!(canonical_ip("10.0.0.256"), None);
    }
}

//! What makes findings belong together.

use std::fmt;

use wanglou_model::{Entity, EntityKind, Finding};

/// What kind of thing a key names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// An address, whatever part it plays.
    Address,
    /// A user.
    User,
    /// A file hash.
    Hash,
    /// A host by name.
    Host,
    /// The rule itself: only for findings that speak of nothing else.
    Rule,
}

impl KeyKind {
    const fn of(kind: EntityKind) -> Option<Self> {
        match kind {
            EntityKind::Address => Some(Self::Address),
            EntityKind::User => Some(Self::User),
            EntityKind::Hash => Some(Self::Hash),
            EntityKind::Host => Some(Self::Host),
            // The same image, path or site is met all over the estate: no sign of belonging together.
            EntityKind::Domain | EntityKind::File | EntityKind::Process => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::User => "user",
            Self::Hash => "hash",
            Self::Host => "host",
            Self::Rule => "rule",
        }
    }
}

/// One thing by which an incident is looked up; its text (`address:10.0.0.5`) is what a repository indexes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkKey {
    /// What kind of thing.
    pub kind: KeyKind,
    /// Its canonical name.
    pub value: String,
}

impl LinkKey {
    /// The key of an entity; `None` for one that says nothing about belonging together.
    #[must_use]
    pub fn of_entity(entity: &Entity) -> Option<Self> {
        let kind = KeyKind::of(entity.kind)?;
        if kind == KeyKind::User && is_everybodys_account(&entity.value) {
            return None;
        }
        Some(Self { kind, value: entity.value.clone() })
    }

    /// The key of findings that name no entity: the same rule.
    #[must_use]
    pub fn of_rule(finding: &Finding) -> Self {
        Self { kind: KeyKind::Rule, value: finding.rule.id.clone() }
    }
}

impl fmt::Display for LinkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.name(), self.value)
    }
}

/// Accounts that exist on every machine: the same name on two hosts is not the same person.
const EVERYBODYS_ACCOUNTS: [&str; 38] = [
    "admin",
    "administrator",
    "anonymous",
    "anonymous logon",
    "apache",
    "backup",
    "bin",
    "centos",
    "daemon",
    "debian",
    "ftp",
    "ftpuser",
    "git",
    "guest",
    "local service",
    "mail",
    "mysql",
    "network service",
    "nginx",
    "nobody",
    "oracle",
    "pi",
    "postgres",
    "redis",
    "root",
    "sa",
    "sshd",
    "support",
    "sync",
    "sys",
    "system",
    "test",
    "tomcat",
    "ubuntu",
    "user",
    "www",
    "www-data",
    "来宾",
];

/// Domains in which Windows keeps the accounts of the machine itself, in the languages met in the field.
const MACHINE_DOMAINS: [&str; 7] = [
    "nt authority",
    "nt service",
    "window manager",
    "font driver host",
    "builtin",
    "autorite nt",
    "nt-autorität",
];

fn is_everybodys_account(user: &str) -> bool {
    let (domain, name) = user.split_once('\\').unwrap_or(("", user));
    // A machine account (`ws01$`) names a host, which has its own key.
    name.ends_with('$') || MACHINE_DOMAINS.contains(&domain) || EVERYBODYS_ACCOUNTS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wanglou_model::EntityRole;

    fn key(kind: EntityKind, value: &str) -> Option<String> {
        let entity = Entity { kind, value: value.into(), role: EntityRole::Actor };
        LinkKey::of_entity(&entity).map(|key| key.to_string())
    }

    #[test]
    fn only_what_identifies_links() {
        assert_eq!(key(EntityKind::Address, "10.0.0.5").as_deref(), Some("address:10.0.0.5"));
        assert_eq!(key(EntityKind::User, "corp\\zhangsan").as_deref(), Some("user:corp\\zhangsan"));
        for user in ["root", "nt authority\\system", "corp\\ws01$", "web-01\\administrator", "www-data"] {
            assert_eq!(key(EntityKind::User, user), None, "{user}");
        }
        assert_eq!(key(EntityKind::Process, "C:\\Windows\\System32\\cmd.exe"), None);
    }
}

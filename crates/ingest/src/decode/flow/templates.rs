//! The templates that exporters sent, by exporter and observation domain.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Exporters' domains held at a time; a flood of forged addresses beyond it changes nothing of those known.
const MOST_SCOPES: usize = 8_192;
/// Templates of one domain.
const MOST_TEMPLATES: usize = 512;
/// Fields of one template.
pub(super) const MOST_FIELDS: usize = 256;
/// Fields of all templates together: bounds the memory.
const MOST_FIELDS_IN_ALL: usize = 1 << 20;
/// Names of applications and intervals of samplers, of one domain each.
const MOST_OPTIONS: usize = 4_096;

/// One field of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Field {
    pub element: u16,
    /// 0 for the IANA registry.
    pub enterprise: u32,
    /// 65,535 in IPFIX: the length stands before the value.
    pub length: u16,
}

/// How the records of a set are laid out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Template {
    pub fields: Vec<Field>,
    /// Options describe the exporter, not flows.
    pub is_options: bool,
}

/// What one observation domain of an exporter told.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Scope {
    pub templates: BTreeMap<u16, Template>,
    /// Packets for one that is sampled, by sampler; 0 for all interfaces.
    pub samplers: BTreeMap<u64, u64>,
    /// Names of applications by their id in hexadecimal.
    pub applications: BTreeMap<String, String>,
}

/// What identifies a domain: template ids mean something only within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct ScopeKey {
    pub exporter: IpAddr,
    pub version: u16,
    pub domain: u32,
}

/// All templates, and what options said.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Vec<(ScopeKey, Scope)>", into = "Vec<(ScopeKey, Scope)>")]
pub struct Templates {
    scopes: BTreeMap<ScopeKey, Scope>,
    fields: usize,
}

impl From<Templates> for Vec<(ScopeKey, Scope)> {
    fn from(templates: Templates) -> Self {
        templates.scopes.into_iter().collect()
    }
}

impl From<Vec<(ScopeKey, Scope)>> for Templates {
    fn from(scopes: Vec<(ScopeKey, Scope)>) -> Self {
        let mut templates = Self::default();
        for (key, scope) in scopes {
            for (id, template) in scope.templates {
                templates.put(key, id, template);
            }
            for (sampler, interval) in scope.samplers {
                templates.put_sampler(key, sampler, interval);
            }
            for (id, name) in scope.applications {
                templates.put_application(key, id, name);
            }
        }
        templates
    }
}

impl Templates {
    pub(super) fn get(&self, key: ScopeKey, id: u16) -> Option<&Template> {
        self.scopes.get(&key)?.templates.get(&id)
    }

    pub(super) fn scope(&self, key: ScopeKey) -> Option<&Scope> {
        self.scopes.get(&key)
    }

    fn scope_mut(&mut self, key: ScopeKey) -> Option<&mut Scope> {
        if self.scopes.len() >= MOST_SCOPES && !self.scopes.contains_key(&key) {
            return None;
        }
        Some(self.scopes.entry(key).or_default())
    }

    /// Learns a template; whether it is new or different.
    pub(super) fn put(&mut self, key: ScopeKey, id: u16, template: Template) -> bool {
        let (added, in_all) = (template.fields.len(), self.fields);
        if added == 0 || added > MOST_FIELDS {
            return false;
        }
        let Some(scope) = self.scope_mut(key) else { return false };
        let held = scope.templates.get(&id);
        if held == Some(&template) || (held.is_none() && scope.templates.len() >= MOST_TEMPLATES) {
            return false;
        }
        let freed = held.map_or(0, |held| held.fields.len());
        if in_all - freed + added > MOST_FIELDS_IN_ALL {
            return false;
        }
        scope.templates.insert(id, template);
        self.fields = in_all - freed + added;
        true
    }

    /// Forgets a template that its exporter withdrew.
    pub(super) fn withdraw(&mut self, key: ScopeKey, id: u16) {
        if let Some(gone) = self.scopes.get_mut(&key).and_then(|scope| scope.templates.remove(&id)) {
            self.fields -= gone.fields.len();
        }
    }

    pub(super) fn put_sampler(&mut self, key: ScopeKey, sampler: u64, interval: u64) {
        if let Some(scope) = self.scope_mut(key)
            && (scope.samplers.len() < MOST_OPTIONS || scope.samplers.contains_key(&sampler))
        {
            scope.samplers.insert(sampler, interval);
        }
    }

    pub(super) fn put_application(&mut self, key: ScopeKey, id: String, name: String) {
        if let Some(scope) = self.scope_mut(key)
            && (scope.applications.len() < MOST_OPTIONS || scope.applications.contains_key(&id))
        {
            scope.applications.insert(id, name);
        }
    }
}

//! Interned field paths.
//!
//! A path such as `winlog.event_data.Image` is stored once and then named by a small number, so that records carry
//! four bytes a field and the detection engine indexes tables instead of hashing strings.
//!
//! Key names come from outside, so the table is bounded: a sender of endless random keys may fill the part meant for
//! unknown names ([`PathId::intern`] then answers `None` and the field keeps its name inline), but never the names
//! that rules, taxonomies and normalizers look for: those are reserved when they are loaded ([`PathId::reserve`]).

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::LazyLock;

use parking_lot::RwLock;
use rustc_hash::FxHashMap;

/// Paths that data alone may add to the table.
const MAX_UNTRUSTED_PATHS: usize = 65_536;
/// Bytes of names that data alone may add.
const MAX_UNTRUSTED_BYTES: usize = 8 << 20;
/// A longer path is never interned from data: it is no field name a rule could mean.
const MAX_UNTRUSTED_LEN: usize = 512;

/// The number of an interned dotted path. Equal ids mean equal paths, within one process.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PathId(u32);

#[derive(Default)]
struct Table {
    by_name: HashMap<&'static str, PathId>,
    names: Vec<&'static str>,
    untrusted_paths: usize,
    untrusted_bytes: usize,
}

static TABLE: LazyLock<RwLock<Table>> = LazyLock::new(RwLock::default);

/// What this thread has already looked up: (parent, key) → child.
#[derive(Default)]
struct Cache {
    children: FxHashMap<u64, (Option<PathId>, &'static str, PathId)>,
    joined: String,
}

thread_local! {
    static CACHE: RefCell<Cache> = RefCell::default();
}

impl PathId {
    /// The id of a path that data brought; `None` when the room for unknown names is full.
    #[must_use]
    pub fn intern(path: &str) -> Option<Self> {
        Self::child(None, path)
    }

    /// The id of a path that the platform itself uses (rule fields, taxonomies, normalizers): always granted.
    #[must_use]
    pub fn reserve(path: &str) -> Self {
        if let Some(id) = TABLE.read().by_name.get(path) {
            return *id;
        }
        TABLE.write().insert(path)
    }

    /// The id of `key` below `parent` (`None`: at the top), without building the joined path when it is known.
    #[must_use]
    pub fn child(parent: Option<Self>, key: &str) -> Option<Self> {
        CACHE.with_borrow_mut(|cache| {
            let hash = child_hash(parent, key);
            if let Some((cached_parent, cached_key, id)) = cache.children.get(&hash)
                && *cached_parent == parent
                && *cached_key == key
            {
                return Some(*id);
            }
            let mut joined = std::mem::take(&mut cache.joined);
            joined.clear();
            if let Some(parent) = parent {
                joined.push_str(parent.name());
                joined.push('.');
            }
            joined.push_str(key);
            let id = intern_untrusted(&joined);
            cache.joined = joined;
            let id = id?;
            let name = id.name();
            let key = name.get(name.len() - key.len()..).unwrap_or(name);
            cache.children.insert(hash, (parent, key, id));
            Some(id)
        })
    }

    /// The path itself.
    #[must_use]
    pub fn name(self) -> &'static str {
        TABLE.read().names.get(self.0 as usize).copied().unwrap_or_default()
    }

    /// A dense index, below [`PathId::count`].
    #[inline]
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }

    /// How many paths are interned now.
    #[must_use]
    pub fn count() -> usize {
        TABLE.read().names.len()
    }
}

impl Table {
    fn insert(&mut self, path: &str) -> PathId {
        if let Some(id) = self.by_name.get(path) {
            return *id;
        }
        let id = PathId(u32::try_from(self.names.len()).unwrap_or(u32::MAX));
        // Never freed: the table is bounded by the limits above and by what the operator's rules name.
        let name: &'static str = Box::leak(path.to_owned().into_boxed_str());
        self.names.push(name);
        self.by_name.insert(name, id);
        id
    }
}

fn intern_untrusted(path: &str) -> Option<PathId> {
    if let Some(id) = TABLE.read().by_name.get(path) {
        return Some(*id);
    }
    if path.len() > MAX_UNTRUSTED_LEN {
        return None;
    }
    let mut table = TABLE.write();
    if let Some(id) = table.by_name.get(path) {
        return Some(*id);
    }
    if table.untrusted_paths >= MAX_UNTRUSTED_PATHS
        || table.untrusted_bytes + path.len() > MAX_UNTRUSTED_BYTES
    {
        return None;
    }
    table.untrusted_paths += 1;
    table.untrusted_bytes += path.len();
    Some(table.insert(path))
}

fn child_hash(parent: Option<PathId>, key: &str) -> u64 {
    use std::hash::{Hash, Hasher};
    let mut hasher = rustc_hash::FxHasher::default();
    parent.hash(&mut hasher);
    key.hash(&mut hasher);
    hasher.finish()
}

impl std::fmt::Debug for PathId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::fmt::Display for PathId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_paths_have_equal_ids_however_they_are_reached() {
        let whole = PathId::intern("test.path.a").unwrap();
        let parent = PathId::intern("test.path").unwrap();
        assert_eq!(PathId::child(Some(parent), "a"), Some(whole));
        assert_eq!(PathId::child(Some(parent), "a"), Some(whole));
        assert_eq!(PathId::reserve("test.path.a"), whole);
        assert_eq!(whole.name(), "test.path.a");
    }

    #[test]
    fn a_flood_of_names_does_not_shut_out_reserved_ones() {
        assert_eq!(PathId::intern(&"x".repeat(MAX_UNTRUSTED_LEN + 1)), None);
        let long = "y".repeat(MAX_UNTRUSTED_LEN + 1);
        let reserved = PathId::reserve(&long);
        assert_eq!(PathId::intern(&long), Some(reserved));
    }
}

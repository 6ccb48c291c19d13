//! Which path each key of a document names, found without hashing it when documents resemble each other.
//!
//! A sender's events have few shapes: after one key usually comes the key that came after it before. So each key
//! remembers the two that followed it last, and a document of a known shape is read by comparing its keys with what is
//! expected.

use std::hash::{Hash, Hasher};

use rustc_hash::{FxHashMap, FxHasher};
use wanglou_model::PathId;

/// More keys than senders have together; beyond it all are learnt anew.
const MAX_KEYS: usize = 8_192;

/// Where a key leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Led {
    /// To a path; `None`: to the top.
    To(Option<PathId>),
    /// To a name for which the table of paths has no room.
    NoRoom,
}

/// The keys that this thread has read.
#[derive(Default)]
pub(super) struct Keys {
    keys: Vec<Key>,
    by_hash: FxHashMap<u64, u32>,
    /// The key read last.
    last: u32,
}

struct Key {
    parent: Option<PathId>,
    is_top: bool,
    /// With the quote that ends it.
    quoted: Box<str>,
    /// Whether a document may hold it as it is written here.
    is_plain: bool,
    to: Option<PathId>,
    /// The keys that followed it, the latest first.
    next: [u32; 2],
}

/// No key; what it follows on is the beginning of a document.
const START: u32 = 0;

impl Keys {
    /// A document begins.
    pub(super) fn begin(&mut self) {
        self.last = START;
        if self.keys.len() > MAX_KEYS {
            self.keys.clear();
            self.by_hash.clear();
        }
        if self.keys.is_empty() {
            self.keys.push(Key::new(None, false, "", None));
        }
    }

    /// Where the key at the beginning of `rest` leads and its length with its quote, when it is one that followed on
    /// the last one before. `is_top`: it is one of the document's own keys, not deeper.
    #[inline]
    pub(super) fn expected(
        &mut self,
        parent: Option<PathId>,
        is_top: bool,
        rest: &[u8],
    ) -> Option<(Option<PathId>, usize)> {
        let next = self.keys.get(self.last as usize)?.next;
        for number in next {
            let Some(key) = self.keys.get(number as usize).filter(|_| number != START) else { continue };
            if rest.starts_with(key.quoted.as_bytes()) && key.parent == parent && key.is_top == is_top {
                self.last = number;
                return Some((key.to, key.quoted.len()));
            }
        }
        None
    }

    /// Where a key leads.
    pub(super) fn led(&mut self, parent: Option<PathId>, is_top: bool, name: &str) -> Led {
        let mut hasher = FxHasher::default();
        (parent, is_top, name).hash(&mut hasher);
        let hash = hasher.finish();
        let known = self.by_hash.get(&hash).copied().filter(|number| {
            self.keys.get(*number as usize).is_some_and(|key| {
                key.parent == parent && key.is_top == is_top && key.quoted.strip_suffix('"') == Some(name)
            })
        });
        let number = match known {
            Some(number) => number,
            None => {
                let to = match resolve(parent, is_top, name) {
                    Led::To(to) => to,
                    Led::NoRoom => return Led::NoRoom,
                };
                let number = u32::try_from(self.keys.len()).unwrap_or(START);
                self.keys.push(Key::new(parent, is_top, name, to));
                self.by_hash.insert(hash, number);
                number
            }
        };
        let Some(Key { to, is_plain, .. }) = self.keys.get(number as usize) else { return Led::NoRoom };
        let (to, is_plain) = (*to, *is_plain);
        if let Some(last) = self.keys.get_mut(self.last as usize)
            && is_plain
            && !last.next.contains(&number)
        {
            last.next = [number, last.next[0]];
        }
        self.last = number;
        Led::To(to)
    }
}

impl Key {
    fn new(parent: Option<PathId>, is_top: bool, name: &str, to: Option<PathId>) -> Self {
        let is_plain = !name.bytes().any(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
        Self { parent, is_top, quoted: format!("{name}\"").into(), is_plain, to, next: [START; 2] }
    }
}

/// Where a key leads: below its parent, unless it is one of the wrappings.
fn resolve(parent: Option<PathId>, is_top: bool, name: &str) -> Led {
    match name {
        "_source" if is_top => Led::To(None),
        "#attributes" | "#text" => Led::To(parent),
        _ => PathId::child(parent, name).map_or(Led::NoRoom, |path| Led::To(Some(path))),
    }
}

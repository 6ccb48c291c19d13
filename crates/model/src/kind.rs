//! Kinds of records: what is decided by a few fields (the product, the rules that ask about such records) is decided
//! once for all records that agree in them.

use std::hash::Hasher;

use rustc_hash::FxHasher;

use crate::{FieldMap, PathId, Value};

/// Places for kinds: a power of two. A kind has one place, by its hash, and the newest keeps it.
const PLACES: usize = 1_024;
/// Kinds described by more bytes are decided anew each time.
const MAX_KIND_BYTES: usize = 512;

/// What of a path's values a decision depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Watch {
    /// Nothing.
    #[default]
    No,
    /// Whether one is there.
    Presence,
    /// The values themselves.
    Value,
}

/// The paths that a decision depends on.
#[derive(Clone, Debug, Default)]
pub struct Watched {
    /// By path index.
    paths: Vec<Watch>,
}

impl Watched {
    /// Lets the decision depend on a path too.
    pub fn add(&mut self, path: PathId, watch: Watch) {
        if self.paths.len() <= path.index() {
            self.paths.resize(path.index() + 1, Watch::No);
        }
        if let Some(known) = self.paths.get_mut(path.index()) {
            *known = watch.max(*known);
        }
    }

    /// Writes down all that the decision depends on: records with one description are decided alike.
    #[inline]
    pub fn describe(&self, fields: &FieldMap, kind: &mut Vec<u8>) {
        for (position, path) in fields.paths().enumerate() {
            let watch = self.paths.get(path.index()).copied().unwrap_or_default();
            if watch != Watch::No
                && let Some(value) = fields.value_at(position)
            {
                describe(path, watch, value, kind);
            }
        }
    }
}

fn describe(path: PathId, watch: Watch, value: Value<'_>, kind: &mut Vec<u8>) {
    let (tag, bits) = match value {
        Value::Null => (0, 0),
        _ if watch == Watch::Presence => (1, 0),
        Value::Bool(flag) => (2, u64::from(flag)),
        Value::Int(number) => (3, number.cast_unsigned()),
        Value::UInt(number) => (4, number),
        Value::Float(number) => (5, number.to_bits()),
        Value::Str(text) => (6, text.len() as u64),
    };
    // A path's number never needs the top byte: there are far fewer.
    let head = (path.index() as u64) << 8 | tag;
    kind.extend_from_slice(&head.to_le_bytes());
    kind.extend_from_slice(&bits.to_le_bytes());
    if watch == Watch::Value
        && let Value::Str(text) = value
    {
        kind.extend_from_slice(text.as_bytes());
    }
}

/// Remembers what was decided for kinds. Bounded: a sender of ever new kinds costs time, not memory.
#[derive(Debug)]
pub struct Kinds<T> {
    places: Vec<Option<(Vec<u8>, T)>>,
    kind: Vec<u8>,
}

impl<T> Default for Kinds<T> {
    fn default() -> Self {
        Self { places: Vec::new(), kind: Vec::new() }
    }
}

impl<T: Clone> Kinds<T> {
    /// What is decided for the kind that `describe` writes down: as before, or by `decide`.
    #[inline]
    pub fn decided(&mut self, describe: impl FnOnce(&mut Vec<u8>), decide: impl FnOnce() -> T) -> T {
        self.kind.clear();
        describe(&mut self.kind);
        if self.kind.len() > MAX_KIND_BYTES {
            return decide();
        }
        let mut hasher = FxHasher::default();
        hasher.write(&self.kind);
        let place = usize::try_from(hasher.finish() % PLACES as u64).unwrap_or(0);
        if let Some(Some((kind, decision))) = self.places.get(place)
            && *kind == self.kind
        {
            return decision.clone();
        }
        let decision = decide();
        if self.places.is_empty() {
            self.places.resize_with(PLACES, || None);
        }
        match self.places.get_mut(place) {
            Some(Some((kind, kept))) => {
                kind.clone_from(&self.kind);
                *kept = decision.clone();
            }
            Some(free) => *free = Some((self.kind.clone(), decision.clone())),
            None => {}
        }
        decision
    }

    /// Forgets what was decided.
    pub fn clear(&mut self) {
        self.places.iter_mut().for_each(|place| *place = None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, Value<'_>)]) -> FieldMap {
        let mut fields = FieldMap::new();
        pairs.iter().for_each(|(path, value)| fields.push(PathId::reserve(path), *value));
        fields
    }

    #[test]
    fn decides_once_for_records_that_agree_in_what_matters() {
        let mut watched = Watched::default();
        watched.add(PathId::reserve("kind.channel"), Watch::Value);
        watched.add(PathId::reserve("kind.flag"), Watch::Presence);
        let (mut kinds, mut decisions) = (Kinds::default(), 0);
        let mut decide = |fields: &FieldMap| {
            kinds.decided(
                |kind| watched.describe(fields, kind),
                || {
                    decisions += 1;
                    decisions
                },
            )
        };
        let a =
            fields(&[("kind.channel", "a".into()), ("kind.flag", 1_i64.into()), ("kind.other", "x".into())]);
        let same = fields(&[("kind.channel", "a".into()), ("kind.flag", 2_i64.into())]);
        assert_eq!((decide(&a), decide(&same), decide(&a)), (1, 1, 1));
        let others = [
            fields(&[("kind.channel", "b".into()), ("kind.flag", 1_i64.into())]),
            fields(&[("kind.channel", "a".into()), ("kind.flag", Value::Null)]),
            fields(&[("kind.channel", "a".into())]),
            fields(&[("kind.channel", 97_i64.into()), ("kind.flag", 1_i64.into())]),
            fields(&[]),
        ];
        assert_eq!(others.each_ref().map(&mut decide), [2, 3, 4, 5, 6]);
    }
}

//! The flat field arena that records and events keep their values in.

use crate::PathId;

/// One value of a field, borrowed from its [`FieldMap`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// The source said the field is null.
    Null,
    /// A boolean.
    Bool(bool),
    /// A signed whole number.
    Int(i64),
    /// A whole number above `i64::MAX`.
    UInt(u64),
    /// Any other number.
    Float(f64),
    /// Text.
    Str(&'a str),
}

impl<'a> Value<'a> {
    /// The text, when this is text.
    #[must_use]
    pub fn as_str(self) -> Option<&'a str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number, also when the source wrote it as decimal text.
    #[must_use]
    pub fn as_i64(self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(number),
            Self::UInt(number) => i64::try_from(number).ok(),
            Self::Str(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// The value as JSON.
    #[must_use]
    pub fn to_json(self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(flag) => flag.into(),
            Self::Int(number) => number.into(),
            Self::UInt(number) => number.into(),
            Self::Float(number) => number.into(),
            Self::Str(text) => text.into(),
        }
    }

    /// The value as people read it; null is empty.
    #[must_use]
    pub fn to_text(self) -> std::borrow::Cow<'a, str> {
        match self {
            Self::Null => "".into(),
            Self::Bool(flag) => if flag { "true" } else { "false" }.into(),
            Self::Int(number) => number.to_string().into(),
            Self::UInt(number) => number.to_string().into(),
            Self::Float(number) => number.to_string().into(),
            Self::Str(text) => text.into(),
        }
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Str(text)
    }
}
impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}
impl From<u16> for Value<'_> {
    fn from(number: u16) -> Self {
        Self::Int(number.into())
    }
}
impl From<u32> for Value<'_> {
    fn from(number: u32) -> Self {
        Self::Int(number.into())
    }
}
impl From<bool> for Value<'_> {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

#[derive(Clone, Copy, Debug)]
struct Span {
    start: u32,
    len: u32,
}

#[derive(Clone, Copy, Debug)]
enum Slot {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Float(f64),
    Text(Span),
}

/// Writes a text to its end; what is there already cannot be reached.
#[derive(Debug)]
pub struct TextWriter<'t>(&'t mut String);

impl TextWriter<'_> {
    /// Appends a piece.
    #[inline]
    pub fn push_str(&mut self, piece: &str) {
        self.0.push_str(piece);
    }

    /// Appends a character.
    #[inline]
    pub fn push(&mut self, character: char) {
        self.0.push(character);
    }
}

impl<'t> From<&'t mut String> for TextWriter<'t> {
    fn from(text: &'t mut String) -> Self {
        Self(text)
    }
}

/// Fields of one record or event: (path, value) pairs in the order the source gave them, text in one arena.
///
/// A path may stand more than once: the values of a list. A map is reused with [`FieldMap::clear`], which keeps its
/// memory, so that decoding a stream settles at no allocation a record. Text is copied into the arena once: decoders
/// unescape and transcode anyway, and one copy of a record costs less than checking UTF-8 at each access would.
#[derive(Clone, Debug, Default)]
pub struct FieldMap {
    arena: String,
    fields: Vec<(PathId, Slot)>,
    /// Fields whose names found no room in the path table: name and value.
    untracked: Vec<(Span, Slot)>,
}

impl FieldMap {
    /// An empty map.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets all fields, keeps the memory.
    pub fn clear(&mut self) {
        self.arena.clear();
        self.fields.clear();
        self.untracked.clear();
    }

    /// How many values there are.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.fields.len() + self.untracked.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a value. A path that is there already gets one more value.
    pub fn push<'v>(&mut self, path: PathId, value: impl Into<Value<'v>>) {
        let slot = self.slot(value.into());
        self.fields.push((path, slot));
    }

    /// Adds a text that is written piece by piece, straight into the arena. When writing fails, nothing is added.
    ///
    /// # Errors
    /// Those of `write`.
    pub fn push_text<E>(
        &mut self,
        path: PathId,
        write: impl FnOnce(&mut TextWriter<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = self.arena.len();
        if let Err(error) = write(&mut TextWriter(&mut self.arena)) {
            self.arena.truncate(start);
            return Err(error);
        }
        let span = match (u32::try_from(start), u32::try_from(self.arena.len() - start)) {
            (Ok(start), Ok(len)) => Span { start, len },
            // As in `store`.
            _ => Span { start: 0, len: 0 },
        };
        self.fields.push((path, Slot::Text(span)));
        Ok(())
    }

    /// Adds a value under a name that came with the data, below `parent` if given.
    pub fn push_named<'v>(&mut self, parent: Option<PathId>, key: &str, value: impl Into<Value<'v>>) {
        let slot = self.slot(value.into());
        if let Some(path) = PathId::child(parent, key) {
            self.fields.push((path, slot));
        } else {
            let name = match parent {
                Some(parent) => self.store(&format!("{}.{key}", parent.name())),
                None => self.store(key),
            };
            self.untracked.push((name, slot));
        }
    }

    /// The first value at a path.
    #[must_use]
    pub fn get(&self, path: PathId) -> Option<Value<'_>> {
        self.get_all(path).next()
    }

    /// All values at a path, in order.
    #[inline]
    pub fn get_all(&self, path: PathId) -> impl Iterator<Item = Value<'_>> {
        self.fields.iter().filter(move |(p, _)| *p == path).map(|(_, slot)| self.value(*slot))
    }

    /// The first value at a path, if it is text that is not empty.
    #[must_use]
    pub fn text(&self, path: PathId) -> Option<&str> {
        self.get(path).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// All tracked values in order.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = (PathId, Value<'_>)> {
        self.fields.iter().map(|(path, slot)| (*path, self.value(*slot)))
    }

    /// The value at a position: first those of [`FieldMap::iter`] in its order, then those without an interned path.
    #[inline]
    #[must_use]
    pub fn value_at(&self, position: usize) -> Option<Value<'_>> {
        let slot = match self.fields.get(position) {
            Some((_, slot)) => *slot,
            None => self.untracked.get(position - self.fields.len())?.1,
        };
        Some(self.value(slot))
    }

    /// The paths of all tracked values, in order.
    #[inline]
    pub fn paths(&self) -> impl Iterator<Item = PathId> {
        self.fields.iter().map(|(path, _)| *path)
    }

    /// All the text that values hold, one after the other and with names in between: to search or fold it in one go.
    #[inline]
    #[must_use]
    pub fn texts(&self) -> &str {
        &self.arena
    }

    /// Where in [`FieldMap::texts`] the text at a position of [`FieldMap::value_at`] begins and ends.
    #[inline]
    #[must_use]
    pub fn text_span(&self, position: usize) -> Option<(u32, u32)> {
        let slot = match self.fields.get(position) {
            Some((_, slot)) => *slot,
            None => self.untracked.get(position - self.fields.len())?.1,
        };
        match slot {
            Slot::Text(span) => Some((span.start, span.start + span.len)),
            _ => None,
        }
    }

    /// All values with their names, those without an interned path last.
    pub fn iter_named(&self) -> impl Iterator<Item = (&str, Value<'_>)> {
        let tracked = self.fields.iter().map(|(path, slot)| (path.name(), self.value(*slot)));
        let untracked = self.untracked.iter().map(|(name, slot)| (self.str_at(*name), self.value(*slot)));
        tracked.chain(untracked)
    }

    /// Removes every value at a path.
    pub fn remove(&mut self, path: PathId) {
        self.fields.retain(|(p, _)| *p != path);
    }

    /// Replaces whatever stands at a path by one value.
    pub fn set<'v>(&mut self, path: PathId, value: impl Into<Value<'v>>) {
        self.remove(path);
        self.push(path, value);
    }

    fn slot(&mut self, value: Value<'_>) -> Slot {
        match value {
            Value::Null => Slot::Null,
            Value::Bool(flag) => Slot::Bool(flag),
            Value::Int(number) => Slot::Int(number),
            Value::UInt(number) => Slot::UInt(number),
            Value::Float(number) => Slot::Float(number),
            Value::Str(text) => Slot::Text(self.store(text)),
        }
    }

    fn store(&mut self, text: &str) -> Span {
        let (Ok(start), Ok(len)) = (u32::try_from(self.arena.len()), u32::try_from(text.len())) else {
            // Records are bounded far below 4 GiB by every decoder; a value beyond that is kept empty, not wrong.
            return Span { start: 0, len: 0 };
        };
        self.arena.push_str(text);
        Span { start, len }
    }

    #[inline]
    fn value(&self, slot: Slot) -> Value<'_> {
        match slot {
            Slot::Null => Value::Null,
            Slot::Bool(flag) => Value::Bool(flag),
            Slot::Int(number) => Value::Int(number),
            Slot::UInt(number) => Value::UInt(number),
            Slot::Float(number) => Value::Float(number),
            Slot::Text(span) => Value::Str(self.str_at(span)),
        }
    }

    #[inline]
    fn str_at(&self, span: Span) -> &str {
        let start = span.start as usize;
        self.arena.get(start..start + span.len as usize).unwrap_or_default()
    }

    /// The fields as a nested JSON object.
    ///
    /// A path that stands several times becomes an array. A segment that ends in `[]` is an array of objects: a leaf
    /// which the current element already has begins the next element (`answers[].rdata` twice makes two answers);
    /// a last segment that ends in `[]` is an array of scalars even when it stands once.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Map<String, serde_json::Value> {
        self.to_json_of(|_| true)
    }

    /// The same of those fields alone whose name begins with a segment that is wanted.
    #[must_use]
    pub fn to_json_of(&self, is_wanted: impl Fn(&str) -> bool) -> serde_json::Map<String, serde_json::Value> {
        let first = |name: &str| {
            let first = name.split_once('.').map_or(name, |(first, _)| first);
            is_wanted(first.strip_suffix("[]").unwrap_or(first))
        };
        let mut root = serde_json::Map::new();
        for (name, value) in self.iter_named().filter(|(name, _)| first(name)) {
            insert(&mut root, name, value.to_json());
        }
        root
    }
}

fn insert(object: &mut serde_json::Map<String, serde_json::Value>, path: &str, value: serde_json::Value) {
    use serde_json::Value as Json;
    let Some((segment, rest)) = path.split_once('.') else {
        let (name, is_list) = path.strip_suffix("[]").map_or((path, false), |name| (name, true));
        match object.get_mut(name) {
            Some(Json::Array(list)) => list.push(value),
            Some(first) => *first = Json::Array(vec![first.take(), value]),
            None if is_list => _ = object.insert(name.to_owned(), Json::Array(vec![value])),
            None => _ = object.insert(name.to_owned(), value),
        }
        return;
    };
    if let Some(name) = segment.strip_suffix("[]") {
        let list = object.entry(name).or_insert_with(|| Json::Array(Vec::new()));
        let Json::Array(list) = list else { return insert_colliding(object, path, value) };
        let has_leaf = |element: &Json| {
            rest.split('.').try_fold(element, |at, key| at.get(key.trim_end_matches("[]"))).is_some()
        };
        match list.last_mut() {
            Some(Json::Object(last)) if rest.ends_with("[]") || !has_leaf(&Json::Object(last.clone())) => {
                insert(last, rest, value);
            }
            _ => {
                let mut element = serde_json::Map::new();
                insert(&mut element, rest, value);
                list.push(Json::Object(element));
            }
        }
        return;
    }
    match object.entry(segment).or_insert_with(|| Json::Object(serde_json::Map::new())) {
        Json::Object(child) => insert(child, rest, value),
        _ => insert_colliding(object, path, value),
    }
}

/// A source that uses `a` both as a value and as an object: the longer name is kept flat, so that nothing is lost.
fn insert_colliding(
    object: &mut serde_json::Map<String, serde_json::Value>,
    path: &str,
    value: serde_json::Value,
) {
    object.insert(path.to_owned(), value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, Value<'_>)]) -> FieldMap {
        let mut map = FieldMap::new();
        for (name, value) in pairs {
            map.push(PathId::reserve(name), *value);
        }
        map
    }

    #[test]
    fn nests_lists_and_collisions() {
        let fields = map(&[
            ("a.b", Value::Int(1)),
            ("a.c", "x".into()),
            ("a.c", "y".into()),
            ("one[]", "z".into()),
            ("answers[].type", "A".into()),
            ("answers[].rdata", "1.1.1.1".into()),
            ("answers[].type", "AAAA".into()),
            ("answers[].rdata", "::1".into()),
            ("a.b.d", Value::Bool(true)),
        ]);
        let json = serde_json::Value::Object(fields.to_json());
        assert_eq!(
            json,
            serde_json::json!({
                "a": {"b": 1, "c": ["x", "y"], "b.d": true},
                "one": ["z"],
                "answers": [{"type": "A", "rdata": "1.1.1.1"}, {"type": "AAAA", "rdata": "::1"}],
            })
        );
    }

    #[test]
    fn set_replaces_and_clear_forgets() {
        let mut fields = map(&[("a.b", Value::Int(1)), ("a.b", Value::Int(2))]);
        assert_eq!((fields.value_at(1), fields.value_at(2)), (Some(Value::Int(2)), None));
        fields.set(PathId::reserve("a.b"), 3_i64);
        assert_eq!(fields.get_all(PathId::reserve("a.b")).collect::<Vec<_>>(), [Value::Int(3)]);
        fields.clear();
        assert!(fields.is_empty());
    }
}

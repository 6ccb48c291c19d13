//! JSON objects, straight into a flat field map: no tree is built.
//!
//! Paths are the keys joined by dots, whether the sender nested them or wrote the dots itself, so `{"a":{"b":1}}` and
//! `{"a.b":1}` are one. The values of a list repeat its path. Three wrappings are taken off on the way, for they are
//! the exporter's and not the source's: `_source` around an Elasticsearch document, and the `#attributes` and `#text`
//! levels with which XML is written as JSON.

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use wanglou_model::{FieldMap, PathId, Value};

use super::DecodeError;
use crate::ReadLimits;

/// What errors call this format.
const NAME: &str = "JSON";

/// Reads one object into `fields`.
///
/// # Errors
/// [`DecodeError`] when the text is no single JSON object, or exceeds `limits` in nesting or fields; `fields` then
/// holds a part of it.
pub fn decode(text: &str, limits: &ReadLimits, fields: &mut FieldMap) -> Result<(), DecodeError> {
    match flatten(text, limits, fields, false) {
        // Half a surrogate pair is no text, yet senders that cut strings in UTF-16 write it: shown as U+FFFD.
        Err(DecodeError::Malformed { .. }) if text.contains("\\u") => {
            fields.clear();
            flatten(text, limits, fields, true)
        }
        result => result,
    }
}

fn flatten(text: &str, limits: &ReadLimits, fields: &mut FieldMap, lossy: bool) -> Result<(), DecodeError> {
    let mut parser = sonic_rs::Deserializer::from_str(text);
    if lossy {
        parser = parser.utf8_lossy();
    }
    let mut out = Output { fields, limits, exceeded: None };
    let read = Node { out: &mut out, at: At::Path(None), depth: 0 }.deserialize(&mut parser);
    if let Some(error) = out.exceeded {
        return Err(error);
    }
    read.and_then(|()| parser.end()).map_err(|error| {
        let message = error.to_string();
        DecodeError::malformed(NAME, message.lines().next().unwrap_or_default().trim_end_matches(':'))
    })
}

struct Output<'m> {
    fields: &'m mut FieldMap,
    limits: &'m ReadLimits,
    exceeded: Option<DecodeError>,
}

impl Output<'_> {
    fn exceed<E: serde::de::Error>(&mut self, what: &'static str, limit: usize) -> E {
        self.exceeded = Some(DecodeError::TooLarge { what, limit: limit as u64 });
        E::custom(what)
    }
}

/// Where a value stands.
#[derive(Clone)]
enum At {
    /// At a path; at the top when none.
    Path(Option<PathId>),
    /// Below a path, under a name that found no room in the table of paths.
    Untracked(Option<PathId>, String),
}

impl At {
    fn child(&self, key: &str, depth: usize) -> Self {
        match self {
            Self::Path(None) if depth == 1 && key == "_source" => Self::Path(None),
            at if key == "#attributes" || key == "#text" => at.clone(),
            Self::Path(parent) => match PathId::child(*parent, key) {
                Some(path) => Self::Path(Some(path)),
                None => Self::Untracked(*parent, key.to_owned()),
            },
            Self::Untracked(parent, name) => Self::Untracked(*parent, format!("{name}.{key}")),
        }
    }
}

/// One value of the document, to be flattened.
struct Node<'o, 'm> {
    out: &'o mut Output<'m>,
    at: At,
    depth: usize,
}

impl Node<'_, '_> {
    fn leaf<'v, E: serde::de::Error>(self, value: impl Into<Value<'v>>) -> Result<(), E> {
        if self.depth == 0 {
            return Err(E::custom("not an object"));
        }
        if self.out.fields.len() >= self.out.limits.fields {
            return Err(self.out.exceed("the number of fields", self.out.limits.fields));
        }
        match &self.at {
            At::Path(Some(path)) => self.out.fields.push(*path, value),
            // Only a scalar under one of the wrappings' names comes here.
            At::Path(None) => self.out.fields.push_named(None, "_source", value),
            At::Untracked(parent, name) => self.out.fields.push_named(*parent, name, value),
        }
        Ok(())
    }

    fn deeper<E: serde::de::Error>(&mut self) -> Result<usize, E> {
        let limit = self.out.limits.nesting;
        if self.depth >= limit { Err(self.out.exceed("nesting", limit)) } else { Ok(self.depth + 1) }
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_, '_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.leaf(Value::Null)
    }

    fn visit_bool<E: serde::de::Error>(self, flag: bool) -> Result<(), E> {
        self.leaf(flag)
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<(), E> {
        self.leaf(number)
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<(), E> {
        self.leaf(i64::try_from(number).map_or(Value::UInt(number), Value::Int))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<(), E> {
        self.leaf(Value::Float(number))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        self.leaf(text)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        if self.depth == 0 {
            return Err(A::Error::custom("not an object"));
        }
        let depth = self.deeper()?;
        while list.next_element_seed(Node { out: self.out, at: self.at.clone(), depth })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut object: A) -> Result<(), A::Error> {
        let depth = self.deeper()?;
        while let Some(at) = object.next_key_seed(Key { parent: &self.at, depth })? {
            object.next_value_seed(Node { out: self.out, at, depth })?;
        }
        Ok(())
    }
}

/// A key, to be turned into the place of its value.
struct Key<'p> {
    parent: &'p At,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = At;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<At, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = At;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<At, E> {
        Ok(self.parent.child(key, self.depth))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<serde_json::Value, DecodeError> {
        let mut fields = FieldMap::new();
        decode(text, &ReadLimits::default(), &mut fields)?;
        let pairs: Vec<_> =
            fields.iter_named().map(|(name, value)| serde_json::json!([name, value.to_json()])).collect();
        Ok(pairs.into())
    }

    #[test]
    fn flattens_in_order() {
        let text =
            r#"{"a":{"b":1,"c":[true,{"d":null}]},"a.e":-1.5,"u":18446744073709551615,"s":"\u4e2d\n"}"#;
        assert_eq!(
            read(text).unwrap(),
            serde_json::json!([
                ["a.b", 1],
                ["a.c", true],
                ["a.c.d", null],
                ["a.e", -1.5],
                ["u", 18_446_744_073_709_551_615_u64],
                ["s", "中\n"]
            ])
        );
    }

    #[test]
    fn takes_wrappings_off() {
        let text = r##"{"_index":"i","_source":{"Event":{"#attributes":{"x":1},"EventID":{"#text":4624,"#attributes":{"q":0}}}}}"##;
        assert_eq!(
            read(text).unwrap(),
            serde_json::json!([
                ["_index", "i"],
                ["Event.x", 1],
                ["Event.EventID", 4624],
                ["Event.EventID.q", 0]
            ])
        );
    }

    #[test]
    fn refuses_what_is_no_object_and_what_is_too_much() {
        for text in ["", "1", "[]", "\"x\"", "{", "{\"a\":1}}", "{\"a\":}", "{\"a\":1} x"] {
            assert!(matches!(read(text), Err(DecodeError::Malformed { .. })), "{text}");
        }
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(read(&deep), Err(DecodeError::TooLarge { what: "nesting", limit: 128 }));
        let wide = format!("{{\"a\":[{}1]}}", "1,".repeat(20_000));
        assert!(matches!(read(&wide), Err(DecodeError::TooLarge { what: "the number of fields", .. })));
    }

    #[test]
    fn half_a_surrogate_pair_is_replaced() {
        assert_eq!(
            read(r#"{"a":"x\ud83d","b":"y"}"#).unwrap(),
            serde_json::json!([["a", "x\u{fffd}"], ["b", "y"]])
        );
    }
}

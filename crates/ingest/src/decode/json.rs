//! JSON objects, straight into a flat field map: no tree is built.
//!
//! Paths are the keys joined by dots, whether the sender nested them or wrote the dots itself, so `{"a":{"b":1}}` and
//! `{"a.b":1}` are one. The values of a list repeat its path. Three wrappings are taken off on the way, for they are
//! the exporter's and not the source's: `_source` around an Elasticsearch document, and the `#attributes` and `#text`
//! levels with which XML is written as JSON.

mod input;
mod keys;

use std::cell::RefCell;

use wanglou_model::{FieldMap, PathId, Value};

use super::DecodeError;
use crate::ReadLimits;
use input::{Fault, Input};
use keys::{Keys, Led};

/// What errors call this format.
const NAME: &str = "JSON";

thread_local! {
    static KEYS: RefCell<Keys> = RefCell::default();
}

/// Reads one object into `fields`.
///
/// # Errors
/// [`DecodeError`] when the text is no single JSON object, or exceeds `limits` in nesting or fields; `fields` then
/// holds a part of it.
pub fn decode(text: &str, limits: &ReadLimits, fields: &mut FieldMap) -> Result<(), DecodeError> {
    KEYS.with_borrow_mut(|keys| {
        keys.begin();
        let mut flattener = Flattener { input: Input::new(text), keys, limits, fields };
        flattener.document().map_err(|fault| match fault {
            Fault::Exceeded(what, limit) => DecodeError::TooLarge { what, limit: limit as u64 },
            Fault::Syntax(what) => {
                let (line, column) = flattener.input.place();
                DecodeError::malformed(NAME, format!("{what} (line {line}, column {column})"))
            }
        })
    })
}

struct Flattener<'a> {
    input: Input<'a>,
    keys: &'a mut Keys,
    limits: &'a ReadLimits,
    fields: &'a mut FieldMap,
}

/// Where a value stands.
enum At {
    /// At a path; at the top when none.
    Path(Option<PathId>),
    /// Below a path, under a name that found no room in the table of paths.
    Untracked(Option<PathId>, String),
}

impl Flattener<'_> {
    fn document(&mut self) -> Result<(), Fault> {
        self.input.expect(b'{', "not an object")?;
        self.object(&At::Path(None), 1)?;
        match self.input.token() {
            None => Ok(()),
            Some(_) => Err(Fault::Syntax("something follows the object")),
        }
    }

    /// An object whose brace has been read.
    fn object(&mut self, at: &At, depth: usize) -> Result<(), Fault> {
        self.check_depth(depth)?;
        if self.input.take(b'}') {
            return Ok(());
        }
        loop {
            self.input.expect(b'"', "an object's key must be a string")?;
            let child = self.key(at, depth)?;
            self.input.expect(b':', "no colon after a key")?;
            self.value(&child, depth)?;
            if !self.input.take(b',') {
                return self.input.expect(b'}', "neither comma nor brace after a value");
            }
        }
    }

    /// A list whose bracket has been read.
    fn list(&mut self, at: &At, depth: usize) -> Result<(), Fault> {
        self.check_depth(depth)?;
        if self.input.take(b']') {
            return Ok(());
        }
        loop {
            self.value(at, depth)?;
            if !self.input.take(b',') {
                return self.input.expect(b']', "neither comma nor bracket after a value");
            }
        }
    }

    fn check_depth(&self, depth: usize) -> Result<(), Fault> {
        let limit = self.limits.nesting;
        if depth > limit { Err(Fault::Exceeded("nesting", limit)) } else { Ok(()) }
    }

    /// A key whose quote has been read, turned into the place of its value.
    #[inline]
    fn key(&mut self, at: &At, depth: usize) -> Result<At, Fault> {
        let is_top = depth == 1;
        if let At::Path(parent) = at
            && let Some((to, len)) = self.keys.expected(*parent, is_top, self.input.rest())
        {
            self.input.skip(len);
            return Ok(At::Path(to));
        }
        self.new_key(at, is_top)
    }

    fn new_key(&mut self, at: &At, is_top: bool) -> Result<At, Fault> {
        let mut unescaped = String::new();
        let name = match self.input.plain_string() {
            Some(name) => name,
            None => {
                self.input.string(&mut (&mut unescaped).into())?;
                unescaped.as_str()
            }
        };
        Ok(match at {
            At::Path(parent) => match self.keys.led(*parent, is_top, name) {
                Led::To(to) => At::Path(to),
                Led::NoRoom => At::Untracked(*parent, name.to_owned()),
            },
            At::Untracked(parent, above) if matches!(name, "#attributes" | "#text") => {
                At::Untracked(*parent, above.clone())
            }
            At::Untracked(parent, above) => At::Untracked(*parent, format!("{above}.{name}")),
        })
    }

    /// A value below `depth` objects and lists.
    fn value(&mut self, at: &At, depth: usize) -> Result<(), Fault> {
        match self.input.token() {
            Some(b'{') => {
                self.input.skip(1);
                return self.object(at, depth + 1);
            }
            Some(b'[') => {
                self.input.skip(1);
                return self.list(at, depth + 1);
            }
            _ => {}
        }
        if self.fields.len() >= self.limits.fields {
            return Err(Fault::Exceeded("the number of fields", self.limits.fields));
        }
        if self.input.take(b'"') {
            return self.text(at);
        }
        let value = self.input.scalar()?;
        self.leaf(at, value);
        Ok(())
    }

    /// A text whose quote has been read.
    fn text(&mut self, at: &At) -> Result<(), Fault> {
        if let At::Path(Some(path)) = at {
            let input = &mut self.input;
            return self.fields.push_text(*path, |out| input.string(out));
        }
        let mut text = String::new();
        self.input.string(&mut (&mut text).into())?;
        self.leaf(at, Value::Str(&text));
        Ok(())
    }

    fn leaf(&mut self, at: &At, value: Value<'_>) {
        match at {
            At::Path(Some(path)) => self.fields.push(*path, value),
            // Only a scalar under one of the wrappings' names comes here.
            At::Path(None) => self.fields.push_named(None, "_source", value),
            At::Untracked(parent, name) => self.fields.push_named(*parent, name, value),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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

    /// The pairs that a document's tree gives, in order.
    fn flattened(value: &serde_json::Value, path: &str, pairs: &mut Vec<serde_json::Value>) {
        use serde_json::Value as Json;
        match value {
            Json::Object(object) => {
                for (key, value) in object {
                    let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    flattened(value, &below, pairs);
                }
            }
            Json::Array(list) => list.iter().for_each(|value| flattened(value, path, pairs)),
            leaf => pairs.push(serde_json::json!([path, leaf])),
        }
    }

    fn document() -> impl Strategy<Value = serde_json::Value> {
        use serde_json::Value as Json;
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            any::<u64>().prop_map(Json::from),
            any::<i32>().prop_map(|eighths| Json::from(f64::from(eighths) / 8.0)),
            "[a-z\\\\\"/é中\u{1f512}\n\u{1}]{0,20}".prop_map(Json::from),
        ];
        let key = "[ab]{1,2}|[a\\\\\"é\n]{1,3}";
        let tree = leaf.prop_recursive(4, 24, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
                prop::collection::vec((key, inner), 0..4)
                    .prop_map(|pairs| Json::Object(pairs.into_iter().collect())),
            ]
        });
        prop::collection::vec((key, tree), 0..4).prop_map(|pairs| Json::Object(pairs.into_iter().collect()))
    }

    proptest! {
        /// Read one after the other, so that keys are expected and expectations fail.
        #[test]
        fn reads_what_serde_reads(documents in prop::collection::vec(document(), 1..6)) {
            for document in &documents {
                for text in [document.to_string(), serde_json::to_string_pretty(document).unwrap()] {
                    let mut pairs = Vec::new();
                    flattened(&serde_json::from_str(&text).unwrap(), "", &mut pairs);
                    prop_assert_eq!(read(&text), Ok(pairs.into()), "{}", text);
                }
            }
        }

        /// A character lost, doubled or put in makes most documents malformed: both say so, or both read them.
        #[test]
        fn refuses_what_serde_refuses(
            document in document(),
            at in any::<prop::sample::Index>(),
            lost in 0..3_usize,
            put in "[\\[\\]{}\":,0-9eE.+\\-tnu \\\\]{0,2}",
        ) {
            let chars: Vec<char> = document.to_string().chars().collect();
            let at = at.index(chars.len());
            let (head, tail) = chars.split_at(at);
            let text: String = head.iter().copied().chain(put.chars()).chain(tail.iter().skip(lost).copied()).collect();
            match serde_json::from_str::<serde_json::Value>(&text) {
                Ok(value) if value.is_object() => {
                    // Of a key that stands twice, a tree keeps one value.
                    prop_assert!(read(&text).is_ok(), "{}", text);
                }
                _ => prop_assert!(read(&text).is_err() || text.contains("\\u"), "{}", text),
            }
        }
    }
}

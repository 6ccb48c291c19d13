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

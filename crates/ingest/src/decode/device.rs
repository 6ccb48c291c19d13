//! What security devices and applications write, known or not: CEF, LEEF, JSON or pairs of names and values, bare or
//! behind a syslog header, and the addresses in plain sentences.
//!
//! Fields keep the device's own names. Beside them stands what they mean, as far as the [vocabulary](crate::vocabulary)
//! can tell, as `ocsf.*`: so a rule about source addresses holds for every device.

pub mod cef;
pub mod pairs;
mod prose;

use wanglou_model::{FieldMap, PathId, Value};

use super::{DecodeError, json};
use crate::ReadLimits;
use crate::timestamp::LogTime;
use crate::vocabulary::Understanding;

/// A bare line must hold so many pairs to be taken for a device's: two are found in prose.
const MIN_BARE_PAIRS: usize = 4;

/// Whether a line without a syslog header is one of a device: CEF, LEEF, or many pairs.
#[must_use]
pub fn recognises(line: &str) -> bool {
    let line = line.trim_start();
    cef::recognises(line)
        || pairs::shape(line).is_some_and(|shape| pairs::read(line, shape).nth(MIN_BARE_PAIRS - 1).is_some())
}

/// Reads a line without a syslog header.
///
/// # Errors
/// [`DecodeError`] when nothing in it has a name.
pub fn decode(line: &str, fields: &mut FieldMap) -> Result<(), DecodeError> {
    if !read(line, fields) {
        return Err(DecodeError::unrecognised(line));
    }
    understand(line, fields);
    Ok(())
}

/// Like [`decode`], for a line that a declarative parser knows: it may have no structure that shows.
///
/// # Errors
/// Never.
pub fn decode_known(line: &str, fields: &mut FieldMap) -> Result<(), DecodeError> {
    read(line, fields);
    understand(line, fields);
    Ok(())
}

/// Reads the structure of `text` into `fields`; false when there is none.
pub fn read(text: &str, fields: &mut FieldMap) -> bool {
    cef::decode(text, fields) || read_json(text, fields) || read_pairs(text, fields)
}

/// The object, or the first of a list of them, that stands in `text`, alone or behind words.
fn read_json(text: &str, fields: &mut FieldMap) -> bool {
    let (Some(start), Some(end)) = (text.find('{'), text.rfind('}')) else { return false };
    let Some(object) =
        text.get(start..=end).filter(|object| object.contains("\":") || object.contains("\" :"))
    else {
        return false;
    };
    let limits = ReadLimits { fields: 2_048, nesting: 32, ..ReadLimits::default() };
    let mut found = FieldMap::new();
    let read = json::decode(object, &limits, &mut found).is_ok() || {
        found.clear();
        let listed = format!("{{\"item\":[{object}]}}");
        text.get(..start).is_some_and(|head| head.trim_end().ends_with('['))
            && json::decode(&listed, &limits, &mut found).is_ok()
    };
    if read {
        append(&found, fields);
    }
    read && !found.is_empty()
}

fn append(from: &FieldMap, to: &mut FieldMap) {
    for (path, value) in from.iter() {
        to.push(path, value);
    }
}

fn read_pairs(text: &str, fields: &mut FieldMap) -> bool {
    let Some(shape) = pairs::shape(text) else { return false };
    for (name, value) in pairs::read(text, shape) {
        fields.push_named(None, name, value);
    }
    true
}

/// Adds what the fields mean, and what the sentence `text` says that no field does.
pub fn understand(text: &str, fields: &mut FieldMap) {
    let understood = Understanding::of(fields, |path| !is_ours(path));
    let found: Vec<(PathId, String)> =
        understood.iter().map(|(attribute, _, value)| (attribute.path, value.to_owned())).collect();
    for (path, value) in &found {
        default(fields, *path, value.as_str());
    }
    let time = PathId::reserve("ocsf.time");
    if fields.get(time).is_none()
        && fields.get(PathId::reserve("syslog.timestamp")).is_none()
        && let Some(found) = time_in(text)
    {
        fields.push(time, found);
    }
    let src = PathId::reserve("ocsf.src_endpoint.ip");
    let dst = PathId::reserve("ocsf.dst_endpoint.ip");
    if fields.get(src).is_some() && fields.get(dst).is_some() {
        return;
    }
    let sentence = prose::Sentence::read(text);
    let named = fields.get(src).is_some() || fields.get(dst).is_some();
    let known: Vec<String> = fields
        .iter()
        .filter(|(path, _)| path.name().starts_with("ocsf."))
        .map(|(_, value)| value.to_text().into_owned())
        .collect();
    for (name, value) in sentence.found {
        // Where names told one end, an address without one is more likely to be a third thing.
        let is_known = known.iter().any(|known| known == value);
        let is_third = (named && name.ends_with("_endpoint.ip")) || (is_known && name.ends_with(".ip"));
        if !is_third {
            default(fields, PathId::reserve(&format!("ocsf.{name}")), value);
        }
    }
}

/// The first time with a year that stands in a text.
fn time_in(text: &str) -> Option<&str> {
    const LOOKED_AT: usize = 512;
    text.match_indices("20").take_while(|(at, _)| *at < LOOKED_AT).find_map(|(at, _)| {
        let rest = text.get(at..)?;
        let (_, after) = LogTime::leading(rest)?;
        rest.get(..rest.len() - after.len())
    })
}

fn default<'v>(fields: &mut FieldMap, path: PathId, value: impl Into<Value<'v>>) {
    if fields.get(path).is_none() {
        fields.push(path, value);
    }
}

/// Addresses that stand in a text, whatever they mean.
pub fn addresses(text: &str) -> impl Iterator<Item = &str> {
    prose::addresses(text)
}

/// Fields that decoders add, whose names are ours.
fn is_ours(path: PathId) -> bool {
    let name = path.name();
    name.starts_with("syslog.")
        || name.starts_with("ocsf.")
        || name.starts_with("cef.")
        || name.starts_with("leef.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn understood(text: &str) -> String {
        let mut fields = FieldMap::new();
        read(text, &mut fields);
        understand(text, &mut fields);
        let json = fields.to_json();
        json.get("ocsf").map_or_else(|| "nothing".into(), ToString::to_string)
    }

    #[test]
    fn devices_never_seen_are_understood() {
        for (text, wanted) in [
            (
                r#"CEF:0|Acme|Wall|1|7|deny|5|src=10.0.0.1 spt=80 dst=10.0.0.2 act=drop suser=li"#,
                r#"{"action":"drop","dst_endpoint":{"ip":"10.0.0.2"},"src_endpoint":{"ip":"10.0.0.1","port":"80"},"user":{"name":"li"}}"#,
            ),
            (
                r#"alarm : [{"att_src":"10.0.0.1","state":"open"},{"att_src":"10.0.0.2"}]"#,
                r#"{"src_endpoint":{"ip":"10.0.0.1"}}"#,
            ),
            (
                "攻击者：10.0.0.1:3321，受害者：10.0.0.2:443，处理动作：阻断，威胁名称：扫描",
                r#"{"action":"阻断","dst_endpoint":{"ip":"10.0.0.2","port":"443"},"src_endpoint":{"ip":"10.0.0.1","port":"3321"},"threat":"扫描"}"#,
            ),
            (
                "date=2026-11-22 time=08:00:01 srcip=10.0.0.1 dstip=10.0.0.2 action=\"deny\"",
                r#"{"action":"deny","dst_endpoint":{"ip":"10.0.0.2"},"src_endpoint":{"ip":"10.0.0.1"},"time":"2026-11-22 08:00:01"}"#,
            ),
            (
                "10.0.0.1:80 -> 10.0.0.2:443 blocked",
                r#"{"dst_endpoint":{"ip":"10.0.0.2","port":"443"},"src_endpoint":{"ip":"10.0.0.1","port":"80"}}"#,
            ),
            ("nothing to see", "nothing"),
        ] {
            let sorted: serde_json::Value =
                serde_json::from_str(&understood(text)).unwrap_or_else(|_| "nothing".into());
            let wanted: serde_json::Value = serde_json::from_str(wanted).unwrap_or_else(|_| wanted.into());
            assert_eq!(sorted, wanted, "{text}");
        }
    }

    #[test]
    fn prose_is_no_device() {
        assert!(!recognises("This is a text: it has colons, and commas, but no pairs."));
        assert!(recognises("id=fw src=10.0.0.1 dst=10.0.0.2 act=deny"));
    }
}

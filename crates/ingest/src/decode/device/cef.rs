//! ArcSight's Common Event Format and QRadar's Log Event Extended Format (1.0, and 2.0 with its own delimiter).
//!
//! Header fields become `cef.*` or `leef.*`; the extension keeps the sender's keys. Custom labels are applied: with
//! `cs1Label=Policy cs1=web` there is also a field `Policy`.

use wanglou_model::FieldMap;

use super::pairs::{self, Assign, Separator, Shape};

const CEF_HEADER: [&str; 7] = [
    "cef.version",
    "cef.vendor",
    "cef.product",
    "cef.device_version",
    "cef.class_id",
    "cef.name",
    "cef.severity",
];
const LEEF_HEADER: [&str; 5] =
    ["leef.version", "leef.vendor", "leef.product", "leef.device_version", "leef.event_id"];

/// Reads the CEF or LEEF that stands in `text`, perhaps behind other words; false when there is none.
pub fn decode(text: &str, fields: &mut FieldMap) -> bool {
    let start = |mark: &str| {
        text.find(mark).and_then(|at| text.get(at + mark.len()..)).filter(|body| starts_version(body))
    };
    start("CEF:").is_some_and(|body| cef(body, fields))
        || start("LEEF:").is_some_and(|body| leef(body, fields))
}

/// Whether a line begins with a whole header of CEF or LEEF.
pub(super) fn recognises(line: &str) -> bool {
    let body = |mark: &str| line.strip_prefix(mark).filter(|body| starts_version(body));
    body("CEF:").is_some_and(|body| header::<7>(body).is_some())
        || body("LEEF:").is_some_and(|body| header::<5>(body).is_some())
}

fn starts_version(body: &str) -> bool {
    let body = body.trim_start();
    body.find('|')
        .and_then(|at| body.get(..at))
        .is_some_and(|version| version.len() <= 8 && version.starts_with(|c: char| c.is_ascii_digit()))
}

/// The header's parts up to unescaped bars, and the rest.
fn header<const N: usize>(body: &str) -> Option<([&str; N], &str)> {
    let mut parts = [""; N];
    let mut rest = body;
    for part in &mut parts {
        let mut escaped = false;
        let at = rest.char_indices().find_map(|(at, c)| {
            let ends = c == '|' && !escaped;
            escaped = c == '\\' && !escaped;
            ends.then_some(at)
        })?;
        *part = rest.get(..at)?;
        rest = rest.get(at + 1..)?;
    }
    Some((parts, rest))
}

fn cef(body: &str, fields: &mut FieldMap) -> bool {
    let Some((parts, extension)) = header::<7>(body) else { return false };
    for (name, part) in CEF_HEADER.iter().zip(parts) {
        fields.push_named(None, name, unescape(part.trim()).as_str());
    }
    let separator = if extension.contains('\t') { Separator::Char('\t') } else { Separator::Space };
    let found: Vec<(&str, String)> = pairs::read(extension, Shape { separator, assign: Assign::Equals })
        .map(|(name, value)| (name, unescape(value)))
        .collect();
    for (name, value) in &found {
        fields.push_named(None, name, value.as_str());
        let label = name.strip_suffix("Label").filter(|_| !value.is_empty());
        let labelled = label.and_then(|of| found.iter().find(|(name, _)| *name == of));
        if let Some((_, labelled)) = labelled {
            fields.push_named(None, value, labelled.as_str());
        }
    }
    true
}

fn leef(body: &str, fields: &mut FieldMap) -> bool {
    let Some((parts, mut extension)) = header::<5>(body) else { return false };
    for (name, part) in LEEF_HEADER.iter().zip(parts) {
        fields.push_named(None, name, part.trim());
    }
    let mut separator = if extension.contains('\t') { Separator::Char('\t') } else { Separator::Space };
    if parts.first().is_some_and(|version| version.trim().starts_with('2'))
        && let Some((delimiter, rest)) = extension.split_once('|')
        && let Some(delimiter) = delimiter_of(delimiter)
    {
        separator = Separator::Char(delimiter);
        extension = rest;
    }
    for (name, value) in pairs::read(extension, Shape { separator, assign: Assign::Equals }) {
        fields.push_named(None, name, value);
    }
    true
}

/// LEEF 2.0's delimiter: a character, or its code as `x09` or `0x09`; a tab where it is left out.
fn delimiter_of(text: &str) -> Option<char> {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (None, _) => Some('\t'),
        (Some(delimiter), None) => Some(delimiter),
        _ => {
            let code = text.strip_prefix("0x").or_else(|| text.strip_prefix('x'))?;
            u32::from_str_radix(code, 16).ok().and_then(char::from_u32)
        }
    }
}

fn unescape(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let mut value = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\\', Some(escaped @ ('|' | '=' | '\\'))) => {
                value.push(*escaped);
                chars.next();
            }
            ('\\', Some('n')) => {
                value.push('\n');
                chars.next();
            }
            (other, _) => value.push(other),
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> serde_json::Value {
        let mut fields = FieldMap::new();
        assert!(decode(text, &mut fields), "{text}");
        serde_json::Value::Object(fields.to_json())
    }

    #[test]
    fn both_formats_are_read() {
        use serde_json::json;
        assert_eq!(
            read(
                r"CEF:0|Acme|Wall\|1|1.0|100|block it|7|src=10.0.0.1 msg=a \= b c cs1Label=Policy cs1=web dpt=80"
            ),
            json!({"cef": {"version": "0", "vendor": "Acme", "product": "Wall|1", "device_version": "1.0",
                "class_id": "100", "name": "block it", "severity": "7"},
                "src": "10.0.0.1", "msg": "a = b c", "cs1Label": "Policy", "Policy": "web", "cs1": "web", "dpt": "80"})
        );
        let header = json!({"version": "2.0", "vendor": "Acme", "product": "P", "device_version": "1", "event_id": "E"});
        for text in [
            "LEEF:2.0|Acme|P|1|E|^|src=10.0.0.1^msg=a b^x=",
            "LEEF:2.0|Acme|P|1|E|0x5e|src=10.0.0.1^msg=a b^x=",
        ] {
            assert_eq!(read(text), json!({"leef": header, "src": "10.0.0.1", "msg": "a b", "x": ""}));
        }
        assert_eq!(read("LEEF:1.0|A|P|1|E|src=10.0.0.1\tmsg=a b")["msg"], "a b");
        assert!(!decode("CEF: none", &mut FieldMap::new()));
        assert!(!decode("CEF:0|too|short", &mut FieldMap::new()));
    }
}

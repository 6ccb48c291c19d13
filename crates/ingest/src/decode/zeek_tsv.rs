//! Zeek logs in their tab-separated form, with `#fields` headers.
//!
//! Records get the fields and types that Zeek's JSON writer would give them: numbers and booleans by `#types`, sets
//! and vectors as repeated values, unset fields absent, `_path` from `#path`. One file may hold several logs, each
//! behind its own header. The one difference: times stay numbers (seconds since 1970), as in Zeek's JSON by default.
//! Format: Zeek's ASCII writer, <https://docs.zeek.org/en/master/log-formats.html>.

use std::sync::Arc;

use wanglou_model::{Format, Record, Value};

use super::{DecodeError, DecodeSink, Line, LineDecoder};

/// Columns of one log; the widest that Zeek ships has about forty, packages add some.
const MAX_COLUMNS: usize = 1_024;

/// Whether a line is one of a Zeek header.
#[must_use]
pub fn recognises(line: &str) -> bool {
    const NAMES: [&str; 8] =
        ["set_separator", "empty_field", "unset_field", "path", "fields", "types", "open", "close"];
    line.strip_prefix('#').is_some_and(|directive| {
        // With another separator than the tab, the first line of the header says so.
        directive.starts_with("separator \\x")
            || directive.split_once('\t').is_some_and(|(name, _)| NAMES.contains(&name))
    })
}

/// Reads a Zeek TSV log: the header lines say what the columns are.
#[derive(Debug)]
pub struct ZeekTsv {
    header: Header,
    record: Record,
    record_bytes: usize,
}

/// What the header lines said.
#[derive(Debug)]
struct Header {
    /// Whether a `#separator` line was seen.
    is_begun: bool,
    separator: String,
    set_separator: String,
    empty: String,
    unset: String,
    path: Option<Arc<str>>,
    fields: Vec<String>,
    types: Vec<ColumnType>,
}

/// How a column is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ColumnType {
    /// A set or vector.
    is_list: bool,
    scalar: Scalar,
}

/// How a value, or an element of a list, is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scalar {
    Text,
    Bool,
    Whole,
    Decimal,
}

impl Default for Header {
    fn default() -> Self {
        Self {
            is_begun: false,
            separator: "\t".into(),
            set_separator: ",".into(),
            empty: "(empty)".into(),
            unset: "-".into(),
            path: None,
            fields: Vec::new(),
            types: Vec::new(),
        }
    }
}

impl ZeekTsv {
    /// A fresh one, whose records are at most so many bytes.
    #[must_use]
    pub fn new(record_bytes: usize) -> Self {
        Self {
            header: Header::default(),
            record: Record::new(Format::Zeek, bytes::Bytes::new()),
            record_bytes,
        }
    }
}

impl LineDecoder for ZeekTsv {
    fn line(&mut self, line: &Line<'_>, out: &mut dyn DecodeSink) {
        if line.raw.len() > self.record_bytes {
            let limit = self.record_bytes as u64;
            out.rejected(line.number, DecodeError::TooLarge { what: "a line of a Zeek log", limit });
            return;
        }
        if let Some(directive) = line.text.strip_prefix('#') {
            self.header.directive(directive);
            out.belongs(line.number, line.number);
            return;
        }
        if line.text.is_empty() {
            return;
        }
        let record = &mut self.record;
        record.fields.clear();
        match self.header.read(line.text, record) {
            Ok(()) => {
                record.format = Format::Zeek;
                record.raw = line.raw.clone();
                out.record(line.number, record);
            }
            Err(reason) => out.rejected(line.number, DecodeError::malformed("Zeek TSV", reason)),
        }
    }

    /// Forgets the header: frames that follow may come from another sender.
    fn finish(&mut self, _out: &mut dyn DecodeSink) {
        self.header = Header::default();
    }

    fn continues(&self, text: &str) -> bool {
        let Header { separator, fields, is_begun, .. } = &self.header;
        match fields.len() {
            0 => *is_begun && text.starts_with('#'),
            1 => true,
            _ => text.starts_with('#') || text.contains(separator.as_str()),
        }
    }
}

impl Header {
    /// Takes a header line without its `#`. `#open` and `#close` say nothing about columns.
    fn directive(&mut self, text: &str) {
        if let Some(escaped) = text.strip_prefix("separator ") {
            // Every log of a file begins with this line: what an earlier one said ends here.
            *self = Self { is_begun: true, separator: unescape(escaped), ..Self::default() };
            return;
        }
        let Some((name, rest)) = text.split_once(self.separator.as_str()) else { return };
        match name {
            "set_separator" => self.set_separator = unescape(rest),
            "empty_field" => self.empty = unescape(rest),
            "unset_field" => self.unset = unescape(rest),
            "path" => self.path = Some(rest.into()),
            "fields" => self.fields = self.columns(rest).map(ToOwned::to_owned).collect(),
            "types" => self.types = self.columns(rest).map(ColumnType::parse).collect(),
            _ => {}
        }
    }

    fn columns<'a>(&'a self, text: &'a str) -> impl Iterator<Item = &'a str> {
        text.split(self.separator.as_str()).take(MAX_COLUMNS)
    }

    fn read(&self, text: &str, record: &mut Record) -> Result<(), String> {
        if self.fields.is_empty() {
            return Err("a record stands before any `#fields` line".into());
        }
        let found = text.split(self.separator.as_str()).take(MAX_COLUMNS + 1).count();
        if found != self.fields.len() {
            return Err(format!("{found} columns where `#fields` names {}", self.fields.len()));
        }
        if let Some(path) = &self.path {
            record.fields.push_named(None, "_path", &**path);
        }
        for (at, (name, value)) in self.fields.iter().zip(self.columns(text)).enumerate() {
            if value == self.unset {
                continue;
            }
            let kind = self.types.get(at).copied().unwrap_or(ColumnType::TEXT);
            let mut push = |value: Value<'_>| record.fields.push_named(None, name, value);
            if value == self.empty {
                if !kind.is_list {
                    push(Value::Str(""));
                }
            } else if kind.is_list {
                for element in value.split(self.set_separator.as_str()) {
                    match element {
                        unset if unset == self.unset => push(Value::Null),
                        empty if empty == self.empty => push(Value::Str("")),
                        _ => kind.scalar.read(element, &mut push),
                    }
                }
            } else {
                kind.scalar.read(value, &mut push);
            }
        }
        Ok(())
    }
}

impl ColumnType {
    const TEXT: Self = Self { is_list: false, scalar: Scalar::Text };

    /// `count`, `set[enum]`, `vector[string]`.
    fn parse(name: &str) -> Self {
        match name.split_once('[') {
            Some((_, element)) => {
                Self { is_list: true, scalar: Scalar::parse(element.trim_end_matches(']')) }
            }
            None => Self { is_list: false, scalar: Scalar::parse(name) },
        }
    }
}

impl Scalar {
    fn parse(name: &str) -> Self {
        match name {
            "bool" => Self::Bool,
            "count" | "int" | "port" => Self::Whole,
            "double" | "time" | "interval" => Self::Decimal,
            _ => Self::Text,
        }
    }

    /// What does not read as its type stays text.
    fn read(self, text: &str, push: &mut dyn FnMut(Value<'_>)) {
        let value = match self {
            Self::Text if text.contains('\\') => return push(Value::Str(&unescape(text))),
            Self::Text => None,
            Self::Bool => match text {
                "T" => Some(Value::Bool(true)),
                "F" => Some(Value::Bool(false)),
                _ => None,
            },
            Self::Whole => text.parse().map(Value::Int).or_else(|_| text.parse().map(Value::UInt)).ok(),
            Self::Decimal => text.parse().ok().filter(|number: &f64| number.is_finite()).map(Value::Float),
        };
        push(value.unwrap_or(Value::Str(text)));
    }
}

/// Resolves what the ASCII writer escapes: `\\`, and `\xHH` for separators and bytes outside printable ASCII. Control
/// characters and bytes that are no UTF-8 stay escaped, as in Zeek's JSON.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        let digits = after.strip_prefix('x').and_then(|hex| hex.get(..2));
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if byte >= b' ' && byte != 0x7f || matches!(byte, b'\t' | b'\n' | b'\r') => {
                bytes.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            _ => {
                bytes.push(b'\\');
                rest = after.strip_prefix('\\').unwrap_or(after);
            }
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    let mut unescaped = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        unescaped.push_str(chunk.valid());
        unescaped.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    unescaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Collected(Vec<Result<String, String>>);

    impl DecodeSink for Collected {
        fn record(&mut self, _number: u64, record: &mut Record) {
            self.0.push(Ok(serde_json::Value::from(record.fields.to_json()).to_string()));
        }
        fn rejected(&mut self, _number: u64, error: DecodeError) {
            self.0.push(Err(error.to_string()));
        }
    }

    #[test]
    fn types_lists_and_several_headers() {
        let text = "\
#separator \\x09
#set_separator\t,
#empty_field\t(empty)
#unset_field\t-
#path\tconn
#fields\tts\tid.orig_p\tlocal\tnames\ttags\tnote\tgone
#types\ttime\tport\tbool\tvector[string]\tset[enum]\tstring\tcount
1.5\t53\tT\ta\\x2cb,c\t(empty)\t(empty)\t-
1.5\t53
#close\t2026
#separator \\x7c
#path|dns
#fields|query
#types|string
x.cn";
        let mut decoder = ZeekTsv::new(1 << 20);
        let mut got = Collected::default();
        for (number, line) in (1..).zip(text.lines()) {
            let raw = bytes::Bytes::copy_from_slice(line.as_bytes());
            decoder.line(&Line { number, text: line, raw: &raw }, &mut got);
        }
        let wanted =
            r#"{"_path":"conn","ts":1.5,"id":{"orig_p":53},"local":true,"names":["a,b","c"],"note":""}"#;
        assert_eq!(got.0[0].as_deref(), Ok(wanted));
        assert_eq!(got.0[1].as_ref().unwrap_err(), "malformed Zeek TSV: 2 columns where `#fields` names 7");
        assert_eq!(got.0[2].as_deref(), Ok(r#"{"_path":"dns","query":"x.cn"}"#));
    }
}

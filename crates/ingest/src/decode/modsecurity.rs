//! ModSecurity audit logs: the native serial form and JSON, of both generations.
//!
//! All are brought to one set of names, those of libmodsecurity's JSON with the request and response lifted out of
//! `transaction`: `transaction.{id,time_stamp,client_ip,client_port,host_ip,host_port}`,
//! `request.{method,uri,http_version,headers.<Name>,body}`, `response.{protocol,http_code,headers.<Name>}`,
//! `messages.message` and `messages.details.{ruleId,match,data,severity,file,lineNumber,tags}` (repeated, once for
//! each message where the message has it), `action.{intercepted,phase}`, `producer`.
//!
//! Formats: ModSecurity Reference Manual, "ModSecurity 2 Data Formats"; libmodsecurity `Transaction::toJSON`.

mod json;
mod message;

use bytes::{BufMut, Bytes, BytesMut};
use wanglou_model::{FieldMap, Format, Record};

use super::access_log::RequestLine;
use super::{DecodeError, DecodeSink, Line, LineDecoder};
use message::RuleMessage;

pub use json::from_json;

/// Headers kept of one request or response; servers refuse far fewer.
const MAX_HEADERS: usize = 256;
/// Rule messages kept of one transaction; the core rule set raises some dozens at worst.
const MAX_MESSAGES: usize = 512;

/// Whether a line is the boundary that begins a transaction of the native serial form.
#[must_use]
pub fn recognises(line: &str) -> bool {
    Boundary::parse(line).is_some_and(|boundary| boundary.section == 'A')
}

/// Joins the sections of one transaction of the native serial form.
#[derive(Debug)]
pub struct SerialJoiner {
    open: Option<Open>,
    record_bytes: usize,
}

/// A transaction whose end has not come yet.
#[derive(Debug)]
struct Open {
    number: u64,
    id: String,
    section: char,
    /// Lines of `section` seen so far.
    lines: usize,
    raw: BytesMut,
    request_body: String,
    is_too_large: bool,
    headers: usize,
    messages: usize,
    record: Record,
}

/// `--c7036611-A--` of ModSecurity 2, `---NkCDzRcZ---A--` of libmodsecurity.
struct Boundary<'a> {
    id: &'a str,
    section: char,
}

impl<'a> Boundary<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let inner = line.trim_end().strip_prefix("--")?.strip_suffix("--")?;
        let (id, section) = inner.rsplit_once('-')?;
        let id = id.trim_matches('-');
        let mut letters = section.chars();
        let section = letters.next().filter(char::is_ascii_uppercase)?;
        let is_id = (4..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric());
        (is_id && letters.next().is_none()).then_some(Self { id, section })
    }
}

impl SerialJoiner {
    /// A fresh one, whose records are at most so many bytes.
    #[must_use]
    pub fn new(record_bytes: usize) -> Self {
        Self { open: None, record_bytes }
    }

    fn close(&mut self, out: &mut dyn DecodeSink) {
        let Some(mut open) = self.open.take() else { return };
        if open.is_too_large {
            let limit = self.record_bytes as u64;
            return out
                .rejected(open.number, DecodeError::TooLarge { what: "a ModSecurity transaction", limit });
        }
        if !open.request_body.is_empty() {
            open.record.fields.push_named(None, "request.body", open.request_body.as_str());
        }
        if open.record.fields.is_empty() {
            let reason = format!("transaction `{}` has no readable section", open.id);
            return out.rejected(open.number, DecodeError::malformed("ModSecurity audit log", reason));
        }
        open.record.raw = open.raw.freeze();
        out.record(open.number, &mut open.record);
    }
}

impl LineDecoder for SerialJoiner {
    fn line(&mut self, line: &Line<'_>, out: &mut dyn DecodeSink) {
        let boundary = Boundary::parse(line.text);
        // A body may hold what looks like a boundary, but not with this transaction's id.
        let begins = boundary.as_ref().is_some_and(|next| {
            next.section == 'A' && self.open.as_ref().is_none_or(|open| open.id != next.id)
        });
        if begins && let Some(next) = &boundary {
            // A transaction cut short by a crash of the server is given out as far as it goes.
            self.close(out);
            self.open = Some(Open::new(line.number, next));
        }
        let Some(open) = &mut self.open else {
            if !line.text.trim().is_empty() {
                out.rejected(line.number, DecodeError::unrecognised(line.text));
            }
            return;
        };
        if open.number != line.number {
            out.belongs(line.number, open.number);
        }
        open.keep(line.raw, self.record_bytes);
        match boundary.filter(|next| next.id == open.id) {
            Some(next) => {
                (open.section, open.lines) = (next.section, 0);
                if next.section == 'Z' {
                    self.close(out);
                }
            }
            None => open.take(line.text),
        }
    }

    fn finish(&mut self, out: &mut dyn DecodeSink) {
        self.close(out);
    }

    fn continues(&self, _text: &str) -> bool {
        self.open.is_some()
    }
}

impl Open {
    fn new(number: u64, boundary: &Boundary<'_>) -> Self {
        Self {
            number,
            id: boundary.id.to_owned(),
            section: 'A',
            lines: 0,
            raw: BytesMut::new(),
            request_body: String::new(),
            is_too_large: false,
            headers: 0,
            messages: 0,
            record: Record::new(Format::ModSecurity, Bytes::new()),
        }
    }

    fn keep(&mut self, raw: &Bytes, limit: usize) {
        if self.is_too_large || self.raw.len() + raw.len() + 1 > limit {
            self.is_too_large = true;
            self.raw = BytesMut::new();
            self.request_body = String::new();
            return;
        }
        if !self.raw.is_empty() {
            self.raw.put_u8(b'\n');
        }
        self.raw.extend_from_slice(raw);
    }

    /// Takes a line of the section that is open. Sections beyond these repeat what the others say (D, G, J, K) or hold
    /// response bodies (E).
    fn take(&mut self, text: &str) {
        if self.is_too_large {
            return;
        }
        let first = self.lines == 0;
        self.lines += 1;
        let fields = &mut self.record.fields;
        match self.section {
            'A' if first => _ = head(text, fields),
            'B' if first => put_request_line(text, fields),
            'F' if first => {
                let mut words = text.split(' ');
                put(fields, "response.protocol", words.next());
                put(fields, "response.http_code", words.next());
            }
            'B' | 'F' if self.headers < MAX_HEADERS => {
                self.headers += 1;
                let prefix = if self.section == 'B' { "request.headers" } else { "response.headers" };
                if let Some((name, value)) = text.split_once(':') {
                    fields.push_named(None, &format!("{prefix}.{}", name.trim()), value.trim());
                }
            }
            'C' | 'I' => {
                if !self.request_body.is_empty() {
                    self.request_body.push('\n');
                }
                self.request_body.push_str(text);
            }
            'H' => self.trailer(text),
            _ => {}
        }
    }

    /// `Message: ...`, `Action: Intercepted (phase 2)`, `Producer: ...`; libmodsecurity writes `ModSecurity: ...`.
    fn trailer(&mut self, text: &str) {
        let fields = &mut self.record.fields;
        let Some((name, value)) = text.split_once(": ") else { return };
        match name {
            "Message" | "ModSecurity" if self.messages < MAX_MESSAGES => {
                self.messages += 1;
                let message = RuleMessage::parse(value);
                if message.denies() && name == "ModSecurity" {
                    fields.push_named(None, "action.intercepted", true);
                }
                message.write(fields);
            }
            "Action" => {
                fields.push_named(None, "action.intercepted", value.starts_with("Intercepted"));
                put(
                    fields,
                    "action.phase",
                    value.split_once("(phase ").and_then(|(_, rest)| rest.split(')').next()),
                );
            }
            "Producer" => fields.push_named(None, "producer", value.trim_end_matches('.')),
            _ => {}
        }
    }
}

/// `[22/Nov/2026:08:00:00 +0800] ID CLIENT PORT HOST PORT`.
fn head(text: &str, fields: &mut FieldMap) -> Option<()> {
    let (time, rest) = text.strip_prefix('[')?.split_once("] ")?;
    put(fields, "transaction.time_stamp", Some(time));
    let mut words = rest.split(' ');
    for name in ["id", "client_ip", "client_port", "host_ip", "host_port"] {
        put(fields, &format!("transaction.{name}"), words.next());
    }
    Some(())
}

fn put_request_line(text: &str, fields: &mut FieldMap) {
    let Some(line) = RequestLine::parse(text) else {
        put(fields, "request.line", Some(text));
        return;
    };
    put(fields, "request.method", Some(line.method));
    put(fields, "request.uri", Some(line.target));
    put(fields, "request.http_version", line.protocol.split_once('/').map(|(_, version)| version));
}

fn put(fields: &mut FieldMap, name: &str, value: Option<&str>) {
    if let Some(value) = value.filter(|value| !value.is_empty()) {
        fields.push_named(None, name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Collected(Vec<(u64, Result<serde_json::Value, String>)>);

    impl DecodeSink for Collected {
        fn record(&mut self, number: u64, record: &mut Record) {
            self.0.push((number, Ok(record.fields.to_json().into())));
        }
        fn rejected(&mut self, number: u64, error: DecodeError) {
            self.0.push((number, Err(error.to_string())));
        }
    }

    fn read(text: &str, limit: usize) -> Vec<(u64, Result<serde_json::Value, String>)> {
        let mut joiner = SerialJoiner::new(limit);
        let mut collected = Collected::default();
        for (at, line) in text.lines().enumerate() {
            let raw = Bytes::copy_from_slice(line.as_bytes());
            joiner.line(&Line { number: at as u64 + 1, text: line, raw: &raw }, &mut collected);
        }
        joiner.finish(&mut collected);
        collected.0
    }

    const TWO: &str = "\
--c7036611-A--
[22/Nov/2026:08:00:00 +0800] Y7x 1.2.3.4 5678 10.0.0.1 80
--c7036611-B--
POST /a?id=1 HTTP/1.1
Host: x.cn

--c7036611-C--
a=1
--deadbeef-A--b
--c7036611-F--
HTTP/1.1 403 Forbidden
--c7036611-H--
Message: Access denied with code 403 (phase 2). Pattern match \"(?i)union\" at ARGS:id. [file \"/r.conf\"] [line \"37\"] [id \"942100\"] [msg \"SQL Injection\"] [data \"found \\\"union\\\"\"] [severity \"CRITICAL\"] [tag \"a\"] [tag \"b\"]
Action: Intercepted (phase 2)

--c7036611-Z--

---NkCDzRcZ---A--
[22/Nov/2026:08:00:01 +0800] 163 2001:db8::1 1 10.0.0.1 80
---NkCDzRcZ---B--
\u{16}\u{3}";

    #[test]
    fn sections_are_joined_and_a_cut_transaction_is_given_out() {
        let got = read(TWO, 1 << 20);
        assert_eq!(got.len(), 2);
        let first = got[0].1.as_ref().unwrap();
        assert_eq!(first["request"]["headers"]["Host"], "x.cn");
        assert_eq!(first["request"]["uri"], "/a?id=1");
        assert_eq!(first["request"]["body"], "a=1\n--deadbeef-A--b");
        assert_eq!(first["messages"]["details"]["ruleId"], "942100");
        assert_eq!(first["messages"]["details"]["data"], "found \"union\"");
        assert_eq!(first["messages"]["details"]["tags"], serde_json::json!(["a", "b"]));
        assert_eq!(first["messages"]["message"], "SQL Injection");
        assert_eq!(first["action"]["intercepted"], true);
        assert_eq!(first["response"]["http_code"], "403");
        assert_eq!(got[1].0, 18);
        assert_eq!(got[1].1.as_ref().unwrap()["transaction"]["client_ip"], "2001:db8::1");
    }

    #[test]
    fn a_transaction_beyond_the_limit_is_rejected_alone() {
        let got = read(&format!("--aaaaaaaa-A--\n{}\n--aaaaaaaa-Z--\n{TWO}", "x".repeat(2_000)), 1_500);
        assert!(got[0].1.as_ref().unwrap_err().contains("1500"), "{got:?}");
        assert!(got[1].1.is_ok() && got[1].0 == 4);
    }
}

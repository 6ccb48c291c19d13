//! From a record's fields to OCSF attributes, by tables.
//!
//! A [`Table`] says for each field of the source which attribute it becomes and how; tables are built once, so that
//! mapping a record looks up no names. A [`Mapper`] carries the event being made, and notes which of the record's
//! fields were used: the others stay in OCSF's `unmapped`.

use std::borrow::Cow;

use jiff::tz::TimeZone;
use wanglou_model::{Event, FieldMap, PathId, Record, Severity, Timestamp, Value, canonical_ip, ocsf};

use super::EventContext;
use crate::timestamp;

/// What a field becomes: the kind of value and the attribute (or the object) it goes to.
#[derive(Clone, Copy, Debug)]
pub(super) enum To {
    /// Text as it is.
    Text(&'static str),
    /// Text in lower case: protocol names and the like.
    Lower(&'static str),
    /// A whole number, also from decimal or `0x` hexadecimal text.
    Int(&'static str),
    /// A truth value, also from text.
    Bool(&'static str),
    /// An IP address in canonical text; anything else becomes the `hostname` beside it.
    Ip(&'static str),
    /// An instant, in milliseconds since 1970.
    Time(&'static str),
    /// An instant that is written without a zone and is UTC by definition.
    UtcTime(&'static str),
    /// A user, split into `name` and `domain`.
    User(&'static str),
    /// A file path: `path`, `name` and `type_id`.
    File(&'static str),
    /// The image of a process: its `name` and `file`.
    Image(&'static str),
    /// Hashes as Sysmon writes them (`SHA256=…,MD5=…`), or a single one: `hashes`.
    Hashes(&'static str),
    /// A URL: `url_string`, `scheme`, `hostname`, `port`, `path` and `query_string`.
    Url(&'static str),
    /// Used up: what it says stands elsewhere in the event.
    Known,
}

/// [`To`] with its paths looked up.
#[derive(Clone, Debug)]
enum Step {
    Text(PathId),
    Lower(PathId),
    Int(PathId),
    Bool(PathId),
    Ip { ip: PathId, hostname: PathId },
    Time(PathId),
    UtcTime(PathId),
    User { name: PathId, domain: PathId },
    File(FilePaths),
    Image { name: PathId, file: FilePaths },
    Hashes(HashPaths),
    Url(UrlPaths),
    Known,
}

#[derive(Clone, Copy, Debug)]
struct FilePaths {
    path: PathId,
    name: PathId,
    type_id: PathId,
}

#[derive(Clone, Copy, Debug)]
struct HashPaths {
    algorithm: PathId,
    algorithm_id: PathId,
    value: PathId,
}

/// Where the parts of a URL go.
#[derive(Clone, Copy, Debug)]
pub(super) struct UrlPaths {
    url_string: PathId,
    scheme: PathId,
    hostname: PathId,
    port: PathId,
    path: PathId,
    query_string: PathId,
}

fn below(base: &str, name: &str) -> PathId {
    PathId::reserve(&format!("{base}.{name}"))
}

impl FilePaths {
    fn of(base: &str) -> Self {
        Self { path: below(base, "path"), name: below(base, "name"), type_id: below(base, "type_id") }
    }
}

impl UrlPaths {
    /// Below the object at `base`.
    pub(super) fn of(base: &str) -> Self {
        Self {
            url_string: below(base, "url_string"),
            scheme: below(base, "scheme"),
            hostname: below(base, "hostname"),
            port: below(base, "port"),
            path: below(base, "path"),
            query_string: below(base, "query_string"),
        }
    }
}

impl Step {
    fn of(to: To) -> Self {
        match to {
            To::Text(path) => Self::Text(PathId::reserve(path)),
            To::Lower(path) => Self::Lower(PathId::reserve(path)),
            To::Int(path) => Self::Int(PathId::reserve(path)),
            To::Bool(path) => Self::Bool(PathId::reserve(path)),
            To::Time(path) => Self::Time(PathId::reserve(path)),
            To::UtcTime(path) => Self::UtcTime(PathId::reserve(path)),
            To::Ip(endpoint) => Self::Ip { ip: below(endpoint, "ip"), hostname: below(endpoint, "hostname") },
            To::User(user) => Self::User { name: below(user, "name"), domain: below(user, "domain") },
            To::File(file) => Self::File(FilePaths::of(file)),
            To::Image(process) => {
                Self::Image { name: below(process, "name"), file: FilePaths::of(&format!("{process}.file")) }
            }
            To::Hashes(file) => Self::Hashes(HashPaths {
                algorithm: below(file, "hashes[].algorithm"),
                algorithm_id: below(file, "hashes[].algorithm_id"),
                value: below(file, "hashes[].value"),
            }),
            To::Url(url) => Self::Url(UrlPaths::of(url)),
            To::Known => Self::Known,
        }
    }
}

/// Which field becomes which attribute.
#[derive(Clone, Debug, Default)]
pub(super) struct Table(Vec<(PathId, Step)>);

impl Table {
    /// From rows of (field, attribute). A field may stand in several.
    pub(super) fn new(rows: &[(&str, To)]) -> Self {
        Self::with_names(rows, |name| name.to_owned())
    }

    /// From rows whose field names `name` completes.
    pub(super) fn with_names(rows: &[(&str, To)], name: impl Fn(&str) -> String) -> Self {
        Self(rows.iter().map(|(field, to)| (PathId::reserve(&name(field)), Step::of(*to))).collect())
    }
}

/// An event being made from a record.
pub(super) struct Mapper<'r> {
    pub(super) record: &'r Record,
    pub(super) event: Event,
    zone: TimeZone,
}

impl<'r> Mapper<'r> {
    /// A Base Event that happened when it arrived.
    pub(super) fn new(record: &'r Record, context: EventContext) -> Self {
        let event = Event {
            uid: context.uid,
            class_uid: ocsf::BASE_EVENT,
            activity_id: 0,
            severity: Severity::Informational,
            time: context.arrival,
            arrival: context.arrival,
            source: context.source,
            product: record.product.clone(),
            tenant: context.tenant,
            attributes: FieldMap::new(),
            mapped: Vec::new(),
        };
        Self { record, event, zone: context.zone }
    }

    /// Says what class and activity this is.
    pub(super) fn class(&mut self, class_uid: u32, activity_id: u32) {
        self.event.class_uid = class_uid;
        self.event.activity_id = activity_id;
    }

    /// Sets an attribute.
    pub(super) fn put<'v>(&mut self, to: PathId, value: impl Into<Value<'v>>) {
        self.event.attributes.push(to, value);
    }

    /// Sets an attribute unless it is there.
    pub(super) fn default<'v>(&mut self, to: PathId, value: impl Into<Value<'v>>) {
        if !self.has(to) {
            self.put(to, value);
        }
    }

    /// Whether an attribute is set.
    pub(super) fn has(&self, to: PathId) -> bool {
        self.event.attributes.get(to).is_some()
    }

    /// The first value of a field, noted as used; none when it is absent, null or empty, or the `-` for nothing.
    pub(super) fn take(&mut self, from: PathId) -> Option<Value<'r>> {
        let value = self.record.fields.get(from)?;
        if is_nothing(value) {
            return None;
        }
        self.used(from);
        Some(value)
    }

    /// Like [`Mapper::take`], as text.
    pub(super) fn take_text(&mut self, from: PathId) -> Option<Cow<'r, str>> {
        self.take(from).map(Value::to_text)
    }

    /// Notes that a field was used.
    pub(super) fn used(&mut self, from: PathId) {
        if !self.event.mapped.contains(&from) {
            self.event.mapped.push(from);
        }
    }

    /// Takes the time of the event from a field: the source's own, in whatever form it writes.
    pub(super) fn time(&mut self, from: PathId) -> bool {
        let time = self.record.fields.get(from).and_then(|value| self.instant(value));
        if let Some(time) = time {
            self.event.time = time;
            self.used(from);
        }
        time.is_some()
    }

    /// Like [`Mapper::time`], for a field that is UTC by definition.
    pub(super) fn utc_time(&mut self, from: PathId) {
        if let Some(time) = self.record.fields.get(from).and_then(|value| self.utc_instant(value)) {
            self.event.time = time;
            self.used(from);
        }
    }

    fn utc_instant(&self, value: Value<'_>) -> Option<Timestamp> {
        timestamp::instant(value.as_str()?, self.event.arrival, &TimeZone::UTC)
    }

    /// The instant that a value means.
    pub(super) fn instant(&self, value: Value<'_>) -> Option<Timestamp> {
        match value {
            // Microseconds are what a double holds of a time in this century.
            Value::Float(seconds) if (0.0..4e9).contains(&seconds) => {
                #[expect(clippy::cast_possible_truncation, reason = "below 4e15")]
                let micros = (seconds * 1e6).round() as i64;
                Some(Timestamp::from_nanos(micros.saturating_mul(1000)))
            }
            Value::Str(text) => timestamp::instant(text, self.event.arrival, &self.zone),
            Value::Int(_) => timestamp::epoch(&value.to_text()),
            _ => None,
        }
    }

    /// Maps the record's fields by a table. What an earlier row set stays.
    pub(super) fn apply(&mut self, table: &Table) {
        for (from, step) in &table.0 {
            if let Some(value) = self.record.fields.get(*from)
                && !is_nothing(value)
                && self.step(step, value)
            {
                self.used(*from);
            }
        }
    }

    /// Whether the value was of use.
    fn step(&mut self, step: &Step, value: Value<'_>) -> bool {
        match step {
            Step::Known => true,
            Step::Text(to) => {
                self.default(*to, value.to_text().as_ref());
                true
            }
            Step::Lower(to) => {
                self.default(*to, value.to_text().to_lowercase().as_str());
                true
            }
            Step::Int(to) => integer(value).map(|number| self.default(*to, number)).is_some(),
            Step::Bool(to) => truth(value).map(|flag| self.default(*to, flag)).is_some(),
            Step::Time(to) => self.instant(value).map(|time| self.default(*to, time.millis())).is_some(),
            Step::UtcTime(to) => {
                self.utc_instant(value).map(|time| self.default(*to, time.millis())).is_some()
            }
            Step::Ip { ip, hostname } => {
                let text = value.to_text();
                match canonical_ip(&text) {
                    Some(address) => self.default(*ip, address.as_str()),
                    None => self.default(*hostname, text.as_ref()),
                }
                true
            }
            Step::User { name, domain } => {
                self.put_user(*name, *domain, &value.to_text());
                true
            }
            Step::File(paths) => {
                self.put_file(*paths, &value.to_text());
                true
            }
            Step::Image { name, file } => {
                let text = value.to_text();
                self.put_file(*file, &text);
                self.default(*name, base_name(&text));
                true
            }
            Step::Hashes(paths) => self.put_hashes(*paths, &value.to_text()),
            Step::Url(paths) => {
                self.put_url(*paths, &value.to_text());
                true
            }
        }
    }

    fn put_user(&mut self, name: PathId, domain: PathId, text: &str) {
        let (of, user) = split_user(text);
        self.default(name, user);
        if let Some(of) = of {
            self.default(domain, of);
        }
    }

    fn put_file(&mut self, paths: FilePaths, text: &str) {
        if !self.has(paths.path) {
            self.put(paths.path, text);
            self.put(paths.name, base_name(text));
            self.put(paths.type_id, 1_i64);
        }
    }

    fn put_hashes(&mut self, paths: HashPaths, text: &str) -> bool {
        let mut any = false;
        for part in text.split(',') {
            let (name, value) = part.split_once('=').unwrap_or(("", part));
            let Some((algorithm, id)) = algorithm(name, value) else { continue };
            self.put(paths.algorithm, algorithm);
            self.put(paths.algorithm_id, id);
            self.put(paths.value, value.trim().to_lowercase().as_str());
            any = true;
        }
        any
    }

    /// Splits a URL, or the target of a request, into its parts.
    pub(super) fn put_url(&mut self, paths: UrlPaths, text: &str) {
        self.default(paths.url_string, text);
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (Some(scheme), rest),
            None => (None, text),
        };
        let rest = rest.split('#').next().unwrap_or(rest);
        let (location, query) = rest.split_once('?').map_or((rest, None), |(at, query)| (at, Some(query)));
        if let Some(query) = query {
            self.default(paths.query_string, query);
        }
        let Some(scheme) = scheme else {
            return self.default(paths.path, location);
        };
        self.default(paths.scheme, scheme);
        let (authority, path) =
            location.find('/').and_then(|at| location.split_at_checked(at)).unwrap_or((location, "/"));
        self.default(paths.path, path);
        let host = authority.rsplit('@').next().unwrap_or(authority);
        match host.rsplit_once(':').map(|(name, port)| (name, port.parse::<u16>())) {
            Some((name, Ok(port))) => {
                self.default(paths.hostname, name);
                self.default(paths.port, port);
            }
            _ => self.default(paths.hostname, host),
        }
    }
}

/// Whether a value says that there is none.
fn is_nothing(value: Value<'_>) -> bool {
    match value {
        Value::Null => true,
        Value::Str(text) => matches!(text.trim(), "" | "-"),
        _ => false,
    }
}

/// A whole number, also written in decimal or as `0x…`.
pub(super) fn integer(value: Value<'_>) -> Option<i64> {
    match value {
        Value::Str(text) => {
            let text = text.trim();
            match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
                Some(digits) => i64::from_str_radix(digits, 16).ok(),
                None => text.parse().ok(),
            }
        }
        #[expect(clippy::cast_possible_truncation, reason = "in the range of i64, and whole")]
        Value::Float(number) if number.fract() == 0.0 && number.abs() < 9e15 => Some(number as i64),
        other => other.as_i64(),
    }
}

fn truth(value: Value<'_>) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(flag),
        Value::Int(number) => Some(number != 0),
        Value::Str(text) => match text.to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "1" => Some(true),
            "false" | "f" | "no" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// The last part of a path, of Windows or Unix.
pub(super) fn base_name(path: &str) -> &str {
    path.trim_end_matches(['/', '\\'])
        .rsplit(['/', '\\'])
        .next()
        .filter(|name| !name.is_empty())
        .unwrap_or(path)
}

/// `DOMAIN\user` and `user@domain` split; the domain first.
pub(super) fn split_user(text: &str) -> (Option<&str>, &str) {
    let text = text.trim();
    match text.split_once('\\') {
        Some((domain, user)) if !domain.is_empty() && !user.is_empty() => (Some(domain), user),
        Some((_, user)) if !user.is_empty() => (None, user),
        _ => (None, text),
    }
}

/// OCSF name and id of a hash algorithm: by its name, or by the length of the hash where that is telling.
fn algorithm(name: &str, value: &str) -> Option<(&'static str, i64)> {
    let value = value.trim();
    // Sysmon writes zeroes for a hash it could not take.
    if value.is_empty() || value.bytes().all(|b| b == b'0') || !value.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    match name.trim().to_ascii_uppercase().replace('-', "").as_str() {
        "MD5" => Some(("MD5", 1)),
        "SHA1" => Some(("SHA-1", 2)),
        "SHA256" => Some(("SHA-256", 3)),
        "SHA512" => Some(("SHA-512", 4)),
        "IMPHASH" => Some(("Imphash", 18)),
        "" => match value.len() {
            32 => Some(("MD5", 1)),
            40 => Some(("SHA-1", 2)),
            64 => Some(("SHA-256", 3)),
            128 => Some(("SHA-512", 4)),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapped(value: &str, to: To) -> serde_json::Value {
        let mut record = Record::new(wanglou_model::Format::Json, bytes::Bytes::new());
        record.fields.push(PathId::reserve("field"), value);
        let mut mapper = Mapper::new(&record, crate::normalize::tests::context());
        mapper.apply(&Table::new(&[("field", to)]));
        serde_json::Value::Object(mapper.event.attributes.to_json())
    }

    #[test]
    fn fields_become_attributes() {
        use serde_json::json;
        assert_eq!(mapped("0x1f4", To::Int("a.pid")), json!({"a": {"pid": 500}}));
        assert_eq!(mapped("::ffff:10.0.0.1", To::Ip("src")), json!({"src": {"ip": "10.0.0.1"}}));
        assert_eq!(mapped("WS01", To::Ip("src")), json!({"src": {"hostname": "WS01"}}));
        assert_eq!(
            mapped("NT AUTHORITY\\SYSTEM", To::User("u")),
            json!({"u": {"name": "SYSTEM", "domain": "NT AUTHORITY"}})
        );
        assert_eq!(mapped("-", To::Text("a")), json!({}));
        assert_eq!(
            mapped("C:\\Windows\\cmd.exe", To::Image("p")),
            json!({"p": {"name": "cmd.exe", "file": {"path": "C:\\Windows\\cmd.exe", "name": "cmd.exe", "type_id": 1}}})
        );
        assert_eq!(
            mapped(
                "MD5=0123456789ABCDEF0123456789ABCDEF,IMPHASH=00000000000000000000000000000000",
                To::Hashes("f")
            ),
            json!({"f": {"hashes": [{"algorithm": "MD5", "algorithm_id": 1, "value": "0123456789abcdef0123456789abcdef"}]}})
        );
        assert_eq!(
            mapped("https://u@a.cn:8443/x/y?q=1#f", To::Url("url")),
            json!({"url": {"url_string": "https://u@a.cn:8443/x/y?q=1#f", "scheme": "https", "hostname": "a.cn",
                           "port": 8443, "path": "/x/y", "query_string": "q=1"}})
        );
    }
}

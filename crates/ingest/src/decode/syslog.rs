//! Syslog: RFC 3164, RFC 5424 and the sloppy forms that devices send in their stead.
//!
//! The one idea: [`Message::parse`] splits a line into borrowed parts and forgives everything but the absence of both
//! priority and time; [`decode`] writes the parts as `syslog.*` and adds what the message itself says: `syslog.auth.*`
//! for log-ins and accounts ([`auth`]), the parts of nginx and Apache error lines ([`web_error`], whose files have a
//! form of their own and are read here as syslog of the app `nginx` or `apache`).
//!
//! Forgiven: no priority, ISO or year-bearing times, Cisco sequence numbers, no host, no colon after the tag, a relay's
//! header before the sender's own (`syslog.relay` keeps the relay), a byte order mark, the length that octet counting
//! leaves before the priority. The time is kept as written; what instant it means is the normalizer's question.

pub(crate) mod auth;
mod web_error;

use std::sync::LazyLock;

use wanglou_model::{FieldMap, PathId};

use super::{DecodeError, device};
use crate::timestamp::LogTime;

/// Headers of relays that are looked through to the sender's own.
const MAX_RELAYS: usize = 4;
/// Longest host, app, process id and message id taken from a header (RFC 5424 section 6 allows 255, 48, 128, 32; a
/// longer word is no name but text).
const MAX_NAME: usize = 255;
/// Structured data elements and parameters read of one message; no sender comes near.
const MAX_PARAMS: usize = 256;
const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
/// Keywords of facilities 0 to 23, as `logger` and rsyslog name them.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
    "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6",
    "local7",
];
/// Keywords of severities 0 to 7.
const SEVERITIES: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

/// Whether a line begins as syslog does: with a priority or a time. Web server error lines count.
#[must_use]
pub fn recognises(line: &str) -> bool {
    let line = trim(line);
    priority(line).is_some_and(|(_, rest)| !rest.is_empty())
        || web_error::parse(line).is_some()
        || Message::parse(line).is_some_and(|message| message.is_telling())
}

/// Reads one line into `fields`.
///
/// # Errors
/// [`DecodeError`] when the line begins with neither a priority nor a time.
pub fn decode(line: &str, fields: &mut FieldMap) -> Result<(), DecodeError> {
    let line = trim(line);
    if let Some(error) = web_error::parse(line) {
        error.write(fields);
        return Ok(());
    }
    let message = Message::parse(line).ok_or_else(|| DecodeError::unrecognised(line))?;
    message.write(fields);
    Ok(())
}

/// The parts of one message, as written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Message<'a> {
    /// The priority value, 0 to 191.
    pub priority: Option<u8>,
    /// The time as written.
    pub timestamp: Option<&'a str>,
    /// The host that relayed the message, when the line has a relay's header before the sender's.
    pub relay: Option<&'a str>,
    /// The host.
    pub host: Option<&'a str>,
    /// The program (APP-NAME, or the tag's name).
    pub app: Option<&'a str>,
    /// The process id (PROCID).
    pub pid: Option<&'a str>,
    /// MSGID of RFC 5424.
    pub msgid: Option<&'a str>,
    /// Structured data of RFC 5424, brackets and all, still escaped.
    pub structured_data: Option<&'a str>,
    /// What the program said.
    pub text: &'a str,
}

impl<'a> Message<'a> {
    /// The parts of `line`; `None` when it begins with neither a priority nor a time.
    #[must_use]
    pub fn parse(line: &'a str) -> Option<Self> {
        let mut message = Self::header(trim(line))?;
        for _ in 0..MAX_RELAYS {
            // A relay that did not understand the sender's header has put its own before it; what the relay took for
            // a tag is then the beginning of that header.
            let inner_line = message.text;
            let relayed = priority(inner_line).is_some() || LogTime::leading(inner_line).is_some();
            if message.app.is_some() || !relayed {
                break;
            }
            let Some(inner) = Self::header(inner_line).filter(|inner| inner.app.is_some()) else { break };
            message = Self {
                priority: inner.priority.or(message.priority),
                relay: message.relay.or(message.host),
                host: inner.host.or(message.host),
                ..inner
            };
        }
        Some(message)
    }

    /// Whether the parts make it likely that this is syslog, though it has no priority: a program is named, or a host
    /// behind the time of RFC 3164. `2026-11-22 08:00:00 INFO text` is any program's own log.
    fn is_telling(&self) -> bool {
        let is_rfc3164 =
            self.timestamp.is_some_and(|time| time.starts_with(|c: char| c.is_ascii_alphabetic()));
        self.app.is_some() || (is_rfc3164 && self.host.is_some())
    }

    fn header(line: &'a str) -> Option<Self> {
        let Some((priority, rest)) = priority(line) else {
            let (timestamp, rest) = timestamp(line)?;
            return Some(Self { timestamp: Some(timestamp), ..Self::host_and_tag(rest) });
        };
        let versioned = rest.strip_prefix("1 ").and_then(Self::rfc5424);
        let message = versioned.unwrap_or_else(|| match timestamp(rest) {
            Some((timestamp, rest)) => Self { timestamp: Some(timestamp), ..Self::host_and_tag(rest) },
            None => Self::without_time(rest),
        });
        Some(Self { priority: Some(priority), ..message })
    }

    /// What follows `<PRI>1 `: TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA \[MSG\].
    fn rfc5424(rest: &'a str) -> Option<Self> {
        let (timestamp, rest) = rest.split_once(' ')?;
        if timestamp != "-" {
            LogTime::parse(timestamp)?;
        }
        let (host, rest) = rest.split_once(' ')?;
        let (app, rest) = rest.split_once(' ')?;
        let (pid, rest) = rest.split_once(' ')?;
        let (msgid, rest) = rest.split_once(' ').unwrap_or((rest, "-"));
        let some = |word: &'a str| (word != "-" && !word.is_empty()).then_some(word);
        let (structured_data, text) = match structured_data_end(rest) {
            Some(end) => rest.split_at_checked(end)?,
            None => (
                "-",
                rest.strip_prefix('-')
                    .filter(|text| text.is_empty() || text.starts_with(' '))
                    .unwrap_or(rest),
            ),
        };
        let text = text.strip_prefix(' ').unwrap_or(text);
        Some(Self {
            timestamp: some(timestamp),
            host: some(host),
            app: some(app),
            pid: some(pid),
            msgid: some(msgid),
            structured_data: some(structured_data),
            text: text.strip_prefix('\u{feff}').unwrap_or(text),
            ..Self::default()
        })
    }

    /// What follows the time of RFC 3164: `HOST TAG[PID]: text`, `TAG: text`, or neither.
    fn host_and_tag(rest: &'a str) -> Self {
        let rest = rest.trim_start_matches(' ');
        let rest = rest.strip_prefix(": ").unwrap_or(rest);
        if let Some(tagged) = Self::tag(rest) {
            // `su: ...` without a host, though `fe80::1 su: ...` has one: a tag's name has no colon inside.
            return tagged;
        }
        let Some((host, text)) = rest.split_once(' ').filter(|(host, _)| is_host(host)) else {
            return Self { text: rest, ..Self::default() };
        };
        let text = text.trim_start_matches(' ');
        let text = text.strip_prefix(": ").unwrap_or(text);
        let after = Self::tag(text).or_else(|| Self::spaced_tag(text)).or_else(|| Self::bare_tag(text));
        Self { host: Some(host), ..after.unwrap_or(Self { text, ..Self::default() }) }
    }

    /// What follows a priority without a time: `TAG[PID]: text`, `HOST TAG[PID]: text`, or text alone.
    fn without_time(rest: &'a str) -> Self {
        let rest = rest.trim_start_matches(' ');
        if let Some(tagged) = Self::tag(rest) {
            return tagged;
        }
        let with_host = rest.split_once(' ').filter(|(host, _)| is_host(host)).and_then(|(host, after)| {
            // Words before a colon are prose unless they carry a process id.
            Self::tag(after)
                .filter(|tagged| tagged.pid.is_some())
                .map(|tagged| Self { host: Some(host), ..tagged })
        });
        with_host.unwrap_or(Self { text: rest, ..Self::default() })
    }

    /// `TAG[PID]: text`, `TAG: text`, `TAG[PID] text`.
    fn tag(rest: &'a str) -> Option<Self> {
        let end = rest.find([' ', ':', '['])?;
        let (app, after) = rest.split_at_checked(end)?;
        // The marks of CEF and LEEF look like tags.
        let is_mark = matches!(app, "CEF" | "LEEF");
        if is_mark || app.is_empty() || app.len() > MAX_NAME || !app.chars().all(is_tag_char) {
            return None;
        }
        let message = |pid, text: &'a str| Self {
            app: Some(app),
            pid,
            text: text.strip_prefix(' ').unwrap_or(text),
            ..Self::default()
        };
        if let Some(bracketed) = after.strip_prefix('[') {
            let (pid, text) = bracketed.split_once(']')?;
            let is_pid = pid.len() <= MAX_NAME && !pid.contains(char::is_whitespace);
            let text = text.strip_prefix(':').or_else(|| text.starts_with(' ').then_some(text))?;
            return is_pid.then(|| message(Some(pid).filter(|pid| !pid.is_empty()), text));
        }
        let text = after.strip_prefix(':')?;
        // Huawei and H3C write %%01POLICY/6/POLICYDENY(l):vsys=public, without a space.
        let ends = text.is_empty() || text.starts_with([' ', '\t']) || app.starts_with("%%");
        ends.then(|| message(None, text))
    }

    /// `Google Chrome[85294]: text`: words are a tag if a process id and a colon end them.
    fn spaced_tag(rest: &'a str) -> Option<Self> {
        const MAX_WORDS: usize = 4;
        let (app, after) = rest.split_once('[')?;
        let (pid, text) = after.split_once("]: ")?;
        let is_name = app.split(' ').count() <= MAX_WORDS && app.chars().all(|c| is_tag_char(c) || c == ' ');
        let is_pid = !pid.is_empty() && pid.bytes().all(|b| b.is_ascii_digit());
        (is_name && is_pid).then_some(Self { app: Some(app), pid: Some(pid), text, ..Self::default() })
    }

    /// `CRON (root) CMD ...`, `snort 1:2:3 ...`: after time and host, a first word of upper-case or program-like
    /// characters is the tag only if what follows is clearly not prose.
    fn bare_tag(rest: &'a str) -> Option<Self> {
        let (app, text) = rest.split_once(' ')?;
        let is_tag = !app.is_empty() && app.len() <= 48 && app.chars().all(is_tag_char);
        (is_tag && text.starts_with(['(', '{', '[', '%', '<'])).then_some(Self {
            app: Some(app),
            text,
            ..Self::default()
        })
    }

    /// Writes the parts as `syslog.*`, and what the text says of log-ins, accounts and web errors.
    pub fn write(&self, fields: &mut FieldMap) {
        let mut put = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                fields.push_named(None, name, value);
            }
        };
        put("syslog.timestamp", self.timestamp);
        put("syslog.relay", self.relay);
        put("syslog.host", self.host);
        put("syslog.app", self.app);
        put("syslog.pid", self.pid);
        put("syslog.msgid", self.msgid);
        put("syslog.message", Some(self.text));
        if let Some(priority) = self.priority {
            fields.push_named(None, "syslog.priority", u32::from(priority));
            let facility = FACILITIES.get(usize::from(priority >> 3)).copied().unwrap_or_default();
            let severity = SEVERITIES.get(usize::from(priority & 7)).copied().unwrap_or_default();
            fields.push_named(None, "syslog.facility", facility);
            fields.push_named(None, "syslog.severity", severity);
        }
        if let Some(data) = self.structured_data {
            write_structured_data(data, fields);
        }
        match self.app {
            Some("nginx" | "apache2" | "httpd" | "apache") => {
                if let Some(error) = web_error::parse(self.text) {
                    error.write_details(fields);
                }
            }
            Some(app) => auth::write(app, self.text, fields),
            None => {}
        }
        if !is_known(fields) {
            device::read(self.text, fields);
            device::understand(self.text, fields);
        }
    }
}

/// Whether what the message says has been told already.
fn is_known(fields: &FieldMap) -> bool {
    static TOLD: LazyLock<[PathId; 2]> =
        LazyLock::new(|| ["syslog.auth.event", "client"].map(PathId::reserve));
    TOLD.iter().any(|path| fields.get(*path).is_some())
}

/// Without what framing left: a byte order mark, line ends, the octet count before the priority.
fn trim(line: &str) -> &str {
    let line = line.strip_prefix('\u{feff}').unwrap_or(line).trim_end_matches(['\r', '\n', '\0']);
    let line = line.trim_start_matches(' ');
    line.split_once(" <")
        .filter(|(count, _)| (1..=6).contains(&count.len()) && count.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|(count, _)| line.get(count.len() + 1..))
        .unwrap_or(line)
}

/// `<PRI>` and what follows; values above 191 name no facility (RFC 5424 section 6.2.1).
fn priority(line: &str) -> Option<(u8, &str)> {
    let (digits, rest) = line.strip_prefix('<')?.split_once('>')?;
    let is_number = (1..=3).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    let value = digits.parse().ok().filter(|value| is_number && *value <= 191)?;
    Some((value, rest))
}

/// A leading time, perhaps behind what Cisco puts there (`000123: *Nov 22 08:00:00.123: %SYS-5-CONFIG_I: ...`), and
/// the text after it.
fn timestamp(rest: &str) -> Option<(&str, &str)> {
    let rest = rest.trim_start_matches(' ');
    let candidates =
        [Some(rest), rest.split_once(": ").filter(|(word, _)| is_sequence(word)).map(|(_, rest)| rest)];
    candidates.into_iter().flatten().find_map(|candidate| {
        let candidate = candidate.strip_prefix(['*', '.', '[']).unwrap_or(candidate);
        let (_, after) = LogTime::leading(candidate)?;
        let written = candidate.get(..candidate.len() - after.len())?;
        let after = after.strip_prefix(']').unwrap_or(after);
        (after.is_empty() || after.starts_with([' ', ':', ','])).then_some((written, after))
    })
}

fn is_sequence(word: &str) -> bool {
    (1..=10).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_digit())
}

/// A host name or address: no host is named like a month, which begins the sender's own header behind a relay's.
fn is_host(word: &str) -> bool {
    !word.is_empty()
        && word.len() <= MAX_NAME
        && !MONTHS.iter().any(|month| month.eq_ignore_ascii_case(word))
        && word.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%' | '/' | '@'))
        && !word.ends_with(':')
}

fn is_tag_char(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '%' | '@' | '(' | ')' | '#' | '+' | '*')
}

/// Where `[id name="value" ...][id ...]` ends, if `text` begins with it.
fn structured_data_end(text: &str) -> Option<usize> {
    let mut in_element = false;
    let mut in_value = false;
    let mut escaped = false;
    let mut end = None;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_value => escaped = true,
            b'"' if in_element => in_value = !in_value,
            b'[' if !in_element => in_element = true,
            b']' if in_element && !in_value => {
                in_element = false;
                end = Some(at + 1);
            }
            _ if !in_element => break,
            _ => {}
        }
    }
    end.filter(|_| !in_element)
}

/// Writes the parameters of each element as `syslog.sd.<id>.<name>` (RFC 5424 section 6.3).
fn write_structured_data(data: &str, fields: &mut FieldMap) {
    let root = PathId::reserve("syslog.sd");
    let mut rest = data;
    let mut params = 0;
    while let Some(element) = rest.strip_prefix('[') {
        let id_end = element.find([' ', ']']).unwrap_or(element.len());
        let Some((id, mut at)) = element.split_at_checked(id_end) else { return };
        let parent = PathId::child(Some(root), id);
        while let Some((name, value)) = at.trim_start_matches(' ').split_once("=\"") {
            if at.starts_with(']') || params >= MAX_PARAMS {
                break;
            }
            params += 1;
            let (text, after) = unescape_to_quote(value);
            match parent {
                Some(parent) => fields.push_named(Some(parent), name, text.as_str()),
                None => fields.push_named(Some(root), &format!("{id}.{name}"), text.as_str()),
            }
            at = after;
        }
        let Some(after) = at.trim_start_matches(' ').strip_prefix(']') else { return };
        rest = after;
    }
}

/// The value up to its closing quote, `\"`, `\\` and `\]` resolved, and the text after the quote.
fn unescape_to_quote(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, text.get(at + 1..).unwrap_or_default()),
            '\\' => match chars.next() {
                Some((_, escaped @ ('"' | '\\' | ']'))) => value.push(escaped),
                Some((_, other)) => value.extend(['\\', other]),
                None => value.push('\\'),
            },
            _ => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(line: &str) -> String {
        let Some(m) = Message::parse(line) else { return "none".into() };
        let or = |part: Option<&str>| part.unwrap_or("-").to_owned();
        let priority = m.priority.map_or("-".into(), |p| p.to_string());
        [priority, or(m.timestamp), or(m.relay), or(m.host), or(m.app), or(m.pid), m.text.to_owned()]
            .join("|")
    }

    #[test]
    fn every_sloppy_form_is_split() {
        for (line, wanted) in [
            ("<38>Nov 22 08:00:00 web1 sshd[12]: hi", "38|Nov 22 08:00:00|-|web1|sshd|12|hi"),
            ("Nov  2 08:00:00 web1 sshd[12]: hi", "-|Nov  2 08:00:00|-|web1|sshd|12|hi"),
            ("<38>Nov 22 08:00:00 sshd[12]: hi", "38|Nov 22 08:00:00|-|-|sshd|12|hi"),
            (
                "<38>Nov 22 08:00:00 web1 last message repeated 2 times",
                "38|Nov 22 08:00:00|-|web1|-|-|last message repeated 2 times",
            ),
            (
                "<38>Nov 22 2026 08:00:00 fw1 : %ASA-6-302013: Built",
                "38|Nov 22 2026 08:00:00|-|fw1|%ASA-6-302013|-|Built",
            ),
            (
                "<189>123: *Nov 22 08:00:00.123: %SYS-5-CONFIG_I: done",
                "189|Nov 22 08:00:00.123|-|-|%SYS-5-CONFIG_I|-|done",
            ),
            (
                "<134>2026-11-22T08:00:00+08:00 fe80::1 app: hi",
                "134|2026-11-22T08:00:00+08:00|-|fe80::1|app|-|hi",
            ),
            (
                "<134>2026-11-22 08:00:00 10.0.0.1 app[a-1]: hi",
                "134|2026-11-22 08:00:00|-|10.0.0.1|app|a-1|hi",
            ),
            (
                "<13>Nov 22 08:00:01 relay <38>Nov 22 08:00:00 web1 sshd[12]: hi",
                "38|Nov 22 08:00:00|relay|web1|sshd|12|hi",
            ),
            (
                "<13>Nov 22 08:00:01 relay Nov 22 08:00:00 web1 sshd[12]: hi",
                "13|Nov 22 08:00:00|relay|web1|sshd|12|hi",
            ),
            ("57 <38>Nov 22 08:00:00 web1 sshd[12]: hi", "38|Nov 22 08:00:00|-|web1|sshd|12|hi"),
            ("\u{feff}<13>hello world\r\n", "13|-|-|-|-|-|hello world"),
            (
                "Nov 22 08:00:00 mac1 Google Chrome[85294]: hi",
                "-|Nov 22 08:00:00|-|mac1|Google Chrome|85294|hi",
            ),
            ("<13>sshd[4]: hi", "13|-|-|-|sshd|4|hi"),
            ("<13>web1 sshd[4]: hi", "13|-|-|web1|sshd|4|hi"),
            (
                "Nov 22 08:00:00 web1 CRON[7]: (root) CMD (ls)",
                "-|Nov 22 08:00:00|-|web1|CRON|7|(root) CMD (ls)",
            ),
            (
                "<165>1 2026-11-22T08:00:00.003Z web1 app 12 ID47 [a b=\"]\\]\"][c d=\"\"] \u{feff}text",
                "165|2026-11-22T08:00:00.003Z|-|web1|app|12|text",
            ),
            ("<165>1 - - - - - -", "165|-|-|-|-|-|"),
            ("<192>x", "none"),
            ("plain text", "none"),
            ("", "none"),
        ] {
            assert_eq!(parts(line), wanted, "{line}");
        }
    }

    #[test]
    fn structured_data_is_unescaped() {
        let mut fields = FieldMap::new();
        decode(r#"<165>1 - h a - - [x@1 k="a\"b\]c\\d" e=""][y z="w"] m"#, &mut fields).unwrap();
        let get = |name: &str| fields.get(PathId::reserve(name)).map(|v| v.to_text().into_owned());
        assert_eq!(get("syslog.sd.x@1.k").as_deref(), Some(r#"a"b]c\d"#));
        assert_eq!(get("syslog.sd.x@1.e").as_deref(), Some(""));
        assert_eq!(get("syslog.sd.y.z").as_deref(), Some("w"));
        assert_eq!(get("syslog.message").as_deref(), Some("m"));
    }
}

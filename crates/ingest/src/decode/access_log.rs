//! Web access logs in the common and combined form, as nginx and Apache write them.
//!
//! `ADDRESS IDENT USER [TIME] "REQUEST" STATUS BYTES` and then, for the combined form, `"REFERER" "USER AGENT"`.
//! A virtual host may stand before the address and anything in quotes or numbers behind the user agent: an address
//! list there is `x_forwarded_for`, a number with a fraction `request_time`. The line may stand in a syslog message
//! (nginx's `access_log syslog:`); the sender is then kept as `syslog.host`.
//!
//! The request line is the client's to choose, TLS bytes sent to port 80 and quotes included: `\"`, `\\`, `\xHH`,
//! `\n`, `\r`, `\t`, `\u00HH` are resolved (Apache and nginx escape so), and what does not look like
//! `METHOD target HTTP/version` is kept as `request` alone.

use std::net::IpAddr;

use wanglou_model::FieldMap;

use super::DecodeError;
use super::syslog::Message;
use crate::timestamp::LogTime;

/// Fields read behind the user agent; log formats in use have fewer.
const MAX_EXTRA: usize = 16;

/// Whether a line is an access log line.
#[must_use]
pub fn recognises(line: &str) -> bool {
    // What all have, and hardly anything else: the end of the time and the begin of the request, or a time at the begin.
    (line.contains("] \"") || line.starts_with('[')) && find(line).is_some()
}

/// Reads one line into `fields`.
///
/// # Errors
/// [`DecodeError`] when the line is no access log line.
pub fn decode(line: &str, fields: &mut FieldMap) -> Result<(), DecodeError> {
    let (entry, host) = find(line).ok_or_else(|| DecodeError::unrecognised(line))?;
    entry.write(fields);
    if let Some(host) = host {
        fields.push_named(None, "syslog.host", host);
    }
    Ok(())
}

/// The entry in a line, and the syslog host it came from if it stands in a syslog message.
fn find(line: &str) -> Option<(Entry<'_>, Option<&str>)> {
    if let Some(entry) = Entry::parse(line.trim_end_matches(['\r', '\n'])) {
        return Some((entry, None));
    }
    let message = Message::parse(line)?;
    Some((Entry::parse(message.text)?, message.host))
}

/// The parts of one line, quoted ones still escaped.
struct Entry<'a> {
    head: Head<'a>,
    time_local: &'a str,
    request: &'a str,
    status: Option<u16>,
    bytes: Option<i64>,
    referer: Option<&'a str>,
    user_agent: Option<&'a str>,
    tls: Option<(&'a str, &'a str)>,
    extra: Vec<Extra<'a>>,
}

/// Something behind the user agent.
enum Extra<'a> {
    Quoted(&'a str),
    Bare(&'a str),
}

impl<'a> Entry<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        if let Some(line) = line.strip_prefix('[') {
            return Self::parse_ssl_request(line);
        }
        let (before, rest) = line.split_once(" [")?;
        let (time_local, rest) = rest.split_once("] ")?;
        LogTime::parse(time_local)?;
        let head = Head::parse(before)?;
        let mut rest = Rest(rest);
        let request = rest.quoted()?;
        let status = rest.word()?;
        let status =
            if status == "-" { None } else { Some(status.parse().ok().filter(|code| *code < 1000)?) };
        let bytes = match rest.word() {
            None | Some("-") => None,
            Some(number) => Some(number.parse().ok()?),
        };
        let mut entry = Self {
            head,
            time_local,
            request,
            status,
            bytes,
            referer: rest.quoted(),
            user_agent: rest.quoted(),
            tls: None,
            extra: Vec::new(),
        };
        while entry.extra.len() < MAX_EXTRA {
            let Some(extra) = rest.quoted().map(Extra::Quoted).or_else(|| rest.word().map(Extra::Bare))
            else {
                break;
            };
            entry.extra.push(extra);
        }
        Some(entry)
    }

    /// `[TIME] ADDRESS PROTOCOL CIPHER "REQUEST" BYTES`: what mod_ssl's sample configuration logs (ssl_request_log).
    fn parse_ssl_request(line: &'a str) -> Option<Self> {
        let (time_local, rest) = line.split_once("] ")?;
        LogTime::parse(time_local)?;
        let mut rest = Rest(rest);
        let (remote_addr, protocol, cipher) = (rest.word()?, rest.word()?, rest.word()?);
        if remote_addr.starts_with('[') {
            // An error line: [time] [level] [client ...] ...
            return None;
        }
        Some(Self {
            head: Head { remote_addr, ..Head::default() },
            time_local,
            request: rest.quoted()?,
            status: None,
            bytes: rest.word()?.parse().ok(),
            referer: None,
            user_agent: None,
            tls: Some((protocol, cipher)),
            extra: Vec::new(),
        })
    }

    fn write(&self, fields: &mut FieldMap) {
        let mut put = |name: &str, escaped: Option<&str>| {
            if let Some(escaped) = escaped.filter(|text| *text != "-" && !text.is_empty()) {
                fields.push_named(None, name, unescape(escaped).as_ref());
            }
        };
        put("remote_addr", Some(self.head.remote_addr));
        put("remote_user", self.head.remote_user);
        put("time_local", Some(self.time_local));
        put("vhost", self.head.vhost);
        put("request", Some(self.request));
        put("referer", self.referer);
        put("user_agent", self.user_agent);
        put("ssl_protocol", self.tls.map(|(protocol, _)| protocol));
        put("ssl_cipher", self.tls.map(|(_, cipher)| cipher));
        put("x_forwarded_for", self.head.forwarded.or_else(|| self.extra.iter().find_map(Extra::addresses)));
        if let Some(seconds) = self.extra.iter().find_map(Extra::seconds) {
            fields.push_named(None, "request_time", wanglou_model::Value::Float(seconds));
        }
        let request = unescape(self.request);
        if let Some(line) = RequestLine::parse(&request) {
            for (name, value) in [
                ("method", line.method),
                ("request_uri", line.target),
                ("path", line.path),
                ("query", line.query),
                ("protocol", line.protocol),
            ] {
                if !value.is_empty() {
                    fields.push_named(None, name, value);
                }
            }
        }
        if let Some(status) = self.status {
            fields.push_named(None, "status", status);
        }
        if let Some(bytes) = self.bytes {
            fields.push_named(None, "body_bytes_sent", bytes);
        }
    }
}

/// What stands before the time: `[VHOST] ADDRESS IDENT USER`.
///
/// Behind a proxy the address may be a list (`10.0.0.2, 1.2.3.4`, also quoted) with or without the peer's own address
/// after it.
#[derive(Default)]
struct Head<'a> {
    vhost: Option<&'a str>,
    remote_addr: &'a str,
    forwarded: Option<&'a str>,
    remote_user: Option<&'a str>,
}

impl<'a> Head<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        // The ident is `-` but for hosts that still run identd; a user name may hold spaces.
        let (hosts, user) = text.split_once(" - ").unwrap_or_else(|| {
            let (rest, user) = text.rsplit_once(' ').unwrap_or((text, ""));
            rest.rsplit_once(' ').map_or((rest, user), |(hosts, _)| (hosts, user))
        });
        if user.is_empty() {
            return None;
        }
        let user = user.strip_prefix('"').and_then(|user| user.strip_suffix('"')).unwrap_or(user);
        let mut groups = HostGroups(hosts);
        let (first, second, third) = (groups.next()?, groups.next(), groups.next());
        if groups.next().is_some() {
            return None;
        }
        let is_list = |group: &str| group.contains(',');
        let (vhost, addresses, peer) = match (second, third) {
            (None, _) => (None, first, None),
            (Some(second), None) if is_list(first) => (None, first, Some(second)),
            (Some(second), None) => (Some(first), second, None),
            (Some(second), Some(third)) => (Some(first), second, Some(third)),
        };
        let forwarded = (is_list(addresses) || peer.is_some()).then_some(addresses);
        let remote_addr = peer.unwrap_or_else(|| client_of(addresses));
        let remote_addr = remote_addr.trim_start_matches('[').trim_end_matches(']');
        Some(Self { vhost, remote_addr, forwarded, remote_user: Some(user) })
    }
}

/// Words, those joined by commas or quotes together.
struct HostGroups<'a>(&'a str);

impl<'a> Iterator for HostGroups<'a> {
    type Item = &'a str;
    fn next(&mut self) -> Option<&'a str> {
        let text = self.0.trim_start_matches(' ');
        if text.is_empty() {
            return None;
        }
        if let Some((group, rest)) = text.strip_prefix('"').and_then(|quoted| quoted.split_once('"')) {
            self.0 = rest;
            return Some(group);
        }
        let end = text
            .match_indices(' ')
            .map(|(at, _)| at)
            .find(|at| text.get(..*at).is_some_and(|group| !group.ends_with(',')))
            .unwrap_or(text.len());
        let (group, rest) = text.split_at_checked(end)?;
        self.0 = rest;
        Some(group)
    }
}

/// The client in a list of forwarded addresses: the first that is not private, else the first.
fn client_of(list: &str) -> &str {
    let mut addresses = list.split(',').map(str::trim);
    let is_public = |text: &&str| match text.parse::<IpAddr>() {
        Ok(IpAddr::V4(v4)) => !v4.is_private() && !v4.is_loopback() && !v4.is_link_local(),
        Ok(IpAddr::V6(v6)) => !v6.is_loopback() && !v6.is_unique_local() && !v6.is_unicast_link_local(),
        Err(_) => false,
    };
    addresses.clone().find(is_public).or_else(|| addresses.next()).unwrap_or(list)
}

impl<'a> Extra<'a> {
    fn text(&self) -> &'a str {
        match self {
            Self::Quoted(text) | Self::Bare(text) => text,
        }
    }

    /// `1.2.3.4, 2001:db8::1, unknown`: what proxies write; an address comes first.
    fn addresses(&self) -> Option<&'a str> {
        let text = self.text();
        text.split(',').next().is_some_and(|first| first.trim().parse::<IpAddr>().is_ok()).then_some(text)
    }

    /// Seconds with a fraction, as `$request_time` is.
    fn seconds(&self) -> Option<f64> {
        let text = self.text();
        text.parse().ok().filter(|seconds: &f64| text.contains('.') && *seconds >= 0.0 && seconds.is_finite())
    }
}

/// `METHOD target HTTP/version`.
pub(crate) struct RequestLine<'a> {
    pub(crate) method: &'a str,
    pub(crate) target: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) protocol: &'a str,
}

impl<'a> RequestLine<'a> {
    /// The parts of a request line; `None` for bytes that are no HTTP. The target is everything up to the version,
    /// spaces included: attack tools send them raw.
    pub(crate) fn parse(line: &'a str) -> Option<Self> {
        let (method, rest) = line.split_once(' ')?;
        // RFC 9110 section 5.6.2: a method is a token.
        let is_token = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c);
        if method.is_empty() || method.len() > 32 || !method.bytes().all(is_token) {
            return None;
        }
        // HTTP/0.9 has no version.
        let (target, protocol) = rest
            .rsplit_once(' ')
            .filter(|(_, protocol)| protocol.get(..5).is_some_and(|name| name.eq_ignore_ascii_case("HTTP/")))
            .unwrap_or((rest, ""));
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Some(Self { method, target, path, query, protocol })
    }
}

/// What of a line is left to read.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    /// The next part if it stands in quotes, without them. A quote ends the part only before a space or the line's
    /// end: old Apache and nginx with `escape=none` write quotes as they come.
    fn quoted(&mut self) -> Option<&'a str> {
        let text = self.0.trim_start_matches(' ').strip_prefix('"')?;
        let mut escaped = false;
        for (at, byte) in text.bytes().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    let (part, after) = (text.get(..at)?, text.get(at + 1..)?);
                    if after.is_empty() || after.starts_with(' ') {
                        self.0 = after;
                        return Some(part);
                    }
                }
                _ => {}
            }
        }
        None
    }

    fn word(&mut self) -> Option<&'a str> {
        let text = self.0.trim_start_matches(' ');
        let (word, after) = text.split_at_checked(text.find(' ').unwrap_or(text.len()))?;
        self.0 = after;
        (!word.is_empty()).then_some(word)
    }
}

/// Resolves the escapes that Apache and nginx write. Bytes that are no UTF-8 become U+FFFD.
fn unescape(text: &str) -> std::borrow::Cow<'_, str> {
    if !text.contains('\\') {
        return text.into();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        let hex = |skip: usize| {
            after
                .get(skip..skip + 2)
                .and_then(|digits| u8::from_str_radix(digits, 16).ok())
                .map(|byte| (byte, skip + 2))
        };
        let (byte, used) = match after.bytes().next() {
            Some(b'x') => hex(1).unwrap_or((b'\\', 0)),
            Some(b'u') if after.starts_with("u00") => hex(3).unwrap_or((b'\\', 0)),
            Some(b'n') => (b'\n', 1),
            Some(b'r') => (b'\r', 1),
            Some(b't') => (b'\t', 1),
            Some(b'v') => (b'\x0b', 1),
            Some(b'b') => (b'\x08', 1),
            Some(quote @ (b'"' | b'\\')) => (quote, 1),
            _ => (b'\\', 0),
        };
        bytes.push(byte);
        rest = after.get(used..).unwrap_or_default();
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> serde_json::Value {
        let mut fields = FieldMap::new();
        decode(line, &mut fields).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert!(recognises(line), "{line}");
        fields.to_json().into()
    }

    #[test]
    fn quotes_and_bytes_in_the_request_are_resolved() {
        let json = read(
            r#"2001:db8::1 - - [22/Nov/2026:08:00:00 +0800] "GET /a?q=\"x\"\x22\\ y HTTP/1.1" 200 5 "-" "a\"b" "10.0.0.1, 10.0.0.2" 0.012"#,
        );
        assert_eq!(json["request_uri"], r#"/a?q="x""\ y"#);
        assert_eq!(json["query"], r#"q="x""\ y"#);
        assert_eq!(json["user_agent"], "a\"b");
        assert_eq!(json["x_forwarded_for"], "10.0.0.1, 10.0.0.2");
        assert_eq!(json["request_time"], 0.012);
        assert_eq!(json["remote_addr"], "2001:db8::1");
        assert!(json.get("referer").is_none());
    }

    #[test]
    fn what_is_no_request_line_is_kept_whole() {
        let json = read(r#"1.2.3.4 - - [22/Nov/2026:08:00:00 +0800] "\x16\x03\x01\x02" 400 166 "-" "-""#);
        assert_eq!(json["request"], "\u{16}\u{3}\u{1}\u{2}");
        assert!(json.get("method").is_none());
        let json = read(r#"1.2.3.4 - - [22/Nov/2026:08:00:00 +0800] "-" 408 -"#);
        assert!(json.get("request").is_none() && json.get("body_bytes_sent").is_none());
        assert_eq!(json["status"], 408);
    }

    #[test]
    fn address_lists_are_forwarded_for() {
        let tail = r#" [22/Nov/2026:08:00:00 +0800] "GET / HTTP/2.0" 304 0 "-" "x""#;
        for (head, vhost, address, forwarded) in [
            ("10.0.0.2, 10.0.0.1, 1.2.3.4 - -", "", "1.2.3.4", "10.0.0.2, 10.0.0.1, 1.2.3.4"),
            ("x.cn:80 \"10.0.0.2, 1.2.3.4\" 10.2.1.1 - -", "x.cn:80", "10.2.1.1", "10.0.0.2, 1.2.3.4"),
            ("1.1.1.1 2001:db8::1, 10.0.0.7 10.2.2.2 - -", "1.1.1.1", "10.2.2.2", "2001:db8::1, 10.0.0.7"),
            ("x.cn unix: - -", "x.cn", "unix:", ""),
            ("10.0.0.2 alice bob", "", "10.0.0.2", ""),
        ] {
            let json = read(&format!("{head}{tail}"));
            let get = |name: &str| json.get(name).and_then(|v| v.as_str()).unwrap_or_default().to_owned();
            assert_eq!(
                (get("vhost"), get("remote_addr"), get("x_forwarded_for")),
                (vhost.into(), address.into(), forwarded.into()),
                "{head}"
            );
        }
    }

    #[test]
    fn virtual_hosts_users_and_syslog_stand_before() {
        let json =
            read(r#"www.x.cn:443 1.2.3.4 - wang li [22/Nov/2026:08:00:00 +0800] "GET / HTTP/2.0" 304 0"#);
        assert_eq!((&json["vhost"], &json["remote_user"]), (&"www.x.cn:443".into(), &"wang li".into()));
        let json = read(
            r#"<190>Nov 22 08:00:00 web1 nginx: 1.2.3.4 - - [22/Nov/2026:08:00:00 +0800] "GET / HTTP/2.0" 304 0 "-" "x""#,
        );
        assert_eq!(json["syslog"]["host"], "web1");
        assert_eq!(json["remote_addr"], "1.2.3.4");
        assert!(!recognises("Nov 22 08:00:00 web1 app: [x] \"y\" 200"));
    }
}

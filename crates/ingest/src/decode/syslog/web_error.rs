//! Error lines of nginx and Apache.
//!
//! `2026/11/22 08:00:00 [error] 12#0: *3 open() failed, client: 1.2.3.4, server: x, request: "GET / HTTP/1.1"` and
//! `[Sun Nov 22 08:00:00.123456 2026] [core:error] [pid 12:tid 3] [client 1.2.3.4:5678] AH00124: text`. Their files
//! carry no syslog header, yet say what syslog says: a time, a program, a severity, a process id and a text. So they
//! are [`Format::Syslog`](wanglou_model::Format::Syslog) with the app `nginx` or `apache`, plus what nginx lists after
//! the text (`client`, `server`, `request`, `upstream`, `host`, `referrer`), as nginx itself names it; Apache's client
//! is split into `client` and `client_port` alike.

use wanglou_model::FieldMap;

use crate::timestamp::LogTime;

/// One error line.
#[derive(Clone, Copy, Debug)]
pub(super) struct WebError<'a> {
    app: &'static str,
    timestamp: &'a str,
    severity: &'a str,
    pid: Option<&'a str>,
    client: Option<&'a str>,
    referrer: Option<&'a str>,
    text: &'a str,
}

/// The names that nginx lists after the text (ngx_http_log_error_handler).
const NGINX_CONTEXT: [&str; 8] =
    ["client", "server", "request", "subrequest", "upstream", "host", "referrer", "login"];

/// The parts of an nginx or Apache error line.
pub(super) fn parse(line: &str) -> Option<WebError<'_>> {
    if line.starts_with('[') { apache(line) } else { nginx(line) }
}

fn nginx(line: &str) -> Option<WebError<'_>> {
    // 2026/11/22 08:00:00 is nineteen characters, whatever the time.
    let (timestamp, rest) = line.split_at_checked(19)?;
    let (severity, rest) = rest.strip_prefix(" [")?.split_once("] ")?;
    let known =
        matches!(severity, "debug" | "info" | "notice" | "warn" | "error" | "crit" | "alert" | "emerg");
    let (process, text) = rest.split_once(": ")?;
    let (pid, thread) = process.split_once('#')?;
    let is_number = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
    if !known || !is_number(pid) || !is_number(thread) || !timestamp.contains('/') {
        return None;
    }
    LogTime::parse(timestamp)?;
    Some(WebError { app: "nginx", timestamp, severity, pid: Some(pid), client: None, referrer: None, text })
}

fn apache(line: &str) -> Option<WebError<'_>> {
    let (timestamp, rest) = line.strip_prefix('[')?.split_once("] ")?;
    LogTime::parse(timestamp)?;
    let (module, mut text) = rest.strip_prefix('[')?.split_once("] ")?;
    let severity = module.rsplit_once(':').map_or(module, |(_, level)| level);
    if severity.is_empty() || !severity.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    let mut error =
        WebError { app: "apache", timestamp, severity, pid: None, client: None, referrer: None, text };
    while let Some((word, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        if let Some(process) = word.strip_prefix("pid ") {
            error.pid = Some(process.split_once(':').map_or(process, |(pid, _)| pid));
        } else if let Some(client) = word.strip_prefix("client ") {
            error.client = Some(client);
        } else if !word.starts_with("remote ") {
            break;
        }
        text = rest;
    }
    let (text, referrer) =
        text.rsplit_once(", referer: ").map_or((text, None), |(text, from)| (text, Some(from)));
    (error.text, error.referrer) = (text, referrer);
    Some(error)
}

impl<'a> WebError<'a> {
    /// Writes the line as `syslog.*` and its details.
    pub(super) fn write(&self, fields: &mut FieldMap) {
        fields.push_named(None, "syslog.timestamp", self.timestamp);
        fields.push_named(None, "syslog.app", self.app);
        if let Some(pid) = self.pid {
            fields.push_named(None, "syslog.pid", pid);
        }
        fields.push_named(None, "syslog.severity", self.syslog_severity());
        fields.push_named(None, "syslog.message", self.text);
        self.write_details(fields);
    }

    /// Writes what stands in the text, under the server's own names.
    pub(super) fn write_details(&self, fields: &mut FieldMap) {
        if let Some(client) = self.client {
            let (address, port) = split_port(client);
            fields.push_named(None, "client", address);
            if let Some(port) = port {
                fields.push_named(None, "client_port", port);
            }
        }
        if let Some(referrer) = self.referrer {
            fields.push_named(None, "referrer", referrer);
        }
        if self.app == "nginx" {
            self.write_context(fields);
        }
    }

    /// nginx's `, client: address, server: name, request: "line"` list behind the text. Paths in the text and requests
    /// in the list are the client's to choose, so the list begins outside quotes and a quoted value ends only where
    /// the next name begins.
    fn write_context(&self, fields: &mut FieldMap) {
        let is_list = |(at, _): &(usize, &str)| {
            self.text.get(..*at).is_some_and(|before| before.matches('"').count() % 2 == 0)
        };
        let Some((at, _)) = self.text.match_indices(", client: ").find(is_list) else { return };
        let mut rest = self.text.get(at..).unwrap_or_default();
        while let Some((name, value)) = rest.strip_prefix(", ").and_then(|item| item.split_once(": ")) {
            let end = match value.strip_prefix('"') {
                Some(quoted) => quoted
                    .match_indices("\", ")
                    .find(|(at, _)| quoted.get(at + 3..).is_some_and(begins_with_name))
                    .map_or(value.len(), |(at, _)| at + 2),
                None => value.find(", ").unwrap_or(value.len()),
            };
            let Some((value, after)) = value.split_at_checked(end) else { return };
            if NGINX_CONTEXT.contains(&name) {
                fields.push_named(
                    None,
                    name,
                    value.strip_prefix('"').map_or(value, |v| v.strip_suffix('"').unwrap_or(v)),
                );
            }
            rest = after;
        }
    }

    /// The severity in syslog's word.
    fn syslog_severity(&self) -> &'a str {
        match self.severity {
            "error" => "err",
            "warn" => "warning",
            trace if trace.starts_with("trace") => "debug",
            other => other,
        }
    }
}

fn begins_with_name(text: &str) -> bool {
    text.split_once(": ").is_some_and(|(name, _)| NGINX_CONTEXT.contains(&name))
}

/// `1.2.3.4:5678`, `[::1]:5678`, or an address alone.
fn split_port(client: &str) -> (&str, Option<&str>) {
    let is_port = |port: &str| (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit());
    match client.rsplit_once(':').filter(|(_, port)| is_port(port)) {
        Some((address, port)) if !address.contains(':') || address.ends_with(']') => {
            (address.trim_matches(['[', ']']), Some(port))
        }
        // Apache writes IPv6 addresses without brackets; a ninth part is the port.
        Some((address, port)) if client.parse::<std::net::Ipv6Addr>().is_err() => (address, Some(port)),
        _ => (client, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wanglou_model::PathId;

    fn fields_of(line: &str) -> FieldMap {
        let mut fields = FieldMap::new();
        parse(line).expect("an error line").write(&mut fields);
        fields
    }

    #[test]
    fn nginx_context_is_read_though_values_hold_commas() {
        let fields = fields_of(
            r#"2026/11/22 08:00:00 [error] 12#0: *3 open() "/a, server: b" failed (2: No such file), client: 1.2.3.4, server: x.cn, request: "GET /a,b, c HTTP/1.1", host: "x.cn""#,
        );
        let get = |name: &str| fields.get(PathId::reserve(name)).map(|v| v.to_text().into_owned());
        assert_eq!(get("client").as_deref(), Some("1.2.3.4"));
        assert_eq!(get("request").as_deref(), Some("GET /a,b, c HTTP/1.1"));
        assert_eq!(get("host").as_deref(), Some("x.cn"));
        assert_eq!(get("syslog.severity").as_deref(), Some("err"));
        assert_eq!(get("syslog.pid").as_deref(), Some("12"));
    }

    #[test]
    fn apache_clients_have_ports_or_not() {
        for (client, wanted) in [
            ("1.2.3.4:56", ("1.2.3.4", Some("56"))),
            ("1.2.3.4", ("1.2.3.4", None)),
            ("::1", ("::1", None)),
            ("[2001:db8::1]:443", ("2001:db8::1", Some("443"))),
            ("2001:db8:0:0:0:0:0:1:443", ("2001:db8:0:0:0:0:0:1", Some("443"))),
        ] {
            assert_eq!(split_port(client), wanted);
        }
        let fields =
            fields_of("[Sun Nov 22 08:00:00.123456 2026] [core:error] [pid 12:tid 3] [client ::1:5] AH1: x");
        assert_eq!(fields.text(PathId::reserve("syslog.message")), Some("AH1: x"));
        assert_eq!(fields.text(PathId::reserve("syslog.pid")), Some("12"));
    }
}

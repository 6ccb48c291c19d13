//! One line of the audit log: its head and its `key=value` pairs.

use crate::decode::syslog::Message;

/// Pairs read of one record. The longest, an `EXECVE` of many arguments, is split by the kernel at 7.5 KiB a line.
const MAX_PAIRS: usize = 4_096;
/// What `auditctl` and rsyslog put between a raw record and its enrichment: 0x1d, and its octal escape.
const ENRICHMENT: [&str; 2] = ["\u{1d}", "#035"];

/// The parts of one line.
#[derive(Clone, Copy, Debug)]
pub(super) struct AuditLine<'a> {
    /// `node=`, or the host of a syslog header; empty where there is none.
    pub(super) node: &'a str,
    /// The record's type by name; `UNKNOWN[1334]` where the kernel's is not known to who wrote it.
    pub(super) kind: &'a str,
    /// Seconds and milliseconds since 1970, as written.
    pub(super) timestamp: &'a str,
    pub(super) serial: u64,
    body: &'a str,
}

/// One pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pair<'a> {
    pub(super) key: &'a str,
    pub(super) value: &'a str,
    /// It stood in quotes, so it is not hex-encoded.
    pub(super) quoted: bool,
}

impl<'a> AuditLine<'a> {
    pub(super) fn parse(line: &'a str) -> Option<Self> {
        // Most lines of other formats end here.
        line.contains("audit(").then_some(())?;
        let line = line.trim_end_matches(['\r', '\n']).trim_start_matches(' ');
        if let Some(audit) = Self::parse_bare(line) {
            return Some(audit);
        }
        let message = Message::parse(line)?;
        // The kernel's own: [  12.345678] audit: type=1400 audit(...): ...
        let text = match message.text.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
            Some((uptime, rest)) if uptime.trim().parse::<f64>().is_ok() => rest,
            _ => message.text,
        };
        let text = text.strip_prefix("audit: ").unwrap_or(text);
        let audit = Self::parse_bare(text)?;
        let node = if audit.node.is_empty() { message.host.unwrap_or_default() } else { audit.node };
        Some(Self { node, ..audit })
    }

    /// `[node=NAME ]type=NAME [msg=]audit(SECONDS.MILLIS:SERIAL): PAIRS`.
    fn parse_bare(text: &'a str) -> Option<Self> {
        let (node, rest) = match text.strip_prefix("node=") {
            Some(rest) => rest.split_once(' ')?,
            None => ("", text),
        };
        let (kind, rest) = rest.strip_prefix("type=")?.split_once(' ')?;
        let rest = rest.strip_prefix("msg=").unwrap_or(rest);
        // auditd writes some of its own records without the colon.
        let (stamp, body) = rest.strip_prefix("audit(")?.split_once(')')?;
        let body = body.strip_prefix(':').unwrap_or(body);
        let (timestamp, serial) = stamp.rsplit_once(':')?;
        let is_time = !timestamp.is_empty() && timestamp.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let is_name = !kind.is_empty()
            && kind.len() <= 64
            && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b"_[]-".contains(&b));
        if !is_time || !is_name {
            return None;
        }
        Some(Self { node, kind: type_name(kind), timestamp, serial: serial.parse().ok()?, body })
    }

    pub(super) fn pairs(&self) -> impl Iterator<Item = Pair<'a>> {
        pairs(self.body)
    }
}

/// The pairs of a record's body, or of the text that user space puts in `msg='...'`. What an `avc:` record decided is
/// `seresult` and `seperms`, as auparse names it.
pub(super) fn pairs(body: &str) -> impl Iterator<Item = Pair<'_>> {
    let mut rest = body;
    std::iter::from_fn(move || next_pair(&mut rest)).take(MAX_PAIRS)
}

fn next_pair<'a>(rest: &mut &'a str) -> Option<Pair<'a>> {
    loop {
        let text = rest.trim_start_matches(|c: char| c.is_whitespace() || "\u{1d},()'".contains(c));
        let text = text.strip_prefix("#035").unwrap_or(text);
        if text.is_empty() {
            return None;
        }
        // avc:  denied  { read write } for  pid=...
        if let Some((permissions, after)) = text.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            *rest = after;
            return Some(Pair { key: "seperms", value: permissions.trim(), quoted: true });
        }
        let end = text.find(|c: char| c.is_whitespace() || c == '=' || c == '\u{1d}').unwrap_or(text.len());
        let (word, after) = text.split_at_checked(end)?;
        let Some(value) = after.strip_prefix('=').filter(|_| is_key(word)) else {
            // Prose between the pairs: `user pid=...`, `auditd start, ver=...`.
            *rest = after.strip_prefix('=').unwrap_or(after);
            if matches!(word, "denied" | "granted") {
                return Some(Pair { key: "seresult", value: word, quoted: true });
            }
            continue;
        };
        let (value, quoted, after) = take_value(word, value);
        *rest = after;
        return Some(Pair { key: word, value, quoted });
    }
}

fn is_key(word: &str) -> bool {
    !word.is_empty()
        && word.len() <= 64
        && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-[].".contains(&b))
}

/// The value at the begin of `text`, whether it was quoted, and what follows.
fn take_value<'a>(key: &str, text: &'a str) -> (&'a str, bool, &'a str) {
    for quote in ['"', '\''] {
        let Some(quoted) = text.strip_prefix(quote) else { continue };
        // The quote of a `msg='...'` ends with the record or before its enrichment; a name in it may hold quotes.
        let end = if key == "msg" {
            let body = ENRICHMENT.iter().find_map(|mark| quoted.find(mark)).unwrap_or(quoted.len());
            quoted.get(..body).and_then(|body| body.rfind(quote)).or_else(|| quoted.rfind(quote))
        } else {
            quoted.find(quote)
        };
        return match end.and_then(|end| Some((quoted.get(..end)?, quoted.get(end + 1..)?))) {
            Some((value, rest)) => (value, true, rest),
            None => (quoted, true, ""),
        };
    }
    if let Some((braced, rest)) = text.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
        return (braced.trim(), true, rest);
    }
    let mut end = text.find(|c: char| c.is_whitespace() || c == '\u{1d}').unwrap_or(text.len());
    if let Some(mark) = text.get(..end).and_then(|value| value.find("#035")) {
        end = mark;
    }
    if key == "op" {
        // The one unquoted value with spaces: op=adding group to /etc/group id=1004
        end = op_end(text, end);
    }
    let (value, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    // `(hostname=?, addr=?, res=success)'` of old user space.
    (value.trim_end_matches([',', '\'']).trim_end_matches(|c| c == ')' && !value.contains('(')), false, rest)
}

/// Extends the value of `op` over the words that are no pair.
fn op_end(text: &str, first: usize) -> usize {
    let mut end = first;
    while let Some((_, rest)) = text.split_at_checked(end) {
        let Some(rest) = rest.strip_prefix(' ') else { break };
        let word = rest.split(|c: char| c.is_whitespace() || c == '\u{1d}').next().unwrap_or_default();
        if word.is_empty() || word.contains('=') {
            break;
        }
        end += 1 + word.len();
    }
    end
}

/// The name of a type that the kernel wrote as a number (include/uapi/linux/audit.h).
fn type_name(kind: &str) -> &str {
    match kind {
        "1006" => "LOGIN",
        "1300" => "SYSCALL",
        "1302" => "PATH",
        "1303" => "IPC",
        "1304" => "SOCKETCALL",
        "1305" => "CONFIG_CHANGE",
        "1306" => "SOCKADDR",
        "1307" => "CWD",
        "1309" => "EXECVE",
        "1318" => "OBJ_PID",
        "1319" => "TTY",
        "1320" => "EOE",
        "1321" => "BPRM_FCAPS",
        "1322" => "CAPSET",
        "1323" => "MMAP",
        "1325" => "NETFILTER_CFG",
        "1326" => "SECCOMP",
        "1327" => "PROCTITLE",
        "1330" => "KERN_MODULE",
        "1331" => "FANOTIFY",
        "1334" => "BPF",
        "1400" => "AVC",
        "1403" => "MAC_POLICY_LOAD",
        "1404" => "MAC_STATUS",
        "1700" => "ANOM_PROMISCUOUS",
        "1701" => "ANOM_ABEND",
        "1702" => "ANOM_LINK",
        _ => kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(body: &str) -> String {
        pairs(body).map(|pair| format!("{}={}", pair.key, pair.value)).collect::<Vec<_>>().join("|")
    }

    #[test]
    fn pairs_are_found_between_prose_quotes_and_enrichment() {
        for (body, wanted) in [
            (
                " avc:  denied  { read write } for  pid=2 comm=\"a b\"",
                "seresult=denied|seperms=read write|pid=2|comm=a b",
            ),
            (
                " op=adding group to /etc/group id=4 res=success",
                "op=adding group to /etc/group|id=4|res=success",
            ),
            (
                " user pid=1 msg='cwd=\"/\" cmd=\"it's\" res=success'\u{1d}UID=\"root\"",
                "pid=1|msg=cwd=\"/\" cmd=\"it's\" res=success|UID=root",
            ),
            (" res=success'#035UID=\"root\"", "res=success|UID=root"),
            (
                "PAM: authentication acct=\"root\" : exe=\"/x\" (hostname=a.b, addr=1.2.3.4, terminal=ssh res=failed)",
                "acct=root|exe=/x|hostname=a.b|addr=1.2.3.4|terminal=ssh|res=failed",
            ),
            ("a= b=(null) c=", "a=|b=(null)|c="),
        ] {
            assert_eq!(shown(body), wanted, "{body}");
        }
    }

    #[test]
    fn heads_of_every_carrier_are_read() {
        for (line, node, kind, serial) in [
            ("type=CWD msg=audit(1.000:7): cwd=\"/\"", "", "CWD", 7),
            ("node=h type=CWD msg=audit(1.000:7): cwd=\"/\"", "h", "CWD", 7),
            (
                "<14>Nov 22 08:00:00 web1 audispd: node=h type=CWD msg=audit(1.000:7): cwd=\"/\"",
                "h",
                "CWD",
                7,
            ),
            (
                "Nov 22 08:00:00 web1 kernel: [   12.5] audit: type=1400 audit(1.000:7): apparmor=\"DENIED\"",
                "web1",
                "AVC",
                7,
            ),
            ("Nov 22 08:00:00 web1 audit[12]: type=1300 audit(1.000:7): arch=c000003e", "web1", "SYSCALL", 7),
        ] {
            let audit = AuditLine::parse(line).unwrap_or_else(|| panic!("{line}"));
            assert_eq!((audit.node, audit.kind, audit.serial), (node, kind, serial), "{line}");
        }
        assert!(AuditLine::parse("type=CWD msg=audit(x:7): cwd").is_none());
    }
}

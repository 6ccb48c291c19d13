//! Linux audit records, those of one event joined by their serial number.
//!
//! The kernel tells one event in several records (`SYSCALL`, `EXECVE`, `CWD`, `PATH`, `PROCTITLE`) that share
//! `msg=audit(seconds.millis:serial)` and may come mixed with those of other events. [`Joiner`] holds the open events
//! and gives each out as one [`Record`] when nothing more can follow: at `PROCTITLE` or `EOE`, which the kernel sends
//! last, at once for the single records of user space (they carry a quoted `msg`), else when too many are open or the
//! input ends. No clock is involved: the same lines always give the same records.
//!
//! Read are lines of `audit.log`, raw and enriched (upper-case names behind 0x1d), and the same behind a syslog header,
//! as audisp's syslog plugin, rsyslog and the kernel itself (`audit: type=1300 audit(...)`) write them. Fields stand
//! under `<TYPE>.<key>` and, as Sigma names them, flat; hex-encoded text is decoded; what the enriched form would say
//! of `arch`, `syscall` and `saddr` is added where it is missing.

mod encoding;
mod line;

use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};
use wanglou_model::{FieldMap, Format, PathId, Record};

use super::{DecodeError, DecodeSink, Line, LineDecoder};
use line::{AuditLine, Pair};

/// Events that may wait for more records. The kernel interleaves as many as it has processors; 64 is ample, and keeps
/// events of senders that never say the end from waiting long.
const MAX_OPEN: usize = 64;

/// Whether a line is an audit record, perhaps behind a syslog header.
#[must_use]
pub fn recognises(line: &str) -> bool {
    AuditLine::parse(line).is_some()
}

/// Joins the records of one audit event.
#[derive(Debug)]
pub struct Joiner {
    open: VecDeque<OpenEvent>,
    /// Bytes of all open events.
    open_bytes: usize,
    record_bytes: usize,
}

/// An event that may get more records.
#[derive(Debug)]
struct OpenEvent {
    number: u64,
    /// `node`, `seconds.millis`, `serial`: what makes an event one.
    node: String,
    timestamp: String,
    serial: u64,
    lines: Vec<Bytes>,
    bytes: usize,
    record: Record,
    arguments: Arguments,
}

impl Joiner {
    /// A fresh one, whose records are at most so many bytes.
    #[must_use]
    pub fn new(record_bytes: usize) -> Self {
        Self { open: VecDeque::new(), open_bytes: 0, record_bytes }
    }

    fn close(&mut self, at: usize, out: &mut dyn DecodeSink) {
        let Some(mut event) = self.open.remove(at) else { return };
        self.open_bytes -= event.bytes;
        event.arguments.write(&mut event.record.fields);
        event.record.raw = join(&event.lines);
        out.record(event.number, &mut event.record);
    }
}

impl LineDecoder for Joiner {
    fn line(&mut self, line: &Line<'_>, out: &mut dyn DecodeSink) {
        let Some(audit) = AuditLine::parse(line.text) else {
            if !line.text.trim().is_empty() {
                out.rejected(line.number, DecodeError::unrecognised(line.text));
            }
            return;
        };
        let is_same = |event: &OpenEvent| {
            event.serial == audit.serial && event.timestamp == audit.timestamp && event.node == audit.node
        };
        let at = self.open.iter().rposition(is_same);
        let has = at.and_then(|at| self.open.get(at)).map_or(0, |event| event.bytes);
        if has + line.raw.len() > self.record_bytes {
            let limit = self.record_bytes as u64;
            out.rejected(line.number, DecodeError::TooLarge { what: "an audit event", limit });
            return;
        }
        let at = at.unwrap_or_else(|| {
            self.open.push_back(OpenEvent::new(line.number, &audit));
            self.open.len() - 1
        });
        let Some(event) = self.open.get_mut(at) else { return };
        if event.number != line.number {
            out.belongs(line.number, event.number);
        }
        event.lines.push(line.raw.clone());
        event.bytes += line.raw.len();
        self.open_bytes += line.raw.len();
        let is_last = event.take(&audit);
        if is_last {
            self.close(at, out);
        }
        while self.open.len() > MAX_OPEN || self.open_bytes > self.record_bytes {
            self.close(0, out);
        }
    }

    fn finish(&mut self, out: &mut dyn DecodeSink) {
        while !self.open.is_empty() {
            self.close(0, out);
        }
    }
}

impl OpenEvent {
    fn new(number: u64, line: &AuditLine<'_>) -> Self {
        let mut record = Record::new(Format::Auditd, Bytes::new());
        let fields = &mut record.fields;
        fields.push_named(None, "timestamp", line.timestamp);
        fields.push_named(None, "serial", i64::try_from(line.serial).unwrap_or(i64::MAX));
        if !line.node.is_empty() {
            fields.push_named(None, "node", line.node);
        }
        Self {
            number,
            node: line.node.to_owned(),
            timestamp: line.timestamp.to_owned(),
            serial: line.serial,
            lines: Vec::new(),
            bytes: 0,
            record,
            arguments: Arguments::default(),
        }
    }

    /// Adds one record. `true` when the event is whole.
    fn take(&mut self, line: &AuditLine<'_>) -> bool {
        let kind = line.kind;
        let mut typed = Typed { parent: PathId::intern(kind), kind, fields: &mut self.record.fields };
        typed.fields.push_named(None, "type", kind);
        let mut is_user_space = false;
        let mut enriched = Enriched::default();
        for Pair { key, value, quoted } in line.pairs() {
            match key {
                "msg" => {
                    is_user_space = true;
                    for Pair { key, value, quoted } in line::pairs(value) {
                        typed.put_encoded(key, value, quoted);
                    }
                }
                _ if kind == "EXECVE" && self.arguments.take_part(key, value) => {}
                _ => typed.put_encoded(key, value, quoted),
            }
            enriched.note(key, value);
        }
        enriched.write(kind, &mut typed);
        is_user_space || matches!(kind, "PROCTITLE" | "EOE") || kind.starts_with("DAEMON_")
    }
}

/// The fields of one record: under its type and flat.
struct Typed<'a> {
    parent: Option<PathId>,
    kind: &'a str,
    fields: &'a mut FieldMap,
}

impl Typed<'_> {
    fn put(&mut self, key: &str, value: &str) {
        match self.parent {
            Some(parent) => self.fields.push_named(Some(parent), key, value),
            None => self.fields.push_named(None, &format!("{}.{key}", self.kind), value),
        }
        self.fields.push_named(None, key, value);
    }

    fn put_encoded(&mut self, key: &str, value: &str, quoted: bool) {
        match encoding::decode(self.kind, key, value).filter(|_| !quoted) {
            // Several keys of one rule are separated by 0x01.
            Some(text) if key == "key" => text.split('\u{1}').for_each(|part| self.put(key, part)),
            Some(text) => self.put(key, &text),
            None => self.put(key, value),
        }
    }
}

/// What the enriched form adds, derived where a record lacks it.
#[derive(Default)]
struct Enriched<'a> {
    arch: Option<&'a str>,
    syscall: Option<&'a str>,
    saddr: Option<&'a str>,
    has_arch: bool,
    has_syscall: bool,
    has_saddr: bool,
}

impl<'a> Enriched<'a> {
    fn note(&mut self, key: &str, value: &'a str) {
        match key {
            "arch" => self.arch = Some(value),
            "syscall" => self.syscall = Some(value),
            "saddr" => self.saddr = Some(value),
            "ARCH" => self.has_arch = true,
            "SYSCALL" => self.has_syscall = true,
            "SADDR" | "saddr_fam" => self.has_saddr = true,
            _ => {}
        }
    }

    fn write(&self, kind: &str, typed: &mut Typed<'_>) {
        if let Some(arch) = self.arch.and_then(encoding::arch) {
            if !self.has_arch {
                typed.put("ARCH", arch);
            }
            let name = self.syscall.and_then(|number| encoding::syscall(arch, number));
            if let Some(name) = name.filter(|_| !self.has_syscall) {
                typed.put("SYSCALL", name);
            }
        }
        if kind == "SOCKADDR" && !self.has_saddr {
            for (key, value) in self.saddr.map(encoding::socket_address).unwrap_or_default() {
                typed.put(key, &value);
            }
        }
    }
}

/// Arguments of `EXECVE` that the kernel split because of their length: `a2_len=9000 a2[0]=6162 a2[1]=6364`.
#[derive(Debug, Default)]
struct Arguments {
    parts: Vec<(String, String)>,
}

impl Arguments {
    /// Takes `aN[k]`; drops `aN_len`, which says nothing once the parts are joined.
    fn take_part(&mut self, key: &str, value: &str) -> bool {
        if key.starts_with('a') && key.ends_with("_len") {
            return true;
        }
        let Some((name, _)) = key.split_once('[') else { return false };
        match self.parts.last_mut().filter(|(last, _)| last == name) {
            Some((_, hex)) => hex.push_str(value),
            None => self.parts.push((name.to_owned(), value.to_owned())),
        }
        true
    }

    fn write(&self, fields: &mut FieldMap) {
        let mut typed = Typed { parent: PathId::intern("EXECVE"), kind: "EXECVE", fields };
        for (name, value) in &self.parts {
            typed.put_encoded(name, value, false);
        }
    }
}

/// The lines with a line end between them.
fn join(lines: &[Bytes]) -> Bytes {
    if let [line] = lines {
        return line.clone();
    }
    let mut joined = BytesMut::with_capacity(lines.iter().map(|line| line.len() + 1).sum());
    for (at, line) in lines.iter().enumerate() {
        if at > 0 {
            joined.put_u8(b'\n');
        }
        joined.extend_from_slice(line);
    }
    joined.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Collected {
        records: Vec<(u64, serde_json::Value, String)>,
        rejected: Vec<(u64, String)>,
    }

    impl DecodeSink for Collected {
        fn record(&mut self, number: u64, record: &mut Record) {
            let raw = String::from_utf8_lossy(&record.raw).into_owned();
            self.records.push((number, record.fields.to_json().into(), raw));
        }
        fn rejected(&mut self, number: u64, error: DecodeError) {
            self.rejected.push((number, error.to_string()));
        }
    }

    fn read(joiner: &mut Joiner, text: &str) -> Collected {
        let mut collected = Collected::default();
        for (at, line) in text.lines().enumerate() {
            let raw = Bytes::copy_from_slice(line.as_bytes());
            joiner.line(&Line { number: at as u64 + 1, text: line, raw: &raw }, &mut collected);
        }
        joiner.finish(&mut collected);
        collected
    }

    #[test]
    fn mixed_events_are_joined_and_given_out_when_whole() {
        let text = "\
type=SYSCALL msg=audit(1.000:7): arch=c000003e syscall=59 success=yes a0=55 comm=\"ls\" key=6101620A
type=SYSCALL msg=audit(1.000:8): arch=c00000b7 syscall=203 success=no comm=\"nc\"\u{1d}ARCH=aarch64 UID=\"root\"
type=EXECVE msg=audit(1.000:7): argc=3 a0=\"ls\" a1=2D6C a2_len=8 a2[0]=6162 a2[1]=6364
type=PROCTITLE msg=audit(1.000:7): proctitle=6C73002D6C
Nov 22 08:00:00 web1 audispd: type=SOCKADDR msg=audit(1.000:8): saddr=02000050A9FEA9FE0000000000000000
garbage
node=web1 type=USER_LOGIN msg=audit(1.500:9): pid=1 uid=0 auid=4294967295 msg='op=login acct=28756E6B6E6F776E29 exe=\"/usr/sbin/sshd\" addr=1.2.3.4 terminal=ssh res=failed'\u{1d}UID=\"root\"";
        let got = read(&mut Joiner::new(1 << 20), text);
        assert_eq!(got.rejected.len(), 1);
        let numbers: Vec<u64> = got.records.iter().map(|(number, ..)| *number).collect();
        // The socket address came through syslog from a named node: another event than the nameless one's.
        assert_eq!(numbers, [1, 7, 2, 5]);
        let (_, execve, raw) = &got.records[0];
        assert_eq!(raw.lines().count(), 3);
        assert_eq!(execve["EXECVE"]["a2"], "abcd");
        assert_eq!(execve["a1"], "-l");
        assert_eq!(execve["PROCTITLE"]["proctitle"], "ls -l");
        assert_eq!(execve["key"], serde_json::json!(["a", "b\n"]));
        assert_eq!(execve["type"], serde_json::json!(["SYSCALL", "EXECVE", "PROCTITLE"]));
        assert_eq!(got.records[1].1["USER_LOGIN"]["acct"], "(unknown)");
        assert_eq!(got.records[1].1["UID"], "root");
        assert_eq!(got.records[3].1["laddr"], "169.254.169.254");
        assert_eq!(got.records[3].1["lport"], "80");
    }

    #[test]
    fn open_events_are_bounded_in_number_and_bytes() {
        let mut joiner = Joiner::new(4_000);
        let mut collected = Collected::default();
        for serial in 0..1_000_u64 {
            let text = format!("type=SYSCALL msg=audit(1.000:{serial}): arch=c000003e syscall=59 comm=\"x\"");
            let raw = Bytes::from(text.clone());
            joiner.line(&Line { number: serial + 1, text: &text, raw: &raw }, &mut collected);
            assert!(joiner.open.len() <= MAX_OPEN && joiner.open_bytes <= 4_000);
        }
        joiner.finish(&mut collected);
        assert_eq!(collected.records.len(), 1_000);
        let huge = format!("type=SYSCALL msg=audit(1.000:1): comm=\"{}\"", "x".repeat(5_000));
        assert_eq!(read(&mut joiner, &huge).rejected.len(), 1);
    }
}

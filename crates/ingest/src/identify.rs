//! Finds out from its bytes what a piece of input is: the container from the first bytes of a file, the format of a
//! JSON object from its keys.

use std::sync::LazyLock;

use wanglou_model::{FieldMap, Format, PathId};

/// What the first bytes of a file say it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// No bytes, or nothing but white space.
    Empty,
    /// A Windows event log.
    Evtx,
    /// gzip (RFC 1952).
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
    /// ZIP.
    Zip,
    /// Text, in which lines or JSON documents are to be found.
    Text,
    /// Something else, called by its name.
    Other(&'static str),
}

/// Beginnings of files that hold no log we could read, and what they are.
const OTHER: [(&[u8], &str); 12] = [
    (b"ElfChnk\0", "a chunk cut out of a Windows event log, without its file header"),
    (b"\x7fELF", "an ELF program"),
    (b"MZ", "a Windows program"),
    (b"%PDF-", "a PDF document"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"\xd4\xc3\xb2\xa1", "a packet capture"),
    (b"\xa1\xb2\xc3\xd4", "a packet capture"),
    (b"\x0a\x0d\x0d\x0a", "a packet capture"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it first"),
    (b"\xfd7zXZ\0", "an xz archive; unpack it first"),
];

/// How many of the first bytes [`container`] wants to see.
pub const HEAD_BYTES: usize = 64 << 10;

/// What a file is that begins with `head`.
#[must_use]
pub fn container(head: &[u8]) -> Container {
    let begins = |magic: &[u8]| head.starts_with(magic);
    if begins(b"ElfFile\0") {
        return Container::Evtx;
    }
    if begins(b"\x1f\x8b") {
        return Container::Gzip;
    }
    if begins(b"\x28\xb5\x2f\xfd") {
        return Container::Zstd;
    }
    if begins(b"PK\x03\x04") || begins(b"PK\x05\x06") {
        return Container::Zip;
    }
    if let Some((_, name)) = OTHER.iter().find(|(magic, _)| begins(magic)) {
        return Container::Other(name);
    }
    if head.get(257..262) == Some(b"ustar") {
        return Container::Other("a tar archive; unpack it first");
    }
    match crate::text::Encoding::of(head) {
        None => Container::Other("binary data of an unknown kind"),
        Some(_) if head.len() < HEAD_BYTES && head.iter().all(u8::is_ascii_whitespace) => Container::Empty,
        Some(_) => Container::Text,
    }
}

macro_rules! signs {
    ($($name:ident = $($path:literal)|+;)*) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms, reason = "bit positions")]
        enum Bit { $($name,)* }
        $(const $name: u32 = 1 << Bit::$name as u32;)*
        const SIGNS: &[(&str, u32)] = &[$($(($path, $name),)+)*];
    };
}

signs! {
    EVTX = "Event.System.EventID" | "Event.System.EventID.@Qualifiers";
    WINLOG = "winlog.event_id" | "winlog.channel" | "winlog.provider_name" | "winlog.record_id";
    OLD_BEAT_ID = "event_id";
    OLD_BEAT_LOG = "log_name" | "source_name";
    FLAT_ID = "EventID" | "EventId" | "event_identifier";
    FLAT_LOG = "Channel" | "SourceName" | "ProviderName" | "Provider_Name" | "Provider" | "LogName" | "Computer"
        | "Hostname" | "EventRecordID" | "RecordNumber";
    EVE_TYPE = "event_type";
    EVE_TIME = "timestamp";
    EVE_MORE = "flow_id" | "src_ip" | "in_iface" | "pcap_cnt" | "alert.signature_id" | "stats.uptime" | "community_id"
        | "engine.message" | "drop.reason" | "proto";
    ZEEK_PATH = "_path";
    ZEEK_TIME = "ts" | "_write_ts";
    ZEEK_CONNECTION = "id.orig_h" | "id.resp_h";
    ZEEK_UID = "uid" | "uids" | "fuid" | "conn_uids" | "note" | "peer" | "software_type"
        | "certificate.serial" | "compile_ts";
    TRAIL_SOURCE = "eventSource";
    TRAIL_NAME = "eventName";
    TRAIL_MORE = "awsRegion" | "eventVersion" | "recipientAccountId" | "userIdentity.type";
    AUDIT_ID = "auditID";
    AUDIT_STAGE = "stage" | "stageTimestamp" | "requestReceivedTimestamp";
    SECURITY_REQUEST = "transaction.client_ip" | "transaction.remote_address";
    SECURITY_MORE = "transaction.request.method" | "transaction.request.uri" | "request.request_line"
        | "transaction.producer.modsecurity" | "audit_data.producer" | "audit_data.messages" | "transaction.messages.message"
        | "transaction.unique_id" | "transaction.transaction_id" | "transaction.id" | "transaction.is_interrupted";
    FLOW_EXPORTER = "exporter.address";
    FLOW_PROTOCOL = "exporter.protocol";
}

/// The signs that a path is, by its index.
static SIGN_OF_PATH: LazyLock<Vec<u32>> = LazyLock::new(|| {
    let mut table = Vec::new();
    for (path, sign) in SIGNS {
        let index = PathId::reserve(path).index();
        if table.len() <= index {
            table.resize(index + 1, 0);
        }
        if let Some(signs) = table.get_mut(index) {
            *signs |= sign;
        }
    }
    table
});

/// The format of a JSON object with these fields.
#[must_use]
pub fn json_format(fields: &FieldMap) -> Format {
    let table = &*SIGN_OF_PATH;
    let signs = fields
        .iter()
        .fold(0, |signs, (path, _)| signs | table.get(path.index()).copied().unwrap_or_default());
    let all = |wanted: u32| signs & wanted == wanted;
    let any = |wanted: u32| signs & wanted != 0;
    match () {
        () if all(EVTX) => Format::Evtx,
        () if all(WINLOG) || all(OLD_BEAT_ID | OLD_BEAT_LOG) => Format::Winlogbeat,
        () if all(EVE_TYPE | EVE_TIME | EVE_MORE) => Format::SuricataEve,
        () if all(TRAIL_SOURCE | TRAIL_NAME | TRAIL_MORE) => Format::CloudTrail,
        () if all(AUDIT_ID | AUDIT_STAGE) => Format::KubernetesAudit,
        () if all(ZEEK_TIME) && any(ZEEK_PATH | ZEEK_CONNECTION | ZEEK_UID) => Format::Zeek,
        () if all(FLAT_ID | FLAT_LOG) => Format::WindowsFlat,
        () if all(SECURITY_REQUEST | SECURITY_MORE) => Format::ModSecurity,
        () if all(FLOW_EXPORTER | FLOW_PROTOCOL) => Format::NetworkFlow,
        () => Format::Json,
    }
}

//! What a source said, in its own words.

use std::sync::Arc;

use bytes::Bytes;

use crate::{FieldMap, Product, UNKNOWN_PRODUCT};

/// How the bytes of a record are shaped: which decoder read it, and so which field names it uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Format {
    /// Windows event from an EVTX file, or JSON in the shape evtx tools write (`Event.System.EventID`,
    /// `Event.EventData.Image`).
    Evtx,
    /// Windows event as Winlogbeat ships it (`winlog.event_id`, `winlog.event_data.Image`).
    Winlogbeat,
    /// Windows event flattened to one level (`EventID`, `Channel`, `Image`), as OTRF and NXLog write it.
    WindowsFlat,
    /// Suricata EVE JSON.
    SuricataEve,
    /// Zeek log, JSON or TSV: the same field names either way (`id.orig_h`).
    Zeek,
    /// AWS CloudTrail record.
    #[serde(rename = "cloudtrail")]
    CloudTrail,
    /// Kubernetes audit event.
    KubernetesAudit,
    /// Syslog, RFC 3164 or 5424: `syslog.host`, `syslog.app`, `syslog.pid`, `syslog.message` and structured data.
    Syslog,
    /// Linux audit event, its records joined (`type`, `SYSCALL.exe`, `EXECVE.a0`).
    Auditd,
    /// Web access log, common or combined form (`remote_addr`, `request_uri`, `status`).
    AccessLog,
    /// ModSecurity audit log, native or JSON.
    #[serde(rename = "modsecurity")]
    ModSecurity,
    /// A line of a device or application without a syslog header: CEF, LEEF or pairs of names and values, under the
    /// device's own names.
    Device,
    /// A flow record (NetFlow, IPFIX, sFlow, NetStream) under IPFIX's names (`sourceIPv4Address`), with its `exporter.*`.
    NetworkFlow,
    /// Any other JSON object.
    Json,
}

impl Format {
    /// All, in the order they are declared.
    pub const ALL: [Self; 14] = [
        Self::Evtx,
        Self::Winlogbeat,
        Self::WindowsFlat,
        Self::SuricataEve,
        Self::Zeek,
        Self::CloudTrail,
        Self::KubernetesAudit,
        Self::Syslog,
        Self::Auditd,
        Self::AccessLog,
        Self::ModSecurity,
        Self::Device,
        Self::NetworkFlow,
        Self::Json,
    ];

    /// Its place in [`Format::ALL`].
    #[inline]
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The name used in taxonomies, statistics and output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Evtx => "evtx",
            Self::Winlogbeat => "winlogbeat",
            Self::WindowsFlat => "windows-flat",
            Self::SuricataEve => "suricata-eve",
            Self::Zeek => "zeek",
            Self::CloudTrail => "cloudtrail",
            Self::KubernetesAudit => "kubernetes-audit",
            Self::Syslog => "syslog",
            Self::Auditd => "auditd",
            Self::AccessLog => "access-log",
            Self::ModSecurity => "modsecurity",
            Self::Device => "device",
            Self::NetworkFlow => "network-flow",
            Self::Json => "json",
        }
    }
}

/// One observation as its source gave it: the raw bytes and the source's own fields, never renamed.
#[derive(Clone, Debug)]
pub struct Record {
    /// How the bytes are shaped.
    pub format: Format,
    /// What product wrote it.
    pub product: Arc<Product>,
    /// The bytes this record was decoded from. Everything else here can be derived from them.
    pub raw: Bytes,
    /// The source's fields under their own names.
    pub fields: FieldMap,
}

impl Record {
    /// A record without fields.
    #[must_use]
    pub fn new(format: Format, raw: Bytes) -> Self {
        Self { format, product: Arc::clone(&UNKNOWN_PRODUCT), raw, fields: FieldMap::new() }
    }
}

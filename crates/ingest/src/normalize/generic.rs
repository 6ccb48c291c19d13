//! Any record: what its field names tell to everyone.
//!
//! The names are those that JSON loggers, ECS and common tools use. The class stays Base Event.

use std::sync::LazyLock;

use wanglou_model::{PathId, Severity, Value};

use super::mapping::{Mapper, Table, To};

/// Fields that hold the time of the event, the best first.
const TIMES: [&str; 16] = [
    "@timestamp",
    "timestamp",
    "time",
    "eventTime",
    "event_time",
    "ts",
    "datetime",
    "date",
    "time_local",
    "time_iso8601",
    "EventTime",
    "TimeCreated",
    "startTime",
    "start_time",
    "created",
    "createdDateTime",
];

/// Fields that hold how bad it is.
const SEVERITIES: [&str; 7] =
    ["severity", "level", "log.level", "loglevel", "log_level", "event.severity", "Severity"];

static TIME_PATHS: LazyLock<Vec<PathId>> = LazyLock::new(|| TIMES.map(PathId::reserve).to_vec());
static SEVERITY_PATHS: LazyLock<Vec<PathId>> = LazyLock::new(|| SEVERITIES.map(PathId::reserve).to_vec());

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut rows = Vec::new();
    let mut names = |to: fn(&'static str) -> To, attribute: &'static str, fields: &[&'static str]| {
        rows.extend(fields.iter().map(|field| (*field, to(attribute))));
    };
    names(
        To::Ip,
        "src_endpoint",
        &[
            "src_ip",
            "source.ip",
            "srcip",
            "src",
            "source_ip",
            "sourceIp",
            "sourceIPAddress",
            "SourceIp",
            "IpAddress",
            "client_ip",
            "clientip",
            "clientIp",
            "client.ip",
            "remote_addr",
            "remote_ip",
            "remoteAddr",
            "saddr",
            "sip",
        ],
    );
    names(
        To::Int,
        "src_endpoint.port",
        &[
            "src_port",
            "source.port",
            "srcport",
            "sourcePort",
            "SourcePort",
            "client_port",
            "client.port",
            "spt",
            "sport",
        ],
    );
    names(
        To::Ip,
        "dst_endpoint",
        &[
            "dest_ip",
            "dst_ip",
            "destination.ip",
            "dstip",
            "dst",
            "destination_ip",
            "destinationIp",
            "DestinationIp",
            "server_ip",
            "server.ip",
            "daddr",
            "dip",
        ],
    );
    names(
        To::Int,
        "dst_endpoint.port",
        &[
            "dest_port",
            "dst_port",
            "destination.port",
            "dstport",
            "destinationPort",
            "DestinationPort",
            "server.port",
            "dpt",
            "dport",
        ],
    );
    names(
        To::Text,
        "device.hostname",
        &[
            "host.name",
            "host.hostname",
            "hostname",
            "Hostname",
            "host",
            "Computer",
            "computer_name",
            "agent.hostname",
        ],
    );
    names(To::Text, "process.name", &["process.name"]);
    names(To::Int, "process.pid", &["process.pid"]);
    names(To::Text, "process.cmd_line", &["process.command_line", "CommandLine", "cmdline"]);
    names(To::File, "process.file", &["process.executable", "Image"]);
    names(
        To::User,
        "actor.user",
        &["user.name", "user", "username", "userName", "User", "SubjectUserName", "account"],
    );
    names(To::Url, "url", &["url.full", "url.original", "url"]);
    names(To::Text, "message", &["message", "msg", "Message", "log", "event.original"]);
    Table::new(&rows)
});

/// Maps what there is.
pub(super) fn map(mapper: &mut Mapper<'_>) {
    for path in TIME_PATHS.iter() {
        if mapper.time(*path) {
            break;
        }
    }
    for path in SEVERITY_PATHS.iter() {
        if let Some(severity) = mapper.record.fields.get(*path).and_then(severity) {
            mapper.event.severity = severity;
            mapper.used(*path);
            break;
        }
    }
    mapper.apply(&TABLE);
}

/// What the words of loggers (RFC 5424 section 6.2.1 and its relatives) say.
pub(super) fn severity(value: Value<'_>) -> Option<Severity> {
    let word = value.as_str()?;
    Some(match word.to_ascii_lowercase().as_str() {
        "emergency" | "emerg" | "alert" | "critical" | "crit" | "fatal" | "panic" => Severity::Critical,
        "error" | "err" | "high" | "severe" => Severity::High,
        "warning" | "warn" | "medium" | "moderate" => Severity::Medium,
        "notice" | "low" | "minor" => Severity::Low,
        "information" | "informational" | "info" | "debug" | "trace" | "verbose" => Severity::Informational,
        _ => return None,
    })
}

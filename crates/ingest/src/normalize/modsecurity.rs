//! ModSecurity: a transaction in which a rule matched is the alert of a protection device and so a Detection Finding,
//! as Suricata's alerts are; one that was merely logged is HTTP Activity.

use std::sync::LazyLock;

use wanglou_model::{PathId, Severity, Value, ocsf};

use super::mapping::{Mapper, Table, To, integer};
use super::network::http_activity;
use super::paths;

type Rows = &'static [(&'static str, To)];

const ACTIVITY: Rows = &[
    ("transaction.id", To::Text("http_request.uid")),
    ("request.uri", To::Url("http_request.url")),
    ("request.headers.Host", To::Text("http_request.url.hostname")),
    ("request.headers.host", To::Text("http_request.url.hostname")),
    ("transaction.client_ip", To::Ip("src_endpoint")),
    ("transaction.client_port", To::Int("src_endpoint.port")),
    ("transaction.host_ip", To::Ip("dst_endpoint")),
    ("transaction.host_port", To::Int("dst_endpoint.port")),
    ("request.method", To::Text("http_request.http_method")),
    ("request.http_version", To::Text("http_request.version")),
    ("request.headers.User-Agent", To::Text("http_request.user_agent")),
    ("request.headers.user-agent", To::Text("http_request.user_agent")),
    ("request.headers.Referer", To::Text("http_request.referrer")),
    ("request.headers.referer", To::Text("http_request.referrer")),
    ("response.http_code", To::Int("http_response.code")),
];

const EVIDENCE: Rows = &[
    ("request.uri", To::Url("evidences[].url")),
    ("request.headers.Host", To::Text("evidences[].url.hostname")),
    ("request.headers.host", To::Text("evidences[].url.hostname")),
    ("transaction.client_ip", To::Ip("evidences[].src_endpoint")),
    ("transaction.client_port", To::Int("evidences[].src_endpoint.port")),
    ("transaction.host_ip", To::Ip("evidences[].dst_endpoint")),
    ("transaction.host_port", To::Int("evidences[].dst_endpoint.port")),
    ("request.method", To::Text("evidences[].http_request.http_method")),
    ("request.http_version", To::Text("evidences[].http_request.version")),
    ("request.headers.User-Agent", To::Text("evidences[].http_request.user_agent")),
    ("request.headers.user-agent", To::Text("evidences[].http_request.user_agent")),
    ("request.headers.Referer", To::Text("evidences[].http_request.referrer")),
    ("request.headers.referer", To::Text("evidences[].http_request.referrer")),
    ("response.http_code", To::Int("evidences[].http_response.code")),
];

const FINDING: Rows = &[
    ("transaction.id", To::Text("metadata.original_event_uid")),
    ("messages.message", To::Text("finding_info.title")),
    ("messages.message", To::Text("finding_info.analytic.name")),
    ("messages.message", To::Text("message")),
    ("messages.details.ruleId", To::Text("finding_info.analytic.uid")),
    ("messages.details.match", To::Text("finding_info.desc")),
    ("messages.details.data", To::Text("evidences[].data.matched")),
];

static HTTP: LazyLock<Table> = LazyLock::new(|| Table::new(ACTIVITY));
static ALERT: LazyLock<Table> = LazyLock::new(|| Table::new(&[FINDING, EVIDENCE].concat()));

paths! {
    time = "transaction.time_stamp";
    method = "request.method";
    rule = "messages.message";
    rule_severity = "messages.details.severity";
    rule_tags = "messages.details.tags";
    intercepted = "action.intercepted";
    code = "response.http_code";

    status_id = "status_id";
    uid = "finding_info.uid";
    tag = "finding_info.types[]";
    analytic_type = "finding_info.analytic.type_id";
    is_alert = "is_alert";
    action_id = "action_id";
    disposition_id = "disposition_id";
    profiles = "metadata.profiles[]";
    src_ip = "src_endpoint.ip";
    src_host = "src_endpoint.hostname";
}

/// Maps a record.
pub(super) fn map(mapper: &mut Mapper<'_>) {
    let paths = &*PATHS;
    mapper.time(paths.time);
    if mapper.record.fields.get(paths.rule).is_some() {
        return alert(mapper);
    }
    let method = mapper.record.fields.text(paths.method).unwrap_or_default();
    mapper.class(ocsf::HTTP_ACTIVITY, http_activity(method));
    mapper.apply(&HTTP);
    if let Some(code) = mapper.record.fields.get(paths.code).and_then(integer) {
        mapper.put(paths.status_id, if code < 400 { 1_i64 } else { 2 });
    }
    if !mapper.has(paths.src_ip) {
        mapper.default(paths.src_host, "unknown");
    }
}

fn alert(mapper: &mut Mapper<'_>) {
    let paths = &*PATHS;
    mapper.class(ocsf::DETECTION_FINDING, 1);
    mapper.apply(&ALERT);
    let worst = mapper.record.fields.get_all(paths.rule_severity).filter_map(severity).max();
    mapper.event.severity = worst.unwrap_or(Severity::Medium);
    mapper.used(paths.rule_severity);
    let tags: Vec<_> = mapper.record.fields.get_all(paths.rule_tags).map(Value::to_text).collect();
    for tag in tags {
        mapper.used(paths.rule_tags);
        mapper.put(paths.tag, tag.as_ref());
    }
    let uid = mapper.event.uid.to_string();
    mapper.put(paths.uid, uid.as_str());
    mapper.put(paths.analytic_type, 1_i64);
    mapper.put(paths.is_alert, true);
    mapper.put(paths.profiles, "security_control");
    let blocked = match mapper.take(paths.intercepted) {
        Some(Value::Bool(flag)) => flag,
        Some(Value::Str(text)) => text == "true",
        _ => false,
    };
    mapper.put(paths.action_id, if blocked { 2_i64 } else { 1 });
    mapper.put(paths.disposition_id, if blocked { 2_i64 } else { 15 });
}

/// ModSecurity's severities are syslog's, by name or by number (RFC 5424 section 6.2.1).
fn severity(value: Value<'_>) -> Option<Severity> {
    let number = match value.to_text().to_ascii_uppercase().as_str() {
        "EMERGENCY" => 0,
        "ALERT" => 1,
        "CRITICAL" => 2,
        "ERROR" => 3,
        "WARNING" => 4,
        "NOTICE" => 5,
        "INFO" => 6,
        "DEBUG" => 7,
        other => other.parse().ok()?,
    };
    Some(match number {
        0 | 1 => Severity::Critical,
        2 => Severity::High,
        3 => Severity::Medium,
        4 => Severity::Low,
        _ => Severity::Informational,
    })
}

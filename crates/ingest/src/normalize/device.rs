//! Records of devices, known or not: what the decoder understood (`ocsf.*`) becomes a Detection Finding where a threat
//! is named, Authentication where someone logs in, HTTP, DNS or Network Activity where there are two ends, and else a
//! Base Event with all attributes.

use std::sync::LazyLock;

use wanglou_model::{PathId, Severity, canonical_ip, ocsf};

use super::mapping::{Mapper, Table, To, UrlPaths, integer};
use super::network::http_activity;
use super::{generic, paths};

/// Attributes that classes of events and findings have at different places: below what, and what.
fn rows(base: &str) -> Vec<(&'static str, To)> {
    let at = |name: &str| -> &'static str { PathId::reserve(&format!("{base}{name}")).name() };
    let mut rows = Vec::new();
    for end in ["src_endpoint", "dst_endpoint"] {
        let from = |name: &str| -> &'static str { PathId::reserve(&format!("ocsf.{end}.{name}")).name() };
        rows.push((from("ip"), To::Ip(at(end))));
        rows.push((from("port"), To::Int(at(&format!("{end}.port")))));
        for name in ["mac", "hostname", "zone", "interface_name"] {
            rows.push((from(name), To::Text(at(&format!("{end}.{name}")))));
        }
    }
    rows
}

const DEVICE: [(&str, To); 6] = [
    ("ocsf.device.ip", To::Ip("device")),
    ("ocsf.device.hostname", To::Ip("device")),
    ("syslog.host", To::Ip("device")),
    ("syslog.app", To::Text("metadata.log_name")),
    ("syslog.msgid", To::Text("metadata.event_code")),
    ("ocsf.message", To::Text("message")),
];

fn table(base: &str, more: &[(&'static str, To)]) -> Table {
    let mut all = rows(base);
    all.extend_from_slice(&DEVICE);
    all.extend_from_slice(more);
    Table::new(&all)
}

static FINDING: LazyLock<Table> = LazyLock::new(|| {
    table(
        "evidences[].",
        &[
            ("ocsf.threat", To::Text("finding_info.title")),
            ("ocsf.threat", To::Text("finding_info.analytic.name")),
            ("ocsf.rule_id", To::Text("finding_info.analytic.uid")),
            ("ocsf.threat_type", To::Text("finding_info.analytic.category")),
            ("ocsf.policy", To::Text("policy.name")),
            ("ocsf.user.name", To::User("evidences[].user")),
            ("ocsf.url", To::Url("evidences[].url")),
            ("ocsf.url.hostname", To::Text("evidences[].url.hostname")),
            ("ocsf.http_method", To::Text("evidences[].http_request.http_method")),
            ("ocsf.user_agent", To::Text("evidences[].http_request.user_agent")),
            ("ocsf.referrer", To::Text("evidences[].http_request.referrer")),
            ("ocsf.http_status", To::Int("evidences[].http_response.code")),
            ("ocsf.file.path", To::File("evidences[].file")),
            ("ocsf.file.name", To::File("evidences[].file")),
            ("ocsf.file.md5", To::Hashes("evidences[].file")),
            ("ocsf.process.name", To::Text("evidences[].process.name")),
            ("ocsf.process.cmd_line", To::Text("evidences[].process.cmd_line")),
        ],
    )
});

static NETWORK: LazyLock<Table> = LazyLock::new(|| {
    table(
        "",
        &[
            ("ocsf.app", To::Text("app_name")),
            ("ocsf.policy", To::Text("policy.name")),
            ("ocsf.user.name", To::User("actor.user")),
            ("ocsf.bytes_out", To::Int("traffic.bytes_out")),
            ("ocsf.bytes_in", To::Int("traffic.bytes_in")),
            ("ocsf.url", To::Text("url.url_string")),
        ],
    )
});

static HTTP: LazyLock<Table> = LazyLock::new(|| {
    table(
        "",
        &[
            ("ocsf.app", To::Text("app_name")),
            ("ocsf.policy", To::Text("policy.name")),
            ("ocsf.user.name", To::User("actor.user")),
            ("ocsf.http_method", To::Text("http_request.http_method")),
            ("ocsf.url", To::Url("http_request.url")),
            ("ocsf.url.hostname", To::Text("http_request.url.hostname")),
            ("ocsf.user_agent", To::Text("http_request.user_agent")),
            ("ocsf.referrer", To::Text("http_request.referrer")),
            ("ocsf.xff", To::Text("http_request.x_forwarded_for[]")),
            ("ocsf.http_status", To::Int("http_response.code")),
            ("ocsf.bytes_out", To::Int("traffic.bytes_out")),
            ("ocsf.bytes_in", To::Int("traffic.bytes_in")),
        ],
    )
});

static LOGON: LazyLock<Table> = LazyLock::new(|| {
    table(
        "",
        &[
            ("ocsf.user.name", To::User("user")),
            ("ocsf.app", To::Text("service.name")),
            ("ocsf.status", To::Text("status_detail")),
        ],
    )
});

static DNS: LazyLock<Table> = LazyLock::new(|| table("", &[("ocsf.query", To::Text("query.hostname"))]));

static BASE: LazyLock<Table> = LazyLock::new(|| {
    table(
        "",
        &[
            ("ocsf.user.name", To::User("actor.user")),
            ("ocsf.url", To::Url("url")),
            ("ocsf.url.hostname", To::Text("url.hostname")),
            ("ocsf.process.name", To::Text("process.name")),
            ("ocsf.process.cmd_line", To::Text("process.cmd_line")),
            ("ocsf.process.pid", To::Int("process.pid")),
            ("ocsf.file.path", To::File("file")),
            ("ocsf.app", To::Text("app_name")),
        ],
    )
});

static URL: LazyLock<UrlPaths> = LazyLock::new(|| UrlPaths::of("http_request.url"));

paths! {
    class = "ocsf.class";
    any_src = "ocsf.src_endpoint.ip";
    any_dst = "ocsf.dst_endpoint.ip";
    time = "ocsf.time";
    syslog_time = "syslog.timestamp";
    syslog_severity = "syslog.severity";
    syslog_message = "syslog.message";
    severity = "ocsf.severity";
    cef_severity = "cef.severity";
    cef_name = "cef.name";
    threat = "ocsf.threat";
    threat_type = "ocsf.threat_type";
    user = "ocsf.user.name";
    query = "ocsf.query";
    url = "ocsf.url";
    method = "ocsf.http_method";
    action = "ocsf.action";
    status = "ocsf.status";
    protocol = "ocsf.protocol";
    says = "ocsf.message";

    observable_type = "observables[].type_id";
    observable_value = "observables[].value";
    out_action_id = "action_id";
    out_disposition_id = "disposition_id";
    out_status_id = "status_id";
    out_protocol = "connection_info.protocol_name";
    out_evidence_protocol = "evidences[].connection_info.protocol_name";
    out_evidence_direction = "evidences[].connection_info.direction_id";
    out_profiles = "metadata.profiles[]";
    out_uid = "finding_info.uid";
    out_title = "finding_info.title";
    out_analytic_type = "finding_info.analytic.type_id";
    out_is_alert = "is_alert";
    out_message = "message";
    out_user = "user.name";
    out_url = "http_request.url.url_string";
}

/// Whether the decoder understood anything of this record.
pub(super) fn understood(mapper: &Mapper<'_>) -> bool {
    mapper.record.fields.iter().any(|(path, _)| path.name().starts_with("ocsf."))
}

/// Maps a record.
pub(super) fn map(mapper: &mut Mapper<'_>) {
    let paths = &*PATHS;
    if !mapper.time(paths.time) {
        mapper.time(paths.syslog_time);
    }
    put_severity(mapper);
    let named = mapper.record.fields.text(paths.class).and_then(Class::named);
    match named.unwrap_or_else(|| Class::of(mapper)) {
        Class::Logon => logon(mapper),
        Class::Finding => finding(mapper),
        Class::Http => http(mapper),
        Class::Dns => {
            mapper.class(ocsf::DNS_ACTIVITY, 1);
            mapper.apply(&DNS);
        }
        Class::Network => {
            mapper.class(ocsf::NETWORK_ACTIVITY, 6);
            mapper.apply(&NETWORK);
        }
        Class::Base => mapper.apply(&BASE),
    }
    put_protocol(mapper);
    put_action(mapper);
    put_observables(mapper);
    if let Some(message) = mapper.take_text(paths.syslog_message) {
        mapper.default(paths.out_message, message.as_ref());
    }
    for (path, _) in mapper.record.fields.iter().filter(|(path, _)| path.name().starts_with("ocsf.")) {
        mapper.used(path);
    }
}

/// Whether CEF says by its severity that this is an alert; its name is the alert's then.
fn is_serious(mapper: &Mapper<'_>) -> bool {
    mapper.record.fields.get(PATHS.cef_severity).and_then(integer).is_some_and(|level| level >= 5)
}

/// The class of an event.
#[derive(Clone, Copy)]
enum Class {
    Base,
    Finding,
    Logon,
    Network,
    Http,
    Dns,
}

impl Class {
    /// As a parser names it.
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "base_event" => Self::Base,
            "detection_finding" => Self::Finding,
            "authentication" => Self::Logon,
            "network_activity" => Self::Network,
            "http_activity" => Self::Http,
            "dns_activity" => Self::Dns,
            _ => return None,
        })
    }

    /// As it follows from what is there.
    fn of(mapper: &Mapper<'_>) -> Self {
        let paths = &*PATHS;
        let has = |path: PathId| mapper.record.fields.get(path).is_some();
        match () {
            () if is_logon(mapper) => Self::Logon,
            () if has(paths.threat) || is_serious(mapper) => Self::Finding,
            () if has(paths.method) && has(paths.url) => Self::Http,
            () if has(paths.query) && has(paths.any_src) => Self::Dns,
            () if has(paths.any_src) && has(paths.any_dst) => Self::Network,
            () => Self::Base,
        }
    }
}

/// Severity by the device's word or number, else by syslog's.
fn put_severity(mapper: &mut Mapper<'_>) {
    let paths = &*PATHS;
    let fields = &mapper.record.fields;
    let cef = fields.get(paths.cef_severity).and_then(integer).map(|level| match level {
        ..=3 => Severity::Low,
        4..=6 => Severity::Medium,
        7..=8 => Severity::High,
        _ => Severity::Critical,
    });
    let word = fields
        .get(paths.severity)
        .and_then(|value| generic::severity(value).or_else(|| chinese(value.as_str()?)));
    let syslog = || fields.get(paths.syslog_severity).and_then(generic::severity);
    mapper.used(paths.syslog_severity);
    if let Some(severity) = cef.or(word).or_else(syslog) {
        mapper.event.severity = severity;
    }
}

fn chinese(word: &str) -> Option<Severity> {
    Some(match word.trim() {
        "严重" | "紧急" | "致命" | "危急" | "极高" | "超危" => Severity::Critical,
        "高" | "高危" | "高级" | "高风险" | "错误" => Severity::High,
        "中" | "中危" | "中级" | "中风险" | "警告" | "告警" => Severity::Medium,
        "低" | "低危" | "低级" | "低风险" | "注意" | "通知" => Severity::Low,
        "信息" | "提示" | "正常" | "调试" => Severity::Informational,
        _ => return None,
    })
}

/// Whether a text has one of these words, in any case.
fn has_word(text: &str, words: &[&str]) -> bool {
    let text = text.to_lowercase();
    words.iter().any(|word| text.contains(word))
}

fn what_is_said<'r>(mapper: &Mapper<'r>) -> std::borrow::Cow<'r, str> {
    let paths = &*PATHS;
    let fields = &mapper.record.fields;
    [paths.says, paths.threat_type, paths.threat, paths.cef_name, paths.syslog_message]
        .iter()
        .find_map(|path| fields.get(*path).filter(|value| is_about_logon(&value.to_text())))
        .map(wanglou_model::Value::to_text)
        .unwrap_or_default()
}

fn is_about_logon(text: &str) -> bool {
    has_word(
        text,
        &[
            "login",
            "log in",
            "logged in",
            "logon",
            "logout",
            "logged out",
            "登录",
            "登陆",
            "登出",
            "注销",
            "退出系统",
            "password authentication",
        ],
    )
}

fn is_logon(mapper: &Mapper<'_>) -> bool {
    let paths = &*PATHS;
    let action =
        mapper.record.fields.get(paths.action).map(wanglou_model::Value::to_text).unwrap_or_default();
    mapper.record.fields.get(paths.user).is_some()
        && mapper.record.fields.get(paths.method).is_none()
        && (!what_is_said(mapper).is_empty() || is_about_logon(&action))
}

fn logon(mapper: &mut Mapper<'_>) {
    let paths = &*PATHS;
    let said = what_is_said(mapper);
    let action =
        mapper.record.fields.get(paths.action).map(wanglou_model::Value::to_text).unwrap_or_default();
    let leaves = ["logout", "logged out", "登出", "注销", "退出"];
    let activity = if has_word(&said, &leaves) || has_word(&action, &leaves) { 2 } else { 1 };
    mapper.class(ocsf::AUTHENTICATION, activity);
    mapper.apply(&LOGON);
    mapper.default(paths.out_user, "unknown");
    let status =
        mapper.record.fields.get(paths.status).map(wanglou_model::Value::to_text).unwrap_or_default();
    for text in [status, said] {
        if has_word(&text, &["fail", "失败", "denied", "error", "错误", "invalid", "拒绝", "锁定"]) {
            return mapper.default(paths.out_status_id, 2_i64);
        }
        if has_word(&text, &["success", "成功", "passed", "accepted"]) || text == "ok" {
            return mapper.default(paths.out_status_id, 1_i64);
        }
    }
}

fn finding(mapper: &mut Mapper<'_>) {
    let paths = &*PATHS;
    mapper.class(ocsf::DETECTION_FINDING, 1);
    mapper.apply(&FINDING);
    let uid = mapper.event.uid.to_string();
    mapper.put(paths.out_uid, uid.as_str());
    if let Some(name) = mapper.take_text(paths.cef_name) {
        mapper.default(paths.out_title, name.as_ref());
    }
    mapper.default(paths.out_title, "alert");
    mapper.put(paths.out_analytic_type, 1_i64);
    mapper.put(paths.out_is_alert, true);
}

fn http(mapper: &mut Mapper<'_>) {
    let paths = &*PATHS;
    let method = mapper.record.fields.text(paths.method).unwrap_or_default();
    mapper.class(ocsf::HTTP_ACTIVITY, http_activity(method));
    mapper.apply(&HTTP);
    if !mapper.has(paths.out_url)
        && let Some(url) = mapper.take_text(paths.url)
    {
        mapper.put_url(*URL, &url);
    }
}

fn put_protocol(mapper: &mut Mapper<'_>) {
    let paths = &*PATHS;
    let Some(protocol) = mapper.take_text(paths.protocol) else { return };
    let name = match protocol.trim() {
        "1" => "icmp".into(),
        "6" => "tcp".into(),
        "17" => "udp".into(),
        "58" => "ipv6-icmp".into(),
        other => other.to_lowercase(),
    };
    match mapper.event.class_uid {
        ocsf::DETECTION_FINDING => {
            mapper.put(paths.out_evidence_protocol, name.as_str());
            mapper.put(paths.out_evidence_direction, 0_i64);
        }
        ocsf::NETWORK_ACTIVITY | ocsf::HTTP_ACTIVITY | ocsf::DNS_ACTIVITY | ocsf::BASE_EVENT => {
            mapper.put(paths.out_protocol, name.as_str());
        }
        _ => {}
    }
}

/// Addresses that the line names and no attribute holds: analysts look for them all the same.
fn put_observables(mapper: &mut Mapper<'_>) {
    const MAX_OBSERVABLES: usize = 16;
    let text = crate::text::to_utf8(&mapper.record.raw);
    let mut put: Vec<String> = Vec::new();
    for address in crate::decode::device::addresses(&text).filter_map(canonical_ip) {
        let is_known =
            mapper.event.attributes.iter().any(|(_, value)| value.as_str() == Some(address.as_str()));
        if !is_known && put.len() < MAX_OBSERVABLES {
            mapper.put(PATHS.observable_type, 2_i64);
            mapper.put(PATHS.observable_value, address.as_str());
            put.push(address);
        }
    }
}

/// What the device did: OCSF `action_id` and `disposition_id`, which come with the security control profile.
fn put_action(mapper: &mut Mapper<'_>) {
    let paths = &*PATHS;
    let Some(action) = mapper.take_text(paths.action) else { return };
    let class = mapper.event.class_uid;
    if !matches!(
        class,
        ocsf::DETECTION_FINDING
            | ocsf::NETWORK_ACTIVITY
            | ocsf::HTTP_ACTIVITY
            | ocsf::DNS_ACTIVITY
            | ocsf::BASE_EVENT
    ) {
        return;
    }
    let (action_id, disposition_id) = match verdict(&action) {
        Some(true) => (1_i64, 1_i64),
        Some(false) => (2, 2),
        None => (99, 99),
    };
    mapper.put(paths.out_profiles, "security_control");
    mapper.put(PathId::reserve("action"), action.as_ref());
    mapper.put(paths.out_action_id, action_id);
    mapper.put(paths.out_disposition_id, disposition_id);
    if class == ocsf::NETWORK_ACTIVITY && action_id == 2 {
        mapper.event.activity_id = 5;
    }
}

/// Whether an action lets pass; `None` for what does neither.
fn verdict(action: &str) -> Option<bool> {
    const DENIES: [&str; 24] = [
        "deny",
        "denied",
        "drop",
        "block",
        "reject",
        "reset",
        "rst",
        "discard",
        "forbid",
        "prevent",
        "intercept",
        "quarantine",
        "阻断",
        "拒绝",
        "丢弃",
        "拦截",
        "阻止",
        "禁止",
        "隔离",
        "封禁",
        "封锁",
        "删除",
        "清除",
        "delete",
    ];
    const ALLOWS: [&str; 10] =
        ["permit", "accept", "allow", "pass", "forward", "允许", "放行", "通过", "release", "bypass"];
    if has_word(action, &DENIES) {
        return Some(false);
    }
    has_word(action, &ALLOWS).then_some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_let_pass_or_not() {
        for (action, wanted) in [
            ("deny", Some(false)),
            ("联动拒绝", Some(false)),
            ("Accept", Some(true)),
            ("放行", Some(true)),
            ("alert", None),
        ] {
            assert_eq!(verdict(action), wanted, "{action}");
        }
    }
}

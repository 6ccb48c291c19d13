//! Suricata EVE: alerts become Detection Findings, what the engine saw of protocols becomes network activity.

use std::sync::LazyLock;

use rustc_hash::FxHashMap;
use wanglou_model::{PathId, Severity, ocsf};

use super::mapping::{Mapper, Table, To, integer};
use super::{network, paths};

type Rows = &'static [(&'static str, To)];

/// What every record of a flow has.
const FLOW: Rows = &[
    ("src_ip", To::Ip("src_endpoint")),
    ("src_port", To::Int("src_endpoint.port")),
    ("dest_ip", To::Ip("dst_endpoint")),
    ("dest_port", To::Int("dst_endpoint.port")),
    ("proto", To::Lower("connection_info.protocol_name")),
    ("flow_id", To::Text("connection_info.uid")),
    ("community_id", To::Text("connection_info.community_uid")),
    ("host", To::Text("device.hostname")),
    ("app_proto", To::Text("app_name")),
    ("event_type", To::Text("metadata.event_code")),
];

/// The same for classes that are not about the connection.
const PEERS: Rows = &[
    ("flow_id", To::Text("metadata.correlation_uid")),
    ("src_ip", To::Ip("src_endpoint")),
    ("src_port", To::Int("src_endpoint.port")),
    ("dest_ip", To::Ip("dst_endpoint")),
    ("dest_port", To::Int("dst_endpoint.port")),
    ("host", To::Text("device.hostname")),
    ("event_type", To::Text("metadata.event_code")),
];

const ALERT: Rows = &[
    ("src_ip", To::Ip("evidences[].src_endpoint")),
    ("src_port", To::Int("evidences[].src_endpoint.port")),
    ("dest_ip", To::Ip("evidences[].dst_endpoint")),
    ("dest_port", To::Int("evidences[].dst_endpoint.port")),
    ("proto", To::Lower("evidences[].connection_info.protocol_name")),
    ("flow_id", To::Text("evidences[].connection_info.uid")),
    ("community_id", To::Text("evidences[].connection_info.community_uid")),
    ("host", To::Text("device.hostname")),
    ("event_type", To::Text("metadata.event_code")),
    ("alert.signature", To::Text("finding_info.title")),
    ("alert.signature", To::Text("finding_info.analytic.name")),
    ("alert.signature", To::Text("message")),
    ("alert.signature_id", To::Text("finding_info.analytic.uid")),
    ("alert.rev", To::Text("finding_info.analytic.version")),
    ("alert.category", To::Text("finding_info.analytic.category")),
    ("http.http_method", To::Text("evidences[].http_request.http_method")),
    ("http.http_user_agent", To::Text("evidences[].http_request.user_agent")),
    ("http.http_refer", To::Text("evidences[].http_request.referrer")),
    ("http.url", To::Url("evidences[].url")),
    ("http.hostname", To::Text("evidences[].url.hostname")),
    ("http.status", To::Int("evidences[].http_response.code")),
    ("fileinfo.filename", To::File("evidences[].file")),
];

const TRAFFIC: Rows = &[
    ("flow.bytes_toserver", To::Int("traffic.bytes_out")),
    ("flow.bytes_toclient", To::Int("traffic.bytes_in")),
    ("flow.pkts_toserver", To::Int("traffic.packets_out")),
    ("flow.pkts_toclient", To::Int("traffic.packets_in")),
    ("flow.start", To::Time("start_time")),
    ("flow.end", To::Time("end_time")),
    ("netflow.bytes", To::Int("traffic.bytes")),
    ("netflow.pkts", To::Int("traffic.packets")),
    ("netflow.start", To::Time("start_time")),
    ("netflow.end", To::Time("end_time")),
];

const HTTP: Rows = &[
    ("http.http_method", To::Text("http_request.http_method")),
    ("http.url", To::Url("http_request.url")),
    ("http.hostname", To::Text("http_request.url.hostname")),
    ("http.http_port", To::Int("http_request.url.port")),
    ("http.http_user_agent", To::Text("http_request.user_agent")),
    ("http.http_refer", To::Text("http_request.referrer")),
    ("http.protocol", To::Text("http_request.version")),
    ("http.xff", To::Text("http_request.x_forwarded_for[]")),
    ("http.status", To::Int("http_response.code")),
    ("http.length", To::Int("http_response.length")),
    ("http.http_content_type", To::Text("http_response.content_type")),
];

const DNS: Rows = &[
    ("dns.rrname", To::Text("query.hostname")),
    ("dns.rrtype", To::Text("query.type")),
    ("dns.queries.rrname", To::Text("query.hostname")),
    ("dns.queries.rrtype", To::Text("query.type")),
    ("dns.id", To::Int("query.packet_uid")),
    ("dns.rcode", To::Text("rcode")),
];

const TLS: Rows = &[
    ("tls.version", To::Text("tls.version")),
    ("tls.sni", To::Text("tls.sni")),
    ("tls.subject", To::Text("tls.certificate.subject")),
    ("tls.issuerdn", To::Text("tls.certificate.issuer")),
    ("tls.serial", To::Text("tls.certificate.serial_number")),
    ("tls.notbefore", To::UtcTime("tls.certificate.created_time")),
    ("tls.notafter", To::UtcTime("tls.certificate.expiration_time")),
];

const SSH: Rows = &[("ssh.client.proto_version", To::Text("protocol_ver"))];

const FILE: Rows = &[
    ("fileinfo.filename", To::File("file")),
    ("fileinfo.size", To::Int("file.size")),
    ("fileinfo.magic", To::Text("file.desc")),
    ("fileinfo.md5", To::Hashes("file")),
    ("fileinfo.sha1", To::Hashes("file")),
    ("fileinfo.sha256", To::Hashes("file")),
];

const SMB: Rows = &[
    ("smb.command", To::Text("command")),
    ("smb.dialect", To::Text("dialect")),
    ("smb.share", To::Text("share")),
    ("smb.filename", To::File("file")),
];

const DHCP: Rows = &[
    ("dhcp.client_mac", To::Text("src_endpoint.mac")),
    ("dhcp.hostname", To::Text("src_endpoint.hostname")),
    ("dhcp.lease_time", To::Int("lease_dur")),
    ("dhcp.id", To::Text("transaction_uid")),
];

const FTP: Rows = &[("ftp.command", To::Text("command")), ("ftp.command_data", To::Text("name"))];
const RDP: Rows = &[
    ("rdp.client.client_name", To::Text("src_endpoint.hostname")),
    ("rdp.cookie", To::Text("identifier_cookie")),
];
const SMTP: Rows = &[
    ("smtp.helo", To::Text("smtp_hello")),
    ("smtp.mail_from", To::Text("email.smtp_from")),
    ("smtp.rcpt_to", To::Text("email.smtp_to[]")),
    ("email.from", To::Text("email.from")),
    ("email.to", To::Text("email.to[]")),
    ("email.subject", To::Text("email.subject")),
];
const ANOMALY: Rows = &[("anomaly.event", To::Text("message"))];

/// What a type of record means.
struct Kind {
    class: u32,
    activity: u32,
    table: Table,
    then: Option<fn(&mut Mapper<'_>)>,
}

static KINDS: LazyLock<FxHashMap<&str, Kind>> = LazyLock::new(|| {
    let kind = |class, activity, rows: &[Rows], then| Kind {
        class,
        activity,
        table: Table::new(&rows.concat()),
        then,
    };
    let mut kinds: FxHashMap<&str, Kind> = FxHashMap::default();
    let none: Option<fn(&mut Mapper<'_>)> = None;
    kinds.insert("alert", kind(ocsf::DETECTION_FINDING, 1, &[ALERT], Some(alert as fn(&mut Mapper<'_>))));
    for name in ["flow", "netflow"] {
        kinds.insert(name, kind(ocsf::NETWORK_ACTIVITY, 6, &[FLOW, TRAFFIC], none));
    }
    kinds.insert("http", kind(ocsf::HTTP_ACTIVITY, 0, &[FLOW, HTTP], Some(http)));
    kinds.insert("dns", kind(ocsf::DNS_ACTIVITY, 1, &[FLOW, DNS], Some(dns)));
    kinds.insert("tls", kind(ocsf::NETWORK_ACTIVITY, 6, &[FLOW, TLS], Some(tls)));
    kinds.insert("ssh", kind(ocsf::SSH_ACTIVITY, 6, &[FLOW, SSH], none));
    kinds.insert("fileinfo", kind(ocsf::NETWORK_ACTIVITY, 6, &[FLOW, FILE, HTTP, SMB], Some(file)));
    kinds.insert("smb", kind(ocsf::SMB_ACTIVITY, 99, &[FLOW, SMB], none));
    kinds.insert("dhcp", kind(ocsf::DHCP_ACTIVITY, 99, &[FLOW, DHCP], Some(dhcp)));
    kinds.insert("ftp", kind(ocsf::FTP_ACTIVITY, 99, &[FLOW, FTP], none));
    kinds.insert("rdp", kind(ocsf::RDP_ACTIVITY, 6, &[FLOW, RDP], none));
    kinds.insert("smtp", kind(ocsf::EMAIL_ACTIVITY, 1, &[PEERS, SMTP], Some(smtp)));
    kinds.insert("anomaly", kind(ocsf::NETWORK_ACTIVITY, 6, &[FLOW, ANOMALY], none));
    kinds.insert("drop", kind(ocsf::NETWORK_ACTIVITY, 5, &[FLOW], Some(dropped)));
    kinds
});

/// A protocol without a class of its own: traffic between two ends.
static OTHER: LazyLock<Table> = LazyLock::new(|| Table::new(FLOW));

paths! {
    time = "timestamp";
    event_type = "event_type";
    src_ip = "src_ip";
    alert_severity = "alert.severity";
    alert_action = "alert.action";
    technique_id = "alert.metadata.mitre_technique_id";
    dns_type = "dns.type";
    answer_data = "dns.answers.rdata";
    answer_type = "dns.answers.rrtype";
    old_answer = "dns.rdata";
    ja3 = "tls.ja3.hash";
    ja3s = "tls.ja3s.hash";
    dhcp_kind = "dhcp.dhcp_type";
    app_proto = "app_proto";

    status_id = "status_id";
    uid = "finding_info.uid";
    title = "finding_info.title";
    analytic_type = "finding_info.analytic.type_id";
    technique = "finding_info.attacks[].technique.uid";
    is_alert = "is_alert";
    action_id = "action_id";
    disposition_id = "disposition_id";
    profiles = "metadata.profiles[]";
    evidence_protocol = "evidences[].connection_info.protocol_name";
    evidence_direction = "evidences[].connection_info.direction_id";
    method = "http_request.http_method";
    response_code = "http_response.code";
    rcode = "rcode";
    rcode_id = "rcode_id";
    rdata = "answers[].rdata";
    rtype = "answers[].type";
    mail_direction = "direction_id";
    smtp_hello = "smtp_hello";
    smtp_from = "email.smtp_from";
    smtp_to = "email.smtp_to[]";
    mail_from = "email.from";
    mail_to = "email.to[]";
    mail_subject = "email.subject";
    tls_version = "tls.version";
    ja3_value = "tls.ja3_hash.value";
    ja3_algorithm = "tls.ja3_hash.algorithm_id";
    ja3s_value = "tls.ja3s_hash.value";
    ja3s_algorithm = "tls.ja3s_hash.algorithm_id";
}

/// Maps a record of any type.
pub(super) fn map(mapper: &mut Mapper<'_>) {
    let paths = &*PATHS;
    mapper.time(paths.time);
    let kind = mapper.record.fields.text(paths.event_type).and_then(|name| KINDS.get(name));
    let Some(kind) = kind else {
        // Statistics and notes of the engine itself belong to no flow.
        if mapper.record.fields.get(paths.src_ip).is_some() {
            mapper.class(ocsf::NETWORK_ACTIVITY, 6);
        }
        return mapper.apply(&OTHER);
    };
    mapper.class(kind.class, kind.activity);
    mapper.apply(&kind.table);
    if let Some(then) = kind.then {
        then(mapper);
    }
}

fn alert(mapper: &mut Mapper<'_>) {
    let paths = &*PATHS;
    mapper.event.severity = match mapper.take(paths.alert_severity).and_then(integer) {
        Some(1) => Severity::High,
        Some(2) => Severity::Medium,
        Some(3) => Severity::Low,
        _ => Severity::Informational,
    };
    let uid = mapper.event.uid.to_string();
    mapper.put(paths.uid, uid.as_str());
    mapper.default(paths.title, "Suricata alert");
    mapper.put(paths.analytic_type, 1_i64);
    mapper.put(paths.is_alert, true);
    mapper.put(paths.profiles, "security_control");
    let blocked = mapper.take_text(paths.alert_action).is_some_and(|action| action == "blocked");
    mapper.put(paths.action_id, if blocked { 2_i64 } else { 1 });
    mapper.put(paths.disposition_id, if blocked { 2_i64 } else { 1 });
    if mapper.has(paths.evidence_protocol) {
        mapper.put(paths.evidence_direction, 0_i64);
    }
    let techniques: Vec<_> =
        mapper.record.fields.get_all(paths.technique_id).map(|id| id.to_text()).collect();
    for technique in techniques {
        mapper.used(paths.technique_id);
        mapper.put(paths.technique, technique.as_ref());
    }
}

fn http(mapper: &mut Mapper<'_>) {
    let activity = mapper.event.attributes.text(PATHS.method).map_or(0, network::http_activity);
    mapper.class(ocsf::HTTP_ACTIVITY, activity);
    if let Some(code) = mapper.event.attributes.get(PATHS.response_code).and_then(integer) {
        mapper.put(PATHS.status_id, if code < 400 { 1_i64 } else { 2 });
    }
}

fn dns(mapper: &mut Mapper<'_>) {
    let paths = &*PATHS;
    let kind = mapper.take_text(paths.dns_type).unwrap_or_default();
    if matches!(kind.as_ref(), "answer" | "response") {
        mapper.class(ocsf::DNS_ACTIVITY, 2);
    }
    if let Some(rcode) = mapper.event.attributes.text(paths.rcode).map(network::dns_rcode) {
        mapper.put(paths.rcode_id, rcode);
        mapper.put(paths.status_id, if rcode == 0 { 1_i64 } else { 2 });
    }
    let kinds: Vec<_> = mapper.record.fields.get_all(paths.answer_type).map(|kind| kind.to_text()).collect();
    let data: Vec<_> = mapper.record.fields.get_all(paths.answer_data).map(|data| data.to_text()).collect();
    let in_step = kinds.len() == data.len();
    for (index, data) in data.iter().enumerate() {
        mapper.used(paths.answer_data);
        mapper.put(paths.rdata, data.as_ref());
        if in_step && let Some(kind) = kinds.get(index) {
            mapper.used(paths.answer_type);
            mapper.put(paths.rtype, kind.as_ref());
        }
    }
    if let Some(data) = mapper.take_text(paths.old_answer) {
        mapper.put(paths.rdata, data.as_ref());
    }
}

fn tls(mapper: &mut Mapper<'_>) {
    let paths = &*PATHS;
    mapper.default(paths.tls_version, "unknown");
    for (from, value, algorithm) in [
        (paths.ja3, paths.ja3_value, paths.ja3_algorithm),
        (paths.ja3s, paths.ja3s_value, paths.ja3s_algorithm),
    ] {
        if let Some(hash) = mapper.take_text(from) {
            mapper.put(value, hash.as_ref());
            mapper.put(algorithm, 1_i64);
        }
    }
}

/// A file belongs to the protocol that carried it.
fn file(mapper: &mut Mapper<'_>) {
    match mapper.take_text(PATHS.app_proto).as_deref() {
        Some("http" | "http2") => http(mapper),
        Some("smb") => mapper.class(ocsf::SMB_ACTIVITY, 2),
        Some("ftp" | "ftp-data") => mapper.class(ocsf::FTP_ACTIVITY, 99),
        _ => {}
    }
}

fn dhcp(mapper: &mut Mapper<'_>) {
    if let Some(kind) = mapper.take_text(PATHS.dhcp_kind) {
        mapper.class(ocsf::DHCP_ACTIVITY, network::dhcp_activity(&kind));
    }
}

/// A conversation without a mail in it is mere traffic.
fn smtp(mapper: &mut Mapper<'_>) {
    let paths = &*PATHS;
    if [paths.smtp_from, paths.smtp_to, paths.mail_from, paths.mail_to].iter().any(|path| mapper.has(*path)) {
        return mapper.put(paths.mail_direction, 0_i64);
    }
    mapper.event.attributes.remove(paths.smtp_hello);
    mapper.event.attributes.remove(paths.mail_subject);
    mapper.class(ocsf::NETWORK_ACTIVITY, 6);
}

fn dropped(mapper: &mut Mapper<'_>) {
    mapper.put(PATHS.status_id, 2_i64);
    mapper.put(PATHS.profiles, "security_control");
    mapper.put(PATHS.action_id, 2_i64);
    mapper.put(PATHS.disposition_id, 6_i64);
}

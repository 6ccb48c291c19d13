//! Zeek logs, JSON or TSV alike.

use std::sync::LazyLock;

use rustc_hash::FxHashMap;
use wanglou_model::{PathId, Severity, Value, ocsf};

use super::mapping::{Mapper, Table, To, integer};
use super::{network, paths};

type Rows = &'static [(&'static str, To)];

/// What every log of connections has.
const ENDS: Rows = &[
    ("proto", To::Lower("connection_info.protocol_name")),
    ("uid", To::Text("connection_info.uid")),
    ("community_id", To::Text("connection_info.community_uid")),
    ("id.orig_h", To::Ip("src_endpoint")),
    ("id.orig_p", To::Int("src_endpoint.port")),
    ("id.resp_h", To::Ip("dst_endpoint")),
    ("id.resp_p", To::Int("dst_endpoint.port")),
    ("_path", To::Text("metadata.event_code")),
];

/// The same for classes that are not about the connection.
const PEERS: Rows = &[
    ("uid", To::Text("metadata.correlation_uid")),
    ("id.orig_h", To::Ip("src_endpoint")),
    ("id.orig_p", To::Int("src_endpoint.port")),
    ("id.resp_h", To::Ip("dst_endpoint")),
    ("id.resp_p", To::Int("dst_endpoint.port")),
    ("_path", To::Text("metadata.event_code")),
];

const CONN: Rows = &[
    ("orig_bytes", To::Int("traffic.bytes_out")),
    ("resp_bytes", To::Int("traffic.bytes_in")),
    ("missed_bytes", To::Int("traffic.bytes_missed")),
    ("orig_pkts", To::Int("traffic.packets_out")),
    ("resp_pkts", To::Int("traffic.packets_in")),
    ("history", To::Text("connection_info.flag_history")),
    ("service", To::Text("app_name")),
    ("conn_state", To::Text("status_code")),
];

const DNS: Rows = &[
    ("query", To::Text("query.hostname")),
    ("qtype_name", To::Text("query.type")),
    ("qclass_name", To::Text("query.class")),
    ("trans_id", To::Int("query.packet_uid")),
    ("rcode_name", To::Text("rcode")),
];

const HTTP: Rows = &[
    ("method", To::Text("http_request.http_method")),
    ("uri", To::Url("http_request.url")),
    ("host", To::Text("http_request.url.hostname")),
    ("user_agent", To::Text("http_request.user_agent")),
    ("referrer", To::Text("http_request.referrer")),
    ("version", To::Text("http_request.version")),
    ("request_body_len", To::Int("http_request.body_length")),
    ("status_code", To::Int("http_response.code")),
    ("status_msg", To::Text("http_response.message")),
    ("response_body_len", To::Int("http_response.body_length")),
];

const SSL: Rows = &[
    ("version", To::Text("tls.version")),
    ("cipher", To::Text("tls.cipher")),
    ("server_name", To::Text("tls.sni")),
    ("subject", To::Text("tls.certificate.subject")),
    ("issuer", To::Text("tls.certificate.issuer")),
    ("validation_status", To::Text("status_detail")),
];

const SSH: Rows = &[("version", To::Text("protocol_ver")), ("auth_success", To::Known)];
const FTP: Rows = &[("command", To::Text("command")), ("arg", To::Text("name"))];
const RDP: Rows =
    &[("cookie", To::Text("identifier_cookie")), ("client_name", To::Text("src_endpoint.hostname"))];

const SMTP: Rows = &[
    ("helo", To::Text("smtp_hello")),
    ("mailfrom", To::Text("email.smtp_from")),
    ("rcptto", To::Text("email.smtp_to[]")),
    ("from", To::Text("email.from")),
    ("to", To::Text("email.to[]")),
    ("subject", To::Text("email.subject")),
    ("msg_id", To::Text("email.message_uid")),
];

const SMB_FILES: Rows = &[
    ("action", To::Text("command")),
    ("path", To::Text("share")),
    ("name", To::File("file")),
    ("size", To::Int("file.size")),
];

const SMB_MAPPING: Rows = &[("path", To::Text("share")), ("share_type", To::Text("share_type"))];

const KERBEROS: Rows = &[
    ("client", To::Text("user.name")),
    ("service", To::Text("service.name")),
    ("error_msg", To::Text("status_detail")),
];

const NTLM: Rows = &[
    ("username", To::User("user")),
    ("domainname", To::Text("user.domain")),
    ("hostname", To::Text("src_endpoint.hostname")),
    ("server_nb_computer_name", To::Text("dst_endpoint.hostname")),
];

const DHCP: Rows = &[
    ("client_addr", To::Ip("src_endpoint")),
    ("assigned_addr", To::Ip("src_endpoint")),
    ("requested_addr", To::Ip("src_endpoint")),
    ("mac", To::Text("src_endpoint.mac")),
    ("host_name", To::Text("src_endpoint.hostname")),
    ("server_addr", To::Ip("dst_endpoint")),
    ("_path", To::Text("metadata.event_code")),
];

const FILES: Rows = &[
    ("tx_hosts", To::Ip("src_endpoint")),
    ("rx_hosts", To::Ip("dst_endpoint")),
    ("source", To::Text("actor.app_name")),
    ("fuid", To::Text("file.uid")),
    ("filename", To::File("file")),
    ("mime_type", To::Text("file.mime_type")),
    ("total_bytes", To::Int("file.size")),
    ("md5", To::Hashes("file")),
    ("sha1", To::Hashes("file")),
    ("sha256", To::Hashes("file")),
    ("_path", To::Text("metadata.event_code")),
];

const NOTICE: Rows = &[
    ("note", To::Text("finding_info.title")),
    ("note", To::Text("finding_info.analytic.name")),
    ("note", To::Text("finding_info.analytic.uid")),
    ("msg", To::Text("finding_info.desc")),
    ("msg", To::Text("message")),
    ("sub", To::Text("status_detail")),
    ("src", To::Ip("evidences[].src_endpoint")),
    ("id.orig_h", To::Ip("evidences[].src_endpoint")),
    ("id.orig_p", To::Int("evidences[].src_endpoint.port")),
    ("dst", To::Ip("evidences[].dst_endpoint")),
    ("id.resp_h", To::Ip("evidences[].dst_endpoint")),
    ("id.resp_p", To::Int("evidences[].dst_endpoint.port")),
    ("uid", To::Text("evidences[].connection_info.uid")),
    ("_path", To::Text("metadata.event_code")),
];

const WEIRD: Rows = &[("name", To::Text("message")), ("addl", To::Text("status_detail"))];
const DCE_RPC: Rows = &[("endpoint", To::Text("app_name")), ("operation", To::Text("message"))];

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
    let none: Option<fn(&mut Mapper<'_>)> = None;
    let mut kinds: FxHashMap<&str, Kind> = FxHashMap::default();
    kinds.insert("conn", kind(ocsf::NETWORK_ACTIVITY, 6, &[ENDS, CONN], Some(conn as fn(&mut Mapper<'_>))));
    kinds.insert("dns", kind(ocsf::DNS_ACTIVITY, 1, &[ENDS, DNS], Some(dns)));
    kinds.insert("http", kind(ocsf::HTTP_ACTIVITY, 0, &[ENDS, HTTP], Some(http)));
    kinds.insert("ssl", kind(ocsf::NETWORK_ACTIVITY, 6, &[ENDS, SSL], Some(ssl)));
    kinds.insert("ssh", kind(ocsf::SSH_ACTIVITY, 6, &[ENDS, SSH], Some(ssh)));
    kinds.insert("ftp", kind(ocsf::FTP_ACTIVITY, 99, &[ENDS, FTP], Some(ftp)));
    kinds.insert("rdp", kind(ocsf::RDP_ACTIVITY, 6, &[ENDS, RDP], none));
    kinds.insert("smtp", kind(ocsf::EMAIL_ACTIVITY, 1, &[PEERS, SMTP], Some(smtp)));
    kinds.insert("smb_files", kind(ocsf::SMB_ACTIVITY, 99, &[ENDS, SMB_FILES], Some(smb_files)));
    kinds.insert("smb_mapping", kind(ocsf::SMB_ACTIVITY, 99, &[ENDS, SMB_MAPPING], none));
    kinds.insert("kerberos", kind(ocsf::AUTHENTICATION, 3, &[PEERS, KERBEROS], Some(kerberos)));
    kinds.insert("ntlm", kind(ocsf::AUTHENTICATION, 1, &[PEERS, NTLM], Some(ntlm)));
    kinds.insert("dhcp", kind(ocsf::DHCP_ACTIVITY, 99, &[DHCP], Some(dhcp)));
    kinds.insert("files", kind(ocsf::NETWORK_FILE_ACTIVITY, 2, &[FILES], Some(file)));
    kinds.insert("notice", kind(ocsf::DETECTION_FINDING, 1, &[NOTICE], Some(notice)));
    kinds.insert("weird", kind(ocsf::NETWORK_ACTIVITY, 6, &[ENDS, WEIRD], none));
    kinds.insert("dce_rpc", kind(ocsf::NETWORK_ACTIVITY, 6, &[ENDS, DCE_RPC], none));
    kinds
});

/// A log without a class of its own.
static OTHER: LazyLock<Table> = LazyLock::new(|| Table::new(ENDS));

paths! {
    time = "ts";
    write_time = "_write_ts";
    path = "_path";
    orig = "id.orig_h";
    conn_state = "conn_state";
    duration = "duration";
    local_orig = "local_orig";
    local_resp = "local_resp";
    rcode = "rcode";
    answers = "answers";
    established = "established";
    ja3 = "ja3";
    ja3s = "ja3s";
    auth_success = "auth_success";
    reply_code = "reply_code";
    action = "action";
    request_type = "request_type";
    success = "success";
    msg_types = "msg_types";
    lease_time = "lease_time";

    status_id = "status_id";
    direction_id = "connection_info.direction_id";
    event_duration = "duration";
    rcode_name = "rcode";
    rcode_id = "rcode_id";
    rdata = "answers[].rdata";
    method = "http_request.http_method";
    response_code = "http_response.code";
    tls_version = "tls.version";
    ja3_value = "tls.ja3_hash.value";
    ja3_algorithm = "tls.ja3_hash.algorithm_id";
    ja3s_value = "tls.ja3s_hash.value";
    ja3s_algorithm = "tls.ja3s_hash.algorithm_id";
    code = "codes[]";
    user = "user.name";
    user_domain = "user.domain";
    auth_protocol = "auth_protocol";
    auth_protocol_id = "auth_protocol_id";
    lease_dur = "lease_dur";
    file_name = "file.name";
    file_uid = "file.uid";
    file_type = "file.type_id";
    app_name = "actor.app_name";
    finding_uid = "finding_info.uid";
    finding_title = "finding_info.title";
    analytic_type = "finding_info.analytic.type_id";
    is_alert = "is_alert";
    mail_direction = "direction_id";
    smtp_hello = "smtp_hello";
    smtp_from = "email.smtp_from";
    smtp_to = "email.smtp_to[]";
    mail_from = "email.from";
    mail_to = "email.to[]";
    mail_subject = "email.subject";
    mail_uid = "email.message_uid";
    query_name = "query.hostname";
    query_type = "query.type";
    query_class = "query.class";
    query_uid = "query.packet_uid";
    evidence_uid = "evidences[].connection_info.uid";
    evidence_direction = "evidences[].connection_info.direction_id";
}

/// Maps a record of any log.
pub(super) fn map(mapper: &mut Mapper<'_>) {
    let paths = &*PATHS;
    if !mapper.time(paths.time) {
        mapper.time(paths.write_time);
    }
    let kind = mapper.record.fields.text(paths.path).and_then(|log| KINDS.get(log));
    let Some(kind) = kind else {
        if mapper.record.fields.get(paths.orig).is_some() {
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

fn seconds(value: Value<'_>) -> Option<f64> {
    match value {
        Value::Float(number) => Some(number),
        #[expect(clippy::cast_precision_loss, reason = "seconds of a connection")]
        Value::Int(number) => Some(number as f64),
        Value::Str(text) => text.parse().ok(),
        _ => None,
    }
}

fn flag(mapper: &mut Mapper<'_>, path: PathId) -> Option<bool> {
    match mapper.take(path)? {
        Value::Bool(flag) => Some(flag),
        Value::Str("T" | "true") => Some(true),
        Value::Str("F" | "false") => Some(false),
        _ => None,
    }
}

fn put_status(mapper: &mut Mapper<'_>, succeeded: Option<bool>) {
    if let Some(succeeded) = succeeded {
        mapper.put(PATHS.status_id, if succeeded { 1_i64 } else { 2 });
    }
}

fn conn(mapper: &mut Mapper<'_>) {
    let paths = &*PATHS;
    // The states of Zeek's conn.log: rejected, never answered, reset.
    let activity = match mapper.take_text(paths.conn_state).as_deref() {
        Some("REJ") => 5,
        Some("S0") => 4,
        Some("RSTO" | "RSTR" | "RSTOS0" | "RSTRH") => 3,
        _ => 6,
    };
    mapper.class(ocsf::NETWORK_ACTIVITY, activity);
    if let Some(duration) = mapper.take(paths.duration).and_then(seconds) {
        #[expect(clippy::cast_possible_truncation, reason = "saturates")]
        mapper.put(paths.event_duration, (duration * 1000.0).round() as i64);
    }
    let direction = match (flag(mapper, paths.local_orig), flag(mapper, paths.local_resp)) {
        (Some(true), Some(true)) => 3_i64,
        (Some(true), Some(false)) => 2,
        (Some(false), Some(true)) => 1,
        _ => return,
    };
    mapper.put(paths.direction_id, direction);
}

fn dns(mapper: &mut Mapper<'_>) {
    let paths = &*PATHS;
    if let Some(rcode) = mapper.event.attributes.text(paths.rcode_name).map(network::dns_rcode) {
        // Question and answer in one record.
        mapper.class(ocsf::DNS_ACTIVITY, 6);
        mapper.put(paths.rcode_id, rcode);
        mapper.put(paths.status_id, if rcode == 0 { 1_i64 } else { 2 });
    }
    mapper.used(paths.rcode);
    if !mapper.has(paths.query_name) {
        // An answer alone, without the question it belongs to.
        for path in [paths.query_type, paths.query_class, paths.query_uid] {
            mapper.event.attributes.remove(path);
        }
    }
    let answers: Vec<_> = mapper.record.fields.get_all(paths.answers).map(|data| data.to_text()).collect();
    for answer in answers.iter().filter(|answer| !answer.is_empty()) {
        mapper.used(paths.answers);
        mapper.put(paths.rdata, answer.as_ref());
    }
}

fn http(mapper: &mut Mapper<'_>) {
    let activity = mapper.event.attributes.text(PATHS.method).map_or(0, network::http_activity);
    mapper.class(ocsf::HTTP_ACTIVITY, activity);
    let code = mapper.event.attributes.get(PATHS.response_code).and_then(integer);
    put_status(mapper, code.map(|code| code < 400));
}

fn ssl(mapper: &mut Mapper<'_>) {
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
    let established = flag(mapper, paths.established);
    put_status(mapper, established);
}

fn ssh(mapper: &mut Mapper<'_>) {
    let success = flag(mapper, PATHS.auth_success);
    put_status(mapper, success);
}

fn ftp(mapper: &mut Mapper<'_>) {
    if let Some(code) = mapper.take(PATHS.reply_code).and_then(integer) {
        mapper.put(PATHS.code, code);
        put_status(mapper, Some(code < 400));
    }
}

fn smb_files(mapper: &mut Mapper<'_>) {
    if mapper.take_text(PATHS.action).is_some_and(|action| action == "SMB::FILE_OPEN") {
        mapper.class(ocsf::SMB_ACTIVITY, 2);
    }
}

/// A conversation without a mail in it is mere traffic.
fn smtp(mapper: &mut Mapper<'_>) {
    let paths = &*PATHS;
    mapper.put(paths.mail_direction, 0_i64);
    if [paths.smtp_from, paths.smtp_to, paths.mail_from, paths.mail_to].iter().any(|path| mapper.has(*path)) {
        return;
    }
    for path in [paths.mail_direction, paths.smtp_hello, paths.mail_subject, paths.mail_uid] {
        mapper.event.attributes.remove(path);
    }
    mapper.class(ocsf::NETWORK_ACTIVITY, 6);
}

/// The client reads `user/REALM`.
fn kerberos(mapper: &mut Mapper<'_>) {
    let paths = &*PATHS;
    if mapper.take_text(paths.request_type).is_some_and(|kind| kind == "TGS") {
        mapper.class(ocsf::AUTHENTICATION, 4);
    }
    let client = mapper.event.attributes.text(paths.user).map(str::to_owned);
    if let Some((name, realm)) = client.as_deref().and_then(|client| client.rsplit_once('/')) {
        mapper.event.attributes.set(paths.user, name);
        mapper.put(paths.user_domain, realm);
    }
    mapper.default(paths.user, "unknown");
    mapper.put(paths.auth_protocol, "Kerberos");
    mapper.put(paths.auth_protocol_id, 2_i64);
    let success = flag(mapper, paths.success);
    put_status(mapper, success);
}

fn ntlm(mapper: &mut Mapper<'_>) {
    mapper.default(PATHS.user, "unknown");
    mapper.put(PATHS.auth_protocol, "NTLM");
    mapper.put(PATHS.auth_protocol_id, 1_i64);
    let success = flag(mapper, PATHS.success);
    put_status(mapper, success);
}

/// A record holds a whole conversation; the last message says how it went.
fn dhcp(mapper: &mut Mapper<'_>) {
    let last = mapper.record.fields.get_all(PATHS.msg_types).last().map(|kind| kind.to_text());
    if let Some(last) = last {
        mapper.used(PATHS.msg_types);
        mapper.class(ocsf::DHCP_ACTIVITY, network::dhcp_activity(&last));
    }
    if let Some(lease) = mapper.take(PATHS.lease_time).and_then(seconds) {
        #[expect(clippy::cast_possible_truncation, reason = "saturates")]
        mapper.put(PATHS.lease_dur, lease.round() as i64);
    }
}

fn file(mapper: &mut Mapper<'_>) {
    let paths = &*PATHS;
    let uid = mapper.event.attributes.text(paths.file_uid).map(str::to_owned);
    mapper.default(paths.file_name, uid.as_deref().unwrap_or("unknown"));
    mapper.default(paths.file_type, 1_i64);
    mapper.default(paths.app_name, "unknown");
}

fn notice(mapper: &mut Mapper<'_>) {
    let paths = &*PATHS;
    mapper.event.severity = Severity::Medium;
    let uid = mapper.event.uid.to_string();
    mapper.put(paths.finding_uid, uid.as_str());
    mapper.default(paths.finding_title, "Zeek notice");
    mapper.put(paths.analytic_type, 1_i64);
    mapper.put(paths.is_alert, true);
    if mapper.has(paths.evidence_uid) {
        mapper.put(paths.evidence_direction, 0_i64);
    }
}

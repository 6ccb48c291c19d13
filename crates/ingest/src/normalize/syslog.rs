//! Syslog: what `syslog.auth.*` says becomes Authentication, Process Activity, Account Change, Group Management,
//! Scheduled Job Activity or SSH Activity; error lines of web servers become HTTP or Network Activity; all else stays
//! a Base Event with its message.

use std::sync::LazyLock;

use wanglou_model::{PathId, ocsf};

use super::mapping::{Mapper, Table, To, base_name};
use super::network::{http_activity, put_request};
use super::{generic, paths};
use crate::decode::syslog::auth::event;

static HEADER: LazyLock<Table> = LazyLock::new(|| {
    Table::new(&[
        ("syslog.host", To::Ip("device")),
        ("syslog.app", To::Text("metadata.log_name")),
        ("syslog.message", To::Text("message")),
        ("syslog.msgid", To::Text("metadata.event_code")),
    ])
});

/// What an account or session is about.
static AUTH: LazyLock<Table> = LazyLock::new(|| {
    Table::new(&[
        ("syslog.auth.event", To::Text("metadata.event_code")),
        ("syslog.auth.src_ip", To::Ip("src_endpoint")),
        ("syslog.auth.src_host", To::Ip("src_endpoint")),
        ("syslog.auth.src_port", To::Int("src_endpoint.port")),
        ("syslog.auth.reason", To::Text("status_detail")),
        ("syslog.auth.repeat", To::Int("count")),
    ])
});

static LOGGED_IN: LazyLock<Table> = LazyLock::new(|| {
    Table::new(&[
        ("syslog.auth.user", To::Text("user.name")),
        ("syslog.auth.method", To::Text("auth_protocol")),
        ("syslog.auth.service", To::Text("service.name")),
        ("syslog.app", To::Text("service.name")),
        ("syslog.auth.tty", To::Text("session.terminal")),
    ])
});

static SWITCHED: LazyLock<Table> = LazyLock::new(|| {
    Table::new(&[
        ("syslog.auth.user", To::Text("actor.user.name")),
        ("syslog.auth.target_user", To::Text("user.name")),
        ("syslog.auth.service", To::Text("service.name")),
        ("syslog.app", To::Text("service.name")),
        ("syslog.auth.tty", To::Text("session.terminal")),
    ])
});

static CHANGED: LazyLock<Table> = LazyLock::new(|| {
    Table::new(&[
        ("syslog.auth.user", To::Text("actor.user.name")),
        ("syslog.auth.target_user", To::Text("user.name")),
        ("syslog.auth.group", To::Text("group.name")),
    ])
});

static SUDO: LazyLock<Table> = LazyLock::new(|| {
    Table::new(&[
        ("syslog.auth.user", To::Text("actor.user.name")),
        ("syslog.auth.tty", To::Text("actor.session.terminal")),
        ("syslog.auth.target_user", To::Text("process.user.name")),
        ("syslog.auth.group", To::Text("process.group.name")),
        ("syslog.auth.command", To::Text("process.cmd_line")),
        ("syslog.auth.pwd", To::Text("process.working_directory")),
    ])
});

static JOB: LazyLock<Table> = LazyLock::new(|| {
    Table::new(&[
        ("syslog.auth.user", To::Text("job.user.name")),
        ("syslog.auth.command", To::Text("job.cmd_line")),
    ])
});

paths! {
    timestamp = "syslog.timestamp";
    severity = "syslog.severity";
    app = "syslog.app";
    pid = "syslog.pid";
    auth_event = "syslog.auth.event";
    result = "syslog.auth.result";
    reason = "syslog.auth.reason";
    service = "syslog.auth.service";
    command = "syslog.auth.command";
    client = "client";
    client_port = "client_port";
    request = "request";
    host = "host";
    referrer = "referrer";

    status_id = "status_id";
    device_host = "device.hostname";
    device_ip = "device.ip";
    actor_name = "actor.process.name";
    actor_pid = "actor.process.pid";
    user_name = "user.name";
    group_name = "group.name";
    auth_protocol = "auth_protocol";
    auth_protocol_id = "auth_protocol_id";
    logon_type_id = "logon_type_id";
    is_remote = "is_remote";
    switch_type = "account_switch_type_id";
    src_ip = "src_endpoint.ip";
    src_host = "src_endpoint.hostname";
    src_port = "src_endpoint.port";
    process_name = "process.name";
    process_path = "process.file.path";
    process_file = "process.file.name";
    process_type = "process.file.type_id";
    process_uid = "process.uid";
    job_type = "job.type_id";
    job_name = "job.name";
    url_host = "http_request.url.hostname";
    http_referrer = "http_request.referrer";
}

/// Maps a record.
pub(super) fn map(mapper: &mut Mapper<'_>) {
    let paths = &*PATHS;
    mapper.time(paths.timestamp);
    if let Some(severity) = mapper.record.fields.get(paths.severity).and_then(generic::severity) {
        mapper.event.severity = severity;
        mapper.used(paths.severity);
    }
    mapper.apply(&HEADER);
    match mapper.record.fields.text(paths.auth_event) {
        Some(what) => auth(mapper, what),
        None if mapper.record.fields.get(paths.client).is_some() => web_error(mapper),
        None => {}
    }
    if let Some(pid) = mapper.record.fields.get(paths.pid).and_then(super::mapping::integer)
        && let Some(app) = mapper.take_text(paths.app)
    {
        mapper.used(paths.pid);
        mapper.put(paths.actor_name, base_name(&app));
        mapper.put(paths.actor_pid, pid);
    }
}

fn auth(mapper: &mut Mapper<'_>, what: &str) {
    let paths = &*PATHS;
    mapper.apply(&AUTH);
    match mapper.take_text(paths.result).as_deref() {
        Some("success") => mapper.put(paths.status_id, 1_i64),
        Some("failure") => mapper.put(paths.status_id, 2_i64),
        _ => {}
    }
    let service = mapper.record.fields.text(paths.service).unwrap_or_default();
    let switches = matches!(service, "su" | "su-l" | "sudo" | "sudo-i");
    match what {
        event::LOGIN => logon(mapper, 1),
        event::PAM_AUTH | event::SESSION_OPEN if switches => switch(mapper),
        event::PAM_AUTH | event::SESSION_OPEN => logon(mapper, 1),
        event::SESSION_CLOSE => logon(mapper, 2),
        event::SU => switch(mapper),
        event::SUDO if mapper.record.fields.get(paths.command).is_some() => sudo(mapper),
        event::SUDO => switch(mapper),
        event::CRON => job(mapper),
        event::CONNECTION => connection(mapper),
        event::USER_ADD => account(mapper, 1),
        event::USER_DELETE => account(mapper, 6),
        event::PASSWORD_CHANGE => account(mapper, 3),
        event::USER_MODIFY => account(mapper, 99),
        event::GROUP_ADD => group(mapper, 6),
        event::GROUP_DELETE => group(mapper, 5),
        event::GROUP_MEMBER_ADD => group(mapper, 3),
        event::GROUP_MEMBER_REMOVE => group(mapper, 4),
        _ => {}
    }
}

fn logon(mapper: &mut Mapper<'_>, activity: u32) {
    let paths = &*PATHS;
    mapper.class(ocsf::AUTHENTICATION, activity);
    mapper.apply(&LOGGED_IN);
    mapper.default(paths.user_name, "unknown");
    if mapper.has(paths.auth_protocol) {
        // `password`, `publickey`: methods of SSH (RFC 4252), which OCSF has no number for.
        mapper.put(paths.auth_protocol_id, 99_i64);
    }
    if mapper.has(paths.src_ip) || mapper.has(paths.src_host) {
        mapper.put(paths.is_remote, true);
        mapper.put(paths.logon_type_id, 10_i64);
    }
}

fn switch(mapper: &mut Mapper<'_>) {
    let paths = &*PATHS;
    mapper.class(ocsf::AUTHENTICATION, 7);
    mapper.apply(&SWITCHED);
    mapper.default(paths.user_name, "root");
    mapper.put(paths.switch_type, 1_i64);
}

fn sudo(mapper: &mut Mapper<'_>) {
    let paths = &*PATHS;
    mapper.class(ocsf::PROCESS_ACTIVITY, 1);
    mapper.apply(&SUDO);
    if let Some(command) = mapper.record.fields.text(paths.command) {
        let program = command.split(' ').next().unwrap_or(command);
        mapper.put(paths.process_name, base_name(program));
        mapper.put(paths.process_path, program);
        mapper.put(paths.process_file, base_name(program));
        mapper.put(paths.process_type, 1_i64);
    }
    // sudo does not say what process id the command got.
    let uid = mapper.event.uid.to_string();
    mapper.put(paths.process_uid, uid.as_str());
    require_device(mapper);
}

fn job(mapper: &mut Mapper<'_>) {
    let paths = &*PATHS;
    mapper.class(ocsf::SCHEDULED_JOB_ACTIVITY, 6);
    mapper.apply(&JOB);
    mapper.put(paths.job_type, 2_i64);
    if let Some(command) = mapper.record.fields.text(paths.command) {
        let program = command.split(' ').next().unwrap_or(command);
        mapper.put(paths.job_name, base_name(program));
    }
    require_device(mapper);
}

/// A connection that ended, or was turned away, before a log-in was judged. Whose name it gave proves nothing and
/// stays unmapped.
fn connection(mapper: &mut Mapper<'_>) {
    let paths = &*PATHS;
    if !mapper.has(paths.src_ip) && !mapper.has(paths.src_host) {
        return;
    }
    let activity = match mapper.record.fields.text(paths.reason).unwrap_or_default() {
        "connected" => 1,
        "connection closed" | "disconnected by peer" => 2,
        "refused" => 5,
        _ => 4,
    };
    mapper.class(ocsf::SSH_ACTIVITY, activity);
}

fn account(mapper: &mut Mapper<'_>, activity: u32) {
    mapper.class(ocsf::ACCOUNT_CHANGE, activity);
    mapper.apply(&CHANGED);
    mapper.default(PATHS.user_name, "unknown");
}

fn group(mapper: &mut Mapper<'_>, activity: u32) {
    mapper.class(ocsf::GROUP_MANAGEMENT, activity);
    mapper.apply(&CHANGED);
    mapper.default(PATHS.group_name, "unknown");
}

/// System classes require a device.
fn require_device(mapper: &mut Mapper<'_>) {
    let paths = &*PATHS;
    if !mapper.has(paths.device_ip) {
        mapper.default(paths.device_host, "unknown");
    }
}

/// An error line of nginx or Apache that names the client.
fn web_error(mapper: &mut Mapper<'_>) {
    let paths = &*PATHS;
    let Some(client) = mapper.take_text(paths.client) else { return };
    match wanglou_model::canonical_ip(&client) {
        Some(address) => mapper.put(paths.src_ip, address.as_str()),
        None => mapper.put(paths.src_host, client.as_ref()),
    }
    if let Some(port) = mapper.take(paths.client_port).and_then(super::mapping::integer) {
        mapper.put(paths.src_port, port);
    }
    let Some(request) = mapper.take_text(paths.request) else {
        return mapper.class(ocsf::NETWORK_ACTIVITY, 6);
    };
    let method = put_request(mapper, &request);
    mapper.class(ocsf::HTTP_ACTIVITY, http_activity(method));
    if let Some(host) = mapper.take_text(paths.host) {
        mapper.default(paths.url_host, host.as_ref());
    }
    if let Some(referrer) = mapper.take_text(paths.referrer) {
        mapper.put(paths.http_referrer, referrer.as_ref());
    }
}

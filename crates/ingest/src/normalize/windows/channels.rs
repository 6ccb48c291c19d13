//! System, PowerShell, Defender, Task Scheduler and Remote Desktop logs.

use std::sync::LazyLock;

use wanglou_model::{PathId, Severity, ocsf};

use super::super::mapping::{Mapper, To, integer};
use super::{Field, Log, Row, Rule, Shape, fields, paths};
use super::{reporting_host_is_destination, succeeded};

const INSTALLED: &[Row] = &[
    ("ServiceName", To::Text("win_service.name")),
    ("ImagePath", To::Text("win_service.cmd_line")),
    ("AccountName", To::Text("win_service.service_start_name")),
    ("StartType", To::Text("win_service.service_start_type")),
    ("ServiceType", To::Text("win_service.service_type")),
];

/// Service Control Manager messages number their parameters; the first is the service.
const SERVICE: &[Row] = &[("param1", To::Text("win_service.name"))];

const CLEARED: &[Row] = &[
    ("LogFileCleared/SubjectUserName", To::User("actor.user")),
    ("LogFileCleared/SubjectDomainName", To::Text("actor.user.domain")),
    ("LogFileCleared/Channel", To::Text("log_name")),
];

const SCRIPT: &[Row] = &[
    ("ScriptBlockText", To::Text("script.script_content.value")),
    ("Payload", To::Text("script.script_content.value")),
    ("ScriptBlockId", To::Text("script.uid")),
    ("Path", To::File("script.file")),
];

const THREAT: &[Row] = &[
    ("Detection ID", To::Text("finding_info.uid")),
    ("Threat ID", To::Text("malware[].uid")),
    ("Threat Name", To::Text("finding_info.title")),
    ("Threat Name", To::Text("malware[].name")),
    ("Category Name", To::Text("malware[].classifications[]")),
    ("Path", To::File("evidences[].file")),
    ("Process Name", To::Image("evidences[].process")),
    ("Detection User", To::User("evidences[].user")),
    ("Action Name", To::Text("status_detail")),
    ("Detection Time", To::Time("finding_info.created_time")),
];

const TASK: &[Row] = &[
    ("TaskName", To::Text("job.name")),
    ("ActionName", To::Text("job.cmd_line")),
    ("Path", To::Text("job.cmd_line")),
    ("UserContext", To::User("actor.user")),
    ("UserName", To::User("actor.user")),
    ("EnginePID", To::Int("actor.process.pid")),
];

const SESSION: &[Row] = &[
    ("EventXML/User", To::User("user")),
    ("EventXML/Address", To::Ip("src_endpoint")),
    ("EventXML/SessionID", To::Text("session.uid")),
    ("EventXML/Param1", To::User("user")),
    ("EventXML/Param2", To::Text("user.domain")),
    ("EventXML/Param3", To::Ip("src_endpoint")),
];

/// The Background Intelligent Transfer Service fetches over HTTP.
const TRANSFER: &[Row] = &[
    ("url", To::Url("http_request.url")),
    ("bytesTransferred", To::Int("traffic.bytes_in")),
    ("hr", To::Text("status_code")),
];

const fn rule(
    log: Log,
    ids: &'static [i64],
    class: u32,
    activity: u32,
    rows: &'static [&'static [Row]],
    then: Option<fn(&mut Mapper<'_>, Shape)>,
) -> Rule {
    Rule { log, ids, class, activity, rows, then }
}

pub(super) const RULES: &[Rule] = &[
    rule(Log::System, &[104], ocsf::EVENT_LOG_ACTIVITY, 1, &[CLEARED], Some(succeeded)),
    rule(Log::System, &[6005], ocsf::EVENT_LOG_ACTIVITY, 6, &[], Some(system_log)),
    rule(Log::System, &[6006], ocsf::EVENT_LOG_ACTIVITY, 7, &[], Some(system_log)),
    rule(Log::System, &[7045], ocsf::WINDOWS_SERVICE_ACTIVITY, 1, &[INSTALLED], Some(succeeded)),
    rule(Log::System, &[7036], ocsf::WINDOWS_SERVICE_ACTIVITY, 3, &[SERVICE], Some(service_state)),
    rule(Log::System, &[7040], ocsf::WINDOWS_SERVICE_ACTIVITY, 2, &[SERVICE], Some(service_start_type)),
    rule(Log::System, &[7031, 7034], ocsf::WINDOWS_SERVICE_ACTIVITY, 4, &[SERVICE], Some(service)),
    rule(Log::System, &[7000, 7009], ocsf::WINDOWS_SERVICE_ACTIVITY, 3, &[SERVICE], Some(service_failed)),
    rule(Log::PowerShell, &[4103, 4104], ocsf::SCRIPT_ACTIVITY, 1, &[SCRIPT], Some(script)),
    rule(Log::PowerShell, &[400, 600, 800], ocsf::SCRIPT_ACTIVITY, 1, &[], Some(engine)),
    rule(
        Log::Defender,
        &[1006, 1007, 1008, 1015, 1116, 1117, 1118, 1119],
        ocsf::DETECTION_FINDING,
        1,
        &[THREAT],
        Some(threat),
    ),
    rule(Log::TaskScheduler, &[106], ocsf::SCHEDULED_JOB_ACTIVITY, 1, &[TASK], Some(task)),
    rule(Log::TaskScheduler, &[140], ocsf::SCHEDULED_JOB_ACTIVITY, 2, &[TASK], Some(task)),
    rule(Log::TaskScheduler, &[141], ocsf::SCHEDULED_JOB_ACTIVITY, 3, &[TASK], Some(task)),
    rule(Log::TaskScheduler, &[142], ocsf::SCHEDULED_JOB_ACTIVITY, 5, &[TASK], Some(task)),
    rule(Log::TaskScheduler, &[100, 110, 129, 200], ocsf::SCHEDULED_JOB_ACTIVITY, 6, &[TASK], Some(task)),
    rule(Log::TerminalServices, &[21, 25, 1149], ocsf::AUTHENTICATION, 1, &[SESSION], Some(session)),
    rule(Log::TerminalServices, &[131], ocsf::RDP_ACTIVITY, 3, &[], Some(client)),
    rule(Log::Bits, &[59, 60, 61], ocsf::HTTP_ACTIVITY, 3, &[TRANSFER], Some(transferred)),
    rule(Log::TerminalServices, &[23, 24], ocsf::AUTHENTICATION, 2, &[SESSION], Some(session)),
];

fields! {
    STATE = "param2";
    NEW_START_TYPE = "param3";
    CONTEXT = "ContextInfo";
    DATA = "Data";
    SEVERITY = "Severity ID";
    CLIENT_IP = "ClientIP";
}

paths! {
    status_id = "status_id";
    log_name = "log_name";
    service_type = "win_service.service_type_id";
    start_type = "win_service.service_start_type";
    script_type = "script.type_id";
    script_content = "script.script_content.value";
    actor_cmd = "actor.process.cmd_line";
    actor_user = "actor.user.name";
    actor_domain = "actor.user.domain";
    job_type = "job.type_id";
    logon_type = "logon_type_id";
    is_remote = "is_remote";
    malware_class = "malware[].classification_ids[]";
    finding_uid = "finding_info.uid";
    finding_title = "finding_info.title";
    is_alert = "is_alert";
    event_number = "metadata.original_event_uid";
    device_host = "device.hostname";
    src_host = "src_endpoint.hostname";
    src_ip = "src_endpoint.ip";
    src_port = "src_endpoint.port";
}

fn system_log(mapper: &mut Mapper<'_>, _: Shape) {
    mapper.put(PATHS.log_name, "System");
}

/// The kind of service is not told, which OCSF wants said.
fn service(mapper: &mut Mapper<'_>, _: Shape) {
    mapper.put(PATHS.service_type, 0_i64);
}

fn service_failed(mapper: &mut Mapper<'_>, shape: Shape) {
    service(mapper, shape);
    mapper.put(PATHS.status_id, 2_i64);
}

fn service_state(mapper: &mut Mapper<'_>, shape: Shape) {
    service(mapper, shape);
    mapper.put(PATHS.status_id, 1_i64);
    let state = mapper.take_text(STATE.at(shape)).unwrap_or_default();
    // Windows writes the state in the system's language.
    let activity = match state.as_ref() {
        "running" | "正在运行" => 3,
        "stopped" | "已停止" | "停止" => 4,
        "paused" | "已暂停" => 5,
        _ => 99,
    };
    mapper.class(ocsf::WINDOWS_SERVICE_ACTIVITY, activity);
}

fn service_start_type(mapper: &mut Mapper<'_>, shape: Shape) {
    service(mapper, shape);
    mapper.put(PATHS.status_id, 1_i64);
    if let Some(kind) = mapper.take_text(NEW_START_TYPE.at(shape)) {
        mapper.put(PATHS.start_type, kind.as_ref());
    }
}

fn script(mapper: &mut Mapper<'_>, shape: Shape) {
    mapper.put(PATHS.script_type, 2_i64);
    mapper.default(PATHS.script_content, "");
    if let Some(context) = mapper.take_text(CONTEXT.at(shape)) {
        host_application(mapper, &context, " = ");
    }
}

/// Classic events carry `name=value` lines in unnamed data; the first data is what was run.
fn engine(mapper: &mut Mapper<'_>, shape: Shape) {
    mapper.put(PATHS.script_type, 2_i64);
    let data = DATA.at(shape);
    let texts: Vec<_> = mapper.record.fields.get_all(data).map(|value| value.to_text()).collect();
    if let Some(first) = texts.first() {
        mapper.used(data);
        mapper.put(PATHS.script_content, first.as_ref());
    }
    mapper.default(PATHS.script_content, "");
    for text in &texts {
        host_application(mapper, text, "=");
    }
}

/// Who ran what, in the context that PowerShell adds to its events.
fn host_application(mapper: &mut Mapper<'_>, context: &str, equals: &str) {
    for (name, value) in context.lines().filter_map(|line| line.trim().split_once(equals)) {
        let value = value.trim();
        match name.trim() {
            _ if value.is_empty() => {}
            "Host Application" | "HostApplication" => mapper.default(PATHS.actor_cmd, value),
            "User" | "UserId" => {
                let (domain, user) = super::super::mapping::split_user(value);
                mapper.default(PATHS.actor_user, user);
                if let Some(domain) = domain {
                    mapper.default(PATHS.actor_domain, domain);
                }
            }
            _ => {}
        }
    }
}

fn threat(mapper: &mut Mapper<'_>, shape: Shape) {
    mapper.event.severity = match mapper.take(SEVERITY.at(shape)).and_then(integer) {
        Some(1) => Severity::Low,
        Some(2) => Severity::Medium,
        Some(4) => Severity::High,
        Some(5) => Severity::Critical,
        _ => Severity::Medium,
    };
    mapper.put(PATHS.malware_class, 0_i64);
    mapper.put(PATHS.is_alert, true);
    // Old versions give a detection no id of its own.
    let number = mapper.event.attributes.get(PATHS.event_number).map(|value| value.to_text().into_owned());
    mapper.default(PATHS.finding_uid, number.as_deref().unwrap_or("unknown"));
    mapper.default(PATHS.finding_title, "Malware detected");
}

fn task(mapper: &mut Mapper<'_>, _: Shape) {
    mapper.put(PATHS.job_type, 1_i64);
    mapper.put(PATHS.status_id, 1_i64);
}

/// `LOCAL` stands for the console; addresses are of remote clients.
fn session(mapper: &mut Mapper<'_>, _: Shape) {
    mapper.put(PATHS.status_id, 1_i64);
    mapper.put(PATHS.logon_type, 10_i64);
    mapper.put(PATHS.is_remote, true);
    reporting_host_is_destination(mapper);
}

/// RdpCoreTS names the client as `address:port`.
fn client(mapper: &mut Mapper<'_>, shape: Shape) {
    reporting_host_is_destination(mapper);
    let Some(client) = mapper.take_text(CLIENT_IP.at(shape)) else { return };
    let (address, port) = client.rsplit_once(':').unwrap_or((&client, ""));
    if let Some(address) = wanglou_model::canonical_ip(address) {
        mapper.put(PATHS.src_ip, address.as_str());
    }
    if let Ok(port) = port.parse::<u16>() {
        mapper.put(PATHS.src_port, port);
    }
}

fn transferred(mapper: &mut Mapper<'_>, _: Shape) {
    if let Some(host) = mapper.event.attributes.text(PATHS.device_host).map(str::to_owned) {
        mapper.put(PATHS.src_host, host.as_str());
    }
}

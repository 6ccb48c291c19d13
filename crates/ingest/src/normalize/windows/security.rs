//! The Security log (Microsoft-Windows-Security-Auditing): logons, processes, accounts, groups, objects, shares.

use std::sync::LazyLock;

use wanglou_model::{PathId, ocsf};

use super::super::mapping::{Mapper, To, base_name, integer};
use super::{Field, Log, Row, Rule, Shape, fields, paths};
use super::{reporting_host_is_destination, status, succeeded};

/// The account that did it.
const SUBJECT: &[Row] = &[
    ("SubjectUserName", To::User("actor.user")),
    ("SubjectDomainName", To::Text("actor.user.domain")),
    ("SubjectUserSid", To::Text("actor.user.uid")),
    ("SubjectLogonId", To::Text("actor.session.uid")),
];

/// The account it was done to, or with.
const TARGET: &[Row] = &[
    ("TargetUserName", To::User("user")),
    ("TargetDomainName", To::Text("user.domain")),
    ("TargetUserSid", To::Text("user.uid")),
    ("TargetSid", To::Text("user.uid")),
];

const CLIENT: &[Row] = &[
    ("IpAddress", To::Ip("src_endpoint")),
    ("IpPort", To::Int("src_endpoint.port")),
    ("WorkstationName", To::Text("src_endpoint.hostname")),
    ("Workstation", To::Text("src_endpoint.hostname")),
    ("ClientAddress", To::Ip("src_endpoint")),
    ("ClientName", To::Text("src_endpoint.hostname")),
];

const LOGON: &[Row] = &[
    ("TargetLogonId", To::Text("session.uid")),
    ("LogonID", To::Text("session.uid")),
    ("AccountName", To::User("user")),
    ("AccountDomain", To::Text("user.domain")),
    ("LogonProcessName", To::Text("logon_process.name")),
    ("AuthenticationPackageName", To::Text("auth_protocol")),
    ("PackageName", To::Text("auth_protocol")),
    ("ProcessName", To::Image("actor.process")),
    ("ProcessId", To::Int("actor.process.pid")),
    ("FailureReason", To::Text("status_detail")),
];

const TICKET: &[Row] = &[("ServiceName", To::Text("service.name")), ("ServiceSid", To::Text("service.uid"))];
const EXPLICIT: &[Row] = &[("TargetServerName", To::Text("dst_endpoint.hostname"))];

const LAUNCH: &[Row] = &[
    ("NewProcessName", To::Image("process")),
    ("NewProcessId", To::Int("process.pid")),
    ("CommandLine", To::Text("process.cmd_line")),
    ("TargetUserName", To::User("process.user")),
    ("TargetDomainName", To::Text("process.user.domain")),
    ("ParentProcessName", To::Image("process.parent_process")),
    ("ProcessId", To::Int("process.parent_process.pid")),
    ("ParentProcessName", To::Image("actor.process")),
    ("ProcessId", To::Int("actor.process.pid")),
    ("MandatoryLabel", To::Text("process.integrity")),
];

const EXIT: &[Row] = &[
    ("ProcessName", To::Image("process")),
    ("ProcessId", To::Int("process.pid")),
    ("ProcessName", To::Image("actor.process")),
    ("ProcessId", To::Int("actor.process.pid")),
    ("Status", To::Int("exit_code")),
];

const SERVICE: &[Row] = &[
    ("ServiceName", To::Text("win_service.name")),
    ("ServiceFileName", To::Text("win_service.cmd_line")),
    ("ServiceAccount", To::Text("win_service.service_start_name")),
    ("ClientProcessId", To::Int("actor.process.pid")),
];

const TASK: &[Row] = &[
    ("TaskName", To::Text("job.name")),
    ("ClientProcessId", To::Int("actor.process.pid")),
    ("TaskContentNew", To::Known),
];

const ACCOUNT: &[Row] =
    &[("NewTargetUserName", To::User("user_result")), ("OldTargetUserName", To::User("user"))];

const GROUP: &[Row] = &[
    ("TargetUserName", To::Text("group.name")),
    ("TargetDomainName", To::Text("group.domain")),
    ("TargetSid", To::Text("group.uid")),
    ("MemberName", To::Text("user.name")),
    ("MemberSid", To::Text("user.uid")),
];

const PROCESS: &[Row] =
    &[("ProcessName", To::Image("actor.process")), ("ProcessId", To::Int("actor.process.pid"))];

const OBJECT: &[Row] = &[("ObjectName", To::File("file")), ("AccessMask", To::Int("access_mask"))];

const VALUE: &[Row] = &[
    ("ObjectName", To::Text("reg_value.path")),
    ("ObjectValueName", To::Text("reg_value.name")),
    ("NewValue", To::Text("reg_value.data")),
    ("OldValue", To::Text("prev_reg_value.data")),
];

const SHARE: &[Row] = &[("ShareName", To::Text("share")), ("RelativeTargetName", To::File("file"))];

const FILTERED: &[Row] = &[
    ("Application", To::Image("actor.process")),
    ("ProcessID", To::Int("actor.process.pid")),
    ("ProcessId", To::Int("actor.process.pid")),
    ("SourceAddress", To::Ip("src_endpoint")),
    ("SourcePort", To::Int("src_endpoint.port")),
    ("DestAddress", To::Ip("dst_endpoint")),
    ("DestPort", To::Int("dst_endpoint.port")),
    ("Protocol", To::Int("connection_info.protocol_num")),
];

const PRIVILEGES: &[Row] = &[
    ("SubjectUserName", To::User("user")),
    ("SubjectDomainName", To::Text("user.domain")),
    ("SubjectUserSid", To::Text("user.uid")),
    ("SubjectLogonId", To::Text("session.uid")),
];

const CLEARED: &[Row] = &[
    ("LogFileCleared/SubjectUserName", To::User("actor.user")),
    ("LogFileCleared/SubjectDomainName", To::Text("actor.user.domain")),
    ("LogFileCleared/SubjectUserSid", To::Text("actor.user.uid")),
    ("LogFileCleared/SubjectLogonId", To::Text("actor.session.uid")),
];

const fn rule(
    ids: &'static [i64],
    class: u32,
    activity: u32,
    rows: &'static [&'static [Row]],
    then: Option<fn(&mut Mapper<'_>, Shape)>,
) -> Rule {
    Rule { log: Log::Security, ids, class, activity, rows, then }
}

pub(super) const RULES: &[Rule] = &[
    rule(&[1102], ocsf::EVENT_LOG_ACTIVITY, 1, &[CLEARED], Some(cleared)),
    rule(&[4624], ocsf::AUTHENTICATION, 1, &[SUBJECT, TARGET, LOGON, CLIENT], Some(logged_on)),
    rule(&[4625], ocsf::AUTHENTICATION, 1, &[SUBJECT, TARGET, LOGON, CLIENT], Some(refused)),
    rule(&[4634, 4647], ocsf::AUTHENTICATION, 2, &[TARGET, LOGON], Some(logged_on)),
    rule(&[4648], ocsf::AUTHENTICATION, 1, &[SUBJECT, TARGET, LOGON, CLIENT, EXPLICIT], Some(explicit)),
    rule(&[4656, 4663], ocsf::FILE_ACTIVITY, 14, &[SUBJECT, PROCESS, OBJECT], Some(object)),
    rule(&[4657], ocsf::REGISTRY_VALUE_ACTIVITY, 3, &[SUBJECT, PROCESS, VALUE], Some(succeeded)),
    rule(&[4660], ocsf::FILE_ACTIVITY, 4, &[SUBJECT, PROCESS, OBJECT], Some(object)),
    rule(&[4672], ocsf::AUTHORIZE_SESSION, 1, &[PRIVILEGES], Some(privileges)),
    rule(&[4688], ocsf::PROCESS_ACTIVITY, 1, &[SUBJECT, LAUNCH], None),
    rule(&[4689], ocsf::PROCESS_ACTIVITY, 2, &[SUBJECT, EXIT], None),
    rule(&[4697], ocsf::WINDOWS_SERVICE_ACTIVITY, 1, &[SUBJECT, SERVICE], Some(succeeded)),
    rule(&[4698], ocsf::SCHEDULED_JOB_ACTIVITY, 1, &[SUBJECT, TASK], Some(task)),
    rule(&[4699], ocsf::SCHEDULED_JOB_ACTIVITY, 3, &[SUBJECT, TASK], Some(task)),
    rule(&[4700], ocsf::SCHEDULED_JOB_ACTIVITY, 4, &[SUBJECT, TASK], Some(task)),
    rule(&[4701], ocsf::SCHEDULED_JOB_ACTIVITY, 5, &[SUBJECT, TASK], Some(task)),
    rule(&[4702], ocsf::SCHEDULED_JOB_ACTIVITY, 2, &[SUBJECT, TASK], Some(task)),
    rule(&[4720, 4741], ocsf::ACCOUNT_CHANGE, 1, &[SUBJECT, TARGET], Some(succeeded)),
    rule(&[4722], ocsf::ACCOUNT_CHANGE, 2, &[SUBJECT, TARGET], Some(succeeded)),
    rule(&[4723], ocsf::ACCOUNT_CHANGE, 3, &[SUBJECT, TARGET], None),
    rule(&[4724], ocsf::ACCOUNT_CHANGE, 4, &[SUBJECT, TARGET], None),
    rule(&[4725], ocsf::ACCOUNT_CHANGE, 5, &[SUBJECT, TARGET], Some(succeeded)),
    rule(&[4726, 4743], ocsf::ACCOUNT_CHANGE, 6, &[SUBJECT, TARGET], Some(succeeded)),
    rule(&[4738, 4742, 4765, 4781], ocsf::ACCOUNT_CHANGE, 99, &[SUBJECT, ACCOUNT, TARGET], Some(succeeded)),
    rule(&[4740], ocsf::ACCOUNT_CHANGE, 9, &[SUBJECT, TARGET], Some(succeeded)),
    rule(&[4767], ocsf::ACCOUNT_CHANGE, 12, &[SUBJECT, TARGET], Some(succeeded)),
    rule(
        &[4727, 4731, 4744, 4749, 4754, 4759],
        ocsf::GROUP_MANAGEMENT,
        6,
        &[SUBJECT, GROUP],
        Some(succeeded),
    ),
    rule(&[4728, 4732, 4746, 4751, 4756, 4761], ocsf::GROUP_MANAGEMENT, 3, &[SUBJECT, GROUP], Some(member)),
    rule(&[4729, 4733, 4747, 4752, 4757, 4762], ocsf::GROUP_MANAGEMENT, 4, &[SUBJECT, GROUP], Some(member)),
    rule(
        &[4730, 4734, 4748, 4753, 4758, 4763],
        ocsf::GROUP_MANAGEMENT,
        5,
        &[SUBJECT, GROUP],
        Some(succeeded),
    ),
    rule(
        &[4735, 4737, 4745, 4750, 4755, 4760],
        ocsf::GROUP_MANAGEMENT,
        9,
        &[SUBJECT, GROUP],
        Some(succeeded),
    ),
    rule(&[4768], ocsf::AUTHENTICATION, 3, &[TARGET, CLIENT, TICKET], Some(ticket)),
    rule(&[4769], ocsf::AUTHENTICATION, 4, &[TARGET, CLIENT, TICKET], Some(ticket)),
    rule(&[4770], ocsf::AUTHENTICATION, 5, &[TARGET, CLIENT, TICKET], Some(ticket)),
    rule(&[4771], ocsf::AUTHENTICATION, 6, &[TARGET, CLIENT, TICKET], Some(ticket)),
    rule(&[4776], ocsf::AUTHENTICATION, 1, &[TARGET, CLIENT, LOGON], Some(validated)),
    rule(&[4778], ocsf::AUTHENTICATION, 1, &[CLIENT, LOGON], Some(explicit)),
    rule(&[4779], ocsf::AUTHENTICATION, 2, &[CLIENT, LOGON], Some(explicit)),
    rule(&[5140, 5142, 5143, 5144], ocsf::SMB_ACTIVITY, 99, &[SUBJECT, CLIENT, SHARE], Some(shared)),
    rule(&[5145], ocsf::SMB_ACTIVITY, 2, &[SUBJECT, CLIENT, SHARE], Some(shared)),
    rule(&[5156], ocsf::NETWORK_ACTIVITY, 1, &[FILTERED], Some(filtered)),
    rule(&[5158], ocsf::NETWORK_ACTIVITY, 7, &[FILTERED], Some(filtered)),
    rule(&[5152, 5157], ocsf::NETWORK_ACTIVITY, 5, &[FILTERED], Some(filtered)),
];

fields! {
    STATUS = "Status";
    SUB_STATUS = "SubStatus";
    LOGON_TYPE = "LogonType";
    PRIVILEGE_LIST = "PrivilegeList";
    TASK_CONTENT = "TaskContent";
    OBJECT_TYPE = "ObjectType";
    DIRECTION = "Direction";
}

paths! {
    status_id = "status_id";
    status_code = "status_code";
    log_name = "log_name";
    logon_type_id = "logon_type_id";
    is_remote = "is_remote";
    auth_protocol = "auth_protocol";
    auth_protocol_id = "auth_protocol_id";
    privileges = "privileges[]";
    cmd_line = "job.cmd_line";
    job_type = "job.type_id";
    direction_id = "connection_info.direction_id";
    file_path = "file.path";
    file_name = "file.name";
    file_type = "file.type_id";
    key = "reg_key.path";
    process_path = "process.file.path";
    process_name = "process.name";
    process_file_name = "process.file.name";
    process_file_type = "process.file.type_id";
    access_mask = "access_mask";
    permissions = "actual_permissions";
    user_name = "user.name";
}

fn cleared(mapper: &mut Mapper<'_>, _: Shape) {
    mapper.put(PATHS.log_name, "Security");
    mapper.put(PATHS.status_id, 1_i64);
}

fn logged_on(mapper: &mut Mapper<'_>, shape: Shape) {
    mapper.put(PATHS.status_id, 1_i64);
    logon(mapper, shape);
}

fn refused(mapper: &mut Mapper<'_>, shape: Shape) {
    mapper.put(PATHS.status_id, 2_i64);
    // The sub-status is the finer one, where there is one.
    let codes = [SUB_STATUS.at(shape), STATUS.at(shape)];
    for path in codes {
        if let Some(code) = mapper.take(path)
            && integer(code) != Some(0)
        {
            mapper.default(PATHS.status_code, code.to_text().as_ref());
        }
    }
    logon(mapper, shape);
}

fn explicit(mapper: &mut Mapper<'_>, shape: Shape) {
    logged_on(mapper, shape);
}

fn logon(mapper: &mut Mapper<'_>, shape: Shape) {
    if let Some(kind) = mapper.take(LOGON_TYPE.at(shape)).and_then(integer) {
        let id = match kind {
            // Windows counts the system's own logon as 0.
            0 => 1,
            2..=5 | 7..=13 => kind,
            _ => 99,
        };
        mapper.put(PATHS.logon_type_id, id);
        mapper.put(PATHS.is_remote, matches!(kind, 3 | 8 | 10 | 12));
    }
    protocol(mapper);
    reporting_host_is_destination(mapper);
}

/// OCSF `auth_protocol_id` from the name of the package.
fn protocol(mapper: &mut Mapper<'_>) {
    let id = match mapper.event.attributes.text(PATHS.auth_protocol) {
        None => return,
        Some(name) if name.starts_with("NTLM") || name.starts_with("MICROSOFT_AUTHENTICATION_PACKAGE") => {
            1_i64
        }
        Some("Kerberos") => 2,
        Some("WDigest") => 3,
        Some(_) => 99,
    };
    mapper.put(PATHS.auth_protocol_id, id);
}

fn ticket(mapper: &mut Mapper<'_>, shape: Shape) {
    status(mapper, STATUS.at(shape));
    mapper.default(PATHS.auth_protocol, "Kerberos");
    protocol(mapper);
    reporting_host_is_destination(mapper);
}

fn validated(mapper: &mut Mapper<'_>, shape: Shape) {
    status(mapper, STATUS.at(shape));
    mapper.default(PATHS.auth_protocol, "NTLM");
    protocol(mapper);
    reporting_host_is_destination(mapper);
}

/// The list is one text with a privilege a line.
fn privileges(mapper: &mut Mapper<'_>, shape: Shape) {
    mapper.put(PATHS.status_id, 1_i64);
    if let Some(list) = mapper.take_text(PRIVILEGE_LIST.at(shape)) {
        for privilege in list.split_whitespace() {
            mapper.put(PATHS.privileges, privilege);
        }
    }
    reporting_host_is_destination(mapper);
}

/// The command stands in the task's XML.
fn task(mapper: &mut Mapper<'_>, shape: Shape) {
    mapper.put(PATHS.status_id, 1_i64);
    mapper.put(PATHS.job_type, 1_i64);
    let Some(content) = mapper.take_text(TASK_CONTENT.at(shape)) else { return };
    if let Some(command) = element(&content, "Command") {
        let line = match element(&content, "Arguments") {
            Some(arguments) => format!("{command} {arguments}"),
            None => command,
        };
        mapper.put(PATHS.cmd_line, line.as_str());
    }
}

/// The text of the first element of that name.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(quick_xml::escape::unescape(text).map_or_else(|_| text.to_owned(), std::borrow::Cow::into_owned))
}

/// A member of a group is named by its distinguished name, or only by its SID.
fn member(mapper: &mut Mapper<'_>, _: Shape) {
    mapper.put(PATHS.status_id, 1_i64);
    let name = mapper.event.attributes.text(PATHS.user_name).and_then(|name| {
        let (_, rest) = name.split_at_checked(3).filter(|(start, _)| start.eq_ignore_ascii_case("CN="))?;
        Some(rest.split(',').next().unwrap_or(rest).to_owned())
    });
    if let Some(name) = name {
        mapper.event.attributes.set(PATHS.user_name, name.as_str());
    }
}

/// Objects are files, registry keys, processes and more.
fn object(mapper: &mut Mapper<'_>, shape: Shape) {
    let kind = mapper.take_text(OBJECT_TYPE.at(shape)).unwrap_or_default();
    let name = mapper.event.attributes.text(PATHS.file_path).map(str::to_owned);
    let activity = mapper.event.activity_id;
    let mut instead = |class: u32, activity: u32, path: PathId| {
        mapper.class(class, activity);
        for file in [PATHS.file_path, PATHS.file_name, PATHS.file_type] {
            mapper.event.attributes.remove(file);
        }
        if let Some(name) = &name {
            mapper.put(path, name.as_str());
        }
    };
    match kind.as_ref() {
        "Key" => instead(ocsf::REGISTRY_KEY_ACTIVITY, if activity == 4 { 4 } else { 2 }, PATHS.key),
        "Process" => {
            instead(ocsf::PROCESS_ACTIVITY, 3, PATHS.process_path);
            if let Some(name) = &name {
                mapper.put(PATHS.process_name, base_name(name));
                mapper.put(PATHS.process_file_name, base_name(name));
                mapper.put(PATHS.process_file_type, 1_i64);
            }
            if let Some(mask) = mapper.event.attributes.get(PATHS.access_mask).and_then(integer) {
                mapper.event.attributes.remove(PATHS.access_mask);
                mapper.put(PATHS.permissions, mask);
            }
        }
        "File" | "" => {}
        // Security account manager objects, sections, tokens…: no class speaks of them.
        _ => mapper.class(ocsf::BASE_EVENT, 0),
    }
}

fn shared(mapper: &mut Mapper<'_>, _: Shape) {
    reporting_host_is_destination(mapper);
}

fn filtered(mapper: &mut Mapper<'_>, shape: Shape) {
    let refused = mapper.event.activity_id == 5;
    mapper.put(PATHS.status_id, if refused { 2_i64 } else { 1 });
    let direction = match mapper.take_text(DIRECTION.at(shape)).as_deref() {
        Some("%%14592" | "Inbound") => 1_i64,
        Some("%%14593" | "Outbound") => 2,
        _ => return,
    };
    mapper.put(PATHS.direction_id, direction);
}

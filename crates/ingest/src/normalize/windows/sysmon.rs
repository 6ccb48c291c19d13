//! Sysmon (Microsoft-Windows-Sysmon/Operational), event ids of Sysmon 15.

use wanglou_model::ocsf;

use super::super::mapping::{Mapper, To, base_name};
use super::{Field, Log, Row, Rule, Shape, fields, paths};
use std::sync::LazyLock;
use wanglou_model::PathId;

/// The process that did it.
const ACTOR: &[Row] = &[
    ("Image", To::Image("actor.process")),
    ("ProcessId", To::Int("actor.process.pid")),
    ("ProcessGuid", To::Text("actor.process.uid")),
    ("User", To::User("actor.user")),
    ("UtcTime", To::Known),
];

const LAUNCH: &[Row] = &[
    ("Image", To::Image("process")),
    ("ProcessId", To::Int("process.pid")),
    ("ProcessGuid", To::Text("process.uid")),
    ("CommandLine", To::Text("process.cmd_line")),
    ("CurrentDirectory", To::Text("process.working_directory")),
    ("IntegrityLevel", To::Text("process.integrity")),
    ("User", To::User("process.user")),
    ("LogonId", To::Text("process.session.uid")),
    ("Hashes", To::Hashes("process.file")),
    ("FileVersion", To::Text("process.file.version")),
    ("Company", To::Text("process.file.company_name")),
    ("Description", To::Text("process.file.desc")),
    ("OriginalFileName", To::Text("process.file.internal_name")),
    ("ParentImage", To::Image("process.parent_process")),
    ("ParentProcessId", To::Int("process.parent_process.pid")),
    ("ParentProcessGuid", To::Text("process.parent_process.uid")),
    ("ParentCommandLine", To::Text("process.parent_process.cmd_line")),
    ("ParentImage", To::Image("actor.process")),
    ("ParentProcessId", To::Int("actor.process.pid")),
    ("ParentProcessGuid", To::Text("actor.process.uid")),
    ("ParentCommandLine", To::Text("actor.process.cmd_line")),
    // Before version 13 the parent's user is not told; the same user starts nearly all processes.
    ("User", To::User("actor.user")),
    ("ParentUser", To::User("actor.process.user")),
    ("UtcTime", To::UtcTime("process.created_time")),
];

const PROCESS: &[Row] = &[
    ("Image", To::Image("process")),
    ("ProcessId", To::Int("process.pid")),
    ("ProcessGuid", To::Text("process.uid")),
    ("User", To::User("process.user")),
    ("User", To::User("actor.user")),
    ("Image", To::Image("actor.process")),
    ("ProcessId", To::Int("actor.process.pid")),
    ("UtcTime", To::Known),
];

const CONNECTION: &[Row] = &[
    ("Protocol", To::Lower("connection_info.protocol_name")),
    ("SourceIp", To::Ip("src_endpoint")),
    ("SourceHostname", To::Text("src_endpoint.hostname")),
    ("SourcePort", To::Int("src_endpoint.port")),
    ("DestinationIp", To::Ip("dst_endpoint")),
    ("DestinationHostname", To::Text("dst_endpoint.hostname")),
    ("DestinationPort", To::Int("dst_endpoint.port")),
    ("DestinationPortName", To::Text("dst_endpoint.svc_name")),
];

const MODULE: &[Row] = &[
    ("ImageLoaded", To::File("module.file")),
    ("Hashes", To::Hashes("module.file")),
    ("FileVersion", To::Text("module.file.version")),
    ("Company", To::Text("module.file.company_name")),
    ("Description", To::Text("module.file.desc")),
    ("OriginalFileName", To::Text("module.file.internal_name")),
];

const DRIVER: &[Row] = &[
    ("ImageLoaded", To::File("driver.file")),
    ("Hashes", To::Hashes("driver.file")),
    ("UtcTime", To::Known),
];

/// One process reaching into another.
const REACH: &[Row] = &[
    ("SourceImage", To::Image("actor.process")),
    ("SourceProcessId", To::Int("actor.process.pid")),
    ("SourceProcessGuid", To::Text("actor.process.uid")),
    ("SourceProcessGUID", To::Text("actor.process.uid")),
    ("SourceUser", To::User("actor.user")),
    ("TargetImage", To::Image("process")),
    ("TargetProcessId", To::Int("process.pid")),
    ("TargetProcessGuid", To::Text("process.uid")),
    ("TargetProcessGUID", To::Text("process.uid")),
    ("TargetUser", To::User("process.user")),
    ("UtcTime", To::Known),
];

const THREAD: &[Row] = &[
    ("StartModule", To::File("module.file")),
    ("StartFunction", To::Text("module.function_name")),
    ("StartAddress", To::Text("module.start_address")),
];

const ACCESS: &[Row] = &[("GrantedAccess", To::Int("actual_permissions"))];

const FILE: &[Row] = &[
    ("TargetFilename", To::File("file")),
    ("Device", To::File("file")),
    ("Hashes", To::Hashes("file")),
    ("Hash", To::Hashes("file")),
    ("CreationUtcTime", To::UtcTime("file.created_time")),
];

const PIPE: &[Row] = &[("PipeName", To::File("file"))];
const KEY: &[Row] = &[("TargetObject", To::Text("reg_key.path"))];
const RENAMED_KEY: &[Row] =
    &[("TargetObject", To::Text("prev_reg_key.path")), ("NewName", To::Text("reg_key.path"))];
const VALUE: &[Row] =
    &[("TargetObject", To::Text("reg_value.path")), ("Details", To::Text("reg_value.data"))];
const DNS: &[Row] = &[("QueryName", To::Text("query.hostname")), ("QueryStatus", To::Text("status_code"))];

const fn rule(
    ids: &'static [i64],
    class: u32,
    activity: u32,
    rows: &'static [&'static [Row]],
    then: Option<fn(&mut Mapper<'_>, Shape)>,
) -> Rule {
    Rule { log: Log::Sysmon, ids, class, activity, rows, then }
}

pub(super) const RULES: &[Rule] = &[
    rule(&[1], ocsf::PROCESS_ACTIVITY, 1, &[LAUNCH], Some(launched)),
    rule(&[2], ocsf::FILE_ACTIVITY, 6, &[ACTOR, FILE], None),
    rule(&[3], ocsf::NETWORK_ACTIVITY, 1, &[ACTOR, CONNECTION], Some(connected)),
    rule(&[5], ocsf::PROCESS_ACTIVITY, 2, &[PROCESS], None),
    rule(&[6], ocsf::KERNEL_EXTENSION_ACTIVITY, 1, &[DRIVER], Some(by_the_kernel)),
    rule(&[7], ocsf::MODULE_ACTIVITY, 1, &[ACTOR, MODULE], Some(loaded)),
    rule(&[8], ocsf::PROCESS_ACTIVITY, 4, &[REACH, THREAD], Some(injected)),
    rule(&[9], ocsf::FILE_ACTIVITY, 2, &[ACTOR, FILE], None),
    rule(&[10], ocsf::PROCESS_ACTIVITY, 3, &[REACH, ACCESS], None),
    rule(&[11, 15, 29], ocsf::FILE_ACTIVITY, 1, &[ACTOR, FILE], None),
    rule(&[12], ocsf::REGISTRY_KEY_ACTIVITY, 1, &[ACTOR, KEY], Some(key_or_value)),
    rule(&[13], ocsf::REGISTRY_VALUE_ACTIVITY, 2, &[ACTOR, VALUE], Some(value_name)),
    rule(&[14], ocsf::REGISTRY_KEY_ACTIVITY, 5, &[ACTOR, RENAMED_KEY], None),
    rule(&[17], ocsf::FILE_ACTIVITY, 1, &[ACTOR, PIPE], Some(pipe)),
    rule(&[18], ocsf::FILE_ACTIVITY, 14, &[ACTOR, PIPE], Some(pipe)),
    rule(&[22], ocsf::DNS_ACTIVITY, 1, &[ACTOR, DNS], Some(resolved)),
    rule(&[23, 26], ocsf::FILE_ACTIVITY, 4, &[ACTOR, FILE], None),
    rule(&[25], ocsf::PROCESS_ACTIVITY, 4, &[PROCESS], Some(tampered)),
    // The write was blocked.
    rule(&[27], ocsf::FILE_ACTIVITY, 1, &[ACTOR, FILE], Some(blocked)),
    rule(&[28], ocsf::FILE_ACTIVITY, 4, &[ACTOR, FILE], Some(blocked)),
];

fields! {
    INITIATED = "Initiated";
    EVENT_TYPE = "EventType";
    QUERY_RESULTS = "QueryResults";
}

paths! {
    status_id = "status_id";
    direction_id = "connection_info.direction_id";
    integrity = "process.integrity";
    integrity_id = "process.integrity_id";
    injection = "injection_type_id";
    load_type = "module.load_type_id";
    actor_name = "actor.process.name";
    actor_pid = "actor.process.pid";
    file_type = "file.type_id";
    key_path = "reg_key.path";
    value_path = "reg_value.path";
    value_name = "reg_value.name";
    answer = "answers[].rdata";
    host = "device.hostname";
    src_host = "src_endpoint.hostname";
}

fn launched(mapper: &mut Mapper<'_>, _: Shape) {
    // OCSF process.integrity_id.
    let id = match mapper.event.attributes.text(PATHS.integrity) {
        Some("Untrusted") => 1_i64,
        Some("Low") => 2,
        Some("Medium" | "Medium Plus") => 3,
        Some("High") => 4,
        Some("System") => 5,
        Some("Protected") => 6,
        _ => return,
    };
    mapper.put(PATHS.integrity_id, id);
}

fn connected(mapper: &mut Mapper<'_>, shape: Shape) {
    if let Some(initiated) = mapper.take_text(INITIATED.at(shape)) {
        let outbound = initiated.eq_ignore_ascii_case("true");
        mapper.put(PATHS.direction_id, if outbound { 2_i64 } else { 1 });
    }
}

/// Drivers are loaded in the context of the process `System`.
fn by_the_kernel(mapper: &mut Mapper<'_>, _: Shape) {
    mapper.put(PATHS.actor_name, "System");
    mapper.put(PATHS.actor_pid, 4_i64);
}

fn loaded(mapper: &mut Mapper<'_>, _: Shape) {
    mapper.put(PATHS.load_type, 1_i64);
}

fn injected(mapper: &mut Mapper<'_>, _: Shape) {
    mapper.put(PATHS.injection, 1_i64);
}

/// Process hollowing and herpaderping: of the ways OCSF lists, none.
fn tampered(mapper: &mut Mapper<'_>, _: Shape) {
    mapper.put(PATHS.injection, 99_i64);
}

fn blocked(mapper: &mut Mapper<'_>, _: Shape) {
    mapper.put(PATHS.status_id, 2_i64);
}

/// Id 12 tells of keys created and deleted, and of values deleted.
fn key_or_value(mapper: &mut Mapper<'_>, shape: Shape) {
    let Some(kind) = mapper.take_text(EVENT_TYPE.at(shape)) else { return };
    if kind.ends_with("Value") {
        mapper.class(ocsf::REGISTRY_VALUE_ACTIVITY, 4);
        if let Some(path) = mapper.event.attributes.text(PATHS.key_path).map(str::to_owned) {
            mapper.event.attributes.remove(PATHS.key_path);
            mapper.put(PATHS.value_path, path.as_str());
            mapper.put(PATHS.value_name, base_name(&path));
        }
    } else if kind.starts_with("Delete") {
        mapper.class(ocsf::REGISTRY_KEY_ACTIVITY, 4);
    }
}

fn value_name(mapper: &mut Mapper<'_>, shape: Shape) {
    mapper.used(EVENT_TYPE.at(shape));
    if let Some(path) = mapper.event.attributes.text(PATHS.value_path).map(str::to_owned) {
        mapper.put(PATHS.value_name, base_name(&path));
    }
}

fn pipe(mapper: &mut Mapper<'_>, shape: Shape) {
    mapper.used(EVENT_TYPE.at(shape));
    mapper.event.attributes.set(PATHS.file_type, 6_i64);
}

/// Results read `type:  5 alias.example;::ffff:192.0.2.1;`.
fn resolved(mapper: &mut Mapper<'_>, shape: Shape) {
    if let Some(host) = mapper.event.attributes.text(PATHS.host).map(str::to_owned) {
        mapper.put(PATHS.src_host, host.as_str());
    }
    let Some(results) = mapper.take_text(QUERY_RESULTS.at(shape)) else { return };
    let mut any = false;
    for result in results.split(';').map(str::trim).filter(|result| !result.is_empty()) {
        let data = match result.strip_prefix("type:") {
            Some(typed) => typed.trim_start().split_once(' ').map_or("", |(_, data)| data.trim()),
            None => result,
        };
        if data.is_empty() {
            continue;
        }
        let address = wanglou_model::canonical_ip(data);
        mapper.put(PATHS.answer, address.as_deref().unwrap_or(data));
        any = true;
    }
    if any {
        // Question and answer in one event.
        mapper.class(ocsf::DNS_ACTIVITY, 6);
    }
}

//! Linux audit events: programs run, files touched, connections made, modules loaded, log-ins and accounts.
//!
//! Who acts is the login identity (`auid`, the user that logged in, whatever `su` or `sudo` made of it since) where it
//! is set, else the user of the process. Names stand in the enriched form only; a raw log gives numbers.

use std::borrow::Cow;
use std::sync::LazyLock;

use wanglou_model::{FieldMap, PathId, Severity, Value, ocsf};

use super::mapping::{Mapper, Table, To, base_name, integer};
use super::paths;

/// `auid` and `ses` of what no log-in began (`(uint32_t) -1`).
const UNSET: [&str; 3] = ["4294967295", "-1", "unset"];
/// `tty` and `terminal` of what has none.
const NO_TERMINAL: [&str; 3] = ["(none)", "?", "(null)"];
/// `addr` of what came from nowhere.
const NO_ADDRESS: [&str; 2] = ["?", "UNKNOWN"];
/// Arguments joined to a command line; the kernel itself logs no more than 7.5 KiB of them a record.
const MAX_ARGUMENTS: usize = 1_024;

type Rows = &'static [(&'static str, To)];

/// The process of a system call, as the process of the event.
const PROCESS: Rows = &[
    ("SYSCALL.pid", To::Int("process.pid")),
    ("SYSCALL.exe", To::Image("process")),
    ("SYSCALL.uid", To::Text("process.user.uid")),
    ("SYSCALL.UID", To::Text("process.user.name")),
    ("SYSCALL.ses", To::Text("process.session.uid")),
    ("SYSCALL.tty", To::Text("process.session.terminal")),
    ("SYSCALL.ppid", To::Int("actor.process.pid")),
    ("CWD.cwd", To::Text("process.working_directory")),
];
/// The process of a system call, as who does something.
const ACTOR: Rows = &[
    ("SYSCALL.pid", To::Int("actor.process.pid")),
    ("SYSCALL.exe", To::Image("actor.process")),
    ("SYSCALL.ses", To::Text("actor.session.uid")),
    ("SYSCALL.tty", To::Text("actor.session.terminal")),
    ("SYSCALL.ppid", To::Int("actor.process.parent_process.pid")),
    ("PROCTITLE.proctitle", To::Text("actor.process.cmd_line")),
    ("CWD.cwd", To::Text("actor.process.working_directory")),
];
/// What user space says of a log-in or an account.
const USER: Rows = &[
    ("addr", To::Ip("src_endpoint")),
    ("exe", To::Text("service.name")),
    ("terminal", To::Text("session.terminal")),
    ("ses", To::Text("session.uid")),
    ("op", To::Text("status_detail")),
];
const ACCOUNT: Rows = &[
    ("op", To::Text("status_detail")),
    ("exe", To::Image("actor.process")),
    ("pid", To::Int("actor.process.pid")),
    ("ses", To::Text("actor.session.uid")),
    ("terminal", To::Text("actor.session.terminal")),
];
const COMMAND: Rows = &[
    ("pid", To::Int("process.pid")),
    ("cmd", To::Text("process.cmd_line")),
    ("cwd", To::Text("process.working_directory")),
    ("terminal", To::Text("process.session.terminal")),
    ("ses", To::Text("process.session.uid")),
];

struct Tables {
    process: Table,
    actor: Table,
    user: Table,
    account: Table,
    command: Table,
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| Tables {
    process: Table::new(PROCESS),
    actor: Table::new(ACTOR),
    user: Table::new(USER),
    account: Table::new(ACCOUNT),
    command: Table::new(COMMAND),
});

paths! {
    timestamp = "timestamp";
    node = "node";
    kind = "type";
    serial = "serial";
    syscall = "SYSCALL.SYSCALL";
    success = "SYSCALL.success";
    exit = "SYSCALL.exit";
    res = "res";
    rule_key = "key";
    auid = "auid";
    login_name = "AUID";
    uid = "uid";
    uid_name = "UID";
    acct = "acct";
    group = "grp";
    op = "op";
    account_id = "id";
    account_name = "ID";
    cmd = "cmd";
    proctitle = "PROCTITLE.proctitle";
    path_name = "PATH.name";
    path_kind = "PATH.nametype";
    saddr_address = "SOCKADDR.laddr";
    saddr_port = "SOCKADDR.lport";
    module_name = "KERN_MODULE.name";
    seresult = "seresult";

    status_id = "status_id";
    exit_code = "exit_code";
    original_uid = "metadata.original_event_uid";
    event_code = "metadata.event_code";
    labels = "metadata.labels[]";
    device_host = "device.hostname";
    process_name = "process.name";
    process_pid = "process.pid";
    process_uid = "process.uid";
    cmd_line = "process.cmd_line";
    process_path = "process.file.path";
    file_path = "file.path";
    file_name = "file.name";
    file_type = "file.type_id";
    driver_path = "driver.file.path";
    driver_name = "driver.file.name";
    driver_type = "driver.file.type_id";
    actor_name = "actor.user.name";
    actor_uid = "actor.user.uid";
    actor_pid = "actor.process.pid";
    user_name = "user.name";
    user_uid = "user.uid";
    operation = "op";
    group_name = "group.name";
    group_uid = "group.uid";
    service = "service.name";
    switch_type = "account_switch_type_id";
    is_remote = "is_remote";
    src_ip = "src_endpoint.ip";
    src_port = "src_endpoint.port";
    src_host = "src_endpoint.hostname";
    dst_ip = "dst_endpoint.ip";
    dst_port = "dst_endpoint.port";
    log_name = "metadata.log_name";
    session = "session.uid";
    terminal = "session.terminal";
    process_session = "process.session.uid";
    process_terminal = "process.session.terminal";
    actor_session = "actor.session.uid";
    actor_terminal = "actor.session.terminal";
    process_file = "process.file.name";
    process_type = "process.file.type_id";
}

/// Paths of the arguments `a0`, `a1`, ... of `EXECVE`.
static ARGUMENTS: LazyLock<Vec<PathId>> =
    LazyLock::new(|| (0..MAX_ARGUMENTS).map(|n| PathId::reserve(&format!("EXECVE.a{n}"))).collect());

/// Maps a record.
pub(super) fn map(mapper: &mut Mapper<'_>) {
    let paths = &*PATHS;
    mapper.time(paths.timestamp);
    if let Some(serial) = mapper.take_text(paths.serial) {
        mapper.put(paths.original_uid, serial.as_ref());
    }
    let fields = &mapper.record.fields;
    let kinds: Vec<&str> = fields.get_all(paths.kind).filter_map(Value::as_str).collect();
    mapper.used(paths.kind);
    if let Some(first) = kinds.first() {
        mapper.put(paths.event_code, *first);
    }
    // Keys of audit rules name what the administrator watches for.
    let keys: Vec<Cow<'_, str>> =
        fields.get_all(paths.rule_key).map(Value::to_text).filter(|key| key != "(null)").collect();
    mapper.used(paths.rule_key);
    for key in &keys {
        mapper.put(paths.labels, key.as_ref());
    }
    put_status(mapper);
    let has = |kind: &str| kinds.contains(&kind);
    let syscall = fields.text(paths.syscall).unwrap_or_default();
    if has("EXECVE") || matches!(syscall, "execve" | "execveat") {
        program(mapper);
    } else if has("KERN_MODULE") || matches!(syscall, "init_module" | "finit_module" | "delete_module") {
        module(mapper, syscall);
    } else if fields.text(paths.saddr_address).is_some() {
        connection(mapper, syscall);
    } else if fields.get(paths.path_name).is_some() {
        file(mapper, syscall);
    } else if let Some(kind) = kinds.first() {
        single(mapper, kind);
    }
    put_device(mapper);
    for unset in [paths.session, paths.process_session, paths.actor_session] {
        forget(mapper, unset, &UNSET);
    }
    for terminal in [paths.terminal, paths.process_terminal, paths.actor_terminal] {
        forget(mapper, terminal, &NO_TERMINAL);
    }
    note_twins(mapper);
}

/// Every field stands twice, under its type and flat: what one is used for, the other has said too.
fn note_twins(mapper: &mut Mapper<'_>) {
    let fields = &mapper.record.fields;
    let is_used = |mapper: &Mapper<'_>, flat: &str| {
        PathId::intern(flat).is_some_and(|path| mapper.event.mapped.contains(&path))
    };
    for (path, _) in fields.iter() {
        if path.name().split_once('.').is_some_and(|(_, flat)| is_used(mapper, flat)) {
            mapper.used(path);
        }
    }
    for (path, _) in fields.iter().filter(|(path, _)| !path.name().contains('.')) {
        mapper.used(path);
    }
}

/// One record of user space, or of the audit system about itself.
fn single(mapper: &mut Mapper<'_>, kind: &str) {
    match kind {
        "USER_LOGIN" | "USER_AUTH" | "USER_START" => logon(mapper, 1),
        "USER_END" | "USER_LOGOUT" => logon(mapper, 2),
        "USER_CMD" => command(mapper),
        "ADD_USER" => account(mapper, 1),
        "DEL_USER" => account(mapper, 6),
        "USER_CHAUTHTOK" => account(mapper, 3),
        "ACCT_LOCK" => account(mapper, 9),
        "ACCT_UNLOCK" => account(mapper, 12),
        "USER_MGMT" => match mapper.record.fields.text(PATHS.group).is_some() {
            true => group(mapper, membership(mapper)),
            false => account(mapper, 99),
        },
        "USER_ROLE_CHANGE" => account(mapper, 99),
        "ADD_GROUP" => group(mapper, 6),
        "DEL_GROUP" => group(mapper, 5),
        "GRP_MGMT" => group(mapper, 9),
        "DAEMON_START" => audit_log(mapper, 6),
        "DAEMON_END" | "DAEMON_ABORT" => audit_log(mapper, 7),
        "CONFIG_CHANGE" | "DAEMON_CONFIG" => audit_log(mapper, 99),
        "AVC" | "USER_AVC" | "SECCOMP" => {
            if mapper.take_text(PATHS.seresult).as_deref() == Some("denied") {
                mapper.put(PATHS.status_id, 2_i64);
            }
            mapper.event.severity = Severity::Low;
        }
        _ if kind.starts_with("ANOM_") => mapper.event.severity = Severity::Medium,
        _ => {}
    }
}

/// `success=yes` of a system call, `res=success`, `res=1` and `res=failed` of the rest.
fn put_status(mapper: &mut Mapper<'_>) {
    let paths = &*PATHS;
    let result = mapper.take_text(paths.success).or_else(|| mapper.take_text(paths.res));
    match result.as_deref() {
        Some("yes" | "success" | "1") => mapper.put(paths.status_id, 1_i64),
        Some("no" | "failed" | "fail" | "0") => mapper.put(paths.status_id, 2_i64),
        _ => {}
    }
}

fn program(mapper: &mut Mapper<'_>) {
    let paths = &*PATHS;
    mapper.class(ocsf::PROCESS_ACTIVITY, 1);
    let line = command_line(&mapper.record.fields);
    if let Some(line) = &line {
        ARGUMENTS
            .iter()
            .take_while(|path| mapper.record.fields.get(**path).is_some())
            .for_each(|path| mapper.used(*path));
        mapper.put(paths.cmd_line, line.as_str());
    } else if let Some(title) = mapper.take_text(paths.proctitle) {
        mapper.put(paths.cmd_line, title.as_ref());
    }
    mapper.apply(&TABLES.process);
    if let Some(exit) = mapper.take(paths.exit).and_then(integer) {
        mapper.put(paths.exit_code, exit);
    }
    if !mapper.has(paths.process_pid) {
        let uid = mapper.event.uid.to_string();
        mapper.put(paths.process_uid, uid.as_str());
    }
    if !mapper.has(paths.process_name)
        && let Some(program) = line.as_deref().and_then(|line| line.split(' ').next())
    {
        mapper.put(paths.process_name, base_name(program));
    }
    put_actor(mapper);
}

/// The arguments of `EXECVE`, those with spaces quoted.
fn command_line(fields: &FieldMap) -> Option<String> {
    let mut line = String::new();
    for argument in ARGUMENTS.iter().map_while(|path| fields.get(*path)) {
        let argument = argument.to_text();
        if !line.is_empty() {
            line.push(' ');
        }
        if argument.is_empty() || argument.contains([' ', '\t', '"', '\n']) {
            line.push('"');
            line.push_str(&argument.replace('"', "\\\""));
            line.push('"');
        } else {
            line.push_str(&argument);
        }
    }
    (!line.is_empty()).then_some(line)
}

fn module(mapper: &mut Mapper<'_>, syscall: &str) {
    let paths = &*PATHS;
    mapper.class(ocsf::KERNEL_EXTENSION_ACTIVITY, if syscall == "delete_module" { 2 } else { 1 });
    mapper.apply(&TABLES.actor);
    put_actor(mapper);
    let name = mapper.take_text(paths.module_name).or_else(|| mapper.take_text(paths.path_name));
    let name = name.as_deref().unwrap_or("unknown");
    mapper.put(paths.driver_path, name);
    mapper.put(paths.driver_name, base_name(name));
    mapper.put(paths.driver_type, 1_i64);
}

fn connection(mapper: &mut Mapper<'_>, syscall: &str) {
    let paths = &*PATHS;
    let Some(address) = mapper.take_text(paths.saddr_address) else { return };
    let port = mapper.take(paths.saddr_port).and_then(integer);
    let failed = mapper.event.attributes.get(paths.status_id) == Some(Value::Int(2));
    // EINPROGRESS: a connection that is being made without waiting for it.
    let in_progress = mapper.record.fields.get(paths.exit).and_then(integer) == Some(-115);
    let (ip, to_port, activity) = match syscall {
        "accept" | "accept4" | "recvfrom" | "recvmsg" => (paths.src_ip, paths.src_port, 1),
        "bind" | "listen" => (paths.dst_ip, paths.dst_port, 7),
        "sendto" | "sendmsg" | "sendmmsg" => (paths.dst_ip, paths.dst_port, 6),
        _ => (paths.dst_ip, paths.dst_port, 1),
    };
    mapper.class(ocsf::NETWORK_ACTIVITY, if failed && !in_progress { 4 } else { activity });
    mapper.put(ip, address.as_ref());
    if let Some(port) = port {
        mapper.put(to_port, port);
    }
    mapper.apply(&TABLES.actor);
    put_actor(mapper);
}

/// A file touched: the first of its paths that is not a folder it stands in.
fn file(mapper: &mut Mapper<'_>, syscall: &str) {
    let paths = &*PATHS;
    let fields = &mapper.record.fields;
    let kinds = fields.get_all(paths.path_kind).map(Value::to_text).chain(std::iter::repeat("".into()));
    let items: Vec<_> = fields.get_all(paths.path_name).map(Value::to_text).zip(kinds).collect();
    let is_parent = |kind: &str| kind == "PARENT";
    let Some((name, kind)) = items.iter().find(|(_, kind)| !is_parent(kind)).or_else(|| items.first()) else {
        return;
    };
    let activity = match (kind.as_ref(), syscall) {
        (_, "rename" | "renameat" | "renameat2") => 5,
        ("CREATE", _) => 1,
        ("DELETE", _) => 4,
        (_, "chmod" | "fchmod" | "fchmodat" | "chown" | "fchown" | "lchown" | "fchownat") => 7,
        (_, "setxattr" | "lsetxattr" | "fsetxattr" | "removexattr" | "utime" | "utimes" | "utimensat") => 6,
        (_, "mount") => 12,
        (_, "umount2") => 13,
        (_, "truncate" | "ftruncate") => 3,
        (_, "open" | "openat" | "openat2" | "creat") => 14,
        (_, "stat" | "lstat" | "newfstatat" | "statx" | "access" | "faccessat" | "readlink") => 8,
        _ => 99,
    };
    mapper.class(ocsf::FILE_ACTIVITY, activity);
    mapper.used(paths.path_name);
    mapper.used(paths.path_kind);
    mapper.put(paths.file_path, name.as_ref());
    mapper.put(paths.file_name, base_name(name));
    mapper.put(paths.file_type, 0_i64);
    mapper.apply(&TABLES.actor);
    put_actor(mapper);
}

fn logon(mapper: &mut Mapper<'_>, activity: u32) {
    let paths = &*PATHS;
    mapper.class(ocsf::AUTHENTICATION, activity);
    mapper.apply(&TABLES.user);
    put_account(mapper, paths.user_name, paths.user_uid);
    let program = mapper.event.attributes.text(paths.service).map(|exe| base_name(exe).to_owned());
    if let Some(program) = &program {
        mapper.event.attributes.set(paths.service, program.as_str());
    }
    if program.as_deref().is_some_and(|program| matches!(program, "su" | "sudo")) && activity == 1 {
        mapper.class(ocsf::AUTHENTICATION, 7);
        mapper.put(paths.switch_type, 1_i64);
    }
    forget(mapper, paths.src_host, &NO_ADDRESS);
    if mapper.has(paths.src_ip) || mapper.has(paths.src_host) {
        mapper.put(paths.is_remote, true);
    } else if !mapper.has(paths.service) {
        mapper.put(paths.service, "unknown");
    }
}

/// `sudo` as the audit system sees it.
fn command(mapper: &mut Mapper<'_>) {
    let paths = &*PATHS;
    mapper.class(ocsf::PROCESS_ACTIVITY, 1);
    mapper.apply(&TABLES.command);
    if let Some(cmd) = mapper.record.fields.text(paths.cmd) {
        let program = cmd.split(' ').next().unwrap_or(cmd);
        mapper.put(paths.process_name, base_name(program));
        mapper.put(paths.process_path, program);
        mapper.put(paths.process_file, base_name(program));
        mapper.put(paths.process_type, 1_i64);
    }
    put_actor(mapper);
}

fn account(mapper: &mut Mapper<'_>, activity: u32) {
    let paths = &*PATHS;
    mapper.class(ocsf::ACCOUNT_CHANGE, activity);
    mapper.apply(&TABLES.account);
    put_account(mapper, paths.user_name, paths.user_uid);
    put_actor(mapper);
    // shadow-utils tell of a change of membership as one of the account.
    if mapper.has(paths.group_name) {
        let operation = mapper.record.fields.text(paths.operation).unwrap_or_default();
        let activity = match operation {
            _ if operation.starts_with("add-user") => 3,
            _ if operation.starts_with("delete-user") || operation.starts_with("deleting-user") => 4,
            _ => 9,
        };
        mapper.class(ocsf::GROUP_MANAGEMENT, activity);
    }
}

fn group(mapper: &mut Mapper<'_>, activity: u32) {
    let paths = &*PATHS;
    mapper.class(ocsf::GROUP_MANAGEMENT, activity);
    mapper.apply(&TABLES.account);
    match mapper.take_text(paths.group) {
        Some(name) => {
            mapper.put(paths.group_name, name.as_ref());
            put_account(mapper, paths.user_name, paths.user_uid);
        }
        None => put_account(mapper, paths.group_name, paths.group_uid),
    }
    put_actor(mapper);
}

/// `op=add-user-to-group`, `op=delete-user-from-group`.
fn membership(mapper: &Mapper<'_>) -> u32 {
    match mapper.record.fields.text(PATHS.op).unwrap_or_default() {
        op if op.starts_with("add") => 3,
        op if op.starts_with("delet") || op.starts_with("remov") => 4,
        _ => 9,
    }
}

fn audit_log(mapper: &mut Mapper<'_>, activity: u32) {
    mapper.class(ocsf::EVENT_LOG_ACTIVITY, activity);
    mapper.default(PATHS.log_name, "audit");
    put_actor(mapper);
}

/// The account that user space names: `acct="root"`, or `id=1000`.
fn put_account(mapper: &mut Mapper<'_>, name: PathId, uid: PathId) {
    let paths = &*PATHS;
    let given = mapper.take_text(paths.acct).or_else(|| mapper.take_text(paths.account_name));
    if let Some(text) = given.filter(|text| text != "?") {
        mapper.default(name, text.as_ref());
    }
    if let Some(id) = mapper.take_text(paths.account_id).filter(|id| !UNSET.contains(&id.as_ref())) {
        mapper.default(uid, id.as_ref());
    }
    if !mapper.has(uid) {
        mapper.default(name, "unknown");
    }
}

/// The login identity, or the user of the process.
fn put_actor(mapper: &mut Mapper<'_>) {
    let paths = &*PATHS;
    let is_set = |text: &Cow<'_, str>| !UNSET.contains(&text.as_ref());
    let auid = mapper.take_text(paths.auid).filter(is_set);
    let (name, uid) = match auid {
        Some(auid) => (mapper.take_text(paths.login_name), Some(auid)),
        None => (mapper.take_text(paths.uid_name), mapper.take_text(paths.uid).filter(is_set)),
    };
    if let Some(uid) = uid {
        mapper.default(paths.actor_uid, uid.as_ref());
    }
    if let Some(name) = name.filter(is_set) {
        mapper.default(paths.actor_name, name.as_ref());
    }
    if !mapper.has(paths.actor_uid) && !mapper.has(paths.actor_pid) {
        mapper.default(paths.actor_name, "unknown");
    }
}

fn put_device(mapper: &mut Mapper<'_>) {
    let paths = &*PATHS;
    if let Some(node) = mapper.take_text(paths.node) {
        mapper.put(paths.device_host, node.as_ref());
    } else if (1000..2000).contains(&mapper.event.class_uid) {
        mapper.put(paths.device_host, "unknown");
    }
}

/// Removes an attribute that says that there is none.
fn forget(mapper: &mut Mapper<'_>, path: PathId, placeholders: &[&str]) {
    if mapper.event.attributes.text(path).is_some_and(|text| placeholders.contains(&text)) {
        mapper.event.attributes.remove(path);
    }
}

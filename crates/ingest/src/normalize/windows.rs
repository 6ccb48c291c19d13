//! Windows event logs, whichever way they came.
//!
//! What an event means goes by its log and its id; the rules stand in [`sysmon`], [`security`] and [`channels`], in
//! the names of the event's own data. Where those names are found depends on the record's format alone.

mod channels;
mod security;
mod sysmon;

use std::sync::LazyLock;

use rustc_hash::FxHashMap;
use wanglou_model::{Format, PathId, Severity, Value};

use super::mapping::{Mapper, Table, To, integer};
use super::{generic, paths};

/// A data field and the attribute it becomes. `Element/Name` is a field of `UserData`.
type Row = (&'static str, To);

/// What events of some ids mean.
struct Rule {
    log: Log,
    ids: &'static [i64],
    class: u32,
    activity: u32,
    rows: &'static [&'static [Row]],
    /// What a table cannot say.
    then: Option<fn(&mut Mapper<'_>, Shape)>,
}

/// The logs that rules know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Log {
    Sysmon,
    Security,
    System,
    PowerShell,
    Defender,
    TaskScheduler,
    TerminalServices,
    Bits,
    Other,
}

impl Log {
    fn of(product: &str) -> Self {
        match product {
            "windows-sysmon" => Self::Sysmon,
            "windows-security" => Self::Security,
            "windows-system" => Self::System,
            "windows-powershell" => Self::PowerShell,
            "windows-defender" => Self::Defender,
            "windows-taskscheduler" => Self::TaskScheduler,
            "windows-terminalservices" => Self::TerminalServices,
            "windows-bits" => Self::Bits,
            _ => Self::Other,
        }
    }
}

/// The three forms that Windows events come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Shape {
    Event,
    Winlogbeat,
    Flat,
}

impl Shape {
    const ALL: [Self; 3] = [Self::Event, Self::Winlogbeat, Self::Flat];

    fn of(format: Format) -> Self {
        match format {
            Format::Evtx => Self::Event,
            Format::Winlogbeat => Self::Winlogbeat,
            _ => Self::Flat,
        }
    }

    /// The path of a data field.
    fn path(self, name: &str) -> String {
        match (self, name.split_once('/')) {
            (Self::Event, None) => format!("Event.EventData.{name}"),
            (Self::Event, Some((element, name))) => format!("Event.UserData.{element}.{name}"),
            (Self::Winlogbeat, None) => format!("winlog.event_data.{name}"),
            (Self::Winlogbeat, Some((_, name))) => format!("winlog.user_data.{name}"),
            (Self::Flat, None) => name.to_owned(),
            (Self::Flat, Some((_, name))) => name.to_owned(),
        }
    }
}

/// A data field, looked up for every shape.
struct Field(LazyLock<[PathId; 3]>);

impl Field {
    fn at(&self, shape: Shape) -> PathId {
        let [event, winlogbeat, flat] = *self.0;
        match shape {
            Shape::Event => event,
            Shape::Winlogbeat => winlogbeat,
            Shape::Flat => flat,
        }
    }
}

macro_rules! fields {
    ($($name:ident = $field:literal;)*) => {
        $(static $name: Field = Field(LazyLock::new(|| Shape::ALL.map(|shape| PathId::reserve(&shape.path($field)))));)*
    };
}
use fields;

fields! {
    UTC_TIME = "UtcTime";
}

/// A rule made ready for one shape.
struct Meaning {
    class: u32,
    activity: u32,
    table: Table,
    then: Option<fn(&mut Mapper<'_>, Shape)>,
}

static MEANINGS: LazyLock<FxHashMap<(Shape, Log, i64), Meaning>> = LazyLock::new(|| {
    let mut meanings = FxHashMap::default();
    for rule in [sysmon::RULES, security::RULES, channels::RULES].into_iter().flatten() {
        let rows: Vec<Row> = rule.rows.iter().flat_map(|rows| rows.iter().copied()).collect();
        for shape in Shape::ALL {
            for id in rule.ids {
                let table = Table::with_names(&rows, |name| shape.path(name));
                let meaning = Meaning { class: rule.class, activity: rule.activity, table, then: rule.then };
                meanings.insert((shape, rule.log, *id), meaning);
            }
        }
    }
    meanings
});

/// What stands around the data, for every shape.
struct Header {
    event_id: Vec<PathId>,
    times: Vec<PathId>,
    level: Vec<PathId>,
    table: Table,
}

static HEADERS: LazyLock<[Header; 3]> = LazyLock::new(|| Shape::ALL.map(header));

fn header(shape: Shape) -> Header {
    let paths = |names: &[&str]| names.iter().map(|name| PathId::reserve(name)).collect();
    let code = To::Text("metadata.event_code");
    let log = To::Text("metadata.log_name");
    let host = To::Text("device.hostname");
    let number = To::Text("metadata.original_event_uid");
    let message = To::Text("message");
    let provider = To::Text("metadata.log_source");
    match shape {
        Shape::Event => Header {
            event_id: paths(&["Event.System.EventID"]),
            times: paths(&["Event.System.TimeCreated.SystemTime"]),
            level: paths(&["Event.System.Level"]),
            table: Table::new(&[
                ("Event.System.EventID", code),
                ("Event.System.Channel", log),
                ("Event.System.Provider.Name", provider),
                ("Event.System.Computer", host),
                ("Event.System.EventRecordID", number),
                ("Event.System.Correlation.ActivityID", To::Text("metadata.correlation_uid")),
                ("Event.RenderingInfo.Message", message),
                ("Event.xmlns", To::Known),
            ]),
        },
        Shape::Winlogbeat => Header {
            event_id: paths(&["winlog.event_id", "event.code"]),
            times: paths(&["@timestamp", "winlog.time_created", "event.created"]),
            level: paths(&["winlog.level", "log.level", "level"]),
            table: Table::new(&[
                ("winlog.event_id", code),
                ("event.code", code),
                ("winlog.channel", log),
                ("winlog.provider_name", provider),
                ("winlog.computer_name", host),
                ("host.name", host),
                ("winlog.record_id", number),
                ("winlog.activity_id", To::Text("metadata.correlation_uid")),
                ("host.ip", To::Ip("device")),
                ("message", message),
            ]),
        },
        Shape::Flat => Header {
            event_id: paths(&["EventID", "EventId"]),
            times: paths(&["@timestamp", "TimeCreated", "EventTime", "SystemTime", "EventReceivedTime"]),
            level: paths(&["Level", "LevelDisplayName", "Severity"]),
            table: Table::new(&[
                ("EventID", code),
                ("EventId", code),
                ("Channel", log),
                ("LogName", log),
                ("SourceName", provider),
                ("ProviderName", provider),
                ("Provider_Name", provider),
                ("Hostname", host),
                ("Computer", host),
                ("EventRecordID", number),
                ("RecordNumber", number),
                ("ActivityID", To::Text("metadata.correlation_uid")),
                ("Message", message),
            ]),
        },
    }
}

paths! {
    status_id = "status_id";
    status_code = "status_code";
    actor_user = "actor.user.name";
    actor_uid = "actor.user.uid";
    actor_pid = "actor.process.pid";
    host = "device.hostname";
    dst_host = "dst_endpoint.hostname";
    event_user = "Event.System.Security.UserID";
    event_pid = "Event.System.Execution.ProcessID";
    beat_user = "winlog.user.identifier";
    beat_pid = "winlog.process.pid";
    flat_user = "UserID";
    flat_pid = "ExecutionProcessID";
}

/// Maps an event of any log.
pub(super) fn map(mapper: &mut Mapper<'_>) {
    let shape = Shape::of(mapper.record.format);
    let [event, winlogbeat, flat] = &*HEADERS;
    let header = match shape {
        Shape::Event => event,
        Shape::Winlogbeat => winlogbeat,
        Shape::Flat => flat,
    };
    mapper.apply(&header.table);
    if !header.times.iter().any(|time| mapper.time(*time)) {
        mapper.utc_time(UTC_TIME.at(shape));
    }
    for level in &header.level {
        if let Some(severity) = mapper.record.fields.get(*level).and_then(severity) {
            mapper.event.severity = severity;
            mapper.used(*level);
            break;
        }
    }
    let id = header.event_id.iter().find_map(|path| mapper.record.fields.get(*path).and_then(integer));
    let log = Log::of(&mapper.record.product.id);
    match id.and_then(|id| MEANINGS.get(&(shape, log, id))) {
        Some(meaning) => {
            mapper.class(meaning.class, meaning.activity);
            mapper.apply(&meaning.table);
            if let Some(then) = meaning.then {
                then(mapper, shape);
            }
        }
        None => mapper.apply(other_events(shape)),
    }
    if !matches!(log, Log::Sysmon | Log::Security) {
        writer(mapper);
    }
}

/// Windows levels (winmeta.xml), by number or word.
fn severity(level: Value<'_>) -> Option<Severity> {
    Some(match integer(level) {
        Some(1) => Severity::Critical,
        Some(2) => Severity::High,
        Some(3) => Severity::Medium,
        Some(_) => Severity::Informational,
        None => return generic::severity(level),
    })
}

/// The user and process that wrote the event, where nothing better is known as the actor.
fn writer(mapper: &mut Mapper<'_>) {
    let paths = &*PATHS;
    if mapper.has(paths.actor_user) || mapper.has(paths.actor_uid) {
        return;
    }
    for (user, process) in [
        (paths.event_user, paths.event_pid),
        (paths.beat_user, paths.beat_pid),
        (paths.flat_user, paths.flat_pid),
    ] {
        if let Some(user) = mapper.take(user) {
            mapper.put(paths.actor_uid, user);
        }
        if !mapper.has(paths.actor_pid)
            && let Some(process) = mapper.take(process).and_then(integer)
        {
            mapper.put(paths.actor_pid, process);
        }
    }
}

/// What the data of any event tells: Microsoft uses the same names in many.
const OTHER_EVENTS: &[Row] = &[
    ("SubjectUserName", To::User("actor.user")),
    ("SubjectDomainName", To::Text("actor.user.domain")),
    ("SubjectUserSid", To::Text("actor.user.uid")),
    ("User", To::User("actor.user")),
    ("UserName", To::User("actor.user")),
    ("TargetUserName", To::User("user")),
    ("TargetDomainName", To::Text("user.domain")),
    ("TargetSid", To::Text("user.uid")),
    ("Image", To::Image("process")),
    ("ProcessName", To::Image("process")),
    ("ProcessId", To::Int("process.pid")),
    ("CommandLine", To::Text("process.cmd_line")),
    ("IpAddress", To::Ip("src_endpoint")),
    ("IpPort", To::Int("src_endpoint.port")),
    ("SourceIp", To::Ip("src_endpoint")),
    ("DestinationIp", To::Ip("dst_endpoint")),
];

fn other_events(shape: Shape) -> &'static Table {
    static TABLES: LazyLock<[Table; 3]> =
        LazyLock::new(|| Shape::ALL.map(|shape| Table::with_names(OTHER_EVENTS, |name| shape.path(name))));
    let [event, winlogbeat, flat] = &*TABLES;
    match shape {
        Shape::Event => event,
        Shape::Winlogbeat => winlogbeat,
        Shape::Flat => flat,
    }
}

/// The event says that what it tells of worked.
fn succeeded(mapper: &mut Mapper<'_>, _: Shape) {
    mapper.put(PATHS.status_id, 1_i64);
}

/// Success or failure by an NTSTATUS or Kerberos code.
fn status(mapper: &mut Mapper<'_>, code: PathId) {
    if let Some(code) = mapper.take(code) {
        mapper.put(PATHS.status_id, if integer(code) == Some(0) { 1_i64 } else { 2 });
        mapper.default(PATHS.status_code, code.to_text().as_ref());
    }
}

/// What is logged on to is the host that reports it, unless the event names another.
fn reporting_host_is_destination(mapper: &mut Mapper<'_>) {
    if let Some(host) = mapper.event.attributes.text(PATHS.host).map(str::to_owned) {
        mapper.default(PATHS.dst_host, host.as_str());
    }
}

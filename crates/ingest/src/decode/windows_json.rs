//! Windows events in JSON, brought to one spelling for each format.
//!
//! - `Event.System…`: the tools that turn event XML into JSON differ in how they write attributes (`#attributes`,
//!   `@Name`, `Provider_attributes`) and named `Data` elements. All become what [`super::evtx`] gives.
//! - Winlogbeat before version 7 wrote its fields at the top (`event_data.Image`); they become `winlog.event_data.Image`.

use std::sync::LazyLock;

use wanglou_model::{FieldMap, Format, PathId, Value};

struct Paths {
    provider: PathId,
    data: PathId,
    data_name: [PathId; 2],
    winlog: [PathId; 2],
}

static PATHS: LazyLock<Paths> = LazyLock::new(|| Paths {
    provider: PathId::reserve("Event.System.Provider.Name"),
    data: PathId::reserve("Event.EventData.Data"),
    data_name: [PathId::reserve("Event.EventData.Data.Name"), PathId::reserve("Event.EventData.Data.@Name")],
    winlog: [PathId::reserve("winlog.event_id"), PathId::reserve("winlog.channel")],
});

/// Old Winlogbeat names at the top level and what they became.
const OLD_BEAT: [(&str, &str); 12] = [
    ("event_id", "winlog.event_id"),
    ("log_name", "winlog.channel"),
    ("source_name", "winlog.provider_name"),
    ("computer_name", "winlog.computer_name"),
    ("record_number", "winlog.record_id"),
    ("provider_guid", "winlog.provider_guid"),
    ("process_id", "winlog.process.pid"),
    ("thread_id", "winlog.process.thread.id"),
    ("task", "winlog.task"),
    ("opcode", "winlog.opcode"),
    ("keywords", "winlog.keywords"),
    ("version", "winlog.version"),
];

/// Brings the fields of a JSON record of `format` to that format's paths; `scratch` is room to work in.
pub fn unify(format: Format, fields: &mut FieldMap, scratch: &mut FieldMap) {
    let paths = &*PATHS;
    let has = |path: &PathId| fields.get(*path).is_some();
    let done = match format {
        Format::Evtx => has(&paths.provider) && !paths.data_name.iter().any(has),
        _ => paths.winlog.iter().any(has),
    };
    if done {
        return;
    }
    scratch.clear();
    match format {
        Format::Evtx => unify_event(fields, scratch),
        _ => unify_old_beat(fields, scratch),
    }
    std::mem::swap(fields, scratch);
}

fn unify_old_beat(fields: &FieldMap, out: &mut FieldMap) {
    for (name, value) in fields.iter_named() {
        if let Some((_, new)) = OLD_BEAT.iter().find(|(old, _)| *old == name) {
            out.push_named(None, new, value);
        } else if name.starts_with("event_data.") || name.starts_with("user_data.") {
            out.push_named(None, &format!("winlog.{name}"), value);
        } else {
            out.push_named(None, name, value);
        }
    }
}

fn unify_event(fields: &FieldMap, out: &mut FieldMap) {
    let paths = &*PATHS;
    let is_name = |path: PathId| paths.data_name.contains(&path);
    let pairs = fields.iter().filter(|(path, _)| *path == paths.data || is_name(*path));
    let name_first = pairs.into_iter().next().is_some_and(|(path, _)| is_name(path));
    let mut data = NamedData { out, name_first, pending: None };
    for (path, value) in fields.iter() {
        if is_name(path) {
            data.name(value);
        } else if path == paths.data {
            data.value(value);
        } else {
            data.out.push_named(None, &plain_path(path.name()), value);
        }
    }
    data.finish();
    for (name, value) in fields.iter_named().skip(fields.iter().count()) {
        out.push_named(None, name, value);
    }
}

/// `Event.System.Provider_attributes.@Name` → `Event.System.Provider.Name`.
fn plain_path(path: &str) -> String {
    let segments = path.split('.').map(|segment| {
        let segment = segment.strip_prefix('@').unwrap_or(segment);
        segment.strip_suffix("_attributes").unwrap_or(segment)
    });
    segments.collect::<Vec<_>>().join(".")
}

/// Joins the names and values of `<Data Name="…">…</Data>`, which come as two lists in step.
struct NamedData<'o, 'v> {
    out: &'o mut FieldMap,
    name_first: bool,
    pending: Option<Value<'v>>,
}

impl<'v> NamedData<'_, 'v> {
    fn name(&mut self, name: Value<'v>) {
        if self.name_first {
            if let Some(empty) = self.pending.replace(name) {
                self.push(empty, Value::Str(""));
            }
        } else {
            let value = self.pending.take().unwrap_or(Value::Str(""));
            self.push(name, value);
        }
    }

    fn value(&mut self, value: Value<'v>) {
        if self.name_first {
            match self.pending.take() {
                Some(name) => self.push(name, value),
                None => self.out.push(PATHS.data, value),
            }
        } else if let Some(unnamed) = self.pending.replace(value) {
            self.out.push(PATHS.data, unnamed);
        }
    }

    fn finish(&mut self) {
        match self.pending.take() {
            Some(name) if self.name_first => self.push(name, Value::Str("")),
            Some(value) => self.out.push(PATHS.data, value),
            None => {}
        }
    }

    fn push(&mut self, name: Value<'_>, value: Value<'_>) {
        self.out.push_named(None, &format!("Event.EventData.{}", name.to_text()), value);
    }
}

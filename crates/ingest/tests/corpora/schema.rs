//! The OCSF schema, read from its own sources, as far as events can be held against it.
#![allow(clippy::indexing_slicing, reason = "helpers of tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Map, Value};

pub(crate) struct Schema {
    dictionary: Map<String, Value>,
    objects: BTreeMap<String, Map<String, Value>>,
    classes: BTreeMap<u64, Map<String, Value>>,
    profiles: BTreeMap<String, Map<String, Value>>,
    /// The `type_id`s of observables: the schema declares them at the types of the dictionary, not as an enumeration.
    observables: BTreeSet<u64>,
}

fn read(path: &Path) -> Map<String, Value> {
    let text = std::fs::read_to_string(path).expect("a schema file");
    serde_json::from_str(&text).expect("JSON of the schema")
}

fn files(folder: &Path) -> Vec<Map<String, Value>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(read(&entry.path()));
        }
    }
    found
}

fn attributes(of: &Map<String, Value>) -> Map<String, Value> {
    of.get("attributes").and_then(Value::as_object).cloned().unwrap_or_default()
}

/// The attributes of `name` with those it inherits.
fn inherited(name: &str, all: &BTreeMap<String, Map<String, Value>>) -> Map<String, Value> {
    let Some(own) = all.get(name) else { return Map::new() };
    let mut merged = match own.get("extends").and_then(Value::as_str) {
        Some(parent) if parent != name => inherited(parent, all),
        _ => Map::new(),
    };
    for (key, value) in attributes(own) {
        match (merged.get_mut(&key), value) {
            (Some(Value::Object(known)), Value::Object(more)) => known.extend(more),
            (_, value) => _ = merged.insert(key, value),
        }
    }
    merged
}

impl Schema {
    pub(crate) fn read(folder: &Path) -> Self {
        let base = read(&folder.join("dictionary.json"));
        let types = base["types"].as_object().map(attributes).unwrap_or_default();
        let observables = types.values().filter_map(|kind| kind["observable"].as_u64()).collect();
        let mut dictionary = attributes(&base);
        dictionary.extend(attributes(&read(&folder.join("extensions/windows/dictionary.json"))));
        let mut objects = BTreeMap::new();
        for object in files(&folder.join("objects"))
            .into_iter()
            .chain(files(&folder.join("extensions/windows/objects")))
        {
            // A file without a name adds to the object it extends.
            match object.get("name").and_then(Value::as_str).map(str::to_owned) {
                Some(name) => _ = objects.insert(name, object),
                None => {
                    let base = object["extends"].as_str().expect("extends").to_owned();
                    let known: &mut Map<String, Value> = objects.get_mut(&base).expect("the extended object");
                    let more = attributes(&object);
                    known["attributes"].as_object_mut().expect("attributes").extend(more);
                }
            }
        }
        let categories = attributes(&read(&folder.join("categories.json")));
        let mut events = BTreeMap::new();
        let mut windows = BTreeSet::new();
        for event in files(&folder.join("events")) {
            events.insert(event["name"].as_str().expect("name").to_owned(), event);
        }
        for event in files(&folder.join("extensions/windows/events")) {
            let name = event["name"].as_str().expect("name").to_owned();
            windows.insert(name.clone());
            events.insert(name, event);
        }
        let mut classes = BTreeMap::new();
        for (name, event) in &events {
            let Some(uid) = event.get("uid").and_then(Value::as_u64) else { continue };
            let mut at = event;
            let category = loop {
                match (at.get("category").and_then(Value::as_str), at.get("extends").and_then(Value::as_str))
                {
                    (Some(category), _) => break category.to_owned(),
                    (None, Some(parent)) => at = &events[parent],
                    (None, None) => break "other".to_owned(),
                }
            };
            let category = categories.get(&category).and_then(|c| c["uid"].as_u64()).unwrap_or(0);
            let extension = if windows.contains(name) { 200_000 } else { 0 };
            classes.insert(extension + category * 1000 + uid, inherited(name, &events));
        }
        classes.insert(0, inherited("base_event", &events));
        let objects = objects.keys().map(|name| (name.clone(), inherited(name, &objects))).collect();
        let profiles = files(&folder.join("profiles")).into_iter();
        let profiles = profiles
            .map(|profile| (profile["name"].as_str().expect("name").to_owned(), attributes(&profile)));
        Self { dictionary, objects, classes, profiles: profiles.collect(), observables }
    }

    /// What is wrong with an event: `class: path: problem`.
    pub(crate) fn problems(&self, event: &Map<String, Value>) -> Vec<String> {
        let class_uid = event["class_uid"].as_u64().expect("class_uid");
        let Some(class) = self.classes.get(&class_uid) else {
            return vec![format!("{class_uid}: no such class")];
        };
        let mut class = class.clone();
        for profile in event["metadata"]["profiles"].as_array().into_iter().flatten() {
            match profile.as_str().and_then(|name| self.profiles.get(name)) {
                Some(profile) => profile.iter().for_each(|(key, value)| {
                    class.entry(key).or_insert_with(|| value.clone());
                }),
                None => return vec![format!("{class_uid}: no such profile {profile}")],
            }
        }
        let mut problems = Vec::new();
        self.object(&format!("{class_uid}"), event, &class, class_uid == 0, &mut problems);
        problems
    }

    fn object(
        &self,
        place: &str,
        object: &Map<String, Value>,
        wanted: &Map<String, Value>,
        open: bool,
        problems: &mut Vec<String>,
    ) {
        for (name, attribute) in wanted {
            let required = attribute.get("requirement").and_then(Value::as_str) == Some("required");
            // What a profile adds to an object is wanted only with the profile.
            if required && attribute.get("profile").is_none_or(Value::is_null) && !object.contains_key(name) {
                problems.push(format!("{place}.{name}: required, absent"));
            }
        }
        for (name, value) in object {
            let place = format!("{place}.{name}");
            if matches!(name.as_str(), "unmapped" | "raw_data") {
                continue;
            }
            let Some(attribute) = wanted.get(name) else {
                if !open {
                    problems.push(format!("{place}: not of this class or object"));
                }
                continue;
            };
            self.value(&place, value, name, attribute, problems);
        }
    }

    fn value(&self, place: &str, value: &Value, name: &str, attribute: &Value, problems: &mut Vec<String>) {
        let Some(known) = self.dictionary.get(name) else { return };
        let is_array = known.get("is_array").and_then(Value::as_bool).unwrap_or(false);
        let values: Vec<&Value> = match (is_array, value) {
            (true, Value::Array(values)) => values.iter().collect(),
            (true, _) => return problems.push(format!("{place}: not an array")),
            (false, value) => vec![value],
        };
        let kind =
            attribute.get("type").or_else(|| known.get("type")).and_then(Value::as_str).unwrap_or("string_t");
        for value in values {
            let fits = match kind {
                "integer_t" | "long_t" | "timestamp_t" => value.is_i64() || value.is_u64(),
                "port_t" => value.as_u64().is_some_and(|port| port <= 65535),
                "boolean_t" => value.is_boolean(),
                "float_t" => value.is_number(),
                "json_t" => true,
                "ip_t" => value.as_str().is_some_and(|ip| ip.parse::<std::net::IpAddr>().is_ok()),
                kind if kind.ends_with("_t") => value.is_string(),
                object => match value.as_object() {
                    Some(inner) => {
                        if let Some(wanted) = self.objects.get(object) {
                            self.object(place, inner, wanted, object == "object", problems);
                        }
                        true
                    }
                    None => false,
                },
            };
            if !fits {
                problems.push(format!("{place}: {value} is no {kind}"));
            }
            let enums = [attribute.get("enum"), known.get("enum")];
            let mut ids = enums.into_iter().flatten().filter_map(Value::as_object).peekable();
            if name.ends_with("_id") && ids.peek().is_some() {
                let id = value.to_string();
                let is_observable = place.ends_with(".observables.type_id")
                    && value.as_u64().is_some_and(|id| self.observables.contains(&id));
                if !is_observable && !ids.any(|ids| ids.contains_key(&id)) {
                    problems.push(format!("{place}: {id} is not in its enumeration"));
                }
            }
        }
    }
}

//! How many records the engine evaluates in a second of processor time: `throughput RULES… -- JSON-LINES…` (Windows events, as evtx tools
//! write them, one a line).
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a tool for developers")]

use std::path::PathBuf;
use std::time::Duration;

use wanglou_detect::{Taxonomy, compile, rules};
use wanglou_model::{FieldMap, Format, PathId, Record, Value};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (rule_paths, event_paths) = arguments.split_at(arguments.iter().position(|a| a == "--").unwrap());
    let paths: Vec<PathBuf> = rule_paths.iter().map(PathBuf::from).collect();
    let started = cpu_time();
    let (files, _) = rules::read(&paths);
    println!("read {} files in {:?}", files.len(), (cpu_time() - started));
    let tables: Vec<(String, String)> = ["windows", "linux", "web", "network", "cloud", "application"]
        .map(|name| format!("content/taxonomy/{name}.yaml"))
        .into_iter()
        .map(|path| (path.clone(), std::fs::read_to_string(path).unwrap()))
        .collect();
    let taxonomy = Taxonomy::from_yaml(tables.iter().map(|(a, b)| (a.as_str(), b.as_str()))).unwrap();
    let started = cpu_time();
    let compilation = compile(&files, &taxonomy);
    println!("compiled {} rules in {:?}", compilation.loaded, (cpu_time() - started));
    for failed in compilation.failed.iter().take(20) {
        println!("not loaded: {}: {}", failed.file, failed.reason);
    }
    println!("memory after compiling: {}", memory());

    let mut records = Vec::new();
    for path in event_paths.iter().skip(1) {
        for line in std::fs::read_to_string(path).unwrap().lines() {
            let json = serde_json::from_str(line).unwrap();
            let mut record = Record::new(Format::Evtx, line.to_owned().into());
            push(&mut record.fields, None, &json);
            records.push(record);
        }
    }
    let engine = compilation.engine;
    let mut scratch = engine.scratch();
    let mut hits = 0;
    let mut evaluate = || {
        hits = records.iter().map(|record| engine.evaluate(record, &mut scratch).len()).sum::<usize>();
    };
    evaluate();
    let started = cpu_time();
    const ROUNDS: u32 = 5;
    (0..ROUNDS).for_each(|_| evaluate());
    let each = (cpu_time() - started) / ROUNDS;
    let rate = records.len() as f64 / each.as_secs_f64();
    println!("{} records, {hits} hits, {each:?} a round: {rate:.0} records in a CPU-second", records.len());
}

/// Time that this thread has run: unlike the clock, it does not count the machine's other work.
fn cpu_time() -> Duration {
    let schedstat = std::fs::read_to_string("/proc/self/schedstat").unwrap();
    Duration::from_nanos(schedstat.split(' ').next().unwrap().parse().unwrap())
}

fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().filter(|line| line.starts_with("VmRSS") || line.starts_with("VmHWM")).collect()
}

fn push(fields: &mut FieldMap, path: Option<PathId>, json: &serde_json::Value) {
    use serde_json::Value as Json;
    match json {
        Json::Null => fields.push(path.unwrap(), Value::Null),
        Json::Bool(flag) => fields.push(path.unwrap(), *flag),
        Json::Number(number) => fields.push(path.unwrap(), number.as_i64().unwrap_or_default()),
        Json::String(text) => fields.push(path.unwrap(), text.as_str()),
        Json::Array(items) => items.iter().for_each(|item| push(fields, path, item)),
        Json::Object(entries) => {
            for (key, value) in entries {
                let child = if key.starts_with('#') { path } else { PathId::child(path, key) };
                push(fields, child, value);
            }
        }
    }
}

//! Real logs, where they are present: everything reads, what comes in two forms gives the same fields, and every event
//! made of them is sound OCSF.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests"
)]

mod schema;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use wanglou_ingest::{
    Catalog, EventContext, FileReport, FileStatus, ReadLimits, Reader, RecordSink, discover, normalize,
};
use wanglou_model::{Event, EventUid, Format, PathId, Record, SourceId, TenantId, Timestamp};
use wanglou_testkit::corpus;

#[derive(Default)]
struct Collected {
    records: Vec<(String, u64, Record)>,
    rejected: Vec<String>,
}

impl RecordSink for Collected {
    fn record(&mut self, file: &Arc<str>, number: u64, record: &Record) -> ControlFlow<()> {
        self.records.push((file.to_string(), number, record.clone()));
        ControlFlow::Continue(())
    }

    fn rejected(&mut self, file: &Arc<str>, number: u64, reason: &str) {
        self.rejected.push(format!("{file}:{number}: {reason}"));
    }
}

fn read(folder: &Path) -> (Collected, Vec<FileReport>) {
    read_files(folder, u64::MAX)
}

/// Reads the files of at most so many bytes.
fn read_files(folder: &Path, bytes: u64) -> (Collected, Vec<FileReport>) {
    let table = include_str!("../../../../content/products.yaml");
    let catalog = Arc::new(Catalog::from_yaml(table).expect("the shipped table of products is sound"));
    let mut collected = Collected::default();
    let reader = Reader::new(catalog, ReadLimits::default());
    let found = discover(&[folder.to_owned()]);
    assert_eq!(found.failed, []);
    let reports = found
        .inputs
        .iter()
        .filter(|input| input.bytes <= bytes)
        .flat_map(|input| reader.read(input, &mut collected))
        .collect();
    (collected, reports)
}

fn event(record: &Record) -> Event {
    let context = EventContext {
        uid: EventUid::from_u128(1),
        source: SourceId::new("corpus"),
        arrival: Timestamp::from_secs(1_790_000_000),
        tenant: TenantId::default(),
        zone: jiff::tz::TimeZone::UTC,
    };
    normalize(record, context)
}

fn count<T: Ord>(items: impl Iterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    items.for_each(|item| *counts.entry(item).or_default() += 1);
    counts
}

/// Which records stayed Base Events, by product and what tells them apart.
fn print_unmapped(name: &str, records: &[(String, u64, Record)]) {
    let events: Vec<Event> = records.iter().map(|(_, _, record)| event(record)).collect();
    let code = PathId::reserve("metadata.event_code");
    let code = |event: &Event| event.attributes.text(code).unwrap_or_default().to_owned();
    let base = events.iter().filter(|event| event.class_uid == 0);
    let counts = count(base.map(|event| format!("{} {}", event.product.id, code(event))));
    println!(
        "{name}: {} events, {} of them Base Events: {counts:?}",
        events.len(),
        counts.values().sum::<usize>()
    );
}

#[test]
fn every_recorded_windows_log_reads_whole() {
    let Some(folder) = corpus("evtx-attack-samples") else { return };
    let (collected, reports) = read(&folder);
    println!("products: {:?}", count(collected.records.iter().map(|(_, _, record)| &record.product.id)));
    print_unmapped("evtx-attack-samples", &collected.records);
    let logs = reports.iter().filter(|report| report.file.ends_with(".evtx"));
    let troubled: Vec<_> =
        logs.filter(|report| report.status != FileStatus::Read || report.rejected > 0).collect();
    assert!(troubled.is_empty(), "{troubled:#?}");
    assert!(collected.records.len() > 8_000);
}

/// The same events as EVTX and as the JSON of another tool: the same paths and values.
#[test]
fn an_event_is_the_same_as_evtx_and_as_json() {
    let Some(folder) = corpus("sigma-regression") else { return };
    let (collected, _) = read(&folder);
    let mut by_file: BTreeMap<(String, bool), Vec<&Record>> = BTreeMap::new();
    for (file, _, record) in &collected.records {
        if let Some(stem) = file.strip_suffix(".evtx") {
            by_file.entry((stem.to_owned(), true)).or_default().push(record);
        } else if let Some(stem) = file.strip_suffix(".json") {
            by_file.entry((stem.to_owned(), false)).or_default().push(record);
        }
    }
    let mut compared = 0;
    for ((stem, is_evtx), records) in &by_file {
        let Some(others) = by_file.get(&(stem.clone(), false)).filter(|_| *is_evtx) else { continue };
        for other in others {
            assert_eq!(other.format, Format::Evtx, "{stem}");
            let number = |record: &Record| plain(record).get("Event.System.EventRecordID").cloned();
            let twin = records.iter().find(|record| number(record) == number(other));
            let twin = twin.unwrap_or_else(|| panic!("{stem}: no such record in the EVTX file"));
            let (twin, other) = (plain(twin), plain(other));
            let differing: Vec<_> = twin
                .keys()
                .chain(other.keys())
                .filter(|key| twin.get(*key).map(|v| styleless(v)) != other.get(*key).map(|v| styleless(v)))
                .map(|key| (key, twin.get(key), other.get(key)))
                .collect();
            assert!(differing.is_empty(), "{stem}: {differing:#?}");
            compared += 1;
        }
    }
    println!("{compared} events compared");
    assert!(compared >= 70);
}

fn plain(record: &Record) -> BTreeMap<String, Vec<String>> {
    let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in record.fields.iter_named() {
        let text = value.to_text().into_owned();
        if !text.is_empty() {
            fields.entry(name.to_owned()).or_default().push(text);
        }
    }
    fields
}

/// Values without what is the writer's style: braces of GUIDs, case, trailing space, the form of times, digits beyond
/// the sixth after the point.
fn styleless(values: &[String]) -> Vec<String> {
    let plain = |value: &String| {
        let text = value.trim();
        let inner = text.trim_start_matches('{').trim_end_matches('}');
        let is_guid = inner.len() == 36 && inner.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        match (text.parse::<Timestamp>(), text.parse::<f64>()) {
            (Ok(time), _) => {
                format!("{}.{:06}", time.nanos() / 1_000_000_000, time.nanos() / 1000 % 1_000_000)
            }
            (_, Ok(number)) => format!("{number:.6}"),
            _ if is_guid => inner.to_lowercase(),
            _ => text.to_lowercase(),
        }
    };
    values.iter().map(plain).collect()
}

/// Zeek writes one network's logs as JSON and as TSV.
#[test]
fn a_zeek_log_is_the_same_as_tsv_and_as_json() {
    let Some(folder) = corpus("zeek-logs-zed") else { return };
    // The largest logs are of the plainest kinds, and take minutes where nothing is optimised.
    const PACKED: u64 = 200_000;
    let (tsv, reports) = read_files(&folder.join("zeek-default"), PACKED);
    println!("rejected: {:?}", tsv.rejected.iter().take(5).collect::<Vec<_>>());
    assert!(reports.iter().all(|report| report.status == FileStatus::Read), "{reports:#?}");
    let (json, _) = read_files(&folder.join("zeek-json"), PACKED);
    print_unmapped("zeek-logs-zed", &json.records);
    // `dns.log.gz` of one are `dns.json.gz` of the other.
    let log = |file: &str| -> String {
        let name = Path::new(file).file_name().expect("a name").to_string_lossy();
        name.split('.').next().expect("a stem").to_owned()
    };
    let logs = |collected: &Collected| count(collected.records.iter().map(|(file, _, _)| log(file)));
    let (tsv_logs, json_logs) = (logs(&tsv), logs(&json));
    let mut differing = BTreeMap::new();
    let mut compared = 0;
    for (name, rows) in tsv_logs.iter().filter(|(name, rows)| json_logs.get(*name) == Some(rows)) {
        let of = |all: &Collected| -> Vec<BTreeMap<String, Vec<String>>> {
            all.records
                .iter()
                .filter(|(file, _, _)| log(file) == *name)
                .map(|(_, _, record)| plain(record))
                .collect()
        };
        for (tsv, json) in of(&tsv).into_iter().zip(of(&json)) {
            compared += 1;
            let keys = tsv.keys().chain(json.keys()).filter(|key| *key != "_write_ts");
            for key in
                keys.filter(|key| tsv.get(*key).map(|v| styleless(v)) != json.get(*key).map(|v| styleless(v)))
            {
                let example = format!("{:?} {:?}", tsv.get(key), json.get(key));
                differing.entry((name.clone(), key.clone())).or_insert((0, example)).0 += 1;
            }
        }
        assert!(*rows > 0);
    }
    println!("{compared} records of {} logs compared; differing: {differing:#?}", tsv_logs.len());
    assert!(compared > 5_000);
    let differences: usize = differing.values().map(|(times, _)| times).sum();
    assert!(differences * 100 < compared, "more than one field in a hundred records differs");
}

/// Every file of these is in one format, and every record of theirs is taken for it.
#[test]
fn cloud_and_network_logs_are_recognised() {
    let expected = [
        ("cloudtrail-stratus", "json", Format::CloudTrail),
        ("k8s-audit-falco", "json", Format::KubernetesAudit),
        ("suricata-eve-samples", "json", Format::SuricataEve),
    ];
    for (name, extension, format) in expected {
        let Some(folder) = corpus(name) else { continue };
        let (collected, reports) = read(&folder);
        print_unmapped(name, &collected.records);
        let failed: Vec<_> =
            reports.iter().filter(|report| matches!(report.status, FileStatus::Failed(_))).collect();
        assert!(failed.is_empty(), "{failed:#?}");
        let logs = collected.records.iter().filter(|(file, _, _)| file.ends_with(extension));
        let others: Vec<_> =
            logs.filter(|(_, _, record)| record.format != format).map(|(file, ..)| file).collect();
        assert!(others.len() * 20 <= collected.records.len(), "{name}: {others:#?}");
    }
}

#[test]
fn every_event_is_sound_ocsf() {
    let Some(folder) = corpus("ocsf-schema") else { return };
    let schema = schema::Schema::read(&folder);
    // Of each kind of event so many; thousands alike say nothing new.
    const OF_A_KIND: usize = 100;
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut problems: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for name in [
        "evtx-attack-samples",
        "sigma-regression",
        "suricata-eve-samples",
        "zeek-logs-zed",
        "cloudtrail-stratus",
        "k8s-audit-falco",
        "auditd-go-libaudit",
        "filebeat-oss-modules",
    ] {
        let Some(folder) = corpus(name) else { continue };
        let (collected, _) = read(&folder);
        for (file, number, record) in &collected.records {
            let event = event(record);
            let code = event.attributes.text(PathId::reserve("metadata.event_code")).unwrap_or_default();
            let times = seen.entry(format!("{} {} {code}", event.product.id, event.class_uid)).or_default();
            *times += 1;
            if *times > OF_A_KIND {
                continue;
            }
            for problem in schema.problems(&event.to_json(None)) {
                let place = format!("{file}:{number}");
                problems.entry(problem).or_insert((0, place)).0 += 1;
            }
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
}

//! Fields read right, counted against what others read from the same logs: go-libaudit's and Filebeat's golden files,
//! and Zeek's own JSON beside its TSV. The table and every miss are printed (`--no-capture`); a fall below the bound
//! fails.
#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use jiff::tz::{Offset, TimeZone};
use serde_json::Value as Json;
use wanglou_ingest::{
    Catalog, EventContext, FrameDecoder, ReadLimits, Reader, RecordSink, discover, normalize,
};
use wanglou_model::{EventUid, FieldMap, PathId, Record, SourceId, TenantId, Timestamp};
use wanglou_testkit::corpus;

/// The share of fields that must be right.
const BOUND: f64 = 0.98;

/// Right and compared fields by kind of log.
#[derive(Default)]
struct Score {
    rows: BTreeMap<String, (u32, u32)>,
    misses: Vec<String>,
}

impl Score {
    fn check(&mut self, row: &str, place: &str, field: &str, wanted: &str, got: Option<&str>) {
        let (right, all) = self.rows.entry(row.to_owned()).or_default();
        *all += 1;
        if got == Some(wanted) {
            *right += 1;
        } else {
            self.misses.push(format!(
                "{row}: {place}: {field}: wanted `{wanted}`, got `{}`",
                got.unwrap_or("nothing")
            ));
        }
    }

    fn judge(&self) {
        let share = self.print();
        assert!(share >= BOUND, "{:.2} % of the fields are right", share * 100.0);
    }

    /// Prints the table and gives the share of all.
    fn print(&self) -> f64 {
        let (mut right, mut all) = (0, 0);
        for (row, (r, a)) in &self.rows {
            println!("{row:<32} {r:>6} of {a:>6}  {:.2} %", f64::from(*r) * 100.0 / f64::from(*a));
            (right, all) = (right + r, all + a);
        }
        for miss in &self.misses {
            println!("  {miss}");
        }
        let share = f64::from(right) / f64::from(all);
        println!("{:<32} {right:>6} of {all:>6}  {:.2} %", "all", share * 100.0);
        assert!(all > 0);
        share
    }
}

fn catalog() -> Arc<Catalog> {
    Arc::new(Catalog::from_yaml(include_str!("../../../content/products.yaml")).unwrap())
}

fn decode(frames: &[Bytes]) -> Vec<Record> {
    let mut records = Vec::new();
    FrameDecoder::new(catalog()).decode_lines(frames, &mut |_, record| records.push(record), &mut |_, _| {});
    records
}

fn text(fields: &FieldMap, name: &str) -> Option<String> {
    fields.get(PathId::reserve(name)).map(|value| value.to_text().into_owned())
}

fn json_text(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

fn files(folder: &Path, suffix: &str) -> Vec<PathBuf> {
    let found = discover(&[folder.to_owned()]).inputs;
    found
        .into_iter()
        .map(|input| input.path)
        .filter(|path| path.to_string_lossy().ends_with(suffix))
        .collect()
}

fn read_json(path: &Path) -> Vec<Json> {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn audit_records_are_read_as_go_libaudit_reads_them() {
    let Some(folder) = corpus("auditd-go-libaudit") else { return };
    let mut score = Score::default();
    for golden in files(&folder.join("auparse/testdata"), ".log.golden") {
        let log = std::fs::read_to_string(golden.with_extension("")).unwrap();
        let name = golden.file_stem().unwrap().to_string_lossy().into_owned();
        for (line, wanted) in log.lines().zip(read_json(&golden)) {
            let records = decode(&[Bytes::copy_from_slice(line.as_bytes())]);
            let fields = records.first().map(|record| record.fields.clone()).unwrap_or_default();
            let place = wanted["sequence"].to_string();
            score.check(&name, &place, "sequence", &place, text(&fields, "serial").as_deref());
            // What go-libaudit could not read is no measure.
            let Some(kind) = wanted["record_type"].as_str().map(str::to_ascii_uppercase) else { continue };
            score.check(&name, &place, "record_type", &kind, text(&fields, "type").as_deref());
            let time: Timestamp = wanted["@timestamp"].as_str().unwrap().parse().unwrap();
            let got = text(&fields, "timestamp").and_then(|time| wanglou_ingest::timestamp::epoch(&time));
            score.check(
                &name,
                &place,
                "time",
                &time.to_string(),
                got.map(|time| time.to_string()).as_deref(),
            );
            for (key, value) in wanted["data"].as_object().into_iter().flatten() {
                let Some(got) = audit_field(&fields, key) else { continue };
                score.check(&name, &place, key, &json_text(value), got.as_deref());
            }
        }
    }
    score.judge();
}

/// Our value in go-libaudit's terms; the outer `None` for what it interprets and we leave as it is (labels of SELinux
/// split in parts, names of error codes).
fn audit_field(fields: &FieldMap, key: &str) -> Option<Option<String>> {
    if key.starts_with("subj_") || key.starts_with("obj_") {
        return None;
    }
    let plain = text(fields, key);
    Some(match key {
        "result" => {
            let result = text(fields, "success").or_else(|| text(fields, "res"));
            result.map(|result| {
                if matches!(result.as_str(), "yes" | "success" | "1") { "success" } else { "fail" }.into()
            })
        }
        "exit" if plain.as_deref().is_some_and(|exit| exit.starts_with('-')) => return None,
        "syscall" => text(fields, "SYSCALL.SYSCALL"),
        "arch" => text(fields, "ARCH"),
        "auid" | "ses" | "old_auid" | "old_ses" | "new_auid" => plain
            .or_else(|| text(fields, &key.replace('_', "-")))
            .map(|id| if id == "4294967295" { "unset".into() } else { id }),
        "family" => text(fields, "saddr_fam").map(|family| {
            match family.as_str() {
                "inet" => "ipv4",
                "inet6" => "ipv6",
                "local" => "unix",
                other => other,
            }
            .into()
        }),
        "addr" => plain.or_else(|| text(fields, "laddr")),
        "port" => plain.or_else(|| text(fields, "lport")),
        _ => plain.or_else(|| text(fields, &key.replace('_', "-"))),
    })
}

#[test]
fn text_logs_are_read_as_filebeat_reads_them() {
    let Some(folder) = corpus("filebeat-oss-modules") else { return };
    let modules = folder.join("filebeat/module");
    let mut score = Score::default();
    for set in [
        "nginx/access",
        "nginx/error",
        "apache/access",
        "apache/error",
        "system/auth",
        "system/syslog",
        "auditd/log",
    ] {
        for golden in files(&modules.join(set).join("test"), "-expected.json") {
            let log = golden.to_string_lossy().replace("-expected.json", "");
            let bytes = std::fs::read(&log).unwrap();
            for wanted in read_json(&golden) {
                let offset = usize::try_from(wanted["log.offset"].as_u64().unwrap()).unwrap();
                let rest = bytes.get(offset..).unwrap_or_default();
                let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
                let records = decode(&[Bytes::copy_from_slice(line)]);
                let name = Path::new(&log).file_name().unwrap().to_string_lossy().into_owned();
                compare(&mut score, set, &format!("{name}@{offset}"), &wanted, records.first());
            }
        }
    }
    score.judge();
}

/// Fields of ECS and where we have the same.
const ECS: [(&str, &[&str]); 24] = [
    ("source.address", &["remote_addr", "client", "syslog.auth.src_ip", "addr", "SOCKADDR.laddr"]),
    ("source.ip", &["remote_addr", "client", "syslog.auth.src_ip", "addr", "SOCKADDR.laddr"]),
    ("source.port", &["client_port", "syslog.auth.src_port", "SOCKADDR.lport"]),
    ("http.request.method", &["method"]),
    ("http.request.referrer", &["referer", "referrer"]),
    ("http.response.status_code", &["status"]),
    ("http.response.body.bytes", &["body_bytes_sent"]),
    ("url.original", &["request_uri", "request"]),
    ("user_agent.original", &["user_agent"]),
    ("tls.cipher", &["ssl_cipher"]),
    ("host.hostname", &["syslog.host"]),
    ("process.name", &["comm", "syslog.app"]),
    ("process.executable", &["exe"]),
    ("process.pid", &["pid", "syslog.pid"]),
    ("process.ppid", &["ppid"]),
    ("process.working_directory", &["cwd"]),
    ("system.auth.ssh.method", &["syslog.auth.method"]),
    ("system.auth.sudo.command", &["syslog.auth.command"]),
    ("system.auth.sudo.pwd", &["syslog.auth.pwd"]),
    ("system.auth.sudo.tty", &["syslog.auth.tty"]),
    ("system.auth.sudo.user", &["syslog.auth.target_user"]),
    ("auditd.log.record_type", &["type"]),
    ("auditd.log.sequence", &["serial"]),
    ("auditd.log.acct", &["acct"]),
];

fn compare(score: &mut Score, row: &str, place: &str, wanted: &Json, record: Option<&Record>) {
    let empty = FieldMap::new();
    let fields = record.map_or(&empty, |record| &record.fields);
    for (ecs, ours) in ECS {
        // `-` says that there is nothing.
        let Some(value) = wanted.get(ecs).filter(|value| value.as_str() != Some("-")) else { continue };
        let got = ours.iter().find_map(|name| text(fields, name));
        score.check(row, place, ecs, &json_text(value), got.as_deref());
    }
    let user =
        wanted.get("user.name").and_then(Json::as_str).filter(|user| row != "auditd/log" && *user != "-");
    if let Some(user) = user {
        let names = ["remote_user", "syslog.auth.user", "syslog.auth.target_user", "syslog.auth.group"];
        let got: Vec<String> = names.iter().filter_map(|name| text(fields, name)).collect();
        let got = got.iter().find(|name| *name == user).or_else(|| got.first());
        score.check(row, place, "user.name", user, got.map(String::as_str));
    }
    if let (Some(time), Some(record)) = (wanted.get("@timestamp").and_then(Json::as_str), record) {
        let time: Timestamp = time.parse().unwrap();
        let event = normalize(record, context());
        let (wanted, got) = (time.millis().to_string(), event.time.millis().to_string());
        score.check(row, place, "@timestamp", &wanted, Some(&got));
    }
    let outcome = wanted.get("event.outcome").and_then(Json::as_str).filter(|outcome| *outcome != "1");
    if let (Some(outcome), Some(record)) = (outcome, record) {
        let event = normalize(record, context());
        let got =
            text(&event.attributes, "status_id").map(|id| if id == "1" { "success" } else { "failure" });
        score.check(row, place, "event.outcome", outcome, got);
    }
}

fn context() -> EventContext {
    EventContext {
        uid: EventUid::from_u128(1),
        source: SourceId::new("test"),
        arrival: Timestamp::from_secs(1_795_305_600),
        tenant: TenantId::default(),
        // What Filebeat's tests assume where a line names no zone.
        zone: TimeZone::fixed(Offset::constant(-2)),
    }
}

#[derive(Default)]
struct Records(Vec<serde_json::Map<String, Json>>);

impl RecordSink for Records {
    fn record(&mut self, _file: &Arc<str>, _number: u64, record: &Record) -> ControlFlow<()> {
        self.0.push(record.fields.to_json());
        ControlFlow::Continue(())
    }
}

fn records(path: &Path) -> Vec<serde_json::Map<String, Json>> {
    let reader = Reader::new(catalog(), ReadLimits::default());
    let mut records = Records::default();
    for input in discover(&[path.to_owned()]).inputs {
        reader.read(&input, &mut records);
    }
    records.0
}

#[test]
fn zeek_tsv_gives_what_zeek_json_gives() {
    let Some(folder) = corpus("zeek-logs-zed") else { return };
    let mut score = Score::default();
    for tsv in files(&folder.join("zeek-default"), ".log.gz") {
        // The larger ones hold more of the same, and this build is not optimised.
        if tsv.metadata().unwrap().len() > 100_000 {
            continue;
        }
        let name = tsv.file_name().unwrap().to_string_lossy().replace(".log.gz", "");
        let json = folder.join("zeek-json").join(format!("{name}.json.gz"));
        let (ours, theirs) = (records(&tsv), records(&json));
        score.check(&name, "", "records", &theirs.len().to_string(), Some(&ours.len().to_string()));
        // The records of a second are not in the same order in both.
        let sorted = |records: Vec<serde_json::Map<String, Json>>| {
            let mut texts: Vec<_> = records.into_iter().map(|record| plain(&Json::Object(record))).collect();
            texts.sort_by_cached_key(|fields| {
                fields.iter().map(|(k, v)| format!("{k}={v};")).collect::<String>()
            });
            texts
        };
        for (at, (ours, theirs)) in sorted(ours).into_iter().zip(sorted(theirs)).enumerate().take(2_000) {
            for (field, wanted) in &theirs {
                score.check(&name, &at.to_string(), field, wanted, ours.get(field).map(String::as_str));
            }
        }
    }
    score.misses.truncate(40);
    score.judge();
}

/// The fields by path: times as instants, numbers to the microsecond, empty and absent alike.
fn plain(record: &Json) -> BTreeMap<String, String> {
    fn walk(path: &str, value: &Json, out: &mut BTreeMap<String, String>) {
        match value {
            Json::Object(object) => {
                for (key, value) in object {
                    walk(&format!("{path}.{key}"), value, out);
                }
            }
            Json::Array(list) => {
                for (at, value) in list.iter().enumerate() {
                    walk(&format!("{path}.{at}"), value, out);
                }
            }
            Json::Null => {}
            Json::String(text) if text.is_empty() => {}
            Json::String(text) => {
                let time = text.parse::<Timestamp>();
                out.insert(path.to_owned(), time.map_or_else(|_| text.clone(), |time| seconds(time.nanos())));
            }
            #[expect(clippy::cast_possible_truncation, reason = "a cast saturates")]
            Json::Number(number) if number.is_f64() => {
                let micros = (number.as_f64().unwrap() * 1e6).round() as i64;
                out.insert(path.to_owned(), seconds(micros.saturating_mul(1_000)));
            }
            other => _ = out.insert(path.to_owned(), other.to_string()),
        }
    }
    fn seconds(nanos: i64) -> String {
        format!("{}.{:06}", nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000) / 1_000)
    }
    let mut out = BTreeMap::new();
    walk("", record, &mut out);
    out.retain(|field, _| field != "._write_ts");
    // A list of one looks like its element.
    out.into_iter().map(|(field, value)| (field.trim_end_matches(".0").to_owned(), value)).collect()
}

/// The shipped parsers and products.
fn shipped() -> Arc<Catalog> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../content/parsers");
    let mut files: Vec<(String, String)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| (path.display().to_string(), std::fs::read_to_string(&path).unwrap()))
        .collect();
    files.sort();
    let parsers =
        wanglou_ingest::Parsers::compile(files.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    let parsers = parsers.unwrap_or_else(|errors| {
        panic!("{}", errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    });
    let catalog = Catalog::from_yaml(include_str!("../../../content/products.yaml")).unwrap();
    Arc::new(catalog.with_parsers(parsers))
}

fn events(catalog: &Arc<Catalog>, line: &str) -> Vec<(String, Json)> {
    let mut found = Vec::new();
    let line = Bytes::copy_from_slice(line.as_bytes());
    FrameDecoder::new(Arc::clone(catalog)).decode_lines(
        &[line],
        &mut |_, record| {
            let context = EventContext {
                uid: EventUid::from_u128(1),
                source: SourceId::new("test"),
                arrival: "2026-11-23T12:00:00+08:00".parse().unwrap(),
                tenant: TenantId::default(),
                zone: TimeZone::fixed(Offset::constant(8)),
            };
            let event = Json::Object(normalize(&record, context).to_json(None));
            found.push((record.product.id.clone(), event));
        },
        &mut |_, _| {},
    );
    found
}

#[test]
fn samples_of_parsers_give_what_they_expect() {
    let catalog = shipped();
    let mut wrong = Vec::new();
    for (product, sample) in catalog.parsers().samples() {
        let found = events(&catalog, &sample.line);
        let [(id, event)] = found.as_slice() else {
            wrong.push(format!("{}: {} records of `{}`", product.id, found.len(), sample.line));
            continue;
        };
        if *id != product.id {
            wrong.push(format!("{}: taken for {id}: `{}`", product.id, sample.line));
        }
        for (path, wanted) in &sample.expect {
            let got = event.pointer(&format!("/{}", path.replace('.', "/"))).map(json_text);
            if got.as_ref() != Some(wanted) {
                wrong.push(format!(
                    "{}: {path}: wanted `{wanted}`, got {got:?} of `{}`",
                    product.id, sample.line
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn chinese_devices_are_recognised_and_their_addresses_found() {
    let Some(folder) = corpus("cn-device-logs-botuq") else { return };
    let catalog = shipped();
    let mut score = Score::default();
    let mut misnamed = Score::default();
    for (at, line) in std::fs::read_to_string(folder.join("samples.jsonl")).unwrap().lines().enumerate() {
        let sample: Json = serde_json::from_str(line).unwrap();
        let raw = sample["raw"].as_str().unwrap();
        let vendor = sample["vendor"].as_str().unwrap();
        let row = format!("{vendor} {}", sample["product"].as_str().unwrap());
        let place = format!("{at}: {}", raw.chars().take(160).collect::<String>());
        let found = events(&catalog, raw);
        let id = found.first().map(|(id, _)| id.as_str());
        let named =
            id.is_some_and(|id| id.starts_with(vendor) || (vendor == "360" && id == "qianxin-skylar"));
        misnamed.check("recognised", &place, &row, vendor, if named { Some(vendor) } else { id });
        let text = found.iter().map(|(_, event)| event.to_string()).collect::<String>();
        let with_role: String = found
            .iter()
            .map(|(_, event)| {
                let mut event = event.clone();
                event.as_object_mut().unwrap().remove("observables");
                event.to_string()
            })
            .collect();
        for address in visible_addresses(raw) {
            let is_there = text.contains(&format!("\"{address}\""));
            let has_role = with_role.contains(&format!("\"{address}\""));
            score.check("addresses with a role", &place, "address", &address, has_role.then_some(&*address));
            score.check("addresses", &place, "address", &address, is_there.then_some(address.as_str()));
        }
        let time = found.first().and_then(|(_, event)| event["time"].as_i64());
        let arrival: Timestamp = "2026-11-23T12:00:00+08:00".parse().unwrap();
        let told = time.filter(|time| *time != arrival.millis()).map(|_| "told");
        score.check("time", &place, "time", "told", told);
    }
    assert!(misnamed.print() >= 0.97, "products are recognised");
    assert!(score.print() >= 0.95, "addresses and times are found");
}

/// The first two addresses that stand in a text.
fn visible_addresses(text: &str) -> Vec<String> {
    // Versions look like addresses: names that say so take them out.
    let lower = text.to_lowercase();
    let is_version = |word: &str| {
        let start = word.as_ptr() as usize - text.as_ptr() as usize;
        let before = lower.get(start.saturating_sub(10)..start).unwrap_or_default();
        before.contains("ver")
            || text.get(..start).is_some_and(|head| head.contains("CEF") && head.matches('|').count() < 7)
    };
    let words = text.split(|c: char| !(c.is_ascii_digit() || c == '.')).filter(|word| !is_version(word));
    let mut found: Vec<String> = Vec::new();
    for word in words.filter(|word| word.matches('.').count() == 3) {
        if let Ok(address) = word.parse::<std::net::Ipv4Addr>()
            && !address.is_unspecified()
            && !found.contains(&address.to_string())
        {
            found.push(address.to_string());
        }
    }
    found.truncate(2);
    found
}

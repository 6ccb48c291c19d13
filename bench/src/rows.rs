//! The figures.

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use bytes::Bytes;
use serde_json::json;
use wanglou_detect::{Compilation, Engine, RuleFile, Taxonomy, compile, rules};
use wanglou_ingest::{
    Catalog, EventContext, ReadLimits, Reader, RecordSink, decode::json as decode_json, discover, identify,
    normalize,
};
use wanglou_model::{EventUid, Format, Record, SourceId, TenantId, Timestamp};

use crate::measure::{RUNS, cpu_time, medians, memory, seconds};
use crate::{data, peer};

/// Events of the mix.
const MIX: usize = 20_000;
/// Hayabusa 4.0.0 over EVTX, whole process, events per CPU-second: measured once, elsewhere.
const HAYABUSA: f64 = 1_200.0;

pub fn row(name: &str, value: f64, unit: &str, baseline: f64) {
    println!(
        "{}",
        json!({"name": name, "value": value, "unit": unit, "baseline": baseline, "ratio": value / baseline})
    );
}

fn rule_files(corpora: &Path) -> Result<Vec<RuleFile>> {
    let folders = ["rules", "rules-emerging-threats", "rules-threat-hunting"];
    let (files, _) = rules::read(&folders.map(|folder| corpora.join("sigma-rules").join(folder)));
    anyhow::ensure!(!files.is_empty(), "no rules in {}: unpack the corpora first", corpora.display());
    Ok(files)
}

pub fn taxonomy() -> Result<Taxonomy> {
    let mut tables = Vec::new();
    for entry in std::fs::read_dir(data::root().join("content/taxonomy"))? {
        let path = entry?.path();
        tables.push((path.display().to_string(), std::fs::read_to_string(path)?));
    }
    tables.sort();
    Taxonomy::from_yaml(tables.iter().map(|(name, text)| (name.as_str(), text.as_str()))).context("taxonomy")
}

fn compiled(files: &[RuleFile]) -> Result<Compilation> {
    Ok(compile(files, &taxonomy()?))
}

/// One line into a record, as the product's own path for lines does it.
pub fn decode(catalog: &Catalog, limits: &ReadLimits, line: &str, record: &mut Record) {
    record.fields.clear();
    if decode_json::decode(line, limits, &mut record.fields).is_ok() {
        record.format = identify::json_format(&record.fields);
        record.product = catalog.recognise(record);
    }
}

fn records(lines: &[String]) -> Result<Vec<Record>> {
    let catalog = data::catalog()?;
    let records = lines.iter().map(|line| {
        let mut record = Record::new(Format::Json, Bytes::copy_from_slice(line.as_bytes()));
        decode(&catalog, &ReadLimits::default(), line, &mut record);
        record
    });
    Ok(records.collect())
}

/// Evaluates, so that a profiler can look on.
pub fn spin(corpora: &Path, rounds: usize) -> Result<()> {
    let engine = compiled(&rule_files(corpora)?)?.engine;
    let attacks = data::flattened(&corpora.join("evtx-attack-samples"))?;
    let mix = data::mix(&attacks, MIX)?;
    let mut scratch = engine.scratch();
    for (name, lines) in [("evtx-attack-samples", &attacks), ("benign mix", &mix)] {
        let records = records(lines)?;
        let mut hits = 0;
        let spent = seconds(|| {
            for _ in 0..rounds {
                hits +=
                    records.iter().map(|record| engine.evaluate(record, &mut scratch).len()).sum::<usize>();
            }
        });
        let rate = (records.len() * rounds) as f64 / spent;
        let mut matching = 0;
        let mut often = std::collections::BTreeMap::<&str, usize>::new();
        for record in &records {
            let hits = engine.evaluate(record, &mut scratch);
            matching += usize::from(!hits.is_empty());
            hits.iter().for_each(|hit| *often.entry(engine.rule(*hit).title.as_str()).or_default() += 1);
        }
        let mut often: Vec<_> = often.into_iter().collect();
        often.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        println!("{:?}", often.get(..8.min(often.len())).unwrap_or_default());
        println!(
            "{name}: {} events, {matching} matching, {hits} hits, {rate:.0} events/CPU-second",
            records.len()
        );
    }
    Ok(())
}

/// Scans the EVTX files, so that a profiler can look on.
pub fn scan(corpora: &Path, rounds: usize) -> Result<()> {
    let engine = compiled(&rule_files(corpora)?)?.engine;
    let inputs = discover(&[corpora.join("evtx-attack-samples")]).inputs;
    let reader = Reader::new(data::catalog()?, ReadLimits::default());
    let mut sink = Scan { engine: &engine, scratch: engine.scratch(), events: 0, findings: 0 };
    let spent = seconds(|| {
        for _ in 0..rounds {
            inputs.iter().for_each(|input| _ = reader.read(input, &mut sink));
        }
    });
    println!("{} events, {} findings, {spent:.3} CPU-seconds", sink.events, sink.findings);
    Ok(())
}

/// What loading the rules takes, in a process of its own.
pub fn print_load(corpora: &Path) -> Result<()> {
    let started = cpu_time();
    let files = rule_files(corpora)?;
    let compilation = compiled(&files)?;
    drop(files);
    let spent = (cpu_time() - started).as_secs_f64();
    row("rules loaded and compiled", spent, "CPU-seconds (limit as baseline)", 0.5);
    row("peak memory while loading", memory("VmHWM"), "MiB (rsigma's as baseline)", 299.0);
    row("memory with all rules", memory("VmRSS"), "MiB (rsigma's as baseline)", 299.0);
    black_box(compilation);
    Ok(())
}

/// All figures.
pub fn print_all(corpora: &Path) -> Result<()> {
    let load = std::process::Command::new(std::env::current_exe()?).arg("load").arg(corpora).output()?;
    print!("{}", String::from_utf8_lossy(&load.stdout));
    let files = rule_files(corpora)?;
    let ours = compiled(&files)?.engine;
    let theirs = peer::engine(&files)?;
    let attacks = data::flattened(&corpora.join("evtx-attack-samples"))?;
    let mix = data::mix(&attacks, MIX)?;
    for (name, lines) in [("evtx-attack-samples", &attacks), ("benign mix", &mix)] {
        throughput(name, lines, &ours, &theirs)?;
        growth(name, lines, &files, &ours)?;
        threads(name, lines, &ours)?;
        tail(name, lines, &ours)?;
    }
    long_values(&ours)?;
    files_scanned(corpora, &ours)
}

fn throughput(name: &str, lines: &[String], ours: &Engine, theirs: &rsigma_eval::Engine) -> Result<()> {
    let records = records(lines)?;
    let events = lines.iter().map(|line| peer::event(line)).collect::<Result<Vec<_>>>()?;
    let (catalog, limits) = (data::catalog()?, ReadLimits::default());
    let mut scratch = ours.scratch();
    let mut raw_scratch = ours.scratch();
    let mut record = Record::new(Format::Json, Bytes::new());
    let mut decoded = Record::new(Format::Json, Bytes::new());
    let [parsed, peer_parsed, raw, peer_raw, decoding, floor] = medians([
        &mut || records.iter().for_each(|record| _ = black_box(ours.evaluate(record, &mut scratch).len())),
        &mut || events.iter().for_each(|event| _ = black_box(peer::count(theirs, event))),
        &mut || {
            for line in lines {
                decode(&catalog, &limits, line, &mut record);
                black_box(ours.evaluate(&record, &mut raw_scratch).len());
            }
        },
        &mut || {
            for (line, (_, source)) in lines.iter().zip(&events) {
                let json = serde_json::from_str(line).unwrap_or_default();
                black_box(
                    theirs.evaluate_with_logsource(&rsigma_eval::JsonEvent::borrow(&json), source).len(),
                );
            }
        },
        &mut || lines.iter().for_each(|line| decode(&catalog, &limits, line, black_box(&mut decoded))),
        &mut || {
            for line in lines {
                _ = black_box(sonic_rs::from_str::<sonic_rs::Value>(line));
            }
        },
    ]);
    let rate = |seconds: f64| lines.len() as f64 / seconds;
    let unit = "events/CPU-second (rsigma-eval 0.23 as baseline)";
    row(&format!("{name}, parsed"), rate(parsed), unit, rate(peer_parsed));
    row(&format!("{name}, NDJSON"), rate(raw), unit, rate(peer_raw));
    row(
        &format!("{name}, decoding alone"),
        rate(decoding),
        "events/CPU-second (sonic-rs DOM as baseline)",
        rate(floor),
    );
    differences(name, &records, &events, ours, theirs);
    Ok(())
}

/// Says which rules the two sides find differently.
fn differences(
    name: &str,
    records: &[Record],
    events: &[(serde_json::Value, rsigma_parser::LogSource)],
    ours: &Engine,
    theirs: &rsigma_eval::Engine,
) {
    let mut scratch = ours.scratch();
    let mut rules: std::collections::BTreeMap<String, (usize, usize)> = std::collections::BTreeMap::new();
    let (mut same, mut matching) = (0, 0);
    for (record, event) in records.iter().zip(events) {
        let mut mine: Vec<&str> =
            ours.evaluate(record, &mut scratch).iter().map(|hit| ours.rule(*hit).id.as_str()).collect();
        mine.sort_unstable();
        mine.dedup();
        let mut other = peer::hits(theirs, event);
        other.sort_unstable();
        other.dedup();
        matching += usize::from(!mine.is_empty());
        for id in &mine {
            if other.iter().any(|other| other == id) {
                same += 1;
            } else {
                rules.entry((*id).to_owned()).or_default().0 += 1;
            }
        }
        for id in other.iter().filter(|id| !mine.contains(&id.as_str())) {
            rules.entry(id.clone()).or_default().1 += 1;
        }
    }
    let (more, fewer) = rules.values().fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
    eprintln!(
        "# {name}: {} events, {matching} matching; findings: {same} the same, {more} only ours, {fewer} only theirs",
        records.len()
    );
    for (id, (mine, other)) in rules {
        let title = ours.rules().find(|(_, rule)| rule.id == id).map(|(_, rule)| rule.title.clone());
        eprintln!("{name}\t{id}\t{mine}\t{other}\t{}", title.unwrap_or_default());
    }
    row(
        &format!("{name}, findings in common"),
        f64::from(u32::try_from(same).unwrap_or(0)),
        "findings (all of both as baseline)",
        (same + more + fewer) as f64,
    );
}

/// From a tenth of the rules to all.
fn growth(name: &str, lines: &[String], files: &[RuleFile], all: &Engine) -> Result<()> {
    let tenth: Vec<RuleFile> = files.iter().step_by(10).cloned().collect();
    let tenth = compiled(&tenth)?.engine;
    let records = records(lines)?;
    let (mut few_scratch, mut all_scratch) = (tenth.scratch(), all.scratch());
    let [few, many] = medians([
        &mut || {
            records.iter().for_each(|record| _ = black_box(tenth.evaluate(record, &mut few_scratch).len()))
        },
        &mut || records.iter().for_each(|record| _ = black_box(all.evaluate(record, &mut all_scratch).len())),
    ]);
    let nanos = |seconds: f64| seconds * 1e9 / records.len() as f64;
    row(
        &format!("{name}, all rules against a tenth"),
        nanos(many),
        "ns/event (a tenth of the rules as baseline)",
        nanos(few),
    );
    Ok(())
}

/// Two threads, each by its own processor time.
fn threads(name: &str, lines: &[String], engine: &Engine) -> Result<()> {
    const ROUNDS: usize = 5;
    let records = records(lines)?;
    let work = |records: &[Record]| {
        let mut scratch = engine.scratch();
        let mut run =
            || records.iter().for_each(|record| _ = black_box(engine.evaluate(record, &mut scratch).len()));
        run();
        seconds(|| (0..ROUNDS).for_each(|_| run()))
    };
    let one = work(&records);
    let (left, right) = records.split_at(records.len() / 2);
    let slower = std::thread::scope(|scope| {
        let handles = [left, right].map(|half| scope.spawn(move || work(half)));
        handles.into_iter().filter_map(|handle| handle.join().ok()).fold(0.0, f64::max)
    });
    let rate = |seconds: f64| (records.len() * ROUNDS) as f64 / seconds;
    row(&format!("{name}, two threads"), rate(slower), "events/s (one thread as baseline)", rate(one));
    Ok(())
}

/// The slowest events: of each the quickest of several runs, so that the machine's own pauses do not count.
fn tail(name: &str, lines: &[String], engine: &Engine) -> Result<()> {
    let records = records(lines)?;
    let mut scratch = engine.scratch();
    let mut nanos = vec![u64::MAX; records.len()];
    for _ in 0..RUNS {
        for (record, least) in records.iter().zip(&mut nanos) {
            let started = Instant::now();
            black_box(engine.evaluate(record, &mut scratch).len());
            *least = (*least).min(u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX));
        }
    }
    nanos.sort_unstable();
    let at = |share: f64| nanos[((nanos.len() - 1) as f64 * share) as usize] as f64 / 1e3;
    row(&format!("{name}, one event, p50"), at(0.5), "µs (limit of p99.9 as baseline)", 150.0);
    row(&format!("{name}, one event, p99.9"), at(0.999), "µs (limit as baseline)", 150.0);
    Ok(())
}

/// A command line of 32 KB and a script of 1 MB.
fn long_values(engine: &Engine) -> Result<()> {
    let words = r#"$result = Get-ChildItem -Path "C:\Program Files\Vendor" -Recurse | Where-Object { $_.Length -gt 1024 }; "#;
    let cases = [
        ("command line of 32 KB", "Microsoft-Windows-Sysmon/Operational", 1, "CommandLine", 32_000),
        ("script of 1 MB", "Microsoft-Windows-PowerShell/Operational", 4104, "ScriptBlockText", 1_000_000),
    ];
    for (name, channel, id, field, len) in cases {
        let text: String = words.chars().cycle().take(len).collect();
        let line = json!({"Channel": channel, "EventID": id, "Provider_Name": "x", "Image": r"C:\x\y.exe", field: text}).to_string();
        let records = records(&[line])?;
        let mut scratch = engine.scratch();
        let [spent] = medians([&mut || {
            for _ in 0..8 {
                records.iter().for_each(|record| _ = black_box(engine.evaluate(record, &mut scratch).len()));
            }
        }]);
        row(name, len as f64 * 8.0 / spent / 1e6, "MB/CPU-second (limit as baseline)", 300.0);
    }
    Ok(())
}

/// EVTX files as `wanglou scan` reads them, beside the decoder alone as `evtx_dump` runs it.
fn files_scanned(corpora: &Path, engine: &Engine) -> Result<()> {
    let folder = corpora.join("evtx-attack-samples");
    let inputs = discover(&[folder]).inputs;
    let reader = Reader::new(data::catalog()?, ReadLimits::default());
    let mut sink = Scan { engine, scratch: engine.scratch(), events: 0, findings: 0 };
    let mut dumped = 0_usize;
    let [scan, dump] = medians([
        &mut || {
            sink.events = 0;
            inputs.iter().for_each(|input| _ = reader.read(input, &mut sink));
        },
        &mut || {
            for input in inputs.iter().filter(|input| input.path.extension().is_some_and(|end| end == "evtx"))
            {
                let settings = evtx::ParserSettings::new().num_threads(1).indent(false);
                let Ok(parser) = evtx::EvtxParser::from_path(&input.path) else { continue };
                let mut parser = parser.with_configuration(settings);
                dumped += parser
                    .records_json()
                    .filter_map(Result::ok)
                    .map(|record| record.data.len())
                    .sum::<usize>();
            }
        },
    ]);
    black_box(dumped);
    row(
        "EVTX scanned, beside decoding alone",
        scan,
        "CPU-seconds (evtx's own JSON writer as baseline)",
        dump,
    );
    row(
        "EVTX scanned",
        sink.events as f64 / scan,
        "events/CPU-second (hayabusa 4.0.0 as baseline)",
        HAYABUSA,
    );
    Ok(())
}

struct Scan<'e> {
    engine: &'e Engine,
    scratch: wanglou_detect::Scratch,
    events: usize,
    findings: usize,
}

impl RecordSink for Scan<'_> {
    fn record(&mut self, _: &std::sync::Arc<str>, number: u64, record: &Record) -> std::ops::ControlFlow<()> {
        self.events += 1;
        let hits = self.engine.evaluate(record, &mut self.scratch).to_vec();
        if !hits.is_empty() {
            let event = normalize(record, context(number));
            for hit in hits {
                self.findings +=
                    usize::from(!self.engine.finding(hit, record, &event, None).evidences.is_empty());
            }
        }
        std::ops::ControlFlow::Continue(())
    }
}

fn context(number: u64) -> EventContext {
    let source = SourceId::new("bench");
    EventContext {
        uid: EventUid::at(&source, &number.to_le_bytes()),
        source,
        arrival: Timestamp::default(),
        tenant: TenantId::default(),
        zone: jiff::tz::TimeZone::UTC,
    }
}

//! The built-in rules against the samples beside them and against the telemetry recorded in the lab.
//!
//! Every record of `<rule>.match.*` must raise its rule, no record of `<rule>.nomatch.*` may; of a correlation, the
//! sample as a whole. What else fires is laid down in golden files (`BLESS=1` writes them): a rule that begins to
//! fire on another's sample shows up in review.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::tz::TimeZone;
use wanglou_detect::{Correlator, Engine, RuleFile, RuleIndex, Scratch, Taxonomy, compile, rules};
use wanglou_ingest::{
    Catalog, EventContext, FileStatus, Input, ReadLimits, Reader, RecordSink, discover, normalize,
};
use wanglou_model::{Entity, Event, EventUid, Record, SourceId, TenantId, Timestamp};

/// The zone of the samples' times that carry none, as in the lab's manifest.
const ZONE: &str = "Asia/Shanghai";
/// The staff of the lab, who only work (`content/samples/lab/benign.sh`).
const STAFF: [&str; 4] = ["10.20.9.21", "10.20.9.22", "10.20.9.23", "10.20.9.24"];

#[test]
fn rules_are_complete() {
    let content = Content::load();
    let mut ids = BTreeSet::new();
    let mut wrong = Vec::new();
    for (index, rule) in content.engine.rules() {
        if !ids.insert(rule.id.clone()) {
            wrong.push(format!("{}: the id {} is used twice", rule.file, rule.id));
        }
        if uuid::Uuid::parse_str(&rule.id).map_or(true, |id| id.get_version_num() != 4) {
            wrong.push(format!("{}: `{}` is no UUID of version 4", rule.file, rule.id));
        }
        if content.engine.is_silent(index) {
            continue;
        }
        let zh = |text: &Option<String>| text.as_deref().is_some_and(|text| text.chars().any(is_han));
        if !zh(&rule.title_zh) || !zh(&rule.description_zh) {
            wrong.push(format!("{}: lacks a Chinese title or description", rule.file));
        }
        let attacks = rule.attacks();
        if rule.description.is_empty()
            || rule.falsepositives.is_empty()
            || attacks.entries.iter().all(|(_, technique)| technique.is_none())
        {
            wrong.push(format!("{}: lacks a description, false positives or a technique", rule.file));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(content.rule_files.len() >= 60, "{} rule files", content.rule_files.len());
}

#[test]
fn rules_fire_on_their_samples_and_not_on_near_misses() {
    let content = Content::load();
    let mut wrong = Vec::new();
    let mut golden = String::new();
    for file in &content.rule_files {
        let own = content.own_rules(file);
        for (kind, wanted) in [("match", true), ("nomatch", false)] {
            let samples = samples_of(file, kind);
            if samples.is_empty() {
                wrong.push(format!("{}: has no {kind} sample", file.display()));
            }
            for sample in samples {
                let hits = content.run(std::slice::from_ref(&sample));
                wrong.extend(hits.unread.iter().map(|reason| format!("{}: {reason}", sample.display())));
                wrong.extend(hits.check(&own, wanted).map(|what| format!("{}: {what}", sample.display())));
                let others: Vec<&str> = hits
                    .findings
                    .keys()
                    .filter(|id| !own.contains(*id))
                    .map(|id| content.title(id))
                    .collect();
                if !others.is_empty() {
                    let name = sample.strip_prefix(content_folder()).unwrap().display();
                    writeln!(golden, "{name}: {}", others.join("; ")).unwrap();
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} failures:\n{}", wrong.len(), wrong.join("\n"));
    compare_golden("other-rules-on-samples.txt", &golden);
}

#[test]
fn recorded_telemetry_tells_its_stories() {
    let content = Content::load();
    let folder = content_folder().join("samples");
    let found = discover(std::slice::from_ref(&folder));
    let recorded: Vec<PathBuf> = found
        .inputs
        .iter()
        .map(|input| input.path.clone())
        .filter(|path| path.parent() == Some(&folder) && is_telemetry(path))
        .collect();
    assert!(recorded.len() >= 4, "{recorded:?}");
    let hits = content.run(&recorded);
    assert_eq!(hits.unread, Vec::<String>::new());
    let accused: Vec<&str> = STAFF.into_iter().filter(|address| hits.entities.contains(*address)).collect();
    assert!(accused.is_empty(), "findings about staff at work: {accused:?}");
    let mut golden = String::new();
    for (id, count) in &hits.findings {
        writeln!(golden, "{count:>5}  {}", content.title(id)).unwrap();
    }
    let mut lines: Vec<&str> = golden.lines().collect();
    lines.sort_unstable_by(|a, b| b.cmp(a));
    compare_golden("rules-on-recorded-telemetry.txt", &(lines.join("\n") + "\n"));
}

/// Taxonomy, catalogue and engine of `content/`.
struct Content {
    reader: Reader,
    engine: Arc<Engine>,
    rule_files: Vec<PathBuf>,
}

impl Content {
    fn load() -> Self {
        let folder = content_folder();
        let catalog = Catalog::from_yaml(&fs::read_to_string(folder.join("products.yaml")).unwrap()).unwrap();
        let mut maps: Vec<(String, String)> = fs::read_dir(folder.join("taxonomy"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| (path.display().to_string(), fs::read_to_string(&path).unwrap()))
            .collect();
        maps.sort();
        let taxonomy =
            Taxonomy::from_yaml(maps.iter().map(|(file, text)| (file.as_str(), text.as_str()))).unwrap();
        let (files, unreadable) = rules::read(&[folder.join("rules")]);
        assert!(unreadable.is_empty(), "{unreadable:?}");
        let compilation = compile(&files, &taxonomy);
        let said: Vec<String> = compilation.diagnostics.iter().map(ToString::to_string).collect();
        assert!(said.is_empty(), "{}", said.join("\n"));
        Self {
            reader: Reader::new(Arc::new(catalog), ReadLimits::default()),
            engine: Arc::new(compilation.engine),
            rule_files: files.into_iter().map(|RuleFile { path, .. }| PathBuf::from(path)).collect(),
        }
    }

    /// The ids of a file's rules that raise findings.
    fn own_rules(&self, file: &Path) -> BTreeSet<String> {
        let loud = self.engine.rules().filter(|(index, _)| !self.engine.is_silent(*index));
        loud.filter(|(_, rule)| Path::new(&rule.file) == file).map(|(_, rule)| rule.id.clone()).collect()
    }

    fn title(&self, id: &str) -> &str {
        self.engine.rules().find(|(_, rule)| rule.id == id).map_or("?", |(_, rule)| rule.title.as_str())
    }

    /// Reads the files as `wanglou scan` does, all events in order of time, and runs every rule.
    fn run(&self, paths: &[PathBuf]) -> Hits {
        let mut run = Run {
            engine: &self.engine,
            scratch: self.engine.scratch(),
            seen: Vec::new(),
            hits: Hits::default(),
        };
        for path in paths {
            let bytes = fs::metadata(path).unwrap().len();
            let input = Input { path: path.clone(), display: path.display().to_string(), bytes };
            for report in self.reader.read(&input, &mut run) {
                if report.status != FileStatus::Read || report.rejected > 0 || report.events == 0 {
                    run.hits.unread.push(format!("not wholly read: {report:?}"));
                }
            }
        }
        run.correlate(Arc::clone(&self.engine))
    }
}

/// What the rules said of some files.
#[derive(Default)]
struct Hits {
    unread: Vec<String>,
    records: u64,
    /// Findings by rule id.
    findings: BTreeMap<String, u64>,
    /// By rule id: the numbers of the records that raised it, counted from 0. Correlations are not among them.
    records_of: BTreeMap<String, BTreeSet<u64>>,
    /// The names of whatever takes part in a finding.
    entities: BTreeSet<String>,
}

impl Hits {
    /// What is wrong, if `own` ought to fire on every record (`wanted`) or on none.
    fn check(&self, own: &BTreeSet<String>, wanted: bool) -> impl Iterator<Item = String> {
        let raised: BTreeSet<u64> =
            own.iter().filter_map(|id| self.records_of.get(id)).flatten().copied().collect();
        let correlated =
            own.iter().any(|id| self.findings.contains_key(id) && !self.records_of.contains_key(id));
        let fires = !raised.is_empty() || correlated;
        let silent = (0..self.records).filter(move |number| !raised.contains(number) && !correlated);
        let (silent, any): (Vec<u64>, bool) =
            if wanted { (silent.collect(), false) } else { (Vec::new(), fires) };
        let missed = (!silent.is_empty()).then(|| format!("does not fire on records {silent:?}"));
        missed.into_iter().chain(any.then(|| "fires on a near miss".to_owned()))
    }
}

struct Run<'a> {
    engine: &'a Engine,
    scratch: Scratch,
    seen: Vec<(Timestamp, Vec<RuleIndex>, Record, Event)>,
    hits: Hits,
}

impl RecordSink for Run<'_> {
    fn record(&mut self, file: &Arc<str>, number: u64, record: &Record) -> ControlFlow<()> {
        let matched = self.engine.evaluate(record, &mut self.scratch).to_vec();
        let source = SourceId::new("sample");
        let context = EventContext {
            uid: EventUid::at(&source, format!("{file}:{number}").as_bytes()),
            source,
            // Later than any sample, because an event counts as no later than its arrival.
            arrival: "2100-01-01T00:00:00Z".parse().unwrap(),
            tenant: TenantId::default(),
            zone: TimeZone::get(ZONE).unwrap(),
        };
        for index in &matched {
            if !self.engine.is_silent(*index) {
                let id = self.engine.rule(*index).id.clone();
                *self.hits.findings.entry(id.clone()).or_default() += 1;
                self.hits.records_of.entry(id).or_default().insert(self.hits.records);
            }
        }
        self.hits.records += 1;
        if !matched.is_empty() {
            let event = normalize(record, context);
            if matched.iter().any(|index| !self.engine.is_silent(*index)) {
                self.hits.entities.extend(Entity::of_event(&event).into_iter().map(|entity| entity.value));
            }
            self.seen.push((event.time, matched, record.clone(), event));
        }
        ControlFlow::Continue(())
    }
}

impl Run<'_> {
    fn correlate(mut self, engine: Arc<Engine>) -> Hits {
        self.seen.sort_by_key(|(time, ..)| *time);
        let mut correlator = Correlator::new(engine);
        let mut findings = Vec::new();
        for (_, matched, record, event) in &self.seen {
            correlator.observe(matched, record, event, None, &mut findings);
        }
        let mut uids = BTreeSet::new();
        for finding in findings {
            // An extended finding comes again under its uid.
            if uids.insert(finding.uid) {
                *self.hits.findings.entry(finding.rule.id.clone()).or_default() += 1;
                self.hits.entities.extend(finding.entities.into_iter().map(|entity| entity.value));
            }
        }
        self.hits
    }
}

/// `<stem>.<kind>.log`, `<stem>.<kind>.2.json` and so on.
fn samples_of(rule: &Path, kind: &str) -> Vec<PathBuf> {
    let stem = rule.file_stem().unwrap().to_str().unwrap();
    let prefix = format!("{stem}.{kind}.");
    let mut samples: Vec<PathBuf> = fs::read_dir(rule.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(&prefix))
        .collect();
    samples.sort();
    samples
}

fn is_telemetry(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "log" || extension == "zst")
}

fn content_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../content").canonicalize().unwrap()
}

fn is_han(c: char) -> bool {
    ('\u{4e00}'..='\u{9fff}').contains(&c)
}

fn compare_golden(name: &str, got: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/content").join(name);
    if std::env::var_os("BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, got).unwrap();
        return;
    }
    let wanted = fs::read_to_string(&path).unwrap_or_default();
    assert!(wanted == got, "{} differs (BLESS=1 writes it):\n{got}", path.display());
}

//! The engine against pySigma's SQLite backend, over the same flat events: the same verdict for every rule, or a row
//! in `tests/pysigma-differences.tsv` that says why.
//!
//! Needs Python with pysigma and pysigma-backend-sqlite; `WANGLOU_PYSIGMA` names the interpreter, `python3` otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Map, Value as Json, json};
use wanglou_detect::{RuleFile, Taxonomy, compile, rules};
use wanglou_model::Format;

use crate::support::record_of;

/// (rule, event) pairs.
type Verdicts = BTreeSet<(String, usize)>;

#[expect(clippy::print_stdout, reason = "says why a test is skipped")]
fn python() -> Option<String> {
    let python = std::env::var("WANGLOU_PYSIGMA").unwrap_or_else(|_| "python3".to_owned());
    let probe =
        Command::new(&python).args(["-c", "import sigma.backends.sqlite"]).stderr(Stdio::null()).status();
    if probe.is_ok_and(|status| status.success()) {
        return Some(python);
    }
    println!(
        "skipped: `{python}` has no pysigma-backend-sqlite (pip install pysigma-backend-sqlite; WANGLOU_PYSIGMA)"
    );
    None
}

/// pySigma's verdicts, and the rules that it cannot convert with the reason.
fn second_opinion(
    python: &str,
    rules: &[(String, String)],
    events: &[Json],
) -> (Verdicts, BTreeMap<String, String>) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pysigma.py");
    let mut child =
        Command::new(python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let rules: Vec<Json> = rules.iter().map(|(id, text)| json!({"id": id, "text": text})).collect();
    let task = json!({"rules": rules, "events": events}).to_string();
    child.stdin.take().unwrap().write_all(task.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let (mut verdicts, mut unconverted) = (Verdicts::new(), BTreeMap::new());
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        match line.split('\t').collect::<Vec<_>>()[..] {
            ["match", id, number] => _ = verdicts.insert((id.to_owned(), number.parse().unwrap())),
            ["unconverted", id, reason] => _ = unconverted.insert(id.to_owned(), reason.to_owned()),
            _ => assert_eq!(line, "a verdict"),
        }
    }
    (verdicts, unconverted)
}

/// The engine's verdicts on flat events, without any taxonomy: rules meet every event.
fn own_opinion(rules: &[(String, String)], events: &[Json]) -> Verdicts {
    let files: Vec<RuleFile> =
        rules.iter().map(|(id, text)| RuleFile { path: id.clone(), text: text.clone() }).collect();
    let compilation = compile(&files, &Taxonomy::default());
    let engine = compilation.engine;
    let mut scratch = engine.scratch();
    let mut verdicts = Verdicts::new();
    for (number, event) in events.iter().enumerate() {
        let record = record_of("test", Format::Json, event);
        let hits = engine.evaluate(&record, &mut scratch);
        verdicts.extend(hits.iter().map(|hit| (engine.rule(*hit).id.clone(), number)));
    }
    verdicts
}

/// Compares and writes the differences as lines `ID\twhat`.
#[expect(clippy::print_stdout, reason = "shows each difference when the test fails")]
fn differences(python: &str, rules: &[(String, String)], events: &[Json]) -> BTreeMap<String, String> {
    let (theirs, unconverted) = second_opinion(python, rules, events);
    let ours = own_opinion(rules, events);
    let mut found = BTreeMap::new();
    for (id, event) in ours.symmetric_difference(&theirs) {
        if unconverted.contains_key(id) {
            continue;
        }
        let what = if ours.contains(&(id.clone(), *event)) { "ours" } else { "theirs" };
        found.insert(id.clone(), format!("only {what}"));
        println!("{id} event {event} only {what}: {}", events[*event]);
    }
    found.extend(unconverted.into_iter().map(|(id, reason)| (id, format!("not converted: {reason}"))));
    found
}

/// The rule's text with a logsource that all test records belong to.
fn unrouted(text: &str) -> Option<String> {
    let (before, rest) = text.split_once("\nlogsource:")?;
    let body: Vec<&str> = rest
        .lines()
        .skip(1)
        .skip_while(|line| line.starts_with([' ', '#']) || line.trim().is_empty())
        .collect();
    Some(format!("{before}\nlogsource:\n    product: test\n{}\n", body.join("\n")))
}

/// The events of the regression corpus under Sigma's names.
fn regression_events(corpus: &Path) -> Vec<Json> {
    let labels = std::fs::read_to_string(corpus.join("LABELS.tsv")).unwrap();
    let mut events = Vec::new();
    for label in labels.lines().skip(1) {
        let folder = corpus.join(label.split('\t').nth(2).unwrap());
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let text = std::fs::read_to_string(path).unwrap();
            let values = serde_json::Deserializer::from_str(&text).into_iter::<Json>();
            events.extend(values.map(|value| flat(&value.unwrap())));
        }
    }
    events
}

/// An event as evtx tools write it, flattened: System and EventData by name, attributes with an underscore.
fn flat(event: &Json) -> Json {
    let mut fields = Map::new();
    let text = |value: &Json| value.get("#text").cloned().unwrap_or_else(|| value.clone());
    for part in ["System", "EventData"] {
        for (name, value) in event["Event"][part].as_object().into_iter().flatten() {
            if let Some(attributes) = value.get("#attributes").and_then(Json::as_object) {
                fields.extend(attributes.iter().map(|(key, value)| (format!("{name}_{key}"), value.clone())));
            }
            let value = text(value);
            if !value.is_object() && !value.is_array() {
                fields.insert(name.clone(), value);
            }
        }
    }
    Json::Object(fields)
}

#[test]
fn every_rule_of_sigmahq_gives_pysigmas_verdict_on_the_regression_events() {
    let (Some(python), Some(rules_corpus), Some(corpus)) =
        (python(), wanglou_testkit::corpus("sigma-rules"), wanglou_testkit::corpus("sigma-regression"))
    else {
        return;
    };
    let folders = ["rules/windows", "rules-emerging-threats", "rules-threat-hunting/windows"];
    let (files, _) = rules::read(&folders.map(|folder| rules_corpus.join(folder)));
    let id_of = |text: &str| Some(text.lines().find_map(|line| line.strip_prefix("id: "))?.trim().to_owned());
    let rules: Vec<(String, String)> =
        files.iter().filter_map(|file| Some((id_of(&file.text)?, unrouted(&file.text)?))).collect();
    assert!(rules.len() > 2_000);
    compare_with_table("regression", &differences(&python, &rules, &regression_events(&corpus)));
}

/// Small rules, one for each form, over records that nearly match.
#[test]
fn every_form_gives_pysigmas_verdict_or_is_explained() {
    let Some(python) = python() else { return };
    let forms =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pysigma-forms.txt"))
            .unwrap();
    let (selections, events): (Vec<&str>, Vec<&str>) = forms
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .partition(|line| !line.starts_with('{'));
    let events: Vec<Json> = events.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut rules = Vec::new();
    for selection in selections {
        for (prefix, condition) in [("", "s"), ("not ", "not s")] {
            let id = format!("{prefix}{selection}");
            let text = format!(
                "title: t\nname: '{}'\nlogsource: {{product: test}}\ndetection:\n  s:\n    {selection}\n  condition: {condition}\n",
                id.replace('\'', "''")
            );
            rules.push((id, text));
        }
    }
    compare_with_table("form", &differences(&python, &rules, &events));
}

/// Rows: set, rule or form, what differs, why. `BLESS=1` adds rows without a reason, which a person has to write.
fn compare_with_table(set: &str, found: &BTreeMap<String, String>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pysigma-differences.tsv");
    let table = std::fs::read_to_string(&path).unwrap_or_default();
    let rows: Vec<Vec<&str>> =
        table.lines().filter(|line| !line.starts_with('#')).map(|line| line.split('\t').collect()).collect();
    let explained: BTreeMap<&str, (&str, &str)> = rows
        .iter()
        .filter(|row| row[0] == set)
        .map(|row| (row[1], (row[2], row.get(3).copied().unwrap_or_default())))
        .collect();
    if std::env::var_os("BLESS").is_some() {
        let mut lines: Vec<String> =
            table.lines().filter(|line| !line.starts_with(&format!("{set}\t"))).map(str::to_owned).collect();
        for (id, what) in found {
            let why = explained.get(id.as_str()).map_or("", |(_, why)| why);
            lines.push(format!("{set}\t{id}\t{what}\t{why}"));
        }
        std::fs::write(&path, lines.join("\n") + "\n").unwrap();
        return;
    }
    let unexplained: Vec<_> = found
        .iter()
        .filter(|(id, what)| {
            explained.get(id.as_str()).is_none_or(|(known, why)| known != what || why.is_empty())
        })
        .collect();
    assert!(unexplained.is_empty(), "differ from pySigma without a reason in the table: {unexplained:#?}");
    let gone: Vec<_> = explained.keys().filter(|id| !found.contains_key(**id)).collect();
    assert!(gone.is_empty(), "no longer differ; take them off the table: {gone:#?}");
}

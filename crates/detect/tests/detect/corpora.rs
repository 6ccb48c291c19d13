//! The whole of SigmaHQ loads, and its regression events are found.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use wanglou_detect::{Processing, RuleFile, compile, compile_with, rules};
use wanglou_model::{Format, RuleInfo};

use crate::support::{record, taxonomy};

/// The folders of SigmaHQ that hold rules in use.
const FOLDERS: [&str; 5] =
    ["rules", "rules-emerging-threats", "rules-threat-hunting", "rules-placeholder", "rules-compliance"];

fn sigmahq() -> Option<(PathBuf, Vec<RuleFile>)> {
    let corpus = wanglou_testkit::corpus("sigma-rules")?;
    let (files, unreadable) = rules::read(&FOLDERS.map(|folder| corpus.join(folder)));
    assert_eq!(unreadable, []);
    Some((corpus, files))
}

/// Rules that do not load are listed with the reason in `tests/sigmahq-exceptions.tsv`; the list may only shrink.
#[test]
fn every_rule_of_sigmahq_loads_or_is_listed() {
    let Some((corpus, files)) = sigmahq() else { return };
    let compilation = compile(&files, &taxonomy());
    let failed: BTreeSet<String> = compilation
        .failed
        .iter()
        .map(|failed| {
            let file = Path::new(&failed.file).strip_prefix(&corpus).unwrap().display().to_string();
            let (code, _) = failed.reason.split_once(' ').unwrap();
            format!("{}\t{code}\t{file}", failed.rule_id.as_deref().unwrap_or("-"))
        })
        .collect();
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sigmahq-exceptions.tsv");
    if std::env::var_os("BLESS").is_some() {
        let lines: Vec<&str> = failed.iter().map(String::as_str).collect();
        let head = "# Rules of SigmaHQ (8eaafff1, 2026-08-05) that do not load: id, diagnostic code, file. May only shrink.";
        std::fs::write(&list, format!("{head}\n{}\n", lines.join("\n"))).unwrap();
    }
    let listed = std::fs::read_to_string(list).unwrap();
    let listed: BTreeSet<String> =
        listed.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
    let news: Vec<&String> = failed.difference(&listed).collect();
    let mended: Vec<&String> = listed.difference(&failed).collect();
    assert!(news.is_empty(), "these no longer load: {news:#?}");
    assert!(mended.is_empty(), "these load now; take them off the list (BLESS=1): {mended:#?}");
    assert_eq!(compilation.loaded + failed.len(), files.len());
}

/// The only reason for which a rule of SigmaHQ does not load is a placeholder without values: with values, all load.
#[test]
fn every_rule_of_sigmahq_loads_when_its_placeholders_have_values() {
    let Some((_, files)) = sigmahq() else { return };
    let wildcards = "transformations: [{type: wildcard_placeholders}]";
    let pipeline = RuleFile { path: "wildcards.yml".to_owned(), text: wildcards.to_owned() };
    let (processing, mistakes) = Processing::from_files(&[pipeline], &[]);
    assert_eq!(mistakes, []);
    let compilation = compile_with(&files, &taxonomy(), &processing);
    assert_eq!(compilation.failed, []);
    assert_eq!(compilation.loaded, files.len());
}

#[test]
fn the_taxonomy_knows_every_logsource_of_sigmahq() {
    let Some((_, files)) = sigmahq() else { return };
    let unknown: BTreeSet<String> = compile(&files, &taxonomy())
        .diagnostics
        .into_iter()
        .filter(|diagnostic| diagnostic.code == "W002")
        .map(|diagnostic| diagnostic.message)
        .collect();
    assert_eq!(unknown, BTreeSet::new());
}

/// Each regression event of SigmaHQ is found by the rule that it was recorded for.
#[test]
fn every_regression_event_of_sigmahq_is_found() {
    let (Some((_, files)), Some(corpus)) = (sigmahq(), wanglou_testkit::corpus("sigma-regression")) else {
        return;
    };
    let engine = compile(&files, &taxonomy()).engine;
    let mut scratch = engine.scratch();
    let mut missed = Vec::new();
    let labels = std::fs::read_to_string(corpus.join("LABELS.tsv")).unwrap();
    for label in labels.lines().skip(1) {
        let [rule, title, folder] = label.split('\t').collect::<Vec<_>>().try_into().unwrap();
        let is_found = json_files(&corpus.join(folder)).into_iter().any(|file| {
            let text = std::fs::read_to_string(file).unwrap();
            let events = serde_json::Deserializer::from_str(&text).into_iter::<serde_json::Value>();
            events.map(Result::unwrap).any(|json| {
                let record = record(Format::Evtx, &json);
                let hits = engine.evaluate(&record, &mut scratch).to_vec();
                let hit = hits.into_iter().find(|hit| engine.rule(*hit).id == rule);
                hit.is_some_and(|hit| {
                    let matches = engine.explain(hit, &record);
                    assert!(!matches.is_empty(), "{rule} {title} is not explained");
                    true
                })
            })
        });
        if !is_found {
            missed.push(format!("{rule} {title} ({folder})"));
        }
    }
    assert_eq!(missed, [""; 0]);
}

fn json_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect()
}

/// Deprecated and unsupported rules may fail, but never without saying why, and never by a panic.
#[test]
fn every_failure_has_a_place_and_a_remedy() {
    let Some(corpus) = wanglou_testkit::corpus("sigma-rules") else { return };
    let (files, _) = rules::read(&[corpus.join("deprecated"), corpus.join("unsupported")]);
    let compilation = compile(&files, &taxonomy());
    for diagnostic in &compilation.diagnostics {
        assert!(
            diagnostic.line > 0 && diagnostic.column > 0 && !diagnostic.remedy.is_empty(),
            "{diagnostic}"
        );
    }
    let ids: BTreeSet<&str> = compilation
        .engine
        .rules()
        .map(|(_, rule): (_, &std::sync::Arc<RuleInfo>)| rule.id.as_str())
        .collect();
    assert!(!ids.is_empty());
}

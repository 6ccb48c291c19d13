//! What is accepted and refused, against the JSON schemas of the specification: its test documents, and each with a
//! part dropped or replaced (correlations: as they are). Differences are kinds of rows in `tests/schema-differences.tsv`, each with its reason.
//!
//! Needs Python with jsonschema and PyYAML (`WANGLOU_PYSIGMA` names the interpreter).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value as Json;
use wanglou_detect::DiagnosticSeverity;

use crate::support::{compiled, taxonomy};

/// About other documents than the one in hand: the rules that a correlation or filter names are not loaded here.
const ABOUT_OTHERS: [&str; 2] = ["E031", "E032"];

#[test]
fn the_schemas_accept_and_refuse_what_the_engine_does() {
    let Some(corpus) = wanglou_testkit::corpus("sigma-spec") else { return };
    let python = std::env::var("WANGLOU_PYSIGMA").unwrap_or_else(|_| "python3".to_owned());
    let probe = Command::new(&python).args(["-c", "import jsonschema, yaml"]).stderr(Stdio::null()).status();
    if !probe.is_ok_and(|status| status.success()) {
        println!(
            "skipped: `{python}` has no jsonschema and PyYAML (pip install jsonschema pyyaml; WANGLOU_PYSIGMA)"
        );
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schema.py");
    let output = Command::new(python).arg(script).arg(corpus).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success());
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut originals = 0;
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let case: Json = serde_json::from_str(line).unwrap();
        let (id, text) = (case["id"].as_str().unwrap(), case["text"].as_str().unwrap());
        let compilation = compiled(&[text], &taxonomy());
        let errors: BTreeSet<&str> = compilation
            .diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.severity == DiagnosticSeverity::Error)
            .map(|diagnostic| diagnostic.code)
            .filter(|code| !ABOUT_OTHERS.contains(code))
            .collect();
        let is_valid = case["valid"] == true;
        let (name, what) = id.split_once(": ").unwrap();
        if what == "as it is" {
            originals += 1;
            assert!(is_valid && errors.is_empty(), "{id}: {errors:?}");
        }
        // Parts of correlations have diagnostics and tests of their own.
        if is_valid == errors.is_empty() || name.starts_with("correlation/") {
            continue;
        }
        let kind = name.split_once('/').unwrap().0;
        let difference = if is_valid { "only the schema accepts" } else { "only the engine accepts" };
        found.entry(format!("{kind}\t{what}\t{difference}")).or_default().push(name.to_owned());
    }
    assert_eq!(originals, 12);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schema-differences.tsv");
    let table = std::fs::read_to_string(&path).unwrap_or_default();
    let reasons: BTreeMap<String, &str> = table
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.rsplit_once('\t'))
        .map(|(row, why)| (row.to_owned(), why))
        .collect();
    if std::env::var_os("BLESS").is_some() {
        let mut text = "# Where the engine and the JSON schemas of Sigma 2.1 differ: kind, what was changed, who accepts, why.\n".to_owned();
        for row in found.keys() {
            text.push_str(&format!("{row}\t{}\n", reasons.get(row).copied().unwrap_or_default()));
        }
        std::fs::write(path, text).unwrap();
        return;
    }
    let unexplained: Vec<_> =
        found.iter().filter(|(row, _)| reasons.get(*row).is_none_or(|why| why.is_empty())).collect();
    assert!(unexplained.is_empty(), "no reason in the table: {unexplained:#?}");
}

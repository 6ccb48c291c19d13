use serde_json::Value as Json;

use crate::{code, here, run, stderr, stdout};

const BROKEN: &str = "title: Broken\nid: 6f3b7d1e-0000-4000-8000-00000000000f\nlogsource:\n  category: webserver\ndetection:\n  a:\n    cs-method: GET\n  condition: a and missing\nlevel: low\n";

#[test]
fn sound_rules_are_0() {
    let output = run(&here(), &["rules", "check", "rules"]);
    assert_eq!(code(&output), 0, "{}", stdout(&output));
    assert!(stdout(&output).contains("3 rules load, 0 fail"));
}

#[test]
fn a_mistake_is_shown_with_place_caret_and_remedy() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("broken.yml"), BROKEN).unwrap();
    let output = run(folder.path(), &["rules", "check", "."]);
    let text = stdout(&output);
    assert_eq!(code(&output), 1, "{text}");
    assert!(text.contains("broken.yml:8:"), "{text}");
    assert!(text.contains("^^") && text.contains("help:"), "{text}");

    let output = run(folder.path(), &["rules", "check", "--format", "json", "."]);
    assert_eq!(code(&output), 1);
    let report: Json = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(report["loaded"], 0);
    assert_eq!(report["failed"][0]["rule_id"], "6f3b7d1e-0000-4000-8000-00000000000f");
    let diagnostic = &report["diagnostics"][0];
    for field in ["code", "file", "line", "column", "message", "remedy", "source_line"] {
        assert!(!diagnostic[field].is_null(), "`{field}` is missing");
    }
}

#[test]
fn what_cannot_be_read_is_2_and_wrong_usage_64() {
    assert_eq!(code(&run(&here(), &["rules", "check", "nowhere"])), 2);
    assert_eq!(code(&run(&here(), &["rules", "check"])), 64);
    assert_eq!(code(&run(&here(), &["rules"])), 64);
}

#[test]
fn a_bad_rule_among_good_ones_is_named_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("broken.yml"), BROKEN).unwrap();
    std::fs::write(folder.path().join("syntax.yml"), "title: [\nid: x\n").unwrap();
    let stats = folder.path().join("stats.json");
    let arguments = ["scan", "evidence", "--rules", "rules", "--format", "ndjson", "--rules"];
    let arguments =
        [&arguments[..], &[folder.path().to_str().unwrap(), "--stats", stats.to_str().unwrap()]].concat();
    let output = run(&here(), &arguments);
    assert_eq!((code(&output), stdout(&output).lines().count()), (1, 3));
    let told = stderr(&output);
    assert!(told.contains("broken.yml:8:") && told.contains("syntax.yml:"), "{told}");
    let stats = crate::json_file(&stats);
    assert_eq!((&stats["rules_loaded"], stats["rules_failed"].as_array().unwrap().len()), (&3.into(), 2));
    assert!(stats["rules_failed"][0]["reason"].is_string());
}

#[test]
fn when_no_rule_loads_nothing_was_scanned() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("broken.yml"), BROKEN).unwrap();
    let output = run(&here(), &["scan", "evidence", "--rules", folder.path().to_str().unwrap()]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("no rule could be loaded"));
}

#[test]
fn bench_tells_what_each_rule_costs_and_what_fires() {
    let output = run(&here(), &["rules", "bench", "rules", "--events", "evidence", "--format", "json"]);
    let report: Json = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(code(&output), 0, "{}", report["unread"]);
    assert_eq!(report["rules"], 3);
    let files = report["files"].as_array().unwrap();
    let costs: Vec<f64> = files.iter().map(|file| file["ns"].as_f64().unwrap()).collect();
    assert!(costs.is_sorted_by(|dear, cheap| dear >= cheap), "{costs:?}");
    let fires = files.iter().filter(|file| file["matched"].as_u64() > Some(0)).count();
    assert_eq!(fires, 2, "{files:?}");
    assert_eq!(code(&run(&here(), &["rules", "bench", "rules"])), 64);
    assert_eq!(code(&run(&here(), &["rules", "bench", "--events", "nowhere"])), 64);
}

#[test]
fn the_built_in_rules_are_listed() {
    let output = run(&here(), &["rules", "list"]);
    assert_eq!(code(&output), 0);
    assert!(stdout(&output).lines().count() >= 60);
}

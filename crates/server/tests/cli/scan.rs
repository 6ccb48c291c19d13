use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::{code, golden, here, json_file, lines, run, stderr, stdout, wanglou};

const SCAN: [&str; 4] = ["scan", "evidence", "--rules", "rules"];

fn scan(more: &[&str]) -> std::process::Output {
    run(&here(), &[&SCAN, more].concat())
}

#[test]
fn findings_are_ocsf_and_say_why_and_where() {
    let output = scan(&["--format", "ndjson"]);
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    let findings = lines(&stdout(&output));
    let rules: Vec<&str> =
        findings.iter().map(|f| f["finding_info"]["analytic"]["name"].as_str().unwrap()).collect();
    let injection = "SQL Injection With Union Select";
    assert_eq!(rules, [injection, injection, "SSH Brute Force"], "in order of time");
    let times: Vec<i64> = findings.iter().map(|finding| finding["time"].as_i64().unwrap()).collect();
    assert!(times.is_sorted());

    let first = &findings[0];
    assert_eq!((&first["class_uid"], &first["severity_id"]), (&json!(2004), &json!(3)));
    assert_eq!(first["finding_info"]["analytic"]["uid"], "6f3b7d1e-0000-4000-8000-000000000003");
    assert_eq!(first["finding_info"]["attacks"][0]["technique"]["uid"], "T1190");
    let data = &first["evidences"][0]["data"];
    assert_eq!((&data["file"], &data["record"]), (&json!("evidence/access.log"), &json!(1)));
    let matched = data["matches"].as_array().unwrap().iter().find(|m| m["selection"] == "injection").unwrap();
    assert!(matched["value"].as_str().unwrap().contains("union"));
    assert!(matched["pattern"].as_str().unwrap().starts_with("cs-uri-query|contains|all"));

    let brute_force = &findings[2];
    assert_eq!(brute_force["count"], 3);
    assert_eq!(brute_force["unmapped"]["group"], json!([{ "field": "src_ip", "value": "203.0.113.9" }]));
    let records: Vec<&Json> =
        brute_force["evidences"].as_array().unwrap().iter().map(|e| &e["data"]["record"]).collect();
    assert_eq!(records, [1, 2, 3]);
}

#[test]
fn every_format_shows_the_same_findings() {
    let array: Json = serde_json::from_str(&stdout(&scan(&["--format", "json"]))).unwrap();
    assert_eq!(array.as_array().unwrap().as_slice(), lines(&stdout(&scan(&["--format", "ndjson"]))));
    golden("table.en.txt", &without_seconds(&stdout(&scan(&["--lang", "en"]))));
    golden("table.zh.txt", &without_seconds(&stdout(&scan(&["--lang", "zh"]))));
    golden("findings.csv", &stdout(&scan(&["--format", "csv"])));
}

/// The table but for the time it took.
fn without_seconds(table: &str) -> String {
    let line = |line: &str| match line.split_once(" rules, ").or_else(|| line.split_once("条规则，")) {
        Some((before, _)) => before.to_owned(),
        None => line.to_owned(),
    };
    table.lines().map(line).collect::<Vec<_>>().join("\n") + "\n"
}

#[test]
fn no_formula_and_no_escape_sequence_gets_out() {
    let csv = stdout(&scan(&["--format", "csv"]));
    assert!(csv.contains("\r\n"));
    let table = stdout(&scan(&[]));
    assert!(!table.contains('\u{1b}') && !table.contains('\u{7}'), "{table}");
    let folder = tempfile::tempdir().unwrap();
    let line = "198.51.100.4 - - [20/Nov/2026:07:59:41 +0800] \"GET /?q=union+select\u{1b}[31m HTTP/1.1\" 200 1 \"-\" \"e\u{9b}2J\"\n";
    std::fs::write(folder.path().join("access.log"), line).unwrap();
    let rules = here().join("rules");
    let output = run(folder.path(), &["scan", "access.log", "--rules", rules.to_str().unwrap()]);
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    assert!(!stdout(&output).contains(['\u{1b}', '\u{9b}']));
}

#[test]
fn the_report_is_one_page_that_holds_no_foreign_markup_and_no_outside_reference() {
    let page = stdout(&scan(&["--format", "html", "--lang", "zh"]));
    assert!(page.starts_with("<!doctype html>") && page.contains("lang=\"zh-CN\""));
    assert!(page.contains("default-src 'none'"));
    assert!(!page.contains("alert(1)</script>"), "a log closed the data element");
    assert!(!page.contains("{{"), "a mark of the template is left");
    for outside in ["src=\"", "href=\"", "@import", "url(", "fetch("] {
        assert!(!page.contains(outside), "`{outside}`");
    }
    let (_, data) = page.split_once("<script id=\"data\" type=\"application/json\">").unwrap();
    let (data, _) = data.split_once("</script>").unwrap();
    let data: Json = serde_json::from_str(data).unwrap();
    assert_eq!(data["findings"].as_array().unwrap().len(), 3);
    assert!(data["findings"].to_string().contains("</script><script>alert(1)"), "data is kept as it was");
}

#[test]
fn levels_choose_what_is_shown_and_what_counts() {
    let high = scan(&["--format", "ndjson", "--min-level", "high"]);
    assert_eq!((code(&high), lines(&stdout(&high)).len()), (1, 1));
    let critical = scan(&["--format", "json", "--min-level", "critical"]);
    assert_eq!((code(&critical), stdout(&critical).trim()), (0, "[]"));
    let lenient = scan(&["--format", "ndjson", "--fail-level", "critical"]);
    assert_eq!((code(&lenient), lines(&stdout(&lenient)).len()), (0, 3));
}

#[test]
fn output_and_statistics_go_to_files() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let output =
        scan(&["--format", "ndjson", "--output", &at("out"), "--stats", &at("stats"), "--threads", "1"]);
    assert_eq!((code(&output), output.stdout.len()), (1, 0));
    assert_eq!(lines(&std::fs::read_to_string(at("out")).unwrap()).len(), 3);
    let stats = json_file(Path::new(&at("stats")));
    let names: BTreeSet<&str> = stats.as_object().unwrap().keys().map(String::as_str).collect();
    for name in [
        "events",
        "bytes",
        "findings",
        "files",
        "files_failed",
        "files_skipped",
        "rules_loaded",
        "rules_failed",
        "seconds",
        "peak_rss_bytes",
    ] {
        assert!(names.contains(name), "`{name}` is missing");
    }
    assert_eq!((&stats["events"], &stats["findings"], &stats["files"]), (&json!(8), &json!(3), &json!(3)));
    assert_eq!((&stats["rules_loaded"], &stats["rules_failed"]), (&json!(3), &json!([])));
    assert_eq!(stats["files_skipped"][0]["file"], "evidence/notes.txt");
    assert!(stats["peak_rss_bytes"].as_u64().unwrap() > 1 << 20);
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let one = stdout(&scan(&["--format", "ndjson", "--threads", "1"]));
    assert_eq!(one, stdout(&scan(&["--format", "ndjson", "--threads", "8"])));
}

#[test]
fn rules_come_from_files_folders_and_zips_and_are_built_in() {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("rules.zip");
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&archive).unwrap());
    zip.start_file("inner/web.yml", zip::write::SimpleFileOptions::default()).unwrap();
    std::io::Write::write_all(&mut zip, &std::fs::read(here().join("rules/web.yml")).unwrap()).unwrap();
    zip.finish().unwrap();
    let count = |arguments: &[&str]| {
        lines(&stdout(&run(&here(), &[&["scan", "evidence", "--format", "ndjson"], arguments].concat())))
            .len()
    };
    assert_eq!(count(&["--rules", archive.to_str().unwrap()]), 2);
    assert_eq!(count(&["--rules", "rules/sshd.yml"]), 1);
    assert_eq!(count(&["--rules", "rules/sshd.yml", "--rules", archive.to_str().unwrap()]), 3);
    assert!(count(&[]) >= 2, "the built-in rules see an injection and a guessed password");
}

#[test]
fn wrong_usage_is_64_and_help_is_0() {
    let wrong: [&[&str]; 7] = [
        &[],
        &["scan"],
        &["scan", ".", "--format", "xml"],
        &["scan", ".", "--min-level", "severe"],
        &["scan", ".", "--threads", "0"],
        &["scan", ".", "--zone", "Mars/Olympus"],
        &["sacn", "."],
    ];
    for arguments in wrong {
        let output = run(&here(), arguments);
        assert_eq!(code(&output), 64, "{arguments:?}: {}", stderr(&output));
    }
    for arguments in [&["--help"][..], &["scan", "--help"], &["rules", "check", "--help"], &["--version"]] {
        let output = run(&here(), arguments);
        assert_eq!(code(&output), 0, "{arguments:?}");
    }
    assert!(stdout(&run(&here(), &["scan", "--help"])).contains("Examples:"));
}

#[test]
fn nothing_found_is_0() {
    let output =
        run(&here(), &["scan", "evidence/auth.log", "--rules", "rules/web.yml", "--format", "ndjson"]);
    assert_eq!((code(&output), stdout(&output)), (0, String::new()));
}

#[test]
fn an_interrupt_keeps_what_was_found() {
    let folder = tempfile::tempdir().unwrap();
    let line = std::fs::read_to_string(here().join("evidence/access.log")).unwrap();
    // Far more than can be read before the signal comes.
    let many: String = line.repeat(20_000);
    for n in 0..12 {
        std::fs::write(folder.path().join(format!("access-{n}.log")), &many).unwrap();
    }
    let (rules, stats) = (here().join("rules"), folder.path().join("stats.json"));
    let arguments = ["scan", ".", "--format", "ndjson", "--output", "out.json", "--threads", "1", "--rules"];
    let mut child = wanglou(folder.path(), &arguments)
        .arg(&rules)
        .arg("--stats")
        .arg(&stats)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // The output is created before the reading begins.
    let deadline = Instant::now() + Duration::from_secs(60);
    while !folder.path().join("out.json").exists() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(300));
    std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let status = child.wait().unwrap();
    let stats = json_file(&stats);
    let found = std::fs::read_to_string(folder.path().join("out.json")).unwrap().lines().count();
    assert_eq!(stats["findings"], found);
    if stats["interrupted"] == true {
        assert!(matches!(status.code(), Some(0 | 1)), "{status}");
        assert!(found < 480_000);
    } else {
        assert_eq!(found, 480_000, "it was done before the signal came");
    }
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let mut child = wanglou(&here(), &SCAN)
        .args(["--format", "json"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 1, "{}", stderr(&output));
}

//! Rules that change while the platform runs, suppressions, and backtests that find what streaming found.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Server, wait_for};

const RULE: &str = "title: Odd path\nid: 6f3b7d1e-2c57-4a5e-9d0a-0f8f3a1c2b3d\nstatus: test\nlevel: high\nlogsource: {category: webserver}\ndetection:\n  selection: {cs-uri-stem|contains: /odd}\n  condition: selection\n";
const COUNT: &str = "title: Base\nname: base\nid: 6f3b7d1e-2c57-4a5e-9d0a-0f8f3a1c2b31\nlogsource: {category: webserver}\ndetection:\n  selection: {cs-uri-stem|contains: /counted}\n  condition: selection\n---\ntitle: Counted\nid: 6f3b7d1e-2c57-4a5e-9d0a-0f8f3a1c2b32\nlevel: medium\ncorrelation:\n  type: event_count\n  rules: [base]\n  group-by: [c-ip]\n  timespan: 1h\n  condition: {gte: 4}\n";

/// Access log lines of one client, now.
fn lines(client: &str, path: &str, count: usize) -> String {
    let now = jiff::Zoned::now().strftime("%d/%b/%Y:%H:%M:%S %z").to_string();
    (0..count)
        .map(|n| format!("{client} - - [{now}] \"GET {path}/{n} HTTP/1.1\" 200 12 \"-\" \"test\"\n"))
        .collect()
}

fn findings(server: &Server, rule: &str) -> Vec<Value> {
    let page = server.get(&format!("/api/v1/findings?rule={rule}")).expect(200);
    page["findings"].as_array().unwrap().clone()
}

fn rule<'l>(list: &'l Value, id: &str) -> Option<&'l Value> {
    list["rules"].as_array().unwrap().iter().find(|rule| rule["id"] == id)
}

const ODD: &str = "6f3b7d1e-2c57-4a5e-9d0a-0f8f3a1c2b3d";
const COUNTED: &str = "6f3b7d1e-2c57-4a5e-9d0a-0f8f3a1c2b32";

#[test]
fn rules_change_without_losing_a_window_and_bad_ones_do_not_take_over() {
    let (dir, rules) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(rules.path().join("count.yml"), COUNT).unwrap();
    let server = Server::start_set_up(dir.path(), &["--rules", rules.path().to_str().unwrap()]);
    let token = server.create_source("web");
    let list = server.get("/api/v1/rules").expect(200);
    assert!(rule(&list, COUNTED).is_some() && rule(&list, ODD).is_none());

    // Half of what the correlation counts before the change, half after it.
    server.ingest(&token, &[], lines("203.0.113.7", "/counted", 2).as_bytes()).expect(200);
    server.settled("web", 2);
    fs::write(rules.path().join("odd.yml"), RULE).unwrap();
    let reloaded = server.post("/api/v1/rules/reload", &json!({})).expect(200);
    assert_eq!((&reloaded["in_use"], &reloaded["failed"]), (&json!(true), &json!(0)), "{reloaded}");
    server.ingest(&token, &[], lines("203.0.113.7", "/counted", 2).as_bytes()).expect(200);
    server.ingest(&token, &[], lines("203.0.113.8", "/odd", 1).as_bytes()).expect(200);
    server.settled("web", 5);
    assert_eq!(findings(&server, COUNTED).len(), 1, "the window went on");
    assert_eq!(findings(&server, ODD).len(), 1, "the new rule is in use");
    let list = server.get("/api/v1/rules").expect(200);
    let odd = rule(&list, ODD).unwrap();
    assert_eq!((&odd["findings"], &odd["level"]), (&json!(1), &json!("high")), "{odd}");
    assert!(odd["last_hit"].is_string());

    // A mistake in one rule is told; what cannot be read takes nothing over.
    fs::write(rules.path().join("odd.yml"), RULE.replace("condition: selection", "condition: nothing"))
        .unwrap();
    wait_for("the watched folder to be read", || {
        let list = server.get("/api/v1/rules").expect(200);
        list["failed"].as_array().is_some_and(|failed| !failed.is_empty()).then_some(())
    });
    let list = server.get("/api/v1/rules").expect(200);
    assert!(
        rule(&list, ODD).is_none() && list["failed"][0]["reason"].as_str().unwrap().contains("E021"),
        "{list}"
    );
    fs::write(rules.path().join("gbk.yml"), b"title: \xd6\xd0").unwrap();
    let refused = server.post("/api/v1/rules/reload", &json!({})).expect(200);
    assert_eq!(refused["in_use"], false);
    assert!(refused["refused"].as_str().unwrap().contains("gbk.yml"), "{refused}");

    fs::remove_file(rules.path().join("gbk.yml")).unwrap();
    fs::write(rules.path().join("odd.yml"), RULE).unwrap();
    assert!(Command::new("kill").args(["-HUP", &server.pid()]).status().unwrap().success());
    wait_for("SIGHUP", || rule(&server.get("/api/v1/rules").expect(200), ODD).map(|_| ()));
    server.terminate();
}

#[test]
fn suppressions_show_first_what_they_hide_and_stop_by_themselves() {
    let (dir, rules) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(rules.path().join("odd.yml"), RULE).unwrap();
    let server = Server::start_set_up(dir.path(), &["--rules", rules.path().to_str().unwrap()]);
    let token = server.create_source("web");
    server.ingest(&token, &[], lines("203.0.113.7", "/odd", 1).as_bytes()).expect(200);
    server.settled("web", 1);

    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(3600);
    let wanted = json!({ "rule": ODD, "when": { "actor.address": ["203.0.113.0/28"] }, "owner": "zhang", "reason": "scanner of our own", "expires": soon.to_string() });
    let preview = server.post("/api/v1/suppressions/preview", &wanted).expect(200);
    assert_eq!(
        (&preview["would_hide"], &preview["by_severity"]["high"]),
        (&json!(1), &json!(1)),
        "{preview}"
    );
    let made = server.post("/api/v1/suppressions", &wanted).expect(201);
    let id = made["id"].as_str().unwrap().to_owned();

    server.ingest(&token, &[], lines("203.0.113.9", "/odd", 1).as_bytes()).expect(200);
    server.ingest(&token, &[], lines("203.0.113.99", "/odd", 1).as_bytes()).expect(200);
    server.settled("web", 3);
    let seen = findings(&server, ODD);
    assert_eq!(seen.len(), 2, "{seen:?}");
    let noted = |finding: &Value| finding["unmapped"]["suppressions"].as_array().map_or(0, Vec::len);
    let outside = seen.iter().find(|finding| noted(finding) == 1).unwrap();
    assert_eq!(outside["unmapped"]["suppressions"][0]["hides"], false);
    let hidden = server.get(&format!("/api/v1/suppressions/{id}/findings")).expect(200);
    assert_eq!(hidden["findings"].as_array().unwrap().len(), 1);
    assert_eq!(hidden["findings"][0]["status"], "Suppressed");
    let list = server.get("/api/v1/suppressions").expect(200);
    assert_eq!(
        (&list["suppressions"][0]["hidden"], &list["suppressions"][0]["state"]),
        (&json!(1), &json!("active"))
    );

    let path = format!("/api/v1/suppressions/{id}");
    server.send("DELETE", &path, &[("x-wanglou-csrf", "1")], b"").expect(204);
    server.send("DELETE", &path, &[("x-wanglou-csrf", "1")], b"").problem(404, "not-found");
    let all = json!({ "owner": "zhang", "reason": "everything", "expires": soon.to_string() });
    server.post("/api/v1/suppressions", &all).problem(400, "invalid");
    let late = json!({ "rule": ODD, "owner": "zhang", "reason": "late", "expires": "2020-01-01T00:00:00Z" });
    server.post("/api/v1/suppressions", &late).problem(400, "invalid");
    server.ingest(&token, &[], lines("203.0.113.10", "/odd", 1).as_bytes()).expect(200);
    server.settled("web", 4);
    assert_eq!(findings(&server, ODD).len(), 3, "a suppression that was taken back hides nothing");
}

#[test]
fn a_backtest_finds_what_streaming_found() {
    let (dir, rules) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(rules.path().join("odd.yml"), RULE).unwrap();
    fs::write(rules.path().join("count.yml"), COUNT).unwrap();
    let folder = rules.path().to_str().unwrap();
    let server = Server::start_set_up(dir.path(), &["--rules", folder]);
    let token = server.create_source("web");
    for client in 1..=5 {
        let client = format!("203.0.113.{client}");
        server.ingest(&token, &[], lines(&client, "/odd", 1).as_bytes()).expect(200);
        server.ingest(&token, &[], lines(&client, "/counted", 4).as_bytes()).expect(200);
    }
    server.settled("web", 25);
    let mut streamed: Vec<String> = [ODD, COUNTED]
        .into_iter()
        .flat_map(|rule| findings(&server, rule))
        .map(|finding| finding["metadata"]["uid"].as_str().unwrap().to_owned())
        .collect();
    server.terminate();
    streamed.sort();
    assert_eq!(streamed.len(), 10);
    assert_eq!(backtest(dir.path(), &[folder]), streamed);
}

/// A rule written for other field names, and the pipeline that leads from these to ours.
#[test]
fn pipelines_and_placeholders_change_the_rules_of_a_platform_and_of_a_backtest() {
    let (dir, rules) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let at = |name: &str| rules.path().join(name).to_str().unwrap().to_owned();
    let foreign = RULE.replace("cs-uri-stem|contains: /odd", "path|contains|expand: '/%Words%'");
    fs::write(at("odd.yml"), foreign).unwrap();
    let pipeline =
        "name: p\ntransformations:\n  - {type: field_name_mapping, mapping: {path: cs-uri-stem}}\n";
    fs::write(at("fields.pipeline"), pipeline).unwrap();
    fs::write(at("words.placeholders"), "Words: [odd, strange]\n").unwrap();
    let (rule, pipeline, words) = (at("odd.yml"), at("fields.pipeline"), at("words.placeholders"));
    let processing = ["--pipeline", &pipeline, "--placeholders", &words];
    let server = Server::start_set_up(dir.path(), &[&["--rules", rule.as_str()][..], &processing].concat());
    let token = server.create_source("web");
    server.ingest(&token, &[], lines("203.0.113.7", "/strange", 1).as_bytes()).expect(200);
    server.settled("web", 1);
    assert_eq!(findings(&server, ODD).len(), 1);

    // A pipeline that cannot be read would change what rules mean: the set stays as it was.
    fs::write(&pipeline, "transformations: [{type: made_up}]").unwrap();
    let refused = server.post("/api/v1/rules/reload", &json!({})).expect(200);
    assert!(refused["refused"].as_str().unwrap().contains("made_up"), "{refused}");
    server.ingest(&token, &[], lines("203.0.113.8", "/odd", 1).as_bytes()).expect(200);
    server.settled("web", 2);
    assert_eq!(findings(&server, ODD).len(), 2);
    server.terminate();

    fs::write(&pipeline, "transformations: [{type: field_name_mapping, mapping: {path: cs-uri-stem}}]")
        .unwrap();
    let found = backtest(dir.path(), &[&[rule.as_str()][..], &processing].concat());
    assert_eq!(found.len(), 2);
}

fn backtest(data_dir: &Path, rules: &[&str]) -> Vec<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_wanglou"))
        .args(["rules", "backtest"])
        .args(rules)
        .args(["--since", "1d", "--format", "json", "--data-dir"])
        .arg(data_dir)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let mut uids: Vec<String> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["metadata"]["uid"].as_str().unwrap().to_owned()
        })
        .collect();
    uids.sort();
    uids
}

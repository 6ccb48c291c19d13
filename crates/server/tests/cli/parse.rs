use serde_json::json;

use crate::{code, here, lines, run, stderr, stdout};

#[test]
fn each_record_is_an_ocsf_event_in_file_order() {
    let output = run(&here(), &["parse", "evidence"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let events = lines(&stdout(&output));
    assert_eq!(events.len(), 8);
    for event in &events {
        assert_eq!(event["metadata"]["version"], "1.8.0");
        assert!(event["class_uid"].is_u64() && event["time"].is_i64());
        assert!(event["raw_data"].as_str().is_some_and(|raw| !raw.is_empty()));
    }
    assert!(events[0]["raw_data"].as_str().unwrap().starts_with("203.0.113.9"));
}

#[test]
fn origin_says_file_record_and_product() {
    let output = run(&here(), &["parse", "--origin", "evidence/auth.log", "--threads", "4"]);
    let lines = lines(&stdout(&output));
    assert_eq!(lines.len(), 5);
    for (at, line) in lines.iter().enumerate() {
        assert_eq!(line["origin"], json!({ "file": "evidence/auth.log", "record": at + 1 }));
        assert!(line["event"]["metadata"]["uid"].is_string());
    }
    assert_eq!(lines[0]["product"], "linux-sshd");
}

#[test]
fn the_order_does_not_depend_on_threads_and_output_may_be_a_file() {
    let folder = tempfile::tempdir().unwrap();
    for n in 0..40 {
        let text: String = (0..n * 7).map(|i| format!("{{\"n\":{n},\"i\":{i}}}\n")).collect();
        std::fs::write(folder.path().join(format!("{n:02}.json")), text).unwrap();
    }
    let one = run(folder.path(), &["parse", ".", "--threads", "1"]);
    let many = run(folder.path(), &["parse", ".", "--threads", "7", "--output", "../out.ndjson"]);
    assert_eq!((code(&one), many.stdout.len()), (0, 0));
    let out = folder.path().join("../out.ndjson");
    assert!(std::fs::read(&out).unwrap() == one.stdout);
    std::fs::remove_file(out).unwrap();
}

#[test]
fn what_is_missing_is_2() {
    let output = run(&here(), &["parse", "evidence/auth.log", "nowhere"]);
    assert_eq!(code(&output), 2);
    assert_eq!(lines(&stdout(&output)).len(), 5);
    assert!(stderr(&output).contains("`nowhere`"));
}

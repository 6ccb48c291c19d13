//! The first day of a newcomer: set-up, a source, events, a finding, an incident that is worked on, search, live news.

use std::io::{BufRead, BufReader};

use serde_json::json;

use crate::harness::{Server, wait_for};

/// An SQL injection as a web server logs it, now.
fn attack(path: &str) -> String {
    let now = jiff::Zoned::now().strftime("%d/%b/%Y:%H:%M:%S %z").to_string();
    format!(
        "203.0.113.9 - - [{now}] \"GET {path}?id=1%27%20UNION%20SELECT%20username,password%20FROM%20users--%20- HTTP/1.1\" 200 4523 \"-\" \"sqlmap/1.7\""
    )
}

#[test]
fn from_set_up_to_a_resolved_incident() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start_set_up(dir.path(), &[]);
    let token = server.create_source("web");

    let mut news = BufReader::new(server.open_request("GET", "/api/v1/stream", &[], b"").unwrap()).lines();

    let body = format!("{}\n{}\n", attack("/news.php"), attack("/list.php"));
    let key = [("idempotency-key", "batch-1")];
    let first = server.ingest(&token, &key, body.as_bytes()).expect(200);
    assert_eq!(
        (&first["received"], &first["accepted"], &first["duplicate"]),
        (&json!(2), &json!(2), &json!(false))
    );
    let second = server.ingest(&token, &key, body.as_bytes()).expect(200);
    assert_eq!(second["duplicate"], true);
    let line = server.settled("web", 2);
    assert_eq!((&line["events"], &line["duplicates"]), (&json!(2), &json!(2)));
    assert_eq!(server.raw_events("web").len(), 2);

    let found = server.get("/api/v1/findings?entity=address:203.0.113.9").expect(200);
    let finding = &found["findings"][0];
    assert_eq!(finding["class_uid"], 2004);
    let matches = finding["evidences"][0]["data"]["matches"].as_array().unwrap();
    assert!(!matches.is_empty(), "a finding says why: {finding}");
    let uid = finding["finding_info"]["uid"].as_str().unwrap();
    assert_eq!(server.get(&format!("/api/v1/findings/{uid}")).expect(200)["finding_info"]["uid"], uid);

    let id = finding["unmapped"]["incident"].as_str().unwrap().to_owned();
    let story = server.get(&format!("/api/v1/incidents/{id}")).expect(200);
    assert_eq!(story["incident"]["state"], "new");
    assert!(story["timeline"].as_array().unwrap().len() >= 2);
    assert!(!story["attack_path"].as_array().unwrap().is_empty());
    let entities = story["incident"]["entities"].as_array().unwrap();
    assert!(entities.iter().any(|entity| entity["value"] == "203.0.113.9" && entity["role"] == "actor"));

    let state = |state: &str, note: &str| {
        server.post(&format!("/api/v1/incidents/{id}/state"), &json!({ "state": state, "note": note }))
    };
    assert_eq!(state("in_progress", "").expect(200)["state"], "in_progress");
    assert!(state("resolved", "").problem(400, "invalid").contains("note"));
    state("new", "x").problem(409, "conflict");
    let noted = server.post(&format!("/api/v1/incidents/{id}/notes"), &json!({ "text": "已通知系统管理员" }));
    assert_eq!(noted.expect(200)["history"].as_array().unwrap().last().unwrap()["note"], "已通知系统管理员");
    assert_eq!(state("resolved", "已修复注入点").expect(200)["state"], "resolved");
    let listed = server.get("/api/v1/incidents?state=resolved").expect(200);
    assert_eq!(listed["incidents"][0]["id"], id);
    assert_eq!(listed["counts"]["by_state"]["resolved"], 1);

    let event = server.get("/api/v1/events?where=src_endpoint.ip:203.0.113.9&limit=1").expect(200);
    assert_eq!(event["events"].as_array().unwrap().len(), 1);
    let next = event["next_cursor"].as_str().expect("a second page");
    let uid = event["events"][0]["metadata"]["uid"].as_str().unwrap();
    assert_eq!(server.get(&format!("/api/v1/events/{uid}")).expect(200)["metadata"]["uid"], uid);
    let rest = server.get(&format!("/api/v1/events?where=src_endpoint.ip:203.0.113.9&limit=1&cursor={next}"));
    assert_ne!(rest.expect(200)["events"][0]["metadata"]["uid"], uid);
    let top = server.get("/api/v1/events/top?field=src_endpoint.ip").expect(200);
    assert_eq!(top["values"][0], json!({ "value": "203.0.113.9", "count": 2 }));
    let histogram = server.get("/api/v1/events/histogram?buckets=24").expect(200);
    let counts =
        histogram["buckets"].as_array().unwrap().iter().map(|bucket| bucket["count"].as_u64().unwrap());
    assert_eq!(counts.sum::<u64>(), 2);
    let overview = server.get("/api/v1/overview").expect(200);
    assert_eq!(overview["events"]["total"], 2);
    assert!(overview["findings"]["total"].as_u64().unwrap() >= 1);
    assert!(
        overview["top_entities"].as_array().unwrap().iter().any(|entity| entity["value"] == "203.0.113.9")
    );

    let mut told = std::collections::BTreeSet::new();
    wait_for("news of all kinds", || {
        let line = news.next().expect("the stream ended").unwrap();
        told.extend(line.strip_prefix("event: ").map(str::to_owned));
        ["finding", "incident", "rate"].iter().all(|topic| told.contains(*topic)).then_some(())
    });

    server.send("DELETE", "/api/v1/session", &[("x-wanglou-csrf", "1")], b"").expect(204);
    server.get("/api/v1/session").problem(401, "unauthenticated");
    server.log_on();
    assert_eq!(server.get("/api/v1/session").expect(200)["user"]["role"], "administrator");
    server.terminate();
}

#[test]
fn a_scan_is_one_finding_with_a_count() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_set_up(dir.path(), &[]);
    let token = server.create_source("web");
    let body: String = (0..300).map(|_| attack("/news.php") + "\n").collect();
    for _ in 0..2 {
        server.ingest(&token, &[], body.as_bytes()).expect(200);
    }
    server.settled("web", 600);
    let found = server.get("/api/v1/findings?limit=500").expect(200);
    let findings = found["findings"].as_array().unwrap();
    assert!(findings.len() < 20, "{} findings", findings.len());
    assert!(findings.iter().any(|finding| finding["count"] == 600));
    let incidents = server.get("/api/v1/incidents").expect(200);
    assert_eq!(incidents["incidents"].as_array().unwrap().len(), 1);
}

#[test]
fn what_was_there_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_set_up(dir.path(), &[]);
    let token = server.create_source("web");
    server.ingest(&token, &[], attack("/a").as_bytes()).expect(200);
    server.settled("web", 1);
    server.terminate();

    let mut server = Server::start(dir.path(), &[]);
    assert_eq!(server.setup_token, None);
    server.log_on();
    server.settled("web", 1);
    assert_eq!(server.raw_events("web").len(), 1);
    assert!(!server.get("/api/v1/incidents").expect(200)["incidents"].as_array().unwrap().is_empty());
    server.ingest(&token, &[], attack("/b").as_bytes()).expect(200);
    server.settled("web", 2);
}

//! Search in the search language over the API, and beside it from the terminal.

use std::process::Command;

use serde_json::json;

use crate::harness::Server;

fn line(address: &str, user: &str) -> String {
    let now = jiff::Timestamp::now();
    format!("<38>{now} web01 sshd[7]: Failed password for {user} from {address} port 4711 ssh2")
}

#[test]
fn events_are_found_counted_and_explained_where_the_query_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_set_up(dir.path(), &[]);
    let token = server.create_source("auth");
    let lines = [line("203.0.113.9", "root"), line("203.0.113.10", "wang"), line("198.51.100.1", "root")];
    server.ingest(&token, &[], lines.join("\n").as_bytes()).expect(200);
    server.settled("auth", 3);

    let asked = json!({
        "query": "src_ip:203.0.113.0/24 and \"failed password\"", "buckets": 10, "facets": ["user.name"], "limit": 1
    });
    let found = server.post("/api/v1/events/search", &asked).expect(200);
    assert_eq!(found["events"].as_array().unwrap().len(), 1);
    let counts = found["histogram"]["buckets"].as_array().unwrap().iter();
    assert_eq!(counts.map(|bucket| bucket["count"].as_u64().unwrap()).sum::<u64>(), 2);
    let users = &found["facets"][0]["values"];
    assert_eq!(users, &json!([{ "value": "root", "count": 1 }, { "value": "wang", "count": 1 }]));
    let rest = json!({ "query": asked["query"], "cursor": found["next_cursor"], "from": found["from"], "to": found["to"] });
    let rest = server.post("/api/v1/events/search", &rest).expect(200);
    assert_eq!(rest["events"].as_array().unwrap().len(), 1);
    assert_ne!(rest["events"][0]["metadata"]["uid"], found["events"][0]["metadata"]["uid"]);

    let wrong = json!({ "query": "错误 (用户：root" });
    let problem = server.post("/api/v1/events/search", &wrong);
    problem.problem(400, "invalid");
    assert_eq!(problem.json()["position"], json!({ "start": 3, "end": 4 }));
    let problem = server.get("/api/v1/events?q=ok+dst_port:x");
    problem.problem(400, "invalid");
    assert_eq!(problem.json()["position"], json!({ "start": 3, "end": 13 }));
    let event = &found["events"][0];
    let uid = event["metadata"]["uid"].as_str().unwrap();
    let time = jiff::Timestamp::from_millisecond(event["time"].as_i64().unwrap()).unwrap();
    let by_time = server.get(&format!("/api/v1/events/{uid}?time={time}")).expect(200);
    assert_eq!(by_time["metadata"]["uid"], uid);
    server.get(&format!("/api/v1/events/{uid}?time=noon")).problem(400, "invalid");
    let fields = server.get("/api/v1/events/fields").expect(200);
    let user = fields.as_array().unwrap().iter().find(|field| field["names"][0] == "user").unwrap();
    assert_eq!(user["paths"], json!(["user.name", "actor.user.name"]));

    // A clean stop brings everything into the table, where the terminal reads it.
    server.terminate();
    let run = |arguments: &[&str]| {
        let command = [arguments, &["--data-dir", dir.path().to_str().unwrap()]].concat();
        let output = Command::new(env!("CARGO_BIN_EXE_wanglou")).args(command).output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (status, found, told) =
        run(&["search", "user:root not src_ip:198.51.100.0/24", "--format", "ndjson"]);
    assert_eq!((status, found.lines().count()), (Some(0), 1), "{told}");
    assert!(found.contains("203.0.113.9") && told.starts_with("1 events in"), "{told}");
    let (status, csv, _) = run(&["search", "--format", "csv"]);
    assert_eq!((status, csv.lines().count()), (Some(0), 4));
    let (status, _, told) = run(&["search", "(user:root"]);
    assert_eq!(status, Some(64));
    assert!(told.contains("  (user:root\n  ^"), "{told}");
    let (status, told, _) = run(&["lake", "check"]);
    assert_eq!(status, Some(0));
    assert!(told.contains("0 damaged, 0 without"), "{told}");
    let (_, stats, _) = run(&["lake", "stats", "--format", "json"]);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&stats).unwrap()["events"], 3);
}

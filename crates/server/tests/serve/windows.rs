//! Windows of correlation rules over restarts: what spans a stop or a kill is found once, by the events that were
//! there.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Server, wait_for};

const BRUTE: &str = "6f3b7d1e-2c57-4a5e-9d0a-0f8f3a1c2b42";
const ORDERED: &str = "6f3b7d1e-2c57-4a5e-9d0a-0f8f3a1c2b43";
const RULES: &str = "title: Failed logon
name: failed
id: 6f3b7d1e-2c57-4a5e-9d0a-0f8f3a1c2b41
logsource: {category: webserver}
detection:
  selection: {cs-uri-stem|contains: /login, sc-status: 401}
  condition: selection
---
title: Successful logon
name: worked
id: 6f3b7d1e-2c57-4a5e-9d0a-0f8f3a1c2b44
logsource: {category: webserver}
detection:
  selection: {cs-uri-stem|contains: /login, sc-status: 200}
  condition: selection
---
title: Brute force
id: 6f3b7d1e-2c57-4a5e-9d0a-0f8f3a1c2b42
level: high
correlation:
  type: event_count
  rules: [failed]
  group-by: [c-ip]
  timespan: 1h
  condition: {gte: 10}
---
title: Failed, then worked
id: 6f3b7d1e-2c57-4a5e-9d0a-0f8f3a1c2b43
level: high
correlation:
  type: temporal_ordered
  rules: [failed, worked]
  group-by: [c-ip]
  timespan: 1h
";

/// Access log lines of logons of one client, now.
fn logons(client: &str, status: u16, count: usize) -> String {
    let now = jiff::Zoned::now().strftime("%d/%b/%Y:%H:%M:%S %z").to_string();
    format!("{client} - - [{now}] \"POST /login HTTP/1.1\" {status} 12 \"-\" \"test\"\n").repeat(count)
}

fn findings(server: &Server, rule: &str) -> Vec<Value> {
    let page = server.get(&format!("/api/v1/findings?rule={rule}")).expect(200);
    page["findings"].as_array().unwrap().clone()
}

struct Fixture {
    dir: tempfile::TempDir,
    _rules: tempfile::TempDir,
    arguments: Vec<String>,
}

impl Fixture {
    /// With so many seconds allowed for late events.
    fn new(lateness_secs: u32) -> Self {
        let (dir, rules) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(rules.path().join("logons.yml"), RULES).unwrap();
        let config = rules.path().join("wanglou.toml");
        fs::write(&config, format!("[correlation]\nlateness_secs = {lateness_secs}\n")).unwrap();
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let arguments =
            vec!["--rules".into(), text(&rules.path().join("logons.yml")), "--config".into(), text(&config)];
        Self { dir, _rules: rules, arguments }
    }

    fn arguments(&self) -> Vec<&str> {
        self.arguments.iter().map(String::as_str).collect()
    }

    fn first(&self) -> (Server, String) {
        let server = Server::start_set_up(self.dir.path(), &self.arguments());
        let token = server.create_source("web");
        (server, token)
    }

    fn again(&self) -> Server {
        let mut server = Server::start(self.dir.path(), &self.arguments());
        server.log_on();
        wait_for("the replay", || (server.get("/api/v1/health").json()["status"] == "ready").then_some(()));
        server
    }
}

fn kill(server: Server) {
    server.kill();
}

/// Ten failed logons in parts, the platform gone between them: one finding of ten events. `ends` says how it goes.
fn spans(ends: &[fn(Server)]) {
    let fixture = Fixture::new(30);
    let (mut server, token) = fixture.first();
    let mut sent = 0;
    for (part, end) in ends.iter().enumerate() {
        let body = [logons("203.0.113.7", 401, 3), logons(&format!("198.51.100.{part}"), 401, 9)].concat();
        server.ingest(&token, &[], body.as_bytes()).expect(200);
        sent += 12;
        if part % 2 == 0 {
            // Every other time the pipeline is done with it, every other time it may be anywhere.
            server.settled("web", sent);
        }
        end(server);
        server = fixture.again();
        assert_eq!(findings(&server, BRUTE), [] as [Value; 0]);
    }
    server.settled("web", sent);
    server.ingest(&token, &[], logons("203.0.113.7", 401, 10 - 3 * ends.len()).as_bytes()).expect(200);
    server.settled("web", sent + 10 - 3 * ends.len() as u64);
    let found = findings(&server, BRUTE);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["count"], 10, "{}", found[0]);
    let correlation = &found[0]["unmapped"]["correlation"];
    assert_eq!(
        (&correlation["reached"], correlation["events"].as_array().unwrap().len()),
        (&json!(10.0), 10)
    );
    // It is told again by nobody: not by a restart, not by what the log still holds.
    kill(server);
    let server = fixture.again();
    assert_eq!(findings(&server, BRUTE), found);
    server.terminate();
    let server = fixture.again();
    assert_eq!(findings(&server, BRUTE), found);
    let health = server.get("/api/v1/health").json();
    assert_eq!(health["correlation"]["windows_lost"], 0, "{health}");
    assert!(health["correlation"]["groups"].as_u64().unwrap() > ends.len() as u64, "{health}");
}

#[test]
fn a_window_that_spans_kills_and_stops_is_found_once() {
    spans(&[kill, Server::terminate, kill]);
}

/// What waits for late events waits on over a kill, and is counted by the clock when nothing more comes.
#[test]
fn what_waits_is_found_without_new_events_and_over_a_kill() {
    let fixture = Fixture::new(3);
    let (server, token) = fixture.first();
    let body = [logons("203.0.113.7", 401, 1), logons("203.0.113.7", 200, 1)].concat();
    server.ingest(&token, &[], body.as_bytes()).expect(200);
    server.settled("web", 2);
    assert_eq!(findings(&server, ORDERED).len(), 0, "it waits for older events");
    kill(server);
    let server = fixture.again();
    let found = wait_for("the clock", || Some(findings(&server, ORDERED)).filter(|found| !found.is_empty()));
    assert_eq!((found.len(), &found[0]["count"]), (1, &json!(2)));
    // The mark that found it is repeated when the log is read again.
    kill(server);
    let server = fixture.again();
    std::thread::sleep(Duration::from_secs(7));
    assert_eq!(findings(&server, ORDERED), found);
}

#[test]
fn a_state_that_cannot_be_used_is_told_of_and_the_platform_starts() {
    let fixture = Fixture::new(30);
    let (server, token) = fixture.first();
    server.ingest(&token, &[], logons("203.0.113.7", 401, 9).as_bytes()).expect(200);
    server.settled("web", 9);
    server.terminate();
    let file = fixture.dir.path().join("correlation.snapshot");
    let mut bytes = fs::read(&file).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&file, bytes).unwrap();
    fs::write(fixture.dir.path().join("correlation.snapshotAB12"), "half a file").unwrap();
    let server = fixture.again();
    assert_eq!(server.get("/api/v1/health").json()["correlation"]["windows_lost"], 1);
    let metrics = String::from_utf8(server.get("/metrics").body).unwrap();
    assert!(metrics.contains("wanglou_correlation_windows_lost_total 1"), "{metrics}");
    assert!(!fixture.dir.path().join("correlation.snapshotAB12").exists());
    // The log still holds what was not let go: the window is counted anew from it.
    server.ingest(&token, &[], logons("203.0.113.7", 401, 1).as_bytes()).expect(200);
    server.settled("web", 10);
    assert_eq!(findings(&server, BRUTE).len(), 1);
}

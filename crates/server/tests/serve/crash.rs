//! kill -9 in the middle of ingest: nothing acknowledged is missing, nothing keyed is doubled. The sender's own list is
//! the judge. The large form is `cargo xtask soak`.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::harness::{Server, wait_for};

const KILLS: usize = 3;
const LINES_PER_BATCH: usize = 40;

/// What a sender knows.
#[derive(Default)]
struct SendersList {
    acknowledged: BTreeSet<String>,
    /// Sent and never answered: it may be there or not.
    unanswered: Vec<(String, Vec<String>)>,
}

fn lines(batch: usize) -> Vec<String> {
    (0..LINES_PER_BATCH).map(|n| format!("{{\"batch\":{batch},\"line\":{n}}}")).collect()
}

/// Sends keyed batches until the platform is gone.
fn send(server: &Server, token: &str, first: usize, is_over: &AtomicBool, list: &mut SendersList) -> usize {
    let mut batch = first;
    while !is_over.load(Ordering::Acquire) {
        let (key, lines) = (format!("b{batch}"), lines(batch));
        batch += 1;
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("idempotency-key", key.as_str())];
        match server.try_send("POST", "/api/v1/ingest", &headers, lines.join("\n").as_bytes()) {
            Ok(answer) if answer.status == 200 => list.acknowledged.extend(lines),
            Ok(answer) => assert_eq!(answer.status, 429, "{answer:?}"),
            Err(_gone) => {
                list.unanswered.push((key, lines));
                break;
            }
        }
    }
    batch
}

#[test]
fn nothing_acknowledged_is_missing_and_nothing_keyed_is_doubled() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start_set_up(dir.path(), &[]);
    let token = server.create_source("feed");
    let mut list = SendersList::default();
    let mut next = 0;
    for kill in 0..KILLS {
        let is_over = AtomicBool::new(false);
        let pid = server.pid();
        next = std::thread::scope(|scope| {
            let sender = scope.spawn(|| send(&server, &token, next, &is_over, &mut list));
            std::thread::sleep(Duration::from_millis(700 + 400 * kill as u64));
            assert!(std::process::Command::new("kill").args(["-KILL", &pid]).status().unwrap().success());
            is_over.store(true, Ordering::Release);
            sender.join().unwrap()
        });
        server = Server::start(dir.path(), &[]);
    }
    server.log_on();
    assert!(list.acknowledged.len() > KILLS * LINES_PER_BATCH, "the sender got through");

    // Whoever got no answer sends again under the same key.
    for (key, lines) in std::mem::take(&mut list.unanswered) {
        let body = lines.join("\n");
        server.ingest(&token, &[("idempotency-key", &key)], body.as_bytes()).expect(200);
        list.acknowledged.extend(lines);
    }
    let expected = list.acknowledged.len() as u64;
    wait_for("the replay", || (server.get("/api/v1/health").json()["status"] == "ready").then_some(()));
    server.settled("feed", expected);
    let texts = server.raw_events("feed");
    let unique: BTreeSet<String> = texts.iter().cloned().collect();
    assert_eq!(texts.len(), unique.len(), "doubled");
    assert_eq!(unique, list.acknowledged);

    // The ledger by hour says the same, from the platform and from the command line beside it.
    let hours = server.get("/api/v1/ledger/hours?source=feed&hours=3").expect(200);
    let hours = hours["hours"].as_array().unwrap();
    let sum = |column: &str| hours.iter().map(|hour| hour[column].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("received"), sum("stored"), sum("evaluated")), (expected, expected, expected));
    assert!(hours.iter().all(|hour| hour["balanced"] == true), "{hours:?}");
    let shown = wait_for("the command line to show it", || {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_wanglou"))
            .args(["ledger", "--format", "json", "--source", "feed", "--hours", "3", "--data-dir"])
            .arg(dir.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        (shown[0]["in_flight"] == 0).then_some(shown)
    });
    assert_eq!((&shown[0]["received"], &shown[0]["stored"]), (&expected.into(), &expected.into()));
    assert_eq!(shown[0]["unaccounted"], 0);
}

//! Other engines read the table while it is written: the `deltalake` package with Polars, and ClickHouse's engine (chdb).
//!
//! `WANGLOU_ENGINES` names a Python that has them, `python3` otherwise; where it has not, the test says so and passes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::*;

/// Commits made while the other engine reads.
const COMMITS: i64 = 24;
/// How often it reads meanwhile.
const READS: usize = 4;

/// Count, sum of classes, newest time, users, events of one address, bytes of raw text.
type Totals = [i64; 6];

/// Another engine in a process of its own.
struct Engine {
    child: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Engine {
    /// `None`, with the reason printed, where it is not installed.
    fn start(name: &str, packages: &str, table: &Path) -> Option<Self> {
        let python = std::env::var("WANGLOU_ENGINES").unwrap_or_else(|_| "python3".to_owned());
        let imports = format!("import {packages}");
        let known = Command::new(&python).args(["-c", &imports]).stderr(Stdio::null()).status();
        if !known.is_ok_and(|status| status.success()) {
            eprintln!("skipped: `{python}` lacks {packages} (pip install {packages}; WANGLOU_ENGINES)");
            return None;
        }
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/openness/read.py");
        let mut child = Command::new(python)
            .args([script, name])
            .arg(table)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let asks = child.stdin.take().unwrap();
        let mut answers = BufReader::new(child.stdout.take().unwrap());
        answers.read_line(&mut String::new()).unwrap();
        Some(Self { child, asks, answers })
    }

    /// The table's version, if it says so, and what was counted.
    fn read(&mut self) -> (Option<u64>, Totals) {
        self.asks.write_all(b"\n").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let answer: serde_json::Value =
            serde_json::from_str(&line).expect("the other engine failed; see above");
        let counted: Vec<i64> = serde_json::from_value(answer["counted"].clone()).unwrap();
        (answer["version"].as_u64(), counted.try_into().unwrap())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn count(totals: Totals, events: &[StoredEvent]) -> Totals {
    let users = i64::from(!events.is_empty()) * 2;
    events.iter().fold(totals, |[count, classes, newest, _, address, raw], stored| {
        let event = &stored.event;
        let is_it = event.attributes.iter().any(|(_, value)| value.as_str() == Some("10.0.0.3"));
        [
            count + 1,
            classes + i64::from(event.class_uid),
            newest.max(event.time.nanos()),
            users,
            address + i64::from(is_it),
            raw + stored.raw.len() as i64,
        ]
    })
}

async fn reads_what_was_committed(name: &'static str, packages: &str) {
    let dir = tempfile::tempdir().unwrap();
    let lake =
        Lake::open(LakeConfig { merge_files: 4, upkeep_share: 1.0, ..config(dir.path()) }).await.unwrap();
    let events = put(&lake, "first", 50, 0).await;
    lake.flush().await.unwrap();
    let table = dir.path().join("events").canonicalize().unwrap();
    let Some(mut engine) = Engine::start(name, packages, &table) else { return };
    let mut totals = count([0, 0, i64::MIN, 0, 0, 0], &events);
    let mut by_version = BTreeMap::from([(lake.stats().table_version, totals)]);
    let reader = tokio::task::spawn_blocking(move || {
        let reads: Vec<_> = (0..READS).map(|_| engine.read()).collect();
        (reads, engine)
    });
    for number in 1..=COMMITS {
        let events = put(&lake, &number.to_string(), 40 + usize::try_from(number).unwrap(), number).await;
        totals = count(totals, &events);
        lake.flush().await.unwrap();
        // Merges come in between by themselves: they make versions, and change nothing.
        by_version.insert(lake.stats().table_version, totals);
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    let (mut reads, mut engine) = reader.await.unwrap();
    reads.push(engine.read());
    assert_eq!(reads.last().unwrap().1, totals, "{name} at the end");
    let committed: BTreeSet<Totals> = by_version.values().copied().collect();
    for (version, counted) in reads {
        assert!(committed.contains(&counted), "{name}: {counted:?} was never committed");
        if let Some(version) = version {
            // A merge may have come between a commit and its being written down here.
            let around = [by_version.range(..=version).next_back(), by_version.range(version..).next()];
            let expected: Vec<_> = around.into_iter().flatten().map(|(_, totals)| *totals).collect();
            assert!(
                expected.contains(&counted),
                "{name} at version {version}: {counted:?}, not {expected:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deltalake_with_polars_reads_every_version_as_it_was_committed() {
    reads_what_was_committed("deltalake", "deltalake, polars").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clickhouse_reads_what_was_committed() {
    reads_what_was_committed("chdb", "chdb").await;
}

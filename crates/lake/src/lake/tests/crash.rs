//! kill -9 at any instant: a child process appends and stores until it is killed; what it saw acknowledged must be
//! there, once. And the two instants that chance rarely hits: before a commit, and between commit and clean-up.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use super::*;

const LAKE_DIR: &str = "WANGLOU_TEST_CRASH_DIR";
/// How often the child is killed.
const KILLS: usize = 4;
/// How many acknowledgements it gives before that.
const ACKNOWLEDGEMENTS: usize = 25;
const FRAMES: usize = 5;

/// The child: only does something when its parent below runs it.
#[tokio::test(flavor = "multi_thread")]
async fn child() {
    let Ok(dir) = std::env::var(LAKE_DIR) else { return };
    let config = LakeConfig { segment_bytes: 1500, merge_files: 3, ..config(Path::new(&dir)) };
    let lake = Lake::open(config).await.unwrap();
    for replayed in lake.replay() {
        let (at, batch) = replayed.unwrap();
        lake.store(at, decode(&batch, at, 0)).await.unwrap();
    }
    for number in 0.. {
        let batch = batch(&number.to_string(), FRAMES);
        if let Appended::At(at) = lake.append(batch.clone()).await.unwrap() {
            println!("acknowledged {number}");
            // Some batches are never stored by the process that took them.
            if number % 7 != 0 {
                lake.store(at, decode(&batch, at, 0)).await.unwrap();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_or_doubled_by_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = std::collections::BTreeSet::new();
    for _ in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "lake::tests::crash::child", "--nocapture", "--test-threads", "1"])
            .env(LAKE_DIR, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let numbers = lines.filter_map(|line| line.split("acknowledged ").nth(1)?.trim().parse::<u64>().ok());
        acknowledged.extend(numbers.take(ACKNOWLEDGEMENTS));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert_eq!(
        acknowledged.len(),
        KILLS * ACKNOWLEDGEMENTS,
        "a batch was acknowledged as new twice, or never"
    );
    let lake = Lake::open(config(dir.path())).await.unwrap();
    for replayed in lake.replay() {
        let (at, batch) = replayed.unwrap();
        lake.store(at, decode(&batch, at, 0)).await.unwrap();
    }
    lake.flush().await.unwrap();
    assert_eq!((lake.stats().log_segments, lake.stats().fresh_events), (0, 0));
    let mut times_found: BTreeMap<EventUid, u32> = BTreeMap::new();
    let mut query = all();
    loop {
        let page = lake.search(&query).await.unwrap();
        page.hits.iter().for_each(|hit| *times_found.entry(hit.uid).or_default() += 1);
        query.cursor = page.next;
        if query.cursor.is_none() {
            break;
        }
    }
    assert!(times_found.values().all(|times| *times == 1));
    assert_eq!(lake.stats().table_events, times_found.len() as u64, "rows with the same id in the table");
    for number in acknowledged {
        let batch = batch(&number.to_string(), FRAMES);
        let Appended::AlreadyHad(at) = lake.append(batch.clone()).await.unwrap() else {
            panic!("batch {number} was acknowledged and its key forgotten")
        };
        for stored in decode(&batch, at, 0) {
            assert!(times_found.contains_key(&stored.event.uid), "an event of batch {number} is gone");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_that_is_in_the_table_is_not_stored_again() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::open(config(dir.path())).await.unwrap();
    put(&lake, "a", 5, 0).await;
    let segment = dir.path().join("wal/00000000000000000001.wal");
    let bytes = std::fs::read(&segment).unwrap();
    lake.close().await.unwrap();
    drop(lake);
    assert!(!segment.exists());
    std::fs::write(&segment, bytes).unwrap();
    let lake = reopen(&config(dir.path())).await;
    assert!(!segment.exists());
    assert_eq!(lake.replay().count(), 0);
    assert!(matches!(lake.append(batch("a", 5)).await.unwrap(), Appended::AlreadyHad(_)));
    put(&lake, "b", 5, 10).await;
    lake.flush().await.unwrap();
    assert_eq!(lake.search(&all()).await.unwrap().hits.len(), 10);
    assert_eq!(lake.stats().table_events, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_written_and_not_committed_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::open(config(dir.path())).await.unwrap();
    let day = dir.path().join("events/arrival_day=2026-09-21/tenant=default");
    std::fs::create_dir_all(&day).unwrap();
    std::fs::write(day.join("segment-00000000000000000001-0.parquet"), "half a fi").unwrap();
    put(&lake, "a", 5, 0).await;
    assert_eq!(lake.search(&all()).await.unwrap().hits.len(), 5);
    lake.flush().await.unwrap();
    assert_eq!(lake.search(&all()).await.unwrap().hits.len(), 5);
    assert_eq!(std::fs::read_dir(&day).unwrap().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_that_is_not_released_comes_again_though_it_is_in_the_table() {
    let dir = tempfile::tempdir().unwrap();
    let kept = |released| LakeConfig { released, ..config(dir.path()) };
    let lake = Lake::open(kept(0)).await.unwrap();
    for key in ["a", "b", "c"] {
        put(&lake, key, 5, 0).await;
        lake.flush().await.unwrap();
    }
    lake.release(1).await.unwrap();
    assert_eq!(lake.first_kept().await, 2);
    drop(lake);
    let lake = reopen(&kept(1)).await;
    let again: Vec<_> = lake.replay().map(Result::unwrap).collect();
    let segments: Vec<u64> = again.iter().map(|(at, _)| at.segment).collect();
    assert_eq!(segments, [2, 3]);
    for (at, batch) in again {
        assert!(lake.is_committed(at));
        lake.store(at, decode(&batch, at, 0)).await.unwrap();
        assert!(matches!(lake.append(batch).await.unwrap(), Appended::AlreadyHad(_)));
    }
    put(&lake, "d", 5, 0).await;
    lake.flush().await.unwrap();
    assert_eq!((lake.stats().table_events, lake.search(&all()).await.unwrap().hits.len()), (20, 20));
    lake.release(9).await.unwrap();
    assert_eq!(lake.first_kept().await, 5);
    drop(lake);
    let lake = reopen(&kept(9)).await;
    assert_eq!(lake.replay().count(), 0);
    assert!(matches!(lake.append(batch("b", 5)).await.unwrap(), Appended::AlreadyHad(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn turns_are_given_in_the_order_of_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::open(config(dir.path())).await.unwrap();
    put(&lake, "before", 1, 0).await;
    drop(lake);
    let lake = reopen(&config(dir.path())).await;
    let mut positions = Vec::new();
    for key in ["a", "b"] {
        let Appended::At(at) = lake.append(batch(key, 1)).await.unwrap() else { panic!("not new") };
        positions.push(at);
    }
    assert!(!lake.take_turn(positions[1]));
    assert!(lake.take_turn(positions[0]) && lake.take_turn(positions[1]) && !lake.take_turn(positions[1]));
}

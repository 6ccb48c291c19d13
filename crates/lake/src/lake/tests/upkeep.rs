//! Merging, vacuum and digests: the same rows in fewer files, and every byte as it was written.

use std::time::SystemTime;

use super::*;
use crate::{FileFault, Reader, upkeep};

async fn small_commits(lake: &Lake, commits: i64) -> Vec<EventUid> {
    let mut uids = Vec::new();
    for number in 0..commits {
        let events = put(lake, &number.to_string(), 7, number).await;
        lake.flush().await.unwrap();
        uids.extend(events.iter().map(|stored| stored.event.uid));
    }
    uids.reverse();
    uids
}

fn faults(reader: &Reader) -> Vec<Option<FileFault>> {
    reader.check().unwrap().map(|(_, fault)| fault).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_commits_become_few_files_with_the_same_events() {
    let dir = tempfile::tempdir().unwrap();
    let config = LakeConfig { merge_files: 4, ..config(dir.path()) };
    let lake = Lake::open(config.clone()).await.unwrap();
    let expected = small_commits(&lake, 30).await;
    let before = Reader::open(&config).await.unwrap();
    lake.compact().await.unwrap();
    assert!(lake.stats().table_files < 4, "{:?}", lake.stats());
    assert_eq!(lake.stats().table_events, expected.len() as u64);
    let after = Reader::open(&config).await.unwrap();
    for _ in 0..2 {
        let found = [
            lake.search(&all()).await.unwrap(),
            after.search(&all()).await.unwrap(),
            before.search(&all()).await.unwrap(),
        ];
        for page in found {
            assert_eq!(page.hits.iter().map(|hit| hit.uid).collect::<Vec<_>>(), expected);
        }
    }
    assert!(faults(&after).iter().all(Option::is_none));
    lake.close().await.unwrap();
    drop(lake);
    let lake = reopen(&config).await;
    assert_eq!(lake.search(&all()).await.unwrap().hits.len(), expected.len());
    assert!(lake.stats().table_files < 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_nobody_lists_are_deleted_after_a_while_and_not_before() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::open(LakeConfig { merge_files: 3, ..config(dir.path()) }).await.unwrap();
    let expected = small_commits(&lake, 9).await;
    lake.compact().await.unwrap();
    let events = dir.path().join("events");
    let folder = events.join("arrival_day=2026-09-21/tenant=default");
    let on_disk = || std::fs::read_dir(&folder).unwrap().count();
    let listed = lake.inner.table.lock().await.files();
    assert!(on_disk() > listed.len());
    let canonical = events.canonicalize().unwrap();
    assert_eq!(upkeep::vacuum(&canonical, &listed, SystemTime::now()).unwrap(), 0);
    let later = SystemTime::now() + upkeep::GRACE + Duration::from_secs(5);
    assert!(upkeep::vacuum(&canonical, &listed, later).unwrap() > 0);
    assert_eq!(on_disk(), listed.len());
    assert_eq!(lake.search(&all()).await.unwrap().hits.len(), expected.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_or_missing_file_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::open(config(dir.path())).await.unwrap();
    small_commits(&lake, 3).await;
    let reader = Reader::open(&config(dir.path())).await.unwrap();
    assert_eq!(faults(&reader), [None, None, None]);
    let paths: Vec<_> =
        reader.check().unwrap().map(|(path, _)| dir.path().join("events").join(path)).collect();
    let mut bytes = std::fs::read(&paths[0]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&paths[0], bytes).unwrap();
    std::fs::remove_file(&paths[1]).unwrap();
    assert_eq!(faults(&reader), [Some(FileFault::Changed), Some(FileFault::Unreadable), None]);
    std::fs::remove_file(dir.path().join("events/_digests/blake3")).unwrap();
    assert_eq!(faults(&reader)[2], Some(FileFault::NoDigest));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_that_fails_changes_nothing_and_is_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::open(LakeConfig { merge_files: 100, ..config(dir.path()) }).await.unwrap();
    let expected = small_commits(&lake, 5).await;
    let files = lake.inner.table.lock().await.files();
    let events = dir.path().join("events");
    // A folder stands where the merged file is to go.
    let next = lake.stats().table_version + 1;
    let blocked = events.join(format!("arrival_day=2026-09-21/tenant=default/merged-{next:020}-0.parquet"));
    std::fs::create_dir(&blocked).unwrap();
    std::fs::write(blocked.join("x"), "x").unwrap();
    let merged = || upkeep::merge(&events, &files).unwrap();
    assert!(lake.inner.table.lock().await.replace(&files, merged()).await.is_err());
    assert_eq!(lake.search(&all()).await.unwrap().hits.len(), expected.len());
    std::fs::remove_dir_all(&blocked).unwrap();
    lake.inner.table.lock().await.replace(&files, merged()).await.unwrap();
    let reader = Reader::open(&config(dir.path())).await.unwrap();
    assert_eq!(reader.search(&all()).await.unwrap().hits.len(), expected.len());
    assert_eq!(reader.totals().0, 1);
}

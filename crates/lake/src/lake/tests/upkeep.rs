//! Merging, vacuum and digests: the same rows in fewer files, and every byte as it was written.

use std::time::SystemTime;

use super::*;
use crate::{FileFault, Held, Reader, Retention, Retired, upkeep};

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
    let merged = || upkeep::merge::merge(&events, &files, upkeep::merge::Pace::of(1.0)).unwrap();
    assert!(lake.inner.table.lock().await.replace(&files, merged()).await.is_err());
    assert_eq!(lake.search(&all()).await.unwrap().hits.len(), expected.len());
    std::fs::remove_dir_all(&blocked).unwrap();
    lake.inner.table.lock().await.replace(&files, merged()).await.unwrap();
    let reader = Reader::open(&config(dir.path())).await.unwrap();
    assert_eq!(reader.search(&all()).await.unwrap().hits.len(), expected.len());
    assert_eq!(reader.totals().0, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merged_file_is_in_the_order_of_files_and_knows_its_times() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::open(LakeConfig { merge_files: 2, ..config(dir.path()) }).await.unwrap();
    // Later commits have earlier events, and classes take turns.
    for number in 0..4_i64 {
        let batch = batch(&number.to_string(), 3000);
        let Appended::At(at) = lake.append(batch.clone()).await.unwrap() else { panic!("not new") };
        let mut events = decode(&batch, at, 100 - number);
        for (place, stored) in events.iter_mut().enumerate() {
            stored.event.class_uid = if place % 2 == 0 { 3002 } else { 1007 };
        }
        lake.store(at, events).await.unwrap();
        lake.flush().await.unwrap();
    }
    let before: Vec<_> = lake.search(&all()).await.unwrap().hits.into_iter().map(|hit| hit.uid).collect();
    lake.compact().await.unwrap();
    let files = lake.inner.table.lock().await.files();
    let [file] = files.as_slice() else { panic!("{files:?}") };
    let path = dir.path().join("events").join(&file.path);
    let mut keys = Vec::new();
    for batch in upkeep::merge::read_rows(&dir.path().join("events"), file).unwrap() {
        let batch = batch.unwrap();
        let column = |name: &str| {
            use datafusion::arrow::array::cast::AsArray;
            use datafusion::arrow::array::types::Int64Type;
            batch.column_by_name(name).unwrap().as_primitive::<Int64Type>().values().to_vec()
        };
        keys.extend(column("class_uid").into_iter().zip(column("time_ns")));
    }
    assert_eq!(keys.len(), 12_000, "{}", path.display());
    assert!(keys.is_sorted());
    let stats = file.stats.unwrap();
    let times = || keys.iter().map(|(_, time)| *time);
    assert_eq!(
        (stats.rows, stats.min_time_ns, stats.max_time_ns),
        (12_000, times().min().unwrap(), times().max().unwrap())
    );
    let after: Vec<_> = lake.search(&all()).await.unwrap().hits.into_iter().map(|hit| hit.uid).collect();
    assert_eq!(before, after);
}

/// Four events of one day: two of each class.
async fn a_day(lake: &Lake, key: &str, arrival: i64) -> Vec<StoredEvent> {
    let mut batch = batch(key, 4);
    batch.arrival = Timestamp::from_secs(arrival);
    let Appended::At(at) = lake.append(batch.clone()).await.unwrap() else { panic!("not new") };
    let mut events = decode(&batch, at, arrival);
    for (place, stored) in events.iter_mut().enumerate() {
        stored.event.class_uid = if place < 2 { 3002 } else { 5001 };
    }
    lake.store(at, events.clone()).await.unwrap();
    lake.flush().await.unwrap();
    events
}

async fn uids(lake: &Lake) -> std::collections::BTreeSet<EventUid> {
    lake.search(&all()).await.unwrap().hits.iter().map(|hit| hit.uid).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_past_its_time_goes_and_evidence_of_open_incidents_stays() {
    const DAY: i64 = 86_400;
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let lake = Lake::open(config.clone()).await.unwrap();
    let (old, new) =
        (a_day(&lake, "old", 1_790_000_000).await, a_day(&lake, "new", 1_790_000_000 + 100 * DAY).await);
    let uid = |stored: &StoredEvent| stored.event.uid;
    let retention = Retention::new(190, [(5001, 60)].into()).unwrap();
    let on_day = |day: i64| Timestamp::from_secs(1_790_000_000 + day * DAY);
    let held = [
        Held { uid: uid(&old[0]), time: old[0].event.time },
        Held { uid: uid(&old[3]), time: old[3].event.time },
    ];

    assert!(!lake.is_anything_past(&retention, on_day(60)));
    assert_eq!(lake.retire(&retention, on_day(60), &held).await.unwrap(), Retired::default());
    assert!(lake.is_anything_past(&retention, on_day(61)));
    let retired = lake.retire(&retention, on_day(61), &held).await.unwrap();
    assert_eq!(retired, Retired { files: 1, events: 1, held: 1 });
    assert_eq!(uids(&lake).await.len(), 7);
    let retired = lake.retire(&retention, on_day(191), &held).await.unwrap();
    // Of the old day the two that are held stay; of the new day the inventories go.
    assert_eq!(retired, Retired { files: 2, events: 3, held: 2 });
    let expected = [uid(&old[0]), uid(&old[3]), uid(&new[0]), uid(&new[1])].into();
    assert_eq!(uids(&lake).await, expected);
    let reader = Reader::open(&config).await.unwrap();
    assert!(faults(&reader).iter().all(Option::is_none));
    assert_eq!(lake.stats().table_events, 4);
    // The incident is closed.
    let retired = lake.retire(&retention, on_day(191), &[]).await.unwrap();
    assert_eq!(retired, Retired { files: 1, events: 2, held: 0 });
    assert_eq!(uids(&lake).await, [uid(&new[0]), uid(&new[1])].into());
    lake.close().await.unwrap();
    drop(lake);
    assert_eq!(uids(&reopen(&config).await).await.len(), 2);
}

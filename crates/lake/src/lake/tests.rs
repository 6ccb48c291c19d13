//! The lake against a simple truth: a list of events in memory.

mod crash;
mod formats;
mod language;
mod model;
mod openness;
mod upkeep;

use bytes::Bytes;
use wanglou_model::{
    Event, FieldMap, Format, PathId, Record, Severity, TenantId, Timestamp, UNKNOWN_PRODUCT,
};

use super::*;
use crate::Origin;

/// A lake that keeps to itself until it is flushed.
pub(super) fn config(dir: &Path) -> LakeConfig {
    LakeConfig { segment_age: Duration::from_secs(3600), ..LakeConfig::at(dir) }
}

pub(super) fn batch(key: &str, frames: usize) -> Batch {
    Batch {
        source: SourceId::new("test"),
        arrival: Timestamp::from_secs(1_790_000_000),
        origin: Origin::Keyed { key: key.into() },
        frames: (0..frames).map(|n| Bytes::from(format!("frame {n} of {key}"))).collect(),
    }
}

/// One event for each frame of a batch, `second` seconds into 2026.
pub(super) fn decode(batch: &Batch, at: LogPosition, second: i64) -> Vec<StoredEvent> {
    let event = |(number, frame): (usize, &Bytes)| {
        let mut attributes = FieldMap::new();
        attributes.push(PathId::reserve("user.name"), if number % 2 == 0 { "root" } else { "王" });
        attributes.push(PathId::reserve("src_endpoint.ip"), format!("10.0.0.{}", number % 250).as_str());
        attributes.push(PathId::reserve("session.uid"), number.to_string().as_str());
        let event = Event {
            uid: batch.event_uid(at, number, 0),
            class_uid: 3002,
            activity_id: 1,
            severity: Severity::Low,
            time: Timestamp::from_secs(1_767_225_600 + second).plus_nanos(number as i64),
            arrival: batch.arrival,
            source: batch.source.clone(),
            product: Arc::clone(&UNKNOWN_PRODUCT),
            tenant: TenantId::default(),
            attributes,
            mapped: Vec::new(),
        };
        StoredEvent { event, format: Format::Syslog, raw: frame.clone(), place: None }
    };
    batch.frames.iter().enumerate().map(event).collect()
}

pub(super) fn all() -> Query {
    let mut query = Query::between(Timestamp::from_nanos(i64::MIN), Timestamp::from_nanos(i64::MAX));
    query.limit = crate::MAX_PAGE;
    query
}

async fn put(lake: &Lake, key: &str, frames: usize, second: i64) -> Vec<StoredEvent> {
    let batch = batch(key, frames);
    let Appended::At(at) = lake.append(batch.clone()).await.unwrap() else { panic!("not new") };
    let events = decode(&batch, at, second);
    lake.store(at, events.clone()).await.unwrap();
    events
}

/// A lake that was dropped lets go of its lock when its background task is gone, a moment later.
pub(super) async fn reopen(config: &LakeConfig) -> Lake {
    loop {
        match Lake::open(config.clone()).await {
            Err(LakeError::InUse { .. }) => tokio::time::sleep(Duration::from_millis(1)).await,
            opened => return opened.unwrap(),
        }
    }
}

pub(super) fn json_of(stored: &StoredEvent) -> serde_json::Map<String, serde_json::Value> {
    let mut record = Record::new(stored.format, stored.raw.clone());
    record.product = Arc::clone(&stored.event.product);
    stored.event.to_json(Some(&record))
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_found_before_during_and_after_their_way_to_the_table() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::open(config(dir.path())).await.unwrap();
    assert!(lake.search(&all()).await.unwrap().hits.is_empty());
    let first = put(&lake, "a", 3, 0).await;
    let fresh = lake.search(&all()).await.unwrap();
    assert_eq!(
        fresh.hits.iter().map(|hit| &hit.json).collect::<Vec<_>>(),
        [&json_of(&first[2]), &json_of(&first[1]), &json_of(&first[0])]
    );
    lake.flush().await.unwrap();
    let second = put(&lake, "b", 2, 10).await;
    let both = lake.search(&all()).await.unwrap();
    assert_eq!(both.hits.len(), 5);
    assert_eq!(both.hits[0].json, json_of(&second[1]));
    assert_eq!(both.hits[4].json, json_of(&first[0]));
    let stats = lake.stats();
    assert_eq!((stats.table_files, stats.table_events, stats.fresh_events), (1, 3, 2));
    let one = lake.event(first[1].event.uid, None).await.unwrap().unwrap();
    assert_eq!(one.json, json_of(&first[1]));
    assert!(lake.event(EventUid::from_u128(7), Some(first[0].event.time)).await.unwrap().is_none());
    lake.close().await.unwrap();
    assert!(matches!(lake.append(batch("c", 1)).await, Err(LakeError::Closing)));
    drop(lake);
    let lake = reopen(&config(dir.path())).await;
    assert_eq!(lake.replay().count(), 0);
    assert_eq!(lake.search(&all()).await.unwrap().hits.len(), 5);
    assert!(matches!(lake.append(batch("a", 3)).await.unwrap(), Appended::AlreadyHad(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_find_promoted_other_and_header_fields() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::open(config(dir.path())).await.unwrap();
    put(&lake, "a", 10, 0).await;
    for _ in 0..2 {
        for (path, value, expected) in [
            ("user.name", "王", 5),
            ("src_endpoint.ip", "::ffff:10.0.0.3", 1),
            ("session.uid", "4", 1),
            ("source", "test", 10),
            ("severity", "low", 10),
            ("class_uid", "3002", 10),
            ("class_uid", "1", 0),
            ("no.such.path", "4", 0),
        ] {
            let found = lake.search(&all().with(path, value)).await.unwrap().hits.len();
            assert_eq!(found, expected, "{path} = {value}");
        }
        lake.flush().await.unwrap();
    }
    for (path, value) in [("class_name", "x"), ("class_uid", "x"), ("", "x"), ("uid", "x"), ("severity", "x")]
    {
        let error = lake.search(&all().with(path, value)).await.unwrap_err();
        assert!(matches!(error, LakeError::BadQuery(_)), "{path}: {error}");
    }
    let bad_cursor = Query { cursor: Some("x".into()), ..all() };
    assert!(matches!(lake.search(&bad_cursor).await, Err(LakeError::BadQuery(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn histogram_and_top_values_count_every_event_once() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::open(config(dir.path())).await.unwrap();
    put(&lake, "a", 10, 0).await;
    lake.flush().await.unwrap();
    put(&lake, "b", 5, 90).await;
    let start = Timestamp::from_secs(1_767_225_600);
    let query = Query::between(start, start.plus_nanos(120_000_000_000));
    let buckets = lake.histogram(&query, Buckets::Width(Duration::from_secs(60))).await.unwrap();
    assert_eq!(
        buckets,
        [Bucket { start, count: 10 }, Bucket { start: start.plus_nanos(60_000_000_000), count: 5 }]
    );
    let halves = lake.histogram(&query, Buckets::Count(3)).await.unwrap();
    assert_eq!(halves.iter().map(|bucket| bucket.count).collect::<Vec<_>>(), [10, 0, 5]);
    let users = lake.top(&query, "user.name", 10).await.unwrap();
    assert_eq!(users, [("root".to_owned(), 8), ("王".to_owned(), 7)]);
    let sessions = lake.top(&query.clone().with("user.name", "root"), "session.uid", 2).await.unwrap();
    assert_eq!(sessions, [("0".to_owned(), 2), ("2".to_owned(), 2)]);
    assert_eq!(lake.top(&query, "class_uid", 1).await.unwrap(), [("3002".to_owned(), 15)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_join_without_gap_or_repetition_while_events_arrive_and_move() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::open(config(dir.path())).await.unwrap();
    let mut expected: Vec<EventUid> = Vec::new();
    for (number, key) in ["a", "b", "c"].iter().enumerate() {
        let events = put(&lake, key, 20, number as i64).await;
        expected.extend(events.iter().map(|stored| stored.event.uid));
    }
    expected.reverse();
    let mut query = Query { limit: 7, ..all() };
    let mut found = Vec::new();
    loop {
        let page = lake.search(&query).await.unwrap();
        found.extend(page.hits.iter().map(|hit| hit.uid));
        if found.len() == 14 {
            lake.flush().await.unwrap();
        } else if found.len() == 28 {
            put(&lake, "newer", 5, 1000).await;
        }
        query.cursor = page.next;
        if query.cursor.is_none() {
            break;
        }
    }
    assert_eq!(found, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_during_hand_over_see_every_event_once() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Arc::new(Lake::open(LakeConfig { segment_bytes: 2000, ..config(dir.path()) }).await.unwrap());
    let writer = {
        let lake = Arc::clone(&lake);
        tokio::spawn(async move {
            for number in 0..40 {
                put(&lake, &number.to_string(), 10, number).await;
            }
        })
    };
    let mut seen = 0;
    while seen < 400 {
        let hits = lake.search(&Query { newest_first: false, ..all() }).await.unwrap().hits;
        let mut uids: Vec<_> = hits.iter().map(|hit| hit.uid).collect();
        assert!(hits.len() >= seen && hits.len() % 10 == 0, "{} after {seen}", hits.len());
        seen = hits.len();
        uids.sort_unstable();
        uids.dedup();
        assert_eq!(uids.len(), seen);
    }
    writer.await.unwrap();
    assert!(lake.stats().table_version > 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn storing_waits_for_room_and_goes_on_when_segments_are_committed() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::open(LakeConfig { fresh_bytes: 20_000, ..config(dir.path()) }).await.unwrap();
    for number in 0..30 {
        put(&lake, &number.to_string(), 10, number).await;
    }
    assert_eq!(lake.search(&all()).await.unwrap().hits.len(), 300);
    assert!(lake.stats().fresh_bytes < 40_000, "{:?}", lake.stats());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_at_a_time_and_only_known_batches() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::open(config(dir.path())).await.unwrap();
    assert!(matches!(Lake::open(config(dir.path())).await, Err(LakeError::InUse { .. })));
    let nowhere = LogPosition { segment: 9, offset: 9 };
    assert!(matches!(lake.store(nowhere, Vec::new()).await, Err(LakeError::UnknownPosition(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_and_days_are_kept_apart_and_a_commit_that_failed_is_repeated() {
    let dir = tempfile::Builder::new().prefix("数据 湖[1]").tempdir().unwrap();
    let lake = Lake::open(config(dir.path())).await.unwrap();
    let batch = batch("a", 4);
    let Appended::At(at) = lake.append(batch.clone()).await.unwrap() else { panic!("not new") };
    let mut events = decode(&batch, at, 0);
    events[1].event.tenant = TenantId::new("区/县 =1");
    events[2].event.arrival = Timestamp::from_secs(1_790_100_000);
    lake.store(at, events).await.unwrap();
    // A file stands where the table wants a directory.
    let blocked = dir.path().join("events/arrival_day=2026-09-21");
    std::fs::write(&blocked, "x").unwrap();
    assert!(lake.flush().await.is_err());
    assert_eq!(lake.search(&all()).await.unwrap().hits.len(), 4);
    assert!(lake.stats().last_failure.is_some());
    std::fs::remove_file(&blocked).unwrap();
    lake.flush().await.unwrap();
    let stats = lake.stats();
    assert_eq!((stats.table_files, stats.table_events, stats.last_failure), (3, 4, None));
    let found = lake.search(&all().with("tenant", "区/县 =1")).await.unwrap().hits;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].json["metadata"]["tenant_uid"], "区/县 =1");
}

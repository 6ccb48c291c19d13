//! The log as a whole: what is acknowledged is there after reopening, whatever the disk did.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use proptest::prelude::*;
use wanglou_model::Timestamp;

use super::disk::SegmentFile;
use super::recovery::DAMAGED_DIR;
use super::*;
use crate::Origin;

#[derive(Default)]
struct Seen {
    appended: Mutex<BTreeSet<LogPosition>>,
    sealed: Mutex<BTreeSet<u64>>,
}

impl Observer for Seen {
    fn appended(&self, at: LogPosition) {
        assert!(self.appended.lock().insert(at), "{at:?} appended twice");
    }
    fn sealed(&self, segment: u64) {
        assert!(self.sealed.lock().insert(segment), "{segment} sealed twice");
    }
}

const OPTIONS: WalOptions = WalOptions {
    segment_bytes: 4096,
    segment_age: Duration::from_secs(3600),
    group_window: Duration::from_micros(100),
    compress: false,
    on_damage: OnDamage::Refuse,
};

/// What is in the table is not needed any more.
fn all_gone(committed: u64) -> Bounds {
    Bounds { committed, retired: committed }
}

fn open(dir: &Path, committed: u64) -> Result<Wal, WalError> {
    Wal::open(dir, OPTIONS, all_gone(committed), Arc::<Seen>::default())
}

fn batch(origin: Origin, text: &str) -> Batch {
    Batch {
        source: SourceId::new("test"),
        arrival: Timestamp::from_secs(1_000_000),
        origin,
        frames: vec![Bytes::copy_from_slice(text.as_bytes())],
    }
}

fn keyed(key: &str) -> Batch {
    batch(Origin::Keyed { key: key.into() }, key)
}

fn replayed(wal: &Wal, committed: u64) -> Vec<(LogPosition, Batch)> {
    wal.replay(committed).map(Result::unwrap).collect()
}

fn files(dir: &Path) -> Vec<u64> {
    segment_files(dir).unwrap().into_iter().map(|(number, _)| number).collect()
}

#[tokio::test]
async fn batches_come_back_in_order_across_segments() {
    let dir = tempfile::tempdir().unwrap();
    let wal = open(dir.path(), 0).unwrap();
    let mut sent = Vec::new();
    for number in 0..30 {
        let batch = batch(Origin::Arrival, &format!("{number} {}", "x".repeat(500)));
        let Appended::At(at) = wal.append(&batch).await.unwrap() else { panic!("not new") };
        sent.push((at, batch));
    }
    drop(wal);
    assert!(files(dir.path()).len() > 2);
    let wal = open(dir.path(), 0).unwrap();
    assert_eq!(replayed(&wal, 0), sent);
    let later: Vec<_> = sent.iter().filter(|(at, _)| at.segment > 1).cloned().collect();
    assert_eq!(replayed(&wal, 1), later);
    let Appended::At(at) = wal.append(&keyed("new")).await.unwrap() else { panic!("not new") };
    assert!(at > sent.last().unwrap().0);
}

#[tokio::test]
async fn a_key_is_taken_once_whether_in_one_group_after_reopening_or_after_retirement() {
    let dir = tempfile::tempdir().unwrap();
    let wal = open(dir.path(), 0).unwrap();
    let (one, two, other) = (keyed("a"), keyed("a"), keyed("b"));
    let (first, second, third) = tokio::join!(wal.append(&one), wal.append(&two), wal.append(&other));
    let Appended::At(at) = first.unwrap() else { panic!("not new") };
    assert_eq!(second.unwrap(), Appended::AlreadyHad(at));
    assert!(matches!(third.unwrap(), Appended::At(_)));
    drop(wal);
    let wal = open(dir.path(), 0).unwrap();
    assert_eq!(wal.append(&keyed("a")).await.unwrap(), Appended::AlreadyHad(at));
    drop(wal);
    let wal = open(dir.path(), at.segment).unwrap();
    assert_eq!(files(dir.path()), [] as [u64; 0]);
    assert_eq!(wal.append(&keyed("a")).await.unwrap(), Appended::AlreadyHad(at));
    let Appended::At(next) = wal.append(&keyed("c")).await.unwrap() else { panic!("not new") };
    assert_eq!(next.segment, at.segment + 1, "numbers are never used twice");
}

#[tokio::test]
async fn checkpoints_follow_the_lines_and_outlive_their_segment() {
    let dir = tempfile::tempdir().unwrap();
    let source = SourceId::new("test");
    let lines = |start, end| {
        batch(Origin::File { identity: "8:1".into(), path: "/var/log/a".into(), start, end }, "line")
    };
    let wal = open(dir.path(), 0).unwrap();
    assert_eq!(wal.checkpoint(&source, "8:1"), None);
    wal.append(&lines(0, 5)).await.unwrap();
    wal.append(&lines(5, 10)).await.unwrap();
    assert_eq!(wal.checkpoint(&source, "8:1"), Some(10));
    drop(wal);
    assert_eq!(open(dir.path(), 0).unwrap().checkpoint(&source, "8:1"), Some(10));
    let wal = open(dir.path(), 1).unwrap();
    assert_eq!(files(dir.path()), [] as [u64; 0]);
    assert_eq!(wal.checkpoint(&source, "8:1"), Some(10));
}

#[tokio::test]
async fn a_log_torn_at_every_byte_of_its_last_entry_opens_with_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let wal = open(dir.path(), 0).unwrap();
    wal.append(&keyed("first")).await.unwrap();
    let Appended::At(last) = wal.append(&keyed("last")).await.unwrap() else { panic!("not new") };
    drop(wal);
    let path = segment_path(dir.path(), 1);
    let whole = std::fs::read(&path).unwrap();
    for cut in usize::try_from(last.offset).unwrap()..whole.len() {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let wal = open(dir.path(), 0).unwrap();
        let found: Vec<_> = replayed(&wal, 0).into_iter().map(|(_, batch)| batch).collect();
        assert_eq!(found, [keyed("first")], "cut at {cut}");
        assert!(matches!(wal.append(&keyed("last")).await.unwrap(), Appended::At(_)));
        drop(wal);
        let wal = open(dir.path(), 0).unwrap();
        assert_eq!(replayed(&wal, 0).len(), 2, "cut at {cut}");
        drop(wal);
        std::fs::remove_file(segment_path(dir.path(), 2)).unwrap();
    }
    for cut in 0..entry::SEGMENT_HEADER_BYTES {
        std::fs::write(&path, &whole[..cut]).unwrap();
        assert!(replayed(&open(dir.path(), 0).unwrap(), 0).is_empty());
    }
}

#[tokio::test]
async fn damage_is_refused_with_its_place_or_set_aside_and_reported() {
    let dir = tempfile::tempdir().unwrap();
    let wal = open(dir.path(), 0).unwrap();
    for key in ["a", "b", "c"] {
        wal.append(&keyed(key)).await.unwrap();
    }
    drop(wal);
    let path = segment_path(dir.path(), 1);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xFF;
    std::fs::write(&path, &bytes).unwrap();
    let error = open(dir.path(), 0).err().unwrap();
    assert!(
        matches!(&error, WalError::Damaged { from, to, .. } if (*from..*to).contains(&(middle as u64))),
        "{error}"
    );
    let options = WalOptions { on_damage: OnDamage::SetAside, ..OPTIONS };
    let wal = Wal::open(dir.path(), options, all_gone(0), Arc::<Seen>::default()).unwrap();
    let found: Vec<_> = replayed(&wal, 0).into_iter().map(|(_, batch)| batch).collect();
    assert_eq!(found, [keyed("a"), keyed("c")]);
    assert_eq!(wal.damage().len(), 1);
    assert_eq!(std::fs::read(dir.path().join(DAMAGED_DIR).join(path.file_name().unwrap())).unwrap(), bytes);
}

#[tokio::test]
async fn a_missing_segment_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        let wal = open(dir.path(), 0).unwrap();
        wal.append(&batch(Origin::Arrival, "x")).await.unwrap();
    }
    assert_eq!(files(dir.path()), [1, 2, 3]);
    std::fs::remove_file(segment_path(dir.path(), 2)).unwrap();
    let error = open(dir.path(), 0).err().unwrap();
    assert!(matches!(&error, WalError::Missing { path, count: 1 } if *path == segment_path(dir.path(), 2)));
}

/// A disk that fails on command.
#[derive(Default)]
struct Faults {
    appends_to_fail: AtomicU32,
    syncs_to_fail: AtomicU32,
    truncates_to_fail: AtomicU32,
}

fn due(count: &AtomicU32) -> bool {
    count.try_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok()
}

struct FaultyDisk(Arc<Faults>);
struct FaultyFile(Box<dyn SegmentFile>, Arc<Faults>);

impl Disk for FaultyDisk {
    fn create(&mut self, path: &Path) -> io::Result<Box<dyn SegmentFile>> {
        Ok(Box::new(FaultyFile(LocalDisk.create(path)?, Arc::clone(&self.0))))
    }
    fn sync_dir(&mut self, dir: &Path) -> io::Result<()> {
        LocalDisk.sync_dir(dir)
    }
}

impl SegmentFile for FaultyFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if due(&self.1.appends_to_fail) {
            self.0.append(&bytes[..bytes.len() / 2])?;
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        self.0.append(bytes)
    }
    fn sync(&mut self) -> io::Result<()> {
        if due(&self.1.syncs_to_fail) { Err(io::Error::other("injected")) } else { self.0.sync() }
    }
    fn truncate(&mut self, length: u64) -> io::Result<()> {
        if due(&self.1.truncates_to_fail) {
            return Err(io::Error::other("injected"));
        }
        self.0.truncate(length)
    }
}

fn open_faulty(dir: &Path) -> (Wal, Arc<Faults>) {
    let faults = Arc::<Faults>::default();
    let disk = Box::new(FaultyDisk(Arc::clone(&faults)));
    (Wal::open_on(dir, OPTIONS, all_gone(0), Arc::<Seen>::default(), disk).unwrap(), faults)
}

#[tokio::test]
async fn a_full_disk_refuses_batches_until_there_is_room_again() {
    let dir = tempfile::tempdir().unwrap();
    let (wal, faults) = open_faulty(dir.path());
    wal.append(&keyed("a")).await.unwrap();
    faults.appends_to_fail.store(1, Ordering::SeqCst);
    let error = wal.append(&keyed("b")).await.unwrap_err();
    assert!(matches!(&error, WalError::Write { .. }), "{error}");
    assert!(matches!(wal.append(&keyed("b")).await.unwrap(), Appended::At(_)));
    drop(wal);
    // The very first write of a segment, its header, may fail as well.
    let (wal, faults) = open_faulty(dir.path());
    faults.appends_to_fail.store(1, Ordering::SeqCst);
    assert!(matches!(wal.append(&keyed("c")).await.unwrap_err(), WalError::Write { .. }));
    assert!(matches!(wal.append(&keyed("c")).await.unwrap(), Appended::At(_)));
    drop(wal);
    let wal = open(dir.path(), 0).unwrap();
    let found: Vec<_> = replayed(&wal, 0).into_iter().map(|(_, batch)| batch).collect();
    assert_eq!(found, [keyed("a"), keyed("b"), keyed("c")]);
}

#[tokio::test]
async fn nothing_is_acknowledged_after_a_failed_fsync_until_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (wal, faults) = open_faulty(dir.path());
    wal.append(&keyed("a")).await.unwrap();
    faults.syncs_to_fail.store(1, Ordering::SeqCst);
    assert!(matches!(wal.append(&keyed("b")).await.unwrap_err(), WalError::Sync { .. }));
    assert!(matches!(wal.append(&keyed("c")).await.unwrap_err(), WalError::Poisoned));
    assert!(matches!(wal.append(&keyed("a")).await.unwrap(), Appended::AlreadyHad(_)));
    drop(wal);
    let wal = open(dir.path(), 0).unwrap();
    assert!(replayed(&wal, 0).iter().any(|(_, batch)| *batch == keyed("a")));
    assert!(matches!(wal.append(&keyed("c")).await.unwrap(), Appended::At(_)));
}

#[tokio::test]
async fn half_an_entry_that_cannot_be_removed_stops_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let (wal, faults) = open_faulty(dir.path());
    wal.append(&keyed("a")).await.unwrap();
    faults.appends_to_fail.store(1, Ordering::SeqCst);
    faults.truncates_to_fail.store(1, Ordering::SeqCst);
    assert!(matches!(wal.append(&keyed("b")).await.unwrap_err(), WalError::Write { .. }));
    assert!(matches!(wal.append(&keyed("c")).await.unwrap_err(), WalError::Poisoned));
    drop(wal);
    let wal = open(dir.path(), 0).unwrap();
    assert_eq!(replayed(&wal, 0).len(), 1);
}

/// One step of a random life of the log.
#[derive(Clone, Debug)]
enum Step {
    Append(Batch),
    Seal,
    Fault(u8),
    Reopen { retire: bool },
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => body::tests::any_batch().prop_map(Step::Append),
        3 => (0_u8..6).prop_map(|key| Step::Append(keyed(&key.to_string()))),
        1 => Just(Step::Seal),
        1 => (0_u8..3).prop_map(Step::Fault),
        1 => any::<bool>().prop_map(|retire| Step::Reopen { retire }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn whatever_happens_each_acknowledged_batch_is_there_once(steps in prop::collection::vec(any_step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let (mut wal, mut faults) = open_faulty(dir.path());
            let mut acknowledged: Vec<(LogPosition, Batch)> = Vec::new();
            let mut committed = 0;
            for step in steps {
                match step {
                    Step::Append(mut batch) => {
                        // Keys expire by arrival, which is not what is tested here.
                        batch.arrival = Timestamp::from_secs(1_000_000);
                        match wal.append(&batch).await {
                            Ok(Appended::At(at)) => acknowledged.push((at, batch)),
                            Ok(Appended::AlreadyHad(at)) => assert!(
                                at.segment <= committed || acknowledged.iter().any(|(p, b)| *p == at && b.source == batch.source)
                            ),
                            Err(_) => {}
                        }
                    }
                    Step::Seal => wal.seal().await.unwrap(),
                    Step::Fault(0) => faults.appends_to_fail.store(1, Ordering::SeqCst),
                    Step::Fault(1) => faults.truncates_to_fail.store(1, Ordering::SeqCst),
                    Step::Fault(_) => faults.syncs_to_fail.store(1, Ordering::SeqCst),
                    Step::Reopen { retire } => {
                        drop(wal);
                        if retire {
                            committed = acknowledged.iter().map(|(at, _)| at.segment).max().unwrap_or(committed);
                        }
                        faults = Arc::default();
                        let disk = Box::new(FaultyDisk(Arc::clone(&faults)));
                        wal = Wal::open_on(dir.path(), OPTIONS, all_gone(committed), Arc::<Seen>::default(), disk).unwrap();
                        let found = replayed(&wal, committed);
                        // What was in doubt may have survived; it counts as acknowledged from now on.
                        for (at, batch) in &acknowledged {
                            if at.segment > committed {
                                let times = found.iter().filter(|(p, b)| p == at && b == batch).count();
                                assert_eq!(times, 1, "{at:?}");
                            }
                        }
                        acknowledged = found;
                    }
                }
            }
        });
    }
}

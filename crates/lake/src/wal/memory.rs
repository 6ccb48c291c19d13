//! What the log remembers longer than its segments live: the keys of batches and the checkpoints of files.
//!
//! Both are facts of log entries, durable with them. When a segment is about to be deleted, its keys are appended to
//! `keys/<hour>.keys` and all checkpoints written to `checkpoints.json`; opening the log reads these first and then
//! the entries of the segments that are still there.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use wanglou_model::{EventUid, SourceId, Timestamp};

use super::disk;
use crate::{Batch, LogPosition, Origin};

/// How long the key of a batch is remembered, counted in arrivals.
pub const KEY_MEMORY: Duration = Duration::from_secs(24 * 60 * 60);
/// More keys than this are forgotten before their time, oldest first: about 100 MB of memory, eleven batches a second
/// for a whole day.
const MAX_KEYS: usize = 1_000_000;
/// Bytes of a key on disk: hash, segment, offset, arrival, checksum.
const RECORD_BYTES: usize = 16 + 8 + 8 + 8 + 4;
const NANOS_PER_HOUR: i64 = 3_600_000_000_000;

/// The hash a batch's key is remembered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct KeyHash(u128);

#[derive(Clone, Copy, Debug)]
struct RememberedKey {
    hash: KeyHash,
    at: LogPosition,
    arrival: Timestamp,
}

/// Keys and checkpoints.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    keys: HashMap<KeyHash, LogPosition>,
    by_age: VecDeque<RememberedKey>,
    checkpoints: BTreeMap<SourceId, BTreeMap<String, u64>>,
    forgotten_early: u64,
}

impl Memory {
    /// What was saved in `dir`. Keys whose checksum fails are left out and counted in the second value.
    pub(crate) fn load(dir: &Path) -> io::Result<(Self, usize)> {
        let mut memory = Self::default();
        if let Some(text) = read_if_there(&checkpoints_file(dir))? {
            memory.checkpoints = serde_json::from_slice(&text).map_err(io::Error::other)?;
        }
        let mut unreadable = 0;
        let mut keys = Vec::new();
        for (_, file) in key_files(dir)? {
            let bytes = std::fs::read(&file)?;
            let records = bytes.chunks_exact(RECORD_BYTES);
            if !records.remainder().is_empty() {
                // A crash while appending: the segment it was for is still there and will be appended again.
                let whole = bytes.len() - records.remainder().len();
                OpenOptions::new().write(true).open(&file)?.set_len(whole as u64)?;
            }
            for record in records {
                match RememberedKey::from_bytes(record) {
                    Some(key) => keys.push(key),
                    None => unreadable += 1,
                }
            }
        }
        keys.sort_by_key(|key| key.at);
        for key in keys {
            memory.remember(key);
        }
        Ok((memory, unreadable))
    }

    /// Where a batch with the same source and key is, if one is remembered.
    pub(crate) fn find(&self, batch: &Batch) -> Option<LogPosition> {
        self.find_hash(KeyHash::of(batch)?)
    }

    /// Where the batch with this key is, if it is remembered.
    pub(crate) fn find_hash(&self, hash: KeyHash) -> Option<LogPosition> {
        self.keys.get(&hash).copied()
    }

    /// Takes note of a batch that is durable.
    pub(crate) fn note(&mut self, fact: &Fact, at: LogPosition) {
        match fact {
            Fact::Nothing => {}
            Fact::Key { hash, arrival } => {
                self.remember(RememberedKey { hash: *hash, at, arrival: *arrival });
            }
            Fact::Checkpoint { source, identity, end } => {
                self.checkpoints.entry(source.clone()).or_default().insert(identity.clone(), *end);
            }
        }
    }

    /// The offset after the last durable line of a file.
    pub(crate) fn checkpoint(&self, source: &SourceId, identity: &str) -> Option<u64> {
        self.checkpoints.get(source)?.get(identity).copied()
    }

    /// How many keys are remembered, and how many were forgotten before their time.
    pub(crate) fn key_counts(&self) -> (usize, u64) {
        (self.keys.len(), self.forgotten_early)
    }

    /// What must be written before segment `segment` may be deleted.
    pub(crate) fn to_save(&self, segment: u64) -> Saving {
        let keys: Vec<_> = self.by_age.iter().filter(|key| key.at.segment == segment).copied().collect();
        Saving { keys, checkpoints: self.checkpoints.clone() }
    }

    fn remember(&mut self, key: RememberedKey) {
        self.keys.insert(key.hash, key.at);
        self.by_age.push_back(key);
        let horizon = key.arrival.plus_nanos(-i64::try_from(KEY_MEMORY.as_nanos()).unwrap_or(i64::MAX));
        while let Some(oldest) = self.by_age.front() {
            let early = oldest.arrival >= horizon;
            if early && self.by_age.len() <= MAX_KEYS {
                break;
            }
            // The same key may have been noted again since, from the log after the side file: that note stays.
            if self.keys.get(&oldest.hash) == Some(&oldest.at) {
                self.keys.remove(&oldest.hash);
                self.forgotten_early += u64::from(early);
            }
            self.by_age.pop_front();
        }
    }
}

/// What the log takes note of when a batch is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fact {
    Nothing,
    Key { hash: KeyHash, arrival: Timestamp },
    Checkpoint { source: SourceId, identity: String, end: u64 },
}

impl Fact {
    /// The fact of a batch.
    pub(crate) fn of(batch: &Batch) -> Self {
        match &batch.origin {
            Origin::Arrival => Self::Nothing,
            Origin::Keyed { .. } => {
                KeyHash::of(batch).map_or(Self::Nothing, |hash| Self::Key { hash, arrival: batch.arrival })
            }
            Origin::File { identity, end, .. } => {
                Self::Checkpoint { source: batch.source.clone(), identity: identity.clone(), end: *end }
            }
        }
    }
}

/// A copy of what [`Memory::to_save`] found, to be written without holding up the log.
pub(crate) struct Saving {
    keys: Vec<RememberedKey>,
    checkpoints: BTreeMap<SourceId, BTreeMap<String, u64>>,
}

impl Saving {
    /// Writes it below `dir`, durably, and deletes key files that only hold expired keys.
    pub(crate) fn write(&self, dir: &Path) -> io::Result<()> {
        let text = serde_json::to_vec(&self.checkpoints).map_err(io::Error::other)?;
        disk::replace(&checkpoints_file(dir), &text)?;
        let Some(newest) = self.keys.iter().map(|key| key.arrival.nanos().div_euclid(NANOS_PER_HOUR)).max()
        else {
            return Ok(());
        };
        let records: Vec<u8> = self.keys.iter().flat_map(|key| key.to_bytes()).collect();
        let path = keys_dir(dir).join(format!("{newest}.keys"));
        let mut file = OpenOptions::new().append(true).create(true).open(path)?;
        file.write_all(&records)?;
        file.sync_data()?;
        let hours_kept = i64::try_from(KEY_MEMORY.as_secs() / 3600).unwrap_or(i64::MAX) + 1;
        for (hour, file) in key_files(dir)? {
            if hour < newest - hours_kept {
                std::fs::remove_file(file)?;
            }
        }
        disk::sync_dir(&keys_dir(dir))
    }
}

impl KeyHash {
    fn of(batch: &Batch) -> Option<Self> {
        let Origin::Keyed { key } = &batch.origin else { return None };
        Some(Self(EventUid::at(&batch.source, key.as_bytes()).as_u128()))
    }
}

impl RememberedKey {
    fn to_bytes(self) -> Vec<u8> {
        let mut record = Vec::with_capacity(RECORD_BYTES);
        record.extend_from_slice(&self.hash.0.to_be_bytes());
        record.extend_from_slice(&self.at.segment.to_le_bytes());
        record.extend_from_slice(&self.at.offset.to_le_bytes());
        record.extend_from_slice(&self.arrival.nanos().to_le_bytes());
        record.extend_from_slice(&crc32fast::hash(&record).to_le_bytes());
        record
    }

    fn from_bytes(record: &[u8]) -> Option<Self> {
        let (fields, crc) = record.split_last_chunk::<4>()?;
        if crc32fast::hash(fields) != u32::from_le_bytes(*crc) {
            return None;
        }
        let (hash, fields) = fields.split_first_chunk::<16>()?;
        let (segment, fields) = fields.split_first_chunk::<8>()?;
        let (offset, arrival) = fields.split_first_chunk::<8>()?;
        Some(Self {
            hash: KeyHash(u128::from_be_bytes(*hash)),
            at: LogPosition { segment: u64::from_le_bytes(*segment), offset: u64::from_le_bytes(*offset) },
            arrival: Timestamp::from_nanos(i64::from_le_bytes(*arrival.first_chunk()?)),
        })
    }
}

/// The directory of the key files.
pub(crate) fn keys_dir(dir: &Path) -> PathBuf {
    dir.join("keys")
}

fn checkpoints_file(dir: &Path) -> PathBuf {
    dir.join("checkpoints.json")
}

/// The key files with the hour each is named for.
fn key_files(dir: &Path) -> io::Result<Vec<(i64, PathBuf)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(keys_dir(dir))? {
        let path = entry?.path();
        let hour = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
        if let Some(hour) = hour {
            files.push((hour, path));
        }
    }
    files.sort();
    Ok(files)
}

fn read_if_there(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyed(key: &str, hours: i64) -> Batch {
        Batch {
            source: SourceId::new("http:a"),
            arrival: Timestamp::from_secs(hours * 3600),
            origin: Origin::Keyed { key: key.into() },
            frames: Vec::new(),
        }
    }

    fn at(segment: u64) -> LogPosition {
        LogPosition { segment, offset: 32 }
    }

    #[test]
    fn keys_live_a_day_and_survive_their_segment() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(keys_dir(dir.path())).unwrap();
        let mut memory = Memory::default();
        for (segment, hour) in [(1, 0), (2, 10), (3, 23)] {
            let batch = keyed(&format!("k{segment}"), hour);
            memory.note(&Fact::of(&batch), at(segment));
            memory.to_save(segment).write(dir.path()).unwrap();
        }
        let (mut memory, unreadable) = Memory::load(dir.path()).unwrap();
        assert_eq!(unreadable, 0);
        assert_eq!(memory.find(&keyed("k1", 0)), Some(at(1)));
        memory.note(&Fact::of(&keyed("k4", 30)), at(4));
        assert_eq!(memory.find(&keyed("k1", 0)), None);
        assert_eq!(memory.find(&keyed("k2", 0)), Some(at(2)));
        memory.note(&Fact::of(&keyed("k5", 60)), at(5));
        memory.to_save(5).write(dir.path()).unwrap();
        assert_eq!(memory.key_counts(), (1, 0));
        assert_eq!(key_files(dir.path()).unwrap().len(), 1);
    }

    #[test]
    fn a_torn_or_rotten_key_costs_only_itself() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(keys_dir(dir.path())).unwrap();
        let mut memory = Memory::default();
        for key in ["a", "b", "c"] {
            memory.note(&Fact::of(&keyed(key, 1)), at(1));
        }
        memory.to_save(1).write(dir.path()).unwrap();
        let file = keys_dir(dir.path()).join("1.keys");
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[RECORD_BYTES + 3] ^= 1;
        bytes.truncate(RECORD_BYTES * 3 - 1);
        std::fs::write(&file, &bytes).unwrap();
        let (memory, unreadable) = Memory::load(dir.path()).unwrap();
        assert_eq!((memory.key_counts().0, unreadable), (1, 1));
        assert_eq!(std::fs::metadata(&file).unwrap().len() as usize, RECORD_BYTES * 2);
    }
}

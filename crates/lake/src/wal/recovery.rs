//! Opening a log that was there: what its segments hold, what a crash tore off, what is damaged.

use std::io;
use std::path::Path;

use bytes::Bytes;

use super::entry::HeaderError;
use super::memory::{Fact, Memory};
use super::{OnDamage, WalError, body, entry, open_error, scan, segment_files, segment_path};
use crate::{Batch, LogPosition};

/// Where damaged segments are copied to.
pub(super) const DAMAGED_DIR: &str = "damaged";

/// A segment that was there when the log was opened.
#[derive(Clone, Debug)]
pub(crate) struct OldSegment {
    pub number: u64,
    /// Where its entries begin.
    pub offsets: Vec<u64>,
}

/// What opening the log finds out.
pub(super) struct Recovered {
    pub memory: Memory,
    pub segments: Vec<OldSegment>,
    /// What was lost and set aside.
    pub damage: Vec<WalError>,
}

/// Reads all segments in `dir` on top of what `memory` holds, and cuts off what was never acknowledged.
pub(super) fn recover(
    dir: &Path,
    on_damage: OnDamage,
    memory: Memory,
    committed: u64,
) -> Result<Recovered, WalError> {
    let found = Recovered { memory, segments: Vec::new(), damage: Vec::new() };
    let mut recovery = Recovery { dir, on_damage, found };
    recovery.run(committed)?;
    Ok(recovery.found)
}

/// The batches of one old segment.
pub(super) fn read_batches(dir: &Path, segment: &OldSegment) -> Vec<Result<(LogPosition, Batch), WalError>> {
    let path = segment_path(dir, segment.number);
    let read = || -> Result<Vec<_>, WalError> {
        let bytes = Bytes::from(std::fs::read(&path).map_err(|error| open_error(&path, error))?);
        let damaged = |from: u64| WalError::Damaged { path: path.clone(), from, to: bytes.len() as u64 };
        let (_, marker) = entry::parse_segment_header(&bytes).map_err(|_| damaged(0))?;
        let mut batches = Vec::with_capacity(segment.offsets.len());
        for offset in &segment.offsets {
            let entry = usize::try_from(*offset).ok().and_then(|at| entry::parse_entry(&bytes, at, marker));
            let batch = entry.and_then(|entry| body::decode(bytes.slice(entry.body)).ok());
            let at = LogPosition { segment: segment.number, offset: *offset };
            batches.push((at, batch.ok_or_else(|| damaged(*offset))?));
        }
        Ok(batches)
    };
    match read() {
        Ok(batches) => batches.into_iter().map(Ok).collect(),
        Err(error) => vec![Err(error)],
    }
}

struct Recovery<'a> {
    dir: &'a Path,
    on_damage: OnDamage,
    found: Recovered,
}

impl Recovery<'_> {
    fn run(&mut self, committed: u64) -> Result<(), WalError> {
        let files = segment_files(self.dir).map_err(|error| open_error(self.dir, error))?;
        let last = files.last().map(|(number, _)| *number);
        let mut expected = committed + 1;
        for (number, path) in &files {
            if *number > expected {
                let path = segment_path(self.dir, expected);
                self.lost(WalError::Missing { path, count: number - expected })?;
            }
            expected = expected.max(number + 1);
            self.read(*number, path, Some(*number) == last)?;
        }
        Ok(())
    }

    fn read(&mut self, number: u64, path: &Path, is_last: bool) -> Result<(), WalError> {
        let bytes = Bytes::from(std::fs::read(path).map_err(|error| open_error(path, error))?);
        let scan = match scan::scan(&bytes, !is_last) {
            Ok((found, scan)) if found == number => scan,
            Err(HeaderError::Version(version)) => {
                return Err(WalError::Version { path: path.into(), version });
            }
            Err(HeaderError::Unfinished) if is_last => scan::Scan::default(),
            _ => {
                let all = WalError::Damaged { path: path.into(), from: 0, to: bytes.len() as u64 };
                self.set_aside(path, all)?;
                scan::Scan { end: bytes.len(), ..scan::Scan::default() }
            }
        };
        for hole in &scan.damage {
            let (from, to) = (hole.start as u64, hole.end as u64);
            self.set_aside(path, WalError::Damaged { path: path.into(), from, to })?;
        }
        let mut offsets = Vec::with_capacity(scan.entries.len());
        for entry in &scan.entries {
            match body::decode(bytes.slice(entry.body.clone())) {
                Ok(batch) => {
                    let at = LogPosition { segment: number, offset: entry.offset as u64 };
                    self.found.memory.note(&Fact::of(&batch), at);
                    offsets.push(at.offset);
                }
                Err(error) => {
                    tracing::error!(%error, path = %path.display(), offset = entry.offset, "log entry unreadable");
                    let (from, to) = (entry.offset as u64, entry.body.end as u64);
                    self.set_aside(path, WalError::Damaged { path: path.into(), from, to })?;
                }
            }
        }
        if scan.end < bytes.len() {
            tracing::warn!(path = %path.display(), kept = scan.end, bytes = bytes.len(), "torn tail cut off the log");
            truncate(path, scan.end as u64).map_err(|error| open_error(path, error))?;
        }
        if offsets.is_empty() && scan.damage.is_empty() && is_last {
            std::fs::remove_file(path).map_err(|error| open_error(path, error))?;
        } else {
            self.found.segments.push(OldSegment { number, offsets });
        }
        Ok(())
    }

    fn set_aside(&mut self, path: &Path, loss: WalError) -> Result<(), WalError> {
        if self.on_damage == OnDamage::SetAside
            && let Some(name) = path.file_name()
        {
            let damaged = self.dir.join(DAMAGED_DIR);
            std::fs::create_dir_all(&damaged)
                .and_then(|()| std::fs::copy(path, damaged.join(name)))
                .map_err(|error| open_error(&damaged, error))?;
        }
        self.lost(loss)
    }

    fn lost(&mut self, loss: WalError) -> Result<(), WalError> {
        if self.on_damage == OnDamage::Refuse {
            return Err(loss);
        }
        tracing::error!(error = %loss, "going on without part of the log");
        self.found.damage.push(loss);
        Ok(())
    }
}

fn truncate(path: &Path, length: u64) -> io::Result<()> {
    let file = std::fs::OpenOptions::new().write(true).open(path)?;
    file.set_len(length)?;
    file.sync_all()
}

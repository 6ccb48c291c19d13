//! The write-ahead log: what is acknowledged is on stable storage, and is there once.
//!
//! The log is a row of numbered segment files of checksummed entries, one entry a batch ([`body`], [`entry`]). One
//! thread writes ([`writer`]): it gathers what arrives within a millisecond, writes it in one go, calls `fdatasync`
//! and only then answers. A segment that is full or old is sealed; when its events are in the table it is retired,
//! that is deleted, after what must be remembered longer ([`memory`]) has been saved.
//!
//! The log knows nothing of events or tables. What it does not do: repair. Damage below the durable mark is reported
//! with its place ([`scan`]) and the log does not open unless told to set the damaged segment aside.

mod body;
mod disk;
mod entry;
mod memory;
mod recovery;
mod scan;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, oneshot};
use wanglou_model::SourceId;

pub(crate) use disk::sync_dir;
use disk::{Disk, LocalDisk};
pub use memory::KEY_MEMORY;
use memory::{Fact, Memory};
use recovery::{OldSegment, Recovered};
pub(crate) use writer::Observer;
use writer::{Append, Command, PERMIT_BYTES, Writer};

use crate::{Appended, Batch, LogPosition};

/// Bytes of batches that may wait for the disk; beyond it, appending waits.
const MAX_QUEUED_BYTES: usize = 64 << 20;
const QUEUE_PERMITS: u32 = (MAX_QUEUED_BYTES / PERMIT_BYTES) as u32;

/// Why the log failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WalError {
    /// A file or directory of the log cannot be read or prepared.
    #[error("cannot read the log at `{}`", path.display())]
    Open {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The batch could not be written; none of it is in the log and the next one may succeed.
    #[error("cannot write to the log at `{}`: is the disk full? nothing of the batch was kept", path.display())]
    Write {
        /// The segment file.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The disk did not confirm a write; the log takes no more batches in this process.
    #[error("the disk did not confirm a write to `{}`: check the disk, then restart", path.display())]
    Sync {
        /// The segment file.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// An earlier failure left the log in doubt.
    #[error("the log stopped after a failed write: check the disk, then restart")]
    Poisoned,
    /// The batch is longer than an entry may be.
    #[error("the batch is longer than {limit} bytes: send it in parts")]
    TooLong {
        /// The limit.
        limit: usize,
    },
    /// Bytes that were durable are not what was written.
    #[error(
        "the log segment `{}` is damaged at bytes {from}..{to}: restore the file from a copy, or open the log \
         with damage set aside to go on without these bytes", path.display()
    )]
    Damaged {
        /// The segment file.
        path: PathBuf,
        /// First damaged byte.
        from: u64,
        /// The byte after the last damaged one.
        to: u64,
    },
    /// Segments between others are gone.
    #[error(
        "the log segment `{}` is missing ({count} in a row): restore the file, or open the log with damage set \
         aside to go on without it", path.display()
    )]
    Missing {
        /// The first segment file missing.
        path: PathBuf,
        /// How many are.
        count: u64,
    },
    /// A later release wrote the segment.
    #[error("the log segment `{}` has format version {version}, which this release cannot read", path.display())]
    Version {
        /// The segment file.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
}

/// What to do about damage when the log is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDamage {
    /// Do not open: a person decides.
    #[default]
    Refuse,
    /// Copy damaged segments to `damaged/`, go on with the entries that are intact, and report each loss.
    SetAside,
}

/// How far the segments of a log are done with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Segments up to this one are in the table.
    pub committed: u64,
    /// Segments up to this one are not needed any more.
    pub retired: u64,
}

/// How the log is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WalOptions {
    pub segment_bytes: u64,
    pub segment_age: Duration,
    pub group_window: Duration,
    pub compress: bool,
    pub on_damage: OnDamage,
}

/// The log, open.
pub(crate) struct Wal {
    dir: PathBuf,
    compress: bool,
    memory: Arc<Mutex<Memory>>,
    commands: Option<mpsc::Sender<Command>>,
    queue: Arc<Semaphore>,
    thread: Option<JoinHandle<()>>,
    old: Vec<OldSegment>,
    damage: Vec<WalError>,
}

impl Wal {
    /// Opens the log in `dir`, making it if need be. Segments that are not needed any more are deleted.
    pub(crate) fn open(
        dir: &Path,
        options: WalOptions,
        bounds: Bounds,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, WalError> {
        Self::open_on(dir, options, bounds, observer, Box::new(LocalDisk))
    }

    fn open_on(
        dir: &Path,
        options: WalOptions,
        Bounds { committed, retired }: Bounds,
        observer: Arc<dyn Observer>,
        disk: Box<dyn Disk>,
    ) -> Result<Self, WalError> {
        let failed = |error: io::Error| open_error(dir, error);
        std::fs::create_dir_all(memory::keys_dir(dir)).map_err(failed)?;
        sync_dir(dir).map_err(failed)?;
        dir.parent().map_or(Ok(()), sync_dir).map_err(failed)?;
        let (memory, unreadable) = Memory::load(dir).map_err(failed)?;
        if unreadable > 0 {
            tracing::error!(
                unreadable,
                "remembered batch keys are damaged: a repetition of them is not recognised"
            );
        }
        let Recovered { memory, segments, damage } =
            recovery::recover(dir, options.on_damage, memory, committed)?;
        let memory = Arc::new(Mutex::new(memory));
        let next_segment = segments.last().map_or(committed, |last| last.number.max(committed)) + 1;
        for segment in &segments {
            for offset in &segment.offsets {
                observer.appended(LogPosition { segment: segment.number, offset: *offset });
            }
            observer.sealed(segment.number);
        }
        let (commands, inbox) = mpsc::channel();
        let writer = Writer::new(dir, options, disk, Arc::clone(&memory), observer, next_segment);
        let thread = std::thread::Builder::new()
            .name("lake-log".into())
            .spawn(move || writer.run(&inbox))
            .map_err(failed)?;
        let wal = Self {
            dir: dir.into(),
            compress: options.compress,
            memory,
            commands: Some(commands),
            queue: Arc::new(Semaphore::new(QUEUE_PERMITS as usize)),
            thread: Some(thread),
            old: segments,
            damage,
        };
        for number in wal.old.iter().map(|segment| segment.number).filter(|number| *number <= retired) {
            wal.retire(number)?;
        }
        Ok(wal)
    }

    /// Makes a batch durable. Returns when it is, or when it is known to have been before.
    pub(crate) async fn append(&self, batch: &Batch) -> Result<Appended, WalError> {
        if let Some(at) = self.memory.lock().find(batch) {
            return Ok(Appended::AlreadyHad(at));
        }
        let too_long = WalError::TooLong { limit: body::MAX_BATCH_BYTES };
        let body = body::encode(batch, self.compress).ok_or(too_long)?;
        let permits = writer::permits(&body, QUEUE_PERMITS);
        let permit = Arc::clone(&self.queue).acquire_many_owned(permits).await;
        let permit = permit.map_err(|_| WalError::Poisoned)?;
        let (reply, answer) = oneshot::channel();
        let (fact, weight) = (Fact::of(batch), batch.frame_bytes() as u64);
        self.send(Command::Append(Append { body, weight, fact, reply, _permit: permit }))?;
        answer.await.map_err(|_| WalError::Poisoned)?
    }

    /// Ends the current segment, if it holds anything.
    pub(crate) async fn seal(&self) -> Result<(), WalError> {
        let (done, sealed) = oneshot::channel();
        self.send(Command::Seal(done))?;
        sealed.await.map_err(|_| WalError::Poisoned)
    }

    /// The batches of the segments that were there when the log was opened and are later than `retired`, in order.
    pub(crate) fn replay(
        &self,
        retired: u64,
    ) -> impl Iterator<Item = Result<(LogPosition, Batch), WalError>> + use<> {
        let dir = self.dir.clone();
        let waiting: Vec<_> = self.old.iter().filter(|segment| segment.number > retired).cloned().collect();
        waiting.into_iter().flat_map(move |segment| recovery::read_batches(&dir, &segment))
    }

    /// Deletes a segment whose events are in the table, after saving what must be remembered.
    pub(crate) fn retire(&self, segment: u64) -> Result<(), WalError> {
        let failed = |error: io::Error| open_error(&self.dir, error);
        let path = segment_path(&self.dir, segment);
        // What is gone was saved before it went.
        if !path.exists() {
            return Ok(());
        }
        let saving = self.memory.lock().to_save(segment);
        saving.write(&self.dir).map_err(failed)?;
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
            _ => sync_dir(&self.dir).map_err(failed),
        }
    }

    /// The offset after the last durable line of a file.
    pub(crate) fn checkpoint(&self, source: &SourceId, identity: &str) -> Option<u64> {
        self.memory.lock().checkpoint(source, identity)
    }

    /// How many keys are remembered, and how many were forgotten before their time.
    pub(crate) fn key_counts(&self) -> (usize, u64) {
        self.memory.lock().key_counts()
    }

    /// The losses that opening the log set aside.
    pub(crate) fn damage(&self) -> &[WalError] {
        &self.damage
    }

    /// Bytes of all segment files.
    pub(crate) fn bytes(&self) -> u64 {
        let files = segment_files(&self.dir).unwrap_or_default();
        files.iter().filter_map(|(_, path)| path.metadata().ok()).map(|file| file.len()).sum()
    }

    fn send(&self, command: Command) -> Result<(), WalError> {
        self.commands.as_ref().and_then(|commands| commands.send(command).ok()).ok_or(WalError::Poisoned)
    }
}

impl Drop for Wal {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the writer has been reported by the panic hook; there is nothing to add here.
            let _ = thread.join();
        }
    }
}

fn segment_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:020}.wal"))
}

/// The segment files in the order of their numbers.
fn segment_files(dir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "wal")
            && let Some(number) = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok())
        {
            files.push((number, path));
        }
    }
    files.sort();
    Ok(files)
}

fn open_error(path: &Path, error: io::Error) -> WalError {
    WalError::Open { path: path.into(), source: Arc::new(error) }
}

#[cfg(test)]
mod tests;

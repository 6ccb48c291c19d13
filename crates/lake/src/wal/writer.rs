//! The one thread that writes the log: it gathers what waits, writes it, makes it durable and only then answers.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::disk::{Disk, SegmentFile};
use super::entry::{self, Marker};
use super::memory::{Fact, Memory};
use super::{WalError, WalOptions, segment_path};
use crate::{Appended, LogPosition};

/// A group stops growing here, so that its write does not hold up the next one for long.
const MAX_GROUP_BYTES: usize = 8 << 20;
/// How long the thread sleeps when there is nothing to watch.
const IDLE: Duration = Duration::from_secs(3600);

/// Told of what becomes durable, before the sender is.
pub(crate) trait Observer: Send + Sync {
    /// A batch is durable at `at`.
    fn appended(&self, at: LogPosition);
    /// Nothing more will be written to `segment`.
    fn sealed(&self, segment: u64);
}

pub(crate) type Reply = oneshot::Sender<Result<Appended, WalError>>;

/// What the thread is asked to do.
pub(crate) enum Command {
    Append(Append),
    /// Ends the current segment, if it holds anything, and answers when the observer knows.
    Seal(oneshot::Sender<()>),
}

/// One batch, encoded, that waits to become durable.
pub(crate) struct Append {
    pub body: Vec<u8>,
    /// Bytes of its frames: what the segment's size is counted in, since memory holds them uncompressed.
    pub weight: u64,
    pub fact: Fact,
    pub reply: Reply,
    /// Gives the bytes back to the queue's budget when the answer is out.
    pub _permit: tokio::sync::OwnedSemaphorePermit,
}

/// The segment being written.
struct Current {
    number: u64,
    path: PathBuf,
    file: Box<dyn SegmentFile>,
    marker: Marker,
    /// Bytes written and durable.
    length: u64,
    /// Bytes of the frames in it.
    weight: u64,
    since: Instant,
}

pub(crate) struct Writer {
    dir: PathBuf,
    options: WalOptions,
    disk: Box<dyn Disk>,
    memory: Arc<Mutex<Memory>>,
    observer: Arc<dyn Observer>,
    next_segment: u64,
    current: Option<Current>,
    poisoned: bool,
}

/// How an attempt to write a group ended.
enum Failure {
    /// Nothing of it is in the log; the next group may fare better.
    Group(WalError),
    /// What is on disk is no longer known.
    Log(WalError),
}

impl Writer {
    pub(crate) fn new(
        dir: &Path,
        options: WalOptions,
        disk: Box<dyn Disk>,
        memory: Arc<Mutex<Memory>>,
        observer: Arc<dyn Observer>,
        next_segment: u64,
    ) -> Self {
        let dir = dir.to_path_buf();
        Self { dir, options, disk, memory, observer, next_segment, current: None, poisoned: false }
    }

    /// Serves commands until all senders are gone.
    pub(crate) fn run(mut self, commands: &Receiver<Command>) {
        loop {
            match commands.recv_timeout(self.time_left()) {
                Ok(Command::Append(first)) => self.serve_group(first, commands),
                Ok(Command::Seal(done)) => {
                    self.seal();
                    // The asker may have gone; sealing was all it wanted.
                    let _ = done.send(());
                }
                Err(RecvTimeoutError::Timeout) => self.seal(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// How long the current segment may still live.
    fn time_left(&self) -> Duration {
        self.current
            .as_ref()
            .map_or(IDLE, |current| self.options.segment_age.saturating_sub(current.since.elapsed()))
    }

    fn serve_group(&mut self, first: Append, commands: &Receiver<Command>) {
        let deadline = Instant::now() + self.options.group_window;
        let mut bytes = first.body.len();
        let mut group = vec![first];
        let mut seal = None;
        while bytes < MAX_GROUP_BYTES {
            match commands.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(Command::Append(append)) => {
                    bytes += append.body.len();
                    group.push(append);
                }
                Ok(Command::Seal(done)) => {
                    seal = Some(done);
                    break;
                }
                Err(_) => break,
            }
        }
        self.commit(group);
        if let Some(done) = seal {
            self.seal();
            let _ = done.send(());
        }
    }

    fn commit(&mut self, group: Vec<Append>) {
        if self.poisoned {
            for append in group {
                let _ = append.reply.send(Err(WalError::Poisoned));
            }
            return;
        }
        let mut in_group: Vec<(Fact, LogPosition)> = Vec::new();
        let mut answers = Vec::with_capacity(group.len());
        match self.write(&group, &mut in_group, &mut answers) {
            Ok(()) => {
                for (fact, at) in &in_group {
                    self.memory.lock().note(fact, *at);
                    self.observer.appended(*at);
                }
                for (append, answer) in group.into_iter().zip(answers) {
                    let _ = append.reply.send(Ok(answer));
                }
            }
            Err(failure) => {
                let error = match failure {
                    Failure::Group(error) => error,
                    Failure::Log(error) => {
                        tracing::error!(%error, "the log takes no more batches until a restart");
                        self.poisoned = true;
                        error
                    }
                };
                for append in group {
                    let _ = append.reply.send(Err(error.clone()));
                }
            }
        }
        let full = |current: &Current| {
            current.weight.max(current.length) >= self.options.segment_bytes
                || current.since.elapsed() >= self.options.segment_age
        };
        if self.current.as_ref().is_some_and(full) {
            self.seal();
        }
    }

    /// Writes the group's entries and makes them durable; all of them or, with [`Failure::Group`], none.
    fn write(
        &mut self,
        group: &[Append],
        in_group: &mut Vec<(Fact, LogPosition)>,
        answers: &mut Vec<Appended>,
    ) -> Result<(), Failure> {
        let mut buffer = Vec::new();
        let (number, length, marker) = match &self.current {
            Some(current) => (current.number, current.length, current.marker),
            None => (self.next_segment, entry::SEGMENT_HEADER_BYTES as u64, Marker::random()),
        };
        for append in group {
            // A repetition is answered by the first of its key: from memory, or once this very group is durable.
            if let Fact::Key { hash, .. } = &append.fact {
                let in_this =
                    in_group.iter().find(|(fact, _)| matches!(fact, Fact::Key { hash: h, .. } if h == hash));
                let known = in_this.map(|(_, at)| *at).or_else(|| self.memory.lock().find_hash(*hash));
                if let Some(at) = known {
                    answers.push(Appended::AlreadyHad(at));
                    continue;
                }
            }
            let at = LogPosition { segment: number, offset: length + buffer.len() as u64 };
            buffer.extend_from_slice(&entry::entry_header(marker, &append.body, length));
            buffer.extend_from_slice(&append.body);
            in_group.push((append.fact.clone(), at));
            answers.push(Appended::At(at));
        }
        let weight = group.iter().map(|append| append.weight).sum::<u64>();
        // A group of nothing but repetitions makes no segment.
        if buffer.is_empty() {
            return Ok(());
        }
        if self.current.is_none() {
            self.create(number, marker).map_err(Failure::Group)?;
        }
        self.append_durably(&buffer, weight)
    }

    /// Makes the file of the next segment. Its header becomes durable with the first group.
    fn create(&mut self, number: u64, marker: Marker) -> Result<(), WalError> {
        let path = segment_path(&self.dir, number);
        let failed = |error: io::Error| WalError::Write { path: path.clone(), source: Arc::new(error) };
        let mut file = self.disk.create(&path).map_err(failed)?;
        let header = entry::segment_header(number, marker);
        let made = file.append(&header).and_then(|()| self.disk.sync_dir(&self.dir));
        if let Err(error) = made {
            // Best effort: a file left behind is found unfinished, and removed, when the log is next opened.
            let _ = std::fs::remove_file(&path);
            return Err(failed(error));
        }
        self.next_segment = number + 1;
        self.current = Some(Current {
            number,
            path,
            file,
            marker,
            length: header.len() as u64,
            weight: 0,
            since: Instant::now(),
        });
        Ok(())
    }

    fn append_durably(&mut self, buffer: &[u8], weight: u64) -> Result<(), Failure> {
        let Some(current) = &mut self.current else { return Ok(()) };
        let failed =
            |error: io::Error| WalError::Write { path: current.path.clone(), source: Arc::new(error) };
        if let Err(error) = current.file.append(buffer) {
            // A full disk, most likely. Half an entry must not stand before the next one.
            return Err(match current.file.truncate(current.length) {
                Ok(()) => Failure::Group(failed(error)),
                Err(_) => Failure::Log(failed(error)),
            });
        }
        // After a failed fsync the kernel may have dropped the pages and call the next one a success: nothing written
        // from here on could be trusted, so the log stops.
        current.file.sync().map_err(|error| {
            Failure::Log(WalError::Sync { path: current.path.clone(), source: Arc::new(error) })
        })?;
        current.length += buffer.len() as u64;
        current.weight += weight;
        Ok(())
    }

    /// Ends the current segment if it holds an entry; an empty one is kept for what comes.
    fn seal(&mut self) {
        let holds_entries = |current: &mut Current| current.length > entry::SEGMENT_HEADER_BYTES as u64;
        if let Some(current) = self.current.take_if(holds_entries) {
            self.observer.sealed(current.number);
        } else if let Some(current) = &mut self.current {
            current.since = Instant::now();
        }
    }
}

/// Splits what the queue may hold in permits of this many bytes, so that a large queue fits a semaphore.
pub(crate) const PERMIT_BYTES: usize = 1024;

/// How many permits a body needs.
pub(crate) fn permits(body: &[u8], all: u32) -> u32 {
    u32::try_from(body.len() / PERMIT_BYTES + 1).unwrap_or(u32::MAX).min(all)
}

//! One followed file.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};

use super::identity::{HEAD_BYTES, Identity, Inode};
use super::{Checkpoints, Counters, Delivery, DropReason, ReadFrom, WatchedFolderConfig};
use crate::source::FilePosition;

/// Bytes read at once, and so about what one delivery holds.
const READ_BYTES: usize = 256 << 10;
/// Bytes read of one file in one scan, so that a large file does not keep the others waiting.
const SCAN_BYTES: u64 = 8 << 20;
/// Generations of one identity that are looked for after a restart; each is one truncation of the same file.
const MAX_GENERATIONS: u32 = 100_000;

/// A file and how far it has been read.
#[derive(Debug)]
pub(super) struct Followed {
    pub(super) path: PathBuf,
    /// Whether the last scan found it in the folder.
    pub(super) is_listed: bool,
    /// Scans in a row that found it neither in the folder nor grown.
    pub(super) scans_gone: u32,
    file: File,
    read_from: ReadFrom,
    /// `None` until the first line is whole.
    known: Option<Known>,
    /// What it was before it was truncated.
    before: Option<(Identity, u32)>,
}

/// What is known of a file whose first line is whole.
#[derive(Debug)]
struct Known {
    identity: Identity,
    generation: u32,
    name: String,
    /// Offset after the last line handed on.
    offset: u64,
    /// Bytes after `offset` that hold no line feed: of a line that is not whole yet, or too long.
    unfinished: u64,
}

/// How a scan of a file ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// At its end.
    AtEnd,
    /// There is more.
    More,
    /// Nobody takes what is delivered.
    Stopped,
}

impl Followed {
    pub(super) fn open(path: &Path, inode: Inode, read_from: ReadFrom) -> io::Result<Self> {
        let file = File::open(path)?;
        if Inode::of(&file.metadata()?) != inode {
            // Rotated between listing and opening; the next scan sees which is which.
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Self {
            path: path.to_owned(),
            is_listed: true,
            scans_gone: 0,
            before: None,
            file,
            read_from,
            known: None,
        })
    }

    /// Reads what is new, up to a share.
    pub(super) fn read(
        &mut self,
        config: &WatchedFolderConfig,
        counters: &Counters,
        checkpoints: &dyn Checkpoints,
        deliver: &mut dyn FnMut(Delivery) -> bool,
    ) -> io::Result<Progress> {
        let metadata = self.file.metadata()?;
        let size = metadata.len();
        let Some(mut known) = self.recognise(&metadata, config, checkpoints)? else {
            self.note_growth(false);
            return Ok(Progress::AtEnd);
        };
        let begin = known.offset;
        let mut progress = Progress::More;
        while known.offset - begin < SCAN_BYTES {
            let mut lines = Lines { config, counters, path: &self.path, known: &mut known };
            match lines.next(&self.file, size)? {
                Some(delivery) => {
                    if !deliver(delivery) {
                        progress = Progress::Stopped;
                        break;
                    }
                }
                None => {
                    progress = Progress::AtEnd;
                    break;
                }
            }
        }
        self.note_growth(known.offset > begin);
        self.known = Some(known);
        Ok(progress)
    }

    fn note_growth(&mut self, has_grown: bool) {
        self.scans_gone = if self.is_listed || has_grown { 0 } else { self.scans_gone + 1 };
    }

    /// Hands on a last line that will never get its line feed: nobody writes to the file any more.
    pub(super) fn finish(
        &mut self,
        config: &WatchedFolderConfig,
        counters: &Counters,
        deliver: &mut dyn FnMut(Delivery) -> bool,
    ) {
        let Some(known) = &mut self.known else { return };
        let mut lines = Lines { config, counters, path: &self.path, known };
        if let Ok(Some(delivery)) = lines.rest(&self.file) {
            deliver(delivery);
        }
    }

    /// What is known of the file: by its head, from the checkpoints if it is new to us, anew if it was truncated.
    fn recognise(
        &mut self,
        metadata: &Metadata,
        config: &WatchedFolderConfig,
        checkpoints: &dyn Checkpoints,
    ) -> io::Result<Option<Known>> {
        let size = metadata.len();
        let mut head = vec![0; HEAD_BYTES];
        let len = read_at(&self.file, &mut head, 0)?;
        head.truncate(len);
        if let Some(known) = self.known.take() {
            let same_head = known.identity.is_head_of(&head);
            if same_head && size >= known.offset {
                return Ok(Some(known));
            }
            // Truncated. Whatever is in it now was written after the truncation.
            self.read_from = ReadFrom::Beginning;
            self.before = Some((known.identity, known.generation));
        }
        let Some(identity) = Identity::of(metadata, &head) else { return Ok(None) };
        if let Some((before, generation)) = self.before.take().filter(|(before, _)| *before == identity) {
            return Ok(Some(Known::at(before, generation + 1, 0)));
        }
        let stored = |generation| checkpoints.offset(&config.source, &identity.name(generation));
        let mut generation = 0;
        while generation < MAX_GENERATIONS && stored(generation + 1).is_some() {
            generation += 1;
        }
        let known = match stored(generation) {
            Some(offset) if offset <= size => Known::at(identity, generation, offset),
            Some(_) => Known::at(identity, generation + 1, 0),
            None if self.read_from == ReadFrom::End => {
                let offset = last_line_end(&self.file, size)?;
                Known::at(identity, generation, offset)
            }
            None => Known::at(identity, generation, 0),
        };
        Ok(Some(known))
    }
}

impl Known {
    fn at(identity: Identity, generation: u32, offset: u64) -> Self {
        let name = identity.name(generation);
        Self { identity, generation, name, offset, unfinished: 0 }
    }
}

/// Reads whole lines from where a file has been read to.
struct Lines<'a> {
    config: &'a WatchedFolderConfig,
    counters: &'a Counters,
    path: &'a Path,
    known: &'a mut Known,
}

impl Lines<'_> {
    /// The next run of whole lines before `size`; `None` at the end.
    fn next(&mut self, file: &File, size: u64) -> io::Result<Option<Delivery>> {
        let mut want = READ_BYTES;
        loop {
            let scanned = self.known.offset + self.known.unfinished;
            if scanned >= size {
                return Ok(None);
            }
            if self.known.unfinished > self.config.max_line_bytes as u64 {
                if !self.skip_line(file, size)? {
                    return Ok(None);
                }
                continue;
            }
            let mut bytes = BytesMut::zeroed(want);
            let len = read_at(file, &mut bytes, self.known.offset)?;
            bytes.truncate(len);
            if let Some(end) = memchr::memrchr(b'\n', &bytes) {
                bytes.truncate(end + 1);
                self.known.unfinished = 0;
                match self.deliver(&bytes.freeze()) {
                    Some(delivery) => return Ok(Some(delivery)),
                    None => continue,
                }
            }
            self.known.unfinished = len as u64;
            if len < want {
                return Ok(None);
            }
            // A line longer than what was read: read more of it, up to the longest allowed.
            want = (want * 2).min(self.config.max_line_bytes + 2);
        }
    }

    /// Goes past the line feed of a line that is too long. `false` when it has not been written yet.
    fn skip_line(&mut self, file: &File, size: u64) -> io::Result<bool> {
        let mut buffer = vec![0; READ_BYTES];
        while self.known.offset + self.known.unfinished < size {
            let at = self.known.offset + self.known.unfinished;
            let len = read_at(file, &mut buffer, at)?;
            if len == 0 {
                return Ok(false);
            }
            if let Some(end) = memchr::memchr(b'\n', buffer.get(..len).unwrap_or_default()) {
                self.known.offset = at + end as u64 + 1;
                self.known.unfinished = 0;
                self.counters.add_dropped(DropReason::TooLong, 1);
                return Ok(true);
            }
            self.known.unfinished += len as u64;
        }
        Ok(false)
    }

    /// What stands after the last line feed.
    fn rest(&mut self, file: &File) -> io::Result<Option<Delivery>> {
        if self.known.unfinished == 0 || self.known.unfinished > self.config.max_line_bytes as u64 {
            return Ok(None);
        }
        let mut bytes = BytesMut::zeroed(usize::try_from(self.known.unfinished).unwrap_or(0));
        let len = read_at(file, &mut bytes, self.known.offset)?;
        bytes.truncate(len);
        Ok(self.deliver(&bytes.freeze()))
    }

    /// The lines of `bytes`, which begin at the file's offset. A line that is too long among them ends the run before
    /// it, or is passed over if it is the first.
    fn deliver(&mut self, bytes: &Bytes) -> Option<Delivery> {
        let mut start = self.known.offset;
        let mut frames = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let rest = bytes.get(at..).unwrap_or_default();
            let len = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            let next = (at + len + 1).min(bytes.len());
            if len > self.config.max_line_bytes {
                if !frames.is_empty() {
                    break;
                }
                self.counters.add_dropped(DropReason::TooLong, 1);
                start += (next - at) as u64;
            } else {
                frames.push(bytes.slice(at..at + len));
            }
            at = next;
        }
        self.known.offset += at as u64;
        if frames.is_empty() {
            return None;
        }
        self.counters.add_received(frames.len() as u64, frames.iter().map(Bytes::len).sum::<usize>() as u64);
        Some(Delivery {
            source: self.config.source.clone(),
            frames,
            file: Some(FilePosition {
                identity: self.known.name.clone(),
                path: self.path.display().to_string(),
                start,
                end: self.known.offset,
            }),
        })
    }
}

/// Fills `buffer` from `offset` on, as far as the file goes.
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + filled as u64) {
            Ok(0) => break,
            Ok(len) => filled += len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// The offset after the last line feed before `size`.
fn last_line_end(file: &File, size: u64) -> io::Result<u64> {
    let mut end = size;
    let mut buffer = vec![0; READ_BYTES];
    while end > 0 {
        let start = end.saturating_sub(READ_BYTES as u64);
        let want = usize::try_from(end - start).unwrap_or(READ_BYTES);
        let chunk = buffer.get_mut(..want).unwrap_or_default();
        let len = read_at(file, chunk, start)?;
        if let Some(at) = memchr::memrchr(b'\n', chunk.get(..len).unwrap_or_default()) {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

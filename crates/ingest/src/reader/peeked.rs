//! Readers around readers: one that lets its first bytes be looked at, one that counts.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use super::lines::read_some;
use crate::identify::HEAD_BYTES;

/// A source whose first bytes can be looked at before they are read.
pub(super) struct Peeked<'s> {
    head: Vec<u8>,
    given: usize,
    /// What ended the looking; comes after the head.
    error: Option<io::Error>,
    rest: Box<dyn Read + 's>,
}

impl<'s> Peeked<'s> {
    pub(super) fn new(mut rest: Box<dyn Read + 's>) -> Self {
        let mut head = vec![0; HEAD_BYTES];
        let (read, error) = fill(&mut rest, &mut head);
        head.truncate(read);
        Self { head, given: 0, error, rest }
    }

    /// The first bytes: [`HEAD_BYTES`], or all when there are fewer.
    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    /// The error that the source ends with, when it ends within its first bytes.
    pub(super) fn error(&self) -> Option<&io::Error> {
        self.error.as_ref()
    }
}

impl Read for Peeked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut ready = self.head.get(self.given..).unwrap_or_default();
        if ready.is_empty() {
            return match self.error.take() {
                Some(error) => Err(error),
                None => self.rest.read(buffer),
            };
        }
        let read = ready.read(buffer)?;
        self.given += read;
        Ok(read)
    }
}

/// Counts what is read.
pub(super) struct Counted<R> {
    pub(super) source: R,
    pub(super) count: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.count.set(self.count.get() + read as u64);
        Ok(read)
    }
}

/// Fills a block as far as the source goes; says how far.
pub(super) fn read_block(source: &mut impl Read, block: &mut [u8]) -> io::Result<usize> {
    match fill(source, block) {
        (_, Some(error)) => Err(error),
        (read, None) => Ok(read),
    }
}

fn fill(source: &mut impl Read, block: &mut [u8]) -> (usize, Option<io::Error>) {
    let mut filled = 0;
    while let Some(room) = block.get_mut(filled..).filter(|room| !room.is_empty()) {
        match read_some(source, room) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) => return (filled, Some(error)),
        }
    }
    (filled, None)
}

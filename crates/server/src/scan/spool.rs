//! An append-only store of byte strings that begins in memory and goes on in a temporary file.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

/// What stays in memory. Most scans never leave it.
const MEMORY_BYTES: usize = 64 << 20;

/// Where a byte string stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    start: u64,
    len: usize,
}

/// The store.
#[derive(Debug, Default)]
pub(super) struct Spool {
    /// The bytes from `flushed` on.
    memory: Vec<u8>,
    /// How many bytes are in the file.
    flushed: u64,
    file: Option<File>,
}

impl Spool {
    /// Adds a byte string.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<Span> {
        if self.memory.len() + bytes.len() > MEMORY_BYTES && !self.memory.is_empty() {
            self.flush()?;
        }
        let span = Span { start: self.flushed + self.memory.len() as u64, len: bytes.len() };
        self.memory.extend_from_slice(bytes);
        Ok(span)
    }

    /// Reads a byte string back.
    pub(super) fn read(&self, span: Span) -> io::Result<Vec<u8>> {
        if let Some(start) = span.start.checked_sub(self.flushed) {
            let start = usize::try_from(start).map_err(io::Error::other)?;
            let bytes = self.memory.get(start..start + span.len);
            return bytes.map(<[u8]>::to_vec).ok_or_else(|| io::ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = vec![0; span.len];
        match &self.file {
            Some(file) => file.read_exact_at(&mut bytes, span.start).map(|()| bytes),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile()?),
        };
        file.write_all(&self.memory)?;
        self.flushed += self.memory.len() as u64;
        self.memory.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_back_what_it_took_from_memory_and_file() {
        let mut spool = Spool::default();
        let parts: Vec<Vec<u8>> = (0..5_u8).map(|n| vec![n; MEMORY_BYTES / 2 - usize::from(n)]).collect();
        let spans: Vec<Span> = parts.iter().map(|part| spool.append(part).unwrap()).collect();
        assert!(spool.file.is_some());
        for (part, span) in parts.iter().zip(spans) {
            assert!(spool.read(span).unwrap() == *part);
        }
    }
}

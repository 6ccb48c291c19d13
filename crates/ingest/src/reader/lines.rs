//! Splits a stream into lines, in bounded memory.

use std::io::{self, Read};

/// The lines of a stream.
pub(crate) struct Lines<R> {
    source: R,
    buffer: Vec<u8>,
    /// What of `buffer` is filled and not given out yet.
    start: usize,
    end: usize,
    limit: usize,
    number: u64,
    ended: bool,
}

/// One line of a stream, without its end.
pub(crate) enum Text<'a> {
    Whole(&'a [u8]),
    /// Longer than the limit: skipped.
    TooLong,
}

const BLOCK_BYTES: usize = 64 << 10;

impl<R: Read> Lines<R> {
    /// Lines of at most `limit` bytes.
    pub(crate) fn new(source: R, limit: usize) -> Self {
        Self { source, buffer: Vec::new(), start: 0, end: 0, limit, number: 0, ended: false }
    }

    /// The next line and its number, from 1. After an error nothing more comes; an unfinished line before it is
    /// dropped, for nothing says how it went on.
    pub(crate) fn next(&mut self) -> io::Result<Option<(u64, Text<'_>)>> {
        let mut searched = 0;
        let mut too_long = false;
        loop {
            let ready = self.buffer.get(self.start..self.end).unwrap_or_default();
            let newline = memchr::memchr(b'\n', ready.get(searched..).unwrap_or_default());
            if let Some(at) = newline {
                let length = searched + at;
                let start = self.start;
                self.start += length + 1;
                return Ok(Some(self.give(start, length, too_long || length > self.limit)));
            }
            if self.ended {
                if ready.is_empty() && !too_long {
                    return Ok(None);
                }
                let (start, length) = (self.start, ready.len());
                self.start = self.end;
                return Ok(Some(self.give(start, length, too_long || length > self.limit)));
            }
            searched = ready.len();
            if searched > self.limit {
                too_long = true;
                self.start = self.end;
                searched = 0;
            }
            self.refill()?;
        }
    }

    fn give(&mut self, start: usize, length: usize, too_long: bool) -> (u64, Text<'_>) {
        self.number += 1;
        if too_long {
            return (self.number, Text::TooLong);
        }
        let line = self.buffer.get(start..start + length).unwrap_or_default();
        (self.number, Text::Whole(line.strip_suffix(b"\r").unwrap_or(line)))
    }

    fn refill(&mut self) -> io::Result<()> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.buffer.len() - self.end < BLOCK_BYTES {
            self.buffer.resize((self.end + BLOCK_BYTES).next_multiple_of(BLOCK_BYTES), 0);
        }
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
        let read = read_some(&mut self.source, room)?;
        self.ended = read == 0;
        self.end += read;
        Ok(())
    }
}

/// Like `read`, again when a signal came in between.
pub(crate) fn read_some(source: &mut impl Read, room: &mut [u8]) -> io::Result<usize> {
    loop {
        match source.read(room) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(source: impl Read, limit: usize) -> Vec<(u64, Option<String>)> {
        let mut lines = Lines::new(source, limit);
        let mut all = Vec::new();
        while let Ok(Some((number, text))) = lines.next() {
            all.push((
                number,
                match text {
                    Text::Whole(line) => Some(String::from_utf8_lossy(line).into_owned()),
                    Text::TooLong => None,
                },
            ));
        }
        all
    }

    #[test]
    fn splits_at_line_ends_and_skips_what_is_too_long() {
        let text = format!("a\r\n\n{}\nb{}\nlast", "x".repeat(300_000), "y".repeat(99));
        let all = lines(text.as_bytes(), 100);
        assert_eq!(
            all,
            [
                (1, Some("a".into())),
                (2, Some(String::new())),
                (3, None),
                (4, Some(format!("b{}", "y".repeat(99)))),
                (5, Some("last".into()))
            ]
        );
        assert_eq!(lines(&b"z".repeat(101)[..], 100), [(1, None)]);
    }

    #[test]
    fn memory_is_bounded_by_the_limit_not_the_line() {
        let mut lines = Lines::new(io::repeat(b'x').take(50 << 20), 1 << 20);
        assert!(matches!(lines.next(), Ok(Some((1, Text::TooLong)))));
        assert!(lines.buffer.capacity() < 4 << 20);
    }
}

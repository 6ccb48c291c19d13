//! Cuts a TCP stream into syslog messages: octet counting and line ends, told apart frame by frame.
//!
//! RFC 6587 has two ways, and senders mix them: `57 <13>...` (section 3.4.1) and a line feed or NUL after each message
//! (section 3.4.2). A frame that begins with a number, a space and then `<` or `{` is octet-counted; all else ends at
//! its line end.

use bytes::{Buf, Bytes, BytesMut};

/// Digits of an octet count: enough for 100 MB.
const MAX_COUNT_DIGITS: usize = 8;

/// Finds the frames of one stream.
#[derive(Debug)]
pub struct Framer {
    max_frame_bytes: usize,
    /// Where the search for a line end goes on: bytes before it are known to hold none.
    searched: usize,
    /// What is left to skip of a frame that is too long.
    skip: Skip,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Skip {
    Nothing,
    Bytes(usize),
    ToLineEnd,
}

/// What the buffer began with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Framed {
    /// A frame, without count and line end.
    Frame(Bytes),
    /// A frame longer than the maximum, whose bytes are skipped as they come.
    TooLong,
}

impl Framer {
    /// For frames of at most so many bytes.
    #[must_use]
    pub fn new(max_frame_bytes: usize) -> Self {
        Self { max_frame_bytes, searched: 0, skip: Skip::Nothing }
    }

    /// Takes the next frame off the front of `buffer`; `None` when more bytes are needed. Empty lines are no frames.
    pub fn next(&mut self, buffer: &mut BytesMut) -> Option<Framed> {
        loop {
            self.skip(buffer);
            if buffer.is_empty() || self.skip != Skip::Nothing {
                return None;
            }
            match octet_count(buffer) {
                Count::Counted { digits, count } => return self.counted(buffer, digits, count),
                Count::Unclear => return None,
                Count::None => {}
            }
            match self.line(buffer)? {
                Framed::Frame(frame) if frame.is_empty() => {}
                framed => return Some(framed),
            }
        }
    }

    /// What is left when the stream has ended: a last line without its end. `Err` holds the bytes of an octet-counted
    /// frame that was cut off.
    ///
    /// # Errors
    /// The incomplete frame.
    pub fn finish(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, Bytes> {
        self.skip(buffer);
        let rest = buffer.split().freeze();
        self.searched = 0;
        if self.skip != Skip::Nothing || rest.is_empty() {
            return Ok(None);
        }
        match octet_count(&rest) {
            Count::Counted { .. } => Err(rest),
            _ => Ok(Some(trim_end(rest))),
        }
    }

    fn counted(&mut self, buffer: &mut BytesMut, digits: usize, count: usize) -> Option<Framed> {
        if count > self.max_frame_bytes {
            buffer.advance(digits + 1);
            self.skip = Skip::Bytes(count);
            self.skip(buffer);
            return Some(Framed::TooLong);
        }
        if buffer.len() < digits + 1 + count {
            return None;
        }
        buffer.advance(digits + 1);
        Some(Framed::Frame(trim_end(buffer.split_to(count).freeze())))
    }

    fn line(&mut self, buffer: &mut BytesMut) -> Option<Framed> {
        let unsearched = buffer.get(self.searched..).unwrap_or_default();
        let Some(at) = memchr::memchr2(b'\n', 0, unsearched).map(|at| at + self.searched) else {
            self.searched = buffer.len();
            if buffer.len() <= self.max_frame_bytes {
                return None;
            }
            buffer.clear();
            self.searched = 0;
            self.skip = Skip::ToLineEnd;
            return Some(Framed::TooLong);
        };
        self.searched = 0;
        let line = buffer.split_to(at).freeze();
        buffer.advance(1);
        if line.len() > self.max_frame_bytes {
            Some(Framed::TooLong)
        } else {
            Some(Framed::Frame(trim_end(line)))
        }
    }

    fn skip(&mut self, buffer: &mut BytesMut) {
        let skipped = match self.skip {
            Skip::Nothing => return,
            Skip::Bytes(left) => {
                let skipped = left.min(buffer.len());
                self.skip = if skipped == left { Skip::Nothing } else { Skip::Bytes(left - skipped) };
                skipped
            }
            Skip::ToLineEnd => match memchr::memchr2(b'\n', 0, buffer) {
                Some(at) => {
                    self.skip = Skip::Nothing;
                    at + 1
                }
                None => buffer.len(),
            },
        };
        buffer.advance(skipped);
    }
}

enum Count {
    None,
    /// More bytes must come before it can be told.
    Unclear,
    Counted {
        digits: usize,
        count: usize,
    },
}

fn octet_count(buffer: &[u8]) -> Count {
    let digits = buffer.iter().take(MAX_COUNT_DIGITS + 1).take_while(|b| b.is_ascii_digit()).count();
    if digits == 0 || digits > MAX_COUNT_DIGITS || buffer.first() == Some(&b'0') {
        return Count::None;
    }
    match (buffer.get(digits), buffer.get(digits + 1)) {
        (None, _) | (Some(b' '), None) => Count::Unclear,
        (Some(b' '), Some(b'<' | b'{')) => {
            let count =
                buffer.iter().take(digits).fold(0, |count, digit| count * 10 + usize::from(digit - b'0'));
            Count::Counted { digits, count }
        }
        _ => Count::None,
    }
}

/// Without the line end that some senders count in.
fn trim_end(mut frame: Bytes) -> Bytes {
    let kept = frame.iter().rposition(|b| !matches!(b, b'\n' | b'\r' | 0)).map_or(0, |at| at + 1);
    frame.truncate(kept);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a stream gives when it comes in pieces cut at `cuts`.
    fn frames(stream: &[u8], cuts: &[usize], max: usize) -> Vec<String> {
        let mut framer = Framer::new(max);
        let mut buffer = BytesMut::new();
        let mut got = Vec::new();
        let mut at = 0;
        for end in cuts.iter().copied().filter(|cut| *cut < stream.len()).chain([stream.len()]) {
            if end < at {
                continue;
            }
            buffer.extend_from_slice(&stream[at..end]);
            at = end;
            while let Some(framed) = framer.next(&mut buffer) {
                got.push(match framed {
                    Framed::Frame(frame) => String::from_utf8_lossy(&frame).into_owned(),
                    Framed::TooLong => "too long".into(),
                });
            }
            assert!(buffer.len() <= max + MAX_COUNT_DIGITS + 1, "the buffer is bounded");
        }
        match framer.finish(&mut buffer) {
            Ok(rest) => got.extend(rest.map(|rest| String::from_utf8_lossy(&rest).into_owned())),
            Err(_) => got.push("truncated".into()),
        }
        got
    }

    #[test]
    fn both_framings_mix_in_one_stream() {
        let stream = b"5 <1>a\n<2>b c\r\n\n\n6 <3>d\ne2026-11-22 08:00:00 x y\n22 Nov z\n33 <4>";
        assert_eq!(
            frames(stream, &[], 64),
            ["<1>a", "<2>b c", "<3>d\ne", "2026-11-22 08:00:00 x y", "22 Nov z", "truncated"]
        );
    }

    #[test]
    fn long_frames_are_skipped_and_the_next_is_whole() {
        let stream = b"20 <1>aaaaaaaaaaaaaaaaa5 <2>b\nccccccccccccccccccccccccc\n<3>d";
        assert_eq!(frames(stream, &[], 8), ["too long", "<2>b", "too long", "<3>d"]);
    }

    proptest! {
        #[test]
        fn where_the_stream_is_cut_changes_nothing(
            parts in prop::collection::vec("([1-9][0-9]? )?[<{]?[a-z \\n]{0,12}\\n?", 0..8),
            mut cuts in prop::collection::vec(0_usize..120, 0..12),
        ) {
            cuts.sort_unstable();
            let stream = parts.concat();
            let whole = frames(stream.as_bytes(), &[], 10);
            prop_assert_eq!(frames(stream.as_bytes(), &cuts, 10), whole);
        }
    }
}

//! What goes into the log and what comes back out of it: batches of frames and the events decoded from them.

use bytes::Bytes;
use wanglou_model::{Event, EventUid, Format, Place, SourceId, Timestamp};

/// A place in the write-ahead log: which segment, and the byte at which the entry begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogPosition {
    /// Number of the segment; segments are numbered from 1 and no number is used twice.
    pub segment: u64,
    /// Offset of the entry in the segment's file, in bytes.
    pub offset: u64,
}

/// What the log answers to a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is durable, here.
    At(LogPosition),
    /// A batch with the same source and key was already durable, there; nothing was written.
    AlreadyHad(LogPosition),
}

/// Where a batch came from, which decides how its events are named and how a repetition is recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The sender named the batch (`Idempotency-Key`); the name is remembered for
    /// [`KEY_MEMORY`](crate::KEY_MEMORY).
    Keyed {
        /// The sender's key, unique within its source.
        key: String,
    },
    /// Lines of a watched file. The checkpoint moves to `end` in the same log entry that holds the lines.
    File {
        /// What the file is, whatever it is called now.
        identity: String,
        /// What it was called when it was read.
        path: String,
        /// Offset of the first line.
        start: u64,
        /// Offset after the last line.
        end: u64,
    },
    /// Nothing but its arrival tells it from any other (syslog): it is named by its place in the log.
    Arrival,
}

/// Frames that arrived together and are acknowledged together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The configured source they came through.
    pub source: SourceId,
    /// When they reached us. The lake keeps no clock: expiry of keys is counted in arrivals.
    pub arrival: Timestamp,
    /// Where they came from.
    pub origin: Origin,
    /// The frames as received: lines without their terminators, datagrams.
    pub frames: Vec<Bytes>,
}

impl Batch {
    /// The id of event `index` of frame `frame` of this batch, which stands in the log `at`.
    ///
    /// A keyed batch or a file's line gets the same ids wherever in the log it ends up.
    #[must_use]
    pub fn event_uid(&self, at: LogPosition, frame: usize, index: usize) -> EventUid {
        let position = match &self.origin {
            Origin::Keyed { key } => format!("key:{key}:{frame}:{index}"),
            Origin::File { identity, start, end, .. } => {
                let offset = self.line_offset(*start, *end, frame);
                format!("file:{identity}:{offset}:{index}")
            }
            Origin::Arrival => format!("log:{}:{}:{frame}:{index}", at.segment, at.offset),
        };
        EventUid::at(&self.source, position.as_bytes())
    }

    /// Bytes of all frames together.
    #[must_use]
    pub fn frame_bytes(&self) -> usize {
        self.frames.iter().map(Bytes::len).sum()
    }

    /// Where line `frame` began in its file: exact where every line ends in LF or every line in CRLF, distinct always.
    fn line_offset(&self, start: u64, end: u64, frame: usize) -> u64 {
        let lines = self.frames.len() as u64;
        let terminators = end.saturating_sub(start).saturating_sub(self.frame_bytes() as u64);
        let terminator = if lines > 0 && terminators == lines * 2 { 2 } else { 1 };
        self.frames.iter().take(frame).map(|line| line.len() as u64 + terminator).sum::<u64>() + start
    }
}

/// One decoded event together with what the lake keeps beside it.
#[derive(Clone, Debug)]
pub struct StoredEvent {
    /// The OCSF view.
    pub event: Event,
    /// Which decoder read the record.
    pub format: Format,
    /// The record's bytes; the record can be derived from them again.
    pub raw: Bytes,
    /// Where the record stood, when it came from a file.
    pub place: Option<Place>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file_batch(start: u64, end: u64, lines: &[&str]) -> Batch {
        Batch {
            source: SourceId::new("file:web"),
            arrival: Timestamp::from_secs(1),
            origin: Origin::File { identity: "8:1".into(), path: "/var/log/a".into(), start, end },
            frames: lines.iter().map(|line| Bytes::copy_from_slice(line.as_bytes())).collect(),
        }
    }

    #[test]
    fn a_line_has_the_same_id_in_whatever_batch_it_is_read() {
        let at = LogPosition { segment: 1, offset: 28 };
        let elsewhere = LogPosition { segment: 9, offset: 500 };
        for (end, second) in [(8, 4), (10, 5)] {
            let whole = file_batch(0, end, &["abc", "def"]);
            let tail = file_batch(second, end, &["def"]);
            assert_eq!(whole.event_uid(at, 1, 0), tail.event_uid(elsewhere, 0, 0));
            assert_ne!(whole.event_uid(at, 0, 0), whole.event_uid(at, 1, 0));
            assert_ne!(whole.event_uid(at, 0, 0), whole.event_uid(at, 0, 1));
        }
    }

    #[test]
    fn a_key_names_its_events_wherever_they_are_logged_and_an_arrival_does_not() {
        let (a, b) = (LogPosition { segment: 1, offset: 28 }, LogPosition { segment: 2, offset: 28 });
        let mut batch = file_batch(0, 4, &["abc"]);
        batch.origin = Origin::Keyed { key: "k".into() };
        assert_eq!(batch.event_uid(a, 0, 0), batch.event_uid(b, 0, 0));
        batch.origin = Origin::Arrival;
        assert_ne!(batch.event_uid(a, 0, 0), batch.event_uid(b, 0, 0));
    }
}

//! Decoders: bytes in, records out. One file a format, each pure and fuzzed.
//!
//! A format whose records are one line has `recognises(line)` (cheap, run on lines of unknown kind) and
//! `decode(line, fields)`. One whose records span lines, or whose lines need what came before them, has a struct that
//! implements [`LineDecoder`]. Text arrives as UTF-8 ([`crate::text`] transcodes). None of them names the product: the
//! [`Catalog`](crate::Catalog) does that from format and fields. What is JSON on the wire (Suricata EVE, CloudTrail,
//! Kubernetes audit) needs no decoder beyond [`json`]: [`crate::identify`] tells it by its keys.

pub mod access_log;
pub mod auditd;
pub mod device;
pub mod evtx;
pub mod flow;
pub mod json;
pub mod modsecurity;
pub mod syslog;
pub mod windows_json;
pub mod zeek;
pub mod zeek_tsv;

use bytes::Bytes;
use wanglou_model::Record;

/// Why bytes gave no record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes are in no format we read.
    #[error("in no known log format: `{start}`")]
    Unrecognised {
        /// How they begin.
        start: String,
    },
    /// The format is known, this piece of it is malformed.
    #[error("malformed {format}: {reason}")]
    Malformed {
        /// The format as people call it.
        format: &'static str,
        /// What is wrong, with a position if there is one.
        reason: String,
    },
    /// A limit of [`ReadLimits`](crate::ReadLimits) was exceeded.
    #[error("{what} exceeds the limit of {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The limit, in the unit of what it bounds.
        limit: u64,
    },
}

impl DecodeError {
    /// For bytes that no decoder knows.
    #[must_use]
    pub fn unrecognised(text: &str) -> Self {
        Self::Unrecognised { start: excerpt(text) }
    }

    /// For a malformed piece of a known format.
    #[must_use]
    pub fn malformed(format: &'static str, reason: impl Into<String>) -> Self {
        Self::Malformed { format, reason: reason.into() }
    }

    /// The kind of reason, for counting.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Unrecognised { .. } => "unrecognised",
            Self::Malformed { .. } => "malformed",
            Self::TooLarge { .. } => "too_large",
        }
    }
}

/// The first characters of a text for a message, control characters shown as spaces.
fn excerpt(text: &str) -> String {
    const SHOWN: usize = 48;
    let mut shown: String = text.chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

/// One line of a text source, without its line end.
#[derive(Clone, Debug)]
pub struct Line<'a> {
    /// Its number, from 1.
    pub number: u64,
    /// Its text.
    pub text: &'a str,
    /// The bytes it was in the source (another encoding than UTF-8, perhaps).
    pub raw: &'a Bytes,
}

/// Takes what a [`LineDecoder`] makes of its lines.
pub trait DecodeSink {
    /// A whole record, whose first line is `number`. The record is the decoder's, to be reused; take its content with
    /// `std::mem` if it must live on.
    fn record(&mut self, number: u64, record: &mut Record);
    /// The lines from `number` on that are no record.
    fn rejected(&mut self, number: u64, error: DecodeError);
    /// Line `number` is part of what began at line `first`, which is given out or rejected later. A line that is
    /// understood and gives no record, such as a header, is part of itself. With this every line is accounted for.
    fn belongs(&mut self, _number: u64, _first: u64) {}
}

/// A decoder that is fed line by line.
pub trait LineDecoder {
    /// Takes the next line; records that it completes go to `out`.
    fn line(&mut self, line: &Line<'_>, out: &mut dyn DecodeSink);
    /// Says that no more lines come; what is pending goes to `out`.
    fn finish(&mut self, out: &mut dyn DecodeSink);
    /// Whether `text` belongs to what came before it though it does not show it: within a transaction, below a header.
    fn continues(&self, _text: &str) -> bool {
        false
    }
}

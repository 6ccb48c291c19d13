//! Linux audit records, those of one event joined by their serial number.

use super::{DecodeError, DecodeSink, Line, LineDecoder};

/// Whether a line looks like one of these.
#[must_use]
pub fn recognises(_line: &str) -> bool {
    false
}

/// Joins the records of one audit event.
#[derive(Debug)]
pub struct Joiner {
    record_bytes: usize,
}

impl Joiner {
    /// A fresh one, whose records are at most so many bytes.
    #[must_use]
    pub fn new(record_bytes: usize) -> Self {
        Self { record_bytes }
    }
}

impl LineDecoder for Joiner {
    fn line(&mut self, line: &Line<'_>, out: &mut dyn DecodeSink) {
        if line.text.len() <= self.record_bytes {
            out.rejected(line.number, DecodeError::unrecognised(line.text));
        }
    }

    fn finish(&mut self, _out: &mut dyn DecodeSink) {}
}

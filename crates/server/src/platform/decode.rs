//! Decodes the frames of a batch: at the door for HTTP, so that the sender is told which lines cannot be read, otherwise
//! in the pipeline. The same frames give the same records both times.

use bytes::Bytes;
use wanglou_ingest::{Accounted, FrameDecoder, RejectedFrame, is_blank};
use wanglou_lake::Origin;

/// Frames longer than this are refused. The longest real records (Windows script blocks, audit of large objects) stay
/// well below.
const MAX_FRAME_BYTES: usize = 1024 * 1024;

/// Decodes frames that arrived together. Blank ones are nothing.
///
/// Lines of a file or of a request followed each other, so records that span lines are joined. What arrived at a socket
/// is from any number of senders: there each frame stands alone, or one sender could swallow another's lines by sending
/// the beginning of such a record.
pub(crate) fn decode(decoder: &mut FrameDecoder, origin: &Origin, frames: &[Bytes]) -> Accounted {
    let mut whole = Accounted::default();
    whole.records.reserve(frames.len());
    let sound: Vec<Bytes> = frames
        .iter()
        .map(|frame| if frame.len() > MAX_FRAME_BYTES { Bytes::new() } else { frame.clone() })
        .collect();
    let together = match origin {
        Origin::Keyed { .. } | Origin::File { .. } => sound.len().max(1),
        Origin::Arrival => 1,
    };
    for (chunk, lines) in sound.chunks(together).enumerate() {
        let first = chunk * together;
        let part = decoder.account(lines);
        whole.headers += part.headers;
        whole.records.extend(part.records.into_iter().map(|mut record| {
            record.frame += first;
            record
        }));
        whole.rejected.extend(part.rejected.into_iter().map(|mut rejected| {
            rejected.frame += first;
            rejected
        }));
    }
    for (frame, bytes) in frames.iter().enumerate().filter(|(_, frame)| frame.len() > MAX_FRAME_BYTES) {
        let reason = format!("the line has {} bytes; at most {MAX_FRAME_BYTES} are read", bytes.len());
        whole.rejected.push(RejectedFrame { frame, kind: "too_large", reason });
    }
    whole.rejected.sort_by_key(|rejected| rejected.frame);
    whole
}

/// Frames that count: a followed file hands on its blank lines too, so that offsets add up.
pub(crate) fn line_count(frames: &[Bytes]) -> u64 {
    frames.iter().filter(|frame| !is_blank(frame)).count() as u64
}

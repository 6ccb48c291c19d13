//! Decodes the frames of a batch: at the door for HTTP, so that the sender is told which lines cannot be read, otherwise
//! in the pipeline. The same frames give the same records both times.

use bytes::Bytes;
use wanglou_ingest::FrameDecoder;
use wanglou_lake::Origin;
use wanglou_model::Record;

/// Frames longer than this are refused. The longest real records (Windows script blocks, audit of large objects) stay
/// well below.
const MAX_FRAME_BYTES: usize = 1024 * 1024;

/// What the frames of a batch hold.
#[derive(Debug, Default)]
pub(crate) struct Decoded {
    /// Index of the record's first frame, and the record; in order.
    pub records: Vec<(usize, Record)>,
    /// Index of the frame, and why it cannot be read; in order.
    pub rejected: Vec<(usize, String)>,
}

/// Decodes frames that arrived together. Blank ones are nothing.
///
/// Lines of a file or of a request followed each other, so records that span lines are joined. What arrived at a socket
/// is from any number of senders: there each frame stands alone, or one sender could swallow another's lines by sending
/// the beginning of such a record.
pub(crate) fn decode(decoder: &mut FrameDecoder, origin: &Origin, frames: &[Bytes]) -> Decoded {
    let mut decoded = Decoded { records: Vec::with_capacity(frames.len()), rejected: Vec::new() };
    let Decoded { records, rejected } = &mut decoded;
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
        decoder.decode_lines(
            lines,
            &mut |line, record| records.push((first + line, record)),
            &mut |line, error| {
                if lines.get(line).is_some_and(|line| !is_blank(line)) {
                    rejected.push((first + line, error.to_string()));
                }
            },
        );
    }
    for (index, frame) in frames.iter().enumerate().filter(|(_, frame)| frame.len() > MAX_FRAME_BYTES) {
        rejected
            .push((index, format!("the line has {} bytes; at most {MAX_FRAME_BYTES} are read", frame.len())));
    }
    rejected.sort_by_key(|(frame, _)| *frame);
    decoded
}

/// Frames that count: a followed file hands on its blank lines too, so that offsets add up.
pub(crate) fn line_count(frames: &[Bytes]) -> u64 {
    frames.iter().filter(|frame| !is_blank(frame)).count() as u64
}

/// Whether there is nothing in a frame.
pub(crate) fn is_blank(frame: &[u8]) -> bool {
    frame.trim_ascii().is_empty()
}

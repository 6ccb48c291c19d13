//! A batch as bytes: the body of a log entry, format version 1.
//!
//! ```text
//! body     = 0x00 content | 0x01 length(u32 LE) zstd(content)
//! content  = source arrival(i64 LE, ns) origin count(varint) length(varint)* bytes
//! origin   = 0x00 | 0x01 key | 0x02 identity path start(varint) end(varint)
//! source, key, identity, path = length(varint) UTF-8
//! ```
//! Integers are LEB128 varints unless said otherwise.

use bytes::{Buf, Bytes};
use wanglou_model::{SourceId, Timestamp};

use crate::{Batch, Origin};

/// A batch whose encoding is longer is refused; it bounds what one entry can make a reader allocate.
pub(crate) const MAX_BATCH_BYTES: usize = 64 << 20;
/// Below this size compression gains less than it costs.
const MIN_COMPRESSED_BYTES: usize = 1024;
/// The fastest level: the log lives for minutes.
const COMPRESSION_LEVEL: i32 = 1;

const PLAIN: u8 = 0;
const ZSTD: u8 = 1;
const ARRIVAL: u8 = 0;
const KEYED: u8 = 1;
const FILE: u8 = 2;

/// Why bytes are no batch.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    /// The bytes end too early.
    #[error("the batch ends in the middle of a value")]
    Short,
    /// A value nobody writes.
    #[error("the batch holds an impossible value for its {0}")]
    Impossible(&'static str),
    /// The compressed content cannot be read.
    #[error("the batch cannot be decompressed")]
    Compression,
}

/// The batch as an entry's body; `None` when it is longer than [`MAX_BATCH_BYTES`].
pub(crate) fn encode(batch: &Batch, compress: bool) -> Option<Vec<u8>> {
    let overhead = 64 + batch.frames.len() * 4;
    let mut body = Vec::with_capacity(batch.frame_bytes().saturating_add(overhead).min(MAX_BATCH_BYTES));
    body.push(PLAIN);
    put_text(&mut body, batch.source.as_str());
    body.extend_from_slice(&batch.arrival.nanos().to_le_bytes());
    match &batch.origin {
        Origin::Arrival => body.push(ARRIVAL),
        Origin::Keyed { key } => {
            body.push(KEYED);
            put_text(&mut body, key);
        }
        Origin::File { identity, path, start, end } => {
            body.push(FILE);
            put_text(&mut body, identity);
            put_text(&mut body, path);
            put_varint(&mut body, *start);
            put_varint(&mut body, *end);
        }
    }
    put_varint(&mut body, batch.frames.len() as u64);
    for frame in &batch.frames {
        put_varint(&mut body, frame.len() as u64);
    }
    for frame in &batch.frames {
        body.extend_from_slice(frame);
        if body.len() > MAX_BATCH_BYTES {
            return None;
        }
    }
    if compress && body.len() >= MIN_COMPRESSED_BYTES {
        return Some(compressed(body));
    }
    Some(body)
}

/// The compressed form of a plain body, or the body itself where that is shorter.
fn compressed(body: Vec<u8>) -> Vec<u8> {
    let content = body.get(1..).unwrap_or_default();
    let (Ok(packed), Ok(length)) =
        (zstd::bulk::compress(content, COMPRESSION_LEVEL), u32::try_from(content.len()))
    else {
        return body;
    };
    if packed.len() + 4 >= content.len() {
        return body;
    }
    let mut short = Vec::with_capacity(packed.len() + 5);
    short.push(ZSTD);
    short.extend_from_slice(&length.to_le_bytes());
    short.extend_from_slice(&packed);
    short
}

/// The batch that `body` holds. The frames share its memory.
pub(crate) fn decode(mut body: Bytes) -> Result<Batch, BodyError> {
    let mut content = match body.try_get_u8().map_err(|_| BodyError::Short)? {
        PLAIN => body,
        ZSTD => {
            let length = body.try_get_u32_le().map_err(|_| BodyError::Short)? as usize;
            if length > MAX_BATCH_BYTES {
                return Err(BodyError::Impossible("length"));
            }
            let content = zstd::bulk::decompress(&body, length).map_err(|_| BodyError::Compression)?;
            if content.len() != length {
                return Err(BodyError::Compression);
            }
            content.into()
        }
        _ => return Err(BodyError::Impossible("compression")),
    };
    let source = SourceId::new(&take_text(&mut content, "source")?);
    let arrival = Timestamp::from_nanos(content.try_get_i64_le().map_err(|_| BodyError::Short)?);
    let origin = match content.try_get_u8().map_err(|_| BodyError::Short)? {
        ARRIVAL => Origin::Arrival,
        KEYED => Origin::Keyed { key: take_text(&mut content, "key")? },
        FILE => Origin::File {
            identity: take_text(&mut content, "file identity")?,
            path: take_text(&mut content, "file path")?,
            start: take_varint(&mut content)?,
            end: take_varint(&mut content)?,
        },
        _ => return Err(BodyError::Impossible("origin")),
    };
    let count = take_length(&mut content)?;
    // Each frame has at least its length byte, so a count beyond the bytes left is a lie.
    if count > content.len() {
        return Err(BodyError::Impossible("frame count"));
    }
    let lengths = (0..count).map(|_| take_length(&mut content)).collect::<Result<Vec<_>, _>>()?;
    let mut frames = Vec::with_capacity(count);
    for length in lengths {
        frames.push(take_bytes(&mut content, length)?);
    }
    if content.has_remaining() {
        return Err(BodyError::Impossible("end"));
    }
    Ok(Batch { source, arrival, origin, frames })
}

fn put_text(body: &mut Vec<u8>, text: &str) {
    put_varint(body, text.len() as u64);
    body.extend_from_slice(text.as_bytes());
}

fn put_varint(body: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        body.push((number & 0x7F) as u8 | 0x80);
        number >>= 7;
    }
    body.push(number as u8);
}

fn take_text(content: &mut Bytes, what: &'static str) -> Result<String, BodyError> {
    let length = take_length(content)?;
    let bytes = take_bytes(content, length)?;
    String::from_utf8(bytes.into()).map_err(|_| BodyError::Impossible(what))
}

fn take_bytes(content: &mut Bytes, length: usize) -> Result<Bytes, BodyError> {
    if length > content.len() {
        return Err(BodyError::Short);
    }
    Ok(content.split_to(length))
}

fn take_length(content: &mut Bytes) -> Result<usize, BodyError> {
    usize::try_from(take_varint(content)?).map_err(|_| BodyError::Impossible("length"))
}

fn take_varint(content: &mut Bytes) -> Result<u64, BodyError> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = content.try_get_u8().map_err(|_| BodyError::Short)?;
        let bits = u64::from(byte & 0x7F);
        if shift == 63 && bits > 1 {
            break;
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(BodyError::Impossible("number"))
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Any batch a source could hand over.
    pub(crate) fn any_batch() -> impl Strategy<Value = Batch> {
        let origin = prop_oneof![
            Just(Origin::Arrival),
            ".{0,40}".prop_map(|key| Origin::Keyed { key }),
            (".{0,20}", ".{0,40}", any::<u64>(), any::<u64>())
                .prop_map(|(identity, path, start, end)| Origin::File { identity, path, start, end }),
        ];
        let frames = prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..40);
        ("[a-z:]{0,20}", any::<i64>(), origin, frames).prop_map(|(source, arrival, origin, frames)| Batch {
            source: SourceId::new(&source),
            arrival: Timestamp::from_nanos(arrival),
            origin,
            frames: frames.into_iter().map(Bytes::from).collect(),
        })
    }

    proptest! {
        #[test]
        fn a_batch_comes_back_as_it_went_in(batch in any_batch(), compress: bool) {
            let body = encode(&batch, compress).unwrap();
            prop_assert_eq!(decode(body.into()).unwrap(), batch);
        }

        #[test]
        fn any_bytes_are_a_batch_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(Bytes::from(bytes));
        }

        #[test]
        fn a_body_cut_short_is_an_error(batch in any_batch(), compress: bool, cut in any::<prop::sample::Index>()) {
            let mut body = encode(&batch, compress).unwrap();
            body.truncate(cut.index(body.len()));
            prop_assert!(decode(body.into()).is_err());
        }
    }

    #[test]
    fn repetitive_batches_are_compressed_and_a_lying_length_is_refused() {
        let batch = Batch {
            source: SourceId::new("s"),
            arrival: Timestamp::from_secs(0),
            origin: Origin::Arrival,
            frames: vec![Bytes::from(vec![b'a'; 100_000])],
        };
        let mut body = encode(&batch, true).unwrap();
        assert!(body.len() < 1000);
        body[1..5].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(decode(body.into()), Err(BodyError::Impossible("length")));
    }
}

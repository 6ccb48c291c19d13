//! The frame around a log entry and the header of a segment file, format version 1.
//!
//! ```text
//! segment = header entry*
//! header  = "WANGLOUW" version(u32) segment(u64) marker(8) crc32(u32 of what stands before)   all LE
//! entry   = marker(8) length(u32) synced(u64) body_crc32(u32) crc32(u32 of what stands before) body
//! ```
//! Two fields deserve a word. The *marker* is random for each segment, so a reader can find entries behind damaged
//! bytes, and no log line that someone sends can pass for an entry. *synced* is how many bytes of the segment were
//! already on stable storage when this entry was written: if bytes below that mark are bad, they have rotted; if bad
//! bytes are above every mark, they were never acknowledged and are the torn tail of a crash.

/// The version this code writes; older ones stay readable for ever.
const VERSION: u32 = 1;
const MAGIC: &[u8; 8] = b"WANGLOUW";
/// Bytes of a segment's header.
pub(crate) const SEGMENT_HEADER_BYTES: usize = 32;
/// Bytes before an entry's body.
pub(crate) const ENTRY_HEADER_BYTES: usize = 28;

/// What a segment's entries begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marker(pub [u8; 8]);

impl Marker {
    /// A marker nobody outside can guess: the standard library's hash seed is drawn from the system's randomness.
    pub(crate) fn random() -> Self {
        use std::hash::{BuildHasher, Hasher};
        Self(std::hash::RandomState::new().build_hasher().finish().to_le_bytes())
    }
}

/// The header of a segment file.
pub(crate) fn segment_header(segment: u64, marker: Marker) -> Vec<u8> {
    let mut header = Vec::with_capacity(SEGMENT_HEADER_BYTES);
    header.extend_from_slice(MAGIC);
    header.extend_from_slice(&VERSION.to_le_bytes());
    header.extend_from_slice(&segment.to_le_bytes());
    header.extend_from_slice(&marker.0);
    header.extend_from_slice(&crc32fast::hash(&header).to_le_bytes());
    header
}

/// Why a file's beginning is no segment header.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HeaderError {
    /// Shorter than a header, or nothing but zeros: the file was being created when the machine stopped.
    Unfinished,
    /// Something else.
    Damaged,
    /// Written by a later release.
    Version(u32),
}

/// Number and marker of the segment that begins with these bytes.
pub(crate) fn parse_segment_header(bytes: &[u8]) -> Result<(u64, Marker), HeaderError> {
    let Some((header, _)) = bytes.split_first_chunk::<SEGMENT_HEADER_BYTES>() else {
        return Err(HeaderError::Unfinished);
    };
    if header.iter().all(|byte| *byte == 0) {
        return Err(HeaderError::Unfinished);
    }
    let mut fields = Fields(header);
    let (magic, version) = (fields.take::<8>(), u32::from_le_bytes(fields.take()));
    let (segment, marker) = (u64::from_le_bytes(fields.take()), Marker(fields.take()));
    let crc = u32::from_le_bytes(fields.take());
    if &magic != MAGIC || crc != crc_before(header) {
        return Err(HeaderError::Damaged);
    }
    if version != VERSION {
        return Err(HeaderError::Version(version));
    }
    Ok((segment, marker))
}

/// The header of an entry with this body, when `synced` bytes of its segment are on stable storage.
pub(crate) fn entry_header(marker: Marker, body: &[u8], synced: u64) -> [u8; ENTRY_HEADER_BYTES] {
    let mut header = Vec::with_capacity(ENTRY_HEADER_BYTES);
    header.extend_from_slice(&marker.0);
    header.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
    header.extend_from_slice(&synced.to_le_bytes());
    header.extend_from_slice(&crc32fast::hash(body).to_le_bytes());
    header.extend_from_slice(&crc32fast::hash(&header).to_le_bytes());
    header.try_into().unwrap_or([0; ENTRY_HEADER_BYTES])
}

/// One intact entry in a segment's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Where it begins.
    pub offset: usize,
    /// Where its body stands.
    pub body: std::ops::Range<usize>,
    /// How far the segment was durable when it was written.
    pub synced: u64,
}

/// The intact entry that begins at `offset`, if there is one.
pub(crate) fn parse_entry(segment: &[u8], offset: usize, marker: Marker) -> Option<Entry> {
    let header = segment.get(offset..)?.first_chunk::<ENTRY_HEADER_BYTES>()?;
    let mut fields = Fields(header);
    let found = fields.take::<8>();
    let length = u32::from_le_bytes(fields.take()) as usize;
    let synced = u64::from_le_bytes(fields.take());
    let body_crc = u32::from_le_bytes(fields.take());
    let crc = u32::from_le_bytes(fields.take());
    if found != marker.0 || crc != crc_before(header) {
        return None;
    }
    let start = offset + ENTRY_HEADER_BYTES;
    let body = start..start.checked_add(length)?;
    (crc32fast::hash(segment.get(body.clone())?) == body_crc).then_some(Entry { offset, body, synced })
}

/// The checksum of all but the last four bytes.
fn crc_before(header: &[u8]) -> u32 {
    header.split_last_chunk::<4>().map_or(0, |(before, _)| crc32fast::hash(before))
}

/// Takes fixed-size fields off the front of a header whose length the caller has checked.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let Some((field, rest)) = self.0.split_first_chunk::<N>() else { return [0; N] };
        self.0 = rest;
        *field
    }
}

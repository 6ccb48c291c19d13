//! What a file is, whatever it is called.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::SystemTime;

/// Bytes of a file's first line that its identity is taken from.
pub(super) const HEAD_BYTES: usize = 1_024;

/// Device and inode: what tells apart the files that exist now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Inode {
    device: u64,
    inode: u64,
}

impl Inode {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// Device, inode and a digest of the first line and, where the file system knows it, the time of creation: what tells
/// a file also from those that had its inode before it.
///
/// The first line, or as much of it as fits in [`HEAD_BYTES`], is the part of a log that does not change while it
/// grows; before it is whole there is nothing to deliver and so no need for an identity. A file that is truncated and
/// begins with the very same line (a header) has a new generation of the same identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    inode: Inode,
    created: Option<SystemTime>,
    head: Vec<u8>,
}

impl Identity {
    /// The identity of the file that begins with `bytes`; `None` while its first line is not whole.
    pub(super) fn of(metadata: &Metadata, bytes: &[u8]) -> Option<Self> {
        let head = match memchr::memchr(b'\n', bytes) {
            Some(at) => bytes.get(..=at)?,
            None if bytes.len() >= HEAD_BYTES => bytes,
            None => return None,
        };
        let head = head.get(..HEAD_BYTES).unwrap_or(head).to_vec();
        Some(Self { inode: Inode::of(metadata), created: metadata.created().ok(), head })
    }

    /// Whether the file that now begins with `bytes` is still this one.
    pub(super) fn is_head_of(&self, bytes: &[u8]) -> bool {
        bytes.starts_with(&self.head)
    }

    /// Its name in checkpoints and event ids.
    pub(super) fn name(&self, generation: u32) -> String {
        let mut hasher = blake3::Hasher::new();
        let created = self.created.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        hasher.update(&created.map_or(0, |since| since.as_nanos()).to_le_bytes());
        hasher.update(&self.head);
        let digest = hasher.finalize().to_hex();
        let digest = digest.get(..16).unwrap_or_default();
        let Inode { device, inode } = self.inode;
        match generation {
            0 => format!("{device:x}:{inode:x}:{digest}"),
            _ => format!("{device:x}:{inode:x}:{digest}:{generation}"),
        }
    }
}

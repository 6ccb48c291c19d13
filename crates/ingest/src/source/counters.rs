//! What a source has received and what it has dropped, and why.

use std::sync::atomic::{AtomicU64, Ordering};

/// Why a source dropped a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DropReason {
    /// Longer than the configured maximum.
    TooLong,
    /// Its sender closed the connection in the middle of it.
    Truncated,
    /// More connections than configured; what they would have sent is unknown, the connection counts as one.
    TooManyConnections,
    /// The kernel's receive buffer was full: datagrams that never reached us.
    KernelBuffer,
    /// More files than configured; the file counts as one.
    TooManyFiles,
    /// A file that cannot be read; counts once for each file until it can be.
    Unreadable,
    /// A datagram that is none of the source's protocol, or damaged.
    Malformed,
    /// A set of flow data whose template never came.
    NoTemplate,
    /// A TLS handshake that failed: the connection counts as one.
    Handshake,
}

impl DropReason {
    /// All.
    pub const ALL: [Self; 9] = [
        Self::TooLong,
        Self::Truncated,
        Self::TooManyConnections,
        Self::KernelBuffer,
        Self::TooManyFiles,
        Self::Unreadable,
        Self::Malformed,
        Self::NoTemplate,
        Self::Handshake,
    ];

    /// The name in metrics and ledgers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::Truncated => "truncated",
            Self::TooManyConnections => "too_many_connections",
            Self::KernelBuffer => "kernel_buffer",
            Self::TooManyFiles => "too_many_files",
            Self::Unreadable => "unreadable",
            Self::Malformed => "malformed",
            Self::NoTemplate => "no_template",
            Self::Handshake => "handshake",
        }
    }
}

/// Counts of one source since it started. Read at any time from any thread.
#[derive(Debug, Default)]
pub struct Counters {
    frames: AtomicU64,
    bytes: AtomicU64,
    dropped: [AtomicU64; DropReason::ALL.len()],
}

impl Counters {
    /// Frames handed on.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.frames.load(Ordering::Relaxed)
    }

    /// Bytes of the frames handed on.
    #[must_use]
    pub fn received_bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Frames dropped for one reason.
    #[must_use]
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped.get(reason as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Frames dropped for whatever reason.
    #[must_use]
    pub fn dropped_total(&self) -> u64 {
        DropReason::ALL.into_iter().map(|reason| self.dropped(reason)).sum()
    }

    pub(super) fn add_received(&self, frames: u64, bytes: u64) {
        self.frames.fetch_add(frames, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts frames that the source could not take.
    pub fn add_dropped(&self, reason: DropReason, frames: u64) {
        if let Some(count) = self.dropped.get(reason as usize) {
            count.fetch_add(frames, Ordering::Relaxed);
        }
    }
}

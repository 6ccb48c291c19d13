//! How much one input may ask of us.

/// Bounds on what a file or frame may cost. Whatever exceeds one is rejected or ends with a message that names it.
#[derive(Clone, Copy, Debug)]
pub struct ReadLimits {
    /// Longest line, in bytes. A longer one is skipped to its end and counted as one rejected record.
    pub line_bytes: usize,
    /// Largest record, in bytes: a JSON object over many lines, the joined lines of one audit event.
    pub record_bytes: usize,
    /// Deepest nesting of objects and arrays in one record.
    pub nesting: usize,
    /// Most fields of one record.
    pub fields: usize,
    /// How deep archives may stand in archives.
    pub archive_depth: usize,
    /// How many times larger than its packed bytes the content of an archive may be, beyond the first
    /// [`ReadLimits::archive_free_bytes`].
    pub archive_ratio: u64,
    /// What an archive may expand to whatever its ratio, in bytes: small logs of one repeated line pack very well.
    pub archive_free_bytes: u64,
    /// Most bytes that one archive may expand to, everything inside it counted.
    pub archive_bytes: u64,
    /// Most members read of one archive.
    pub archive_members: usize,
}

impl Default for ReadLimits {
    fn default() -> Self {
        Self {
            // Script block logging and cloud audit records reach some hundred KiB; a line beyond this is no log line.
            line_bytes: 8 << 20,
            record_bytes: 8 << 20,
            // What serde_json allows; no audited format comes near.
            nesting: 128,
            // Windows, cloud and Kubernetes records have some hundred at most.
            fields: 16_384,
            archive_depth: 4,
            // DEFLATE ends at about 1,030:1, and logs of one repeated line come near 200:1.
            archive_ratio: 250,
            archive_free_bytes: 256 << 20,
            archive_bytes: 64 << 30,
            archive_members: 100_000,
        }
    }
}

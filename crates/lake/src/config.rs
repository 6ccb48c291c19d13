//! How a lake is kept.

use std::path::PathBuf;
use std::time::Duration;

use crate::OnDamage;

/// Where a lake is and what it may use. [`LakeConfig::at`] gives defaults fit for one machine.
#[derive(Clone, Debug)]
pub struct LakeConfig {
    /// The lake's directory; it is made if it is not there. One process at a time may have it open.
    pub dir: PathBuf,
    /// A log segment becomes a part of the table when the frames in it reach this many bytes. Larger: fewer, better
    /// compressed files; smaller: less memory and less to replay.
    pub segment_bytes: u64,
    /// A log segment becomes a part of the table at this age, however small it is.
    pub segment_age: Duration,
    /// How long a batch may wait for others to share one `fdatasync`. Longer than a millisecond buys nothing.
    pub group_window: Duration,
    /// Whether batches are compressed in the log.
    pub compress_log: bool,
    /// Estimated memory of events that are searchable but not yet in the table; beyond it, storing waits.
    pub fresh_bytes: usize,
    /// Merge small files of a partition when there are so many: more is less writing, fewer is faster searching.
    pub merge_files: usize,
    /// The part of one processor that merging and retention may take.
    pub upkeep_share: f64,
    /// Memory all queries together may use before they spill to disk or are refused.
    pub query_memory_bytes: usize,
    /// A query that takes longer is stopped.
    pub query_time: Duration,
    /// What to do when the log turns out to be damaged.
    pub on_damage: OnDamage,
    /// Segments up to this one are deleted once their events are in the table. Later ones stay, to be given by
    /// [`Lake::replay`](crate::Lake::replay) again, until [`Lake::release`](crate::Lake::release) lets them go.
    pub released: u64,
}

impl LakeConfig {
    /// The defaults, for a lake in `dir`.
    #[must_use]
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            segment_bytes: 64 << 20,
            segment_age: Duration::from_secs(60),
            group_window: Duration::from_millis(1),
            compress_log: true,
            fresh_bytes: 512 << 20,
            merge_files: 8,
            upkeep_share: 0.5,
            query_memory_bytes: 512 << 20,
            query_time: Duration::from_secs(30),
            on_damage: OnDamage::Refuse,
            released: u64::MAX,
        }
    }
}

//! The event store: what is acknowledged is durable, what is stored is searchable at once, and the table is open to
//! every engine that reads Delta.
//!
//! ```text
//! Batch ─ append ─▶ wal ─ (decoded outside) ─ store ─▶ fresh ─ segment complete ─▶ parquet ─▶ table (Delta)
//!                    ▲                                   │                                      │
//!                    └── deleted after the commit ───────┼──────── search, histogram, top ◀─────┘
//! ```
//! A log segment is the unit of everything: its events are searchable in memory ([`fresh`]) until they are Parquet
//! files ([`parquet`]) that one Delta commit adds to the table together with the segment's number ([`table`]). So a
//! crash at any instant neither loses nor doubles.
//!
//! This is the only room that names DataFusion, Arrow or Delta. It does not decode: what a frame means is for
//! others to say.
#![forbid(unsafe_code)]

mod batch;
mod columns;
mod config;
mod error;
mod expression;
mod fresh;
mod hit;
mod json;
mod lake;
mod matching;
mod parquet;
mod provider;
mod query;
mod reader;
mod rows;
mod search;
mod table;
mod upkeep;
mod wal;

pub use batch::{Appended, Batch, LogPosition, Origin, StoredEvent};
pub use config::LakeConfig;
pub use error::LakeError;
pub use hit::Hit;
pub use lake::{Lake, LakeStats};
pub use query::{MAX_PAGE, Query};
pub use reader::{FileFault, Reader};
pub use search::{Bucket, Buckets, Page};
pub use upkeep::retention::{Held, Retention, Retired, TooShort};
pub use wal::{KEY_MEMORY, OnDamage, WalError};

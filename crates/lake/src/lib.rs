//! The event store: append durably, find again.
#![forbid(unsafe_code)]

mod batch;
mod error;
mod wal;

pub use batch::{Appended, Batch, LogPosition, Origin, StoredEvent};
pub use error::LakeError;
pub use wal::{KEY_MEMORY, OnDamage, WalError};

//! What can go wrong in the lake.

use std::path::PathBuf;

use datafusion::error::DataFusionError;
use deltalake::DeltaTableError;

use crate::{LogPosition, WalError};

/// Why the lake could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// The write-ahead log failed.
    #[error(transparent)]
    Log(#[from] WalError),
    /// A directory of the lake cannot be prepared.
    #[error("cannot prepare the lake at `{}`", path.display())]
    Prepare {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Another process has the lake open.
    #[error("another process has the lake at `{}` open: stop it first", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The table cannot be opened or made.
    #[error("cannot open the event table at `{}`", path.display())]
    OpenTable {
        /// The table's directory.
        path: PathBuf,
        /// What Delta said.
        #[source]
        source: Box<DeltaTableError>,
    },
    /// There is no table to read.
    #[error("there are no events at `{}`: give the data directory of a platform that has run", path.display())]
    NoTable {
        /// Where it should be.
        path: PathBuf,
    },
    /// Events could not be written as Parquet.
    #[error("cannot write events to a Parquet file")]
    Encode(#[source] DataFusionError),
    /// A segment's files could not be committed to the table; it is tried again.
    #[error("cannot commit log segment {segment} to the event table")]
    Commit {
        /// The segment.
        segment: u64,
        /// What Delta said.
        #[source]
        source: Box<DeltaTableError>,
    },
    /// Small files could not be merged; they stay as they are and it is tried again.
    #[error("cannot merge small files of the event table")]
    Merge {
        /// What Delta said.
        #[source]
        source: Box<DeltaTableError>,
    },
    /// Events past their time could not be taken away; it is tried again.
    #[error("cannot take events past their retention from the event table")]
    Retire {
        /// What Delta said.
        #[source]
        source: Box<DeltaTableError>,
    },
    /// A batch was stored that the log does not hold.
    #[error("the log has no batch at segment {}, offset {}", .0.segment, .0.offset)]
    UnknownPosition(LogPosition),
    /// The query cannot be understood.
    #[error("{0}")]
    BadQuery(String),
    /// A condition of the query makes no sense for what is stored.
    #[error(transparent)]
    BadCondition(#[from] wanglou_model::search::QueryError),
    /// The query needs more than it may have.
    #[error("the query needs more memory than it may use: narrow its time range or its conditions")]
    TooExpensive(#[source] DataFusionError),
    /// The query took longer than it may.
    #[error("the query took longer than {limit:?}: narrow its time range or its conditions")]
    TooSlow {
        /// The limit.
        limit: std::time::Duration,
    },
    /// The query failed.
    #[error("the search failed")]
    Search(#[source] DataFusionError),
    /// The lake is being closed.
    #[error("the lake is closing")]
    Closing,
}

impl From<DataFusionError> for LakeError {
    fn from(error: DataFusionError) -> Self {
        match error.find_root() {
            DataFusionError::ResourcesExhausted(_) => Self::TooExpensive(error),
            _ => Self::Search(error),
        }
    }
}

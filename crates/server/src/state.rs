//! What changes, in SQL: users, sources, findings, incidents, sums. Events are in the lake.
//!
//! One `SQLite` file in WAL mode; everything goes through sea-orm so that PostgreSQL can take its place. Repositories
//! are `impl State` blocks, one file for each subject; a write that must hold together is one transaction.

mod accounts;
mod audit;
mod detections;
pub(crate) mod entity;
mod findings;
mod holds;
mod incidents;
mod ledger;
mod migrations;
mod sources;
mod suppressions;

use std::path::Path;
use std::time::Duration;

use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{
    ConnectOptions, Database, DatabaseConnection, DatabaseTransaction, DbErr, SqliteTransactionMode,
    TransactionOptions, TransactionTrait,
};
use sea_orm_migration::MigratorTrait;
use wanglou_model::Timestamp;

pub(crate) use accounts::{LoggedOn, Secret};
pub(crate) use audit::Act;
pub(crate) use detections::{Applied, BatchOutcome, DeadFrame, MarkOutcome};
pub(crate) use findings::{FindingQuery, FindingRow, FindingSums};
pub(crate) use incidents::{ChangeError, IncidentChange, IncidentQuery, IncidentSums};
pub(crate) use ledger::{HOUR_NANOS, HourRow, KeptLedger, Reason, Stage, Sums, hour_of};
pub(crate) use sources::SourceRow;
pub(crate) use suppressions::{SuppressedQuery, SuppressionRow};

/// Connections to the database: readers run beside one writer.
const MAX_CONNECTIONS: u32 = 8;
/// How long a writer waits for another.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The database failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateError {
    /// It cannot be opened or brought up to date.
    #[error("cannot open the state database `{path}`")]
    Open {
        path: String,
        #[source]
        source: DbErr,
    },
    /// A statement failed.
    #[error("the state database failed")]
    Statement(#[from] DbErr),
    /// A row does not hold what it should.
    #[error("table `{table}` holds a row that cannot be read")]
    Row {
        table: &'static str,
        #[source]
        source: serde_json::Error,
    },
}

/// The database.
#[derive(Clone, Debug)]
pub(crate) struct State {
    db: DatabaseConnection,
}

impl State {
    /// Opens the database file, creating it or bringing its tables up to date.
    ///
    /// # Errors
    /// [`StateError::Open`].
    pub(crate) async fn open(path: &Path) -> Result<Self, StateError> {
        let failed = |source| StateError::Open { path: path.display().to_string(), source };
        let mut options = ConnectOptions::new("sqlite::memory:");
        let file = path.to_owned();
        options.max_connections(MAX_CONNECTIONS).sqlx_logging(false).map_sqlx_sqlite_opts(move |sqlite| {
            sqlite
                .filename(&file)
                .in_memory(false)
                .shared_cache(false)
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                // Findings must not be behind the lake after a power cut.
                .synchronous(SqliteSynchronous::Full)
                .busy_timeout(BUSY_TIMEOUT)
        });
        let db = Database::connect(options).await.map_err(failed)?;
        migrations::Migrator::up(&db, None).await.map_err(failed)?;
        Ok(Self { db })
    }

    /// Opens the database file of a platform, running or not, to read.
    ///
    /// # Errors
    /// [`StateError::Open`].
    pub(crate) async fn open_to_read(path: &Path) -> Result<Self, StateError> {
        let failed = |source| StateError::Open { path: path.display().to_string(), source };
        let mut options = ConnectOptions::new("sqlite::memory:");
        let file = path.to_owned();
        options.max_connections(1).sqlx_logging(false).map_sqlx_sqlite_opts(move |sqlite| {
            sqlite
                .filename(&file)
                .in_memory(false)
                .shared_cache(false)
                .create_if_missing(false)
                .read_only(true)
                .busy_timeout(BUSY_TIMEOUT)
        });
        Ok(Self { db: Database::connect(options).await.map_err(failed)? })
    }

    /// Closes the database.
    pub(crate) async fn close(self) {
        if let Err(error) = self.db.close().await {
            tracing::warn!(%error, "closing the state database failed");
        }
    }

    /// A transaction that writes: it takes the write lock at once, so that it never has to be tried again.
    async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        self.db.begin_with_options(options).await
    }
}

/// A count as the database keeps it.
fn to_sql(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A count as it was kept.
fn from_sql(count: i64) -> u64 {
    u64::try_from(count).unwrap_or_default()
}

/// An instant as it was kept.
fn instant(nanos: i64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

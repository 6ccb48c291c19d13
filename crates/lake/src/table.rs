//! The event table on disk: Parquet files under a Delta log.
//!
//! The one idea: the files of a log segment and the mark that the segment is in the table (Delta's application
//! transaction, application `wal`, version = segment number) go into one commit. Whoever opens the lake reads the
//! mark and knows which segments are still to be stored: nothing is lost, nothing stored twice.
//!
//! Delta is used as a *log* only: reading goes through [`crate::provider`]. Deletion vectors and column mapping are
//! never turned on, so any engine that reads Delta reads this table.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake::kernel::{
    Action, Add, DataType, LogicalFileView, PrimitiveType, Remove, StructField, Transaction,
};
use deltalake::operations::create::CreateBuilder;
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::{DeltaTable, DeltaTableBuilder, DeltaTableError, ObjectStore, Path as ObjectPath};

use datafusion::arrow::datatypes::DataType as ArrowType;
use datafusion::scalar::ScalarValue;

use crate::LakeError;
use crate::columns::{self, TABLE_SCHEMA};
use crate::parquet::{EncodedFile, FileStats};
use crate::upkeep::{MERGED_BYTES, digests};
use crate::wal::sync_dir;

/// The application of the transaction that marks stored segments.
const APPLICATION: &str = "wal";
/// Statistics are kept for these columns only: minima of URLs and command lines rule nothing out and fill the log.
const STATS_COLUMNS: &str = "time_ns,irregular";

/// One Parquet file of the table.
#[derive(Clone, Debug)]
pub(crate) struct DataFile {
    /// Its path below the table's directory.
    pub path: String,
    pub bytes: u64,
    pub arrival_day: i32,
    pub tenant: String,
    /// Unknown for files that another engine wrote without them.
    pub stats: Option<FileStats>,
}

impl DataFile {
    fn removal(&self, data_change: bool) -> Remove {
        let day = Some(day_text(self.arrival_day));
        Remove {
            path: self.path.clone(),
            data_change,
            deletion_timestamp: Some(wanglou_model::Timestamp::now().millis()),
            extended_file_metadata: Some(true),
            partition_values: Some(HashMap::from([
                (columns::ARRIVAL_DAY.to_owned(), day),
                (columns::TENANT.to_owned(), Some(self.tenant.clone())),
            ])),
            size: i64::try_from(self.bytes).ok(),
            tags: None,
            deletion_vector: None,
            base_row_id: None,
            default_row_commit_version: None,
        }
    }

    /// The values of the partition columns, in their order.
    pub(crate) fn partition_values(&self) -> Vec<ScalarValue> {
        vec![ScalarValue::Date32(Some(self.arrival_day)), ScalarValue::Utf8(Some(self.tenant.clone()))]
    }
}

/// The table, open for committing. There is one writer: the process that holds the lake's lock.
pub(crate) struct EventTable {
    dir: PathBuf,
    table: DeltaTable,
    files: Arc<Vec<Arc<DataFile>>>,
    committed: u64,
}

impl EventTable {
    /// Opens the table in `dir`, making it if it is not there.
    pub(crate) async fn open(dir: &Path) -> Result<Self, LakeError> {
        let failed = |source| LakeError::OpenTable { path: dir.into(), source: Box::new(source) };
        let prepare = |source| LakeError::Prepare { path: dir.into(), source };
        std::fs::create_dir_all(dir).map_err(prepare)?;
        let dir = dir.canonicalize().map_err(prepare)?;
        let mut table = new_table(&dir).map_err(failed)?;
        if table.verify_deltatable_existence().await.map_err(failed)? {
            table.load().await.map_err(failed)?;
        } else {
            table = create(&table).await.map_err(failed)?;
            sync_log_entry(&dir, 0).map_err(prepare)?;
        }
        check_schema(&table).map_err(failed)?;
        let mut opened = Self { dir, table, files: Arc::default(), committed: 0 };
        opened.committed = opened.read_committed().await.map_err(failed)?;
        opened.files = Arc::new(opened.list_files().map_err(failed)?);
        Ok(opened)
    }

    /// Opens the table in `dir` to read it, beside the process that writes it.
    pub(crate) async fn open_existing(dir: &Path) -> Result<Self, LakeError> {
        if dir.join("_delta_log").is_dir() {
            return Self::open(dir).await;
        }
        Err(LakeError::NoTable { path: dir.into() })
    }

    /// Where the table is.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The files of the table now.
    pub(crate) fn files(&self) -> Arc<Vec<Arc<DataFile>>> {
        Arc::clone(&self.files)
    }

    /// The number of the last log segment in the table, 0 when there is none.
    pub(crate) fn committed(&self) -> u64 {
        self.committed
    }

    /// The version of the Delta table.
    pub(crate) fn version(&self) -> u64 {
        self.table.version().unwrap_or_default()
    }

    /// Adds the files of a log segment, unless the segment is in the table already. Durable when it returns.
    pub(crate) async fn commit(&mut self, segment: u64, files: Vec<EncodedFile>) -> Result<(), LakeError> {
        let failed = |source: DeltaTableError| LakeError::Commit { segment, source: Box::new(source) };
        // Another process may have gone on from here before this one got the lock; ask the log, not memory.
        self.table.update_state().await.map_err(failed)?;
        self.committed = self.read_committed().await.map_err(failed)?;
        if segment > self.committed {
            let mut adds = Vec::with_capacity(files.len());
            for (number, file) in files.into_iter().enumerate() {
                let name = format!("segment-{segment:020}-{number}");
                adds.push(self.put(&name, file, true).await.map_err(failed)?);
            }
            self.append(segment, adds).await.map_err(failed)?;
        }
        self.files = Arc::new(self.list_files().map_err(failed)?);
        Ok(())
    }

    /// Writes a file. Its name follows from the segment: a second attempt after a crash replaces the first.
    async fn put(&self, name: &str, file: EncodedFile, is_new: bool) -> Result<Action, DeltaTableError> {
        let day = day_text(file.arrival_day);
        // The partitions stand in the path too, as Hive has it: engines such as Polars read them there.
        let day_folder = format!("{}={day}", columns::ARRIVAL_DAY);
        let folder = format!("{day_folder}/{}={}", columns::TENANT, escape(&file.tenant));
        let path = format!("{folder}/{name}.parquet");
        let digest = blake3::hash(&file.bytes);
        let size = file.bytes.len();
        let store = self.table.object_store();
        let location =
            ObjectPath::parse(&path).map_err(|error| DeltaTableError::generic(error.to_string()))?;
        store.put_opts(&location, Bytes::from(file.bytes).into(), Default::default()).await?;
        sync_file(&self.dir.join(&path)).map_err(io_error)?;
        for folder in [folder.as_str(), day_folder.as_str(), ""] {
            sync_dir(&self.dir.join(folder)).map_err(io_error)?;
        }
        digests::record(&self.dir, &path, &digest).map_err(io_error)?;
        Ok(Action::Add(Add {
            path,
            partition_values: HashMap::from([
                (columns::ARRIVAL_DAY.to_owned(), Some(day)),
                (columns::TENANT.to_owned(), Some(file.tenant)),
            ]),
            size: i64::try_from(size).unwrap_or(i64::MAX),
            modification_time: wanglou_model::Timestamp::now().millis(),
            data_change: is_new,
            stats: Some(stats_json(file.stats)),
            tags: None,
            deletion_vector: None,
            base_row_id: None,
            default_row_commit_version: None,
            clustering_provider: None,
        }))
    }

    /// Puts one file in the place of several that hold the same rows.
    pub(crate) async fn replace(&mut self, old: &[Arc<DataFile>], new: EncodedFile) -> Result<(), LakeError> {
        let operation = DeltaOperation::Optimize { predicate: None, target_size: MERGED_BYTES };
        let merge = |source| LakeError::Merge { source: Box::new(source) };
        self.swap(old, vec![new], "merged", false, operation).await.map_err(merge)
    }

    /// Takes files away, and puts what is to stay of them in their place.
    pub(crate) async fn retire(
        &mut self,
        old: &[Arc<DataFile>],
        rest: Vec<EncodedFile>,
    ) -> Result<(), LakeError> {
        let operation = DeltaOperation::Delete { predicate: None };
        let retire = |source| LakeError::Retire { source: Box::new(source) };
        self.swap(old, rest, "kept", true, operation).await.map_err(retire)
    }

    async fn swap(
        &mut self,
        old: &[Arc<DataFile>],
        new: Vec<EncodedFile>,
        name: &str,
        is_change: bool,
        operation: DeltaOperation,
    ) -> Result<(), DeltaTableError> {
        self.table.update_state().await?;
        let mut actions = Vec::with_capacity(old.len() + new.len());
        let next = self.version() + 1;
        for (number, file) in new.into_iter().enumerate() {
            actions.push(self.put(&format!("{name}-{next:020}-{number}"), file, is_change).await?);
        }
        actions.extend(old.iter().map(|file| Action::Remove(file.removal(is_change))));
        let state = self.table.snapshot()?;
        let commit = CommitBuilder::from(CommitProperties::default())
            .with_actions(actions)
            .build(Some(state), self.table.log_store(), operation)
            .await?;
        sync_log_entry(&self.dir, commit.version()).map_err(io_error)?;
        self.table.state = Some(commit.snapshot());
        self.files = Arc::new(self.list_files()?);
        for file in old {
            // From now on it is only for searches under way; its age as such counts from here.
            let touched = std::fs::File::options()
                .append(true)
                .open(self.dir.join(&file.path))
                .and_then(|file| file.set_modified(std::time::SystemTime::now()));
            if let Err(error) = touched {
                tracing::warn!(%error, file = file.path, "cannot mark a file as no longer needed");
            }
        }
        Ok(())
    }

    async fn append(&mut self, segment: u64, adds: Vec<Action>) -> Result<(), DeltaTableError> {
        let mark = Transaction::new(APPLICATION, i64::try_from(segment).unwrap_or(i64::MAX));
        let properties = CommitProperties::default().with_application_transaction(mark);
        let operation = DeltaOperation::Write {
            mode: SaveMode::Append,
            partition_by: Some(vec![columns::ARRIVAL_DAY.into(), columns::TENANT.into()]),
            predicate: None,
        };
        let state = self.table.snapshot()?;
        let commit = CommitBuilder::from(properties)
            .with_actions(adds)
            .build(Some(state), self.table.log_store(), operation)
            .await?;
        sync_log_entry(&self.dir, commit.version()).map_err(io_error)?;
        self.table.state = Some(commit.snapshot());
        self.committed = segment;
        Ok(())
    }

    async fn read_committed(&self) -> Result<u64, DeltaTableError> {
        let store = self.table.log_store();
        let version = self.table.snapshot()?.transaction_version(store.as_ref(), APPLICATION).await?;
        Ok(version.and_then(|version| u64::try_from(version).ok()).unwrap_or_default())
    }

    /// The files in the table's current state; those known before are kept as they are.
    fn list_files(&self) -> Result<Vec<Arc<DataFile>>, DeltaTableError> {
        let known: HashMap<&str, &Arc<DataFile>> =
            self.files.iter().map(|file| (file.path.as_str(), file)).collect();
        let listed = self.table.snapshot()?.log_data();
        let file = |view: LogicalFileView| match known.get(view.path().as_ref()) {
            Some(file) => Arc::clone(file),
            None => Arc::new(data_file(&view)),
        };
        Ok(listed.iter().map(file).collect())
    }
}

fn new_table(dir: &Path) -> Result<DeltaTable, DeltaTableError> {
    let url = deltalake::ensure_table_uri(dir.to_string_lossy())?;
    DeltaTableBuilder::from_url(url)?.build()
}

async fn create(table: &DeltaTable) -> Result<DeltaTable, DeltaTableError> {
    CreateBuilder::new()
        .with_log_store(table.log_store())
        .with_table_name("events")
        .with_comment("Wanglou events: OCSF attributes, raw bytes, by day of arrival")
        .with_columns(delta_fields())
        .with_partition_columns([columns::ARRIVAL_DAY, columns::TENANT])
        .with_configuration([("delta.dataSkippingStatsColumns", Some(STATS_COLUMNS))])
        .await
}

fn delta_fields() -> Vec<StructField> {
    let field = |field: &Arc<datafusion::arrow::datatypes::Field>| {
        let kind = match field.data_type() {
            ArrowType::Int64 => PrimitiveType::Long,
            ArrowType::Boolean => PrimitiveType::Boolean,
            ArrowType::Binary => PrimitiveType::Binary,
            ArrowType::Date32 => PrimitiveType::Date,
            ArrowType::Timestamp(..) => PrimitiveType::Timestamp,
            _ => PrimitiveType::String,
        };
        StructField::new(field.name().clone(), DataType::Primitive(kind), true)
    };
    TABLE_SCHEMA.fields().iter().map(field).collect()
}

/// A table of another release may have other columns; writing to it would tear the format.
fn check_schema(table: &DeltaTable) -> Result<(), DeltaTableError> {
    let schema = table.snapshot()?.schema();
    let same = delta_fields().iter().all(|field| schema.field(field.name()).is_some());
    if same {
        return Ok(());
    }
    Err(DeltaTableError::generic("the table was made by another release and lacks columns of this one"))
}

fn data_file(view: &LogicalFileView) -> DataFile {
    let partitions = view.partition_values_map();
    let value = |name: &str| partitions.get(name).cloned().flatten();
    DataFile {
        path: view.path().into_owned(),
        bytes: u64::try_from(view.size()).unwrap_or_default(),
        arrival_day: value(columns::ARRIVAL_DAY).and_then(|day| parse_day(&day)).unwrap_or_default(),
        tenant: value(columns::TENANT).unwrap_or_default(),
        stats: view.stats().and_then(|stats| parse_stats(&stats)),
    }
}

/// Delta's per-file statistics, as this table keeps them.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeltaStats {
    num_records: u64,
    min_values: TimeStats,
    max_values: TimeStats,
    null_count: NullStats,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct TimeStats {
    time_ns: i64,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct NullStats {
    irregular: u64,
    time_ns: u64,
}

fn stats_json(stats: FileStats) -> String {
    let stats = DeltaStats {
        num_records: stats.rows,
        min_values: TimeStats { time_ns: stats.min_time_ns },
        max_values: TimeStats { time_ns: stats.max_time_ns },
        null_count: NullStats { irregular: stats.regular_rows, time_ns: 0 },
    };
    // Numbers and fixed names only: this cannot fail, and without statistics a file is merely never ruled out.
    serde_json::to_string(&stats).unwrap_or_default()
}

fn parse_stats(text: &str) -> Option<FileStats> {
    let stats: DeltaStats = serde_json::from_str(text).ok()?;
    Some(FileStats {
        rows: stats.num_records,
        min_time_ns: stats.min_values.time_ns,
        max_time_ns: stats.max_values.time_ns,
        regular_rows: stats.null_count.irregular,
    })
}

/// A partition's value as part of a path: what is not a plain letter, digit, `-`, `_` or `.` becomes `%XX`.
fn escape(value: &str) -> String {
    let escaped = |byte: u8| match byte {
        b'-' | b'_' | b'.' => char::from(byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    value.bytes().map(escaped).collect()
}

/// `2026-11-22` of days since the epoch.
fn day_text(day: i32) -> String {
    let value = ScalarValue::Date32(Some(day));
    value.to_string()
}

fn parse_day(text: &str) -> Option<i32> {
    match ScalarValue::try_from_string(text.to_owned(), &ArrowType::Date32).ok()? {
        ScalarValue::Date32(day) => day,
        _ => None,
    }
}

/// Makes a Delta commit durable: the library writes it without `fsync`, and a segment of the log is deleted for it.
fn sync_log_entry(dir: &Path, version: u64) -> std::io::Result<()> {
    let log = dir.join("_delta_log");
    sync_file(&log.join(format!("{version:020}.json")))?;
    sync_dir(&log)?;
    sync_dir(dir)
}

fn sync_file(path: &Path) -> std::io::Result<()> {
    std::fs::File::open(path)?.sync_all()
}

fn io_error(source: std::io::Error) -> DeltaTableError {
    DeltaTableError::Io { source }
}

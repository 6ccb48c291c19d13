//! Keeping the table as it was on its first day: few files, every byte as written, nothing on disk that nobody needs.
//!
//! The one idea: small files of a partition are merged into one by a commit that says the same rows are elsewhere now.
//! Searches under way keep the list they began with, so the old files stay on disk for [`GRACE`]; then they are deleted,
//! with whatever else lies in the table's directory unlisted, such as files of a commit that a crash prevented.

pub(crate) mod digests;

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use datafusion::arrow::array::{ArrayRef, RecordBatch, new_null_array};
use datafusion::error::DataFusionError;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::columns::{FILE_SCHEMA, TABLE_SCHEMA};
use crate::parquet::{self, EncodedFile};
use crate::table::DataFile;

/// Merged files are at most about so large: what fits in memory decoded.
pub(crate) const MERGED_BYTES: i64 = 32 << 20;
/// How long files that are no longer listed stay for those who still read them.
pub(crate) const GRACE: Duration = Duration::from_secs(3600);

/// Files that should be one: the smallest of a partition that has `least` of less than half the size aimed at.
pub(crate) fn crowd(files: &[Arc<DataFile>], least: usize) -> Option<Vec<Arc<DataFile>>> {
    let limit = MERGED_BYTES.unsigned_abs();
    let mut partitions: BTreeMap<(i32, &str), Vec<&Arc<DataFile>>> = BTreeMap::new();
    for file in files.iter().filter(|file| file.bytes < limit / 2) {
        partitions.entry((file.arrival_day, &file.tenant)).or_default().push(file);
    }
    let mut crowded = partitions.into_values().filter(|files| files.len() >= least.max(2));
    let mut files = crowded.next()?;
    files.sort_by_key(|file| file.bytes);
    let mut bytes = 0;
    let fits = |file: &&&Arc<DataFile>| {
        bytes += file.bytes;
        bytes <= limit
    };
    // The two smallest always fit: each is less than half.
    Some(files.iter().take_while(fits).map(|file| Arc::clone(file)).collect())
}

/// The rows of `files`, which are of one partition, as one file.
pub(crate) fn merge(dir: &Path, files: &[Arc<DataFile>]) -> Result<Vec<EncodedFile>, DataFusionError> {
    let mut batches = Vec::new();
    for file in files {
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(dir.join(&file.path))?)?.build()?;
        for batch in reader {
            batches.push(with_partition(&batch?, file)?);
        }
    }
    parquet::encode(&batches)
}

/// The rows in the table's schema: columns that their release did not have are null.
fn with_partition(batch: &RecordBatch, file: &DataFile) -> Result<RecordBatch, DataFusionError> {
    let rows = batch.num_rows();
    let in_file = FILE_SCHEMA.fields().iter().map(|field| match batch.column_by_name(field.name()) {
        Some(column) => Arc::clone(column),
        None => new_null_array(field.data_type(), rows),
    });
    let mut columns: Vec<ArrayRef> = in_file.collect();
    for value in file.partition_values() {
        columns.push(value.to_array_of_size(rows)?);
    }
    Ok(RecordBatch::try_new(Arc::clone(&TABLE_SCHEMA), columns)?)
}

/// Deletes the data files below `dir` that are not listed and have not been touched for [`GRACE`]; how many.
pub(crate) fn vacuum(dir: &Path, listed: &[Arc<DataFile>], now: SystemTime) -> std::io::Result<usize> {
    let listed: HashSet<_> = listed.iter().map(|file| dir.join(&file.path)).collect();
    let mut deleted = 0;
    for day in std::fs::read_dir(dir)? {
        let day = day?;
        // The log and the digests are no data.
        if day.file_name().to_string_lossy().starts_with('_') || !day.file_type()?.is_dir() {
            continue;
        }
        for tenant in std::fs::read_dir(day.path())? {
            let tenant = tenant?;
            if !tenant.file_type()?.is_dir() {
                continue;
            }
            for file in std::fs::read_dir(tenant.path())? {
                let file = file?;
                let age = now.duration_since(file.metadata()?.modified()?).unwrap_or_default();
                let is_data = file.path().extension().is_some_and(|extension| extension == "parquet");
                if is_data && age > GRACE && !listed.contains(&file.path()) {
                    std::fs::remove_file(file.path())?;
                    deleted += 1;
                }
            }
        }
    }
    Ok(deleted)
}

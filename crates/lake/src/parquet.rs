//! Rows as Parquet files: their order, their encoding, and the statistics that let a search pass them over.

use std::sync::Arc;

use datafusion::arrow::array::cast::AsArray;
use datafusion::arrow::array::types::{Date32Type, Int64Type};
use datafusion::arrow::array::{Array, RecordBatch, UInt32Array};
use datafusion::arrow::compute::{SortColumn, concat_batches, lexsort_to_indices, take_record_batch};
use datafusion::error::DataFusionError;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use datafusion::parquet::schema::types::ColumnPath;

use crate::columns::{self, FILE_SCHEMA, TABLE_SCHEMA};

/// Level 3: level 9 saves another tenth at three times the time.
const ZSTD_LEVEL: i32 = 3;
/// Rows of a row group: what a bloom filter can rule out at once.
const ROW_GROUP_ROWS: usize = 65_536;
/// One false positive in a hundred row groups.
const BLOOM_FALSE_POSITIVES: f64 = 0.01;

/// A Parquet file and what the table's log says of it.
pub(crate) struct EncodedFile {
    pub bytes: Vec<u8>,
    /// Its partition: days since the epoch.
    pub arrival_day: i32,
    /// Its partition.
    pub tenant: String,
    pub stats: FileStats,
}

/// Statistics of a file that can rule it out. Names and shape are Delta's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileStats {
    pub rows: u64,
    pub min_time_ns: i64,
    pub max_time_ns: i64,
    /// How many rows have a null in `irregular`.
    pub regular_rows: u64,
}

/// The rows of `batches`, all in the table's schema, as one file for each partition.
pub(crate) fn encode(batches: &[RecordBatch]) -> Result<Vec<EncodedFile>, DataFusionError> {
    let all = concat_batches(&TABLE_SCHEMA, batches)?;
    partitions(&all)?.into_iter().map(|rows| encode_partition(&take_record_batch(&all, &rows)?)).collect()
}

/// The row numbers of each partition, in the order of the file: class, then time.
fn partitions(all: &RecordBatch) -> Result<Vec<UInt32Array>, DataFusionError> {
    let column = |name: &str| -> Result<SortColumn, DataFusionError> {
        Ok(SortColumn { values: Arc::clone(all.column(TABLE_SCHEMA.index_of(name)?)), options: None })
    };
    let order = [columns::ARRIVAL_DAY, columns::TENANT, columns::CLASS_UID, columns::TIME_NS].map(column);
    let order = order.into_iter().collect::<Result<Vec<_>, _>>()?;
    let sorted = lexsort_to_indices(&order, None)?;
    let partition = |row: u32| (day_at(all, row as usize), tenant_at(all, row as usize));
    let rows = sorted.values();
    Ok(rows
        .chunk_by(|a, b| partition(*a) == partition(*b))
        .map(|rows| UInt32Array::from(rows.to_vec()))
        .collect())
}

fn day_at(batch: &RecordBatch, row: usize) -> i32 {
    let days = batch.column_by_name(columns::ARRIVAL_DAY).and_then(|c| c.as_primitive_opt::<Date32Type>());
    days.map_or(0, |days| days.value(row))
}

fn tenant_at(batch: &RecordBatch, row: usize) -> &str {
    let tenants = batch.column_by_name(columns::TENANT).and_then(|c| c.as_string_opt::<i32>());
    tenants.map_or("", |tenants| tenants.value(row))
}

fn encode_partition(rows: &RecordBatch) -> Result<EncodedFile, DataFusionError> {
    let (arrival_day, tenant) = (day_at(rows, 0), tenant_at(rows, 0).to_owned());
    let in_file = (0..FILE_SCHEMA.fields().len()).collect::<Vec<_>>();
    let mut writer = FileWriter::new()?;
    writer.write(&rows.project(&in_file)?)?;
    writer.finish(arrival_day, tenant)
}

/// Writes the rows of one partition, which come in the order of the file.
pub(crate) struct FileWriter {
    writer: ArrowWriter<Vec<u8>>,
    stats: Option<FileStats>,
}

impl FileWriter {
    pub(crate) fn new() -> Result<Self, DataFusionError> {
        let writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&FILE_SCHEMA), Some(properties()))?;
        Ok(Self { writer, stats: None })
    }

    pub(crate) fn write(&mut self, rows: &RecordBatch) -> Result<(), DataFusionError> {
        if rows.num_rows() > 0 {
            let more = stats_of(rows);
            self.stats = Some(self.stats.map_or(more, |stats| stats.and(more)));
            self.writer.write(rows)?;
        }
        Ok(())
    }

    pub(crate) fn finish(self, arrival_day: i32, tenant: String) -> Result<EncodedFile, DataFusionError> {
        let stats =
            self.stats.unwrap_or(FileStats { rows: 0, min_time_ns: 0, max_time_ns: 0, regular_rows: 0 });
        Ok(EncodedFile { bytes: self.writer.into_inner()?, arrival_day, tenant, stats })
    }
}

impl FileStats {
    fn and(self, more: Self) -> Self {
        Self {
            rows: self.rows + more.rows,
            min_time_ns: self.min_time_ns.min(more.min_time_ns),
            max_time_ns: self.max_time_ns.max(more.max_time_ns),
            regular_rows: self.regular_rows + more.regular_rows,
        }
    }
}

fn stats_of(rows: &RecordBatch) -> FileStats {
    let times = rows.column_by_name(columns::TIME_NS).and_then(|c| c.as_primitive_opt::<Int64Type>());
    let times = times.map(|times| times.values().as_ref()).unwrap_or_default();
    FileStats {
        rows: rows.num_rows() as u64,
        min_time_ns: times.iter().min().copied().unwrap_or(i64::MIN),
        max_time_ns: times.iter().max().copied().unwrap_or(i64::MAX),
        regular_rows: rows.column_by_name(columns::IRREGULAR).map_or(0, |c| c.null_count() as u64),
    }
}

fn properties() -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_created_by("wanglou".into())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL).unwrap_or_default()))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_statistics_enabled(EnabledStatistics::Page);
    // A false-positive rate set for all columns would give all of them a filter.
    for column in columns::needle_columns() {
        properties = properties
            .set_column_bloom_filter_enabled(ColumnPath::from(column), true)
            .set_column_bloom_filter_fpp(ColumnPath::from(column), BLOOM_FALSE_POSITIVES);
    }
    // No two values are alike, or nobody compares them: a dictionary or minima would be a waste.
    for column in [columns::UID, columns::RAW, columns::REST] {
        properties = properties.set_column_dictionary_enabled(ColumnPath::from(column), false);
    }
    for column in [columns::RAW, columns::REST] {
        properties =
            properties.set_column_statistics_enabled(ColumnPath::from(column), EnabledStatistics::None);
    }
    properties.build()
}

#[cfg(test)]
mod tests {
    use datafusion::parquet::file::reader::{FileReader, SerializedFileReader};
    use proptest::strategy::{Strategy, ValueTree};
    use proptest::test_runner::TestRunner;

    use super::*;
    use crate::hit::tests::any_stored;
    use crate::rows;

    #[test]
    fn files_are_sorted_and_carry_what_rules_them_out() {
        let events = proptest::collection::vec(any_stored(), 50..51);
        let events = events.new_tree(&mut TestRunner::deterministic()).unwrap().current();
        let files = encode(&[rows::encode(&events).unwrap()]).unwrap();
        let [file] = files.as_slice() else { panic!("one day and one tenant make one file") };
        let times = || events.iter().map(|stored| stored.event.time.nanos());
        assert_eq!(file.stats.rows, 50);
        assert_eq!(Some(file.stats.min_time_ns), times().min());
        assert_eq!(Some(file.stats.max_time_ns), times().max());
        assert!(file.stats.regular_rows < 50, "the generator makes irregular events");

        let reader = SerializedFileReader::new(bytes::Bytes::from(file.bytes.clone())).unwrap();
        let group = reader.metadata().row_group(0);
        for column in group.columns() {
            let name = column.column_path().string();
            let wants_bloom = columns::needle_columns().any(|needle| needle == name);
            assert_eq!(column.bloom_filter_offset().is_some(), wants_bloom, "{name}");
            assert!(column.offset_index_offset().is_some(), "{name}");
        }
        let keys: Vec<(i64, i64)> = reader
            .get_row_iter(None)
            .unwrap()
            .map(|row| {
                let number = |name: &str| {
                    let row = row.as_ref().unwrap();
                    let (_, field) = row.get_column_iter().find(|(column, _)| *column == name).unwrap();
                    field.to_string().parse::<i64>().unwrap()
                };
                (number(columns::CLASS_UID), number(columns::TIME_NS))
            })
            .collect();
        assert!(keys.is_sorted());
    }
}

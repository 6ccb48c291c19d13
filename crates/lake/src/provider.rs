//! The table as DataFusion sees it: a list of files, those ruled out left out, as a plain Parquet scan.
//!
//! The list is a value: a search keeps the one it started with, whatever is committed meanwhile.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, BooleanArray, Date32Array, Int64Array, StringArray, UInt64Array};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{Column, DFSchema, ScalarValue, Statistics as ScanStatistics};
use datafusion::config::TableParquetOptions;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::object_store::path::Path as ObjectPath;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;

use crate::columns::{self, FILE_SCHEMA, TABLE_SCHEMA, partition_fields};
use crate::parquet::FileStats;
use crate::table::DataFile;

/// A fixed list of the table's files.
#[derive(Clone, Debug)]
pub(crate) struct FileList {
    /// The table's directory as the object store names it: without the leading slash.
    root: String,
    files: Arc<Vec<Arc<DataFile>>>,
}

impl FileList {
    pub(crate) fn new(dir: &Path, files: Arc<Vec<Arc<DataFile>>>) -> Self {
        let root = dir.to_string_lossy().trim_matches('/').to_owned();
        Self { root, files }
    }

    /// The files.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &DataFile> {
        self.files.iter().map(AsRef::as_ref)
    }

    /// The files that may hold rows for which all `filters` are true.
    fn pruned(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<&DataFile>> {
        let Some(filter) = conjunction(filters.to_vec()) else { return Ok(self.iter().collect()) };
        let schema = DFSchema::try_from(Arc::clone(&TABLE_SCHEMA))?;
        let filter = state.create_physical_expr(filter, &schema)?;
        let predicate =
            PruningPredicateBuilder::new().with_file_schema(Arc::clone(&TABLE_SCHEMA)).try_build(filter)?;
        let keep = predicate.prune(&Statistics(&self.files))?;
        Ok(self.iter().zip(keep).filter(|(_, keep)| *keep).map(|(file, _)| file).collect())
    }

    fn partitioned_file(&self, file: &DataFile) -> Result<PartitionedFile> {
        let mut partitioned = PartitionedFile::new(String::new(), file.bytes);
        // Parsed, for a path made `from` text would escape what a directory may well be called, such as `数据`.
        partitioned.object_meta.location = ObjectPath::parse(format!("{}/{}", self.root, file.path))?;
        let partitioned = partitioned.with_partition_values(file.partition_values());
        Ok(match file.stats {
            Some(stats) => partitioned.with_statistics(Arc::new(scan_statistics(stats)?)),
            None => partitioned,
        })
    }
}

#[async_trait]
impl TableProvider for FileList {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&TABLE_SCHEMA)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut pruned = self.pruned(state, filters)?;
        // Newest first: a search for the newest few then has them early, and what it has rules the older files out.
        pruned.sort_by_key(|file| std::cmp::Reverse(file.stats.map(|stats| stats.max_time_ns)));
        let files = pruned.into_iter().map(|file| self.partitioned_file(file)).collect::<Result<Vec<_>>>()?;
        if files.is_empty() {
            // A scan of no files would have no partition, which the planner refuses below a sort.
            let schema = match projection {
                Some(projection) => Arc::new(TABLE_SCHEMA.project(projection)?),
                None => Arc::clone(&TABLE_SCHEMA),
            };
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let partitions = partition_fields().into_iter().map(Arc::new).collect::<Vec<_>>();
        let schema =
            TableSchema::builder(Arc::clone(&FILE_SCHEMA)).with_table_partition_cols(partitions).build();
        let options = TableParquetOptions {
            global: state.config_options().execution.parquet.clone(),
            ..TableParquetOptions::default()
        };
        let source = Arc::new(ParquetSource::new(schema).with_table_parquet_options(options));
        let groups = dealt(files, state.config_options().execution.target_partitions);
        let scan = FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), source)
            .with_file_groups(groups)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(scan))
    }
}

/// The files in as many groups, dealt out like cards, so that each group has its share of the first.
fn dealt(files: Vec<PartitionedFile>, groups: usize) -> Vec<FileGroup> {
    let groups = groups.clamp(1, files.len().max(1));
    let mut dealt: Vec<Vec<PartitionedFile>> = vec![Vec::new(); groups];
    for (number, file) in files.into_iter().enumerate() {
        if let Some(group) = dealt.get_mut(number % groups) {
            group.push(file);
        }
    }
    dealt.into_iter().map(FileGroup::new).collect()
}

/// What a scan may know of a file: with what it finds in others it can pass the file over unopened.
fn scan_statistics(stats: FileStats) -> Result<ScanStatistics> {
    let mut known = ScanStatistics::new_unknown(&TABLE_SCHEMA);
    let time = TABLE_SCHEMA.index_of(columns::TIME_NS)?;
    if let Some(column) = known.column_statistics.get_mut(time) {
        let exact = |nanos| Precision::Exact(ScalarValue::Int64(Some(nanos)));
        (column.min_value, column.max_value) = (exact(stats.min_time_ns), exact(stats.max_time_ns));
    }
    Ok(known)
}

/// What the table's log says of each file, in the form that rules files out.
struct Statistics<'a>(&'a [Arc<DataFile>]);

impl Statistics<'_> {
    fn of(&self, number: impl Fn(FileStats) -> u64) -> Option<ArrayRef> {
        let numbers: UInt64Array = self.0.iter().map(|file| file.stats.map(&number)).collect();
        Some(Arc::new(numbers))
    }

    fn bounds(&self, column: &Column, time: impl Fn(FileStats) -> i64) -> Option<ArrayRef> {
        Some(match column.name() {
            columns::TIME_NS => {
                let times: Int64Array = self.0.iter().map(|file| file.stats.map(&time)).collect();
                Arc::new(times)
            }
            columns::ARRIVAL_DAY => {
                Arc::new(self.0.iter().map(|file| Some(file.arrival_day)).collect::<Date32Array>())
            }
            columns::TENANT => {
                Arc::new(self.0.iter().map(|file| Some(file.tenant.as_str())).collect::<StringArray>())
            }
            _ => return None,
        })
    }
}

impl PruningStatistics for Statistics<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, |stats| stats.min_time_ns)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, |stats| stats.max_time_ns)
    }

    fn num_containers(&self) -> usize {
        self.0.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        match column.name() {
            columns::IRREGULAR => self.of(|stats| stats.regular_rows),
            columns::TIME_NS | columns::ARRIVAL_DAY | columns::TENANT => self.of(|_| 0),
            _ => None,
        }
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        self.of(|stats| stats.rows)
    }

    fn contained(&self, _: &Column, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::{col, lit};
    use datafusion::prelude::SessionContext;

    use super::*;

    fn file(name: &str, from: i64, to: i64, regular_rows: u64) -> Arc<DataFile> {
        let stats = FileStats { rows: 10, min_time_ns: from, max_time_ns: to, regular_rows };
        Arc::new(DataFile {
            path: name.into(),
            bytes: 1,
            arrival_day: 0,
            tenant: name.into(),
            stats: (from <= to).then_some(stats),
        })
    }

    #[test]
    fn files_are_ruled_out_by_time_by_tenant_and_by_having_no_irregular_rows() {
        let files = vec![file("old", 0, 9, 10), file("new", 10, 19, 9), file("unknown", 1, 0, 0)];
        let list = FileList::new(Path::new("/lake"), Arc::new(files));
        let context = SessionContext::new();
        for (filter, expected) in [
            (col(columns::TIME_NS).gt_eq(lit(10_i64)), vec!["new", "unknown"]),
            (col(columns::TIME_NS).lt(lit(0_i64)), vec!["unknown"]),
            (col(columns::IRREGULAR).is_not_null(), vec!["new", "unknown"]),
            (col(columns::TENANT).eq(lit("old")), vec!["old"]),
            (col("user_name").eq(lit("root")), vec!["old", "new", "unknown"]),
        ] {
            let kept = list.pruned(&context.state(), std::slice::from_ref(&filter)).unwrap();
            let kept: Vec<_> = kept.iter().map(|file| file.path.as_str()).collect();
            assert_eq!(kept, expected, "{filter}");
        }
    }
}

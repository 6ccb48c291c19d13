//! Several files of a partition as one, in the order of files, without holding them in memory: each is read batch by
//! batch, the smallest row of all goes next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::arrow::array::cast::AsArray;
use datafusion::arrow::array::types::Int64Type;
use datafusion::arrow::array::{ArrayRef, RecordBatch, new_null_array};
use datafusion::arrow::compute::interleave_record_batch;
use datafusion::error::DataFusionError;
use datafusion::parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use crate::columns::{self, FILE_SCHEMA};
use crate::parquet::{EncodedFile, FileWriter};
use crate::table::DataFile;

/// Rows read from a file at once, and written at once. Small, for all files of a merge are open together.
const ROWS: usize = 2048;

/// How much of one processor upkeep may take, so that intake and searches go on undisturbed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    share: f64,
}

impl Pace {
    /// This part of one processor, a hundredth at least.
    pub(crate) fn of(share: f64) -> Self {
        Self { share: share.clamp(0.01, 1.0) }
    }

    /// Does some work and rests after it.
    pub(crate) fn paced<T>(self, work: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let done = work();
        self.rest(started.elapsed());
        done
    }

    /// Rests after work that took so long.
    pub(crate) fn rest(self, worked: Duration) {
        if self.share < 1.0 {
            std::thread::sleep(worked.mul_f64(1.0 / self.share - 1.0));
        }
    }
}

/// The rows of `files`, which are of one partition and not none, as one file.
pub(crate) fn merge(dir: &Path, files: &[Arc<DataFile>], pace: Pace) -> Result<EncodedFile, DataFusionError> {
    let mut started = Instant::now();
    let mut merger = Merger::open(dir, files)?;
    let mut writer = FileWriter::new()?;
    while let Some(rows) = merger.next_rows()? {
        writer.write(&rows)?;
        pace.rest(started.elapsed());
        started = Instant::now();
    }
    let (arrival_day, tenant) = files.first().map_or((0, ""), |file| (file.arrival_day, &file.tenant));
    writer.finish(arrival_day, tenant.to_owned())
}

/// The rows of a file in the schema of files: columns that their release did not have are null.
pub(crate) fn read_rows(
    dir: &Path,
    file: &DataFile,
) -> Result<impl Iterator<Item = Result<RecordBatch, DataFusionError>> + use<>, DataFusionError> {
    Ok(open(dir, file)?.map(|batch| in_schema(&batch?)))
}

fn open(dir: &Path, file: &DataFile) -> Result<ParquetRecordBatchReader, DataFusionError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(dir.join(&file.path))?)?;
    Ok(builder.with_batch_size(ROWS).build()?)
}

fn in_schema(batch: &RecordBatch) -> Result<RecordBatch, DataFusionError> {
    let rows = batch.num_rows();
    let column = |field: &Arc<datafusion::arrow::datatypes::Field>| match batch.column_by_name(field.name()) {
        Some(column) => Arc::clone(column),
        None => new_null_array(field.data_type(), rows),
    };
    let columns: Vec<ArrayRef> = FILE_SCHEMA.fields().iter().map(column).collect();
    Ok(RecordBatch::try_new(Arc::clone(&FILE_SCHEMA), columns)?)
}

/// What decides the order of rows: class, then time.
type Key = (i64, i64);

struct Merger {
    inputs: Vec<Input>,
    /// The next row of each input that has one, smallest first.
    heads: BinaryHeap<Reverse<(Key, usize)>>,
    /// Batches that rows to be written stand in; each input's current one among them.
    batches: Vec<RecordBatch>,
}

struct Input {
    reader: ParquetRecordBatchReader,
    /// Its current batch in [`Merger::batches`].
    batch: usize,
    row: usize,
}

impl Merger {
    fn open(dir: &Path, files: &[Arc<DataFile>]) -> Result<Self, DataFusionError> {
        let mut merger = Self { inputs: Vec::new(), heads: BinaryHeap::new(), batches: Vec::new() };
        for (number, file) in files.iter().enumerate() {
            merger.inputs.push(Input { reader: open(dir, file)?, batch: 0, row: 0 });
            merger.read_on(number)?;
        }
        Ok(merger)
    }

    /// Reads the next batch of an input, if there is one.
    fn read_on(&mut self, number: usize) -> Result<(), DataFusionError> {
        let Some(input) = self.inputs.get_mut(number) else { return Ok(()) };
        for batch in input.reader.by_ref() {
            let batch = in_schema(&batch?)?;
            if let Some(key) = key(&batch, 0) {
                (input.batch, input.row) = (self.batches.len(), 0);
                self.batches.push(batch);
                self.heads.push(Reverse((key, number)));
                return Ok(());
            }
        }
        Ok(())
    }

    /// The next rows, `None` at the end.
    fn next_rows(&mut self) -> Result<Option<RecordBatch>, DataFusionError> {
        let mut picked = Vec::with_capacity(ROWS);
        while picked.len() < ROWS {
            let Some(Reverse((_, number))) = self.heads.pop() else { break };
            let Some(input) = self.inputs.get_mut(number) else { break };
            picked.push((input.batch, input.row));
            input.row += 1;
            match self.batches.get(input.batch).and_then(|batch| key(batch, input.row)) {
                Some(key) => self.heads.push(Reverse((key, number))),
                None => self.read_on(number)?,
            }
        }
        if picked.is_empty() {
            return Ok(None);
        }
        let batches: Vec<&RecordBatch> = self.batches.iter().collect();
        let rows = interleave_record_batch(&batches, &picked)?;
        self.forget_read();
        Ok(Some(rows))
    }

    /// Lets go of the batches that no input stands in any more.
    fn forget_read(&mut self) {
        let mut kept = Vec::with_capacity(self.inputs.len());
        for input in &mut self.inputs {
            if let Some(batch) = self.batches.get(input.batch) {
                kept.push(batch.clone());
                input.batch = kept.len() - 1;
            }
        }
        self.batches = kept;
    }
}

/// What decides where a row goes, if there is such a row.
fn key(batch: &RecordBatch, row: usize) -> Option<Key> {
    let column = |name| {
        let values = batch.column_by_name(name)?.as_primitive_opt::<Int64Type>()?.values();
        values.get(row).copied()
    };
    Some((column(columns::CLASS_UID)?, column(columns::TIME_NS)?))
}

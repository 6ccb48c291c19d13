//! How long events are kept, and what of a file is past that.
//!
//! Age is counted in whole days since arrival, for event time is what an attacker says it is.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::cast::AsArray;
use datafusion::arrow::array::types::Int64Type;
use datafusion::arrow::array::{Array, BooleanArray, RecordBatch};
use datafusion::arrow::compute::filter_record_batch;
use datafusion::error::DataFusionError;
use datafusion::parquet::arrow::ProjectionMask;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use datafusion::parquet::file::statistics::Statistics;
use wanglou_model::{EventUid, Timestamp};

use crate::columns;
use crate::hit::uid_from;
use crate::parquet::{EncodedFile, FileWriter};
use crate::table::DataFile;
use crate::upkeep::merge::read_rows;

/// OCSF's category of inventories and states, whose events are no logs of what happened.
const DISCOVERY: u32 = 5;
const CLASSES_OF_A_CATEGORY: u32 = 1000;

/// How many days events are kept, by class where classes differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    days: u32,
    classes: BTreeMap<u32, u32>,
}

/// A retention that the law forbids.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{what} would be kept for {days} days; the Cybersecurity Law (《网络安全法》第二十三条第三项, before 2026 第二十一条第三项) \
     asks that network logs be kept for no less than six months: set {least} days or more",
    least = Retention::LEAST_DAYS
)]
pub struct TooShort {
    what: String,
    days: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self { days: Self::DEFAULT_DAYS, classes: BTreeMap::new() }
    }
}

impl Retention {
    /// Six months with some days to spare.
    pub const DEFAULT_DAYS: u32 = 190;
    /// No six calendar months are longer.
    pub const LEAST_DAYS: u32 = 184;

    /// Everything for `days`, except these classes.
    ///
    /// # Errors
    /// When network logs would be kept for less than six months. What is no network log is the category Discovery of
    /// OCSF; in doubt it is one.
    pub fn new(days: u32, classes: BTreeMap<u32, u32>) -> Result<Self, TooShort> {
        if days < Self::LEAST_DAYS {
            return Err(TooShort { what: "events".into(), days });
        }
        for (class, days) in &classes {
            if *days < Self::LEAST_DAYS && class / CLASSES_OF_A_CATEGORY != DISCOVERY {
                return Err(TooShort { what: format!("events of class {class}"), days: *days });
            }
        }
        Ok(Self { days, classes })
    }

    fn of(&self, class: i64) -> u32 {
        let own = u32::try_from(class).ok().and_then(|class| self.classes.get(&class));
        own.copied().unwrap_or(self.days)
    }

    /// Whether events of some class that arrived on a day are past their time.
    pub(crate) fn is_past_for_some(&self, arrival_day: i32, today: i32) -> bool {
        is_past(arrival_day, today, self.shortest())
    }

    fn shortest(&self) -> u32 {
        self.classes.values().copied().fold(self.days, u32::min)
    }

    fn longest(&self) -> u32 {
        self.classes.values().copied().fold(self.days, u32::max)
    }
}

fn is_past(arrival_day: i32, today: i32, days: u32) -> bool {
    i64::from(today) - i64::from(arrival_day) > i64::from(days)
}

/// An event that must stay whatever its age, such as evidence of an open incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The event.
    pub uid: EventUid,
    /// When it happened.
    pub time: Timestamp,
}

/// What retention took away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retired {
    /// Files that are gone or smaller.
    pub files: u64,
    /// Events that are gone.
    pub events: u64,
    /// Events past their time that stay because they are held.
    pub held: u64,
}

/// What becomes of a file.
#[derive(Default)]
pub(crate) struct Fate {
    /// So many events go.
    pub goes: u64,
    /// So many stay only because they are held.
    pub held: u64,
    /// The events that stay, when some go.
    pub rest: Option<EncodedFile>,
}

/// What decides the fate of files today.
pub(crate) struct Judge {
    pub retention: Retention,
    /// Days since the epoch.
    pub today: i32,
    pub held: Vec<Held>,
}

impl Judge {
    /// The files that can have something past its time.
    pub(crate) fn suspects(&self, files: &[Arc<DataFile>]) -> Vec<Arc<DataFile>> {
        let is_suspect =
            |file: &&Arc<DataFile>| self.retention.is_past_for_some(file.arrival_day, self.today);
        files.iter().filter(is_suspect).map(Arc::clone).collect()
    }

    /// What becomes of a suspect.
    pub(crate) fn fate(&self, dir: &Path, file: &DataFile) -> Result<Fate, DataFusionError> {
        let held = self.held_in(file);
        let is_past = |days: u32| is_past(file.arrival_day, self.today, days);
        if let (true, true, Some(stats)) = (is_past(self.retention.longest()), held.is_empty(), file.stats) {
            return Ok(Fate { goes: stats.rows, ..Fate::default() });
        }
        let is_expired = |class: i64| is_past(self.retention.of(class));
        let opened = ParquetRecordBatchReaderBuilder::try_new(File::open(dir.join(&file.path))?)?;
        if !may_have(&opened, is_expired) {
            return Ok(Fate::default());
        }
        let wanted = [columns::CLASS_UID, columns::UID];
        let columns = ProjectionMask::columns(opened.parquet_schema(), wanted);
        let mut stays = Vec::new();
        let mut held_rows = 0;
        for batch in opened.with_projection(columns).build()? {
            let batch = batch?;
            for row in 0..batch.num_rows() {
                let past = is_expired(class_at(&batch, row));
                let is_held = past && uid_at(&batch, row).is_some_and(|uid| held.contains(&uid));
                held_rows += u64::from(is_held);
                stays.push(!past || is_held);
            }
        }
        let kept = stays.iter().filter(|stays| **stays).count();
        let goes = (stays.len() - kept) as u64;
        let rest = if goes > 0 && kept > 0 { Some(rest_of(dir, file, &stays)?) } else { None };
        Ok(Fate { goes, held: held_rows, rest })
    }

    fn held_in(&self, file: &DataFile) -> HashSet<EventUid> {
        let may_be_here = |held: &&Held| {
            let time = held.time.nanos();
            file.stats.is_none_or(|stats| (stats.min_time_ns..=stats.max_time_ns).contains(&time))
        };
        self.held.iter().filter(may_be_here).map(|held| held.uid).collect()
    }
}

/// Whether a row group can have a class that is past its time; rows are sorted by class, so most have one class only.
fn may_have(file: &ParquetRecordBatchReaderBuilder<File>, is_expired: impl Fn(i64) -> bool) -> bool {
    file.metadata().row_groups().iter().any(|group| {
        let column =
            group.columns().iter().find(|column| column.column_path().string() == columns::CLASS_UID);
        match column.and_then(|column| column.statistics()) {
            Some(Statistics::Int64(statistics)) => match (statistics.min_opt(), statistics.max_opt()) {
                (Some(min), Some(max)) if min == max => is_expired(*min),
                _ => true,
            },
            _ => true,
        }
    })
}

fn class_at(batch: &RecordBatch, row: usize) -> i64 {
    let classes = batch.column_by_name(columns::CLASS_UID).and_then(|c| c.as_primitive_opt::<Int64Type>());
    classes.and_then(|classes| classes.values().get(row).copied()).unwrap_or_default()
}

fn uid_at(batch: &RecordBatch, row: usize) -> Option<EventUid> {
    let uids = batch.column_by_name(columns::UID)?.as_binary_opt::<i32>()?;
    uids.is_valid(row).then(|| uid_from(uids.value(row))).flatten()
}

/// The rows of a file that stay, as a file.
fn rest_of(dir: &Path, file: &DataFile, stays: &[bool]) -> Result<EncodedFile, DataFusionError> {
    let mut stays = stays.iter().copied();
    let mut writer = FileWriter::new()?;
    for batch in read_rows(dir, file)? {
        let batch = batch?;
        let mask: BooleanArray = stays.by_ref().take(batch.num_rows()).map(Some).collect();
        writer.write(&filter_record_batch(&batch, &mask)?)?;
    }
    writer.finish(file.arrival_day, file.tenant.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_than_six_months_is_refused_by_the_clause_and_inventories_are_free() {
        let error = Retention::new(183, BTreeMap::new()).unwrap_err().to_string();
        assert!(error.contains("第二十三条") && error.contains("184"), "{error}");
        assert!(Retention::new(184, BTreeMap::new()).is_ok());
        for class in [0, 1007, 3002, 4001, 6003] {
            let error = Retention::new(190, BTreeMap::from([(class, 30)])).unwrap_err().to_string();
            assert!(error.contains(&format!("class {class}")), "{error}");
        }
        let retention = Retention::new(190, BTreeMap::from([(5001, 30), (3002, 1095)])).unwrap();
        assert_eq!((retention.of(5001), retention.of(3002), retention.of(4001)), (30, 1095, 190));
        assert_eq!((retention.shortest(), retention.longest()), (30, 1095));
    }
}

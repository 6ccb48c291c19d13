//! Keeping the table as it was on its first day: few files, every byte as written, nothing on disk that nobody needs.
//!
//! The one idea: small files of a partition are merged into one by a commit that says the same rows are elsewhere now.
//! Searches under way keep the list they began with, so the old files stay on disk for [`GRACE`]; then they are deleted,
//! with whatever else lies in the table's directory unlisted, such as files of a commit that a crash prevented.

pub(crate) mod digests;
pub(crate) mod merge;
pub(crate) mod retention;

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::table::DataFile;

/// Merged files are at most about so large: written whole, they are held in memory encoded.
pub(crate) const MERGED_BYTES: i64 = 128 << 20;
/// Files merged at once: each is open with a batch of its rows in memory.
const MOST_AT_ONCE: usize = 64;
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
    Some(files.iter().take(MOST_AT_ONCE).take_while(fits).map(|file| Arc::clone(file)).collect())
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

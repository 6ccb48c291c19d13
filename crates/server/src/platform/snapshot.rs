//! The file that carries the windows of correlation rules over a restart.
//!
//! Eight bytes that name the format, its version, the position in the log up to which it has counted, a BLAKE3 hash of
//! position and state, the state. It is replaced as a whole: a crash leaves the old file or the new one.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wanglou_detect::{Correlator, Engine, Limits, SnapshotError};
use wanglou_lake::LogPosition;

use super::windows::Snapshot;

const MAGIC: &[u8; 8] = b"wlwindow";
const VERSION: u32 = 1;
/// Its name in the data directory.
const FILE: &str = "correlation.snapshot";

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Read(#[from] io::Error),
    /// It is not ours.
    #[error("it is no snapshot of correlation windows")]
    Foreign,
    /// A later release wrote it.
    #[error("it has format version {0}, which this release cannot read")]
    Version(u32),
    /// It is not what was written.
    #[error("it is damaged")]
    Damaged,
    /// What is in it cannot be read.
    #[error(transparent)]
    State(#[from] SnapshotError),
}

/// Where the state of before the restart is.
pub(crate) struct Files {
    path: PathBuf,
}

impl Files {
    /// In this data directory.
    pub(crate) fn new(data_dir: &Path) -> Self {
        Self { path: data_dir.join(FILE) }
    }

    /// Where the file is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The correlator that goes on from the file, and the last batch that it has counted; `None` when there is none.
    ///
    /// # Errors
    /// [`FileError`] says why the file cannot be used; people are told.
    pub(crate) fn restore(
        &self,
        engine: Arc<Engine>,
        limits: Limits,
    ) -> Result<Option<(Correlator, LogPosition)>, FileError> {
        self.tidy();
        self.read(engine, limits).inspect_err(|error| {
            tracing::warn!(
                path = %self.path.display(),
                %error,
                "windows of correlation rules begin empty: their saved state cannot be used. What the log still holds \
                 is counted again"
            );
        })
    }

    fn read(
        &self,
        engine: Arc<Engine>,
        limits: Limits,
    ) -> Result<Option<(Correlator, LogPosition)>, FileError> {
        let bytes = match std::fs::read(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read?,
        };
        let (covers, state) = parse(&bytes)?;
        Ok(Some((Correlator::restore(engine, limits, state)?, covers)))
    }

    /// Replaces the file. When this returns it survives a crash and a power failure.
    ///
    /// # Errors
    /// What the system says; then the old file is still there.
    pub(crate) fn save(&self, snapshot: &Snapshot) -> io::Result<()> {
        let dir = self.path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::Builder::new().prefix(FILE).tempfile_in(dir)?;
        let covers = encoded(snapshot.covers);
        file.write_all(MAGIC)?;
        file.write_all(&VERSION.to_le_bytes())?;
        file.write_all(&covers)?;
        file.write_all(hash(&covers, &snapshot.bytes).as_bytes())?;
        file.write_all(&snapshot.bytes)?;
        file.as_file().sync_all()?;
        file.persist(&self.path).map_err(|error| error.error)?;
        std::fs::File::open(dir)?.sync_all()
    }

    /// Deletes what a crash left of a file that was being written.
    fn tidy(&self) {
        let dir = self.path.parent().unwrap_or(Path::new("."));
        let left = |name: &std::ffi::OsStr| {
            name.to_str().is_some_and(|name| name.starts_with(FILE) && name.len() > FILE.len())
        };
        for entry in std::fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok) {
            if left(&entry.file_name()) {
                // Best effort: it takes room and nothing else.
                _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

/// The position up to which the state has counted, and the state.
fn parse(bytes: &[u8]) -> Result<(LogPosition, &[u8]), FileError> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(FileError::Foreign)?;
    let (version, rest) = rest.split_first_chunk().ok_or(FileError::Damaged)?;
    match u32::from_le_bytes(*version) {
        VERSION => {}
        other => return Err(FileError::Version(other)),
    }
    let (position, rest) = rest.split_first_chunk::<16>().ok_or(FileError::Damaged)?;
    let (told, state) = rest.split_first_chunk::<{ blake3::OUT_LEN }>().ok_or(FileError::Damaged)?;
    if hash(position, state) != *told {
        return Err(FileError::Damaged);
    }
    Ok((decoded(*position), state))
}

fn hash(position: &[u8; 16], state: &[u8]) -> blake3::Hash {
    blake3::Hasher::new().update(position).update(state).finalize()
}

fn encoded(position: LogPosition) -> [u8; 16] {
    (u128::from(position.segment) << 64 | u128::from(position.offset)).to_be_bytes()
}

fn decoded(bytes: [u8; 16]) -> LogPosition {
    let (segment, offset) = bytes.split_at(8);
    let number = |bytes: &[u8]| bytes.try_into().map(u64::from_be_bytes).unwrap_or_default();
    LogPosition { segment: number(segment), offset: number(offset) }
}

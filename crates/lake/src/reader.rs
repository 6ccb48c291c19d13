//! Searching a lake beside the process that writes it.

use std::path::PathBuf;

use futures::Stream;

use crate::fresh::View;
use crate::provider::FileList;
use crate::search::Searcher;
use crate::table::EventTable;
use crate::upkeep::digests;
use crate::{Bucket, Buckets, Hit, LakeConfig, LakeError, Page, Query};

/// The table of a lake as it was when it was opened. Takes no lock and writes nothing; what is still in the log, the
/// last minute at most, is not seen.
pub struct Reader {
    searcher: Searcher,
    view: View,
    dir: PathBuf,
}

/// What is wrong with a file of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFault {
    /// It cannot be read, or is gone.
    Unreadable,
    /// Its bytes are not those that were written.
    Changed,
    /// It was written before digests were recorded, or by another engine.
    NoDigest,
}

impl Reader {
    /// Opens the table of the lake that `config` names.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub async fn open(config: &LakeConfig) -> Result<Self, LakeError> {
        let table = EventTable::open_existing(&config.dir.join("events")).await?;
        let files = FileList::new(table.dir(), table.files());
        let searcher = Searcher::new(config, &std::env::temp_dir())?;
        Ok(Self { searcher, dir: table.dir().to_owned(), view: View { files, fresh: Vec::new() } })
    }

    /// Files of the table, their bytes, their events.
    #[must_use]
    pub fn totals(&self) -> (u64, u64, u64) {
        self.view.files.iter().fold((0, 0, 0), |(files, bytes, events), file| {
            (files + 1, bytes + file.bytes, events + file.stats.map_or(0, |stats| stats.rows))
        })
    }

    /// Compares every file with the digest recorded when it was written; gives each file's path and what is wrong.
    ///
    /// # Errors
    /// When the digests cannot be read.
    pub fn check(&self) -> Result<impl Iterator<Item = (&str, Option<FileFault>)>, LakeError> {
        let path = self.dir.clone();
        let known = digests::read(&self.dir).map_err(|source| LakeError::Prepare { path, source })?;
        Ok(self.view.files.iter().map(move |file| {
            let fault = match (known.get(&file.path), digests::of(&self.dir.join(&file.path))) {
                (_, Err(_)) => Some(FileFault::Unreadable),
                (None, Ok(_)) => Some(FileFault::NoDigest),
                (Some(wanted), Ok(found)) => (*wanted != found).then_some(FileFault::Changed),
            };
            (file.path.as_str(), fault)
        }))
    }

    /// As [`Lake::search`](crate::Lake::search).
    ///
    /// # Errors
    /// As there.
    pub async fn search(&self, query: &Query) -> Result<Page, LakeError> {
        self.searcher.page(&self.view, query).await
    }

    /// As [`Lake::histogram`](crate::Lake::histogram).
    ///
    /// # Errors
    /// As there.
    pub async fn histogram(&self, query: &Query, buckets: Buckets) -> Result<Vec<Bucket>, LakeError> {
        self.searcher.histogram(&self.view, query, buckets).await
    }

    /// As [`Lake::top`](crate::Lake::top).
    ///
    /// # Errors
    /// As there.
    pub async fn top(&self, query: &Query, field: &str, n: usize) -> Result<Vec<(String, u64)>, LakeError> {
        self.searcher.top(&self.view, query, field, n).await
    }

    /// As [`Lake::stream`](crate::Lake::stream).
    ///
    /// # Errors
    /// As there.
    pub async fn stream(
        &self,
        query: &Query,
    ) -> Result<impl Stream<Item = Result<Vec<Hit>, LakeError>> + Send + use<>, LakeError> {
        self.searcher.stream(&self.view, query).await
    }
}

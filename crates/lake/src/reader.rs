//! Searching a lake beside the process that writes it.

use futures::Stream;

use crate::fresh::View;
use crate::provider::FileList;
use crate::search::Searcher;
use crate::table::EventTable;
use crate::{Bucket, Buckets, Hit, LakeConfig, LakeError, Page, Query};

/// The table of a lake as it was when it was opened. Takes no lock and writes nothing; what is still in the log, the
/// last minute at most, is not seen.
pub struct Reader {
    searcher: Searcher,
    view: View,
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
        Ok(Self { searcher, view: View { files, fresh: Vec::new() } })
    }

    /// Files of the table, their bytes, their events.
    #[must_use]
    pub fn totals(&self) -> (u64, u64, u64) {
        self.view.files.iter().fold((0, 0, 0), |(files, bytes, events), file| {
            (files + 1, bytes + file.bytes, events + file.stats.map_or(0, |stats| stats.rows))
        })
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

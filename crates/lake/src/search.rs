//! Answering queries: plans over the table's files and the fresh events, with bounded memory and time.
//!
//! A page is found in two steps. The first reads only what decides which events are on it, their time and id; the
//! second fetches these few whole. Reading `raw` and `rest` of all candidates would cost a hundred times as much.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::array::cast::AsArray;
use datafusion::arrow::array::types::Int64Type;
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::{Expr, SortExpr, col, lit};
use datafusion::prelude::{DataFrame, SessionConfig, SessionContext};
use futures::{Stream, StreamExt};
use wanglou_model::{EventUid, Timestamp};

use crate::columns;
use crate::fresh::View;
use crate::hit::{self, Hit};
use crate::query::{Cursor, Filter, MAX_PAGE, Query, field_values, uid_literal};
use crate::{LakeConfig, LakeError};

/// More buckets than a chart has pixels are a mistake.
const MAX_BUCKETS: usize = 10_000;
const NANOS_PER_MILLI: i64 = 1_000_000;
/// More values than anyone reads.
const MAX_TOP: usize = 10_000;

/// One page of a search.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The events, in the order that was asked for.
    pub hits: Vec<Hit>,
    /// Where the next page begins; `None` when this is the last.
    pub next: Option<String>,
}

/// How a time range is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Buckets {
    /// In this many equal parts.
    Count(usize),
    /// In parts of this length, from the beginning of the range.
    Width(Duration),
}

/// One part of a time range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Where it begins.
    pub start: Timestamp,
    /// How many events fall in it.
    pub count: u64,
}

/// What runs queries.
pub(crate) struct Searcher {
    context: SessionContext,
    time_limit: Duration,
}

impl Searcher {
    /// A searcher that spills to `spill_dir` when memory gets short.
    pub(crate) fn new(config: &LakeConfig, spill_dir: &Path) -> Result<Self, LakeError> {
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(config.query_memory_bytes)))
            .with_temp_file_path(spill_dir)
            .build_arc()?;
        let mut session = SessionConfig::new();
        let parquet = &mut session.options_mut().execution.parquet;
        // Rows that a condition rules out are not decoded in the other columns.
        parquet.pushdown_filters = true;
        Ok(Self {
            context: SessionContext::new_with_config_rt(session, runtime),
            time_limit: config.query_time,
        })
    }

    /// One page of the events that match.
    pub(crate) async fn page(&self, view: &View, query: &Query) -> Result<Page, LakeError> {
        if query.limit == 0 || query.limit > MAX_PAGE {
            let limit = query.limit;
            return Err(LakeError::BadQuery(format!("{limit} events make no page: ask for 1 to {MAX_PAGE}")));
        }
        self.in_time(self.find_page(view, query)).await
    }

    /// The event with this id, looked for in the millisecond of `time` first.
    pub(crate) async fn event(
        &self,
        view: &View,
        uid: EventUid,
        time: Option<Timestamp>,
    ) -> Result<Option<Hit>, LakeError> {
        if let Some(time) = time {
            let ends = [-NANOS_PER_MILLI, NANOS_PER_MILLI].map(|nanos| lit(time.plus_nanos(nanos).nanos()));
            let [from, to] = ends;
            let there = Filter::uid(uid).and(col(columns::TIME_NS).between(from, to));
            if let Some(hit) = self.first(view, &there).await? {
                return Ok(Some(hit));
            }
        }
        self.first(view, &Filter::uid(uid)).await
    }

    async fn first(&self, view: &View, filter: &Filter) -> Result<Option<Hit>, LakeError> {
        let rows = self.matching(view, filter)?;
        let found = self.in_time(async { rows.limit(0, Some(1))?.collect().await }).await?;
        Ok(found.iter().flat_map(hit::decode).next())
    }

    /// How the events that match are spread over time.
    pub(crate) async fn histogram(
        &self,
        view: &View,
        query: &Query,
        buckets: Buckets,
    ) -> Result<Vec<Bucket>, LakeError> {
        let (width, parts) = bucket_width(query, buckets)?;
        let filter = Filter::of(query)?;
        let bucket = (col(columns::TIME_NS) - lit(query.from.nanos())) / lit(width);
        let counts = self.counts(view, &filter, bucket);
        let mut counted = vec![0_u64; parts];
        for batch in self.in_time(counts).await? {
            let (numbers, counts) = (int_column(&batch, 0), int_column(&batch, 1));
            for (number, count) in numbers.iter().zip(counts) {
                let slot = usize::try_from(*number).ok().and_then(|number| counted.get_mut(number));
                if let (Some(slot), Ok(count)) = (slot, u64::try_from(*count)) {
                    *slot += count;
                }
            }
        }
        let start = |number: usize| {
            query.from.plus_nanos(i64::try_from(number).unwrap_or(i64::MAX).saturating_mul(width))
        };
        Ok(counted.into_iter().enumerate().map(|(n, count)| Bucket { start: start(n), count }).collect())
    }

    /// The most frequent values of a field among the events that match, most frequent first. An event with several
    /// values counts by its first, one without any not at all.
    pub(crate) async fn top(
        &self,
        view: &View,
        query: &Query,
        field: &str,
        n: usize,
    ) -> Result<Vec<(String, u64)>, LakeError> {
        let filter = Filter::of(query)?;
        let counts = self.counts(view, &filter, field_values(field)?);
        let mut values = Vec::new();
        for batch in self.in_time(counts).await? {
            let Some(texts) = batch.column(0).as_string_opt::<i32>() else { continue };
            for (text, count) in texts.iter().zip(int_column(&batch, 1)) {
                if let (Some(text), Ok(count)) = (text, u64::try_from(*count)) {
                    values.push((text.to_owned(), count));
                }
            }
        }
        values.sort_by(|(a, more), (b, less)| less.cmp(more).then_with(|| a.cmp(b)));
        values.truncate(n.min(MAX_TOP));
        Ok(values)
    }

    /// The events that match, one batch of rows after the other, in the order of the query; its limit and cursor are
    /// not for this. More than memory holds is sorted on disk.
    pub(crate) async fn stream(
        &self,
        view: &View,
        query: &Query,
    ) -> Result<impl Stream<Item = Result<Vec<Hit>, LakeError>> + Send + use<>, LakeError> {
        let filter = Filter::of(&Query { cursor: None, ..query.clone() })?;
        let rows = self.matching(view, &filter)?.sort(order(query.newest_first))?;
        let batches = rows.execute_stream().await?;
        Ok(batches.map(|batch| Ok(hit::decode(&batch?))))
    }

    async fn find_page(&self, view: &View, query: &Query) -> Result<Page, LakeError> {
        let filter = Filter::of(query)?;
        let keys = self
            .matching(view, &filter)
            .and_then(|rows| rows.select_columns(&[columns::TIME_NS, columns::UID]))
            .and_then(|rows| rows.sort(order(query.newest_first))?.limit(0, Some(query.limit + 1)))?;
        let mut keys = cursors(&keys.collect().await?);
        let next = (keys.len() > query.limit).then(|| {
            keys.truncate(query.limit);
            keys.last().map(Cursor::to_string)
        });
        keys.dedup();
        Ok(Page { hits: self.fetch(view, filter, &keys).await?, next: next.flatten() })
    }

    /// The whole events behind `keys`, in their order.
    async fn fetch(&self, view: &View, filter: Filter, keys: &[Cursor]) -> Result<Vec<Hit>, LakeError> {
        let times = || keys.iter().map(|key| key.time_ns);
        let (Some(first), Some(last)) = (times().min(), times().max()) else { return Ok(Vec::new()) };
        let uids = keys.iter().map(|key| uid_literal(key.uid)).collect();
        let filter = filter
            .and(col(columns::TIME_NS).between(lit(first), lit(last)))
            .and(col(columns::UID).in_list(uids, false));
        let rows = self.matching(view, &filter)?;
        let batches = rows.collect().await?;
        let mut found: HashMap<EventUid, Hit> =
            batches.iter().flat_map(hit::decode).map(|hit| (hit.uid, hit)).collect();
        Ok(keys.iter().filter_map(|key| found.remove(&key.uid)).collect())
    }

    /// How often each value of `by` occurs in the rows that match.
    async fn counts(
        &self,
        view: &View,
        filter: &Filter,
        by: Expr,
    ) -> Result<Vec<RecordBatch>, DataFusionError> {
        let rows = self.matching(view, filter)?;
        rows.aggregate(vec![by.alias("value")], vec![count(lit(1)).alias("count")])?.collect().await
    }

    /// The rows that match, each once.
    fn matching(&self, view: &View, filter: &Filter) -> Result<DataFrame, DataFusionError> {
        let mut all: Option<DataFrame> = None;
        for condition in filter.branches() {
            let mut parts = vec![self.context.read_table(Arc::new(view.files.clone()))?];
            if !view.fresh.is_empty() {
                parts.push(self.context.read_batches(view.fresh.clone())?);
            }
            for part in parts {
                let rows = part.filter(condition.clone())?;
                all = Some(match all {
                    None => rows,
                    Some(all) => all.union(rows)?,
                });
            }
        }
        all.ok_or_else(|| DataFusionError::Internal("a filter without branches".into()))
    }

    async fn in_time<T, E: Into<LakeError>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, LakeError> {
        match tokio::time::timeout(self.time_limit, work).await {
            Ok(result) => result.map_err(Into::into),
            Err(_) => Err(LakeError::TooSlow { limit: self.time_limit }),
        }
    }
}

fn order(newest_first: bool) -> Vec<SortExpr> {
    [columns::TIME_NS, columns::UID].map(|column| col(column).sort(!newest_first, false)).into()
}

/// Length of a bucket in nanoseconds, and how many there are.
fn bucket_width(query: &Query, buckets: Buckets) -> Result<(i64, usize), LakeError> {
    let bad = |text: &str| LakeError::BadQuery(text.to_owned());
    let range = query.to.nanos().checked_sub(query.from.nanos()).filter(|range| *range > 0);
    let range = range.ok_or_else(|| bad("the time range is empty or longer than 292 years"))?;
    let width = match buckets {
        Buckets::Count(0) => return Err(bad("a histogram needs at least one bucket")),
        Buckets::Count(count) => {
            let count = i64::try_from(count).map_err(|_| bad("too many buckets"))?;
            range / count + i64::from(range % count > 0)
        }
        Buckets::Width(width) => i64::try_from(width.as_nanos()).unwrap_or(i64::MAX),
    };
    if width == 0 {
        return Err(bad("a bucket must be longer than nothing"));
    }
    let parts = usize::try_from((range - 1) / width + 1).unwrap_or(usize::MAX);
    if parts > MAX_BUCKETS {
        return Err(LakeError::BadQuery(format!(
            "{parts} buckets are more than {MAX_BUCKETS}: use longer ones"
        )));
    }
    Ok((width, parts))
}

fn cursors(batches: &[RecordBatch]) -> Vec<Cursor> {
    let mut cursors = Vec::new();
    for batch in batches {
        let Some(uids) = batch.column(1).as_binary_opt::<i32>() else { continue };
        for (time_ns, uid) in int_column(batch, 0).iter().zip(uids.iter().flatten()) {
            if let Some(uid) = hit::uid_from(uid) {
                cursors.push(Cursor { time_ns: *time_ns, uid });
            }
        }
    }
    cursors
}

fn int_column(batch: &RecordBatch, index: usize) -> &[i64] {
    let column = batch.columns().get(index).and_then(|column| column.as_primitive_opt::<Int64Type>());
    column.map(|column| column.values().as_ref()).unwrap_or_default()
}

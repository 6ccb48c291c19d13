//! What to do with a record of a kind: which logsources it belongs to, and which columns each of its paths feeds.
//!
//! The kind of a record is its format, product and the few values that routes depend on (channel, event id); most
//! records are of a kind seen before, whose plan is looked up in a fixed table. Plans belong to the set of routes, so
//! that kinds that mean the same share one. All of it is bounded: a sender of ever new kinds costs time, not memory.

use rustc_hash::FxHashMap;
use wanglou_model::{Kinds, PathId, Record};

use super::mapping::Feed;
use super::program::{Program, Source};

/// More plans than any set of rules has use for; beyond it all are made anew.
const MAX_PLANS: usize = 512;

/// The plan for records of one set of routes, and what was learnt with them.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// The logsources.
    pub(super) sources: Vec<u32>,
    /// The columns of keywords that have witnesses.
    pub(super) keywords: Vec<u32>,
    /// Rules to look at whatever the record holds.
    pub(super) unwitnessed: Vec<u32>,
    /// By path index: the list of what it feeds.
    lists: Vec<u32>,
    feeds: Vec<Box<[PlanFeed]>>,
    /// By column: the paths met so far that feed it, and on which level.
    by_column: FxHashMap<u32, Vec<(PathId, u8)>>,
    format: usize,
    routes: Vec<u32>,
}

/// A column that a path feeds, and on which level.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlanFeed {
    pub(super) column: u32,
    pub(super) level: u8,
}

/// No list yet.
const UNSEEN: u32 = 0;
/// The first list is the empty one.
const NOTHING: u32 = 1;

impl Plan {
    fn new(program: &Program, format: usize, routes: &[u32]) -> Self {
        let mut plan = Self { format, routes: routes.to_vec(), ..Self::default() };
        let sources = routes.iter().filter_map(|route| program.routes.get(*route as usize)).flatten();
        plan.sources = sources.copied().collect();
        plan.sources.sort_unstable();
        plan.sources.dedup();
        for source in plan.sources.iter().filter_map(|id| program.logsources.get(*id as usize)) {
            plan.keywords.extend(source.keywords.filter(|column| source.watched.contains(column)));
            plan.unwitnessed.extend_from_slice(&source.unwitnessed);
        }
        plan
    }

    /// Finds out what the record's paths feed. Allocates only when the plan meets a path for the first time.
    pub(super) fn meet(&mut self, program: &Program, record: &Record) {
        for path in record.fields.paths() {
            if self.lists.get(path.index()).is_none_or(|list| *list == UNSEEN) {
                self.learn(program, path);
            }
        }
    }

    /// The columns with witnesses that a path feeds, which the plan has met.
    #[inline]
    pub(super) fn watched(&self, path: PathId) -> &[PlanFeed] {
        let list = self.lists.get(path.index()).copied().unwrap_or(NOTHING);
        self.feeds.get((list - NOTHING) as usize).map_or(&[], |feeds| feeds)
    }

    /// The paths that feed a column and on which level, of those that the plan has met.
    pub(super) fn feeding(&self, column: u32) -> &[(PathId, u8)] {
        self.by_column.get(&column).map_or(&[], Vec::as_slice)
    }

    #[cold]
    fn learn(&mut self, program: &Program, path: PathId) {
        if self.feeds.is_empty() {
            self.feeds.push(Box::default());
        }
        let sources: Vec<_> =
            self.sources.iter().filter_map(|id| program.logsources.get(*id as usize)).collect();
        let feeds: Vec<Feed> = program
            .tables
            .get(self.format)
            .into_iter()
            .flat_map(|table| table.feeds(path))
            .filter(|feed| feed.route == Feed::ANY_ROUTE || self.routes.contains(&feed.route))
            .collect();
        let is_asked = |wanted: &dyn Fn(&Source) -> bool| sources.iter().any(|source| wanted(source));
        for feed in feeds.iter().filter(|feed| is_asked(&|source| source.columns.contains(&feed.column))) {
            self.by_column.entry(feed.column).or_default().push((path, feed.level));
        }
        let watched: Box<[PlanFeed]> = feeds
            .iter()
            .filter(|feed| is_asked(&|source| source.watched.contains(&feed.column)))
            .map(|feed| PlanFeed { column: feed.column, level: feed.level })
            .collect();
        let list = if watched.is_empty() {
            NOTHING
        } else {
            self.feeds.push(watched);
            u32::try_from(self.feeds.len()).unwrap_or(NOTHING)
        };
        if self.lists.len() <= path.index() {
            self.lists.resize(path.index() + 1, UNSEEN);
        }
        if let Some(slot) = self.lists.get_mut(path.index()) {
            *slot = list;
        }
    }
}

/// The plans of one thread.
#[derive(Debug, Default)]
pub(super) struct Plans {
    known: Known,
    kinds: Kinds<usize>,
}

#[derive(Debug, Default)]
struct Known {
    plans: Vec<Plan>,
    by_routes: FxHashMap<(usize, Vec<u32>), usize>,
    /// Whether all older plans were given up since this was last asked.
    begun_anew: bool,
    routes: Vec<u32>,
    buffer: String,
}

impl Plans {
    /// The plan for a record.
    pub(super) fn of(&mut self, program: &Program, record: &Record) -> Option<&mut Plan> {
        let format = record.format.index();
        let watched = program.router.watched(format)?;
        let known = &mut self.known;
        let describe = |kind: &mut Vec<u8>| {
            kind.push(u8::try_from(format).unwrap_or(u8::MAX));
            kind.extend_from_slice(record.product.id.as_bytes());
            kind.push(0);
            watched.describe(&record.fields, kind);
        };
        let plan = self.kinds.decided(describe, || known.plan(program, format, record));
        if std::mem::take(&mut known.begun_anew) {
            self.kinds.clear();
        }
        known.plans.get_mut(plan)
    }
}

impl Known {
    /// The plan for the record's routes, found out from the record itself.
    fn plan(&mut self, program: &Program, format: usize, record: &Record) -> usize {
        let routes = &mut self.routes;
        routes.clear();
        program.router.route(record, &mut self.buffer, |route| {
            routes.push(u32::try_from(route).unwrap_or(u32::MAX));
        });
        routes.sort_unstable();
        routes.dedup();
        let key = (format, std::mem::take(routes));
        let plan = match self.by_routes.get(&key) {
            Some(plan) => *plan,
            None => {
                if self.plans.len() >= MAX_PLANS {
                    self.plans.clear();
                    self.by_routes.clear();
                    self.begun_anew = true;
                }
                self.plans.push(Plan::new(program, format, &key.1));
                self.by_routes.insert((format, key.1.clone()), self.plans.len() - 1);
                self.plans.len() - 1
            }
        };
        self.routes = key.1;
        plan
    }
}

//! What to do with a record of a kind: which logsources it belongs to, and which columns each of its paths feeds.
//!
//! The kind of a record is its format, product and the few values that routes depend on (channel, event id); most
//! records are of a kind seen before, whose plan is looked up in a fixed table. Plans belong to the set of routes, so
//! that kinds that mean the same share one. All of it is bounded: a sender of ever new kinds costs time, not memory.

use std::hash::Hasher;

use rustc_hash::{FxHashMap, FxHasher};
use wanglou_model::{Format, PathId, Record, Value};

use super::mapping::Feed;
use super::program::Program;
use super::router::Watch;

/// Places for kinds: a power of two. A kind has one place, by its hash, and the newest keeps it.
const PLACES: usize = 1_024;
/// Kinds described by more bytes are routed anew each time.
const MAX_KIND_BYTES: usize = 512;
/// More plans than any set of rules has use for; beyond it all are made anew.
const MAX_PLANS: usize = 512;

/// The plan for records of one set of routes, and what was learnt with them.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// The logsources.
    pub(super) sources: Vec<u32>,
    /// The columns of keywords.
    pub(super) keywords: Vec<u32>,
    /// Rules to look at whatever the record holds.
    pub(super) unwitnessed: Vec<u32>,
    /// By path index: the list of what it feeds.
    lists: Vec<u32>,
    feeds: Vec<Box<[PlanFeed]>>,
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
            plan.keywords.extend(source.keywords);
            plan.unwitnessed.extend_from_slice(&source.unwitnessed);
        }
        plan
    }

    /// The columns that a path feeds. Allocates only when the plan meets the path for the first time.
    #[inline]
    pub(super) fn feeds(&mut self, program: &Program, path: PathId) -> &[PlanFeed] {
        let list = self.lists.get(path.index()).copied().unwrap_or(UNSEEN);
        let list = if list == UNSEEN { self.learn(program, path) } else { list };
        self.feeds.get((list - NOTHING) as usize).map_or(&[], |feeds| feeds)
    }

    #[cold]
    fn learn(&mut self, program: &Program, path: PathId) -> u32 {
        if self.feeds.is_empty() {
            self.feeds.push(Box::default());
        }
        let sources: Vec<_> =
            self.sources.iter().filter_map(|id| program.logsources.get(*id as usize)).collect();
        let is_asked = |feed: &Feed| {
            (feed.route == Feed::ANY_ROUTE || self.routes.contains(&feed.route))
                && sources.iter().any(|source| source.columns.contains(&feed.column))
        };
        let feeds: Box<[PlanFeed]> = program
            .tables
            .get(self.format)
            .into_iter()
            .flat_map(|table| table.feeds(path))
            .filter(is_asked)
            .map(|feed| PlanFeed { column: feed.column, level: feed.level })
            .collect();
        let list = if feeds.is_empty() {
            NOTHING
        } else {
            self.feeds.push(feeds);
            u32::try_from(self.feeds.len()).unwrap_or(NOTHING)
        };
        if self.lists.len() <= path.index() {
            self.lists.resize(path.index() + 1, UNSEEN);
        }
        if let Some(slot) = self.lists.get_mut(path.index()) {
            *slot = list;
        }
        list
    }
}

/// The plans of one thread.
#[derive(Debug, Default)]
pub(super) struct Plans {
    plans: Vec<Plan>,
    by_routes: FxHashMap<(usize, Vec<u32>), usize>,
    /// By hash of a kind: its description and its plan.
    places: Vec<(Vec<u8>, usize)>,
    kind: Vec<u8>,
    routes: Vec<u32>,
    buffer: String,
}

impl Plans {
    /// The plan for a record.
    pub(super) fn of(&mut self, program: &Program, record: &Record) -> Option<&mut Plan> {
        let format = Format::ALL.iter().position(|format| *format == record.format)?;
        self.describe(program.router.watched(format), format, record);
        if self.kind.len() > MAX_KIND_BYTES {
            let plan = self.plan(program, format, record);
            return self.plans.get_mut(plan);
        }
        if self.places.is_empty() {
            self.places.resize_with(PLACES, Default::default);
        }
        let mut hasher = FxHasher::default();
        hasher.write(&self.kind);
        let place = usize::try_from(hasher.finish() % PLACES as u64).unwrap_or(0);
        let plan = match self.places.get(place) {
            Some((kind, plan)) if *kind == self.kind => *plan,
            _ => {
                let plan = self.plan(program, format, record);
                if let Some((kind, kept)) = self.places.get_mut(place) {
                    kind.clone_from(&self.kind);
                    *kept = plan;
                }
                plan
            }
        };
        self.plans.get_mut(plan)
    }

    /// Writes down all that the record's routes depend on.
    fn describe(&mut self, watched: &[Watch], format: usize, record: &Record) {
        let kind = &mut self.kind;
        kind.clear();
        kind.push(u8::try_from(format).unwrap_or(u8::MAX));
        let text = |kind: &mut Vec<u8>, text: &str| {
            kind.extend_from_slice(&text.len().to_le_bytes());
            kind.extend_from_slice(text.as_bytes());
        };
        text(kind, &record.product.id);
        for (position, path) in record.fields.paths().enumerate() {
            let watch = watched.get(path.index()).copied().unwrap_or_default();
            if watch == Watch::No {
                continue;
            }
            let Some(value) = record.fields.value_at(position).filter(|value| *value != Value::Null) else {
                continue;
            };
            kind.extend_from_slice(&path.index().to_le_bytes());
            if watch == Watch::Presence {
                continue;
            }
            match value {
                Value::Null => {}
                Value::Bool(flag) => kind.extend_from_slice(&[0, u8::from(flag)]),
                Value::Int(number) => {
                    kind.push(1);
                    kind.extend_from_slice(&number.to_le_bytes());
                }
                Value::UInt(number) => {
                    kind.push(2);
                    kind.extend_from_slice(&number.to_le_bytes());
                }
                Value::Float(number) => {
                    kind.push(3);
                    kind.extend_from_slice(&number.to_le_bytes());
                }
                Value::Str(value) => {
                    kind.push(4);
                    text(kind, value);
                }
            }
        }
    }

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
                    self.places.iter_mut().for_each(|(kind, _)| kind.clear());
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

//! Where the values of a rule's field stand in records.

use rustc_hash::FxHashMap;
use wanglou_model::{Format, PathId, Record, Value};

use crate::taxonomy::{Levels, PathPattern, Route, Taxonomy};

/// The number of a route within the engine.
pub(super) type RouteId = usize;

/// Where one field stands, for each format and, where routes rename it, for each route.
#[derive(Debug)]
pub(super) struct Mapping {
    pub(super) alternatives: Vec<Alternative>,
}

/// Where a field stands in records of a format (on a route).
#[derive(Debug)]
pub(super) struct Alternative {
    pub(super) format: Format,
    /// Holds only for records of this route; `None`: for all.
    pub(super) route: Option<RouteId>,
    pub(super) levels: Vec<Vec<Place>>,
}

/// A path, or a family of paths.
#[derive(Debug)]
pub(super) enum Place {
    Path(PathId),
    Wild(PathPattern),
}

impl Mapping {
    /// The mapping of a field for rules of these routes.
    pub(super) fn new(taxonomy: &Taxonomy, routes: &[Route], on: &[RouteId], field: &str) -> Self {
        let renamed = on.iter().any(|id| routes.get(*id).is_some_and(|route| route.renames(field)));
        let mut alternatives = Vec::new();
        if renamed {
            for id in on {
                let Some(route) = routes.get(*id) else { continue };
                for format in &route.formats {
                    let levels = taxonomy
                        .renamed(route, *format, field)
                        .unwrap_or_else(|| taxonomy.levels(*format, field));
                    alternatives.push(Alternative::new(*format, Some(*id), levels));
                }
            }
        } else {
            for format in Format::ALL {
                alternatives.push(Alternative::new(format, None, taxonomy.levels(format, field)));
            }
        }
        Self { alternatives }
    }

    /// The field's values in a record that belongs to the routes for which `is_active` holds, each with its path.
    pub(super) fn values<'r>(
        &self,
        record: &'r Record,
        is_active: &dyn Fn(RouteId) -> bool,
    ) -> Vec<(PathId, Value<'r>)> {
        let mut found = Vec::new();
        for alternative in &self.alternatives {
            if alternative.format != record.format || !alternative.route.is_none_or(is_active) {
                continue;
            }
            let level = alternative.levels.iter().find_map(|level| {
                let is_here = |path: PathId| level.iter().any(|place| place.is_match(path));
                let values: Vec<_> = record.fields.iter().filter(|(path, _)| is_here(*path)).collect();
                (!values.is_empty()).then_some(values)
            });
            found.extend(level.into_iter().flatten());
        }
        found
    }
}

impl Alternative {
    fn new(format: Format, route: Option<RouteId>, levels: Levels) -> Self {
        let place = |pattern: PathPattern| match pattern {
            PathPattern::Path(path) => Place::Path(PathId::reserve(&path)),
            wild => Place::Wild(wild),
        };
        let levels = levels.into_iter().map(|level| level.into_iter().map(place).collect()).collect();
        Self { format, route, levels }
    }
}

impl Place {
    fn is_match(&self, path: PathId) -> bool {
        match self {
            Self::Path(wanted) => *wanted == path,
            Self::Wild(pattern) => pattern.is_match(path.name()),
        }
    }
}

/// One column that a path feeds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Feed {
    pub(super) column: u32,
    pub(super) level: u8,
    /// Only for records of this route; [`Feed::ANY_ROUTE`]: for all.
    pub(super) route: u32,
}

impl Feed {
    pub(super) const ANY_ROUTE: u32 = u32::MAX;
}

/// For one format: which columns each path feeds.
#[derive(Debug, Default)]
pub(super) struct PathTable {
    by_path: FxHashMap<PathId, Vec<Feed>>,
    wild: Vec<(PathPattern, Feed)>,
}

impl PathTable {
    pub(super) fn for_format(format: Format, columns: &[&Mapping]) -> Self {
        let mut table = Self::default();
        for (column, mapping) in (0_u32..).zip(columns) {
            for alternative in mapping.alternatives.iter().filter(|alternative| alternative.format == format)
            {
                let route =
                    alternative.route.and_then(|id| u32::try_from(id).ok()).unwrap_or(Feed::ANY_ROUTE);
                for (level, places) in (0_u8..).zip(&alternative.levels) {
                    let feed = Feed { column, level, route };
                    for place in places {
                        match place {
                            Place::Path(path) => table.by_path.entry(*path).or_default().push(feed),
                            Place::Wild(pattern) => table.wild.push((pattern.clone(), feed)),
                        }
                    }
                }
            }
        }
        table
    }

    /// The columns that a path feeds. Slow: asked once for each path that a plan meets.
    pub(super) fn feeds(&self, path: PathId) -> impl Iterator<Item = Feed> {
        let name = path.name();
        let wild = self.wild.iter().filter(move |(pattern, _)| pattern.is_match(name));
        self.by_path.get(&path).into_iter().flatten().copied().chain(wild.map(|(_, feed)| *feed))
    }
}

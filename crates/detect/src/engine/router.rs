//! Which logsources a record belongs to.
//!
//! Each route's conditions are looked up by one of their values (the one that fewest routes share, such as the event
//! id), so that a record meets only the few routes that it may belong to.

use rustc_hash::FxHashMap;
use wanglou_model::{Format, PathId, Record, Value, Watch, Watched};

use super::mapping::RouteId;
use crate::taxonomy::{FieldTest, PathPattern, Route, Taxonomy};
use crate::text::fold_into;

/// All routes, indexed.
#[derive(Debug)]
pub(super) struct Router {
    formats: Vec<FormatRoutes>,
}

#[derive(Debug, Default)]
struct FormatRoutes {
    indices: Vec<Index>,
    /// Routes that no value points to.
    always: Vec<Checked>,
    /// What the routes depend on, besides the product.
    watched: Watched,
}

/// The routes by the value of one field.
#[derive(Debug)]
struct Index {
    paths: Vec<PathId>,
    routes: FxHashMap<String, Vec<Checked>>,
}

/// A route and what must hold for it.
#[derive(Clone, Debug)]
struct Checked {
    route: RouteId,
    products: Vec<String>,
    checks: Vec<Check>,
}

#[derive(Clone, Debug)]
struct Check {
    paths: Vec<PathId>,
    test: FieldTest,
}

impl Router {
    pub(super) fn new(taxonomy: &Taxonomy, routes: &[Route]) -> Self {
        Self {
            formats: Format::ALL.iter().map(|format| FormatRoutes::new(taxonomy, routes, *format)).collect(),
        }
    }

    /// What the routes of a format depend on, besides the product.
    pub(super) fn watched(&self, format: usize) -> Option<&Watched> {
        self.formats.get(format).map(|format| &format.watched)
    }

    /// Calls `found` for each route that a record belongs to.
    pub(super) fn route(&self, record: &Record, buffer: &mut String, mut found: impl FnMut(RouteId)) {
        let Some(routes) = self.formats.get(record.format.index()) else { return };
        let mut check = |candidate: &Checked| {
            if candidate.holds(record) {
                found(candidate.route);
            }
        };
        routes.always.iter().for_each(&mut check);
        for index in &routes.indices {
            for path in &index.paths {
                for value in record.fields.get_all(*path) {
                    buffer.clear();
                    append_folded(value, buffer);
                    if let Some(candidates) = index.routes.get(buffer.as_str()) {
                        candidates.iter().for_each(&mut check);
                    }
                }
            }
        }
    }
}

impl FormatRoutes {
    fn new(taxonomy: &Taxonomy, routes: &[Route], format: Format) -> Self {
        let checked: Vec<Checked> = routes
            .iter()
            .enumerate()
            .filter(|(_, route)| route.formats.contains(&format))
            .map(|(id, route)| Checked::new(taxonomy, id, route, format))
            .collect();
        let mut sharing: FxHashMap<(&[PathId], &str), usize> = FxHashMap::default();
        for (paths, value) in checked.iter().flat_map(Checked::values) {
            *sharing.entry((paths, value)).or_default() += 1;
        }
        let mut by_paths: FxHashMap<Vec<PathId>, FxHashMap<String, Vec<Checked>>> = FxHashMap::default();
        let mut always = Vec::new();
        for candidate in &checked {
            let most_shared = |check: &&Check| {
                let counts = check
                    .values()
                    .map(|value| sharing.get(&(check.paths.as_slice(), value)).copied().unwrap_or(0));
                counts.max().unwrap_or(usize::MAX)
            };
            let Some(rarest) = candidate
                .checks
                .iter()
                .filter(|check| check.values().next().is_some())
                .min_by_key(most_shared)
            else {
                always.push(candidate.clone());
                continue;
            };
            for value in rarest.values() {
                let index = by_paths.entry(rarest.paths.clone()).or_default();
                index.entry(value.to_owned()).or_default().push(candidate.clone());
            }
        }
        let indices = by_paths.into_iter().map(|(paths, routes)| Index { paths, routes }).collect();
        let mut watched = Watched::default();
        for check in checked.iter().flat_map(|route| &route.checks) {
            let watch = match check.test {
                FieldTest::Exists(_) => Watch::Presence,
                _ => Watch::Value,
            };
            check.paths.iter().for_each(|path| watched.add(*path, watch));
        }
        Self { indices, always, watched }
    }
}

impl Checked {
    fn new(taxonomy: &Taxonomy, id: RouteId, route: &Route, format: Format) -> Self {
        let paths = |field: &str| {
            let places = taxonomy.levels(format, field).into_iter().flatten();
            places
                .filter_map(|place| match place {
                    PathPattern::Path(path) => Some(PathId::reserve(&path)),
                    PathPattern::Wild { .. } => None,
                })
                .collect()
        };
        let checks = route
            .conditions
            .iter()
            .map(|condition| Check { paths: paths(&condition.field), test: condition.test.clone() })
            .collect();
        Self { route: id, products: route.products.clone(), checks }
    }

    fn values(&self) -> impl Iterator<Item = (&[PathId], &str)> {
        self.checks.iter().flat_map(|check| check.values().map(|value| (check.paths.as_slice(), value)))
    }

    fn holds(&self, record: &Record) -> bool {
        (self.products.is_empty() || self.products.contains(&record.product.id))
            && self.checks.iter().all(|check| check.holds(record))
    }
}

impl Check {
    fn values(&self) -> impl Iterator<Item = &str> {
        let values = match &self.test {
            FieldTest::OneOf(values) => values.as_slice(),
            _ => &[],
        };
        values.iter().map(String::as_str)
    }

    fn holds(&self, record: &Record) -> bool {
        let mut values = self.paths.iter().flat_map(|path| record.fields.get_all(*path));
        match &self.test {
            FieldTest::Exists(exists) => values.any(|value| value != Value::Null) == *exists,
            FieldTest::OneOf(wanted) => values.any(|value| wanted.iter().any(|text| equals(value, text))),
            FieldTest::StartsWith(wanted) => values.any(|value| {
                let Value::Str(text) = value else { return false };
                wanted.iter().any(|prefix| {
                    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
                })
            }),
            FieldTest::Contains(wanted) => values.any(|value| {
                let Value::Str(text) = value else { return false };
                let text = crate::text::fold(text);
                wanted.iter().any(|part| text.contains(part.as_str()))
            }),
        }
    }
}

fn equals(value: Value<'_>, wanted: &str) -> bool {
    match value {
        Value::Str(text) => text.eq_ignore_ascii_case(wanted),
        Value::Int(number) => wanted.parse() == Ok(number),
        Value::UInt(number) => wanted.parse() == Ok(number),
        Value::Bool(flag) => wanted.parse() == Ok(flag),
        Value::Null | Value::Float(_) => false,
    }
}

/// Appends a value's text, folded. Null is no text.
pub(super) fn append_folded(value: Value<'_>, out: &mut String) {
    use std::fmt::Write;
    let written = match value {
        Value::Null => Ok(()),
        Value::Bool(flag) => write!(out, "{flag}"),
        Value::Int(number) => {
            append_whole(number < 0, number.unsigned_abs(), out);
            Ok(())
        }
        Value::UInt(number) => {
            append_whole(false, number, out);
            Ok(())
        }
        Value::Float(number) => write!(out, "{number}"),
        Value::Str(text) => {
            fold_into(text, out);
            Ok(())
        }
    };
    debug_assert!(written.is_ok(), "writing to a String does not fail");
}

/// Appends a whole number: nearly every record has some, and the formatting machinery is slow.
fn append_whole(is_negative: bool, number: u64, out: &mut String) {
    if is_negative {
        out.push('-');
    }
    let mut scale = 1;
    while number / scale >= 10 {
        scale *= 10;
    }
    while scale > 0 {
        let digit = u8::try_from(number / scale % 10).unwrap_or(0);
        out.push(char::from(b'0' + digit));
        scale /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_written_as_usual() {
        for number in [0, 7, 10, 99, 100, -1, -10, 4_688, i64::MAX, i64::MIN] {
            let mut text = String::new();
            append_folded(Value::Int(number), &mut text);
            assert_eq!(text, number.to_string());
        }
        let mut text = String::new();
        append_folded(Value::UInt(u64::MAX), &mut text);
        assert_eq!(text, u64::MAX.to_string());
    }
}

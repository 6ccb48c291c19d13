//! The program that all rules are compiled into: columns, items that rules share, and conditions over items.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use wanglou_model::Format;

use super::column::{Column, ColumnBuilder, ItemId};
use super::item::Item;
use super::mapping::{Mapping, PathTable, RouteId};
use super::router::Router;
use super::witness::{Popularity, likelihood, witnesses};
use crate::sigma::{Detection, Expr, Logsource, Pattern, Test, Written};
use crate::taxonomy::{Route, Taxonomy};

/// The compiled form of all detection rules.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) router: Router,
    pub(super) tables: Vec<PathTable>,
    /// By column: the questions whose answers make rules candidates.
    pub(super) columns: Vec<Column>,
    /// By column: the questions that only candidates ask, too many or too slow to be asked one by one.
    pub(super) others: Vec<Column>,
    /// How many literals the columns have together.
    pub(super) literals: usize,
    pub(super) mappings: Vec<Mapping>,
    pub(super) items: Vec<Item>,
    pub(super) logsources: Vec<Source>,
    /// By route: the logsources that it belongs to.
    pub(super) routes: Vec<Vec<u32>>,
    /// By route: the logsource that its records belong to, for people.
    pub(super) route_names: Vec<String>,
    pub(super) rules: Vec<Body>,
}

/// A logsource that rules name.
#[derive(Debug, Default)]
pub(super) struct Source {
    pub(super) routes: Vec<RouteId>,
    /// Columns of named fields.
    pub(super) columns: Vec<u32>,
    /// Those of them with witnesses of its rules.
    pub(super) watched: Vec<u32>,
    /// The column of keywords, which reads every value of the record.
    pub(super) keywords: Option<u32>,
    /// Rules that may match although nothing they ask for is there.
    pub(super) unwitnessed: Vec<u32>,
}

/// A rule.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) logsource: u32,
    pub(super) condition: Vec<Op>,
    /// As parsed, for explanations.
    pub(super) detection: Detection,
    /// By item of the detection: its number in the program.
    items: Vec<ItemId>,
    /// By item of the detection: its column.
    pub(super) columns: Vec<u32>,
    /// The columns of the fields that others are compared with.
    pub(super) compared: Vec<(Arc<str>, u32)>,
}

/// One step of a condition, in prefix order; `end` is the step after the operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    And { end: u32 },
    Or { end: u32 },
    Not,
    Item(ItemId),
}

/// Whether two fields share a column: the same name with the same meaning.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum ColumnKey {
    /// A field that no route of the rule's logsource renames, apart by product to keep automata small.
    Plain(String, String),
    Renamed(Vec<RouteId>, String),
    Keywords(u32),
}

/// What an item asks: of which column which tests, each with the column that it compares with.
type Question = (u32, Vec<(Test, Option<u32>)>);

/// Gathers rules.
pub(super) struct ProgramBuilder<'t> {
    taxonomy: &'t Taxonomy,
    routes: Vec<Route>,
    sources: Vec<Source>,
    source_ids: FxHashMap<Logsource, u32>,
    column_ids: FxHashMap<ColumnKey, u32>,
    mappings: Vec<Mapping>,
    items: Vec<Item>,
    item_ids: FxHashMap<Question, ItemId>,
    popularity: Popularity,
    rules: Vec<Body>,
}

impl<'t> ProgramBuilder<'t> {
    pub(super) fn new(taxonomy: &'t Taxonomy) -> Self {
        Self {
            taxonomy,
            routes: taxonomy.routes().to_vec(),
            sources: Vec::new(),
            source_ids: FxHashMap::default(),
            column_ids: FxHashMap::default(),
            mappings: Vec::new(),
            items: Vec::new(),
            item_ids: FxHashMap::default(),
            popularity: Popularity::default(),
            rules: Vec::new(),
        }
    }

    /// Whether the taxonomy knows the logsource.
    pub(super) fn knows(&self, logsource: &Logsource) -> bool {
        !self.taxonomy.routes_of(logsource).is_empty()
    }

    /// Adds a rule.
    pub(super) fn add(&mut self, logsource: &Logsource, mut detection: Detection) {
        let source = self.source(logsource);
        self.add_aliases(source, &mut detection);
        let mut columns = Vec::with_capacity(detection.items.len());
        let mut compared = Vec::new();
        let mut items = Vec::with_capacity(detection.items.len());
        for item in &detection.items {
            let column = self.column(source, logsource, item.field.as_deref());
            columns.push(column);
            items.push(self.item(source, logsource, column, item, &mut compared));
        }
        self.popularity.add(&detection, &columns);
        self.rules.push(Body {
            logsource: source,
            condition: Vec::new(),
            detection,
            items,
            columns,
            compared,
        });
    }

    /// Chooses each rule's witnesses and the order of its condition. Needs all rules, for what is rare is seen from
    /// all of them.
    fn order(&mut self) {
        for (number, body) in (0_u32..).zip(&mut self.rules) {
            let items = body.detection.items.iter().zip(&body.columns);
            let frequencies: Vec<u64> =
                items.map(|(item, column)| self.popularity.frequency(item, *column)).collect();
            flatten(&body.detection.condition, &body.items, &frequencies, &mut body.condition);
            let Some((_, witnesses)) = witnesses(&body.detection.condition, &frequencies) else {
                if let Some(source) = self.sources.get_mut(body.logsource as usize) {
                    source.unwitnessed.push(number);
                }
                continue;
            };
            for witness in witnesses {
                let Some(item) = body.items.get(witness).and_then(|id| self.items.get_mut(*id as usize))
                else {
                    continue;
                };
                item.witness(body.logsource, number);
                let source = self.sources.get_mut(body.logsource as usize);
                if let Some(source) = source.filter(|source| !source.watched.contains(&item.column)) {
                    source.watched.push(item.column);
                }
            }
        }
    }

    /// The column of a field for rules of a logsource: for correlations, which read fields that no rule asks about.
    pub(super) fn field(&mut self, rule: u32, field: &str) -> Option<u32> {
        let source = self.rules.get(rule as usize)?.logsource;
        let logsource =
            self.source_ids.iter().find(|(_, id)| **id == source).map(|(logsource, _)| logsource.clone())?;
        Some(self.column(source, &logsource, Some(field)))
    }

    fn source(&mut self, logsource: &Logsource) -> u32 {
        if let Some(id) = self.source_ids.get(logsource) {
            return *id;
        }
        let id = number(self.sources.len());
        let mut routes = self.taxonomy.routes_of(logsource);
        if routes.is_empty() {
            routes.push(self.routes.len());
            self.routes.push(Route::by_product(logsource));
        }
        self.sources.push(Source { routes, ..Source::default() });
        self.source_ids.insert(logsource.clone(), id);
        id
    }

    fn column(&mut self, source: u32, logsource: &Logsource, field: Option<&str>) -> u32 {
        let routes =
            self.sources.get(source as usize).map(|source| source.routes.clone()).unwrap_or_default();
        let renamed =
            |field: &str| routes.iter().any(|id| self.routes.get(*id).is_some_and(|r| r.renames(field)));
        let key = match field {
            None => ColumnKey::Keywords(source),
            Some(field) if renamed(field) => ColumnKey::Renamed(routes.clone(), field.to_owned()),
            Some(field) => {
                let family = logsource.product.as_ref().or(logsource.category.as_ref());
                ColumnKey::Plain(family.cloned().unwrap_or_default(), field.to_owned())
            }
        };
        let id = match self.column_ids.get(&key) {
            Some(id) => *id,
            None => {
                let id = number(self.mappings.len());
                self.mappings.push(match field {
                    Some(field) => Mapping::new(self.taxonomy, &self.routes, &routes, field),
                    None => Mapping { alternatives: Vec::new() },
                });
                self.column_ids.insert(key, id);
                id
            }
        };
        if let Some(source) = self.sources.get_mut(source as usize) {
            match field {
                None => source.keywords = Some(id),
                Some(_) if !source.columns.contains(&id) => source.columns.push(id),
                Some(_) => {}
            }
        }
        id
    }

    fn item(
        &mut self,
        source: u32,
        logsource: &Logsource,
        column: u32,
        item: &crate::sigma::Item,
        compared: &mut Vec<(Arc<str>, u32)>,
    ) -> ItemId {
        let tests = item.tests.iter().map(|written| {
            let other = match &written.test {
                Test::SameAs { field, .. } => {
                    let other = self.column(source, logsource, Some(field));
                    compared.push((Arc::clone(field), other));
                    Some(other)
                }
                _ => None,
            };
            (written.test.clone(), other)
        });
        let key: Question = (column, tests.collect());
        if let Some(id) = self.item_ids.get(&key) {
            return *id;
        }
        let id = number(self.items.len());
        self.items.push(Item::new(column));
        self.item_ids.insert(key, id);
        id
    }

    /// Adds the forms that a logsource's own records give to the values.
    fn add_aliases(&self, source: u32, detection: &mut Detection) {
        let Some(source) = self.sources.get(source as usize) else { return };
        for item in &mut detection.items {
            let Some(field) = &item.field else { continue };
            let mut more = Vec::new();
            for written in &item.tests {
                let Test::Text { pattern, cased: false } = &written.test else { continue };
                let Some(value) = pattern.plain() else { continue };
                let routes = source.routes.iter().filter_map(|id| self.routes.get(*id));
                more.extend(routes.filter_map(|route| route.value_of(field, value)).map(|alias| {
                    let pattern = Pattern::literal(&crate::text::fold(alias));
                    Written { test: Test::Text { pattern, cased: false }, value: written.value.clone() }
                }));
            }
            item.tests.extend(more);
        }
    }

    /// Hands each item's tests to those who will run them: a witness to its column, of the others what is cheap to the
    /// item itself.
    fn arrange(&mut self) -> (Vec<ColumnBuilder>, Vec<ColumnBuilder>) {
        let mut all: [Vec<ColumnBuilder>; 2] = Default::default();
        all.iter_mut().for_each(|columns| columns.resize_with(self.mappings.len(), ColumnBuilder::default));
        let [mut columns, mut others] = all;
        for ((column, tests), id) in std::mem::take(&mut self.item_ids) {
            let Some(item) = self.items.get_mut(id as usize) else { continue };
            let columns = if item.is_witness() { &mut columns } else { &mut others };
            if let Some(column) = columns.get_mut(column as usize) {
                item.arrange(id, tests, column);
            }
        }
        (columns, others)
    }

    /// The program.
    pub(super) fn build(mut self) -> Program {
        self.order();
        let mut routes = vec![Vec::new(); self.routes.len()];
        for (id, source) in (0_u32..).zip(&self.sources) {
            for route in &source.routes {
                if let Some(sources) = routes.get_mut(*route) {
                    sources.push(id);
                }
            }
        }
        let (columns, others) = self.arrange();
        let mappings: Vec<&Mapping> = self.mappings.iter().collect();
        let mut literals = 0;
        let mut build = |columns: Vec<ColumnBuilder>| -> Vec<Column> {
            let build = |column: ColumnBuilder| {
                let column = column.build(literals);
                literals += column.literals();
                column
            };
            columns.into_iter().map(build).collect()
        };
        let (columns, others) = (build(columns), build(others));
        Program {
            route_names: self.routes.iter().map(|route| route.logsource.to_string()).collect(),
            router: Router::new(self.taxonomy, &self.routes),
            tables: Format::ALL.iter().map(|format| PathTable::for_format(*format, &mappings)).collect(),
            columns,
            others,
            literals: literals as usize,
            mappings: self.mappings,
            items: self.items,
            logsources: self.sources,
            routes,
            rules: self.rules,
        }
    }
}

impl Program {
    /// Whether a column is read by keywords: by all values of the record.
    pub(super) fn is_keywords(&self, column: u32) -> bool {
        self.mappings.get(column as usize).is_some_and(|mapping| mapping.alternatives.is_empty())
    }
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// Writes an expression in prefix order; of a conjunction what is least likely to hold first, of a disjunction what is
/// most likely to.
fn flatten(expr: &Expr, items: &[ItemId], frequencies: &[u64], ops: &mut Vec<Op>) {
    match expr {
        Expr::Item(item) => ops.push(Op::Item(items.get(*item).copied().unwrap_or(ItemId::MAX))),
        Expr::Not(part) => {
            ops.push(Op::Not);
            flatten(part, items, frequencies, ops);
        }
        Expr::And(parts) | Expr::Or(parts) => {
            let is_and = matches!(expr, Expr::And(_));
            let mut order: Vec<(u64, &Expr)> =
                parts.iter().map(|part| (likelihood(part, frequencies), part)).collect();
            order.sort_by_key(|(likelihood, _)| if is_and { *likelihood } else { u64::MAX - likelihood });
            let at = ops.len();
            ops.push(Op::And { end: 0 });
            for (_, part) in order {
                flatten(part, items, frequencies, ops);
            }
            let end = number(ops.len());
            if let Some(op) = ops.get_mut(at) {
                *op = if is_and { Op::And { end } } else { Op::Or { end } };
            }
        }
    }
}

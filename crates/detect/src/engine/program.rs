//! The program that all rules are compiled into: columns, items that rules share, and conditions over items.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use wanglou_model::Format;

use super::column::{Column, ColumnBuilder, ItemId};
use super::mapping::{Mapping, PathTable, RouteId};
use super::router::Router;
use crate::sigma::{Detection, Expr, Logsource, Pattern, Piece, Shape, Test, Written};
use crate::taxonomy::{Route, Taxonomy};

/// The compiled form of all detection rules.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) router: Router,
    pub(super) tables: Vec<PathTable>,
    pub(super) columns: Vec<Column>,
    pub(super) mappings: Vec<Mapping>,
    pub(super) items: Vec<Item>,
    pub(super) logsources: Vec<Source>,
    /// By route: the logsources that it belongs to.
    pub(super) routes: Vec<Vec<u32>>,
    pub(super) rules: Vec<Body>,
}

/// A logsource that rules name.
#[derive(Debug, Default)]
pub(super) struct Source {
    pub(super) routes: Vec<RouteId>,
    /// Columns of named fields.
    pub(super) columns: Vec<u32>,
    /// The column of keywords, which reads every value of the record.
    pub(super) keywords: Option<u32>,
    /// Rules that may match although nothing they ask for is there.
    pub(super) unwitnessed: Vec<u32>,
}

/// A question that one or several rules ask.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) column: u32,
    /// Tests to run on demand, with the column of the field that they compare with.
    pub(super) on_demand: Vec<(Test, Option<u32>)>,
    /// Rules that cannot match unless one of their witnesses, such as this item, holds: (logsource, rule).
    pub(super) witness_of: Vec<(u32, u32)>,
}

/// A rule.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) logsource: u32,
    pub(super) condition: Vec<Op>,
    /// As parsed, for explanations.
    pub(super) detection: Detection,
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
    columns: Vec<ColumnBuilder>,
    column_ids: FxHashMap<ColumnKey, u32>,
    mappings: Vec<Mapping>,
    items: Vec<Item>,
    item_ids: FxHashMap<Question, ItemId>,
    rules: Vec<Body>,
}

impl<'t> ProgramBuilder<'t> {
    pub(super) fn new(taxonomy: &'t Taxonomy) -> Self {
        Self {
            taxonomy,
            routes: taxonomy.routes().to_vec(),
            sources: Vec::new(),
            source_ids: FxHashMap::default(),
            columns: Vec::new(),
            column_ids: FxHashMap::default(),
            mappings: Vec::new(),
            items: Vec::new(),
            item_ids: FxHashMap::default(),
            rules: Vec::new(),
        }
    }

    /// Whether the taxonomy knows the logsource.
    pub(super) fn knows(&self, logsource: &Logsource) -> bool {
        !self.taxonomy.routes_of(logsource).is_empty()
    }

    /// Adds a rule.
    pub(super) fn add(&mut self, logsource: &Logsource, mut detection: Detection) {
        let rule = number(self.rules.len());
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
        let mut condition = Vec::new();
        flatten(&detection.condition, &items, &mut condition);
        match witnesses(&detection.condition, &detection) {
            Some((_, mut witnesses)) => {
                witnesses.sort_unstable();
                witnesses.dedup();
                for witness in witnesses {
                    let item = items.get(witness).and_then(|id| self.items.get_mut(*id as usize));
                    if let Some(item) = item
                        && item.witness_of.last() != Some(&(source, rule))
                    {
                        item.witness_of.push((source, rule));
                    }
                }
            }
            None => {
                if let Some(source) = self.sources.get_mut(source as usize) {
                    source.unwitnessed.push(rule);
                }
            }
        }
        self.rules.push(Body { logsource: source, condition, detection, columns, compared });
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
                let id = number(self.columns.len());
                self.columns.push(ColumnBuilder::default());
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
        let mut on_demand = Vec::new();
        for (test, other) in &key.1 {
            if self.columns.get_mut(column as usize).is_some_and(|column| column.add(test, id)) {
                on_demand.push((test.clone(), *other));
            }
        }
        self.items.push(Item { column, on_demand, witness_of: Vec::new() });
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

    /// The program, and what kept columns from being built: literals beyond what an automaton can number, which takes
    /// gigabytes of rules.
    pub(super) fn build(self) -> (Program, Vec<aho_corasick::BuildError>) {
        let mut routes = vec![Vec::new(); self.routes.len()];
        for (id, source) in (0_u32..).zip(&self.sources) {
            for route in &source.routes {
                if let Some(sources) = routes.get_mut(*route) {
                    sources.push(id);
                }
            }
        }
        let mappings: Vec<&Mapping> = self.mappings.iter().collect();
        let mut errors = Vec::new();
        let mut build = |column: ColumnBuilder| {
            column.build().unwrap_or_else(|error| {
                errors.push(error);
                Column::default()
            })
        };
        let columns = self.columns.into_iter().map(&mut build).collect();
        let program = Program {
            router: Router::new(self.taxonomy, &self.routes),
            tables: Format::ALL.iter().map(|format| PathTable::for_format(*format, &mappings)).collect(),
            columns,
            mappings: self.mappings,
            items: self.items,
            logsources: self.sources,
            routes,
            rules: self.rules,
        };
        (program, errors)
    }
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// Writes an expression in prefix order.
fn flatten(expr: &Expr, items: &[ItemId], ops: &mut Vec<Op>) {
    match expr {
        Expr::Item(item) => ops.push(Op::Item(items.get(*item).copied().unwrap_or(ItemId::MAX))),
        Expr::Not(part) => {
            ops.push(Op::Not);
            flatten(part, items, ops);
        }
        Expr::And(parts) | Expr::Or(parts) => {
            let at = ops.len();
            ops.push(Op::And { end: 0 });
            for part in parts {
                flatten(part, items, ops);
            }
            let end = number(ops.len());
            if let Some(op) = ops.get_mut(at) {
                *op = if matches!(expr, Expr::And(_)) { Op::And { end } } else { Op::Or { end } };
            }
        }
    }
}

/// Items of which one must hold for the expression to be true, and how often one is likely to; `None` when the
/// expression may be true while none holds.
fn witnesses(expr: &Expr, detection: &Detection) -> Option<(u64, Vec<usize>)> {
    match expr {
        Expr::Item(item) => Some((detection.items.get(*item).map_or(u64::MAX, frequency), vec![*item])),
        Expr::Not(_) => None,
        Expr::And(parts) => {
            parts.iter().filter_map(|part| witnesses(part, detection)).min_by_key(|(cost, _)| *cost)
        }
        Expr::Or(parts) => parts.iter().map(|part| witnesses(part, detection)).try_fold(
            (0_u64, Vec::new()),
            |(cost, mut items), part| {
                let (more, others) = part?;
                items.extend(others);
                Some((cost.saturating_add(more), items))
            },
        ),
    }
}

/// A guess of how often an item holds, by the kind and length of what it asks for.
fn frequency(item: &crate::sigma::Item) -> u64 {
    const COMMON: u64 = 10_000;
    let literal = |text: &str| 1 + (1_u64 << 12 >> text.len().min(12));
    let test = |test: &Test| match test {
        Test::Text { pattern, .. } => match pattern.shape() {
            // A number is an event id or a flag, which many events share.
            Shape::Exact(text) if text.len() <= 5 => 200,
            Shape::Exact(_) => 20,
            Shape::Prefix(text) | Shape::Suffix(text) | Shape::Contains(text) => literal(text),
            Shape::Anything => COMMON,
            Shape::Glob => {
                let lengths = pattern.pieces().iter().map(|piece| match piece {
                    Piece::Literal(text) => text.len(),
                    Piece::Any | Piece::One | Piece::Dash => 0,
                });
                1 + (1 << 12 >> lengths.max().unwrap_or(0).min(12))
            }
        },
        Test::Regex(regex) => {
            let set = regex.required();
            if set.is_empty() { COMMON } else { set.iter().map(|text| literal(text)).sum() }
        }
        Test::Cidr(_) | Test::Number { .. } => 1_000,
        Test::Present | Test::NotNull | Test::Time { .. } | Test::SameAs { .. } => COMMON,
    };
    item.tests.iter().map(|written| test(&written.test)).fold(0, u64::saturating_add)
}

//! A question that one or several rules ask of a field, and how it is answered.
//!
//! Witnesses, without which their rules cannot match, are looked out for in every value. All other items are asked
//! about only by conditions of candidates: what is cheap is then tried one test after the other, what is not is found
//! out for the whole column in one pass.

use super::column::{ColumnBuilder, ItemId};
use crate::sigma::{Shape, Test};

/// A test, with the column of the field that it compares with.
pub(super) type Asked = (Test, Option<u32>);

/// How an item that is no witness is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// By its column, which looks for the literals of many items in one pass.
    Column,
    /// By running its tests, whose cost does not grow with the value.
    Tests,
    /// By running its tests if the values are short, else by its column.
    TestsIfShort,
}

/// Tests that are run one by one; of more, a column finds those that hold sooner.
const MAX_TESTS: usize = 8;
const MAX_SEARCHES: usize = 3;

#[derive(Debug)]
pub(super) struct Item {
    pub(super) column: u32,
    pub(super) way: Way,
    /// Tests that the item runs itself.
    pub(super) tests: Vec<Asked>,
    /// Tests to run when a column says that the item may hold.
    pub(super) on_demand: Vec<Asked>,
    /// Rules that cannot match unless one of their witnesses, such as this item, holds, by logsource.
    pub(super) witness_of: Vec<(u32, Vec<u32>)>,
}

impl Item {
    pub(super) fn new(column: u32) -> Self {
        Self { column, way: Way::Column, tests: Vec::new(), on_demand: Vec::new(), witness_of: Vec::new() }
    }

    pub(super) fn is_witness(&self) -> bool {
        !self.witness_of.is_empty()
    }

    pub(super) fn witness(&mut self, logsource: u32, rule: u32) {
        match self.witness_of.iter_mut().find(|(source, _)| *source == logsource) {
            Some((_, rules)) if rules.last() == Some(&rule) => {}
            Some((_, rules)) => rules.push(rule),
            None => self.witness_of.push((logsource, vec![rule])),
        }
    }

    /// Takes its tests, and hands them to its column if that has to answer.
    pub(super) fn arrange(&mut self, id: ItemId, tests: Vec<Asked>, column: &mut ColumnBuilder) {
        self.way = if self.is_witness() { Way::Column } else { way(&tests) };
        if self.way != Way::Tests {
            let on_demand = |(test, _): &&Asked| column.add(test, id);
            self.on_demand = tests.iter().filter(on_demand).cloned().collect();
        }
        if self.way != Way::Column {
            self.tests = tests;
        }
    }
}

fn way(tests: &[Asked]) -> Way {
    let is_search = |(test, _): &&Asked| match test {
        Test::Text { pattern, .. } => matches!(pattern.shape(), Shape::Contains(_) | Shape::Glob),
        Test::Regex(_) => true,
        _ => false,
    };
    let has_regex = tests.iter().any(|(test, _)| matches!(test, Test::Regex(_)));
    match tests.iter().filter(is_search).count() {
        _ if tests.len() > MAX_TESTS || has_regex => Way::Column,
        0 => Way::Tests,
        1..=MAX_SEARCHES => Way::TestsIfShort,
        _ => Way::Column,
    }
}

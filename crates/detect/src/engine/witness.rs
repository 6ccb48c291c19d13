//! Which items of a rule are looked out for: those without which it cannot match and which hold most rarely.
//!
//! How often an item holds in data that is not there yet is guessed from its kind and length, and from the rules
//! themselves: what many rules name (`\powershell.exe`) is common, for rules combine what is common with what is not.

use rustc_hash::FxHashMap;

use super::everyday::EVERYDAY;
use crate::sigma::{Detection, Expr, Item, Piece, Shape, Test};

/// What holds for nearly every record of its logsource.
const COMMON: u64 = 10_000;
/// How much more often than by itself a literal is thought to be met for each further rule that names it.
const PER_RULE: u64 = 8;

/// How many rules name each literal, by column.
#[derive(Debug, Default)]
pub(super) struct Popularity {
    rules: FxHashMap<(u32, String), u64>,
}

impl Popularity {
    /// Takes in a rule, its items with their columns.
    pub(super) fn add(&mut self, detection: &Detection, columns: &[u32]) {
        let mut named: Vec<(u32, &str)> = Vec::new();
        for (item, column) in detection.items.iter().zip(columns) {
            let literals = item.tests.iter().filter_map(|written| literal(&written.test));
            named.extend(literals.map(|literal| (*column, literal)));
        }
        named.sort_unstable();
        named.dedup();
        for (column, literal) in named {
            *self.rules.entry((column, literal.to_owned())).or_default() += 1;
        }
    }

    fn of(&self, column: u32, literal: &str) -> u64 {
        let rules = self.rules.get(&(column, literal.to_owned())).copied().unwrap_or(1);
        PER_RULE * rules.saturating_sub(1)
    }

    /// A guess of how often an item holds.
    pub(super) fn frequency(&self, item: &Item, column: u32) -> u64 {
        let by_len = |text: &str| match EVERYDAY.iter().any(|everyday| everyday.contains(text)) {
            true => COMMON / 4,
            false => 1 + (1_u64 << 12 >> text.len().min(12)),
        };
        // A word by itself is one of a few that the field takes: `Valid`, `Microsoft Corporation`, `true`.
        let is_word =
            |text: &str| text.len() <= 24 && text.bytes().all(|b| b.is_ascii_alphabetic() || b == b' ');
        let test = |test: &Test| match test {
            Test::Text { pattern, .. } => match pattern.shape() {
                // A number is an event id or a flag, which many events share.
                Shape::Exact(text) if text.len() <= 5 => 200 + self.of(column, text),
                Shape::Exact(text) if is_word(text) => 400 + self.of(column, text),
                Shape::Exact(text) => 20 + self.of(column, text),
                // Most paths begin in a few places.
                Shape::Prefix(text) => 50 + by_len(text) + 2 * self.of(column, text),
                Shape::Suffix(text) | Shape::Contains(text) => by_len(text) + self.of(column, text),
                Shape::Anything => COMMON,
                Shape::Glob => literal(test).map_or(COMMON, |text| by_len(text) + self.of(column, text)),
            },
            Test::Regex(regex) => {
                let set = regex.required();
                if set.is_empty() { COMMON } else { set.iter().map(|text| by_len(text)).sum() }
            }
            Test::Cidr(_) | Test::Number { .. } => 1_000,
            Test::Present | Test::NotNull | Test::Time { .. } | Test::SameAs { .. } => COMMON,
        };
        item.tests.iter().map(|written| test(&written.test)).fold(0, u64::saturating_add)
    }
}

/// The longest literal of a text test.
fn literal(test: &Test) -> Option<&str> {
    let Test::Text { pattern, .. } = test else { return None };
    let literals = pattern.pieces().iter().filter_map(|piece| match piece {
        Piece::Literal(text) => Some(text.as_str()),
        Piece::Any | Piece::One | Piece::Dash => None,
    });
    literals.max_by_key(|text| text.len())
}

/// Items of which one must hold for the expression to be true, and how often one is likely to; `None` when the
/// expression may be true while none holds. `frequencies` are by item.
pub(super) fn witnesses(expr: &Expr, frequencies: &[u64]) -> Option<(u64, Vec<usize>)> {
    match expr {
        Expr::Item(item) => Some((frequencies.get(*item).copied().unwrap_or(u64::MAX), vec![*item])),
        Expr::Not(_) => None,
        Expr::And(parts) => {
            parts.iter().filter_map(|part| witnesses(part, frequencies)).min_by_key(|(cost, _)| *cost)
        }
        Expr::Or(parts) => parts.iter().map(|part| witnesses(part, frequencies)).try_fold(
            (0_u64, Vec::new()),
            |(cost, mut items), part| {
                let (more, others) = part?;
                items.extend(others);
                Some((cost.saturating_add(more), items))
            },
        ),
    }
}

/// A guess of how often an expression is true, to look first at what decides soonest.
pub(super) fn likelihood(expr: &Expr, frequencies: &[u64]) -> u64 {
    match expr {
        Expr::Item(item) => frequencies.get(*item).copied().unwrap_or(u64::MAX),
        Expr::Not(part) => (2 * COMMON).saturating_sub(likelihood(part, frequencies)),
        Expr::And(parts) => parts.iter().map(|part| likelihood(part, frequencies)).min().unwrap_or(u64::MAX),
        Expr::Or(parts) => {
            parts.iter().map(|part| likelihood(part, frequencies)).fold(0, u64::saturating_add)
        }
    }
}

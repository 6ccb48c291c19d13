//! Walking a condition entry by entry, where an entry is what one key of a selection became.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::sigma::{Detection, Expr, Item, Test};

/// Replaces each entry of the condition by what `change` makes of it; `None` drops it, and what has become empty with
/// it. Answers whether anything is left.
pub(super) fn entries(
    detection: &mut Detection,
    change: &mut dyn FnMut(&mut Vec<Item>, &Expr) -> Option<Expr>,
) -> bool {
    let condition = std::mem::take(&mut detection.condition);
    let mut rewriter = Rewriter { items: &mut detection.items, change, done: BTreeMap::new() };
    let rewritten = rewriter.rewrite(condition);
    let is_left = rewritten.is_some();
    detection.condition = rewritten.unwrap_or_default();
    is_left
}

struct Rewriter<'a> {
    items: &'a mut Vec<Item>,
    change: &'a mut dyn FnMut(&mut Vec<Item>, &Expr) -> Option<Expr>,
    /// By the entry's first item: a condition may name a selection twice.
    done: BTreeMap<usize, Option<Expr>>,
}

impl Rewriter<'_> {
    fn rewrite(&mut self, expr: Expr) -> Option<Expr> {
        if key_of(&expr, self.items).is_some() {
            let first = members(&expr).first().copied()?;
            if let Some(done) = self.done.get(&first) {
                return done.clone();
            }
            let changed = (self.change)(self.items, &expr);
            self.done.insert(first, changed.clone());
            return changed;
        }
        let mut all = |parts: Vec<Expr>| -> Option<Vec<Expr>> {
            let was_empty = parts.is_empty();
            let left: Vec<Expr> = parts.into_iter().filter_map(|part| self.rewrite(part)).collect();
            (was_empty || !left.is_empty()).then_some(left)
        };
        match expr {
            Expr::And(parts) => all(parts).map(Expr::And),
            Expr::Or(parts) => all(parts).map(Expr::Or),
            Expr::Not(part) => self.rewrite(*part).map(|part| Expr::Not(Box::new(part))),
            Expr::Item(_) => None,
        }
    }
}

/// The key that all of an expression comes from, if it comes from one: keys are shared by the items they became.
fn key_of<'i>(expr: &Expr, items: &'i [Item]) -> Option<&'i Arc<str>> {
    match expr {
        Expr::Item(index) => items.get(*index).map(|item| &item.key),
        Expr::And(parts) | Expr::Or(parts) => {
            let mut keys = parts.iter().map(|part| key_of(part, items));
            let first = keys.next()??;
            keys.all(|key| key.is_some_and(|key| Arc::ptr_eq(key, first))).then_some(first)
        }
        // `null` and `exists: false` are the negations that belong to an entry; others are the condition's.
        Expr::Not(part) => match &**part {
            Expr::Item(index) => items.get(*index).filter(|item| is_absence(item)).map(|item| &item.key),
            _ => None,
        },
    }
}

fn is_absence(item: &Item) -> bool {
    matches!(item.tests.as_slice(), [written] if match written.test {
        Test::NotNull => &*written.value == "null",
        Test::Present => matches!(written.value.to_ascii_lowercase().trim_matches('\''), "false" | "no"),
        _ => false,
    })
}

/// The items of an expression, each once.
pub(super) fn members(expr: &Expr) -> Vec<usize> {
    fn gather(expr: &Expr, found: &mut Vec<usize>) {
        match expr {
            Expr::And(parts) | Expr::Or(parts) => parts.iter().for_each(|part| gather(part, found)),
            Expr::Not(part) => gather(part, found),
            Expr::Item(index) if !found.contains(index) => found.push(*index),
            Expr::Item(_) => {}
        }
    }
    let mut found = Vec::new();
    gather(expr, &mut found);
    found
}

/// A copy of an entry with items of its own, in another field.
pub(super) fn copied(expr: &Expr, items: &mut Vec<Item>, field: &str) -> Expr {
    // One key for the copy, so that a later step sees it as one entry again.
    let key = members(expr).first().and_then(|index| items.get(*index)).map(|item| Arc::from(&*item.key));
    let Some(key) = key else { return expr.clone() };
    copy(expr, items, &field.into(), &key)
}

fn copy(expr: &Expr, items: &mut Vec<Item>, field: &Arc<str>, key: &Arc<str>) -> Expr {
    match expr {
        Expr::And(parts) => Expr::And(parts.iter().map(|part| copy(part, items, field, key)).collect()),
        Expr::Or(parts) => Expr::Or(parts.iter().map(|part| copy(part, items, field, key)).collect()),
        Expr::Not(part) => Expr::Not(Box::new(copy(part, items, field, key))),
        Expr::Item(index) => {
            let Some(item) = items.get(*index) else { return expr.clone() };
            items.push(Item { field: Some(Arc::clone(field)), key: Arc::clone(key), ..item.clone() });
            Expr::Item(items.len() - 1)
        }
    }
}

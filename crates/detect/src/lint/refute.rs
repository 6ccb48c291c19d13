//! Shows of a condition that it can never hold, if that can be shown.
//!
//! The condition is pushed down to items that must hold or must not, with those that are fixed already as context; a
//! branch is refuted when two of them exclude each other, or when one asks for a field that no record has. Every
//! branch must be refuted. The search is not complete, and so never wrong in what it claims.

use super::fields;
use crate::sigma::{Detection, Expr, Item, Logsource, Test};

/// Branches that are looked at; a condition with more is left in peace.
const MAX_STEPS: usize = 20_000;

/// Why a condition can never hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refutation {
    /// It needs a field that no record of the logsource has.
    Field { item: usize, field: String },
    /// It asks for what excludes itself.
    Contradiction { item: usize, message: String },
}

/// Why the detection can never match, if that can be shown.
pub(super) fn refute(detection: &Detection, logsource: &Logsource) -> Option<Refutation> {
    let known = fields::known(logsource);
    let mut search = Search { detection, known, steps: 0 };
    search.refute(&[(&detection.condition, true)], &mut Vec::new())
}

struct Search<'d> {
    detection: &'d Detection,
    known: Option<Vec<&'static str>>,
    steps: usize,
}

impl<'d> Search<'d> {
    /// Why the expressions cannot have these truth values together with the items that are fixed.
    fn refute(&mut self, goals: &[(&'d Expr, bool)], fixed: &mut Vec<(usize, bool)>) -> Option<Refutation> {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return None;
        }
        let depth = fixed.len();
        let mut found = None;
        let mut branches: Vec<(&'d [Expr], bool)> = Vec::new();
        let mut open: Vec<(&'d Expr, bool)> = goals.to_vec();
        while let Some((expr, wanted)) = open.pop() {
            match (expr, wanted) {
                (Expr::Not(part), _) => open.push((part, !wanted)),
                (Expr::And(parts), true) | (Expr::Or(parts), false) => {
                    open.extend(parts.iter().map(|part| (part, wanted)));
                }
                (Expr::And(parts) | Expr::Or(parts), _) => branches.push((parts, wanted)),
                (Expr::Item(item), _) => {
                    found = found.or_else(|| self.conflict((*item, wanted), fixed));
                    fixed.push((*item, wanted));
                }
            }
        }
        // One of the choices that has no way out is enough.
        for (parts, wanted) in branches {
            if found.is_some() {
                break;
            }
            let mut reason = None;
            for part in parts {
                match self.refute(&[(part, wanted)], fixed) {
                    None => {
                        reason = None;
                        break;
                    }
                    refuted => reason = reason.or(refuted),
                }
            }
            found = reason;
        }
        fixed.truncate(depth);
        found
    }

    fn conflict(&self, new: (usize, bool), fixed: &[(usize, bool)]) -> Option<Refutation> {
        let item = self.detection.items.get(new.0)?;
        if new.1
            && let (Some(field), Some(known)) = (&item.field, &self.known)
            && !known.iter().any(|name| name.eq_ignore_ascii_case(field))
        {
            return Some(Refutation::Field { item: new.0, field: field.to_string() });
        }
        fixed.iter().find_map(|old| {
            let other = self.detection.items.get(old.0)?;
            if item.field != other.field || item.field.is_none() {
                return None;
            }
            let message = exclude((item, new.1), (other, old.1), self.known.is_some())?;
            Some(Refutation::Contradiction { item: new.0, message })
        })
    }
}

/// Why two items on one field cannot have these truth values together.
fn exclude(a: (&Item, bool), b: (&Item, bool), is_single: bool) -> Option<String> {
    match (a.1, b.1) {
        (true, true) => {
            // A field may have several values unless the records are known to give it one.
            let (exact, other) = if exact_values(a.0).is_some() { (a.0, b.0) } else { (b.0, a.0) };
            let values = exact_values(exact)?;
            let texts = text_tests(other)?;
            let none = !values.iter().any(|value| texts.iter().any(|test| matches(test, value)));
            (is_single && none).then(|| {
                format!(
                    "`{}` in `{}` and `{}` in `{}` can never both hold",
                    a.0.key, a.0.selection, b.0.key, b.0.selection
                )
            })
        }
        (true, false) | (false, true) => {
            let (asked, denied) = if a.1 { (a.0, b.0) } else { (b.0, a.0) };
            let is_denied = if let Some(values) = exact_values(asked) {
                let texts = text_tests(denied).unwrap_or_default();
                values.iter().all(|value| texts.iter().any(|test| matches(test, value)))
            } else {
                asked.tests.iter().all(|test| denied.tests.iter().any(|other| other.test == test.test))
            };
            is_denied.then(|| {
                format!(
                    "`{}` in `{}` asks for nothing but what `{}` in `{}` excludes",
                    asked.key, asked.selection, denied.key, denied.selection
                )
            })
        }
        (false, false) => None,
    }
}

/// The values an item asks for, when each is a plain text compared without regard to case.
fn exact_values(item: &Item) -> Option<Vec<&str>> {
    item.tests
        .iter()
        .map(|written| match &written.test {
            Test::Text { pattern, cased: false } => pattern.plain(),
            _ => None,
        })
        .collect()
}

/// An item's tests, when all are on text without regard to case.
fn text_tests(item: &Item) -> Option<Vec<&Test>> {
    let is_text = |test: &Test| matches!(test, Test::Text { cased: false, .. });
    item.tests.iter().map(|written| is_text(&written.test).then_some(&written.test)).collect()
}

fn matches(test: &Test, folded: &str) -> bool {
    matches!(test, Test::Text { pattern, .. } if pattern.is_match(folded))
}

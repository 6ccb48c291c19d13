//! One group's sliding window.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use wanglou_model::Evidence;

use crate::sigma::Comparison;

/// What a window needs to know of its rule.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms<'p> {
    pub(super) timespan_nanos: i64,
    pub(super) conditions: &'p [(Comparison, u64)],
}

/// The events of one group that still count.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// By time, then in the order they came.
    events: BTreeMap<(i64, u64), Counted>,
    /// For value_count: the newest event of each value.
    by_value: FxHashMap<Box<str>, (i64, u64)>,
    /// How many of the events have whole evidence.
    whole: usize,
    newest: Option<i64>,
    /// A finding has been raised, and the window has not emptied since.
    raised: bool,
}

/// An event that counts.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) evidence: Evidence,
    /// Whether the evidence is whole, or only says where the event stands.
    pub(super) is_whole: bool,
    pub(super) value: Option<Box<str>>,
}

impl Window {
    /// Takes an event. When the conditions hold with it, the window's events are handed over, oldest first.
    pub(super) fn add(
        &mut self,
        time: i64,
        sequence: u64,
        event: Counted,
        terms: Terms<'_>,
    ) -> Option<Vec<Counted>> {
        let newest = self.newest.unwrap_or(time);
        if time < newest.saturating_sub(terms.timespan_nanos) {
            return None;
        }
        if self.raised && time > newest.saturating_add(terms.timespan_nanos) {
            self.raised = false;
        }
        let newest = newest.max(time);
        self.newest = Some(newest);
        if self.raised {
            return None;
        }
        self.forget_before(newest.saturating_sub(terms.timespan_nanos));
        self.insert((time, sequence), event);
        let count = self.events.len() as u64;
        if !terms.conditions.iter().all(|(comparison, bound)| comparison.holds(count, *bound)) {
            return None;
        }
        self.raised = true;
        self.by_value.clear();
        self.whole = 0;
        Some(std::mem::take(&mut self.events).into_values().collect())
    }

    /// The time of its newest event.
    pub(super) fn newest(&self) -> Option<i64> {
        self.newest
    }

    /// How many events it remembers, and how many of them with whole evidence.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.events.len(), self.whole)
    }

    fn insert(&mut self, at: (i64, u64), event: Counted) {
        if let Some(value) = &event.value {
            match self.by_value.get_mut(value) {
                Some(known) if known.0 > at.0 => return,
                Some(known) => {
                    let replaced = self.events.remove(known);
                    self.whole -= usize::from(replaced.is_some_and(|event| event.is_whole));
                    *known = at;
                }
                None => _ = self.by_value.insert(value.clone(), at),
            }
        }
        self.whole += usize::from(event.is_whole);
        self.events.insert(at, event);
    }

    fn forget_before(&mut self, time: i64) {
        while let Some(oldest) = self.events.first_entry().filter(|oldest| oldest.key().0 < time) {
            let forgotten = oldest.remove();
            self.whole -= usize::from(forgotten.is_whole);
            if let Some(value) = forgotten.value {
                self.by_value.remove(&value);
            }
        }
    }
}

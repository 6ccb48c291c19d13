//! The groups of one correlation rule, bounded: the one that was quiet longest goes first.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::window::Window;

/// What tells groups apart: the folded values of the group-by fields.
pub(super) type GroupKey = Arc<[String]>;

/// All groups of one rule.
#[derive(Debug, Default)]
pub(super) struct RuleState {
    groups: FxHashMap<GroupKey, Group>,
    /// By the sequence number of the last event.
    by_age: BTreeMap<u64, GroupKey>,
}

/// One group.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) window: Window,
    touched: u64,
    arrival: i64,
}

impl RuleState {
    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }

    /// The group of this key, made if it is new, and marked as the youngest.
    pub(super) fn touch(&mut self, key: &[String], sequence: u64, arrival: i64) -> &mut Group {
        let key: GroupKey = match self.groups.get_key_value(key) {
            Some((key, group)) => {
                self.by_age.remove(&group.touched);
                Arc::clone(key)
            }
            None => key.into(),
        };
        self.by_age.insert(sequence, Arc::clone(&key));
        let group = self.groups.entry(key).or_default();
        group.touched = sequence;
        group.arrival = arrival;
        group
    }

    /// The sequence number of the group that was quiet longest.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.by_age.first_key_value().map(|(sequence, _)| *sequence)
    }

    /// Takes out the group that was quiet longest.
    pub(super) fn remove_oldest(&mut self) -> Option<Group> {
        let (_, key) = self.by_age.pop_first()?;
        self.groups.remove(&key)
    }

    /// Takes out the group that was quiet longest, if its window closed before both instants: by event time, which
    /// senders choose, and by arrival, which they do not.
    pub(super) fn remove_closed(&mut self, time: i64, arrival: i64) -> Option<Group> {
        let group = self.groups.get(self.by_age.first_key_value()?.1)?;
        let is_closed = group.window.newest().is_none_or(|newest| newest < time) && group.arrival < arrival;
        if is_closed { self.remove_oldest() } else { None }
    }
}

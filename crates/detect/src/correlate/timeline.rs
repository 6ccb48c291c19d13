//! The events of one window, oldest first: the newest ones with their places, older ones as marks.

use std::collections::VecDeque;
use std::mem::size_of;

use wanglou_model::Correlated;

use super::entry::Entry;

/// What is left of an event that a finding would not name any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) time: i64,
    /// The lower half of the event's id.
    pub(super) uid: u64,
    pub(super) value: u64,
}

/// Events in order of time, then of their ids.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    pub(super) recent: VecDeque<Entry>,
    #[expect(
        clippy::box_collection,
        reason = "most windows hold few events: a pointer is all that they pay"
    )]
    pub(super) older: Option<Box<VecDeque<Mark>>>,
}

impl Timeline {
    pub(super) fn len(&self) -> usize {
        self.recent.len() + self.older.as_ref().map_or(0, |older| older.len())
    }

    /// Puts an event in its place; false when it is there already.
    pub(super) fn insert(&mut self, entry: Entry) -> bool {
        let at = self.recent.partition_point(|known| known.at() < entry.at());
        if self.recent.get(at).is_some_and(|known| known.at() == entry.at()) {
            return false;
        }
        if at == 0
            && let Some(older) = &mut self.older
        {
            // Perhaps it belongs among the marks: only an event that came late does.
            let mark = Mark { time: entry.time, uid: entry.uid[1], value: entry.value };
            let start = older.partition_point(|known| known.time < mark.time);
            if older.range(start..).take_while(|known| known.time == mark.time).any(|k| k.uid == mark.uid) {
                return false;
            }
            if start < older.len() {
                older.insert(start, mark);
                return true;
            }
        }
        if at == self.recent.len() && self.recent.is_empty() {
            self.recent.reserve_exact(1);
        }
        self.recent.insert(at, entry);
        if self.recent.len() > Correlated::MAX_EVENTS
            && let Some(Entry { time, uid: [_, uid], value, .. }) = self.recent.pop_front()
        {
            self.older.get_or_insert_default().push_back(Mark { time, uid, value });
        }
        true
    }

    /// Takes the oldest event out.
    pub(super) fn pop(&mut self) -> Option<Mark> {
        if let Some(older) = &mut self.older {
            if let Some(mark) = older.pop_front() {
                return Some(mark);
            }
            self.older = None;
        }
        let Entry { time, uid: [_, uid], value, .. } = self.recent.pop_front()?;
        Some(Mark { time, uid, value })
    }

    /// Takes out the oldest event if it is older than that.
    pub(super) fn pop_before(&mut self, time: i64) -> Option<Mark> {
        let oldest = self.first()?;
        if oldest < time { self.pop() } else { None }
    }

    /// The time of the oldest event.
    pub(super) fn first(&self) -> Option<i64> {
        let older = self.older.as_ref().and_then(|older| older.front()).map(|mark| mark.time);
        older.or_else(|| self.recent.front().map(|entry| entry.time))
    }

    /// Keeps what is wanted, by the lower half of its id.
    pub(super) fn retain(&mut self, wanted: impl Fn(u64) -> bool) {
        if let Some(older) = &mut self.older {
            older.retain(|mark| wanted(mark.uid));
        }
        self.recent.retain(|entry| wanted(entry.uid[1]));
    }

    pub(super) fn values(&self) -> impl Iterator<Item = u64> + '_ {
        let older = self.older.iter().flat_map(|older| older.iter().map(|mark| mark.value));
        older.chain(self.recent.iter().map(|entry| entry.value))
    }

    /// What it takes on the heap.
    pub(super) fn bytes(&self) -> usize {
        let older = self.older.as_ref().map_or(0, |older| older.capacity() * size_of::<Mark>() + 48);
        self.recent.capacity() * size_of::<Entry>() + older
    }
}

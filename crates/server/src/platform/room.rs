//! Bounded room that sources share fairly.
//!
//! A source gets at most a quarter, and where there are more of them an equal share, counted so that one more than those
//! present would find room: a flood fills its own share and is held back, while the others go on. Where priority sources are named, a quarter is for them alone.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;
use wanglou_model::SourceId;

/// Where there are priority sources, this part of the room (one in so many) is for them alone.
const KEPT_FOR_PRIORITY: usize = 4;
/// However few sources there are, one gets this part (one in so many): those that come next must not wait for it.
const LARGEST_SHARE: usize = 4;

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoPlace {
    /// The room, or the source's share of it, is full.
    Full,
    /// Nothing is let in for now.
    Shut,
    /// Nothing is let in any more.
    Closed,
}

/// The room.
#[derive(Debug)]
pub(crate) struct Room {
    capacity: usize,
    priority: HashSet<SourceId>,
    held: Mutex<Held>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Held {
    total: usize,
    sources: HashMap<SourceId, usize>,
    is_shut: bool,
    is_closed: bool,
}

/// A part of the room, given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    room: Arc<Room>,
    source: SourceId,
    size: usize,
}

impl Room {
    /// Room of this size, in whatever unit.
    pub(crate) fn new(capacity: usize, priority: HashSet<SourceId>) -> Arc<Self> {
        Arc::new(Self { capacity, priority, held: Mutex::default(), changed: Notify::new() })
    }

    /// A place, if there is one now. What is larger than all of the room counts as all of it.
    pub(crate) fn try_enter(self: &Arc<Self>, source: &SourceId, size: usize) -> Result<Place, NoPlace> {
        let limit = self.limit(source);
        let size = size.clamp(1, limit);
        let mut held = self.held.lock();
        if held.is_closed {
            return Err(NoPlace::Closed);
        }
        if held.is_shut {
            return Err(NoPlace::Shut);
        }
        let own = held.sources.get(source).copied().unwrap_or_default();
        let others = held.sources.len() - usize::from(own > 0);
        let has_share = own == 0 || own + size <= limit / (others + 2).max(LARGEST_SHARE);
        if held.total + size > limit || !has_share {
            return Err(NoPlace::Full);
        }
        held.total += size;
        held.sources.insert(source.clone(), own + size);
        Ok(Place { room: Arc::clone(self), source: source.clone(), size })
    }

    /// A place, waiting for it; `None` once the room is closed.
    pub(crate) async fn enter(self: &Arc<Self>, source: &SourceId, size: usize) -> Option<Place> {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // Listening before looking: a place that is given back in between is not missed.
            changed.as_mut().enable();
            match self.try_enter(source, size) {
                Ok(place) => return Some(place),
                Err(NoPlace::Closed) => return None,
                Err(NoPlace::Full | NoPlace::Shut) => changed.await,
            }
        }
    }

    /// Lets nobody in until told otherwise.
    pub(crate) fn shut(&self, is_shut: bool) {
        self.held.lock().is_shut = is_shut;
        self.changed.notify_waiters();
    }

    /// Lets nobody in any more.
    pub(crate) fn close(&self) {
        self.held.lock().is_closed = true;
        self.changed.notify_waiters();
    }

    /// How much of the room a source may help to fill.
    fn limit(&self, source: &SourceId) -> usize {
        if self.priority.is_empty() || self.priority.contains(source) {
            self.capacity
        } else {
            (self.capacity - self.capacity / KEPT_FOR_PRIORITY).max(1)
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.room.held.lock();
        held.total -= self.size;
        if let Some(own) = held.sources.get_mut(&self.source) {
            *own -= self.size;
            if *own == 0 {
                held.sources.remove(&self.source);
            }
        }
        drop(held);
        self.room.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(name: &str) -> SourceId {
        SourceId::new(name)
    }

    /// Takes places until there is none.
    fn fill(room: &Arc<Room>, name: &str, size: usize) -> Vec<Place> {
        std::iter::from_fn(|| room.try_enter(&source(name), size).ok()).collect()
    }

    #[test]
    fn a_flood_leaves_room_for_whoever_comes_next() {
        let room = Room::new(120, HashSet::new());
        let flood = fill(&room, "flood", 1);
        assert_eq!(flood.len(), 30, "alone it gets a quarter");
        let second = fill(&room, "second", 1);
        assert_eq!(second.len(), 30);
        assert!(room.try_enter(&source("quiet"), 20).is_ok(), "the next one is let in");
        assert_eq!(room.try_enter(&source("flood"), 1).err(), Some(NoPlace::Full));
        drop(second);
        drop(flood);
        assert!(room.try_enter(&source("large"), 1_000).is_ok(), "one is let in whatever its size");
        assert_eq!(room.held.lock().total, 0);
        assert!(room.held.lock().sources.is_empty());
    }

    #[test]
    fn a_quarter_is_kept_for_priority_sources() {
        let room = Room::new(100, HashSet::from([source("core")]));
        let mut places: Vec<Place> = (0..50).flat_map(|n| fill(&room, &format!("flood-{n}"), 1)).collect();
        assert_eq!(places.len(), 75);
        places.extend(fill(&room, "core", 1));
        assert!(places.len() > 75);
    }

    #[tokio::test]
    async fn who_waits_is_let_in_and_told_when_it_is_over() {
        let room = Room::new(10, HashSet::new());
        let place = room.try_enter(&source("a"), 10).unwrap();
        let waiting = {
            let room = Arc::clone(&room);
            tokio::spawn(async move { room.enter(&source("b"), 5).await })
        };
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        room.shut(true);
        drop(place);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        assert_eq!(room.try_enter(&source("a"), 1).err(), Some(NoPlace::Shut));
        room.shut(false);
        let place = waiting.await.unwrap();
        assert!(place.is_some());
        room.close();
        assert!(room.enter(&source("a"), 1).await.is_none());
    }
}

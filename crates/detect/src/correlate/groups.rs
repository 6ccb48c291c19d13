//! The groups of one correlation rule, bounded: the one that was quiet longest goes first.
//!
//! A group is named by a 128-bit hash of its values (BLAKE3, so that nobody can make two groups meet) and lies in a slab;
//! age is a list through the slab. A million groups of one event each take some 240 MB.

use rustc_hash::FxHashMap;

use super::window::Window;

/// Names a group within its rule.
pub(super) type GroupKey = [u64; 2];

const NONE: u32 = u32::MAX;

/// One group.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) key: GroupKey,
    pub(super) window: Window,
    /// The time of its newest event.
    pub(super) newest: i64,
    /// The clock when its last event was counted.
    pub(super) arrival: i64,
    pub(super) episode: Option<Box<Episode>>,
    older: u32,
    younger: u32,
}

/// A finding has been raised, and what it tells of goes on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Episode {
    pub(super) finding: u128,
    /// When the conditions last held.
    pub(super) held: i64,
    /// Events that findings have told of.
    pub(super) reported: u64,
    /// Events since.
    pub(super) unreported: u64,
    /// Of the newest event that was told of.
    pub(super) reported_at: i64,
}

/// All groups of one rule.
#[derive(Debug)]
pub(super) struct Groups {
    index: FxHashMap<GroupKey, u32>,
    slab: Vec<Option<Group>>,
    free: Vec<u32>,
    oldest: u32,
    youngest: u32,
}

impl Default for Groups {
    fn default() -> Self {
        Self { index: FxHashMap::default(), slab: Vec::new(), free: Vec::new(), oldest: NONE, youngest: NONE }
    }
}

impl Group {
    pub(super) fn new(key: GroupKey, window: Window, newest: i64, arrival: i64) -> Self {
        Self { key, window, newest, arrival, episode: None, older: NONE, younger: NONE }
    }

    /// What it takes, with its share of the index.
    pub(super) fn bytes(&self) -> usize {
        let episode = self.episode.as_ref().map_or(0, |_| size_of::<Episode>() + 16);
        size_of::<Option<Self>>() + 52 + self.window.bytes() + episode
    }
}

impl Groups {
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    pub(super) fn get(&self, key: &GroupKey) -> Option<&Group> {
        self.at(*self.index.get(key)?)
    }

    /// The group, made if it is new, as the youngest.
    pub(super) fn touch(&mut self, key: GroupKey, make: impl FnOnce() -> Group) -> Option<&mut Group> {
        let slot = match self.index.get(&key) {
            Some(slot) => {
                let slot = *slot;
                self.unlink(slot);
                slot
            }
            None => self.place(make())?,
        };
        self.link(slot);
        self.at_mut(slot)
    }

    /// The group that was quiet longest.
    pub(super) fn oldest(&self) -> Option<&Group> {
        self.at(self.oldest)
    }

    /// Takes out the group that was quiet longest.
    pub(super) fn remove_oldest(&mut self) -> Option<Group> {
        let slot = self.oldest;
        self.at(slot)?;
        self.unlink(slot);
        let group = self.slab.get_mut(slot as usize)?.take()?;
        self.free.push(slot);
        self.index.remove(&group.key);
        Some(group)
    }

    /// From the one that was quiet longest to the youngest.
    pub(super) fn by_age(&self) -> impl Iterator<Item = &Group> {
        let mut next = self.oldest;
        std::iter::from_fn(move || {
            let group = self.at(next)?;
            next = group.younger;
            Some(group)
        })
    }

    fn at(&self, slot: u32) -> Option<&Group> {
        self.slab.get(slot as usize)?.as_ref()
    }

    fn at_mut(&mut self, slot: u32) -> Option<&mut Group> {
        self.slab.get_mut(slot as usize)?.as_mut()
    }

    fn place(&mut self, group: Group) -> Option<u32> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.slab.push(None);
                u32::try_from(self.slab.len() - 1).ok()?
            }
        };
        self.index.insert(group.key, slot);
        *self.slab.get_mut(slot as usize)? = Some(group);
        Some(slot)
    }

    fn unlink(&mut self, slot: u32) {
        let Some(group) = self.at(slot) else { return };
        let (older, younger) = (group.older, group.younger);
        match self.at_mut(older) {
            Some(group) => group.younger = younger,
            None => self.oldest = younger,
        }
        match self.at_mut(younger) {
            Some(group) => group.older = older,
            None => self.youngest = older,
        }
    }

    fn link(&mut self, slot: u32) {
        let youngest = self.youngest;
        match self.at_mut(youngest) {
            Some(group) => group.younger = slot,
            None => self.oldest = slot,
        }
        if let Some(group) = self.at_mut(slot) {
            (group.older, group.younger) = (youngest, NONE);
        }
        self.youngest = slot;
    }
}

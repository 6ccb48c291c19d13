//! Rules that match together, in any order or in a given one.

use std::mem::size_of;

use super::entry::Entry;

/// The newest match of each rule.
#[derive(Debug, Default)]
pub(super) struct Together {
    /// By rule.
    pub(super) newest: Vec<Entry>,
}

/// Matches in the order of the rules.
///
/// For each rule the chain that ends with it and began last is kept: a chain that began earlier leaves the window
/// earlier, so it can never complete what this one does not. Events of the same instant may stand in any order, since
/// many sources write whole seconds; one event alone is no sequence.
#[derive(Debug, Default)]
pub(super) struct InOrder {
    pub(super) newest: Together,
    /// By rule: the chain that ends there, first event first; empty when there is none.
    pub(super) chains: Vec<Vec<Entry>>,
}

impl Together {
    pub(super) fn insert(&mut self, entry: Entry) {
        match self.newest.binary_search_by_key(&entry.part, |known| known.part) {
            Ok(at) => {
                if let Some(known) = self.newest.get_mut(at).filter(|known| known.at() < entry.at()) {
                    *known = entry;
                }
            }
            Err(at) => {
                self.newest.reserve_exact(1);
                self.newest.insert(at, entry);
            }
        }
    }

    pub(super) fn forget_before(&mut self, time: i64) {
        self.newest.retain(|entry| entry.time >= time);
    }

    fn of(&self, part: usize) -> Option<&Entry> {
        self.newest.iter().find(|entry| usize::from(entry.part) == part)
    }
}

impl InOrder {
    /// Takes the newest event in.
    pub(super) fn insert(&mut self, entry: &Entry) {
        self.newest.insert(entry.clone());
        let part = usize::from(entry.part);
        if self.chains.len() <= part {
            self.chains.resize_with(part + 1, Vec::new);
        }
        if !self.extend(part, entry) {
            return;
        }
        // What came at the same instant may follow it.
        for next in part + 1..self.chains.len() {
            let Some(follower) = self.newest.of(next).filter(|known| known.time == entry.time).cloned()
            else {
                return;
            };
            if !self.extend(next, &follower) {
                return;
            }
        }
    }

    /// Lets the chain of a rule end with an event, if it then begins later than the one it has.
    fn extend(&mut self, part: usize, entry: &Entry) -> bool {
        let mut chain = match part.checked_sub(1).map(|before| self.chains.get(before)) {
            None => Vec::with_capacity(1),
            Some(Some(before)) if !before.is_empty() && before.iter().all(|e| e.uid != entry.uid) => {
                let mut chain = Vec::with_capacity(before.len() + 1);
                chain.extend_from_slice(before);
                chain
            }
            Some(_) => return false,
        };
        chain.push(entry.clone());
        let Some(known) = self.chains.get_mut(part) else { return false };
        let begins = |chain: &[Entry]| chain.first().map(|first| first.time);
        // A later end of the same beginning is as good, and what an analyst wants to see.
        if begins(known) > begins(&chain) {
            return false;
        }
        *known = chain;
        true
    }

    pub(super) fn forget_before(&mut self, time: i64) {
        self.newest.forget_before(time);
        for chain in &mut self.chains {
            if chain.first().is_some_and(|first| first.time < time) {
                *chain = Vec::new();
            }
        }
    }

    /// The longest chain.
    pub(super) fn longest(&self) -> &[Entry] {
        self.chains.iter().rev().find(|chain| !chain.is_empty()).map_or(&[], Vec::as_slice)
    }

    pub(super) fn bytes(&self) -> usize {
        let chains: usize = self.chains.iter().map(|chain| 24 + chain.capacity() * size_of::<Entry>()).sum();
        self.newest.newest.capacity() * size_of::<Entry>() + chains
    }
}

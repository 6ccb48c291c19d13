//! What columns said of values lately: most values of a stream come again and again.
//!
//! A fixed table; a value has one place in it, by its hash, and the newest value keeps the place. Memory stays what it
//! became, so remembering settles at no allocation.

use std::hash::Hasher;

use rustc_hash::FxHasher;

use super::column::{ItemId, Signal};

/// Places: a power of two. With the longest values and typical answers some 1 MiB a thread.
const PLACES: usize = 4_096;
/// Longer values seldom come again.
const MAX_LEN: usize = 200;
/// Room for an answer of usual length.
const USUAL_SIGNALS: usize = 8;
/// Longer answers are not worth their memory.
const MAX_SIGNALS: usize = 64;

/// The table of one thread.
#[derive(Debug, Default)]
pub(super) struct Memo {
    places: Vec<Remembered>,
}

#[derive(Debug)]
struct Remembered {
    /// Column + 1; 0 for none.
    column: u32,
    folded: String,
    signals: Vec<(ItemId, Signal)>,
}

impl Remembered {
    /// Room for any value from the start, so that new values cost no allocation either.
    fn with_room() -> Self {
        Self { column: 0, folded: String::with_capacity(MAX_LEN), signals: Vec::with_capacity(USUAL_SIGNALS) }
    }
}

impl Memo {
    /// Hands out what `column` says of a value: remembered, or from `scan`, which is then remembered.
    pub(super) fn recall(
        &mut self,
        column: u32,
        folded: &str,
        scan: impl FnOnce(&mut dyn FnMut(ItemId, Signal)),
        tell: &mut dyn FnMut(ItemId, Signal),
    ) {
        if self.places.is_empty() {
            self.places.resize_with(PLACES, Remembered::with_room);
        }
        let place = place(column, folded);
        let Some(place) = self.places.get_mut(place).filter(|_| folded.len() <= MAX_LEN) else {
            return scan(tell);
        };
        if place.column != column + 1 || place.folded != folded {
            place.signals.clear();
            scan(&mut |item, signal| {
                // A literal that stands often in the value tells the same thing often.
                if place.signals.last() != Some(&(item, signal)) {
                    place.signals.push((item, signal));
                }
            });
            place.folded.clear();
            place.folded.push_str(folded);
            place.column = column + 1;
        }
        for (item, signal) in &place.signals {
            tell(*item, *signal);
        }
        if place.signals.len() > MAX_SIGNALS {
            *place = Remembered::with_room();
        }
    }
}

fn place(column: u32, folded: &str) -> usize {
    let mut hasher = FxHasher::default();
    hasher.write_u32(column);
    hasher.write(folded.as_bytes());
    let hash = hasher.finish();
    usize::try_from(hash & (PLACES as u64 - 1)).unwrap_or(0)
}

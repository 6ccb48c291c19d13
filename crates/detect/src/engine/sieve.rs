//! From a few bytes of a value to the literals that they may belong to, quickly when there are none: a table of bits
//! that nearly always fits the first-level cache answers for nearly all bytes that matter to nobody.

use std::ops::Range;

/// Bits for each key, so that bytes that matter to none find a bit set by chance once in so often.
const BITS_PER_KEY: usize = 64;
/// The table's size limits, as powers of two: 64 bits and 64 KiB.
const LOG_BITS: std::ops::RangeInclusive<u32> = 6..=19;

/// Keys, and for each a range of what is sorted by them.
#[derive(Debug, Default)]
pub(super) struct Sieve {
    words: Vec<u64>,
    shift: u32,
    /// Open addressing; an empty range is an empty place.
    places: Vec<(u64, Range<u32>)>,
}

impl Sieve {
    /// Of keys in ascending order, of which equal ones make one range.
    pub(super) fn new(keys: &[u64]) -> Self {
        if keys.is_empty() {
            return Self::default();
        }
        let wanted = (keys.len() * BITS_PER_KEY).next_power_of_two().ilog2();
        let log_bits = wanted.clamp(*LOG_BITS.start(), *LOG_BITS.end());
        let mut sieve = Self {
            words: vec![0; 1 << (log_bits - 6)],
            shift: 64 - log_bits,
            places: vec![(0, 0..0); (keys.len() * 2).next_power_of_two()],
        };
        let mut first = 0;
        for group in keys.chunk_by(PartialEq::eq) {
            let end = first + u32::try_from(group.len()).unwrap_or(u32::MAX);
            group.first().into_iter().for_each(|key| sieve.insert(*key, first..end));
            first = end;
        }
        sieve
    }

    fn insert(&mut self, key: u64, range: Range<u32>) {
        let hash = hash(key);
        let bit = hash >> self.shift;
        if let Some(word) = self.words.get_mut(index(bit / 64)) {
            *word |= 1 << (bit % 64);
        }
        let mask = self.places.len() - 1;
        let mut at = place(hash) & mask;
        while let Some(place) = self.places.get_mut(at) {
            if place.1.is_empty() {
                *place = (key, range);
                return;
            }
            at = (at + 1) & mask;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Whether there may be such a key; that there is none is nearly always said. For a sieve that is not empty.
    #[inline]
    pub(super) fn may_have(&self, key: u64) -> bool {
        let bit = hash(key) >> self.shift;
        self.words.get(index(bit / 64)).is_some_and(|word| word >> (bit % 64) & 1 != 0)
    }

    /// What is sorted under a key. For a sieve that is not empty.
    #[inline]
    pub(super) fn range(&self, key: u64) -> Range<usize> {
        let mask = self.places.len().wrapping_sub(1);
        let mut at = place(hash(key)) & mask;
        while let Some((other, range)) = self.places.get(at).filter(|(_, range)| !range.is_empty()) {
            if *other == key {
                return range.start as usize..range.end as usize;
            }
            at = (at + 1) & mask;
        }
        0..0
    }
}

/// The high bits of a product are its good ones.
#[inline]
fn hash(key: u64) -> u64 {
    key.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

#[inline]
fn place(hash: u64) -> usize {
    index(hash >> 32 ^ hash >> 12)
}

/// A number below the size of a table, which fits.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "masked or shifted to the size of a table by the caller")]
fn index(number: u64) -> usize {
    number as usize
}

//! Finds which of thousands of literals stand anywhere in a value, at about a nanosecond a byte.
//!
//! Of each literal, the four bytes within it that are likely to be rarest are its *anchor*. A value's bytes are taken
//! four by four at every place and looked up in a bit table that fits the first-level cache; only where a bit is set
//! are the literals with that anchor compared in full. Shorter literals are anchored as a whole, in tables of
//! their own. No automaton is walked, so that no cache is missed a byte, and what is compared at a place is
//! bounded by the literals that share an anchor, whatever the value.

use super::column::Seen;

/// A search with vector instructions takes up to so many literals.
const MAX_PACKED: usize = 48;
/// Bits of the table for each anchor, so that a place that matters to none finds a bit set by chance once in so often.
const BITS_PER_ANCHOR: usize = 32;
/// The table's size limits, as powers of two: 64 bits and 32 KiB.
const LOG_BITS: std::ops::RangeInclusive<u32> = 6..=18;

/// The literals.
#[derive(Debug, Default)]
pub(super) struct Grams {
    long: Table<4>,
    middling: Table<3>,
    short: Table<2>,
    /// Literals of one byte.
    single: Vec<(u8, u32)>,
    /// For few literals: tells quicker that none is there.
    packed: Option<aho_corasick::packed::Searcher>,
    shortest: usize,
}

impl Grams {
    /// Of literals with their numbers; none may be empty.
    pub(super) fn new(literals: &[(&str, u32)]) -> Self {
        let of = |lens: std::ops::Range<usize>| -> Vec<(&[u8], u32)> {
            let literals = literals.iter().filter(|(text, _)| lens.contains(&text.len()));
            literals.map(|(text, id)| (text.as_bytes(), *id)).collect()
        };
        let singles = of(1..2);
        let shortest = literals.iter().map(|(text, _)| text.len()).min().unwrap_or(0);
        let packed = (1..=MAX_PACKED).contains(&literals.len()) && shortest > 1;
        Self {
            long: Table::new(&of(4..usize::MAX)),
            middling: Table::new(&of(3..4)),
            short: Table::new(&of(2..3)),
            single: singles.iter().filter_map(|(text, id)| Some((*text.first()?, *id))).collect(),
            packed: packed
                .then(|| aho_corasick::packed::Searcher::new(literals.iter().map(|(text, _)| text)))
                .flatten(),
            shortest,
        }
    }

    /// Whether none of the literals stands in the text.
    pub(super) fn is_absent(&self, text: &[u8]) -> bool {
        if text.len() < self.shortest {
            return true;
        }
        if let Some(packed) = &self.packed {
            return packed.find(text).is_none();
        }
        let mut seen = Seen { stamps: &mut [], now: 0 };
        let mut absent = true;
        self.find(text, &mut seen, &mut |_, _| absent = false);
        absent
    }

    /// Calls `found` with the number of each literal that stands in the text and has not been seen.
    pub(super) fn find(&self, text: &[u8], seen: &mut Seen<'_>, found: &mut impl FnMut(&mut Seen<'_>, u32)) {
        if text.len() < self.shortest
            || self.packed.as_ref().is_some_and(|packed| packed.find(text).is_none())
        {
            return;
        }
        self.long.find(text, seen, found);
        self.middling.find(text, seen, found);
        self.short.find(text, seen, found);
        for (byte, id) in &self.single {
            if !seen.contains(*id) && memchr::memchr(*byte, text).is_some() {
                found(seen, *id);
            }
        }
    }
}

/// Literals by anchors of `N` bytes.
#[derive(Debug, Default)]
struct Table<const N: usize> {
    bits: Vec<u64>,
    shift: u32,
    /// Open addressing: the anchor and the range of its literals; an empty range is an empty place.
    places: Vec<(u32, u32, u32)>,
    literals: Vec<Literal>,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Literal {
    start: u32,
    len: u32,
    /// Where its anchor stands in it.
    anchor_at: u32,
    id: u32,
    /// Its first and last byte, which tell most others apart without a comparison.
    ends: (u8, u8),
}

impl<const N: usize> Table<N> {
    fn new(literals: &[(&[u8], u32)]) -> Self {
        if literals.is_empty() {
            return Self::default();
        }
        let mut anchored = anchors::<N>(literals);
        anchored.sort_unstable();
        let log_bits = (literals.len() * BITS_PER_ANCHOR)
            .next_power_of_two()
            .ilog2()
            .clamp(*LOG_BITS.start(), *LOG_BITS.end());
        let mut table = Self {
            bits: vec![0; 1 << (log_bits - 6)],
            shift: 32 - log_bits,
            places: vec![(0, 0, 0); (literals.len() * 2).next_power_of_two()],
            ..Self::default()
        };
        for group in anchored.chunk_by(|a, b| a.0 == b.0) {
            let first = number(table.literals.len());
            for (_, index, anchor_at) in group {
                let Some((bytes, id)) = literals.get(*index) else { continue };
                let start = number(table.bytes.len());
                table.bytes.extend_from_slice(bytes);
                let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { continue };
                table.literals.push(Literal {
                    start,
                    len: number(bytes.len()),
                    anchor_at: *anchor_at,
                    id: *id,
                    ends: (*first, *last),
                });
            }
            if let Some((anchor, ..)) = group.first() {
                table.insert(*anchor, first, number(table.literals.len()));
            }
        }
        table
    }

    fn insert(&mut self, anchor: u32, first: u32, end: u32) {
        let hash = hash(anchor);
        let bit = hash >> self.shift;
        if let Some(word) = self.bits.get_mut(bit as usize / 64) {
            *word |= 1 << (bit % 64);
        }
        let mask = self.places.len() - 1;
        let mut at = place(hash) & mask;
        while let Some(place) = self.places.get_mut(at) {
            if place.1 == place.2 {
                *place = (anchor, first, end);
                return;
            }
            at = (at + 1) & mask;
        }
    }

    #[inline]
    fn find(&self, text: &[u8], seen: &mut Seen<'_>, found: &mut impl FnMut(&mut Seen<'_>, u32)) {
        if self.literals.is_empty() {
            return;
        }
        for (at, window) in text.array_windows::<N>().enumerate() {
            let anchor = anchor_of(window);
            let bit = hash(anchor) >> self.shift;
            let word = self.bits.get(bit as usize / 64).copied().unwrap_or(0);
            if word >> (bit % 64) & 1 != 0 {
                self.verify(text, at, anchor, seen, found);
            }
        }
    }

    #[inline(never)]
    fn verify(
        &self,
        text: &[u8],
        at: usize,
        anchor: u32,
        seen: &mut Seen<'_>,
        found: &mut impl FnMut(&mut Seen<'_>, u32),
    ) {
        let mask = self.places.len().wrapping_sub(1);
        let mut at_place = place(hash(anchor)) & mask;
        let range = loop {
            match self.places.get(at_place) {
                Some((other, first, end)) if first != end => {
                    if *other == anchor {
                        break *first as usize..*end as usize;
                    }
                }
                _ => return,
            }
            at_place = (at_place + 1) & mask;
        };
        for literal in self.literals.get(range).unwrap_or_default() {
            if seen.contains(literal.id) {
                continue;
            }
            let Some(start) = at.checked_sub(literal.anchor_at as usize) else { continue };
            let len = literal.len as usize;
            let Some(here) = text.get(start..start + len) else { continue };
            if here.first() != Some(&literal.ends.0) || here.last() != Some(&literal.ends.1) {
                continue;
            }
            let bytes = self.bytes.get(literal.start as usize..literal.start as usize + len);
            if Some(here) == bytes {
                found(seen, literal.id);
            }
        }
    }
}

/// For each literal: its anchor, its index and where the anchor stands in it.
///
/// Rules name what is common in data too (`.exe`, `\windows\`), so what many literals hold is likely to be common
/// there; letters of everyday words are likelier than others; and a run of one byte is padding that may be endless.
fn anchors<const N: usize>(literals: &[(&[u8], u32)]) -> Vec<(u32, usize, u32)> {
    let mut holders: rustc_hash::FxHashMap<u32, u32> = rustc_hash::FxHashMap::default();
    for (bytes, _) in literals {
        for window in bytes.array_windows::<N>() {
            *holders.entry(anchor_of(window)).or_default() += 1;
        }
    }
    let mut sharing: rustc_hash::FxHashMap<u32, u32> = rustc_hash::FxHashMap::default();
    let mut anchored = Vec::with_capacity(literals.len());
    // The shortest have the least choice, so they choose first.
    let mut order: Vec<usize> = (0..literals.len()).collect();
    order.sort_by_key(|index| literals.get(*index).map_or(0, |(bytes, _)| bytes.len()));
    for index in order {
        let Some((bytes, _)) = literals.get(index) else { continue };
        let cost = |(_, window): &(u32, &[u8; N])| {
            let anchor = anchor_of(window);
            let is_run = window.iter().all(|byte| Some(byte) == window.first());
            let common: u32 = window.iter().map(|byte| commonness(*byte)).sum();
            let held = holders.get(&anchor).copied().unwrap_or(0);
            let shared = sharing.get(&anchor).copied().unwrap_or(0);
            held * 2 + common + shared * 16 + u32::from(is_run) * 1_000
        };
        let Some((at, window)) = (0..).zip(bytes.array_windows::<N>()).min_by_key(cost) else { continue };
        let anchor = anchor_of(window);
        *sharing.entry(anchor).or_default() += 1;
        anchored.push((anchor, index, at));
    }
    anchored
}

/// How common a byte is in the texts of logs: paths, commands, words.
fn commonness(byte: u8) -> u32 {
    match byte {
        b'e' | b's' | b't' | b'o' | b'i' | b'n' | b'r' | b'a' | b'0' | b'\\' | b'/' | b' ' => 8,
        b'c' | b'd' | b'l' | b'm' | b'p' | b'w' | b'x' | b'.' | b'-' | b'1'..=b'9' => 6,
        b'u' | b'h' | b'f' | b'g' | b'b' | b'v' | b'y' | b'"' | b':' | b'_' | b'=' => 4,
        _ => 2,
    }
}

#[inline]
fn anchor_of<const N: usize>(window: &[u8; N]) -> u32 {
    window.iter().rev().fold(0, |anchor, byte| anchor << 8 | u32::from(*byte))
}

#[inline]
fn hash(anchor: u32) -> u32 {
    anchor.wrapping_mul(0x9E37_79B1)
}

/// The high bits of a product are its good ones.
#[inline]
fn place(hash: u32) -> usize {
    (hash >> 16 ^ hash >> 4) as usize
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn finds_what_trying_each_finds(
            literals in prop::collection::btree_set("[abé]{1,7}", 0..90),
            text in "[abé]{0,40}",
        ) {
            let numbered: Vec<(&str, u32)> = literals.iter().map(String::as_str).zip(0..).collect();
            let grams = Grams::new(&numbered);
            let mut found = BTreeSet::new();
            let mut seen = Seen { stamps: &mut [], now: 0 };
            grams.find(text.as_bytes(), &mut seen, &mut |_, id| _ = found.insert(id));
            let expected: BTreeSet<u32> =
                numbered.iter().filter(|(literal, _)| text.contains(literal)).map(|(_, id)| *id).collect();
            prop_assert_eq!(grams.is_absent(text.as_bytes()), expected.is_empty());
            prop_assert_eq!(found, expected);
        }
    }
}

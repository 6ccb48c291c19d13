//! Finds which of thousands of literals stand anywhere in a value, at about half a nanosecond a byte.
//!
//! Of each literal, the four bytes within it that are likely to be rarest are its *anchor*: two anchors in fact, one at
//! an even and one at an odd distance from its beginning, so that only every other place of a value has to be looked at.
//! The four bytes at a place are looked up in a sieve; only where it lets them pass are the literals with that anchor
//! compared in full. Shorter literals have shorter anchors, in tables of their own. No automaton is walked, so that no
//! cache is missed a byte, and what is compared at a place is bounded by the literals that share an anchor, whatever
//! the value.

use std::sync::LazyLock;

use rustc_hash::{FxHashMap, FxHashSet};

use super::column::Seen;
use super::everyday::EVERYDAY;
use super::sieve::Sieve;

/// A search with vector instructions takes up to so many literals, and pays from so many bytes on.
const MAX_PACKED: usize = 48;
const MIN_PACKED_BYTES: usize = 64;

/// The literals.
#[derive(Debug, Default)]
pub(super) struct Grams {
    long: Table<4>,
    middling: Table<3>,
    short: Pairs,
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
            long: Table::new(&of(5..usize::MAX)),
            middling: Table::new(&of(4..5)),
            short: Pairs::new(&of(2..4)),
            single: singles.iter().filter_map(|(text, id)| Some((*text.first()?, *id))).collect(),
            packed: packed
                .then(|| aho_corasick::packed::Searcher::new(literals.iter().map(|(text, _)| text)))
                .flatten(),
            shortest,
        }
    }

    /// Whether none of the literals stands in the text.
    pub(super) fn is_absent(&self, text: &[u8]) -> bool {
        if let Some(packed) = &self.packed {
            return packed.find(text).is_none();
        }
        let mut seen = Seen { stamps: &mut [], now: 0 };
        let mut absent = true;
        self.find(text, &mut seen, &mut |_, _| absent = false);
        absent
    }

    /// Calls `found` with the number of each literal that stands in the text and has not been seen.
    #[inline]
    pub(super) fn find(&self, text: &[u8], seen: &mut Seen<'_>, found: &mut impl FnMut(&mut Seen<'_>, u32)) {
        if text.len() < self.shortest
            || (text.len() >= MIN_PACKED_BYTES
                && self.packed.as_ref().is_some_and(|packed| packed.find(text).is_none()))
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

/// Every so many places of a value are looked at; a literal has as many anchors.
const STRIDE: usize = 2;

/// Literals by anchors of `N` bytes, three or four, each with one for each place modulo `STRIDE`.
#[derive(Debug, Default)]
struct Table<const N: usize> {
    sieve: Sieve,
    /// Sorted by their anchors.
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
        let mut anchored = anchors::<N>(literals);
        anchored.sort_unstable();
        let mut table = Self::default();
        let mut starts = Vec::with_capacity(literals.len());
        for (bytes, _) in literals {
            starts.push(number(table.bytes.len()));
            table.bytes.extend_from_slice(bytes);
        }
        let mut keys = Vec::with_capacity(anchored.len());
        for (anchor, index, anchor_at) in anchored {
            let (Some((bytes, id)), Some(start)) = (literals.get(index), starts.get(index)) else { continue };
            let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { continue };
            let (len, ends) = (number(bytes.len()), (*first, *last));
            table.literals.push(Literal { start: *start, len, anchor_at, id: *id, ends });
            keys.push(u64::from(anchor));
        }
        table.sieve = Sieve::new(&keys);
        table
    }

    #[inline]
    fn find(&self, text: &[u8], seen: &mut Seen<'_>, found: &mut impl FnMut(&mut Seen<'_>, u32)) {
        if self.sieve.is_empty() {
            return;
        }
        // Four bytes are read at once, also where three are meant.
        const MASK: [u32; 5] = [0, 0xff, 0xffff, 0x00ff_ffff, u32::MAX];
        let mask = MASK.get(N).copied().unwrap_or(u32::MAX);
        for (step, window) in text.array_windows::<4>().step_by(STRIDE).enumerate() {
            let anchor = u64::from(u32::from_le_bytes(*window) & mask);
            if self.sieve.may_have(anchor) {
                self.verify(text, step * STRIDE, anchor, seen, found);
            }
        }
        // The last three bytes begin no window of four.
        if N == 3
            && let Some(window) = text.last_chunk::<N>()
        {
            let anchor = u64::from(anchor_of(window));
            if self.sieve.may_have(anchor) {
                self.verify(text, text.len() - N, anchor, seen, found);
            }
        }
    }

    #[inline(never)]
    fn verify(
        &self,
        text: &[u8],
        at: usize,
        anchor: u64,
        seen: &mut Seen<'_>,
        found: &mut impl FnMut(&mut Seen<'_>, u32),
    ) {
        for literal in self.literals.get(self.sieve.range(anchor)).unwrap_or_default() {
            let Some(start) = at.checked_sub(literal.anchor_at as usize) else { continue };
            let len = literal.len as usize;
            let Some(here) = text.get(start..start + len) else { continue };
            if here.first() != Some(&literal.ends.0) || here.last() != Some(&literal.ends.1) {
                continue;
            }
            let bytes = self.bytes.get(literal.start as usize..literal.start as usize + len);
            if Some(here) == bytes && !seen.contains(literal.id) {
                found(seen, literal.id);
            }
        }
    }
}

/// Literals of two or three bytes, by two bytes: every pair has a bit of its own.
#[derive(Debug, Default)]
struct Pairs {
    bits: Vec<u64>,
    /// Sorted by their pairs.
    literals: Vec<Short>,
    /// For few literals in long texts: a search for each is quicker.
    searches: Vec<(memchr::memmem::Finder<'static>, u32)>,
}

#[derive(Clone, Copy, Debug)]
struct Short {
    pair: u16,
    /// What stands before the pair, or behind it.
    before: Option<u8>,
    behind: Option<u8>,
    id: u32,
}

/// So many short literals are searched for one by one.
const MAX_SEARCHES: usize = 4;

impl Pairs {
    fn new(literals: &[(&[u8], u32)]) -> Self {
        let mut pairs = Self::default();
        if literals.is_empty() {
            return pairs;
        }
        if literals.len() <= MAX_SEARCHES {
            let search = |(bytes, id): &(&[u8], u32)| (memchr::memmem::Finder::new(bytes).into_owned(), *id);
            pairs.searches = literals.iter().map(search).collect();
        }
        pairs.bits = vec![0; (1 << 16) / 64];
        let common = |pair: &[u8; 2]| pair.iter().map(|byte| commonness(*byte)).sum::<u32>();
        for (bytes, id) in literals {
            let rarest = bytes.array_windows::<2>().enumerate().min_by_key(|(_, pair)| common(pair));
            let Some((at, pair)) = rarest else { continue };
            let before = at.checked_sub(1).and_then(|before| bytes.get(before)).copied();
            let behind = bytes.get(at + 2).copied();
            let pair = u16::from_le_bytes(*pair);
            if let Some(word) = pairs.bits.get_mut(usize::from(pair / 64)) {
                *word |= 1 << (pair % 64);
            }
            pairs.literals.push(Short { pair, before, behind, id: *id });
        }
        pairs.literals.sort_unstable_by_key(|short| short.pair);
        pairs
    }

    #[inline]
    fn find(&self, text: &[u8], seen: &mut Seen<'_>, found: &mut impl FnMut(&mut Seen<'_>, u32)) {
        if self.literals.is_empty() {
            return;
        }
        if text.len() >= MIN_PACKED_BYTES && !self.searches.is_empty() {
            for (search, id) in &self.searches {
                if !seen.contains(*id) && search.find(text).is_some() {
                    found(seen, *id);
                }
            }
            return;
        }
        for (at, window) in text.array_windows::<2>().enumerate() {
            let pair = u16::from_le_bytes(*window);
            let word = self.bits.get(usize::from(pair / 64)).copied().unwrap_or(0);
            if word >> (pair % 64) & 1 != 0 {
                self.verify(text, at, pair, seen, found);
            }
        }
    }

    #[inline(never)]
    fn verify(
        &self,
        text: &[u8],
        at: usize,
        pair: u16,
        seen: &mut Seen<'_>,
        found: &mut impl FnMut(&mut Seen<'_>, u32),
    ) {
        let before = at.checked_sub(1).and_then(|before| text.get(before)).copied();
        let behind = text.get(at + 2).copied();
        let first = self.literals.partition_point(|short| short.pair < pair);
        let here = self.literals.get(first..).unwrap_or_default();
        for short in here.iter().take_while(|short| short.pair == pair) {
            let fits = |wanted: Option<u8>, is: Option<u8>| wanted.is_none() || wanted == is;
            if fits(short.before, before) && fits(short.behind, behind) && !seen.contains(short.id) {
                found(seen, short.id);
            }
        }
    }
}

static EVERYDAY_THREES: LazyLock<FxHashSet<u32>> = LazyLock::new(everyday::<3>);
static EVERYDAY_FOURS: LazyLock<FxHashSet<u32>> = LazyLock::new(everyday::<4>);

/// What would be bad anchors.
fn everyday<const N: usize>() -> FxHashSet<u32> {
    EVERYDAY.iter().flat_map(|text| text.as_bytes().array_windows::<N>().map(anchor_of)).collect()
}

/// For each literal and each place modulo `STRIDE`: its anchor, its index and where the anchor stands in it.
///
/// What is everywhere in logs is a bad anchor; rules name what is common in data too (`.exe`, `\windows\`), so what many
/// literals hold is likely to be common there; letters of everyday words are likelier than others; and a run of one
/// byte is padding that may be endless.
fn anchors<const N: usize>(literals: &[(&[u8], u32)]) -> Vec<(u32, usize, u32)> {
    let everyday = if N == 3 { &*EVERYDAY_THREES } else { &*EVERYDAY_FOURS };
    let mut holders: FxHashMap<u32, u32> = FxHashMap::default();
    for window in literals.iter().flat_map(|(bytes, _)| bytes.array_windows::<N>()) {
        *holders.entry(anchor_of(window)).or_default() += 1;
    }
    let mut sharing: FxHashMap<u32, u32> = FxHashMap::default();
    let mut anchored = Vec::with_capacity(literals.len() * STRIDE);
    // The shortest have the least choice, so they choose first.
    let mut order: Vec<usize> = (0..literals.len()).collect();
    order.sort_by_key(|index| literals.get(*index).map_or(0, |(bytes, _)| bytes.len()));
    for index in order {
        let Some((bytes, _)) = literals.get(index) else { continue };
        for phase in 0..STRIDE {
            let cost = |(_, window): &(u32, &[u8; N])| {
                let anchor = anchor_of(window);
                let is_run = window.iter().all(|byte| Some(byte) == window.first());
                let common: u32 = window.iter().map(|byte| commonness(*byte)).sum();
                let held = holders.get(&anchor).copied().unwrap_or(0);
                let shared = sharing.get(&anchor).copied().unwrap_or(0);
                held * 2
                    + common
                    + shared * 16
                    + u32::from(everyday.contains(&anchor)) * 64
                    + u32::from(is_run) * 1_000
            };
            let windows = (0..).zip(bytes.array_windows::<N>()).skip(phase).step_by(STRIDE);
            let Some((at, window)) = windows.min_by_key(cost) else { continue };
            let anchor = anchor_of(window);
            *sharing.entry(anchor).or_default() += 1;
            anchored.push((anchor, index, at));
        }
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
            text in "[abé]{0,40}|[abé]{60,90}",
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

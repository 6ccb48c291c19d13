//! Texts of which we ask which stand at the beginning (or at the end) of a value, or are all of it.
//!
//! A text is looked up by its eight outermost bytes; a shorter one by all it has, so that there is one look-up for each
//! length below eight that occurs, and one for all others, whatever their number.

use super::sieve::Sieve;

/// Where in the value the texts stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum End {
    /// At its start.
    #[default]
    Start,
    /// At its end.
    Back,
    /// They are all of it.
    Whole,
}

/// The texts.
#[derive(Debug, Default)]
pub(super) struct Ends {
    end: End,
    /// Bit by length, all from [`HEAD`] on as one: whether a text has it.
    lens: u16,
    sieve: Sieve,
    /// Sorted by their keys.
    texts: Vec<Text>,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Text {
    start: u32,
    len: u32,
    id: u32,
}

/// Bytes that a text is looked up by.
const HEAD: usize = 8;

impl Ends {
    /// Of texts with their numbers.
    pub(super) fn new(end: End, texts: &[(&str, u32)]) -> Self {
        let mut ends = Self { end, ..Self::default() };
        let mut sorted: Vec<(u64, &str, u32)> =
            texts.iter().map(|(text, id)| (ends.key(text.as_bytes(), text.len()), *text, *id)).collect();
        sorted.sort_unstable();
        for (_, text, id) in &sorted {
            ends.lens |= 1 << text.len().min(HEAD);
            ends.texts.push(Text { start: number(ends.bytes.len()), len: number(text.len()), id: *id });
            ends.bytes.extend_from_slice(text.as_bytes());
        }
        ends.sieve = Sieve::new(&sorted.iter().map(|(key, ..)| *key).collect::<Vec<_>>());
        ends
    }

    pub(super) fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// Calls `found` with the number of each text that stands there.
    #[inline]
    pub(super) fn find(&self, value: &[u8], mut found: impl FnMut(u32)) {
        if self.texts.is_empty() {
            return;
        }
        let mut look_up = |len: usize, key: u64| {
            if self.sieve.may_have(key) {
                self.verify(len, key, value, &mut found);
            }
        };
        if self.end == End::Whole {
            if self.lens >> value.len().min(HEAD) & 1 != 0 {
                look_up(value.len(), self.key(value, value.len()));
            }
            return;
        }
        let mut lens = self.lens & ((2_u16 << value.len().min(HEAD)) - 1);
        while lens != 0 {
            let len = lens.trailing_zeros() as usize;
            lens &= lens - 1;
            look_up(len, self.key(value, len));
        }
    }

    #[inline(never)]
    fn verify(&self, len: usize, key: u64, value: &[u8], found: &mut impl FnMut(u32)) {
        for text in self.texts.get(self.sieve.range(key)).unwrap_or_default() {
            let start = text.start as usize;
            let bytes = self.bytes.get(start..start + text.len as usize).unwrap_or_default();
            // A key of one length may be that of another by chance.
            let is_there = bytes.len().min(HEAD) == len.min(HEAD)
                && match self.end {
                    End::Start => value.starts_with(bytes),
                    End::Back => value.ends_with(bytes),
                    End::Whole => value == bytes,
                };
            if is_there {
                found(text.id);
            }
        }
    }

    /// What a text of `len` bytes at the value's end is looked up by.
    #[inline]
    fn key(&self, value: &[u8], len: usize) -> u64 {
        let outermost = match self.end {
            End::Start | End::Whole => match value.first_chunk::<HEAD>() {
                Some(chunk) => u64::from_le_bytes(*chunk),
                None => value.iter().rev().fold(0, |head, byte| head << 8 | u64::from(*byte)),
            },
            End::Back => match value.last_chunk::<HEAD>() {
                Some(chunk) => u64::from_be_bytes(*chunk),
                None => value.iter().fold(0, |head, byte| head << 8 | u64::from(*byte)),
            },
        };
        let bits = 8 * u32::try_from(len.min(HEAD)).unwrap_or(0);
        let kept = u64::MAX.checked_shr(u64::BITS - bits).unwrap_or(0);
        // Of whole values the length counts beyond eight bytes too.
        let counted = if self.end == End::Whole { len } else { len.min(HEAD) };
        (outermost & kept).wrapping_add((counted as u64).wrapping_mul(0xC2B2_AE3D_27D4_EB4F))
    }
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Over few letters, one of them two bytes long and one of them zero, so that all kinds of overlap happen.
        #[test]
        fn finds_what_trying_each_finds(
            texts in prop::collection::btree_set("[ab\0é]{0,12}", 0..40),
            value in "[ab\0é]{0,20}",
        ) {
            let numbered: Vec<(&str, u32)> = texts.iter().map(String::as_str).zip(0..).collect();
            for end in [End::Start, End::Back, End::Whole] {
                let stands = |text: &str| match end {
                    End::Start => value.starts_with(text),
                    End::Back => value.ends_with(text),
                    End::Whole => value == text,
                };
                let mut found = Vec::new();
                Ends::new(end, &numbered).find(value.as_bytes(), |id| found.push(id));
                found.sort_unstable();
                let expected: Vec<u32> =
                    numbered.iter().filter(|(text, _)| stands(text)).map(|(_, id)| *id).collect();
                prop_assert_eq!(found, expected);
            }
        }
    }
}

//! Texts of which we ask which stand at the beginning (or, read backwards, at the end) of a value, in time that grows
//! with the logarithm of their number.
//!
//! They are kept sorted. All that are a beginning of the value stand before it in that order, and each of them is a
//! beginning of the next longer one: so the last text that does not come after the value either is the longest
//! beginning or leads to it through `parent`, the longest other text that begins it.

use std::cmp::Ordering;

/// Which end of the value the texts stand at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum End {
    #[default]
    Start,
    Back,
}

/// The sorted texts.
#[derive(Debug, Default)]
pub(super) struct Ladder {
    end: End,
    /// The first eight bytes of each, in the direction of reading: most comparisons need no more.
    heads: Vec<u64>,
    rungs: Vec<Rung>,
    /// All texts, each in the direction of reading.
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Rung {
    start: u32,
    len: u32,
    parent: u32,
    id: u32,
}

const NO_PARENT: u32 = u32::MAX;
/// Bytes of a head.
const HEAD: usize = 8;

impl Ladder {
    /// Of texts with their numbers. No text may stand twice.
    pub(super) fn new(end: End, texts: &[(&str, u32)]) -> Self {
        let mut sorted: Vec<(Vec<u8>, u32)> = texts
            .iter()
            .map(|(text, id)| match end {
                End::Start => (text.as_bytes().to_vec(), *id),
                End::Back => (text.bytes().rev().collect(), *id),
            })
            .collect();
        sorted.sort_unstable();
        let mut ladder = Self { end, ..Self::default() };
        let mut open: Vec<usize> = Vec::new();
        for (index, (text, id)) in sorted.iter().enumerate() {
            while open
                .last()
                .is_some_and(|above| !sorted.get(*above).is_some_and(|(above, _)| text.starts_with(above)))
            {
                open.pop();
            }
            let parent = open.last().map_or(NO_PARENT, |above| number(*above));
            open.push(index);
            ladder.heads.push(Reading { end: End::Start, value: text }.head());
            ladder.rungs.push(Rung {
                start: number(ladder.bytes.len()),
                len: number(text.len()),
                parent,
                id: *id,
            });
            ladder.bytes.extend_from_slice(text);
        }
        ladder
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rungs.is_empty()
    }

    /// Calls `found` with the number of each text that stands at the value's end.
    pub(super) fn find(&self, value: &str, mut found: impl FnMut(u32)) {
        if self.rungs.is_empty() {
            return;
        }
        let reading = Reading { end: self.end, value: value.as_bytes() };
        let head = reading.head();
        let mut after = self.heads.partition_point(|other| *other < head);
        // Texts with the value's own head: rarely more than a few.
        while let (Some(other), Some(rung)) = (self.heads.get(after), self.rungs.get(after)) {
            if *other != head || reading.compare(self.text(rung)) == Ordering::Less {
                break;
            }
            after += 1;
        }
        let Some(mut at) = after.checked_sub(1) else { return };
        while let Some(rung) = self.rungs.get(at) {
            if reading.starts_with(self.text(rung)) {
                found(rung.id);
            }
            if rung.parent == NO_PARENT {
                return;
            }
            at = rung.parent as usize;
        }
    }

    fn text(&self, rung: &Rung) -> &[u8] {
        let start = rung.start as usize;
        self.bytes.get(start..start + rung.len as usize).unwrap_or_default()
    }
}

/// A value, read from one of its ends.
#[derive(Clone, Copy)]
struct Reading<'v> {
    end: End,
    value: &'v [u8],
}

impl Reading<'_> {
    /// The first eight bytes as a number that sorts as they do; fewer are filled up with zeros.
    fn head(self) -> u64 {
        let mut head = [0; HEAD];
        match self.end {
            End::Start => match self.value.first_chunk::<HEAD>() {
                Some(chunk) => u64::from_be_bytes(*chunk),
                None => {
                    head.iter_mut().zip(self.value).for_each(|(to, byte)| *to = *byte);
                    u64::from_be_bytes(head)
                }
            },
            End::Back => match self.value.last_chunk::<HEAD>() {
                Some(chunk) => u64::from_le_bytes(*chunk),
                None => {
                    head.iter_mut().zip(self.value.iter().rev()).for_each(|(to, byte)| *to = *byte);
                    u64::from_be_bytes(head)
                }
            },
        }
    }

    /// How the value compares with a text that is written in the direction of reading.
    fn compare(self, text: &[u8]) -> Ordering {
        match self.end {
            End::Start => self.value.cmp(text),
            End::Back => self.value.iter().rev().cmp(text),
        }
    }

    fn starts_with(self, text: &[u8]) -> bool {
        match self.end {
            End::Start => self.value.starts_with(text),
            End::Back => {
                self.value.len() >= text.len() && self.value.iter().rev().zip(text).all(|(a, b)| a == b)
            }
        }
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
            texts in prop::collection::btree_set("[ab\0é]{1,12}", 0..40),
            value in "[ab\0é]{0,20}",
        ) {
            let numbered: Vec<(&str, u32)> = texts.iter().map(String::as_str).zip(0..).collect();
            for end in [End::Start, End::Back] {
                let stands = |text: &str| match end {
                    End::Start => value.starts_with(text),
                    End::Back => value.ends_with(text),
                };
                let mut found = Vec::new();
                Ladder::new(end, &numbered).find(&value, |id| found.push(id));
                found.sort_unstable();
                let expected: Vec<u32> =
                    numbered.iter().filter(|(text, _)| stands(text)).map(|(_, id)| *id).collect();
                prop_assert_eq!(found, expected);
            }
        }
    }
}

//! Reading a segment back: its intact entries, a torn tail, and damage told apart from it.

use std::ops::Range;

use super::entry::{self, Entry, HeaderError, Marker, SEGMENT_HEADER_BYTES};

/// What stands in a segment file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Scan {
    /// The intact entries in order.
    pub entries: Vec<Entry>,
    /// Where a clean end of the segment is: what stands behind was never acknowledged.
    pub end: usize,
    /// Bytes that were once durable and no longer are what was written.
    pub damage: Vec<Range<usize>>,
}

/// Reads the segment in `bytes`. In a segment that is `complete` (a later one exists) every byte was durable.
pub(crate) fn scan(bytes: &[u8], complete: bool) -> Result<(u64, Scan), HeaderError> {
    let (segment, marker) = entry::parse_segment_header(bytes)?;
    let mut scan = Scan { end: SEGMENT_HEADER_BYTES, ..Scan::default() };
    let mut holes: Vec<Range<usize>> = Vec::new();
    let mut at = SEGMENT_HEADER_BYTES;
    let mut durable = 0_u64;
    while at < bytes.len() {
        let Some(entry) = next_entry(bytes, at, marker) else {
            holes.push(at..bytes.len());
            break;
        };
        if entry.offset > at {
            holes.push(at..entry.offset);
        }
        durable = durable.max(entry.synced);
        at = entry.body.end;
        scan.entries.push(entry);
    }
    let was_durable = |hole: &Range<usize>| complete || (hole.start as u64) < durable;
    let torn_at = holes.iter().find(|hole| !was_durable(hole)).map_or(bytes.len(), |hole| hole.start);
    scan.entries.retain(|entry| entry.offset < torn_at);
    scan.damage = holes.into_iter().filter(was_durable).collect();
    scan.end = torn_at;
    Ok((segment, scan))
}

/// The first intact entry at or after `from`.
fn next_entry(bytes: &[u8], from: usize, marker: Marker) -> Option<Entry> {
    if let Some(entry) = entry::parse_entry(bytes, from, marker) {
        return Some(entry);
    }
    memchr::memmem::find_iter(bytes.get(from..)?, &marker.0)
        .find_map(|distance| entry::parse_entry(bytes, from + distance, marker))
}

#[cfg(test)]
mod tests {
    use std::slice;

    use proptest::prelude::*;

    use super::*;

    const MARKER: Marker = Marker(*b"\x01abcdefg");

    /// A segment of groups of bodies; each group is durable before the next is written.
    fn segment(groups: &[&[&[u8]]]) -> Vec<u8> {
        let mut bytes = entry::segment_header(7, MARKER);
        for group in groups {
            let synced = bytes.len() as u64;
            for body in *group {
                bytes.extend_from_slice(&entry::entry_header(MARKER, body, synced));
                bytes.extend_from_slice(body);
            }
        }
        bytes
    }

    fn bodies<'b>(bytes: &'b [u8], scan: &Scan) -> Vec<&'b [u8]> {
        scan.entries.iter().map(|entry| &bytes[entry.body.clone()]).collect()
    }

    #[test]
    fn a_tail_torn_at_any_byte_costs_only_itself() {
        let whole = segment(&[&[b"one"], &[b"two", b"three"]]);
        let keep = segment(&[&[b"one"], &[b"two"]]).len();
        for cut in keep..whole.len() {
            let bytes = &whole[..cut];
            let (number, found) = scan(bytes, false).unwrap();
            assert_eq!((number, found.end), (7, keep), "cut at {cut}");
            assert_eq!(bodies(bytes, &found), [b"one".as_slice(), b"two"]);
            assert!(found.damage.is_empty());
        }
    }

    #[test]
    fn bytes_that_rot_below_the_durable_mark_are_damage_with_their_place() {
        let good = segment(&[&[b"one"], &[b"two"], &[b"three"]]);
        let (_, clean) = scan(&good, false).unwrap();
        let second = clean.entries[1].clone();
        for at in second.offset..second.body.end {
            let mut bytes = good.clone();
            bytes[at] ^= 0x40;
            let (_, found) = scan(&bytes, false).unwrap();
            assert_eq!(found.damage, slice::from_ref(&(second.offset..second.body.end)), "byte {at}");
            assert_eq!(bodies(&bytes, &found), [b"one".as_slice(), b"three"]);
            assert_eq!(found.end, bytes.len());
        }
    }

    #[test]
    fn a_hole_inside_the_last_group_is_a_torn_tail_unless_a_later_segment_exists() {
        let mut bytes = segment(&[&[b"one"], &[b"two", b"three"]]);
        let (_, clean) = scan(&bytes, false).unwrap();
        let second = clean.entries[1].clone();
        bytes[second.body.start] ^= 1;
        let (_, found) = scan(&bytes, false).unwrap();
        assert_eq!((bodies(&bytes, &found), found.end), (vec![b"one".as_slice()], second.offset));
        let (_, found) = scan(&bytes, true).unwrap();
        assert_eq!(found.damage, slice::from_ref(&(second.offset..second.body.end)));
        assert_eq!(bodies(&bytes, &found), [b"one".as_slice(), b"three"]);
    }

    #[test]
    fn zeros_that_a_crash_left_behind_are_a_torn_tail() {
        let good = segment(&[&[b"one"]]);
        let mut bytes = good.clone();
        bytes.resize(bytes.len() + 4096, 0);
        let (_, found) = scan(&bytes, false).unwrap();
        assert_eq!((found.entries.len(), found.end, found.damage.len()), (1, good.len(), 0));
        assert_eq!(scan(&[0; 100], false), Err(HeaderError::Unfinished));
        assert_eq!(scan(&good[..20], false), Err(HeaderError::Unfinished));
    }

    #[test]
    fn a_line_that_imitates_an_entry_is_not_one() {
        let mut forged = entry::entry_header(Marker(*b"\x01abcdefX"), b"evil", u64::MAX).to_vec();
        forged.extend_from_slice(b"evil");
        let bytes = segment(&[&[b"one"], &[&forged]]);
        let keep = segment(&[&[b"one"]]).len();
        let torn = &bytes[..bytes.len() - 1];
        let (_, found) = scan(torn, false).unwrap();
        assert_eq!((found.end, found.damage.len()), (keep, 0));
    }

    proptest! {
        #[test]
        fn any_bytes_scan_without_panic(tail in prop::collection::vec(any::<u8>(), 0..400), complete: bool) {
            let mut bytes = entry::segment_header(1, MARKER);
            bytes.extend_from_slice(&tail);
            let (_, found) = scan(&bytes, complete).unwrap();
            prop_assert!(found.end <= bytes.len());
        }
    }
}

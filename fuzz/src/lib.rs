//! What the fuzz targets share: seeds, and how they are changed.
//!
//! Random bytes alone never get past the first character of a log format. So a target takes its random bytes as a plan
//! of edits to one of its seeds: the engine explores plans, and every input still looks much like a log.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// The longest input made. Limits of the decoders are set below it, so that they are reached.
pub const MAX_INPUT: usize = 64 << 10;

/// What parsers trip over.
const TOKENS: [&[u8]; 40] = [
    b"\0",
    b"\n",
    b"\r\n",
    b" ",
    b"\t",
    b"\"",
    b"'",
    b"\\",
    b"\\x",
    b"\\x4",
    b"\\u00",
    b"[",
    b"]",
    b"{",
    b"}",
    b"(",
    b")",
    b"<",
    b">",
    b"<191>",
    b"<999>",
    b"=",
    b":",
    b"; ",
    b", ",
    b"-",
    b"--",
    b"#",
    b"\x1d",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\xc4\xe3\xba\xc3",
    "你好".as_bytes(),
    "\u{1F600}".as_bytes(),
    b"18446744073709551616",
    b"-9223372036854775809",
    b"1e999",
    b"0",
    b"65536",
    b"99999999999999999999",
];

/// The seeds of a target: the files in `seeds/<target>`, in order of their names.
#[must_use]
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{} holds no seed", folder.display());
    files.iter().map(|file| std::fs::read(file).expect("a readable seed")).collect()
}

/// How long each target runs: `WANGLOU_FUZZ_SECONDS`, or a second.
#[must_use]
pub fn test_time() -> Duration {
    let seconds = std::env::var("WANGLOU_FUZZ_SECONDS").ok();
    Duration::from_secs(seconds.map_or(1, |text| text.parse().expect("WANGLOU_FUZZ_SECONDS is a number")))
}

/// The input that `plan` makes of `seeds`: which seed, then edits until the plan ends.
#[must_use]
pub fn mutate(seeds: &[Vec<u8>], plan: &[u8]) -> Vec<u8> {
    let mut plan = Plan(plan.iter());
    let mut input = seeds[plan.below(seeds.len())].clone();
    while let Some(edit) = plan.next() {
        let at = plan.below(input.len() + 1);
        let len = plan.below(64).min(input.len() - at);
        match edit % 10 {
            0 => input.truncate(at),
            1 => _ = input.drain(at..at + len),
            2 => {
                let copy = input[at..at + len].to_vec();
                let times = plan.below(200);
                input.splice(at..at, copy.repeat(times));
            }
            3 | 4 => {
                let token = TOKENS[plan.below(TOKENS.len())];
                input.splice(at..at, token.iter().copied());
            }
            5 => {
                let token = TOKENS[plan.below(TOKENS.len())];
                input.splice(at..at + len, token.iter().copied());
            }
            6 => {
                let other = &seeds[plan.below(seeds.len())];
                let from = plan.below(other.len());
                input.splice(at..at, other[from..].iter().copied());
            }
            7 => input.splice(at..at, plan.next()).for_each(drop),
            8 => input[at..at + len].reverse(),
            _ => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << (edit / 10 % 8);
                }
            }
        }
        input.truncate(MAX_INPUT);
    }
    input
}

struct Plan<'a>(std::slice::Iter<'a, u8>);

impl Plan<'_> {
    fn next(&mut self) -> Option<u8> {
        self.0.next().copied()
    }

    /// A number below `end`; 0 where there is none.
    fn below(&mut self, end: usize) -> usize {
        let number = usize::from(self.next().unwrap_or(0)) << 8 | usize::from(self.next().unwrap_or(0));
        number.checked_rem(end).unwrap_or(0)
    }
}

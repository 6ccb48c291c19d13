//! Regular expressions: compiled to automata that never backtrack, with the literals that any match must hold.
//!
//! Sigma's flavour is a subset of PCRE without look-around and back-references; a rule that uses these is refused.

use std::fmt;
use std::hash::{Hash, Hasher};

use regex_automata::meta;
use regex_automata::util::syntax;
use regex_syntax::hir::{Class, Hir, HirKind};

use crate::text::fold;

/// Compiled size of one expression. `\w{1,64}` takes 3 MiB, for Unicode has many letters; `((a{100}){100}){100}` is
/// refused.
const MAX_COMPILED_BYTES: usize = 10 << 20;
/// Memory of the automaton that is built while matching; beyond it the slower but still linear engine takes over.
const MAX_LAZY_BYTES: usize = 1 << 20;
/// Sets of required literals larger than this are no gate.
const MAX_REQUIRED: usize = 64;
/// A shorter literal stands in almost every value and gates nothing, unless it has one of these.
const MIN_REQUIRED_LEN: usize = 3;
const RARE_BYTES: &[u8] = b"`{}$^|~#@;!*[]<>&";

/// The sub-modifiers of `re`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Flags {
    /// `i`
    pub(crate) case_insensitive: bool,
    /// `m`
    pub(crate) multi_line: bool,
    /// `s`
    pub(crate) dot_matches_newline: bool,
}

/// A compiled expression. Equal when source and flags are.
pub(crate) struct Regex {
    source: String,
    flags: Flags,
    matcher: meta::Regex,
    required: Vec<String>,
    shortest: usize,
}

/// Why an expression is refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RegexError {
    /// It does not parse; with the offset in characters and the length of what is wrong.
    Syntax { reason: String, offset: usize, len: usize },
    /// It asks for what cannot be done in linear time.
    Unsupported { what: &'static str, offset: usize, len: usize },
    /// It is too big.
    TooBig,
}

impl Regex {
    pub(crate) fn new(source: &str, flags: Flags) -> Result<Self, RegexError> {
        let config = syntax::Config::new()
            .case_insensitive(flags.case_insensitive)
            .multi_line(flags.multi_line)
            .dot_matches_new_line(flags.dot_matches_newline);
        let hir = parse(source, flags)?;
        let matcher = meta::Regex::builder()
            .configure(
                meta::Config::new()
                    .nfa_size_limit(Some(MAX_COMPILED_BYTES))
                    .hybrid_cache_capacity(MAX_LAZY_BYTES)
                    .onepass(false)
                    .dfa(false),
            )
            .syntax(config)
            .build_from_hir(&hir)
            .map_err(|_| RegexError::TooBig)?;
        let required = required(&hir).unwrap_or_default();
        let shortest = hir.properties().minimum_len().unwrap_or(0);
        Ok(Self { source: source.to_owned(), flags, matcher, required, shortest })
    }

    /// Whether the expression matches somewhere in the text.
    pub(crate) fn is_match(&self, text: &str) -> bool {
        self.matcher.is_match(text)
    }

    /// Where the expression matches first.
    pub(crate) fn find(&self, text: &str) -> Option<std::ops::Range<usize>> {
        self.matcher.find(text).map(|found| found.range())
    }

    /// How many bytes the shortest text that matches has.
    pub(crate) fn shortest(&self) -> usize {
        self.shortest
    }

    /// Folded texts of which one stands in the folded form of every text that matches; empty when none is known.
    pub(crate) fn required(&self) -> &[String] {
        &self.required
    }
}

fn parse(source: &str, flags: Flags) -> Result<Hir, RegexError> {
    regex_syntax::ParserBuilder::new()
        .case_insensitive(flags.case_insensitive)
        .multi_line(flags.multi_line)
        .dot_matches_new_line(flags.dot_matches_newline)
        .nest_limit(100)
        .build()
        .parse(source)
        .map_err(|error| explain(source, &error))
}

fn explain(source: &str, error: &regex_syntax::Error) -> RegexError {
    use regex_syntax::ast::ErrorKind as Kind;
    let (span, reason, unsupported) = match error {
        regex_syntax::Error::Parse(error) => {
            let unsupported = match error.kind() {
                Kind::UnsupportedLookAround => Some("look-around"),
                Kind::UnsupportedBackreference => Some("a back-reference"),
                _ => None,
            };
            (*error.span(), error.kind().to_string(), unsupported)
        }
        regex_syntax::Error::Translate(error) => (*error.span(), error.kind().to_string(), None),
        other => return RegexError::Syntax { reason: other.to_string(), offset: 0, len: 1 },
    };
    let chars = |range: std::ops::Range<usize>| source.get(range).map_or(0, |text| text.chars().count());
    let offset = chars(0..span.start.offset);
    let len = chars(span.start.offset..span.end.offset).max(1);
    match unsupported {
        Some(what) => RegexError::Unsupported { what, offset, len },
        None => RegexError::Syntax { reason, offset, len },
    }
}

/// Literals of which each match holds at least one, folded.
fn required(hir: &Hir) -> Option<Vec<String>> {
    let set = match hir.kind() {
        HirKind::Literal(_) | HirKind::Class(_) => vec![literal_of(hir)?],
        HirKind::Capture(capture) => return required(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => return required(&repetition.sub),
        HirKind::Alternation(branches) => {
            let mut all = Vec::new();
            for branch in branches {
                all.extend(required(branch)?);
            }
            all
        }
        HirKind::Concat(parts) => return required_of_sequence(parts),
        _ => return None,
    };
    (worth(&set) >= MIN_REQUIRED_LEN && set.len() <= MAX_REQUIRED).then_some(set)
}

/// How well a set of literals tells values apart: as well as the worst of them, by its length.
fn worth(set: &[String]) -> usize {
    let worth = |literal: &String| match literal.bytes().any(|byte| RARE_BYTES.contains(&byte)) {
        true => literal.len() + MIN_REQUIRED_LEN - 1,
        false => literal.len(),
    };
    set.iter().map(worth).min().unwrap_or(0)
}

/// The best gate of a sequence: a run of literals, or the set of one of its parts; the one whose worst literal is worth most.
fn required_of_sequence(parts: &[Hir]) -> Option<Vec<String>> {
    let mut candidates: Vec<Vec<String>> = Vec::new();
    let mut run = String::new();
    for part in parts {
        if let Some(literal) = literal_of(part) {
            run.push_str(&literal);
            continue;
        }
        candidates.push(vec![std::mem::take(&mut run)]);
        candidates.extend(required(part));
    }
    candidates.push(vec![run]);
    candidates
        .into_iter()
        .filter(|set| worth(set) >= MIN_REQUIRED_LEN)
        .max_by_key(|set| (worth(set), std::cmp::Reverse(set.len())))
}

/// The folded text that this part always is: a literal, or a class of one letter's cases.
fn literal_of(hir: &Hir) -> Option<String> {
    match hir.kind() {
        HirKind::Literal(literal) => std::str::from_utf8(&literal.0).ok().map(fold),
        HirKind::Class(Class::Unicode(class)) => {
            let mut folded = class
                .iter()
                .flat_map(|range| [range.start(), range.end()])
                .map(|c| fold(c.encode_utf8(&mut [0; 4])));
            let is_small = class.iter().all(|range| range.start() == range.end());
            let first = folded.next()?;
            (is_small && folded.all(|other| other == first)).then_some(first)
        }
        HirKind::Capture(capture) => literal_of(&capture.sub),
        HirKind::Concat(parts) => parts.iter().map(literal_of).collect(),
        _ => None,
    }
}

impl PartialEq for Regex {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source && self.flags == other.flags
    }
}
impl Eq for Regex {}
impl Hash for Regex {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.source.hash(state);
        self.flags.hash(state);
    }
}
impl fmt::Debug for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn required_by(source: &str) -> Vec<String> {
        Regex::new(source, Flags::default()).unwrap().required
    }

    #[test]
    fn literals_that_every_match_holds() {
        assert_eq!(required_by(r"\s+PowerShell\.exe(\s|$)"), ["powershell.exe"]);
        assert_eq!(required_by("(?i)invoke-[a-z]+"), ["invoke-"]);
        assert_eq!(required_by("(curl|wget) .*"), ["curl", "wget"]);
        assert_eq!(required_by("(curl|.*)x"), [""; 0]);
        assert_eq!(required_by("a?b*c"), [""; 0]);
        assert_eq!(required_by("(?i)k{1,2}elvin"), ["elvin"]);
        assert_eq!(required_by(r#""(?:\{\d\})+"\s*-f"#), ["}"]);
        assert_eq!(required_by(r"\w+`(?:\w+|-|.)`"), ["`"]);
    }

    #[test]
    fn what_needs_backtracking_is_refused_with_its_place() {
        let error = Regex::new(r"abc(?!def)", Flags::default()).unwrap_err();
        assert_eq!(error, RegexError::Unsupported { what: "look-around", offset: 3, len: 3 });
        let error = Regex::new(r"(a)\1", Flags::default()).unwrap_err();
        assert!(matches!(error, RegexError::Unsupported { what: "a back-reference", .. }));
        assert!(matches!(Regex::new("(", Flags::default()), Err(RegexError::Syntax { offset: 0, .. })));
        assert_eq!(Regex::new("((a{100}){100}){100}", Flags::default()).unwrap_err(), RegexError::TooBig);
    }

    #[test]
    fn flags_work() {
        let matches = |source, flags, text| Regex::new(source, flags).unwrap().is_match(text);
        let none = Flags::default();
        assert!(!matches("cmd", none, "CMD"));
        assert!(matches("cmd", Flags { case_insensitive: true, ..none }, "CMD"));
        assert!(!matches("^b", none, "a\nb"));
        assert!(matches("^b", Flags { multi_line: true, ..none }, "a\nb"));
        assert!(!matches("a.b", none, "a\nb"));
        assert!(matches("a.b", Flags { dot_matches_newline: true, ..none }, "a\nb"));
    }
}

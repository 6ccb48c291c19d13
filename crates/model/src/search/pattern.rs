//! Values with wildcards, compared without regard to the case of ASCII letters.

use std::fmt;

/// A text in which `*` stands for any text and `?` for one character.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pattern {
    /// No two literals and no two `Any` side by side, no empty literal: one meaning, one form.
    pieces: Vec<Piece>,
}

/// A part of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Piece {
    Literal(String),
    Any,
    One,
}

impl Pattern {
    /// Exactly this text.
    #[must_use]
    pub fn literal(text: &str) -> Self {
        let mut pattern = Self { pieces: Vec::new() };
        pattern.push_str(text);
        pattern
    }

    pub(super) fn empty() -> Self {
        Self { pieces: Vec::new() }
    }

    pub(super) fn push(&mut self, piece: Piece) {
        match (self.pieces.last_mut(), piece) {
            (Some(Piece::Any), Piece::Any) => {}
            (Some(Piece::Literal(text)), Piece::Literal(more)) => text.push_str(&more),
            (_, Piece::Literal(text)) if text.is_empty() => {}
            (_, piece) => self.pieces.push(piece),
        }
    }

    pub(super) fn push_str(&mut self, text: &str) {
        self.push(Piece::Literal(text.to_owned()));
    }

    /// Whether nothing but the empty text looks like it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Whether every text looks like it.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.pieces == [Piece::Any]
    }

    /// The text, when there is no wildcard in it.
    #[must_use]
    pub fn as_literal(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [] => Some(""),
            [Piece::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// The texts that must occur in anything that looks like it.
    pub fn literals(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Literal(text) => Some(text.as_str()),
            Piece::Any | Piece::One => None,
        })
    }

    /// Whether the whole text looks like it.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        if let Some(literal) = self.as_literal() {
            return literal.eq_ignore_ascii_case(text);
        }
        let bytes = text.as_bytes();
        stands_at(&self.pieces, bytes, 0, |at| at == bytes.len()) == Fit::Here
    }

    /// Whether a part of the text looks like it, and does not begin or end inside a word: between two ASCII letters or
    /// digits. A `*` at an end lifts that there.
    #[must_use]
    pub fn stands_in(&self, text: &[u8]) -> bool {
        let open_start = matches!(self.pieces.first(), Some(Piece::Any));
        if self.pieces.is_empty() || self.is_any() {
            return true;
        }
        let pieces = if open_start { self.pieces.get(1..).unwrap_or_default() } else { &self.pieces };
        let first = match pieces.first() {
            Some(Piece::Literal(literal)) => literal.bytes().next().map(|byte| byte.to_ascii_lowercase()),
            _ => None,
        };
        for start in 0..=text.len() {
            let here = text.get(start).map(u8::to_ascii_lowercase);
            let may_begin = first.is_none_or(|first| here == Some(first));
            if may_begin && (open_start || is_border(text, start)) {
                match stands_at(pieces, text, start, |at| is_border(text, at)) {
                    Fit::Here => return true,
                    Fit::NotHere => {}
                    Fit::Nowhere => return false,
                }
            }
        }
        false
    }
}

/// Whether pieces fit at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    Here,
    NotHere,
    /// Nor at any place behind: what stands behind a `*` was looked for in all the rest of the text.
    Nowhere,
}

/// Whether `\` before this character takes away what it means; before any other, `\` is itself, as in paths.
pub(super) fn is_special(character: char) -> bool {
    character.is_whitespace()
        || matches!(
            character,
            '*' | '?' | '\\' | '"' | '\'' | '“' | '”' | '(' | ')' | '（' | '）' | '[' | ']' | '{'
        )
        || matches!(character, '}' | ':' | '：' | '=' | '!' | '<' | '>' | '-')
}

/// Whether no word goes on over this place.
fn is_border(text: &[u8], at: usize) -> bool {
    let is_word =
        |place: Option<usize>| place.and_then(|p| text.get(p)).is_some_and(u8::is_ascii_alphanumeric);
    !(is_word(at.checked_sub(1)) && is_word(Some(at)))
}

/// Whether the pieces fit from `start` on, to a place that may be the end unless they end in `*`.
fn stands_at(pieces: &[Piece], text: &[u8], start: usize, may_end: impl Fn(usize) -> bool) -> Fit {
    // Where to go on when the pieces after the last `*` do not fit: it takes one byte more.
    let mut retry: Option<(usize, usize)> = None;
    let (mut piece, mut at) = (0, start);
    loop {
        let fits = match pieces.get(piece) {
            None if matches!(pieces.last(), Some(Piece::Any)) || may_end(at) => return Fit::Here,
            None => None,
            Some(Piece::Any) => {
                retry = Some((piece + 1, at));
                Some(at)
            }
            Some(other) => after(other, text, at),
        };
        (piece, at) = match (fits, retry) {
            (Some(next), _) => (piece + 1, next),
            (None, Some((again, from))) if from < text.len() => {
                retry = Some((again, from + 1));
                (again, from + 1)
            }
            (None, Some(_)) => return Fit::Nowhere,
            (None, None) => return Fit::NotHere,
        };
    }
}

/// The place behind a piece that fits at `at`.
fn after(piece: &Piece, text: &[u8], at: usize) -> Option<usize> {
    match piece {
        Piece::Any => Some(at),
        Piece::Literal(literal) => {
            let end = at + literal.len();
            text.get(at..end).filter(|part| part.eq_ignore_ascii_case(literal.as_bytes())).map(|_| end)
        }
        Piece::One => {
            let continues = |place: usize| text.get(place).is_some_and(|byte| byte & 0xC0 == 0x80);
            text.get(at)?;
            if continues(at) {
                return None;
            }
            Some((at + 1..).find(|place| !continues(*place)).unwrap_or(at + 1))
        }
    }
}

/// As it is written in a query: bare where nothing in it means something else, else quoted, and with `\` before what
/// would be a wildcard where there are others.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(literal) = self.as_literal() {
            return write!(f, "\"{}\"", literal.replace('\\', "\\\\").replace('"', "\\\""));
        }
        for piece in &self.pieces {
            match piece {
                Piece::Any => f.write_str("*")?,
                Piece::One => f.write_str("?")?,
                Piece::Literal(text) => {
                    for character in text.chars() {
                        if is_special(character) {
                            f.write_str("\\")?;
                        }
                        write!(f, "{character}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

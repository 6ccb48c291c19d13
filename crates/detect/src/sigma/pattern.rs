//! Sigma strings: text with the wildcards `*` and `?`, and backslash as their escape.

use super::encode::{DASHES, cut_at_options, is_dash};

/// A part of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Piece {
    /// Plain text, not empty.
    Literal(String),
    /// `*`: any text, also none.
    Any,
    /// `?`: one character.
    One,
    /// One of the characters that begin an option on a command line (`windash`).
    Dash,
}

/// Options of which all spellings are written out; of more, the dashes become pieces of their own.
const MAX_SPELLED_OPTIONS: usize = 2;

/// A Sigma string, its escapes resolved. No two literals and no two `*` stand side by side.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Pattern {
    pieces: Vec<Piece>,
}

/// What a pattern amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape<'p> {
    /// The value is this text.
    Exact(&'p str),
    /// The value begins with this text.
    Prefix(&'p str),
    /// The value ends with this text.
    Suffix(&'p str),
    /// The value contains this text.
    Contains(&'p str),
    /// Any value.
    Anything,
    /// Wildcards within.
    Glob,
}

impl Pattern {
    /// Reads a rule's string. A backslash escapes a following `*`, `?` or backslash; before anything else it stands
    /// for itself.
    pub(crate) fn parse(text: &str) -> Self {
        let mut pattern = Self::default();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\\' => match chars.next_if(|next| matches!(next, '*' | '?' | '\\')) {
                    Some(escaped) => pattern.push_char(escaped),
                    None => pattern.push_char('\\'),
                },
                '*' => pattern.push_any(),
                '?' => pattern.pieces.push(Piece::One),
                plain => pattern.push_char(plain),
            }
        }
        pattern
    }

    /// A pattern without wildcards.
    pub(crate) fn literal(text: &str) -> Self {
        let mut pattern = Self::default();
        pattern.push_literal(text);
        pattern
    }

    /// A pattern of these pieces.
    pub(crate) fn from_pieces(pieces: &[Piece]) -> Self {
        Self::default().then(pieces)
    }

    /// All forms that a rule's string takes when each dash that begins an option may be any of five characters.
    pub(crate) fn with_any_dashes(text: &str) -> Vec<Self> {
        let parts: Vec<Self> = cut_at_options(text).into_iter().map(Self::parse).collect();
        if parts.len() > MAX_SPELLED_OPTIONS + 1 {
            let joined =
                parts.into_iter().reduce(|joined, part| joined.then(&[Piece::Dash]).then(&part.pieces));
            return joined.into_iter().collect();
        }
        let spell = |starts: Vec<Self>, part: Self| {
            let dashes = DASHES.map(|dash| Piece::Literal(dash.into()));
            let longer =
                |start: &Self| dashes.clone().map(|dash| start.clone().then(&[dash]).then(&part.pieces));
            starts.iter().flat_map(longer).collect()
        };
        let mut parts = parts.into_iter();
        let first = parts.next().unwrap_or_default();
        parts.fold(vec![first], spell)
    }

    /// The same with more pieces behind.
    fn then(mut self, pieces: &[Piece]) -> Self {
        pieces.iter().for_each(|piece| self.push(piece.clone()));
        self
    }

    pub(crate) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The text, when there are no wildcards.
    pub(crate) fn plain(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [] => Some(""),
            [Piece::Literal(text)] => Some(text),
            _ => None,
        }
    }

    pub(crate) fn shape(&self) -> Shape<'_> {
        match self.pieces.as_slice() {
            [] => Shape::Exact(""),
            [Piece::Literal(text)] => Shape::Exact(text),
            [Piece::Any] => Shape::Anything,
            [Piece::Literal(text), Piece::Any] => Shape::Prefix(text),
            [Piece::Any, Piece::Literal(text)] => Shape::Suffix(text),
            [Piece::Any, Piece::Literal(text), Piece::Any] => Shape::Contains(text),
            _ => Shape::Glob,
        }
    }

    /// The same with `*` before and after, as asked.
    #[must_use]
    pub(crate) fn open(self, before: bool, after: bool) -> Self {
        let mut pattern = Self::default();
        if before {
            pattern.push_any();
        }
        for piece in self.pieces {
            pattern.push(piece);
        }
        if after {
            pattern.push_any();
        }
        pattern
    }

    /// The same with each literal passed through a function.
    #[must_use]
    pub(crate) fn map_literals(self, change: impl Fn(&str) -> String) -> Self {
        let mut pattern = Self::default();
        for piece in self.pieces {
            match piece {
                Piece::Literal(text) => pattern.push_literal(&change(&text)),
                other => pattern.push(other),
            }
        }
        pattern
    }

    fn push(&mut self, piece: Piece) {
        match piece {
            Piece::Literal(text) => self.push_literal(&text),
            Piece::Any => self.push_any(),
            Piece::One | Piece::Dash => self.pieces.push(piece),
        }
    }

    fn push_any(&mut self) {
        if self.pieces.last() != Some(&Piece::Any) {
            self.pieces.push(Piece::Any);
        }
    }

    fn push_char(&mut self, c: char) {
        self.push_literal(c.encode_utf8(&mut [0; 4]));
    }

    fn push_literal(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        match self.pieces.last_mut() {
            Some(Piece::Literal(last)) => last.push_str(text),
            _ => self.pieces.push(Piece::Literal(text.to_owned())),
        }
    }

    /// Whether a text has this form, letter by letter. Time is linear in the text for each run between two `*`.
    pub(crate) fn is_match(&self, text: &str) -> bool {
        match self.shape() {
            Shape::Exact(whole) => return text == whole,
            Shape::Prefix(start) => return text.starts_with(start),
            Shape::Suffix(end) => return text.ends_with(end),
            Shape::Contains(part) => return memchr::memmem::find(text.as_bytes(), part.as_bytes()).is_some(),
            Shape::Anything => return true,
            Shape::Glob => {}
        }
        let mut runs = self.pieces.split(|piece| *piece == Piece::Any);
        let Some(first) = runs.next() else { return text.is_empty() };
        let Some(mut rest) = after_run(first, text) else { return false };
        let Some(last) = runs.next_back() else { return rest.is_empty() };
        for run in runs {
            let Some(tail) = find_run(run, rest) else { return false };
            rest = tail;
        }
        ends_with_run(last, rest)
    }
}

impl Pattern {
    /// Which part of a text that has this form is asked for: from the first letter that the pattern names to the last.
    pub(crate) fn locate(&self, text: &str) -> Option<std::ops::Range<usize>> {
        let mut runs = self.pieces.split(|piece| *piece == Piece::Any);
        let first = runs.next()?;
        let mut rest = after_run(first, text)?;
        let mut start = (!first.is_empty()).then_some(0);
        let mut end = text.len() - rest.len();
        let Some(last) = runs.next_back() else { return rest.is_empty().then_some(0..text.len()) };
        for run in runs {
            let (skipped, tail) = place_run(run, rest)?;
            start = start.or(Some(end + skipped));
            end = text.len() - tail.len();
            rest = tail;
        }
        if !last.is_empty() {
            let before = before_run(last, rest)?;
            start = start.or(Some(text.len() - rest.len() + before.len()));
            end = text.len();
        }
        Some(start.unwrap_or(0)..end)
    }
}

/// What follows a run of literals and `?` at the beginning of the text.
fn after_run<'t>(run: &[Piece], text: &'t str) -> Option<&'t str> {
    run.iter().try_fold(text, |rest, piece| match piece {
        Piece::Literal(literal) => rest.strip_prefix(literal.as_str()),
        Piece::Dash => rest.strip_prefix(is_dash),
        Piece::One | Piece::Any => {
            let mut chars = rest.chars();
            chars.next().map(|_| chars.as_str())
        }
    })
}

/// What follows the first place where the run stands.
fn find_run<'t>(run: &[Piece], text: &'t str) -> Option<&'t str> {
    place_run(run, text).map(|(_, tail)| tail)
}

/// How many bytes stand before the first place where the run stands, and what follows it.
fn place_run<'t>(run: &[Piece], text: &'t str) -> Option<(usize, &'t str)> {
    if let [Piece::Literal(literal)] = run {
        let at = memchr::memmem::find(text.as_bytes(), literal.as_bytes())?;
        return Some((at, text.get(at + literal.len()..)?));
    }
    let mut rest = text;
    loop {
        if let Some(tail) = after_run(run, rest) {
            return Some((text.len() - rest.len(), tail));
        }
        let mut chars = rest.chars();
        chars.next()?;
        rest = chars.as_str();
    }
}

fn ends_with_run(run: &[Piece], text: &str) -> bool {
    before_run(run, text).is_some()
}

/// What stands before the run, when the text ends with it.
fn before_run<'t>(run: &[Piece], text: &'t str) -> Option<&'t str> {
    run.iter().rev().try_fold(text, |rest, piece| match piece {
        Piece::Literal(literal) => rest.strip_suffix(literal.as_str()),
        Piece::Dash => rest.strip_suffix(is_dash),
        Piece::One | Piece::Any => {
            let mut chars = rest.chars();
            chars.next_back().map(|_| chars.as_str())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_follow_the_specification() {
        let literal = |text: &str| Pattern::parse(text).plain().map(str::to_owned);
        assert_eq!(literal(r"C:\Windows").as_deref(), Some(r"C:\Windows"));
        assert_eq!(literal(r"C:\\Windows").as_deref(), Some(r"C:\Windows"));
        assert_eq!(literal(r"\*").as_deref(), Some("*"));
        assert_eq!(literal(r"\\\*").as_deref(), Some(r"\*"));
        assert_eq!(literal(r"\\\\").as_deref(), Some(r"\\"));
        assert_eq!(literal(r"\\\").as_deref(), Some(r"\\"));
        assert_eq!(Pattern::parse(r"\\*").shape(), Shape::Prefix(r"\"));
        assert_eq!(Pattern::parse("***a").shape(), Shape::Suffix("a"));
        assert_eq!(Pattern::parse("*").shape(), Shape::Anything);
        assert_eq!(Pattern::parse("").shape(), Shape::Exact(""));
        assert_eq!(Pattern::parse("a?").shape(), Shape::Glob);
    }

    #[test]
    fn options_match_with_any_dash() {
        let is_match = |pattern: &str, text: &str| {
            Pattern::with_any_dashes(pattern).into_iter().any(|form| form.open(true, true).is_match(text))
        };
        assert_eq!(Pattern::with_any_dashes(" -a /b").len(), 25);
        assert!(is_match(" -a /b", "x.exe –a ―b"));
        assert_eq!(Pattern::with_any_dashes("-a -b -c -d -e -f").len(), 1);
        assert!(is_match("-a -b -c -d -e -f", "x /a -b —c ―d -e /f"));
        assert!(!is_match("-a -b -c -d -e -f", "x /a -b +c ―d -e /f"));
        assert!(is_match("-a*-b?", "/a anything /bc"));
    }

    #[test]
    fn globs_match() {
        let is_match = |pattern: &str, text: &str| Pattern::parse(pattern).is_match(text);
        assert!(is_match("a*b*c", "a--b--c"));
        assert!(!is_match("a*b*c", "a--c--b"));
        assert!(is_match("*ab", "aab"));
        assert!(!is_match("ab*ba", "aba"));
        assert!(is_match("?*?", "xy"));
        assert!(!is_match("?*?", "x"));
        assert!(is_match("*a?c*", "aab abc"));
        assert!(is_match("中?文*", "中的文字"));
        assert!(is_match("*", ""));
        assert!(!is_match("?", ""));
    }
}

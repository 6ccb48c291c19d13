//! The tokens of a JSON text (RFC 8259), read straight from it.

use wanglou_model::{TextWriter, Value};

/// Why a text cannot be flattened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is no JSON object; what is wrong where reading stopped.
    Syntax(&'static str),
    /// It has more of something than is allowed.
    Exceeded(&'static str, usize),
}

const ENDS: Fault = Fault::Syntax("the text ends within the object");

/// A JSON text, and how far it is read.
pub(super) struct Input<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Input<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    /// Line and column, from 1, of where reading stands.
    pub(super) fn place(&self) -> (usize, usize) {
        let read = self.text.as_bytes().get(..self.at).unwrap_or(self.text.as_bytes());
        let column = read.iter().rev().take_while(|byte| **byte != b'\n').count();
        (1 + read.iter().filter(|byte| **byte == b'\n').count(), 1 + column)
    }

    /// What is not read yet.
    #[inline]
    pub(super) fn rest(&self) -> &'t [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    #[inline]
    pub(super) fn skip(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// The next byte that is no white space, not taken yet.
    #[inline]
    pub(super) fn token(&mut self) -> Option<u8> {
        loop {
            let byte = self.text.as_bytes().get(self.at).copied()?;
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// Takes the next byte that is no white space, if it is this one.
    #[inline]
    pub(super) fn take(&mut self, wanted: u8) -> bool {
        let is_here = self.token() == Some(wanted);
        self.at += usize::from(is_here);
        is_here
    }

    /// Takes the next byte that is no white space, which must be this one.
    #[inline]
    pub(super) fn expect(&mut self, wanted: u8, otherwise: &'static str) -> Result<(), Fault> {
        match self.take(wanted) {
            true => Ok(()),
            false => Err(self.wrong(otherwise)),
        }
    }

    /// What is wrong here: that the text ends, or what is said of what stands here instead.
    pub(super) fn wrong(&self, otherwise: &'static str) -> Fault {
        if self.at >= self.text.len() { ENDS } else { Fault::Syntax(otherwise) }
    }

    /// The text up to the end of the string that was begun, when there is nothing to unescape; it is then read.
    #[inline]
    pub(super) fn plain_string(&mut self) -> Option<&'t str> {
        let len = plain_len(self.rest());
        let end = self.at + len;
        if self.text.as_bytes().get(end) != Some(&b'"') {
            return None;
        }
        let plain = self.text.get(self.at..end);
        self.at = end + 1;
        plain
    }

    /// Reads the string that was begun to its end, unescaped.
    pub(super) fn string(&mut self, out: &mut TextWriter<'_>) -> Result<(), Fault> {
        // What is read and not written yet begins here.
        let mut from = self.at;
        loop {
            self.at += plain_len(self.rest());
            out.push_str(self.text.get(from..self.at).unwrap_or_default());
            let escaped = match self.rest() {
                [b'"', ..] => {
                    self.at += 1;
                    return Ok(());
                }
                [b'\\', escaped, ..] => *escaped,
                [] | [b'\\'] => return Err(ENDS),
                _ => return Err(Fault::Syntax("a control character stands in a string")),
            };
            self.at += 2;
            from = self.at;
            match escaped {
                // Stands for itself: written with what follows it.
                b'"' | b'\\' | b'/' => from -= 1,
                b'n' => out.push('\n'),
                b't' => out.push('\t'),
                b'r' => out.push('\r'),
                b'b' => out.push('\u{8}'),
                b'f' => out.push('\u{c}'),
                b'u' => {
                    out.push(self.code_point()?);
                    from = self.at;
                }
                _ => return Err(Fault::Syntax("no such escape in strings")),
            }
        }
    }

    /// The character after `\u`. Half a surrogate pair is no text, yet senders that cut strings in UTF-16 write it: it
    /// becomes U+FFFD.
    fn code_point(&mut self) -> Result<char, Fault> {
        let first = self.four_digits()?;
        if (0xD800..0xDC00).contains(&first) && self.rest().starts_with(b"\\u") {
            let before = self.at;
            self.at += 2;
            let second = self.four_digits()?;
            if (0xDC00..0xE000).contains(&second) {
                let code = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = before;
        }
        Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn four_digits(&mut self) -> Result<u32, Fault> {
        let digits = self.rest().first_chunk::<4>().ok_or(ENDS)?;
        let code =
            digits.iter().try_fold(0, |code, digit| Some(code << 4 | char::from(*digit).to_digit(16)?));
        self.at += 4;
        code.ok_or(Fault::Syntax("`\\u` wants four hexadecimal digits"))
    }

    /// Reads `true`, `false`, `null` or a number.
    pub(super) fn scalar(&mut self) -> Result<Value<'static>, Fault> {
        for (word, value) in
            [("true", Value::Bool(true)), ("false", Value::Bool(false)), ("null", Value::Null)]
        {
            if self.rest().starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(value);
            }
        }
        self.number()
    }

    #[inline]
    pub(super) fn number(&mut self) -> Result<Value<'static>, Fault> {
        let start = self.at;
        let is_negative = self.rest().first() == Some(&b'-');
        self.at += usize::from(is_negative);
        let mut whole = Some(0_u64);
        let digits = self.digits(|digit| {
            whole = whole.and_then(|whole| whole.checked_mul(10)?.checked_add(digit));
        });
        match (digits, self.text.as_bytes().get(self.at - digits)) {
            (0, _) => return Err(self.wrong("no JSON value")),
            (2.., Some(b'0')) => return Err(Fault::Syntax("a number begins with a needless 0")),
            _ => {}
        }
        let mut is_whole = true;
        if self.rest().first() == Some(&b'.') {
            is_whole = false;
            self.at += 1;
            if self.digits(|_| {}) == 0 {
                return Err(self.wrong("a number has no digits after its point"));
            }
        }
        if let [b'e' | b'E', after, ..] = self.rest() {
            is_whole = false;
            self.at += 1 + usize::from(matches!(after, b'+' | b'-'));
            if self.digits(|_| {}) == 0 {
                return Err(self.wrong("a number has no digits in its exponent"));
            }
        }
        match (whole, is_negative) {
            (Some(whole), false) if is_whole => {
                return Ok(i64::try_from(whole).map_or(Value::UInt(whole), Value::Int));
            }
            // -0 is a fraction's zero.
            (Some(whole @ 1..), true) if is_whole => {
                if let Some(whole) = 0_i64.checked_sub_unsigned(whole) {
                    return Ok(Value::Int(whole));
                }
            }
            _ => {}
        }
        let number = self.text.get(start..self.at).and_then(|text| text.parse().ok());
        number
            .filter(|number: &f64| number.is_finite())
            .map(Value::Float)
            .ok_or(Fault::Syntax("a number is too large"))
    }

    /// Takes digits; answers how many.
    #[inline]
    fn digits(&mut self, mut take: impl FnMut(u64)) -> usize {
        let start = self.at;
        while let Some(digit @ b'0'..=b'9') = self.text.as_bytes().get(self.at) {
            take(u64::from(digit - b'0'));
            self.at += 1;
        }
        self.at - start
    }
}

/// How many bytes stand before the first that a string cannot hold as it is: a quote, a backslash or a control
/// character. Eight are looked at together.
#[inline]
fn plain_len(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let stops = stops(u64::from_le_bytes(*word));
        if stops != 0 {
            return index * 8 + (stops.trailing_zeros() / 8) as usize;
        }
    }
    let is_plain = |byte: &&u8| !matches!(byte, b'"' | b'\\' | 0..0x20);
    words.len() * 8 + rest.iter().take_while(is_plain).count()
}

/// The high bit of each byte that stops a string. Bytes above the lowest that does may be marked wrongly.
#[inline]
fn stops(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGHS: u64 = ONES << 7;
    let below = |word: u64, bound: u64| word.wrapping_sub(ONES * bound) & !word & HIGHS;
    let is = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    is(b'"') | is(b'\\') | below(word, 0x20)
}

//! Text in whatever encoding it comes, to UTF-8.
//!
//! What Chinese systems write is UTF-8, GBK (read as its superset GB18030) or, from Windows, UTF-16. A file's encoding
//! is told from its first bytes; a line that is not in it is looked at by itself, for logs mix what their sources send.

use std::borrow::Cow;
use std::io::{self, Read};

use encoding_rs::{Decoder, GB18030, UTF_16BE, UTF_16LE};

/// The encoding of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8, or ASCII.
    Utf8,
    /// UTF-16, low byte first.
    Utf16Le,
    /// UTF-16, high byte first.
    Utf16Be,
    /// GB18030, the superset of GBK and GB 2312.
    Gb18030,
    /// Bytes above ASCII in no encoding we tell; lines are shown with replacement characters.
    Unknown,
}

impl Encoding {
    /// The encoding of a text that begins with `head`; `None` when this is no text.
    #[must_use]
    pub fn of(head: &[u8]) -> Option<Self> {
        match head {
            [0xef, 0xbb, 0xbf, ..] => return Some(Self::Utf8),
            [0xff, 0xfe, ..] => return Some(Self::Utf16Le),
            [0xfe, 0xff, ..] => return Some(Self::Utf16Be),
            // ASCII letters in UTF-16 without a mark.
            [a, 0, b, 0, ..] if is_plain(*a) && is_plain(*b) => return Some(Self::Utf16Le),
            [0, a, 0, b, ..] if is_plain(*a) && is_plain(*b) => return Some(Self::Utf16Be),
            _ => {}
        }
        // Text has no other control characters than these; one in a thousand is forgiven (attack payloads are logged).
        let control =
            head.iter().filter(|b| **b < 0x20 && !matches!(**b, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b));
        if control.count() * 1000 > head.len() {
            return None;
        }
        Some(match std::str::from_utf8(head) {
            Ok(_) => Self::Utf8,
            Err(error) if error.error_len().is_none() => Self::Utf8,
            Err(_) if is_chinese(cut_at_line(head)) => Self::Gb18030,
            Err(_) => Self::Unknown,
        })
    }
}

fn is_plain(byte: u8) -> bool {
    (0x20..0x7f).contains(&byte) || matches!(byte, b'\t' | b'\n' | b'\r')
}

/// Up to the last line end, so that no character is cut.
fn cut_at_line(head: &[u8]) -> &[u8] {
    memchr::memrchr(b'\n', head).and_then(|end| head.get(..end)).unwrap_or(head)
}

/// Whether bytes that are not UTF-8 are Chinese text in GB18030: valid, and nearly all of it in the blocks that
/// Chinese is written with. Bytes of other encodings give a scatter of rare characters when read so.
fn is_chinese(bytes: &[u8]) -> bool {
    let Some(text) = GB18030.decode_without_bom_handling_and_without_replacement(bytes) else { return false };
    let (mut common, mut all) = (0_usize, 0_usize);
    for c in text.chars().filter(|c| !c.is_ascii()) {
        all += 1;
        common += usize::from(matches!(
            c,
            '\u{4e00}'..='\u{9fff}' | '\u{3000}'..='\u{303f}' | '\u{ff00}'..='\u{ffef}' | '\u{2010}'..='\u{2026}' | '·' | '×' | '°'
        ));
    }
    all > 0 && common * 10 >= all * 9
}

/// One line or frame as UTF-8 text: as it is, else read as GB18030 when that gives Chinese, else with replacement
/// characters. A byte order mark is dropped.
#[must_use]
pub fn to_utf8(bytes: &[u8]) -> Cow<'_, str> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) if is_chinese(bytes) => GB18030.decode_without_bom_handling(bytes).0,
        Err(_) => String::from_utf8_lossy(bytes),
    }
}

/// Reads text in one encoding as UTF-8.
pub(crate) struct Transcoder<R> {
    source: R,
    decoder: Decoder,
    input: Vec<u8>,
    /// How much of `input` holds bytes not decoded yet.
    filled: usize,
    output: Vec<u8>,
    given: usize,
    ended: bool,
}

impl<R: Read> Transcoder<R> {
    /// Reads `source` in `encoding`; `None` with the source when its bytes need no transcoding as a whole.
    pub(crate) fn new(source: R, encoding: Encoding) -> Result<Self, R> {
        let decoder = match encoding {
            Encoding::Utf8 | Encoding::Unknown => return Err(source),
            Encoding::Utf16Le => UTF_16LE.new_decoder_with_bom_removal(),
            Encoding::Utf16Be => UTF_16BE.new_decoder_with_bom_removal(),
            Encoding::Gb18030 => GB18030.new_decoder_without_bom_handling(),
        };
        const INPUT_BYTES: usize = 32 << 10;
        Ok(Self {
            source,
            decoder,
            input: vec![0; INPUT_BYTES],
            filled: 0,
            output: Vec::with_capacity(4 * INPUT_BYTES),
            given: 0,
            ended: false,
        })
    }

    fn refill(&mut self) -> io::Result<()> {
        let room = self.input.get_mut(self.filled..).unwrap_or_default();
        let read = self.source.read(room)?;
        self.ended = read == 0;
        self.filled += read;
        self.output.resize(self.output.capacity(), 0);
        let input = self.input.get(..self.filled).unwrap_or_default();
        let (_, taken, written, _) = self.decoder.decode_to_utf8(input, &mut self.output, self.ended);
        self.output.truncate(written);
        self.given = 0;
        self.input.copy_within(taken..self.filled, 0);
        self.filled -= taken;
        Ok(())
    }
}

impl<R: Read> Read for Transcoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.output.len() && !self.ended {
            self.refill()?;
        }
        let ready = self.output.get(self.given..).unwrap_or_default();
        let count = ready.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), ready.get(..count)) {
            to.copy_from_slice(from);
        }
        self.given += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transcoded(bytes: &[u8]) -> String {
        let encoding = Encoding::of(bytes).unwrap();
        let mut text = String::new();
        Transcoder::new(bytes, encoding)
            .unwrap_or_else(|_| panic!("{encoding:?}"))
            .read_to_string(&mut text)
            .unwrap();
        text
    }

    #[test]
    fn encodings_are_told_and_read() {
        let text = "2026-11-22 用户 张三 登录失败，来源 10.0.0.1\n".repeat(5_000);
        let utf16 = |to_bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
            "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(to_bytes).collect()
        };
        assert_eq!(transcoded(&utf16(u16::to_le_bytes)), text);
        assert_eq!(transcoded(&utf16(u16::to_be_bytes)), text);
        let gbk = encoding_rs::GBK.encode(&text).0;
        assert_eq!(transcoded(&gbk), text);
        assert_eq!(to_utf8(cut_at_line(&gbk)), text.trim_end());
        assert_eq!(Encoding::of(text.as_bytes()), Some(Encoding::Utf8));
        assert_eq!(Encoding::of(&text.as_bytes()[..13]), Some(Encoding::Utf8), "cut within a character");
        assert_eq!(Encoding::of(&[0; 64]), None);
        assert_eq!(Encoding::of(b"caf\xe9 cr\xe8me\n"), Some(Encoding::Unknown));
        assert_eq!(to_utf8(b"caf\xe9!"), "caf\u{fffd}!");
        assert_eq!(to_utf8(b"\xef\xbb\xbf{}"), "{}");
    }
}

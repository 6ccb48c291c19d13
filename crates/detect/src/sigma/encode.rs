//! The encoding modifiers: what a text looks like once encoded.

/// Base64 with padding (RFC 4648 section 4).
pub(crate) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0_u32, |group, byte| (group << 8) | u32::from(*byte));
        let group = group << (8 * (3 - chunk.len()));
        for digit in 0..4_usize {
            let value = (group >> (18 - 6 * digit)) & 0x3f;
            let symbol = ALPHABET.get(value as usize).copied().unwrap_or(b'=');
            out.push(if digit <= chunk.len() { char::from(symbol) } else { '=' });
        }
    }
    out
}

/// The three texts of which one stands in the Base64 of any data that contains the bytes: for each position modulo 3
/// the characters that depend on the bytes alone.
pub(crate) fn base64_offsets(bytes: &[u8]) -> [String; 3] {
    [0_usize, 1, 2].map(|shift| {
        let mut shifted = vec![b' '; shift];
        shifted.extend_from_slice(bytes);
        let encoded = base64(&shifted);
        let start = [0, 2, 3].get(shift).copied().unwrap_or(0);
        let cut = match shifted.len() % 3 {
            0 => 0,
            1 => 3,
            _ => 2,
        };
        encoded.get(start..encoded.len() - cut).unwrap_or_default().to_owned()
    })
}

/// UTF-16, little or big endian.
pub(crate) fn utf16(text: &str, big_endian: bool) -> Vec<u8> {
    text.encode_utf16()
        .flat_map(|unit| if big_endian { unit.to_be_bytes() } else { unit.to_le_bytes() })
        .collect()
}

/// The characters that `windash` takes for one another: hyphen, slash, en dash, em dash, horizontal bar.
pub(crate) const DASHES: [char; 5] = ['-', '/', '\u{2013}', '\u{2014}', '\u{2015}'];

/// Whether a character is one of [`DASHES`].
pub(crate) fn is_dash(c: char) -> bool {
    DASHES.contains(&c)
}

/// The text cut at each dash that begins an option: one before a word character and not after one. The dashes
/// themselves are left out.
pub(crate) fn cut_at_options(text: &str) -> Vec<&str> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut parts = Vec::new();
    let mut start = 0;
    let mut before = None;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let begins_option = is_dash(c)
            && !before.is_some_and(is_word)
            && chars.peek().is_some_and(|(_, next)| is_word(*next));
        if begins_option {
            parts.extend(text.get(start..at));
            start = at + c.len_utf8();
        }
        before = Some(c);
    }
    parts.extend(text.get(start..));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_as_in_rfc_4648() {
        let encoded = ["", "f", "fo", "foo", "foob", "fooba", "foobar"].map(|text| base64(text.as_bytes()));
        assert_eq!(encoded, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"]);
    }

    #[test]
    fn one_of_the_offsets_stands_in_any_encoding() {
        for needle in ["/bin/bash", "foo", "http://", "Pwsh"] {
            let offsets = base64_offsets(needle.as_bytes());
            for before in ["", "a", "ab", "abc"] {
                for after in ["", "x", "xy"] {
                    let whole = base64(format!("{before}{needle}{after}").as_bytes());
                    assert!(offsets.iter().any(|part| whole.contains(part.as_str())), "{needle} in {whole}");
                }
            }
        }
    }

    #[test]
    fn options_begin_with_a_dash_before_a_word() {
        assert_eq!(cut_at_options(" -enc /x"), [" ", "enc ", "x"]);
        assert_eq!(cut_at_options("a-b"), ["a-b"]);
        assert_eq!(cut_at_options("--flag"), ["-", "flag"]);
        assert_eq!(cut_at_options("―x"), ["", "x"]);
    }

    #[test]
    fn utf16_has_both_orders() {
        assert_eq!(utf16("ab", false), *b"a\0b\0");
        assert_eq!(utf16("ab", true), *b"\0a\0b");
    }
}

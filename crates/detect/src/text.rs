//! Case folding: how two texts are compared when case does not matter.
//!
//! Sigma compares without regard to case. Both sides, the rule's values when it is compiled and the record's when it
//! is evaluated, are folded character by character to lower case by Unicode's simple and special mappings that need
//! no context (`É` → `é`, `İ` → `i̇`), so that folding a text is folding its parts: what holds for a part of a value
//! (contains, starts with) holds for the folded part of the folded value.

/// Appends the folded text.
pub(crate) fn fold_into(text: &str, out: &mut String) {
    let mut rest = text;
    while !rest.is_empty() {
        let ascii_len = ascii_len(rest.as_bytes());
        let Some((ascii, others)) = rest.split_at_checked(ascii_len) else { return };
        let start = out.len();
        out.push_str(ascii);
        if let Some(added) = out.get_mut(start..) {
            added.make_ascii_lowercase();
        }
        let mut chars = others.chars();
        let mut next = others;
        while let Some(character) = chars.next().filter(|character| !character.is_ascii()) {
            match character {
                // Chinese, Japanese and Korean have no case.
                '\u{2e80}'..='\u{9fff}' | '\u{ac00}'..='\u{d7ff}' | '\u{f900}'..='\u{faff}' => {
                    out.push(character);
                }
                'ſ' => out.push('s'),
                _ => out.extend(character.to_lowercase()),
            }
            next = chars.as_str();
        }
        rest = next;
    }
}

/// How many bytes at the beginning are ASCII.
fn ascii_len(bytes: &[u8]) -> usize {
    let (words, _) = bytes.as_chunks::<16>();
    let plain = words.iter().take_while(|word| word.is_ascii()).count() * 16;
    plain + bytes.get(plain..).unwrap_or_default().iter().take_while(|byte| byte.is_ascii()).count()
}

/// The folded text.
pub(crate) fn fold(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    fold_into(text, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_a_text_is_folding_its_parts() {
        for (a, b) in [("ΑΣ", "x"), ("İ", "i"), ("É", "ß"), ("K", "k"), ("中", "A"), ("ſ", "S")] {
            assert_eq!(fold(&format!("{a}{b}")), format!("{}{}", fold(a), fold(b)));
        }
        assert_eq!(fold("CMD.EXE"), "cmd.exe");
    }

    #[test]
    fn texts_are_folded_as_their_characters_are() {
        let all: String = (0..=u32::from(char::MAX)).filter_map(char::from_u32).collect();
        let expected: String =
            all.chars().map(|c| if c == 'ſ' { 's' } else { c }).flat_map(char::to_lowercase).collect();
        assert_eq!(fold(&all), expected);
        assert_eq!(fold("A公文B\u{d7}C"), "a公文b\u{d7}c");
    }
}

//! Case folding: how two texts are compared when case does not matter.
//!
//! Sigma compares without regard to case. Both sides, the rule's values when it is compiled and the record's when it
//! is evaluated, are folded character by character to lower case by Unicode's simple and special mappings that need
//! no context (`É` → `é`, `İ` → `i̇`), so that folding a text is folding its parts: what holds for a part of a value
//! (contains, starts with) holds for the folded part of the folded value.

/// Appends the folded text.
pub(crate) fn fold_into(text: &str, out: &mut String) {
    if text.is_ascii() {
        let start = out.len();
        out.push_str(text);
        if let Some(added) = out.get_mut(start..) {
            added.make_ascii_lowercase();
        }
    } else {
        out.extend(text.chars().map(|c| if c == 'ſ' { 's' } else { c }).flat_map(char::to_lowercase));
    }
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
}

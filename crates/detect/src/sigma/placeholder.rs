//! Placeholders in values: `%name%`, when the modifier `expand` asks for them.

/// A part of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part<'t> {
    /// Text that stands for itself, its escaped percent signs resolved.
    Text(String),
    /// The name between two percent signs.
    Placeholder(&'t str),
}

/// Cuts a value at its placeholders. A percent sign after an odd number of backslashes stands for itself, and so does one that no name
/// and second sign follow.
pub(super) fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        let backslashes = before.chars().rev().take_while(|c| *c == '\\').count();
        if let Some(before) = before.strip_suffix('\\').filter(|_| backslashes % 2 == 1) {
            plain.push_str(before);
            plain.push('%');
            rest = after;
            continue;
        }
        plain.push_str(before);
        match after.split_once('%') {
            Some((name, tail)) if is_name(name) => {
                if !plain.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut plain)));
                }
                parts.push(Part::Placeholder(name));
                rest = tail;
            }
            _ => {
                plain.push('%');
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    if !plain.is_empty() || parts.is_empty() {
        parts.push(Part::Text(plain));
    }
    parts
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

/// Two parts one after the other: a backslash that ends the first must not escape what begins the second.
pub(super) fn join(start: &str, end: &str) -> String {
    let backslashes = start.chars().rev().take_while(|c| *c == '\\').count();
    let guard = if backslashes % 2 == 1 && end.starts_with(['*', '?', '\\']) { "\\" } else { "" };
    format!("{start}{guard}{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_names_between_plain_percent_signs() {
        let text = |text: &str| Part::Text(text.to_owned());
        assert_eq!(parts("%Servers%"), [Part::Placeholder("Servers")]);
        assert_eq!(parts("a%b%c"), [text("a"), Part::Placeholder("b"), text("c")]);
        assert_eq!(parts(r"\%plain%name%"), [text("%plain"), Part::Placeholder("name")]);
        assert_eq!(parts(r"C:\\%x%"), [text(r"C:\\"), Part::Placeholder("x")]);
        assert_eq!(parts("100% of 5%"), [text("100% of 5%")]);
        assert_eq!(parts(""), [text("")]);
        assert_eq!(join(r"C:\", "*"), r"C:\\*");
        assert_eq!(join(r"C:\", "srv*"), r"C:\srv*");
    }
}

//! Values of rules as pipelines see and change them.

use regex_automata::meta::Regex;

use super::model::Case;
use crate::sigma::{Pattern, Piece, Test, Written};

/// Bytes of a value that a pipeline may make. What grows beyond is left unfinished, for the rule is refused then.
pub(super) const MAX_VALUE: usize = 64 << 10;

/// Whether a test's text is longer than [`MAX_VALUE`].
pub(super) fn is_too_long(test: &Test) -> bool {
    let Test::Text { pattern, .. } = test else { return false };
    let lens = pattern.pieces().iter().map(|piece| match piece {
        Piece::Literal(text) => text.len(),
        Piece::Any | Piece::One | Piece::Dash => 1,
    });
    lens.sum::<usize>() > MAX_VALUE
}

/// The text with each `name` replaced by `value`.
pub(super) fn filled(text: &str, name: &str, value: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while out.len() <= MAX_VALUE
        && let Some((before, after)) = rest.split_once(name)
    {
        out.push_str(before);
        out.push_str(value);
        rest = after;
    }
    out.push_str(rest);
    out
}

/// A text value with its wildcards as signs and without escapes.
pub(super) fn written_text(test: &Test) -> Option<String> {
    match test {
        Test::Text { pattern, .. } => Some(pattern.pieces().iter().map(show).collect()),
        Test::NotNull => Some("*".to_owned()),
        _ => None,
    }
}

/// A text value without wildcards.
pub(super) fn plain_text(test: &Test) -> Option<String> {
    match test {
        Test::Text { pattern, .. } => pattern.plain().map(str::to_owned),
        _ => None,
    }
}

fn show(piece: &Piece) -> String {
    match piece {
        Piece::Literal(text) => text.clone(),
        Piece::Any => "*".to_owned(),
        Piece::One => "?".to_owned(),
        Piece::Dash => "-".to_owned(),
    }
}

/// Replaces what an expression finds in a text value.
pub(super) fn replace(written: &mut Written, regex: &Regex, replacement: &str, skip_special: bool) {
    let Test::Text { pattern, .. } = &mut written.test else { return };
    if skip_special {
        *pattern = std::mem::take(pattern).map_literals(|text| {
            let mut out = String::new();
            let mut from = 0;
            for (range, replaced) in replacements(text, regex, replacement) {
                out.push_str(text.get(from..range.start).unwrap_or_default());
                out.push_str(&replaced);
                from = range.end;
            }
            out.push_str(text.get(from..).unwrap_or_default());
            out
        });
        return;
    }
    // The expression sees wildcards as signs, and plain signs escaped; what it leaves alone keeps its meaning.
    let mut seen = String::new();
    let mut parts: Vec<(usize, Piece)> = Vec::new();
    for piece in pattern.pieces() {
        let Piece::Literal(text) = piece else {
            parts.push((seen.len(), piece.clone()));
            seen.push_str(&show(piece));
            continue;
        };
        for c in text.chars() {
            parts.push((seen.len(), Piece::Literal(c.to_string())));
            if matches!(c, '*' | '?') {
                seen.push('\\');
            }
            seen.push(c);
        }
    }
    let mut pieces = Vec::new();
    let mut parts = parts.into_iter().peekable();
    for (range, replaced) in replacements(&seen, regex, replacement) {
        while let Some((_, piece)) = parts.next_if(|(start, _)| *start < range.start) {
            pieces.push(piece);
        }
        while parts.next_if(|(start, _)| *start < range.end).is_some() {}
        pieces.extend(Pattern::parse(&protect(&replaced)).pieces().iter().cloned());
    }
    pieces.extend(parts.map(|(_, piece)| piece));
    *pattern = Pattern::from_pieces(&pieces);
}

/// Doubles backslashes that escape nothing, so that parsing the text again gives them back.
fn protect(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        out.push(c);
        if c == '\\' {
            match chars.next_if(|next| matches!(next, '*' | '?')) {
                Some(sign) => out.push(sign),
                None => out.push('\\'),
            }
        }
    }
    out
}

/// Where an expression matches, and what stands there instead; `\1` and `\g<name>` in the replacement are the groups,
/// as in Python.
fn replacements(text: &str, regex: &Regex, replacement: &str) -> Vec<(std::ops::Range<usize>, String)> {
    let mut made = 0;
    let replaced = regex.captures_iter(text).filter_map(|captures| {
        let range = captures.get_match()?.range();
        let group = |index: usize| captures.get_group(index).and_then(|span| text.get(span.start..span.end));
        let named = |name: &str| {
            let span = captures.get_group_by_name(name)?;
            text.get(span.start..span.end)
        };
        Some((range, expand(replacement, &group, &named)))
    });
    let is_room_left = |(_, replaced): &(_, String)| {
        let before = made;
        made += replaced.len();
        before <= MAX_VALUE
    };
    replaced.take_while(is_room_left).collect()
}

fn expand<'t>(
    replacement: &str,
    group: &dyn Fn(usize) -> Option<&'t str>,
    named: &dyn Fn(&str) -> Option<&'t str>,
) -> String {
    let mut out = String::new();
    let mut rest = replacement;
    while out.len() <= MAX_VALUE
        && let Some((before, after)) = rest.split_once('\\')
    {
        out.push_str(before);
        if let Some((name, tail)) = after.strip_prefix("g<").and_then(|after| after.split_once('>')) {
            out.push_str(name.parse().map_or_else(|_| named(name), group).unwrap_or_default());
            rest = tail;
            continue;
        }
        let mut chars = after.chars();
        match chars.next() {
            Some(digit) if digit.is_ascii_digit() => {
                out.push_str(group(digit.to_digit(10).unwrap_or(0) as usize).unwrap_or_default());
                rest = chars.as_str();
            }
            Some('\\') => {
                out.push('\\');
                rest = chars.as_str();
            }
            _ => {
                out.push('\\');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// The values that a value is mapped to; `None` when the map does not name it.
pub(super) fn mapped(written: &Written, values: &[String]) -> Vec<Written> {
    let Test::Text { cased, .. } = written.test else { return vec![written.clone()] };
    values.iter().map(|value| text(value, cased)).collect()
}

/// A text value as a rule would write it.
pub(super) fn text(value: &str, cased: bool) -> Written {
    Written { test: Test::Text { pattern: Pattern::parse(value), cased }, value: format!("'{value}'").into() }
}

/// Writes the letters of a text value in another case.
pub(super) fn change_case(written: &mut Written, case: Case) {
    let Test::Text { pattern, .. } = &mut written.test else { return };
    *pattern = std::mem::take(pattern).map_literals(|text| match case {
        Case::Lower => text.to_lowercase(),
        Case::Upper => text.to_uppercase(),
        Case::Snake => snake(text),
    });
}

fn snake(text: &str) -> String {
    let mut out = String::new();
    let mut after_lower = false;
    for c in text.chars() {
        if c.is_uppercase() && after_lower {
            out.push('_');
        }
        after_lower = c.is_lowercase() || c.is_ascii_digit();
        out.extend(c.to_lowercase());
    }
    out
}

/// A hash value and its algorithm: `SHA256=…`, `SHA256|…`, or by its length.
pub(super) fn hash_of(text: &str) -> (String, String) {
    let (separator, bare) =
        (if text.contains('|') { '|' } else { '=' }, |text: &str| text.trim_matches(['*', '?']).to_owned());
    if let Some((algorithm, hash)) = text.split_once(separator) {
        return (algorithm.trim_start_matches('*').to_uppercase(), bare(hash));
    }
    let hash = bare(text);
    let algorithm = match hash.len() {
        32 => "MD5",
        40 => "SHA1",
        64 => "SHA256",
        128 => "SHA512",
        _ => "",
    };
    (algorithm.to_owned(), hash)
}

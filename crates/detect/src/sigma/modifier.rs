//! The modifiers of a selection's key: `Image|endswith|cased` taken apart and checked.

use super::compare::{Order, TimePart};
use super::regex::Flags;
use crate::diagnostic::{self, Rejected, Reporter};
use crate::yaml::{Key, Mark};

/// Transformations of one value. People write at most `expand|windash|wide|base64offset`.
const MAX_TRANSFORMS: usize = 4;

/// A key: a field and what its modifiers ask for.
#[derive(Debug, Default)]
pub(crate) struct Modified<'k> {
    /// The field; empty for keywords.
    pub(crate) field: &'k str,
    /// Transformations of the value, in order.
    pub(crate) transforms: Vec<Transform>,
    /// What kind of test.
    pub(crate) kind: Kind,
    /// `contains`, `startswith`, `endswith`: whether anything may stand before and after.
    pub(crate) before: bool,
    pub(crate) after: bool,
    pub(crate) cased: bool,
    /// All values must hold, not one of them.
    pub(crate) all: bool,
    /// None of the values may hold.
    pub(crate) negated: bool,
}

/// A change of the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transform {
    Windash,
    Utf16 { big_endian: bool, mark: bool },
    Base64,
    Base64Offset,
    Expand,
}

/// What kind of test the values make.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Kind {
    #[default]
    Text,
    Regex(Flags),
    Cidr,
    Number(Order),
    Time(TimePart, Order),
    Exists,
    FieldReference,
}

/// Takes a key apart.
pub(crate) fn read<'k>(key: &'k Key, reporter: &mut Reporter<'_>) -> Result<Modified<'k>, Rejected> {
    let mut names = key.text.split('|');
    let field = names.next().unwrap_or_default().trim();
    let mut modified = Modified { field, ..Modified::default() };
    let mut offset =
        key.text.find('|').map_or(0, |at| key.text.get(..at).map_or(0, |t| t.chars().count()) + 1);
    for name in names {
        let len = u32::try_from(name.chars().count()).unwrap_or(u32::MAX);
        let start = u32::try_from(offset).unwrap_or(0);
        // A quoted key is one quote longer on each side.
        let quote = u32::from(key.mark.len > u32::try_from(key.text.chars().count()).unwrap_or(0));
        let mark = Mark { line: key.mark.line, column: key.mark.column + quote + start, len };
        offset += len as usize + 1;
        apply(&mut modified, name.trim(), mark, reporter)?;
    }
    check(&modified, key, reporter)?;
    Ok(modified)
}

fn apply(
    modified: &mut Modified<'_>,
    name: &str,
    mark: Mark,
    reporter: &mut Reporter<'_>,
) -> Result<(), Rejected> {
    let kind = match name {
        "contains" => return set_affix(modified, true, true, mark, reporter),
        "startswith" => return set_affix(modified, false, true, mark, reporter),
        "endswith" => return set_affix(modified, true, false, mark, reporter),
        "all" => return set(&mut modified.all, name, mark, reporter),
        "cased" => return set(&mut modified.cased, name, mark, reporter),
        "neq" => return set(&mut modified.negated, name, mark, reporter),
        "windash" => return transform(modified, Transform::Windash, mark, reporter),
        "wide" | "utf16le" => {
            let utf16 = Transform::Utf16 { big_endian: false, mark: false };
            return transform(modified, utf16, mark, reporter);
        }
        "utf16be" => {
            return transform(modified, Transform::Utf16 { big_endian: true, mark: false }, mark, reporter);
        }
        "utf16" => {
            return transform(modified, Transform::Utf16 { big_endian: false, mark: true }, mark, reporter);
        }
        "base64" => return transform(modified, Transform::Base64, mark, reporter),
        "base64offset" => return transform(modified, Transform::Base64Offset, mark, reporter),
        "expand" => return transform(modified, Transform::Expand, mark, reporter),
        "i" | "m" | "s" => return regex_flag(modified, name, mark, reporter),
        "re" => Kind::Regex(Flags::default()),
        "cidr" => Kind::Cidr,
        "exists" => Kind::Exists,
        "fieldref" => Kind::FieldReference,
        "lt" | "lte" | "gt" | "gte" => return comparison(modified, name, mark, reporter),
        "minute" => Kind::Time(TimePart::Minute, Order::Equal),
        "hour" => Kind::Time(TimePart::Hour, Order::Equal),
        "day" => Kind::Time(TimePart::Day, Order::Equal),
        "week" => Kind::Time(TimePart::Week, Order::Equal),
        "month" => Kind::Time(TimePart::Month, Order::Equal),
        "year" => Kind::Time(TimePart::Year, Order::Equal),
        _ => {
            return Err(reporter.report(
                &diagnostic::UNKNOWN_MODIFIER,
                mark,
                format!("`{name}` is no Sigma modifier"),
            ));
        }
    };
    if modified.kind == Kind::Text {
        modified.kind = kind;
        return Ok(());
    }
    let message = format!("`{name}` does not go with the modifiers before it");
    Err(reporter.report(&diagnostic::MODIFIER_CONFLICT, mark, message))
}

fn set(flag: &mut bool, name: &str, mark: Mark, reporter: &mut Reporter<'_>) -> Result<(), Rejected> {
    if *flag {
        return Err(reporter.report(&diagnostic::MODIFIER_CONFLICT, mark, format!("`{name}` stands twice")));
    }
    *flag = true;
    Ok(())
}

fn set_affix(
    modified: &mut Modified<'_>,
    before: bool,
    after: bool,
    mark: Mark,
    reporter: &mut Reporter<'_>,
) -> Result<(), Rejected> {
    if modified.before || modified.after {
        let message = "only one of `contains`, `startswith` and `endswith` can stand here";
        return Err(reporter.report(&diagnostic::MODIFIER_CONFLICT, mark, message));
    }
    (modified.before, modified.after) = (before, after);
    Ok(())
}

/// Each may double the value, so there must be an end.
fn transform(
    modified: &mut Modified<'_>,
    transform: Transform,
    mark: Mark,
    reporter: &mut Reporter<'_>,
) -> Result<(), Rejected> {
    if modified.transforms.len() == MAX_TRANSFORMS {
        let message = format!("more than {MAX_TRANSFORMS} transformations of one value");
        return Err(reporter.report(&diagnostic::LIMIT, mark, message));
    }
    modified.transforms.push(transform);
    Ok(())
}

fn regex_flag(
    modified: &mut Modified<'_>,
    name: &str,
    mark: Mark,
    reporter: &mut Reporter<'_>,
) -> Result<(), Rejected> {
    let Kind::Regex(flags) = &mut modified.kind else {
        let message = format!("`{name}` only goes after `re`");
        return Err(reporter.report(&diagnostic::MODIFIER_CONFLICT, mark, message));
    };
    match name {
        "i" => flags.case_insensitive = true,
        "m" => flags.multi_line = true,
        _ => flags.dot_matches_newline = true,
    }
    Ok(())
}

fn comparison(
    modified: &mut Modified<'_>,
    name: &str,
    mark: Mark,
    reporter: &mut Reporter<'_>,
) -> Result<(), Rejected> {
    let order = match name {
        "lt" => Order::Less,
        "lte" => Order::LessOrEqual,
        "gt" => Order::Greater,
        _ => Order::GreaterOrEqual,
    };
    modified.kind = match modified.kind {
        Kind::Text => Kind::Number(order),
        Kind::Time(part, Order::Equal) => Kind::Time(part, order),
        _ => {
            let message = format!("`{name}` does not go with the modifiers before it");
            return Err(reporter.report(&diagnostic::MODIFIER_CONFLICT, mark, message));
        }
    };
    Ok(())
}

/// Whether the modifiers go together as a whole.
fn check(modified: &Modified<'_>, key: &Key, reporter: &mut Reporter<'_>) -> Result<(), Rejected> {
    let has_affix = modified.before || modified.after;
    let problem = match modified.kind {
        Kind::Text => None,
        Kind::FieldReference if !modified.transforms.is_empty() => {
            Some("`fieldref` compares fields and takes no transformation")
        }
        Kind::FieldReference => None,
        Kind::Regex(_) if modified.cased => {
            Some("`re` is case-sensitive already (`re|i` is not); `cased` does not go with it")
        }
        Kind::Regex(_) if modified.transforms.iter().any(|transform| *transform != Transform::Expand) => {
            Some("`re` takes no transformation")
        }
        Kind::Exists if modified.all || modified.negated => Some("`exists` goes with no other modifier"),
        Kind::Regex(_) if has_affix => {
            Some("`re` matches anywhere: `contains`, `startswith` and `endswith` do not go with it")
        }
        _ if has_affix
            || modified.cased
            || (!modified.transforms.is_empty() && modified.transforms != [Transform::Expand]) =>
        {
            Some("these modifiers do not go together")
        }
        _ => None,
    };
    let problem = problem.or_else(|| {
        let needs_field = !matches!(modified.kind, Kind::Text | Kind::Regex(_));
        (modified.field.is_empty() && needs_field).then_some("this modifier needs a field before it")
    });
    match problem {
        Some(message) => Err(reporter.report(&diagnostic::MODIFIER_CONFLICT, key.mark, message)),
        None => Ok(()),
    }
}

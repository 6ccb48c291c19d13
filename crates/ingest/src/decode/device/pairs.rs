//! Names and values in running text, in the many shapes that devices send: `a=b c="d e"`, `a:b;c:d`, `a=b, c=d e`,
//! `a="b"<TAB>c=d`, `名称：值`, `名称/值,名称/值`, H3C's `Name(1001)=value;`.
//!
//! The one idea: a value ends where a separator is followed by the next name, so that values may hold spaces and
//! separators without quotes. Which separator a text uses is found by trying each and counting the pairs it gives.

/// Most pairs taken from one text; no device comes near.
const MAX_PAIRS: usize = 1024;
/// Longest name, in bytes. It also bounds how far ahead of a separator a name is looked for.
const MAX_NAME: usize = 72;

/// How pairs stand in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// What stands between pairs.
    pub separator: Separator,
    /// What stands between name and value.
    pub assign: Assign,
}

/// What stands between pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Separator {
    /// White space.
    Space,
    /// One character, with or without white space beside it.
    Char(char),
    /// `][`, as in `[a:b] [c:d]`.
    Brackets,
}

/// What stands between name and value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assign {
    /// `=`.
    Equals,
    /// `:` or its full-width form.
    Colon,
    /// `=` or a colon.
    Either,
    /// `/`, after names in Chinese.
    Slash,
}

impl Assign {
    fn is(self, c: char) -> bool {
        match self {
            Self::Equals => c == '=',
            Self::Colon => matches!(c, ':' | '：'),
            Self::Either => matches!(c, '=' | ':' | '：'),
            Self::Slash => c == '/',
        }
    }
}

/// The shapes tried, the better one first where two give the same number of pairs.
const SHAPES: [Shape; 11] = [
    Shape { separator: Separator::Char(';'), assign: Assign::Either },
    Shape { separator: Separator::Char('|'), assign: Assign::Either },
    Shape { separator: Separator::Char('\t'), assign: Assign::Either },
    Shape { separator: Separator::Char(','), assign: Assign::Either },
    Shape { separator: Separator::Char('，'), assign: Assign::Either },
    Shape { separator: Separator::Char('；'), assign: Assign::Either },
    Shape { separator: Separator::Brackets, assign: Assign::Either },
    Shape { separator: Separator::Char(','), assign: Assign::Slash },
    Shape { separator: Separator::Char('&'), assign: Assign::Equals },
    Shape { separator: Separator::Space, assign: Assign::Equals },
    Shape { separator: Separator::Space, assign: Assign::Colon },
];

/// The shape that gives most pairs of `text`; `None` when it does not look like pairs at all.
#[must_use]
pub fn shape(text: &str) -> Option<Shape> {
    let mut best: Option<(usize, Shape)> = None;
    for shape in SHAPES {
        if !is_possible(text, shape) {
            continue;
        }
        let count = read(text, shape).count();
        // Two words with a colon are prose; two with `=` are not.
        let enough = if shape.assign == Assign::Equals { 2 } else { 3 };
        if count < enough {
            continue;
        }
        // White space separates by accident within values, so it must be clearly better.
        let score = if shape.separator == Separator::Space { count * 3 } else { count * 4 };
        if best.is_none_or(|(most, _)| score > most) {
            best = Some((score, shape));
        }
    }
    // `a=b; c=d` gives both with `=` alone and with either; two pairs and a separator suffice then.
    best.map(|(_, shape)| shape)
}

fn is_possible(text: &str, shape: Shape) -> bool {
    let separated = match shape.separator {
        Separator::Space => true,
        Separator::Char(c) => text.contains(c),
        Separator::Brackets => text.contains("] [") || text.contains("]["),
    };
    separated && text.contains(|c| shape.assign.is(c))
}

/// The pairs of `text`, read in one shape.
#[must_use]
pub fn read(text: &str, shape: Shape) -> Pairs<'_> {
    Pairs { rest: text, shape, count: 0 }
}

/// Iterates over (name, value).
#[derive(Clone, Debug)]
pub struct Pairs<'a> {
    rest: &'a str,
    shape: Shape,
    count: usize,
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        if self.count >= MAX_PAIRS {
            return None;
        }
        loop {
            let (name, after) = self.name()?;
            let (value, rest) = self.value(after);
            self.rest = rest;
            if let Some(name) = name {
                self.count += 1;
                return Some((name, value));
            }
        }
    }
}

impl<'a> Pairs<'a> {
    /// The name up to the next assignment (`None` where the words before it are none) and the text after it.
    fn name(&self) -> Option<(Option<&'a str>, &'a str)> {
        let mut from = 0;
        loop {
            let text = self.rest.get(from..)?;
            let at = text.find(|c| self.shape.assign.is(c))?;
            let assign = text.get(at..)?.chars().next()?;
            let after = text.get(at + assign.len_utf8()..)?;
            let before = self.rest.get(..from + at)?;
            if is_assignment(before, assign, after) {
                return Some((last_name(before, self.shape), after));
            }
            from += at + assign.len_utf8();
        }
    }

    fn value(&self, text: &'a str) -> (&'a str, &'a str) {
        let spaced = text.trim_start_matches([' ', '\u{3000}']);
        // A name without a value, or a heading (`policy: src=…`): what follows is the next name.
        let is_heading = match self.shape.separator {
            Separator::Space => spaced.len() < text.len() && starts_name(spaced, self.shape),
            _ => {
                let equals = Shape { assign: Assign::Equals, ..self.shape };
                self.shape.assign == Assign::Either
                    && starts_name(spaced, equals)
                    && !starts_name_before_colon(spaced)
            }
        };
        let head = self.rest.get(..self.rest.len() - text.len()).unwrap_or_default();
        if is_heading && (self.shape.separator == Separator::Space || !head.ends_with('=')) {
            return ("", spaced);
        }
        if let Some((value, rest)) = quoted(spaced) {
            return (value, rest);
        }
        let end = self.value_end(spaced);
        let (value, rest) = spaced.split_at_checked(end).unwrap_or((spaced, ""));
        (clean(value), rest)
    }

    /// Where the value at the start of `text` ends: at a separator that a name or nothing follows.
    fn value_end(&self, text: &str) -> usize {
        for (at, c) in text.char_indices() {
            let rest = || text.get(at + c.len_utf8()..).unwrap_or_default();
            let ends = match self.shape.separator {
                Separator::Char(separator) => {
                    c == separator && (rest().trim().is_empty() || starts_name(rest(), self.shape))
                }
                Separator::Space => c.is_whitespace() && starts_name(rest(), self.shape),
                Separator::Brackets => c == ']' && is_bracket_end(rest()),
            };
            if ends {
                return at;
            }
        }
        text.len()
    }
}

fn is_bracket_end(rest: &str) -> bool {
    let rest = rest.trim_start();
    rest.is_empty() || rest.starts_with('[')
}

/// Whether the sign between `before` and `after` assigns, and is not part of a URL, a time or an IPv6 address.
fn is_assignment(before: &str, assign: char, after: &str) -> bool {
    if assign == '=' {
        // `==`, `!=`, `<=`: conditions.
        return !before.ends_with(['=', '!', '<', '>']) && !after.starts_with('=');
    }
    if assign == '：' {
        return true;
    }
    !(after.starts_with("//")
        || (after.starts_with(':') && !after.starts_with("::"))
        || before.ends_with(':'))
}

/// Whether `text` begins, after white space and filling, with a name and an assignment.
fn starts_name(text: &str, shape: Shape) -> bool {
    let text = text.trim_start_matches(is_filling);
    let mut end = MAX_NAME.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let Some(head) = text.get(..end) else { return false };
    let Some(at) = head.find(|c| shape.assign.is(c)) else { return false };
    let (Some(name), Some(assign)) = (head.get(..at), head.get(at..).and_then(|rest| rest.chars().next()))
    else {
        return false;
    };
    let after = text.get(at + assign.len_utf8()..).unwrap_or_default();
    is_assignment(name, assign, after)
        && is_name(name.trim_end(), shape)
        && !is_hexadecimal(name, assign, after)
}

/// Whether a colon comes before the `=` that `text` begins with a name for: a value such as `http://a.cn/?b=c`.
fn starts_name_before_colon(text: &str) -> bool {
    text.find('=').and_then(|at| text.get(..at)).is_some_and(|name| name.contains([':', '/', ' ']))
}

/// `F4:30:B9:…`, `240e:914::5`: no name, though letters stand before a colon.
fn is_hexadecimal(name: &str, assign: char, after: &str) -> bool {
    let hexadecimal = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit());
    assign == ':'
        && name.len() <= 4
        && hexadecimal(name)
        && after
            .split(':')
            .next()
            .is_some_and(|next| next.len() <= 4 && (next.is_empty() || hexadecimal(next)))
        && after.contains(':')
}

/// What stands between a separator and a name: spaces, DPtech's back-ticks, brackets, a sign for lists.
fn is_filling(c: char) -> bool {
    c.is_whitespace() || matches!(c, '`' | '[' | '(' | '{' | '-' | '|' | ',' | ';' | '，' | '（' | '【')
}

fn is_name(name: &str, shape: Shape) -> bool {
    let (Some(first), Some(last)) = (name.chars().next(), name.chars().next_back()) else { return false };
    let spaces = name.matches(' ').count();
    let spaces_allowed = if shape.separator == Separator::Space { 0 } else { 3 };
    let is_plain = |c: char| {
        c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '(' | ')' | '/' | ' ' | '@' | '#' | '$')
    };
    name.len() <= MAX_NAME
        && (first.is_alphabetic() || matches!(first, '_' | '@' | '$'))
        && (last.is_alphanumeric() || matches!(last, ')' | '_'))
        && spaces <= spaces_allowed
        && name.chars().all(|c| is_plain(c) && (c != '/' || shape.assign != Assign::Slash))
        && (shape.assign != Assign::Slash || !first.is_ascii_lowercase())
}

/// The name that `before` ends with.
fn last_name(before: &str, shape: Shape) -> Option<&str> {
    let before = before.trim_end().trim_end_matches(['"', '\'']);
    // What an earlier value left: only what follows its last separator can be the name.
    let start = match shape.separator {
        Separator::Space => before.rfind(char::is_whitespace),
        Separator::Char(separator) => before.rfind([separator, ']', '[']),
        Separator::Brackets => before.rfind('['),
    };
    let step = |at: usize| before.get(at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
    let mut name = start.and_then(|at| before.get(at + step(at)..)).unwrap_or(before);
    name = name.trim_start_matches(|c| is_filling(c) || matches!(c, '"' | '\''));
    if let Some((_, inner)) = name.rsplit_once(['(', '（']).filter(|(_, inner)| !inner.contains([')', '）']))
    {
        name = inner;
    }
    if !is_name(name, shape) {
        // Prose before the first name: `Failed to login. (Ip=…`.
        let at = name.rfind([' ', '(', '{', '"', '\t', '。', '，', ',', ';', '：', ':', '>'])?;
        let step = name.get(at..)?.chars().next()?.len_utf8();
        name = name.get(at + step..)?;
    }
    is_name(name, shape).then_some(name)
}

/// The text in quotes that `text` begins with, without them, and what follows. The closing quote is one that ends the
/// value: quotes within are common and rarely escaped.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let open = text.chars().next()?;
    let close: &[char] = match open {
        '"' => &['"'],
        '\'' => &['\''],
        '“' | '”' => &['”', '“'],
        _ => return None,
    };
    let body = text.get(open.len_utf8()..)?;
    let mut escaped = false;
    for (at, c) in body.char_indices() {
        if escaped {
            escaped = false;
            continue;
        }
        escaped = c == '\\' && !ends_value(body.get(at + 2..).unwrap_or_default());
        if close.contains(&c) {
            let rest = body.get(at + c.len_utf8()..).unwrap_or_default();
            if ends_value(rest) {
                return Some((body.get(..at)?, rest));
            }
        }
    }
    None
}

fn ends_value(rest: &str) -> bool {
    rest.chars().next().is_none_or(|c| {
        c.is_whitespace()
            || matches!(c, ',' | ';' | '|' | ']' | ')' | '}' | '&' | '，' | '；' | '。' | '<' | '-')
    })
}

/// Without the white space, separators and the unmatched bracket at its end.
fn clean(value: &str) -> &str {
    let mut value = value.trim().trim_end_matches([';', ',', '`', '，', '；', '|', ' ']);
    for (open, close) in [('(', ')'), ('[', ']'), ('{', '}'), ('（', '）')] {
        let end = value.trim_end_matches(['.', '。']);
        if end.ends_with(close) && !value.contains(open) {
            value = end.strip_suffix(close).unwrap_or(end).trim_end();
        }
    }
    value.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> String {
        let Some(shape) = shape(text) else { return "none".into() };
        read(text, shape).map(|(name, value)| format!("{name}→{value}")).collect::<Vec<_>>().join("|")
    }

    #[test]
    fn every_shape_is_read() {
        for (text, wanted) in [
            ("a=1 b=\"x y\" c='z' d= e=5", "a→1|b→x y|c→z|d→|e→5"),
            (
                "id=fw time=\"2026-11-22 08:00:00\" msg=denied by rule 7 src=10.0.0.1",
                "id→fw|time→2026-11-22 08:00:00|msg→denied by rule 7|src→10.0.0.1",
            ),
            (
                "log time=2026-11-22 09:40:50 +0800; host name=GW1; source address=10.0.0.2; url=http://a.cn/?b=c;d",
                "log time→2026-11-22 09:40:50 +0800|host name→GW1|source address→10.0.0.2|url→http://a.cn/?b=c;d",
            ),
            (
                "time:2026-11-22 15:35:18;level:3;event:[20132]IIS probe;src_addr:10.0.0.7;proto:TCP.HTTP",
                "time→2026-11-22 15:35:18|level→3|event→[20132]IIS probe|src_addr→10.0.0.7|proto→TCP.HTTP",
            ),
            (
                "classid:202, level:3, devip:10.0.0.6, devname:, content:found MAC[F4:30:B9:2A:EE:35-/]",
                "classid→202|level→3|devip→10.0.0.6|devname→|content→found MAC[F4:30:B9:2A:EE:35-/]",
            ),
            (
                "日志类型:服务控制, 源IP:10.0.0.3, 源端口:21665, 系统动作:拒绝",
                "日志类型→服务控制|源IP→10.0.0.3|源端口→21665|系统动作→拒绝",
            ),
            ("源地址：10.0.0.1 源端口：80 目的地址：fe80::1", "源地址→10.0.0.1|源端口→80|目的地址→fe80::1"),
            (
                "发生时间/2026-11-22 16:01:15,威胁/低,URL地址/www.a.cn:8080/gb/x.html,服务器IP/10.0.0.4",
                "发生时间→2026-11-22 16:01:15|威胁→低|URL地址→www.a.cn:8080/gb/x.html|服务器IP→10.0.0.4",
            ),
            (
                "SrcZone(1025)=Untrust;SrcIPAddr(1003)=10.0.0.5;SrcPort(1004)=51802;Note(1)=;",
                "SrcZone(1025)→Untrust|SrcIPAddr(1003)→10.0.0.5|SrcPort(1004)→51802|Note(1)→",
            ),
            (
                "log-type:av-protect;``event:alert;``source-ip:10.0.0.8;``url:http://a.cn/x?ID=4",
                "log-type→av-protect|event→alert|source-ip→10.0.0.8|url→http://a.cn/x?ID=4",
            ),
            ("Failed to login. (Ip=10.0.0.9, UserName=root, Times=1)", "Ip→10.0.0.9|UserName→root|Times→1"),
            (
                "[log_type:flux] [user:zhang] [dst_ip:::] [app:新闻 门户]",
                "log_type→flux|user→zhang|dst_ip→::|app→新闻 门户",
            ),
            (
                "NAME='25基地',ADMIN='li',TIME='2026-09-26 10:11:12'",
                "NAME→25基地|ADMIN→li|TIME→2026-09-26 10:11:12",
            ),
            ("just some words: nothing here", "none"),
            ("", "none"),
            ("====", "none"),
        ] {
            assert_eq!(pairs(text), wanted, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_survived(text in "\\PC{0,200}") {
            _ = pairs(&text);
        }

        #[test]
        fn plain_pairs_come_back(values in proptest::collection::vec("[a-z0-9.]{1,12}", 3..20), separator in "[;,| ]") {
            let text: Vec<String> = values.iter().enumerate().map(|(at, value)| format!("k{at}={value}")).collect();
            let text = text.join(&separator);
            let found = shape(&text).map(|shape| read(&text, shape).map(|(_, value)| value.to_owned()).collect::<Vec<_>>());
            proptest::prop_assert_eq!(found, Some(values));
        }
    }
}

//! What devices call the same thing: one table of field names (`data/field-synonyms.tsv`) for English, Chinese and the
//! usual abbreviations, so that a device never seen is understood as far as its names are telling.
//!
//! The one idea: a name gives a meaning only together with a value of the right shape. `src=eth0` is no address and
//! `time=5` no instant, so the next best name is asked.

use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::LazyLock;

use rustc_hash::FxHashMap;
use wanglou_model::{FieldMap, PathId, Value};

use crate::timestamp;

/// Longest name that may mean something, in bytes.
const MAX_NAME: usize = 96;

/// What an attribute's values look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ip,
    Port,
    Mac,
    Time,
    User,
    Protocol,
    Url,
    Severity,
    File,
    Hash,
    Int,
    Text,
}

/// One attribute of the table.
#[derive(Debug)]
pub(crate) struct Attribute {
    /// Where its value stands in a record: `ocsf.` and its name.
    pub(crate) path: PathId,
    /// Its name in the table.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
}

/// What a field's name means: an attribute, and how good a name for it this is (0 the best).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meaning {
    pub(crate) attribute: u16,
    rank: u16,
}

struct Vocabulary {
    attributes: Vec<Attribute>,
    meanings: FxHashMap<String, Meaning>,
}

static VOCABULARY: LazyLock<Vocabulary> = LazyLock::new(|| {
    let mut attributes = Vec::new();
    let mut meanings = FxHashMap::default();
    for line in include_str!("../data/field-synonyms.tsv").lines().filter(|line| !line.starts_with('#')) {
        let mut columns = line.split('\t');
        let (Some(name), Some(kind), Some(synonyms)) = (columns.next(), columns.next(), columns.next())
        else {
            continue;
        };
        let attribute = u16::try_from(attributes.len()).unwrap_or(u16::MAX);
        attributes.push(Attribute {
            path: PathId::reserve(&format!("ocsf.{name}")),
            name,
            kind: kind_of(kind),
        });
        for (rank, synonym) in (0..).zip(synonyms.split_ascii_whitespace()) {
            meanings.entry(plain(synonym)).or_insert(Meaning { attribute, rank });
        }
    }
    Vocabulary { attributes, meanings }
});

fn kind_of(name: &str) -> Kind {
    match name {
        "ip" => Kind::Ip,
        "port" => Kind::Port,
        "mac" => Kind::Mac,
        "time" => Kind::Time,
        "user" => Kind::User,
        "protocol" => Kind::Protocol,
        "url" => Kind::Url,
        "severity" => Kind::Severity,
        "file" => Kind::File,
        "hash" => Kind::Hash,
        "int" => Kind::Int,
        _ => Kind::Text,
    }
}

/// All attributes, by the number in a [`Meaning`].
pub(crate) fn attributes() -> &'static [Attribute] {
    &VOCABULARY.attributes
}

/// A name without what devices vary: case, separators, H3C's `(1003)`, the 的 of Windows' Chinese sentences.
fn plain(name: &str) -> String {
    let name = name.trim();
    let numbered = name.strip_suffix(')').and_then(|rest| rest.rsplit_once('('));
    let name = numbered
        .filter(|(_, number)| number.bytes().all(|b| b.is_ascii_digit()))
        .map_or(name, |(name, _)| name);
    let name = name.strip_prefix('的').unwrap_or(name);
    name.chars().filter(|c| !matches!(c, '_' | '-' | '.' | ' ')).flat_map(char::to_lowercase).collect()
}

/// What a name means: as a whole, then its last part, then without TopSec's letter for the type (`i_srcip`).
pub(crate) fn meaning(name: &str) -> Option<Meaning> {
    if name.is_empty() || name.len() > MAX_NAME {
        return None;
    }
    let known = |name: &str| VOCABULARY.meanings.get(plain(name).as_str()).copied();
    let worse = |meaning: Meaning| Meaning { rank: meaning.rank.saturating_add(200), ..meaning };
    known(name)
        .or_else(|| {
            name.split_once('_').filter(|(letter, _)| letter.len() == 1).and_then(|(_, rest)| known(rest))
        })
        .or_else(|| {
            let (parent, last) = name.rsplit_once('.')?;
            let (_, parent) = parent.rsplit_once('.').unwrap_or(("", parent));
            known(&format!("{parent}{last}")).or_else(|| known(last)).map(worse)
        })
}

thread_local! {
    /// [`meaning`] of paths this thread has asked for, by index; the outer `None` has not been asked.
    static ASKED: RefCell<Vec<Option<Option<Meaning>>>> = const { RefCell::new(Vec::new()) };
}

/// [`meaning`] of a path's name, remembered.
pub(crate) fn meaning_of(path: PathId) -> Option<Meaning> {
    ASKED.with_borrow_mut(|asked| {
        if asked.len() <= path.index() {
            asked.resize(path.index() + 1, None);
        }
        *asked.get_mut(path.index())?.get_or_insert_with(|| meaning(path.name()))
    })
}

/// What fields mean: for each attribute the value under the best name that fits it.
#[derive(Debug, Default)]
pub(crate) struct Understanding {
    /// By attribute: rank and the position of the field in the map.
    best: Vec<Option<(u16, PathId, String)>>,
}

impl Understanding {
    /// Of all fields whose path `wanted` admits.
    pub(crate) fn of(fields: &FieldMap, wanted: impl Fn(PathId) -> bool) -> Self {
        let mut understood = Self { best: Vec::new() };
        understood.best.resize(attributes().len(), None);
        let mut clock = None;
        for (path, value) in fields.iter().filter(|(path, _)| wanted(*path)) {
            if let Some(meaning) = meaning_of(path) {
                understood.offer(meaning, path, value);
                if attributes().get(usize::from(meaning.attribute)).is_some_and(|to| to.kind == Kind::Time) {
                    clock = clock
                        .or_else(|| value.as_str().filter(|text| is_clock(text)).map(|text| (path, text)));
                }
            }
        }
        understood.join_clock(fields, clock);
        understood
    }

    fn offer(&mut self, meaning: Meaning, path: PathId, value: Value<'_>) {
        let Some(attribute) = attributes().get(usize::from(meaning.attribute)) else { return };
        let Some(slot) = self.best.get_mut(usize::from(meaning.attribute)) else { return };
        if slot.as_ref().is_some_and(|(rank, ..)| *rank <= meaning.rank) {
            return;
        }
        let text = value.to_text();
        let Some(fitting) = fitting(attribute.kind, &text) else { return };
        *slot = Some((meaning.rank, path, fitting.to_owned()));
        // `Source=10.0.0.1:27286` tells the port too.
        if attribute.kind == Kind::Ip
            && let Some(port) = port_behind(&text)
            && attributes()
                .get(usize::from(meaning.attribute) + 1)
                .is_some_and(|next| next.kind == Kind::Port)
            && let Some(slot) = self.best.get_mut(usize::from(meaning.attribute) + 1)
        {
            slot.get_or_insert((u16::MAX, path, port.to_owned()));
        }
    }

    /// `date=2026-11-22 time=16:11:39`: one instant in two fields.
    fn join_clock(&mut self, fields: &FieldMap, clock: Option<(PathId, &str)>) {
        let Some((path, clock)) = clock else { return };
        let Some(at) = attributes().iter().position(|attribute| attribute.kind == Kind::Time) else { return };
        static DATES: LazyLock<[PathId; 4]> =
            LazyLock::new(|| ["date", "日期", "Date", "log_date"].map(PathId::reserve));
        let date = DATES.iter().find_map(|path| fields.text(*path));
        if let (Some(date), Some(slot)) = (date, self.best.get_mut(at)) {
            *slot = Some((0, path, format!("{date} {clock}")));
        }
    }

    /// What was understood: attribute, the field it comes from, its value.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static Attribute, PathId, &str)> {
        attributes().iter().zip(&self.best).filter_map(|(attribute, best)| {
            best.as_ref().map(|(_, path, value)| (attribute, *path, value.as_str()))
        })
    }
}

fn is_clock(text: &str) -> bool {
    let text = text.trim();
    text.len() >= 8
        && text.len() <= 15
        && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b':' | b'.'))
        && text.matches(':').count() == 2
}

/// Whether a value says that there is none.
pub(crate) fn is_nothing(text: &str) -> bool {
    let text = text.trim();
    text.is_empty()
        || ["-", "--", "n/a", "null", "(null)", "none", "nil", "undefined", "::", "0.0.0.0"]
            .iter()
            .any(|nothing| nothing.eq_ignore_ascii_case(text))
}

/// The part of a text that is a value of this kind.
pub(crate) fn fitting(kind: Kind, text: &str) -> Option<&str> {
    let text = text.trim();
    if is_nothing(text) {
        return None;
    }
    let fits = match kind {
        Kind::Ip => return address(text).map(|(address, _)| address),
        Kind::Port => text.parse::<u16>().is_ok(),
        Kind::Mac => is_mac(text),
        Kind::Time => timestamp::is_time(text),
        Kind::Int => text.parse::<i64>().is_ok(),
        Kind::Hash => text.len() >= 32 && text.bytes().all(|b| b.is_ascii_hexdigit()),
        Kind::Url => text.contains(['/', '.']) || text.starts_with('?'),
        Kind::Protocol => text.len() <= 32,
        Kind::Severity | Kind::User | Kind::File | Kind::Text => true,
    };
    fits.then_some(text)
}

fn is_mac(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_hexdigit).count();
    digits == 12 && text.bytes().all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'-' | b'.'))
}

/// The address that a text begins with, and what follows it: `10.0.0.1`, `10.0.0.1:80`, `[fe80::1]:80`,
/// `10.0.0.1/Web App`, `10.0.0.1(a.cn)`, `10.0.0.1,10.0.0.2`.
pub(crate) fn address(text: &str) -> Option<(&str, &str)> {
    let text = text.trim();
    if let Some(body) = text.strip_prefix('[') {
        let (inner, rest) = body.split_once(']')?;
        return inner.parse::<IpAddr>().ok().map(|_| (inner, rest));
    }
    let end =
        text.find(|c: char| !(c.is_ascii_hexdigit() || matches!(c, '.' | ':' | '%'))).unwrap_or(text.len());
    let (word, rest) = text.split_at_checked(end)?;
    if word.parse::<IpAddr>().is_ok() {
        return (!rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')).then_some((word, rest));
    }
    let (host, port) = word.split_once(':')?;
    let is_port = port.is_empty() || port.parse::<u16>().is_ok();
    let port_and_rest = text.get(host.len()..)?;
    (is_port && host.contains('.') && host.parse::<IpAddr>().is_ok()).then_some((host, port_and_rest))
}

/// The port behind the address that a text begins with.
pub(crate) fn port_behind(text: &str) -> Option<&str> {
    let (_, rest) = address(text)?;
    let digits = rest.strip_prefix(':')?;
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits.get(..end).filter(|port| port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(name: &str) -> &'static str {
        meaning(name).map_or("-", |meaning| attributes()[usize::from(meaning.attribute)].name)
    }

    #[test]
    fn names_mean_the_same_however_written() {
        for name in [
            "src_ip",
            "SrcIP",
            "source-ip",
            "SrcIPAddr(1003)",
            "源IP",
            "i_srcip",
            "sourceAddress",
            "攻击者",
            "source.ip",
            "alert.sip",
        ] {
            assert_eq!(attribute(name), "src_endpoint.ip", "{name}");
        }
        for (name, wanted) in [
            ("dport", "dst_endpoint.port"),
            ("目的端口", "dst_endpoint.port"),
            ("发生时间", "time"),
            ("的源端口", "src_endpoint.port"),
            ("URL地址", "url"),
            ("virus_name", "threat"),
            ("系统动作", "action"),
            ("frobnication", "-"),
            ("", "-"),
        ] {
            assert_eq!(attribute(name), wanted, "{name}");
        }
    }

    #[test]
    fn each_attribute_stands_once_and_ports_follow_addresses() {
        let names: std::collections::BTreeSet<_> =
            attributes().iter().map(|attribute| attribute.name).collect();
        assert_eq!(names.len(), attributes().len());
        for pair in attributes().windows(2) {
            let base =
                |attribute: &Attribute| attribute.name.rsplit_once('.').map(|(base, _)| base.to_owned());
            if pair[0].kind == Kind::Ip && pair[1].kind == Kind::Port {
                assert_eq!(base(&pair[0]), base(&pair[1]));
            }
        }
    }

    #[test]
    fn values_must_fit() {
        assert_eq!(address("10.0.0.1:80 x"), Some(("10.0.0.1", ":80 x")));
        assert_eq!(address("[fe80::1]:80"), Some(("fe80::1", ":80")));
        assert_eq!(address("fe80::1"), Some(("fe80::1", "")));
        assert_eq!(address("10.0.0.1/Web"), Some(("10.0.0.1", "/Web")));
        assert_eq!(address("10.0.0.1abc"), None);
        assert_eq!(address("eth0"), None);
        assert_eq!(port_behind("10.0.0.1:8080;"), Some("8080"));
        assert_eq!(port_behind("fe80::1"), None);
    }
}

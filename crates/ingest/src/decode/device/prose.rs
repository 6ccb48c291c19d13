//! Addresses, ports and users in sentences: `SSH user admin from 10.0.0.1 port 50968`, `10.0.0.1:80 -> 10.0.0.2:443`,
//! `通过[10.0.0.1]访问[10.0.0.2]`, `sip 10.0.0.3 sport 0`.
//!
//! The word before a value says what it is: a name of the vocabulary, or a preposition. Addresses without one are
//! taken in the order in which people write, source first.

use std::net::IpAddr;

use crate::vocabulary::{self, Kind};

/// Words looked at of one text.
const MAX_WORDS: usize = 256;

/// What a sentence says of a connection.
#[derive(Debug, Default)]
pub(super) struct Sentence<'a> {
    /// (attribute, value), the attribute by its name in the vocabulary.
    pub(super) found: Vec<(&'static str, &'a str)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Source,
    Destination,
}

impl<'a> Sentence<'a> {
    /// Reads `text`.
    pub(super) fn read(text: &'a str) -> Self {
        let mut sentence = Self::default();
        let mut last_end = None;
        let mut before = "";
        for word in words(text).take(MAX_WORDS) {
            let dotted = word.contains('.') || word.contains(':');
            let address =
                Some(word).filter(|_| dotted).and_then(vocabulary::address).filter(|(a, _)| is_host(a));
            if let Some((address, _)) = address {
                last_end = sentence.address(before, address, last_end, vocabulary::port_behind(word));
            } else {
                sentence.word(before, word, last_end);
            }
            before = word;
        }
        sentence
    }

    fn address(
        &mut self,
        before: &str,
        address: &'a str,
        last: Option<End>,
        port: Option<&'a str>,
    ) -> Option<End> {
        let end = end_named(before).or(match last {
            None if !self.has("src_endpoint.ip") => Some(End::Source),
            _ if !self.has("dst_endpoint.ip") && self.has("src_endpoint.ip") => Some(End::Destination),
            _ if !self.has("src_endpoint.ip") => Some(End::Source),
            _ => None,
        })?;
        let (ip, port_name) = match end {
            End::Source => ("src_endpoint.ip", "src_endpoint.port"),
            End::Destination => ("dst_endpoint.ip", "dst_endpoint.port"),
        };
        if !self.has(ip) {
            self.found.push((ip, address));
            if let Some(port) = port {
                self.found.push((port_name, port));
            }
        }
        Some(end)
    }

    fn word(&mut self, before: &str, word: &'a str, last: Option<End>) {
        if before.eq_ignore_ascii_case("port") || before == "端口" {
            let name = match last {
                Some(End::Source) => "src_endpoint.port",
                Some(End::Destination) => "dst_endpoint.port",
                None => return,
            };
            return self.offer(name, Kind::Port, word);
        }
        if word.is_empty() || before.is_empty() {
            return;
        }
        if matches!(before.to_ascii_lowercase().as_str(), "user" | "account" | "username")
            || matches!(before, "用户" | "账号" | "通过账号")
        {
            let is_name =
                word.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '@' | '\\'));
            let is_verb = matches!(
                word,
                "from" | "logged" | "login" | "on" | "is" | "has" | "was" | "of" | "to" | "name"
            );
            if is_name && !is_verb {
                self.offer("user.name", Kind::User, word);
            }
            return;
        }
        let named =
            vocabulary::meaning(before).and_then(|m| vocabulary::attributes().get(usize::from(m.attribute)));
        if let Some(attribute) = named.filter(|attribute| matches!(attribute.kind, Kind::Port | Kind::Mac)) {
            self.offer(attribute.name, attribute.kind, word);
        }
    }

    fn has(&self, name: &str) -> bool {
        self.found.iter().any(|(known, _)| *known == name)
    }

    fn offer(&mut self, name: &'static str, kind: Kind, value: &'a str) {
        if !self.has(name)
            && let Some(value) = vocabulary::fitting(kind, value)
        {
            self.found.push((name, value));
        }
    }
}

fn is_host(address: &str) -> bool {
    address.parse::<IpAddr>().is_ok_and(|address| !address.is_unspecified())
        && (address.contains('.') || address.matches(':').count() >= 2)
}

/// Addresses that stand in a text, whatever they mean; what a version is called is none.
pub(super) fn addresses(text: &str) -> impl Iterator<Item = &str> {
    let mut before = "";
    words(text).take(2 * MAX_WORDS).filter_map(move |word| {
        let is_version = before.to_ascii_lowercase().contains("ver");
        before = word;
        let (address, _) =
            vocabulary::address(word).filter(|(address, _)| !is_version && is_host(address))?;
        Some(address)
    })
}

/// Which end a word before an address means.
fn end_named(word: &str) -> Option<End> {
    let lower = word.to_lowercase();
    match lower.as_str() {
        "from" | "by" | "via" | "source" | "client" | "peer" | "rhost" => return Some(End::Source),
        "to" | "->" | "=>" | "→" | "at" | "dest" | "destination" | "server" | "for" => {
            return Some(End::Destination);
        }
        _ => {}
    }
    for (part, end) in [
        ("访问", End::Destination),
        ("目的", End::Destination),
        ("目标", End::Destination),
        ("受害", End::Destination),
        ("源", End::Source),
        ("来自", End::Source),
        ("攻击", End::Source),
        ("通过", End::Source),
        ("从", End::Source),
        ("登录ip", End::Source),
        ("客户端", End::Source),
    ] {
        if lower.ends_with(part) {
            return Some(end);
        }
    }
    match vocabulary::meaning(word)
        .and_then(|m| vocabulary::attributes().get(usize::from(m.attribute)))
        .map(|to| to.name)
    {
        Some("src_endpoint.ip") => Some(End::Source),
        Some("dst_endpoint.ip") => Some(End::Destination),
        _ => None,
    }
}

/// The words of a text; brackets, quotes and commas part them, and letters part from Chinese characters only where
/// punctuation does.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let parts = text.split(|c: char| c.is_whitespace() || "[](){},;\"'<>|~=，；。：（）【】“”、".contains(c));
    parts
        .flat_map(by_script)
        .map(|word| word.trim_end_matches(['.', ':', '-']).trim_start_matches('@'))
        .filter(|word| !word.is_empty())
}

/// Digits beside Chinese characters are words of their own: `通过10.0.0.1访问`.
fn by_script(word: &str) -> impl Iterator<Item = &str> {
    let mut rest = word;
    std::iter::from_fn(move || {
        let mut before = rest.chars().next()?;
        let parts =
            |a: char, b: char| (a.is_ascii_digit() && !b.is_ascii()) || (!a.is_ascii() && b.is_ascii_digit());
        let end = rest.char_indices().find_map(|(at, c)| {
            let ends = parts(before, c);
            before = c;
            ends.then_some(at)
        });
        let (head, tail) = rest.split_at_checked(end.unwrap_or(rest.len()))?;
        rest = tail;
        Some(head)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_name_both_ends() {
        for (text, wanted) in [
            (
                "SSH user admin from 10.0.0.1 port 50968 passed",
                "user.name=admin src_endpoint.ip=10.0.0.1 src_endpoint.port=50968",
            ),
            (
                "deny tcp 10.0.0.1:80 -> 10.0.0.2:443",
                "src_endpoint.ip=10.0.0.1 src_endpoint.port=80 dst_endpoint.ip=10.0.0.2 dst_endpoint.port=443",
            ),
            (
                "在[2026-11-22 08:00:00]通过[10.0.0.1]访问[10.0.0.2],用[root]",
                "src_endpoint.ip=10.0.0.1 dst_endpoint.ip=10.0.0.2",
            ),
            (
                "type dos sip 10.0.0.3 sport 7 dip 10.0.0.4 dport 53 times 1",
                "src_endpoint.ip=10.0.0.3 src_endpoint.port=7 dst_endpoint.ip=10.0.0.4 dst_endpoint.port=53",
            ),
            ("to 10.0.0.5 from fe80::1", "dst_endpoint.ip=10.0.0.5 src_endpoint.ip=fe80::1"),
            ("版本 1.2 nothing 12:30:00 here", ""),
        ] {
            let sentence = Sentence::read(text);
            let found: Vec<_> =
                sentence.found.iter().map(|(name, value)| format!("{name}={value}")).collect();
            assert_eq!(found.join(" "), wanted, "{text}");
        }
    }
}

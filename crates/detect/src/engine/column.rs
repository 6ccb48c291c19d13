//! A column: everything that all rules together ask of one field, arranged so that a value is looked at once.
//!
//! Literals of all rules stand in one Aho–Corasick automaton over folded text, whole values in one hash table, networks
//! in one list. What cannot be decided by a literal alone (regular expressions, wildcards within, case-sensitive text)
//! waits behind its rarest literal and is run only when a condition asks for it.

use std::net::IpAddr;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use ipnet::IpNet;
use rustc_hash::FxHashMap;
use wanglou_model::Value;

use crate::sigma::{Number, Order, Pattern, Piece, Shape, Test};
use crate::text::fold;

/// With fewer literals a value is scanned as quickly as it is hashed and compared.
const MIN_COSTLY_LITERALS: usize = 100;
/// Literals of a column up to this become a full table, which is faster, and with them takes at most some 300 KiB.
const MAX_DFA_BYTES: usize = 1_024;

/// The number of an item in the engine: one question that some rules ask of a field.
pub(super) type ItemId = u32;

/// What becomes known of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Signal {
    /// It holds.
    Holds,
    /// It may hold: its own test must be run.
    MayHold,
}

/// Where in the value a literal must stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Position {
    Anywhere,
    Start,
    End,
}

/// An item waiting for a literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Waiting {
    position: Position,
    signal: Signal,
    item: ItemId,
}

/// All questions on one field.
#[derive(Debug, Default)]
pub(super) struct Column {
    /// Hold when the field is there.
    present: Vec<ItemId>,
    /// Hold when it is not null.
    not_null: Vec<ItemId>,
    /// May hold for any value.
    ungated: Vec<ItemId>,
    exact: FxHashMap<Box<str>, Vec<ItemId>>,
    automaton: Option<AhoCorasick>,
    /// Bytes of the shortest literal: a shorter value needs no scan.
    shortest: usize,
    /// By pattern of the automaton.
    waiting: Vec<Vec<Waiting>>,
    networks: Vec<(IpNet, Vec<ItemId>)>,
    numbers: Vec<(Order, Number, ItemId)>,
}

/// Gathers the questions of a column.
#[derive(Debug, Default)]
pub(super) struct ColumnBuilder {
    column: Column,
    literals: FxHashMap<String, Vec<Waiting>>,
    networks: FxHashMap<IpNet, Vec<ItemId>>,
}

impl ColumnBuilder {
    /// Adds a test of an item. Answers whether the test must also be kept to be run on demand.
    pub(super) fn add(&mut self, test: &Test, item: ItemId) -> bool {
        match test {
            Test::Present => self.column.present.push(item),
            Test::NotNull => self.column.not_null.push(item),
            Test::Text { pattern, cased: false } => return self.add_text(pattern, item),
            Test::Text { pattern, cased: true } => {
                self.gate(longest_literal(pattern).map(|literal| vec![fold(literal)]), item);
                return true;
            }
            Test::Regex(regex) => {
                self.gate(Some(regex.required().to_vec()).filter(|set| !set.is_empty()), item);
                return true;
            }
            Test::Cidr(network) => self.networks.entry(*network).or_default().push(item),
            Test::Number { order, number } => self.column.numbers.push((*order, *number, item)),
            Test::Time { .. } | Test::SameAs { .. } => {
                self.column.ungated.push(item);
                return true;
            }
        }
        false
    }

    fn add_text(&mut self, pattern: &Pattern, item: ItemId) -> bool {
        let (literal, position) = match pattern.shape() {
            Shape::Exact(text) => {
                self.column.exact.entry(text.into()).or_default().push(item);
                return false;
            }
            Shape::Anything => {
                self.column.not_null.push(item);
                return false;
            }
            Shape::Prefix(text) => (text, Position::Start),
            Shape::Suffix(text) => (text, Position::End),
            Shape::Contains(text) => (text, Position::Anywhere),
            Shape::Glob => {
                self.gate(longest_literal(pattern).map(|literal| vec![literal.to_owned()]), item);
                return true;
            }
        };
        self.wait(literal, Waiting { position, signal: Signal::Holds, item });
        false
    }

    /// Opens the item when one of the literals is there; always when there are none.
    fn gate(&mut self, literals: Option<Vec<String>>, item: ItemId) {
        match literals {
            None => self.column.ungated.push(item),
            Some(literals) => {
                for literal in literals {
                    self.wait(
                        &literal,
                        Waiting { position: Position::Anywhere, signal: Signal::MayHold, item },
                    );
                }
            }
        }
    }

    fn wait(&mut self, literal: &str, waiting: Waiting) {
        match self.literals.get_mut(literal) {
            Some(list) => list.push(waiting),
            None => _ = self.literals.insert(literal.to_owned(), vec![waiting]),
        }
    }

    pub(super) fn build(self) -> Result<Column, aho_corasick::BuildError> {
        let mut column = self.column;
        let mut literals: Vec<(String, Vec<Waiting>)> = self.literals.into_iter().collect();
        literals.sort();
        if !literals.is_empty() {
            let is_small = literals.iter().map(|(literal, _)| literal.len()).sum::<usize>() <= MAX_DFA_BYTES;
            let kind = if is_small { AhoCorasickKind::DFA } else { AhoCorasickKind::ContiguousNFA };
            let automaton = AhoCorasick::builder()
                .match_kind(MatchKind::Standard)
                .kind(Some(kind))
                .build(literals.iter().map(|(literal, _)| literal))?;
            column.automaton = Some(automaton);
            column.shortest = literals.iter().map(|(literal, _)| literal.len()).min().unwrap_or(0);
        }
        let tidy = |mut list: Vec<Waiting>| {
            list.sort_unstable();
            list.dedup();
            list
        };
        column.waiting = literals.into_iter().map(|(_, waiting)| tidy(waiting)).collect();
        column.networks = self.networks.into_iter().collect();
        column.networks.sort_unstable();
        let lists = column.exact.values_mut().chain(column.networks.iter_mut().map(|(_, items)| items));
        for list in lists.chain([&mut column.present, &mut column.not_null, &mut column.ungated]) {
            list.sort_unstable();
            list.dedup();
            list.shrink_to_fit();
        }
        Ok(column)
    }
}

fn longest_literal(pattern: &Pattern) -> Option<&str> {
    let literals = pattern.pieces().iter().filter_map(|piece| match piece {
        Piece::Literal(text) => Some(text.as_str()),
        Piece::Any | Piece::One | Piece::Dash => None,
    });
    literals.max_by_key(|text| text.len())
}

impl Column {
    /// Whether a text rules out that any value within it says anything: every question waits for a literal, and none
    /// stands there.
    pub(super) fn is_silent_about(&self, folded: &str) -> bool {
        let lists = [&self.present, &self.not_null, &self.ungated];
        let waits = lists.iter().all(|list| list.is_empty())
            && self.exact.is_empty()
            && self.networks.is_empty()
            && self.numbers.is_empty();
        waits && self.automaton.as_ref().is_none_or(|automaton| automaton.find(folded).is_none())
    }

    /// Whether looking up an earlier answer is quicker than asking again.
    pub(super) fn is_costly(&self) -> bool {
        self.waiting.len() > MIN_COSTLY_LITERALS
    }

    /// Tells what a value says of the items. `folded` is its text, folded.
    pub(super) fn scan(&self, value: Value<'_>, folded: &str, mut tell: impl FnMut(ItemId, Signal)) {
        for item in &self.present {
            tell(*item, Signal::Holds);
        }
        if value == Value::Null {
            return;
        }
        for item in &self.not_null {
            tell(*item, Signal::Holds);
        }
        for item in &self.ungated {
            tell(*item, Signal::MayHold);
        }
        if let Some(items) = self.exact.get(folded) {
            items.iter().for_each(|item| tell(*item, Signal::Holds));
        }
        self.scan_literals(folded, &mut tell);
        if !self.networks.is_empty()
            && let Some(address) = address(folded)
        {
            for (network, items) in &self.networks {
                if network.contains(&address) {
                    items.iter().for_each(|item| tell(*item, Signal::Holds));
                }
            }
        }
        if !self.numbers.is_empty()
            && let Some(number) = number(value)
        {
            for (order, bound, item) in &self.numbers {
                if order.holds(number.compare(*bound)) {
                    tell(*item, Signal::Holds);
                }
            }
        }
    }

    fn scan_literals(&self, folded: &str, tell: &mut impl FnMut(ItemId, Signal)) {
        let Some(automaton) = self.automaton.as_ref().filter(|_| folded.len() >= self.shortest) else {
            return;
        };
        for found in automaton.find_overlapping_iter(folded) {
            let Some(waiting) = self.waiting.get(found.pattern().as_usize()) else { continue };
            for waiting in waiting {
                let stands = match waiting.position {
                    Position::Anywhere => true,
                    Position::Start => found.start() == 0,
                    Position::End => found.end() == folded.len(),
                };
                if stands {
                    tell(waiting.item, waiting.signal);
                }
            }
        }
    }
}

/// The address that a value is.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    // An address begins with a digit, a hexadecimal letter, a colon or a bracket: most values do not parse.
    let first = text.bytes().next()?;
    if !(first.is_ascii_hexdigit() || matches!(first, b':' | b'[')) {
        return None;
    }
    let text = text.trim_start_matches('[').trim_end_matches(']');
    let text = text.split_once('%').map_or(text, |(address, _)| address);
    text.parse().ok().map(|address: IpAddr| address.to_canonical())
}

/// The number that a value is, also when it is written as text.
pub(super) fn number(value: Value<'_>) -> Option<Number> {
    match value {
        Value::Int(number) => Some(Number::Int(number.into())),
        Value::UInt(number) => Some(Number::Int(number.into())),
        Value::Float(number) => Some(Number::Float(number)),
        Value::Str(text) => Number::parse(text),
        Value::Null | Value::Bool(_) => None,
    }
}

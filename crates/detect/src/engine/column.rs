//! A column: what all rules together ask of one field, arranged so that a value is looked at once.
//!
//! What stands at an end of the value or is all of it is looked up, what stands anywhere is found in one pass, networks
//! are a list. What cannot be decided by a literal alone (regular expressions, wildcards within,
//! case-sensitive text) waits behind its longest literal and is run only when a condition asks for it.

use std::net::IpAddr;

use ipnet::IpNet;
use rustc_hash::FxHashMap;
use wanglou_model::Value;

use super::ends::{End, Ends};
use super::grams::Grams;
use crate::sigma::{Number, Order, Pattern, Piece, Shape, Test};
use crate::text::fold;

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
    Whole,
    Start,
    End,
    Anywhere,
}

/// An item waiting for a literal, and what the literal says of it.
pub(super) type Waiting = (ItemId, Signal);

/// All questions on one field.
#[derive(Debug, Default)]
pub(super) struct Column {
    /// Hold when the field is there.
    present: Vec<ItemId>,
    /// Hold when it is not null.
    not_null: Vec<ItemId>,
    /// May hold for any value of so many bytes or more.
    ungated: Vec<(ItemId, usize)>,
    wholes: Ends,
    prefixes: Ends,
    suffixes: Ends,
    parts: Grams,
    /// Whether one of the parts may stand in a number, true or false.
    part_of_number: bool,
    /// By number of a literal, counted from `first_literal`: who waits for it.
    waiting: Vec<Box<[Waiting]>>,
    first_literal: u32,
    networks: Vec<(IpNet, Vec<ItemId>)>,
    numbers: Vec<(Order, Number, ItemId)>,
}

/// Gathers the questions of a column.
#[derive(Debug, Default)]
pub(super) struct ColumnBuilder {
    column: Column,
    literals: FxHashMap<(Position, String), Vec<Waiting>>,
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
                match regex.required() {
                    [] => self.column.ungated.push((item, regex.shortest())),
                    required => self.gate(Some(required.to_vec()), item),
                }
                return true;
            }
            Test::Cidr(network) => self.networks.entry(*network).or_default().push(item),
            Test::Number { order, number } => self.column.numbers.push((*order, *number, item)),
            Test::Time { .. } | Test::SameAs { .. } => {
                self.column.ungated.push((item, 0));
                return true;
            }
        }
        false
    }

    fn add_text(&mut self, pattern: &Pattern, item: ItemId) -> bool {
        let (literal, position) = match pattern.shape() {
            Shape::Exact(text) => (text, Position::Whole),
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
        self.wait(position, literal, (item, Signal::Holds));
        false
    }

    /// Opens the item when one of the literals is there; always when there are none.
    fn gate(&mut self, literals: Option<Vec<String>>, item: ItemId) {
        match literals {
            None => self.column.ungated.push((item, 0)),
            Some(literals) => {
                for literal in literals {
                    self.wait(Position::Anywhere, &literal, (item, Signal::MayHold));
                }
            }
        }
    }

    fn wait(&mut self, position: Position, literal: &str, waiting: Waiting) {
        self.literals.entry((position, literal.to_owned())).or_default().push(waiting);
    }

    /// The column; its literals are numbered from `first_literal`.
    pub(super) fn build(self, first_literal: u32) -> Column {
        let mut column = self.column;
        let mut literals: Vec<((Position, String), Vec<Waiting>)> = self.literals.into_iter().collect();
        literals.sort();
        let at = |position: Position| -> Vec<(&str, u32)> {
            let numbered = (first_literal..).zip(&literals);
            let here = numbered.filter(|(_, ((other, _), _))| *other == position);
            here.map(|(id, ((_, text), _))| (text.as_str(), id)).collect()
        };
        column.wholes = Ends::new(End::Whole, &at(Position::Whole));
        column.prefixes = Ends::new(End::Start, &at(Position::Start));
        column.suffixes = Ends::new(End::Back, &at(Position::End));
        let parts = at(Position::Anywhere);
        column.parts = Grams::new(&parts);
        column.part_of_number = parts.iter().any(|(text, _)| text.bytes().all(is_in_numbers));
        column.first_literal = first_literal;
        column.waiting = literals
            .into_iter()
            .map(|(_, mut waiting)| {
                waiting.sort_unstable();
                waiting.dedup();
                waiting.into()
            })
            .collect();
        column.networks = self.networks.into_iter().collect();
        column.networks.sort_unstable();
        let lists = column.networks.iter_mut().map(|(_, items)| items);
        column.ungated.sort_unstable();
        column.ungated.dedup();
        for list in lists.chain([&mut column.present, &mut column.not_null]) {
            list.sort_unstable();
            list.dedup();
            list.shrink_to_fit();
        }
        column
    }
}

/// Whether a byte stands in the text of some number, of `true` or of `false`.
fn is_in_numbers(byte: u8) -> bool {
    byte.is_ascii_digit() || b".+-einfatrusl".contains(&byte)
}

fn longest_literal(pattern: &Pattern) -> Option<&str> {
    let literals = pattern.pieces().iter().filter_map(|piece| match piece {
        Piece::Literal(text) => Some(text.as_str()),
        Piece::Any | Piece::One | Piece::Dash => None,
    });
    literals.max_by_key(|text| text.len())
}

impl Column {
    /// How many literals it has.
    pub(super) fn literals(&self) -> u32 {
        u32::try_from(self.waiting.len()).unwrap_or(u32::MAX)
    }

    /// Whether anything of what is asked may hold for a value that is a number, true or false because of its text.
    pub(super) fn may_hold_in_number(&self) -> bool {
        self.part_of_number
    }

    /// Whether a text rules out that any value within it says anything: every question waits for a literal, and none
    /// stands there.
    pub(super) fn is_silent_about(&self, folded: &str) -> bool {
        let lists = [&self.present, &self.not_null];
        let waits = lists.iter().all(|list| list.is_empty())
            && self.ungated.is_empty()
            && self.wholes.is_empty()
            && self.prefixes.is_empty()
            && self.suffixes.is_empty()
            && self.networks.is_empty()
            && self.numbers.is_empty();
        waits && self.parts.is_absent(folded.as_bytes())
    }

    /// Tells what a value says of the items. `folded` is its text, folded. A literal that is found in a value is
    /// looked for no more in the record's other values: `seen` has the number of the record it was last found in.
    #[inline]
    pub(super) fn scan(
        &self,
        value: Value<'_>,
        folded: &str,
        seen: &mut Seen<'_>,
        mut tell: impl FnMut(ItemId, Signal),
    ) {
        for item in &self.present {
            tell(*item, Signal::Holds);
        }
        if value == Value::Null {
            return;
        }
        for item in &self.not_null {
            tell(*item, Signal::Holds);
        }
        // Folding may change how long a text is.
        let len = value.as_str().map_or(folded.len(), str::len);
        for (item, _) in self.ungated.iter().filter(|(_, shortest)| *shortest <= len) {
            tell(*item, Signal::MayHold);
        }
        self.scan_literals(folded, seen, &mut tell);
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

    fn scan_literals(&self, folded: &str, seen: &mut Seen<'_>, tell: &mut impl FnMut(ItemId, Signal)) {
        let mut found = |seen: &mut Seen<'_>, id: u32| {
            if seen.insert(id) {
                let waiting = self.waiting.get((id - self.first_literal) as usize);
                waiting.into_iter().flatten().for_each(|(item, signal)| tell(*item, *signal));
            }
        };
        self.wholes.find(folded.as_bytes(), |id| found(seen, id));
        self.prefixes.find(folded.as_bytes(), |id| found(seen, id));
        self.suffixes.find(folded.as_bytes(), |id| found(seen, id));
        self.parts.find(folded.as_bytes(), seen, &mut found);
    }
}

/// The literals found in the current record.
#[derive(Debug)]
pub(super) struct Seen<'s> {
    /// By literal: the number of the record it was last found in.
    pub(super) stamps: &'s mut [u32],
    pub(super) now: u32,
}

impl Seen<'_> {
    #[inline]
    pub(super) fn contains(&self, id: u32) -> bool {
        self.stamps.get(id as usize) == Some(&self.now)
    }

    /// Whether it is new.
    #[inline]
    fn insert(&mut self, id: u32) -> bool {
        let now = self.now;
        match self.stamps.get_mut(id as usize) {
            Some(stamp) if *stamp != now => {
                *stamp = now;
                true
            }
            _ => false,
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

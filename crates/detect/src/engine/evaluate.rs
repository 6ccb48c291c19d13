//! Running the program over a record.
//!
//! Nothing is cleared between records: what is known of a column, item or rule carries the number of the record it
//! was learnt from, and older knowledge counts as none. All memory is kept, so that a stream settles at no allocation.

use wanglou_model::{Format, Record, Value};

use super::RuleIndex;
use super::column::{Column, ItemId, Seen, Signal};
use super::item::{Asked, Item, Way};
use super::plan::{Plan, PlanFeed, Plans};
use super::program::{Op, Program};
use super::router::append_folded;
use super::test::{self, Subject};

/// The working memory of one thread's evaluations. Reused from record to record.
#[derive(Debug, Default)]
pub struct Scratch {
    /// The number of the current record; 0 is never current.
    now: u32,
    plans: Plans,
    /// By logsource: the last record that belonged to it.
    sources: Vec<u32>,
    /// By column: the last record with a value for it that was looked at, and on which level.
    looked: Vec<(u32, u8)>,
    /// Values that count only if there is none on a better level.
    spare: Vec<(PlanFeed, u32)>,
    columns: Vec<ColumnState>,
    /// Values of columns as linked lists: (position of the value in the record, next).
    links: Vec<(u32, u32)>,
    /// Folded texts of values, by position: (record, start, end) in `text`.
    folded: Vec<(u32, u32, u32)>,
    text: String,
    /// Whether `text` begins with the record's own text, which is ASCII, folded in place.
    in_place: bool,
    /// By literal: the last record that it was found in.
    literals: Vec<u32>,
    holds: Vec<u32>,
    may_hold: Vec<u32>,
    /// By item: the last record for which it was asked and does not hold.
    fails: Vec<u32>,
    candidates: Vec<u32>,
    is_candidate: Vec<u32>,
    hits: Vec<RuleIndex>,
}

/// What conditions have found out about a column.
#[derive(Clone, Copy, Debug, Default)]
struct ColumnState {
    /// The last record whose values for it were listed; then the list begins here, and this long are they together.
    listed: u32,
    first: u32,
    bytes: u32,
    /// The last record for which its other questions were answered.
    answered: u32,
}

/// The values of a column while they are listed.
struct List {
    first: u32,
    last: u32,
    level: u8,
    bytes: u32,
}

/// The end of a linked list.
const END: u32 = u32::MAX;
/// The position of the record's raw text among its values.
const RAW: u32 = u32::MAX;
/// Values that together are no longer than this are short: trying each of a few tests costs less than looking for all.
const SHORT_BYTES: u32 = 512;
/// Working text larger than this is given back after the record: one huge event must not cost memory for ever.
const MAX_KEPT_TEXT: usize = 1 << 20;

impl Scratch {
    pub(super) fn for_program(program: &Program) -> Self {
        Self {
            sources: vec![0; program.logsources.len()],
            looked: vec![(0, 0); program.columns.len()],
            columns: vec![ColumnState::default(); program.columns.len()],
            literals: vec![0; program.literals],
            holds: vec![0; program.items.len()],
            may_hold: vec![0; program.items.len()],
            fails: vec![0; program.items.len()],
            is_candidate: vec![0; program.rules.len()],
            ..Self::default()
        }
    }

    fn begin(&mut self) {
        self.now = self.now.checked_add(1).unwrap_or_else(|| {
            for stamps in [
                &mut self.sources,
                &mut self.literals,
                &mut self.holds,
                &mut self.may_hold,
                &mut self.fails,
                &mut self.is_candidate,
            ] {
                stamps.fill(0);
            }
            self.looked.fill((0, 0));
            self.columns.fill(ColumnState::default());
            self.folded.fill((0, 0, 0));
            1
        });
        self.links.clear();
        self.text.clear();
        if self.text.capacity() > MAX_KEPT_TEXT {
            self.text.shrink_to(MAX_KEPT_TEXT);
        }
        self.candidates.clear();
        self.hits.clear();
    }
}

impl Program {
    /// The rules that match a record, in order.
    pub(super) fn evaluate<'s>(&self, record: &Record, scratch: &'s mut Scratch) -> &'s [RuleIndex] {
        scratch.begin();
        let mut plans = std::mem::take(&mut scratch.plans);
        if let Some(plan) = plans.of(self, record).filter(|plan| !plan.sources.is_empty()) {
            plan.meet(self, record);
            let mut run = Run { program: self, record, plan, s: scratch };
            run.activate();
            run.fold_all();
            run.watch();
            run.watch_keywords();
            run.decide();
        }
        scratch.plans = plans;
        &scratch.hits
    }
}

struct Run<'p, 'r, 's> {
    program: &'p Program,
    record: &'r Record,
    plan: &'s Plan,
    s: &'s mut Scratch,
}

impl Run<'_, '_, '_> {
    fn activate(&mut self) {
        for source in &self.plan.sources {
            if let Some(stamp) = self.s.sources.get_mut(*source as usize) {
                *stamp = self.s.now;
            }
        }
    }

    /// Folds all texts in one go when they are ASCII: they then keep their places.
    fn fold_all(&mut self) {
        let text = self.record.fields.texts();
        self.s.in_place = text.is_ascii();
        if self.s.in_place {
            self.s.text.push_str(text);
            self.s.text.make_ascii_lowercase();
        }
    }

    /// Looks at each value of the record for witnesses.
    fn watch(&mut self) {
        let (record, plan) = (self.record, self.plan);
        for (position, path) in (0_u32..).zip(record.fields.paths()) {
            for feed in plan.watched(path) {
                if feed.level == 0 {
                    self.look_on_level(*feed, position);
                } else {
                    self.s.spare.push((*feed, position));
                }
            }
        }
        if self.s.spare.is_empty() {
            return;
        }
        let mut spare = std::mem::take(&mut self.s.spare);
        // Per column the best level stands first, and only what stands on it counts.
        spare.sort_unstable_by_key(|(feed, position)| (feed.column, feed.level, *position));
        spare.drain(..).for_each(|(feed, position)| self.look_on_level(feed, position));
        self.s.spare = spare;
    }

    /// Looks at a value unless its column has values on a better level.
    #[inline]
    fn look_on_level(&mut self, feed: PlanFeed, position: u32) {
        let Some(looked) = self.s.looked.get_mut(feed.column as usize) else { return };
        if *looked != (self.s.now, feed.level) {
            if looked.0 == self.s.now && looked.1 < feed.level {
                return;
            }
            *looked = (self.s.now, feed.level);
        }
        if let Some(column) = self.program.columns.get(feed.column as usize) {
            self.scan(column, position);
        }
    }

    /// Keywords search every value; in syslog, the line itself.
    fn watch_keywords(&mut self) {
        let (program, plan) = (self.program, self.plan);
        if plan.keywords.is_empty() {
            return;
        }
        for id in &plan.keywords {
            if let Some(looked) = self.s.looked.get_mut(*id as usize) {
                *looked = (self.s.now, 0);
            }
        }
        let columns = || plan.keywords.iter().filter_map(|id| program.columns.get(*id as usize));
        if self.reads_line() {
            return columns().for_each(|column| self.scan(column, RAW));
        }
        // All values in one text: what stands nowhere in it stands in none of them. Numbers are only written out for
        // keywords that may be found in one.
        let values = u32::try_from(self.record.fields.len()).unwrap_or(END);
        if !self.s.in_place || columns().any(Column::may_hold_in_number) {
            for position in 0..values {
                if let Some(value) = value_at(self.record, position) {
                    self.fold(position, value);
                }
            }
        }
        for column in columns() {
            if !column.is_silent_about(&self.s.text) {
                (0..values).for_each(|position| self.scan(column, position));
            }
        }
    }

    /// Whether keywords are looked for in the line as it came.
    fn reads_line(&self) -> bool {
        self.record.format == Format::Syslog && std::str::from_utf8(&self.record.raw).is_ok()
    }

    /// Asks a column about a value.
    #[inline]
    fn scan(&mut self, column: &Column, position: u32) {
        let program = self.program;
        let Some(value) = value_at(self.record, position) else { return };
        let (start, end) = self.fold(position, value);
        let s = &mut *self.s;
        // Taken out while the scan writes to the rest of the scratch.
        let text = std::mem::take(&mut s.text);
        let mut literals = std::mem::take(&mut s.literals);
        let folded = text.get(start as usize..end as usize).unwrap_or_default();
        let mut seen = Seen { stamps: &mut literals, now: s.now };
        column.scan(value, folded, &mut seen, |item, signal| tell(program, s, item, signal));
        s.text = text;
        s.literals = literals;
    }

    /// The span of a value's folded text, made once for all columns.
    fn fold(&mut self, position: u32, value: Value<'_>) -> (u32, u32) {
        if let Some(span) = self.span_in_place(position, value) {
            return span;
        }
        let slot = self.slot(position);
        let s = &mut *self.s;
        if s.folded.len() <= slot {
            s.folded.resize(slot + 1, (0, 0, 0));
        }
        let Some(span) = s.folded.get_mut(slot) else { return (0, 0) };
        if span.0 != s.now {
            let start = u32::try_from(s.text.len()).unwrap_or(u32::MAX);
            append_folded(value, &mut s.text);
            *span = (s.now, start, u32::try_from(s.text.len()).unwrap_or(u32::MAX));
        }
        (span.1, span.2)
    }

    /// The span of a text that was folded in place.
    #[inline]
    fn span_in_place(&self, position: u32, value: Value<'_>) -> Option<(u32, u32)> {
        if !self.s.in_place || position == RAW || !matches!(value, Value::Str(_)) {
            return None;
        }
        self.record.fields.text_span(position as usize)
    }

    /// Evaluates the conditions of the rules that have a witness or need none.
    fn decide(&mut self) {
        self.s.candidates.extend_from_slice(&self.plan.unwitnessed);
        for index in 0..self.s.candidates.len() {
            let rule = self.s.candidates.get(index).copied().unwrap_or_default();
            let Some(body) = self.program.rules.get(rule as usize) else { continue };
            if self.condition(&body.condition, 0).0 {
                self.s.hits.push(RuleIndex(rule));
            }
        }
        self.s.hits.sort_unstable();
    }

    /// The truth of the expression at a step, and the step after it.
    fn condition(&mut self, ops: &[Op], at: usize) -> (bool, usize) {
        match ops.get(at).copied() {
            None => (false, at),
            Some(Op::Item(item)) => (self.item(item), at + 1),
            Some(Op::Not) => {
                let (truth, next) = self.condition(ops, at + 1);
                (!truth, next)
            }
            Some(op @ (Op::And { end } | Op::Or { end })) => {
                let decisive = matches!(op, Op::Or { .. });
                let (end, mut next) = (end as usize, at + 1);
                while next < end {
                    let (truth, after) = self.condition(ops, next);
                    if truth == decisive {
                        return (decisive, end);
                    }
                    next = after;
                }
                (!decisive, end)
            }
        }
    }

    /// Whether an item holds.
    fn item(&mut self, id: ItemId) -> bool {
        let (index, now) = (id as usize, self.s.now);
        let is_now = |stamps: &[u32]| stamps.get(index) == Some(&now);
        if is_now(&self.s.holds) {
            return true;
        }
        if is_now(&self.s.fails) {
            return false;
        }
        let program = self.program;
        let Some(item) = program.items.get(index) else { return false };
        let holds = if self.asks_column(item) {
            self.ask_column(item);
            is_now(&self.s.holds)
                || (is_now(&self.s.may_hold) && self.run_tests(item.column, &item.on_demand))
        } else {
            self.run_tests(item.column, &item.tests)
        };
        let stamps = if holds { &mut self.s.holds } else { &mut self.s.fails };
        if let Some(stamp) = stamps.get_mut(index) {
            *stamp = now;
        }
        holds
    }

    /// Whether an item is answered by its column, not by running its tests.
    fn asks_column(&mut self, item: &Item) -> bool {
        match item.way {
            Way::Column => true,
            Way::Tests => false,
            Way::TestsIfShort => self.list(item.column).bytes > SHORT_BYTES,
        }
    }

    /// Lets an item's column answer its questions of the item's kind, unless that has been done for this record: the
    /// record may be of no logsource for whose rules the column is watched.
    fn ask_column(&mut self, item: &Item) {
        let (id, now) = (item.column, self.s.now);
        let state = self.list(id);
        let columns = if item.is_witness() {
            match self.s.looked.get_mut(id as usize) {
                Some(looked) if looked.0 != now => *looked = (now, 0),
                _ => return,
            }
            &self.program.columns
        } else {
            match self.s.columns.get_mut(id as usize) {
                Some(state) if state.answered != now => state.answered = now,
                _ => return,
            }
            &self.program.others
        };
        let Some(column) = columns.get(id as usize) else { return };
        let mut link = state.first;
        while let Some((position, next)) = self.s.links.get(link as usize).copied() {
            link = next;
            self.scan(column, position);
        }
    }

    fn run_tests(&mut self, column: u32, tests: &[Asked]) -> bool {
        self.list(column);
        for other in tests.iter().filter_map(|(_, other)| *other) {
            self.list(other);
        }
        self.subjects(column).any(|subject| {
            tests.iter().any(|(test, other)| {
                let others = other.iter().flat_map(|column| self.subjects(*column));
                test::holds(test, subject, others)
            })
        })
    }

    /// Lists the values of a column, once a record, and folds their texts.
    fn list(&mut self, id: u32) -> ColumnState {
        let state = self.s.columns.get(id as usize).copied().unwrap_or_default();
        if state.listed == self.s.now {
            return state;
        }
        let mut list = List { first: END, last: END, level: u8::MAX, bytes: 0 };
        if self.program.is_keywords(id) {
            let values = u32::try_from(self.record.fields.len()).unwrap_or(END);
            let line = if self.reads_line() { RAW..=RAW } else { 0..=values };
            line.for_each(|position| self.list_value(&mut list, 0, position));
        } else {
            let (record, feeding) = (self.record, self.plan.feeding(id));
            for (position, path) in (0_u32..).zip(record.fields.paths()) {
                let levels = feeding.iter().filter(|(other, _)| *other == path).map(|(_, level)| *level);
                levels.min().into_iter().for_each(|level| self.list_value(&mut list, level, position));
            }
        }
        let state = ColumnState { listed: self.s.now, first: list.first, bytes: list.bytes, answered: 0 };
        if let Some(slot) = self.s.columns.get_mut(id as usize) {
            *slot = state;
        }
        state
    }

    fn list_value(&mut self, list: &mut List, level: u8, position: u32) {
        let Some(value) = value_at(self.record, position).filter(|_| level <= list.level) else { return };
        let (start, end) = self.fold(position, value);
        if level < list.level {
            *list = List { first: END, last: END, level, bytes: 0 };
        }
        list.bytes = list.bytes.saturating_add(end.saturating_sub(start));
        let link = u32::try_from(self.s.links.len()).unwrap_or(END);
        self.s.links.push((position, END));
        match self.s.links.get_mut(list.last as usize) {
            Some((_, next)) => *next = link,
            None => list.first = link,
        }
        list.last = link;
    }

    /// The values of a column, which has been listed.
    fn subjects(&self, column: u32) -> impl Iterator<Item = Subject<'_>> {
        let state = self.s.columns.get(column as usize).filter(|state| state.listed == self.s.now);
        let mut link = state.map_or(END, |state| state.first);
        std::iter::from_fn(move || {
            let (position, next) = self.s.links.get(link as usize).copied()?;
            link = next;
            let value = value_at(self.record, position)?;
            let (start, end) = match self.span_in_place(position, value) {
                Some(span) => span,
                None => self.s.folded.get(self.slot(position)).map(|(_, start, end)| (*start, *end))?,
            };
            let folded = self.s.text.get(start as usize..end as usize)?;
            Some(Subject { value, folded })
        })
    }

    /// Where the folded text of the value at a position is kept.
    fn slot(&self, position: u32) -> usize {
        if position == RAW { self.record.fields.len() } else { position as usize }
    }
}

fn value_at(record: &Record, position: u32) -> Option<Value<'_>> {
    if position == RAW {
        return std::str::from_utf8(&record.raw).ok().map(Value::Str);
    }
    record.fields.value_at(position as usize)
}

/// Takes in what a scan says of an item, and makes the rules that it witnesses candidates.
fn tell(program: &Program, s: &mut Scratch, id: ItemId, signal: Signal) {
    let index = id as usize;
    let stamps = match signal {
        Signal::Holds => &mut s.holds,
        Signal::MayHold => &mut s.may_hold,
    };
    let Some(stamp) = stamps.get_mut(index).filter(|stamp| **stamp != s.now) else { return };
    *stamp = s.now;
    let Some(item) = program.items.get(index) else { return };
    for (source, rules) in &item.witness_of {
        if s.sources.get(*source as usize) != Some(&s.now) {
            continue;
        }
        for rule in rules {
            if let Some(stamp) = s.is_candidate.get_mut(*rule as usize).filter(|stamp| **stamp != s.now) {
                *stamp = s.now;
                s.candidates.push(*rule);
            }
        }
    }
}

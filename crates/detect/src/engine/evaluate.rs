//! Running the program over a record.
//!
//! Nothing is cleared between records: what is known of a column, item or rule carries the number of the record it
//! was learnt from, and older knowledge counts as none. All memory is kept, so that a stream settles at no allocation.

use wanglou_model::{Format, Record, Value};

use super::RuleIndex;
use super::column::{Column, ItemId, Seen, Signal};
use super::plan::{Plan, Plans};
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
    columns: Vec<ColumnState>,
    filled: Vec<u32>,
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
    candidates: Vec<u32>,
    is_candidate: Vec<u32>,
    hits: Vec<RuleIndex>,
}

#[derive(Clone, Copy, Debug, Default)]
struct ColumnState {
    /// The last record that has a value for it; then the fields below are meant.
    filled: u32,
    level: u8,
    first: u32,
    last: u32,
}

/// The end of a linked list.
const END: u32 = u32::MAX;
/// The position of the record's raw text among its values.
const RAW: u32 = u32::MAX;
/// Working text larger than this is given back after the record: one huge event must not cost memory for ever.
const MAX_KEPT_TEXT: usize = 1 << 20;

impl Scratch {
    pub(super) fn for_program(program: &Program) -> Self {
        Self {
            sources: vec![0; program.logsources.len()],
            columns: vec![ColumnState::default(); program.columns.len()],
            literals: vec![0; program.literals],
            holds: vec![0; program.items.len()],
            may_hold: vec![0; program.items.len()],
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
                &mut self.is_candidate,
            ] {
                stamps.fill(0);
            }
            self.columns.fill(ColumnState::default());
            self.folded.fill((0, 0, 0));
            1
        });
        self.filled.clear();
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
            let mut run = Run { program: self, record, s: scratch };
            run.activate(plan);
            run.fold_all();
            run.fill(plan);
            run.scan();
            run.decide(plan);
        }
        scratch.plans = plans;
        &scratch.hits
    }
}

struct Run<'p, 'r, 's> {
    program: &'p Program,
    record: &'r Record,
    s: &'s mut Scratch,
}

impl Run<'_, '_, '_> {
    fn activate(&mut self, plan: &Plan) {
        for source in &plan.sources {
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

    /// Hands each value of the record to the columns that ask for it.
    fn fill(&mut self, plan: &mut Plan) {
        for (position, path) in (0_u32..).zip(self.record.fields.paths()) {
            for feed in plan.feeds(self.program, path) {
                self.feed(feed.column, feed.level, position);
            }
        }
        self.fill_keywords(plan);
    }

    /// Keywords search every value; in syslog, the line itself.
    fn fill_keywords(&mut self, plan: &Plan) {
        if plan.keywords.is_empty() {
            return;
        }
        let values = u32::try_from(self.record.fields.len()).unwrap_or(END);
        if self.record.format == Format::Syslog && std::str::from_utf8(&self.record.raw).is_ok() {
            plan.keywords.iter().for_each(|column| self.feed(*column, 0, RAW));
            return;
        }
        // All values in one text: what stands nowhere in it stands in none of them. Numbers are only written out for
        // keywords that may be found in one.
        let program = self.program;
        let columns = || plan.keywords.iter().filter_map(|id| program.columns.get(*id as usize));
        if !self.s.in_place || columns().any(Column::may_hold_in_number) {
            for position in 0..values {
                if let Some(value) = value_at(self.record, position) {
                    self.fold(position, value);
                }
            }
        }
        for column in &plan.keywords {
            let is_silent = program
                .columns
                .get(*column as usize)
                .is_some_and(|column| column.is_silent_about(&self.s.text));
            if !is_silent {
                (0..values).for_each(|position| self.feed(*column, 0, position));
            }
        }
    }

    #[inline]
    fn feed(&mut self, column: u32, level: u8, position: u32) {
        let s = &mut *self.s;
        let Some(state) = s.columns.get_mut(column as usize) else { return };
        if state.filled == s.now && state.level < level {
            return;
        }
        let link = u32::try_from(s.links.len()).unwrap_or(END);
        s.links.push((position, END));
        if state.filled == s.now && state.level == level {
            if let Some((_, next)) = s.links.get_mut(state.last as usize) {
                *next = link;
            }
            state.last = link;
        } else {
            if state.filled != s.now {
                s.filled.push(column);
            }
            *state = ColumnState { filled: s.now, level, first: link, last: link };
        }
    }

    /// Runs each filled column over its values.
    fn scan(&mut self) {
        let program = self.program;
        for index in 0..self.s.filled.len() {
            let id = self.s.filled.get(index).copied().unwrap_or_default();
            let Some(column) = program.columns.get(id as usize) else { continue };
            let mut link = self.s.columns.get(id as usize).map_or(END, |state| state.first);
            while let Some((position, next)) = self.s.links.get(link as usize).copied() {
                link = next;
                let Some(value) = value_at(self.record, position) else { continue };
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
        }
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
    fn decide(&mut self, plan: &Plan) {
        self.s.candidates.extend_from_slice(&plan.unwitnessed);
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

    fn item(&mut self, id: ItemId) -> bool {
        let (index, now) = (id as usize, self.s.now);
        if self.s.holds.get(index) == Some(&now) {
            return true;
        }
        if self.s.may_hold.get(index) != Some(&now) {
            return false;
        }
        let holds = self.run_on_demand(id);
        // Either way the question is settled for this record.
        if let Some(stamp) = self.s.may_hold.get_mut(index) {
            *stamp = 0;
        }
        if let Some(stamp) = self.s.holds.get_mut(index).filter(|_| holds) {
            *stamp = now;
        }
        holds
    }

    fn run_on_demand(&self, id: ItemId) -> bool {
        let Some(item) = self.program.items.get(id as usize) else { return false };
        self.subjects(item.column).any(|subject| {
            item.on_demand.iter().any(|(test, other)| {
                let others = other.iter().flat_map(|column| self.subjects(*column));
                test::holds(test, subject, others)
            })
        })
    }

    /// The values of a column, which has been scanned, so that their folded texts are there.
    fn subjects(&self, column: u32) -> impl Iterator<Item = Subject<'_>> {
        let state = self.s.columns.get(column as usize).filter(|state| state.filled == self.s.now);
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

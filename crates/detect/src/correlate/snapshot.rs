//! The state of a correlator as bytes: eight bytes that name the format, its version, a BLAKE3 hash of the rest, the
//! rest. Rules are named by id and version, so that a changed rule set takes over what did not change.
//!
//! Numbers are little-endian, lists and texts are preceded by their length. Bytes that were damaged are refused by the
//! hash; bytes that were forged, by lengths that are checked before anything is allocated.

use std::collections::VecDeque;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::entry::{Entry, Origin, Whole};
use super::groups::{Episode, Group};
use super::hit::{Fed, Hit, Reader as Hits};
use super::numbers::Numbers;
use super::sequence::{InOrder, Together};
use super::timeline::{Mark, Timeline};
use super::values::{Many, Values};
use super::window::Window;
use super::{Correlator, Limits, Plan, Stats};
use crate::Engine;
use crate::sigma::Aggregate;

const MAGIC: &[u8; 8] = b"wlcorrel";
const VERSION: u32 = 2;
const HEAD_BYTES: usize = MAGIC.len() + 4 + blake3::OUT_LEN;
const NO_EVIDENCE: u32 = u32::MAX;

/// Why a snapshot cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// It is no snapshot of correlations.
    #[error("these bytes are no snapshot of correlations")]
    Foreign,
    /// A later release wrote it.
    #[error("the snapshot has format version {0}, which this release cannot read")]
    Version(u32),
    /// It is not what was written.
    #[error("the snapshot is damaged")]
    Damaged,
}

/// Puts the head before a body.
#[doc(hidden)]
#[must_use]
pub fn seal(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD_BYTES + body.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(blake3::hash(body).as_bytes());
    bytes.extend_from_slice(body);
    bytes
}

fn unseal(bytes: &[u8]) -> Result<&[u8], SnapshotError> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(SnapshotError::Foreign)?;
    let (version, rest) = rest.split_first_chunk().ok_or(SnapshotError::Damaged)?;
    let version = u32::from_le_bytes(*version);
    if version != VERSION {
        return Err(SnapshotError::Version(version));
    }
    let (hash, body) = rest.split_first_chunk::<{ blake3::OUT_LEN }>().ok_or(SnapshotError::Damaged)?;
    if blake3::hash(body) != *hash { Err(SnapshotError::Damaged) } else { Ok(body) }
}

impl Correlator {
    /// Everything that is remembered, as bytes.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.i64(self.clock);
        for count in [self.stats.evicted, self.stats.late, self.stats.hurried] {
            writer.u64(count);
        }
        writer.len(self.rules.len());
        for (plan, groups) in self.engine.plans().iter().zip(&self.rules) {
            let rule = self.engine.rule(plan.rule);
            writer.text(&rule.id);
            writer.text(&rule.version);
            writer.len(groups.len());
            for group in groups.by_age() {
                writer.sized(|writer| writer.group(group));
            }
        }
        writer.len(self.waiting.len());
        for hit in self.waiting.values() {
            writer.sized(|writer| writer.hit(hit));
        }
        writer.len(self.until.len());
        for (until, (time, uid)) in &self.until {
            writer.i64(*until);
            writer.i64(*time);
            writer.pair(*uid);
        }
        // Evidence and origins are shared; they come last because they are collected on the way.
        let (origins, evidences) =
            (std::mem::take(&mut writer.origins), std::mem::take(&mut writer.evidences));
        let mut body = Writer::default();
        body.len(origins.list.len());
        for origin in &origins.list {
            body.text(&origin.file);
            body.text(&origin.product);
        }
        body.len(evidences.list.len());
        for evidence in &evidences.list {
            body.i64(evidence.time());
            body.bytes(&evidence.json(&self.engine));
        }
        body.out.extend_from_slice(&writer.out);
        seal(&body.out)
    }

    /// A correlator that goes on from a snapshot. What correlations remember that are not the same in `engine` is
    /// dropped.
    ///
    /// # Errors
    /// When the bytes are not those of a snapshot of this release.
    pub fn restore(engine: Arc<Engine>, limits: Limits, bytes: &[u8]) -> Result<Self, SnapshotError> {
        let body = unseal(bytes)?;
        let mut correlator = Self::with_limits(engine, limits);
        correlator.read(body).ok_or(SnapshotError::Damaged)?;
        Ok(correlator)
    }

    /// The same state under another set of rules.
    #[must_use]
    pub fn adopt(&self, engine: Arc<Engine>) -> Self {
        let limits = self.limits;
        Self::restore(Arc::clone(&engine), limits, &self.snapshot())
            .unwrap_or_else(|_damaged| Self::with_limits(engine, limits))
    }

    fn read(&mut self, body: &[u8]) -> Option<()> {
        let mut reader = Reader { rest: body, origins: Vec::new(), evidences: Vec::new() };
        reader.shared(&mut self.reader)?;
        self.clock = reader.i64()?;
        self.stats =
            Stats { evicted: reader.u64()?, late: reader.u64()?, hurried: reader.u64()?, ..Stats::default() };
        let engine = Arc::clone(&self.engine);
        // Where each plan of the snapshot is now.
        let mut plans = Vec::new();
        for _ in 0..reader.len(12)? {
            let (id, version) = (reader.text()?, reader.text()?);
            let found = engine.plans().iter().zip(0_u32..).find(|(plan, _)| {
                let rule = engine.rule(plan.rule);
                rule.id == id && rule.version == version
            });
            plans.push(found.map(|(_, index)| index));
            for _ in 0..reader.len(8)? {
                let mut part = reader.sized()?;
                let Some((plan, index)) = found else { continue };
                let group = part.group(plan)?;
                self.take(index, group)?;
            }
        }
        for _ in 0..reader.len(8)? {
            let hit = reader.sized()?.hit(&engine, &plans)?;
            self.waiting.insert(hit.at(), hit);
        }
        for _ in 0..reader.len(32)? {
            self.until.push_back((reader.i64()?, (reader.i64()?, reader.pair()?)));
        }
        reader.rest.is_empty().then_some(())
    }

    fn take(&mut self, index: u32, group: Group) -> Option<()> {
        let groups = self.rules.get_mut(index as usize)?;
        if groups.get(&group.key).is_some() {
            return None;
        }
        self.bytes += group.bytes();
        groups.touch(group.key, || group)?;
        Some(())
    }
}

/// Things that many entries share, numbered as they are met.
struct Numbered<T> {
    numbers: FxHashMap<*const T, u32>,
    list: Vec<Arc<T>>,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self { numbers: FxHashMap::default(), list: Vec::new() }
    }
}

impl<T> Numbered<T> {
    fn number(&mut self, shared: &Arc<T>) -> u32 {
        *self.numbers.entry(Arc::as_ptr(shared)).or_insert_with(|| {
            self.list.push(Arc::clone(shared));
            u32::try_from(self.list.len() - 1).unwrap_or(NO_EVIDENCE)
        })
    }
}

#[derive(Default)]
struct Writer {
    out: Vec<u8>,
    origins: Numbered<Origin>,
    evidences: Numbered<Whole>,
}

impl Writer {
    fn u8(&mut self, number: u8) {
        self.out.push(number);
    }
    fn u16(&mut self, number: u16) {
        self.out.extend_from_slice(&number.to_le_bytes());
    }
    fn u32(&mut self, number: u32) {
        self.out.extend_from_slice(&number.to_le_bytes());
    }
    fn u64(&mut self, number: u64) {
        self.out.extend_from_slice(&number.to_le_bytes());
    }
    fn i64(&mut self, number: i64) {
        self.u64(number.cast_unsigned());
    }
    fn u128(&mut self, number: u128) {
        self.out.extend_from_slice(&number.to_le_bytes());
    }
    fn pair(&mut self, [high, low]: [u64; 2]) {
        self.u64(high);
        self.u64(low);
    }
    fn len(&mut self, len: usize) {
        self.u64(len as u64);
    }
    fn bytes(&mut self, bytes: &[u8]) {
        self.len(bytes.len());
        self.out.extend_from_slice(bytes);
    }
    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// Something preceded by its length, so that a reader can pass over it.
    fn sized(&mut self, write: impl FnOnce(&mut Self)) {
        let at = self.out.len();
        self.u64(0);
        write(self);
        let len = (self.out.len() - at - 8) as u64;
        if let Some(slot) = self.out.get_mut(at..at + 8) {
            slot.copy_from_slice(&len.to_le_bytes());
        }
    }

    fn entry(&mut self, entry: &Entry) {
        self.i64(entry.time);
        self.pair(entry.uid);
        self.u64(entry.value);
        self.u64(entry.record);
        let origin = self.origins.number(&entry.origin);
        self.u32(origin);
        let evidence = entry.evidence.as_ref().map_or(NO_EVIDENCE, |whole| self.evidences.number(whole));
        self.u32(evidence);
        self.u16(entry.part);
    }

    fn entries<'e>(&mut self, entries: impl ExactSizeIterator<Item = &'e Entry>) {
        self.len(entries.len());
        entries.for_each(|entry| self.entry(entry));
    }

    fn timeline(&mut self, timeline: &Timeline) {
        self.entries(timeline.recent.iter());
        let older = timeline.older.as_deref();
        self.len(older.map_or(0, VecDeque::len));
        for mark in older.into_iter().flatten() {
            self.i64(mark.time);
            self.u64(mark.uid);
            self.u64(mark.value);
        }
    }

    fn group(&mut self, group: &Group) {
        self.pair(group.key);
        self.i64(group.newest);
        self.i64(group.arrival);
        self.u8(u8::from(group.episode.is_some()));
        if let Some(episode) = &group.episode {
            self.u128(episode.finding);
            self.i64(episode.held);
            self.u64(episode.reported);
            self.u64(episode.unreported);
            self.i64(episode.reported_at);
        }
        match &group.window {
            Window::Events(events) => self.timeline(events),
            Window::Values(values) => {
                self.entries(values.recent.iter());
                self.u8(u8::from(values.many.is_some()));
                if let Some(many) = &values.many {
                    self.u32(many.level);
                    self.len(many.sightings.len());
                    for (time, value) in &many.sightings {
                        self.i64(*time);
                        self.u64(*value);
                    }
                }
            }
            Window::Numbers(numbers) => {
                self.u32(numbers.level);
                self.out.extend_from_slice(&numbers.sum.to_le_bytes());
                self.timeline(&numbers.events);
            }
            Window::Together(together) => self.entries(together.newest.iter()),
            Window::InOrder(order) => {
                self.entries(order.newest.newest.iter());
                self.len(order.chains.len());
                for chain in &order.chains {
                    self.entries(chain.iter());
                }
            }
        }
    }

    fn hit(&mut self, hit: &Hit) {
        self.i64(hit.time);
        self.pair(hit.uid);
        self.u64(hit.record);
        let origin = self.origins.number(&hit.origin);
        self.u32(origin);
        self.bytes(&serde_json::to_vec(&hit.tail).unwrap_or_default());
        self.len(hit.feeds.len());
        for fed in &hit.feeds {
            self.u32(fed.plan);
            self.u16(fed.part);
            self.u32(fed.via.unwrap_or(u32::MAX));
            self.pair(fed.key);
            self.u64(fed.value);
            let evidence = fed.evidence.as_ref().map_or(NO_EVIDENCE, |whole| self.evidences.number(whole));
            self.u32(evidence);
            self.len(fed.group.len());
            fed.group.iter().for_each(|text| self.text(text));
        }
    }
}

#[derive(Clone)]
struct Reader<'b> {
    rest: &'b [u8],
    origins: Vec<Arc<Origin>>,
    /// `None`: there was no room for it.
    evidences: Vec<Option<Arc<Whole>>>,
}

/// What an entry takes.
const ENTRY_BYTES: usize = 50;

impl<'b> Reader<'b> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*array)
    }
    fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]: [u8; 1]| byte)
    }
    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }
    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }
    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
    fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }
    fn pair(&mut self) -> Option<[u64; 2]> {
        Some([self.u64()?, self.u64()?])
    }

    /// A number of things that take so many bytes each, at least.
    fn len(&mut self, each: usize) -> Option<usize> {
        let len = usize::try_from(self.u64()?).ok()?;
        (len.checked_mul(each)? <= self.rest.len()).then_some(len)
    }
    fn bytes(&mut self) -> Option<&'b [u8]> {
        let len = self.len(1)?;
        let (bytes, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(bytes)
    }
    fn text(&mut self) -> Option<String> {
        std::str::from_utf8(self.bytes()?).ok().map(str::to_owned)
    }
    fn list<T>(&mut self, each: usize, read: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        (0..self.len(each)?).map(|_| read(self)).collect()
    }

    fn shared(&mut self, hits: &mut Hits) -> Option<()> {
        for _ in 0..self.len(16)? {
            let origin = Origin { file: self.text()?, product: self.text()? };
            self.origins.push(hits.shared(origin));
        }
        for _ in 0..self.len(16)? {
            let (time, json) = (self.i64()?, self.bytes()?);
            let whole = Whole::from_json(json, time, &hits.budget);
            self.evidences.push(whole);
        }
        Some(())
    }

    /// A part, and what is shared.
    fn sized(&mut self) -> Option<Part<'_, 'b>> {
        let rest = self.bytes()?;
        Some(Part { reader: Reader { rest, origins: Vec::new(), evidences: Vec::new() }, shared: self })
    }
}

/// A part of a snapshot.
struct Part<'r, 'b> {
    reader: Reader<'b>,
    shared: &'r Reader<'b>,
}

impl Part<'_, '_> {
    fn origin(&mut self) -> Option<Arc<Origin>> {
        let number = self.reader.u32()?;
        self.shared.origins.get(number as usize).cloned()
    }

    fn evidence(&mut self) -> Option<Option<Arc<Whole>>> {
        match self.reader.u32()? {
            NO_EVIDENCE => Some(None),
            number => self.shared.evidences.get(number as usize).cloned(),
        }
    }

    fn entry(&mut self) -> Option<Entry> {
        Some(Entry {
            time: self.reader.i64()?,
            uid: self.reader.pair()?,
            value: self.reader.u64()?,
            record: self.reader.u64()?,
            origin: self.origin()?,
            evidence: self.evidence()?,
            part: self.reader.u16()?,
        })
    }

    fn entries<C: FromIterator<Entry>>(&mut self) -> Option<C> {
        (0..self.reader.len(ENTRY_BYTES)?).map(|_| self.entry()).collect()
    }

    fn timeline(&mut self) -> Option<Timeline> {
        let recent = self.entries()?;
        let mark = |reader: &mut Reader<'_>| {
            Some(Mark { time: reader.i64()?, uid: reader.u64()?, value: reader.u64()? })
        };
        let older: VecDeque<Mark> = self.reader.list(24, mark)?.into();
        Some(Timeline { recent, older: (!older.is_empty()).then(|| Box::new(older)) })
    }

    fn group(&mut self, plan: &Plan) -> Option<Group> {
        let (key, newest, arrival) = (self.reader.pair()?, self.reader.i64()?, self.reader.i64()?);
        let episode = match self.reader.u8()? {
            0 => None,
            _ => Some(Box::new(Episode {
                finding: u128::from_le_bytes(self.reader.array()?),
                held: self.reader.i64()?,
                reported: self.reader.u64()?,
                unreported: self.reader.u64()?,
                reported_at: self.reader.i64()?,
            })),
        };
        let window = self.window(&plan.terms.aggregate)?;
        let mut group = Group::new(key, window, newest, arrival);
        group.episode = episode;
        self.reader.rest.is_empty().then_some(group)
    }

    fn window(&mut self, aggregate: &Aggregate) -> Option<Window> {
        Some(match Window::new(aggregate) {
            Window::Events(_) => Window::Events(self.timeline()?),
            Window::Values(_) => {
                let recent = self.entries()?;
                let many = if self.reader.u8()? == 0 { None } else { Some(Box::new(self.many()?)) };
                Window::Values(Values { recent, many })
            }
            Window::Numbers(_) => Window::Numbers(Box::new(Numbers {
                level: self.reader.u32()?.min(u64::BITS),
                sum: i128::from_le_bytes(self.reader.array()?),
                events: self.timeline()?,
            })),
            Window::Together(_) => Window::Together(Together { newest: self.entries()? }),
            Window::InOrder(_) => {
                let newest = Together { newest: self.entries()? };
                let chains: Option<Vec<Vec<Entry>>> =
                    (0..self.reader.len(8)?).map(|_| self.entries()).collect();
                Window::InOrder(Box::new(InOrder { newest, chains: chains? }))
            }
        })
    }

    fn many(&mut self) -> Option<Many> {
        let level = self.reader.u32()?.min(u64::BITS);
        let sightings: VecDeque<(i64, u64)> =
            self.reader.list(16, |reader| Some((reader.i64()?, reader.u64()?)))?.into();
        let newest = sightings.iter().map(|(time, value)| (*value, *time)).collect();
        Some(Many { newest, sightings, level })
    }

    fn hit(mut self, engine: &Engine, plans: &[Option<u32>]) -> Option<Hit> {
        let (time, uid, record) = (self.reader.i64()?, self.reader.pair()?, self.reader.u64()?);
        let origin = self.origin()?;
        let tail = serde_json::from_slice(self.reader.bytes()?).ok()?;
        let mut feeds = Vec::new();
        for _ in 0..self.reader.len(50)? {
            let (plan, part) = (self.reader.u32()?, self.reader.u16()?);
            let via = Some(self.reader.u32()?).filter(|via| *via != u32::MAX);
            let (key, value, evidence) = (self.reader.pair()?, self.reader.u64()?, self.evidence()?);
            let group = self.reader.list(8, Reader::text)?;
            let now = |plan: u32| plans.get(plan as usize).copied().flatten();
            // What a rule that changed would have counted is dropped with all else it knew.
            let via = match via.map(now) {
                None => None,
                Some(Some(via)) => Some(via),
                Some(None) => continue,
            };
            let Some(plan) = now(plan).filter(|plan| engine.plans().get(*plan as usize).is_some()) else {
                continue;
            };
            feeds.push(Fed { plan, part, via, key, group, value, evidence });
        }
        feeds.sort_by_key(|fed| (fed.plan, fed.part));
        Some(Hit { time, uid, record, origin, tail, feeds })
    }
}

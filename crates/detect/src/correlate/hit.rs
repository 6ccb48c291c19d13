//! What correlations need of one event, taken from it when it comes: the event itself is gone when it is counted.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};
use wanglou_model::{Direction, Entity, Event, Finding, Outcome, Place, Record};

use super::entry::{Entry, Origin, Whole, split};
use super::groups::GroupKey;
use super::{Feed, Plan};
use crate::engine::verdict;
use crate::sigma::{Aggregate, Number};
use crate::text::fold;
use crate::{Engine, RuleIndex};

/// Origins that are remembered to be shared; more than sources and files there are.
const MAX_ORIGINS: usize = 65_536;

/// One event that rules matched which correlations count.
#[derive(Debug)]
pub(super) struct Hit {
    pub(super) time: i64,
    pub(super) uid: [u64; 2],
    pub(super) record: u64,
    pub(super) origin: Arc<Origin>,
    /// Only of a hit that waits; otherwise the event is still at hand.
    pub(super) tail: Option<Tail>,
    /// In order of their plans.
    pub(super) feeds: Vec<Fed>,
}

/// What an event is to one correlation.
#[derive(Debug)]
pub(super) struct Fed {
    pub(super) plan: u32,
    pub(super) part: u16,
    /// It counts only if this correlation holds with this event.
    pub(super) via: Option<u32>,
    pub(super) key: GroupKey,
    pub(super) group: Vec<String>,
    pub(super) value: u64,
    pub(super) evidence: Option<Arc<Whole>>,
}

/// What a finding says of the event that completes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Tail {
    pub(super) entities: Vec<Entity>,
    pub(super) direction: Direction,
    pub(super) outcome: Outcome,
    pub(super) outcome_proof: String,
}

impl Hit {
    pub(super) fn at(&self) -> (i64, [u64; 2]) {
        (self.time, self.uid)
    }

    pub(super) fn entry(&self, fed: &Fed) -> Entry {
        Entry {
            time: self.time,
            uid: self.uid,
            value: fed.value,
            record: self.record,
            origin: Arc::clone(&self.origin),
            evidence: fed.evidence.clone(),
            part: fed.part,
        }
    }
}

/// One event with what rules found in it.
pub(super) struct Observed<'a> {
    pub(super) hits: &'a [RuleIndex],
    pub(super) record: &'a Record,
    pub(super) event: &'a Event,
    pub(super) place: Option<&'a Place>,
    pub(super) time: i64,
}

impl Observed<'_> {
    /// What a finding says of this event.
    pub(super) fn tail(&self) -> Tail {
        let (outcome, outcome_proof) = verdict::outcome(self.record, self.event);
        Tail {
            entities: Entity::of_event(self.event),
            direction: verdict::direction(self.event),
            outcome,
            outcome_proof,
        }
    }
}

impl Tail {
    /// Puts it into a finding.
    pub(super) fn complete(self, finding: &mut Finding) {
        finding.entities = self.entities;
        finding.direction = self.direction;
        finding.outcome = self.outcome;
        finding.outcome_proof = self.outcome_proof;
    }
}

/// Makes hits.
#[derive(Debug)]
pub(super) struct Reader {
    /// By rule: the plans that count it.
    plans: FxHashMap<RuleIndex, Vec<u32>>,
    origins: FxHashSet<Arc<Origin>>,
    /// The origin of the event before.
    last: Option<Arc<Origin>>,
    pub(super) budget: Arc<AtomicUsize>,
}

impl Reader {
    pub(super) fn new(engine: &Engine, evidences: usize) -> Self {
        let mut plans: FxHashMap<RuleIndex, Vec<u32>> = FxHashMap::default();
        for (index, plan) in (0..).zip(engine.plans()) {
            for rule in plan.feeds.keys() {
                plans.entry(*rule).or_default().push(index);
            }
        }
        let budget = Arc::new(AtomicUsize::new(evidences));
        Self { plans, origins: FxHashSet::default(), last: None, budget }
    }

    /// What an event is to the correlations; `None` when it is nothing. `wants` says of which groups the evidence is
    /// worth keeping.
    pub(super) fn read(
        &mut self,
        engine: &Engine,
        observed: &Observed<'_>,
        wants: impl Fn(&Fed) -> bool,
    ) -> Option<Hit> {
        let mut feeds = Vec::new();
        for hit in observed.hits {
            let mut evidence = None;
            for index in self.plans.get(hit).into_iter().flatten() {
                let Some(plan) = engine.plans().get(*index as usize) else { continue };
                for feed in plan.feeds.get(hit).into_iter().flatten() {
                    let Some(mut fed) = fed(engine, *index, plan, feed, observed.record) else { continue };
                    if wants(&fed) {
                        let keep = || Whole::keep(engine, *hit, observed, &self.budget);
                        let whole = evidence.get_or_insert_with(|| self.has_room().then(keep).flatten());
                        fed.evidence.clone_from(whole);
                    }
                    feeds.push(fed);
                }
            }
        }
        if feeds.is_empty() {
            return None;
        }
        feeds.sort_by_key(|fed| (fed.plan, fed.part));
        Some(Hit {
            time: observed.time,
            uid: split(observed.event.uid.as_u128()),
            record: observed.place.map_or(0, |place| place.record),
            origin: self.origin(observed),
            tail: None,
            feeds,
        })
    }

    /// Whether more evidence may be kept whole.
    fn has_room(&self) -> bool {
        self.budget.load(std::sync::atomic::Ordering::Relaxed) > 0
    }

    fn origin(&mut self, observed: &Observed<'_>) -> Arc<Origin> {
        let file = observed.place.map_or("", |place| &place.file);
        let product = &observed.event.product.id;
        // Events of one origin come in a row.
        if let Some(last) = self.last.as_ref().filter(|last| last.file == file && last.product == *product) {
            return Arc::clone(last);
        }
        let origin = self.shared(Origin { file: file.to_owned(), product: product.clone() });
        self.last = Some(Arc::clone(&origin));
        origin
    }

    pub(super) fn shared(&mut self, origin: Origin) -> Arc<Origin> {
        if let Some(known) = self.origins.get(&origin) {
            return Arc::clone(known);
        }
        if self.origins.len() >= MAX_ORIGINS {
            self.origins.retain(|origin| Arc::strong_count(origin) > 1);
        }
        let origin = Arc::new(origin);
        if self.origins.len() < MAX_ORIGINS {
            self.origins.insert(Arc::clone(&origin));
        }
        origin
    }
}

/// What an event is to a plan; `None` when it lacks a field that the plan looks at.
fn fed(engine: &Engine, index: u32, plan: &Plan, feed: &Feed, record: &Record) -> Option<Fed> {
    let group = engine.texts(&feed.group, record)?;
    let counted = engine.texts(&feed.counted, record)?;
    let value = match &plan.terms.aggregate {
        Aggregate::EventCount | Aggregate::Temporal | Aggregate::TemporalOrdered => 0,
        Aggregate::ValueCount(_) | Aggregate::Share(_) => digest(&counted)[0],
        _ => Number::parse(counted.first()?)?.as_f64().to_bits(),
    };
    let key = digest(&group);
    Some(Fed { plan: index, part: feed.part, via: feed.via, key, group, value, evidence: None })
}

/// 128 bits that tell lists of texts apart, without regard to case as everywhere in Sigma.
fn digest(texts: &[String]) -> [u64; 2] {
    let mut hasher = blake3::Hasher::new();
    for text in texts {
        let text = fold(text);
        // The lengths keep (`ab`, `c`) apart from (`a`, `bc`).
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    let mut words = [[0; 8]; 2];
    hasher.finalize_xof().fill(words.as_flattened_mut());
    words.map(u64::from_be_bytes)
}

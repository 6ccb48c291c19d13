//! The correlator beside one that is slow and obviously right: for each event, in order of time, everything is computed
//! anew from all events before it. Delivery is out of order, with repetitions, and interrupted by restarts.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;
use wanglou_detect::{Correlator, Engine, Limits, Taxonomy};
use wanglou_model::{Finding, Format, Timestamp};

use super::event;
use crate::support::{compiled, record_of};

const SPAN: i64 = 10;
const LATENESS: i64 = 4;

#[derive(Clone, Debug)]
struct Seen {
    second: i64,
    uid: u128,
    kind: &'static str,
    ip: &'static str,
    number: i64,
    /// Seconds from the event to its arrival, beside a day that all take.
    delay: i64,
    /// It is delivered twice.
    twice: bool,
}

const TYPES: [&str; 10] = [
    "type: event_count, rules: [a, b], condition: {gte: 3}",
    "type: event_count, rules: [a], condition: {gt: 1, lte: 3}",
    "type: value_count, rules: [a, b], condition: {field: number, gte: 3}",
    "type: temporal, rules: [a, b]",
    "type: temporal_ordered, rules: [a, b, c]",
    "type: value_sum, rules: [a, b], condition: {field: number, gt: 9}",
    "type: value_avg, rules: [a], condition: {field: number, gte: 3.5}",
    "type: value_percentile, rules: [a, b], condition: {field: number, percentile: 75, lt: 2}",
    "type: value_percentile, rules: [a, b, c], condition: {field: number, lte: 20}",
    "type: temporal_ordered, rules: [many, b]",
];

/// Those that do not wait for late events.
const PROMPT: [usize; 3] = [0, 2, 3];

fn engine(body: &str) -> Arc<Engine> {
    let base = |name: &str| {
        format!(
            "title: {name}\nname: {name}\nlogsource: {{product: test}}\ndetection: {{s: {{kind: {name}}}, condition: s}}\n---\n"
        )
    };
    let many = "title: many\nname: many\ncorrelation: {type: event_count, rules: [a], group-by: [ip], timespan: 10s, condition: {gte: 2}}\n---\n";
    // The outer correlation stands before what it counts.
    let outer =
        format!("title: outer\nid: outer\ncorrelation: {{{body}, group-by: [ip], timespan: {SPAN}s}}\n---\n");
    let rules = [outer, many.to_owned(), base("a"), base("b"), base("c")].concat();
    let compilation = compiled(&[&rules], &Taxonomy::default());
    assert_eq!(compilation.failed, [], "{body}");
    Arc::new(compilation.engine)
}

/// Delivers the events in order of arrival; the state goes through a snapshot after every event of `cuts`.
fn run(engine: &Arc<Engine>, events: &[Seen], cuts: &[usize]) -> Vec<Finding> {
    let limits = Limits { lateness_nanos: LATENESS * 1_000_000_000, ..Limits::default() };
    let mut correlator = Correlator::with_limits(Arc::clone(engine), limits);
    let mut scratch = engine.scratch();
    let mut out = Vec::new();
    let mut order: Vec<&Seen> =
        events.iter().flat_map(|e| std::iter::repeat_n(e, 1 + usize::from(e.twice))).collect();
    order.sort_by_key(|seen| seen.second + seen.delay);
    for (number, seen) in order.into_iter().enumerate() {
        let record = record_of(
            "test",
            Format::Json,
            &json!({"kind": seen.kind, "ip": seen.ip, "number": seen.number}),
        );
        let mut event = event(seen.second, seen.uid);
        event.arrival = Timestamp::from_secs(1_000 + 86_400 + seen.second + seen.delay);
        let hits = engine.evaluate(&record, &mut scratch).to_vec();
        correlator.observe(&hits, &record, &event, None, &mut out);
        if cuts.contains(&number) {
            correlator = Correlator::restore(Arc::clone(engine), limits, &correlator.snapshot()).unwrap();
        }
    }
    correlator.finish(&mut out);
    assert_eq!(correlator.stats().late, 0);
    out
}

/// (second, group) of each finding raised.
fn reference(body: &str, events: &[Seen]) -> Vec<(i64, &'static str)> {
    let mut sorted: Vec<&Seen> = events.iter().collect();
    sorted.sort_by_key(|seen| (seen.second, seen.uid));
    let mut held: BTreeMap<&str, i64> = BTreeMap::new();
    let mut raised = Vec::new();
    for (index, seen) in sorted.iter().enumerate() {
        let is_fed = |kinds: &[&str], at: usize| kinds.contains(&sorted[at].kind);
        let in_window = |at: usize| sorted[at].ip == seen.ip && sorted[at].second >= seen.second - SPAN;
        let window = |kinds: &[&str]| -> Vec<&Seen> {
            (0..=index).filter(|at| in_window(*at) && is_fed(kinds, *at)).map(|at| sorted[at]).collect()
        };
        let numbers = |kinds: &[&str]| -> Vec<i64> { window(kinds).iter().map(|e| e.number).collect() };
        let distinct = |mut of: Vec<i64>| {
            of.sort_unstable();
            of.dedup();
            of.len()
        };
        // Whether `many` holds with an event: two of kind a within the span before it.
        let many = |at: usize| {
            sorted[at].kind == "a"
                && (0..at).any(|other| {
                    let (e, o) = (sorted[at], sorted[other]);
                    o.kind == "a" && o.ip == e.ip && o.second >= e.second - SPAN
                })
        };
        let chain = |steps: &[&dyn Fn(usize) -> bool]| {
            // Every way to choose an event for each step, in order of time.
            fn follow(
                steps: &[&dyn Fn(usize) -> bool],
                from: i64,
                used: &[usize],
                all: &[(usize, i64)],
            ) -> bool {
                let Some((step, rest)) = steps.split_first() else { return true };
                all.iter().any(|(at, second)| {
                    *second >= from && !used.contains(at) && step(*at) && {
                        let used: Vec<usize> = used.iter().copied().chain([*at]).collect();
                        follow(rest, *second, &used, all)
                    }
                })
            }
            let all: Vec<(usize, i64)> =
                (0..=index).filter(|at| in_window(*at)).map(|at| (at, sorted[at].second)).collect();
            follow(steps, i64::MIN, &[], &all)
        };
        let of = |kind: &'static str| {
            let sorted = &sorted;
            move |at: usize| sorted[at].kind == kind
        };
        let (kinds, holds): (&[&str], bool) = match TYPES.iter().position(|t| *t == body).unwrap() {
            0 => (&["a", "b"], window(&["a", "b"]).len() >= 3),
            1 => (&["a"], (2..=3).contains(&window(&["a"]).len())),
            2 => (&["a", "b"], distinct(numbers(&["a", "b"])) >= 3),
            3 => (&["a", "b"], !window(&["a"]).is_empty() && !window(&["b"]).is_empty()),
            4 => (&["a", "b", "c"], chain(&[&of("a"), &of("b"), &of("c")])),
            5 => (&["a", "b"], numbers(&["a", "b"]).iter().sum::<i64>() > 9),
            6 => {
                let of = numbers(&["a"]);
                (&["a"], 2 * of.iter().sum::<i64>() >= 7 * of.len() as i64)
            }
            7 => {
                let mut of = numbers(&["a", "b"]);
                of.sort_unstable();
                let rank = (of.len() * 3).div_ceil(4).max(1);
                (&["a", "b"], of.get(rank - 1).is_some_and(|value| *value < 2))
            }
            8 => {
                let of = numbers(&["a", "b", "c"]);
                let same = of.iter().filter(|other| **other == seen.number).count();
                (&["a", "b", "c"], same * 5 <= of.len())
            }
            _ => (&["a", "b"], chain(&[&many, &of("b")])),
        };
        // What the correlation is not fed decides nothing; an inner one feeds only what it holds with.
        let is_inner = body.contains("many") && seen.kind == "a" && !many(index);
        if !kinds.contains(&seen.kind) || is_inner || !holds {
            continue;
        }
        if held.get(seen.ip).is_none_or(|last| seen.second > last + SPAN) {
            raised.push((seen.second, seen.ip));
        }
        held.insert(seen.ip, seen.second);
    }
    raised.sort_unstable();
    raised
}

fn raised(findings: &[Finding]) -> Vec<(i64, String)> {
    let mut raised: Vec<(i64, String)> = findings
        .iter()
        .filter(|finding| !finding.correlation.as_ref().unwrap().is_extension && finding.rule.id == "outer")
        .map(|finding| (finding.last_seen.nanos() / 1_000_000_000 - 1_000, finding.group[0].1.clone()))
        .collect();
    raised.sort_unstable();
    raised
}

/// Findings without the fields that matched.
fn bare(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings
        .iter_mut()
        .flat_map(|finding| &mut finding.evidences)
        .for_each(|evidence| evidence.matches.clear());
    findings
}

fn streams() -> impl Strategy<Value = Vec<Seen>> {
    let one = (
        0_i64..40,
        prop::sample::select(&["a", "a", "b", "c"][..]),
        prop::sample::select(&["x", "x", "y"][..]),
        0_i64..6,
        0..LATENESS,
        prop::bool::weighted(0.1),
    );
    prop::collection::vec(one, 0..60).prop_map(|events| {
        let with_id = |(uid, (second, kind, ip, number, delay, twice))| Seen {
            second,
            uid,
            kind,
            ip,
            number,
            delay,
            twice,
        };
        (1_u128..).zip(events).map(with_id).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_correlator_agrees_with_the_reference(
        events in streams(),
        kind in 0..TYPES.len(),
        cuts in prop::collection::vec(0_usize..60, 0..3),
    ) {
        let engine = engine(TYPES[kind]);
        let outer = |mut findings: Vec<Finding>| {
            findings.retain(|finding| finding.rule.id == "outer");
            findings
        };
        let findings = outer(run(&engine, &events, &[]));
        let expected: Vec<(i64, String)> =
            reference(TYPES[kind], &events).into_iter().map(|(second, ip)| (second, ip.to_owned())).collect();
        let calm: Vec<Seen> = events.iter().map(|e| Seen { delay: 0, twice: false, ..e.clone() }).collect();
        let calm = outer(run(&engine, &calm, &[]));
        prop_assert_eq!(raised(&calm), expected, "{}", TYPES[kind]);
        // Over restarts it is all the same, to the last field.
        prop_assert_eq!(&outer(run(&engine, &events, &cuts)), &findings);
        if PROMPT.contains(&kind) {
            // Disorder may choose other events, never too few or too far apart.
            for finding in findings.iter().filter(|f| !f.correlation.as_ref().unwrap().is_extension) {
                let events = &finding.correlation.as_ref().unwrap().events;
                let seconds = events.iter().map(|event| event.time.nanos() / 1_000_000_000);
                prop_assert!(seconds.clone().max().unwrap() - seconds.min().unwrap() <= SPAN);
                let least = if kind == 3 { 2.0 } else { 3.0 };
                prop_assert!(finding.correlation.as_ref().unwrap().reached >= least);
            }
        } else {
            // In order of time and without repetitions too, but for which events' evidence was kept whole.
            prop_assert_eq!(bare(calm), bare(findings));
        }
    }
}

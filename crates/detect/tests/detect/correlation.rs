//! Correlations: thresholds, windows, groups, suppression, bounds and replay.

mod reference;

use std::sync::Arc;

use serde_json::json;
use wanglou_detect::{Correlator, Engine, Limits, SnapshotError, Taxonomy};
use wanglou_model::{
    Event, EventUid, FieldMap, Finding, Format, Place, Severity, SourceId, TenantId, Timestamp,
    UNKNOWN_PRODUCT,
};

use crate::support::{compiled, record_of};

const BASE: &str = "
title: Failed logon
name: failed
logsource: {product: test}
detection:
  s: {result: failure}
  condition: s
---
";

fn engine(correlation: &str) -> Arc<Engine> {
    let rule = format!("{BASE}title: Many\nid: many\nlevel: high\ncorrelation:\n{correlation}");
    let compilation = compiled(&[&rule], &Taxonomy::default());
    assert_eq!(compilation.loaded, 2, "{:?}", compilation.diagnostics);
    Arc::new(compilation.engine)
}

fn event_count(threshold: &str) -> Arc<Engine> {
    engine(&format!(
        "  type: event_count\n  rules: [failed]\n  group-by: [ip]\n  timespan: 10s\n  condition: {{{threshold}}}\n"
    ))
}

/// Feeds logons of (second, address, user) and gives the findings, each with the index of the event that raised it.
fn run(engine: &Arc<Engine>, logons: &[(i64, &str, &str)]) -> Vec<(usize, Finding)> {
    let mut correlator = Correlator::new(Arc::clone(engine));
    feed(&mut correlator, engine, logons)
}

fn feed(correlator: &mut Correlator, engine: &Engine, logons: &[(i64, &str, &str)]) -> Vec<(usize, Finding)> {
    let mut scratch = engine.scratch();
    let mut findings = Vec::new();
    for (index, (second, ip, user)) in logons.iter().enumerate() {
        let json = if ip.is_empty() {
            json!({"result": "failure", "user": user})
        } else {
            json!({"result": "failure", "user": user, "ip": ip})
        };
        let record = record_of("test", Format::Json, &json);
        let event = event(*second, index as u128);
        let place = Place { file: "log".to_owned(), record: index as u64 + 1 };
        let hits = engine.evaluate(&record, &mut scratch).to_vec();
        let mut out = Vec::new();
        correlator.observe(&hits, &record, &event, Some(&place), &mut out);
        let raised = out.into_iter().filter(|finding| !finding.correlation.as_ref().unwrap().is_extension);
        findings.extend(raised.map(|finding| (index, finding)));
    }
    findings
}

/// An event at a second after 1000, long before it arrives.
pub(crate) fn event(second: i64, uid: u128) -> Event {
    Event {
        uid: EventUid::from_u128(uid),
        class_uid: 0,
        activity_id: 0,
        severity: Severity::Low,
        time: Timestamp::from_secs(1_000 + second),
        arrival: Timestamp::from_secs(1_000_000),
        source: SourceId::new("test"),
        product: Arc::clone(&UNKNOWN_PRODUCT),
        tenant: TenantId::default(),
        attributes: FieldMap::new(),
        mapped: Vec::new(),
    }
}

fn raised_at(findings: &[(usize, Finding)]) -> Vec<usize> {
    findings.iter().map(|(index, _)| *index).collect()
}

#[test]
fn a_finding_is_raised_when_the_threshold_is_reached_within_the_time_span() {
    let engine = event_count("gte: 3");
    let findings = run(
        &engine,
        &[(0, "a", ""), (5, "b", ""), (5, "a", ""), (11, "a", ""), (12, "a", ""), (13, "A", "")],
    );
    assert_eq!(raised_at(&findings), [4]);
    let finding = &findings[0].1;
    assert_eq!((finding.rule.id.as_str(), finding.severity, finding.count), ("many", Severity::High, 3));
    assert_eq!(finding.group, [("ip".to_owned(), "a".to_owned())]);
    let records: Vec<u64> = finding.evidences.iter().map(|e| e.place.as_ref().unwrap().record).collect();
    assert_eq!(records, [3, 4, 5]);
    assert_eq!(finding.first_seen, Timestamp::from_secs(1_005));
    assert_eq!(finding.last_seen, Timestamp::from_secs(1_012));
    assert_eq!(finding.evidences[0].matches[0].pattern, "result: 'failure'");
    assert_eq!(raised_at(&run(&engine, &[(0, "a", ""), (5, "a", ""), (10, "a", "")])), [2]);
}

#[test]
fn one_attack_raises_one_finding_and_the_next_attack_another() {
    let engine = event_count("gte: 2");
    let logons: Vec<(i64, &str, &str)> =
        [0, 1, 2, 5, 14, 20].into_iter().chain([40, 41]).map(|second| (second, "a", "")).collect();
    assert_eq!(raised_at(&run(&engine, &logons)), [1, 7]);
}

#[test]
fn other_comparisons() {
    let logons: Vec<(i64, &str, &str)> = (0..6).map(|second| (second, "a", "")).collect();
    for (condition, raised) in [("gt: 3", 3), ("eq: 2", 1), ("gt: 1, lte: 5", 1), ("neq: 1", 1), ("lt: 5", 0)]
    {
        assert_eq!(raised_at(&run(&event_count(condition), &logons)), [raised], "{condition}");
    }
}

#[test]
fn different_values_are_counted_once_and_exactly() {
    let engine = engine(
        "  type: value_count\n  rules: [failed]\n  group-by: [ip]\n  timespan: 10s\n  condition: {field: user, gte: 3}\n",
    );
    assert_eq!(
        raised_at(&run(
            &engine,
            &[(0, "a", "u"), (1, "a", "v"), (2, "a", "U"), (3, "a", "v"), (4, "a", "w")]
        )),
        [4]
    );
    // `u` was last seen at 0 and is too old at 11; seen again at 5 it still counts.
    assert_eq!(raised_at(&run(&engine, &[(0, "a", "u"), (5, "a", "v"), (11, "a", "w")])), [0; 0]);
    assert_eq!(raised_at(&run(&engine, &[(0, "a", "u"), (5, "a", "u"), (6, "a", "v"), (11, "a", "w")])), [3]);
}

#[test]
fn small_disorder_is_counted_and_a_missing_group_is_not() {
    let engine = event_count("gte: 3");
    assert_eq!(raised_at(&run(&engine, &[(5, "a", ""), (3, "a", ""), (4, "a", "")])), [2]);
    assert_eq!(raised_at(&run(&engine, &[(50, "a", ""), (3, "a", ""), (51, "a", "")])), [0; 0]);
    assert_eq!(raised_at(&run(&engine, &[(0, "", ""), (1, "", ""), (2, "", ""), (3, "", "")])), [0; 0]);
}

#[test]
fn the_same_events_make_the_same_finding() {
    let engine = event_count("gte: 2");
    let logons = [(0, "a", ""), (1, "a", ""), (1, "b", ""), (2, "b", "")];
    let uids = || run(&engine, &logons).into_iter().map(|(_, finding)| finding.uid).collect::<Vec<_>>();
    assert_eq!(uids(), uids());
    assert_ne!(uids()[0], uids()[1]);
}

#[test]
fn memory_is_bounded_and_what_is_forgotten_is_counted() {
    let engine = event_count("gte: 3");
    let limits = Limits { groups: 10, evidences: 4, ..Limits::default() };
    let mut correlator = Correlator::with_limits(Arc::clone(&engine), limits);
    let names: Vec<String> = (0..50).map(|number| format!("host{number}")).collect();
    let logons: Vec<(i64, &str, &str)> = names.iter().map(|name| (0, name.as_str(), "")).collect();
    assert!(feed(&mut correlator, &engine, &logons).is_empty());
    assert_eq!((correlator.stats().groups, correlator.stats().evicted), (10, 40));
    // Evidence beyond the limit is kept in outline, and the finding still comes.
    let raised = feed(&mut correlator, &engine, &[(1, "host49", ""), (2, "host49", "")]);
    assert_eq!((raised_at(&raised), raised[0].1.evidences.len()), (vec![1], 3));
    // Bytes of all rules together are bounded too.
    let limits = Limits { bytes: 4_096, ..Limits::default() };
    let mut correlator = Correlator::with_limits(Arc::clone(&engine), limits);
    feed(&mut correlator, &engine, &logons);
    let stats = correlator.stats();
    assert!(stats.bytes < 4_096 + 512 && stats.groups + stats.evicted == 50, "{stats:?}");
}

#[test]
fn rules_that_are_only_counted_are_silent() {
    let silent = |generate: &str| {
        let engine = engine(&format!(
            "  type: event_count\n  rules: [failed]\n  timespan: 10s\n  condition: {{gte: 2}}\n{generate}"
        ));
        let (base, _) = engine.rules().next().unwrap();
        assert!(engine.has_correlations());
        engine.is_silent(base)
    };
    assert!(silent(""));
    assert!(!silent("  generate: true\n"));
    // Also when the correlation itself cannot be loaded.
    let temporal = "title: Later\ncorrelation: {type: tempural, rules: [failed], timespan: 1m}\n";
    let compilation = compiled(&[&format!("{BASE}{temporal}")], &Taxonomy::default());
    assert_eq!((compilation.loaded, compilation.failed.len()), (1, 1));
    let (base, _) = compilation.engine.rules().next().unwrap();
    assert!(compilation.engine.is_silent(base));
}

#[test]
fn aliases_join_fields_of_different_rules() {
    let rule = "
title: a
name: a
logsource: {product: test}
detection: {s: {kind: a}, condition: s}
---
title: b
name: b
logsource: {product: test}
detection: {s: {kind: b}, condition: s}
---
title: both
correlation:
  type: event_count
  rules: [a, b]
  group-by: [address]
  timespan: 1m
  condition: {gte: 2}
  aliases:
    address: {a: src, b: dst}
";
    let compilation = compiled(&[rule], &Taxonomy::default());
    assert_eq!(compilation.loaded, 3, "{:?}", compilation.diagnostics);
    let engine = Arc::new(compilation.engine);
    let mut correlator = Correlator::new(Arc::clone(&engine));
    let mut out = Vec::new();
    for (number, json) in
        [json!({"kind": "a", "src": "x", "dst": "y"}), json!({"kind": "b", "src": "y", "dst": "x"})]
            .iter()
            .enumerate()
    {
        let record = record_of("test", Format::Json, json);
        let hits = engine.evaluate(&record, &mut engine.scratch()).to_vec();
        let event = event(1, number as u128);
        correlator.observe(&hits, &record, &event, None, &mut out);
    }
    assert_eq!(out.len(), 1);
    assert_eq!(out[0].group, [("address".to_owned(), "x".to_owned())]);
}

#[test]
fn an_attack_that_goes_on_extends_its_finding() {
    let engine = event_count("gte: 3");
    let mut correlator = Correlator::new(Arc::clone(&engine));
    let mut scratch = engine.scratch();
    let mut out = Vec::new();
    for second in 0..100 {
        let record = record_of("test", Format::Json, &json!({"result": "failure", "ip": "a"}));
        let event = event(second, u128::from(second.cast_unsigned()));
        let hits = engine.evaluate(&record, &mut scratch).to_vec();
        correlator.observe(&hits, &record, &event, None, &mut out);
    }
    let told: Vec<(u64, i64)> = out
        .iter()
        .map(|finding| (finding.count, finding.last_seen.nanos() / 1_000_000_000 - 1_000))
        .collect();
    // The events double, or a minute has passed; what came since the last is not told.
    assert_eq!(told, [(3, 2), (3, 5), (6, 11), (12, 23), (24, 47), (48, 95)]);
    assert!(out.iter().all(|finding| finding.uid == out[0].uid));
    assert!(out[1..].iter().all(|finding| finding.correlation.as_ref().unwrap().is_extension));
}

#[test]
fn a_finding_names_what_it_counted() {
    let engine = engine(
        "  type: value_count\n  rules: [failed]\n  group-by: [ip]\n  timespan: 10s\n  condition: {field: user, gte: 2, lt: 9}\n",
    );
    let findings = run(&engine, &[(0, "a", "u"), (1, "a", "v")]);
    let correlation = findings[0].1.correlation.as_ref().unwrap();
    assert_eq!(correlation.kind, "value_count");
    assert_eq!(correlation.condition, "field: user, gte: 2, lt: 9");
    assert_eq!((correlation.timespan_secs, correlation.reached, correlation.error), (10, 2.0, None));
    let named: Vec<(&str, u64)> = correlation
        .events
        .iter()
        .map(|event| (event.rule.1.as_str(), event.place.as_ref().unwrap().record))
        .collect();
    assert_eq!(named, [("Failed logon", 1), ("Failed logon", 2)]);
    let json = findings[0].1.to_json();
    assert_eq!(json["unmapped"]["correlation"]["reached"], 2.0);
}

#[test]
fn values_beyond_the_threshold_are_estimated_within_the_error_that_is_stated() {
    let engine = engine(
        "  type: value_count\n  rules: [failed]\n  timespan: 1d\n  condition: {field: user, gte: 20000}\n",
    );
    let names: Vec<String> = (0..30_000).map(|number| format!("user{number}")).collect();
    let logons: Vec<(i64, &str, &str)> = names.iter().map(|name| (0, "a", name.as_str())).collect();
    let findings = run(&engine, &logons);
    let (at, finding) = &findings[0];
    let correlation = finding.correlation.as_ref().unwrap();
    let error = correlation.error.unwrap();
    assert!((0.01..0.017).contains(&error), "{error}");
    let true_count = (*at + 1) as f64;
    assert!(
        (correlation.reached - true_count).abs() < 4.0 * error * true_count,
        "{} {at}",
        correlation.reached
    );
}

#[test]
fn what_changed_is_dropped_and_the_rest_goes_on() {
    let rules = |second: &str| {
        let one = "title: One\nid: one\ncorrelation: {type: event_count, rules: [failed], group-by: [ip], timespan: 10s, condition: {gte: 2}}\n";
        let two = format!(
            "title: Two\nid: two\ncorrelation: {{type: event_count, rules: [failed], group-by: [ip], timespan: 10s, condition: {{{second}}}}}\n"
        );
        let compilation = compiled(&[&format!("{BASE}{one}---\n{two}")], &Taxonomy::default());
        assert_eq!(compilation.loaded, 3);
        Arc::new(compilation.engine)
    };
    let (before, after) = (rules("gte: 3"), rules("gte: 2"));
    let mut correlator = Correlator::new(Arc::clone(&before));
    assert!(feed(&mut correlator, &before, &[(0, "a", "")]).is_empty());
    let mut correlator = correlator.adopt(Arc::clone(&after));
    let raised = feed(&mut correlator, &after, &[(1, "a", "")]);
    let ids: Vec<&str> = raised.iter().map(|(_, finding)| finding.rule.id.as_str()).collect();
    // The event fed first had the same id as this one: rule one knows it again only by its time.
    assert_eq!(ids, ["one"]);
}

/// With half a minute allowed for late events: what more events of any order reach is told with the event that
/// completes it; what depends on order waits, and no longer than it must.
#[test]
fn only_what_depends_on_order_waits() {
    let rules = |second: &str| {
        let rule = format!(
            "{BASE}title: Many\nid: many\ncorrelation: {{rules: [failed], timespan: 10s, {second}}}\n"
        );
        Arc::new(compiled(&[&rule], &Taxonomy::default()).engine)
    };
    let limits = Limits { lateness_nanos: 30_000_000_000, ..Limits::default() };
    let feed_at = |correlator: &mut Correlator, engine: &Engine, arrivals: &[i64]| {
        let mut out = Vec::new();
        for second in arrivals {
            let record = record_of("test", Format::Json, &json!({"result": "failure", "n": second}));
            let mut event = event(*second, u128::from(second.cast_unsigned()));
            event.arrival = event.time;
            let hits = engine.evaluate(&record, &mut engine.scratch()).to_vec();
            correlator.observe(&hits, &record, &event, None, &mut out);
        }
        out
    };
    for (terms, is_prompt) in [
        ("type: event_count, condition: {gte: 3}", true),
        ("type: value_count, condition: {field: n, gt: 2}", true),
        ("type: event_count, condition: {gte: 3, lt: 4}", false),
        ("type: value_sum, condition: {field: n, gte: 3}", false),
    ] {
        let engine = rules(terms);
        let mut correlator = Correlator::with_limits(Arc::clone(&engine), limits);
        let mut out = feed_at(&mut correlator, &engine, &[0, 1, 2]);
        assert_eq!((out.len() == 1, correlator.due().is_none()), (is_prompt, is_prompt), "{terms}");
        if is_prompt {
            continue;
        }
        assert_eq!(correlator.due(), Some(Timestamp::from_secs(1_030)));
        correlator.advance(Timestamp::from_secs(1_031), &mut out);
        assert!(out.len() <= 1 && correlator.due() == Some(Timestamp::from_secs(1_032)), "{terms}");
        correlator.advance(Timestamp::from_secs(1_032), &mut out);
        assert_eq!((out.len(), correlator.due()), (1, None), "{terms}");
    }
}

/// A value that comes again and again is proved by its first sighting, as long as that is within the window.
#[test]
fn the_evidence_of_a_value_is_made_once_a_window() {
    let engine = engine(
        "  type: value_count\n  rules: [failed]\n  timespan: 10s\n  condition: {field: user, gte: 2}\n",
    );
    let findings = run(&engine, &[(0, "a", "u"), (5, "a", "u"), (6, "a", "u"), (7, "a", "v")]);
    let records = |finding: &Finding| -> Vec<u64> {
        finding.evidences.iter().map(|evidence| evidence.place.as_ref().unwrap().record).collect()
    };
    assert_eq!(records(&findings[0].1), [1, 4]);
    assert_eq!(findings[0].1.evidences[0].matches[0].pattern, "result: 'failure'");
    // The newest sighting is what the window counts.
    let named = &findings[0].1.correlation.as_ref().unwrap().events;
    assert_eq!(named[0].place.as_ref().unwrap().record, 3);
    let findings = run(&engine, &[(0, "a", "u"), (5, "a", "u"), (12, "a", "u"), (14, "a", "v")]);
    assert_eq!(records(&findings[0].1), [3, 4]);
}

#[test]
fn damaged_snapshots_are_refused() {
    let engine = event_count("gte: 2");
    let correlator = Correlator::new(Arc::clone(&engine));
    let bytes = correlator.snapshot();
    let read = |bytes: &[u8]| Correlator::restore(Arc::clone(&engine), Limits::default(), bytes).map(|_| ());
    assert_eq!(read(&bytes), Ok(()));
    assert_eq!(read(b""), Err(SnapshotError::Foreign));
    assert_eq!(read(&bytes[..bytes.len() - 1]), Err(SnapshotError::Damaged));
    let mut newer = bytes.clone();
    newer[8] = 9;
    assert_eq!(read(&newer), Err(SnapshotError::Version(9)));
    for at in 12..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        assert_eq!(read(&flipped), Err(SnapshotError::Damaged));
    }
}

/// Every correlation of the specification's own tests is read; what its schema refuses is refused.
#[test]
fn the_specifications_correlations_are_accepted() {
    let Some(corpus) = wanglou_testkit::corpus("sigma-spec") else { return };
    let mut files: Vec<_> = std::fs::read_dir(corpus.join("tests/schema/correlation"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    files.sort();
    assert_eq!(files.len(), 8);
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        // The rules that it names.
        let listed = text.split("rules:").nth(1).unwrap().lines().skip(1);
        let names = listed.map_while(|line| line.trim().strip_prefix("- ")).map(str::to_owned);
        let bases: Vec<String> = names
            .map(|name| {
                format!("title: b\nname: {name}\nlogsource: {{product: test}}\ndetection: {{s: {{a: 1}}, condition: s}}\n---\n")
            })
            .collect();
        let whole = format!("{}{text}", bases.concat());
        let compilation = compiled(&[&whole], &Taxonomy::default());
        assert_eq!(compilation.failed, [], "{}", file.display());
        assert_eq!(compilation.loaded, bases.len() + 1, "{}", file.display());
        // Without any of what its type requires, it is refused.
        for required in ["    type:", "    timespan:", "    condition:", "        field:"] {
            let mut skipped = 0;
            let cut: String = whole
                .split_inclusive('\n')
                .filter(|line| {
                    let drop = line.starts_with(required);
                    skipped += usize::from(drop);
                    !drop
                })
                .collect();
            if skipped > 0 {
                let failed = compiled(&[&cut], &Taxonomy::default()).failed;
                assert_eq!(failed.len(), 1, "{} without {required}", file.display());
            }
        }
    }
}

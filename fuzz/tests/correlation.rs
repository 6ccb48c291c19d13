//! Targets for what outlives a restart and for what people write to hide findings: the saved windows of correlation
//! rules, and suppressions. `BLESS=1` writes the seeds of the first anew, after its format changed.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use wanglou_detect::{Correlator, Engine, Limits, RuleFile, Taxonomy, compile, seal, suppress};
use wanglou_fuzz::{mutate, seeds, test_time};
use wanglou_model::{
    Event, EventUid, FieldMap, Format, PathId, Product, Record, Severity, SourceId, TenantId, Timestamp,
    UNKNOWN_PRODUCT,
};

const TYPES: [(&str, &str); 7] = [
    ("event_count", "condition: {gte: 4}"),
    ("value_count", "condition: {field: n, gte: 30}"),
    ("temporal", "condition: {gte: 2}"),
    ("temporal_ordered", "condition: {gte: 3}"),
    ("value_sum", "condition: {field: n, gte: 1000}"),
    ("value_avg", "condition: {field: n, lt: 3}"),
    ("value_percentile", "condition: {field: n, percentile: 90, gt: 50}"),
];
const LIMITS: Limits =
    Limits { groups: 100, bytes: 1 << 20, evidences: 50, lateness_nanos: 5_000_000_000, waiting: 50 };

static ENGINE: LazyLock<Arc<Engine>> = LazyLock::new(|| {
    let base = |name: &str| {
        format!(
            "title: {name}\nname: {name}\nlogsource: {{product: test}}\ndetection: {{s: {{kind: {name}}}, condition: s}}\n---\n"
        )
    };
    let correlation = |(kind, condition): &(&str, &str)| {
        format!(
            "title: {kind}\nid: {kind}\ncorrelation: {{type: {kind}, rules: [a, b, c], group-by: [g], timespan: 20s, {condition}}}\n---\n"
        )
    };
    let text = [base("a"), base("b"), base("c"), TYPES.iter().map(correlation).collect()].concat();
    let compilation = compile(&[RuleFile { path: "fuzz.yml".into(), text }], &Taxonomy::default());
    assert_eq!(compilation.failed.len(), 0, "{:?}", compilation.diagnostics);
    Arc::new(compilation.engine)
});

/// Counts so many events, from event `from` on.
fn feed(correlator: &mut Correlator, from: u64, count: u64) {
    let path = |name| PathId::child(None, name).expect("room");
    let product = Arc::new(Product { id: "test".into(), vendor: "Test".into(), name: "Test".into() });
    let mut scratch = ENGINE.scratch();
    let mut found = Vec::new();
    for number in from..from + count {
        let mut record = Record::new(Format::Json, Bytes::from_static(b"{}"));
        record.product = Arc::clone(&product);
        record.fields.push(path("kind"), ["a", "b", "c"][(number % 3) as usize]);
        record.fields.push(path("g"), if number.is_multiple_of(5) { "x" } else { "y" });
        record.fields.push(path("n"), (number * 7 % 60).to_string().as_str());
        let time = Timestamp::from_secs(1_000).plus_nanos(number.cast_signed() * 400_000_000);
        let event = Event {
            uid: EventUid::from_u128(u128::from(number.wrapping_mul(0x9E37_79B9_7F4A_7C15))),
            class_uid: 0,
            activity_id: 0,
            severity: Severity::Low,
            time,
            arrival: time,
            source: SourceId::new("fuzz"),
            product: Arc::clone(&UNKNOWN_PRODUCT),
            tenant: TenantId::default(),
            attributes: FieldMap::new(),
            mapped: Vec::new(),
        };
        let hits = ENGINE.evaluate(&record, &mut scratch);
        correlator.observe(hits, &record, &event, None, &mut found);
    }
    for finding in found {
        assert!(finding.to_json().is_object());
    }
}

fn restored(bytes: &[u8]) -> Option<Correlator> {
    Correlator::restore(Arc::clone(&ENGINE), LIMITS, bytes).ok()
}

/// The bytes behind the head, which every damage would break: format, version and hash are tested elsewhere.
fn body(snapshot: &[u8]) -> &[u8] {
    &snapshot[seal(&[]).len()..]
}

fn bless() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds/windows");
    std::fs::create_dir_all(&folder).expect("a folder");
    for (name, events) in [("empty", 0), ("few", 5), ("many", 200)] {
        let mut correlator = Correlator::with_limits(Arc::clone(&ENGINE), LIMITS);
        feed(&mut correlator, 0, events);
        std::fs::write(folder.join(name), body(&correlator.snapshot())).expect("a seed");
    }
}

#[test]
fn windows() {
    if std::env::var_os("BLESS").is_some() {
        bless();
    }
    let seeds = seeds("windows");
    let groups: Vec<u64> = seeds
        .iter()
        .map(|seed| restored(&seal(seed)).expect("a seed of this format").stats().groups)
        .collect();
    assert!(groups.iter().any(|groups| *groups >= TYPES.len() as u64), "BLESS=1 makes seeds of these rules");
    let check = |input: &[u8]| {
        let Some(mut correlator) = restored(&seal(input)) else { return };
        // What was read can be written and is then the same; counting goes on.
        let again = restored(&correlator.snapshot()).expect("our own snapshot");
        let (ours, theirs) = (correlator.stats(), again.stats());
        assert_eq!(
            (ours.groups, ours.waiting, ours.evicted),
            (theirs.groups, theirs.waiting, theirs.evicted)
        );
        feed(&mut correlator, 200, 60);
        correlator.finish(&mut Vec::new());
        assert!(correlator.stats().groups <= LIMITS.groups as u64 * TYPES.len() as u64);
    };
    seeds.iter().for_each(|seed| check(seed));
    bolero::check!().with_test_time(test_time()).for_each(|plan: &[u8]| check(&mutate(&seeds, plan)));
}

#[test]
fn suppressions() {
    let seeds = seeds("suppressions");
    let check = |input: &[u8]| {
        let text = String::from_utf8_lossy(input);
        match suppress::read(&text) {
            Err(reason) => assert!(!reason.is_empty()),
            Ok(suppressors) => {
                for suppressor in suppressors {
                    let suppression = suppressor.suppression();
                    assert!(suppression.rule.is_some() || !suppression.when.is_empty(), "{suppression:?}");
                    // What the database keeps of it is the same again.
                    let json = serde_json::to_string(suppression).expect("plain data");
                    let kept = serde_json::from_str(&json).expect("our own JSON");
                    let again = suppress::Suppressor::new(kept).expect("it was taken before");
                    assert_eq!(again.suppression(), suppression);
                }
            }
        }
    };
    assert!(seeds.iter().all(|seed| suppress::read(&String::from_utf8_lossy(seed)).is_ok()));
    seeds.iter().for_each(|seed| check(seed));
    bolero::check!().with_test_time(test_time()).for_each(|plan: &[u8]| check(&mutate(&seeds, plan)));
}

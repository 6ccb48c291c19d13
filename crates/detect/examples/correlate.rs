//! What correlation costs: memory for a million live groups, and events in a CPU-second of value_count as the number of
//! different values grows.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a tool for developers"
)]

use std::sync::Arc;
use std::time::Duration;

use wanglou_detect::{Correlator, Engine, Limits, RuleFile, Taxonomy, compile};
use wanglou_model::{
    Event, EventUid, FieldMap, Format, PathId, Product, Record, Severity, SourceId, TenantId, Timestamp,
    UNKNOWN_PRODUCT,
};

const EVENTS: u64 = 1_000_000;

fn main() {
    let limits = Limits { groups: 2_000_000, ..Limits::default() };
    let engine = compiled("type: event_count, group-by: [ip], timespan: 1d, condition: {gte: 10}");
    let before = resident();
    let mut correlator = Correlator::with_limits(Arc::clone(&engine), limits);
    let rate = run(&engine, &mut correlator, EVENTS);
    let (stats, bytes) = (correlator.stats(), resident() - before);
    println!(
        "{} groups: {} MB resident, {} MB estimated, {} evicted, {rate:.0} events in a CPU-second",
        stats.groups,
        bytes >> 20,
        stats.bytes >> 20,
        stats.evicted
    );
    let started = cpu_time();
    println!("snapshot: {} MB in {:?}", correlator.snapshot().len() >> 20, cpu_time() - started);
    drop(correlator);
    for threshold in [100, 1_000_000] {
        let rule = format!("type: value_count, timespan: 1d, condition: {{field: ip, gte: {threshold}}}");
        let engine = compiled(&rule);
        for distinct in [10, 1_000, 100_000, 1_000_000] {
            let mut correlator = Correlator::with_limits(Arc::clone(&engine), limits);
            let rate = run(&engine, &mut correlator, distinct);
            println!(
                "value_count gte {threshold}, {distinct} values: {rate:.0} events in a CPU-second, {} KB",
                correlator.stats().bytes >> 10
            );
        }
    }
}

fn compiled(correlation: &str) -> Arc<Engine> {
    let text = format!(
        "title: base\nname: base\nlogsource: {{product: test}}\ndetection: {{s: {{kind: a}}, condition: s}}\n---\ntitle: c\ncorrelation: {{rules: [base], {correlation}}}\n"
    );
    let compilation = compile(&[RuleFile { path: "c.yml".into(), text }], &Taxonomy::default());
    assert_eq!(compilation.loaded, 2, "{:?}", compilation.diagnostics);
    Arc::new(compilation.engine)
}

/// Events in a CPU-second, evaluation of the rule not counted.
fn run(engine: &Engine, correlator: &mut Correlator, distinct: u64) -> f64 {
    let product = Arc::new(Product { id: "test".into(), vendor: "Test".into(), name: "test".into() });
    let hits = engine.rules().take(1).map(|(index, _)| index).collect::<Vec<_>>();
    let path = |name| PathId::child(None, name).unwrap();
    let (kind, ip) = (path("kind"), path("ip"));
    let mut out = Vec::new();
    let mut event = Event {
        uid: EventUid::from_u128(0),
        class_uid: 0,
        activity_id: 0,
        severity: Severity::Low,
        time: Timestamp::from_secs(1_000),
        arrival: Timestamp::from_secs(1_000_000),
        source: SourceId::new("test"),
        product: Arc::clone(&UNKNOWN_PRODUCT),
        tenant: TenantId::default(),
        attributes: FieldMap::new(),
        mapped: Vec::new(),
    };
    let started = cpu_time();
    for number in 0..EVENTS {
        let mut record = Record::new(Format::Json, bytes::Bytes::new());
        record.product = Arc::clone(&product);
        record.fields.push(kind, "a");
        let value = format!("10.{}", number % distinct);
        record.fields.push(ip, value.as_str());
        event.uid = EventUid::from_u128(u128::from(number.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
        event.time = Timestamp::from_nanos(1_000_000_000_000 + (number * 1_000_000).cast_signed());
        correlator.observe(&hits, &record, &event, None, &mut out);
    }
    EVENTS as f64 / (cpu_time() - started).as_secs_f64()
}

fn cpu_time() -> Duration {
    let schedstat = std::fs::read_to_string("/proc/self/schedstat").unwrap();
    Duration::from_nanos(schedstat.split(' ').next().unwrap().parse().unwrap())
}

fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

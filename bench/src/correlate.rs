//! What correlation costs beside rsigma's: events a CPU-second by type, as different values and groups grow, and the
//! memory of a million groups.
//!
//! Both sides get events that are parsed already, evaluate one rule that matches all of them and count the match. Events
//! are made outside the time that is taken. Time goes on by a millisecond an event.

use std::sync::Arc;

use anyhow::{Result, anyhow, ensure};
use bytes::Bytes;
use rsigma_eval::{CorrelationConfig, CorrelationEngine, JsonEvent};
use serde_json::{Value as Json, json};
use wanglou_detect::{Correlator, Engine, Limits, RuleFile, compile};
use wanglou_ingest::{EventContext, ReadLimits, normalize};
use wanglou_model::{Event, EventUid, Format, Record, SourceId, TenantId, Timestamp};

use crate::measure::{memory, seconds};
use crate::{data, rows};

const MILLION: u64 = 1_000_000;
/// Events of a row, where it has not more values or groups.
const EVENTS: u64 = 200_000;
/// Events are made in chunks of so many.
const CHUNK: u64 = 100;
/// The peer is given so many seconds for each row, or all events.
const PEER_SECONDS: f64 = 3.0;
/// Memory that a million groups may take, in MiB.
const GROUPS_MIB: f64 = 300.0;

/// What the events of a row are.
#[derive(Clone, Copy)]
struct Stream {
    /// Different accounts.
    values: u64,
    /// Different addresses.
    groups: u64,
}

impl Stream {
    fn events(self) -> u64 {
        EVENTS.max(self.values).max(self.groups)
    }
}

pub fn print_all() -> Result<()> {
    for threshold in [100, 1_000_000] {
        for values in [10, 1_000, 100_000, 1_000_000] {
            let terms = format!(
                "type: value_count, timespan: 1d, condition: {{field: TargetUserName, gte: {threshold}}}"
            );
            let name = format!("value_count gte {threshold}, {values} values");
            compared(&name, &terms, Stream { values, groups: 1 })?;
        }
    }
    for groups in [1, 100, 10_000, 1_000_000] {
        let terms = "type: event_count, group-by: [IpAddress], timespan: 1d, condition: {gte: 1000000}";
        // A threshold that is never reached: every event is counted, none is told.
        compared(&format!("event_count, {groups} groups"), terms, Stream { values: 10, groups })?;
    }
    let few = Stream { values: 10, groups: 1_000 };
    for (name, terms) in [
        ("event_count", "type: event_count, group-by: [IpAddress], timespan: 10s, condition: {gte: 100}"),
        ("temporal", "type: temporal, group-by: [IpAddress], timespan: 10s"),
        ("temporal_ordered", "type: temporal_ordered, group-by: [IpAddress], timespan: 10s"),
        (
            "value_sum",
            "type: value_sum, group-by: [IpAddress], timespan: 10s, condition: {field: IpPort, gte: 100000000}",
        ),
        (
            "value_avg",
            "type: value_avg, group-by: [IpAddress], timespan: 10s, condition: {field: IpPort, gte: 100000}",
        ),
        (
            "value_percentile",
            "type: value_percentile, group-by: [IpAddress], timespan: 10s, condition: {field: IpPort, percentile: 95, gte: 100000}",
        ),
    ] {
        compared(&format!("{name}, 1,000 groups"), terms, few)?;
    }
    Ok(())
}

fn compared(name: &str, terms: &str, stream: Stream) -> Result<()> {
    let engine = ours(terms)?;
    let mut correlator = Correlator::new(Arc::clone(&engine));
    let rate = run(&engine, &mut correlator, stream, stream.events())?;
    rows::row(name, rate, "events/CPU-second (rsigma-eval 0.23 as baseline)", run_peer(terms, stream)?);
    Ok(())
}

/// In a process of its own, so that nothing else has used its memory.
pub fn print_groups() -> Result<()> {
    let engine = ours("type: event_count, group-by: [IpAddress], timespan: 1d, condition: {gte: 10}")?;
    let before = memory("VmRSS");
    let mut correlator = Correlator::new(Arc::clone(&engine));
    run(&engine, &mut correlator, Stream { values: 10, groups: MILLION }, MILLION)?;
    let after = memory("VmRSS");
    let stats = correlator.stats();
    #[expect(clippy::cast_precision_loss, reason = "a count of millions")]
    rows::row(
        "groups remembered of a million",
        stats.groups as f64,
        "groups (all as baseline)",
        MILLION as f64,
    );
    rows::row("their memory, resident", after - before, "MiB (limit as baseline)", GROUPS_MIB);
    let mut bytes = Vec::new();
    let spent = seconds(|| bytes = correlator.snapshot());
    rows::row("their snapshot, written", spent, "CPU-seconds (a second as baseline)", 1.0);
    let mib = f64::from(u32::try_from(bytes.len() >> 10)?) / 1024.0;
    rows::row("their snapshot, size", mib, "MiB (limit as baseline)", GROUPS_MIB);
    let mut restored = None;
    let spent =
        seconds(|| restored = Correlator::restore(Arc::clone(&engine), Limits::default(), &bytes).ok());
    let again = restored.map(|restored| restored.stats().groups);
    ensure!(again == Some(stats.groups), "the snapshot is not what was written: {again:?}");
    rows::row("their snapshot, read", spent, "CPU-seconds (a second as baseline)", 1.0);
    Ok(())
}

fn rule(terms: &str) -> String {
    format!(
        "title: Failed logon\nname: failed\nid: 11111111-1111-4111-8111-111111111111\nlogsource: {{product: windows, service: security}}\ndetection: {{s: {{EventID: 4625}}, condition: s}}\n---\n\
         title: Never\nname: never\nid: 11111111-1111-4111-8111-111111111112\nlogsource: {{product: windows, service: security}}\ndetection: {{s: {{EventID: 4626}}, condition: s}}\n---\n\
         title: Many\nid: 11111111-1111-4111-8111-111111111113\ncorrelation: {{rules: [failed{}], {terms}}}\n",
        if terms.contains("temporal") { ", never" } else { "" }
    )
}

fn ours(terms: &str) -> Result<Arc<Engine>> {
    let file = RuleFile { path: "bench.yml".into(), text: rule(terms) };
    let compilation = compile(&[file], &rows::taxonomy()?);
    ensure!(compilation.loaded == 3, "{:?}", compilation.diagnostics);
    Ok(Arc::new(compilation.engine))
}

/// Event number so many.
fn event(number: u64, stream: Stream) -> Json {
    json!({
        "EventID": 4625, "Channel": "Security", "Provider_Name": "Microsoft-Windows-Security-Auditing",
        "Computer": "dc01.city.example", "SubjectUserSid": "S-1-0-0", "SubjectUserName": "-",
        "TargetUserName": format!("user{}", number.wrapping_mul(7_919) % stream.values),
        "TargetDomainName": "CITY", "Status": "0xc000006d", "SubStatus": "0xc000006a", "LogonType": 3,
        "LogonProcessName": "NtLmSsp", "AuthenticationPackageName": "NTLM", "WorkstationName": "WS-0042",
        "IpAddress": format!("10.{}", number % stream.groups), "IpPort": 1_024 + number % 60_000,
        "ProcessName": "-", "EventRecordID": number,
    })
}

fn second(number: u64) -> i64 {
    1_790_000_000 + (number / 1_000).cast_signed()
}

fn run(engine: &Engine, correlator: &mut Correlator, stream: Stream, events: u64) -> Result<f64> {
    let catalog = data::catalog()?;
    let mut scratch = engine.scratch();
    let (mut spent, mut out) = (0.0, Vec::new());
    for chunk in (0..events).step_by(usize::try_from(CHUNK)?) {
        let made: Vec<(Record, Event)> = (chunk..chunk + CHUNK)
            .map(|number| {
                let line = event(number, stream).to_string();
                let mut record = Record::new(Format::Json, Bytes::copy_from_slice(line.as_bytes()));
                rows::decode(&catalog, &ReadLimits::default(), &line, &mut record);
                let mut event = normalize(&record, context(number));
                event.time = event.arrival;
                (record, event)
            })
            .collect();
        spent += seconds(|| {
            for (record, event) in &made {
                let hits = engine.evaluate(record, &mut scratch);
                correlator.observe(hits, record, event, None, &mut out);
                out.clear();
            }
        });
    }
    ensure!(correlator.stats().groups > 0, "nothing was counted");
    #[expect(clippy::cast_precision_loss, reason = "a count of millions")]
    Ok(events as f64 / spent)
}

fn context(number: u64) -> EventContext {
    let source = SourceId::new("bench");
    EventContext {
        uid: EventUid::at(&source, &number.to_le_bytes()),
        source,
        arrival: Timestamp::from_nanos(
            second(number) * 1_000_000_000 + (number % 1_000).cast_signed() * 1_000_000,
        ),
        tenant: TenantId::default(),
        zone: jiff::tz::TimeZone::UTC,
    }
}

/// The peer as it is set by default, but for what would make it forget groups that we remember, told of each event
/// that stays in a window, and silent about matches that are only counted.
fn run_peer(terms: &str, stream: Stream) -> Result<f64> {
    let parsed = rsigma_parser::parse_sigma_yaml(&rule(terms)).map_err(|error| anyhow!("{error}"))?;
    let mut engine = CorrelationEngine::new(CorrelationConfig {
        max_state_entries: 2_000_000,
        emit_detections: false,
        // As our episodes: one finding until a window has passed.
        suppress: Some(10),
        ..CorrelationConfig::default()
    });
    engine.add_collection(&parsed).map_err(|error| anyhow!("{error}"))?;
    ensure!(engine.correlation_rule_count() == 1, "rsigma did not take the correlation");
    let (mut spent, mut events) = (0.0, 0_u64);
    while events < stream.events() && spent < PEER_SECONDS {
        let made: Vec<Json> = (events..events + CHUNK).map(|number| event(number, stream)).collect();
        spent += seconds(|| {
            for (number, json) in (events..).zip(&made) {
                std::hint::black_box(engine.process_event_at(&JsonEvent::borrow(json), second(number)).len());
            }
        });
        events += CHUNK;
    }
    ensure!(engine.state_count() > 0, "rsigma counted nothing");
    #[expect(clippy::cast_precision_loss, reason = "a count of millions")]
    Ok(events as f64 / spent)
}

//! The search language finds what a comparison of every value finds, in regular and irregular events, in memory and in
//! files.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use wanglou_model::search::{Bound, Condition, Expression, Test, parse};
use wanglou_model::{Severity, Value, canonical_ip};

use super::*;
use crate::columns::{self, Kind};
use crate::hit::tests::any_stored;

fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok()
}

fn key(text: &str) -> Option<u128> {
    match canonical_ip(text)?.parse().ok()? {
        std::net::IpAddr::V4(address) => Some(u128::from(address.to_ipv6_mapped())),
        std::net::IpAddr::V6(address) => Some(u128::from(address)),
    }
}

fn in_network(text: &str, network: &str) -> Option<bool> {
    let (base, length) = network.split_once('/')?;
    let (base, length): (std::net::IpAddr, u32) = (base.parse().ok()?, length.parse().ok()?);
    let shift = if base.is_ipv4() { 32 - length } else { 128 - length };
    let same = |a: u128, b: u128| a.checked_shr(shift).unwrap_or(0) == b.checked_shr(shift).unwrap_or(0);
    let is_v4 = |text: &str| canonical_ip(text).is_some_and(|text| text.contains('.'));
    Some(key(text).is_some_and(|address| {
        same(address, key(&base.to_string()).unwrap()) && (!base.is_ipv4() || is_v4(text))
    }))
}

/// One value against a test, by the words of the language.
fn passes(test: &Test, path: &str, value: Value<'_>) -> bool {
    let kind = columns::promoted_at(path).map(|attribute| attribute.kind);
    if value == Value::Null {
        return false;
    }
    let text = value.to_text();
    match test {
        Test::Exists => true,
        Test::Is(pattern) => match (pattern.as_literal(), kind) {
            (Some(literal), Some(Kind::Int)) => value.as_i64() == literal.trim().parse().ok(),
            (Some(literal), Some(Kind::Text)) => literal.eq_ignore_ascii_case(&text),
            (Some(literal), kind) => in_network(&text, literal).unwrap_or_else(|| {
                let equal_addresses = matches!(kind, Some(Kind::Address { .. })) && key(literal).is_some();
                if equal_addresses { key(literal) == key(&text) } else { literal.eq_ignore_ascii_case(&text) }
            }),
            (None, Some(Kind::Int)) => {
                value.as_i64().is_some_and(|number| pattern.matches(&number.to_string()))
            }
            (None, _) => pattern.matches(&text),
        },
        Test::Between(low, high) if matches!(kind, Some(Kind::Address { .. })) => {
            key(&text).is_some_and(|key_| {
                let end = |bound: &Bound| match bound {
                    Bound::Open => None,
                    Bound::Including(text) | Bound::Excluding(text) => key(text),
                };
                end(low).is_none_or(|low| key_ >= low) && end(high).is_none_or(|high| key_ <= high)
            })
        }
        Test::Between(..) if matches!(kind, Some(Kind::Int)) && value.as_i64().is_none() => false,
        Test::Between(low, high) => number(&text).is_some_and(|value| {
            let over = match low {
                Bound::Open => true,
                Bound::Including(text) => value >= number(text).unwrap(),
                Bound::Excluding(text) => value > number(text).unwrap(),
            };
            let under = match high {
                Bound::Open => true,
                Bound::Including(text) => value <= number(text).unwrap(),
                Bound::Excluding(text) => value < number(text).unwrap(),
            };
            over && under
        }),
    }
}

fn condition_holds(condition: &Condition, stored: &StoredEvent) -> bool {
    condition.field.paths().iter().any(|path| match (path.as_str(), &condition.test) {
        ("severity", Test::Is(pattern)) => {
            pattern.as_literal().and_then(|text| text.parse().ok()) == Some(stored.event.severity)
        }
        ("severity", Test::Between(Bound::Including(text), Bound::Open)) => {
            stored.event.severity >= text.parse::<Severity>().unwrap()
        }
        (path, test) => {
            let fields = stored.event.attributes.iter();
            fields
                .filter(|(name, _)| name.name().replace("[]", "") == path)
                .any(|(_, v)| passes(test, path, v))
        }
    })
}

fn holds(expression: &Expression, stored: &StoredEvent) -> bool {
    match expression {
        Expression::All => true,
        Expression::Not(inner) => !holds(inner, stored),
        Expression::And(parts) => parts.iter().all(|part| holds(part, stored)),
        Expression::Or(parts) => parts.iter().any(|part| holds(part, stored)),
        Expression::Text(pattern) => pattern.stands_in(&stored.raw),
        Expression::Field(condition) => condition_holds(condition, stored),
    }
}

const QUERIES: [&str; 22] = [
    "user:*",
    "not user:*",
    "user.name:*a* or x:*",
    "src_ip:10.0.0.0/8",
    "src_ip:0.0.0.0/1 or src_ip:128.0.0.0/1",
    "not src_ip:0.0.0.0/1",
    "src_ip:[1.1.1.1 TO 200.0.0.0]",
    "src_ip:::/0",
    "ip:*1*",
    "dst_port:[1000 TO 40000]",
    "dst_port>30000 or src_port<=30000",
    "http_response.code:{1 TO *] -user:*",
    "process.pid:*7*",
    "x>5",
    "x:[* TO 60000} and not (severity:high or severity:critical)",
    "severity>=medium",
    "user.name:(a or *b* or not *c*)",
    "file.hashes.value:*a*",
    "rdata:* or answers.rdata:*",
    "*a*",
    "not *1*",
    "(user:* or host:*) and not *e*",
];

#[tokio::test(flavor = "multi_thread")]
async fn the_language_agrees_with_a_comparison_of_every_value() {
    let mut runner = TestRunner::deterministic();
    let stored = prop::collection::vec(any_stored(), 400..401).new_tree(&mut runner).unwrap().current();
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::open(config(dir.path())).await.unwrap();
    let batch = batch("all", 1);
    let Appended::At(at) = lake.append(batch).await.unwrap() else { panic!("not new") };
    let mut events: Vec<StoredEvent> =
        stored.into_iter().filter(|stored| stored.event.time.nanos() < i64::MAX).collect();
    events.sort_by_key(|stored| (stored.event.time, stored.event.uid));
    lake.store(at, events.clone()).await.unwrap();
    for _ in 0..2 {
        let mut found_some = 0;
        for text in QUERIES {
            let expression = parse(text).unwrap();
            let expected: Vec<_> =
                events.iter().filter(|stored| holds(&expression, stored)).map(|s| s.event.uid).collect();
            let query = Query { matching: expression, newest_first: false, ..all() };
            let found: Vec<_> = lake.search(&query).await.unwrap().hits.iter().map(|hit| hit.uid).collect();
            assert_eq!(found.len(), expected.len(), "{text}");
            assert_eq!(found, expected, "{text}");
            found_some += usize::from(!found.is_empty() && found.len() < events.len());
        }
        assert!(found_some > QUERIES.len() / 2, "only {found_some} queries tell events apart");
        lake.flush().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_that_make_no_sense_are_refused_with_their_place() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::open(config(dir.path())).await.unwrap();
    for (text, place) in [
        ("ok dst_port:x", 3..13),
        ("src_ip:10.0.0.0/33", 0..18),
        ("src_ip:a/b", 0..10),
        ("severity:awful", 0..14),
        ("class_name:x", 0..12),
        ("user:[a TO b]", 0..13),
        ("uid:xyz", 0..7),
    ] {
        let query = Query { matching: parse(text).unwrap(), ..all() };
        match lake.search(&query).await {
            Err(LakeError::BadCondition(error)) => assert_eq!(error.span, place, "{text}"),
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_and_a_reader_give_every_event_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::open(config(dir.path())).await.unwrap();
    let mut expected = Vec::new();
    for number in 0..5 {
        let events = put(&lake, &number.to_string(), 20, 10 - number).await;
        lake.flush().await.unwrap();
        expected.extend(events.iter().map(|stored| (stored.event.time, stored.event.uid)));
    }
    expected.sort();
    expected.reverse();
    let reader = crate::Reader::open(&config(dir.path())).await.unwrap();
    let streams: [Vec<_>; 2] = [
        futures::TryStreamExt::try_collect(lake.stream(&all()).await.unwrap()).await.unwrap(),
        futures::TryStreamExt::try_collect(reader.stream(&all()).await.unwrap()).await.unwrap(),
    ];
    for stream in streams {
        let found: Vec<_> = stream.into_iter().flatten().map(|hit: Hit| (hit.time, hit.uid)).collect();
        assert_eq!(found, expected);
    }
    let query = Query { limit: 3, ..all() };
    let newest: Vec<_> = reader.search(&query).await.unwrap().hits.iter().map(|hit| hit.uid).collect();
    assert_eq!(newest, expected.iter().take(3).map(|(_, uid)| *uid).collect::<Vec<_>>());
    let nowhere = tempfile::tempdir().unwrap();
    assert!(matches!(crate::Reader::open(&config(nowhere.path())).await, Err(LakeError::NoTable { .. })));
}

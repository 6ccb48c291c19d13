//! What findings say of direction and outcome, and with what proof.

use std::sync::Arc;

use serde_json::json;
use wanglou_detect::Taxonomy;
use wanglou_model::{
    Direction, Event, EventUid, FieldMap, Finding, Format, Outcome, PathId, Place, Severity, SourceId,
    TenantId, Timestamp, UNKNOWN_PRODUCT, Value, ocsf,
};

use crate::support::{compiled, record_of};

pub(crate) fn finding(class_uid: u32, attributes: &[(&str, Value<'_>)]) -> Finding {
    let rule =
        "title: t\nid: r\nlevel: high\nlogsource: {product: test}\ndetection: {s: {a: 1}, condition: s}\n";
    let engine = compiled(&[rule], &Taxonomy::default()).engine;
    let record = record_of("test", Format::Json, &json!({"a": 1}));
    let hit = engine.evaluate(&record, &mut engine.scratch())[0];
    let mut fields = FieldMap::new();
    for (path, value) in attributes {
        fields.push(PathId::reserve(path), *value);
    }
    let event = Event {
        uid: EventUid::from_u128(7),
        class_uid,
        activity_id: 1,
        severity: Severity::Low,
        time: Timestamp::from_secs(1),
        arrival: Timestamp::from_secs(2),
        source: SourceId::new("test"),
        product: Arc::clone(&UNKNOWN_PRODUCT),
        tenant: TenantId::default(),
        attributes: fields,
        mapped: Vec::new(),
    };
    engine.finding(hit, &record, &event, Some(Place { file: "f".to_owned(), record: 3 }))
}

#[test]
fn direction_follows_the_end_points() {
    let direction = |src: &str, dst: &str| {
        let ends = [("src_endpoint.ip", src), ("dst_endpoint.ip", dst)];
        let known: Vec<(&str, Value<'_>)> = ends
            .into_iter()
            .filter(|(_, ip)| !ip.is_empty())
            .map(|(path, ip)| (path, Value::Str(ip)))
            .collect();
        finding(ocsf::NETWORK_ACTIVITY, &known).direction
    };
    assert_eq!(direction("203.0.113.9", "10.0.0.1"), Direction::Inbound);
    assert_eq!(direction("203.0.113.9", ""), Direction::Inbound);
    assert_eq!(direction("192.168.1.2", "203.0.113.9"), Direction::Outbound);
    assert_eq!(direction("", "2001:db8::1"), Direction::Outbound);
    assert_eq!(direction("10.0.0.1", "fd00::2"), Direction::Lateral);
    assert_eq!(direction("::ffff:10.0.0.1", ""), Direction::Lateral);
    assert_eq!(direction("203.0.113.9", "198.51.100.1"), Direction::Unknown);
    assert_eq!(direction("", ""), Direction::Unknown);
}

#[test]
fn outcomes_carry_their_proof() {
    let outcome = |class, attributes: &[(&str, Value<'_>)]| {
        let finding = finding(class, attributes);
        (finding.outcome, finding.outcome_proof)
    };
    let code = |code: i64| outcome(ocsf::HTTP_ACTIVITY, &[("http_response.code", Value::Int(code))]);
    assert_eq!(code(200), (Outcome::Success, "the server served the request (status 200)".to_owned()));
    assert_eq!(code(403), (Outcome::Attempt, "the server refused the request (status 403)".to_owned()));
    assert_eq!(code(500), (Outcome::Unknown, String::new()));
    let logon = |status: i64| outcome(ocsf::AUTHENTICATION, &[("status_id", Value::Int(status))]).0;
    assert_eq!([logon(1), logon(2), logon(0)], [Outcome::Success, Outcome::Attempt, Outcome::Unknown]);
    assert_eq!(outcome(ocsf::PROCESS_ACTIVITY, &[]).0, Outcome::Success);
    assert_eq!(outcome(ocsf::BASE_EVENT, &[]).0, Outcome::Unknown);
}

#[test]
fn a_finding_names_its_event_and_place_and_keeps_its_id() {
    let first = finding(ocsf::BASE_EVENT, &[]);
    assert_eq!(first.uid, finding(ocsf::BASE_EVENT, &[]).uid);
    assert_eq!((first.severity, first.count, first.evidences.len()), (Severity::High, 1, 1));
    let evidence = &first.evidences[0];
    assert_eq!((evidence.event, evidence.place.as_ref().unwrap().record), (EventUid::from_u128(7), 3));
    assert_eq!(evidence.matches[0].pattern, "a: 1");
}

//! Whatever event goes in, the same OCSF JSON comes out.

use bytes::Bytes;
use proptest::prelude::*;
use wanglou_model::{Format, PathId, Record, Value};

use super::*;
use crate::{StoredEvent, rows};

/// A value of a field, owned.
#[derive(Clone, Debug)]
pub(crate) enum Owned {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Float(f64),
    Text(String),
}

impl Owned {
    fn value(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Bool(flag) => Value::Bool(*flag),
            Self::Int(number) => Value::Int(*number),
            Self::UInt(number) => Value::UInt(*number),
            Self::Float(number) => Value::Float(*number),
            Self::Text(text) => Value::Str(text),
        }
    }
}

fn any_value() -> impl Strategy<Value = Owned> {
    prop_oneof![
        1 => Just(Owned::Null),
        1 => any::<bool>().prop_map(Owned::Bool),
        3 => any::<i64>().prop_map(Owned::Int),
        3 => (0_i64..70_000).prop_map(Owned::Int),
        1 => any::<u64>().prop_map(Owned::UInt),
        // JSON readers do not agree on negative zero, so there is none here.
        2 => any::<f64>().prop_map(|number| Owned::Float(number + 0.0)),
        6 => any::<String>().prop_map(Owned::Text),
        2 => any::<[u8; 4]>().prop_map(|o| Owned::Text(std::net::Ipv4Addr::from(o).to_string())),
        1 => any::<[u8; 4]>().prop_map(|o| Owned::Text(format!("::ffff:{}", std::net::Ipv4Addr::from(o)))),
        1 => (0_i64..70_000).prop_map(|n| Owned::Text(n.to_string())),
        1 => "[0-9A-F]{64}".prop_map(Owned::Text),
    ]
}

fn any_path() -> impl Strategy<Value = String> {
    let names = prop::sample::select(vec![
        "user",
        "name",
        "file",
        "hashes[]",
        "value",
        "answers[]",
        "rdata",
        "x",
        "x[]",
        "metadata",
        "profiles[]",
        "uid",
        "status_id",
        "status",
        "actor",
        "process",
        "url",
        "http_request",
        "user[]",
    ]);
    prop_oneof![
        4 => prop::sample::select(PROMOTED.to_vec()).prop_map(|attribute| attribute.path.to_owned()),
        1 => Just("file.hashes[].value".to_owned()),
        1 => Just("process.file.hashes[].value".to_owned()),
        4 => prop::collection::vec(names, 1..4).prop_map(|names| names.join(".")),
        1 => "[a-z.]{1,12}".prop_map(|name| name),
    ]
}

/// Any event a normalizer could make, and many that none would.
pub(crate) fn any_stored() -> impl Strategy<Value = StoredEvent> {
    let header = (any::<u128>(), prop::sample::select(vec![0, 1007, 3002, 4001, 201_001]), 0_u32..100);
    let attributes = prop::collection::vec((any_path(), any_value()), 0..14);
    let raw = prop::collection::vec(any::<u8>(), 0..80);
    let place = prop::option::of((".{0,10}", 0_u64..1 << 60));
    (header, any::<i64>(), 1_u8..=5, attributes, raw, place).prop_map(
        |((uid, class_uid, activity_id), time, severity, attributes, raw, place)| {
            let mut fields = FieldMap::new();
            for (path, value) in &attributes {
                fields.push(PathId::reserve(path), value.value());
            }
            let event = Event {
                uid: EventUid::from_u128(uid),
                class_uid,
                activity_id,
                severity: Severity::from_id(severity),
                time: Timestamp::from_nanos(time),
                arrival: Timestamp::from_secs(1_790_000_000),
                source: SourceId::new("test"),
                product: Arc::new(Product { id: "p".into(), vendor: "V".into(), name: "N".into() }),
                tenant: TenantId::default(),
                attributes: fields,
                mapped: Vec::new(),
            };
            let place = place.map(|(file, record)| Place { file, record });
            StoredEvent { event, format: Format::Json, raw: raw.into(), place }
        },
    )
}

fn expected(stored: &StoredEvent) -> Map<String, Json> {
    let mut record = Record::new(stored.format, stored.raw.clone());
    record.product = Arc::clone(&stored.event.product);
    stored.event.to_json(Some(&record))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]
    #[test]
    fn any_event_comes_back_as_it_went_in(stored in any_stored()) {
        let batch = rows::encode([&stored]).unwrap();
        let hits = decode(&batch);
        prop_assert_eq!(&hits[0].json, &expected(&stored));
        prop_assert_eq!(hits[0].uid, stored.event.uid);
        prop_assert_eq!(hits[0].time, stored.event.time);
        prop_assert_eq!(&hits[0].place, &stored.place);
    }
}

#[test]
fn what_fits_its_column_does_not_stand_in_rest() {
    let mut fields = FieldMap::new();
    fields.push(PathId::reserve("user.name"), "root");
    fields.push(PathId::reserve("src_endpoint.ip"), "::ffff:10.0.0.1");
    fields.push(PathId::reserve("src_endpoint.port"), 22_i64);
    fields.push(PathId::reserve("session.uid"), "7");
    let mut stored = StoredEvent {
        event: Event {
            uid: EventUid::from_u128(1),
            class_uid: ocsf::AUTHENTICATION,
            activity_id: 1,
            severity: Severity::Low,
            time: Timestamp::from_secs(1),
            arrival: Timestamp::from_secs(2),
            source: SourceId::new("s"),
            product: Arc::clone(&wanglou_model::UNKNOWN_PRODUCT),
            tenant: TenantId::default(),
            attributes: fields,
            mapped: Vec::new(),
        },
        format: Format::Syslog,
        raw: Bytes::from_static(b"raw"),
        place: None,
    };
    let batch = rows::encode([&stored]).unwrap();
    let row = Row { batch: &batch, index: 0 };
    assert_eq!(row.text("src_ip"), Some("10.0.0.1"));
    assert_eq!(row.bytes("src_ip_key").unwrap()[10..], [0xFF, 0xFF, 10, 0, 0, 1]);
    let rest: Json = serde_json::from_str(row.text(columns::REST).unwrap()).unwrap();
    assert_eq!(rest, serde_json::json!({"session": {"uid": "7"}, "src_endpoint": {"ip": "::ffff:10.0.0.1"}}));
    assert!(row.column(columns::IRREGULAR).is_none());
    stored.event.attributes.push(PathId::reserve("user.name"), "also");
    let batch = rows::encode([&stored]).unwrap();
    assert!(Row { batch: &batch, index: 0 }.column(columns::IRREGULAR).is_some());
}

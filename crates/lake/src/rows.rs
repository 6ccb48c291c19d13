//! Events as rows of the table: [`StoredEvent`] → Arrow.
//!
//! The one idea: a promoted attribute whose value its column holds exactly stands only there; anything else stands in
//! `rest`, and where both speak of a path, `rest` is right and the column is for searching. An event whose attributes
//! cannot be taken apart this way is *irregular* and has all of them in `rest`. [`crate::hit`] is the way back.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Int64Builder, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder,
};
use datafusion::arrow::error::ArrowError;
use wanglou_model::{Event, FieldMap, Timestamp, Value, canonical_ip};

use crate::StoredEvent;
use crate::columns::{Kind, PROMOTED, PathClass, TABLE_SCHEMA};

const NANOS_PER_DAY: i64 = 86_400_000_000_000;

/// The events as one record batch in the table's schema.
pub(crate) fn encode<'e>(
    events: impl IntoIterator<Item = &'e StoredEvent>,
) -> Result<RecordBatch, ArrowError> {
    let mut rows = Rows::default();
    for event in events {
        rows.push(event);
    }
    rows.finish()
}

/// The day a timestamp falls on, in days since the epoch.
pub(crate) fn day_of(instant: Timestamp) -> i32 {
    // The whole range of a 64-bit nanosecond clock is some 106 thousand days either way.
    i32::try_from(instant.nanos().div_euclid(NANOS_PER_DAY)).unwrap_or_default()
}

/// The 16 bytes of an address, IPv4 mapped into IPv6.
pub(crate) fn address_key(canonical: &str) -> Option<[u8; 16]> {
    match canonical.parse().ok()? {
        std::net::IpAddr::V4(address) => Some(address.to_ipv6_mapped().octets()),
        std::net::IpAddr::V6(address) => Some(address.octets()),
    }
}

/// Builders of the columns, in the order of the schema.
#[derive(Default)]
struct Rows {
    time_ns: Int64Builder,
    time: TimestampMicrosecondBuilder,
    arrival: TimestampMicrosecondBuilder,
    uid: BinaryBuilder,
    class_uid: Int64Builder,
    activity_id: Int64Builder,
    severity_id: Int64Builder,
    source: StringBuilder,
    product: StringBuilder,
    product_name: StringBuilder,
    product_vendor: StringBuilder,
    format: StringBuilder,
    promoted: PromotedColumns,
    sha256: StringBuilder,
    sha1: StringBuilder,
    rest: StringBuilder,
    irregular: BooleanBuilder,
    raw: BinaryBuilder,
    place_file: StringBuilder,
    place_record: Int64Builder,
    arrival_day: Date32Builder,
    tenant: StringBuilder,
    /// Reused from event to event.
    others: FieldMap,
}

impl Rows {
    fn push(&mut self, stored: &StoredEvent) {
        let event = &stored.event;
        self.time_ns.append_value(event.time.nanos());
        self.time.append_value(event.time.nanos().div_euclid(1000));
        self.arrival.append_value(event.arrival.nanos().div_euclid(1000));
        self.uid.append_value(event.uid.as_u128().to_be_bytes());
        self.class_uid.append_value(event.class_uid.into());
        self.activity_id.append_value(event.activity_id.into());
        self.severity_id.append_value(event.severity.id().into());
        self.source.append_value(event.source.as_str());
        self.product.append_value(&event.product.id);
        self.product_name.append_value(&event.product.name);
        self.product_vendor.append_value(&event.product.vendor);
        self.format.append_value(stored.format.name());
        self.push_attributes(event);
        self.raw.append_value(&stored.raw);
        self.place_file.append_option(stored.place.as_ref().map(|place| place.file.as_str()));
        let record = stored.place.as_ref().map(|place| i64::try_from(place.record).unwrap_or(i64::MAX));
        self.place_record.append_option(record);
        self.arrival_day.append_value(day_of(event.arrival));
        self.tenant.append_value(event.tenant.as_str());
    }

    fn push_attributes(&mut self, event: &Event) {
        let mut sorted = Sorted::of(&event.attributes);
        self.others.clear();
        for (index, (attribute, value)) in PROMOTED.iter().zip(&sorted.promoted).enumerate() {
            let exact = self.promoted.push(index, *value);
            if let (false, Some(value)) = (exact, value) {
                self.others.push_named(None, attribute.path, *value);
            }
        }
        self.sha256.append_option(sorted.sha256.take());
        self.sha1.append_option(sorted.sha1.take());
        self.irregular.append_option(sorted.irregular.then_some(true));
        let rest = if sorted.irregular {
            event.attributes.to_json()
        } else {
            for (name, value) in sorted.others {
                self.others.push_named(None, name, value);
            }
            self.others.to_json()
        };
        let rest = (!rest.is_empty()).then(|| serde_json::Value::Object(rest).to_string());
        self.rest.append_option(rest);
    }

    fn finish(mut self) -> Result<RecordBatch, ArrowError> {
        let instants = |mut builder: TimestampMicrosecondBuilder| -> ArrayRef {
            Arc::new(builder.finish().with_timezone("UTC"))
        };
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.time_ns.finish()),
            instants(self.time),
            instants(self.arrival),
            Arc::new(self.uid.finish()),
            Arc::new(self.class_uid.finish()),
            Arc::new(self.activity_id.finish()),
            Arc::new(self.severity_id.finish()),
            Arc::new(self.source.finish()),
            Arc::new(self.product.finish()),
            Arc::new(self.product_name.finish()),
            Arc::new(self.product_vendor.finish()),
            Arc::new(self.format.finish()),
        ];
        self.promoted.finish(&mut columns);
        columns.extend([
            Arc::new(self.sha256.finish()) as ArrayRef,
            Arc::new(self.sha1.finish()),
            Arc::new(self.rest.finish()),
            Arc::new(self.irregular.finish()),
            Arc::new(self.raw.finish()),
            Arc::new(self.place_file.finish()),
            Arc::new(self.place_record.finish()),
            Arc::new(self.arrival_day.finish()),
            Arc::new(self.tenant.finish()),
        ]);
        RecordBatch::try_new(Arc::clone(&TABLE_SCHEMA), columns)
    }
}

/// An event's attributes, told apart by where they go.
struct Sorted<'e> {
    promoted: [Option<Value<'e>>; PROMOTED.len()],
    others: Vec<(&'e str, Value<'e>)>,
    sha256: Option<String>,
    sha1: Option<String>,
    irregular: bool,
}

impl<'e> Sorted<'e> {
    fn of(attributes: &'e FieldMap) -> Self {
        let mut sorted = Self {
            promoted: [None; PROMOTED.len()],
            others: Vec::with_capacity(attributes.len()),
            sha256: None,
            sha1: None,
            irregular: false,
        };
        let mut tracked = 0;
        for (path, value) in attributes.iter() {
            sorted.put(PathClass::of(path), path.name(), value);
            tracked += 1;
        }
        for (name, value) in attributes.iter_named().skip(tracked) {
            sorted.put(PathClass::of_name(name), name, value);
        }
        sorted
    }

    fn put(&mut self, class: PathClass, name: &'e str, value: Value<'e>) {
        match class {
            PathClass::Promoted(index) => match self.promoted.get_mut(index) {
                Some(slot @ None) => *slot = Some(value),
                _ => self.irregular = true,
            },
            PathClass::Hash => {
                self.put_hash(value);
                self.others.push((name, value));
            }
            PathClass::Colliding => self.irregular = true,
            PathClass::Plain => self.others.push((name, value)),
        }
    }

    fn put_hash(&mut self, value: Value<'e>) {
        let Some(text) = value.as_str() else { return };
        let slot = match text.len() {
            64 => &mut self.sha256,
            40 => &mut self.sha1,
            _ => return,
        };
        let hash = text.to_ascii_lowercase();
        match slot {
            None => *slot = Some(hash),
            Some(known) => self.irregular |= *known != hash,
        }
    }
}

/// The builders of the promoted attributes' columns.
struct PromotedColumns(Vec<PromotedColumn>);

enum PromotedColumn {
    Text(StringBuilder),
    Int(Int64Builder),
    Address { text: StringBuilder, key: BinaryBuilder },
}

impl Default for PromotedColumns {
    fn default() -> Self {
        let column = |kind| match kind {
            Kind::Text => PromotedColumn::Text(StringBuilder::new()),
            Kind::Int => PromotedColumn::Int(Int64Builder::new()),
            Kind::Address { .. } => {
                PromotedColumn::Address { text: StringBuilder::new(), key: BinaryBuilder::new() }
            }
        };
        Self(PROMOTED.iter().map(|attribute| column(attribute.kind)).collect())
    }
}

impl PromotedColumns {
    /// Appends a value to column `index`; whether the column holds it exactly. An absent value and null leave it empty.
    fn push(&mut self, index: usize, value: Option<Value<'_>>) -> bool {
        let given = value.filter(|value| *value != Value::Null);
        let is_text = matches!(value, Some(Value::Str(_)));
        let fits = match self.0.get_mut(index) {
            Some(PromotedColumn::Text(column)) => {
                column.append_option(given.map(Value::to_text));
                is_text
            }
            Some(PromotedColumn::Int(column)) => {
                column.append_option(given.and_then(Value::as_i64));
                matches!(value, Some(Value::Int(_)))
            }
            Some(PromotedColumn::Address { text: column, key }) => {
                let text = given.map(Value::to_text);
                let canonical = text.as_deref().and_then(canonical_ip);
                key.append_option(canonical.as_deref().and_then(address_key));
                let shown = canonical.as_deref().or(text.as_deref());
                column.append_option(shown);
                is_text && shown == text.as_deref()
            }
            None => false,
        };
        value.is_none() || fits
    }

    fn finish(self, columns: &mut Vec<ArrayRef>) {
        for column in self.0 {
            match column {
                PromotedColumn::Text(mut text) => columns.push(Arc::new(text.finish())),
                PromotedColumn::Int(mut number) => columns.push(Arc::new(number.finish())),
                PromotedColumn::Address { mut text, mut key } => {
                    columns.push(Arc::new(text.finish()));
                    columns.push(Arc::new(key.finish()));
                }
            }
        }
    }
}

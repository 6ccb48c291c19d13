//! Rows of the table as OCSF JSON: the way back from [`crate::rows`].

use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::cast::AsArray;
use datafusion::arrow::array::types::{Int64Type, TimestampMicrosecondType};
use datafusion::arrow::array::{Array, RecordBatch};
use serde_json::{Map, Value as Json};
use wanglou_model::{
    Event, EventUid, FieldMap, Place, Product, Severity, SourceId, TenantId, Timestamp, ocsf,
};

use crate::columns::{self, Kind, PROMOTED};

/// One event found.
#[derive(Clone, Debug)]
pub struct Hit {
    /// Its id.
    pub uid: EventUid,
    /// When it happened.
    pub time: Timestamp,
    /// The event as an OCSF object, with `raw_data`.
    pub json: Map<String, Json>,
    /// Which decoder read its record ([`wanglou_model::Format::name`]).
    pub format: String,
    /// Where its record stood, when it came from a file.
    pub place: Option<Place>,
    /// The configured source.
    pub source: SourceId,
    /// When it reached us, in whole microseconds.
    pub arrival: Timestamp,
    /// The record's bytes as they came.
    pub raw: Bytes,
}

/// The rows of a batch in the table's schema, in order.
pub(crate) fn decode(batch: &RecordBatch) -> Vec<Hit> {
    let row = |index| Row { batch, index }.to_hit();
    (0..batch.num_rows()).map(row).collect()
}

/// The id in a cell of the `uid` column.
pub(crate) fn uid_from(bytes: &[u8]) -> Option<EventUid> {
    Some(EventUid::from_u128(u128::from_be_bytes(bytes.try_into().ok()?)))
}

struct Row<'b> {
    batch: &'b RecordBatch,
    index: usize,
}

impl<'b> Row<'b> {
    fn to_hit(&self) -> Hit {
        let event = self.header();
        let mut json = self.attributes();
        if let Some(id) = json.get("status_id").and_then(Json::as_i64) {
            json.entry("status").or_insert_with(|| ocsf::status(id).into());
        }
        for (name, value) in event.to_json(None) {
            match (json.get_mut(&name), value) {
                (Some(Json::Object(known)), Json::Object(header)) if name == "metadata" => {
                    known.extend(header);
                }
                (Some(_), _) if name == "metadata" => {}
                (_, value) => _ = json.insert(name, value),
            }
        }
        let raw = self.bytes(columns::RAW).unwrap_or_default();
        json.insert("raw_data".into(), String::from_utf8_lossy(raw).into());
        let place = self.text(columns::PLACE_FILE).map(|file| Place {
            file: file.to_owned(),
            record: self.int(columns::PLACE_RECORD).and_then(|n| u64::try_from(n).ok()).unwrap_or_default(),
        });
        let format = self.text(columns::FORMAT).unwrap_or_default().to_owned();
        let raw = Bytes::copy_from_slice(raw);
        let Event { uid, time, source, arrival, .. } = event;
        Hit { uid, time, json, format, place, source, arrival, raw }
    }

    /// The event without its attributes.
    fn header(&self) -> Event {
        let text = |column| self.text(column).unwrap_or_default();
        let small =
            |column| self.int(column).and_then(|number| u32::try_from(number).ok()).unwrap_or_default();
        Event {
            uid: self.bytes(columns::UID).and_then(uid_from).unwrap_or(EventUid::from_u128(0)),
            class_uid: small(columns::CLASS_UID),
            activity_id: small(columns::ACTIVITY_ID),
            severity: Severity::from_id(u8::try_from(small(columns::SEVERITY_ID)).unwrap_or_default()),
            time: Timestamp::from_nanos(self.int(columns::TIME_NS).unwrap_or_default()),
            arrival: Timestamp::from_nanos(
                self.micros(columns::ARRIVAL).unwrap_or_default().saturating_mul(1000),
            ),
            source: SourceId::new(text(columns::SOURCE)),
            product: Arc::new(Product {
                id: text(columns::PRODUCT).to_owned(),
                vendor: text(columns::PRODUCT_VENDOR).to_owned(),
                name: text(columns::PRODUCT_NAME).to_owned(),
            }),
            tenant: TenantId::new(text(columns::TENANT)),
            attributes: FieldMap::new(),
            mapped: Vec::new(),
        }
    }

    /// The attributes: `rest` completed by the columns, unless it is whole already.
    fn attributes(&self) -> Map<String, Json> {
        // serde_json would read some floats one bit off; sonic-rs reads them exactly.
        let rest = self.text(columns::REST).and_then(|text| sonic_rs::from_str(text).ok());
        let mut json: Map<String, Json> = rest.unwrap_or_default();
        if self.column(columns::IRREGULAR).is_some() {
            return json;
        }
        for attribute in &PROMOTED {
            let value: Option<Json> = match attribute.kind {
                Kind::Text | Kind::Address { .. } => self.text(attribute.column).map(Json::from),
                Kind::Int => self.int(attribute.column).map(Json::from),
            };
            if let Some(value) = value {
                insert_if_absent(&mut json, attribute.path, value);
            }
        }
        json
    }

    /// The column's array, if it is there and this row of it is not null.
    fn column(&self, name: &str) -> Option<&'b dyn Array> {
        let array = self.batch.column_by_name(name)?.as_ref();
        array.is_valid(self.index).then_some(array)
    }

    fn text(&self, name: &str) -> Option<&'b str> {
        Some(self.column(name)?.as_string_opt::<i32>()?.value(self.index))
    }

    fn bytes(&self, name: &str) -> Option<&'b [u8]> {
        Some(self.column(name)?.as_binary_opt::<i32>()?.value(self.index))
    }

    fn int(&self, name: &str) -> Option<i64> {
        Some(self.column(name)?.as_primitive_opt::<Int64Type>()?.value(self.index))
    }

    fn micros(&self, name: &str) -> Option<i64> {
        Some(self.column(name)?.as_primitive_opt::<TimestampMicrosecondType>()?.value(self.index))
    }
}

fn insert_if_absent(object: &mut Map<String, Json>, path: &str, value: Json) {
    match path.split_once('.') {
        None => _ = object.entry(path).or_insert(value),
        Some((name, rest)) => {
            let child = object.entry(name).or_insert_with(|| Json::Object(Map::new()));
            if let Json::Object(child) = child {
                insert_if_absent(child, rest, value);
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;

//! The OCSF view of a record.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use crate::{EventUid, FieldMap, PathId, Product, Record, Severity, SourceId, TenantId, Timestamp, ocsf};

/// One OCSF event: a typed header and compact attributes under their dotted OCSF paths (`src_endpoint.ip`).
#[derive(Clone, Debug)]
pub struct Event {
    /// Its id; the same bytes from the same place always get the same one.
    pub uid: EventUid,
    /// OCSF `class_uid`; [`ocsf::BASE_EVENT`] when nothing maps the record.
    pub class_uid: u32,
    /// OCSF `activity_id` within the class.
    pub activity_id: u32,
    /// OCSF severity of the event as its source sees it.
    pub severity: Severity,
    /// When it happened, as the source says. Attacker-controlled.
    pub time: Timestamp,
    /// When it reached us. Storage and retention go by this.
    pub arrival: Timestamp,
    /// The configured source it came through.
    pub source: SourceId,
    /// What product wrote it.
    pub product: Arc<Product>,
    /// Whose it is.
    pub tenant: TenantId,
    /// OCSF attributes beyond the header, `message` and `status_id` among them.
    pub attributes: FieldMap,
    /// The record's paths that the normalizer used; the others are `unmapped`.
    pub mapped: Vec<PathId>,
}

impl Event {
    /// OCSF `type_uid`.
    #[must_use]
    pub const fn type_uid(&self) -> u64 {
        self.class_uid as u64 * 100 + self.activity_id as u64
    }

    /// The event as an OCSF JSON object. With the record it came from, `raw_data` holds its text (bytes that are not
    /// UTF-8 replaced) and `unmapped` the source's fields that found no OCSF attribute.
    #[must_use]
    pub fn to_json(&self, record: Option<&Record>) -> Map<String, Json> {
        let mut json = self.attributes.to_json();
        if let Some(id) = json.get("status_id").and_then(Json::as_i64) {
            json.entry("status").or_insert_with(|| ocsf::status(id).into());
        }
        json.insert("class_uid".into(), self.class_uid.into());
        json.insert("activity_id".into(), self.activity_id.into());
        json.insert("type_uid".into(), self.type_uid().into());
        if let Some(class) = ocsf::class(self.class_uid) {
            let activity = class.activity(self.activity_id);
            json.insert("class_name".into(), class.caption.into());
            json.insert("category_uid".into(), class.category_uid.into());
            json.insert("category_name".into(), class.category.into());
            json.insert("activity_name".into(), activity.into());
            json.insert("type_name".into(), format!("{}: {activity}", class.caption).into());
        }
        json.insert("severity_id".into(), self.severity.id().into());
        json.insert("severity".into(), self.severity.caption().into());
        json.insert("time".into(), self.time.millis().into());
        self.insert_metadata(&mut json);
        if let Some(record) = record {
            let unmapped = self.unmapped(record);
            if !unmapped.is_empty() {
                json.insert("unmapped".into(), Json::Object(unmapped));
            }
            json.insert("raw_data".into(), String::from_utf8_lossy(&record.raw).into());
        }
        json
    }

    fn insert_metadata(&self, json: &mut Map<String, Json>) {
        let metadata = json.entry("metadata").or_insert_with(|| Json::Object(Map::new()));
        let Json::Object(metadata) = metadata else { return };
        metadata.insert("version".into(), ocsf::VERSION.into());
        metadata.insert("uid".into(), self.uid.to_string().into());
        metadata.insert("logged_time".into(), self.arrival.millis().into());
        metadata.insert("tenant_uid".into(), self.tenant.as_str().into());
        metadata.insert(
            "product".into(),
            serde_json::json!({ "name": self.product.name, "vendor_name": self.product.vendor, "uid": self.product.id }),
        );
        metadata.insert("log_provider".into(), self.source.as_str().into());
        if (200_000..300_000).contains(&self.class_uid) {
            metadata.insert(
                "extensions".into(),
                serde_json::json!([{ "name": "win", "uid": "2", "version": ocsf::VERSION }]),
            );
        }
    }

    fn unmapped(&self, record: &Record) -> Map<String, Json> {
        let mut rest = FieldMap::new();
        for (path, value) in record.fields.iter() {
            if !self.mapped.contains(&path) {
                rest.push(path, value);
            }
        }
        rest.to_json()
    }
}

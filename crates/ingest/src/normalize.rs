//! The OCSF view of a record, one file for each family of products.

use jiff::tz::TimeZone;
use wanglou_model::{Event, EventUid, FieldMap, Record, Severity, SourceId, TenantId, Timestamp, ocsf};

/// What an event needs to know that its record does not say.
#[derive(Clone, Debug)]
pub struct EventContext {
    /// The event's id.
    pub uid: EventUid,
    /// The source it came through.
    pub source: SourceId,
    /// When it reached us.
    pub arrival: Timestamp,
    /// Whose it is.
    pub tenant: TenantId,
    /// The zone of times that are written without one.
    pub zone: TimeZone,
}

/// The OCSF view of `record`. A record that nothing maps becomes a Base Event with what can be told of any record.
#[must_use]
pub fn normalize(record: &Record, context: EventContext) -> Event {
    Event {
        uid: context.uid,
        class_uid: ocsf::BASE_EVENT,
        activity_id: 0,
        severity: Severity::Informational,
        time: context.arrival,
        arrival: context.arrival,
        source: context.source,
        product: record.product.clone(),
        tenant: context.tenant,
        attributes: FieldMap::new(),
        mapped: Vec::new(),
    }
}

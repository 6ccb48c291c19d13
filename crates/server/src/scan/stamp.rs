//! What the platform adds to a record that is read from a file: ids, arrival, zone.

use std::fs;
use std::path::Path;

use jiff::tz::TimeZone;
use wanglou_ingest::EventContext;
use wanglou_model::{EventUid, SourceId, TenantId, Timestamp};

/// Makes the context of events. The same file read again gives the same events.
#[derive(Clone, Debug)]
pub(crate) struct Stamp {
    source: SourceId,
    tenant: TenantId,
    zone: TimeZone,
}

impl Stamp {
    /// For log times without a zone in this one.
    pub(crate) fn new(zone: TimeZone) -> Self {
        Self { source: SourceId::new("file"), tenant: TenantId::default(), zone }
    }

    /// When the records of a file reached us: no later than it was last written. Years that logs leave out are told
    /// by this.
    pub(crate) fn arrival(path: &Path) -> Timestamp {
        let modified = fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
        let instant = modified.and_then(|modified| jiff::Timestamp::try_from(modified).ok());
        instant.map_or_else(Timestamp::now, Timestamp::from)
    }

    /// The context of the event of record `number`, the `ordinal`th of `file`.
    pub(crate) fn context(&self, file: &str, number: u64, ordinal: u64, arrival: Timestamp) -> EventContext {
        EventContext {
            uid: EventUid::at(&self.source, format!("{file}:{number}:{ordinal}").as_bytes()),
            source: self.source.clone(),
            arrival,
            tenant: self.tenant.clone(),
            zone: self.zone.clone(),
        }
    }
}

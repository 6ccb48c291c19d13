//! The OCSF view of a record, one file for each family of products.
//!
//! Mapping never fails: what a normalizer does not know stays under OCSF's `unmapped`, and a record that none knows
//! becomes a Base Event with what can be told of any record.

mod access_log;
mod auditd;
mod cloudtrail;
mod device;
mod flow;
mod generic;
mod kubernetes;
mod mapping;
mod modsecurity;
mod network;
mod suricata;
mod syslog;
mod windows;
mod zeek;

use std::sync::LazyLock;

use jiff::tz::TimeZone;
use wanglou_model::{Event, EventUid, Format, PathId, Record, SourceId, TenantId, Timestamp, ocsf};

use mapping::Mapper;

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

/// The OCSF view of `record`.
#[must_use]
pub fn normalize(record: &Record, context: EventContext) -> Event {
    let mut mapper = Mapper::new(record, context);
    match record.format {
        Format::Evtx | Format::Winlogbeat | Format::WindowsFlat => windows::map(&mut mapper),
        Format::SuricataEve => suricata::map(&mut mapper),
        Format::Zeek => zeek::map(&mut mapper),
        Format::CloudTrail => cloudtrail::map(&mut mapper),
        Format::KubernetesAudit => kubernetes::map(&mut mapper),
        Format::Device => device::map(&mut mapper),
        Format::Syslog | Format::Json if device::understood(&mapper) => device::map(&mut mapper),
        Format::Syslog => syslog::map(&mut mapper),
        Format::Auditd => auditd::map(&mut mapper),
        Format::AccessLog => access_log::map(&mut mapper),
        Format::ModSecurity => modsecurity::map(&mut mapper),
        Format::NetworkFlow => flow::map(&mut mapper),
        _ => generic::map(&mut mapper),
    }
    complete(&mut mapper);
    mapper.event
}

macro_rules! paths {
    ($($name:ident = $path:literal;)*) => {
        struct Paths { $($name: PathId,)* }
        static PATHS: LazyLock<Paths> = LazyLock::new(|| Paths { $($name: PathId::reserve($path),)* });
    };
}
use paths;

paths! {
    device_hostname = "device.hostname";
    device_ip = "device.ip";
    device_type_id = "device.type_id";
    actor_user = "actor.user.name";
    actor_uid = "actor.user.uid";
    actor_process = "actor.process.name";
    actor_pid = "actor.process.pid";
    profiles = "metadata.profiles[]";
    protocol_name = "connection_info.protocol_name";
    protocol_num = "connection_info.protocol_num";
    community_uid = "connection_info.community_uid";
    connection_uid = "connection_info.uid";
    direction_id = "connection_info.direction_id";
}

/// Adds what OCSF requires beside attributes that are there.
fn complete(mapper: &mut Mapper<'_>) {
    let paths = &*PATHS;
    let has = |mapper: &Mapper<'_>, wanted: &[PathId]| wanted.iter().any(|path| mapper.has(*path));
    let device = has(mapper, &[paths.device_hostname, paths.device_ip]);
    if device {
        mapper.default(paths.device_type_id, 0_i64);
    }
    let actor = has(mapper, &[paths.actor_user, paths.actor_uid, paths.actor_process, paths.actor_pid]);
    // System classes have device and actor themselves, findings a device, API activity an actor; elsewhere both come
    // with the host profile.
    let class = mapper.event.class_uid;
    let is_system = (1000..2000).contains(&class) || class > 200_000;
    let is_finding = (2000..3000).contains(&class);
    if (device && !is_system && !is_finding) || (actor && !is_system && class != ocsf::API_ACTIVITY) {
        mapper.put(paths.profiles, "host");
    }
    let connection = [paths.protocol_name, paths.protocol_num, paths.community_uid, paths.connection_uid];
    if has(mapper, &connection) {
        mapper.default(paths.direction_id, 0_i64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A context for tests.
    pub(super) fn context() -> EventContext {
        EventContext {
            uid: EventUid::from_u128(1),
            source: SourceId::new("test"),
            arrival: Timestamp::from_secs(1_790_000_000),
            tenant: TenantId::default(),
            zone: TimeZone::UTC,
        }
    }
}

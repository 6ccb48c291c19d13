//! OCSF class, category and activity names: a compact table of facts from the schema, version [`VERSION`].

use std::sync::LazyLock;

use rustc_hash::FxHashMap;

/// The released OCSF version that everything we emit names in `metadata.version`.
pub const VERSION: &str = "1.8.0";

/// Base Event: what nothing maps.
pub const BASE_EVENT: u32 = 0;
/// File System Activity.
pub const FILE_ACTIVITY: u32 = 1001;
/// Kernel Extension Activity (drivers and kernel modules).
pub const KERNEL_EXTENSION_ACTIVITY: u32 = 1002;
/// Module Activity (libraries loaded into a process).
pub const MODULE_ACTIVITY: u32 = 1005;
/// Scheduled Job Activity.
pub const SCHEDULED_JOB_ACTIVITY: u32 = 1006;
/// Process Activity.
pub const PROCESS_ACTIVITY: u32 = 1007;
/// Event Log Activity.
pub const EVENT_LOG_ACTIVITY: u32 = 1008;
/// Script Activity.
pub const SCRIPT_ACTIVITY: u32 = 1009;
/// Detection Finding.
pub const DETECTION_FINDING: u32 = 2004;
/// Incident Finding.
pub const INCIDENT_FINDING: u32 = 2005;
/// Account Change.
pub const ACCOUNT_CHANGE: u32 = 3001;
/// Authentication.
pub const AUTHENTICATION: u32 = 3002;
/// Authorize Session.
pub const AUTHORIZE_SESSION: u32 = 3003;
/// Group Management.
pub const GROUP_MANAGEMENT: u32 = 3006;
/// Network Activity.
pub const NETWORK_ACTIVITY: u32 = 4001;
/// HTTP Activity.
pub const HTTP_ACTIVITY: u32 = 4002;
/// DNS Activity.
pub const DNS_ACTIVITY: u32 = 4003;
/// DHCP Activity.
pub const DHCP_ACTIVITY: u32 = 4004;
/// RDP Activity.
pub const RDP_ACTIVITY: u32 = 4005;
/// SMB Activity.
pub const SMB_ACTIVITY: u32 = 4006;
/// SSH Activity.
pub const SSH_ACTIVITY: u32 = 4007;
/// FTP Activity.
pub const FTP_ACTIVITY: u32 = 4008;
/// Email Activity.
pub const EMAIL_ACTIVITY: u32 = 4009;
/// Network File Activity.
pub const NETWORK_FILE_ACTIVITY: u32 = 4010;
/// Web Resources Activity.
pub const WEB_RESOURCES_ACTIVITY: u32 = 6001;
/// Application Lifecycle.
pub const APPLICATION_LIFECYCLE: u32 = 6002;
/// API Activity.
pub const API_ACTIVITY: u32 = 6003;
/// Datastore Activity.
pub const DATASTORE_ACTIVITY: u32 = 6005;
/// Registry Key Activity (Windows extension).
pub const REGISTRY_KEY_ACTIVITY: u32 = 201_001;
/// Registry Value Activity (Windows extension).
pub const REGISTRY_VALUE_ACTIVITY: u32 = 201_002;
/// Windows Service Activity (Windows extension).
pub const WINDOWS_SERVICE_ACTIVITY: u32 = 201_004;

/// One event class.
#[derive(Clone, Debug)]
pub struct Class {
    /// `class_uid`.
    pub uid: u32,
    /// `class_name`.
    pub caption: &'static str,
    /// `category_uid`.
    pub category_uid: u32,
    /// `category_name`.
    pub category: &'static str,
    activities: Vec<(u32, &'static str)>,
}

static CLASSES: LazyLock<FxHashMap<u32, Class>> = LazyLock::new(|| {
    include_str!("../data/ocsf-classes.tsv")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(parse_class)
        .map(|class| (class.uid, class))
        .collect()
});

fn parse_class(line: &'static str) -> Option<Class> {
    let mut columns = line.split('\t');
    Some(Class {
        uid: columns.next()?.parse().ok()?,
        caption: columns.next()?,
        category_uid: columns.next()?.parse().ok()?,
        category: columns.next()?,
        activities: columns
            .next()?
            .split(';')
            .filter_map(|pair| pair.split_once('='))
            .filter_map(|(id, caption)| Some((id.parse().ok()?, caption)))
            .collect(),
    })
}

/// The class with this `class_uid`.
#[must_use]
pub fn class(uid: u32) -> Option<&'static Class> {
    CLASSES.get(&uid)
}

impl Class {
    /// The caption of an activity of this class (`activity_name`); `Other` for one it does not have.
    #[must_use]
    pub fn activity(&self, id: u32) -> &'static str {
        self.activities.iter().find(|(known, _)| *known == id).map_or("Other", |(_, caption)| caption)
    }
}

/// The caption of a `status_id`.
#[must_use]
pub const fn status(id: i64) -> &'static str {
    match id {
        0 => "Unknown",
        1 => "Success",
        2 => "Failure",
        _ => "Other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole() {
        assert!(CLASSES.len() > 45);
        for uid in [
            BASE_EVENT,
            FILE_ACTIVITY,
            PROCESS_ACTIVITY,
            DETECTION_FINDING,
            AUTHENTICATION,
            HTTP_ACTIVITY,
            DNS_ACTIVITY,
            REGISTRY_VALUE_ACTIVITY,
            API_ACTIVITY,
            ACCOUNT_CHANGE,
        ] {
            assert!(class(uid).is_some(), "class {uid} is missing");
        }
        assert_eq!(class(PROCESS_ACTIVITY).unwrap().activity(1), "Launch");
        assert_eq!(class(PROCESS_ACTIVITY).unwrap().activity(42), "Other");
    }
}

//! What a single event says of an attack's direction and outcome. Only what can be proved from the event itself.

use std::net::IpAddr;
use std::sync::LazyLock;

use wanglou_model::{Direction, Event, Outcome, PathId, Record, ocsf};

struct Paths {
    src: PathId,
    dst: PathId,
    http_code: PathId,
    status_id: PathId,
    eve_action: PathId,
}

static PATHS: LazyLock<Paths> = LazyLock::new(|| Paths {
    src: PathId::reserve("src_endpoint.ip"),
    dst: PathId::reserve("dst_endpoint.ip"),
    http_code: PathId::reserve("http_response.code"),
    status_id: PathId::reserve("status_id"),
    eve_action: PathId::reserve("alert.action"),
});

/// Which way it goes, by the event's end points. An end that the event does not name is the host that reports it,
/// which is ours.
pub(crate) fn direction(event: &Event) -> Direction {
    let inside = |path| event.attributes.text(path).and_then(|text| text.parse().ok()).map(is_own);
    match (inside(PATHS.src), inside(PATHS.dst)) {
        (Some(false), Some(true) | None) => Direction::Inbound,
        (Some(true) | None, Some(false)) => Direction::Outbound,
        (Some(true), Some(true) | None) | (None, Some(true)) => Direction::Lateral,
        (Some(false), Some(false)) | (None, None) => Direction::Unknown,
    }
}

/// Whether an address belongs to a private network (RFC 1918, 4193, 6598), to this host or this link.
fn is_own(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// What came of it, and how we know.
pub(crate) fn outcome(record: &Record, event: &Event) -> (Outcome, String) {
    if let Some(action) = record.fields.text(PATHS.eve_action).filter(|action| *action == "blocked") {
        return (Outcome::Attempt, format!("the sensor reports `{action}`"));
    }
    let status = event.attributes.get(PATHS.status_id).and_then(wanglou_model::Value::as_i64);
    let code = event.attributes.get(PATHS.http_code).and_then(wanglou_model::Value::as_i64);
    match (event.class_uid, code, status) {
        (_, Some(code @ 200..=299), _) => {
            (Outcome::Success, format!("the server served the request (status {code})"))
        }
        (_, Some(code @ 400..=499), _) => {
            (Outcome::Attempt, format!("the server refused the request (status {code})"))
        }
        (_, Some(_), _) => (Outcome::Unknown, String::new()),
        (ocsf::AUTHENTICATION, _, Some(1)) => (Outcome::Success, "the logon succeeded".to_owned()),
        (ocsf::AUTHENTICATION, _, Some(2)) => (Outcome::Attempt, "the logon failed".to_owned()),
        (_, _, Some(2)) => (Outcome::Attempt, "the source reports that the action failed".to_owned()),
        (class, _, _) if records_done_deeds(class) => {
            (Outcome::Success, "the host recorded the action as done".to_owned())
        }
        _ => (Outcome::Unknown, String::new()),
    }
}

/// Classes whose events a host writes after the act: a process that runs, a file that was written.
fn records_done_deeds(class: u32) -> bool {
    [
        ocsf::PROCESS_ACTIVITY,
        ocsf::FILE_ACTIVITY,
        ocsf::MODULE_ACTIVITY,
        ocsf::KERNEL_EXTENSION_ACTIVITY,
        ocsf::SCRIPT_ACTIVITY,
        ocsf::SCHEDULED_JOB_ACTIVITY,
        ocsf::REGISTRY_KEY_ACTIVITY,
        ocsf::REGISTRY_VALUE_ACTIVITY,
        ocsf::WINDOWS_SERVICE_ACTIVITY,
        ocsf::ACCOUNT_CHANGE,
        ocsf::GROUP_MANAGEMENT,
        ocsf::EVENT_LOG_ACTIVITY,
    ]
    .contains(&class)
}

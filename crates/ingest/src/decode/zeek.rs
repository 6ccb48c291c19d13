//! Zeek logs in JSON: which log a record belongs to.
//!
//! Zeek writes one file for each log and, unless told otherwise, leaves the log's name out of the records. Rules and
//! normalizers go by it, so it is put in as `_path`: from fields that only one log has, else from the file's name.

use std::sync::LazyLock;

use wanglou_model::{FieldMap, PathId};

static PATH: LazyLock<PathId> = LazyLock::new(|| PathId::reserve("_path"));

/// What gives a log away: all of these fields. More telling ones stand first. From the log records of Zeek 7's default
/// policy scripts.
const TELLING: [(&str, &[&str]); 32] = [
    ("conn", &["conn_state"]),
    ("dns", &["query", "trans_id"]),
    ("dns", &["query", "qclass"]),
    ("dns", &["query", "rcode"]),
    ("http", &["trans_depth", "method"]),
    ("http", &["trans_depth", "status_code"]),
    ("smtp", &["trans_depth", "helo"]),
    ("smtp", &["trans_depth", "mailfrom"]),
    ("http", &["trans_depth"]),
    ("ssl", &["cipher"]),
    ("ssl", &["established", "resumed"]),
    ("ssh", &["auth_attempts"]),
    ("ssh", &["host_key_alg"]),
    ("notice", &["note", "msg"]),
    ("files", &["fuid", "source", "analyzers"]),
    ("files", &["fuid", "seen_bytes"]),
    ("pe", &["compile_ts", "machine"]),
    ("x509", &["certificate.serial"]),
    ("smb_mapping", &["share_type"]),
    ("smb_files", &["action", "name", "id.orig_h"]),
    ("kerberos", &["request_type", "service"]),
    ("dhcp", &["msg_types"]),
    ("rdp", &["cookie", "result"]),
    ("ftp", &["command", "arg"]),
    ("dce_rpc", &["endpoint", "operation"]),
    ("ntlm", &["server_nb_computer_name"]),
    ("ntlm", &["domainname", "username"]),
    ("tunnel", &["tunnel_type"]),
    ("software", &["software_type"]),
    ("snmp", &["community", "get_requests"]),
    ("dpd", &["analyzer", "failure_reason"]),
    ("weird", &["name", "peer"]),
];

static TELLING_PATHS: LazyLock<Vec<(&str, Vec<PathId>)>> = LazyLock::new(|| {
    let reserve = |names: &[&str]| names.iter().map(|name| PathId::reserve(name)).collect();
    TELLING.iter().map(|(log, names)| (*log, reserve(names))).collect()
});

/// Puts in which log the record belongs to, unless it says so. `file` is the name of the file it stands in.
pub fn name_log(fields: &mut FieldMap, file: &str) {
    if fields.get(*PATH).is_some() {
        return;
    }
    let has_all = |paths: &[PathId]| paths.iter().all(|path| fields.get(*path).is_some());
    let log = TELLING_PATHS.iter().find(|(_, paths)| has_all(paths)).map(|(log, _)| *log);
    fields.push(*PATH, log.or_else(|| log_of_file(file)).unwrap_or("unknown"));
}

/// `logs/conn.00:00:00-01:00:00.log.gz` is of the log `conn`.
fn log_of_file(file: &str) -> Option<&str> {
    let name = file.rsplit(['/', '\\', '!']).next()?;
    let log = name.split('.').next()?;
    let fits =
        !log.is_empty() && log.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    fits.then_some(log)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(fields: &[&str], file: &str) -> String {
        let mut map = FieldMap::new();
        for name in fields {
            map.push(PathId::reserve(name), "x");
        }
        name_log(&mut map, file);
        map.text(*PATH).unwrap().to_owned()
    }

    #[test]
    fn a_log_is_known_by_its_fields_then_by_its_file() {
        assert_eq!(log(&["uid", "conn_state"], "dns.log"), "conn");
        assert_eq!(log(&["uid", "id.orig_h"], "a/known_hosts.2026-11-22.log.gz"), "known_hosts");
        assert_eq!(log(&["uid"], "日志.txt"), "unknown");
    }
}

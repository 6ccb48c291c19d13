//! What the normalizers of network telemetry share: the numbers OCSF gives to methods and codes.

/// `activity_id` of HTTP Activity (4002) for a request method.
pub(super) fn http_activity(method: &str) -> u32 {
    match method.to_ascii_uppercase().as_str() {
        "CONNECT" => 1,
        "DELETE" => 2,
        "GET" => 3,
        "HEAD" => 4,
        "OPTIONS" => 5,
        "POST" => 6,
        "PUT" => 7,
        "TRACE" => 8,
        "PATCH" => 9,
        "COPY" => 15,
        "LOCK" => 18,
        "MOVE" => 25,
        "PROPFIND" => 28,
        "SEARCH" => 33,
        "" | "-" => 0,
        _ => 99,
    }
}

/// `rcode_id` of DNS Activity (4003) for the name of a response code (RFC 6895).
pub(super) fn dns_rcode(name: &str) -> i64 {
    match name.to_ascii_uppercase().as_str() {
        "NOERROR" => 0,
        "FORMERR" => 1,
        "SERVFAIL" => 2,
        "NXDOMAIN" => 3,
        "NOTIMP" => 4,
        "REFUSED" => 5,
        "YXDOMAIN" => 6,
        "YXRRSET" => 7,
        "NXRRSET" => 8,
        "NOTAUTH" => 9,
        "NOTZONE" => 10,
        _ => 99,
    }
}

/// `activity_id` of DHCP Activity (4004) for the name of a message.
pub(super) fn dhcp_activity(message: &str) -> u32 {
    match message.to_ascii_uppercase().as_str() {
        "DISCOVER" => 1,
        "OFFER" => 2,
        "REQUEST" => 3,
        "DECLINE" => 4,
        "ACK" => 5,
        "NAK" => 6,
        "RELEASE" => 7,
        "INFORM" => 8,
        _ => 99,
    }
}

//! What the normalizers of network telemetry share: the numbers OCSF gives to methods and codes, and the request line.

use std::sync::LazyLock;

use wanglou_model::PathId;

use super::mapping::{Mapper, UrlPaths};
use super::paths;
use crate::decode::access_log::RequestLine;

paths! {
    method = "http_request.http_method";
    version = "http_request.version";
    url_string = "http_request.url.url_string";
}

static URL: LazyLock<UrlPaths> = LazyLock::new(|| UrlPaths::of("http_request.url"));

/// Maps a request line to `http_request` and gives its method; what is no request line, such as TLS bytes on a plain
/// port, becomes the `url_string`, for it is what was asked for.
pub(super) fn put_request<'a>(mapper: &mut Mapper<'_>, request: &'a str) -> &'a str {
    let Some(line) = RequestLine::parse(request) else {
        if !request.is_empty() {
            mapper.put(PATHS.url_string, request);
        }
        return "";
    };
    mapper.put(PATHS.method, line.method);
    mapper.put_url(*URL, line.target);
    if let Some((_, version)) = line.protocol.split_once('/') {
        mapper.put(PATHS.version, version);
    }
    line.method
}

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

//! Web access logs: HTTP Activity. The client is the source, the server the destination, so what the server sent is
//! `traffic.bytes_in`.

use std::sync::LazyLock;

use wanglou_model::{PathId, Value, canonical_ip, ocsf};

use super::mapping::{Mapper, Table, To, integer};
use super::network::{http_activity, put_request};
use super::paths;

/// Addresses kept of one X-Forwarded-For.
const MAX_HOPS: usize = 32;

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    Table::new(&[
        ("remote_addr", To::Ip("src_endpoint")),
        ("remote_user", To::Text("actor.user.name")),
        ("status", To::Int("http_response.code")),
        ("body_bytes_sent", To::Int("http_response.body_length")),
        ("body_bytes_sent", To::Int("traffic.bytes_in")),
        ("referer", To::Text("http_request.referrer")),
        ("user_agent", To::Text("http_request.user_agent")),
        ("vhost", To::Ip("dst_endpoint")),
        ("ssl_protocol", To::Text("tls.version")),
        ("ssl_cipher", To::Text("tls.cipher")),
        ("syslog.host", To::Ip("device")),
        // Parts of the request, which is taken whole.
        ("method", To::Known),
        ("request_uri", To::Known),
        ("path", To::Known),
        ("query", To::Known),
        ("protocol", To::Known),
    ])
});

paths! {
    time = "time_local";
    request = "request";
    vhost = "vhost";
    forwarded = "x_forwarded_for";
    request_time = "request_time";
    status = "status";

    status_id = "status_id";
    hops = "http_request.x_forwarded_for[]";
    url_host = "http_request.url.hostname";
    url_port = "http_request.url.port";
    duration = "duration";
    src_ip = "src_endpoint.ip";
    src_host = "src_endpoint.hostname";
    dst_host = "dst_endpoint.hostname";
    dst_port = "dst_endpoint.port";
    bytes_length = "http_response.body_length";
    response_code = "http_response.code";
}

/// Maps a record.
pub(super) fn map(mapper: &mut Mapper<'_>) {
    let paths = &*PATHS;
    mapper.time(paths.time);
    put_vhost(mapper);
    mapper.apply(&TABLE);
    let request = mapper.take_text(paths.request).unwrap_or_default();
    let method = put_request(mapper, &request);
    mapper.class(ocsf::HTTP_ACTIVITY, http_activity(method));
    if let Some(code) = mapper.record.fields.get(paths.status).and_then(integer) {
        mapper.put(paths.status_id, if code < 400 { 1_i64 } else { 2 });
    }
    if !mapper.has(paths.response_code) {
        // OCSF wants the code of a response; a log without it says nothing of the response.
        mapper.event.attributes.remove(paths.bytes_length);
    }
    put_hops(mapper);
    if let Some(Value::Float(seconds)) = mapper.take(paths.request_time) {
        #[expect(clippy::cast_possible_truncation, reason = "a time of milliseconds; a cast saturates")]
        let millis = (seconds * 1e3).round() as i64;
        mapper.put(paths.duration, millis);
    }
    if !mapper.has(paths.src_ip) {
        mapper.default(paths.src_host, "unknown");
    }
}

/// `www.x.cn:443` names the server and, where there is a URL, its host.
fn put_vhost(mapper: &mut Mapper<'_>) {
    let paths = &*PATHS;
    let Some(vhost) = mapper.take_text(paths.vhost) else { return };
    let Some((host, port)) = vhost.rsplit_once(':') else {
        return mapper.put(paths.url_host, vhost.as_ref());
    };
    let Ok(port) = port.parse::<u16>() else { return };
    mapper.put(paths.url_host, host);
    mapper.put(paths.url_port, port);
    mapper.put(paths.dst_port, port);
    mapper.put(paths.dst_host, host);
}

fn put_hops(mapper: &mut Mapper<'_>) {
    let paths = &*PATHS;
    let Some(list) = mapper.take_text(paths.forwarded) else { return };
    for address in list.split(',').filter_map(canonical_ip).take(MAX_HOPS) {
        mapper.put(paths.hops, address.as_str());
    }
}

//! Hostile and broken input: a clear problem document, the rest goes on.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::harness::Server;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn bad_lines_are_named_and_the_good_ones_taken() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_set_up(dir.path(), &[]);
    let token = server.create_source("web");
    let nested = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(2 * 1024 * 1024));
    let mut body = format!("{{\"good\":1}}\n\n{{\"cut\":\n{nested}\n{long}\n").into_bytes();
    // "中文日志" in GBK, inside a JSON string.
    body.extend_from_slice(b"{\"message\":\"\xd6\xd0\xce\xc4\xc8\xd5\xd6\xbe\"}\n{\"good\":2}");
    let report = server.ingest(&token, &[], &body).expect(200);
    assert_eq!(report["received"], 6);
    assert_eq!(report["accepted"], 3);
    let rejected = report["rejected"].as_array().unwrap();
    let lines: Vec<_> = rejected.iter().map(|line| line["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, [3, 4, 5]);
    assert!(rejected[2]["reason"].as_str().unwrap().contains("bytes"), "{report}");

    let line = server.settled("web", 6);
    assert_eq!((line["stored"].as_u64(), line["rejected"].as_u64()), (Some(3), Some(3)));
    let letters = server.get("/api/v1/dead-letters?source=web").expect(200);
    assert_eq!(letters["total"], 3);
    let letters = letters["dead_letters"].as_array().unwrap();
    assert!(letters.iter().any(|letter| letter["text"] == "{\"cut\":"));
    assert!(letters.iter().all(|letter| letter["text"].as_str().unwrap().len() <= 8 * 1024));
    let found = server.get("/api/v1/events?where=message:%E4%B8%AD%E6%96%87%E6%97%A5%E5%BF%97").expect(200);
    assert_eq!(found["events"].as_array().unwrap().len(), 1, "GBK is read: {found}");
}

#[test]
fn bad_bodies_are_refused_whole() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_set_up(dir.path(), &[]);
    let token = server.create_source("web");
    let zipped = [("content-encoding", "gzip")];
    let good = gzip(b"{\"a\":1}\n{\"a\":2}\n");
    assert_eq!(server.ingest(&token, &zipped, &good).expect(200)["accepted"], 2);
    server.ingest(&token, &zipped, &good[..good.len() - 6]).problem(400, "invalid");
    server.ingest(&token, &zipped, b"not gzip").problem(400, "invalid");
    let bomb = gzip(&vec![b'\n'; 64 * 1024 * 1024]);
    assert!(bomb.len() < 100_000);
    server.ingest(&token, &zipped, &bomb).problem(413, "too-large");
    server.ingest(&token, &[("content-encoding", "br")], b"x").problem(415, "unsupported-media-type");
    server.ingest(&token, &[("idempotency-key", "with space")], b"{}").problem(400, "invalid");
    server.ingest("wlsrc_0", &[], b"{}").problem(401, "unauthenticated");
    server.send("POST", "/api/v1/ingest", &[], b"{}").problem(401, "unauthenticated");
    assert_eq!(server.ingest(&token, &[], b"\n\n").expect(200)["received"], 0);
    server.settled("web", 2);
}

#[test]
fn bad_questions_say_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_set_up(dir.path(), &[]);
    for (path, part) in [
        ("/api/v1/events?from=yesterday", "`from`"),
        ("/api/v1/events?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "before"),
        ("/api/v1/events?where=nocolon", "path:value"),
        ("/api/v1/events?limit=0", "1 to 1000"),
        ("/api/v1/events?colour=red", "`colour`"),
        ("/api/v1/events?cursor=x", "cursor"),
        ("/api/v1/events/top", "`field`"),
        ("/api/v1/findings?severity=terrible", "terrible"),
        ("/api/v1/findings?entity=x", "kind:value"),
        ("/api/v1/incidents?state=gone", "gone"),
    ] {
        let detail = server.get(path).problem(400, "invalid");
        assert!(detail.contains(part), "{path}: {detail}");
    }
    for path in ["/api/v1/events/zz", "/api/v1/findings/00", "/api/v1/incidents/x", "/api/v1/nothing"] {
        server.get(path).problem(404, "not-found");
    }
    let headers = [("content-type", "application/json"), ("x-wanglou-csrf", "1")];
    server.send("POST", "/api/v1/sources", &headers, b"{\"name\":").problem(400, "invalid");
    server.send("POST", "/api/v1/sources", &headers, b"{\"name\":\"../etc\"}").problem(400, "invalid");
    server.send("POST", "/api/v1/sources", &headers[1..], b"{}").problem(415, "unsupported-media-type");
    let huge = format!("{{\"name\":\"{}\"}}", "x".repeat(100_000));
    server.send("POST", "/api/v1/sources", &headers, huge.as_bytes()).problem(413, "too-large");
}

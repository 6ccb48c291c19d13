//! The door: TLS by default, set-up once, sessions, CSRF, guessing held back, headers.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::json;

use crate::harness::{PASSWORD, Server};

#[test]
fn set_up_works_once_and_only_with_the_token() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    let first = server.setup_token.clone().unwrap();
    server.terminate();
    // The link is printed again while it is unused; the one before is void.
    let server = Server::start(dir.path(), &[]);
    let token = server.setup_token.clone().unwrap();
    assert_ne!(first, token);
    assert_eq!(server.get("/api/v1/setup").expect(200)["needed"], true);
    let set_up = |token: &str, username: &str, password: &str| {
        let request = json!({ "token": token, "username": username, "password": password });
        server.post("/api/v1/setup", &request)
    };
    set_up(&first, "admin", PASSWORD).problem(403, "forbidden");
    assert!(set_up(&token, "admin", "short").problem(400, "invalid").contains("12 characters"));
    set_up(&token, "a b", PASSWORD).problem(400, "invalid");
    set_up(&token, "admin", PASSWORD).expect(201);
    set_up(&token, "second", PASSWORD).problem(409, "conflict");
    assert_eq!(server.get("/api/v1/setup").expect(200)["needed"], false);
    // Neither token nor password stands in the data directory.
    let database = std::fs::read(dir.path().join("state.sqlite")).unwrap();
    for secret in [token.as_bytes(), PASSWORD.as_bytes()] {
        assert!(!database.windows(secret.len()).any(|window| window == secret));
    }
}

#[test]
fn nothing_is_shown_without_a_session_and_nothing_changed_without_the_header() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start_set_up(dir.path(), &[]);
    let document: serde_json::Value =
        serde_json::from_str(include_str!("../../../../docs/openapi.json")).unwrap();
    let json = [("content-type", "application/json")];
    server.send("POST", "/api/v1/sources", &json, b"{\"name\":\"a\"}").problem(403, "forbidden");
    let cookie = server.forget_cookie();
    assert!(cookie.is_some());
    let mut checked = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            if operation.get("security").is_none() {
                continue;
            }
            let path = path.replace("{uid}", "0").replace("{id}", "0").replace("{name}", "x");
            let answer = server.send(&method.to_uppercase(), &path, &json, b"{}");
            answer.problem(401, "unauthenticated");
            checked += 1;
        }
    }
    assert!(checked > 15, "{checked}");
    server.get("/metrics").problem(401, "unauthenticated");
}

#[test]
fn guessing_is_held_back() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_set_up(dir.path(), &[]);
    let guess = || server.post("/api/v1/session", &json!({ "username": "admin", "password": "wrong guess" }));
    for _ in 0..5 {
        guess().problem(401, "unauthenticated");
    }
    let held = guess();
    held.problem(429, "too-many-requests");
    assert!(held.header("retry-after").unwrap().parse::<u64>().unwrap() > 0);
}

#[test]
fn answers_carry_the_security_headers() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    for path in ["/", "/incidents/1", "/api/v1/health"] {
        let answer = server.get(path);
        assert_eq!(answer.status, 200, "{path}");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("script-src 'self'") && policy.contains("frame-ancestors 'none'"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
    assert!(server.get("/").header("content-type").unwrap().starts_with("text/html"));
    assert_eq!(server.get("/assets/missing.js").status, 404);
    assert_eq!(server.get("/api/v1/health").header("cache-control"), Some("no-store"));
    assert_eq!(server.get("/api/v1/openapi.json").expect(200)["info"]["version"], "1");
}

#[test]
fn tls_is_the_default_with_an_authority_of_our_own() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_with(dir.path(), &[]);
    assert!(server.base.starts_with("https://"));
    let authority = server.told("import this authority into browsers: ").unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    for name in ["localhost", "127.0.0.1"] {
        let name = ServerName::try_from(name).unwrap();
        let mut session = rustls::ClientConnection::new(Arc::new(config.clone()), name).unwrap();
        let mut socket = TcpStream::connect(server.address()).unwrap();
        let mut stream = rustls::Stream::new(&mut session, &mut socket);
        stream
            .write_all(b"GET /api/v1/health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains("strict-transport-security: max-age="));
    }
    // Plain HTTP gets no answer there, and a peer that says nothing holds nobody up.
    let _silent = TcpStream::connect(server.address()).unwrap();
    let plain = server.try_send("GET", "/api/v1/health", &[], b"");
    assert!(plain.is_err());
}

#[test]
fn plain_http_is_refused_beyond_loopback() {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_wanglou"))
        .args(["serve", "--dev-http", "--listen", "0.0.0.0:0", "--data-dir"])
        .arg(dir.path())
        .output()
        .unwrap();
    assert!(!output.status.success());
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("0.0.0.0:0") && told.contains("127.0.0.1"), "{told}");
}

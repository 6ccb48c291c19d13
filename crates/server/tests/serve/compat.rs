//! Shippers that speak to other platforms, and flow exporters: rsyslog itself, and what the others send on the wire.

use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::harness::Server;

/// A running program; ended when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

fn basic(token: &str) -> String {
    let mut text = String::new();
    let pair = format!("elastic:{token}");
    let alphabet: Vec<char> = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['+', '/']).collect();
    for chunk in pair.as_bytes().chunks(3) {
        let bits =
            chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let index = usize::try_from(bits >> (18 - 6 * place) & 63).unwrap();
            text.push(if place <= chunk.len() { alphabet[index] } else { '=' });
        }
    }
    format!("Basic {text}")
}

#[test]
fn rsyslog_sends_to_the_bulk_interface_unchanged() {
    let has_module = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"]
        .iter()
        .any(|dir| Path::new(dir).join("rsyslog/omelasticsearch.so").exists());
    if !has_module {
        println!("skipped: rsyslog-elasticsearch is not installed");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_set_up(&dir.path().join("data"), &[]);
    let token = server.create_source("rsyslog");
    let log = dir.path().join("auth.log");
    let lines: String = (0..500).fold(String::new(), |text, n| {
        text + &format!("Failed password for root from 203.0.113.{} port 2 ssh2 n={n}\n", n % 250)
    });
    fs::write(&log, lines).unwrap();
    let config = format!(
        r#"global(workDirectory="{work}")
module(load="imfile")
module(load="omelasticsearch")
template(name="event" type="list" option.jsonf="on") {{
  property(outname="@timestamp" name="timereported" dateFormat="rfc3339" format="jsonf")
  property(outname="host" name="hostname" format="jsonf")
  property(outname="message" name="msg" format="jsonf")
}}
input(type="imfile" File="{log}" Tag="sshd:")
action(type="omelasticsearch" server="127.0.0.1" serverport="{port}" uid="elastic" pwd="{token}"
       template="event" searchIndex="logs" searchType="" bulkmode="on" action.resumeRetryCount="-1")
"#,
        work = dir.path().display(),
        log = log.display(),
        port = server.address().port(),
    );
    let file = dir.path().join("rsyslog.conf");
    fs::write(&file, config).unwrap();
    let child = Command::new("rsyslogd")
        .arg("-n")
        .arg("-f")
        .arg(&file)
        .arg("-i")
        .arg(dir.path().join("rsyslog.pid"))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let _running = Running(child);
    let line = server.settled("rsyslog", 500);
    assert_eq!((&line["stored"], &line["rejected"]), (&json!(500), &json!(0)), "{line}");
}

#[test]
fn bulk_answers_what_shippers_ask_and_names_what_it_refuses() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_set_up(dir.path(), &[]);
    let authorization = basic(&server.create_source("beats"));
    let headers = [("authorization", authorization.as_str()), ("content-type", "application/x-ndjson")];
    let root = server.send("GET", "/", &headers, b"");
    assert_eq!(root.header("x-elastic-product"), Some("Elasticsearch"));
    assert_eq!(root.expect(200)["version"]["number"], "8.17.0");
    for path in
        ["/_license", "/_xpack", "/_cluster/health", "/_index_template/filebeat", "/_ilm/policy/filebeat"]
    {
        server.send("GET", path, &headers, b"").expect(200);
    }
    assert_eq!(server.send("PUT", "/_index_template/x", &headers, b"{}").expect(200)["acknowledged"], true);
    assert_eq!(server.send("GET", "/_license", &[], b"").status, 401);
    assert!(server.get("/").body.starts_with(b"<!"), "browsers get the console");

    let body = b"{\"create\":{\"_index\":\"filebeat\"}}\n{\"message\":\"a\",\"host\":{\"name\":\"web\"}}\n\
                 {\"create\":{\"_index\":\"filebeat\"}}\nno record at all\n";
    let answer = server.send("POST", "/_bulk", &headers, body).expect(200);
    assert_eq!(answer["errors"], true);
    assert_eq!(answer["items"][0]["create"]["status"], 201);
    assert_eq!(answer["items"][1]["create"]["status"], 400);
    assert_eq!(server.send("POST", "/filebeat/_bulk", &headers, b"{}\n{}\n").status, 400);
    let named = b"{\"index\":{\"_id\":\"1\"}}\n{\"message\":\"b\"}\n";
    for _ in 0..2 {
        let answer = server.send("POST", "/logs/_bulk?filter_path=errors,items.*.status", &headers, named);
        assert_eq!(
            answer.expect(200),
            json!({ "took": 1, "errors": false, "items": [{ "index": { "status": 201 } }] })
        );
    }
    let line = server.settled("beats", 3);
    assert_eq!((&line["stored"], &line["rejected"], &line["duplicates"]), (&json!(2), &json!(1), &json!(1)));
}

#[test]
fn the_event_collector_takes_events_and_raw_lines() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_set_up(dir.path(), &[]);
    let authorization = format!("Splunk {}", server.create_source("hec"));
    let headers = [("authorization", authorization.as_str()), ("x-splunk-request-channel", "c")];
    let events = br#"{"time":1790000000,"host":"web","event":{"src_ip":"10.0.0.1"}}{"event":"plain words","host":"db"}"#;
    let answer = server.send("POST", "/services/collector/event", &headers, events).expect(200);
    assert_eq!(answer["code"], 0);
    let acks = json!({ "acks": [answer["ackId"], 1_000_000] }).to_string();
    let acks: Value = server.send("POST", "/services/collector/ack", &headers, acks.as_bytes()).expect(200);
    assert_eq!(acks["acks"][answer["ackId"].to_string()], true);
    assert_eq!(acks["acks"]["1000000"], false);
    server
        .send("POST", "/services/collector/raw", &headers, b"<34>Oct 11 22:14:15 gw su: failed\n")
        .expect(200);
    assert_eq!(server.send("POST", "/services/collector", &headers, b"{\"host\":1}").expect(400)["code"], 12);
    assert_eq!(server.send("POST", "/services/collector", &[], b"").expect(401)["code"], 4);
    server.get("/services/collector/health").expect(200);
    let line = server.settled("hec", 3);
    assert_eq!((&line["stored"], &line["rejected"]), (&json!(3), &json!(0)));
}

#[test]
fn flows_are_events() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_set_up(dir.path(), &["--flow", "127.0.0.1:0"]);
    // NetFlow 5: a header and one record, 10.0.0.1:4660 to 10.0.0.2:443.
    let mut datagram = vec![0, 5, 0, 1];
    // Sent at 1,790,000,000 s.
    datagram.extend([0, 0, 0, 0, 0x6A, 0xB1, 0x3B, 0x80]);
    datagram.extend([0; 12]);
    datagram.extend([10, 0, 0, 1, 10, 0, 0, 2]);
    datagram.extend([0; 8]);
    datagram.extend([0, 0, 0, 3, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x12, 0x34, 1, 0xBB, 0, 0x10, 6, 0]);
    datagram.extend([0; 8]);
    assert_eq!(datagram.len(), 72);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(&datagram, server.source("flow")).unwrap();
    socket.send_to(b"no flow", server.source("flow")).unwrap();
    server.settled("flow", 1);
    let raw: Value = serde_json::from_str(&server.raw_events("flow")[0]).unwrap();
    assert_eq!(raw["sourceTransportPort"], 0x1234);
    assert_eq!(raw["octetDeltaCount"], 256);
    assert_eq!(raw["exporter.protocol"], "netflow5");
}

/// An authority and a certificate of it, as PEM: (authority, certificate, key).
fn certified() -> (String, String, String) {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["sender".to_owned()]).unwrap();
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.signed_by(&key, &Issuer::new(authority, authority_key)).unwrap();
    (authority_pem, certificate.pem(), key.serialize_pem())
}

#[test]
fn rsyslog_sends_over_tls_with_its_certificate_and_strangers_are_counted() {
    let has_module = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"]
        .iter()
        .any(|dir| Path::new(dir).join("rsyslog/lmnsd_gtls.so").exists());
    if !has_module {
        println!("skipped: rsyslog-gnutls is not installed");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let (senders, certificate, key) = certified();
    fs::write(at("senders.pem"), senders).unwrap();
    fs::write(at("client.pem"), certificate).unwrap();
    fs::write(at("client.key"), key).unwrap();
    let toml = format!("[syslog]\nclient_authority = \"{}\"\n", at("senders.pem").display());
    fs::write(at("wanglou.toml"), toml).unwrap();
    let config = at("wanglou.toml");
    let arguments = ["--syslog-tls", "127.0.0.1:0", "--config", config.to_str().unwrap()];
    let server = Server::start_set_up(&at("data"), &arguments);
    let lines: String = (0..300).fold(String::new(), |text, n| text + &format!("line {n}\n"));
    fs::write(at("app.log"), lines).unwrap();
    let config = format!(
        r#"global(workDirectory="{work}" DefaultNetstreamDriver="gtls" DefaultNetstreamDriverCAFile="{work}/data/tls/ca.pem"
       DefaultNetstreamDriverCertFile="{work}/client.pem" DefaultNetstreamDriverKeyFile="{work}/client.key")
module(load="imfile")
input(type="imfile" File="{work}/app.log" Tag="app:")
action(type="omfwd" target="127.0.0.1" port="{port}" protocol="tcp" TCP_Framing="octet-counted"
       StreamDriver="gtls" StreamDriverMode="1" StreamDriverAuthMode="x509/certvalid" action.resumeRetryCount="-1")
"#,
        work = dir.path().display(),
        port = server.source("syslog-tls").port(),
    );
    fs::write(at("rsyslog.conf"), config).unwrap();
    let child = Command::new("rsyslogd")
        .args(["-n", "-f"])
        .arg(at("rsyslog.conf"))
        .arg("-i")
        .arg(at("rsyslog.pid"))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let _running = Running(child);
    let line = server.settled("syslog-tls", 300);
    assert_eq!(line["stored"], 300, "{line}");
    // Plain text is no handshake.
    let mut stranger = std::net::TcpStream::connect(server.source("syslog-tls")).unwrap();
    std::io::Write::write_all(&mut stranger, b"<13>let me in\n").unwrap();
    crate::harness::wait_for("the refused handshake", || {
        let ledger = server.get("/api/v1/ledger").expect(200);
        let line = ledger["sources"].as_array()?.iter().find(|line| line["source"] == "syslog-tls")?.clone();
        (line["dropped"] == 1).then_some(())
    });
}

#[test]
fn syslog_over_tls_takes_lines_of_any_sender_where_no_authority_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_set_up(dir.path(), &["--syslog-tls", "127.0.0.1:0"]);
    let child = Command::new("openssl")
        .args([
            "s_client",
            "-quiet",
            "-verify_return_error",
            "-connect",
            &server.source("syslog-tls").to_string(),
        ])
        .arg("-CAfile")
        .arg(dir.path().join("tls/ca.pem"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(child) = child else {
        println!("skipped: openssl is not installed");
        return;
    };
    let mut running = Running(child);
    let framed =
        "<38>1 2026-11-22T08:00:00Z web-02 sshd 7 - - Accepted password for ops from 203.0.113.5 port 2 ssh2";
    let text = format!("<13>Nov 22 08:00:01 web-02 app: line by line\n{} {framed}", framed.len());
    let mut pipe = running.0.stdin.take().unwrap();
    std::io::Write::write_all(&mut pipe, text.as_bytes()).unwrap();
    server.settled("syslog-tls", 2);
    let mut texts = server.raw_events("syslog-tls");
    texts.sort();
    assert!(texts[0].ends_with("line by line") && texts[1] == framed, "{texts:?}");
}

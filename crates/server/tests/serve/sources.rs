//! Syslog over UDP and TCP, watched folders.

use std::fs;
use std::io::Write;
use std::net::{TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use crate::harness::Server;

#[test]
fn syslog_over_udp_and_tcp() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = ["--syslog-udp", "127.0.0.1:0", "--syslog-tcp", "127.0.0.1:0"];
    let server = Server::start_set_up(dir.path(), &arguments);
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    for n in 0..50 {
        let line = format!(
            "<38>Nov 22 08:00:{:02} web-01 sshd[7]: Failed password for root from 203.0.113.{n} port 2 ssh2",
            n % 60
        );
        udp.send_to(line.as_bytes(), server.source("syslog-udp")).unwrap();
    }
    let mut tcp = TcpStream::connect(server.source("syslog-tcp")).unwrap();
    let framed =
        "<38>1 2026-11-22T08:00:00Z web-02 sshd 7 - - Accepted password for ops from 203.0.113.5 port 2 ssh2";
    tcp.write_all(format!("{} {framed}", framed.len()).as_bytes()).unwrap();
    tcp.write_all(b"<13>Nov 22 08:00:01 web-02 app: line by line\n").unwrap();
    drop(tcp);
    server.settled("syslog-udp", 50);
    server.settled("syslog-tcp", 2);
    assert_eq!(server.raw_events("syslog-udp").len(), 50);
    let mut texts = server.raw_events("syslog-tcp");
    texts.sort();
    assert!(texts[0].ends_with("line by line") && texts[1] == framed, "{texts:?}");
    server.terminate();
}

#[test]
fn a_watched_folder_neither_loses_nor_repeats_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let logs = dir.path().join("logs");
    fs::create_dir(&logs).unwrap();
    let data = dir.path().join("data");
    let arguments = ["--watch", logs.to_str().unwrap()];
    let append = |name: &str, lines: std::ops::Range<u32>| {
        let mut file = fs::OpenOptions::new().append(true).create(true).open(logs.join(name)).unwrap();
        for n in lines {
            writeln!(file, "{{\"n\":{n}}}").unwrap();
        }
    };
    append("app.log", 0..10);
    let server = Server::start_set_up(&data, &arguments);
    server.settled("folder:logs", 10);
    append("app.log", 10..15);
    server.settled("folder:logs", 15);
    server.terminate();

    append("app.log", 15..20);
    fs::rename(logs.join("app.log"), logs.join("app.1.log")).unwrap();
    append("app.log", 20..22);
    let mut server = Server::start(&data, &arguments);
    server.log_on();
    server.settled("folder:logs", 22);
    server.kill();

    append("app.log", 22..25);
    let mut server = Server::start(&data, &arguments);
    server.log_on();
    server.settled("folder:logs", 25);
    let mut texts = server.raw_events("folder:logs");
    texts.sort();
    let mut expected: Vec<String> = (0..25).map(|n| format!("{{\"n\":{n}}}")).collect();
    expected.sort();
    assert_eq!(texts, expected);
}

#[test]
fn lines_over_a_unix_socket_as_suricata_writes_them() {
    let dir = tempfile::tempdir().unwrap();
    let (data, socket) = (dir.path().join("data"), dir.path().join("eve.sock"));
    let argument = format!("suricata={}", socket.display());
    let send = |first: u32| {
        let mut stream = UnixStream::connect(&socket).unwrap();
        for n in first..first + 100 {
            let line = format!(
                "{{\"timestamp\":\"2026-11-22T08:00:00.000000+0000\",\"event_type\":\"dns\",\"flow_id\":{n},\"src_ip\":\"10.0.0.1\",\"dest_ip\":\"10.0.0.2\"}}\n"
            );
            stream.write_all(line.as_bytes()).unwrap();
        }
    };
    let server = Server::start_set_up(&data, &["--socket", &argument]);
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o660);
    send(0);
    assert_eq!(server.settled("suricata", 100)["stored"], 100);
    server.kill();
    assert!(socket.exists(), "a killed platform leaves its socket behind");
    let mut server = Server::start(&data, &["--socket", &argument]);
    server.log_on();
    send(100);
    assert_eq!(server.settled("suricata", 200)["stored"], 200);
    server.terminate();
    assert!(!socket.exists(), "one that stops takes it away");
}

//! More than can be worked off, damaged input in floods, a full disk: senders are held back, nothing is lost silently, and
//! the ledger agrees with what the senders counted themselves.

use std::fs;
use std::io::Write;
use std::net::{TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Server, wait_for};

/// A server with these lines of configuration.
fn configured(dir: &Path, toml: &str, arguments: &[&str]) -> Server {
    let file = dir.join("wanglou.toml");
    fs::write(&file, toml).unwrap();
    let config = ["--config", file.to_str().unwrap()];
    Server::start_set_up(&dir.join("data"), &[config.as_slice(), arguments].concat())
}

fn signal(server: &Server, name: &str) {
    assert!(Command::new("kill").args([name, &server.pid()]).status().unwrap().success());
}

fn reasons(line: &Value) -> Vec<(String, u64)> {
    let reason = |reason: &Value| {
        let (stage, kind) = (reason["stage"].as_str()?, reason["kind"].as_str()?);
        Some((format!("{stage} {kind}"), reason["count"].as_u64()?))
    };
    line["reasons"].as_array().unwrap().iter().map(|one| reason(one).unwrap()).collect()
}

fn line(source: &str, n: usize) -> String {
    format!("{{\"source\":\"{source}\",\"n\":{n},\"filler\":\"{}\"}}\n", "x".repeat(400))
}

#[test]
fn a_flood_is_held_back_while_others_get_through_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let toml = "priority = [\"core\"]\n[limits]\nqueue_mib = 1\n";
    let server = configured(dir.path(), toml, &["--syslog-tcp", "127.0.0.1:0"]);
    let tokens: Vec<String> = ["flood", "quiet", "core"].map(|name| server.create_source(name)).into();
    let is_over = AtomicBool::new(false);
    let (flooded, refused, quiet) = std::thread::scope(|scope| {
        // A batch is a quarter of the queue: the flood alone would fill it with four, if it were let.
        let flood = scope.spawn(|| {
            let body: String = (0..500).map(|n| line("flood", n)).collect();
            let (mut sent, mut refused) = (0_u64, 0_u64);
            while !is_over.load(Ordering::Acquire) {
                let answer = server.ingest(&tokens[0], &[], body.as_bytes());
                match answer.status {
                    200 => sent += 500,
                    _ => {
                        answer.problem(429, "too-many-requests");
                        assert!(answer.header("retry-after").is_some());
                        refused += 1;
                    }
                }
            }
            (sent, refused)
        });
        let tcp = scope.spawn(|| {
            let mut stream = TcpStream::connect(server.source("syslog-tcp")).unwrap();
            let mut sent = 0_u64;
            while !is_over.load(Ordering::Acquire) {
                stream.write_all(line("tcp", 0).as_bytes()).unwrap();
                sent += 1;
            }
            sent
        });
        // Small batches of others, all the while; a few at a time, as real sources send.
        let mut sent = 0_u64;
        for n in 0..30 {
            for token in &tokens[1..] {
                let body: String = (0..10).map(|at| line("quiet", n * 10 + at)).collect();
                server.ingest(token, &[], body.as_bytes()).expect(200);
            }
            sent += 10;
            std::thread::sleep(Duration::from_millis(100));
        }
        is_over.store(true, Ordering::Release);
        let (flooded, refused) = flood.join().unwrap();
        let tcp = tcp.join().unwrap();
        server.settled("syslog-tcp", tcp);
        (flooded, refused, sent)
    });
    assert!(refused > 0, "the flood of {flooded} lines was never held back");
    for (source, sent) in [("flood", flooded), ("quiet", quiet), ("core", quiet)] {
        let line = server.settled(source, sent);
        assert_eq!((&line["stored"], &line["unaccounted"]), (&sent.into(), &0.into()), "{line}");
    }
}

#[test]
fn datagrams_that_the_kernel_drops_are_in_the_ledger() {
    const SENT: u64 = 20_000;
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_set_up(dir.path(), &["--syslog-udp", "127.0.0.1:0"]);
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let datagram = format!("<13>Nov 22 08:00:00 web-01 app: {}", "x".repeat(2_000));
    signal(&server, "-STOP");
    for _ in 0..SENT {
        udp.send_to(datagram.as_bytes(), server.source("syslog-udp")).unwrap();
    }
    signal(&server, "-CONT");
    let line = wait_for("every datagram to be counted", || {
        let ledger = server.get("/api/v1/ledger").expect(200);
        let line = ledger["sources"].as_array()?.iter().find(|line| line["source"] == "syslog-udp")?.clone();
        let (received, dropped) = (line["received"].as_u64()?, line["dropped"].as_u64()?);
        (received + dropped == SENT && line["in_flight"] == 0).then_some(line)
    });
    let dropped = line["dropped"].as_u64().unwrap();
    assert!(dropped > 0, "{line}");
    assert_eq!(reasons(&line), [("dropped kernel_buffer".to_owned(), dropped)]);
    // It is kept: a platform that is killed knows it when it is back.
    std::thread::sleep(Duration::from_millis(1_500));
    server.kill();
    let mut server = Server::start(dir.path(), &[]);
    server.log_on();
    let line = server.settled("syslog-udp", SENT - dropped);
    assert_eq!(line["dropped"], dropped);
}

#[test]
fn a_flood_of_damaged_lines_is_counted_by_reason() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_set_up(dir.path(), &[]);
    let token = server.create_source("web");
    let (mut sent, mut damaged) = (0_u64, 0_u64);
    for batch in 0..20 {
        let mut body = String::new();
        for n in 0..200 {
            sent += 1;
            match (batch + n) % 4 {
                0 => body.push_str("{\"cut\":\"off\n"),
                1 => body.push_str("no format that anybody knows\n"),
                2 => body.push_str("{\"good\":1}\n"),
                _ => body.push_str("<34>Oct 11 22:14:15 gw su: failed for root\n\u{3000}\n\n"),
            }
            damaged += u64::from((batch + n) % 4 < 2);
        }
        server.ingest(&token, &[], body.as_bytes()).expect(200);
    }
    let line = server.settled("web", sent);
    assert_eq!((line["rejected"].as_u64(), line["stored"].as_u64()), (Some(damaged), Some(sent - damaged)));
    let half = damaged / 2;
    assert_eq!(
        reasons(&line),
        [("rejected malformed".to_owned(), half), ("rejected unrecognised".to_owned(), half)]
    );
    assert_eq!(server.get("/api/v1/dead-letters?source=web").expect(200)["total"], damaged);
}

/// A file system of 64 MiB, taken away when dropped.
struct SmallDisk<'p>(&'p Path);

impl<'p> SmallDisk<'p> {
    fn mount(at: &'p Path) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64m", "tmpfs"]).arg(at).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(at))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_stops_acknowledging_says_so_and_recovers_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let Some(_disk) = SmallDisk::mount(&data) else {
        println!("skipped: only root may mount a small disk");
        return;
    };
    let server = configured(dir.path(), "[limits]\nkeep_free_mib = 24\n", &["--syslog-tcp", "127.0.0.1:0"]);
    let token = server.create_source("web");
    let good = (0..10).map(|n| line("web", n)).collect::<String>();
    server.ingest(&token, &[], good.as_bytes()).expect(200);

    let ballast = data.join("ballast");
    fs::write(&ballast, vec![0; 40 << 20]).unwrap();
    let answer = wait_for("the platform to notice", || {
        let answer = server.ingest(&token, &[("idempotency-key", "full")], good.as_bytes());
        (answer.status != 200).then_some(answer)
    });
    let detail = answer.problem(503, "unavailable");
    assert!(detail.contains("disk is full"), "{detail}");
    assert!(answer.header("retry-after").is_some());
    assert_eq!(server.get("/api/v1/ledger").expect(200)["disk_full"], true);

    // A sender over TCP is held back by its window: what it could write is some MiB of buffers, then it waits.
    let mut stream = TcpStream::connect(server.source("syslog-tcp")).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(3))).unwrap();
    let text = line("tcp", 0);
    let (mut written, mut is_held) = (0_usize, false);
    while written < 256 << 20 {
        match stream.write(text.as_bytes().get(written % text.len()..).unwrap()) {
            Ok(bytes) => written += bytes,
            Err(error) => {
                assert!(matches!(
                    error.kind(),
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                ));
                is_held = true;
                break;
            }
        }
    }
    assert!(is_held, "the sender wrote {written} bytes and was not held back");

    fs::remove_file(&ballast).unwrap();
    let rest = &text.as_bytes()[written % text.len()..];
    stream.set_write_timeout(None).unwrap();
    stream.write_all(rest).unwrap();
    drop(stream);
    let tcp_lines = ((written + rest.len()) / text.len()) as u64;
    server.settled("syslog-tcp", tcp_lines);
    let answer = wait_for("the platform to go on", || {
        let answer = server.ingest(&token, &[("idempotency-key", "full")], good.as_bytes());
        (answer.status == 200).then_some(answer)
    });
    assert!(!answer.body.is_empty());
    let line = server.settled("web", 20);
    assert_eq!((&line["stored"], &line["rejected"]), (&20.into(), &0.into()));
    assert_eq!(server.get("/api/v1/ledger").expect(200)["disk_full"], false);
}

//! Sources against real sockets and real files.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use wanglou_ingest::source::{
    Checkpoints, Counters, Delivery, DropReason, ReadFrom, SyslogTcp, SyslogTcpConfig, SyslogUdp,
    SyslogUdpConfig, WatchedFolder, WatchedFolderConfig,
};
use wanglou_model::SourceId;

/// Longest that a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running source and what it delivers.
struct Running {
    deliveries: mpsc::Receiver<Delivery>,
    stop: watch::Sender<bool>,
    task: JoinHandle<std::io::Result<()>>,
    counters: Arc<Counters>,
}

impl Running {
    fn start<F>(
        counters: Arc<Counters>,
        run: impl FnOnce(mpsc::Sender<Delivery>, watch::Receiver<bool>) -> F,
    ) -> Self
    where
        F: Future<Output = std::io::Result<()>> + Send + 'static,
    {
        let (out, deliveries) = mpsc::channel(4);
        let (stop, shutdown) = watch::channel(false);
        let task = tokio::spawn(run(out, shutdown));
        Self { deliveries, stop, task, counters }
    }

    /// Waits for so many frames and gives them as text.
    async fn frames(&mut self, wanted: usize) -> Vec<String> {
        let mut frames = Vec::new();
        while frames.len() < wanted {
            let delivery = tokio::time::timeout(PATIENCE, self.deliveries.recv()).await;
            let delivery =
                delivery.unwrap_or_else(|_| panic!("only {frames:?}")).expect("the source still runs");
            frames.extend(texts(&delivery));
        }
        frames
    }

    /// Stops the source and gives what it still delivers.
    async fn stop(mut self) -> Vec<Delivery> {
        self.stop.send(true).unwrap();
        let mut rest = Vec::new();
        while let Some(delivery) = tokio::time::timeout(PATIENCE, self.deliveries.recv()).await.unwrap() {
            rest.push(delivery);
        }
        self.task.await.unwrap().unwrap();
        rest
    }
}

fn texts(delivery: &Delivery) -> impl Iterator<Item = String> {
    delivery.frames.iter().map(|frame| String::from_utf8_lossy(frame).into_owned())
}

async fn udp() -> (Running, std::net::SocketAddr) {
    let config = SyslogUdpConfig::new(SourceId::new("udp"), "127.0.0.1:0".parse().unwrap());
    let source = SyslogUdp::bind(config).await.unwrap();
    let address = source.local_addr().unwrap();
    (Running::start(source.counters(), |out, stop| source.run(out, stop)), address)
}

async fn tcp(change: impl FnOnce(&mut SyslogTcpConfig)) -> (Running, std::net::SocketAddr) {
    let mut config = SyslogTcpConfig::new(SourceId::new("tcp"), "127.0.0.1:0".parse().unwrap());
    change(&mut config);
    let source = SyslogTcp::bind(config).await.unwrap();
    let address = source.local_addr().unwrap();
    (Running::start(source.counters(), |out, stop| source.run(out, stop)), address)
}

#[tokio::test]
async fn every_datagram_is_a_frame() {
    let (mut source, address) = udp().await;
    let sender = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let sent: Vec<String> = (0..300).map(|n| format!("<13>message {n}")).collect();
    for message in &sent {
        sender.send_to(message.as_bytes(), address).await.unwrap();
    }
    sender.send_to(b"", address).await.unwrap();
    assert_eq!(source.frames(300).await, sent);
    assert_eq!(source.counters.received(), 300);
    assert_eq!(source.counters.dropped_total(), 0);
    assert!(source.stop().await.is_empty());
}

#[tokio::test]
async fn logger_sends_to_both_sockets() {
    if std::process::Command::new("logger").arg("--version").output().is_err() {
        println!("skipped: there is no `logger` here");
        return;
    }
    let (mut datagrams, udp_address) = udp().await;
    let (mut stream, tcp_address) = tcp(|_| {}).await;
    for (address, options) in [
        (udp_address, ["--udp", "--rfc3164"].as_slice()),
        (udp_address, &["--udp", "--rfc5424"]),
        (tcp_address, &["--tcp", "--rfc5424", "--octet-count"]),
        (tcp_address, &["--tcp", "--rfc3164"]),
    ] {
        let mut command = std::process::Command::new("logger");
        command.args(options).args(["--server", "127.0.0.1", "--port", &address.port().to_string()]);
        command.args(["--tag", "probe", "你好 world"]);
        let status = tokio::task::spawn_blocking(move || command.status()).await.unwrap().unwrap();
        assert!(status.success());
    }
    for frames in [datagrams.frames(2).await, stream.frames(2).await] {
        for frame in frames {
            let mut fields = wanglou_model::FieldMap::new();
            wanglou_ingest::decode::syslog::decode(&frame, &mut fields).unwrap();
            let get = |name| fields.text(wanglou_model::PathId::reserve(name));
            assert_eq!(
                (get("syslog.app"), get("syslog.message")),
                (Some("probe"), Some("你好 world")),
                "{frame}"
            );
        }
    }
}

#[tokio::test]
async fn streams_are_framed_and_limits_are_counted() {
    let (mut source, address) = tcp(|config| {
        config.max_frame_bytes = 16;
        config.max_connections = 1;
    })
    .await;
    let mut sender = TcpStream::connect(address).await.unwrap();
    sender.write_all(b"5 <1>a\n<2>b\n<3>much too long for this\n6 <4>").await.unwrap();
    assert_eq!(source.frames(2).await, ["<1>a", "<2>b"]);
    let mut refused = TcpStream::connect(address).await.unwrap();
    let mut nothing = [0; 1];
    assert_eq!(tokio::io::AsyncReadExt::read(&mut refused, &mut nothing).await.unwrap_or(0), 0);
    sender.write_all(b"xyz<5>last").await.unwrap();
    drop(sender);
    assert_eq!(source.frames(2).await, ["<4>xyz", "<5>last"]);
    let counters = Arc::clone(&source.counters);
    assert!(source.stop().await.is_empty());
    assert_eq!(counters.dropped(DropReason::TooLong), 1);
    assert_eq!(counters.dropped(DropReason::TooManyConnections), 1);
    assert_eq!(counters.dropped(DropReason::Truncated), 0);
    assert_eq!(counters.received(), 4);
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_a_cut_frame_counted() {
    let (source, address) = tcp(|config| config.idle_timeout_secs = 1).await;
    let mut sender = TcpStream::connect(address).await.unwrap();
    sender.write_all(b"99 <1>cut").await.unwrap();
    let mut nothing = [0; 1];
    let closed =
        tokio::time::timeout(PATIENCE, tokio::io::AsyncReadExt::read(&mut sender, &mut nothing)).await;
    assert_eq!(closed.expect("closed in time").unwrap_or(0), 0);
    let counters = Arc::clone(&source.counters);
    source.stop().await;
    assert_eq!(counters.dropped(DropReason::Truncated), 1);
}

#[tokio::test]
async fn a_full_channel_holds_the_sender_back_and_loses_nothing() {
    let (mut source, address) = tcp(|_| {}).await;
    let sent: Vec<String> = (0..20_000).map(|n| format!("<13>{n:0>400}")).collect();
    let stream = sent.join("\n") + "\n";
    let sender = tokio::spawn(async move {
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(stream.as_bytes()).await.unwrap();
    });
    // Eight megabytes wait behind a channel of four deliveries that nobody empties yet.
    assert!(
        tokio::time::timeout(Duration::from_millis(300), async { source.task.is_finished() }).await.is_ok()
    );
    assert_eq!(source.frames(20_000).await, sent);
    sender.await.unwrap();
    source.stop().await;
}

/// Stores what a folder delivers and checks that nothing is lost or repeated.
#[derive(Default)]
struct Store(Mutex<HashMap<String, u64>>);

impl Checkpoints for Store {
    fn offset(&self, _source: &SourceId, identity: &str) -> Option<u64> {
        self.0.lock().unwrap().get(identity).copied()
    }
}

impl Store {
    fn append(&self, delivery: &Delivery) -> Vec<String> {
        let position = delivery.file.as_ref().expect("a file's position");
        let bytes: usize = delivery.frames.iter().map(|frame| frame.len() + 1).sum();
        assert_eq!(position.end - position.start, bytes as u64, "offsets add up");
        let mut offsets = self.0.lock().unwrap();
        let before = offsets.insert(position.identity.clone(), position.end).unwrap_or(0);
        assert_eq!(before, position.start, "neither a gap nor a repetition in `{}`", position.path);
        texts(delivery).collect()
    }
}

struct Watch {
    running: Running,
    store: Arc<Store>,
}

impl Watch {
    fn start(folder: &Path, store: &Arc<Store>, change: impl FnOnce(&mut WatchedFolderConfig)) -> Self {
        let mut config = WatchedFolderConfig::new(SourceId::new("files"), folder.to_owned());
        config.scan_interval_ms = 10;
        change(&mut config);
        let checkpoints: Arc<dyn Checkpoints> = Arc::clone(store) as Arc<_>;
        let source = WatchedFolder::new(config, checkpoints).unwrap();
        let running = Running::start(source.counters(), |out, stop| source.run(out, stop));
        Self { running, store: Arc::clone(store) }
    }

    async fn lines(&mut self, wanted: usize) -> Vec<String> {
        let mut lines = Vec::new();
        while lines.len() < wanted {
            let delivery = tokio::time::timeout(PATIENCE, self.running.deliveries.recv()).await;
            let delivery = delivery.unwrap_or_else(|_| panic!("only {lines:?}")).expect("still runs");
            lines.extend(self.store.append(&delivery));
        }
        lines
    }

    async fn stop(self) -> Vec<String> {
        let rest = self.running.stop().await;
        rest.iter().flat_map(|delivery| self.store.append(delivery)).collect()
    }
}

fn append(path: &Path, text: &str) {
    let mut file = fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[tokio::test]
async fn a_growing_file_is_followed_through_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("a.log");
    let store = Arc::new(Store::default());
    append(&log, "one\ntwo\npart");
    let mut watch = Watch::start(folder.path(), &store, |_| {});
    assert_eq!(watch.lines(2).await, ["one", "two"]);
    append(&log, "ial\n\nfour\n");
    assert_eq!(watch.lines(3).await, ["partial", "", "four"]);
    assert!(watch.stop().await.is_empty());
    append(&log, "five\nsi");
    let mut watch = Watch::start(folder.path(), &store, |_| {});
    assert_eq!(watch.lines(1).await, ["five"]);
    append(&log, "x\n");
    assert_eq!(watch.lines(1).await, ["six"]);
    assert!(watch.stop().await.is_empty());
}

#[tokio::test]
async fn rename_and_recreate_loses_and_repeats_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("a.log");
    for include in ["*.log", "*.log*"] {
        let store = Arc::new(Store::default());
        append(&log, "1\n2\n");
        let mut watch = Watch::start(folder.path(), &store, |config| config.include = vec![include.into()]);
        assert_eq!(watch.lines(2).await, ["1", "2"]);
        let mut writer = fs::OpenOptions::new().append(true).open(&log).unwrap();
        fs::rename(&log, folder.path().join("a.log.1")).unwrap();
        append(&log, "1\n4\n");
        assert_eq!(watch.lines(2).await, ["1", "4"]);
        // The old writer has not reopened yet.
        writer.write_all(b"3\n").unwrap();
        assert_eq!(watch.lines(1).await, ["3"]);
        assert!(watch.stop().await.is_empty());
        fs::remove_file(&log).unwrap();
        fs::remove_file(folder.path().join("a.log.1")).unwrap();
    }
}

#[tokio::test]
async fn copy_and_truncate_begins_anew_even_with_the_same_first_line() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("a.log");
    let store = Arc::new(Store::default());
    append(&log, "#header\n1\n2\n");
    let mut watch = Watch::start(folder.path(), &store, |_| {});
    assert_eq!(watch.lines(3).await, ["#header", "1", "2"]);
    fs::write(&log, "#header\n3\n").unwrap();
    assert_eq!(watch.lines(2).await, ["#header", "3"]);
    assert!(watch.stop().await.is_empty());
    append(&log, "4\n5\n6\n7\n");
    let mut watch = Watch::start(folder.path(), &store, |_| {});
    assert_eq!(watch.lines(4).await, ["4", "5", "6", "7"]);
    assert!(watch.stop().await.is_empty());
    // Truncated while nobody watched.
    fs::write(&log, "#header\n8\n").unwrap();
    let mut watch = Watch::start(folder.path(), &store, |_| {});
    assert_eq!(watch.lines(2).await, ["#header", "8"]);
    fs::write(&log, "other\n").unwrap();
    assert_eq!(watch.lines(1).await, ["other"]);
    assert!(watch.stop().await.is_empty());
}

#[tokio::test]
async fn patterns_compressed_files_and_the_beginning_are_heeded() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("sub/deep")).unwrap();
    for name in ["a.log", "a.log.1.gz", "b.txt", "sub/c.log", "sub/deep/d.log", "sub/secret.log"] {
        append(&folder.path().join(name), &format!("{name} old\n"));
    }
    let store = Arc::new(Store::default());
    let mut watch = Watch::start(folder.path(), &store, |config| {
        config.include = vec!["*.log*".into(), "sub/**/*.log".into()];
        config.exclude = vec!["**/secret*".into()];
    });
    let mut lines = watch.lines(3).await;
    lines.sort();
    assert_eq!(lines, ["a.log old", "sub/c.log old", "sub/deep/d.log old"]);
    assert!(watch.stop().await.is_empty());

    let store = Arc::new(Store::default());
    let checkpoints: Arc<dyn Checkpoints> = Arc::clone(&store) as Arc<_>;
    let mut config = WatchedFolderConfig::new(SourceId::new("files"), folder.path().to_owned());
    (config.scan_interval_ms, config.read_from) = (10, ReadFrom::End);
    let source = WatchedFolder::new(config, checkpoints).unwrap();
    let mut running = Running::start(source.counters(), |out, stop| source.run(out, stop));
    tokio::time::sleep(Duration::from_millis(200)).await;
    append(&folder.path().join("a.log"), "a new\n");
    append(&folder.path().join("new.log"), "from its beginning\n");
    let mut frames = running.frames(2).await;
    frames.sort();
    assert_eq!(frames, ["a new", "from its beginning"]);
    running.stop().await;
    let config = WatchedFolderConfig {
        include: vec!["a[".into()],
        ..WatchedFolderConfig::new(SourceId::new("x"), "/".into())
    };
    assert!(WatchedFolder::new(config, Arc::new(Store::default())).unwrap_err().to_string().contains("`a[`"));
}

#[tokio::test]
async fn lines_beyond_the_limit_are_dropped_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("a.log");
    let long = "x".repeat(900_000);
    append(&log, &format!("one\n{long}\ntwo\n{long}"));
    let checkpoints = Arc::new(Store::default());
    let mut config = WatchedFolderConfig::new(SourceId::new("files"), folder.path().to_owned());
    (config.scan_interval_ms, config.max_line_bytes) = (10, 1_000);
    let source = WatchedFolder::new(config, checkpoints).unwrap();
    let mut running = Running::start(source.counters(), |out, stop| source.run(out, stop));
    assert_eq!(running.frames(2).await, ["one", "two"]);
    append(&log, "y\nthree\n");
    assert_eq!(running.frames(1).await, ["three"]);
    assert_eq!(running.counters.dropped(DropReason::TooLong), 2);
    running.stop().await;
}

#[test]
fn settings_refuse_names_they_do_not_know() {
    let parse = |text: &str| serde_json::from_str::<SyslogTcpConfig>(text);
    let config = parse(r#"{"source": "s", "listen": "[::]:601", "max_connections": 3}"#).unwrap();
    assert_eq!((config.max_connections, config.listen.port()), (3, 601));
    assert!(parse(r#"{"source": "s", "listen": "[::]:601", "max_conections": 3}"#).is_err());
}

//! Starts the binary, speaks HTTP/1.1 with it, waits for what comes about in its own time.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// The longest anything may take before a test gives up: far more than it needs, because machines are slow under load.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
pub(crate) const PASSWORD: &str = "correct horse battery";

/// A running platform. Killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) base: String,
    pub(crate) setup_token: Option<String>,
    banner: Vec<String>,
    cookie: Option<String>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {}", String::from_utf8_lossy(&self.body)))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(held, _)| held == name).map(|(_, value)| value.as_str())
    }

    /// The JSON of an answer that must have this status.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        if self.body.is_empty() { Value::Null } else { self.json() }
    }

    /// The detail of a problem document of this status and kind; all its members must be there.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, kind: &str) -> String {
        let document = self.expect(status);
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert_eq!(document["type"], format!("urn:wanglou:problem:{kind}"));
        assert_eq!(document["status"], status);
        for member in ["title", "title_zh", "detail", "detail_zh", "instance"] {
            assert!(document[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {document}");
        }
        document["detail"].as_str().unwrap().to_owned()
    }
}

impl Server {
    /// Starts on loopback without TLS.
    pub(crate) fn start(data_dir: &Path, arguments: &[&str]) -> Self {
        Self::start_with(data_dir, &[&["--dev-http"], arguments].concat())
    }

    /// Starts with exactly these arguments beside data directory and port.
    pub(crate) fn start_with(data_dir: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_wanglou"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data_dir)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut banner = Vec::new();
        let base = loop {
            let line = lines.next().expect("the platform ended before it listened").unwrap();
            match line.strip_prefix("listening on ") {
                Some(base) => break base.to_owned(),
                None => banner.push(line),
            }
        };
        let setup_token = banner
            .iter()
            .find_map(|line| line.split_once("/setup#token="))
            .map(|(_, token)| token.to_owned());
        Self { child, base, setup_token, banner, cookie: None }
    }

    /// Starts and sets the administrator up.
    pub(crate) fn start_set_up(data_dir: &Path, arguments: &[&str]) -> Self {
        let mut server = Self::start(data_dir, arguments);
        let token = server.setup_token.clone().unwrap();
        let request = json!({ "token": token, "username": "admin", "password": PASSWORD });
        let answer = server.post("/api/v1/setup", &request);
        answer.expect(201);
        server.keep_cookie(&answer);
        server
    }

    pub(crate) fn log_on(&mut self) {
        let answer = self.post("/api/v1/session", &json!({ "username": "admin", "password": PASSWORD }));
        answer.expect(200);
        self.keep_cookie(&answer);
    }

    pub(crate) fn keep_cookie(&mut self, answer: &Answer) {
        let cookie = answer.header("set-cookie").unwrap();
        self.cookie = Some(cookie.split(';').next().unwrap().to_owned());
    }

    pub(crate) fn forget_cookie(&mut self) -> Option<String> {
        self.cookie.take()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.base.split_once("://").unwrap().1.parse().unwrap()
    }

    /// Where a source of the banner listens.
    pub(crate) fn source(&self, name: &str) -> SocketAddr {
        let prefix = format!("source {name} on ");
        self.banner.iter().find_map(|line| line.strip_prefix(&prefix)).unwrap().parse().unwrap()
    }

    /// The line of the banner that begins like this, without its beginning.
    pub(crate) fn told(&self, prefix: &str) -> Option<&str> {
        self.banner.iter().find_map(|line| line.strip_prefix(prefix))
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], b"")
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        let headers = [("content-type", "application/json"), ("x-wanglou-csrf", "1")];
        self.send("POST", path, &headers, body.to_string().as_bytes())
    }

    /// Creates an HTTP source; gives its token.
    pub(crate) fn create_source(&self, name: &str) -> String {
        let created = self.post("/api/v1/sources", &json!({ "name": name })).expect(201);
        created["token"].as_str().unwrap().to_owned()
    }

    pub(crate) fn ingest(&self, token: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let bearer = format!("Bearer {token}");
        let headers = [&[("authorization", bearer.as_str())], headers].concat();
        self.send("POST", "/api/v1/ingest", &headers, body)
    }

    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.try_send(method, path, headers, body).unwrap()
    }

    /// Sends a request; an error when the platform is gone.
    pub(crate) fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> std::io::Result<Answer> {
        let mut stream = self.open_request(method, path, headers, body)?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes)?;
        parse(&bytes)
    }

    /// Sends a request and leaves the answer to be read.
    pub(crate) fn open_request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> std::io::Result<TcpStream> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: wanglou\r\nconnection: close\r\n");
        if let Some(cookie) = &self.cookie {
            head.push_str(&format!("cookie: {cookie}\r\n"));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
        let mut stream = TcpStream::connect(self.address())?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(head.as_bytes())?;
        // A server that refuses early may close before it has read all.
        _ = stream.write_all(body);
        Ok(stream)
    }

    /// One source's line of the loss ledger, once nothing is in flight. The ledger must balance.
    #[track_caller]
    pub(crate) fn settled(&self, source: &str, received: u64) -> Value {
        wait_for(&format!("{received} lines of {source}"), || {
            let ledger = self.get("/api/v1/ledger").expect(200);
            let lines = ledger["sources"].as_array().unwrap();
            let line = lines.iter().find(|line| line["source"] == source)?.clone();
            if line["in_flight"] != 0 || line["received"].as_u64()? < received {
                return None;
            }
            assert_eq!(line["balanced"], true, "{line}");
            assert_eq!(line["received"], received, "{line}");
            Some(line)
        })
    }

    /// The raw text of all events of a source.
    pub(crate) fn raw_events(&self, source: &str) -> Vec<String> {
        let mut texts = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!(
                "/api/v1/events?from=2020-01-01T00:00:00Z&to=2100-01-01T00:00:00Z&limit=1000&where=source:{source}{cursor}"
            );
            let page = self.get(&path).expect(200);
            for event in page["events"].as_array().unwrap() {
                texts.push(event["raw_data"].as_str().unwrap().to_owned());
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return texts,
            }
        }
    }

    pub(crate) fn pid(&self) -> String {
        self.child.id().to_string()
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) fn terminate(mut self) {
        assert!(Command::new("kill").args(["-TERM", &self.pid()]).status().unwrap().success());
        let status = self.child.wait().unwrap();
        assert_eq!(status.code(), Some(0));
    }

    /// SIGKILL: nothing is finished, nothing is said.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Waits until something is there.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = attempt() {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn parse(bytes: &[u8]) -> std::io::Result<Answer> {
    let cut = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").ok_or_else(cut)?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let body = &bytes[end + 4..];
    let is_chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    let body = if is_chunked { dechunk(body).ok_or_else(cut)? } else { body.to_vec() };
    Ok(Answer { status, headers, body })
}

fn dechunk(mut body: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let end = body.windows(2).position(|window| window == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&body[..end]).ok()?, 16).ok()?;
        if size == 0 {
            return Some(whole);
        }
        whole.extend_from_slice(body.get(end + 2..end + 2 + size)?);
        body = body.get(end + 4 + size..)?;
    }
}

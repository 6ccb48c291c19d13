//! How much telemetry one platform takes in, live: lines of 500 bytes over syslog/TCP and NDJSON over HTTP at once, all
//! built-in rules on, every line on disk before it is acknowledged; and how long it takes from a socket to a finding.
//!
//! Both senders send as fast as they are let. Beside the rate on the clock stands the rate by the platform's own CPU
//! time, which other work on the machine disturbs less.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Row;
use crate::api::{Session, agent};
use crate::run::{say, step};
use crate::up::{self, Platform};

/// What is wanted of one process on two cores.
const WANTED_RATE: f64 = 60_000.0;
const WANTED_LATENCY_MS: f64 = 1_000.0;
/// Bytes of a line, its end included.
const LINE_BYTES: usize = 500;
/// Lines of one request.
const BATCH_LINES: u64 = 1_000;
/// Lines written to the socket at once.
const WRITE_LINES: u64 = 100;
/// How long the lines in flight may take to be worked off.
const SETTLE_WITHIN: Duration = Duration::from_secs(300);
/// Attacks that are timed, and the pause between them.
const PROBES: usize = 100;
const PROBE_PAUSE: Duration = Duration::from_millis(200);

/// Measures.
pub(super) fn measure(wanglou: &Path, seconds: u64) -> Result<Vec<Row>> {
    let home = tempfile::tempdir()?;
    let platform = Bench::start(wanglou, home.path())?;
    let span = Duration::from_secs(seconds);
    let full = step("as fast as it takes it", || platform.load(span, None))?;
    let rate = full.lines_per_second();
    // Half of what it takes: latency at the limit is the length of the queue, which is bounded by bytes.
    let (half, latencies) = step("latency at half of that", || {
        std::thread::scope(|scope| {
            let probing = scope.spawn(|| platform.probe());
            let half =
                platform.load(PROBE_PAUSE * u32::try_from(PROBES).unwrap_or(u32::MAX), Some(rate / 2.0))?;
            let latencies = probing.join().map_err(|_| anyhow::anyhow!("the probe panicked"))??;
            Ok::<_, anyhow::Error>((half, latencies))
        })
    })?;
    let peak = platform.peak_mib()?;
    say(&format!(
        "  {} lines acknowledged, {} requests told to come back (429), {} lines at half load",
        full.lines, full.refused, half.lines
    ));
    let row = |name: &str, value: f64, unit: &str, baseline: f64| Row {
        name: name.to_owned(),
        value,
        unit: unit.to_owned(),
        baseline,
        ratio: value / baseline,
    };
    Ok(vec![
        row("ingest, on the clock", rate, "lines/s (wanted as baseline)", WANTED_RATE),
        row(
            "ingest, two cores' worth of CPU time",
            2.0 * full.lines_f64() / full.cpu_seconds,
            "lines/s (wanted as baseline)",
            WANTED_RATE,
        ),
        row(
            "socket to finding at half load, p50",
            percentile(&latencies, 0.5),
            "ms (limit)",
            WANTED_LATENCY_MS,
        ),
        row(
            "socket to finding at half load, p99",
            percentile(&latencies, 0.99),
            "ms (limit)",
            WANTED_LATENCY_MS,
        ),
        row("peak memory", peak, "MiB (queue as baseline)", 64.0),
        row(
            "lines unaccounted for",
            platform.unaccounted()?,
            "lines (received as baseline)",
            full.lines_f64(),
        ),
    ])
}

/// What was sent and what it cost.
struct Load {
    lines: u64,
    refused: u64,
    seconds: f64,
    cpu_seconds: f64,
}

impl Load {
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    fn lines_f64(&self) -> f64 {
        self.lines as f64
    }

    fn lines_per_second(&self) -> f64 {
        self.lines_f64() / self.seconds
    }
}

struct Bench {
    platform: Platform,
    session: Session,
    token: String,
    syslog: String,
}

impl Bench {
    fn start(wanglou: &Path, home: &Path) -> Result<Self> {
        let (port, syslog) = (up::free_port()?, std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?);
        let watched = home.join("watched");
        fs::create_dir_all(&watched)?;
        let syslog = syslog.to_string();
        let platform =
            Platform::start_with(port, wanglou, &home.join("data"), &watched, &["--syslog-tcp", &syslog])?;
        let link = platform.setup_link().context("a fresh platform printed no set-up link")?;
        let session = Session::set_up(&platform.address, &link)?;
        let token = session.create_source("bench")?;
        Ok(Self { platform, session, token, syslog })
    }

    /// Sends over both ways for a time, at most at this rate, and waits until all is worked off.
    fn load(&self, span: Duration, rate: Option<f64>) -> Result<Load> {
        let (cpu, since) = (self.platform.cpu_seconds()?, Instant::now());
        let is_over = AtomicBool::new(false);
        let (syslog, (http, refused)) = std::thread::scope(|scope| {
            let pace = Pace { since, rate: rate.map(|rate| rate / 2.0), is_over: &is_over };
            let syslog = scope.spawn(move || self.send_syslog(pace));
            let http = scope.spawn(move || self.send_http(pace));
            std::thread::sleep(span);
            is_over.store(true, Ordering::Release);
            let gone = |_| anyhow::anyhow!("a sender panicked");
            Ok::<_, anyhow::Error>((syslog.join().map_err(gone)??, http.join().map_err(gone)??))
        })?;
        self.wait_until_settled()?;
        let seconds = since.elapsed().as_secs_f64();
        Ok(Load { lines: syslog + http, refused, seconds, cpu_seconds: self.platform.cpu_seconds()? - cpu })
    }

    fn send_syslog(&self, pace: Pace<'_>) -> Result<u64> {
        let mut stream = TcpStream::connect(&self.syslog).context("connecting to the syslog port")?;
        let mut sent = 0;
        while pace.goes_on(sent) {
            let lines: String = (sent..sent + WRITE_LINES).map(syslog_line).collect();
            stream.write_all(lines.as_bytes()).context("writing to the syslog port")?;
            sent += WRITE_LINES;
        }
        Ok(sent)
    }

    fn send_http(&self, pace: Pace<'_>) -> Result<(u64, u64)> {
        let agent = agent();
        let (mut sent, mut refused) = (0, 0);
        while pace.goes_on(sent) {
            let body: String = (sent..sent + BATCH_LINES).map(json_line).collect();
            let answer = agent
                .post(format!("{}/api/v1/ingest", self.platform.address))
                .header("Authorization", format!("Bearer {}", self.token))
                .config()
                .http_status_as_error(false)
                .build()
                .send(&body)
                .context("POST ingest")?;
            match answer.status().as_u16() {
                200 => sent += BATCH_LINES,
                429 => {
                    refused += 1;
                    std::thread::sleep(Duration::from_millis(50));
                }
                other => bail!("ingest answered {other}"),
            }
        }
        Ok((sent, refused))
    }

    fn wait_until_settled(&self) -> Result<()> {
        let since = Instant::now();
        while since.elapsed() < SETTLE_WITHIN {
            let ledger = self.session.get("ledger")?;
            if sum(&ledger, "in_flight") == 0 {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        bail!("the platform did not work off what it had taken");
    }

    /// Times attacks, one after the other, from the write to the socket to the news of the finding. Milliseconds.
    fn probe(&self) -> Result<Vec<f64>> {
        let (sender, news) = mpsc::channel();
        let stream = self.session.open("stream")?;
        let is_over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&is_over);
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                if ends.load(Ordering::Acquire) || sender.send((Instant::now(), line)).is_err() {
                    return;
                }
            }
        });
        let mut socket = TcpStream::connect(&self.syslog).context("connecting to the syslog port")?;
        let mut latencies = Vec::new();
        for probe in 0..PROBES {
            let address = format!("198.18.{}.{}", probe / 250, probe % 250 + 1);
            let sent = Instant::now();
            socket.write_all(attack(&address).as_bytes())?;
            let deadline = sent + Duration::from_secs(60);
            let found = loop {
                let (at, line) = news
                    .recv_timeout(deadline.saturating_duration_since(Instant::now()))
                    .context("no finding came of an attack within a minute")?;
                if line.contains(&format!("\"{address}\"")) {
                    break at;
                }
            };
            latencies.push(found.duration_since(sent).as_secs_f64() * 1e3);
            std::thread::sleep(PROBE_PAUSE.saturating_sub(sent.elapsed()));
        }
        is_over.store(true, Ordering::Release);
        latencies.sort_by(f64::total_cmp);
        Ok(latencies)
    }

    fn unaccounted(&self) -> Result<f64> {
        let ledger = self.session.get("ledger")?;
        let lines = ledger.get("sources").and_then(Value::as_array).into_iter().flatten();
        let parts = lines.map(|line| {
            let part = |name: &str| line.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN);
            (part("received") - part("stored") - part("rejected") - part("in_flight")).abs()
        });
        Ok(parts.sum())
    }

    /// The most memory the platform has had, in MiB.
    fn peak_mib(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.platform.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
        let kib: f64 = line.trim().trim_end_matches(" kB").trim().parse()?;
        Ok(kib / 1024.0)
    }
}

/// How fast a sender may go, and how long.
#[derive(Clone, Copy)]
struct Pace<'p> {
    since: Instant,
    rate: Option<f64>,
    is_over: &'p AtomicBool,
}

impl Pace<'_> {
    /// Waits until more may be sent; false when it is over.
    #[expect(clippy::cast_precision_loss, reason = "a pace, not a sum")]
    fn goes_on(&self, sent: u64) -> bool {
        while let Some(rate) = self.rate
            && sent as f64 > rate * self.since.elapsed().as_secs_f64()
            && !self.is_over.load(Ordering::Acquire)
        {
            std::thread::sleep(Duration::from_millis(1));
        }
        !self.is_over.load(Ordering::Acquire)
    }
}

fn sum(ledger: &Value, column: &str) -> u64 {
    let rows = ledger.get("sources").and_then(Value::as_array);
    rows.into_iter().flatten().filter_map(|row| row.get(column)?.as_u64()).sum()
}

/// Pads a line with what its format lets stand at the end.
fn padded(start: &str, end: &str) -> String {
    let missing = LINE_BYTES.saturating_sub(start.len() + end.len());
    let words = "lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor ";
    let filler: String = words.chars().cycle().take(missing).collect();
    format!("{start}{filler}{end}")
}

fn syslog_line(n: u64) -> String {
    let time = jiff::Timestamp::now();
    let start = format!(
        "<134>1 {time:.6} app-{:02} portal {n} - - request {n} of user u{} from 10.{}.{}.{} done in {} ms ",
        n % 40,
        n % 5_000,
        n % 7,
        n % 200,
        n % 250,
        n % 900
    );
    padded(&start, "\n")
}

fn json_line(n: u64) -> String {
    let time = jiff::Timestamp::now();
    let start = format!(
        "{{\"time\":\"{time:.6}\",\"remote_addr\":\"10.{}.{}.{}\",\"request_method\":\"GET\",\"request_uri\":\"/portal/item/{n}\",\
         \"status\":200,\"body_bytes_sent\":{},\"http_host\":\"portal-{:02}\",\"http_user_agent\":\"Mozilla/5.0\",\"note\":\"",
        n % 7,
        n % 200,
        n % 250,
        n % 90_000,
        n % 40
    );
    padded(&start, "\"}\n")
}

/// An SQL injection in an access log, which a built-in rule finds.
fn attack(address: &str) -> String {
    let now = jiff::Zoned::now().strftime("%d/%b/%Y:%H:%M:%S %z");
    format!(
        "{address} - - [{now}] \"GET /news.php?id=1%27%20UNION%20SELECT%20username,password%20FROM%20users--%20- HTTP/1.1\" 200 4523 \"-\" \"sqlmap/1.7\"\n"
    )
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an index into a hundred values"
)]
fn percentile(sorted: &[f64], part: f64) -> f64 {
    let at = ((sorted.len() as f64 * part).ceil() as usize).saturating_sub(1);
    sorted.get(at).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_the_size_that_is_promised() {
        for n in [0, 1_234_567] {
            assert_eq!(syslog_line(n).len(), LINE_BYTES);
            assert_eq!(json_line(n).len(), LINE_BYTES);
            assert!(serde_json::from_str::<Value>(&json_line(n)).is_ok());
        }
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        assert!(
            (percentile(&hundred, 0.99) - 99.0).abs() < 1e-9
                && (percentile(&hundred, 0.5) - 50.0).abs() < 1e-9
        );
    }
}

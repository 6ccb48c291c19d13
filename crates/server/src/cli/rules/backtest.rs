//! `wanglou rules backtest`: what rules would have found in the events that are stored.
//!
//! The lake keeps the bytes of every record: they are decoded again, so that new rules see what they would have seen.
//! Events come out of the lake by event time; those that correlations count are put back into the order in which they
//! arrived, so that windows fill as they did. Findings have the ids that the platform gives them.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use jiff::tz::TimeZone;
use serde::Serialize;
use smallvec::SmallVec;
use wanglou_detect::{Correlator, Engine, RuleIndex, Scratch};
use wanglou_ingest::{EventContext, FrameDecoder, normalize};
use wanglou_lake::{Hit, Lake, LakeConfig, Query};
use wanglou_model::{EventUid, Finding, Place, Record, SourceId, TenantId, Timestamp};

use super::{CheckFormat, Said};
use crate::cli::{ExitStatus, UsageError, offline};
use crate::content;
use crate::rulebook::{ProcessingArgs, Rulebook};
use crate::scan::output::visible;

/// Runs rules over the events that a platform has stored 用历史日志回测规则
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The rules: files, folders or zips
    #[arg(required = true, value_name = "RULE")]
    rules: Vec<PathBuf>,
    #[command(flatten)]
    processing: ProcessingArgs,
    /// How far back, as 30d, 12h or 45m
    #[arg(long, value_name = "SPAN", default_value = "30d", value_parser = parse_span)]
    since: i64,
    /// The platform's data directory. The platform must not be running on it
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// Time zone of log times that name none, as the platform's `time_zone`
    #[arg(long, value_name = "ZONE", default_value = "Asia/Shanghai")]
    zone: String,
    /// How to show the findings: a summary, or one OCSF finding a line
    #[arg(long, value_enum, default_value_t = CheckFormat::Text)]
    format: CheckFormat,
}

const EXAMPLES: &str = "\
Examples:
  wanglou rules backtest new-rule.yml --since 30d --data-dir /var/lib/wanglou
  wanglou rules backtest my-rules/ --data-dir copy-of-data --format json > findings.ndjson

Exit codes: 0 nothing found, 1 something, 2 some input unreadable, 64 wrong usage.";

/// Events of one page.
const PAGE: usize = wanglou_lake::MAX_PAGE;
/// Events that correlations count which are held until they can be put in order of arrival.
const MAX_COUNTED: usize = 500_000;
/// Pages between two lines of progress.
const PAGES_TOLD: u64 = 50;
/// Findings that the summary names.
const MAX_SHOWN: usize = 50;

/// What came of a backtest, beside its findings.
#[derive(Default, Serialize)]
struct Sums {
    events: u64,
    findings: u64,
    /// Events whose bytes do not give one record again.
    not_read_again: u64,
    /// Events beyond those that could be held for correlations.
    not_counted: u64,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<Said> {
    let zone = offline::zone(Some(&args.zone))?;
    let rulebook = Rulebook::load_processed(&args.rules, &args.processing)?;
    rulebook.complain();
    if rulebook.loaded == 0 {
        anyhow::bail!("no rule could be loaded; `wanglou rules check` says why");
    }
    let dir = args.data_dir.join("lake");
    if !dir.is_dir() {
        return Err(UsageError(format!(
            "`{}` holds no events: it is no data directory",
            args.data_dir.display()
        ))
        .into());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut written = Ok(());
    let mut shown = 0;
    let sums = runtime.block_on(async {
        let lake = Lake::open(LakeConfig::at(dir)).await.context(
            "cannot open the events; stop the platform first, or run on a copy of its data directory",
        )?;
        let mut sink = |finding: &Finding| {
            if written.is_ok() {
                written = match args.format {
                    CheckFormat::Json => writeln!(out, "{}", finding.to_json()),
                    CheckFormat::Text if shown < MAX_SHOWN => write_line(finding, out),
                    CheckFormat::Text => Ok(()),
                };
                shown += 1;
            }
        };
        let sums = Backtest::new(&rulebook.engine, zone)?.run(&lake, args.since, &mut sink).await;
        lake.close().await?;
        sums
    })?;
    if matches!(args.format, CheckFormat::Text) && written.is_ok() {
        written = write_sums(&sums, out);
    }
    let status =
        ExitStatus { found: sums.findings > 0, unreadable: sums.not_read_again + sums.not_counted > 0 };
    if status.unreadable {
        eprintln!(
            "warning: {} events could not be read again, {} were beyond what is held for correlations",
            sums.not_read_again, sums.not_counted
        );
    }
    Ok((status, written))
}

/// An event that correlations count, until its turn.
struct Counted {
    arrival: Timestamp,
    place: Place,
    uid: EventUid,
    raw: Bytes,
    source: SourceId,
    hits: SmallVec<[RuleIndex; 2]>,
}

struct Backtest {
    engine: Arc<Engine>,
    decoder: FrameDecoder,
    scratch: Scratch,
    zone: TimeZone,
    counted: Vec<Counted>,
    sums: Sums,
}

impl Backtest {
    fn new(engine: &Arc<Engine>, zone: TimeZone) -> anyhow::Result<Self> {
        let catalog = content::catalog().context("the built-in table of products is wrong")?;
        Ok(Self {
            engine: Arc::clone(engine),
            decoder: FrameDecoder::new(catalog),
            scratch: engine.scratch(),
            zone,
            counted: Vec::new(),
            sums: Sums::default(),
        })
    }

    async fn run(mut self, lake: &Lake, since: i64, found: &mut dyn FnMut(&Finding)) -> anyhow::Result<Sums> {
        let now = Timestamp::now();
        // Events of clocks that go ahead are found too.
        let (from, to) = (now.plus_nanos(-since), now.plus_nanos(86_400 * 1_000_000_000));
        let mut query = Query { limit: PAGE, newest_first: false, ..Query::between(from, to) };
        let mut pages = 0_u64;
        loop {
            let page = lake.search(&query).await.context("cannot read the events")?;
            for hit in &page.hits {
                self.judge(hit, found);
            }
            pages += 1;
            if pages.is_multiple_of(PAGES_TOLD) {
                eprintln!("note: {} events, {} findings so far", self.sums.events, self.sums.findings);
            }
            match page.next {
                Some(next) => query.cursor = Some(next),
                None => break,
            }
        }
        self.correlate(found);
        Ok(self.sums)
    }

    fn judge(&mut self, hit: &Hit, found: &mut dyn FnMut(&Finding)) {
        self.sums.events += 1;
        let Some(record) = decode_one(&mut self.decoder, &hit.raw) else {
            self.sums.not_read_again += 1;
            return;
        };
        let hits: SmallVec<[RuleIndex; 2]> = self.engine.evaluate(&record, &mut self.scratch).into();
        if hits.is_empty() {
            return;
        }
        let source = hit.source.clone();
        let place =
            hit.place.clone().unwrap_or_else(|| Place { file: source.as_str().to_owned(), record: 0 });
        let event = normalize(&record, context(hit.uid, &source, hit.arrival, &self.zone));
        for rule in hits.iter().copied().filter(|rule| !self.engine.is_silent(*rule)) {
            self.sums.findings += 1;
            found(&self.engine.finding(rule, &record, &event, Some(place.clone())));
        }
        if hits.iter().any(|rule| self.engine.feeds_correlation(*rule)) {
            if self.counted.len() >= MAX_COUNTED {
                self.sums.not_counted += 1;
                return;
            }
            let (arrival, uid, raw) = (hit.arrival, hit.uid, hit.raw.clone());
            self.counted.push(Counted { arrival, place, uid, raw, source, hits });
        }
    }

    /// Counts what correlations count, in order of arrival: batch by batch, and within a batch line by line.
    fn correlate(&mut self, found: &mut dyn FnMut(&Finding)) {
        self.counted.sort_by_key(|counted| (counted.arrival, counted.place.record, counted.uid));
        let mut correlator = Correlator::new(Arc::clone(&self.engine));
        let mut findings = Vec::new();
        for Counted { arrival, place, uid, raw, source, hits } in std::mem::take(&mut self.counted) {
            let Some(record) = decode_one(&mut self.decoder, &raw) else { continue };
            let event = normalize(&record, context(uid, &source, arrival, &self.zone));
            correlator.observe(&hits, &record, &event, Some(&place), &mut findings);
            for finding in findings.drain(..) {
                self.sums.findings += 1;
                found(&finding);
            }
        }
    }
}

/// The record that these bytes are, if they are exactly one.
fn decode_one(decoder: &mut FrameDecoder, raw: &Bytes) -> Option<Record> {
    let mut records: SmallVec<[Record; 1]> = SmallVec::new();
    decoder.decode(raw, &mut |record| records.push(record)).ok()?;
    if records.len() == 1 { records.pop() } else { None }
}

fn context(uid: EventUid, source: &SourceId, arrival: Timestamp, zone: &TimeZone) -> EventContext {
    EventContext { uid, source: source.clone(), arrival, tenant: TenantId::default(), zone: zone.clone() }
}

/// `30d`, `12h` or `45m` in nanoseconds.
fn parse_span(text: &str) -> Result<i64, String> {
    let wrong = || format!("`{text}` is no span such as 30d, 12h or 45m");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let seconds = match unit {
        "d" => 86_400,
        "h" => 3_600,
        "m" => 60,
        _ => return Err(wrong()),
    };
    let number: i64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(seconds * 1_000_000_000).filter(|span| *span > 0).ok_or_else(wrong)
}

fn write_line(finding: &Finding, out: &mut dyn Write) -> io::Result<()> {
    let title = visible(&finding.rule.title);
    writeln!(
        out,
        "{}  {}  {:13}  {title}  {}×",
        finding.last_seen, finding.uid, finding.severity, finding.count
    )
}

fn write_sums(sums: &Sums, out: &mut dyn Write) -> io::Result<()> {
    if sums.findings > MAX_SHOWN as u64 {
        writeln!(out, "… the first {MAX_SHOWN} are shown; --format json writes all")?;
    }
    writeln!(out, "{} events, {} findings", sums.events, sums.findings)
}

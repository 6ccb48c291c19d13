//! `wanglou search`: events from the terminal.

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use console::{Style, measure_text_width, truncate_str};
use futures::TryStreamExt;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};
use wanglou_lake::{Hit, LakeConfig, LakeError, Query, Reader};
use wanglou_model::Timestamp;
use wanglou_model::search::{self, QueryError};

use super::{ExitStatus, UsageError, offline};
use crate::scan::output::csv_field;

/// Columns of what is no terminal.
const DEFAULT_WIDTH: usize = 160;

/// Searches the stored events of a data directory 检索日志
///
/// Conditions side by side must all hold. Field names are OCSF paths or short: ip, src_ip, dst_ip, port, user, host,
/// process, cmd, file, hash, domain, url, code, severity, source, product, class. Bare words are looked for in the
/// raw text, whole words without regard to case. Reads beside a running platform; the last minute may still be in its log.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The query; every event if left out
    #[arg(default_value = "", value_name = "QUERY")]
    query: String,
    /// The platform's data directory
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// From: so long ago (30m, 24h, 7d) or an RFC 3339 time
    #[arg(long, value_name = "TIME", default_value = "24h")]
    since: String,
    /// To, as `--since` [default: now]
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// At most so many events, newest first; exports in CSV and NDJSON are whole without it
    #[arg(long, short = 'n', value_name = "N")]
    limit: Option<usize>,
    /// Oldest first
    #[arg(long)]
    oldest_first: bool,
    /// How to show them
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Count the most frequent values of this OCSF path instead (repeatable)
    #[arg(long, value_name = "PATH")]
    top: Vec<String>,
    /// Write to this file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Table,
    /// OCSF, one object a line
    Ndjson,
    /// OCSF, one array
    Json,
    /// For spreadsheets
    Csv,
}

const EXAMPLES: &str = "\
Examples:
  wanglou search --data-dir /var/lib/wanglou 'user:root and not src_ip:10.0.0.0/8'
  wanglou search --data-dir D --since 7d '\"failed password\" severity>=medium' --top src_endpoint.ip
  wanglou search --data-dir D 'url:*/admin/* code:[200 TO 299]' --format csv -o admin.csv
  wanglou search --data-dir D --since 2026-11-01T00:00:00+08:00 '登录失败 -user:(monitor or backup*)'

Exit codes: 0 done, 2 the events cannot be read, 64 wrong usage.";

const CSV_COLUMNS: [&str; 18] = [
    "time",
    "severity",
    "class_name",
    "activity_name",
    "metadata.log_provider",
    "metadata.product.name",
    "src_endpoint.ip",
    "src_endpoint.port",
    "dst_endpoint.ip",
    "dst_endpoint.port",
    "device.hostname",
    "user.name",
    "process.cmd_line",
    "http_request.url.url_string",
    "http_response.code",
    "message",
    "metadata.uid",
    "raw_data",
];

/// Searches.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    let now = Timestamp::now();
    let to = args.until.as_deref().map_or(Ok(now.plus_nanos(1)), |text| instant("until", text, now))?;
    let from = instant("since", &args.since, now)?;
    if from >= to {
        return Err(UsageError(format!("`--since` ({from}) must be before `--until` ({to})")).into());
    }
    let matching = search::parse(&args.query).map_err(|error| pointed_at(&args.query, &error))?;
    let query = Query {
        matching,
        newest_first: !args.oldest_first,
        limit: args.limit.unwrap_or(20).clamp(1, wanglou_lake::MAX_PAGE),
        ..Query::between(from, to)
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let written = runtime.block_on(async {
        let reader = Reader::open(&LakeConfig::at(args.data_dir.join("lake"))).await?;
        Search { args, query, reader, out: offline::Output::open(args.output.as_deref())? }.run().await
    });
    match written {
        Err(error) => match error.downcast::<LakeError>() {
            Ok(LakeError::BadCondition(error)) => Err(pointed_at(&args.query, &error).into()),
            Ok(error) => Err(error.into()),
            Err(error) => match error.downcast::<std::io::Error>() {
                Ok(error) => {
                    offline::unless_closed(Err(error)).map(|()| ExitStatus::CLEAN).map_err(Into::into)
                }
                Err(error) => Err(error),
            },
        },
        Ok(()) => Ok(ExitStatus::CLEAN),
    }
}

/// A moment before `now`, or an RFC 3339 time.
fn instant(name: &str, text: &str, now: Timestamp) -> anyhow::Result<Timestamp> {
    let ago = text.char_indices().last().and_then(|(at, unit)| {
        let seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return None,
        };
        let number: i64 = text.get(..at)?.parse().ok()?;
        number.checked_mul(seconds)?.checked_mul(-1_000_000_000)
    });
    match ago {
        Some(nanos) => Ok(now.plus_nanos(nanos)),
        None => text.parse().map_err(|_| {
            UsageError(format!(
                "`--{name} {text}` is no time: write 30m, 24h, 7d or 2026-11-22T08:00:00+08:00"
            ))
            .into()
        }),
    }
}

/// The query with its mistake underlined.
fn pointed_at(query: &str, error: &QueryError) -> UsageError {
    let before = query.get(..error.span.start).unwrap_or_default();
    let wrong = query.get(error.span.clone()).unwrap_or_default();
    let (indent, length) = (measure_text_width(before), measure_text_width(wrong).max(1));
    let message = &error.message;
    UsageError(format!("{message}\n  {query}\n  {:indent$}{}", "", "^".repeat(length)))
}

struct Search<'a> {
    args: &'a Args,
    query: Query,
    reader: Reader,
    out: offline::Output,
}

impl Search<'_> {
    async fn run(mut self) -> anyhow::Result<()> {
        let started = Instant::now();
        let found = if self.args.top.is_empty() { self.events().await? } else { self.top().await? };
        self.out.flush()?;
        let (files, bytes, events) = self.reader.totals();
        let took = started.elapsed().as_secs_f64() * 1000.0;
        eprintln!(
            "{found} in {took:.0} ms, over {events} events ({:.1} MB in {files} files)",
            bytes as f64 / 1e6
        );
        Ok(())
    }

    async fn top(&mut self) -> anyhow::Result<String> {
        let limit = self.args.limit.unwrap_or(10);
        let mut counts = Map::new();
        for field in &self.args.top {
            let values = self.reader.top(&self.query, field, limit).await?;
            if self.args.format == Format::Table {
                writeln!(self.out, "{field}")?;
                for (value, count) in &values {
                    writeln!(self.out, "{count:>12}  {}", printable(value))?;
                }
            }
            let values =
                values.into_iter().map(|(value, count)| serde_json::json!({"value": value, "count": count}));
            counts.insert(field.clone(), values.collect());
        }
        match self.args.format {
            Format::Table => {}
            Format::Ndjson | Format::Json => writeln!(self.out, "{}", Value::Object(counts))?,
            Format::Csv => {
                let as_text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                write!(self.out, "field,value,count\r\n")?;
                for (field, values) in &counts {
                    for entry in values.as_array().into_iter().flatten() {
                        let (value, count) = (entry.get("value"), entry.get("count"));
                        let cells =
                            [Some(&Value::from(field.as_str())), value, count].map(|cell| cell.map(as_text));
                        let cells = cells.map(|cell| csv_field(&cell.unwrap_or_default()));
                        write!(self.out, "{}\r\n", cells.join(","))?;
                    }
                }
            }
        }
        Ok(format!("{} fields counted", self.args.top.len()))
    }

    async fn events(&mut self) -> anyhow::Result<String> {
        let whole = self.args.limit.is_none() && self.args.format != Format::Table;
        let mut writer = Writer::new(self.args.format, self.out.is_terminal());
        writer.begin(&mut self.out)?;
        let mut count = 0_u64;
        if whole {
            let mut batches = std::pin::pin!(self.reader.stream(&self.query).await?);
            while let Some(hits) = batches.try_next().await? {
                for hit in hits {
                    writer.event(&hit, &mut self.out)?;
                    count += 1;
                }
            }
        } else {
            let page = self.reader.search(&self.query).await?;
            for hit in &page.hits {
                writer.event(hit, &mut self.out)?;
                count += 1;
            }
            if page.next.is_some() {
                writer.end(&mut self.out)?;
                return Ok(format!("the first {count} events (more match: raise --limit)"));
            }
        }
        writer.end(&mut self.out)?;
        Ok(format!("{count} events"))
    }
}

/// Writes events in a format.
struct Writer {
    format: Format,
    zone: TimeZone,
    width: usize,
    written: u64,
}

impl Writer {
    fn new(format: Format, is_terminal: bool) -> Self {
        let width = if is_terminal { console::Term::stdout().size().1.into() } else { DEFAULT_WIDTH };
        Self { format, zone: TimeZone::system(), width, written: 0 }
    }

    fn begin(&self, out: &mut dyn Write) -> std::io::Result<()> {
        match self.format {
            Format::Csv => write!(out, "{}\r\n", CSV_COLUMNS.join(",")),
            Format::Json => writeln!(out, "["),
            Format::Table | Format::Ndjson => Ok(()),
        }
    }

    fn end(&self, out: &mut dyn Write) -> std::io::Result<()> {
        if self.format == Format::Json { writeln!(out, "\n]") } else { Ok(()) }
    }

    fn event(&mut self, hit: &Hit, out: &mut dyn Write) -> std::io::Result<()> {
        self.written += 1;
        match self.format {
            Format::Table => self.line(hit, out),
            Format::Ndjson => {
                serde_json::to_writer(&mut *out, &hit.json)?;
                out.write_all(b"\n")
            }
            Format::Json => {
                out.write_all(if self.written > 1 { b",\n" } else { b"" })?;
                Ok(serde_json::to_writer(&mut *out, &hit.json)?)
            }
            Format::Csv => {
                let cell = |path: &&str| match *path {
                    "time" => hit.time.to_string(),
                    path => text_at(&hit.json, path),
                };
                let cells: Vec<String> = CSV_COLUMNS.iter().map(|path| csv_field(&cell(path))).collect();
                write!(out, "{}\r\n", cells.join(","))
            }
        }
    }

    /// Time, level, who, and the raw text, in one line.
    fn line(&self, hit: &Hit, out: &mut dyn Write) -> std::io::Result<()> {
        let time = jiff::Timestamp::from_nanosecond(hit.time.nanos().into())
            .map(|time| time.to_zoned(self.zone.clone()).strftime("%m-%d %H:%M:%S").to_string())
            .unwrap_or_else(|_| hit.time.to_string());
        let who = ["src_endpoint.ip", "user.name", "device.hostname"].map(|path| text_at(&hit.json, path));
        let who: Vec<String> = who.into_iter().filter(|text| !text.is_empty()).collect();
        let severity = text_at(&hit.json, "severity");
        let raw = printable(&text_at(&hit.json, "raw_data"));
        let head = format!("{time}  {severity:<13}  {}  ", printable(&who.join(" ")));
        let room = self.width.saturating_sub(measure_text_width(&head)).max(20);
        let dim = Style::new().dim();
        writeln!(out, "{head}{}", dim.apply_to(truncate_str(&raw, room, "…")))
    }
}

/// Without control characters, which a terminal would obey.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The scalar at a dotted path, as text.
fn text_at(json: &Map<String, Value>, path: &str) -> String {
    let mut names = path.split('.');
    let first = names.next().and_then(|name| json.get(name));
    match names.fold(first, |value, name| value.and_then(|value| value.get(name))) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_ages_or_instants() {
        let now = Timestamp::from_secs(1_000_000);
        assert_eq!(instant("since", "2h", now).unwrap(), Timestamp::from_secs(1_000_000 - 7_200));
        assert_eq!(instant("since", "1970-01-02T00:00:00Z", now).unwrap(), Timestamp::from_secs(86_400));
        for wrong in ["", "h", "1y", "2年", "-", "99999999999999d"] {
            assert!(instant("since", wrong, now).is_err(), "{wrong}");
        }
    }

    #[test]
    fn mistakes_are_underlined_where_they_stand() {
        let query = "登录失败 (a";
        let shown = pointed_at(query, &search::parse(query).unwrap_err()).to_string();
        assert!(shown.ends_with("\n  登录失败 (a\n           ^"), "{shown}");
    }
}

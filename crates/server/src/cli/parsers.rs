//! `wanglou parsers`: tests a parser file and shows what it makes of lines, so that an operator adds a device without
//! compiling.

use std::io::{self, BufRead, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use clap::Subcommand;
use jiff::tz::TimeZone;
use serde_json::{Map, Value as Json, json};
use wanglou_ingest::{Catalog, EventContext, FrameDecoder, Parsers, normalize};
use wanglou_model::{EventUid, SourceId, TenantId, Timestamp};

use super::{ExitStatus, UsageError, offline};

/// Tests parsers of devices and tries them on lines 测试与试用设备日志解析器
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  wanglou parsers test content/parsers/acme.yaml
  wanglou parsers try content/parsers/acme.yaml < sample.log

Exit codes: 0 all as expected, 1 a parser is wrong or knows not every line, 2 input unreadable, 64 wrong usage.";

#[derive(Subcommand)]
enum Command {
    /// Runs the tests in a parser file 运行解析器文件内的样例
    Test(FileArgs),
    /// Shows what a parser file makes of the lines on standard input, as NDJSON 用标准输入的日志试用解析器
    Try(FileArgs),
}

#[derive(clap::Args)]
struct FileArgs {
    /// The parser file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Time zone of log times that name none, such as Asia/Shanghai [default: this machine's]
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
}

/// Runs the sub-command.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    let (Command::Test(of) | Command::Try(of)) = &args.command;
    let catalog = catalog(&of.file)?;
    let zone = offline::zone(of.zone.as_deref())?;
    let mut out = BufWriter::new(io::stdout());
    let (found, written) = match &args.command {
        Command::Test(_) => test(&catalog, &zone, &mut out),
        Command::Try(_) => try_lines(&catalog, &zone, &mut out)?,
    };
    offline::unless_closed(written.and_then(|()| out.flush())).context("cannot write to standard output")?;
    Ok(ExitStatus { found, unreadable: false })
}

/// The shipped products with the parsers of this file alone.
fn catalog(file: &Path) -> anyhow::Result<Arc<Catalog>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let name = file.display().to_string();
    let parsers = Parsers::compile([(name.as_str(), text.as_str())]).map_err(|errors| {
        UsageError(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    })?;
    Ok(Arc::new(crate::content::products()?.with_parsers(parsers)))
}

/// (product, the source's fields, the event) of each record in a line.
fn read(catalog: &Arc<Catalog>, zone: &TimeZone, line: &str) -> Vec<(String, Map<String, Json>, Json)> {
    let mut found = Vec::new();
    let frame = Bytes::copy_from_slice(line.as_bytes());
    let arrival = Timestamp::from(jiff::Timestamp::now());
    FrameDecoder::new(Arc::clone(catalog)).decode_lines(
        &[frame],
        &mut |_, record| {
            let context = EventContext {
                uid: EventUid::from_u128(0),
                source: SourceId::new("parsers"),
                arrival,
                tenant: TenantId::default(),
                zone: zone.clone(),
            };
            let event = Json::Object(normalize(&record, context).to_json(None));
            found.push((record.product.id.clone(), record.fields.to_json(), event));
        },
        &mut |_, _| {},
    );
    found
}

fn test(catalog: &Arc<Catalog>, zone: &TimeZone, out: &mut impl Write) -> (bool, io::Result<()>) {
    let mut failed = 0_usize;
    let mut tested = 0_usize;
    let mut report = String::new();
    for (product, sample) in catalog.parsers().samples() {
        tested += 1;
        let found = read(catalog, zone, &sample.line);
        let mut problems = Vec::new();
        match found.as_slice() {
            [(id, _, event)] => {
                if *id != product.id {
                    problems.push(format!("taken for `{id}`; make the literals under `match` more telling"));
                }
                for (path, wanted) in &sample.expect {
                    let got = event.pointer(&format!("/{}", path.replace('.', "/")));
                    let got = got.map_or_else(
                        || "nothing".to_owned(),
                        |value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned),
                    );
                    if got != *wanted {
                        problems.push(format!("{path}: expected `{wanted}`, got `{got}`"));
                    }
                }
            }
            others => problems.push(format!("gives {} records, not one", others.len())),
        }
        if !problems.is_empty() {
            failed += 1;
            report.push_str(&format!("{}: {}\n", product.id, sample.line));
            for problem in problems {
                report.push_str(&format!("  {problem}\n"));
            }
        }
    }
    let parsers = catalog.parsers().len();
    let written = writeln!(out, "{report}{parsers} parsers, {tested} tests, {failed} failed");
    (failed > 0, written)
}

fn try_lines(
    catalog: &Arc<Catalog>,
    zone: &TimeZone,
    out: &mut impl Write,
) -> anyhow::Result<(bool, io::Result<()>)> {
    let mut unknown = false;
    for line in io::stdin().lock().split(b'\n') {
        let line = line.context("cannot read standard input")?;
        let line = wanglou_ingest::text::to_utf8(&line).into_owned();
        if line.trim().is_empty() {
            continue;
        }
        let found = read(catalog, zone, &line);
        unknown |= !catalog.parsers().recognises(&line);
        for (product, fields, event) in found {
            let shown = json!({ "product": product, "fields": fields, "event": event });
            if let Err(error) = writeln!(out, "{shown}") {
                return Ok((unknown, Err(error)));
            }
        }
    }
    Ok((unknown, Ok(())))
}

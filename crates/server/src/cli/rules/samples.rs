//! `wanglou rules test`: runs the samples that stand beside rules.
//!
//! `NAME.match.*` beside `NAME.yml` must raise a rule of that file with every record (a correlation: with all records
//! together), `NAME.nomatch.*` with none.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Serialize;

use super::records::{Verdicts, judge};
use super::{CheckFormat, Said};
use crate::cli::{ExitStatus, offline};
use crate::rulebook::{ProcessingArgs, Rulebook};
use crate::scan::output::visible;

/// Runs the samples beside rules: NAME.match.* must fire, NAME.nomatch.* must not 运行规则旁的样本
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Rules with their samples: folders or files
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Time zone of log times that name none, such as Asia/Shanghai [default: this machine's]
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    #[command(flatten)]
    processing: ProcessingArgs,
    /// How to show the result
    #[arg(long, value_enum, default_value_t = CheckFormat::Text)]
    format: CheckFormat,
}

const EXAMPLES: &str = "\
Examples:
  wanglou rules test my-rules/
  wanglou rules test --format json my-rules/web/
  wanglou rules test --pipeline our-fields.yml sigma/

Exit codes: 0 all samples as expected, 1 some not or a rule has none, 2 some input unreadable, 64 wrong usage.";

#[derive(Serialize)]
struct Report {
    passed: usize,
    failed: usize,
    /// Rule files without any sample.
    untested: Vec<String>,
    samples: Vec<Sample>,
}

#[derive(Serialize)]
struct Sample {
    rule: String,
    sample: String,
    /// Whether it must fire.
    must_fire: bool,
    records: usize,
    /// What is wrong; empty when all is well.
    wrong: Vec<String>,
    is_unreadable: bool,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<Said> {
    let zone = offline::zone(args.zone.as_deref())?;
    let rulebook = Rulebook::load_processed(&args.paths, &args.processing)?;
    rulebook.complain();
    let engine = &rulebook.engine;
    let files: BTreeSet<&str> = engine.rules().map(|(_, rule)| rule.file.as_str()).collect();
    let mut report = Report { passed: 0, failed: 0, untested: Vec::new(), samples: Vec::new() };
    for file in files {
        let found = samples_of(Path::new(file))?;
        if found.is_empty() {
            report.untested.push(file.to_owned());
        }
        let own: BTreeSet<&str> = engine
            .rules()
            .filter(|(index, rule)| rule.file == file && !engine.is_silent(*index))
            .map(|(_, rule)| rule.id.as_str())
            .collect();
        for (sample, must_fire) in found {
            let verdicts = judge(engine, std::slice::from_ref(&sample), &zone)?;
            let fired = |index: &wanglou_detect::RuleIndex| {
                !engine.is_silent(*index) && own.contains(engine.rule(*index).id.as_str())
            };
            let records: Vec<bool> = verdicts.hits.iter().map(|hits| hits.iter().any(fired)).collect();
            let correlated = verdicts.correlated.iter().any(|finding| own.contains(finding.rule.id.as_str()));
            let sample = Sample {
                rule: file.to_owned(),
                sample: sample.display().to_string(),
                must_fire,
                records: records.len(),
                wrong: wrong(&verdicts, &records, correlated, must_fire),
                is_unreadable: !verdicts.unread.is_empty(),
            };
            if sample.wrong.is_empty() {
                report.passed += 1;
            } else {
                report.failed += 1;
            }
            report.samples.push(sample);
        }
    }
    let status = ExitStatus {
        found: report.failed > 0 || !report.untested.is_empty() || !rulebook.failed.is_empty(),
        unreadable: report.samples.iter().any(|sample| sample.is_unreadable),
    };
    let written = match args.format {
        CheckFormat::Text => write_text(&report, out),
        CheckFormat::Json => serde_json::to_writer_pretty(&mut *out, &report)
            .map_err(io::Error::from)
            .and_then(|()| writeln!(out)),
    };
    Ok((status, written))
}

fn wrong(verdicts: &Verdicts, records: &[bool], correlated: bool, must_fire: bool) -> Vec<String> {
    let mut wrong = verdicts.unread.clone();
    if records.is_empty() {
        wrong.push("the sample holds no record".to_owned());
    }
    let listed = |fired: bool| {
        let numbers = (1..)
            .zip(records)
            .filter(|(_, it)| **it == fired)
            .map(|(number, _): (u64, _)| number.to_string());
        numbers.collect::<Vec<_>>().join(", ")
    };
    if must_fire && !correlated && records.contains(&false) {
        wrong.push(format!("does not fire on record {}", listed(false)));
    }
    if !must_fire && records.contains(&true) {
        wrong.push(format!("fires on record {}", listed(true)));
    }
    if !must_fire && correlated {
        wrong.push("the correlation fires".to_owned());
    }
    wrong
}

/// The samples of a rule file, and whether they must fire.
fn samples_of(rule: &Path) -> anyhow::Result<Vec<(PathBuf, bool)>> {
    let (Some(folder), Some(stem)) = (rule.parent(), rule.file_stem().and_then(|stem| stem.to_str())) else {
        return Ok(Vec::new());
    };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut samples = Vec::new();
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read `{}`", folder.display()))?;
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let Some(rest) = path.file_name().and_then(|name| name.to_str()?.strip_prefix(stem)) else {
            continue;
        };
        if rest.starts_with(".match.") {
            samples.push((path, true));
        } else if rest.starts_with(".nomatch.") {
            samples.push((path, false));
        }
    }
    samples.sort();
    Ok(samples)
}

fn write_text(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    for sample in &report.samples {
        for what in &sample.wrong {
            writeln!(out, "✘ {}: {}", visible(&sample.sample), visible(what))?;
        }
    }
    for file in &report.untested {
        writeln!(out, "? {}: no samples beside it", visible(file))?;
    }
    let untested = report.untested.len();
    writeln!(
        out,
        "{} samples as expected, {} not; {untested} rule files without samples",
        report.passed, report.failed
    )
}

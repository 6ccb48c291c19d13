//! `wanglou rules lint`: rules that load and yet are probably not what was meant.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;

use wanglou_detect::{lint, rules};

use super::{CheckFormat, Said};
use crate::cli::ExitStatus;
use crate::content;
use crate::scan::output::visible;

/// Finds rules that can never fire, duplicate, broad and costly ones 检查规则质量
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Folders, files or zips [default: the built-in rules]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Only these codes, such as L001 (repeatable)
    #[arg(long, value_name = "CODE")]
    code: Vec<String>,
    /// How to show the result
    #[arg(long, value_enum, default_value_t = CheckFormat::Text)]
    format: CheckFormat,
}

const EXAMPLES: &str = "\
Examples:
  wanglou rules lint my-rules/
  wanglou rules lint --code L001 --code L002 sigma/rules
  wanglou rules check --explain L002            what a code means

Exit codes: 0 nothing to say, 1 something, 2 some input unreadable, 64 wrong usage.";

pub(super) fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<Said> {
    let (files, unread) =
        if args.paths.is_empty() { (content::rules(), Vec::new()) } else { rules::read(&args.paths) };
    let mut found = lint::lint(&files);
    found
        .retain(|it| args.code.is_empty() || args.code.iter().any(|code| code.eq_ignore_ascii_case(it.code)));
    let status = ExitStatus { found: !found.is_empty(), unreadable: !unread.is_empty() };
    let all: Vec<_> = unread.into_iter().chain(found).collect();
    let written = match args.format {
        CheckFormat::Text => write_text(&all, out),
        CheckFormat::Json => serde_json::to_writer_pretty(&mut *out, &all)
            .map_err(io::Error::from)
            .and_then(|()| writeln!(out)),
    };
    Ok((status, written))
}

fn write_text(found: &[wanglou_detect::Diagnostic], out: &mut dyn Write) -> io::Result<()> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for diagnostic in found {
        *counts.entry(diagnostic.code).or_default() += 1;
        for line in diagnostic.to_string().lines() {
            writeln!(out, "{}", visible(line))?;
        }
        writeln!(out)?;
    }
    let counts: Vec<String> = counts.iter().map(|(code, count)| format!("{code} {count}×")).collect();
    let counts = if counts.is_empty() { "nothing to say".to_owned() } else { counts.join(", ") };
    writeln!(out, "{counts}")
}

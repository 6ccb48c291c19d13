//! `wanglou rules coverage`: which ATT&CK techniques the rules look for.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::Context;
use wanglou_detect::coverage::{TacticCoverage, by_tactic, navigator_layer};
use wanglou_model::RuleInfo;

use super::{CheckFormat, Said};
use crate::cli::{ExitStatus, offline};
use crate::rulebook::Rulebook;

/// Shows which ATT&CK techniques the rules look for 展示规则覆盖的 ATT&CK 技术
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Folders, files or zips [default: the built-in rules]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Write a layer for the ATT&CK Navigator (format 4.5) to this file
    #[arg(long, short, value_name = "FILE")]
    layer: Option<PathBuf>,
    /// How to show the table
    #[arg(long, value_enum, default_value_t = CheckFormat::Text)]
    format: CheckFormat,
}

const EXAMPLES: &str = "\
Examples:
  wanglou rules coverage
  wanglou rules coverage --layer layer.json sigma/rules     open it in the ATT&CK Navigator";

/// Columns of the longest bar.
const BAR: usize = 40;

pub(super) fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<Said> {
    let rulebook = Rulebook::load(&args.paths)?;
    rulebook.complain();
    let engine = &rulebook.engine;
    let loud = || {
        let rules = engine.rules().filter(|(index, _)| !engine.is_silent(*index));
        rules.map(|(_, rule)| &**rule as &RuleInfo)
    };
    if let Some(path) = &args.layer {
        let mut file = offline::create(path)?;
        serde_json::to_writer_pretty(&mut file, &navigator_layer("Wanglou 望楼", loud()))
            .map_err(io::Error::from)
            .and_then(|()| file.flush())
            .with_context(|| format!("cannot write the layer to `{}`", path.display()))?;
    }
    let table = by_tactic(loud());
    let written = match args.format {
        CheckFormat::Text => write_table(&table, out),
        CheckFormat::Json => serde_json::to_writer_pretty(&mut *out, &table)
            .map_err(io::Error::from)
            .and_then(|()| writeln!(out)),
    };
    Ok((ExitStatus::CLEAN, written))
}

fn write_table(table: &[TacticCoverage], out: &mut dyn Write) -> io::Result<()> {
    let most = table.iter().map(|tactic| tactic.rules).max().unwrap_or(0).max(1);
    for tactic in table {
        let bar = "█".repeat((tactic.rules * BAR).div_ceil(most));
        let (uid, name, rules) = (tactic.uid, tactic.name, tactic.rules);
        let name_zh = console::pad_str(tactic.name_zh, 10, console::Alignment::Left, None);
        writeln!(
            out,
            "{uid}  {name:22} {name_zh} {rules:5} rules {:4} techniques  {bar}",
            tactic.techniques.len()
        )?;
    }
    Ok(())
}

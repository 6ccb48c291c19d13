//! `wanglou rules explain`: why a rule fires on a record, or why it does not.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;

use serde::Serialize;
use wanglou_detect::{ConditionTrace, Engine, Explanation, ItemTrace, Logic, RuleIndex};
use wanglou_model::{FieldMatch, RuleInfo};

use super::{CheckFormat, Said, records};
use crate::cli::{ExitStatus, UsageError};
use crate::rulebook::{ProcessingArgs, Rulebook};
use crate::scan::output::visible;

/// Says why a rule fires on a record, or why it does not 解释规则为何命中或未命中
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The rule: a file, or the id, name or title of a rule that is loaded
    #[arg(value_name = "RULE")]
    rule: String,
    /// The record: a file in any format that `scan` reads, or - for standard input
    #[arg(value_name = "EVENT")]
    event: PathBuf,
    /// Only this record: 1-based line, array index + 1, or EventRecordID [default: the first twenty]
    #[arg(long, value_name = "N")]
    record: Option<u64>,
    /// Where rules named by id are looked for, and filters [default: the built-in rules]
    #[arg(long, value_name = "PATH")]
    rules: Vec<PathBuf>,
    #[command(flatten)]
    processing: ProcessingArgs,
    /// How to show the result
    #[arg(long, value_enum, default_value_t = CheckFormat::Text)]
    format: CheckFormat,
}

const EXAMPLES: &str = "\
Examples:
  wanglou rules explain my-rule.yml event.json
  wanglou rules explain my-rule.yml Security.evtx --record 4711
  tail -1 /var/log/auth.log | wanglou rules explain 6f3b7d1e-2c57-4a5e-9d0a-0f8f3a1c2b3d -

Exit codes: 0 the rule fires on none of the records, 1 it fires, 2 some input unreadable, 64 wrong usage.";

/// Records that are explained when none is named.
const MAX_RECORDS: usize = 20;
/// Characters of a value that a line shows.
const MAX_SHOWN: usize = 160;

/// One rule on one record.
#[derive(Serialize)]
struct Case<'r> {
    rule: RuleName<'r>,
    file: String,
    record: u64,
    #[serde(flatten)]
    explanation: Explanation,
}

#[derive(Serialize)]
struct RuleName<'r> {
    id: &'r str,
    title: &'r str,
    title_zh: Option<&'r str>,
    file: &'r str,
    /// Titles of the filters that were joined to its condition.
    filters: &'r [String],
    /// The correlation that counts it, when that was asked for.
    counted_by: Option<&'r str>,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<Said> {
    let is_file = PathBuf::from(&args.rule).is_file();
    let mut paths = args.rules.clone();
    if is_file {
        paths.push(args.rule.clone().into());
    }
    let rulebook = Rulebook::load_processed(&paths, &args.processing)?;
    rulebook.complain();
    let engine = &rulebook.engine;
    let chosen = chosen(engine, &args.rule, is_file)?;
    let mut cases = Vec::new();
    let mut left_over = 0_usize;
    let unread = records::each(std::slice::from_ref(&args.event), &mut |file, number, record| {
        if args.record.is_some_and(|wanted| wanted != number) {
            return ControlFlow::Continue(());
        }
        if args.record.is_none() && cases.len() >= MAX_RECORDS * chosen.len() {
            left_over += 1;
            return ControlFlow::Continue(());
        }
        for (rule, counted_by) in &chosen {
            if let Some(explanation) = engine.trace(*rule, record) {
                let rule = name(engine.rule(*rule), counted_by.map(|by| engine.rule(by).title.as_str()));
                cases.push(Case { rule, file: file.to_string(), record: number, explanation });
            }
        }
        ControlFlow::Continue(())
    })?;
    for reason in &unread {
        eprintln!("warning: {}", visible(reason));
    }
    if cases.is_empty() {
        return Err(UsageError(match args.record {
            Some(number) => format!("`{}` has no record {number}", args.event.display()),
            None => format!("`{}` has no record that can be read", args.event.display()),
        })
        .into());
    }
    if left_over > 0 {
        eprintln!("note: {left_over} more records are not explained; name one with --record N");
    }
    let status =
        ExitStatus { found: cases.iter().any(|case| case.explanation.fires), unreadable: !unread.is_empty() };
    let written = match args.format {
        CheckFormat::Text => cases.iter().try_for_each(|case| write_case(case, out)),
        CheckFormat::Json => serde_json::to_writer_pretty(&mut *out, &cases)
            .map_err(io::Error::from)
            .and_then(|()| writeln!(out)),
    };
    Ok((status, written))
}

/// The rules that are meant; of a correlation those that it counts, with the correlation.
fn chosen(
    engine: &Engine,
    wanted: &str,
    is_file: bool,
) -> Result<Vec<(RuleIndex, Option<RuleIndex>)>, UsageError> {
    let is_meant = |rule: &RuleInfo| {
        if is_file { rule.file == wanted } else { rule.id == wanted || rule.title == wanted }
    };
    let mut chosen = Vec::new();
    for (index, _) in engine.rules().filter(|(_, rule)| is_meant(rule)) {
        let counted = engine.counted_by(index);
        if counted.is_empty() {
            chosen.push((index, None));
        } else {
            chosen.retain(|(rule, _)| !counted.contains(rule));
            chosen.extend(counted.into_iter().map(|rule| (rule, Some(index))));
        }
    }
    chosen.sort_unstable();
    chosen.dedup_by_key(|(rule, _)| *rule);
    if chosen.is_empty() {
        let what = if is_file { "holds no rule that loads" } else { "is no file and no rule that is loaded" };
        return Err(UsageError(format!("`{wanted}` {what}; `wanglou rules list` shows the loaded ones")));
    }
    Ok(chosen)
}

fn name<'r>(rule: &'r RuleInfo, counted_by: Option<&'r str>) -> RuleName<'r> {
    RuleName {
        id: &rule.id,
        title: &rule.title,
        title_zh: rule.title_zh.as_deref(),
        file: &rule.file,
        filters: &rule.filters,
        counted_by,
    }
}

fn write_case(case: &Case<'_>, out: &mut dyn Write) -> io::Result<()> {
    let Case { rule, file, record, explanation } = case;
    let title_zh = rule.title_zh.map_or_else(String::new, |title| format!(" {title}"));
    writeln!(out, "{}  {}{}", visible(rule.id), visible(rule.title), visible(&title_zh))?;
    if let Some(correlation) = rule.counted_by {
        writeln!(out, "  counted by the correlation `{}`", visible(correlation))?;
    }
    let verdict = if explanation.fires { "✔ fires" } else { "✘ does not fire" };
    writeln!(out, "  {verdict} on record {record} of {}", visible(file))?;
    let routing = &explanation.routing;
    let is = if routing.record_is.is_empty() {
        "no logsource that is known".to_owned()
    } else {
        routing.record_is.iter().map(|name| format!("({name})")).collect::<Vec<_>>().join(" ")
    };
    writeln!(
        out,
        "  {} logsource: the rule wants ({})",
        mark(routing.is_routed),
        visible(&routing.rule_wants)
    )?;
    writeln!(
        out,
        "      this record, {} of {}, is routed to {}",
        routing.format,
        visible(&routing.product),
        visible(&is)
    )?;
    if !rule.filters.is_empty() {
        writeln!(out, "  with the filters: {}", visible(&rule.filters.join("; ")))?;
    }
    write_node(&explanation.condition, 2, None, out)?;
    writeln!(out)
}

fn write_node(
    node: &ConditionTrace,
    depth: usize,
    above: Option<&str>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let indent = "  ".repeat(depth - 1);
    let selection = node.selection.as_deref().filter(|name| Some(*name) != above);
    let label = selection.map_or_else(String::new, |name| format!("{}: ", visible(name)));
    match (&node.logic, &node.item) {
        (Logic::Item, Some(item)) => {
            write_item(item, node.holds, &format!("{indent}{} {label}", mark(node.holds)), out)
        }
        (logic, _) => {
            let word = match logic {
                Logic::And => "all of",
                Logic::Or => "one of",
                Logic::Not => "not",
                Logic::Item => "nothing",
            };
            writeln!(out, "{indent}{} {label}{word}", mark(node.holds))?;
            let above = node.selection.as_deref();
            node.parts.iter().try_for_each(|part| write_node(part, depth + 1, above, out))
        }
    }
}

fn write_item(item: &ItemTrace, holds: bool, start: &str, out: &mut dyn Write) -> io::Result<()> {
    let wanted = if item.wanted_total > 1 {
        let more = item.wanted_total.saturating_sub(3);
        let more = if more > 0 { format!(", … {more} more") } else { String::new() };
        let first: Vec<&str> = item.wanted.iter().take(3).map(String::as_str).collect();
        format!("[{}{more}]", first.join(", "))
    } else {
        item.wanted.first().cloned().unwrap_or_default()
    };
    let key = if item.key.is_empty() { "keyword".to_owned() } else { item.key.clone() };
    writeln!(out, "{start}{}: {}", visible(&key), visible(&short(&wanted)))?;
    let indent = " ".repeat(start.chars().take_while(|c| *c == ' ').count() + 4);
    match &item.matched {
        Some(FieldMatch { field, value, pattern, span, .. }) => {
            let place = span.map_or_else(String::new, |span| {
                format!(
                    " (bytes {}–{}, characters {}–{})",
                    span.start, span.end, span.char_start, span.char_end
                )
            });
            writeln!(out, "{indent}{} = {}{place}", visible(field), visible(&short(value)))?;
            if item.wanted_total > 1 {
                writeln!(out, "{indent}matched {}", visible(&short(pattern)))?;
            }
            Ok(())
        }
        None if item.key.is_empty() => writeln!(out, "{indent}in no value of the record"),
        None if item.found.is_empty() => writeln!(out, "{indent}missing"),
        None => item.found.iter().try_for_each(|found| {
            let value = found.value.as_deref().map_or_else(|| "null".to_owned(), short);
            writeln!(out, "{indent}{} = {}", visible(&found.field), visible(&value))
        }),
    }
    .map(|()| debug_assert_eq!(holds, item.matched.is_some()))
}

const fn mark(holds: bool) -> &'static str {
    if holds { "✔" } else { "✘" }
}

fn short(text: &str) -> String {
    if text.chars().count() <= MAX_SHOWN {
        return text.to_owned();
    }
    text.chars().take(MAX_SHOWN).chain(std::iter::once('…')).collect()
}

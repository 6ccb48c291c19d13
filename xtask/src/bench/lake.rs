//! The event store with invented telemetry, beside DuckDB and ClickHouse's engine on the same Parquet files.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::Row;
use crate::run::{output, say, step};
use crate::up;

/// One line of `wanglou lake bench`, or of the peers' script.
#[derive(Deserialize)]
struct Figure {
    name: String,
    value: f64,
    #[serde(default)]
    unit: String,
}

pub(super) fn measure(profile: &str, events: u64) -> Result<Vec<Row>> {
    let wanglou = up::build(profile)?;
    let home = tempfile::tempdir()?;
    let dir = home.path().join("bench");
    let (wanglou, dir_text) = (wanglou.to_string_lossy(), dir.to_string_lossy());
    let events = events.to_string();
    let command = [wanglou.as_ref(), "lake", "bench", "--dir", &dir_text, "--events", &events];
    let figures = figures(&step("measure", || output(&crate::root(), &command))?)?;

    let python = std::env::var("WANGLOU_ENGINES").unwrap_or_else(|_| "python3".to_owned());
    let table = dir.join("lake/events");
    let peers = step("measure the peers", || {
        output(&crate::root(), &[&python, "bench/lake_peers.py", &table.to_string_lossy()])
    });
    let mut best: BTreeMap<String, f64> = BTreeMap::new();
    match peers.and_then(|printed| self::figures(&printed)) {
        Ok(figures) => {
            for Figure { name, value, .. } in figures {
                let known = best.entry(name).or_insert(value);
                *known = known.min(value);
            }
        }
        Err(error) => say(&format!("  no peers: {error:#}")),
    }
    let ndjson = figures.iter().find(|figure| figure.name == "as OCSF NDJSON with raw text").map(|f| f.value);
    let row = |Figure { name, value, unit }| {
        let baseline = if name == "table" { ndjson } else { best.get(&name).copied() }.unwrap_or_default();
        // 0 where there is nothing to compare with.
        let ratio = if baseline > 0.0 { value / baseline } else { 0.0 };
        Row { name, value, unit, baseline, ratio }
    };
    Ok(figures.into_iter().map(row).collect())
}

fn figures(printed: &str) -> Result<Vec<Figure>> {
    printed.lines().map(|line| serde_json::from_str(line).with_context(|| format!("`{line}`"))).collect()
}

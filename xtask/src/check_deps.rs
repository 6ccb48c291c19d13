//! The arrows between rooms: who may depend on whom, checked against what cargo says.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::run::{output, say};

/// A room and the rooms it may depend on. ARCHITECTURE.md draws the same picture.
const ROOMS: &[(&str, &[&str])] = &[
    ("wanglou-model", &[]),
    ("wanglou-ingest", &["wanglou-model"]),
    ("wanglou-detect", &["wanglou-model"]),
    ("wanglou-lake", &["wanglou-model"]),
    ("wanglou-cases", &["wanglou-model"]),
    ("wanglou-testkit", &["wanglou-model"]),
    ("wanglou", &["wanglou-model", "wanglou-ingest", "wanglou-detect", "wanglou-lake", "wanglou-cases"]),
    ("xtask", &[]),
];

/// Libraries that only some rooms may name.
const RESERVED: &[(&str, &[&str])] = &[
    ("datafusion", &["wanglou-lake"]),
    ("deltalake", &["wanglou-lake"]),
    ("arrow", &["wanglou-lake"]),
    ("parquet", &["wanglou-lake"]),
    ("axum", &["wanglou"]),
    ("sea-orm", &["wanglou"]),
    ("clap", &["wanglou", "xtask"]),
    ("anyhow", &["wanglou", "xtask"]),
    ("tokio", &["wanglou", "wanglou-lake", "wanglou-ingest"]),
    ("evtx", &["wanglou-ingest"]),
];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    source: Option<String>,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
}

pub(crate) fn run() -> Result<()> {
    let json = output(&crate::root(), &["cargo", "metadata", "--format-version", "1", "--no-deps"])?;
    let metadata: Metadata = serde_json::from_str(&json).context("reading cargo metadata")?;
    let wrong = violations(&metadata);
    if wrong.is_empty() {
        say(&format!("  {} rooms, all arrows as drawn", metadata.packages.len()));
        return Ok(());
    }
    bail!("dependencies against the table in xtask/src/check_deps.rs:\n  {}", wrong.join("\n  "));
}

fn violations(metadata: &Metadata) -> Vec<String> {
    let allowed: BTreeMap<&str, &[&str]> = ROOMS.iter().copied().collect();
    let mut wrong = Vec::new();
    for package in metadata.packages.iter().filter(|package| package.source.is_none()) {
        let name = package.name.as_str();
        let Some(rooms) = allowed.get(name) else {
            wrong.push(format!("{name} has no place in the table"));
            continue;
        };
        for dependency in &package.dependencies {
            let target = dependency.name.as_str();
            let is_dev = dependency.kind.as_deref() == Some("dev");
            let is_testkit = target == "wanglou-testkit";
            if allowed.contains_key(target) && !rooms.contains(&target) && !(is_dev && is_testkit) {
                wrong.push(format!("{name} may not depend on {target}"));
            }
            let owners = RESERVED.iter().find(|(library, _)| *library == target).map(|(_, owners)| owners);
            if let Some(owners) = owners
                && !is_dev
                && !owners.contains(&name)
            {
                wrong.push(format!("{name} may not name {target}: that belongs to {}", owners.join(", ")));
            }
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependencies: &[(&str, Option<&str>)]) -> Package {
        let dependencies = dependencies
            .iter()
            .map(|(name, kind)| Dependency { name: (*name).into(), kind: kind.map(Into::into) })
            .collect();
        Package { name: name.into(), source: None, dependencies }
    }

    #[test]
    fn an_arrow_against_the_plan_is_named() {
        let metadata = Metadata {
            packages: vec![
                package("wanglou-detect", &[("wanglou-lake", None), ("wanglou-testkit", Some("dev"))]),
                package("wanglou-cases", &[("datafusion", None), ("wanglou-model", None)]),
                package("wanglou-new", &[]),
            ],
        };
        let wrong = violations(&metadata);
        assert_eq!(wrong.len(), 3, "{wrong:?}");
        assert!(wrong[0].contains("wanglou-detect may not depend on wanglou-lake"));
        assert!(wrong[1].contains("may not name datafusion"));
        assert!(wrong[2].contains("wanglou-new has no place"));
    }
}

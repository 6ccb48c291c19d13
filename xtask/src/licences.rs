//! Every dependency's licence against the list in `deny.toml`, without a tool to install.
//!
//! `cargo deny check` reads the same file and says more; it is run too where it is installed.

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::run::{have, output, run as run_command, say};

#[derive(Deserialize)]
struct Deny {
    licenses: Licenses,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
    #[serde(default)]
    clarify: Vec<Clarify>,
}

#[derive(Deserialize)]
struct Clarify {
    crate_name: Option<String>,
    name: Option<String>,
    expression: String,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    source: Option<String>,
    license: Option<String>,
}

pub(crate) fn run() -> Result<()> {
    let root = crate::root();
    let text = std::fs::read_to_string(root.join("deny.toml")).context("deny.toml")?;
    let deny: Deny = toml::from_str(&text).context("deny.toml")?;
    let json = output(&root, &["cargo", "metadata", "--format-version", "1", "--locked"])?;
    let metadata: Metadata = serde_json::from_str(&json).context("reading cargo metadata")?;
    let foreign: Vec<&Package> =
        metadata.packages.iter().filter(|package| package.source.is_some()).collect();
    let refused: Vec<String> =
        foreign.iter().filter_map(|package| refusal(package, &deny.licenses)).collect();
    if !refused.is_empty() {
        bail!("licences that deny.toml does not allow:\n  {}", refused.join("\n  "));
    }
    say(&format!("  {} dependencies, all licences allowed", foreign.len()));
    if have("cargo-deny") {
        run_command(&root, &["cargo", "deny", "--offline", "check", "licenses", "bans", "sources"])?;
    }
    Ok(())
}

fn refusal(package: &Package, licenses: &Licenses) -> Option<String> {
    let clarified = licenses
        .clarify
        .iter()
        .find(|clarify| clarify.crate_name.as_ref().or(clarify.name.as_ref()) == Some(&package.name))
        .map(|clarify| clarify.expression.clone());
    let place = format!("{} {}", package.name, package.version);
    let Some(expression) = clarified.or_else(|| package.license.clone()) else {
        return Some(format!("{place}: names no licence"));
    };
    let Ok(parsed) = spdx::Expression::parse_mode(&expression, spdx::ParseMode::LAX) else {
        return Some(format!("{place}: `{expression}` is no SPDX expression"));
    };
    let is_allowed = parsed.evaluate(|requirement| licenses.allow.contains(&requirement.to_string()));
    (!is_allowed).then(|| format!("{place}: {expression}"))
}

//! Building and checking the web console.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::run::{run, say};
use crate::setup::{Need, ensure};

/// Installs the console's packages when the lock file has changed since the last time.
pub(crate) fn install() -> Result<()> {
    ensure(&[Need::Node])?;
    let console = crate::root().join("console");
    let stamp = console.join("node_modules/.installed-lock");
    let lock = fs::read(console.join("package-lock.json")).context("console/package-lock.json")?;
    if fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    run(&console, &["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"])?;
    fs::write(&stamp, lock).context("writing the stamp of the installed packages")
}

/// Builds `console/dist` unless it is newer than everything it is made from.
pub(crate) fn build() -> Result<()> {
    let console = crate::root().join("console");
    let index = console.join("dist/index.html");
    let built = fs::metadata(&index).and_then(|meta| meta.modified()).ok();
    let newest = ["src", "public", "index.html", "package-lock.json", "vite.config.ts"]
        .iter()
        .filter_map(|name| newest_change(&console.join(name)))
        .max();
    if built.is_some() && built >= newest {
        say("  the console is built already");
        return Ok(());
    }
    install()?;
    run(&console, &["npm", "run", "--silent", "build"])
}

/// Types, lints and unit tests of the console.
pub(crate) fn test() -> Result<()> {
    install()?;
    let console = crate::root().join("console");
    run(&console, &["npm", "run", "--silent", "check"])?;
    run(&console, &["npm", "run", "--silent", "test"])
}

fn newest_change(path: &Path) -> Option<std::time::SystemTime> {
    let meta = fs::metadata(path).ok()?;
    let own = meta.modified().ok()?;
    if !meta.is_dir() {
        return Some(own);
    }
    let below = fs::read_dir(path).ok()?.flatten().filter_map(|entry| newest_change(&entry.path())).max();
    below.max(Some(own))
}

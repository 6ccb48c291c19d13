//! Running other programs, with a line that says what runs and how long it took.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Prints one line to standard error, where all progress goes.
pub(crate) fn say(line: &str) {
    eprintln!("{line}");
}

/// A command to be run in `dir`, its words given as one slice.
pub(crate) fn command(dir: &Path, words: &[&str]) -> Command {
    let (program, arguments) = words.split_first().unwrap_or((&"true", &[]));
    let mut command = Command::new(program);
    command.args(arguments).current_dir(dir);
    // What `cargo run` tells xtask of itself must not reach the cargo that xtask runs: build scripts that watch these
    // variables (ring's) would rebuild half the tree each time a developer goes from `cargo` to `cargo xtask`.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| OF_XTASK.iter().any(|prefix| name.starts_with(prefix))) {
            command.env_remove(name);
        }
    }
    command
}

/// Variables that cargo sets for the program it runs.
const OF_XTASK: [&str; 5] =
    ["CARGO_BIN_", "CARGO_CRATE_", "CARGO_MANIFEST_", "CARGO_PKG_", "CARGO_PRIMARY_PACKAGE"];

/// Runs a command whose output the developer sees.
pub(crate) fn run(dir: &Path, words: &[&str]) -> Result<()> {
    check(&mut command(dir, words), &words.join(" "))
}

/// Runs a prepared command; `name` is what the error calls it.
pub(crate) fn check(command: &mut Command, name: &str) -> Result<()> {
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("cannot start `{name}`"))?;
    if !status.success() {
        bail!("`{name}` failed ({status})");
    }
    Ok(())
}

/// Runs a command and gives what it printed to standard output.
pub(crate) fn output(dir: &Path, words: &[&str]) -> Result<String> {
    let name = words.join(" ");
    let output = command(dir, words)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start `{name}`"))?;
    if !output.status.success() {
        bail!("`{name}` failed ({})", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether a program of this name is on the PATH.
pub(crate) fn have(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

/// Runs one named step and says how long it took.
pub(crate) fn step<T>(name: &str, body: impl FnOnce() -> Result<T>) -> Result<T> {
    say(&format!("▶ {name}"));
    let start = Instant::now();
    let outcome = body().with_context(|| format!("step `{name}`"));
    let mark = if outcome.is_ok() { "✔" } else { "✘" };
    say(&format!("{mark} {name} ({})", human(start.elapsed())));
    outcome
}

/// A duration as people say it.
pub(crate) fn human(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds >= 60 {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    } else {
        format!("{:.1} s", duration.as_secs_f64())
    }
}

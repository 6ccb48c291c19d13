//! The developer commands: everything that CI does, and nothing that a newcomer could not do.
//!
//! `cargo xtask up` starts the platform with sample telemetry; `cargo xtask test` runs every check and test.
//! Both do their own set-up (see [`setup`]).

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod api;
mod bench;
mod check_deps;
mod console;
mod licences;
mod package;
mod replay;
mod run;
mod setup;
mod soak;
mod test;
mod up;

/// Developer commands of Wanglou.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
#[command(
    after_help = "Examples:\n  cargo xtask up                     start the platform with sample telemetry\n  \
cargo xtask test                   run every check and test, as CI does\n  cargo xtask test --only rust       run one \
step\n  cargo xtask bench scan --json scan.json\n  cargo xtask package                build the Debian package"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Set up, build and start the platform on embedded defaults, with sample telemetry
    Up(up::Args),
    /// Run every check and test
    Test(test::Args),
    /// Run a benchmark and print rows of name, value, unit, baseline, ratio
    Bench(bench::Args),
    /// Long tests: kill -9 during ingest, long fuzzing
    Soak(soak::Args),
    /// Build the Debian package
    Package(package::Args),
    /// Check that dependencies between rooms point the way ARCHITECTURE.md says
    CheckDeps,
    /// Check that every dependency's licence is one that deny.toml allows
    CheckLicences,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Up(args) => up::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Soak(args) => soak::run(&args),
        Command::Package(args) => package::run(&args),
        Command::CheckDeps => check_deps::run(),
        Command::CheckLicences => licences::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            run::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// The folder that holds the workspace.
fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map_or_else(|| here.clone(), PathBuf::from)
}

/// Where cargo puts what it builds.
fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root().join("target"), |dir| root().join(PathBuf::from(dir)))
}

//! `cargo xtask test`: every check and test, in the order in which a mistake is cheapest to find.

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::run::{command, have, output, run as run_command, say, step};
use crate::setup::{Need, ensure};
use crate::{check_deps, console, licences, package, soak, up};

/// How long each fuzz target runs here; `cargo xtask soak` gives them longer.
const FUZZ_SECONDS: u32 = 10;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run only these steps (repeatable)
    #[arg(long, value_enum)]
    only: Vec<Step>,
}

/// One step of the test run.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Step {
    /// Formatting
    Format,
    /// Dependency arrows between rooms
    Deps,
    /// Licences of dependencies
    Licences,
    /// Console: types, lints, unit tests, build
    Console,
    /// Lints of the Rust code
    Lint,
    /// Rust tests
    Rust,
    /// Fuzz targets, ten seconds each
    Fuzz,
    /// kill -9 during ingest, small form
    Kill,
    /// End to end in headless Chromium
    Browser,
    /// Debian package: install, upgrade with data in place, remove (root only)
    Package,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let steps = Step::value_variants().iter().filter(|step| args.only.is_empty() || args.only.contains(step));
    let mut failed = Vec::new();
    let mut passed = 0;
    for chosen in steps {
        let name = chosen.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
        match step(&name, || chosen.run()) {
            Ok(()) => passed += 1,
            Err(error) => {
                say(&format!("  {error:#}"));
                failed.push(name);
            }
        }
    }
    say(&format!("\nsteps: {passed} passed, {} failed", failed.len()));
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

impl Step {
    fn run(self) -> Result<()> {
        let root = crate::root();
        match self {
            Self::Format => run_command(&root, &["cargo", "fmt", "--all", "--check"]),
            Self::Deps => check_deps::run(),
            Self::Licences => licences::run(),
            Self::Console => console::test().and_then(|()| console::build()),
            Self::Lint => {
                ensure(&[Need::Compiler])?;
                let words = [
                    "cargo",
                    "clippy",
                    "--workspace",
                    "--all-targets",
                    "--locked",
                    "--quiet",
                    "--",
                    "-D",
                    "warnings",
                ];
                run_command(&root, &words)
            }
            Self::Rust => rust_tests(),
            Self::Fuzz => soak::fuzz(FUZZ_SECONDS),
            Self::Kill => soak::kill(&soak::KillPlan::small()),
            Self::Browser => browser(),
            Self::Package => package::test(),
        }
    }
}

fn rust_tests() -> Result<()> {
    ensure(&[Need::Compiler])?;
    let root = crate::root();
    if have("cargo-nextest") {
        let words = [
            "cargo",
            "nextest",
            "run",
            "--workspace",
            "--locked",
            "--no-fail-fast",
            "--status-level",
            "fail",
        ];
        return run_command(&root, &words);
    }
    run_command(&root, &["cargo", "test", "--workspace", "--locked", "--no-fail-fast", "--quiet"])
}

/// Starts the platform with sample telemetry and drives the console in a real browser.
fn browser() -> Result<()> {
    ensure(&[Need::Browser])?;
    console::build()?;
    let wanglou = up::build("dev")?;
    let home = tempfile::tempdir()?;
    let watched = home.path().join("sample");
    std::fs::create_dir_all(&watched)?;
    let mut platform = up::Platform::start(&wanglou, &home.path().join("data"), &watched)?;
    say(&format!("  {}", crate::replay::replay(&watched)?));
    let Some(link) = platform.setup_link() else { bail!("a fresh platform printed no set-up link") };
    let mut command = command(&crate::root().join("console"), &["npm", "run", "--silent", "e2e"]);
    command
        .env("WANGLOU_URL", &platform.address)
        .env("WANGLOU_SETUP_LINK", link)
        .env("CHROMIUM", chromium()?);
    crate::run::check(&mut command, "npm run e2e")?;
    platform.stop()
}

fn chromium() -> Result<String> {
    let path = output(
        &crate::root(),
        &["sh", "-c", "command -v chromium chromium-browser google-chrome | head -n 1"],
    )?;
    Ok(path.trim().to_owned())
}

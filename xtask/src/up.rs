//! `cargo xtask up`: the newcomer's path, one command from a clone to a running platform.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::run::{human, say, step};
use crate::setup::{Need, ensure};
use crate::{console, replay, run};

/// Where the demo listens unless that port is taken.
const PORT: u16 = 8420;
/// A start replays what a crash left behind, so it may take a while; longer than this is a fault.
const READY_WITHIN: Duration = Duration::from_secs(60);

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folder for the demo's data
    #[arg(long, default_value = ".wanglou/demo")]
    data_dir: PathBuf,
    /// Begin anew: remove what an earlier run left in the data folder
    #[arg(long)]
    fresh: bool,
    /// Do not replay the sample telemetry
    #[arg(long)]
    no_samples: bool,
    /// Build, start, replay, print the address and stop again
    #[arg(long)]
    once: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let start = Instant::now();
    let home = crate::root().join(&args.data_dir);
    if args.fresh && home.exists() {
        fs::remove_dir_all(&home).with_context(|| format!("removing {}", home.display()))?;
    }
    let watched = home.join("sample");
    fs::create_dir_all(&watched).with_context(|| format!("creating {}", watched.display()))?;

    step("set up", || ensure(&[Need::Compiler, Need::Node]))?;
    step("build the console", console::build)?;
    let wanglou = step("build the platform", || build("up"))?;
    let mut platform =
        step("start the platform", || Platform::start(&wanglou, &home.join("data"), &watched))?;
    if !args.no_samples {
        step("replay the sample telemetry", || {
            replay::replay(&watched).map(|told| say(&format!("  {told}")))
        })?;
    }
    say("");
    say(&format!("  Wanglou 望楼 runs: {}   (ready in {})", platform.address, human(start.elapsed())));
    match platform.setup_link() {
        Some(link) => say(&format!(
            "  First visit, set the administrator's password 首次访问请设置管理员口令:\n    {link}"
        )),
        None => say("  The administrator's password is set already 管理员口令已设置"),
    }
    if args.once {
        return platform.stop();
    }
    say("  Ctrl-C stops it; `cargo xtask up --fresh` begins anew.\n");
    platform.wait()
}

/// Builds the `wanglou` binary in a profile and gives its path.
pub(crate) fn build(profile: &str) -> Result<PathBuf> {
    let root = crate::root();
    if profile == "dev" {
        // Everything that the tests build, so that cargo settles on the same features and builds the query engine once.
        run::run(&root, &["cargo", "build", "--workspace", "--all-targets", "--locked"])?;
        return Ok(crate::target_dir().join("debug/wanglou"));
    }
    run::run(&root, &["cargo", "build", "--profile", profile, "--package", "wanglou", "--bin", "wanglou"])?;
    Ok(crate::target_dir().join(profile).join("wanglou"))
}

/// A running `wanglou serve` on loopback, stopped when dropped.
pub(crate) struct Platform {
    child: Child,
    /// `http://127.0.0.1:PORT`
    pub(crate) address: String,
    log: PathBuf,
}

impl Platform {
    /// Starts the platform on plain HTTP, loopback only, and waits until it answers.
    pub(crate) fn start(wanglou: &Path, data: &Path, watched: &Path) -> Result<Self> {
        Self::start_at(free_port()?, wanglou, data, watched)
    }

    /// The same on a given port, so that a sender finds it again after a restart.
    pub(crate) fn start_at(port: u16, wanglou: &Path, data: &Path, watched: &Path) -> Result<Self> {
        Self::start_with(port, wanglou, data, watched, &[])
    }

    /// The same with further arguments.
    pub(crate) fn start_with(
        port: u16,
        wanglou: &Path,
        data: &Path,
        watched: &Path,
        arguments: &[&str],
    ) -> Result<Self> {
        let address = format!("http://127.0.0.1:{port}");
        fs::create_dir_all(data).with_context(|| format!("creating {}", data.display()))?;
        let log = data.with_extension("log");
        let output = fs::File::create(&log).with_context(|| format!("creating {}", log.display()))?;
        let child = Command::new(wanglou)
            .arg("serve")
            .arg("--data-dir")
            .arg(data)
            .args(["--dev-http", "--listen", &format!("127.0.0.1:{port}")])
            .arg("--watch")
            .arg(format!("sample={}", watched.display()))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output.try_clone().context("sharing the log file")?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("cannot start {}", wanglou.display()))?;
        let mut platform = Self { child, address, log };
        platform.wait_until_ready()?;
        Ok(platform)
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let start = Instant::now();
        while start.elapsed() < READY_WITHIN {
            if let Some(status) = self.child.try_wait()? {
                bail!("the platform stopped at once ({status}); its log says:\n{}", self.tail());
            }
            if ureq::get(format!("{}/api/v1/health", self.address)).call().is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        bail!("the platform did not answer within {}; its log says:\n{}", human(READY_WITHIN), self.tail());
    }

    /// The one-time link to set the administrator's password, while it is unused.
    pub(crate) fn setup_link(&self) -> Option<String> {
        let log = BufReader::new(fs::File::open(&self.log).ok()?);
        let line = log.lines().map_while(Result::ok).filter(|line| line.contains("/setup#token=")).last()?;
        let start = line.find("http")?;
        line.get(start..)?.split_whitespace().next().map(str::to_owned)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// CPU time it has used so far, user and system.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        /// What Linux counts in, whatever the kernel's own clock.
        const TICKS_PER_SECOND: f64 = 100.0;
        let path = format!("/proc/{}/stat", self.pid());
        let stat = fs::read_to_string(&path).with_context(|| path.clone())?;
        // The name may hold spaces; what follows its closing parenthesis may not.
        let (_, fields) = stat.rsplit_once(')').with_context(|| path.clone())?;
        let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
        Ok(ticks.sum::<Result<f64, _>>().with_context(|| path.clone())? / TICKS_PER_SECOND)
    }

    fn tail(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines.iter().skip(lines.len().saturating_sub(20)).map(|line| format!("    {line}\n")).collect()
    }

    /// Waits for Ctrl-C (which reaches the platform too) or for the platform's own end.
    fn wait(&mut self) -> Result<()> {
        let status = self.child.wait().context("waiting for the platform")?;
        if !status.success() {
            bail!("the platform ended with {status}; its log says:\n{}", self.tail());
        }
        Ok(())
    }

    /// Ends it as a power cut would: signal 9, no goodbye.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill().context("killing the platform")?;
        self.child.wait().context("waiting for the killed platform")?;
        Ok(())
    }

    /// Asks the platform to stop and checks that it does so cleanly.
    pub(crate) fn stop(&mut self) -> Result<()> {
        run::run(&crate::root(), &["kill", "-TERM", &self.child.id().to_string()])?;
        self.wait()
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // Nothing to do about a failure here: the process is gone or not ours any more.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// A port that is free on loopback, the demo's usual one if it can be.
pub(crate) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, PORT))
        .or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .context("finding a free port")?;
    Ok(listener.local_addr()?.port())
}

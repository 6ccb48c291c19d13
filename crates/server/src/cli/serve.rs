//! `wanglou serve`: the platform.

use std::path::PathBuf;

use super::ExitStatus;

/// Runs the platform: takes events in, stores, searches, detects 启动平台
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where everything is kept
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

/// Runs the platform until it is told to stop.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitStatus> {
    let Args { data_dir } = args;
    anyhow::bail!("this build cannot run the platform on `{}` yet", data_dir.display())
}

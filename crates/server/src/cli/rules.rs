//! `wanglou rules`: checks Sigma rules.

use std::path::PathBuf;

use clap::Subcommand;

use super::ExitStatus;

/// Checks Sigma rules and lists the built-in ones 检查规则
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Check(CheckArgs),
}

/// Says for each rule that fails why and where 检查规则，逐条说明错误的位置、原因与改法
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
struct CheckArgs {
    /// Rules to check: folders, files or zips
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// How to show the result
    #[arg(long, value_enum, default_value_t = CheckFormat::Text)]
    format: CheckFormat,
}

const EXAMPLES: &str = "\
Examples:
  wanglou rules check my-rules/
  wanglou rules check --format json sigma.zip

Exit codes: 0 all rules load, 1 some rule fails, 2 some input unreadable, 64 wrong usage.";

/// How the result of a check is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum CheckFormat {
    /// For reading
    Text,
    /// One JSON object
    Json,
}

/// Runs the sub-command.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitStatus> {
    let Command::Check(args) = args.command;
    anyhow::bail!("this build cannot check {:?} yet", args.paths)
}

//! Wanglou 望楼, the city security situational-awareness platform: the one binary.
//!
//! This file only parses the command line and sets up the log; each command has a file under [`cli`].
#![forbid(unsafe_code)]

mod cli;
mod content;
mod rulebook;
mod scan;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}

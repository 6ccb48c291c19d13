//! Wanglou 望楼, the city security situational-awareness platform: the one binary.
//!
//! This file only parses the command line and sets up the log; each command has a file under [`cli`].
#![forbid(unsafe_code)]

mod api;
mod cli;
mod config;
mod content;
mod listener;
mod platform;
mod rulebook;
mod scan;
mod state;
mod tls;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}

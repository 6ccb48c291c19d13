//! The command line, run as people run it: the real binary on invented evidence.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot even be set up must fail"
)]

mod bad_input;
mod corpora;
mod parse;
mod rules;
mod scan;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value as Json;

/// `tests/cli`, where evidence, rules and golden files are.
fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli")
}

/// A command in `folder`, away from the caller's locale and colours.
fn wanglou(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wanglou"));
    command.args(arguments).current_dir(folder);
    for variable in ["LC_ALL", "LC_MESSAGES", "LANG", "NO_COLOR", "WANGLOU_LOG"] {
        command.env_remove(variable);
    }
    command.env("TZ", "Asia/Shanghai");
    command
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    wanglou(folder, arguments).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn lines(text: &str) -> Vec<Json> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn json_file(path: &Path) -> Json {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Compares with `golden/name`; `BLESS=1` writes it anew.
fn golden(name: &str, text: &str) {
    let path = here().join("golden").join(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "`{name}` differs; BLESS=1 accepts the new text");
}

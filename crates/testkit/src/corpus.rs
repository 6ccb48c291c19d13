//! Real data that is never committed: tests use it where it is present and say so where it is not.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of the corpus `name`, or `None`, with the reason printed, where it is absent.
///
/// Looks in the folder that the environment variable `WANGLOU_CORPORA` names (the corpus unpacked as a folder, or
/// `name.tar.xz`), else for `../shared/corpora/name.tar.xz` beside the workspace. An archive is unpacked once, below
/// `target/corpora`.
#[must_use]
pub fn corpus(name: &str) -> Option<PathBuf> {
    match find(name) {
        Ok(folder) => Some(folder),
        Err(reason) => {
            #[expect(clippy::print_stderr, reason = "a skipped test says why")]
            {
                eprintln!("skipped: the corpus `{name}` is not here: {reason}");
            }
            None
        }
    }
}

fn find(name: &str) -> Result<PathBuf, String> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let home = match std::env::var_os("WANGLOU_CORPORA") {
        Some(home) => PathBuf::from(home),
        None => workspace.join("../shared/corpora"),
    };
    let unpacked = home.join(name);
    if unpacked.is_dir() {
        return Ok(unpacked);
    }
    let archive = home.join(format!("{name}.tar.xz"));
    if !archive.is_file() {
        return Err(format!("neither `{}` nor `{}` exists", unpacked.display(), archive.display()));
    }
    unpack(name, &archive, &workspace.join("target/corpora"))
}

/// Unpacks beside the goal and renames, so that tests which race see a whole corpus or none.
fn unpack(name: &str, archive: &Path, cache: &Path) -> Result<PathBuf, String> {
    let goal = cache.join(name);
    if goal.is_dir() {
        return Ok(goal);
    }
    let failed = |error: std::io::Error| format!("cannot unpack `{}`: {error}", archive.display());
    std::fs::create_dir_all(cache).map_err(failed)?;
    let work = tempfile::tempdir_in(cache).map_err(failed)?;
    let output = Command::new("tar")
        .args([OsStr::new("-xJf"), archive.as_os_str(), OsStr::new("-C"), work.path().as_os_str()])
        .output()
        .map_err(failed)?;
    if !output.status.success() {
        return Err(format!(
            "tar cannot unpack `{}`: {}",
            archive.display(),
            String::from_utf8_lossy(&output.stderr).trim()
        ));
    }
    // An archive holds the corpus as one folder of its name; one that does not is the corpus itself.
    let inner = work.path().join(name);
    let unpacked = if inner.is_dir() { inner } else { work.path().to_owned() };
    match std::fs::rename(&unpacked, &goal) {
        Err(error) if !goal.is_dir() => Err(failed(error)),
        _ => Ok(goal),
    }
}

//! Finds the files to read.

use std::path::{Path, PathBuf};

use walkdir::WalkDir;

/// One file to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// Where it is.
    pub path: PathBuf,
    /// What reports and findings call it: the path as the caller's folder leads to it.
    pub display: String,
    /// Its size in bytes, as the directory says.
    pub bytes: u64,
}

/// What [`discover`] found.
#[derive(Clone, Debug, Default)]
pub struct Discovery {
    /// The files, each once, in the order of their paths.
    pub inputs: Vec<Input>,
    /// What could not be entered or read, with the reason.
    pub failed: Vec<(String, String)>,
}

/// Finds all files in `paths`, entering folders. Symbolic links are followed; a link that leads back into a folder it
/// stands in is reported in [`Discovery::failed`] and left. A file that is reached twice is read once.
#[must_use]
pub fn discover(paths: &[PathBuf]) -> Discovery {
    let mut found = Discovery::default();
    let mut known = std::collections::HashSet::new();
    for path in paths {
        for entry in WalkDir::new(path).follow_links(true).sort_by_file_name() {
            match entry {
                Ok(entry) if entry.file_type().is_dir() => {}
                Ok(entry) if entry.file_type().is_file() => {
                    let identity = entry.path().canonicalize().unwrap_or_else(|_| entry.path().to_owned());
                    if known.insert(identity) {
                        found.inputs.push(Input {
                            display: display(entry.path()),
                            bytes: entry.metadata().map_or(0, |metadata| metadata.len()),
                            path: entry.into_path(),
                        });
                    }
                }
                Ok(entry) => {
                    let reason = "neither a file nor a folder (a device, socket or pipe)".to_owned();
                    found.failed.push((display(entry.path()), reason));
                }
                Err(error) => {
                    let place = error.path().map_or_else(|| display(path), display);
                    found.failed.push((place, reason_of(&error)));
                }
            }
        }
    }
    found
}

fn reason_of(error: &walkdir::Error) -> String {
    match (error.loop_ancestor(), error.io_error()) {
        (Some(ancestor), _) => {
            format!("a symbolic link loops back to `{}`; it was not followed", ancestor.display())
        }
        (None, Some(io)) => io.to_string(),
        (None, None) => error.to_string(),
    }
}

fn display(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_walked_in_order_and_loops_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        std::fs::create_dir_all(root.join("b/deep")).unwrap();
        std::fs::write(root.join("b/deep/x.log"), "x").unwrap();
        std::fs::write(root.join("a.log"), "aa").unwrap();
        std::os::unix::fs::symlink(root, root.join("b/loop")).unwrap();
        std::os::unix::fs::symlink(root.join("nowhere"), root.join("c")).unwrap();

        let found = discover(&[root.to_owned(), root.join("a.log"), root.join("missing")]);

        let names: Vec<&str> = found
            .inputs
            .iter()
            .map(|input| input.path.strip_prefix(root).unwrap().to_str().unwrap())
            .collect();
        assert_eq!(names, ["a.log", "b/deep/x.log"]);
        assert_eq!(found.inputs[0].bytes, 2);
        let failed: Vec<&str> =
            found.failed.iter().map(|(file, _)| file.strip_prefix(root.to_str().unwrap()).unwrap()).collect();
        assert_eq!(failed, ["/b/loop", "/c", "/missing"]);
        assert!(found.failed[0].1.contains("loops back"), "{}", found.failed[0].1);
    }
}

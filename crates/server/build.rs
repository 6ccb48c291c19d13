//! Packs `content/` into the binary: lists the files for `include_str!`, leaving out the samples beside the rules and
//! the recorded telemetry, which only tests and `cargo xtask up` need.
#![forbid(unsafe_code)]

use std::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../content");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut listing = String::from("&[\n");
    for name in ["products.yaml", "rules", "taxonomy"] {
        let mut files = Vec::new();
        collect(&root.join(name), &mut files)?;
        files.sort();
        for file in files {
            let name =
                file.strip_prefix(&root)?.to_str().ok_or("content has a file name that is not UTF-8")?;
            let path = fs::canonicalize(&file)?;
            writeln!(listing, "    ({name:?}, include_str!({path:?})),")?;
        }
    }
    listing.push_str("]\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("content.rs"), listing)?;
    Ok(())
}

/// The YAML files at or below `path` that are not samples; nothing where the path does not exist.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            collect(&entry?.path(), files)?;
        }
    } else if path.is_file() && is_content(path) {
        files.push(path.to_owned());
    }
    Ok(())
}

/// `name.yml` and `name.yaml` are content, `name.match.yml` beside a rule would be a sample of it.
fn is_content(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let is_yaml = name.ends_with(".yml") || name.ends_with(".yaml");
    is_yaml && !name.contains(".match.") && !name.contains(".nomatch.")
}

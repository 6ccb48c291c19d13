//! Packs `content/` into the binary: lists the files for `include_str!`, leaving out the samples beside the rules and
//! the recorded telemetry, which only tests and `cargo xtask up` need. Tells where the console's files are; where they
//! are not built, a page that says how to build them takes their place.
#![forbid(unsafe_code)]

use std::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../content");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut listing = String::from("&[\n");
    for name in ["parsers", "products.yaml", "rules", "taxonomy"] {
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
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("content.rs"), listing)?;
    locate_console(&root.join("../console/dist"), &out)
}

/// Sets `WANGLOU_CONSOLE_DIR` for `include_dir!`.
fn locate_console(dist: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={}", dist.display());
    let dir = if dist.join("index.html").is_file() {
        fs::canonicalize(dist)?
    } else {
        let stand_in = out.join("console");
        fs::create_dir_all(&stand_in)?;
        fs::write(stand_in.join("index.html"), CONSOLE_NOT_BUILT)?;
        stand_in
    };
    println!("cargo::rustc-env=WANGLOU_CONSOLE_DIR={}", dir.display());
    Ok(())
}

const CONSOLE_NOT_BUILT: &str = "<!doctype html><html lang=\"zh-CN\"><meta charset=\"utf-8\"><title>Wanglou 望楼</title>\
<h1>控制台尚未构建 · The console is not built</h1>\
<p>在 <code>console/</code> 目录运行 <code>npm ci &amp;&amp; npm run build</code> 后重新编译；或直接运行 <code>cargo xtask up</code>。</p>\
<p>Run <code>npm ci &amp;&amp; npm run build</code> in <code>console/</code> and build again; or run <code>cargo xtask up</code>.</p>\
<p>API: <a href=\"/api/v1/health\">/api/v1/health</a></p></html>\n";

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

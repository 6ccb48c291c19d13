//! Golden diagnostics: each rule in `tests/diagnostics` beside what is said of it. Blessed with `BLESS=1`.

use std::path::{Path, PathBuf};

use wanglou_detect::{RuleFile, compile};

use crate::support::taxonomy;

#[test]
fn every_mistake_is_shown_with_its_place_and_remedy() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics");
    let mut rules: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yml"))
        .collect();
    rules.sort();
    assert!(!rules.is_empty());
    let taxonomy = taxonomy();
    let mut wrong = Vec::new();
    for rule in rules {
        let name = rule.file_name().unwrap().to_str().unwrap().to_owned();
        let file = RuleFile { path: name.clone(), text: std::fs::read_to_string(&rule).unwrap() };
        let compilation = compile(&[file], &taxonomy);
        let mut shown = format!("{} loaded, {} failed\n", compilation.loaded, compilation.failed.len());
        for diagnostic in &compilation.diagnostics {
            shown.push_str(&format!("\n{diagnostic}\n"));
        }
        let golden = rule.with_extension("txt");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&golden, &shown).unwrap();
        }
        if std::fs::read_to_string(&golden).ok().as_deref() != Some(shown.as_str()) {
            wrong.push(format!("{name}:\n{shown}"));
        }
    }
    assert!(wrong.is_empty(), "not as in the golden files:\n{}", wrong.join("\n"));
}

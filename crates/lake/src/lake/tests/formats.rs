//! Every format ever written stays readable: a log and a table of each version lie in `tests/formats`.
//!
//! A new version adds a directory (`BLESS=1` writes the current one); the old ones are never written again.

use std::path::PathBuf;

use super::*;

const CURRENT: &str = "v1";

fn formats() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats")
}

/// What each version's lake was given: a batch that is in the table, and one that is only in the log.
fn given() -> [Batch; 2] {
    let mut file = batch("", 3);
    file.origin = Origin::File { identity: "8:1:ab".into(), path: "/var/log/a".into(), start: 0, end: 48 };
    [batch("in the table", 4), file]
}

async fn bless(dir: &Path) {
    let lake = Lake::open(LakeConfig { compress_log: false, ..config(dir) }).await.unwrap();
    let [in_table, in_log] = given();
    let Appended::At(at) = lake.append(in_table.clone()).await.unwrap() else { panic!("not new") };
    lake.store(at, decode(&in_table, at, 0)).await.unwrap();
    lake.flush().await.unwrap();
    lake.append(in_log).await.unwrap();
    // Delta notes where the table was made; that is nobody's business.
    let first = dir.join("events/_delta_log/00000000000000000000.json");
    let text = std::fs::read_to_string(&first).unwrap();
    std::fs::write(&first, text.replace(dir.to_str().unwrap(), "/lake")).unwrap();
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lakes_of_every_version_open_and_give_back_what_they_hold() {
    let current = formats().join(CURRENT);
    if std::env::var_os("BLESS").is_some() && !current.exists() {
        bless(&current).await;
        std::fs::remove_file(current.join("lock")).unwrap();
        std::fs::remove_dir_all(current.join("spill")).unwrap();
    }
    let mut versions = 0;
    for version in std::fs::read_dir(formats()).unwrap() {
        let dir = tempfile::tempdir().unwrap();
        copy(&version.unwrap().path(), dir.path());
        let lake = Lake::open(config(dir.path())).await.unwrap();
        let [in_table, in_log] = given();
        let Appended::AlreadyHad(at) = lake.append(in_table.clone()).await.unwrap() else {
            panic!("the key is forgotten")
        };
        let found = lake.search(&Query { newest_first: false, ..all() }).await.unwrap().hits;
        let expected: Vec<_> = decode(&in_table, at, 0).iter().map(json_of).collect();
        assert_eq!(found.into_iter().map(|hit| hit.json).collect::<Vec<_>>(), expected);
        let replayed: Vec<_> = lake.replay().map(|batch| batch.unwrap().1).collect();
        assert_eq!(replayed, [in_log]);
        assert_eq!(lake.checkpoint(&SourceId::new("test"), "8:1:ab"), Some(48));
        versions += 1;
    }
    assert!(versions > 0, "no version was tested");
}

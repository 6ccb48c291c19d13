//! Damaged and hostile evidence: said with file and place, and the good file beside it is read all the same.

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value as Json;

use crate::{code, here, json_file, run, stderr};

/// The most memory a scan of hostile input may take: a few buffers of the largest line, the rules, the binary.
const MEMORY_BYTES: u64 = 512 << 20;

/// Scans `folder`, to which a good file is added, and gives the statistics and the exit code.
fn scan(folder: &Path) -> (Json, i32) {
    std::fs::copy(here().join("evidence/access.log"), folder.join("good.log")).unwrap();
    let (rules, out) = (here().join("rules"), tempfile::tempdir().unwrap());
    let stats = out.path().join("stats.json");
    let (rules, stats_path) = (rules.to_str().unwrap(), stats.to_str().unwrap());
    let output = run(folder, &["scan", ".", "--rules", rules, "--format", "ndjson", "--stats", stats_path]);
    let stats = json_file(&stats);
    assert!(stats["findings"].as_u64().unwrap() >= 2, "the good file was not read: {}", stderr(&output));
    assert!(stats["peak_rss_bytes"].as_u64().unwrap() < MEMORY_BYTES, "{}", stats["peak_rss_bytes"]);
    (stats, code(&output))
}

/// The reason that `list` gives for a file whose name ends with `name`.
fn reason<'s>(stats: &'s Json, list: &str, name: &str) -> &'s str {
    let files = stats[list].as_array().unwrap();
    let file = files.iter().find(|file| file["file"].as_str().unwrap().ends_with(name));
    file.unwrap_or_else(|| panic!("`{name}` is not in {list}: {stats}"))["reason"].as_str().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn empty_and_unknown_files_are_skipped() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("empty.log"), "").unwrap();
    std::fs::write(folder.path().join("picture.png"), b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR").unwrap();
    let (stats, code) = scan(folder.path());
    assert_eq!(code, 1);
    assert_eq!(reason(&stats, "files_skipped", "empty.log"), "empty");
    reason(&stats, "files_skipped", "picture.png");
}

#[test]
fn a_truncated_archive_gives_what_was_readable_and_fails() {
    let folder = tempfile::tempdir().unwrap();
    let log = std::fs::read(here().join("evidence/access.log")).unwrap().repeat(2_000);
    let whole = gzip(&log);
    std::fs::write(folder.path().join("cut.log.gz"), &whole[..whole.len() / 2]).unwrap();
    let (stats, code) = scan(folder.path());
    assert_eq!(code, 3);
    reason(&stats, "files_failed", "cut.log.gz");
    assert!(stats["events"].as_u64().unwrap() > 1_000);
}

#[test]
fn a_huge_line_is_named_and_left() {
    let folder = tempfile::tempdir().unwrap();
    let good = std::fs::read_to_string(here().join("evidence/auth.log")).unwrap();
    let huge = format!("{good}{}\n{good}", "A".repeat(40 << 20));
    std::fs::write(folder.path().join("huge.log"), huge).unwrap();
    let (stats, _) = scan(folder.path());
    assert_eq!(stats["events"], 3 + 10, "the lines before and behind it were read");
    let rejected = &stats["rejected"][0];
    assert!(rejected["file"].as_str().unwrap().ends_with("huge.log"));
    assert_eq!(rejected["record"], 6);
}

#[test]
fn text_that_is_not_utf_8_is_read() {
    let folder = tempfile::tempdir().unwrap();
    // `/搜索?q=union select` in GBK.
    let gbk = b"198.51.100.4 - - [20/Nov/2026:07:59:41 +0800] \"GET /\xcb\xd1\xcb\xf7?q=union+select HTTP/1.1\" 200 1 \"-\" \"e\"\n";
    std::fs::write(folder.path().join("gbk.log"), gbk.repeat(3)).unwrap();
    let stray = b"198.51.100.4 - - [20/Nov/2026:07:59:41 +0800] \"GET /\xff\xfe?q=union+select HTTP/1.1\" 200 1 \"-\" \"e\"\n";
    std::fs::write(folder.path().join("stray.log"), stray).unwrap();
    let (stats, code) = scan(folder.path());
    assert_eq!((code, &stats["findings"]), (1, &Json::from(2 + 3 + 1)));
}

#[test]
fn a_zip_bomb_ends_with_a_message() {
    let folder = tempfile::tempdir().unwrap();
    let mut zip = zip::ZipWriter::new(std::fs::File::create(folder.path().join("bomb.zip")).unwrap());
    let options = zip::write::SimpleFileOptions::default().large_file(true);
    zip.start_file("bomb.log", options).unwrap();
    let block = vec![b'0'; 1 << 20];
    for _ in 0..400 {
        zip.write_all(&block).unwrap();
    }
    zip.finish().unwrap();
    let bomb = gzip(&gzip(&vec![b'0'; 300 << 20]));
    std::fs::write(folder.path().join("bomb.gz"), bomb).unwrap();
    let (stats, code) = scan(folder.path());
    assert_eq!(code, 3, "{stats}");
    reason(&stats, "files_failed", "bomb.gz");
    reason(&stats, "files_failed", "bomb.log");
}

#[test]
fn a_loop_of_links_is_named_and_left() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("inner")).unwrap();
    std::os::unix::fs::symlink(folder.path(), folder.path().join("inner/loop")).unwrap();
    let (stats, code) = scan(folder.path());
    assert_eq!(code, 3);
    assert!(reason(&stats, "files_failed", "inner/loop").contains("loop"));
}

#[test]
fn json_nested_100_000_deep_costs_one_record() {
    let folder = tempfile::tempdir().unwrap();
    let deep = format!("{{\"a\":{}1{}}}\n", "[".repeat(100_000), "]".repeat(100_000));
    let text = format!("{{\"n\":1}}\n{deep}{{\"n\":2}}\n");
    std::fs::write(folder.path().join("deep.json"), text).unwrap();
    std::fs::write(folder.path().join("only.json"), "[".repeat(100_000)).unwrap();
    let (stats, _) = scan(folder.path());
    assert_eq!(stats["events"], 3 + 2);
    assert_eq!(stats["rejected"][0]["record"], 2);
}

#[test]
fn a_corrupt_chunk_of_an_event_log_costs_that_chunk() {
    let Some(corpus) = wanglou_testkit::corpus("evtx-attack-samples") else { return };
    let source = std::fs::read(corpus.join("UACME_59_Sysmon.evtx")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut damaged = source.clone();
    // The second record of the first chunk: file header 4,096 bytes, chunk header 512 (MS-EVEN6, [libevtx]).
    damaged[4_096 + 512 + 2_000..4_096 + 512 + 2_400].fill(0xff);
    std::fs::write(folder.path().join("damaged.evtx"), damaged).unwrap();
    std::fs::write(folder.path().join("cut.evtx"), &source[..source.len() - 30_000]).unwrap();
    let (stats, code) = scan(folder.path());
    assert_eq!(code & 2, 2, "{stats}");
    reason(&stats, "files_failed", "damaged.evtx");
}

//! Damaged, hostile and odd files: what is readable is read, the rest is named, nothing panics.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

use std::io::Write;
use std::ops::ControlFlow;
use std::sync::Arc;

use proptest::prelude::*;
use wanglou_ingest::{Catalog, FileReport, FileStatus, FrameDecoder, Input, ReadLimits, Reader, RecordSink};
use wanglou_model::{Format, Record};

#[derive(Default)]
struct Numbers(Vec<u64>, Vec<String>);

impl RecordSink for Numbers {
    fn record(&mut self, _file: &Arc<str>, number: u64, _record: &Record) -> ControlFlow<()> {
        self.0.push(number);
        ControlFlow::Continue(())
    }
    fn rejected(&mut self, _file: &Arc<str>, number: u64, reason: &str) {
        self.1.push(format!("{number}: {reason}"));
    }
}

fn catalog() -> Arc<Catalog> {
    Arc::new(Catalog::from_yaml(include_str!("../../../content/products.yaml")).unwrap())
}

fn read_within(bytes: &[u8], limits: ReadLimits) -> (Numbers, Vec<FileReport>) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let input = Input { path: file.path().to_owned(), display: "in".to_owned(), bytes: bytes.len() as u64 };
    let mut numbers = Numbers::default();
    let reports = Reader::new(catalog(), limits).read(&input, &mut numbers);
    (numbers, reports)
}

fn read(bytes: &[u8]) -> (Numbers, Vec<FileReport>) {
    read_within(bytes, ReadLimits::default())
}

fn reason(report: &FileReport) -> &str {
    match &report.status {
        FileStatus::Read => "",
        FileStatus::Skipped(reason) | FileStatus::Failed(reason) => reason,
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in members {
        archive.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

const LINES: &[u8] = b"{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n";

#[test]
fn empty_and_foreign_files_are_skipped_with_the_reason() {
    for (bytes, said) in [
        (&b""[..], "empty"),
        (b" \r\n\n", "empty"),
        (b"\x7fELF\x02\x01\x01", "an ELF program"),
        (&[0x80; 300], "no known log format"),
        (&[7; 300], "binary data"),
        (b"# A readme\n\nSome words about nothing.\n", "no known log format"),
        (b"[]", "holds no records"),
    ] {
        let (numbers, reports) = read(bytes);
        assert!(numbers.0.is_empty() && numbers.1.is_empty(), "{said}");
        assert!(
            matches!(&reports[..], [FileReport { status: FileStatus::Skipped(reason), .. }] if reason.contains(said)),
            "{said}: {reports:?}"
        );
    }
}

#[test]
fn archives_are_read_through_and_their_damage_named() {
    let (numbers, reports) = read(&zip(&[("x/a.json", LINES), ("b.gz", &gzip(LINES)), ("empty", b"")]));
    assert_eq!(numbers.0, [1, 2, 3, 1, 2, 3]);
    let files: Vec<_> = reports.iter().map(|report| (report.file.as_str(), report.events)).collect();
    assert_eq!(files, [("in!x/a.json", 3), ("in!b.gz", 3), ("in!empty", 0)]);

    let several = [gzip(b"{\"a\":1}\n"), gzip(b"{\"a\":2}\n")].concat();
    assert_eq!(read(&several).0.0, [1, 2]);
    assert_eq!(read(&zstd::encode_all(LINES, 0).unwrap()).0.0, [1, 2, 3]);

    let many: Vec<u8> = (0..50_000).flat_map(|n| format!("{{\"n\":{n}}}\n").into_bytes()).collect();
    let mut cut = gzip(&many);
    cut.truncate(cut.len() / 2);
    let (numbers, reports) = read(&cut);
    assert!(numbers.0.len() > 1_000 && numbers.1.is_empty());
    assert_eq!(
        reports[0].status,
        FileStatus::Failed("truncated: the gzip data ends before its end mark".into())
    );
}

#[test]
fn bombs_end_with_a_message() {
    let limits = ReadLimits { archive_free_bytes: 1 << 20, ..ReadLimits::default() };
    let bomb = gzip(&vec![b' '; 8 << 20]);
    for bytes in [bomb.clone(), zip(&[("a.json", LINES), ("bomb.gz", &bomb)])] {
        let (_, reports) = read_within(&bytes, limits);
        assert!(reason(reports.last().unwrap()).contains("zip bomb"), "{reports:?}");
    }
    let mut nested = LINES.to_vec();
    for _ in 0..6 {
        nested = gzip(&nested);
    }
    let (numbers, reports) = read(&nested);
    assert!(numbers.0.is_empty() && reason(&reports[0]).contains("deeper than 4"), "{reports:?}");
}

#[test]
fn what_is_too_large_or_too_deep_is_rejected_and_the_rest_read() {
    let limits = ReadLimits { line_bytes: 1000, record_bytes: 1000, ..ReadLimits::default() };
    let long = format!("{{\"a\":1}}\n{{\"a\":\"{}\"}}\n{{\"a\":3}}\n", "x".repeat(200_000));
    let (numbers, reports) = read_within(long.as_bytes(), limits);
    assert_eq!(numbers.0, [1, 3]);
    assert_eq!(numbers.1, ["2: a line exceeds the limit of 1000"]);
    assert_eq!((reports[0].rejected, &reports[0].status), (1, &FileStatus::Read));

    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let (numbers, reports) = read(format!("{{\"a\":{deep}}}").as_bytes());
    assert!(numbers.0.is_empty());
    assert!(reason(&reports[0]).contains("nesting exceeds the limit of 128"), "{reports:?}");
    assert!(matches!(read(deep.as_bytes()).1[0].status, FileStatus::Failed(_)));
}

#[test]
fn encodings_of_chinese_systems_are_read() {
    let text = "{\"用户\":\"张三\"}\n{\"用户\":\"李四\"}\n";
    let utf16: Vec<u8> =
        std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let gbk = encoding_rs::GBK.encode(text).0.into_owned();
    let pretty = encoding_rs::GBK.encode("[{\n\"a\": \"璶\"},\n{\"b\": \"重启\"}]").0.into_owned();
    for bytes in [utf16, gbk, ["\u{feff}", text].concat().into_bytes(), pretty] {
        let (numbers, reports) = read(&bytes);
        assert_eq!(numbers.0, [1, 2], "{reports:?}");
        assert_eq!(reports[0].status, FileStatus::Read);
    }
}

#[test]
fn a_damaged_chunk_of_an_event_log_is_named() {
    let mut log = vec![0; 4096 + 2 * 65536];
    log[..8].copy_from_slice(b"ElfFile\0");
    log[42] = 2;
    log[4096..4100].copy_from_slice(b"oops");
    let (_, reports) = read(&log);
    assert!(reason(&reports[0]).contains("chunk 0 at offset 0x1000"), "{reports:?}");
    let (_, reports) = read(&log[..4096 + 65536 + 10]);
    assert!(matches!(reports[0].status, FileStatus::Failed(_)));
}

#[test]
fn frames_are_told_apart_by_content() {
    let frames = [
        &b"{\"event_type\":\"flow\",\"timestamp\":\"2026-11-20T00:00:00Z\",\"flow_id\":1}"[..],
        b"<34>Nov 22 10:00:00 web01 sshd[7]: Failed password for root from 192.0.2.1 port 4 ssh2",
        b"192.0.2.1 - - [22/Nov/2026:10:00:00 +0800] \"GET / HTTP/1.1\" 200 5 \"-\" \"x\"",
        b"no log at all",
    ]
    .map(bytes::Bytes::from_static);
    let (mut formats, mut rejected) = (Vec::new(), Vec::new());
    FrameDecoder::new(catalog()).decode_lines(
        &frames,
        &mut |index, record| formats.push((index, record.format)),
        &mut |index, _| rejected.push(index),
    );
    assert_eq!(formats, [(0, Format::SuricataEve), (1, Format::Syslog), (2, Format::AccessLog)]);
    assert_eq!(rejected, [3]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_panics(start in 0_usize..6, bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let magic: &[u8] = [&b""[..], b"\x1f\x8b\x08", b"PK\x03\x04", b"ElfFile\0", b"[{", b"{\"Records\":["][start];
        let whole = [magic, &bytes].concat();
        let (numbers, reports) = read(&whole);
        prop_assert!(numbers.0.len() + numbers.1.len() <= whole.len() + 1);
        prop_assert!(!reports.is_empty());
        let _ = FrameDecoder::new(catalog()).decode(&bytes::Bytes::from(whole), &mut |_| {});
    }
}

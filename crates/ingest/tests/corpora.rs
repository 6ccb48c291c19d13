//! Real logs, where they are present: everything reads, and what comes in two forms gives the same fields.
#![allow(clippy::expect_used, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use wanglou_ingest::{Catalog, FileReport, FileStatus, ReadLimits, Reader, RecordSink, discover};
use wanglou_model::Record;
use wanglou_testkit::corpus;

#[derive(Default)]
struct Collected {
    records: Vec<(String, u64, Record)>,
    rejected: Vec<String>,
}

impl RecordSink for Collected {
    fn record(&mut self, file: &Arc<str>, number: u64, record: &Record) -> ControlFlow<()> {
        self.records.push((file.to_string(), number, record.clone()));
        ControlFlow::Continue(())
    }

    fn rejected(&mut self, file: &Arc<str>, number: u64, reason: &str) {
        self.rejected.push(format!("{file}:{number}: {reason}"));
    }
}

fn catalog() -> Arc<Catalog> {
    let table = include_str!("../../../content/products.yaml");
    Arc::new(Catalog::from_yaml(table).expect("the shipped table of products is sound"))
}

fn read(folder: &Path) -> (Collected, Vec<FileReport>) {
    let mut collected = Collected::default();
    let reader = Reader::new(catalog(), ReadLimits::default());
    let found = discover(&[folder.to_owned()]);
    assert_eq!(found.failed, []);
    let reports = found.inputs.iter().flat_map(|input| reader.read(input, &mut collected)).collect();
    (collected, reports)
}

fn products(collected: &Collected) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for (_, _, record) in &collected.records {
        *counts.entry(record.product.id.clone()).or_default() += 1;
    }
    counts
}

#[test]
fn every_recorded_windows_log_reads_whole() {
    let Some(folder) = corpus("evtx-attack-samples") else { return };
    let (collected, reports) = read(&folder);
    println!("{} records of {:?}", collected.records.len(), products(&collected));
    let logs = reports.iter().filter(|report| report.file.ends_with(".evtx"));
    let troubled: Vec<_> =
        logs.filter(|report| report.status != FileStatus::Read || report.rejected > 0).collect();
    assert!(troubled.is_empty(), "{troubled:#?}");
    assert!(collected.records.len() > 8_000);
}

//! Every file below `tests/decode` reads to what the `.golden.json` beside it says: records, events and rejections.
//! `BLESS=1` writes the golden files anew; look at what changed before committing it.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value as Json, json};
use wanglou_ingest::{Catalog, EventContext, ReadLimits, Reader, RecordSink, discover, normalize};
use wanglou_model::{EventUid, Record, SourceId, TenantId};

struct Transcript(Vec<Json>);

impl RecordSink for Transcript {
    fn record(&mut self, _file: &Arc<str>, number: u64, record: &Record) -> ControlFlow<()> {
        let context = EventContext {
            uid: EventUid::from_u128(number.into()),
            source: SourceId::new("golden"),
            arrival: "2026-11-22T12:00:00+08:00".parse().unwrap(),
            tenant: TenantId::default(),
            zone: jiff::tz::TimeZone::get("Asia/Shanghai").unwrap(),
        };
        let mut event = normalize(record, context).to_json(Some(record));
        event.remove("raw_data");
        if let Some(Json::Object(metadata)) = event.get_mut("metadata") {
            metadata.retain(|name, _| {
                !matches!(name.as_str(), "version" | "logged_time" | "tenant_uid" | "log_provider")
            });
        }
        self.0.push(json!({
            "number": number,
            "format": record.format.name(),
            "product": record.product.id,
            "raw_bytes": record.raw.len(),
            "fields": record.fields.to_json(),
            "event": event,
        }));
        ControlFlow::Continue(())
    }

    fn rejected(&mut self, _file: &Arc<str>, number: u64, reason: &str) {
        self.0.push(json!({ "number": number, "rejected": reason }));
    }
}

#[test]
fn files_read_as_their_golden_files_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/decode");
    let catalog = Catalog::from_yaml(include_str!("../../../content/products.yaml")).unwrap();
    let reader = Reader::new(Arc::new(catalog), ReadLimits::default());
    let mut wrong = Vec::new();
    let inputs = discover(&[folder]).inputs;
    assert!(!inputs.is_empty());
    for input in inputs.iter().filter(|input| !input.display.ends_with(".golden.json")) {
        let mut transcript = Transcript(Vec::new());
        reader.read(input, &mut transcript);
        let text = serde_json::to_string_pretty(&transcript.0).unwrap() + "\n";
        let golden = PathBuf::from(format!("{}.golden.json", input.path.display()));
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&golden, text).unwrap();
            continue;
        }
        let wanted = std::fs::read_to_string(&golden).unwrap_or_default();
        if wanted != text {
            let at = wanted.lines().zip(text.lines()).position(|(wanted, got)| wanted != got);
            let line = at.and_then(|at| text.lines().nth(at)).unwrap_or("one is longer");
            wrong.push(format!("{} differs at line {}: {line}", golden.display(), at.map_or(0, |at| at + 1)));
        }
    }
    assert!(wrong.is_empty(), "{}\nBLESS=1 accepts what is read now", wrong.join("\n"));
}

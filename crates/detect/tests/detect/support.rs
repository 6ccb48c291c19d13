//! Records out of JSON, and the taxonomy that the product ships.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value as Json;
use wanglou_detect::{Compilation, RuleFile, Taxonomy, compile};
use wanglou_model::{FieldMap, Format, PathId, Product, Record, Value};

/// The tables of `content/taxonomy`.
pub(crate) fn taxonomy() -> Taxonomy {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../content/taxonomy");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let files: Vec<(String, String)> = files
        .iter()
        .map(|path| (path.display().to_string(), std::fs::read_to_string(path).unwrap()))
        .collect();
    Taxonomy::from_yaml(files.iter().map(|(name, text)| (name.as_str(), text.as_str()))).unwrap()
}

/// Compiles rules given as text.
pub(crate) fn compiled(rules: &[&str], taxonomy: &Taxonomy) -> Compilation {
    let files: Vec<RuleFile> = rules
        .iter()
        .enumerate()
        .map(|(number, text)| RuleFile { path: format!("rule{number}.yml"), text: (*text).to_owned() })
        .collect();
    compile(&files, taxonomy)
}

/// A record whose fields are those of a JSON object, nested names joined by dots.
pub(crate) fn record(format: Format, json: &Json) -> Record {
    let mut record = Record::new(format, Bytes::from(json.to_string()));
    push(&mut record.fields, None, json);
    record
}

/// A record of a product.
pub(crate) fn record_of(product: &str, format: Format, json: &Json) -> Record {
    let mut record = record(format, json);
    record.product =
        Arc::new(Product { id: product.to_owned(), vendor: "Test".to_owned(), name: product.to_owned() });
    record
}

fn push(fields: &mut FieldMap, path: Option<PathId>, json: &Json) {
    let mut leaf = |value: Value<'_>| fields.push(path.unwrap(), value);
    match json {
        Json::Null => leaf(Value::Null),
        Json::Bool(flag) => leaf(Value::Bool(*flag)),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => leaf(Value::Int(number)),
            (None, Some(number)) => leaf(Value::UInt(number)),
            (None, None) => leaf(Value::Float(number.as_f64().unwrap())),
        },
        Json::String(text) => leaf(Value::Str(text)),
        Json::Array(items) => items.iter().for_each(|item| push(fields, path, item)),
        Json::Object(entries) => {
            for (key, value) in entries {
                match key.as_str() {
                    // As evtx tools write XML: attributes stand beside their element, its text under its own name.
                    "#attributes" => push(fields, path, value),
                    "#text" => push(fields, path, value),
                    key => push(fields, Some(PathId::child(path, key).unwrap()), value),
                }
            }
        }
    }
}

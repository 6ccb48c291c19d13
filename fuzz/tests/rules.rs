//! Targets for what people and devices hand to the detection engine: rule texts, pipelines, and events under rules.
//! Nothing panics, every diagnostic has a place in the text, and what is found can be explained.

use std::sync::LazyLock;

use bytes::Bytes;
use wanglou_detect::{Engine, Processing, RuleFile, Taxonomy, compile, compile_with};
use wanglou_fuzz::{mutate, seeds, test_time};
use wanglou_ingest::ReadLimits;
use wanglou_ingest::decode::json;
use wanglou_model::{Format, Product, Record};

fn file(text: &str) -> RuleFile {
    RuleFile { path: "fuzz.yml".to_owned(), text: text.to_owned() }
}

fn run(target: &str, check: fn(&[u8])) {
    let seeds = seeds(target);
    seeds.iter().for_each(|seed| check(seed));
    bolero::check!().with_test_time(test_time()).for_each(|plan: &[u8]| check(&mutate(&seeds, plan)));
}

/// The rules that pipelines and events are tried on.
static RULES: LazyLock<String> = LazyLock::new(|| {
    let seeds = seeds("rules");
    String::from_utf8(seeds.concat()).expect("our own file")
});

#[test]
fn rules() {
    run("rules", |input| {
        let text = String::from_utf8_lossy(input);
        let breaks = text.bytes().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
        let lines = u32::try_from(breaks + 1).expect("short");
        let compilation = compile(&[file(&text)], &Taxonomy::default());
        for diagnostic in &compilation.diagnostics {
            assert!(diagnostic.line <= lines + 1, "{diagnostic}");
        }
        let record = record(br#"{"a":"xy","w":"one","user":"adm_x"}"#);
        explained(&compilation.engine, &record);
    });
}

#[test]
fn pipeline() {
    run("pipeline", |input| {
        let text = String::from_utf8_lossy(input);
        let (processing, mistakes) = Processing::from_files(&[file(&text)], &[file(&text)]);
        for mistake in mistakes {
            assert!(!mistake.message.is_empty() && !mistake.remedy.is_empty());
        }
        let compilation = compile_with(&[file(&RULES)], &Taxonomy::default(), &processing);
        explained(&compilation.engine, &record(br#"{"x":"xy","z":"abc1","source":"test"}"#));
    });
}

#[test]
fn rule_events() {
    static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
        let (processing, _) = Processing::from_files(&[], &[file("Servers: ['srv*']")]);
        compile_with(&[file(&RULES)], &Taxonomy::default(), &processing).engine
    });
    run("rule_events", |input| explained(&ENGINE, &record(input)));
}

/// A record of a JSON object; an empty one of what is none.
fn record(json: &[u8]) -> Record {
    let mut record = Record::new(Format::Json, Bytes::copy_from_slice(json));
    let text = String::from_utf8_lossy(json);
    _ = json::decode(&text, &ReadLimits::default(), &mut record.fields);
    record.product =
        Product { id: "test".to_owned(), vendor: "Test".to_owned(), name: "Test".to_owned() }.into();
    record
}

/// Evaluates twice, for nothing may be left over from the first time, and explains what matches.
fn explained(engine: &Engine, record: &Record) {
    let mut scratch = engine.scratch();
    let first = engine.evaluate(record, &mut scratch).to_vec();
    assert_eq!(engine.evaluate(record, &mut scratch), first);
    for hit in first {
        _ = engine.explain(hit, record);
    }
}

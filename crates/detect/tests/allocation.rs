//! An event that matches nothing costs no heap allocation, once the working memory has seen its like.

use wanglou_detect::{RuleFile, Taxonomy, compile};
use wanglou_model::{Format, PathId, Record, Value};

const TAXONOMY: &str = "
formats: {evtx: {fields: {EventID: Event.System.EventID}, others: ['Event.EventData.{field}', 'Event.UserData.*.{field}']}}
logsources: [{product: windows, formats: [evtx], when: {EventID: 1}}]
";

/// One of each kind of test, so that each is run and none matches.
const RULE: &str = r"
title: every kind of test
logsource: {product: windows}
detection:
  literal: {Image|endswith: '\evil.exe'}
  exact: {Image: 'x.exe'}
  glob: {CommandLine|contains: 'svc*host*never'}
  cased: {CommandLine|contains|cased: 'SVCHOST'}
  regex: {CommandLine|re: 'svchost.*-q'}
  network: {SourceIp|cidr: 192.0.2.0/24}
  number: {Size|gt: 5000}
  field: {Image|fieldref: CommandLine}
  filter: {Image: null}
  words: [nowhere]
  condition: (literal or exact or glob or cased or regex or network or number or field or words) and not filter
";

fn record(number: i64) -> Record {
    let mut record = Record::new(Format::Evtx, bytes::Bytes::new());
    let mut push = |path: &str, value: Value<'_>| record.fields.push(PathId::reserve(path), value);
    push("Event.System.EventID", Value::Int(1));
    push("Event.EventData.Image", Value::Str(r"C:\Windows\System32\svchost.exe"));
    push("Event.EventData.CommandLine", Value::Str(r"C:\Windows\System32\svchost.exe -k netsvcs Größe"));
    push("Event.EventData.SourceIp", Value::Str("10.0.0.1"));
    push("Event.EventData.Size", Value::Int(number));
    push("Event.UserData.Some.Other", Value::Bool(true));
    record
}

#[test]
fn an_event_that_matches_nothing_allocates_nothing() {
    let taxonomy = Taxonomy::from_yaml([("t", TAXONOMY)]).unwrap();
    let rule = RuleFile { path: "rule.yml".to_owned(), text: RULE.to_owned() };
    // So many literals that the engine remembers its answers.
    let names: Vec<String> = (0..500).map(|number| format!("'\\tool{number}.exe'")).collect();
    let selection = format!("{{s: {{Image|endswith: [{}]}}, condition: s}}", names.join(", "));
    let many = format!("title: many\nlogsource: {{product: windows}}\ndetection: {selection}\n");
    let many = RuleFile { path: "many.yml".to_owned(), text: many };
    let compilation = compile(&[rule, many], &taxonomy);
    assert_eq!(compilation.loaded, 2, "{:?}", compilation.diagnostics);
    let engine = compilation.engine;
    let mut scratch = engine.scratch();
    let records: Vec<Record> = (0..100).map(record).collect();
    for record in &records {
        assert!(engine.evaluate(record, &mut scratch).is_empty());
    }
    let mut hits = 0;
    let counted = allocation_counter::measure(|| {
        hits = records.iter().map(|record| engine.evaluate(record, &mut scratch).len()).sum();
    });
    assert_eq!((hits, counted.count_total), (0, 0));
}

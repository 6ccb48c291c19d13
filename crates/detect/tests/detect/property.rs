//! The compiled engine against a slow reference that is plainly right, on random rules and events.
//!
//! The reference knows nothing of the engine: it works on the rule's own parts as they were drawn, compares text by
//! lower-casing it, and walks wildcards by trying everything.

use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};
use wanglou_detect::Taxonomy;
use wanglou_model::Format;

use crate::support::{compiled, record_of};

const FIELDS: [&str; 3] = ["f", "g", "h"];
/// The value of a field that no selection asks about.
const OTHER: &str = "aAbB";
/// Every other rule is for records of one kind only, so that rules of several logsources share questions.
const TAXONOMY: &str = "
logsources:
- {product: test, formats: [json]}
- {product: test, service: special, formats: [json], when: {kind: xx}}
";
const KINDS: [&str; 2] = ["yy", "xx"];

#[derive(Clone, Debug)]
enum Ask {
    Equals(Vec<String>),
    Contains(Vec<String>),
    ContainsAll(Vec<String>),
    StartsWith(String),
    EndsWith(String),
    Cased(String),
    Not(String),
    Null,
    Exists(bool),
    AtLeast(i64),
    Regex(String, String),
    Same(usize),
}

#[derive(Clone, Debug)]
enum Condition {
    Selection(usize),
    Not(Box<Condition>),
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
    OneOfThem,
    AllOfThem,
}

#[derive(Clone, Debug)]
struct Rule {
    /// Selections; each a list of (field, what is asked), joined by and.
    selections: Vec<Vec<(usize, Ask)>>,
    condition: Condition,
    /// Words of which one must stand somewhere in the record as well; none: no such words.
    keywords: Vec<String>,
}

/// Text over few letters, so that things match often; with wildcards. Some longer than what the engine looks up at once.
fn pattern() -> impl Strategy<Value = String> {
    prop_oneof![3 => "[abAB*?é]{1,4}", 1 => "[abA*]{4,7}", 1 => "(ab|bA|aa){4,6}"]
}
fn literal() -> impl Strategy<Value = String> {
    prop_oneof![3 => "[abABÉ]{1,3}", 1 => "[abB]{4,6}"]
}

fn ask() -> impl Strategy<Value = Ask> {
    prop_oneof![
        4 => prop::collection::vec(pattern(), 1..3).prop_map(Ask::Equals),
        4 => prop::collection::vec(pattern(), 1..3).prop_map(Ask::Contains),
        2 => prop::collection::vec(literal(), 2..4).prop_map(Ask::ContainsAll),
        2 => pattern().prop_map(Ask::StartsWith),
        2 => pattern().prop_map(Ask::EndsWith),
        2 => literal().prop_map(Ask::Cased),
        1 => literal().prop_map(Ask::Not),
        1 => Just(Ask::Null),
        1 => any::<bool>().prop_map(Ask::Exists),
        1 => (0..4_i64).prop_map(Ask::AtLeast),
        2 => (literal(), literal()).prop_map(|(a, b)| Ask::Regex(a, b)),
        1 => (0..FIELDS.len()).prop_map(Ask::Same),
    ]
}

fn rule() -> impl Strategy<Value = Rule> {
    let selection =
        prop::collection::btree_map(0..FIELDS.len(), ask(), 1..3).prop_map(|map| map.into_iter().collect());
    prop::collection::vec(selection, 1..4).prop_flat_map(|selections: Vec<Vec<(usize, Ask)>>| {
        let leaf = prop_oneof![
            6 => (0..selections.len()).prop_map(Condition::Selection),
            1 => Just(Condition::OneOfThem),
            1 => Just(Condition::AllOfThem),
        ];
        let condition = leaf.prop_recursive(3, 8, 2, |inner| {
            prop_oneof![
                inner.clone().prop_map(|c| Condition::Not(Box::new(c))),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| Condition::And(Box::new(a), Box::new(b))),
                (inner.clone(), inner).prop_map(|(a, b)| Condition::Or(Box::new(a), Box::new(b))),
            ]
        });
        let keywords = prop::collection::vec("[abABé?]{1,4}", 0..3);
        (condition, keywords).prop_map(move |(condition, keywords)| Rule {
            selections: selections.clone(),
            condition,
            keywords,
        })
    })
}

/// Values of the three fields; several values make a list.
fn event() -> impl Strategy<Value = Vec<Vec<Json>>> {
    let value = prop_oneof![
        6 => "[abABéÉ]{0,5}".prop_map(Json::from),
        2 => "[abABé]{4,14}".prop_map(Json::from),
        2 => "(ab|bA|aa){4,8}".prop_map(Json::from),
        1 => (0..5_i64).prop_map(Json::from),
        1 => Just(Json::Null),
        1 => any::<bool>().prop_map(Json::from),
    ];
    prop::collection::vec(prop::collection::vec(value, 0..3), FIELDS.len())
}

impl Rule {
    fn yaml(&self, number: usize) -> String {
        let service = if number.is_multiple_of(2) { "" } else { ", service: special" };
        let mut text =
            format!("title: r{number}\nid: r{number}\nlogsource: {{product: test{service}}}\ndetection:\n");
        for (index, entries) in self.selections.iter().enumerate() {
            text.push_str(&format!("  s{index}:\n"));
            for (field, ask) in entries {
                let (modifier, value) = ask.yaml();
                text.push_str(&format!("    {}{modifier}: {value}\n", FIELDS[*field]));
            }
        }
        if self.keywords.is_empty() {
            return format!("{text}  condition: {}\n", self.condition.text());
        }
        let keywords: Vec<String> = self.keywords.iter().map(|word| format!("'{word}'")).collect();
        format!("{text}  _k: [{}]\n  condition: {} and _k\n", keywords.join(", "), self.condition.text())
    }

    fn holds(&self, event: &[Vec<Json>], kind: &str) -> bool {
        let selection =
            |index: usize| self.selections[index].iter().all(|(field, ask)| ask.holds(&event[*field], event));
        let all: Vec<Json> = event.iter().flatten().cloned().chain([json!(OTHER), json!(kind)]).collect();
        let keywords = self.keywords.is_empty() || Ask::Contains(self.keywords.clone()).holds(&all, event);
        keywords && self.condition.holds(&selection, self.selections.len())
    }
}

impl Ask {
    fn yaml(&self) -> (String, String) {
        let quoted = |text: &str| format!("'{text}'");
        let list = |texts: &[String]| {
            format!("[{}]", texts.iter().map(|t| quoted(t)).collect::<Vec<_>>().join(", "))
        };
        let (modifier, value) = match self {
            Self::Equals(texts) => ("", list(texts)),
            Self::Contains(texts) => ("|contains", list(texts)),
            Self::ContainsAll(texts) => ("|contains|all", list(texts)),
            Self::StartsWith(text) => ("|startswith", quoted(text)),
            Self::EndsWith(text) => ("|endswith", quoted(text)),
            Self::Cased(text) => ("|contains|cased", quoted(text)),
            Self::Not(text) => ("|neq", quoted(text)),
            Self::Null => ("", "null".to_owned()),
            Self::Exists(exists) => ("|exists", exists.to_string()),
            Self::AtLeast(number) => ("|gte", number.to_string()),
            Self::Regex(first, second) => ("|re", quoted(&format!("{first}.*{second}"))),
            Self::Same(field) => ("|fieldref", FIELDS[*field].to_owned()),
        };
        (modifier.to_owned(), value)
    }

    fn holds(&self, values: &[Json], event: &[Vec<Json>]) -> bool {
        let texts: Vec<String> = values.iter().filter_map(text).collect();
        let any = |pattern: &str| {
            let pattern: Vec<char> = pattern.to_lowercase().chars().collect();
            texts.iter().any(|text| glob(&pattern, &text.to_lowercase().chars().collect::<Vec<_>>()))
        };
        match self {
            Self::Equals(patterns) => patterns.iter().any(|pattern| any(pattern)),
            Self::Contains(patterns) => patterns.iter().any(|pattern| any(&format!("*{pattern}*"))),
            Self::ContainsAll(patterns) => patterns.iter().all(|pattern| any(&format!("*{pattern}*"))),
            Self::StartsWith(pattern) => any(&format!("{pattern}*")),
            Self::EndsWith(pattern) => any(&format!("*{pattern}")),
            Self::Cased(part) => texts.iter().any(|text| text.contains(part.as_str())),
            Self::Not(pattern) => !any(pattern),
            Self::Null => texts.is_empty(),
            Self::Exists(exists) => values.is_empty() != *exists,
            Self::AtLeast(bound) => values.iter().filter_map(Json::as_i64).any(|number| number >= *bound),
            Self::Regex(first, second) => texts.iter().any(|text| {
                text.split_once(first.as_str()).is_some_and(|(_, rest)| rest.contains(second.as_str()))
            }),
            Self::Same(other) => {
                let others: Vec<String> =
                    event[*other].iter().filter_map(text).map(|t| t.to_lowercase()).collect();
                texts.iter().any(|text| others.contains(&text.to_lowercase()))
            }
        }
    }
}

impl Condition {
    fn text(&self) -> String {
        match self {
            Self::Selection(index) => format!("s{index}"),
            Self::Not(inner) => format!("not ({})", inner.text()),
            Self::And(a, b) => format!("({} and {})", a.text(), b.text()),
            Self::Or(a, b) => format!("({} or {})", a.text(), b.text()),
            // Names that begin with an underscore are not among them.
            Self::OneOfThem => "1 of them".to_owned(),
            Self::AllOfThem => "all of s*".to_owned(),
        }
    }

    fn holds(&self, selection: &dyn Fn(usize) -> bool, count: usize) -> bool {
        match self {
            Self::Selection(index) => selection(*index),
            Self::Not(inner) => !inner.holds(selection, count),
            Self::And(a, b) => a.holds(selection, count) && b.holds(selection, count),
            Self::Or(a, b) => a.holds(selection, count) || b.holds(selection, count),
            Self::OneOfThem => (0..count).any(selection),
            Self::AllOfThem => (0..count).all(selection),
        }
    }
}

/// What rules compare with; null is nothing.
fn text(value: &Json) -> Option<String> {
    match value {
        Json::Null => None,
        Json::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// Wildcards, by trying everything.
fn glob(pattern: &[char], text: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some(('*', rest)) => (0..=text.len()).any(|skipped| glob(rest, &text[skipped..])),
        Some(('?', rest)) => !text.is_empty() && glob(rest, &text[1..]),
        Some((letter, rest)) => text.first() == Some(letter) && glob(rest, &text[1..]),
    }
}

fn json(event: &[Vec<Json>], kind: &str) -> Json {
    let mut object = Map::from_iter([("other".to_owned(), json!(OTHER)), ("kind".to_owned(), json!(kind))]);
    for (field, values) in FIELDS.iter().zip(event) {
        match values.as_slice() {
            [] => {}
            [only] => _ = object.insert((*field).to_owned(), only.clone()),
            several => _ = object.insert((*field).to_owned(), Json::Array(several.to_vec())),
        }
    }
    Json::Object(object)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_agrees_with_the_reference(
        rules in prop::collection::vec(rule(), 1..12),
        events in prop::collection::vec(event(), 1..12),
    ) {
        let texts: Vec<String> = rules.iter().enumerate().map(|(number, rule)| rule.yaml(number)).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let compilation = compiled(&texts, &Taxonomy::from_yaml([("taxonomy", TAXONOMY)]).unwrap());
        prop_assert_eq!(compilation.loaded, rules.len(), "{:?}", compilation.failed);
        let engine = compilation.engine;
        let mut scratch = engine.scratch();
        for (event, kind) in events.iter().zip(KINDS.iter().cycle()) {
            let record = record_of("test", Format::Json, &json(event, kind));
            let hits: Vec<String> =
                engine.evaluate(&record, &mut scratch).iter().map(|hit| engine.rule(*hit).id.clone()).collect();
            let expected: Vec<String> = rules
                .iter()
                .enumerate()
                .filter(|(number, rule)| (number.is_multiple_of(2) || *kind == "xx") && rule.holds(event, kind))
                .map(|(number, _)| format!("r{number}"))
                .collect();
            prop_assert_eq!(&hits, &expected, "event {} rules\n{}", json(event, kind), texts.join("---\n"));
        }
    }

    /// Whatever a rule file holds, compiling it ends, and what is wrong has a place within it.
    #[test]
    fn no_rule_text_is_too_strange(
        at in 0..SOUND.len(),
        cut in 0..SOUND.len(),
        noise in "[\\PC\\n]{0,12}|[-:|*&\\[\\]{}'\"%#\\n ]{0,12}",
    ) {
        let head: String = SOUND.chars().take(at).collect();
        let tail: String = SOUND.chars().skip(cut).collect();
        let text = format!("{head}{noise}{tail}");
        let lines = u32::try_from(text.lines().count()).unwrap();
        let compilation = compiled(&[&text], &Taxonomy::default());
        for diagnostic in compilation.diagnostics {
            prop_assert!(diagnostic.line <= lines + 1, "{diagnostic}");
        }
    }
}

const SOUND: &str = "
title: a
id: b
logsource: {product: test}
detection:
  s:
    a|contains|all: ['x', \"y\"]
    b|re: '^a(b|c)+$'
    c|cidr: 10.0.0.0/8
  words: [one, two]
  condition: 1 of s* and not (words or s)
---
title: c
correlation:
  type: event_count
  rules: [b]
  group-by: [a]
  timespan: 5m
  condition: {gte: 3}
";

//! Every modifier against a slow reference that is plainly right, on values that nearly match.
//!
//! Each case draws what a rule asks, and values made from it: some that match, some changed by one letter, and values
//! of other kinds. All cases of a run are compiled into one engine, so that they share its automata.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value as Json, json};
use wanglou_detect::{Processing, RuleFile, Taxonomy, compile_with};
use wanglou_model::Format;

use crate::support::record_of;

/// An entry of a selection, and what it means.
#[derive(Clone, Debug)]
struct Case {
    entry: String,
    meaning: Meaning,
    /// Values of the field `a` to try, made from what is asked.
    values: Vec<Json>,
}

#[derive(Clone, Debug)]
enum Meaning {
    /// One of these globs matches the text.
    Globs {
        globs: Vec<String>,
        cased: bool,
        all: bool,
        negated: bool,
    },
    V4 {
        network: u32,
        prefix: u32,
    },
    V6 {
        network: u128,
        prefix: u32,
    },
    Compare {
        operator: &'static str,
        bound: f64,
    },
    /// Part 0..5 of a time: year, month, day, hour, minute.
    Time {
        part: usize,
        operator: &'static str,
        bound: i64,
    },
    /// The text that was encoded stands between these in the value.
    Encoded {
        decoded: Vec<String>,
        text: String,
    },
    /// Field `b`, with what may stand before and after.
    Reference {
        before: bool,
        after: bool,
        cased: bool,
        negated: bool,
    },
    NullOr(Option<String>),
}

impl Meaning {
    fn holds(&self, index: usize, value: &Json, other: &str) -> bool {
        let text = match value {
            Json::Null => None,
            Json::String(text) => Some(text.clone()),
            // A whole number is written without its fraction.
            Json::Number(number) if number.is_f64() => number.as_f64().map(|number| number.to_string()),
            other => Some(other.to_string()),
        };
        match self {
            Self::Globs { globs, cased, all, negated } => {
                let fold = |text: &str| if *cased { text.to_owned() } else { text.to_lowercase() };
                let is_match = |glob: &String| {
                    let glob: Vec<char> = fold(glob).chars().collect();
                    text.as_ref().is_some_and(|text| matches(&glob, &fold(text).chars().collect::<Vec<_>>()))
                };
                let joined = if *all { globs.iter().all(is_match) } else { globs.iter().any(is_match) };
                joined != *negated
            }
            Self::V4 { network, prefix } => {
                let octets: Option<Vec<u8>> =
                    text.and_then(|text| text.split('.').map(|octet| octet.parse().ok()).collect());
                octets.and_then(|octets| <[u8; 4]>::try_from(octets).ok()).is_some_and(|octets| {
                    let shift = 32 - prefix;
                    *prefix == 0 || u32::from_be_bytes(octets) >> shift == network >> shift
                })
            }
            Self::V6 { network, prefix } => {
                text.and_then(|text| text.parse::<std::net::Ipv6Addr>().ok()).is_some_and(|address| {
                    *prefix == 0 || u128::from(address) >> (128 - prefix) == network >> (128 - prefix)
                })
            }
            Self::Compare { operator, bound } => text
                .and_then(|text| text.parse().ok())
                .is_some_and(|number: f64| compare(number, operator, *bound)),
            Self::Time { part, operator, bound } => text
                .filter(|text| {
                    // `2026-01-02T03:04`
                    let shape: String =
                        text.chars().take(16).map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
                    shape.replace('T', " ") == "0000-00-00 00:00"
                })
                .and_then(|text| {
                    text.get([0..4, 5..7, 8..10, 11..13, 14..16][*part].clone())?.parse::<i64>().ok()
                })
                .is_some_and(|found| {
                    if operator.is_empty() {
                        found == *bound
                    } else {
                        compare(found as f64, operator, *bound as f64)
                    }
                }),
            Self::Encoded { decoded, text } => {
                decoded.get(index).is_some_and(|decoded| decoded.contains(text.as_str()))
            }
            Self::Reference { before, after, cased, negated } => {
                let fold = |text: &str| if *cased { text.to_owned() } else { text.to_lowercase() };
                let is_match = text.is_some_and(|text| {
                    let (text, other) = (fold(&text), fold(other));
                    match (before, after) {
                        (true, true) => text.contains(&other),
                        (true, false) => text.ends_with(&other),
                        (false, true) => text.starts_with(&other),
                        (false, false) => text == other,
                    }
                });
                is_match != *negated
            }
            Self::NullOr(or) => text.is_none() || (or.is_some() && text == *or),
        }
    }
}

fn compare(number: f64, operator: &str, bound: f64) -> bool {
    match operator {
        "lt" => number < bound,
        "lte" => number <= bound,
        "gt" => number > bound,
        _ => number >= bound,
    }
}

/// Wildcards and any-dash (`\u{1}`), by trying everything.
fn matches(pattern: &[char], text: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some(('*', rest)) => (0..=text.len()).any(|skipped| matches(rest, &text[skipped..])),
        Some(('?', rest)) => !text.is_empty() && matches(rest, &text[1..]),
        Some(('\u{1}', rest)) => {
            text.first().is_some_and(|c| "-/–—―".contains(*c)) && matches(rest, &text[1..])
        }
        Some((letter, rest)) => text.first() == Some(letter) && matches(rest, &text[1..]),
    }
}

/// Texts that match a glob, or nearly do.
fn near(glob: &str) -> impl Strategy<Value = Vec<Json>> + use<> {
    let glob = glob.to_owned();
    let one = (any::<prop::sample::Index>(), 0..7_u8, "[abÉ中 -]{0,2}", select(vec!['-', '/', '–', '+']))
        .prop_map(move |(at, change, fill, dash)| {
            let filled: String = glob
                .chars()
                .map(|c| match c {
                    '*' => fill.clone(),
                    '?' => "b".to_owned(),
                    '\u{1}' => dash.to_string(),
                    other => other.to_string(),
                })
                .collect();
            let mut letters: Vec<char> = filled.chars().collect();
            if letters.is_empty() {
                return json!(filled);
            }
            let at = at.index(letters.len());
            match change {
                0 => _ = letters.remove(at),
                1 => letters.insert(at, 'x'),
                2 => letters = filled.to_uppercase().chars().collect(),
                3 => letters.truncate(at),
                4 => letters.extend("b".chars()),
                _ => {}
            }
            json!(letters.into_iter().collect::<String>())
        });
    prop::collection::vec(one, 4)
}

fn globs() -> impl Strategy<Value = Case> {
    let text = prop_oneof!["[abABÉé中ß*? ]{1,5}", "[abA]{5,8}", "[ab]{1,2}[*][ab]{4,6}[?][ab]"];
    let affix =
        select(vec![("", "", ""), ("contains", "*", "*"), ("startswith", "", "*"), ("endswith", "*", "")]);
    (prop::collection::vec(text, 1..4), affix, any::<bool>(), any::<bool>(), any::<bool>()).prop_flat_map(
        |(texts, (affix, before, after), cased, all, negated)| {
            let all = all && texts.len() > 1;
            let mut key = "a".to_owned();
            for (is_set, name) in
                [(!affix.is_empty(), affix), (cased, "cased"), (all, "all"), (negated, "neq")]
            {
                if is_set {
                    key.push('|');
                    key.push_str(name);
                }
            }
            let quoted: Vec<String> = texts.iter().map(|text| format!("'{text}'")).collect();
            let entry = format!("{key}: [{}]", quoted.join(", "));
            let globs: Vec<String> = texts.iter().map(|text| format!("{before}{text}{after}")).collect();
            let seed = globs.join("");
            let meaning = Meaning::Globs { globs: globs.clone(), cased, all, negated };
            (near(&globs[0]), near(&seed)).prop_map(move |(mut values, more)| {
                values.extend(more);
                Case { entry: entry.clone(), meaning: meaning.clone(), values }
            })
        },
    )
}

fn windash() -> impl Strategy<Value = Case> {
    prop::collection::vec((any::<bool>(), "[ab]{1,3}"), 1..5).prop_flat_map(|options| {
        // Dashes that begin an option, and plain words between them.
        let word = |dash: &str| -> String {
            options
                .iter()
                .map(|(is_option, text)| format!(" {}{text}", if *is_option { dash } else { "" }))
                .collect()
        };
        let entry = format!("a|windash|contains: '{}'", word("-"));
        let glob = format!("*{}*", word("\u{1}"));
        let meaning = Meaning::Globs { globs: vec![glob.clone()], cased: false, all: false, negated: false };
        near(&glob).prop_map(move |values| Case { entry: entry.clone(), meaning: meaning.clone(), values })
    })
}

fn networks() -> impl Strategy<Value = Case> {
    let v4 = (any::<u32>(), 0..=32_u32, any::<u32>()).prop_map(|(address, prefix, other)| {
        let mask = if prefix == 0 { 0 } else { u32::MAX << (32 - prefix) };
        let network = address & mask;
        let show = |address: u32| json!(std::net::Ipv4Addr::from(address).to_string());
        let last = network | !mask;
        let values = vec![
            show(network),
            show(last),
            show(network.wrapping_sub(1)),
            show(last.wrapping_add(1)),
            show(other),
            json!("1.2.3"),
            json!("text"),
            json!("::1"),
        ];
        let entry = format!("a|cidr: {}/{prefix}", std::net::Ipv4Addr::from(network));
        Case { entry, meaning: Meaning::V4 { network, prefix }, values }
    });
    // Beyond what maps IPv4 addresses.
    let v6 = (any::<u128>(), 1..=128_u32).prop_map(|(address, prefix)| {
        let address = address | 1 << 127;
        let mask = u128::MAX << (128 - prefix);
        let network = address & mask;
        let show = |address: u128| json!(std::net::Ipv6Addr::from(address).to_string());
        let last = network | !mask;
        let values = vec![
            show(network),
            show(last),
            show(network.wrapping_sub(1)),
            show(last.wrapping_add(1)),
            json!("10.0.0.1"),
        ];
        let entry = format!("a|cidr: '{}/{prefix}'", std::net::Ipv6Addr::from(network));
        Case { entry, meaning: Meaning::V6 { network, prefix }, values }
    });
    prop_oneof![v4, v6]
}

fn numbers() -> impl Strategy<Value = Case> {
    (select(vec!["lt", "lte", "gt", "gte"]), -40..40_i32).prop_map(|(operator, quarters)| {
        let bound = f64::from(quarters) / 4.0;
        let values = vec![
            json!(bound),
            json!(bound + 0.25),
            json!(bound - 0.25),
            json!(bound.to_string()),
            json!(quarters),
            json!("many"),
            json!(null),
            json!(true),
            json!(""),
        ];
        Case {
            entry: format!("a|{operator}: {bound}"),
            meaning: Meaning::Compare { operator, bound },
            values,
        }
    })
}

fn times() -> impl Strategy<Value = Case> {
    let time = (1990..2090_i64, 1..=12_i64, 1..=28_i64, 0..24_i64, 0..60_i64);
    (time, 0..5_usize, select(vec!["", "lt", "lte", "gt", "gte"]), -1..=1_i64, select(vec!['T', ' ']))
        .prop_map(|((year, month, day, hour, minute), part, operator, off, between)| {
            let name = ["year", "month", "day", "hour", "minute"][part];
            let bound = [year, month, day, hour, minute][part] + off;
            let text = format!("{year}-{month:02}-{day:02}{between}{hour:02}:{minute:02}:07");
            let values = vec![json!(text), json!(format!("{text}.125Z")), json!("soon"), json!(7)];
            let operator_name = if operator.is_empty() { String::new() } else { format!("|{operator}") };
            let entry = format!("a|{name}{operator_name}: {bound}");
            Case { entry, meaning: Meaning::Time { part, operator, bound }, values }
        })
}

fn base64(bytes: &[u8]) -> String {
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let alphabet: Vec<char> = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['+', '/']).collect();
    let digits = bits.chunks(6).map(|chunk| {
        let number = (0..6).fold(0, |number, bit| number << 1 | chunk.get(bit).copied().unwrap_or(0));
        alphabet[usize::from(number)]
    });
    let mut text: String = digits.collect();
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

fn encoded() -> impl Strategy<Value = Case> {
    let near_text = (
        "[abAB]{4,8}",
        any::<prop::sample::Index>(),
        prop::collection::vec(("[xyz]{0,4}", "[xyz]{0,4}", any::<bool>()), 4),
    );
    (near_text, any::<bool>()).prop_map(|((text, at, frames), wide)| {
        let bytes = |text: &str| -> Vec<u8> {
            if wide {
                text.encode_utf16().flat_map(u16::to_le_bytes).collect()
            } else {
                text.as_bytes().to_vec()
            }
        };
        let mut wrong: Vec<char> = text.chars().collect();
        // Neither end: the characters there share their digits with what stands around them.
        let at = 1 + at.index(wrong.len() - 2);
        wrong[at] = 'q';
        let wrong: String = wrong.into_iter().collect();
        let decoded: Vec<String> = frames
            .iter()
            .map(|(before, after, right)| format!("{before}{}{after}", if *right { &text } else { &wrong }))
            .collect();
        let values = decoded.iter().map(|text| json!(base64(&bytes(text)))).collect();
        let entry = format!("a|{}base64offset|contains|cased: {text}", if wide { "wide|" } else { "" });
        Case { entry, meaning: Meaning::Encoded { decoded, text }, values }
    })
}

fn references() -> impl Strategy<Value = Case> {
    let affix = select(vec![
        ("", false, false),
        ("|startswith", false, true),
        ("|endswith", true, false),
        ("|contains", true, true),
    ]);
    (affix, any::<bool>(), any::<bool>()).prop_map(|((affix, before, after), cased, negated)| {
        let flags = format!("{}{}", if cased { "|cased" } else { "" }, if negated { "|neq" } else { "" });
        let values = ["Ab", "ab", "xAb", "Abx", "xabx", "b", ""].map(|text| json!(text)).to_vec();
        Case {
            entry: format!("a|fieldref{affix}{flags}: b"),
            meaning: Meaning::Reference { before, after, cased, negated },
            values,
        }
    })
}

fn nulls() -> impl Strategy<Value = Case> {
    select(vec![("null", None), ("[null, '']", Some("")), ("[x, null]", Some("x"))]).prop_map(
        |(value, or)| Case {
            entry: format!("a: {value}"),
            meaning: Meaning::NullOr(or.map(str::to_owned)),
            values: vec![json!(null), json!(""), json!("x"), json!(0)],
        },
    )
}

fn placeholders() -> impl Strategy<Value = Case> {
    (prop::collection::vec(select(vec!["P", "Q"]), 1..3), "[ab]{0,2}").prop_flat_map(|(names, end)| {
        let text: String = names.iter().map(|name| format!("%{name}%")).collect();
        let mut globs = vec![String::new()];
        for name in &names {
            let values: &[&str] = if *name == "P" { &["ab*", "b?a"] } else { &["aa"] };
            globs = globs
                .iter()
                .flat_map(|glob| values.iter().map(move |value| format!("{glob}{value}")))
                .collect();
        }
        let globs: Vec<String> = globs.into_iter().map(|glob| format!("{glob}{end}")).collect();
        let entry = format!("a|expand: '{text}{end}'");
        let meaning = Meaning::Globs { globs: globs.clone(), cased: false, all: false, negated: false };
        near(&globs[0]).prop_map(move |values| Case {
            entry: entry.clone(),
            meaning: meaning.clone(),
            values,
        })
    })
}

fn case() -> impl Strategy<Value = Case> {
    prop_oneof![
        6 => globs(),
        2 => windash(),
        2 => networks(),
        1 => numbers(),
        1 => times(),
        2 => encoded(),
        1 => references(),
        1 => nulls(),
        2 => placeholders(),
    ]
}

/// The value of the field that others refer to.
const OTHER: &str = "Ab";

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn every_modifier_agrees_with_the_reference(cases in prop::collection::vec(case(), 1..16)) {
        let files: Vec<RuleFile> = cases
            .iter()
            .enumerate()
            .map(|(number, case)| RuleFile {
                path: format!("{number}.yml"),
                text: format!(
                    "title: t\nid: r{number}\nlogsource: {{product: test}}\ndetection:\n  s:\n    {}\n  condition: s\n",
                    case.entry
                ),
            })
            .collect();
        let values = RuleFile { path: "values.yml".to_owned(), text: "P: ['ab*', 'b?a']\nQ: aa\n".to_owned() };
        let (processing, _) = Processing::from_files(&[], &[values]);
        let compilation = compile_with(&files, &Taxonomy::default(), &processing);
        prop_assert_eq!(compilation.loaded, cases.len(), "{:?} {:?}", compilation.failed, cases);
        let engine = compilation.engine;
        let mut scratch = engine.scratch();
        for (own, case) in cases.iter().enumerate() {
            for (index, value) in case.values.iter().enumerate() {
                let event = json!({"a": value, "b": OTHER});
                let record = record_of("test", Format::Json, &event);
                let hits: Vec<String> =
                    engine.evaluate(&record, &mut scratch).iter().map(|hit| engine.rule(*hit).id.clone()).collect();
                for (number, asked) in cases.iter().enumerate() {
                    // What is encoded is known for a case's own values alone.
                    if matches!(asked.meaning, Meaning::Encoded { .. }) && number != own {
                        continue;
                    }
                    let expected = asked.meaning.holds(index, value, OTHER);
                    let found = hits.contains(&format!("r{number}"));
                    prop_assert_eq!(found, expected, "{} on {}", asked.entry, event);
                }
            }
        }
    }
}

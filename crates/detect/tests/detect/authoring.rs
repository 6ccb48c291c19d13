//! Explanations, lint and suppressions, by what they say.

use serde_json::json;
use wanglou_detect::suppress::{self, Suppressor};
use wanglou_detect::{ConditionTrace, RuleFile, codes, lint};
use wanglou_model::{Format, Span, Timestamp};

use crate::support::{compiled, record, record_of, taxonomy};

fn said(rules: &str) -> Vec<&'static str> {
    let file = RuleFile { path: "rule.yml".to_owned(), text: rules.to_owned() };
    let mut codes: Vec<&str> = lint::lint(&[file]).into_iter().map(|found| found.code).collect();
    codes.retain(|code| !["L006", "L007"].contains(code));
    codes
}

fn rule(detection: &str) -> String {
    format!(
        "title: t\nlogsource: {{product: windows, category: process_creation}}\ndetection:\n{detection}\n"
    )
}

#[test]
fn rules_that_can_never_fire_are_found_and_those_that_can_are_not() {
    let never = |detection: &str| said(&rule(detection));
    assert_eq!(never("  a: {Image: x.exe}\n  b: {Image: y.exe}\n  condition: a and b"), ["L002"]);
    assert_eq!(never("  a: {Image|contains: x}\n  condition: a and not a"), ["L002"]);
    assert_eq!(
        never("  a: {Image: [x, y]}\n  b: {Image|startswith: [x, z, y]}\n  condition: a and not b"),
        ["L002"]
    );
    assert_eq!(never("  a: {Image: x}\n  b: {Image|endswith: z}\n  condition: a and b"), ["L002"]);
    assert_eq!(never("  a: {Imagge|endswith: x.exe}\n  condition: a"), ["L001"]);
    // A way out is enough.
    assert!(never("  a: {Image: x.exe}\n  b: {Image: [y.exe, x.exe]}\n  condition: a and b").is_empty());
    assert!(never("  a: {Image: [x, y]}\n  b: {Image: x}\n  condition: a and not b").is_empty());
    assert!(never("  a: {Imagge|endswith: x.exe}\n  b: {Image: y.exe}\n  condition: a or b").is_empty());
    assert!(never("  a: {Image: x.exe}\n  b: {Imagge: y.exe}\n  condition: a and not b").is_empty());
    assert!(never("  a: {Image|contains|all: [one, two]}\n  condition: a").is_empty());
    // A field may have several values where its records are not known to give it one.
    let other = "title: t\nlogsource: {product: linux}\ndetection:\n  a: {x: one}\n  b: {x: two}\n  condition: a and b\n";
    assert!(said(other).is_empty());
}

#[test]
fn broad_costly_and_duplicate_rules_are_found() {
    assert_eq!(said(&rule("  a: {CommandLine: '*'}\n  condition: a")), ["L004"]);
    assert_eq!(said(&rule("  a: {CommandLine|contains: e}\n  condition: a")), ["L004"]);
    assert_eq!(said(&rule("  a: {CommandLine|re: '[a-z]+\\d'}\n  condition: a")), ["L005"]);
    assert!(
        said(&rule("  a: {CommandLine|re: '[a-z]+\\d', Image|endswith: x.exe}\n  condition: a")).is_empty()
    );
    assert!(said(&rule("  a: {CommandLine|contains: 不}\n  condition: a")).is_empty(), "Han text is rare");
    let one = rule("  a: {Image: [x.exe, Y.exe]}\n  condition: a");
    let same = rule("  b: {Image: [y.EXE, X.exe]}\n  condition: 1 of b*");
    let ids = ["6f3b7d1e-2c57-4a5e-9d0a-0f8f3a1c2b31", "6f3b7d1e-2c57-4a5e-9d0a-0f8f3a1c2b32"];
    assert_eq!(said(&format!("id: {}\n{one}---\nid: {}\n{same}", ids[0], ids[1])), ["L003"]);
}

#[test]
fn an_explanation_says_which_part_held_where_and_which_did_not() {
    let text = rule(
        "  a:\n    Image|endswith: '\\EVIL.exe'\n    User: root\n  f: {CommandLine|contains: good}\n  condition: a and not f",
    );
    let engine = compiled(&[&text], &taxonomy()).engine;
    let (index, _) = engine.rules().next().unwrap();
    let event = |user: &str| {
        record(
            Format::WindowsFlat,
            &json!({ "Channel": "Microsoft-Windows-Sysmon/Operational", "EventID": 1, "Image": "C:\\目录\\Evil.exe", "User": user }),
        )
    };
    let fires = engine.trace(index, &event("root")).unwrap();
    assert!(fires.fires && fires.routing.is_routed, "{fires:?}");
    assert_eq!(fires.matches[0].span, Some(Span { start: 9, end: 18, char_start: 5, char_end: 14 }));

    let misses = engine.trace(index, &event("nobody")).unwrap();
    assert!(!misses.fires && misses.matches.is_empty());
    let mut leaves = Vec::new();
    collect(&misses.condition, &mut leaves);
    let told: Vec<(&str, bool, Option<&str>)> = leaves
        .iter()
        .map(|node| (node.item.as_ref().unwrap(), node.holds))
        .map(|(item, holds)| {
            (item.key.as_str(), holds, item.found.first().and_then(|found| found.value.as_deref()))
        })
        .collect();
    let image = Some("C:\\目录\\Evil.exe");
    assert_eq!(
        told,
        [
            ("Image|endswith", true, image),
            ("User", false, Some("nobody")),
            ("CommandLine|contains", false, None)
        ]
    );

    let stranger = record_of("nginx", Format::AccessLog, &json!({ "path": "/" }));
    let unrouted = engine.trace(index, &stranger).unwrap();
    assert!(!unrouted.routing.is_routed && !unrouted.fires);
    assert!(unrouted.routing.rule_wants.contains("process_creation"));
    assert!(
        unrouted.routing.record_is.iter().any(|name| name.contains("webserver")),
        "{:?}",
        unrouted.routing
    );
}

fn collect<'t>(node: &'t ConditionTrace, leaves: &mut Vec<&'t ConditionTrace>) {
    if node.item.is_some() {
        leaves.push(node);
    }
    node.parts.iter().for_each(|part| collect(part, leaves));
}

#[test]
fn suppressions_hide_what_they_name_until_they_expire() {
    let finding = crate::verdict::finding(
        wanglou_model::ocsf::BASE_EVENT,
        &[("src_endpoint.ip", wanglou_model::Value::Str("10.0.0.7"))],
    );
    let one = |when: &str| {
        let text = format!("- {{rule: r, when: {when}, owner: zhang, reason: drill, expires: 2030-01-01}}");
        suppress::read(&text)
    };
    let before: Timestamp = "2029-12-31T23:59:59Z".parse().unwrap();
    let hides = |when: &str, now: Timestamp| {
        let suppressors: Vec<Suppressor> = one(when).unwrap();
        let mut finding = finding.clone();
        (suppress::apply(&suppressors, &mut finding, now), finding.suppressions.len())
    };
    assert_eq!(hides("{actor.address: 10.0.0.0/8}", before), (true, 1));
    assert_eq!(hides("{actor.address: 10.0.0.0/8}", "2030-01-01T00:00:00Z".parse().unwrap()), (false, 0));
    assert_eq!(hides("{target.address: 10.0.0.0/8}", before), (false, 1), "considered, and said why not");
    assert_eq!(hides("{field.a: 1, source: f}", before), (true, 1));
    assert_eq!(hides("{}", before), (true, 1));
    assert!(one("{colour: red}").unwrap_err().contains("`colour` is no condition"));
    assert!(
        one("{user: '*'}").is_err() && one("{address: 0.0.0.0/0}").is_err() && one("{user: []}").is_err()
    );
    assert!(
        suppress::read("- {owner: a, reason: b, expires: 2030-01-01}").is_err(),
        "it would hide everything"
    );
    assert!(suppress::read("- {rule: r, owner: ' ', reason: b, expires: 2030-01-01}").is_err());
    assert!(suppress::read("- {rule: r, owner: a, reason: b, expires: never}").is_err());
}

#[test]
fn codes_of_lint_are_among_the_codes() {
    assert!(codes().filter(|(code, _)| code.starts_with('L')).count() >= 8);
}

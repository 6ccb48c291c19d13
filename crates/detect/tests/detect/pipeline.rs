//! Processing pipelines, placeholders and filters: what they make of rules. Each case is a small rule, what changes
//! it, and records that it must and must not match.

use serde_json::{Value as Json, json};
use wanglou_detect::{Compilation, Processing, RuleFile, Taxonomy, compile_with};
use wanglou_model::Format;

use crate::support::record_of;

fn file(path: &str, text: &str) -> RuleFile {
    RuleFile { path: path.to_owned(), text: text.to_owned() }
}

fn processing(pipelines: &[&str], placeholders: &str) -> Processing {
    let pipelines: Vec<RuleFile> = pipelines.iter().map(|text| file("pipeline.yml", text)).collect();
    let placeholders = [file("placeholders.yml", placeholders)];
    let (processing, diagnostics) = Processing::from_files(&pipelines, &placeholders);
    assert!(diagnostics.is_empty(), "{}", diagnostics[0]);
    processing
}

fn compiled(selection: &str, processing: &Processing) -> Compilation {
    let rule = format!(
        "title: t\ntags: [attack.t1059]\nlevel: high\nlogsource: {{product: test, category: c}}\ndetection:\n  s:\n    {selection}\n  condition: s\n"
    );
    compile_with(&[file("rule.yml", &rule)], &Taxonomy::default(), processing)
}

fn is_match(compilation: &Compilation, fields: &Json) -> bool {
    let record = record_of("test", Format::Json, fields);
    !compilation.engine.evaluate(&record, &mut compilation.engine.scratch()).is_empty()
}

/// (transformations, selection, records that match, records that do not).
fn check(transformations: &str, selection: &str, matching: &[Json], others: &[Json]) {
    let pipeline =
        format!("name: p\nvars: {{Servers: ['srv*', 'dc01']}}\ntransformations:\n{transformations}\n");
    let compilation = compiled(selection, &processing(&[&pipeline], ""));
    assert_eq!(compilation.loaded, 1, "{transformations}: {:?}", compilation.diagnostics);
    for record in matching {
        assert!(is_match(&compilation, record), "{transformations} {selection} should match {record}");
    }
    for record in others {
        assert!(!is_match(&compilation, record), "{transformations} {selection} should not match {record}");
    }
}

#[test]
fn fields_get_other_names() {
    let map = "  - {type: field_name_mapping, mapping: {a: x, b: [y, z]}}";
    check(map, "a: 1", &[json!({"x": 1})], &[json!({"a": 1})]);
    check(
        map,
        "{a: 1, b|contains|all: [p, q]}",
        &[json!({"x": 1, "z": "pq"})],
        &[json!({"x": 1, "y": "p", "z": "q"})],
    );
    check(map, "b: null", &[json!({"y": 1}), json!({})], &[json!({"y": 1, "z": 1})]);
    check(map, "b|neq: 1", &[json!({"y": 2})], &[json!({"y": 2, "z": 1})]);
    check(map, "c|fieldref: a", &[json!({"c": "v", "x": "V"})], &[json!({"c": "v", "a": "v"})]);
    check(
        "  - {type: field_name_prefix, prefix: 'win.', field_name_conditions: [{type: exclude_fields, fields: [k]}]}\n  - {type: field_name_suffix, suffix: '.keyword', field_name_conditions: [{type: include_fields, mode: re, fields: ['win\\..$']}]}",
        "{a: 1, k: 2}",
        &[json!({"win": {"a": {"keyword": 1}}, "k": 2})],
        &[json!({"win": {"a": 1, "k": 2}})],
    );
    check(
        "  - {type: field_name_prefix_mapping, mapping: {ev.: [data., sys.]}}",
        "ev.a: 1",
        &[json!({"data": {"a": 1}}), json!({"sys": {"a": 1}})],
        &[json!({"ev": {"a": 1}})],
    );
}

#[test]
fn a_selection_named_twice_is_changed_once() {
    let rule = "title: t\nlogsource: {product: test}\ndetection: {s: {a: 1}, t: {b: 1}, condition: s and (t or not s) and s}";
    let prefix = "transformations: [{type: field_name_prefix, prefix: 'p.'}]";
    let compilation = compile_with(&[file("r.yml", rule)], &Taxonomy::default(), &processing(&[prefix], ""));
    assert!(is_match(&compilation, &json!({"p": {"a": 1, "b": 1}})));
    assert!(!is_match(&compilation, &json!({"p": {"a": 1, "p": {"a": 1}}})));
}

#[test]
fn values_become_others() {
    let path = json!({"a": r"\Device\HarddiskVolume1\x.exe"});
    check(
        r"  - {type: replace_string, regex: '^\*?(C):', replacement: '\\Device\\HarddiskVolume1'}",
        r"a: 'C:\x.exe'",
        &[path],
        &[json!({"a": r"C:\x.exe"})],
    );
    check(
        "  - {type: replace_string, regex: '(b+)', replacement: '<\\1>', skip_special: true}",
        "a: 'abb*c'",
        &[json!({"a": "a<bb>--c"})],
        &[json!({"a": "abb--c"})],
    );
    check(
        "  - {type: map_string, mapping: {High: [S-1, S-2], Low: S-3}}",
        "a: [High, other]",
        &[json!({"a": "s-1"}), json!({"a": "S-2"}), json!({"a": "other"})],
        &[json!({"a": "High"}), json!({"a": "S-3"})],
    );
    check("  - {type: set_value, value: 7}", "a: x", &[json!({"a": 7})], &[json!({"a": "x"})]);
    check("  - {type: regex}", "a: X*", &[json!({"a": "Xy"})], &[json!({"a": "xy"})]);
    check("  - {type: case, method: upper}", "a|cased: x", &[json!({"a": "X"})], &[json!({"a": "x"})]);
    check("  - {type: convert_type, target_type: num}", "a: '5'", &[json!({"a": 5})], &[json!({"a": 6})]);
    check(
        "  - {type: hashes_fields, valid_hash_algos: [MD5, SHA256], field_prefix: File}",
        "Hashes|contains: ['MD5=aa', 'SHA256=bb', 'IMPHASH=cc']",
        &[json!({"FileMD5": "AA"}), json!({"FileSHA256": "bb"})],
        &[json!({"Hashes": "MD5=aa"}), json!({"FileIMPHASH": "cc"})],
    );
}

#[test]
fn what_a_replacement_leaves_alone_keeps_its_meaning() {
    let step = "  - {type: replace_string, regex: 'x', replacement: 'y*'}";
    check(step, r"a: 'C:\\*x'", &[json!({"a": r"C:\1y2"})], &[json!({"a": "C:*y"})]);
    check(step, r"a: 'C:\*x'", &[json!({"a": "C:*y2"})], &[json!({"a": r"C:\1y"})]);
}

#[test]
fn items_and_conditions_come_and_go() {
    check(
        "  - {type: drop_detection_item, field_name_conditions: [{type: include_fields, fields: [b]}]}",
        "{a: 1, b: 2}",
        &[json!({"a": 1})],
        &[json!({"b": 2})],
    );
    check(
        "  - {type: drop_detection_item, detection_item_conditions: [{type: match_string, pattern: 'x.*', cond: all}]}",
        "{a: 1, b: [xa, xb], c: [xa, y]}",
        &[json!({"a": 1, "c": "y"})],
        &[json!({"a": 1})],
    );
    check(
        "  - {type: add_condition, template: true, conditions: {source: '$product', kind: ['${category}', k]}}",
        "a: 1",
        &[json!({"a": 1, "source": "test", "kind": "c"})],
        &[json!({"a": 1}), json!({"a": 1, "source": "test"})],
    );
    check(
        "  - {type: add_condition, negated: true, conditions: {user: admin}}",
        "a: 1",
        &[json!({"a": 1})],
        &[json!({"a": 1, "user": "Admin"})],
    );
    let elsewhere = "transformations: [{type: change_logsource, product: elsewhere}]";
    let compilation = compiled("a: 1", &processing(&[elsewhere], ""));
    assert!(!is_match(&compilation, &json!({"a": 1})));
}

#[test]
fn conditions_decide_where_a_step_applies() {
    let rename =
        |conditions: &str| format!("  - {{type: field_name_mapping, mapping: {{a: x}}, {conditions}}}");
    let (changed, unchanged) = (json!({"x": 1}), json!({"a": 1}));
    for (conditions, applies) in [
        ("rule_conditions: [{type: logsource, product: test}]", true),
        ("rule_conditions: [{type: logsource, product: other}]", false),
        ("rule_conditions: [{type: logsource, product: other}], rule_cond_not: true", true),
        (
            "rule_conditions: [{type: logsource, product: other}, {type: tag, tag: attack.t1059}], rule_cond_op: or",
            true,
        ),
        (
            "rule_conditions: {one: {type: logsource, product: other}, two: {type: is_sigma_rule}}, rule_cond_expr: two and not one",
            true,
        ),
        (
            "rule_conditions: {one: {type: contains_field, field: a}, two: {type: is_sigma_correlation_rule}}, rule_cond_expr: one and two",
            false,
        ),
        ("rule_conditions: [{type: contains_detection_item, field: a, value: 1}]", true),
        ("rule_conditions: [{type: rule_attribute, attribute: level, op: gte, value: medium}]", true),
        ("rule_conditions: [{type: rule_attribute, attribute: level, op: lt, value: high}]", false),
        ("rule_conditions: [{type: rule_attribute, attribute: tags, op: in, value: attack.t1059}]", true),
        ("detection_item_conditions: [{type: match_value, value: 1}]", true),
        ("detection_item_conditions: [{type: contains_wildcard}]", false),
        ("detection_item_conditions: [{type: is_null}], detection_item_cond_not: true", true),
        ("field_name_conditions: [{type: include_fields, fields: [b]}]", false),
    ] {
        let (matching, other) = if applies { (&changed, &unchanged) } else { (&unchanged, &changed) };
        check(&rename(conditions), "a: 1", std::slice::from_ref(matching), std::slice::from_ref(other));
    }
    let state = "  - {type: set_state, key: k, val: v}\n  - {id: first, type: field_name_mapping, mapping: {a: m}, rule_conditions: [{type: processing_state, key: k, val: v}]}\n  - {type: nest, items: [{type: field_name_suffix, suffix: x, detection_item_conditions: [{type: processing_item_applied, processing_item_id: first}]}]}";
    check(
        state,
        "{a: 1, b: 2}",
        &[json!({"mx": 1, "b": 2})],
        &[json!({"a": 1, "b": 2}), json!({"mx": 1, "bx": 2})],
    );
}

#[test]
fn pipelines_run_by_priority() {
    let late = "priority: 20\ntransformations: [{type: field_name_mapping, mapping: {b: c}}]";
    let early = "priority: 10\ntransformations: [{type: field_name_mapping, mapping: {a: b}}]";
    assert!(is_match(&compiled("a: 1", &processing(&[late, early], "")), &json!({"c": 1})));
}

#[test]
fn placeholders_get_values_from_files_and_pipelines() {
    let from_file = processing(&[], "'%Servers%': ['srv*', dc01]\nAdmins: root\nNets: [10.0.0.0/8]\n");
    for (selection, matching, other) in [
        ("a|expand: '%Servers%'", json!({"a": "SRV7"}), json!({"a": "xsrv7"})),
        ("a|expand: '%Servers%.local'", json!({"a": "dc01.local"}), json!({"a": "dc01"})),
        ("a|contains|expand: '%Admins%'", json!({"a": "a root b"}), json!({"a": "user"})),
        ("a|expand: ['%Admins%', plain]", json!({"a": "plain"}), json!({"a": "%Admins%"})),
        ("a|expand: '%Admins%@%Servers%'", json!({"a": "root@dc01"}), json!({"a": "root@x"})),
        (r"a|expand: '\%Admins%Admins%'", json!({"a": "%Adminsroot"}), json!({"a": "root"})),
        ("a|cidr|expand: '%Nets%'", json!({"a": "10.1.1.1"}), json!({"a": "11.1.1.1"})),
        ("a|re|expand: '^%Nets%$'", json!({"a": "10.0.0.0/8"}), json!({"a": "10x0.0.0/8"})),
        ("a: '%Admins%'", json!({"a": "%admins%"}), json!({"a": "root"})),
    ] {
        let compilation = compiled(selection, &from_file);
        assert!(is_match(&compilation, &matching), "{selection} {matching}");
        assert!(!is_match(&compilation, &other), "{selection} {other}");
    }
    check(
        "  - {type: value_placeholders}",
        "a|expand: '%Servers%'",
        &[json!({"a": "srv1"})],
        &[json!({"a": "x"})],
    );
    check(
        "  - {type: value_placeholders, include: [Servers]}\n  - {type: wildcard_placeholders}",
        r"{a|expand: '%Servers%', b|expand: 'C:\\%anything%'}",
        &[json!({"a": "dc01", "b": r"C:\x"})],
        &[json!({"a": "dc01", "b": "x"}), json!({"a": "x", "b": r"C:\x"})],
    );
    let nobody = compiled("a|expand: '%Nobody%'", &from_file);
    assert_eq!((nobody.loaded, nobody.diagnostics[0].code), (0, "E015"));
}

#[test]
fn what_a_pipeline_refuses_is_not_loaded_and_says_so() {
    for (step, loaded) in [
        ("{type: rule_failure, message: not here}", 0),
        ("{type: rule_failure, message: not here, rule_conditions: [{type: logsource, product: other}]}", 1),
        (
            "{type: detection_item_failure, message: not here, field_name_conditions: [{type: include_fields, fields: [a]}]}",
            0,
        ),
        ("{type: drop_detection_item}", 0),
    ] {
        let compilation = compiled("a: 1", &processing(&[&format!("transformations: [{step}]")], ""));
        assert_eq!(compilation.loaded, loaded, "{step}");
        assert!(
            compilation.diagnostics.iter().all(|diagnostic| ["E042", "W002"].contains(&diagnostic.code)),
            "{step}"
        );
    }
}

/// Forty steps that each double what the one before left.
#[test]
fn what_would_grow_without_end_is_refused() {
    for (step, said) in [
        ("{type: field_name_mapping, mapping: {a: [a, a]}}", "items"),
        ("{type: map_string, mapping: {x: [x, x]}}", "values"),
        ("{type: replace_string, regex: x, replacement: xx}", "bytes"),
        ("{type: replace_string, regex: x, replacement: xx, skip_special: true}", "bytes"),
    ] {
        let steps = vec![step; 40].join(", ");
        let compilation = compiled("a: x", &processing(&[&format!("transformations: [{steps}]")], ""));
        assert_eq!(compilation.loaded, 0, "{step}");
        let is_said = compilation.diagnostics.iter().any(|d| d.code == "E042" && d.message.contains(said));
        assert!(is_said, "{step}: {:?}", compilation.diagnostics);
    }
}

#[test]
fn mistakes_in_pipelines_are_shown_with_their_place() {
    for (pipeline, code, said) in [
        ("transformations: [{type: made_up}]", "E040", "`made_up`"),
        ("transformations: [{type: field_name_mapping}]", "E040", "`mapping` is missing"),
        ("transformations: [{type: replace_string, regex: '(?<=a)b', replacement: c}]", "E013", "look"),
        ("transformations: [{type: query_expression_placeholders, expression: x}]", "E041", "query language"),
        ("transformations: [{type: http_placeholders}]", "E041", "network"),
        (
            "transformations: [{type: set_value, value: 1, rule_cond_expr: a and, rule_conditions: {a: {type: is_sigma_rule}}}]",
            "E020",
            "ends",
        ),
        (
            "transformations: [{type: value_placeholders, rule_conditions: [{type: contains_field, field: a}]}]",
            "E041",
            "while a rule is read",
        ),
        ("finalizers: [{type: concat}]", "E041", "`finalizers`"),
        ("transfomations: []", "E040", "`transfomations`"),
        ("- a", "E040", "a map"),
        ("a: [", "E002", "YAML"),
    ] {
        let (_, diagnostics) = Processing::from_files(&[file("p.yml", pipeline)], &[]);
        assert!(
            diagnostics.iter().any(|d| d.code == code && d.message.contains(said) && d.line > 0),
            "{pipeline} {diagnostics:?}"
        );
    }
}

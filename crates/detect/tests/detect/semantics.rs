//! What rules mean, one small rule at a time: (selection, record, does it match).

use serde_json::{Value as Json, json};
use wanglou_detect::Taxonomy;
use wanglou_model::Format;

use crate::support::{compiled, record, record_of, taxonomy};

/// Whether a rule with this detection matches a flat record.
fn matches(detection: &str, fields: &Json) -> bool {
    let rule = format!("title: t\nlogsource: {{product: test}}\ndetection:\n{detection}");
    let compilation = compiled(&[&rule], &Taxonomy::default());
    let errors: Vec<String> = compilation.diagnostics.iter().map(ToString::to_string).collect();
    assert_eq!(compilation.loaded, 1, "{}", errors.join("\n"));
    let record = record_of("test", Format::Json, fields);
    let mut scratch = compilation.engine.scratch();
    let hits = compilation.engine.evaluate(&record, &mut scratch);
    hits.len() == 1
}

/// A selection of one entry.
fn entry(entry: &str, fields: &Json) -> bool {
    matches(&format!("  s:\n    {entry}\n  condition: s\n"), fields)
}

#[test]
fn texts_numbers_and_booleans() {
    assert!(entry("a: CMD.exe", &json!({"a": "cmd.EXE"})));
    assert!(!entry("a|cased: CMD.exe", &json!({"a": "cmd.EXE"})));
    assert!(entry("a|cased: CMD.exe", &json!({"a": "CMD.exe"})));
    assert!(entry("a|contains|cased: Md", &json!({"a": "cMd.exe"})));
    assert!(!entry("a|contains|cased: MD", &json!({"a": "cMd.exe"})));
    assert!(entry("a: 4688", &json!({"a": 4688})));
    assert!(entry("a: 4688", &json!({"a": "4688"})));
    assert!(entry("a: '4688'", &json!({"a": 4688})));
    assert!(entry("a: true", &json!({"a": true})));
    assert!(entry("a: 'true'", &json!({"a": true})));
    assert!(entry("a: true", &json!({"a": "True"})));
    assert!(entry("a: 1.5", &json!({"a": 1.5})));
    assert!(entry("a|contains: ÉTÉ", &json!({"a": "l'été"})));
    assert!(entry("a|startswith: 用户", &json!({"a": "用户登录"})));
}

#[test]
fn a_field_matches_when_one_of_its_values_does() {
    assert!(entry("a: y", &json!({"a": ["x", "y"]})));
    assert!(entry("a.b: y", &json!({"a": [{"b": "x"}, {"b": "y"}]})));
    assert!(!entry("a|contains|all: [x, z]", &json!({"a": ["x", "y"]})));
    assert!(entry("a|contains|all: [x, y]", &json!({"a": ["x", "y"]})));
}

#[test]
fn null_empty_and_missing() {
    for (fields, null, empty, exists, star) in [
        (json!({"b": 1}), true, false, false, false),
        (json!({"a": null}), true, false, true, false),
        (json!({"a": ""}), false, true, true, true),
        (json!({"a": "x"}), false, false, true, true),
    ] {
        assert_eq!(entry("a: null", &fields), null, "null {fields}");
        assert_eq!(entry("a: ''", &fields), empty, "empty {fields}");
        assert_eq!(entry("a|exists: true", &fields), exists, "exists {fields}");
        assert_eq!(entry("a|exists: false", &fields), !exists, "exists not {fields}");
        assert_eq!(entry("a: '*'", &fields), star, "star {fields}");
        assert_eq!(entry("a: ['', null]", &fields), null || empty, "either {fields}");
    }
}

#[test]
fn wildcards() {
    assert!(entry(r"a: '*\cmd.exe'", &json!({"a": r"C:\Windows\cmd.exe"})));
    assert!(entry("a: 'pro?.exe'", &json!({"a": "prog.exe"})));
    assert!(!entry("a: 'pro?.exe'", &json!({"a": "pro.exe"})));
    assert!(entry("a: 'a*b*c'", &json!({"a": "A-B-C"})));
    assert!(entry(r"a|contains: 'x\*y'", &json!({"a": "ax*yb"})));
    assert!(!entry(r"a|contains: 'x\*y'", &json!({"a": "axzyb"})));
    assert!(entry("a|contains: ''", &json!({"a": "anything"})));
}

#[test]
fn numbers_networks_and_times_compare() {
    assert!(entry("a|gt: 5", &json!({"a": 6})) && !entry("a|gt: 5", &json!({"a": 5})));
    assert!(entry("a|lte: 5", &json!({"a": "5"})) && !entry("a|lt: 5", &json!({"a": "5"})));
    assert!(!entry("a|gte: 5", &json!({"a": "many"})) && !entry("a|gte: 5", &json!({"b": 9})));
    assert!(entry("a|cidr: 10.0.0.0/8", &json!({"a": "10.1.2.3"})));
    assert!(entry("a|cidr: 10.0.0.0/8", &json!({"a": "::ffff:10.1.2.3"})));
    assert!(entry("a|cidr: [192.168.0.0/16, 'fe80::/10']", &json!({"a": "FE80::1%eth0"})));
    assert!(!entry("a|cidr: 10.0.0.0/8", &json!({"a": "11.0.0.1"})));
    assert!(!entry("a|cidr: '::/0'", &json!({"a": "10.0.0.1"})));
    assert!(entry("t|hour: 3", &json!({"t": "2026-01-02T03:04:05Z"})));
    assert!(entry("t|hour|gte: 22", &json!({"t": "2026-01-02 23:04:05.123"})));
    assert!(!entry("t|year: 2025", &json!({"t": "2026-01-02 23:04:05"})));
}

#[test]
fn negations() {
    assert!(entry("a|neq: x", &json!({"a": "y"})));
    assert!(!entry("a|neq: x", &json!({"a": "X"})));
    assert!(!entry("a|neq: [x, y]", &json!({"a": "y"})));
    assert!(entry("a|neq: x", &json!({"b": "x"})));
    assert!(matches("  s: {a: 1}\n  f: {b: 2}\n  condition: s and not f\n", &json!({"a": 1})));
    assert!(!matches("  s: {a: 1}\n  f: {b: 2}\n  condition: s and not f\n", &json!({"a": 1, "b": 2})));
    assert!(matches("  f: {b: 2}\n  condition: not f\n", &json!({"a": 1})));
    assert!(matches("  f: {b: 2}\n  g: {c: 2}\n  condition: not 1 of them\n", &json!({"a": 1})));
}

#[test]
fn fields_compare_with_fields() {
    assert!(entry("a|fieldref: b", &json!({"a": "X", "b": "x"})));
    assert!(!entry("a|fieldref: b", &json!({"a": "X", "b": "y"})));
    assert!(!entry("a|fieldref: b", &json!({"a": "X"})));
    assert!(entry("a|fieldref|neq: b", &json!({"a": "X", "b": "y"})));
    assert!(entry("a|fieldref|endswith: b", &json!({"a": r"C:\x.exe", "b": "X.EXE"})));
}

#[test]
fn encodings() {
    assert!(entry("a|base64: foobar", &json!({"a": "Zm9vYmFy"})));
    assert!(entry("a|base64offset|contains: foobar", &json!({"a": "eGZvb2Jhcg=="})));
    assert!(entry("a|wide|base64offset|contains: foobar", &json!({"a": "x ZgBvAG8AYgBhAHIA"})));
    assert!(entry("a|utf16|base64|startswith: foo", &json!({"a": "//5mAG8AbwA="})));
    assert!(entry("a|windash|contains: ' -enc '", &json!({"a": "powershell /enc x"})));
    assert!(entry("a|contains|windash: ' -enc '", &json!({"a": "powershell –enc x"})));
}

#[test]
fn regular_expressions() {
    assert!(entry("a|re: '^a.c$'", &json!({"a": "abc"})) && !entry("a|re: '^a.c$'", &json!({"a": "ABC"})));
    assert!(entry("a|re|i: '^a.c$'", &json!({"a": "ABC"})));
    assert!(entry("a|re|m: '^b'", &json!({"a": "a\nb"})) && !entry("a|re: '^b'", &json!({"a": "a\nb"})));
    assert!(entry("a|re|s: 'a.b'", &json!({"a": "a\nb"})) && !entry("a|re: 'a.b'", &json!({"a": "a\nb"})));
    assert!(entry("a|re: '[0-9]{4}'", &json!({"a": 12345})));
}

#[test]
fn keywords_are_searched_everywhere() {
    assert!(matches(
        "  k: [mimikatz, 'sek?rlsa*pass']\n  condition: k\n",
        &json!({"x": {"y": "run SEKURLSA::logonpasswords"}})
    ));
    assert!(matches("  k: mimikatz\n  condition: k\n", &json!({"x": "MimiKatz"})));
    assert!(!matches("  k: [mimikatz]\n  condition: k\n", &json!({"mimikatz": "no"})));
    assert!(matches("  k: {'|all': [a1, b2]}\n  condition: k\n", &json!({"x": "a1", "y": "b2"})));
    assert!(!matches("  k: {'|all': [a1, b2]}\n  condition: k\n", &json!({"x": "a1"})));
    assert!(matches("  k: {'|re': 'a[0-9]'}\n  condition: k\n", &json!({"x": "a1"})));
    assert!(matches("  k: [{a: 1}, word]\n  condition: k\n", &json!({"x": "a word"})));
}

#[test]
fn lists_of_maps_and_of_conditions() {
    let lists = "  s:\n    - {a: 1, b: 2}\n    - {c: 3}\n  condition: s\n";
    assert!(matches(lists, &json!({"a": 1, "b": 2})) && matches(lists, &json!({"c": 3})));
    assert!(!matches(lists, &json!({"a": 1})));
    let conditions = "  s: {a: 1}\n  t: {b: 1}\n  condition:\n    - s\n    - t\n";
    assert!(matches(conditions, &json!({"b": 1})) && !matches(conditions, &json!({"c": 1})));
}

/// The ids of the rules of one file that match a flat record.
fn hits(file: &str, fields: &Json) -> Vec<String> {
    let compilation = compiled(&[file], &Taxonomy::default());
    let record = record_of("test", Format::Json, fields);
    let mut scratch = compilation.engine.scratch();
    let hits = compilation.engine.evaluate(&record, &mut scratch);
    hits.iter().map(|hit| compilation.engine.rule(*hit).id.clone()).collect()
}

#[test]
fn global_documents_give_what_others_lack() {
    let file = "
action: global
title: shared
logsource: {product: test}
detection: {condition: s}
---
id: one
detection: {s: {a: 1}}
---
id: two
title: own
detection: {s: {a: 2}}
---
action: reset
---
id: three
title: alone
logsource: {product: test}
detection: {s: {a: 1}, condition: s}
";
    assert_eq!(hits(file, &json!({"a": 1})), ["one", "three"]);
    assert_eq!(hits(file, &json!({"a": 2})), ["two"]);
}

#[test]
fn filters_restrict_the_rules_they_name() {
    let rule = |id: &str| {
        format!(
            "title: t\nid: {id}\nlogsource: {{product: test}}\ndetection: {{s: {{a: 1}}, condition: s}}\n---\n"
        )
    };
    let filter = |rules: &str, product: &str| {
        let body = format!("{{rules: {rules}, admin: {{user|startswith: adm_}}, condition: not admin}}");
        format!("{}{}title: f\nlogsource: {{product: {product}}}\nfilter: {body}\n", rule("one"), rule("two"))
    };
    let admin = json!({"a": 1, "user": "adm_x"});
    assert_eq!(hits(&filter("[one]", "test"), &admin), ["two"]);
    assert_eq!(hits(&filter("any", "test"), &admin), [""; 0]);
    assert_eq!(hits(&filter("any", "other"), &admin), ["one", "two"]);
    assert_eq!(hits(&filter("[one]", "test"), &json!({"a": 1, "user": "x"})), ["one", "two"]);
}

#[test]
fn a_match_is_explained_by_the_fields_it_rests_on() {
    let rule = r"
title: t
title_zh: 测试
logsource: {product: windows, category: process_creation}
detection:
  image: {Image|endswith: ['\cmd.exe', '\powershell.exe'], ProcessId: 7}
  words: [EVIL]
  other: {CommandLine|re: 'never'}
  filter: {User: SYSTEM}
  condition: image and (words or other) and not filter
";
    let engine = compiled(&[rule], &taxonomy()).engine;
    let fields = json!({"Event": {"System": {"Channel": "Microsoft-Windows-Sysmon/Operational", "EventID": 1},
        "EventData": {"Image": "C:\\PowerShell.exe", "ProcessId": 7, "CommandLine": "do evil"}}});
    let record = record(Format::Evtx, &fields);
    let hit = engine.evaluate(&record, &mut engine.scratch())[0];
    let matches: Vec<[String; 4]> = engine
        .explain(hit, &record)
        .into_iter()
        .map(|found| [found.selection, found.field, found.value, found.pattern])
        .collect();
    assert_eq!(
        matches,
        [
            ["image", "Event.EventData.Image", r"C:\PowerShell.exe", r"Image|endswith: '\powershell.exe'"],
            ["image", "Event.EventData.ProcessId", "7", "ProcessId: 7"],
            ["words", "", "do evil", "'EVIL'"],
        ]
    );
    assert_eq!(engine.rule(hit).title_zh.as_deref(), Some("测试"));
}

#[test]
fn the_shipped_taxonomy_reads_each_format() {
    let rule = |logsource: &str, selection: &str| {
        format!("title: t\nlogsource: {logsource}\ndetection: {{s: {selection}, condition: s}}\n")
    };
    let taxonomy = taxonomy();
    let process = "{product: windows, category: process_creation}";
    let web = "{category: webserver}";
    for (logsource, selection, format, fields) in [
        (
            process,
            "{Image|endswith: cmd.exe, ProcessId: 7}",
            Format::Evtx,
            json!({"Event": {"System": {"Channel": "Microsoft-Windows-Sysmon/Operational", "EventID": 1},
                          "EventData": {"Image": "C:\\cmd.exe", "ProcessId": 7}}}),
        ),
        (
            process,
            "{Image|endswith: cmd.exe, ProcessId: '0x7', ParentProcessId: '0x8', IntegrityLevel: High}",
            Format::Evtx,
            json!({"Event": {"System": {"Channel": "Security", "EventID": 4688},
                          "EventData": {"NewProcessName": "C:\\cmd.exe", "NewProcessId": "0x7", "ProcessId": "0x8", "MandatoryLabel": "S-1-16-12288"}}}),
        ),
        (
            process,
            "{Image|endswith: cmd.exe}",
            Format::Winlogbeat,
            json!({"winlog": {"channel": "Microsoft-Windows-Sysmon/Operational", "event_id": "1", "event_data": {"Image": "cmd.exe"}}}),
        ),
        (
            process,
            "{Image|endswith: cmd.exe}",
            Format::WindowsFlat,
            json!({"Channel": "security", "EventID": 4688, "NewProcessName": "cmd.exe"}),
        ),
        (
            "{product: windows, service: system}",
            "{EventID: 104, Channel: Security}",
            Format::Evtx,
            json!({"Event": {"System": {"Channel": "System", "EventID": 104}, "UserData": {"LogFileCleared": {"Channel": "Security"}}}}),
        ),
        (
            "{product: windows, service: terminalservices-localsessionmanager}",
            "{Address: 10.0.0.1}",
            Format::Evtx,
            json!({"Event": {"System": {"Channel": "Microsoft-Windows-TerminalServices-LocalSessionManager/Operational"}, "UserData": {"EventXML": {"Address": "10.0.0.1"}}}}),
        ),
        (
            "{product: linux, category: process_creation}",
            "{Image: /usr/bin/nc, CommandLine|contains: '-e'}",
            Format::Auditd,
            json!({"type": ["SYSCALL", "EXECVE"], "SYSCALL": {"exe": "/usr/bin/nc"}, "PROCTITLE": {"proctitle": "nc -e /bin/sh"}}),
        ),
        (
            web,
            "{cs-uri-query|contains: '../etc/', sc-status: 200, cs-method: GET, c-ip|cidr: 10.0.0.0/8}",
            Format::AccessLog,
            json!({"request_uri": "/a/../etc/passwd", "path": "/a/../etc/passwd", "status": 200, "method": "GET", "remote_addr": "10.0.0.9"}),
        ),
        (
            web,
            "{c-uri|contains: select, cs-user-agent|contains: sqlmap}",
            Format::SuricataEve,
            json!({"event_type": "http", "http": {"url": "/?q=SELECT", "http_user_agent": "sqlmap/1.8"}}),
        ),
        (web, "{cs-uri-stem|endswith: .php}", Format::Zeek, json!({"_path": "http", "uri": "/shell.php"})),
        (
            "{category: dns}",
            "{query|endswith: .evil.example}",
            Format::SuricataEve,
            json!({"event_type": "dns", "dns": {"queries": [{"rrname": "a.evil.example"}]}}),
        ),
        (
            "{product: zeek, service: conn}",
            "{id.resp_p: 22}",
            Format::Zeek,
            json!({"_path": "conn", "id": {"resp_p": 22}}),
        ),
        (
            "{product: aws, service: cloudtrail}",
            "{eventName: StopLogging}",
            Format::CloudTrail,
            json!({"eventName": "StopLogging"}),
        ),
        (
            "{product: kubernetes, service: audit}",
            "{verb: create, objectRef.resource: pods}",
            Format::KubernetesAudit,
            json!({"verb": "create", "objectRef": {"resource": "pods"}}),
        ),
        (
            "{product: linux, service: sshd}",
            "[Corrupted MAC]",
            Format::Syslog,
            json!({"syslog": {"app": "sshd", "message": "Corrupted MAC on input."}}),
        ),
        (
            "{category: antivirus}",
            "{Signature|contains: EICAR}",
            Format::Evtx,
            json!({"Event": {"System": {"Channel": "Microsoft-Windows-Windows Defender/Operational", "EventID": 1116}, "EventData": {"Threat Name": "EICAR-Test"}}}),
        ),
    ] {
        let compilation = compiled(&[&rule(logsource, selection)], &taxonomy);
        assert_eq!(compilation.diagnostics, [], "{logsource} {selection}");
        let engine = compilation.engine;
        let record = record(format, &fields);
        assert_eq!(
            engine.evaluate(&record, &mut engine.scratch()).len(),
            1,
            "{logsource} {selection} {fields}"
        );
        let other = self::record(format, &json!({"unrelated": "value"}));
        assert_eq!(engine.evaluate(&other, &mut engine.scratch()).len(), 0, "{logsource} {selection}");
    }
}

//! Where engines disagree, what this one does: the tests of `docs/sigma-decisions.md`.

use serde_json::{Value as Json, json};
use wanglou_model::Format;

use crate::support::{compiled, record, taxonomy};

fn fires(logsource: &str, detection: &str, format: Format, fields: &Json) -> bool {
    let rule = format!("title: t\nlogsource: {logsource}\ndetection:\n{detection}");
    let compilation = compiled(&[&rule], &taxonomy());
    assert_eq!(compilation.loaded, 1, "{:?}", compilation.diagnostics);
    let engine = compilation.engine;
    !engine.evaluate(&record(format, fields), &mut engine.scratch()).is_empty()
}

fn security(id: i64, data: &Json) -> Json {
    json!({"Event": {"System": {"Channel": "Security", "EventID": id}, "EventData": data}})
}

#[test]
fn process_creation_reads_4688_under_sysmons_names() {
    let process = "{product: windows, category: process_creation}";
    let event = security(
        4688,
        &json!({"NewProcessName": "C:\\Windows\\cmd.exe", "CommandLine": "cmd /c x", "ParentProcessName": "C:\\a.exe", "SubjectUserName": "u", "MandatoryLabel": "S-1-16-12288"}),
    );
    let all = "  s: {Image|endswith: '\\cmd.exe', CommandLine|contains: '/c', ParentImage: 'C:\\a.exe', IntegrityLevel: High}\n  condition: s\n";
    assert!(fires(process, all, Format::Evtx, &event));
    // What 4688 does not record is missing: a selection on it cannot hold, and a filter on it filters nothing.
    assert!(!fires(process, "  s: {OriginalFileName: Cmd.Exe}\n  condition: s\n", Format::Evtx, &event));
    let filtered =
        "  s: {Image|endswith: '\\cmd.exe'}\n  f: {OriginalFileName: Cmd.Exe}\n  condition: s and not f\n";
    assert!(fires(process, filtered, Format::Evtx, &event));
    // 4689 is not a process creation.
    let end = security(4689, &json!({"NewProcessName": "C:\\Windows\\cmd.exe"}));
    assert!(!fires(process, "  s: {Image|endswith: '\\cmd.exe'}\n  condition: s\n", Format::Evtx, &end));
}

#[test]
fn values_are_compared_as_they_are_recorded_spaces_included() {
    let detection = "  s: {EventID: 4624, LogonProcessName: NtLmSsp}\n  condition: s\n";
    let logsource = "{product: windows, service: security}";
    let logon = |process: &str| security(4624, &json!({"LogonProcessName": process}));
    assert!(fires(logsource, detection, Format::Evtx, &logon("NtLmSsp")));
    assert!(!fires(logsource, detection, Format::Evtx, &logon("NtLmSsp ")));
}

#[test]
fn identifiers_are_compared_with_their_braces() {
    let detection = "  s: {EventID: 4719, AuditPolicyChanges|contains: '%%8448'}\n  f: {SubcategoryGuid: '{0CCE922B-69AE-11D9-BED3-505054503030}'}\n  condition: s and not f\n";
    let logsource = "{product: windows, service: security}";
    let change = |guid: &str| {
        security(4719, &json!({"AuditPolicyChanges": "%%8448, %%8450", "SubcategoryGuid": guid}))
    };
    assert!(!fires(logsource, detection, Format::Evtx, &change("{0cce922b-69ae-11d9-bed3-505054503030}")));
    assert!(fires(logsource, detection, Format::Evtx, &change("{0CCE9226-69AE-11D9-BED3-505054503030}")));
}

#[test]
fn defenders_spaced_names_are_sigmas_joined_ones() {
    let detection = "  e: {EventID: 1119, SourceName: 'Real-Time Protection'}\n  p: {Path|endswith: '\\T.exe', ThreatName|endswith: EICAR_Test_File}\n  condition: all of them\n";
    let event = json!({"Event": {"System": {"Channel": "Microsoft-Windows-Windows Defender/Operational", "EventID": 1119},
        "EventData": {"Source Name": "Real-Time Protection", "Threat Name": "Virus:DOS/EICAR_Test_File", "Path": "file:_C:\\T.exe"}}});
    assert!(fires("{product: windows, service: windefend}", detection, Format::Evtx, &event));
}

#[test]
fn keywords_are_searched_in_values_and_not_in_names() {
    let logsource = "{product: windows, service: application}";
    let event = json!({"Event": {"System": {"Channel": "Application", "EventID": 1}, "EventData": {"mimikatz": "ran sekurlsa::logonpasswords"}}});
    assert!(fires(logsource, "  k: [sekurlsa]\n  condition: k\n", Format::Evtx, &event));
    assert!(!fires(logsource, "  k: [mimikatz]\n  condition: k\n", Format::Evtx, &event));
}

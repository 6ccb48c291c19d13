//! The shape of a real investigation: recorded Windows attacks with the public rules.

use wanglou_testkit::corpus;

use crate::{code, json_file, lines, run, stdout};

/// What the recordings are known to hold is a multiple of this; less means that something stopped working.
const FINDINGS_FLOOR: usize = 1_000;
/// Rules of the public set that load.
const RULES_FLOOR: u64 = 3_000;

#[test]
fn recorded_windows_attacks_are_found_and_explained() {
    let (Some(samples), Some(rules)) = (corpus("evtx-attack-samples"), corpus("sigma-rules")) else { return };
    let folder = tempfile::tempdir().unwrap();
    let rules = rules.join("rules");
    let arguments = [
        "scan",
        samples.to_str().unwrap(),
        "--rules",
        rules.to_str().unwrap(),
        "--format",
        "ndjson",
        "--stats",
        "s",
    ];
    let output = run(folder.path(), &arguments);
    let stats = json_file(&folder.path().join("s"));
    assert_eq!(code(&output), 1, "{}", stats["files_failed"]);
    assert_eq!(stats["files_failed"].as_array().unwrap().len(), 0, "{}", stats["files_failed"]);
    assert!(stats["rules_loaded"].as_u64().unwrap() >= RULES_FLOOR, "{}", stats["rules_loaded"]);
    for failed in stats["rules_failed"].as_array().unwrap() {
        assert!(failed["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{failed}");
    }
    let findings = lines(&stdout(&output));
    assert!(findings.len() >= FINDINGS_FLOOR, "only {} findings", findings.len());
    let unexplained = findings.iter().filter(|finding| {
        let evidences = finding["evidences"].as_array().unwrap();
        evidences.iter().all(|evidence| evidence["data"]["matches"].as_array().unwrap().is_empty())
    });
    let names: Vec<&str> =
        unexplained.map(|finding| finding["finding_info"]["title"].as_str().unwrap()).collect();
    assert!(names.is_empty(), "not explained: {names:?}");
}

//! Which ATT&CK techniques the rules look for: as a layer for the ATT&CK Navigator, and by tactic for a terminal.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value as Json, json};
use wanglou_model::RuleInfo;
use wanglou_model::attack::{self, TACTICS};

/// Colours of a layer, from few rules to many.
const GRADIENT: [&str; 3] = ["#e8f1fb", "#5b9bd5", "#1f4e79"];
/// Titles that a technique's comment lists.
const MAX_TITLES: usize = 20;

/// The rules of one tactic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TacticCoverage {
    /// `TA0002`.
    pub uid: &'static str,
    /// `Execution`.
    pub name: &'static str,
    /// `执行`.
    pub name_zh: &'static str,
    /// How many rules name the tactic or a technique of it.
    pub rules: usize,
    /// Technique, its name, and how many rules name it; most rules first.
    pub techniques: Vec<(String, String, usize)>,
}

/// By tactic, in the order of an attack, tactics without rules included.
#[must_use]
pub fn by_tactic<'r>(rules: impl IntoIterator<Item = &'r RuleInfo>) -> Vec<TacticCoverage> {
    let mut counts: BTreeMap<&str, (usize, BTreeMap<String, usize>)> = BTreeMap::new();
    for rule in rules {
        let attacks = rule.attacks();
        let mut tactics: Vec<&str> =
            attacks.entries.iter().filter_map(|(tactic, _)| Some((*tactic)?.uid)).collect();
        tactics.sort_unstable();
        tactics.dedup();
        for tactic in tactics {
            counts.entry(tactic).or_default().0 += 1;
        }
        for (tactic, technique) in attacks.entries {
            if let (Some(tactic), Some(technique)) = (tactic, technique) {
                *counts.entry(tactic.uid).or_default().1.entry(technique).or_default() += 1;
            }
        }
    }
    let coverage = |tactic: &attack::Tactic| {
        let (rules, techniques) = counts.remove(tactic.uid).unwrap_or_default();
        let named = |(uid, count): (String, usize)| {
            let name = attack::technique(&uid).map_or_else(String::new, |known| known.name.to_owned());
            (uid, name, count)
        };
        let mut techniques: Vec<_> = techniques.into_iter().map(named).collect();
        techniques.sort_by_key(|(uid, _, count)| (std::cmp::Reverse(*count), uid.clone()));
        TacticCoverage { uid: tactic.uid, name: tactic.name, name_zh: tactic.name_zh, rules, techniques }
    };
    TACTICS.iter().map(coverage).collect()
}

/// A layer for the ATT&CK Navigator (format 4.5): the score of a technique is the number of rules that name it.
#[must_use]
pub fn navigator_layer<'r>(name: &str, rules: impl IntoIterator<Item = &'r RuleInfo>) -> Json {
    let mut cells: BTreeMap<(String, Option<&str>), Vec<&RuleInfo>> = BTreeMap::new();
    for rule in rules {
        for (tactic, technique) in rule.attacks().entries {
            let Some(technique) = technique else { continue };
            cells.entry((technique, tactic.map(|tactic| tactic.slug))).or_default().push(rule);
        }
    }
    let most = cells.values().map(Vec::len).max().unwrap_or(1);
    let cell = |((technique, tactic), rules): (&(String, Option<&str>), &Vec<&RuleInfo>)| {
        let titles = rules.iter().take(MAX_TITLES).map(|rule| rule.title.as_str());
        let titles_zh: Vec<&str> =
            rules.iter().take(MAX_TITLES).filter_map(|rule| rule.title_zh.as_deref()).collect();
        let mut metadata = vec![json!({ "name": "rules 规则数", "value": rules.len().to_string() })];
        if !titles_zh.is_empty() {
            metadata.push(json!({ "name": "规则", "value": titles_zh.join("；") }));
        }
        let mut cell = json!({
            "techniqueID": technique,
            "score": rules.len(),
            "color": "",
            "comment": titles.collect::<Vec<_>>().join("\n"),
            "enabled": true,
            "metadata": metadata,
            "links": [],
            "showSubtechniques": technique.contains('.'),
        });
        if let (Some(tactic), Some(cell)) = (tactic, cell.as_object_mut()) {
            cell.insert("tactic".into(), (*tactic).into());
        }
        cell
    };
    json!({
        "name": name,
        "versions": { "attack": attack::VERSION, "navigator": "5.1.0", "layer": "4.5" },
        "domain": "enterprise-attack",
        "description": "Detection rules by technique; the score is the number of rules. 各技术对应的检测规则数量。",
        "filters": { "platforms": [] },
        "sorting": 3,
        "layout": { "layout": "side", "showID": true, "showName": true },
        "hideDisabled": false,
        "techniques": cells.iter().map(cell).collect::<Vec<_>>(),
        "gradient": { "colors": GRADIENT, "minValue": 0, "maxValue": most },
        "legendItems": [],
        "metadata": [],
        "links": [],
        "showTacticRowBackground": false,
        "tacticRowBackground": "#dddddd",
        "selectTechniquesAcrossTactics": false,
        "selectSubtechniquesWithParent": false,
    })
}

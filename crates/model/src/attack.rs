//! ATT&CK tactics and techniques: ids and names, version [`VERSION`].

use std::sync::LazyLock;

use rustc_hash::FxHashMap;

/// The ATT&CK release of the table.
pub const VERSION: &str = "18";

/// One tactic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tactic {
    /// `TA0002`.
    pub uid: &'static str,
    /// The short name that Sigma tags use: `execution`.
    pub slug: &'static str,
    /// `Execution`.
    pub name: &'static str,
    /// `执行`.
    pub name_zh: &'static str,
}

/// The enterprise tactics in the order of an attack.
pub const TACTICS: [Tactic; 14] = [
    tactic("TA0043", "reconnaissance", "Reconnaissance", "侦察"),
    tactic("TA0042", "resource-development", "Resource Development", "资源开发"),
    tactic("TA0001", "initial-access", "Initial Access", "初始访问"),
    tactic("TA0002", "execution", "Execution", "执行"),
    tactic("TA0003", "persistence", "Persistence", "持久化"),
    tactic("TA0004", "privilege-escalation", "Privilege Escalation", "权限提升"),
    tactic("TA0005", "defense-evasion", "Defense Evasion", "防御规避"),
    tactic("TA0006", "credential-access", "Credential Access", "凭据获取"),
    tactic("TA0007", "discovery", "Discovery", "发现"),
    tactic("TA0008", "lateral-movement", "Lateral Movement", "横向移动"),
    tactic("TA0009", "collection", "Collection", "收集"),
    tactic("TA0011", "command-and-control", "Command and Control", "命令与控制"),
    tactic("TA0010", "exfiltration", "Exfiltration", "数据渗出"),
    tactic("TA0040", "impact", "Impact", "影响"),
];

const fn tactic(uid: &'static str, slug: &'static str, name: &'static str, name_zh: &'static str) -> Tactic {
    Tactic { uid, slug, name, name_zh }
}

/// One technique or sub-technique.
#[derive(Clone, Debug)]
pub struct Technique {
    /// `T1059` or `T1059.001`.
    pub uid: &'static str,
    /// `PowerShell`.
    pub name: &'static str,
    /// The tactics it serves.
    pub tactics: Vec<&'static Tactic>,
}

static TECHNIQUES: LazyLock<FxHashMap<&'static str, Technique>> = LazyLock::new(|| {
    include_str!("../data/attack-techniques.tsv")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let mut columns = line.split('\t');
            let (uid, name) = (columns.next()?, columns.next()?);
            let tactics = columns.next()?.split(';').filter_map(tactic_by_slug).collect();
            Some((uid, Technique { uid, name, tactics }))
        })
        .collect()
});

/// The tactic with this short name; `_` and `-` are the same (Sigma has used both).
#[must_use]
pub fn tactic_by_slug(slug: &str) -> Option<&'static Tactic> {
    let slug = slug.replace('_', "-");
    TACTICS.iter().find(|tactic| tactic.slug == slug)
}

/// The technique with this id, in any case.
#[must_use]
pub fn technique(uid: &str) -> Option<&'static Technique> {
    TECHNIQUES.get(uid.to_ascii_uppercase().as_str())
}

/// The highest number of a technique in the table: 1059 for `T1059.001`. Later releases give higher ones.
#[must_use]
pub fn newest_technique() -> u32 {
    let number = |uid: &&str| uid.get(1..)?.split('.').next()?.parse().ok();
    TECHNIQUES.keys().filter_map(number).max().unwrap_or(0)
}

/// What Sigma tags say of ATT&CK.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attacks {
    /// (tactic if known, technique id as in the tag, upper case)
    pub entries: Vec<(Option<&'static Tactic>, Option<String>)>,
}

impl Attacks {
    /// Reads `attack.execution`, `attack.t1059.001` and so on; other tags are passed over.
    ///
    /// Each technique is put under those of the named tactics that it serves, or under its first tactic when none of
    /// the named ones fits; a tactic that no technique explains stands alone.
    #[must_use]
    pub fn from_tags<'t>(tags: impl IntoIterator<Item = &'t str>) -> Self {
        let mut named: Vec<&'static Tactic> = Vec::new();
        let mut techniques: Vec<String> = Vec::new();
        for tag in tags {
            let Some(name) = tag.strip_prefix("attack.") else { continue };
            if let Some(tactic) = tactic_by_slug(name) {
                named.push(tactic);
            } else if is_technique_id(name) {
                techniques.push(name.to_ascii_uppercase());
            }
        }
        let mut entries = Vec::new();
        let mut explained: Vec<&'static Tactic> = Vec::new();
        for uid in techniques {
            let serves = technique(&uid).map(|known| known.tactics.as_slice()).unwrap_or_default();
            let mut fitting: Vec<_> =
                named.iter().copied().filter(|tactic| serves.contains(tactic)).collect();
            if fitting.is_empty() {
                fitting.extend(serves.first());
            }
            explained.extend(&fitting);
            if fitting.is_empty() {
                entries.push((None, Some(uid)));
            } else {
                entries.extend(fitting.into_iter().map(|tactic| (Some(tactic), Some(uid.clone()))));
            }
        }
        for tactic in named {
            if !explained.contains(&tactic) {
                entries.push((Some(tactic), None));
            }
        }
        Self { entries }
    }

    /// The OCSF `attacks` array.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let objects = self.entries.iter().map(|(tactic, technique)| {
            let mut attack = serde_json::Map::from_iter([("version".to_owned(), VERSION.into())]);
            if let Some(tactic) = tactic {
                attack.insert("tactic".into(), serde_json::json!({ "uid": tactic.uid, "name": tactic.name }));
            }
            if let Some(uid) = technique {
                let parent = uid.split('.').next().unwrap_or(uid);
                attack.insert("technique".into(), named_technique(parent));
                if parent != uid {
                    attack.insert("sub_technique".into(), named_technique(uid));
                }
            }
            serde_json::Value::Object(attack)
        });
        objects.collect()
    }

    /// The tactics, in the order of an attack, each once.
    #[must_use]
    pub fn tactics(&self) -> Vec<&'static Tactic> {
        TACTICS
            .iter()
            .filter(|tactic| self.entries.iter().any(|(named, _)| *named == Some(*tactic)))
            .collect()
    }

    /// The technique ids, each once.
    #[must_use]
    pub fn techniques(&self) -> Vec<&str> {
        let mut ids: Vec<&str> = self.entries.iter().filter_map(|(_, uid)| uid.as_deref()).collect();
        ids.dedup();
        ids
    }
}

fn named_technique(uid: &str) -> serde_json::Value {
    match technique(uid) {
        Some(known) => serde_json::json!({ "uid": uid, "name": known.name }),
        None => serde_json::json!({ "uid": uid }),
    }
}

fn is_technique_id(text: &str) -> bool {
    let digits = |part: &str, count| part.len() == count && part.bytes().all(|b| b.is_ascii_digit());
    let Some(rest) = text.strip_prefix(['t', 'T']) else { return false };
    match rest.split_once('.') {
        Some((id, sub)) => digits(id, 4) && digits(sub, 3),
        None => digits(rest, 4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_become_attacks() {
        let attacks = Attacks::from_tags([
            "attack.execution",
            "attack.persistence",
            "attack.t1059.001",
            "cve.2021-44228",
        ]);
        assert_eq!(attacks.techniques(), ["T1059.001"]);
        assert_eq!(
            attacks.tactics().iter().map(|t| t.slug).collect::<Vec<_>>(),
            ["execution", "persistence"]
        );
        let json = attacks.to_json();
        assert_eq!(json[0]["technique"]["uid"], "T1059");
        assert_eq!(json[0]["sub_technique"]["name"], "PowerShell");
        assert_eq!(json[0]["tactic"]["uid"], "TA0002");
        assert_eq!(json[1]["tactic"]["uid"], "TA0003");
    }

    #[test]
    fn a_technique_alone_brings_its_tactic_and_an_unknown_one_stays() {
        assert_eq!(Attacks::from_tags(["attack.t1110"]).tactics()[0].slug, "credential-access");
        assert_eq!(Attacks::from_tags(["attack.t9999"]).entries, [(None, Some("T9999".into()))]);
        assert_eq!(Attacks::from_tags(["attack.g0001", "attack.s0002"]).entries, []);
    }
}

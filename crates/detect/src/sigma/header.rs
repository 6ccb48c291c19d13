//! What rules, correlations and filters have in common: who they are and what people should know of them.

use wanglou_model::{RuleInfo, RuleKind, Severity};

use crate::diagnostic::{self, Rejected, Reporter};
use crate::yaml::{self, Mark, Node, Yaml};

/// The head of a document.
#[derive(Debug)]
pub(crate) struct Header {
    /// The `name` that correlations may use.
    pub(crate) name: Option<String>,
    pub(crate) info: RuleInfo,
    /// Where the title stands: what speaks of the rule as a whole points there.
    pub(crate) mark: Mark,
}

/// Lets the diagnostics that follow name the rule.
pub(crate) fn name_rule(root: &Node, reporter: &mut Reporter<'_>) {
    reporter.about(root.get("id").and_then(Node::text));
}

pub(crate) fn read(
    document: &yaml::Document<'_>,
    root: &Node,
    reporter: &mut Reporter<'_>,
) -> Result<Header, Rejected> {
    name_rule(root, reporter);
    let Some(title) = root.get("title") else {
        return Err(reporter.report(&diagnostic::MISSING, root.mark, "the rule has no `title`"));
    };
    let mark = title.mark;
    let Some(title) = title.text() else {
        return Err(reporter.report(&diagnostic::WRONG_TYPE, mark, "`title` must be text"));
    };
    let text = |key: &str| root.get(key).and_then(Node::text).map(str::to_owned);
    let name = text("name");
    let id = text("id").or_else(|| name.clone()).unwrap_or_else(|| reporter.file().to_owned());
    let is_correlation = root.get("correlation").is_some();
    let info = RuleInfo {
        id,
        kind: if is_correlation { RuleKind::Correlation } else { RuleKind::Sigma },
        version: digest(&[document.text]),
        title: title.to_owned(),
        title_zh: text("title_zh"),
        description: text("description").unwrap_or_default().trim().to_owned(),
        description_zh: text("description_zh").map(|text| text.trim().to_owned()),
        severity: severity(root, reporter),
        status: text("status").unwrap_or_default(),
        tags: texts(root.get("tags")),
        falsepositives: texts(root.get("falsepositives")),
        references: texts(root.get("references")),
        author: text("author").unwrap_or_default(),
        file: reporter.file().to_owned(),
        logsource: String::new(),
        filters: Vec::new(),
    };
    Ok(Header { name, info, mark })
}

/// The short digest of a rule's texts that makes its version.
pub(crate) fn digest(texts: &[&str]) -> String {
    let mut hasher = blake3::Hasher::new();
    for text in texts {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    hasher.finalize().to_hex().chars().take(16).collect()
}

fn severity(root: &Node, reporter: &mut Reporter<'_>) -> Severity {
    let Some(level) = root.get("level") else { return Severity::Medium };
    match level.text().unwrap_or_default().parse() {
        Ok(severity) => severity,
        Err(reason) => {
            reporter.report(&diagnostic::UNKNOWN_LEVEL, level.mark, reason);
            Severity::Medium
        }
    }
}

/// A text or a list of texts.
pub(crate) fn texts(node: Option<&Node>) -> Vec<String> {
    match node.map(|node| (&node.value, node.text())) {
        Some((_, Some(text))) => vec![text.to_owned()],
        Some((Yaml::List(items), _)) => {
            items.iter().filter_map(|item| item.text().map(str::to_owned)).collect()
        }
        _ => Vec::new(),
    }
}

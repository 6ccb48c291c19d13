//! Processing pipelines in the YAML form of pySigma: what a site changes in the rules of others before they are
//! compiled, and the values of placeholders.
//!
//! One idea: a pipeline changes a rule's parsed detection, before case is folded and fields are resolved by the
//! taxonomy. Pipelines run by priority, after filters have been joined to the rules, as in pySigma. Where the two could
//! differ: placeholders get their values while a rule is read, so a placeholder transformation may depend on what the
//! rule says of itself (logsource, tags, attributes) and on the field, not on what other transformations did.

mod condition;
mod model;
mod read;
mod rewrite;
mod transform;
mod values;

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::diagnostic::{self, Diagnostic, Reporter};
use crate::rules::{self, RuleFile};
use crate::sigma::{About, Placeholders, Rule, digest, texts};
use crate::yaml;
use model::{Pipeline, Transformation};

/// What is done to rules before they are compiled: pipelines and the values of placeholders.
#[derive(Debug, Default)]
pub struct Processing {
    /// In the order in which they run.
    pipelines: Vec<Pipeline>,
    /// The variables of all pipelines, later ones over earlier ones.
    vars: BTreeMap<String, Vec<String>>,
    /// Values that come from placeholder files, before any pipeline is asked.
    placeholders: BTreeMap<String, Vec<String>>,
    /// Of all texts: what a rule becomes by them is a version of its own.
    digest: Option<String>,
}

impl Processing {
    /// Reads pipelines and placeholder files, or folders of them. A file with an error is not used and reported.
    #[must_use]
    pub fn read(pipelines: &[PathBuf], placeholders: &[PathBuf]) -> (Self, Vec<Diagnostic>) {
        let (pipelines, mut diagnostics) = rules::read(pipelines);
        let (placeholders, more) = rules::read(placeholders);
        diagnostics.extend(more);
        let (processing, more) = Self::from_files(&pipelines, &placeholders);
        diagnostics.extend(more);
        (processing, diagnostics)
    }

    /// The same from texts.
    #[must_use]
    pub fn from_files(pipelines: &[RuleFile], placeholders: &[RuleFile]) -> (Self, Vec<Diagnostic>) {
        let mut processing = Self::default();
        let mut diagnostics = Vec::new();
        let texts: Vec<&str> = pipelines.iter().chain(placeholders).map(|file| file.text.as_str()).collect();
        processing.digest = (!texts.is_empty()).then(|| digest(&texts));
        for file in pipelines {
            let mut reporter = Reporter::new(&file.path, &file.text);
            let pipelines = read::pipelines(&file.text, &mut reporter);
            processing.pipelines.extend(pipelines.unwrap_or_default());
            diagnostics.extend(reporter.found);
        }
        processing.pipelines.sort_by_key(|pipeline| pipeline.priority);
        for pipeline in &processing.pipelines {
            processing.vars.extend(pipeline.vars.clone());
        }
        for file in placeholders {
            let mut reporter = Reporter::new(&file.path, &file.text);
            processing.placeholders.extend(placeholder_values(&file.text, &mut reporter));
            diagnostics.extend(reporter.found);
        }
        (processing, diagnostics)
    }

    /// Whether rules stay as they are.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pipelines.is_empty() && self.placeholders.is_empty()
    }

    /// Lets all pipelines change a rule. An error says why a pipeline refuses it.
    pub(crate) fn apply(&self, rule: &mut Rule) -> Result<(), String> {
        if let Some(own) = &self.digest {
            let version = &mut rule.header.info.version;
            *version = digest(&[version, own]);
        }
        transform::apply(&self.pipelines, rule)
    }
}

impl Placeholders for Processing {
    fn values(&self, about: About<'_>, field: &str, name: &str) -> Option<Vec<String>> {
        if let Some(values) = self.placeholders.get(name) {
            return Some(values.clone());
        }
        let state = BTreeMap::new();
        self.pipelines.iter().flat_map(|pipeline| &pipeline.steps).find_map(|step| {
            let names = match &step.does {
                Transformation::ValuePlaceholders(names) | Transformation::WildcardPlaceholders(names) => {
                    names
                }
                _ => return None,
            };
            let facts = condition::Facts::of(about, &state);
            let is_meant = names.contains(name)
                && step.rule.holds(|condition| condition.holds(&facts))
                && step
                    .fields
                    .holds(|condition| condition.holds((!field.is_empty()).then_some(field), &facts));
            match step.does {
                _ if !is_meant => None,
                Transformation::WildcardPlaceholders(_) => Some(vec!["*".to_owned()]),
                _ => self.vars.get(name).cloned(),
            }
        })
    }
}

/// A placeholder file: a map from names, with or without percent signs, to a value or a list of values.
fn placeholder_values(text: &str, reporter: &mut Reporter<'_>) -> BTreeMap<String, Vec<String>> {
    let mut values = BTreeMap::new();
    for document in yaml::documents(text) {
        let root = match document.root {
            Ok(root) => root,
            Err(error) => {
                reporter.report(error.code, error.mark, error.message);
                continue;
            }
        };
        let Some(entries) = root.as_map() else {
            let message = "placeholders are a map from names to lists of values";
            reporter.report(&diagnostic::BAD_PIPELINE, root.mark, message);
            continue;
        };
        for (key, node) in entries {
            let found = texts(Some(node));
            if found.is_empty() {
                let message = format!("the placeholder `{}` has no value here", key.text);
                reporter.report(&diagnostic::BAD_PIPELINE, key.mark, message);
                continue;
            }
            values.insert(key.text.trim_matches('%').to_owned(), found);
        }
    }
    values
}

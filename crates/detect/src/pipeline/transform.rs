//! Running pipelines over a rule, step by step.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::condition::Facts;
use super::model::{Pipeline, Step, Transformation};
use super::rewrite::{copied, entries, members};
use super::values;
use crate::sigma::{Detection, Expr, Item, Rule, Test, Written};

/// Items of a rule and tests of all its items that pipelines may make. Each step may multiply what the one
/// before it left, so there must be an end; the largest public rule has some 2,000 values.
const MAX_ITEMS: usize = 10_000;
const MAX_TESTS: usize = 10_000;

/// Lets pipelines change a rule. An error says why it is refused.
pub(super) fn apply(pipelines: &[Pipeline], rule: &mut Rule) -> Result<(), String> {
    let mut run = Run { rule, applied: BTreeSet::new(), items: BTreeMap::new(), state: BTreeMap::new() };
    pipelines.iter().flat_map(|pipeline| &pipeline.steps).try_for_each(|step| run.step(step))
}

struct Run<'r> {
    rule: &'r mut Rule,
    /// Steps that were applied to the rule.
    applied: BTreeSet<String>,
    /// The same by item.
    items: BTreeMap<usize, BTreeSet<String>>,
    state: BTreeMap<String, String>,
}

impl Run<'_> {
    fn facts<'f>(&'f self, detection: &'f Detection) -> Facts<'f> {
        Facts {
            header: &self.rule.header,
            logsource: &self.rule.logsource,
            detection: Some(detection),
            applied: Some(&self.applied),
            state: &self.state,
        }
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        let facts = self.facts(&self.rule.detection);
        if !step.rule.holds(|condition| condition.holds(&facts)) {
            return Ok(());
        }
        match &step.does {
            Transformation::Nothing
            | Transformation::ValuePlaceholders(_)
            | Transformation::WildcardPlaceholders(_) => {}
            Transformation::RefuseRule(message) => return Err(message.clone()),
            Transformation::SetState { key, value } => {
                self.state.insert(key.clone(), value.clone());
            }
            Transformation::SetAttribute { key, value } => {
                self.state.insert(format!("attribute.{key}"), value.clone());
            }
            Transformation::ChangeLogsource(logsource) => self.rule.logsource = logsource.clone(),
            Transformation::AddCondition { detection, template, negated } => {
                self.add_condition(detection, *template, *negated);
            }
            Transformation::Nest(steps) => steps.iter().try_for_each(|step| self.step(step))?,
            _ => self.change_items(step)?,
        }
        self.applied.extend(step.id.clone());
        self.check_size()
    }

    fn check_size(&self) -> Result<(), String> {
        let items = &self.rule.detection.items;
        let mut tests = items.iter().flat_map(|item| &item.tests);
        if items.len() > MAX_ITEMS || tests.clone().count() > MAX_TESTS {
            return Err(format!("the pipeline makes more than {MAX_ITEMS} items or {MAX_TESTS} values"));
        }
        if tests.any(|written| values::is_too_long(&written.test)) {
            return Err(format!("the pipeline makes a value of more than {} bytes", values::MAX_VALUE));
        }
        Ok(())
    }

    fn add_condition(&mut self, added: &Detection, template: bool, negated: bool) {
        let mut added = added.clone();
        if template {
            let part = |part: &Option<String>| part.clone().unwrap_or_default();
            let logsource = &self.rule.logsource;
            let names = [
                ("category", part(&logsource.category)),
                ("product", part(&logsource.product)),
                ("service", part(&logsource.service)),
            ];
            let fill = |text: &str| {
                names.iter().fold(text.to_owned(), |text, (name, value)| {
                    let text = values::filled(&text, &format!("${{{name}}}"), value);
                    values::filled(&text, &format!("${name}"), value)
                })
            };
            for written in added.items.iter_mut().flat_map(|item| &mut item.tests) {
                if let Test::Text { pattern, .. } = &mut written.test {
                    *pattern = std::mem::take(pattern).map_literals(fill);
                    written.value = fill(&written.value).into();
                }
            }
        }
        self.rule.detection.join(&added, negated);
    }

    /// What changes entries of selections.
    fn change_items(&mut self, step: &Step) -> Result<(), String> {
        let mut detection = std::mem::take(&mut self.rule.detection);
        let before = detection.clone();
        let facts = self.facts(&before);
        let mut changed: Vec<(usize, Vec<usize>)> = Vec::new();
        let mut refused = None;
        let known = &self.items;
        let is_left = entries(&mut detection, &mut |items, entry| {
            let own = members(entry);
            let Some(first) = own.first().copied() else { return Some(entry.clone()) };
            let none = BTreeSet::new();
            let applied = known.get(&first).unwrap_or(&none);
            let of_entry: Vec<&Item> = own.iter().filter_map(|index| items.get(*index)).collect();
            let field = of_entry.first().and_then(|item| item.field.clone());
            let item_facts = Facts { applied: Some(applied), ..facts };
            let is_meant = step.items.holds(|condition| condition.holds(&of_entry, applied, &facts))
                && step.fields.holds(|condition| condition.holds(field.as_deref(), &item_facts));
            if !is_meant {
                return Some(entry.clone());
            }
            if let Transformation::RefuseItem(message) = &step.does {
                refused.get_or_insert_with(|| message.clone());
            }
            let result = change_entry(&step.does, items, entry, field.as_deref());
            // A mapping that does not name the field has not been applied to it.
            let is_rename =
                matches!(step.does, Transformation::MapFields(_) | Transformation::MapPrefixes(_));
            if is_rename && field.as_deref().is_none_or(|field| new_names(&step.does, field).is_none()) {
                return result;
            }
            changed.extend(result.iter().map(|expr| (first, members(expr))));
            result
        });
        self.rule.detection = detection;
        if let Some(message) = refused {
            return Err(message);
        }
        if !is_left {
            return Err("the pipeline drops everything that the rule asks for".to_owned());
        }
        for (first, after) in changed {
            let mut applied = self.items.get(&first).cloned().unwrap_or_default();
            applied.extend(step.id.clone());
            self.items.extend(after.into_iter().map(|index| (index, applied.clone())));
        }
        Ok(())
    }
}

/// What a transformation makes of an entry.
fn change_entry(
    does: &Transformation,
    items: &mut Vec<Item>,
    entry: &Expr,
    field: Option<&str>,
) -> Option<Expr> {
    match does {
        Transformation::DropItem => return None,
        Transformation::MapFields(_)
        | Transformation::MapPrefixes(_)
        | Transformation::Prefix(_)
        | Transformation::Suffix(_) => {
            change_references(items, &members(entry), &|field| new_names(does, field));
            let Some(names) = field.and_then(|field| new_names(does, field)) else {
                return Some(entry.clone());
            };
            return Some(rename(items, entry, &names));
        }
        Transformation::SplitHashes { algorithms, prefix, drop_algorithm, fields } => {
            let is_meant = field.is_some_and(|field| fields.iter().any(|other| other == field));
            if is_meant {
                let name = |algorithm: &str| {
                    if *drop_algorithm { prefix.clone() } else { format!("{prefix}{algorithm}") }
                };
                return split_hashes(items, entry, algorithms, &name);
            }
        }
        _ => {
            for index in members(entry) {
                if let Some(item) = items.get_mut(index) {
                    change_values(does, item);
                }
            }
        }
    }
    Some(entry.clone())
}

/// What a field is called after a transformation; `None` when it keeps its name.
fn new_names(does: &Transformation, field: &str) -> Option<Vec<String>> {
    match does {
        Transformation::MapFields(mapping) => mapping.get(field).cloned(),
        Transformation::MapPrefixes(mapping) => mapping.iter().find_map(|(prefix, names)| {
            let rest = field.strip_prefix(prefix.as_str())?;
            Some(names.iter().map(|name| format!("{name}{rest}")).collect())
        }),
        Transformation::Prefix(prefix) => Some(vec![format!("{prefix}{field}")]),
        Transformation::Suffix(suffix) => Some(vec![format!("{field}{suffix}")]),
        _ => None,
    }
}

/// Gives an entry new fields; with several, one of them must hold all of the entry.
fn rename(items: &mut Vec<Item>, entry: &Expr, names: &[String]) -> Expr {
    if let [name] = names {
        let name: Arc<str> = name.as_str().into();
        for index in members(entry) {
            if let Some(item) = items.get_mut(index) {
                item.field = Some(Arc::clone(&name));
            }
        }
        return entry.clone();
    }
    let mut copies = Vec::new();
    for name in names {
        if items.len() > MAX_ITEMS {
            break;
        }
        copies.push(copied(entry, items, name));
    }
    Expr::Or(copies)
}

/// Renames the fields that values name.
fn change_references(items: &mut [Item], own: &[usize], names: &dyn Fn(&str) -> Option<Vec<String>>) {
    for index in own {
        let Some(item) = items.get_mut(*index) else { continue };
        let tests = std::mem::take(&mut item.tests);
        item.tests = tests
            .into_iter()
            .flat_map(|written| {
                let Test::SameAs { field, before, after, cased } = &written.test else {
                    return vec![written];
                };
                let Some(names) = names(field) else { return vec![written] };
                let (before, after, cased) = (*before, *after, *cased);
                let renamed = |name: &String| Written {
                    test: Test::SameAs { field: name.as_str().into(), before, after, cased },
                    value: written.value.clone(),
                };
                names.iter().map(renamed).collect()
            })
            .take(MAX_TESTS + 1)
            .collect();
    }
}

fn change_values(does: &Transformation, item: &mut Item) {
    match does {
        Transformation::ReplaceString { regex, replacement, skip_special } => {
            for written in &mut item.tests {
                values::replace(written, regex, replacement, *skip_special);
            }
        }
        Transformation::MapString(mapping) => {
            let mapped = |written: &Written| {
                let plain = values::written_text(&written.test);
                let found = plain.and_then(|text| mapping.get(&text));
                found.map_or_else(|| vec![written.clone()], |texts| values::mapped(written, texts))
            };
            item.tests = item.tests.iter().flat_map(mapped).take(MAX_TESTS + 1).collect();
        }
        Transformation::SetValue(value) => item.tests = vec![values::text(value, false)],
        Transformation::CaseSensitive => {
            for written in &mut item.tests {
                if let Test::Text { cased, .. } = &mut written.test {
                    *cased = true;
                }
            }
        }
        Transformation::Case(case) => {
            item.tests.iter_mut().for_each(|written| values::change_case(written, *case));
        }
        _ => {}
    }
}

/// Gives each hash the field of its algorithm. Hashes of other algorithms cannot be asked for any more.
fn split_hashes(
    items: &mut Vec<Item>,
    entry: &Expr,
    algorithms: &[String],
    name: &dyn Fn(&str) -> String,
) -> Option<Expr> {
    let own = members(entry);
    let template = own.first().and_then(|index| items.get(*index))?.clone();
    let mut by_field: BTreeMap<String, Vec<Written>> = BTreeMap::new();
    for written in own.iter().filter_map(|index| items.get(*index)).flat_map(|item| &item.tests) {
        let Some(text) = values::written_text(&written.test) else { return Some(entry.clone()) };
        let (algorithm, hash) = values::hash_of(&text);
        if algorithms.contains(&algorithm) {
            by_field.entry(name(&algorithm)).or_default().push(values::text(&hash, false));
        }
    }
    let key: Arc<str> = Arc::from(&*template.key);
    let branches: Vec<Expr> = by_field
        .into_iter()
        .map(|(field, tests)| {
            let field = (field != "keyword" && !field.is_empty()).then(|| field.as_str().into());
            items.push(Item {
                field,
                key: Arc::clone(&key),
                mark: template.mark,
                tests,
                selection: Arc::clone(&template.selection),
            });
            Expr::Item(items.len() - 1)
        })
        .collect();
    (!branches.is_empty()).then_some(Expr::Or(branches))
}

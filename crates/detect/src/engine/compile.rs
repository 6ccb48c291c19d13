//! From rule files to an engine: every document is read, filters are joined to their rules, correlations to what they
//! count, and everything that is wrong is reported with its place.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use wanglou_model::RuleInfo;

use super::program::ProgramBuilder;
use super::{Compilation, Engine, FailedRule, RuleIndex};
use crate::Diagnostic;
use crate::correlate::{Feed, Plan, Terms};
use crate::diagnostic::{self, Code, DiagnosticSeverity, Reporter};
use crate::pipeline::Processing;
use crate::rules::RuleFile;
use crate::sigma::{self, Correlation, Document, Filter, Header, Rule};
use crate::taxonomy::{Taxonomy, covers};
use crate::yaml::{self, Mark, Node};

/// Compiles rules. Rules with errors are left out and reported; they never keep others from working.
#[must_use]
pub fn compile(files: &[RuleFile], taxonomy: &Taxonomy) -> Compilation {
    compile_with(files, taxonomy, &Processing::default())
}

/// Compiles rules after pipelines have changed them and placeholders have got their values.
#[must_use]
pub fn compile_with(files: &[RuleFile], taxonomy: &Taxonomy, processing: &Processing) -> Compilation {
    let mut compiler = Compiler::new(files, processing);
    for (index, file) in files.iter().enumerate() {
        compiler.read(index, file);
    }
    compiler.drop_copies();
    compiler.apply_filters();
    compiler.apply_pipelines();
    compiler.build(taxonomy)
}

/// The detection rules that can be read, filters not applied, each with the index of its file.
pub(crate) fn parsed_rules(files: &[RuleFile]) -> Vec<(usize, Rule)> {
    let processing = Processing::default();
    let mut compiler = Compiler::new(files, &processing);
    for (index, file) in files.iter().enumerate() {
        compiler.read(index, file);
    }
    let folded = |mut placed: Placed<Rule>| {
        placed.document.detection.fold();
        (placed.file, placed.document)
    };
    compiler.rules.into_iter().map(folded).collect()
}

/// A document and the file it stands in.
struct Placed<T> {
    file: usize,
    document: T,
}

/// What a correlation may count: detection rules, then the correlations that are joined already, with their plans.
struct Known<'k> {
    headers: &'k [(usize, Header)],
    loaded: &'k [Placed<Correlation>],
    plans: &'k [Plan],
}

struct Compiler<'f> {
    files: &'f [RuleFile],
    processing: &'f Processing,
    rules: Vec<Placed<Rule>>,
    correlations: Vec<Placed<Correlation>>,
    filters: Vec<Placed<Filter>>,
    /// Names of rules that correlations count which are not loaded: what is meant to be counted raises no finding of
    /// its own, also when nobody counts it.
    muted: Vec<String>,
    failed: Vec<FailedRule>,
    /// With the index of their file, to be sorted by.
    diagnostics: Vec<(usize, Diagnostic)>,
}

impl<'f> Compiler<'f> {
    fn new(files: &'f [RuleFile], processing: &'f Processing) -> Self {
        Self {
            files,
            processing,
            rules: Vec::new(),
            correlations: Vec::new(),
            filters: Vec::new(),
            muted: Vec::new(),
            failed: Vec::new(),
            diagnostics: Vec::new(),
        }
    }

    /// Lets the pipelines change the rules, filters joined to them included. A rule that a pipeline refuses is not
    /// loaded.
    fn apply_pipelines(&mut self) {
        let rules = std::mem::take(&mut self.rules);
        for mut placed in rules {
            match self.processing.apply(&mut placed.document) {
                Ok(()) => self.rules.push(placed),
                Err(message) => {
                    let Placed { file, document } = placed;
                    let mark = document.header.mark;
                    self.report(
                        file,
                        Some(&document.header),
                        &diagnostic::REFUSED_BY_PIPELINE,
                        mark,
                        message,
                    );
                }
            }
        }
    }

    fn read(&mut self, index: usize, file: &RuleFile) {
        let mut reporter = Reporter::new(&file.path, &file.text);
        let mut global: Option<Node> = None;
        let mut previous: Option<Node> = None;
        for document in yaml::documents(&file.text) {
            let reported = reporter.found.len();
            let mut title = None;
            let read = match &document.root {
                Err(error) => {
                    reporter.about(None);
                    Err(reporter.report(error.code, error.mark, error.message.clone()))
                }
                Ok(root) => {
                    let root = match action(root) {
                        Some("global") => {
                            global = Some(root.clone());
                            continue;
                        }
                        Some("reset") => {
                            global = None;
                            continue;
                        }
                        Some("repeat") => previous.as_ref().map(|below| yaml::merge(below, root.clone())),
                        _ => None,
                    }
                    .unwrap_or_else(|| root.clone());
                    let root = match &global {
                        Some(global) => yaml::merge(global, root),
                        None => root,
                    };
                    title = root.get("title").and_then(Node::text).map(str::to_owned);
                    let read = sigma::read(&document, &root, self.processing, &mut reporter);
                    if read.is_err() {
                        self.muted.extend(sigma::counted_names(&root));
                    }
                    previous = Some(root);
                    read
                }
            };
            match read {
                Ok(Document::Rule(document)) => self.rules.push(Placed { file: index, document }),
                Ok(Document::Correlation(document)) => {
                    self.correlations.push(Placed { file: index, document });
                }
                Ok(Document::Filter(document)) => self.filters.push(Placed { file: index, document }),
                Err(_) => {
                    self.failed.extend(failed(reporter.found.get(reported..).unwrap_or_default(), title));
                }
            }
        }
        self.diagnostics.extend(reporter.found.into_iter().map(|diagnostic| (index, diagnostic)));
    }

    /// Reports something about a document that has been read.
    fn report(
        &mut self,
        file: usize,
        header: Option<&Header>,
        code: &'static Code,
        mark: Mark,
        message: String,
    ) {
        let Some(source) = self.files.get(file) else { return };
        let mut reporter = Reporter::new(&source.path, &source.text);
        reporter.about(header.map(|header| header.info.id.as_str()));
        reporter.report(code, mark, message);
        if let Some(header) = header {
            self.failed.extend(failed(&reporter.found, Some(header.info.title.clone())));
        }
        self.diagnostics.extend(reporter.found.into_iter().map(|diagnostic| (file, diagnostic)));
    }

    /// The same rule read twice counts once; two rules with one id are both kept and reported.
    fn drop_copies(&mut self) {
        let mut seen: FxHashMap<String, (String, usize)> = FxHashMap::default();
        let mut reports = Vec::new();
        self.rules.retain(|placed| {
            let Header { info, mark, .. } = &placed.document.header;
            let Some((version, file)) = seen.get(&info.id) else {
                seen.insert(info.id.clone(), (info.version.clone(), placed.file));
                return true;
            };
            let is_copy = *version == info.version;
            reports.push((placed.file, *mark, *file, is_copy));
            !is_copy
        });
        for (file, mark, first, is_copy) in reports {
            let first = self.files.get(first).map(|file| file.path.as_str()).unwrap_or_default();
            let message = if is_copy {
                format!("the same rule was read from `{first}`; it counts once")
            } else {
                format!("a different rule with the same id was read from `{first}`; both are used")
            };
            self.report(file, None, &diagnostic::DUPLICATE_ID, mark, message);
        }
    }

    fn apply_filters(&mut self) {
        for Placed { file, document: filter } in std::mem::take(&mut self.filters) {
            let mut unknown = Vec::new();
            for (name, mark) in &filter.rules {
                if !self.rules.iter().any(|rule| is_called(&rule.document.header, name)) {
                    unknown.push((*mark, format!("the filter names the rule `{name}`, which is not loaded")));
                }
            }
            for placed in &mut self.rules {
                let rule = &mut placed.document;
                let named = filter.rules.is_empty()
                    || filter.rules.iter().any(|(name, _)| is_called(&rule.header, name));
                if named && covers(&filter.logsource, &rule.logsource) {
                    restrict(rule, &filter);
                }
            }
            for (mark, message) in unknown {
                self.report(file, Some(&filter.header), &diagnostic::UNKNOWN_RULE, mark, message);
            }
        }
    }

    fn build(mut self, taxonomy: &Taxonomy) -> Compilation {
        let mut builder = ProgramBuilder::new(taxonomy);
        let mut infos: Vec<Arc<RuleInfo>> = Vec::new();
        let mut headers: Vec<(usize, Header)> = Vec::new();
        for Placed { file, document: rule } in std::mem::take(&mut self.rules) {
            if !builder.knows(&rule.logsource) {
                let message = format!("the taxonomy knows no records of logsource `{}`", rule.logsource);
                self.warn(file, &rule.header, &diagnostic::UNKNOWN_LOGSOURCE, message);
            }
            let info = RuleInfo { logsource: rule.logsource.to_string(), ..rule.header.info.clone() };
            let mut detection = rule.detection;
            detection.fold();
            builder.add(&rule.logsource, detection);
            infos.push(Arc::new(info));
            headers.push((file, rule.header));
        }
        let (plans, silent) = self.correlate(&headers, &mut infos, &mut builder);
        let program = builder.build();
        let engine = Engine { rules: infos, program, plans, silent };
        let mut diagnostics = self.diagnostics;
        diagnostics.sort_by_key(|(file, diagnostic)| (*file, diagnostic.line, diagnostic.column));
        Compilation {
            loaded: engine.rules.len(),
            engine,
            failed: self.failed,
            diagnostics: diagnostics.into_iter().map(|(_, diagnostic)| diagnostic).collect(),
        }
    }

    /// Joins correlations to what they count, inner ones first, and says which rules are silent.
    fn correlate(
        &mut self,
        headers: &[(usize, Header)],
        infos: &mut Vec<Arc<RuleInfo>>,
        builder: &mut ProgramBuilder<'_>,
    ) -> (Vec<Plan>, Vec<bool>) {
        let mut waiting = std::mem::take(&mut self.correlations);
        let mut plans: Vec<Plan> = Vec::new();
        let mut loaded: Vec<Placed<Correlation>> = Vec::new();
        // Rules that a correlation counts, and those that are to be heard all the same.
        let (mut counted, mut audible) = (Vec::new(), Vec::new());
        loop {
            // One round: those that count nothing which is still waiting.
            let names: Vec<(usize, String, Option<String>)> = waiting
                .iter()
                .map(|Placed { file, document }| {
                    (*file, document.header.info.id.clone(), document.header.name.clone())
                })
                .collect();
            let waits = |placed: &Placed<Correlation>| {
                placed.document.rules.iter().any(|(name, _)| {
                    !headers.iter().any(|(_, header)| is_called(header, name))
                        && names.iter().any(|(_, id, other)| id == name || other.as_ref() == Some(name))
                })
            };
            let (blocked, ready): (Vec<_>, Vec<_>) = waiting.into_iter().partition(waits);
            waiting = blocked;
            if ready.is_empty() {
                break;
            }
            for placed in ready {
                let Some(parts) = self.parts(&placed, headers, &loaded) else {
                    self.muted.extend(placed.document.rules.into_iter().map(|(name, _)| name));
                    continue;
                };
                if placed.document.generate { &mut audible } else { &mut counted }.extend(&parts);
                let index = RuleIndex(u32::try_from(infos.len()).unwrap_or(u32::MAX));
                infos.push(Arc::new(versioned(&placed.document, &parts, infos)));
                plans.push(plan(
                    index,
                    &placed.document,
                    &parts,
                    &Known { headers, loaded: &loaded, plans: &plans },
                    builder,
                ));
                loaded.push(placed);
            }
        }
        for Placed { file, document } in waiting {
            let mark = document.rules.first().map_or(document.header.mark, |(_, mark)| *mark);
            let message = "the correlations count each other in a circle".to_owned();
            self.report(file, Some(&document.header), &diagnostic::CORRELATION_CIRCLE, mark, message);
            self.muted.extend(document.rules.into_iter().map(|(name, _)| name));
        }
        let all = headers.iter().map(|(_, header)| header);
        let all = all.chain(loaded.iter().map(|placed| &placed.document.header));
        let silent = (0..).map(RuleIndex).zip(all).map(|(index, header)| {
            let is_counted =
                counted.contains(&index) || self.muted.iter().any(|name| is_called(header, name));
            is_counted && !audible.contains(&index)
        });
        let silent = silent.collect();
        let chained: Vec<u32> = plans.iter().flat_map(|plan| plan.vias()).collect();
        for (index, plan) in (0..).zip(&mut plans) {
            // What holds with an event must be known when the outer correlation counts that event.
            plan.waits |= chained.contains(&index) || plan.vias().next().is_some();
        }
        (plans, silent)
    }

    /// The rules that a correlation counts, in its order; `None` when one of them cannot be counted, which is
    /// reported.
    fn parts(
        &mut self,
        Placed { file, document: correlation }: &Placed<Correlation>,
        headers: &[(usize, Header)],
        loaded: &[Placed<Correlation>],
    ) -> Option<Vec<RuleIndex>> {
        let inner = loaded.iter().map(|placed| (placed.file, &placed.document.header));
        let all: Vec<(usize, &Header)> =
            headers.iter().map(|(home, header)| (*home, header)).chain(inner).collect();
        let mut parts = Vec::new();
        for (name, mark) in &correlation.rules {
            // A name in the correlation's own file is meant before the same name elsewhere.
            let mut found = (0..).map(RuleIndex).zip(&all).filter(|(_, (_, header))| is_called(header, name));
            let own = found.clone().find(|(_, (home, _))| home == file).or_else(|| found.next());
            let message = match own {
                Some((index, _)) if !parts.contains(&index) => {
                    parts.push(index);
                    continue;
                }
                Some(_) => format!("`{name}` is a rule that the correlation names already"),
                None => format!("the correlation counts the rule `{name}`, which is not loaded"),
            };
            self.report(*file, Some(&correlation.header), &diagnostic::UNKNOWN_RULE, *mark, message);
            return None;
        }
        Some(parts)
    }

    /// Reports something about a rule that is loaded all the same.
    fn warn(&mut self, file: usize, header: &Header, code: &'static Code, message: String) {
        let Some(source) = self.files.get(file) else { return };
        let mut reporter = Reporter::new(&source.path, &source.text);
        reporter.about(Some(&header.info.id));
        reporter.report(code, header.mark, message);
        self.diagnostics.extend(reporter.found.into_iter().map(|diagnostic| (file, diagnostic)));
    }
}

/// The `action` of a multi-document file's document.
fn action(root: &Node) -> Option<&str> {
    root.get("action").and_then(Node::text)
}

fn is_called(header: &Header, name: &str) -> bool {
    header.info.id == name || header.name.as_deref() == Some(name)
}

/// What failed, out of the diagnostics of a document.
fn failed(found: &[Diagnostic], title: Option<String>) -> Option<FailedRule> {
    let error = found.iter().find(|diagnostic| diagnostic.severity == DiagnosticSeverity::Error)?;
    Some(FailedRule {
        file: error.file.clone(),
        rule_id: error.rule_id.clone(),
        title,
        reason: format!("{} at line {}: {}", error.code, error.line, error.message),
    })
}

/// Joins a filter's condition to a rule's.
fn restrict(rule: &mut Rule, filter: &Filter) {
    rule.detection.join(&filter.detection, false);
    let info = &mut rule.header.info;
    info.version = sigma::digest(&[&info.version, &filter.header.info.version]);
    info.filters.push(filter.header.info.title.clone());
}

/// A correlation's version covers what it counts: when a base rule changes, its findings are new ones.
fn versioned(correlation: &Correlation, bases: &[RuleIndex], infos: &[Arc<RuleInfo>]) -> RuleInfo {
    let mut info = correlation.header.info.clone();
    let versions = bases.iter().filter_map(|base| Some(infos.get(base.0 as usize)?.version.as_str()));
    info.version = sigma::digest(&std::iter::once(info.version.as_str()).chain(versions).collect::<Vec<_>>());
    info
}

/// How a correlation reads its fields from the events of each rule that it counts, be it through other correlations.
fn plan(
    rule: RuleIndex,
    correlation: &Correlation,
    parts: &[RuleIndex],
    known: &Known<'_>,
    builder: &mut ProgramBuilder<'_>,
) -> Plan {
    let Known { headers, loaded, plans } = known;
    let mut feeds: FxHashMap<RuleIndex, Vec<Feed>> = FxHashMap::default();
    for (part, named) in (0..).zip(parts) {
        let inner = (named.0 as usize).checked_sub(headers.len());
        let header = |index: RuleIndex| headers.get(index.0 as usize).map(|(_, header)| header);
        let outer = match inner {
            None => header(*named),
            Some(inner) => loaded.get(inner).map(|placed| &placed.document.header),
        };
        let mut sources: Vec<RuleIndex> = match inner.map(|inner| plans.get(inner)) {
            None => vec![*named],
            Some(plan) => plan.into_iter().flat_map(|plan| plan.feeds.keys().copied()).collect(),
        };
        sources.sort_unstable();
        for source in sources {
            let mut column = |field: &String| {
                let alias = correlation.aliases.get(field).and_then(|rules| {
                    let of = |header: Option<&Header>| {
                        rules.iter().find(|(name, _)| header.is_some_and(|header| is_called(header, name)))
                    };
                    of(outer).or_else(|| of(header(source))).map(|(_, field)| field)
                });
                builder.field(source.0, alias.unwrap_or(field))
            };
            feeds.entry(source).or_default().push(Feed {
                part,
                via: inner.and_then(|inner| u32::try_from(inner).ok()),
                group: correlation.group_by.iter().filter_map(&mut column).collect(),
                counted: correlation.aggregate.fields().iter().filter_map(&mut column).collect(),
            });
        }
    }
    let terms = Terms::new(
        correlation.aggregate.clone(),
        correlation.timespan_nanos,
        correlation.conditions.clone(),
        parts.len(),
    );
    let waits = !terms.only_grows();
    Plan { rule, parts: parts.to_vec(), feeds, group_by: correlation.group_by.clone(), terms, waits }
}

//! The rules in use: read from the operator's paths or built in, compiled, and what is wrong with them.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use wanglou_detect::{
    Diagnostic, DiagnosticSeverity, Engine, FailedRule, Processing, RuleFile, compile_with, rules,
};

use crate::content;
use crate::scan::output::visible;

/// Failed rules that are named on standard error; the rest are counted.
const SHOWN: usize = 20;

/// What changes rules before they are compiled.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct ProcessingArgs {
    /// pySigma processing pipeline (YAML) that changes the rules, such as field names; may be given several times
    #[arg(long, value_name = "FILE")]
    pub pipeline: Vec<PathBuf>,
    /// Values of placeholders such as %Administrators%: a YAML map from names to lists; may be given several times
    #[arg(long, value_name = "FILE")]
    pub placeholders: Vec<PathBuf>,
}

impl ProcessingArgs {
    fn read(&self) -> anyhow::Result<Processing> {
        let (processing, mistakes) = Processing::read(&self.pipeline, &self.placeholders);
        if !mistakes.is_empty() {
            let texts: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
            let shown: Vec<_> = texts.iter().flat_map(|text| text.lines()).map(visible).collect();
            anyhow::bail!("the rules cannot be processed\n{}", shown.join("\n"));
        }
        Ok(processing)
    }
}

/// Where a platform's rules come from beside the built-in ones, and what changes all of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct RuleSources {
    /// Folders, files or zips.
    pub paths: Vec<PathBuf>,
    /// Pipelines and placeholders.
    pub processing: ProcessingArgs,
}

/// Compiled rules.
pub(crate) struct Rulebook {
    /// All sound rules.
    pub engine: Arc<Engine>,
    /// How many they are.
    pub loaded: usize,
    /// The others, and files that could not be read.
    pub failed: Vec<FailedRule>,
    /// What is wrong, in order of files and lines.
    pub diagnostics: Vec<Diagnostic>,
}

impl Rulebook {
    /// Reads and compiles the rules under these paths; the built-in ones when there are none.
    ///
    /// # Errors
    /// When the built-in content is wrong. Rules that are wrong are in [`Rulebook::failed`].
    pub(crate) fn load(paths: &[PathBuf]) -> anyhow::Result<Self> {
        Self::load_processed(paths, &ProcessingArgs::default())
    }

    /// The same, after pipelines have changed the rules and placeholders have got values.
    ///
    /// # Errors
    /// When the built-in content is wrong, or a pipeline or placeholder file: without it rules would mean something
    /// else.
    pub(crate) fn load_processed(paths: &[PathBuf], args: &ProcessingArgs) -> anyhow::Result<Self> {
        let processing = args.read()?;
        let (files, diagnostics) =
            if paths.is_empty() { (content::rules(), Vec::new()) } else { rules::read(paths) };
        Self::compile(&files, diagnostics, &processing)
    }

    /// Reads and compiles the built-in rules and those of a platform.
    ///
    /// # Errors
    /// As [`Rulebook::load_processed`].
    pub(crate) fn load_with_built_in(sources: &RuleSources) -> anyhow::Result<Self> {
        let processing = sources.processing.read()?;
        let mut files = content::rules();
        let (more, diagnostics) = rules::read(&sources.paths);
        files.extend(more);
        Self::compile(&files, diagnostics, &processing)
    }

    /// Why these rules must not take the place of others: nothing loads, or a path cannot be read, so that rules which
    /// are only out of reach would be switched off.
    pub(crate) fn unusable(&self) -> Option<String> {
        if self.loaded == 0 {
            return Some("no rule loads".to_owned());
        }
        let unread = self.diagnostics.iter().find(|diagnostic| diagnostic.code == "E001")?;
        Some(format!("`{}` cannot be read: {}", unread.file, unread.message))
    }

    fn compile(
        files: &[RuleFile],
        mut diagnostics: Vec<Diagnostic>,
        processing: &Processing,
    ) -> anyhow::Result<Self> {
        let unread = diagnostics.iter().map(|diagnostic| FailedRule {
            file: diagnostic.file.clone(),
            rule_id: None,
            title: None,
            reason: diagnostic.message.clone(),
        });
        let mut failed: Vec<FailedRule> = unread.collect();
        let taxonomy = content::taxonomy().context("the built-in taxonomy is wrong")?;
        let compilation = compile_with(files, &taxonomy, processing);
        failed.extend(compilation.failed);
        diagnostics.extend(compilation.diagnostics);
        Ok(Self { engine: Arc::new(compilation.engine), loaded: compilation.loaded, failed, diagnostics })
    }

    /// What keeps rules from being loaded.
    pub(crate) fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.severity == DiagnosticSeverity::Error)
    }

    /// Says on standard error which rules are not loaded: a rule that is silently missing finds nothing for ever.
    pub(crate) fn complain(&self) {
        for error in self.errors().take(SHOWN) {
            let Diagnostic { code, file, line, column, message, remedy, .. } = error;
            let place = if *line == 0 { file.clone() } else { format!("{file}:{line}:{column}") };
            eprintln!("warning: {}: {} [{code}]; {remedy}", visible(&place), visible(message));
        }
        if let Some(more) = self.errors().count().checked_sub(SHOWN).filter(|more| *more > 0) {
            eprintln!("warning: {more} more mistakes in rules; `wanglou rules check` lists them all");
        }
        if !self.failed.is_empty() {
            eprintln!("warning: {} rules loaded, {} not", self.loaded, self.failed.len());
        }
    }
}

//! The rules in use: read from the operator's paths or built in, compiled, and what is wrong with them.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use wanglou_detect::{Diagnostic, DiagnosticSeverity, Engine, FailedRule, compile, rules};

use crate::content;
use crate::scan::output::visible;

/// Failed rules that are named on standard error; the rest are counted.
const SHOWN: usize = 20;

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
        let (files, mut diagnostics) =
            if paths.is_empty() { (content::rules(), Vec::new()) } else { rules::read(paths) };
        let unread = diagnostics.iter().map(|diagnostic| FailedRule {
            file: diagnostic.file.clone(),
            rule_id: None,
            title: None,
            reason: diagnostic.message.clone(),
        });
        let mut failed: Vec<FailedRule> = unread.collect();
        let taxonomy = content::taxonomy().context("the built-in taxonomy is wrong")?;
        let compilation = compile(&files, &taxonomy);
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

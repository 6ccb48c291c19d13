//! Compiles Sigma rules and runs them over records, with an explanation for every verdict.
//!
//! The life of a rule: [`rules::read`] finds its text, [`compile`] parses it (with positions, so that a
//! [`Diagnostic`] can point at what is wrong), resolves its fields through the [`Taxonomy`] and joins it with all other
//! rules into one [`Engine`]. The engine tells which rules match a record; [`Engine::finding`] says why; the
//! [`Correlator`] counts such matches over time for correlation rules.
//!
//! The room knows records, events and findings, and nothing of files (but for `rules::read`), sockets or stores.
#![forbid(unsafe_code)]

mod correlate;
pub mod coverage;
mod diagnostic;
mod engine;
pub mod lint;
mod pipeline;
pub mod rules;
mod sigma;
pub mod suppress;
mod taxonomy;
mod text;
mod yaml;

#[doc(hidden)]
pub use correlate::seal;
pub use correlate::{Correlator, Limits, SnapshotError, Stats};
pub use diagnostic::{Diagnostic, DiagnosticSeverity, codes};
pub use engine::explain::{ConditionTrace, Explanation, FoundValue, ItemTrace, Logic, Routing};
pub use engine::{Compilation, Engine, FailedRule, RuleIndex, Scratch, compile, compile_with};
pub use pipeline::Processing;
pub use rules::RuleFile;
pub use taxonomy::{Taxonomy, TaxonomyError};

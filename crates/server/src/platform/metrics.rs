//! Counters for Prometheus.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use wanglou_ingest::source::{Counters, DropReason};
use wanglou_model::SourceId;

use super::correlation::Standing;
use crate::state::{Applied, BatchOutcome};

/// The label of counters by source.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BySource {
    source: String,
}

/// The labels of what a source dropped.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByReason {
    source: String,
    reason: &'static str,
}

/// The label of counters by severity.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BySeverity {
    severity: &'static str,
}

/// All counters of the platform.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    lines_stored: Family<BySource, Counter>,
    lines_rejected: Family<BySource, Counter>,
    events_stored: Family<BySource, Counter>,
    frames_dropped: Family<ByReason, Counter>,
    findings: Family<BySeverity, Counter>,
    in_flight: Gauge<u64, AtomicU64>,
    groups_evicted: Counter,
    hits_late: Counter,
    hits_hurried: Counter,
    hits_waiting: Gauge<u64, AtomicU64>,
    groups: Gauge<u64, AtomicU64>,
    groups_bytes: Gauge<u64, AtomicU64>,
    windows_lost: Counter,
    windows_save_failures: Counter,
    windows_saved_bytes: Gauge<u64, AtomicU64>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("wanglou"),
            lines_stored: Family::default(),
            lines_rejected: Family::default(),
            events_stored: Family::default(),
            frames_dropped: Family::default(),
            findings: Family::default(),
            in_flight: Gauge::default(),
            groups_evicted: Counter::default(),
            hits_late: Counter::default(),
            hits_hurried: Counter::default(),
            hits_waiting: Gauge::default(),
            groups: Gauge::default(),
            groups_bytes: Gauge::default(),
            windows_lost: Counter::default(),
            windows_save_failures: Counter::default(),
            windows_saved_bytes: Gauge::default(),
        };
        let registry = &mut metrics.registry;
        registry.register(
            "ingest_lines_stored",
            "Lines whose events are searchable",
            metrics.lines_stored.clone(),
        );
        registry.register(
            "ingest_lines_rejected",
            "Lines that could not be read",
            metrics.lines_rejected.clone(),
        );
        registry.register("events_stored", "Events that are searchable", metrics.events_stored.clone());
        registry.register(
            "ingest_frames_dropped",
            "Frames that a source could not take",
            metrics.frames_dropped.clone(),
        );
        registry.register("findings", "Findings made or added to", metrics.findings.clone());
        registry.register(
            "ingest_lines_in_flight",
            "Lines in the log that wait for detection",
            metrics.in_flight.clone(),
        );
        metrics.register_correlation();
        metrics
    }
}

impl Metrics {
    /// The pipeline is done with a batch.
    pub(crate) fn settled(&self, outcome: &BatchOutcome) {
        let label = BySource { source: outcome.source.as_str().to_owned() };
        let rejected = outcome.rejected.len() as u64;
        self.lines_stored.get_or_create(&label).inc_by(outcome.stored);
        self.lines_rejected.get_or_create(&label).inc_by(rejected);
        self.events_stored.get_or_create(&label).inc_by(outcome.events);
    }

    /// Brings the counters of a source up to what it has counted itself.
    pub(crate) fn dropped(&self, source: &SourceId, counters: &Counters) {
        for reason in DropReason::ALL {
            let label = ByReason { source: source.as_str().to_owned(), reason: reason.name() };
            self.frames_dropped
                .get_or_create(&label)
                .inner()
                .store(counters.dropped(reason), Ordering::Relaxed);
        }
    }

    /// How correlation rules stand.
    pub(crate) fn correlated(&self, standing: &Standing) {
        let Standing { counted, lost, saved_bytes, save_failures, .. } = standing;
        let counters = [
            (&self.groups_evicted, counted.stats.evicted),
            (&self.hits_late, counted.stats.late),
            (&self.hits_hurried, counted.stats.hurried),
            (&self.windows_lost, lost + counted.resets),
            (&self.windows_save_failures, *save_failures),
        ];
        for (counter, count) in counters {
            counter.inner().store(count, Ordering::Relaxed);
        }
        self.groups.set(counted.stats.groups);
        self.groups_bytes.set(counted.stats.bytes);
        self.hits_waiting.set(counted.stats.waiting);
        self.windows_saved_bytes.set(*saved_bytes);
    }

    fn register_correlation(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "correlation_groups_evicted",
            "Groups of correlation rules forgotten for want of room while their window was open",
            self.groups_evicted.clone(),
        );
        registry.register(
            "correlation_events_late",
            "Events that came too late to be counted by a correlation rule",
            self.hits_late.clone(),
        );
        registry.register(
            "correlation_groups",
            "Groups that correlation rules remember",
            self.groups.clone(),
        );
        registry.register(
            "correlation_groups_bytes",
            "What the groups of correlation rules take in memory, estimated",
            self.groups_bytes.clone(),
        );
        registry.register(
            "correlation_events_hurried",
            "Events that correlation rules counted before older ones could have come, for want of room",
            self.hits_hurried.clone(),
        );
        registry.register(
            "correlation_events_waiting",
            "Events that wait for older ones before correlation rules count them",
            self.hits_waiting.clone(),
        );
        registry.register(
            "correlation_windows_lost",
            "How often the windows of correlation rules began empty because their state could not be used",
            self.windows_lost.clone(),
        );
        registry.register(
            "correlation_save_failures",
            "How often the windows of correlation rules could not be saved",
            self.windows_save_failures.clone(),
        );
        registry.register(
            "correlation_saved_bytes",
            "Size of the last saved state of correlation rules",
            self.windows_saved_bytes.clone(),
        );
    }

    /// Findings were kept.
    pub(crate) fn found(&self, applied: &Applied) {
        for (finding, _) in &applied.findings {
            self.findings.get_or_create(&BySeverity { severity: finding.severity.level() }).inc();
        }
    }

    /// The text that Prometheus reads (OpenMetrics).
    ///
    /// # Errors
    /// Never in practice: writing to a string does not fail.
    pub(crate) fn encode(&self, in_flight: u64) -> Result<String, std::fmt::Error> {
        self.in_flight.set(in_flight);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

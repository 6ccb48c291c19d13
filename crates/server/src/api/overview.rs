//! `GET /api/v1/overview`: what a duty analyst sees first.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use wanglou_model::attack::TACTICS;

use super::App;
use super::events::{Histogram, TimeCount};
use super::extract::{Query, TimeRange};
use super::findings::by_severity;
use super::health::CorrelationHealth;
use super::incidents::{SeverityName, TacticInfo};
use super::problem::{Problem, ProblemDocument};
use super::sources::{self, SourceInfo};
use crate::platform::{self, OverviewError};
use crate::state::FindingSums;

/// The overview of a time range.
#[derive(Serialize, ToSchema)]
pub(crate) struct Overview {
    /// Events of the range.
    pub events: EventSummary,
    /// Findings of the range.
    pub findings: FindingSummary,
    /// Incidents open now.
    pub incidents: IncidentSummary,
    /// What most findings are about.
    pub top_entities: Vec<EntityCount>,
    /// The rules that found most.
    pub top_rules: Vec<RuleCount>,
    /// All sources.
    pub sources: Vec<SourceInfo>,
    /// How correlation rules stand now.
    pub correlation: CorrelationHealth,
}

/// Events of a range.
#[derive(Serialize, ToSchema)]
pub(crate) struct EventSummary {
    /// How many.
    pub total: u64,
    /// How many arrive a second now (mean of the last ten seconds).
    pub per_second: f64,
    /// Over time.
    pub histogram: Histogram,
}

/// Findings of a range.
#[derive(Serialize, ToSchema)]
pub(crate) struct FindingSummary {
    /// How many.
    pub total: u64,
    /// Every severity is there.
    pub by_severity: BTreeMap<String, u64>,
    /// Tactics that were seen, in the order of an attack.
    pub by_tactic: Vec<TacticCount>,
    /// Over time, by last event.
    pub histogram: Histogram,
}

/// How many findings speak of a tactic.
#[derive(Serialize, ToSchema)]
pub(crate) struct TacticCount {
    /// The tactic.
    pub tactic: TacticInfo,
    /// How many findings.
    pub findings: u64,
}

/// Open incidents.
#[derive(Serialize, ToSchema)]
pub(crate) struct IncidentSummary {
    /// How many are neither resolved nor closed.
    pub open: u64,
    /// Open ones; every severity is there.
    pub by_severity: BTreeMap<String, u64>,
}

/// How many findings are about a thing.
#[derive(Serialize, ToSchema)]
pub(crate) struct EntityCount {
    /// `host`, `user`, `address`, `hash`, `domain`, `file` or `process`.
    pub kind: String,
    /// Its canonical name.
    pub value: String,
    /// How many findings.
    pub findings: u64,
}

/// How many findings a rule made.
#[derive(Serialize, ToSchema)]
pub(crate) struct RuleCount {
    /// The rule's id.
    pub id: String,
    /// English title.
    pub title: String,
    /// Chinese title.
    pub title_zh: Option<String>,
    /// The rule's severity.
    pub severity: SeverityName,
    /// How many findings.
    pub findings: u64,
}

/// Which time.
#[derive(Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct OverviewRange {
    /// From, inclusive (RFC 3339); the day before `to` if not given.
    #[param(value_type = Option<String>, format = DateTime)]
    pub from: Option<String>,
    /// To, exclusive (RFC 3339); now if not given.
    #[param(value_type = Option<String>, format = DateTime)]
    pub to: Option<String>,
}

/// Sums up a time range.
#[utoipa::path(get, path = "/overview", tag = "overview", security(("session" = [])), params(OverviewRange), responses(
    (status = 200, body = Overview),
    (status = 400, body = ProblemDocument, content_type = "application/problem+json"),
))]
pub(crate) async fn overview(
    State(app): State<App>,
    Query(range): Query<OverviewRange>,
) -> Result<Json<Overview>, Problem> {
    let range = TimeRange::parse(range.from.as_deref(), range.to.as_deref())?;
    let sums = app.platform.overview(range.from, range.to).await?;
    let platform::Overview { events, bucket_nanos, findings, incidents } = sums;
    let events = Histogram::of_events(&events, bucket_nanos);
    let open_by_severity = by_severity(&incidents.open_by_severity);
    Ok(Json(Overview {
        events: EventSummary {
            total: events.buckets.iter().map(|bucket| bucket.count).sum(),
            per_second: app.platform.live.rate(),
            histogram: events,
        },
        incidents: IncidentSummary { open: open_by_severity.values().sum(), by_severity: open_by_severity },
        top_entities: findings
            .top_entities
            .iter()
            .map(|(kind, value, findings)| EntityCount {
                kind: kind.clone(),
                value: value.clone(),
                findings: *findings,
            })
            .collect(),
        top_rules: findings
            .top_rules
            .iter()
            .map(|(finding, findings)| RuleCount {
                id: finding.rule.id.clone(),
                title: finding.rule.title.clone(),
                title_zh: finding.rule.title_zh.clone(),
                severity: finding.rule.severity.into(),
                findings: *findings,
            })
            .collect(),
        findings: finding_summary(&findings, range, bucket_nanos),
        sources: sources::all(&app.platform).await?,
        correlation: app.platform.correlation.standing().into(),
    }))
}

fn finding_summary(sums: &FindingSums, range: TimeRange, bucket_nanos: i64) -> FindingSummary {
    let tactics = TACTICS.iter().filter_map(|tactic| {
        let findings = *sums.by_tactic.get(tactic.uid)?;
        let tactic = TacticInfo {
            uid: tactic.uid.to_owned(),
            name: tactic.name.to_owned(),
            name_zh: tactic.name_zh.to_owned(),
        };
        Some(TacticCount { tactic, findings })
    });
    let span = range.to.nanos().saturating_sub(range.from.nanos());
    let buckets = (0..=span.saturating_sub(1) / bucket_nanos)
        .map(|bucket| TimeCount {
            time: range.from.plus_nanos(bucket * bucket_nanos),
            count: sums.histogram.get(&bucket).copied().unwrap_or_default(),
        })
        .collect();
    FindingSummary {
        total: sums.total,
        by_severity: by_severity(&sums.by_severity),
        by_tactic: tactics.collect(),
        histogram: Histogram {
            bucket_ms: u64::try_from(bucket_nanos / 1_000_000).unwrap_or_default(),
            buckets,
        },
    }
}

impl From<OverviewError> for Problem {
    fn from(error: OverviewError) -> Self {
        match error {
            OverviewError::State(error) => Self::internal(&error),
            OverviewError::Lake(error) => error.into(),
        }
    }
}

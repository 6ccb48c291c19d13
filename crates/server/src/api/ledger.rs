//! The loss ledger: what was received, and what became of it, by source and hour; and what people should look at.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use wanglou_model::{SourceId, Timestamp};

use super::App;
use super::extract::Query;
use super::problem::{Problem, ProblemDocument};
use crate::platform::habits::Warning;
use crate::platform::ledger::HOURS_IN_HAND;
use crate::state::{HOUR_NANOS, HourRow, Sums};

/// Hours that are answered where it is not said otherwise.
const DEFAULT_HOURS: i64 = 24;

/// The loss ledger: for every source, received = stored + rejected + in flight, and evaluated = stored.
#[derive(Serialize, ToSchema)]
pub(crate) struct Ledger {
    /// By source, of all times.
    pub sources: Vec<LedgerLine>,
    /// True while the disk is too full to take anything in: senders are held back until there is room again.
    pub disk_full: bool,
}

/// The loss ledger by hour.
#[derive(Serialize, ToSchema)]
pub(crate) struct LedgerHours {
    /// Oldest first, then by source. Hours in which nothing came are left out.
    pub hours: Vec<LedgerHour>,
}

/// One hour of one source.
#[derive(Serialize, ToSchema)]
pub(crate) struct LedgerHour {
    /// When it began; lines belong to the hour in which they arrived.
    #[schema(value_type = String, format = DateTime)]
    pub hour: Timestamp,
    /// Its sums.
    #[serde(flatten)]
    pub line: LedgerLine,
}

/// One source's sums, in lines.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct LedgerLine {
    /// The source.
    pub source: String,
    /// Lines taken from the sender.
    pub received: u64,
    /// Lines whose events are searchable, or that are understood and give none (headers).
    pub stored: u64,
    /// Lines that could not be read; they are dead letters.
    pub rejected: u64,
    /// Lines that went through detection.
    pub evaluated: u64,
    /// Lines in the log that are not stored yet.
    pub in_flight: u64,
    /// Events made of the stored lines (a line may hold several, several lines may make one).
    pub events: u64,
    /// Events that arrived more than an hour after they happened; part of `events`.
    pub late: u64,
    /// Lines that were sent again under a known `Idempotency-Key`; not part of `received`.
    pub duplicates: u64,
    /// Frames that the source could not take (too long, kernel buffer full): not part of `received`.
    pub dropped: u64,
    /// Received less stored, rejected and in flight. Other than zero, it is a bug: report it.
    pub unaccounted: i64,
    /// Stored less evaluated. Other than zero, it is a bug: report it.
    pub unevaluated: i64,
    /// Whether both are zero.
    pub balanced: bool,
    /// Why lines were rejected and frames dropped.
    pub reasons: Vec<LedgerReason>,
    /// What people should look at. Only in the sums of all times.
    pub warnings: Vec<SourceWarning>,
}

/// Why lines were refused.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct LedgerReason {
    /// `rejected` (a dead letter) or `dropped` (never received).
    pub stage: String,
    /// Such as `unrecognised`, `malformed`, `too_large`; `kernel_buffer`, `too_long`, `truncated`.
    pub kind: String,
    /// How many.
    pub count: u64,
}

/// What people should look at.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct SourceWarning {
    /// `silent` (nothing has come for longer than this source was ever quiet) or `field_empty` (a field that its events
    /// used to have is not found any more).
    pub kind: String,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// Of a silent source: the longest pause it used to make, in seconds.
    pub usual_pause_s: Option<f64>,
    /// Of an empty field: its OCSF path; `class_uid` when events are not understood at all any more.
    pub field: Option<String>,
    /// Of an empty field: in which events, as `product/class_uid`; nothing for all of the source.
    pub events: Option<String>,
    /// Of an empty field: the share of events that used to have it.
    pub usual_share: Option<f64>,
    /// Of an empty field: the share of events that have it now.
    pub share: Option<f64>,
}

impl From<Warning> for SourceWarning {
    fn from(warning: Warning) -> Self {
        let silent = Self {
            kind: "silent".to_owned(),
            since: Timestamp::from_nanos(0),
            usual_pause_s: None,
            field: None,
            events: None,
            usual_share: None,
            share: None,
        };
        match warning {
            Warning::Silent { since, usual_pause_s } => {
                Self { since, usual_pause_s: Some(usual_pause_s), ..silent }
            }
            Warning::FieldEmpty { since, kind, field, usual_share, share } => Self {
                kind: "field_empty".to_owned(),
                since,
                field: Some(field),
                events: Some(kind).filter(|kind| !kind.is_empty()),
                usual_share: Some(usual_share),
                share: Some(share),
                ..silent
            },
        }
    }
}

impl LedgerLine {
    /// A source's sums as they are shown.
    pub(crate) fn new(source: &SourceId, sums: &Sums, warnings: Vec<Warning>) -> Self {
        let reason = |(reason, count): (&crate::state::Reason, &u64)| LedgerReason {
            stage: reason.stage.name().to_owned(),
            kind: reason.kind.clone(),
            count: *count,
        };
        Self {
            source: source.as_str().to_owned(),
            received: sums.received,
            stored: sums.stored,
            rejected: sums.rejected,
            evaluated: sums.evaluated,
            in_flight: sums.in_flight,
            events: sums.events,
            late: sums.late,
            duplicates: sums.duplicates,
            dropped: sums.dropped,
            unaccounted: sums.unaccounted(),
            unevaluated: sums.unevaluated(),
            balanced: sums.is_balanced(),
            reasons: sums.reasons.iter().map(reason).collect(),
            warnings: warnings.into_iter().map(SourceWarning::from).collect(),
        }
    }
}

/// Which hours.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct HoursFilter {
    /// Only of this source.
    pub source: Option<String>,
    /// How many hours back, this one included: 1 to 168, 24 if not given. `wanglou ledger` shows older ones.
    pub hours: Option<u32>,
}

/// Shows the loss ledger.
#[utoipa::path(get, path = "/ledger", tag = "sources", security(("session" = [])), responses((status = 200, body = Ledger)))]
pub(crate) async fn ledger(State(app): State<App>) -> axum::Json<Ledger> {
    let mut warnings = app.platform.ledger.warnings(Timestamp::now());
    let sums = app.platform.ledger.all();
    let line = |(source, sums): (SourceId, Sums)| {
        LedgerLine::new(&source, &sums, warnings.remove(&source).unwrap_or_default())
    };
    let sources = sums.into_iter().map(line).collect();
    axum::Json(Ledger { sources, disk_full: app.platform.storage.is_full() })
}

/// Shows the loss ledger by hour.
#[utoipa::path(get, path = "/ledger/hours", tag = "sources", security(("session" = [])), params(HoursFilter), responses(
    (status = 200, body = LedgerHours),
    (status = 400, body = ProblemDocument, content_type = "application/problem+json", description = "The filter makes no sense"),
))]
pub(crate) async fn ledger_hours(
    State(app): State<App>,
    Query(filter): Query<HoursFilter>,
) -> Result<axum::Json<LedgerHours>, Problem> {
    let hours = filter.hours.map_or(DEFAULT_HOURS, i64::from);
    if !(1..=HOURS_IN_HAND).contains(&hours) {
        return Err(Problem::invalid(
            format!("`hours` is 1 to {HOURS_IN_HAND}; `wanglou ledger` shows older hours"),
            format!("hours 须为 1 至 {HOURS_IN_HAND}；更早的账目请使用 wanglou ledger 命令查看"),
        ));
    }
    let since = Timestamp::now().plus_nanos(-(hours - 1) * HOUR_NANOS);
    let source = filter.source.as_deref().map(SourceId::new);
    let rows = app.platform.ledger.hours(source.as_ref(), since);
    let hour = |row: HourRow| LedgerHour {
        hour: row.hour,
        line: LedgerLine::new(&row.source, &row.sums, Vec::new()),
    };
    Ok(axum::Json(LedgerHours { hours: rows.into_iter().map(hour).collect() }))
}

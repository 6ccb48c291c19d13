//! The rules in use: what they are, how they do, and reading them again.

use std::collections::HashMap;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use wanglou_detect::{Diagnostic, FailedRule};
use wanglou_model::{RuleInfo, RuleKind, Timestamp};

use super::App;
use super::guard::{Caller, Origin};
use super::problem::Problem;
use crate::state::Act;

/// Over how long findings are counted: 30 days.
const COUNTED_NANOS: i64 = 30 * 86_400 * 1_000_000_000;

/// The rules in use.
#[derive(Serialize, ToSchema)]
pub(crate) struct RuleList {
    /// Those that load.
    pub rules: Vec<RuleEntry>,
    /// Those that do not, and why.
    pub failed: Vec<FailedEntry>,
    /// What is wrong, in order of files and lines.
    pub diagnostics: Vec<DiagnosticEntry>,
    /// What came of the last time the rules were read.
    pub reloaded: ReloadEntry,
}

/// A rule.
#[derive(Serialize, ToSchema)]
pub(crate) struct RuleEntry {
    /// Its id.
    pub id: String,
    /// `sigma` or `correlation`.
    pub kind: String,
    /// English title.
    pub title: String,
    /// Chinese title, if it has one.
    pub title_zh: Option<String>,
    /// `informational` to `critical`.
    pub level: String,
    /// Sigma status.
    pub status: String,
    /// What telemetry it speaks of.
    pub logsource: String,
    /// ATT&CK techniques and tactics by id.
    pub attack: Vec<String>,
    /// The file it was read from.
    pub file: String,
    /// `active`, or `silent`: it only feeds correlations.
    pub state: String,
    /// Titles of the filters that restrict it.
    pub filters: Vec<String>,
    /// Findings of the last 30 days.
    pub findings: u64,
    /// When it last found something, within the last 30 days.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_hit: Option<Timestamp>,
}

/// A rule that does not load.
#[derive(Serialize, ToSchema)]
pub(crate) struct FailedEntry {
    /// The file it stands in.
    pub file: String,
    /// Its id, if it has one.
    pub id: Option<String>,
    /// Its title, if it has one.
    pub title: Option<String>,
    /// Why.
    pub reason: String,
}

/// Something that is wrong with a rule file.
#[derive(Serialize, ToSchema)]
pub(crate) struct DiagnosticEntry {
    /// Such as `E015`; `wanglou rules check --explain E015` says what it means.
    pub code: String,
    /// `error` or `warning`.
    pub severity: String,
    /// The file.
    pub file: String,
    /// 1-based line; 0 for the file as a whole.
    pub line: u32,
    /// 1-based column in characters.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

/// What came of reading the rules.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReloadEntry {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// `start`, `SIGHUP`, `api` or `files`.
    pub trigger: String,
    /// Whether the rules that were read are in use.
    pub in_use: bool,
    /// Why not, when the ones before still are.
    pub refused: Option<String>,
    /// How many rules are in use.
    pub loaded: usize,
    /// How many of the rules in use's files are not.
    pub failed: usize,
}

/// Lists the rules with what they found in the last 30 days.
#[utoipa::path(get, path = "/rules", tag = "rules", security(("session" = [])), responses(
    (status = 200, body = RuleList),
))]
pub(crate) async fn list_rules(State(app): State<App>) -> Result<axum::Json<RuleList>, Problem> {
    let since = Timestamp::now().plus_nanos(-COUNTED_NANOS);
    let counted =
        app.platform.state.findings_by_rule(since).await.map_err(|error| Problem::internal(&error))?;
    let counted: HashMap<String, (u64, Timestamp)> =
        counted.into_iter().map(|(rule, count, last)| (rule, (count, last))).collect();
    let rulebook = app.platform.rules.current();
    let engine = &rulebook.engine;
    let rules = engine
        .rules()
        .map(|(index, rule)| entry(rule, engine.is_silent(index), counted.get(&rule.id).copied()))
        .collect();
    Ok(axum::Json(RuleList {
        rules,
        failed: rulebook.failed.iter().map(FailedEntry::from).collect(),
        diagnostics: rulebook.diagnostics.iter().map(DiagnosticEntry::from).collect(),
        reloaded: reload_entry(&app),
    }))
}

/// Reads the rules again. The new ones are in use from the next batch on, unless nothing of them loads.
#[utoipa::path(post, path = "/rules/reload", tag = "rules", security(("session" = [])), responses(
    (status = 200, body = ReloadEntry),
))]
pub(crate) async fn reload_rules(
    State(app): State<App>,
    Origin(origin): Origin,
    caller: Caller,
) -> Result<axum::Json<ReloadEntry>, Problem> {
    let reloaded = app.platform.rules.reload("api").await;
    let origin = origin.to_string();
    let act = Act {
        who: &caller.user.name,
        origin: &origin,
        act: "rules.reload",
        object: "rules",
        outcome: reloaded.refused.as_deref().unwrap_or("ok"),
    };
    app.platform.state.audit(act, Timestamp::now()).await.map_err(|error| Problem::internal(&error))?;
    Ok(axum::Json(reload_entry(&app)))
}

fn entry(rule: &RuleInfo, is_silent: bool, counted: Option<(u64, Timestamp)>) -> RuleEntry {
    let attacks = rule.attacks().entries.into_iter();
    let mut attack: Vec<String> = attacks
        .filter_map(|(tactic, technique)| technique.or_else(|| Some(tactic?.uid.to_owned())))
        .collect();
    attack.dedup();
    let kind = match rule.kind {
        RuleKind::Sigma => "sigma",
        RuleKind::Correlation => "correlation",
    };
    RuleEntry {
        id: rule.id.clone(),
        kind: kind.to_owned(),
        title: rule.title.clone(),
        title_zh: rule.title_zh.clone(),
        level: rule.severity.level().to_owned(),
        status: rule.status.clone(),
        logsource: rule.logsource.clone(),
        attack,
        file: rule.file.clone(),
        state: if is_silent { "silent" } else { "active" }.to_owned(),
        filters: rule.filters.clone(),
        findings: counted.map_or(0, |(count, _)| count),
        last_hit: counted.map(|(_, last)| last),
    }
}

fn reload_entry(app: &App) -> ReloadEntry {
    let rulebook = app.platform.rules.current();
    let last = app.platform.rules.last();
    ReloadEntry {
        at: last.at,
        trigger: last.trigger.to_owned(),
        in_use: last.refused.is_none(),
        refused: last.refused,
        loaded: rulebook.loaded,
        failed: rulebook.failed.len(),
    }
}

impl From<&FailedRule> for FailedEntry {
    fn from(rule: &FailedRule) -> Self {
        let FailedRule { file, rule_id, title, reason } = rule.clone();
        Self { file, id: rule_id, title, reason }
    }
}

impl From<&Diagnostic> for DiagnosticEntry {
    fn from(diagnostic: &Diagnostic) -> Self {
        let severity = match diagnostic.severity {
            wanglou_detect::DiagnosticSeverity::Error => "error",
            wanglou_detect::DiagnosticSeverity::Warning => "warning",
        };
        Self {
            code: diagnostic.code.to_owned(),
            severity: severity.to_owned(),
            file: diagnostic.file.clone(),
            line: diagnostic.line,
            column: diagnostic.column,
            message: diagnostic.message.clone(),
            remedy: diagnostic.remedy.clone(),
        }
    }
}

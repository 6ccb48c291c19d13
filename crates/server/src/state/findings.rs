//! Questions about findings.

use std::collections::BTreeMap;

use sea_orm::sea_query::{Expr, IntoCondition};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
};
use wanglou_model::{Finding, FindingUid, Severity, Timestamp};

use super::entity::{finding, finding_entity, finding_tactic};
use super::{State, StateError, from_sql};

/// A finding with the incident it belongs to.
#[derive(Clone, Debug)]
pub(crate) struct FindingRow {
    pub finding: Finding,
    pub incident: String,
}

/// Which findings. Empty means all.
#[derive(Clone, Debug, Default)]
pub(crate) struct FindingQuery {
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub severities: Vec<Severity>,
    pub rule: Option<String>,
    pub incident: Option<String>,
    /// Kind and value.
    pub entity: Option<(String, String)>,
    /// Where the page before ended: last seen and id.
    pub after: Option<(Timestamp, String)>,
    pub limit: u64,
}

/// Sums over the findings of a time range.
#[derive(Clone, Debug, Default)]
pub(crate) struct FindingSums {
    pub total: u64,
    pub by_severity: BTreeMap<u8, u64>,
    /// By tactic id (`TA0002`).
    pub by_tactic: BTreeMap<String, u64>,
    /// Bucket number and count.
    pub histogram: BTreeMap<i64, u64>,
    /// Kind, value, findings; most findings first.
    pub top_entities: Vec<(String, String, u64)>,
    /// Any one finding of the rule, and how many there are; most first.
    pub top_rules: Vec<(Finding, u64)>,
}

impl State {
    /// Findings, last seen first.
    pub(crate) async fn findings(&self, query: &FindingQuery) -> Result<Vec<FindingRow>, StateError> {
        let rows = finding::Entity::find()
            .filter(condition(query))
            .order_by_desc(finding::Column::LastSeen)
            .order_by_desc(finding::Column::Uid)
            .limit(query.limit)
            .all(&self.db)
            .await?;
        rows.into_iter().map(row).collect()
    }

    /// One finding.
    pub(crate) async fn finding(&self, uid: FindingUid) -> Result<Option<FindingRow>, StateError> {
        finding::Entity::find_by_id(uid.to_string()).one(&self.db).await?.map(row).transpose()
    }

    /// Sums over the findings last seen in a range, with the `top` most frequent things and rules.
    pub(crate) async fn finding_sums(
        &self,
        from: Timestamp,
        to: Timestamp,
        bucket_nanos: i64,
        top: u64,
    ) -> Result<FindingSums, StateError> {
        let within = || {
            Condition::all()
                .add(finding::Column::LastSeen.gte(from.nanos()))
                .add(finding::Column::LastSeen.lt(to.nanos()))
        };
        let count = || Expr::col(finding::Column::Uid).count();
        let by_severity: Vec<(i16, i64)> = finding::Entity::find()
            .select_only()
            .column(finding::Column::Severity)
            .column_as(count(), "findings")
            .filter(within())
            .group_by(finding::Column::Severity)
            .into_tuple()
            .all(&self.db)
            .await?;
        let bucket = Expr::col(finding::Column::LastSeen).sub(from.nanos()).div(Ord::max(bucket_nanos, 1));
        let histogram: Vec<(i64, i64)> = finding::Entity::find()
            .select_only()
            .column_as(bucket.clone(), "bucket")
            .column_as(count(), "findings")
            .filter(within())
            .group_by(bucket)
            .into_tuple()
            .all(&self.db)
            .await?;
        let by_severity: BTreeMap<u8, u64> = by_severity
            .into_iter()
            .map(|(id, count)| (u8::try_from(id).unwrap_or_default(), from_sql(count)))
            .collect();
        Ok(FindingSums {
            total: by_severity.values().sum(),
            by_severity,
            by_tactic: self.tactic_sums(from, to).await?,
            histogram: histogram.into_iter().map(|(bucket, count)| (bucket, from_sql(count))).collect(),
            top_entities: self.top_entities(from, to, top).await?,
            top_rules: self.top_rules(within(), top).await?,
        })
    }

    async fn tactic_sums(&self, from: Timestamp, to: Timestamp) -> Result<BTreeMap<String, u64>, StateError> {
        let rows: Vec<(String, i64)> = finding_tactic::Entity::find()
            .select_only()
            .column(finding_tactic::Column::Tactic)
            .column_as(Expr::col(finding_tactic::Column::FindingUid).count(), "findings")
            .filter(finding_tactic::Column::LastSeen.gte(from.nanos()))
            .filter(finding_tactic::Column::LastSeen.lt(to.nanos()))
            .group_by(finding_tactic::Column::Tactic)
            .into_tuple()
            .all(&self.db)
            .await?;
        Ok(rows.into_iter().map(|(tactic, count)| (tactic, from_sql(count))).collect())
    }

    async fn top_entities(
        &self,
        from: Timestamp,
        to: Timestamp,
        top: u64,
    ) -> Result<Vec<(String, String, u64)>, StateError> {
        let count = Expr::col(finding_entity::Column::FindingUid).count();
        let rows: Vec<(String, String, i64)> = finding_entity::Entity::find()
            .select_only()
            .column(finding_entity::Column::Kind)
            .column(finding_entity::Column::Value)
            .column_as(count.clone(), "findings")
            .filter(finding_entity::Column::LastSeen.gte(from.nanos()))
            .filter(finding_entity::Column::LastSeen.lt(to.nanos()))
            .group_by(finding_entity::Column::Kind)
            .group_by(finding_entity::Column::Value)
            .order_by_desc(count)
            .order_by_asc(finding_entity::Column::Value)
            .limit(top)
            .into_tuple()
            .all(&self.db)
            .await?;
        Ok(rows.into_iter().map(|(kind, value, count)| (kind, value, from_sql(count))).collect())
    }

    async fn top_rules(&self, within: Condition, top: u64) -> Result<Vec<(Finding, u64)>, StateError> {
        let count = Expr::col(finding::Column::Uid).count();
        let rows: Vec<(String, i64, String)> = finding::Entity::find()
            .select_only()
            .column(finding::Column::RuleId)
            .column_as(count.clone(), "findings")
            .column_as(Expr::col(finding::Column::Body).max(), "body")
            .filter(within)
            .group_by(finding::Column::RuleId)
            .order_by_desc(count)
            .order_by_asc(finding::Column::RuleId)
            .limit(top)
            .into_tuple()
            .all(&self.db)
            .await?;
        rows.into_iter().map(|(_, count, body)| Ok((parse(&body)?, from_sql(count)))).collect()
    }
}

fn condition(query: &FindingQuery) -> Condition {
    use finding::Column;
    let entity = query.entity.as_ref().map(|(kind, value)| {
        let holders = finding_entity::Entity::find()
            .select_only()
            .column(finding_entity::Column::FindingUid)
            .filter(finding_entity::Column::Kind.eq(kind))
            .filter(finding_entity::Column::Value.eq(value))
            .into_query();
        Column::Uid.in_subquery(holders)
    });
    let severities = (!query.severities.is_empty())
        .then(|| Column::Severity.is_in(query.severities.iter().map(|severity| i16::from(severity.id()))));
    let after = query.after.as_ref().map(|(seen, uid)| {
        Condition::any()
            .add(Column::LastSeen.lt(seen.nanos()))
            .add(Condition::all().add(Column::LastSeen.eq(seen.nanos())).add(Column::Uid.lt(uid.as_str())))
    });
    Condition::all()
        .add_option(query.from.map(|from| Column::LastSeen.gte(from.nanos())))
        .add_option(query.to.map(|to| Column::LastSeen.lt(to.nanos())))
        .add_option(query.rule.as_ref().map(|rule| Column::RuleId.eq(rule)))
        .add_option(query.incident.as_ref().map(|incident| Column::IncidentId.eq(incident)))
        .add_option(entity.map(IntoCondition::into_condition))
        .add_option(severities)
        .add_option(after)
}

fn row(row: finding::Model) -> Result<FindingRow, StateError> {
    Ok(FindingRow { finding: parse(&row.body)?, incident: row.incident_id })
}

/// The finding in a row's body.
pub(super) fn parse(body: &str) -> Result<Finding, StateError> {
    serde_json::from_str(body).map_err(|source| StateError::Row { table: "findings", source })
}

//! Suppressions, and the findings that they hide: kept as long as the suppression itself, at most [`MAX_HIDDEN`] each.

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect,
};
use wanglou_detect::suppress::Suppression;
use wanglou_model::{Finding, Timestamp};

use super::entity::{finding, suppressed_finding, suppression};
use super::findings::parse;
use super::{State, StateError, from_sql, instant};

/// Hidden findings that one suppression keeps; the others are counted.
const MAX_HIDDEN: u64 = 10_000;

/// A suppression and its history.
#[derive(Clone, Debug)]
pub(crate) struct SuppressionRow {
    pub suppression: Suppression,
    pub created: Timestamp,
    pub created_by: String,
    pub revoked: Option<Timestamp>,
    pub revoked_by: Option<String>,
    /// Findings that it has hidden.
    pub hidden: u64,
    pub last_hidden: Option<Timestamp>,
}

/// Which findings a suppression is tried on.
#[derive(Clone, Debug)]
pub(crate) struct SuppressedQuery {
    pub rule: Option<String>,
    pub from: Timestamp,
    pub limit: u64,
}

/// Notes in the batch's transaction that a finding is hidden.
pub(super) async fn hide(
    db: &impl ConnectionTrait,
    finding: &Finding,
    now: Timestamp,
) -> Result<(), StateError> {
    let Some(by) = finding.suppressions.iter().find(|considered| considered.hides) else { return Ok(()) };
    let kept = suppressed_finding::Entity::find()
        .filter(suppressed_finding::Column::SuppressionId.eq(&by.id))
        .count(db)
        .await?;
    let mut is_new = true;
    if kept < MAX_HIDDEN {
        let body = serde_json::to_string(finding)
            .map_err(|source| StateError::Row { table: "suppressed_findings", source })?;
        let row = suppressed_finding::ActiveModel {
            uid: Set(finding.uid.to_string()),
            suppression_id: Set(by.id.clone()),
            last_seen: Set(finding.last_seen.nanos()),
            body: Set(body),
        };
        let again = OnConflict::column(suppressed_finding::Column::Uid).do_nothing().to_owned();
        is_new =
            suppressed_finding::Entity::insert(row).on_conflict(again).exec_without_returning(db).await? == 1;
    }
    if is_new {
        use suppression::Column;
        suppression::Entity::update_many()
            .col_expr(Column::Hidden, Expr::col(Column::Hidden).add(1))
            .col_expr(Column::LastHiddenAt, Expr::value(now.nanos()))
            .filter(Column::Id.eq(&by.id))
            .exec(db)
            .await?;
    }
    Ok(())
}

impl State {
    /// Adds a suppression.
    pub(crate) async fn add_suppression(
        &self,
        added: &Suppression,
        who: &str,
        now: Timestamp,
    ) -> Result<(), StateError> {
        let body = serde_json::to_string(added)
            .map_err(|source| StateError::Row { table: "suppressions", source })?;
        suppression::ActiveModel {
            id: Set(added.id.clone()),
            created_at: Set(now.nanos()),
            created_by: Set(who.to_owned()),
            revoked_at: Set(None),
            revoked_by: Set(None),
            hidden: Set(0),
            last_hidden_at: Set(None),
            body: Set(body),
        }
        .insert(&self.db)
        .await?;
        Ok(())
    }

    /// Takes a suppression back; false when there is none in force.
    pub(crate) async fn revoke_suppression(
        &self,
        id: &str,
        who: &str,
        now: Timestamp,
    ) -> Result<bool, StateError> {
        use suppression::Column;
        let revoked = suppression::Entity::update_many()
            .col_expr(Column::RevokedAt, Expr::value(now.nanos()))
            .col_expr(Column::RevokedBy, Expr::value(who))
            .filter(Column::Id.eq(id))
            .filter(Column::RevokedAt.is_null())
            .exec(&self.db)
            .await?;
        Ok(revoked.rows_affected == 1)
    }

    /// All suppressions, newest first, revoked and expired ones too.
    pub(crate) async fn suppressions(&self) -> Result<Vec<SuppressionRow>, StateError> {
        let rows =
            suppression::Entity::find().order_by_desc(suppression::Column::CreatedAt).all(&self.db).await?;
        rows.into_iter().map(row).collect()
    }

    /// The findings that a suppression has hidden, newest first.
    pub(crate) async fn hidden_by(&self, id: &str, limit: u64) -> Result<Vec<Finding>, StateError> {
        let rows = suppressed_finding::Entity::find()
            .filter(suppressed_finding::Column::SuppressionId.eq(id))
            .order_by_desc(suppressed_finding::Column::LastSeen)
            .limit(limit)
            .all(&self.db)
            .await?;
        rows.into_iter().map(|row| parse(&row.body)).collect()
    }

    /// The newest findings of a rule or of all.
    pub(crate) async fn findings_to_try(&self, query: &SuppressedQuery) -> Result<Vec<Finding>, StateError> {
        let mut select = finding::Entity::find().filter(finding::Column::LastSeen.gte(query.from.nanos()));
        if let Some(rule) = &query.rule {
            select = select.filter(finding::Column::RuleId.eq(rule));
        }
        let rows = select.order_by_desc(finding::Column::LastSeen).limit(query.limit).all(&self.db).await?;
        rows.into_iter().map(|row| parse(&row.body)).collect()
    }

    /// By rule: how many findings since an instant, and when the last was seen.
    pub(crate) async fn findings_by_rule(
        &self,
        from: Timestamp,
    ) -> Result<Vec<(String, u64, Timestamp)>, StateError> {
        use finding::Column;
        let rows: Vec<(String, i64, i64)> = finding::Entity::find()
            .select_only()
            .column(Column::RuleId)
            .column_as(Expr::col(Column::Uid).count(), "findings")
            .column_as(Expr::col(Column::LastSeen).max(), "last")
            .filter(Column::LastSeen.gte(from.nanos()))
            .group_by(Column::RuleId)
            .into_tuple()
            .all(&self.db)
            .await?;
        Ok(rows.into_iter().map(|(rule, count, last)| (rule, from_sql(count), instant(last))).collect())
    }
}

fn row(row: suppression::Model) -> Result<SuppressionRow, StateError> {
    let suppression = serde_json::from_str(&row.body)
        .map_err(|source| StateError::Row { table: "suppressions", source })?;
    Ok(SuppressionRow {
        suppression,
        created: instant(row.created_at),
        created_by: row.created_by,
        revoked: row.revoked_at.map(instant),
        revoked_by: row.revoked_by,
        hidden: from_sql(row.hidden),
        last_hidden: row.last_hidden_at.map(instant),
    })
}

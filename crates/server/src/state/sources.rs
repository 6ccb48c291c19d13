//! Sources, their sums of the loss ledger, and dead letters.

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use wanglou_model::{SourceId, Timestamp};

use super::entity::{dead_letter, source};
use super::{Secret, State, StateError, from_sql, instant};

/// A source with its sums.
#[derive(Clone, Debug)]
pub(crate) struct SourceRow {
    pub name: SourceId,
    pub kind: String,
    pub created: Timestamp,
    pub last_seen: Option<Timestamp>,
    pub received: u64,
    pub stored: u64,
    pub rejected: u64,
    pub evaluated: u64,
    pub events: u64,
    pub duplicates: u64,
}

impl From<source::Model> for SourceRow {
    fn from(row: source::Model) -> Self {
        Self {
            name: SourceId::new(&row.name),
            kind: row.kind,
            created: instant(row.created_at),
            last_seen: row.last_seen_at.map(instant),
            received: from_sql(row.received),
            stored: from_sql(row.stored),
            rejected: from_sql(row.rejected),
            evaluated: from_sql(row.evaluated),
            events: from_sql(row.events),
            duplicates: from_sql(row.duplicates),
        }
    }
}

/// A line that could not be read.
#[derive(Clone, Debug)]
pub(crate) struct DeadLetterRow {
    pub source: String,
    pub arrived: Timestamp,
    pub reason: String,
    pub frame: Vec<u8>,
    pub bytes: u64,
}

impl State {
    /// Creates a source, or gives a withdrawn HTTP source a new token; false when the name is taken.
    pub(crate) async fn create_source(
        &self,
        name: &SourceId,
        kind: &str,
        token: Option<&Secret>,
        now: Timestamp,
    ) -> Result<bool, StateError> {
        let transaction = self.begin().await?;
        let held = source::Entity::find_by_id(name.as_str()).one(&transaction).await?;
        let is_free = held.as_ref().is_none_or(|held| held.kind == kind && held.token_hash.is_none());
        if !is_free {
            transaction.rollback().await?;
            return Ok(false);
        }
        let row = source::ActiveModel {
            name: Set(name.as_str().to_owned()),
            kind: Set(kind.to_owned()),
            token_hash: Set(token.map(Secret::hash)),
            created_at: Set(now.nanos()),
            last_seen_at: Set(None),
            received: Set(0),
            stored: Set(0),
            rejected: Set(0),
            evaluated: Set(0),
            events: Set(0),
            duplicates: Set(0),
        };
        let again =
            OnConflict::column(source::Column::Name).update_column(source::Column::TokenHash).to_owned();
        source::Entity::insert(row).on_conflict(again).exec_without_returning(&transaction).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Withdraws a source's token; false when there is none to withdraw.
    pub(crate) async fn withdraw_source(&self, name: &str) -> Result<bool, StateError> {
        let withdrawn = source::Entity::update_many()
            .col_expr(source::Column::TokenHash, Expr::value(Option::<String>::None))
            .filter(source::Column::Name.eq(name))
            .filter(source::Column::TokenHash.is_not_null())
            .exec(&self.db)
            .await?;
        Ok(withdrawn.rows_affected == 1)
    }

    /// The source that this token belongs to.
    pub(crate) async fn source_of(&self, token: &Secret) -> Result<Option<SourceId>, StateError> {
        let row =
            source::Entity::find().filter(source::Column::TokenHash.eq(token.hash())).one(&self.db).await?;
        Ok(row.map(|row| SourceId::new(&row.name)))
    }

    /// All sources by name.
    pub(crate) async fn sources(&self) -> Result<Vec<SourceRow>, StateError> {
        let rows = source::Entity::find().order_by_asc(source::Column::Name).all(&self.db).await?;
        Ok(rows.into_iter().map(SourceRow::from).collect())
    }

    /// The newest dead letters, and how many lines were ever rejected.
    pub(crate) async fn dead_letters(
        &self,
        source: Option<&str>,
        limit: u64,
    ) -> Result<(Vec<DeadLetterRow>, u64), StateError> {
        let mut letters = dead_letter::Entity::find();
        let mut rejected = source::Entity::find();
        if let Some(name) = source {
            letters = letters.filter(dead_letter::Column::Source.eq(name));
            rejected = rejected.filter(source::Column::Name.eq(name));
        }
        let rows = letters.order_by_desc(dead_letter::Column::Id).limit(limit).all(&self.db).await?;
        let total = rejected.all(&self.db).await?.iter().map(|row| from_sql(row.rejected)).sum();
        let rows = rows
            .into_iter()
            .map(|row| DeadLetterRow {
                source: row.source,
                arrived: instant(row.arrived_at),
                reason: row.reason,
                frame: row.frame,
                bytes: from_sql(row.bytes),
            })
            .collect();
        Ok((rows, total))
    }
}

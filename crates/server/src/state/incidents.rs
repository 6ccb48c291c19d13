//! Questions about incidents, and what people change in them.

use std::collections::BTreeMap;

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait,
};
use wanglou_cases::{Incident, NoteError, State as Stage, TransitionError};
use wanglou_model::{IncidentId, Severity, Timestamp};

use super::entity::{incident, incident_key};
use super::{State, StateError, from_sql};

/// Incidents that a finding is compared with. Grouping sees a hub in far fewer.
const MAX_CANDIDATES: u64 = 64;

/// Which incidents. Empty means all.
#[derive(Clone, Debug, Default)]
pub(crate) struct IncidentQuery {
    pub stages: Vec<Stage>,
    pub severities: Vec<Severity>,
    /// Where the page before ended: last update and id.
    pub after: Option<(Timestamp, String)>,
    pub limit: u64,
}

/// How many incidents there are.
#[derive(Clone, Debug, Default)]
pub(crate) struct IncidentSums {
    /// By OCSF `status_id`.
    pub by_stage: BTreeMap<u8, u64>,
    /// Open ones by severity id.
    pub open_by_severity: BTreeMap<u8, u64>,
}

/// What a person does with an incident.
#[derive(Clone, Debug)]
pub(crate) enum IncidentChange {
    /// Moves it to another state, with a note.
    Stage(Stage, String),
    /// Writes a note.
    Note(String),
}

/// The change was not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangeError {
    /// There is no such incident.
    #[error("there is no such incident")]
    Missing,
    /// The state machine forbids it.
    #[error(transparent)]
    Transition(#[from] TransitionError),
    /// The note cannot be kept.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The database failed.
    #[error(transparent)]
    State(#[from] StateError),
}

impl State {
    /// Incidents, last updated first.
    pub(crate) async fn incidents(&self, query: &IncidentQuery) -> Result<Vec<Incident>, StateError> {
        use incident::Column;
        let stages = (!query.stages.is_empty())
            .then(|| Column::State.is_in(query.stages.iter().map(|stage| i16::from(stage.id()))));
        let severities = (!query.severities.is_empty()).then(|| {
            Column::Severity.is_in(query.severities.iter().map(|severity| i16::from(severity.id())))
        });
        let after = query.after.as_ref().map(|(updated, id)| {
            Condition::any().add(Column::UpdatedAt.lt(updated.nanos())).add(
                Condition::all().add(Column::UpdatedAt.eq(updated.nanos())).add(Column::Id.lt(id.as_str())),
            )
        });
        let rows = incident::Entity::find()
            .filter(Condition::all().add_option(stages).add_option(severities).add_option(after))
            .order_by_desc(Column::UpdatedAt)
            .order_by_desc(Column::Id)
            .limit(query.limit)
            .all(&self.db)
            .await?;
        rows.iter().map(|row| parse(&row.body)).collect()
    }

    /// One incident.
    pub(crate) async fn incident(&self, id: IncidentId) -> Result<Option<Incident>, StateError> {
        get(&self.db, id).await
    }

    /// How many incidents there are.
    pub(crate) async fn incident_sums(&self) -> Result<IncidentSums, StateError> {
        use incident::Column;
        let rows: Vec<(i16, i16, i64)> = incident::Entity::find()
            .select_only()
            .column(Column::State)
            .column(Column::Severity)
            .column_as(Expr::col(Column::Id).count(), "incidents")
            .group_by(Column::State)
            .group_by(Column::Severity)
            .into_tuple()
            .all(&self.db)
            .await?;
        let mut sums = IncidentSums::default();
        for (stage, severity, count) in rows {
            let (stage, severity) =
                (u8::try_from(stage).unwrap_or_default(), u8::try_from(severity).unwrap_or_default());
            *sums.by_stage.entry(stage).or_default() += from_sql(count);
            if Stage::ALL.iter().any(|known| known.id() == stage && known.is_open()) {
                *sums.open_by_severity.entry(severity).or_default() += from_sql(count);
            }
        }
        Ok(sums)
    }

    /// Changes an incident in one transaction, so that nobody's note is lost.
    pub(crate) async fn change_incident(
        &self,
        id: IncidentId,
        change: IncidentChange,
        by: &str,
        now: Timestamp,
    ) -> Result<Incident, ChangeError> {
        let transaction = self.begin().await.map_err(StateError::from)?;
        let mut incident = get(&transaction, id).await?.ok_or(ChangeError::Missing)?;
        match change {
            IncidentChange::Stage(stage, note) => incident.transition(stage, by, &note, now)?,
            IncidentChange::Note(text) => incident.note(by, &text, now)?,
        }
        put(&transaction, &incident).await?;
        transaction.commit().await.map_err(StateError::from)?;
        Ok(incident)
    }
}

/// The ids of open incidents that have any of these keys and were active in this time: the most recent ones.
pub(super) async fn open_with_keys(
    db: &impl ConnectionTrait,
    keys: impl IntoIterator<Item = String>,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<IncidentId>, StateError> {
    let holders = incident_key::Entity::find()
        .select_only()
        .column(incident_key::Column::IncidentId)
        .filter(incident_key::Column::Key.is_in(keys))
        .into_query();
    let open = Stage::ALL.iter().filter(|stage| stage.is_open()).map(|stage| i16::from(stage.id()));
    let ids: Vec<String> = incident::Entity::find()
        .select_only()
        .column(incident::Column::Id)
        .filter(incident::Column::Id.in_subquery(holders))
        .filter(incident::Column::State.is_in(open))
        .filter(incident::Column::LastSeen.gte(from.nanos()))
        .filter(incident::Column::FirstSeen.lte(to.nanos()))
        .order_by_desc(incident::Column::LastSeen)
        .limit(MAX_CANDIDATES)
        .into_tuple()
        .all(db)
        .await?;
    Ok(ids.iter().filter_map(|id| id.parse().ok()).collect())
}

/// One incident.
pub(super) async fn get(db: &impl ConnectionTrait, id: IncidentId) -> Result<Option<Incident>, StateError> {
    let row = incident::Entity::find_by_id(id.to_string()).one(db).await?;
    row.map(|row| parse(&row.body)).transpose()
}

/// Writes an incident and what it can be found by.
pub(super) async fn put(db: &impl ConnectionTrait, held: &Incident) -> Result<(), StateError> {
    let body =
        serde_json::to_string(held).map_err(|source| StateError::Row { table: "incidents", source })?;
    let row = incident::ActiveModel {
        id: Set(held.id.to_string()),
        state: Set(i16::from(held.state.id())),
        severity: Set(i16::from(held.severity.id())),
        updated_at: Set(held.updated.nanos()),
        first_seen: Set(held.first_seen.nanos()),
        last_seen: Set(held.last_seen.nanos()),
        body: Set(body),
    };
    use incident::Column;
    let again = OnConflict::column(Column::Id)
        .update_columns([
            Column::State,
            Column::Severity,
            Column::UpdatedAt,
            Column::FirstSeen,
            Column::LastSeen,
            Column::Body,
        ])
        .to_owned();
    incident::Entity::insert(row).on_conflict(again).exec_without_returning(db).await?;
    put_keys(db, held.id, held.keys()).await
}

/// Makes an incident found by these keys too.
pub(super) async fn put_keys(
    db: &impl ConnectionTrait,
    id: IncidentId,
    keys: impl IntoIterator<Item = String>,
) -> Result<(), StateError> {
    let rows: Vec<_> = keys
        .into_iter()
        .map(|key| incident_key::ActiveModel { incident_id: Set(id.to_string()), key: Set(key) })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let known = OnConflict::columns([incident_key::Column::IncidentId, incident_key::Column::Key])
        .do_nothing()
        .to_owned();
    incident_key::Entity::insert_many(rows).on_conflict(known).exec_without_returning(db).await?;
    Ok(())
}

fn parse(body: &str) -> Result<Incident, StateError> {
    serde_json::from_str(body).map_err(|source| StateError::Row { table: "incidents", source })
}

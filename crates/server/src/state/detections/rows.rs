//! The rows behind [`super`]: written, never decided upon.

use std::collections::BTreeSet;

use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use wanglou_lake::LogPosition;
use wanglou_model::{Finding, IncidentId};

use super::BatchOutcome;
use crate::platform::windows::Mark;
use crate::state::entity::{applied_batch, dead_letter, finding, finding_entity, finding_tactic, idle_mark};
use crate::state::{StateError, to_sql};

/// Dead letters that are kept: the newest. At 8 KiB each this is 80 MiB at most.
const MAX_DEAD_LETTERS: i64 = 10_000;
/// Of a line that could not be read, so much is kept.
pub(super) const MAX_DEAD_FRAME_BYTES: usize = 8 * 1024;

/// Notes that a batch is applied; false when it was before.
pub(super) async fn note_applied(
    db: &impl ConnectionTrait,
    position: LogPosition,
) -> Result<bool, StateError> {
    let row = applied_batch::ActiveModel {
        segment: Set(to_sql(position.segment)),
        offset: Set(to_sql(position.offset)),
    };
    let known = OnConflict::columns([applied_batch::Column::Segment, applied_batch::Column::Offset])
        .do_nothing()
        .to_owned();
    let inserted = applied_batch::Entity::insert(row).on_conflict(known).exec_without_returning(db).await?;
    Ok(inserted == 1)
}

/// Notes that correlation went on though no batch came.
pub(super) async fn note_mark(db: &impl ConnectionTrait, mark: Mark) -> Result<(), StateError> {
    use idle_mark::Column;
    let row = idle_mark::ActiveModel {
        segment: Set(to_sql(mark.after.segment)),
        offset: Set(to_sql(mark.after.offset)),
        clock: Set(mark.clock.nanos()),
    };
    let later =
        OnConflict::columns([Column::Segment, Column::Offset]).update_column(Column::Clock).to_owned();
    idle_mark::Entity::insert(row).on_conflict(later).exec_without_returning(db).await?;
    Ok(())
}

/// Keeps lines that could not be read, and drops the oldest above the limit.
pub(super) async fn bury(db: &impl ConnectionTrait, outcome: &BatchOutcome) -> Result<(), StateError> {
    let mut newest = None;
    for dead in &outcome.rejected {
        let kept = dead.frame.get(..MAX_DEAD_FRAME_BYTES).unwrap_or(&dead.frame);
        let row = dead_letter::ActiveModel {
            source: Set(outcome.source.as_str().to_owned()),
            arrived_at: Set(outcome.arrival.nanos()),
            reason: Set(dead.reason.clone()),
            frame: Set(kept.to_vec()),
            bytes: Set(to_sql(dead.frame.len() as u64)),
            id: NotSet,
        };
        newest = Some(row.insert(db).await?.id);
    }
    if let Some(newest) = newest {
        dead_letter::Entity::delete_many()
            .filter(dead_letter::Column::Id.lte(newest - MAX_DEAD_LETTERS))
            .exec(db)
            .await?;
    }
    Ok(())
}

/// Writes a finding with the columns it is found by.
pub(super) async fn write(
    db: &impl ConnectionTrait,
    fold_key: &str,
    finding: &Finding,
    incident: IncidentId,
) -> Result<(), StateError> {
    let uid = finding.uid.to_string();
    let last_seen = finding.last_seen.nanos();
    let body =
        serde_json::to_string(finding).map_err(|source| StateError::Row { table: "findings", source })?;
    let row = finding::ActiveModel {
        uid: Set(uid.clone()),
        rule_id: Set(finding.rule.id.clone()),
        severity: Set(i16::from(finding.severity.id())),
        first_seen: Set(finding.first_seen.nanos()),
        last_seen: Set(last_seen),
        incident_id: Set(incident.to_string()),
        fold_key: Set(fold_key.to_owned()),
        body: Set(body),
    };
    use finding::Column;
    let again = OnConflict::column(Column::Uid)
        .update_columns([Column::Severity, Column::FirstSeen, Column::LastSeen, Column::Body])
        .to_owned();
    finding::Entity::insert(row).on_conflict(again).exec_without_returning(db).await?;
    write_entities(db, &uid, finding, last_seen).await?;
    write_tactics(db, &uid, finding, last_seen).await
}

async fn write_entities(
    db: &impl ConnectionTrait,
    uid: &str,
    finding: &Finding,
    last_seen: i64,
) -> Result<(), StateError> {
    use finding_entity::Column;
    let things: BTreeSet<(&str, &str)> =
        finding.entities.iter().map(|entity| (entity.kind.name(), entity.value.as_str())).collect();
    let rows: Vec<_> = things
        .into_iter()
        .map(|(kind, value)| finding_entity::ActiveModel {
            finding_uid: Set(uid.to_owned()),
            kind: Set(kind.to_owned()),
            value: Set(value.to_owned()),
            last_seen: Set(last_seen),
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let again = OnConflict::columns([Column::FindingUid, Column::Kind, Column::Value])
        .update_column(Column::LastSeen)
        .to_owned();
    finding_entity::Entity::insert_many(rows).on_conflict(again).exec_without_returning(db).await?;
    Ok(())
}

async fn write_tactics(
    db: &impl ConnectionTrait,
    uid: &str,
    finding: &Finding,
    last_seen: i64,
) -> Result<(), StateError> {
    use finding_tactic::Column;
    let attacks = finding.rule.attacks();
    let tactics: BTreeSet<&str> =
        attacks.entries.iter().filter_map(|(tactic, _)| tactic.map(|tactic| tactic.uid)).collect();
    let rows: Vec<_> = tactics
        .into_iter()
        .map(|tactic| finding_tactic::ActiveModel {
            finding_uid: Set(uid.to_owned()),
            tactic: Set(tactic.to_owned()),
            last_seen: Set(last_seen),
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let again =
        OnConflict::columns([Column::FindingUid, Column::Tactic]).update_column(Column::LastSeen).to_owned();
    finding_tactic::Entity::insert_many(rows).on_conflict(again).exec_without_returning(db).await?;
    Ok(())
}

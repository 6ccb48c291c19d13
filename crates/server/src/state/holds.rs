//! Which events must stay: the evidence of incidents that are not closed.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use wanglou_cases::State as Stage;
use wanglou_lake::Held;

use super::entity::{finding, incident};
use super::findings::parse;
use super::{State, StateError};

/// Findings read at once.
const PAGE: u64 = 500;

impl State {
    /// The events that findings of open incidents name as evidence.
    pub(crate) async fn held_events(&self) -> Result<Vec<Held>, StateError> {
        let open = Stage::ALL.iter().filter(|stage| stage.is_open()).map(|stage| i16::from(stage.id()));
        let open = incident::Entity::find()
            .select_only()
            .column(incident::Column::Id)
            .filter(incident::Column::State.is_in(open))
            .into_query();
        let mut held = Vec::new();
        let mut last = String::new();
        loop {
            let page = finding::Entity::find()
                .filter(finding::Column::IncidentId.in_subquery(open.clone()))
                .filter(finding::Column::Uid.gt(last.as_str()))
                .order_by_asc(finding::Column::Uid)
                .limit(PAGE)
                .all(&self.db)
                .await?;
            let Some(end) = page.last() else { return Ok(held) };
            last.clone_from(&end.uid);
            for row in &page {
                let finding = parse(&row.body)?;
                held.extend(finding.evidences.iter().map(|one| Held { uid: one.event, time: one.time }));
                let counted = finding.correlation.iter().flat_map(|correlation| &correlation.events);
                held.extend(counted.map(|one| Held { uid: one.event, time: one.time }));
            }
        }
    }
}

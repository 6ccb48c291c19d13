//! Where incidents are kept, seen from here.

use std::future::Future;

use wanglou_model::{Finding, FindingUid, IncidentId, Timestamp};

use crate::{Assignment, Grouping, Incident, LinkKey};

/// Keeps incidents and which finding belongs to which. One writer at a time: [`take`] reads and then writes.
pub trait IncidentRepository {
    /// Why it could not.
    type Error;

    /// The incident that holds this finding.
    fn incident_of(
        &self,
        finding: FindingUid,
    ) -> impl Future<Output = Result<Option<IncidentId>, Self::Error>> + Send;

    /// Open incidents that hold one of these keys ([`Incident::keys`]) and were active in this time:
    /// `last_seen >= from` and `first_seen <= to`. Where there are very many, the most recent ones are enough.
    fn candidates(
        &self,
        keys: &[LinkKey],
        from: Timestamp,
        to: Timestamp,
    ) -> impl Future<Output = Result<Vec<Incident>, Self::Error>> + Send;

    /// Keeps an incident, new or changed, and that `finding` belongs to it: both or neither.
    fn put(
        &mut self,
        incident: &Incident,
        finding: FindingUid,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// What [`take`] did.
#[derive(Clone, Debug, PartialEq)]
pub enum Taken {
    /// The finding was in this incident already; nothing changed.
    AlreadyIn(IncidentId),
    /// It joined this incident.
    Joined(Box<Incident>),
    /// It opened this incident.
    Opened(Box<Incident>),
}

/// Puts a finding into the incident it belongs to.
///
/// # Errors
/// Whatever the repository says.
pub async fn take<R: IncidentRepository>(
    repository: &mut R,
    grouping: &Grouping,
    finding: &Finding,
    now: Timestamp,
) -> Result<Taken, R::Error> {
    if let Some(incident) = repository.incident_of(finding.uid).await? {
        return Ok(Taken::AlreadyIn(incident));
    }
    let (from, to) = grouping.reach(finding);
    let candidates = repository.candidates(&grouping.keys(finding), from, to).await?;
    let (incident, is_new) = match grouping.assign(finding, &candidates) {
        Assignment::Join(id) => match candidates.into_iter().find(|incident| incident.id == id) {
            Some(mut incident) => {
                incident.add(finding, now);
                (incident, false)
            }
            None => (Incident::open(finding, &grouping.anchor(finding), now), true),
        },
        Assignment::Open(anchor) => (Incident::open(finding, &anchor, now), true),
    };
    repository.put(&incident, finding.uid).await?;
    let incident = Box::new(incident);
    Ok(if is_new { Taken::Opened(incident) } else { Taken::Joined(incident) })
}

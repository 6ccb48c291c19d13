//! Takes in what the pipeline found in batches: sums, dead letters, findings and incidents, all or nothing.
//!
//! The one idea: a batch is applied in the transaction that also notes that it was, so that a batch which comes again
//! after a crash changes nothing. Findings of one rule about the same things within an hour are one finding with a
//! count: a scan of ten thousand requests is a line in a list, not ten thousand.

mod rows;

use std::collections::{BTreeSet, HashMap, HashSet};

use parking_lot::Mutex;
use sea_orm::{
    ColumnTrait, Condition, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use wanglou_cases::{Grouping, Incident, IncidentRepository, LinkKey, Taken, take};
use wanglou_lake::LogPosition;
use wanglou_model::{EntityKind, Finding, FindingUid, IncidentId, SourceId, Timestamp};

use super::entity::{applied_batch, finding, idle_mark};
use super::findings::parse;
use super::ledger::Tally;
use super::{State, StateError, from_sql, incidents, instant, suppressions, to_sql};
use crate::platform::windows::Mark;

/// Silence after which a finding of the same rule about the same things is a new one.
const FOLD_WINDOW_NANOS: i64 = 3_600 * 1_000_000_000;
/// Entities one finding keeps. Folding a scan would gather thousands.
const MAX_FOLDED_ENTITIES: usize = 100;

/// What came of one batch.
#[derive(Clone, Debug)]
pub(crate) struct BatchOutcome {
    pub position: LogPosition,
    pub source: SourceId,
    pub arrival: Timestamp,
    /// Lines in it.
    pub lines: u64,
    /// Lines that are in its events, or are understood and give none.
    pub stored: u64,
    /// Lines that went through detection.
    pub evaluated: u64,
    /// Events made of them.
    pub events: u64,
    /// Events that came long after they happened.
    pub late: u64,
    /// Lines that could not be read.
    pub rejected: Vec<DeadFrame>,
    pub findings: Vec<Finding>,
    /// Findings that a suppression hides.
    pub suppressed: Vec<Finding>,
}

/// What correlation found because nothing came for a while.
#[derive(Clone, Debug)]
pub(crate) struct MarkOutcome {
    pub mark: Mark,
    pub findings: Vec<Finding>,
    /// Findings that a suppression hides.
    pub suppressed: Vec<Finding>,
}

/// A line that could not be read.
#[derive(Clone, Debug)]
pub(crate) struct DeadFrame {
    pub frame: bytes::Bytes,
    /// The kind of reason, for counting.
    pub kind: &'static str,
    pub reason: String,
}

/// What changed.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    /// Findings that are new or stand for more events now, with their incidents.
    pub findings: Vec<(Finding, IncidentId)>,
    /// Incidents that were opened or changed.
    pub incidents: Vec<Incident>,
    /// How many of the findings are new.
    pub new_findings: u64,
}

impl State {
    /// Applies batches in order, and what was found after them, in one transaction. Batches that were applied before
    /// are passed over.
    pub(crate) async fn apply(
        &self,
        outcomes: &[BatchOutcome],
        mark: Option<&MarkOutcome>,
        grouping: &Grouping,
        now: Timestamp,
    ) -> Result<Applied, StateError> {
        let transaction = self.begin().await?;
        let mut desk = Desk::new(&transaction);
        let mut tally = Tally::default();
        for outcome in outcomes {
            if !rows::note_applied(&transaction, outcome.position).await? {
                continue;
            }
            tally.add(outcome);
            rows::bury(&transaction, outcome).await?;
            for finding in &outcome.suppressed {
                suppressions::hide(&transaction, finding, now).await?;
            }
            for finding in &outcome.findings {
                desk.take_in(finding, grouping, now).await?;
            }
        }
        if let Some(MarkOutcome { mark, findings, suppressed }) = mark {
            rows::note_mark(&transaction, *mark).await?;
            for finding in suppressed {
                suppressions::hide(&transaction, finding, now).await?;
            }
            for finding in findings {
                desk.take_in(finding, grouping, now).await?;
            }
        }
        let applied = desk.finish().await?;
        tally.write(&transaction).await?;
        transaction.commit().await?;
        Ok(applied)
    }

    /// The batches that were applied and may come again.
    pub(crate) async fn applied_batches(&self) -> Result<HashSet<LogPosition>, StateError> {
        let rows = applied_batch::Entity::find().all(&self.db).await?;
        let position = |row: applied_batch::Model| LogPosition {
            segment: from_sql(row.segment),
            offset: from_sql(row.offset),
        };
        Ok(rows.into_iter().map(position).collect())
    }

    /// Forgets that batches of segments before `first_kept` were applied: they never come again.
    pub(crate) async fn forget_applied(&self, first_kept: u64) -> Result<(), StateError> {
        applied_batch::Entity::delete_many()
            .filter(applied_batch::Column::Segment.lt(to_sql(first_kept)))
            .exec(&self.db)
            .await?;
        Ok(())
    }

    /// The idle marks that must be repeated when the log is read again.
    pub(crate) async fn idle_marks(&self) -> Result<Vec<Mark>, StateError> {
        let rows = idle_mark::Entity::find().all(&self.db).await?;
        let mark = |row: idle_mark::Model| Mark {
            after: LogPosition { segment: from_sql(row.segment), offset: from_sql(row.offset) },
            clock: instant(row.clock),
        };
        Ok(rows.into_iter().map(mark).collect())
    }

    /// Forgets the marks before a batch: what they did is saved.
    pub(crate) async fn forget_marks(&self, before: LogPosition) -> Result<(), StateError> {
        use idle_mark::Column;
        let (segment, offset) = (to_sql(before.segment), to_sql(before.offset));
        let same = Condition::all().add(Column::Segment.eq(segment)).add(Column::Offset.lt(offset));
        idle_mark::Entity::delete_many()
            .filter(Condition::any().add(Column::Segment.lt(segment)).add(same))
            .exec(&self.db)
            .await?;
        Ok(())
    }
}

/// What a transaction has in hand, so that a thousand findings of one scan are not a thousand writes.
struct Desk<'t> {
    db: &'t DatabaseTransaction,
    findings: HashMap<String, Held>,
    /// The findings in hand and those they replaced, by id.
    uids: HashMap<FindingUid, IncidentId>,
    /// Locked for the time of a look only: the repository reads through a shared reference.
    incidents: Mutex<HashMap<IncidentId, Incident>>,
    /// Keys that are written already.
    keys: HashSet<(IncidentId, String)>,
    new_findings: u64,
}

/// A finding in hand.
struct Held {
    finding: Finding,
    incident: IncidentId,
}

impl<'t> Desk<'t> {
    fn new(db: &'t DatabaseTransaction) -> Self {
        Self {
            db,
            findings: HashMap::new(),
            uids: HashMap::new(),
            incidents: Mutex::default(),
            keys: HashSet::new(),
            new_findings: 0,
        }
    }

    async fn take_in(
        &mut self,
        finding: &Finding,
        grouping: &Grouping,
        now: Timestamp,
    ) -> Result<(), StateError> {
        let key = fold_key(finding);
        if self.load(&key, finding).await? {
            return self.fold(&key, finding, now).await;
        }
        let incident = match take(self, grouping, finding, now).await? {
            // The same finding without its batch: its events were sent again. It is counted already.
            Taken::AlreadyIn(_) => return Ok(()),
            Taken::Joined(incident) | Taken::Opened(incident) => incident.id,
        };
        self.new_findings += 1;
        self.uids.insert(finding.uid, incident);
        // A finding in hand under this key is too old to be folded into: it must be written before it is replaced.
        if let Some(older) = self.findings.insert(key.clone(), Held { finding: finding.clone(), incident }) {
            rows::write(self.db, &key, &older.finding, older.incident).await?;
        }
        Ok(())
    }

    /// Brings the finding into hand that this one folds into; false when there is none.
    async fn load(&mut self, key: &str, finding: &Finding) -> Result<bool, StateError> {
        let (from, to) = (
            finding.first_seen.plus_nanos(-FOLD_WINDOW_NANOS),
            finding.last_seen.plus_nanos(FOLD_WINDOW_NANOS),
        );
        if let Some(held) = self.findings.get(key)
            && held.finding.last_seen >= from
            && held.finding.first_seen <= to
        {
            return Ok(true);
        }
        let row = finding::Entity::find()
            .filter(finding::Column::FoldKey.eq(key))
            .filter(finding::Column::LastSeen.gte(from.nanos()))
            .filter(finding::Column::FirstSeen.lte(to.nanos()))
            .order_by_desc(finding::Column::LastSeen)
            .limit(1)
            .one(self.db)
            .await?;
        let Some(row) = row else { return Ok(false) };
        let Ok(incident) = row.incident_id.parse() else { return Ok(false) };
        // What a person has closed stays closed: the next one opens its own.
        self.load_incidents(&[incident]).await?;
        let is_open = self.incidents.lock().get(&incident).is_some_and(|held| held.state.is_open());
        if is_open {
            let held = Held { finding: parse(&row.body)?, incident };
            if let Some(older) = self.findings.insert(key.to_owned(), held) {
                rows::write(self.db, key, &older.finding, older.incident).await?;
            }
        }
        Ok(is_open)
    }

    /// Counts a finding into the one in hand.
    async fn fold(&mut self, key: &str, finding: &Finding, now: Timestamp) -> Result<(), StateError> {
        let Some(held) = self.findings.get_mut(key) else { return Ok(()) };
        let id = held.incident;
        merge(&mut held.finding, finding);
        self.load_incidents(&[id]).await?;
        if let Some(incident) = self.incidents.lock().get_mut(&id) {
            incident.event_count = incident.event_count.saturating_add(finding.count);
            incident.first_seen = incident.first_seen.min(finding.first_seen);
            incident.last_seen = incident.last_seen.max(finding.last_seen);
            incident.updated = incident.updated.max(now);
        }
        Ok(())
    }

    /// Brings incidents into hand.
    async fn load_incidents(&self, ids: &[IncidentId]) -> Result<(), StateError> {
        let missing: Vec<IncidentId> = {
            let held = self.incidents.lock();
            ids.iter().copied().filter(|id| !held.contains_key(id)).collect()
        };
        for id in missing {
            if let Some(incident) = incidents::get(self.db, id).await? {
                self.incidents.lock().insert(id, incident);
            }
        }
        Ok(())
    }

    /// Writes everything in hand.
    async fn finish(self) -> Result<Applied, StateError> {
        for (key, held) in &self.findings {
            rows::write(self.db, key, &held.finding, held.incident).await?;
        }
        let mut touched: HashSet<IncidentId> = HashSet::new();
        let mut applied = Applied { new_findings: self.new_findings, ..Applied::default() };
        for held in self.findings.into_values() {
            touched.insert(held.incident);
            applied.findings.push((held.finding, held.incident));
        }
        applied.findings.sort_by_key(|(finding, _)| (finding.last_seen, finding.uid));
        for incident in
            self.incidents.into_inner().into_values().filter(|incident| touched.contains(&incident.id))
        {
            incidents::put(self.db, &incident).await?;
            applied.incidents.push(incident);
        }
        applied.incidents.sort_by_key(|incident| (incident.last_seen, incident.id));
        Ok(applied)
    }
}

impl IncidentRepository for Desk<'_> {
    type Error = StateError;

    async fn incident_of(&self, uid: FindingUid) -> Result<Option<IncidentId>, StateError> {
        if let Some(incident) = self.uids.get(&uid) {
            return Ok(Some(*incident));
        }
        let row = finding::Entity::find_by_id(uid.to_string()).one(self.db).await?;
        Ok(row.and_then(|row| row.incident_id.parse().ok()))
    }

    async fn candidates(
        &self,
        keys: &[LinkKey],
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Incident>, StateError> {
        let texts: Vec<String> = keys.iter().map(LinkKey::to_string).collect();
        let found = incidents::open_with_keys(self.db, texts.iter().cloned(), from, to).await?;
        self.load_incidents(&found).await?;
        let held = self.incidents.lock();
        // Those in hand are newer than their rows, so that the rows alone would miss some of them.
        let is_wanted = |incident: &Incident| {
            incident.state.is_open()
                && incident.last_seen >= from
                && incident.first_seen <= to
                && (found.contains(&incident.id)
                    || texts.iter().any(|text| self.keys.contains(&(incident.id, text.clone()))))
        };
        Ok(held.values().filter(|incident| is_wanted(incident)).cloned().collect())
    }

    async fn put(&mut self, incident: &Incident, _finding: FindingUid) -> Result<(), StateError> {
        let is_held = self.incidents.lock().contains_key(&incident.id);
        let keys = incident.keys().into_iter().map(|key| (incident.id, key));
        let fresh: Vec<(IncidentId, String)> = keys.filter(|key| !self.keys.contains(key)).collect();
        if is_held {
            let texts = fresh.iter().map(|(_, text)| text.clone());
            incidents::put_keys(self.db, incident.id, texts).await?;
        } else {
            incidents::put(self.db, incident).await?;
        }
        self.keys.extend(fresh);
        self.incidents.lock().insert(incident.id, incident.clone());
        Ok(())
    }
}

/// Counts `more` into `finding`.
fn merge(finding: &mut Finding, more: &Finding) {
    finding.count = finding.count.saturating_add(more.count);
    finding.first_seen = finding.first_seen.min(more.first_seen);
    finding.last_seen = finding.last_seen.max(more.last_seen);
    finding.severity = finding.severity.max(more.severity);
    let room = Finding::MAX_EVIDENCES.saturating_sub(finding.evidences.len());
    finding.evidences.extend(more.evidences.iter().take(room).cloned());
    for entity in &more.entities {
        if finding.entities.len() < MAX_FOLDED_ENTITIES && !finding.entities.contains(entity) {
            finding.entities.push(entity.clone());
        }
    }
}

/// Equal for findings that are one: rule, version, group, and the hosts, users, addresses and hashes it is about; a
/// correlation is about its group, whatever else the last of its events names.
fn fold_key(finding: &Finding) -> String {
    let is_grouped = !finding.group.is_empty();
    let things: BTreeSet<(&str, &str)> = finding
        .entities
        .iter()
        .filter(|entity| {
            !is_grouped && !matches!(entity.kind, EntityKind::File | EntityKind::Process | EntityKind::Domain)
        })
        .map(|entity| (entity.kind.name(), entity.value.as_str()))
        .collect();
    let mut hasher = blake3::Hasher::new();
    let group = finding.group.iter().flat_map(|(field, value)| [field.as_str(), value.as_str()]);
    let rule = [finding.rule.id.as_str(), finding.rule.version.as_str()];
    for part in
        rule.into_iter().chain(group).chain(things.into_iter().flat_map(|(kind, value)| [kind, value]))
    {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

#[cfg(test)]
mod tests;

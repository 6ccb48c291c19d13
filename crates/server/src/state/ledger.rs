//! The loss ledger as it is kept: sums by source and hour, and why lines were refused.
//!
//! What the pipeline did is added in the transaction of its batches ([`Tally`]). What has no batch, frames that a source
//! could not take, is added by itself about every second. Lines in flight are noted so that the command line can show
//! them; the log is the truth of them.

use std::collections::BTreeMap;

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect};
use wanglou_model::{SourceId, Timestamp};

use super::detections::BatchOutcome;
use super::entity::{ledger_hour, ledger_reason, source, source_habit};
use super::sources::SourceRow;
use super::{State, StateError, from_sql, instant, to_sql};

/// An hour.
pub(crate) const HOUR_NANOS: i64 = 3_600 * 1_000_000_000;

/// The hour that an instant lies in: its beginning.
pub(crate) fn hour_of(at: Timestamp) -> Timestamp {
    Timestamp::from_nanos(at.nanos().div_euclid(HOUR_NANOS) * HOUR_NANOS)
}

/// Sums of a source, or of an hour of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    /// Lines that are in the log.
    pub received: u64,
    /// Lines whose events are searchable.
    pub stored: u64,
    /// Lines that could not be read.
    pub rejected: u64,
    /// Lines that went through detection.
    pub evaluated: u64,
    /// Lines in the log that the pipeline is not done with.
    pub in_flight: u64,
    /// Events made of the stored lines.
    pub events: u64,
    /// Events that came long after they happened.
    pub late: u64,
    /// Lines that came again under a known key; not part of `received`.
    pub duplicates: u64,
    /// Frames that the source could not take; not part of `received`.
    pub dropped: u64,
    /// Why lines were rejected and frames dropped.
    pub reasons: BTreeMap<Reason, u64>,
    /// When the last lines arrived.
    pub last_seen: Option<Timestamp>,
}

impl Sums {
    /// Lines that were received and are neither stored nor rejected nor in flight; below zero, lines that were not
    /// received.
    pub(crate) fn unaccounted(&self) -> i64 {
        signed(self.received) - signed(self.stored) - signed(self.rejected) - signed(self.in_flight)
    }

    /// Stored lines that no rule saw.
    pub(crate) fn unevaluated(&self) -> i64 {
        signed(self.stored) - signed(self.evaluated)
    }

    /// Whether nothing is lost.
    pub(crate) fn is_balanced(&self) -> bool {
        self.unaccounted() == 0 && self.unevaluated() == 0
    }

    /// Adds the sums of another time.
    pub(crate) fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.stored += other.stored;
        self.rejected += other.rejected;
        self.evaluated += other.evaluated;
        self.in_flight += other.in_flight;
        self.events += other.events;
        self.late += other.late;
        self.duplicates += other.duplicates;
        self.dropped += other.dropped;
        for (reason, count) in &other.reasons {
            *self.reasons.entry(reason.clone()).or_default() += count;
        }
        self.last_seen = self.last_seen.max(other.last_seen);
    }

    /// Adds what the pipeline did.
    pub(crate) fn settle(&mut self, outcome: &BatchOutcome) {
        self.in_flight = self.in_flight.saturating_sub(outcome.lines);
        self.stored += outcome.stored;
        self.evaluated += outcome.evaluated;
        self.rejected += outcome.rejected.len() as u64;
        self.events += outcome.events;
        self.late += outcome.late;
        for dead in &outcome.rejected {
            self.because(Stage::Rejected, dead.kind, 1);
        }
    }

    /// Counts a reason.
    pub(crate) fn because(&mut self, stage: Stage, kind: &str, count: u64) {
        *self.reasons.entry(Reason { stage, kind: kind.to_owned() }).or_default() += count;
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Where a line or frame was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Stage {
    /// By its source, before it was received.
    Dropped,
    /// By the decoders: it is a dead letter.
    Rejected,
}

impl Stage {
    /// The name in the database, the API and on screen.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Dropped => "dropped",
            Self::Rejected => "rejected",
        }
    }

    fn named(name: &str) -> Self {
        if name == Self::Dropped.name() { Self::Dropped } else { Self::Rejected }
    }
}

/// Why lines were refused.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Reason {
    pub stage: Stage,
    /// Such as `unrecognised` or `kernel_buffer`.
    pub kind: String,
}

/// The sums of one source in one hour.
#[derive(Clone, Debug)]
pub(crate) struct HourRow {
    pub source: SourceId,
    /// Its beginning.
    pub hour: Timestamp,
    pub sums: Sums,
}

/// What was kept of the ledger.
#[derive(Debug, Default)]
pub(crate) struct KeptLedger {
    pub sources: Vec<KeptSource>,
    /// Of all times.
    pub reasons: Vec<(SourceId, Reason, u64)>,
    /// Without what was in flight: the log is read again.
    pub hours: Vec<HourRow>,
}

/// A source's sums of all times, and its habits.
#[derive(Debug)]
pub(crate) struct KeptSource {
    pub name: SourceId,
    pub received: u64,
    pub stored: u64,
    pub rejected: u64,
    pub evaluated: u64,
    pub events: u64,
    pub late: u64,
    pub duplicates: u64,
    pub last_seen: Option<Timestamp>,
    pub habit: Option<String>,
}

/// What batches add to the ledger, summed up before it is written: a group of batches is a few rows.
#[derive(Default)]
pub(super) struct Tally {
    hours: BTreeMap<(SourceId, Timestamp), Sums>,
}

impl Tally {
    pub(super) fn add(&mut self, outcome: &BatchOutcome) {
        let sums = self.hours.entry((outcome.source.clone(), hour_of(outcome.arrival))).or_default();
        sums.received += outcome.lines;
        sums.last_seen = sums.last_seen.max(Some(outcome.arrival));
        sums.settle(outcome);
    }

    pub(super) async fn write(&self, db: &impl ConnectionTrait) -> Result<(), StateError> {
        for ((source, hour), sums) in &self.hours {
            add_to_source(db, source, sums).await?;
            add_to_hour(db, source, *hour, sums).await?;
            for (reason, count) in &sums.reasons {
                add_reason(db, source, *hour, reason, *count).await?;
            }
        }
        Ok(())
    }
}

async fn add_to_source(db: &impl ConnectionTrait, name: &SourceId, sums: &Sums) -> Result<(), StateError> {
    use source::Column;
    let plus = |column: Column, count: u64| Expr::col(column).add(to_sql(count));
    source::Entity::update_many()
        .col_expr(Column::Received, plus(Column::Received, sums.received))
        .col_expr(Column::Stored, plus(Column::Stored, sums.stored))
        .col_expr(Column::Rejected, plus(Column::Rejected, sums.rejected))
        .col_expr(Column::Evaluated, plus(Column::Evaluated, sums.evaluated))
        .col_expr(Column::Events, plus(Column::Events, sums.events))
        .col_expr(Column::LastSeenAt, Expr::value(sums.last_seen.map(|seen| seen.nanos())))
        .filter(Column::Name.eq(name.as_str()))
        .exec(db)
        .await?;
    Ok(())
}

async fn add_to_hour(
    db: &impl ConnectionTrait,
    source: &SourceId,
    hour: Timestamp,
    sums: &Sums,
) -> Result<(), StateError> {
    use ledger_hour::Column;
    let row = ledger_hour::ActiveModel {
        source: Set(source.as_str().to_owned()),
        hour: Set(hour.nanos()),
        received: Set(to_sql(sums.received)),
        stored: Set(to_sql(sums.stored)),
        rejected: Set(to_sql(sums.rejected)),
        evaluated: Set(to_sql(sums.evaluated)),
        events: Set(to_sql(sums.events)),
        late: Set(to_sql(sums.late)),
        duplicates: Set(to_sql(sums.duplicates)),
        in_flight: Set(0),
    };
    let mut again = OnConflict::columns([Column::Source, Column::Hour]);
    for (column, count) in [
        (Column::Received, sums.received),
        (Column::Stored, sums.stored),
        (Column::Rejected, sums.rejected),
        (Column::Evaluated, sums.evaluated),
        (Column::Events, sums.events),
        (Column::Late, sums.late),
        (Column::Duplicates, sums.duplicates),
    ] {
        again.value(column, Expr::col((ledger_hour::Entity, column)).add(to_sql(count)));
    }
    ledger_hour::Entity::insert(row).on_conflict(again).exec_without_returning(db).await?;
    Ok(())
}

async fn add_reason(
    db: &impl ConnectionTrait,
    source: &SourceId,
    hour: Timestamp,
    reason: &Reason,
    count: u64,
) -> Result<(), StateError> {
    use ledger_reason::Column;
    let row = ledger_reason::ActiveModel {
        source: Set(source.as_str().to_owned()),
        hour: Set(hour.nanos()),
        stage: Set(reason.stage.name().to_owned()),
        kind: Set(reason.kind.clone()),
        count: Set(to_sql(count)),
    };
    let mut again = OnConflict::columns([Column::Source, Column::Hour, Column::Stage, Column::Kind]);
    again.value(Column::Count, Expr::col((ledger_reason::Entity, Column::Count)).add(to_sql(count)));
    ledger_reason::Entity::insert(row).on_conflict(again).exec_without_returning(db).await?;
    Ok(())
}

impl State {
    /// Counts lines that were sent again under a known key.
    pub(crate) async fn count_duplicates(
        &self,
        name: &SourceId,
        lines: u64,
        arrival: Timestamp,
    ) -> Result<(), StateError> {
        use source::Column;
        let transaction = self.begin().await?;
        source::Entity::update_many()
            .col_expr(Column::Duplicates, Expr::col(Column::Duplicates).add(to_sql(lines)))
            .filter(Column::Name.eq(name.as_str()))
            .exec(&transaction)
            .await?;
        let sums = Sums { duplicates: lines, ..Sums::default() };
        add_to_hour(&transaction, name, hour_of(arrival), &sums).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Counts frames that sources could not take.
    pub(crate) async fn count_dropped(
        &self,
        dropped: &BTreeMap<(SourceId, Timestamp, Reason), u64>,
    ) -> Result<(), StateError> {
        let transaction = self.begin().await?;
        for ((source, hour, reason), count) in dropped {
            add_reason(&transaction, source, *hour, reason, *count).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Notes what is in flight now; everywhere else nothing is.
    pub(crate) async fn note_in_flight(
        &self,
        in_flight: &BTreeMap<(SourceId, Timestamp), u64>,
    ) -> Result<(), StateError> {
        use ledger_hour::Column;
        let transaction = self.begin().await?;
        ledger_hour::Entity::update_many()
            .col_expr(Column::InFlight, Expr::value(0_i64))
            .filter(Column::InFlight.ne(0_i64))
            .exec(&transaction)
            .await?;
        for ((source, hour), lines) in in_flight {
            add_to_hour(&transaction, source, *hour, &Sums::default()).await?;
            ledger_hour::Entity::update_many()
                .col_expr(Column::InFlight, Expr::value(to_sql(*lines)))
                .filter(Column::Source.eq(source.as_str()))
                .filter(Column::Hour.eq(hour.nanos()))
                .exec(&transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Keeps what sources usually do.
    pub(crate) async fn keep_habits(&self, habits: Vec<(SourceId, String)>) -> Result<(), StateError> {
        use source_habit::Column;
        let rows = habits.into_iter().map(|(source, body)| source_habit::ActiveModel {
            source: Set(source.as_str().to_owned()),
            body: Set(body),
        });
        let again = OnConflict::column(Column::Source).update_column(Column::Body).to_owned();
        source_habit::Entity::insert_many(rows).on_conflict(again).exec_without_returning(&self.db).await?;
        Ok(())
    }

    /// The ledger as it was kept: the sums of all times, and the hours from `since` on.
    pub(crate) async fn ledger(&self, since: Timestamp) -> Result<KeptLedger, StateError> {
        let habits = source_habit::Entity::find().all(&self.db).await?;
        let mut habits: BTreeMap<String, String> =
            habits.into_iter().map(|row| (row.source, row.body)).collect();
        let late: Vec<(String, i64)> = ledger_hour::Entity::find()
            .select_only()
            .column(ledger_hour::Column::Source)
            .column_as(ledger_hour::Column::Late.sum(), "late")
            .group_by(ledger_hour::Column::Source)
            .into_tuple()
            .all(&self.db)
            .await?;
        let late: BTreeMap<String, i64> = late.into_iter().collect();
        let sources = self.sources().await?.into_iter().map(|row: SourceRow| KeptSource {
            late: from_sql(late.get(row.name.as_str()).copied().unwrap_or_default()),
            habit: habits.remove(row.name.as_str()),
            name: row.name,
            received: row.received,
            stored: row.stored,
            rejected: row.rejected,
            evaluated: row.evaluated,
            events: row.events,
            duplicates: row.duplicates,
            last_seen: row.last_seen,
        });
        let (sources, reasons) = (sources.collect(), self.reasons().await?);
        let mut hours = self.ledger_hours(None, since).await?;
        for row in &mut hours {
            row.sums.received -= std::mem::take(&mut row.sums.in_flight);
        }
        Ok(KeptLedger { sources, reasons, hours })
    }

    async fn reasons(&self) -> Result<Vec<(SourceId, Reason, u64)>, StateError> {
        use ledger_reason::Column;
        let rows: Vec<(String, String, String, i64)> = ledger_reason::Entity::find()
            .select_only()
            .columns([Column::Source, Column::Stage, Column::Kind])
            .column_as(Column::Count.sum(), "count")
            .group_by(Column::Source)
            .group_by(Column::Stage)
            .group_by(Column::Kind)
            .into_tuple()
            .all(&self.db)
            .await?;
        let reason = |(source, stage, kind, count): (String, String, String, i64)| {
            (SourceId::new(&source), Reason { stage: Stage::named(&stage), kind }, from_sql(count))
        };
        Ok(rows.into_iter().map(reason).collect())
    }

    /// The hours from `since` on, of one source or all, oldest first. What was in flight when it was last noted is part
    /// of what was received.
    pub(crate) async fn ledger_hours(
        &self,
        source: Option<&str>,
        since: Timestamp,
    ) -> Result<Vec<HourRow>, StateError> {
        let since = hour_of(since).nanos();
        let mut hours = ledger_hour::Entity::find().filter(ledger_hour::Column::Hour.gte(since));
        let mut reasons = ledger_reason::Entity::find().filter(ledger_reason::Column::Hour.gte(since));
        if let Some(name) = source {
            hours = hours.filter(ledger_hour::Column::Source.eq(name));
            reasons = reasons.filter(ledger_reason::Column::Source.eq(name));
        }
        let hours = hours.order_by_asc(ledger_hour::Column::Hour).order_by_asc(ledger_hour::Column::Source);
        let mut rows: BTreeMap<(i64, String), Sums> = hours
            .all(&self.db)
            .await?
            .into_iter()
            .map(|row| ((row.hour, row.source.clone()), sums(&row)))
            .collect();
        for row in reasons.all(&self.db).await? {
            let (stage, count) = (Stage::named(&row.stage), from_sql(row.count));
            let sums = rows.entry((row.hour, row.source)).or_default();
            sums.dropped += if stage == Stage::Dropped { count } else { 0 };
            sums.reasons.insert(Reason { stage, kind: row.kind }, count);
        }
        let row = |((hour, source), sums): ((i64, String), Sums)| HourRow {
            source: SourceId::new(&source),
            hour: instant(hour),
            sums,
        };
        Ok(rows.into_iter().map(row).collect())
    }

    /// Forgets hours before `before`.
    pub(crate) async fn forget_hours(&self, before: Timestamp) -> Result<(), StateError> {
        let before = before.nanos();
        ledger_hour::Entity::delete_many()
            .filter(ledger_hour::Column::Hour.lt(before))
            .exec(&self.db)
            .await?;
        ledger_reason::Entity::delete_many()
            .filter(ledger_reason::Column::Hour.lt(before))
            .exec(&self.db)
            .await?;
        Ok(())
    }
}

fn sums(row: &ledger_hour::Model) -> Sums {
    Sums {
        received: from_sql(row.received) + from_sql(row.in_flight),
        stored: from_sql(row.stored),
        rejected: from_sql(row.rejected),
        evaluated: from_sql(row.evaluated),
        in_flight: from_sql(row.in_flight),
        events: from_sql(row.events),
        late: from_sql(row.late),
        duplicates: from_sql(row.duplicates),
        ..Sums::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_lines_unbalance_the_sums() {
        let balanced =
            Sums { received: 10, stored: 7, evaluated: 7, rejected: 1, in_flight: 2, ..Sums::default() };
        assert!(balanced.is_balanced());
        let lost = Sums { received: 11, ..balanced.clone() };
        assert_eq!((lost.unaccounted(), lost.is_balanced()), (1, false));
        let doubled = Sums { stored: 9, evaluated: 9, ..balanced.clone() };
        assert_eq!((doubled.unaccounted(), doubled.is_balanced()), (-2, false));
        let unseen = Sums { evaluated: 6, ..balanced };
        assert_eq!((unseen.unevaluated(), unseen.is_balanced()), (1, false));
    }
}

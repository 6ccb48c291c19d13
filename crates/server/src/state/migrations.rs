//! The one list of migrations: append only, never edited after release.

mod m20261122_000001_first;
mod m20261125_000010_suppressions;
mod m20261125_000020_idle_marks;
mod m20261125_000020_ledger;

use sea_orm_migration::prelude::*;

/// All migrations in order.
pub(crate) struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261122_000001_first::Migration),
            Box::new(m20261125_000010_suppressions::Migration),
            Box::new(m20261125_000020_idle_marks::Migration),
            Box::new(m20261125_000020_ledger::Migration),
        ]
    }
}

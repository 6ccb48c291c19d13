//! The loss ledger by hour, why lines were refused, and what sources usually do.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, string, text};

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m20261125_000020_ledger"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let name = Alias::new;
        let mut hours = Table::create();
        hours.table(name("ledger_hours")).col(string(name("source"))).col(big_integer(name("hour")));
        for sum in
            ["received", "stored", "rejected", "evaluated", "events", "late", "duplicates", "in_flight"]
        {
            hours.col(big_integer(name(sum)).default(0));
        }
        hours.primary_key(Index::create().col(name("source")).col(name("hour")));
        let reasons = Table::create()
            .table(name("ledger_reasons"))
            .col(string(name("source")))
            .col(big_integer(name("hour")))
            .col(string(name("stage")))
            .col(string(name("kind")))
            .col(big_integer(name("count")))
            .primary_key(
                Index::create().col(name("source")).col(name("hour")).col(name("stage")).col(name("kind")),
            )
            .to_owned();
        let habits = Table::create()
            .table(name("source_habits"))
            .col(string(name("source")).primary_key())
            .col(text(name("body")))
            .to_owned();
        let by_hour = |table: &'static str| {
            let index = format!("{table}_by_hour");
            Index::create().name(index).table(name(table)).col(name("hour")).to_owned()
        };
        manager.create_table(hours).await?;
        manager.create_table(reasons).await?;
        manager.create_table(habits).await?;
        manager.create_index(by_hour("ledger_hours")).await?;
        manager.create_index(by_hour("ledger_reasons")).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["source_habits", "ledger_reasons", "ledger_hours"] {
            manager.drop_table(Table::drop().table(Alias::new(table)).to_owned()).await?;
        }
        Ok(())
    }
}

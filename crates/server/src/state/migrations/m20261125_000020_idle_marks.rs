//! Times at which correlation went on though no batch came.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::big_integer;

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m20261125_000020_idle_marks"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let name = Alias::new;
        let marks = Table::create()
            .table(name("idle_marks"))
            .col(big_integer(name("segment")))
            .col(big_integer(name("offset")))
            .col(big_integer(name("clock")))
            .primary_key(Index::create().col(name("segment")).col(name("offset")))
            .to_owned();
        manager.create_table(marks).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(Alias::new("idle_marks")).to_owned()).await
    }
}

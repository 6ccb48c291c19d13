//! Suppressions and the findings that they hide.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_integer_null, string, string_null, text};

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m20261125_000010_suppressions"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let name = Alias::new;
        let suppressions = Table::create()
            .table(name("suppressions"))
            .col(string(name("id")).primary_key())
            .col(big_integer(name("created_at")))
            .col(string(name("created_by")))
            .col(big_integer_null(name("revoked_at")))
            .col(string_null(name("revoked_by")))
            .col(big_integer(name("hidden")))
            .col(big_integer_null(name("last_hidden_at")))
            .col(text(name("body")))
            .to_owned();
        let hidden = Table::create()
            .table(name("suppressed_findings"))
            .col(string(name("uid")).primary_key())
            .col(string(name("suppression_id")))
            .col(big_integer(name("last_seen")))
            .col(text(name("body")))
            .to_owned();
        let index = Index::create()
            .name("suppressed_findings_by_suppression")
            .table(name("suppressed_findings"))
            .col(name("suppression_id"))
            .col(name("last_seen"))
            .to_owned();
        manager.create_table(suppressions).await?;
        manager.create_table(hidden).await?;
        manager.create_index(index).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["suppressed_findings", "suppressions"] {
            manager.drop_table(Table::drop().table(Alias::new(table)).to_owned()).await?;
        }
        Ok(())
    }
}

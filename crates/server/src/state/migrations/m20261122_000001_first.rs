//! The first tables: users, sources, findings, incidents, audit.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, blob, pk_auto, small_integer, string, string_null, string_uniq, text,
};

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m20261122_000001_first"
    }
}

/// Shorthand: a name in the database.
fn name(text: &'static str) -> Alias {
    Alias::new(text)
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in tables() {
            manager.create_table(table).await?;
        }
        for (index, table, columns) in INDEXES {
            let mut statement = Index::create();
            statement.name(*index).table(name(table));
            for column in *columns {
                statement.col(name(column));
            }
            manager.create_index(statement.to_owned()).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in TABLES.iter().rev() {
            manager.drop_table(Table::drop().table(name(table)).to_owned()).await?;
        }
        Ok(())
    }
}

const TABLES: [&str; 12] = [
    "users",
    "sessions",
    "setup_tokens",
    "sources",
    "applied_batches",
    "dead_letters",
    "findings",
    "finding_entities",
    "finding_tactics",
    "incidents",
    "incident_keys",
    "audit",
];

const INDEXES: &[(&str, &str, &[&str])] = &[
    ("sources_by_token", "sources", &["token_hash"]),
    ("dead_letters_by_source", "dead_letters", &["source"]),
    ("findings_by_time", "findings", &["last_seen", "uid"]),
    ("findings_by_rule", "findings", &["rule_id", "last_seen"]),
    ("findings_by_incident", "findings", &["incident_id", "last_seen"]),
    ("findings_by_fold_key", "findings", &["fold_key", "last_seen"]),
    ("finding_entities_by_thing", "finding_entities", &["kind", "value", "last_seen"]),
    ("finding_entities_by_time", "finding_entities", &["last_seen"]),
    ("finding_tactics_by_time", "finding_tactics", &["last_seen"]),
    ("incidents_by_update", "incidents", &["updated_at", "id"]),
    ("incidents_by_state", "incidents", &["state", "severity"]),
    ("incident_keys_by_key", "incident_keys", &["key"]),
];

fn tables() -> Vec<TableCreateStatement> {
    let mut tables = operation();
    tables.extend(verdicts());
    tables
}

/// Users, sources and what keeps the platform honest.
fn operation() -> Vec<TableCreateStatement> {
    vec![
        Table::create()
            .table(name("users"))
            .col(pk_auto(name("id")))
            .col(string_uniq(name("name")))
            .col(string(name("role")))
            .col(string(name("password_hash")))
            .col(big_integer(name("created_at")))
            .to_owned(),
        Table::create()
            .table(name("sessions"))
            .col(string(name("token_hash")).primary_key())
            .col(big_integer(name("user_id")))
            .col(big_integer(name("created_at")))
            .col(big_integer(name("last_used_at")))
            .to_owned(),
        Table::create()
            .table(name("setup_tokens"))
            .col(string(name("token_hash")).primary_key())
            .col(big_integer(name("expires_at")))
            .to_owned(),
        Table::create()
            .table(name("sources"))
            .col(string(name("name")).primary_key())
            .col(string(name("kind")))
            .col(string_null(name("token_hash")))
            .col(big_integer(name("created_at")))
            .col(big_integer_null(name("last_seen_at")))
            .col(big_integer(name("received")))
            .col(big_integer(name("stored")))
            .col(big_integer(name("rejected")))
            .col(big_integer(name("evaluated")))
            .col(big_integer(name("events")))
            .col(big_integer(name("duplicates")))
            .to_owned(),
        Table::create()
            .table(name("applied_batches"))
            .col(big_integer(name("segment")))
            .col(big_integer(name("offset")))
            .primary_key(Index::create().col(name("segment")).col(name("offset")))
            .to_owned(),
        Table::create()
            .table(name("dead_letters"))
            .col(pk_auto(name("id")))
            .col(string(name("source")))
            .col(big_integer(name("arrived_at")))
            .col(text(name("reason")))
            .col(blob(name("frame")))
            .col(big_integer(name("bytes")))
            .to_owned(),
        Table::create()
            .table(name("audit"))
            .col(pk_auto(name("id")))
            .col(big_integer(name("at")))
            .col(string(name("who")))
            .col(string(name("origin")))
            .col(string(name("act")))
            .col(string(name("object")))
            .col(string(name("outcome")))
            .to_owned(),
    ]
}

/// Findings and incidents.
fn verdicts() -> Vec<TableCreateStatement> {
    vec![
        Table::create()
            .table(name("findings"))
            .col(string(name("uid")).primary_key())
            .col(string(name("rule_id")))
            .col(small_integer(name("severity")))
            .col(big_integer(name("first_seen")))
            .col(big_integer(name("last_seen")))
            .col(string(name("incident_id")))
            .col(string(name("fold_key")))
            .col(text(name("body")))
            .to_owned(),
        Table::create()
            .table(name("finding_entities"))
            .col(string(name("finding_uid")))
            .col(string(name("kind")))
            .col(text(name("value")))
            .col(big_integer(name("last_seen")))
            .primary_key(Index::create().col(name("finding_uid")).col(name("kind")).col(name("value")))
            .to_owned(),
        Table::create()
            .table(name("finding_tactics"))
            .col(string(name("finding_uid")))
            .col(string(name("tactic")))
            .col(big_integer(name("last_seen")))
            .primary_key(Index::create().col(name("finding_uid")).col(name("tactic")))
            .to_owned(),
        Table::create()
            .table(name("incidents"))
            .col(string(name("id")).primary_key())
            .col(small_integer(name("state")))
            .col(small_integer(name("severity")))
            .col(big_integer(name("updated_at")))
            .col(big_integer(name("first_seen")))
            .col(big_integer(name("last_seen")))
            .col(text(name("body")))
            .to_owned(),
        Table::create()
            .table(name("incident_keys"))
            .col(string(name("incident_id")))
            .col(text(name("key")))
            .primary_key(Index::create().col(name("incident_id")).col(name("key")))
            .to_owned(),
    ]
}

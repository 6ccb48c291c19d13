//! The audit log: who did what, from where, with what outcome.

use sea_orm::ActiveModelTrait;
use sea_orm::ActiveValue::{NotSet, Set};
use wanglou_model::Timestamp;

use super::entity::audit;
use super::{State, StateError};

/// One administrative act.
#[derive(Clone, Debug)]
pub(crate) struct Act<'a> {
    /// The user, or the name that was tried.
    pub who: &'a str,
    /// The address it was done from.
    pub origin: &'a str,
    /// What was done: `session.open`, `source.create` …
    pub act: &'static str,
    /// To what.
    pub object: &'a str,
    /// `ok`, or why not.
    pub outcome: &'a str,
}

impl State {
    /// Writes an act down.
    pub(crate) async fn audit(&self, act: Act<'_>, now: Timestamp) -> Result<(), StateError> {
        tracing::info!(
            who = act.who,
            origin = act.origin,
            act = act.act,
            object = act.object,
            outcome = act.outcome,
            "audit"
        );
        audit::ActiveModel {
            at: Set(now.nanos()),
            who: Set(act.who.to_owned()),
            origin: Set(act.origin.to_owned()),
            act: Set(act.act.to_owned()),
            object: Set(act.object.to_owned()),
            outcome: Set(act.outcome.to_owned()),
            id: NotSet,
        }
        .insert(&self.db)
        .await?;
        Ok(())
    }
}

//! The suppressions in force, at hand for the pipeline.

use std::sync::Arc;

use parking_lot::RwLock;
use wanglou_detect::suppress::Suppressor;

use crate::state::{State, StateError};

/// The suppressions that were not revoked. Expiry is looked at when they are applied.
pub(crate) struct Suppressions {
    state: State,
    active: RwLock<Arc<Vec<Suppressor>>>,
}

impl Suppressions {
    /// Reads them.
    ///
    /// # Errors
    /// The database failed.
    pub(crate) async fn open(state: State) -> Result<Self, StateError> {
        let suppressions = Self { state, active: RwLock::default() };
        suppressions.refresh().await?;
        Ok(suppressions)
    }

    /// Those in force.
    pub(crate) fn active(&self) -> Arc<Vec<Suppressor>> {
        Arc::clone(&self.active.read())
    }

    /// Reads them again, after a change.
    ///
    /// # Errors
    /// The database failed.
    pub(crate) async fn refresh(&self) -> Result<(), StateError> {
        let rows = self.state.suppressions().await?;
        let in_force = rows.into_iter().filter(|row| row.revoked.is_none());
        let ready = in_force.filter_map(|row| match Suppressor::new(row.suppression) {
            Ok(suppressor) => Some(suppressor),
            Err(error) => {
                tracing::error!(%error, "a suppression cannot be used: it hides nothing");
                None
            }
        });
        *self.active.write() = Arc::new(ready.collect());
        Ok(())
    }
}

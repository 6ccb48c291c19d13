//! Groups findings into incidents by shared entities, and keeps their state machine, timeline and attack path.
//!
//! Pure logic: no I/O, no clock, no async runtime. What is kept lies behind [`IncidentRepository`], which the server
//! implements. The way of a finding: [`take`] asks the repository for open incidents that share a [`LinkKey`] with it,
//! [`Grouping`] decides which of them it belongs to, and it joins that one or opens its own. A finding that is already
//! in an incident changes nothing, so that a re-evaluation after a crash may hand everything in again.
#![forbid(unsafe_code)]

mod attack_path;
#[cfg(test)]
mod fixtures;
mod grouping;
mod incident;
mod key;
mod repository;
mod state;
mod timeline;
mod title;

pub use attack_path::{PathStep, PathTechnique, attack_path};
pub use grouping::{Assignment, Grouping};
pub use incident::{
    Change, ChangeKind, Incident, IncidentEntity, IncidentRule, IncidentTactic, MAX_NOTE_CHARS, NoteError,
    SYSTEM,
};
pub use key::{KeyKind, LinkKey};
pub use repository::{IncidentRepository, Taken, take};
pub use state::{State, TransitionError};
pub use timeline::{TimelineEntry, TimelineKind, timeline};

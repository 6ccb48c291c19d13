//! The vocabulary of the house: records, OCSF events, findings, entities and their ids.
//!
//! Plain data with its invariants; no I/O, no async, no clock. Every other room depends on this one and this one on
//! none of them. The three shapes an observation takes on its way through the house:
//!
//! - [`Record`]: what a source said, in the source's own field names, never renamed. Sigma rules are evaluated here.
//! - [`Event`]: the OCSF view of a record. Search, intelligence, cases and people use it.
//! - [`Finding`]: the verdict of a detector on one or more events, with its proof.
//!
//! Records and events keep their fields in a [`FieldMap`], a flat arena of (interned path, value) that is reused from
//! record to record; JSON objects exist only at the edges ([`Event::to_json`], [`Finding::to_json`]).
#![forbid(unsafe_code)]

pub mod attack;
mod entity;
mod event;
mod fields;
mod finding;
mod ids;
mod kind;
pub mod ocsf;
mod path;
mod product;
mod record;
pub mod search;
mod severity;
mod time;

pub use entity::{Entity, EntityKind, EntityRole, canonical_ip};
pub use event::Event;
pub use fields::{FieldMap, TextWriter, Value};
pub use finding::{
    Considered, Correlated, CorrelatedEvent, Direction, Evidence, FieldMatch, Finding, Outcome, Place,
    RuleInfo, RuleKind, Span,
};
pub use ids::{EventUid, FindingUid, IncidentId, ParseIdError, SourceId, TenantId};
pub use kind::{Kinds, Watch, Watched};
pub use path::PathId;
pub use product::{Product, UNKNOWN_PRODUCT};
pub use record::{Format, Record};
pub use severity::Severity;
pub use time::{ParseTimestampError, Timestamp};

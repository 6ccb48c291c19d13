//! Groups findings into incidents by shared entities, and keeps their state machine and timeline.
#![forbid(unsafe_code)]

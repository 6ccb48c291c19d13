//! Fixtures and helpers for tests: sample records, corpora when present, a fake clock.
#![forbid(unsafe_code)]

mod corpus;

pub use corpus::corpus;

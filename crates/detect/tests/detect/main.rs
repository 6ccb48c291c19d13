//! Tests of the detection room through its public interface.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests stop where something is missing, as tests do"
)]

mod authoring;
mod corpora;
mod correlation;
mod decisions;
mod diagnostics;
mod differential;
mod modifiers;
mod pipeline;
mod property;
mod routing;
mod schema;
mod semantics;
mod support;
mod verdict;

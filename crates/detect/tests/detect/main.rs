//! Tests of the detection room through its public interface.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests stop where something is missing, as tests do"
)]

mod corpora;
mod correlation;
mod diagnostics;
mod pipeline;
mod property;
mod semantics;
mod support;
mod verdict;

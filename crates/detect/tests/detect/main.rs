//! Tests of the detection room through its public interface.
#![expect(clippy::unwrap_used, reason = "helpers of tests stop where something is missing, as tests do")]

mod corpora;
mod semantics;
mod support;

//! Compiles Sigma rules and runs them over records, with an explanation for every verdict.
#![forbid(unsafe_code)]

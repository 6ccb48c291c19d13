//! The platform from outside: the real binary on a port of its own, over HTTP, syslog and files.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test says what went wrong by panicking"
)]

mod bad_input;
mod compat;
mod crash;
mod door;
mod first_day;
mod harness;
mod otlp;
mod overload;
mod rules;
mod search;
mod sources;
mod windows;

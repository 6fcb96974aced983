//! Whole nodes in virtual time: see the crate's own words.

#![expect(
    clippy::indexing_slicing,
    clippy::let_underscore_must_use,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test that cannot go on fails"
)]

mod recovery;
mod schedule;
mod world;
mod worlds;

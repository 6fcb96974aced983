//! Whole nodes in virtual time: see the crate's own words.

mod recovery;
mod schedule;
mod world;

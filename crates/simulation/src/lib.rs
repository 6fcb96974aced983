//! Whole nodes, clients and endpoints in virtual time on a virtual network: tests only.
//!
//! A simulated node is the real engine and the real ingest on the real SQLite store; only its clock, its chance and its
//! connections are the world's. Hours of retries pass in milliseconds. A seed decides everything: what clients post, what
//! operators change, how endpoints answer, and what goes wrong where. A seed that fails is run again and fails again.
//!
//! ```text
//!  plan ─▶ clients ─▶ ingest ─▶ store (SQLite, inline, in a directory) ◀─ engine ─▶ net ─▶ receivers
//!                                 ▲            ▲                            ▲        ▲
//!               faults: fail points · full, busy, slow disk · clock set · links cut · kills
//!  history ◀── everything that happened ──▶ invariants
//! ```
//!
//! *To add a fault*: a fail point (`domain::failpoint::POINTS`), or a variant of [`plan::Incident`].
//! *To add an invariant*: see [`invariant`].

#![expect(
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a simulation that cannot go on fails"
)]

pub mod chance;
mod client;
pub mod clock;
pub mod faults;
pub mod history;
mod incident;
pub mod invariant;
pub mod net;
pub mod node;
mod operator;
mod outcome;
pub mod plan;
mod receiver;
mod world;

pub use outcome::{Outcome, Tally};
pub use world::run;

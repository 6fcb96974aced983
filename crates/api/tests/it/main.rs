//! The HTTP edge through its router, over a real store.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "helpers of tests are tests too; answers are read through `Limited`"
)]

mod audit;
mod auth;
mod bodies;
mod captures;
mod catalogue;
mod contract;
mod destinations;
mod endpoints;
mod erasures;
mod events;
mod evidence;
mod findings;
mod graphql;
mod hostile;
mod idempotency;
mod ingress;
mod isolation;
mod lists;
mod members;
mod poam;
mod problems;
mod replays;
mod reports;
mod room;
mod rules;
mod running;
mod scans;
mod server;
mod snyk;
mod verify;
mod world;

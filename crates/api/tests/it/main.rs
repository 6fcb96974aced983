//! The HTTP edge through its router, over a real store.

mod auth;
mod bodies;
mod contract;
mod endpoints;
mod events;
mod idempotency;
mod isolation;
mod lists;
mod problems;
mod scans;
mod server;
mod snyk;
mod world;

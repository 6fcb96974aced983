//! Watchbell's loops: they speak to ports and to the network, and never see SQL or axum.
//!
//! - [`net`]: where we may connect, and how: address guard, resolver, TLS, connections.
//! - [`delivery`]: claim → encode → sign → send → settle.
//! - [`ingest`]: what comes in (events, scanners' reports) becomes events with deliveries in one commit.
//! - [`evidence`]: documents that are uploaded, kept, and read in the background.
//! - [`receive`]: what vendors call with: judged, kept as receipts, made into events.
//! - [`spool`]: large bodies on their way.
//! - [`upkeep`]: what is done beside: forgetting what is old.
//! - [`catalogue`]: an organisation's own event types, and whether data fits them.
//! - [`admin`]: what operators do (organisations, keys, endpoints), as values ready for the store.

pub mod admin;
pub mod catalogue;
pub mod delivery;
pub mod evidence;
pub mod ingest;
pub mod net;
pub mod receive;
pub mod spool;
pub mod upkeep;

//! Watchbell's rules, values in and values out, and the ports that the loops need.
//!
//! Nothing in here knows SQL, HTTP or tokio. The entities are plain values; what may happen to them are functions
//! ([`route::decide`], [`retry::decide`], …) that take everything they need, time and chance included. The only `async` is
//! in the signatures of [`port`].
//!
//! *To add a rule*: a function of values in the module of its area, a property test beside it.
//! *To add a storage query*: a method on a port in [`port`], its SQL in every backend, one conformance test.

pub mod access;
pub mod advisory;
pub mod audit;
pub mod capture;
pub mod custom_type;
pub mod delivery;
pub mod endpoint;
pub mod event;
pub mod evidence;
pub mod failpoint;
pub mod finding;
pub mod id;
pub mod member;
pub mod notice;
pub mod org;
pub mod poam;
pub mod port;
pub mod receipt;
pub mod retry;
pub mod route;
pub mod scan;
pub mod scan_run;
pub mod snapshot;
pub mod source;
pub mod training;
pub mod zone;

pub use jiff::{SignedDuration, Timestamp};

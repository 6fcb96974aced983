//! Watchbell's HTTP edge: REST, vendors' APIs, contract, operation.
//!
//! ```text
//!  connection ─▶ serve ─▶ edge (id, limits, panics, problems) ─▶ auth ─▶ rest | vendor | graphql ─▶ engine ─▶ ports
//!                                                            └─▶ ingress (a source's own secret proves the caller)
//! ```
//!
//! A handler parses, calls one port, renders. It takes the ports it uses as axum substates; only [`Edge`] knows them
//! all. It reaches an organisation through [`auth::Tenant`] alone, and fails with a [`problem::Problem`].
//!
//! *To add a route*: a handler with `#[utoipa::path]` in the file of its area, one line in that file's `routes`, and
//! `cargo test -p watchbell-api` says what else is missing (the committed `openapi.json`, a row of the tenant table).
//! *To add a problem*: a variant in [`problem`] and a page in `docs/problems/`.

pub mod auth;
pub mod body;
pub mod capture;
mod clock;
mod edge;
pub mod graphql;
mod ingress;
pub mod limits;
pub mod metrics;
mod once;
mod org_names;
pub mod page;
mod path;
pub mod problem;
mod rest;
mod vendor;

pub use edge::{Edge, Options, Parts, openapi};
pub use rest::Diagnosed;
/// The connections that requests come over.
pub use watchbell_serve as serve;

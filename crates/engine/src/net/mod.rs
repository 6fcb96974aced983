//! The network seams: they speak bytes, which no rule should.
//!
//! ```text
//!  Client ──▶ Peer (an endpoint's own sockets) ──▶ Connector ──▶ Resolver, guard, Dial, (proxy,) TLS
//! ```
//!
//! [`guard`] judges, [`resolver`] looks up, [`connector`] dials only what was judged, [`client`] makes one exchange under
//! one deadline. Nothing here retries on a schedule or knows what a delivery is; a failure is a [`fault::Fault`] value.

pub mod client;
pub mod connector;
pub mod fault;
pub mod guard;
pub mod identity;
pub mod mask;
pub mod proxy;
pub mod resolver;
pub mod tls;

mod answer;
mod casing;
mod http1;
mod http2;
pub(crate) mod oauth2;
mod peer;
mod request;
mod socket;
mod verifier;
mod watched;

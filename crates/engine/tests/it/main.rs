//! The engine against real sockets on loopback, in time that only tests move.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unimplemented,
    reason = "helpers of tests fail as tests do"
)]

mod carriers;
mod catching_up;
mod credentials;
mod delivering;
mod dns;
mod endings;
mod faults;
mod http2;
mod isolation;
mod sockets;
mod stopping;
mod support;
mod tls;
mod together;
mod ways;

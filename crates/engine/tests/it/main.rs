//! The engine against real sockets on loopback, in time that only tests move.

mod delivering;
mod dns;
mod faults;
mod isolation;
mod sockets;
mod stopping;
mod support;
mod tls;

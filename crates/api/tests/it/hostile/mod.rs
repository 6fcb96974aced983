//! Hostile clients: the rows C1–C17 of the list of bad inputs (`docs/testing.md`), and of B what the wire has a part in,
//! over loopback, to the byte.

mod bodies;
mod crowd;
mod framing;
mod http2;
mod paths;
mod slow;

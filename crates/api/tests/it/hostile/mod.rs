//! Hostile clients: the rows C1–C17 of the list of bad inputs (`docs/testing.md`), over loopback, to the byte.

mod crowd;
mod framing;
mod http2;
mod paths;
mod slow;

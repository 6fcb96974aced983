//! claim → encode → sign → send → settle.
//!
//! ```text
//!  store ── just made, claimed ──▶ ┐
//!  store ◀── claim what waits ───▶ ├─ line ─ in turn ─▶ attempt (a task each): send::…, net::client, domain::retry::decide
//!                     Service      ┘                          │
//!  store ◀── settle, many together ─── outcomes ◀─────────────┘
//! ```
//!
//! A delivery that is made while its endpoint has room is claimed in the commit that makes it, and handed over. Others
//! wait in the store, of which only is known *which endpoints* have something due, and are claimed as room comes. So memory
//! grows with endpoints and windows, not with what waits. Each endpoint has a window of its own, so one that hangs holds
//! nothing but its window, and organisations and endpoints with something to send take turns.
//!
//! The store is asked every few seconds what is due; that is the truth, and what it says by itself only makes it faster.

mod attempt;
mod breaker;
pub(crate) mod bucket;
mod carrier;
mod handle;
mod lines;
mod observer;
mod options;
mod outcomes;
mod prepared;
mod questions;
mod schedule;
mod send;
mod service;
mod steady;
mod supervised;

pub use handle::{Handle, Woken};
pub use observer::Observer;
pub use options::{Options, OptionsError};
pub use service::{Parts, Service};
pub use supervised::Supervised;

//! claim → encode → sign → send → settle.
//!
//! ```text
//!  Handle ─ hints ─▶ Service ── claim ──▶ store
//!                       │  ◀─ deliveries ─┘
//!                       ├─▶ attempt (a task each): send::…, net::client, domain::retry::decide
//!                       │        └── settle ──▶ store
//!                       ◀─ done ─┘
//! ```
//!
//! What is due is known per *endpoint* only; what waits, waits in the store. A delivery is claimed when there is room to
//! send it at once, never before. Each endpoint has a window of its own, so one that hangs holds nothing but its window,
//! and endpoints with something due take turns.
//!
//! The store is asked every few seconds what is due; that is the truth, and hints only make it faster.

mod attempt;
mod handle;
mod observer;
mod options;
mod prepared;
mod schedule;
mod send;
mod service;
mod steady;

pub use handle::{Handle, Woken};
pub use observer::Observer;
pub use options::{Options, OptionsError};
pub use service::{Parts, Service};

//! Webhook formats of security tools, in both directions: sign, verify, encode, decode.
//!
//! ```text
//!  send     Event ──encode──▶ body ──headers (sign)──▶ request
//!  receive  request ──Unverified::verify──▶ Verified ──decode──▶ Decoded { events }
//! ```
//!
//! Nothing in here does I/O, reads a clock or is `async`: bytes and times come in as arguments. A vendor's format is one
//! file in [`dialect`]; the list of all of them is [`dialect::ALL`]. What events mean is in [`event`]: one vocabulary
//! that every dialect is translated to and from.
//!
//! Received bytes are [`Unverified`]; only [`Unverified::verify`], which consumes them, yields [`Verified`], and only
//! [`Verified`] can be decoded. There is no other way to an event.
//!
//! *To add a dialect*: write `dialect/<vendor>.rs` with a `pub(super) static DIALECT: Dialect` and add one line to
//! `dialect::ALL`. The law tests, the vectors runner and the fuzz targets pick it up from there.

#![deny(missing_docs)]

pub mod dialect;
pub mod event;
pub mod json;

mod envelope;
mod explain;
mod secret;
mod signature;

pub use dialect::{Dialect, Header, Message};
pub use envelope::{Decoded, Headers, Reason, Refusal, Unverified, Verified};
pub use event::{Data, Event, EventType, Severity};
pub use secret::{Key, Secret, SecretError};

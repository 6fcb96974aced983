//! Webhook formats of security tools, in both directions: sign, verify, encode, decode.
//!
//! ```text
//!  send     Event ──encode──▶ body ──headers (sign)──▶ request
//!  receive  request ──Unverified::verify──▶ Verified ──decode──▶ Decoded { events }
//! ```
//!
//! ```
//! use jiff::{SignedDuration, Timestamp};
//! use watchbell_wire::{Headers, Secret, Unverified, dialect};
//!
//! let snyk = dialect::find("snyk").ok_or("unknown dialect")?;
//! let keys = [snyk.secrets.key(&Secret::new("a8be22bb7bed43a3ac24de3580093560"))?];
//! let headers: Headers = [
//!     ("X-Snyk-Event", "ping/v0"),
//!     ("X-Hub-Signature", "sha256=d5ca4bacc32bac605a08061007d5249dc59e05cae6bd00ba0c6a0276acf69aeb"),
//! ]
//! .into_iter()
//! .collect();
//! let request = Unverified::new(headers, r#"{"webhookId":"d3cf26b3-2d77-497b-bce2-23b33cc15362"}"#);
//! let verified = request.verify(snyk, &keys, Timestamp::UNIX_EPOCH, SignedDuration::from_mins(5))?;
//! assert_eq!(verified.decode()?.vendor_event, "ping");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Nothing in here does I/O, reads a clock or is `async`: bytes and times come in as arguments. A vendor's format is one
//! file in [`dialect`]; the list of all of them is [`dialect::ALL`]. What events mean is in [`event`]: one vocabulary
//! that every dialect is translated to and from.
//!
//! Received bytes are [`Unverified`]; only [`Unverified::verify`], which consumes them, yields [`Verified`], and only
//! [`Verified`] can be decoded. Beside it there is [`Unverified::vouched`], for a kept request that a person takes on their
//! own word; nothing that comes off the network goes that way.
//!
//! Why a request is refused, in words a sender's developer understands, is asked of [`diagnosis`].
//!
//! *To add a dialect*: write `dialect/<vendor>.rs` with a `pub(super) static DIALECT: Dialect` and add one line to
//! `dialect::ALL`. The law tests, the vectors runner and the fuzz targets pick it up from there.

#![deny(missing_docs)]

pub mod diagnosis;
pub mod dialect;
pub mod event;
pub mod expression;
pub mod json;
pub mod length;

mod envelope;
mod percent;
mod secret;
mod signature;

pub use dialect::{Dialect, Header, Message, Settings};
pub use envelope::{Decoded, Headers, Reason, Refusal, Unverified, Verified};
pub use event::{Data, Event, EventType, Severity};
pub use secret::{Key, Secret, SecretError};

//! What the rules and loops need from outside: time, chance, and storage.
//!
//! A storage method is one atomic unit of work in its caller's words, not a table: [`EventStore::accept`] writes an event
//! and all its deliveries in one commit, [`DeliveryStore::settle`] an attempt and the next state. When a method has
//! answered `Ok`, what it says is on disk, synced.
//!
//! Every method that touches an organisation's data takes the organisation first and sees nothing of another.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;

use jiff::{SignedDuration, Timestamp};

mod accept;
mod admin;
mod advisory;
mod audit;
mod capture;
mod custom_type;
mod deliver;
mod erase;
mod evidence;
mod finding;
mod poam;
mod replay;
mod retention;
mod scan;
mod scan_run;
mod source;
mod tenant;
#[cfg(feature = "testing")]
pub mod testing;
mod training;
mod watch;

pub use accept::*;
pub use admin::*;
pub use advisory::*;
pub use audit::*;
pub use capture::*;
pub use custom_type::*;
pub use deliver::*;
pub use erase::*;
pub use evidence::*;
pub use finding::*;
pub use poam::*;
pub use replay::*;
pub use retention::*;
pub use scan::*;
pub use scan_run::*;
pub use source::*;
pub use tenant::*;
pub use training::*;
pub use watch::*;

/// A storage call under way. Boxed so that the ports are object-safe.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Time. Both halves: reading it and waiting for it.
pub trait Clock: Send + Sync + Debug {
    /// Wall-clock time.
    fn now(&self) -> Timestamp;

    /// Time since some fixed moment, which no adjustment of the wall clock touches.
    fn monotonic(&self) -> SignedDuration;

    /// Returns when [`Self::monotonic`] has grown by `wait`.
    fn sleep(&self, wait: SignedDuration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// Chance.
pub trait Entropy: Send + Sync + Debug {
    /// Fills `bytes` with random ones, fit for keys.
    fn fill(&self, bytes: &mut [u8]);
}

/// Everything a node stores. The wiring holds this; a handler takes the ports it uses.
pub trait Store:
    OrgStore
    + KeyStore
    + EndpointStore
    + EventStore
    + DeliveryStore
    + ProjectStore
    + FindingStore
    + RoomStore
    + RetentionStore
    + ReplayStore
    + ErasureStore
    + AdvisoryStore
    + EvidenceStore
    + AuditStore
    + WatchStore
    + MemberStore
    + GroupStore
    + PoamStore
    + TrainingStore
    + ScanRunStore
    + CustomTypeStore
    + CaptureStore
    + SourceStore
    + ReceiptStore
{
}

impl<T> Store for T where
    T: OrgStore
        + KeyStore
        + EndpointStore
        + EventStore
        + DeliveryStore
        + ProjectStore
        + FindingStore
        + RoomStore
        + RetentionStore
        + ReplayStore
        + ErasureStore
        + AdvisoryStore
        + EvidenceStore
        + AuditStore
        + WatchStore
        + MemberStore
        + GroupStore
        + PoamStore
        + TrainingStore
        + ScanRunStore
        + CustomTypeStore
        + CaptureStore
        + SourceStore
        + ReceiptStore
{
}

/// What a store says of itself.
pub trait RoomStore: Send + Sync {
    /// Whether it takes what is added. While it does not, additions answer [`StoreError::Full`], and what was begun can
    /// still be settled.
    fn has_room(&self) -> Pending<'_, bool>;
}

/// Why a storage call failed. Nothing was changed, except after `Unavailable`, when that is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store cannot take or answer anything now: disk full, database gone. Worth trying again.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The disk has no room (or no more than is kept in reserve).
    #[error("the store has no room left")]
    Full,
    /// Something else got there first: a name is taken, a version moved on.
    #[error("conflict: {0}")]
    Conflict(&'static str),
    /// The claim is not ours any more; somebody else settled or reclaimed the delivery.
    #[error("the lease is lost")]
    LeaseLost,
    /// A row holds what it cannot hold.
    #[error("corrupt row in {table}.{column} of {id}: {problem}")]
    Corrupt {
        /// Table.
        table: &'static str,
        /// Column.
        column: &'static str,
        /// Row.
        id: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// Makes a write happen once however often it is sent: the client's `Idempotency-Key` and the answer to give.
///
/// The answer is known before the commit (ids are made by the caller), so it is stored in the same commit as the write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    /// The client's key, unique within organisation and route.
    pub key: String,
    /// SHA-256 of method, path and body: the same key with another request is a conflict.
    pub request: [u8; 32],
    /// What is answered, now and on every repetition.
    pub answer: Answer,
}

/// An HTTP answer as it was first given. Stored sealed, since it may hold a secret that is shown once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// JSON body.
    pub body: Vec<u8>,
}

/// The outcome of a write that may be a repetition.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Written<T> {
    /// It was done now.
    Fresh(T),
    /// It had been done before; this was the answer.
    Repeated(Answer),
    /// The key was used before, with another request.
    KeyReused,
}

/// One page of a list, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The entries.
    pub items: Vec<T>,
    /// Whether more follow after the last.
    pub more: bool,
}

/// Which page: entries older than `before`, at most `limit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    /// The last id of the page before; ids sort by time.
    pub before: Option<uuid::Uuid>,
    /// At most 250.
    pub limit: u16,
}

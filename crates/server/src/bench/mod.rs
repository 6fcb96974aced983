//! The bench: the whole path on the machine it stands on, held against what that machine takes at the least.
//!
//! ```text
//!  load ──HTTP──▶ watchbell serve ──HTTP(S)──▶ sink          deliver: what the server takes
//!  direct ────────────HTTP(S)────────────────▶ sink, rows, flushes      floor: what nobody can save
//! ```
//!
//! The server is a child process ([`child`]), so that its processor time and memory are its own; load and sink are threads
//! of this process, each with its processor time counted. Everything is on loopback, in a folder that is removed. A run
//! ends when everything arrived, or with an error that says what is missing.

mod child;
mod deliver;
mod direct;
mod event;
mod floor;
mod http;
mod load;
mod measure;
mod receive;
mod receiver;
mod report;
mod scan;
mod sink;

use std::future::Future;
use std::io::IsTerminal as _;
use std::path::Path;

use tempfile::TempDir;
use tokio::sync::oneshot;
use watchbell_wire::Dialect;

pub(crate) use deliver::{Options as DeliverOptions, run as deliver};
pub(crate) use event::DATA_BYTES_MIN;
pub(crate) use floor::{Options as FloorOptions, run as floor};
pub(crate) use receive::{Options as ReceiveOptions, run as receive};
pub(crate) use scan::{Options as ScanOptions, run as scan};

use crate::client;

/// The dialect of all endpoints: the one that carries events of any type.
const DIALECT: &str = "standard";

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Something could not be made ready.
    #[error("the bench cannot be set up: {0}")]
    SetUp(String),
    /// A file of the run.
    #[error("a file of the bench: {0}")]
    File(#[source] std::io::Error),
    /// A connection of the run.
    #[error("a connection of the bench: {0}")]
    Socket(#[source] std::io::Error),
    /// The operating system does not say what is asked.
    #[error("{0} cannot be read: {1}")]
    Proc(&'static str, #[source] std::io::Error),
    /// The database of the floor.
    #[error(transparent)]
    Rows(#[from] watchbell_store::floor::Error),
    /// The server answered the setting up with a refusal, or not at all.
    #[error("the server: {0}")]
    Client(#[from] client::Error),
    /// The server did not take an event.
    #[error("the server did not accept an event: {0}")]
    Refused(String),
    /// A thread panicked.
    #[error("the thread {0:?} of the bench ended early")]
    Thread(&'static str),
    /// Nothing comes any more, and something is missing.
    #[error("{0}")]
    Missing(String),
    /// What arrived is not what a receiver accepts.
    #[error("a delivery that arrived is not genuine: {0}")]
    NotGenuine(String),
}

/// Runs `work` in a thread of its own, now; the future is its end. An end that nobody waits for is no loss.
fn in_thread<T: Send + 'static>(
    name: &'static str,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> impl Future<Output = Result<T, Error>> {
    let (tell, told) = oneshot::channel();
    let thread = std::thread::Builder::new().name(format!("bench {name}"));
    let spawned = thread.spawn(move || tell.send(work()).is_ok());
    async move {
        spawned.map_err(|_| Error::Thread(name))?;
        told.await.map_err(|_| Error::Thread(name))?
    }
}

/// A folder that goes when it is dropped.
fn folder(parent: Option<&Path>) -> Result<TempDir, Error> {
    let mut builder = tempfile::Builder::new();
    let builder = builder.prefix("watchbell-bench-");
    match parent {
        Some(parent) => builder.tempdir_in(parent),
        None => builder.tempdir(),
    }
    .map_err(Error::File)
}

fn dialect() -> Result<&'static Dialect, Error> {
    watchbell_wire::dialect::find(DIALECT).ok_or_else(|| Error::SetUp(format!("there is no dialect {DIALECT}")))
}

/// What is going on, for somebody who waits.
fn say(what: &str) {
    if std::io::stderr().is_terminal() {
        crate::cli::output::remark(what);
    }
}

//! Puts a node together from its parts and runs it.

use std::net::SocketAddr;
use std::path::PathBuf;

use watchbell_wire::Secret;

use crate::config::Config;

/// Why a node cannot start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// Another process has the data directory.
    #[error("another process has the data directory {}", data.display())]
    Locked { data: PathBuf },
    /// The database is damaged.
    #[error("the database in {} is damaged: {problem}", data.display())]
    Corrupt { data: PathBuf, problem: String },
    /// The key file is missing, unsafe or another one.
    #[error("the key file cannot be used: {problem}")]
    KeyFile { problem: String },
    /// A setting that only shows to be wrong when it is used.
    #[error("{key}: {problem}")]
    Setting { key: &'static str, problem: String },
    /// The address is taken.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        address: SocketAddr,
        source: std::io::Error,
    },
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// A running node.
#[derive(Debug)]
pub(crate) struct Node {
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Node {
    pub(crate) async fn start(_config: &Config, _admin_key: Option<Secret>) -> Result<Self, StartError> {
        Err(StartError::Other("not wired".to_owned()))
    }

    pub(crate) async fn stop(self) {}
}

pub(crate) async fn serve(_config: &Config, _admin_key: Option<Secret>) -> Result<(), StartError> {
    Err(StartError::Other("not wired".to_owned()))
}

/// Resolves at the first SIGTERM or SIGINT.
pub(crate) async fn asked_to_stop() {
    std::future::pending().await
}

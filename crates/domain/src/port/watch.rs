//! What was committed, told to whoever shows it live.
//!
//! A hint and no record: it is told once, in memory, on the node that committed it. What it names is read through the
//! other ports.

use std::fmt::Debug;
use std::sync::Arc;

use crate::id::{DeliveryId, EventId, OrgId};

/// Something that was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// An event was accepted.
    Event {
        /// Whose.
        org: OrgId,
        /// Which.
        id: EventId,
    },
    /// A delivery was made, or changed its state.
    Delivery {
        /// Whose.
        org: OrgId,
        /// Which.
        id: DeliveryId,
    },
}

impl Change {
    /// Whose it is.
    pub fn org(&self) -> OrgId {
        match self {
            Self::Event { org, .. } | Self::Delivery { org, .. } => *org,
        }
    }
}

/// Is told of changes. Called by the store behind a commit: nothing here may wait.
pub trait Watcher: Send + Sync + Debug {
    /// Whether anybody wants to know at all: what nobody watches is not gathered.
    fn is_watching(&self) -> bool;

    /// These are on disk.
    fn committed(&self, changes: Vec<Change>);
}

/// Telling of changes.
pub trait WatchStore: Send + Sync {
    /// From now on `watcher` is told. Said once, by the edge of the node.
    fn watch(&self, watcher: Arc<dyn Watcher>);
}

//! What a commit changed, told to whoever watches, behind the commit.

use std::sync::{Arc, OnceLock};

use watchbell_domain::port::{Change, WatchStore, Watcher};

use super::SqliteStore;

/// Who watches. Not there until somebody says so.
#[derive(Debug, Clone, Default)]
pub(super) struct WatcherSlot(Arc<OnceLock<Arc<dyn Watcher>>>);

impl WatchStore for SqliteStore {
    fn watch(&self, watcher: Arc<dyn Watcher>) {
        if self.watcher.0.set(watcher).is_err() {
            tracing::error!("a second watcher wants what the first one gets");
        }
    }
}

/// What the running group of units has to tell.
#[derive(Debug, Default)]
pub(super) struct Told {
    slot: WatcherSlot,
    changes: Vec<Change>,
    /// How many there were when the running unit began.
    before_unit: usize,
}

impl Told {
    pub(super) fn new(slot: WatcherSlot) -> Self {
        Self { slot, ..Self::default() }
    }

    /// While nobody watches this costs a look.
    pub(super) fn tell(&mut self, change: Change) {
        if self.slot.0.get().is_some_and(|watcher| watcher.is_watching()) {
            self.changes.push(change);
        }
    }

    /// What a failed unit wanted to tell did not happen.
    pub(super) fn unit_ended(&mut self, done: bool) {
        if !done {
            self.changes.truncate(self.before_unit);
        }
        self.before_unit = self.changes.len();
    }

    /// The group is durable.
    pub(super) fn committed(&mut self) {
        self.before_unit = 0;
        if let (Some(watcher), false) = (self.slot.0.get(), self.changes.is_empty()) {
            watcher.committed(std::mem::take(&mut self.changes));
        }
    }

    /// The group was not committed.
    pub(super) fn abandoned(&mut self) {
        self.before_unit = 0;
        self.changes.clear();
    }
}

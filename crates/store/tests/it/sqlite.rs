//! Opening stores for tests.

use std::path::Path;
use std::sync::Arc;

use watchbell_domain::Timestamp;
use watchbell_domain::port::testing::{ManualClock, SeededEntropy};
use watchbell_store::conformance::{Opened, dialects};
use watchbell_store::seal::{SealingKey, SealingKeys};
use watchbell_store::sqlite::{FileSystem, OpenOptions, SqliteStore, Threads};

pub(crate) fn options(directory: &Path) -> OpenOptions {
    let entropy = SeededEntropy::new(1);
    OpenOptions {
        directory: directory.to_owned(),
        keys: SealingKeys::new(SealingKey::make(&entropy), Vec::new()),
        entropy: Arc::new(entropy),
        clock: Arc::new(ManualClock::at(Timestamp::from_second(1_800_000_000).unwrap())),
        find_dialect: dialects::find,
        threads: Threads::default(),
        min_free_bytes: 0,
        free_space: Arc::new(FileSystem),
        longest_wait: watchbell_domain::SignedDuration::from_hours(27),
        disable_after: Some(watchbell_domain::SignedDuration::from_hours(120)),
    }
}

pub(crate) async fn open_empty() -> Opened {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(options(directory.path())).unwrap();
    Opened { store: Arc::new(store), keep: Box::new(directory) }
}

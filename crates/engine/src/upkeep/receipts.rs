//! Receipts and the names they are known by go by age, a few in one commit, with a rest that is longer than the work.

use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;
use watchbell_domain::port::{Clock, Forgetting, Forgotten, ReceiptStore, StoreError};
use watchbell_domain::receipt::DEDUP_WINDOW;

/// How old is too old, and how much at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// `ingress.dedup_window`
    pub dedup_window: SignedDuration,
    /// `ingress.receipts_max_age`; `None`: never.
    pub age_max: Option<SignedDuration>,
    /// `ingress.receipts_max_bytes` of one source; `None`: no limit.
    pub source_bytes_max: Option<u64>,
    /// Rows of each kind that one commit removes, at most.
    pub removed_max: u32,
    /// Between two commits when there is more: so many times as long as the one before took.
    pub rest_factor: i32,
    /// No rest is shorter.
    pub rest_min: SignedDuration,
    /// Between two looks when there is nothing.
    pub look_every: SignedDuration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            dedup_window: DEDUP_WINDOW,
            age_max: Some(SignedDuration::from_hours(30 * 24)),
            source_bytes_max: Some(1 << 30),
            removed_max: 200,
            rest_factor: 3,
            rest_min: SignedDuration::from_millis(5),
            look_every: SignedDuration::from_mins(1),
        }
    }
}

/// Forgets receipts. One for each store.
pub struct Service {
    options: Options,
    store: Arc<dyn ReceiptStore>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Service {
    /// The loop, not running yet.
    pub fn new(options: Options, store: Arc<dyn ReceiptStore>, clock: Arc<dyn Clock>) -> Self {
        Self { options, store, clock }
    }

    /// Forgets until `shutdown`. A step under way is let go: it is a commit or it is not.
    pub async fn run(self, shutdown: CancellationToken) {
        let work = async {
            loop {
                let began = self.clock.monotonic();
                let more = match self.step().await {
                    Ok(gone) => gone.keys.max(gone.receipts) >= u64::from(self.options.removed_max),
                    Err(problem) => {
                        tracing::warn!(%problem, "old receipts could not be removed");
                        false
                    }
                };
                let took = self.clock.monotonic() - began;
                let rest = (took * self.options.rest_factor).max(self.options.rest_min);
                self.clock.sleep(if more { rest } else { self.options.look_every }).await;
            }
        };
        shutdown.run_until_cancelled(work).await;
    }

    /// One commit's worth.
    ///
    /// # Errors
    /// The store's.
    pub async fn step(&self) -> Result<Forgotten, StoreError> {
        let now = self.clock.now();
        let before = |age| now.saturating_sub(age).unwrap_or(Timestamp::MIN);
        let forgetting = Forgetting {
            keys_before: before(self.options.dedup_window),
            receipts_before: self.options.age_max.map(before),
            source_bytes_max: self.options.source_bytes_max,
            limit: self.options.removed_max,
        };
        self.store.forget_receipts(forgetting).await
    }
}

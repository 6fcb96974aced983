//! Capture inboxes that have expired, and requests that have become too old: removed a few at a time.

use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;
use watchbell_domain::capture::REQUEST_AGE_MAX;
use watchbell_domain::port::{CaptureStore, Clock, StoreError};

/// How often, and how much at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How often the store is asked.
    pub poll_every: SignedDuration,
    /// Rows that one step removes.
    pub rows_a_step: u32,
    /// Between two steps.
    pub rest: SignedDuration,
    /// How long a request is kept at most (`capture.max_request_age`).
    pub request_age_max: SignedDuration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            poll_every: SignedDuration::from_mins(1),
            rows_a_step: 100,
            rest: SignedDuration::from_millis(20),
            request_age_max: REQUEST_AGE_MAX,
        }
    }
}

/// Removes what is old. One for each store.
pub struct Service {
    options: Options,
    store: Arc<dyn CaptureStore>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Service {
    /// The loop, not running yet.
    pub fn new(options: Options, store: Arc<dyn CaptureStore>, clock: Arc<dyn Clock>) -> Self {
        Self { options, store, clock }
    }

    /// Works until `shutdown`. A step under way is let go: it is a commit or it is not.
    pub async fn run(self, shutdown: CancellationToken) {
        let work = async {
            loop {
                if let Err(problem) = self.pass().await {
                    tracing::warn!(%problem, "old captures were not removed");
                }
                self.clock.sleep(self.options.poll_every).await;
            }
        };
        shutdown.run_until_cancelled(work).await;
    }

    async fn pass(&self) -> Result<(), StoreError> {
        loop {
            let now = self.clock.now();
            let before = now.saturating_sub(self.options.request_age_max).unwrap_or(Timestamp::MIN);
            let gone = self.store.expire_captures(now, before, self.options.rows_a_step).await?;
            if gone < u64::from(self.options.rows_a_step) {
                return Ok(());
            }
            self.clock.sleep(self.options.rest).await;
        }
    }
}

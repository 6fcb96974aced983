//! Erasures by subject: every event of an organisation is looked at, a few at a time, and a rest after each step.
//!
//! Where a search goes on is in the store, so it goes on after a crash as well.

use std::fmt;
use std::sync::Arc;

use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;
use watchbell_domain::port::{Clock, ErasureStore, StoreError};

/// How much at once, and how often it is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Events that one step looks at.
    pub looked_at_max: u32,
    /// How often the store is asked which searches run.
    pub poll_every: SignedDuration,
    /// A rest is so many times as long as the step before it.
    pub rest_factor: i32,
    /// No rest is shorter.
    pub rest_min: SignedDuration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            looked_at_max: 100,
            poll_every: SignedDuration::from_secs(1),
            rest_factor: 3,
            rest_min: SignedDuration::from_millis(2),
        }
    }
}

/// Carries erasures out. One for each store.
pub struct Service {
    options: Options,
    store: Arc<dyn ErasureStore>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Service {
    /// The loop, not running yet.
    pub fn new(options: Options, store: Arc<dyn ErasureStore>, clock: Arc<dyn Clock>) -> Self {
        Self { options, store, clock }
    }

    /// Erases until `shutdown`. A step under way is let go: it is a commit or it is not.
    pub async fn run(self, shutdown: CancellationToken) {
        let work = async {
            loop {
                if let Err(problem) = self.round().await {
                    tracing::warn!(%problem, "erasure step failed");
                }
                self.clock.sleep(self.options.poll_every).await;
            }
        };
        shutdown.run_until_cancelled(work).await;
    }

    /// Steps of all searches in turn, until none runs.
    async fn round(&self) -> Result<(), StoreError> {
        loop {
            let running = self.store.running_erasures().await?;
            if running.is_empty() {
                return Ok(());
            }
            for (org, id) in running {
                let began = self.clock.monotonic();
                let step = self.store.advance_erasure(org, id, self.options.looked_at_max, self.clock.now());
                if let Some(erasure) = step.await?
                    && erasure.ended_at.is_some()
                {
                    tracing::info!(erasure = %id, erased = erasure.erased, "erasure ended");
                }
                let took = self.clock.monotonic() - began;
                self.clock.sleep((took * self.options.rest_factor).max(self.options.rest_min)).await;
            }
        }
    }
}

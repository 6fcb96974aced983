//! Organisations that were suspended, resumed or deleted: what follows from it, a little at a time.
//!
//! Whoever changes the state takes the first steps himself, so that a small organisation is done when he is answered. This
//! loop takes the rest, and goes on after a crash.

use std::fmt;
use std::sync::Arc;

use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;
use watchbell_domain::id::OrgId;
use watchbell_domain::port::{Clock, OrgStore, StoreError};

/// Rows that one step removes.
pub const ROWS_A_STEP: u32 = 250;

/// How often the store is asked, and how long is rested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How often the store is asked which organisations are on their way.
    pub poll_every: SignedDuration,
    /// A rest is so many times as long as the step before it.
    pub rest_factor: i32,
    /// No rest is shorter.
    pub rest_min: SignedDuration,
}

impl Default for Options {
    fn default() -> Self {
        Self { poll_every: SignedDuration::from_secs(1), rest_factor: 3, rest_min: SignedDuration::from_millis(2) }
    }
}

/// Takes organisations to where their state says they are. One for each store.
pub struct Service {
    options: Options,
    store: Arc<dyn OrgStore>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Service {
    /// The loop, not running yet.
    pub fn new(options: Options, store: Arc<dyn OrgStore>, clock: Arc<dyn Clock>) -> Self {
        Self { options, store, clock }
    }

    /// Works until `shutdown`. A step under way is let go: it is a commit or it is not.
    pub async fn run(self, shutdown: CancellationToken) {
        let work = async {
            loop {
                if let Err(problem) = self.round().await {
                    tracing::warn!(%problem, "an organisation's step failed");
                }
                self.clock.sleep(self.options.poll_every).await;
            }
        };
        shutdown.run_until_cancelled(work).await;
    }

    /// Every organisation on its way, each as far as it goes now.
    async fn round(&self) -> Result<(), StoreError> {
        for org in self.store.unsettled_orgs().await? {
            let mut began = self.clock.monotonic();
            // What waits for an attempt to end goes in a later round.
            for _ in 0..STEPS_A_ROUND {
                if !self.store.settle_org(org, ROWS_A_STEP, self.clock.now()).await? {
                    break;
                }
                let took = self.clock.monotonic().saturating_sub(began);
                self.clock.sleep((took * self.options.rest_factor).max(self.options.rest_min)).await;
                began = self.clock.monotonic();
            }
        }
        Ok(())
    }
}

/// One organisation keeps the others waiting no longer than this.
const STEPS_A_ROUND: u32 = 1_000;

/// The first steps, for whoever has just changed the state. Answers whether that was all.
///
/// # Errors
/// What the store says. The loop goes on.
pub async fn begin(store: &dyn OrgStore, clock: &dyn Clock, org: OrgId) -> Result<bool, StoreError> {
    for _ in 0..FIRST_STEPS {
        if !store.settle_org(org, ROWS_A_STEP, clock.now()).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Steps that a request may take: a few hundred endpoints.
const FIRST_STEPS: u32 = 24;

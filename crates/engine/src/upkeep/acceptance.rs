//! Accepted risks end: the findings whose time is over are looked for and reopened, each with its event.
//!
//! What is due stands in the store, so a restart forgets nothing, and the wall clock is asked anew each time: one that
//! jumps ahead ends what it has passed, one that jumps back ends nothing twice.

use std::fmt;
use std::sync::Arc;

use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;
use watchbell_domain::port::{Clock, Entropy, FindingStore, StoreError};

use crate::ingest::judge;

/// How often is looked, and how many are taken at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How often the store is asked what is over.
    pub poll_every: SignedDuration,
    /// Findings of one look.
    pub taken_max: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { poll_every: SignedDuration::from_secs(5), taken_max: 100 }
    }
}

/// What the loop needs.
#[expect(missing_debug_implementations, reason = "ports are object-safe and say nothing about themselves")]
pub struct Parts {
    /// Findings.
    pub findings: Arc<dyn FindingStore>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance for ids.
    pub entropy: Arc<dyn Entropy>,
}

/// Ends accepted risks. One for each store.
pub struct Service {
    options: Options,
    parts: Parts,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Service {
    /// The loop, not running yet.
    pub const fn new(options: Options, parts: Parts) -> Self {
        Self { options, parts }
    }

    /// Works until `shutdown`. A finding under way is let go: it is a commit or it is not.
    pub async fn run(self, shutdown: CancellationToken) {
        let work = async {
            loop {
                if let Err(problem) = self.round().await {
                    tracing::warn!(%problem, "looking for accepted risks that have ended failed");
                }
                self.parts.clock.sleep(self.options.poll_every).await;
            }
        };
        shutdown.run_until_cancelled(work).await;
    }

    /// Ends what is over, until nothing is. How many findings it was.
    ///
    /// # Errors
    /// When the store fails; one finding that cannot be written does not keep the others.
    pub async fn round(&self) -> Result<u64, StoreError> {
        let Parts { findings, clock, entropy } = &self.parts;
        let mut ended = 0;
        loop {
            let now = clock.now();
            let lapsed = findings.lapsed(now, self.options.taken_max).await?;
            let before = ended;
            for named in lapsed {
                match judge::expire(&**findings, &**entropy, named, now).await {
                    Ok(Some(done)) => {
                        tracing::info!(finding = %done.finding.id, "an accepted risk has ended");
                        ended += 1;
                    }
                    Ok(None) => {}
                    Err(problem) => tracing::warn!(finding = %named.1, %problem, "an accepted risk could not be ended"),
                }
            }
            if ended == before {
                return Ok(ended);
            }
        }
    }
}

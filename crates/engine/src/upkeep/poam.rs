//! Plans of action ring: whatever is due is told, a few items in one commit.
//!
//! When an item rings next is in the store, and every look asks it with the wall clock of that moment: an item made
//! overdue rings with the next look, a clock that was set is believed at once, and a loop that was killed left nothing
//! half-done.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;
use watchbell_domain::port::{Clock, PoamStore, RingStep, Rung, StoreError};

/// How much at once, and how often it is looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Items that one commit takes, at most.
    pub items_max: u16,
    /// Between two looks when nothing is due. An item that is overdue when it is made waits no longer.
    pub look_every: SignedDuration,
    /// A rest between two commits when much is due.
    pub rest: SignedDuration,
}

impl Default for Options {
    fn default() -> Self {
        Self { items_max: 50, look_every: SignedDuration::from_secs(1), rest: SignedDuration::from_millis(5) }
    }
}

/// What the service counts.
#[derive(Debug, Default)]
pub struct Observer {
    rung: AtomicU64,
    unreadable: AtomicU64,
}

impl Observer {
    /// Plans that rang.
    pub fn rung(&self) -> u64 {
        self.rung.load(Ordering::Relaxed)
    }

    /// Plans that could not be read when they were due, each time it was tried.
    pub fn unreadable(&self) -> u64 {
        self.unreadable.load(Ordering::Relaxed)
    }

    fn saw(&self, rung: Rung) {
        self.rung.fetch_add(rung.rung.into(), Ordering::Relaxed);
        self.unreadable.fetch_add(rung.unreadable.into(), Ordering::Relaxed);
    }
}

/// Lets plans ring. One for each store is enough; several do no harm.
pub struct Service {
    options: Options,
    store: Arc<dyn PoamStore>,
    clock: Arc<dyn Clock>,
    observer: Arc<Observer>,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Service {
    /// The loop, not running yet.
    pub fn new(options: Options, store: Arc<dyn PoamStore>, clock: Arc<dyn Clock>, observer: Arc<Observer>) -> Self {
        Self { options, store, clock, observer }
    }

    /// Rings until `shutdown`. A step under way is let go: it is a commit or it is not.
    pub async fn run(self, shutdown: CancellationToken) {
        let work = async {
            loop {
                let more = match self.step().await {
                    Ok(rung) => rung.looked_at >= self.options.items_max,
                    Err(problem) => {
                        tracing::warn!(%problem, "plans of action could not ring");
                        false
                    }
                };
                let rest = if more { self.options.rest } else { self.options.look_every };
                self.clock.sleep(rest).await;
            }
        };
        shutdown.run_until_cancelled(work).await;
    }

    /// One look: what is due now rings.
    ///
    /// # Errors
    /// The store's.
    pub async fn step(&self) -> Result<Rung, StoreError> {
        let (now, limit) = (self.clock.now(), self.options.items_max);
        let rung = self.store.ring(RingStep { now, limit }).await?;
        self.observer.saw(rung);
        if rung.rung > 0 {
            tracing::debug!(rung = rung.rung, "plans of action rang");
        }
        Ok(rung)
    }
}

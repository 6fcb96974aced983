//! Replays that run as jobs: each makes its deliveries a few at a time, no faster than it was told to.
//!
//! ```text
//!  store ── running_replays ──▶ Service ── advance_replay (the job whose turn it is) ──▶ store
//!                                  └── endpoints with something due ──▶ delivery::Handle
//! ```
//!
//! Jobs take turns by when their next step is due, so a large one delays neither others nor, being throttled, what is
//! accepted and delivered meanwhile. Where a job goes on is in the store: nothing is lost, or doubled, by a crash.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;
use watchbell_domain::id::{OrgId, ReplayId};
use watchbell_domain::port::{Clock, Entropy, ReplayJob, ReplayState, ReplayStep, ReplayStore, StoreError};

use crate::delivery::Handle;
use crate::ingest::event::delivery_ids;

/// How much at once, and how often it is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Deliveries that one step makes, at most.
    pub made_max: u32,
    /// Deliveries that one step looks at, at most.
    pub looked_at_max: u32,
    /// How often the store is asked which jobs run.
    pub poll_every: SignedDuration,
    /// Between two steps of a job, at least.
    pub rest_min: SignedDuration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            made_max: 50,
            looked_at_max: 2_000,
            poll_every: SignedDuration::from_secs(1),
            rest_min: SignedDuration::from_millis(5),
        }
    }
}

/// What replaying needs.
pub struct Parts {
    /// Where jobs are.
    pub store: Arc<dyn ReplayStore>,
    /// Told what is due.
    pub wake: Handle,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parts")
    }
}

/// Runs the jobs. One for each store.
#[derive(Debug)]
pub struct Service {
    options: Options,
    parts: Parts,
    /// Running jobs, each with when its next step is due by the monotonic clock.
    turns: BTreeMap<(OrgId, ReplayId), Turn>,
}

#[derive(Debug)]
struct Turn {
    job: ReplayJob,
    at: SignedDuration,
}

impl Service {
    /// The loop, not running yet.
    pub const fn new(options: Options, parts: Parts) -> Self {
        Self { options, parts, turns: BTreeMap::new() }
    }

    /// Runs jobs until `shutdown`. A step under way is let go: it is a commit or it is not.
    pub async fn run(mut self, shutdown: CancellationToken) {
        shutdown.run_until_cancelled(self.work()).await;
    }

    async fn work(&mut self) {
        let clock = Arc::clone(&self.parts.clock);
        let mut poll_at = clock.monotonic();
        loop {
            let now = clock.monotonic();
            if now >= poll_at {
                poll_at = now + self.options.poll_every;
                if let Err(problem) = self.poll(now).await {
                    tracing::warn!(%problem, "running replays are not known");
                }
            }
            let first = self.turns.iter().map(|(key, turn)| (turn.at, *key)).min();
            match first {
                Some((at, key)) if at <= now => self.step(key).await,
                _ => {
                    let wake_at = first.map_or(poll_at, |(at, _)| at.min(poll_at));
                    clock.sleep(wake_at - now).await;
                }
            }
        }
    }

    async fn poll(&mut self, now: SignedDuration) -> Result<(), StoreError> {
        let running = self.parts.store.running_replays().await?;
        let mut turns = std::mem::take(&mut self.turns);
        for job in running {
            let key = (job.org_id, job.id);
            let at = turns.remove(&key).map_or(now, |turn| turn.at);
            self.turns.insert(key, Turn { job, at });
        }
        Ok(())
    }

    async fn step(&mut self, key: (OrgId, ReplayId)) {
        let Some(turn) = self.turns.get_mut(&key) else { return };
        let per_second = turn.job.per_second.get();
        let step = ReplayStep {
            org_id: key.0,
            id: key.1,
            looked_at: self.options.looked_at_max,
            // A tenth of a second's worth, so that a slow job is even as well.
            made: per_second.div_ceil(10).min(self.options.made_max),
            now: self.parts.clock.now(),
            delivery_ids: delivery_ids(&*self.parts.entropy),
        };
        let began = self.parts.clock.monotonic();
        let before = turn.job.progress.made;
        match self.parts.store.advance_replay(step).await {
            Ok(Some(advanced)) => {
                self.parts.wake.wake(key.0, advanced.endpoints);
                let made = advanced.job.progress.made.saturating_sub(before);
                let worth = SignedDuration::from_secs(1) * i32::try_from(made).unwrap_or(i32::MAX);
                let worth = worth / i32::try_from(per_second).unwrap_or(i32::MAX);
                // From when it was due, not from now: what was late does not make the job slower than its rate.
                turn.at = (turn.at + worth).max(began + self.options.rest_min);
                turn.job = advanced.job;
                match turn.job.state {
                    ReplayState::Running => {}
                    ReplayState::Finished { .. } | ReplayState::Cancelled { .. } => drop(self.turns.remove(&key)),
                }
            }
            Ok(None) => drop(self.turns.remove(&key)),
            Err(problem) => {
                tracing::warn!(replay = %key.1, %problem, "replay step failed");
                turn.at = began + self.options.poll_every;
            }
        }
    }
}

#[cfg(test)]
mod tests;

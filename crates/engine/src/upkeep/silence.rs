//! Sources that have fallen quiet are told of, once for each silence: see [`watchbell_domain::source::silence`] for when.

use std::fmt;
use std::sync::Arc;

use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;
use watchbell_domain::event::NewEvent;
use watchbell_domain::id::EventId;
use watchbell_domain::port::{Acceptance, Caller, Clock, Entropy, SourceStore, StoreError};
use watchbell_domain::source::silence::silent_from;
use watchbell_wire::event::SourceSilent;
use watchbell_wire::{Data, Event, EventType};

use crate::ingest::event::delivery_ids;

/// How often it is looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Between two looks.
    pub look_every: SignedDuration,
}

impl Default for Options {
    fn default() -> Self {
        Self { look_every: SignedDuration::from_mins(5) }
    }
}

/// What it takes.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "ports are object-safe and say nothing about themselves")]
pub struct Parts {
    /// Where sources are.
    pub sources: Arc<dyn SourceStore>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
}

/// Tells of silences. One for each store is enough; several do no harm.
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
    pub fn new(options: Options, parts: Parts) -> Self {
        Self { options, parts }
    }

    /// Looks until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let work = async {
            loop {
                self.parts.clock.sleep(self.options.look_every).await;
                if let Err(problem) = self.step().await {
                    tracing::warn!(%problem, "silent sources could not be looked for");
                }
            }
        };
        shutdown.run_until_cancelled(work).await;
    }

    /// One look. Answers how many were told of.
    ///
    /// # Errors
    /// The store's.
    pub async fn step(&self) -> Result<u64, StoreError> {
        let now = self.parts.clock.now();
        let mut told = 0;
        for caller in self.parts.sources.callers(now).await? {
            if silent_from(&caller.hours, caller.last_at).is_some_and(|from| from <= now) {
                let is_told =
                    self.parts.sources.tell_silent(caller.source_id, caller.last, self.event(&caller)).await?;
                told += u64::from(is_told);
            }
        }
        Ok(told)
    }

    fn event(&self, caller: &Caller) -> Acceptance {
        let (now, entropy) = (self.parts.clock.now(), &*self.parts.entropy);
        let data =
            SourceSilent { source_id: caller.source_id.to_string(), last_receipt_at: Some(caller.last_at.to_string()) };
        let event = Event {
            id: EventId::make(now, entropy).0,
            event_type: EventType::SourceSilent,
            occurred_at: now,
            data: Data::from_typed(&data),
        };
        Acceptance {
            org_id: caller.org_id,
            events: vec![NewEvent::of(event, None)],
            accepted_at: now,
            delivery_ids: delivery_ids(entropy),
        }
    }
}

//! One claimed delivery, from the claim to the settled outcome.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use bytes::Bytes;
use futures_util::FutureExt;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use watchbell_domain::delivery::{Attempt, AttemptResult, DeadLetterReason, Response};
use watchbell_domain::endpoint::DisabledReason;
use watchbell_domain::id::{EndpointId, OrgId};
use watchbell_domain::port::{ClaimedDelivery, Clock, DeliveryStore, Entropy, Next, Settlement, StoreError};
use watchbell_domain::retry::{self, Decision, Ended};

use super::observer::Observer;
use super::prepared::Prepared;
use super::send::{self, Sent};
use super::steady::Steady;
use crate::net::client::{Client, Exchange};

/// First wait before an outcome is offered to the store again; doubles up to [`SETTLE_WAIT_MAX`].
const SETTLE_WAIT: SignedDuration = SignedDuration::from_millis(100);
const SETTLE_WAIT_MAX: SignedDuration = SignedDuration::from_secs(5);

/// What attempts share.
pub(super) struct Context {
    pub(super) store: Arc<dyn DeliveryStore>,
    pub(super) client: Arc<Client>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) steady: Steady,
    pub(super) observer: Arc<Observer>,
    pub(super) lease: SignedDuration,
    /// No attempt is begun any more.
    pub(super) stopping: AtomicBool,
    /// Ends running attempts as `interrupted`.
    pub(super) interrupt: CancellationToken,
    /// Outcomes that the store has not taken yet.
    pub(super) unsettled: AtomicU32,
}

/// A claimed delivery to be sent.
pub(super) struct Job {
    pub(super) prepared: Arc<Prepared>,
    pub(super) delivery: ClaimedDelivery,
    /// When it was claimed, by the monotonic clock.
    pub(super) claimed_at: SignedDuration,
    pub(super) done: Done,
}

/// Tells the loop that a claimed delivery takes no room any more, whatever became of it: also when this is dropped by a
/// panic.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) report: Report,
    pub(super) to: mpsc::Sender<Report>,
}

/// What the loop needs to know of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Report {
    pub(super) org_id: OrgId,
    pub(super) endpoint_id: EndpointId,
    /// The delivery is due again.
    pub(super) due_at: Option<Timestamp>,
    /// The endpoint asked for a pause.
    pub(super) pause: Option<Timestamp>,
}

impl Drop for Done {
    fn drop(&mut self) {
        // There is room for a report of everything in flight; a closed channel means that nobody counts any more.
        self.to.try_send(self.report).ok();
    }
}

/// Sends, decides, settles.
pub(super) async fn run(context: Arc<Context>, mut job: Job) {
    let settlement = match context.stopping.load(Ordering::Relaxed) {
        true => context.not_begun(&job),
        false => context.attempt(&job).await,
    };
    let due = match settlement.next {
        Next::Retry { due_at, endpoint_pause, .. } => Some((due_at, endpoint_pause)),
        Next::Delivered | Next::DeadLetter { .. } => None,
    };
    if context.settle(settlement, job.claimed_at).await {
        job.done.report.due_at = due.map(|(due_at, _)| due_at);
        job.done.report.pause = due.and_then(|(_, pause)| pause);
    }
}

impl Context {
    /// Whether outcomes wait for the store.
    pub(super) fn has_unsettled(&self) -> bool {
        self.unsettled.load(Ordering::Relaxed) > 0
    }

    async fn attempt(&self, job: &Job) -> Settlement {
        let started_at = self.clock.now();
        let begun = self.clock.monotonic();
        let sending = send::send(&self.client, &job.prepared, &job.delivery, started_at, &self.interrupt);
        let sent = AssertUnwindSafe(sending).catch_unwind().await;
        let ended = |result, response: Option<Response>, detail| {
            self.observer.attempt_ended(result);
            Attempt {
                number: job.delivery.attempt_number,
                started_at,
                duration: told(result, self.clock.monotonic() - begun),
                result,
                response,
                detail,
            }
        };
        match sent {
            Ok(Sent::Exchange { exchange, made }) => self.after_exchange(job, exchange, made, ended),
            Ok(Sent::NotEncodable(error)) => {
                let next = Next::DeadLetter { reason: DeadLetterReason::NotEncodable, disable: None };
                let attempt = ended(AttemptResult::Internal, None, Some(error.to_string()));
                self.settlement(job, Some(attempt), next, None)
            }
            Err(_) => {
                self.observer.panicked();
                tracing::error!(delivery_id = %job.delivery.id, "an attempt panicked");
                let broken =
                    Exchange { result: AttemptResult::Internal, response: None, retry_after: None, detail: None };
                self.after_exchange(job, broken, None, ended)
            }
        }
    }

    fn after_exchange(
        &self,
        job: &Job,
        exchange: Exchange,
        made: Option<Bytes>,
        ended: impl Fn(AttemptResult, Option<Response>, Option<String>) -> Attempt,
    ) -> Settlement {
        let delivery = &job.delivery;
        let decision = retry::decide(
            &job.prepared.policy,
            &Ended {
                counted_before: delivery.attempts_counted,
                result: exchange.result,
                latest_results: &delivery.latest_results,
                retry_after: exchange.retry_after,
                now: self.steady.now(),
                chance: self.chance(),
            },
        );
        tracing::debug!(delivery_id = %delivery.id, result = ?exchange.result, ?decision, "attempt ended");
        let attempt = ended(exchange.result, exchange.response, exchange.detail);
        let next = next(decision);
        let body = made.filter(|_| matches!(next, Next::Retry { .. }));
        self.settlement(job, Some(attempt), next, body)
    }

    /// Claimed, but never begun: it goes back as it was.
    fn not_begun(&self, job: &Job) -> Settlement {
        let next = Next::Retry { due_at: self.steady.now(), counts: false, endpoint_pause: None };
        self.settlement(job, None, next, None)
    }

    fn settlement(&self, job: &Job, attempt: Option<Attempt>, next: Next, body: Option<Bytes>) -> Settlement {
        Settlement {
            org_id: job.prepared.endpoint.org_id,
            delivery_id: job.delivery.id,
            endpoint_id: job.prepared.endpoint.id,
            lease: job.delivery.lease,
            attempt,
            next,
            body,
            settled_at: self.steady.now(),
        }
    }

    /// Writes an outcome down, again and again while the claim holds. `false`: it could not be.
    async fn settle(&self, settlement: Settlement, claimed_at: SignedDuration) -> bool {
        let lease_ends = claimed_at + self.lease;
        let mut wait = SETTLE_WAIT;
        let mut unsettled = None;
        loop {
            let settled = match watchbell_domain::failpoint::at_while("engine.settle.before", &*self.clock).await {
                Ok(()) => self.store.settle(settlement.clone()).await,
                Err(failed) => Err(failed.into()),
            };
            match settled {
                Ok(_) => {
                    watchbell_domain::failpoint::at_while("engine.settle.after", &*self.clock).await.ok();
                    return true;
                }
                Err(StoreError::LeaseLost) => {
                    self.observer.lease_lost();
                    return false;
                }
                Err(error @ (StoreError::Conflict(_) | StoreError::Corrupt { .. })) => {
                    self.observer.settle_failed();
                    tracing::error!(delivery_id = %settlement.delivery_id, %error, "an outcome cannot be written");
                    return false;
                }
                Err(StoreError::Unavailable(_) | StoreError::Full) => self.observer.settle_failed(),
            }
            // While one outcome waits to be written, no new attempt is begun.
            unsettled.get_or_insert_with(|| Unsettled::new(&self.unsettled));
            if self.clock.monotonic() + wait >= lease_ends {
                return false;
            }
            self.clock.sleep(wait).await;
            wait = (wait * 2).min(SETTLE_WAIT_MAX);
        }
    }

    fn chance(&self) -> u64 {
        let mut bytes = [0; 8];
        self.entropy.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}

/// Counted among the outcomes that wait for the store.
struct Unsettled<'a>(&'a AtomicU32);

impl<'a> Unsettled<'a> {
    fn new(count: &'a AtomicU32) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Unsettled<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How long an attempt took, where that may be known: of a refused address it would map the network behind the guard.
fn told(result: AttemptResult, took: SignedDuration) -> SignedDuration {
    match result == AttemptResult::EgressForbidden {
        true => SignedDuration::ZERO,
        false => took,
    }
}

fn next(decision: Decision) -> Next {
    match decision {
        Decision::Delivered => Next::Delivered,
        Decision::Retry { at, counts, endpoint_pause } => Next::Retry { due_at: at, counts, endpoint_pause },
        Decision::DeadLetter { reason, endpoint_gone } => {
            Next::DeadLetter { reason, disable: endpoint_gone.then_some(DisabledReason::Gone) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a23_how_long_a_refusal_took_is_not_told() {
        let took = SignedDuration::from_millis(17);
        assert_eq!(told(AttemptResult::EgressForbidden, took), SignedDuration::ZERO);
        assert_eq!(told(AttemptResult::DnsError, took), took);
    }
}

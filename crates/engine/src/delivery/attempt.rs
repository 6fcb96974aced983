//! One claimed delivery, sent: from its turn to what follows.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures_util::FutureExt;
use jiff::SignedDuration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use watchbell_domain::delivery::{Attempt, AttemptResult, DeadLetterReason, Response};
use watchbell_domain::endpoint::DisabledReason;
use watchbell_domain::id::{EndpointId, OrgId};
use watchbell_domain::port::{ClaimedDelivery, Clock, DeliveryStore, Entropy, Next, Settlement};
use watchbell_domain::retry::{self, Decision, Ended};

use super::observer::Observer;
use super::outcomes::Outcome;
use super::prepared::Prepared;
use super::send::{self, Sent};
use super::steady::Steady;
use crate::net::client::{Client, Exchange};
use crate::net::fault::Fault;

/// What attempts share.
pub(super) struct Context {
    pub(super) store: Arc<dyn DeliveryStore>,
    pub(super) client: Arc<Client>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) steady: Arc<Steady>,
    pub(super) observer: Arc<Observer>,
    /// No attempt is begun any more.
    pub(super) stopping: AtomicBool,
    /// Ends running attempts as `interrupted`.
    pub(super) interrupt: CancellationToken,
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
#[derive(Debug)]
pub(super) struct Report {
    pub(super) endpoint_id: EndpointId,
    /// Whether the delivery was tried before.
    pub(super) is_retry: bool,
    /// `None`: it came to nothing that could be written down; the claim runs out.
    pub(super) outcome: Option<Outcome>,
}

impl Drop for Done {
    fn drop(&mut self) {
        let Report { endpoint_id, is_retry, .. } = self.report;
        let report = Report { endpoint_id, is_retry, outcome: self.report.outcome.take() };
        // There is room for a report of everything in flight; a closed channel means that nobody counts any more.
        self.to.try_send(report).ok();
    }
}

/// Sends and decides. What came of it goes to the loop, which has it written down.
pub(super) async fn run(context: Arc<Context>, mut job: Job) {
    let settlement = match context.stopping.load(Ordering::Relaxed) {
        true => context.given_back(job.prepared.endpoint.org_id, job.prepared.endpoint.id, &job.delivery),
        false => context.attempt(&job).await,
    };
    job.done.report.outcome = Some(Outcome { settlement, claimed_at: job.claimed_at });
}

impl Context {
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
                let next =
                    Next::DeadLetter { reason: DeadLetterReason::NotEncodable, disable: None, endpoint_pause: None };
                let attempt = ended(AttemptResult::Internal, None, Some(error.to_string()));
                self.settlement(job, attempt, next, None)
            }
            Err(_) => {
                self.observer.panicked();
                tracing::error!(delivery_id = %job.delivery.id, "an attempt panicked");
                self.after_exchange(job, Fault::from(AttemptResult::Internal).into(), None, ended)
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
                heard: exchange.heard,
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
        self.settlement(job, attempt, next, body)
    }

    /// Claimed, but never begun: it goes back as it was.
    pub(super) fn given_back(&self, org_id: OrgId, endpoint_id: EndpointId, delivery: &ClaimedDelivery) -> Settlement {
        let now = self.steady.now();
        Settlement {
            org_id,
            delivery_id: delivery.id,
            endpoint_id,
            lease: delivery.lease,
            attempt: None,
            next: Next::Retry { due_at: now, counts: false, endpoint_pause: None },
            body: None,
            settled_at: now,
        }
    }

    fn settlement(&self, job: &Job, attempt: Attempt, next: Next, body: Option<Bytes>) -> Settlement {
        Settlement {
            org_id: job.prepared.endpoint.org_id,
            delivery_id: job.delivery.id,
            endpoint_id: job.prepared.endpoint.id,
            lease: job.delivery.lease,
            attempt: Some(attempt),
            next,
            body,
            settled_at: self.steady.now(),
        }
    }

    fn chance(&self) -> u64 {
        let mut bytes = [0; 8];
        self.entropy.fill(&mut bytes);
        u64::from_le_bytes(bytes)
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
        Decision::DeadLetter { reason, endpoint_gone, endpoint_pause } => {
            Next::DeadLetter { reason, disable: endpoint_gone.then_some(DisabledReason::Gone), endpoint_pause }
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

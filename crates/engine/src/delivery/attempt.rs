//! One claimed delivery, or several of one endpoint at once, sent: from their turn to what follows for each.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures_util::FutureExt;
use jiff::{SignedDuration, Timestamp};
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

/// What is to be sent to an endpoint: one delivery, or several at once. Never empty.
pub(super) struct Job {
    pub(super) prepared: Arc<Prepared>,
    pub(super) tickets: Vec<Ticket>,
    pub(super) done: Done,
}

/// How an attempt ended, the same for all that went out with it: those that are sent again are due together again.
#[derive(Debug, Clone, Copy)]
struct End {
    started_at: Timestamp,
    took: SignedDuration,
    now: Timestamp,
    chance: u64,
}

/// A claimed delivery.
pub(super) struct Ticket {
    pub(super) delivery: ClaimedDelivery,
    /// When it was claimed, by the monotonic clock.
    pub(super) claimed_at: SignedDuration,
}

/// Tells the loop that what was begun takes no room any more, whatever became of it: also when this is dropped by a
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
    /// How many of the deliveries were tried before.
    pub(super) retries: u32,
    /// Empty: it came to nothing that could be written down; the claims run out.
    pub(super) outcomes: Vec<Outcome>,
}

impl Drop for Done {
    fn drop(&mut self) {
        let Report { endpoint_id, retries, .. } = self.report;
        let report = Report { endpoint_id, retries, outcomes: std::mem::take(&mut self.report.outcomes) };
        // There is room for a report of everything in flight; a closed channel means that nobody counts any more.
        self.to.try_send(report).ok();
    }
}

/// Sends and decides. What came of it goes to the loop, which has it written down.
pub(super) async fn run(context: Arc<Context>, mut job: Job) {
    let settlements = match context.stopping.load(Ordering::Relaxed) {
        true => job.tickets.iter().map(|ticket| context.untouched(&job, &ticket.delivery)).collect(),
        false => context.attempt(&job).await,
    };
    let outcomes = settlements.into_iter().zip(&job.tickets);
    job.done.report.outcomes =
        outcomes.map(|(settlement, ticket)| Outcome { settlement, claimed_at: ticket.claimed_at }).collect();
}

impl Context {
    /// What follows for each of the job's deliveries, in their order.
    async fn attempt(&self, job: &Job) -> Vec<Settlement> {
        let started_at = self.clock.now();
        let begun = self.clock.monotonic();
        let deliveries: Vec<&ClaimedDelivery> = job.tickets.iter().map(|ticket| &ticket.delivery).collect();
        let sending = send::send(&self.client, &job.prepared, &deliveries, started_at, &self.interrupt);
        let sent = AssertUnwindSafe(sending).catch_unwind().await.unwrap_or_else(|_| {
            self.observer.panicked();
            tracing::error!(endpoint_id = %job.prepared.endpoint.id, "an attempt panicked");
            let broken = || Sent::Exchange { exchange: Fault::from(AttemptResult::Internal).into(), made: None };
            deliveries.iter().map(|_| broken()).collect()
        });
        let took = self.clock.monotonic() - begun;
        let end = End { started_at, took, now: self.steady.now(), chance: self.chance() };
        let each = deliveries.into_iter().zip(sent);
        each.map(|(delivery, sent)| self.after(job, delivery, sent, end)).collect()
    }

    fn after(&self, job: &Job, delivery: &ClaimedDelivery, sent: Sent, end: End) -> Settlement {
        let ended = |result, response: Option<Response>, detail| {
            self.observer.attempt_ended(result);
            Attempt {
                number: delivery.attempt_number,
                started_at: end.started_at,
                duration: told(result, end.took),
                result,
                response,
                detail,
            }
        };
        match sent {
            Sent::Exchange { exchange, made } => self.after_exchange(job, delivery, (exchange, made), end, ended),
            Sent::Nothing => self.untouched(job, delivery),
            Sent::NotEncodable(error) => {
                let next =
                    Next::DeadLetter { reason: DeadLetterReason::NotEncodable, disable: None, endpoint_pause: None };
                let attempt = ended(AttemptResult::Internal, None, Some(error.to_string()));
                self.settlement(job, delivery, attempt, next, None)
            }
        }
    }

    fn after_exchange(
        &self,
        job: &Job,
        delivery: &ClaimedDelivery,
        (exchange, made): (Exchange, Option<Bytes>),
        end: End,
        ended: impl Fn(AttemptResult, Option<Response>, Option<String>) -> Attempt,
    ) -> Settlement {
        let decision = retry::decide(
            &job.prepared.policy,
            &Ended {
                counted_before: delivery.attempts_counted,
                result: exchange.result,
                heard: exchange.heard,
                latest_results: &delivery.latest_results,
                retry_after: exchange.retry_after,
                now: end.now,
                chance: end.chance,
            },
        );
        tracing::debug!(delivery_id = %delivery.id, result = ?exchange.result, ?decision, "attempt ended");
        let attempt = ended(exchange.result, exchange.response, exchange.detail);
        let next = next(decision);
        let body = made.filter(|_| matches!(next, Next::Retry { .. }));
        self.settlement(job, delivery, attempt, next, body)
    }

    fn untouched(&self, job: &Job, delivery: &ClaimedDelivery) -> Settlement {
        self.given_back(job.prepared.endpoint.org_id, job.prepared.endpoint.id, delivery)
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

    fn settlement(
        &self,
        job: &Job,
        delivery: &ClaimedDelivery,
        attempt: Attempt,
        next: Next,
        body: Option<Bytes>,
    ) -> Settlement {
        Settlement {
            org_id: job.prepared.endpoint.org_id,
            delivery_id: delivery.id,
            endpoint_id: job.prepared.endpoint.id,
            lease: delivery.lease,
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

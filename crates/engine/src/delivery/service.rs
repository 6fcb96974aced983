//! The loop: asks what is due, claims what there is room for, starts attempts, and hears of their end.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use futures_util::future::OptionFuture;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use watchbell_domain::endpoint::Endpoint;
use watchbell_domain::id::{EndpointId, OrgId};
use watchbell_domain::port::{Claim, Claimed, Clock, DeliveryStore, DueEndpoint, Entropy, StoreError};

use super::attempt::{self, Context, Done, Job, Report};
use super::handle::Woken;
use super::observer::Observer;
use super::options::{Options, OptionsError};
use super::prepared::Prepared;
use super::schedule::{Schedule, Windows};
use super::steady::Steady;
use crate::net::client::Client;

/// First wait before the store is asked again after it failed; doubles up to [`STORE_WAIT_MAX`].
const STORE_WAIT: SignedDuration = SignedDuration::from_millis(250);
const STORE_WAIT_MAX: SignedDuration = SignedDuration::from_secs(5);

/// Before an endpoint is asked for again that had nothing to hand out, although something is said to be due.
const EMPTY_CLAIM_WAIT: SignedDuration = SignedDuration::from_millis(100);

/// After the grace: how long interrupted attempts may take to write that down.
const INTERRUPT_WAIT: SignedDuration = SignedDuration::from_secs(2);

/// What delivering needs.
pub struct Parts {
    /// Where deliveries wait.
    pub store: Arc<dyn DeliveryStore>,
    /// How they are sent.
    pub client: Arc<Client>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
    /// Counters.
    pub observer: Arc<Observer>,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("client", &self.client).finish_non_exhaustive()
    }
}

/// Delivers. One for each server.
pub struct Service {
    options: Options,
    context: Arc<Context>,
    woken: Woken,
    schedule: Schedule,
    prepared: BTreeMap<EndpointId, Arc<Prepared>>,
    attempts: TaskTracker,
    reports: mpsc::Receiver<Report>,
    reporter: mpsc::Sender<Report>,
    store_wait: SignedDuration,
    /// The store failed: it is not asked before this, by the monotonic clock.
    store_rests_until: SignedDuration,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("options", &self.options).finish_non_exhaustive()
    }
}

/// A question to the store under way.
type Asking<T> = OptionFuture<Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send>>>;

impl Service {
    /// The loop, not running yet.
    ///
    /// # Errors
    /// When the options cannot work together.
    pub fn new(options: Options, parts: Parts, woken: Woken) -> Result<Self, OptionsError> {
        options.validate(parts.client.limits())?;
        let (reporter, reports) = mpsc::channel(options.max_in_flight as usize);
        let schedule = Schedule::new(Windows {
            all: options.max_in_flight,
            org: options.max_in_flight_per_org,
            endpoint: options.max_in_flight_per_endpoint,
        });
        let context = Context {
            store: parts.store,
            client: parts.client,
            steady: Steady::new(Arc::clone(&parts.clock)),
            clock: parts.clock,
            entropy: parts.entropy,
            observer: parts.observer,
            lease: options.lease,
            stopping: AtomicBool::new(false),
            interrupt: CancellationToken::new(),
            unsettled: AtomicU32::new(0),
        };
        Ok(Self {
            options,
            context: Arc::new(context),
            woken,
            schedule,
            prepared: BTreeMap::new(),
            attempts: TaskTracker::new(),
            reports,
            reporter,
            store_wait: STORE_WAIT,
            store_rests_until: SignedDuration::MIN,
        })
    }

    /// Delivers until `shutdown`, then lets running attempts finish within the grace. Returns when nothing is in flight:
    /// every outcome is written down, or left to the lease.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let context = Arc::clone(&self.context);
        let mut polling: Asking<Vec<DueEndpoint>> = None.into();
        let mut claiming: Asking<Vec<Claimed>> = None.into();
        let mut asked: Vec<Claim> = Vec::new();
        let mut poll_at = SignedDuration::MIN;
        let mut is_polling = false;
        loop {
            let monotonic = context.clock.monotonic();
            if !is_polling && monotonic >= poll_at.max(self.store_rests_until) {
                is_polling = true;
                poll_at = monotonic + self.options.poll_every;
                let store = Arc::clone(&context.store);
                let clock = Arc::clone(&context.clock);
                let asking = async move {
                    watchbell_domain::failpoint::at_while("engine.poll", &*clock).await?;
                    store.due_endpoints().await
                };
                polling = Some(Box::pin(asking) as Pin<Box<_>>).into();
            }
            if asked.is_empty() {
                asked = self.claims();
                claiming = self.claim(&asked);
            }
            let wait = self.wait((!is_polling).then_some(poll_at), asked.is_empty() && !context.has_unsettled());
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(report) = self.reports.recv() => self.finished(report),
                Some(claimed) = &mut claiming => {
                    claiming = None.into();
                    self.claimed(&std::mem::take(&mut asked), claimed);
                }
                Some(rows) = &mut polling => {
                    polling = None.into();
                    is_polling = false;
                    self.polled(rows);
                }
                hints = self.woken.take() => self.hinted(hints),
                () = context.clock.sleep(wait) => {}
            }
        }
        self.stop(claiming, asked).await;
    }

    /// What to claim now: nothing while outcomes cannot be written.
    fn claims(&mut self) -> Vec<Claim> {
        let rests = self.context.clock.monotonic() < self.store_rests_until;
        if rests || self.context.has_unsettled() {
            return Vec::new();
        }
        self.schedule.claims(self.context.steady.now())
    }

    fn claim(&self, claims: &[Claim]) -> Asking<Vec<Claimed>> {
        if claims.is_empty() {
            return None.into();
        }
        let (context, claims) = (Arc::clone(&self.context), claims.to_vec());
        let asking = async move {
            watchbell_domain::failpoint::at_while("engine.claim", &*context.clock).await?;
            let claimed = context.store.claim(claims, context.steady.now(), context.lease).await;
            watchbell_domain::failpoint::at_while("engine.claimed", &*context.clock).await?;
            claimed
        };
        Some(Box::pin(asking) as Pin<Box<_>>).into()
    }

    /// How long nothing will happen by itself.
    fn wait(&self, poll_at: Option<SignedDuration>, may_claim: bool) -> SignedDuration {
        let monotonic = self.context.clock.monotonic();
        let until_poll = poll_at.map(|at| at.max(self.store_rests_until) - monotonic);
        let until_due = self.schedule.next_due().filter(|_| may_claim).map(|due| {
            let rest = self.store_rests_until.max(monotonic) - monotonic;
            self.context.steady.now().duration_until(due).max(rest)
        });
        let wait = until_poll.into_iter().chain(until_due).min();
        wait.unwrap_or(self.options.poll_every).max(SignedDuration::ZERO)
    }

    fn claimed(&mut self, asked: &[Claim], answer: Result<Vec<Claimed>, StoreError>) {
        let now = self.context.steady.now();
        let answer = match answer {
            Ok(answer) => {
                self.store_wait = STORE_WAIT;
                answer
            }
            Err(error) => {
                self.store_failed(&error);
                for claim in asked {
                    // Still due, as far as we know.
                    self.schedule.claimed(claim.endpoint_id, 0, Some(now), now);
                }
                return;
            }
        };
        let mut by_endpoint: BTreeMap<EndpointId, Claimed> =
            answer.into_iter().map(|claimed| (claimed.endpoint.id, claimed)).collect();
        for claim in asked {
            let Some(claimed) = by_endpoint.remove(&claim.endpoint_id) else {
                self.schedule.claimed(claim.endpoint_id, 0, None, now);
                continue;
            };
            let taken = u32::try_from(claimed.deliveries.len()).unwrap_or(u32::MAX);
            let window = claimed.endpoint.policy.max_in_flight;
            self.schedule.set_window(claim.endpoint_id, window);
            let next_due = claimed.next_due_at.map(|due| match taken {
                0 => due.max(now.saturating_add(EMPTY_CLAIM_WAIT).unwrap_or(Timestamp::MAX)),
                _ => due,
            });
            self.schedule.claimed(claim.endpoint_id, taken, next_due, now);
            self.start(claimed);
        }
        self.context.observer.set_in_flight(self.schedule.in_flight());
    }

    fn start(&mut self, claimed: Claimed) {
        if claimed.deliveries.is_empty() {
            return;
        }
        let prepared = self.prepare(claimed.endpoint);
        let claimed_at = self.context.clock.monotonic();
        for delivery in claimed.deliveries {
            let job = Job {
                prepared: Arc::clone(&prepared),
                delivery,
                claimed_at,
                done: Done {
                    report: Report {
                        org_id: prepared.endpoint.org_id,
                        endpoint_id: prepared.endpoint.id,
                        due_at: None,
                        pause: None,
                    },
                    to: self.reporter.clone(),
                },
            };
            self.attempts.spawn(attempt::run(Arc::clone(&self.context), job));
        }
    }

    fn prepare(&mut self, endpoint: Arc<Endpoint>) -> Arc<Prepared> {
        let id = endpoint.id;
        let before = self.prepared.get(&id);
        if let Some(prepared) = before.filter(|prepared| prepared.is_for(&endpoint)) {
            return Arc::clone(prepared);
        }
        let before = before.map(Arc::as_ref);
        let prepared = Arc::new(Prepared::new(endpoint, before, &self.context.client, &self.options));
        self.prepared.insert(id, Arc::clone(&prepared));
        prepared
    }

    fn finished(&mut self, report: Report) {
        let now = self.context.steady.now();
        let mut report = Some(report);
        // Whatever else has ended meanwhile comes along, so that one claim refills all.
        while let Some(Report { org_id, endpoint_id, due_at, pause }) = report {
            if let Some(due_at) = due_at {
                self.schedule.due(org_id, endpoint_id, due_at, now);
            }
            if let Some(until) = pause {
                self.schedule.pause(endpoint_id, until, now);
            }
            self.schedule.finished(endpoint_id, now);
            report = self.reports.try_recv().ok();
        }
        self.context.observer.set_in_flight(self.schedule.in_flight());
    }

    fn polled(&mut self, rows: Result<Vec<DueEndpoint>, StoreError>) {
        let now = self.context.steady.now();
        match rows {
            Ok(rows) => {
                for row in rows {
                    self.schedule.due(row.org_id, row.endpoint_id, row.due_at, now);
                    self.schedule.set_window(row.endpoint_id, row.max_in_flight);
                }
            }
            Err(error) => self.store_failed(&error),
        }
        self.schedule.prune(now);
        self.prepared.retain(|endpoint, _| self.schedule.knows(*endpoint));
        for peer in self.prepared.values().filter_map(|prepared| prepared.peer.as_ref()) {
            self.context.client.sweep(peer);
        }
    }

    fn hinted(&mut self, hints: impl IntoIterator<Item = (OrgId, EndpointId)>) {
        let now: Timestamp = self.context.steady.now();
        for (org, endpoint) in hints {
            self.schedule.due(org, endpoint, now, now);
        }
    }

    fn store_failed(&mut self, error: &StoreError) {
        self.context.observer.claim_failed();
        tracing::warn!(%error, "the store does not hand out deliveries");
        self.store_rests_until = self.context.clock.monotonic() + self.store_wait;
        self.store_wait = (self.store_wait * 2).min(STORE_WAIT_MAX);
    }

    /// No new claims; what runs may finish within the grace, the rest is interrupted and goes back.
    async fn stop(mut self, claiming: Asking<Vec<Claimed>>, asked: Vec<Claim>) {
        let context = Arc::clone(&self.context);
        context.stopping.store(true, Ordering::Relaxed);
        let mut grace = context.clock.sleep(self.options.shutdown_grace);
        tokio::select! {
            biased;
            // These come too late to be begun: each goes straight back.
            answer = claiming => if let Some(answer) = answer {
                self.claimed(&asked, answer);
            },
            () = &mut grace => {}
        }
        self.attempts.close();
        tokio::select! {
            biased;
            () = self.attempts.wait() => return,
            () = &mut grace => {}
        }
        context.interrupt.cancel();
        tokio::select! {
            biased;
            () = self.attempts.wait() => {}
            () = context.clock.sleep(INTERRUPT_WAIT) => tracing::warn!("outcomes of interrupted attempts are not written"),
        }
    }
}

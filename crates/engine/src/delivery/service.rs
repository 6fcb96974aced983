//! The loop: takes what was just made, claims what waits, begins attempts in turn, and has their outcomes written.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use watchbell_domain::delivery::StateKind;
use watchbell_domain::endpoint::{Endpoint, Order};
use watchbell_domain::id::EndpointId;
use watchbell_domain::port::{
    Claim, Claimed, ClaimedDelivery, Clock, DeliveryStore, Entropy, Next, Settled, Settlement, StoreError,
};

use super::attempt::{self, Context, Done, Job, Report, Ticket};
use super::breaker::Sign;
use super::handle::{Arrived, Claims, Woken};
use super::lines::{InLine, Lines};
use super::observer::Observer;
use super::options::{Options, OptionsError};
use super::outcomes::{Outcome, Outcomes};
use super::prepared::Prepared;
use super::questions::{Asking, Polled, Questions, Timer, asking};
use super::schedule::{Schedule, Windows};
use super::steady::Steady;
use crate::net::client::Client;

/// First wait before the store is asked again after it failed; doubles up to [`STORE_WAIT_MAX`].
const STORE_WAIT: SignedDuration = SignedDuration::from_millis(250);
const STORE_WAIT_MAX: SignedDuration = SignedDuration::from_secs(5);

/// Before an endpoint is asked for again that had nothing to hand out, although something is said to be due.
const EMPTY_CLAIM_WAIT: SignedDuration = SignedDuration::from_millis(100);

/// At most so long, of an endpoint whose first in order is not due yet: it may be cancelled, or be sent by hand.
const ORDERED_CLAIM_WAIT: SignedDuration = SignedDuration::from_secs(1);

/// After the grace: how long interrupted attempts may take to write that down.
const INTERRUPT_WAIT: SignedDuration = SignedDuration::from_secs(2);

/// Nothing is begun while so many outcomes, for each that may be in flight, are not written yet.
const UNWRITTEN_PER_FLIGHT: usize = 4;

/// What delivering needs.
#[derive(Clone)]
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
    lines: Lines,
    outcomes: Outcomes,
    prepared: BTreeMap<EndpointId, Arc<Prepared>>,
    attempts: TaskTracker,
    reports: mpsc::Receiver<Report>,
    reporter: mpsc::Sender<Report>,
    /// Endpoints whose room may have changed since the store was told.
    touched: Vec<EndpointId>,
    store_wait: SignedDuration,
    /// The store failed: it is not asked before this, by the monotonic clock.
    store_rests_until: SignedDuration,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("options", &self.options).finish_non_exhaustive()
    }
}

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
            steady: Arc::new(Steady::new(Arc::clone(&parts.clock))),
            clock: parts.clock,
            entropy: parts.entropy,
            observer: parts.observer,
            stopping: AtomicBool::new(false),
            interrupt: CancellationToken::new(),
        };
        Ok(Self {
            lines: Lines::default(),
            outcomes: Outcomes::new(options.lease),
            options,
            context: Arc::new(context),
            woken,
            schedule,
            prepared: BTreeMap::new(),
            attempts: TaskTracker::new(),
            reports,
            reporter,
            touched: Vec::new(),
            store_wait: STORE_WAIT,
            store_rests_until: SignedDuration::MIN,
        })
    }

    /// Delivers until `shutdown`, then lets running attempts finish within the grace. Returns when nothing is in flight:
    /// every outcome is written down, or left to the lease.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let context = Arc::clone(&self.context);
        context.store.hand_over(self.woken.taker());
        self.woken.open(self.claims_made());
        let mut questions = Questions { poll_at: SignedDuration::MIN, ..Questions::default() };
        let mut timer = Timer::default();
        loop {
            // Before anything begins: an endpoint that was changed is not called as it was.
            let arrived = self.woken.take_now();
            self.arrived(arrived);
            self.begin();
            self.ask(&mut questions);
            self.tell_rooms();
            let wake_at = self.wake_at(&questions);
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(report) = self.reports.recv() => self.finished(report),
                Some(answer) = &mut questions.settling => {
                    questions.settling = None.into();
                    self.settled(answer);
                }
                Some(answer) = &mut questions.claiming => {
                    questions.claiming = None.into();
                    self.claimed(&std::mem::take(&mut questions.claims), questions.claims_asked_at, answer);
                }
                Some(rows) = &mut questions.polling => {
                    questions.polling = None.into();
                    questions.is_polling = false;
                    self.polled(rows);
                }
                arrived = self.woken.take() => self.arrived(arrived),
                () = timer.at(wake_at, &*context.clock) => {}
            }
        }
        self.stop(questions).await;
    }

    /// How what is made is claimed.
    fn claims_made(&self) -> Claims {
        Claims { time: Arc::clone(&self.context.steady), lease: self.options.lease }
    }

    /// What was handed over stands in line; what is due is known.
    fn arrived(&mut self, arrived: Arrived) {
        let now = self.context.steady.now();
        let claimed_at = self.context.clock.monotonic();
        for taken in arrived.taken {
            let (org, id) = (taken.endpoint.org_id, taken.endpoint.id);
            self.schedule.taken(org, id, now);
            self.schedule.set_flow(id, taken.endpoint.policy.flow(), now);
            self.stand_in_line(taken.endpoint, taken.delivery, claimed_at);
            self.touched.push(id);
        }
        for (org, endpoint) in arrived.due {
            self.schedule.due(org, endpoint, now, now);
            self.touched.push(endpoint);
        }
        for endpoint in arrived.changed {
            self.give_back_line(endpoint);
        }
    }

    fn stand_in_line(&mut self, endpoint: Arc<Endpoint>, delivery: ClaimedDelivery, claimed_at: SignedDuration) {
        let longest = self.options.longest_in_line(endpoint.policy.timeout, self.context.client.limits());
        self.lines.push(InLine { endpoint, delivery, claimed_at, begins_by: claimed_at + longest });
    }

    /// Begins what there is room for: nothing while outcomes cannot be written.
    fn begin(&mut self) {
        if !self.may_begin() {
            return;
        }
        let now = self.context.steady.now();
        let monotonic = self.context.clock.monotonic();
        for endpoint in self.schedule.starts(now) {
            self.touched.push(endpoint);
            match self.lines.next(endpoint, monotonic) {
                Some(in_line) if monotonic <= in_line.begins_by => self.start(in_line),
                Some(in_line) => {
                    self.schedule.retries_gone(endpoint, retries([&in_line.delivery]));
                    self.give_back(&in_line);
                    self.schedule.finished(endpoint, Sign::Nothing, now);
                }
                None => self.schedule.finished(endpoint, Sign::Nothing, now),
            }
        }
        self.context.observer.set_in_flight(self.schedule.in_flight());
    }

    fn may_begin(&self) -> bool {
        let unwritten_max = UNWRITTEN_PER_FLIGHT * self.options.max_in_flight as usize;
        !self.outcomes.are_stuck() && self.outcomes.len() < unwritten_max
    }

    fn start(&mut self, in_line: InLine) {
        let prepared = self.prepare(Arc::clone(&in_line.endpoint));
        let more = prepared.together_max().saturating_sub(1);
        let monotonic = self.context.clock.monotonic();
        let riders = if more > 0 { self.lines.next_with(&in_line, more, monotonic) } else { Vec::new() };
        let count = u32::try_from(riders.len()).unwrap_or(u32::MAX);
        if count > 0 || prepared.endpoint.policy.batch.is_some() {
            self.schedule.ride_along(prepared.endpoint.id, count, self.context.steady.now());
        }
        let tickets = std::iter::once(in_line).chain(riders);
        let tickets: Vec<Ticket> =
            tickets.map(|one| Ticket { delivery: one.delivery, claimed_at: one.claimed_at }).collect();
        let retries = retries(tickets.iter().map(|ticket| &ticket.delivery));
        let report = Report { endpoint_id: prepared.endpoint.id, retries, outcomes: Vec::new() };
        let job = Job { prepared, tickets, done: Done { report, to: self.reporter.clone() } };
        self.attempts.spawn(attempt::run(Arc::clone(&self.context), job));
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

    /// Asks the store what it is not being asked already.
    fn ask(&mut self, questions: &mut Questions) {
        let monotonic = self.context.clock.monotonic();
        if !questions.is_polling && monotonic >= questions.poll_at.max(self.store_rests_until) {
            questions.is_polling = true;
            questions.poll_at = monotonic + self.options.poll_every;
            let context = Arc::clone(&self.context);
            questions.polling = asking(async move {
                watchbell_domain::failpoint::at_while("engine.poll", &*context.clock).await?;
                Ok((context.store.due_endpoints().await?, context.store.weights().await?))
            });
        }
        if questions.claims.is_empty() && monotonic >= self.store_rests_until && !self.outcomes.are_stuck() {
            questions.claims = self.schedule.claims(self.context.steady.now());
            questions.claims_asked_at = monotonic;
            questions.claiming = self.claim(&questions.claims);
        }
        if let Some(settlements) = self.outcomes.next(monotonic) {
            questions.settling = self.settle(settlements);
        }
    }

    fn settle(&self, settlements: Arc<[Settlement]>) -> Asking<Vec<Result<Settled, StoreError>>> {
        let context = Arc::clone(&self.context);
        asking(async move {
            watchbell_domain::failpoint::at_while("engine.settle.before", &*context.clock).await?;
            let settled = context.store.settle(settlements).await;
            watchbell_domain::failpoint::at_while("engine.settle.after", &*context.clock).await?;
            settled
        })
    }

    fn claim(&self, claims: &[Claim]) -> Asking<Vec<Claimed>> {
        if claims.is_empty() {
            return None.into();
        }
        let (context, claims, lease) = (Arc::clone(&self.context), claims.to_vec(), self.options.lease);
        asking(async move {
            watchbell_domain::failpoint::at_while("engine.claim", &*context.clock).await?;
            let claimed = context.store.claim(claims, context.steady.now(), lease).await;
            watchbell_domain::failpoint::at_while("engine.claimed", &*context.clock).await?;
            claimed
        })
    }

    /// Tells the store how much more may be taken.
    fn tell_rooms(&mut self) {
        if self.touched.is_empty() {
            return;
        }
        let (now, schedule) = (self.context.steady.now(), &self.schedule);
        self.woken.set_rooms(self.touched.drain(..).map(|endpoint| (endpoint, schedule.room(endpoint, now))));
    }

    /// Until when nothing will happen by itself, by the monotonic clock.
    fn wake_at(&self, questions: &Questions) -> SignedDuration {
        let monotonic = self.context.clock.monotonic();
        let poll = (!questions.is_polling).then(|| questions.poll_at.max(self.store_rests_until));
        let may_claim = questions.claims.is_empty() && !self.outcomes.are_stuck();
        let due = self.schedule.next_due().filter(|_| may_claim || self.may_begin());
        let due =
            due.map(|due| (monotonic + self.context.steady.now().duration_until(due)).max(self.store_rests_until));
        let wake_at = poll.into_iter().chain(due).chain(self.outcomes.retry_at()).min();
        wake_at.unwrap_or(monotonic + self.options.poll_every)
    }

    fn claimed(&mut self, asked: &[Claim], claimed_at: SignedDuration, answer: Result<Vec<Claimed>, StoreError>) {
        let now = self.context.steady.now();
        self.touched.extend(asked.iter().map(|claim| claim.endpoint_id));
        let answer = match answer {
            Ok(answer) => {
                self.store_wait = STORE_WAIT;
                answer
            }
            Err(error) => {
                self.store_failed(&error);
                for claim in asked {
                    // Still due, as far as we know.
                    self.schedule.claimed(claim, 0, Some(now), now);
                }
                return;
            }
        };
        let mut by_endpoint: BTreeMap<EndpointId, Claimed> =
            answer.into_iter().map(|claimed| (claimed.endpoint.id, claimed)).collect();
        for claim in asked {
            let Some(claimed) = by_endpoint.remove(&claim.endpoint_id) else {
                self.schedule.claimed(claim, 0, None, now);
                continue;
            };
            let taken = u32::try_from(claimed.deliveries.len()).unwrap_or(u32::MAX);
            let next_due = claimed.next_due_at.map(|due| match taken {
                0 => due.max(now.saturating_add(EMPTY_CLAIM_WAIT).unwrap_or(Timestamp::MAX)),
                _ => due,
            });
            self.schedule.retries_come(claim.endpoint_id, retries(&claimed.deliveries));
            for delivery in claimed.deliveries {
                self.stand_in_line(Arc::clone(&claimed.endpoint), delivery, claimed_at);
            }
            let flow = claimed.endpoint.policy.flow();
            // Whatever else is told of an endpoint whose first in order is not due yet: there is nothing to have.
            if let (0, Order::Endpoint, Some(next_due)) = (taken, flow.order, next_due) {
                let again = now.saturating_add(ORDERED_CLAIM_WAIT).unwrap_or(Timestamp::MAX);
                self.schedule.pause(claim.endpoint_id, next_due.min(again), now);
            }
            self.schedule.claimed(claim, taken, next_due, now);
            self.schedule.set_flow(claim.endpoint_id, flow, now);
            if self.schedule.rests(claim.endpoint_id, now) {
                self.give_back_line(claim.endpoint_id);
            }
        }
    }

    fn finished(&mut self, report: Report) {
        let now = self.context.steady.now();
        let mut report = Some(report);
        // Whatever else has ended meanwhile comes along, so that one step serves all.
        while let Some(Report { endpoint_id, retries, outcomes }) = report {
            self.schedule.retries_gone(endpoint_id, retries);
            // Those that went out together ended together: one of them says how the endpoint is.
            let attempt = outcomes.iter().find_map(|outcome| outcome.settlement.attempt.as_ref());
            let sign = attempt.map_or(Sign::Nothing, |attempt| Sign::of(attempt.result));
            for outcome in outcomes {
                match outcome.settlement.next {
                    Next::DeadLetter { disable: Some(_), .. } => self.give_back_line(endpoint_id),
                    Next::Retry { endpoint_pause: Some(until), .. }
                    | Next::DeadLetter { endpoint_pause: Some(until), .. } => {
                        self.schedule.pause(endpoint_id, until, now);
                    }
                    Next::Delivered | Next::Retry { .. } | Next::DeadLetter { .. } => {}
                }
                self.write_down(outcome);
            }
            self.schedule.finished(endpoint_id, sign, now);
            if self.schedule.rests(endpoint_id, now) {
                self.give_back_line(endpoint_id);
            }
            self.touched.push(endpoint_id);
            report = self.reports.try_recv().ok();
        }
        self.context.observer.set_in_flight(self.schedule.in_flight());
    }

    fn settled(&mut self, answer: Result<Vec<Result<Settled, StoreError>>, StoreError>) {
        let now = self.context.steady.now();
        let was_stuck = self.outcomes.are_stuck();
        let (schedule, touched) = (&mut self.schedule, &mut self.touched);
        let again = |settlement: &Settlement, settled: Option<Settled>| {
            schedule.written(settlement.endpoint_id, now);
            let state = settled.map(|settled| settled.state);
            if let (Next::Retry { due_at, .. }, Some(StateKind::Pending)) = (settlement.next, state) {
                schedule.due(settlement.org_id, settlement.endpoint_id, due_at, now);
                touched.push(settlement.endpoint_id);
            }
        };
        self.outcomes.answered(answer, self.context.clock.monotonic(), &self.context.observer, again);
        match (was_stuck, self.outcomes.are_stuck()) {
            (false, true) => self.woken.close(),
            (true, false) => self.woken.open(self.claims_made()),
            (false, false) | (true, true) => {}
        }
    }

    fn polled(&mut self, found: Result<Polled, StoreError>) {
        let now = self.context.steady.now();
        match found {
            Ok((rows, weights)) => {
                self.schedule.set_weights(weights);
                for row in rows {
                    self.schedule.due(row.org_id, row.endpoint_id, row.due_at, now);
                    self.schedule.set_flow(row.endpoint_id, row.flow, now);
                    self.touched.push(row.endpoint_id);
                }
            }
            Err(error) => self.store_failed(&error),
        }
        for in_line in self.lines.take_stale(self.context.clock.monotonic()) {
            self.schedule.given_back(in_line.endpoint.id, 1, now);
            self.schedule.retries_gone(in_line.endpoint.id, retries([&in_line.delivery]));
            self.give_back(&in_line);
        }
        self.schedule.prune(now);
        self.prepared.retain(|endpoint, _| self.schedule.knows(*endpoint));
        self.woken.retain_rooms(|endpoint| self.schedule.knows(endpoint));
        for way in self.prepared.values().filter_map(|prepared| prepared.way.as_ref()) {
            way.sweep(&self.context.client);
        }
    }

    /// What stands in an endpoint's line goes back, to be claimed as the endpoint is then.
    fn give_back_line(&mut self, endpoint: EndpointId) {
        let line = self.lines.take(endpoint);
        let count = u32::try_from(line.len()).unwrap_or(u32::MAX);
        self.schedule.given_back(endpoint, count, self.context.steady.now());
        self.schedule.retries_gone(endpoint, retries(line.iter().map(|in_line| &in_line.delivery)));
        self.touched.push(endpoint);
        for in_line in &line {
            self.give_back(in_line);
        }
    }

    fn give_back(&mut self, in_line: &InLine) {
        let (org_id, id) = (in_line.endpoint.org_id, in_line.endpoint.id);
        let settlement = self.context.given_back(org_id, id, &in_line.delivery);
        self.write_down(Outcome { settlement, claimed_at: in_line.claimed_at });
    }

    fn write_down(&mut self, outcome: Outcome) {
        self.schedule.writing(outcome.settlement.endpoint_id);
        self.outcomes.push(outcome);
    }

    fn store_failed(&mut self, error: &StoreError) {
        self.context.observer.claim_failed();
        tracing::warn!(%error, "the store does not hand out deliveries");
        self.store_rests_until = self.context.clock.monotonic() + self.store_wait;
        self.store_wait = (self.store_wait * 2).min(STORE_WAIT_MAX);
    }

    /// Nothing new; what runs may finish within the grace, the rest is interrupted and goes back. Returns when all of it
    /// is written down, or could not be in time.
    async fn stop(mut self, mut questions: Questions) {
        let context = Arc::clone(&self.context);
        context.stopping.store(true, Ordering::Relaxed);
        self.woken.close();
        let arrived = self.woken.take_now();
        self.arrived(arrived);
        self.attempts.close();
        let mut deadline = context.clock.sleep(self.options.shutdown_grace);
        let mut timer = Timer::default();
        loop {
            for in_line in self.lines.take_all() {
                self.give_back(&in_line);
            }
            let monotonic = context.clock.monotonic();
            if let Some(settlements) = self.outcomes.next(monotonic) {
                questions.settling = self.settle(settlements);
            }
            let is_over = self.attempts.is_empty() && self.reports.is_empty() && questions.claims.is_empty();
            if is_over && self.outcomes.len() == 0 {
                return;
            }
            let retry_at = self.outcomes.retry_at().unwrap_or(monotonic + STORE_WAIT_MAX);
            tokio::select! {
                biased;
                Some(report) = self.reports.recv() => self.finished(report),
                Some(answer) = &mut questions.settling => {
                    questions.settling = None.into();
                    self.settled(answer);
                }
                Some(answer) = &mut questions.claiming => {
                    questions.claiming = None.into();
                    // These come too late to be begun: each goes straight back.
                    self.claimed(&std::mem::take(&mut questions.claims), questions.claims_asked_at, answer);
                }
                () = self.attempts.wait(), if !self.attempts.is_empty() => {}
                () = &mut deadline => {
                    if context.interrupt.is_cancelled() {
                        tracing::warn!("outcomes of interrupted attempts are not written");
                        return;
                    }
                    context.interrupt.cancel();
                    deadline = context.clock.sleep(INTERRUPT_WAIT);
                }
                () = timer.at(retry_at, &*context.clock) => {}
            }
        }
    }
}

/// How many of these were tried before.
fn retries<'d>(deliveries: impl IntoIterator<Item = &'d ClaimedDelivery>) -> u32 {
    let retries = deliveries.into_iter().filter(|delivery| delivery.attempt_number > 1).count();
    u32::try_from(retries).unwrap_or(u32::MAX)
}

//! What happened in a world: the trace, and what the invariants are asked about.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use watchbell_domain::delivery::Delivery;
use watchbell_domain::endpoint::Endpoint;
use watchbell_domain::id::{DeliveryId, EndpointId, EventId, OrgId};

use crate::clock::Moment;
use crate::invariant::{Invariant, Violation};

/// Everything that was seen. Shared by all parts of a world; survives its nodes.
#[derive(Debug, Default)]
pub struct History(Mutex<Record>);

/// What [`History`] keeps.
#[derive(Debug, Default)]
pub struct Record {
    /// One line for everything that happened, in order. Two runs of a seed have the same.
    pub trace: Vec<String>,
    /// What was violated.
    pub violations: Vec<Violation>,
    /// Counts what happened, to tell before from after within a moment.
    pub step: u64,
    /// What clients posted, by idempotency key.
    pub posts: BTreeMap<String, Posted>,
    /// What endpoints received.
    pub arrivals: Vec<Arrival>,
    /// What became of endpoints.
    pub endpoints: BTreeMap<EndpointId, Known>,
    /// When processes ended without being asked to.
    pub crashes: Vec<Moment>,
    /// When something went wrong on the node's side, and where.
    pub disturbances: Vec<(Moment, &'static str)>,
    /// Deliveries as they were last seen.
    pub seen: BTreeMap<DeliveryId, Delivery>,
    /// When an operator asked for a delivery at once.
    pub hurried: Vec<(DeliveryId, Moment)>,
}

/// A post of a client.
#[derive(Debug, Clone)]
pub struct Posted {
    /// Whose.
    pub org: OrgId,
    /// What is found again in every body made of it.
    pub mark: String,
    /// Its type.
    pub event_type: String,
    /// First asked.
    pub first_step: u64,
    /// When the wall clock showed the most and the least while it was asked for.
    pub asked: (Timestamp, Timestamp),
    /// The events that the node named in its first answer, heard or not.
    pub said: Option<Vec<EventId>>,
    /// When the client heard that it was accepted.
    pub acknowledged: Option<u64>,
}

/// A request that an endpoint read to its end.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// When.
    pub at: Moment,
    /// Whose endpoint got it, going by the address.
    pub org: OrgId,
    /// Which endpoint the address belongs to.
    pub endpoint: EndpointId,
    /// The delivery's id, where the dialect says it.
    pub delivery: Option<String>,
    /// The mark found in the body.
    pub mark: Option<String>,
    /// The body.
    pub body: Bytes,
    /// What tells one delivery's requests from another's.
    pub kind: String,
    /// Whether it was signed with a secret of this endpoint.
    pub signed: bool,
    /// The status answered, once a whole head was handed over, and when.
    pub answered: Option<(u16, Moment)>,
    /// Whether the link was whole when it was answered.
    pub clean: bool,
}

/// What is known of an endpoint over time.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Spans of steps in which it may have been changed, made or deleted.
    pub changing: Vec<(u64, Option<u64>)>,
    /// As it was seen from a step on; `None`: not there.
    pub seen: Vec<(u64, Option<Endpoint>)>,
    /// When it was made active again, or had its policy changed: due times may have moved.
    pub moved: Vec<Moment>,
}

/// How long the product remembers an idempotency key.
const KEY_REMEMBERED: SignedDuration = SignedDuration::from_hours(24);

impl Posted {
    /// Whether the wall clock was set so far that the key was forgotten before the last repetition.
    pub fn was_forgotten(&self) -> bool {
        self.asked.0.duration_until(self.asked.1) >= KEY_REMEMBERED
    }
}

impl History {
    /// The record, to look at or to write in. Never kept across an `await` or a fail point.
    pub fn record(&self) -> MutexGuard<'_, Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line to the trace.
    pub fn tell(&self, at: Moment, line: impl AsRef<str>) -> u64 {
        self.record().tell(at, line)
    }
}

impl Record {
    /// Adds a line to the trace; answers its step.
    pub fn tell(&mut self, at: Moment, line: impl AsRef<str>) -> u64 {
        self.step += 1;
        self.trace.push(format!("{:>12.3} {}", at.as_secs_f64(), line.as_ref()));
        self.step
    }

    /// Notes a violation, once.
    pub fn violated(&mut self, invariant: Invariant, detail: String) {
        let violation = Violation { invariant, detail };
        if !self.violations.contains(&violation) {
            self.violations.push(violation);
        }
    }

    /// Compares what the store says with what it said before: what has ended never changes.
    pub fn saw(&mut self, deliveries: Vec<Delivery>) {
        for delivery in deliveries {
            let before = self.seen.insert(delivery.id, delivery.clone());
            let Some(before) = before else { continue };
            if before.state.kind().is_terminal() && before != delivery {
                let detail = format!("{} was {:?} and is {:?}", delivery.id, before.state, delivery.state);
                self.violated(Invariant::OneTerminalState, detail);
            }
        }
    }
}

//! Deliveries in memory: the port's promises kept as plainly as possible.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;
use watchbell_domain::audit::Deed;
use watchbell_domain::delivery::{Attempt, AttemptResult, Delivery, Lease, StateKind};
use watchbell_domain::endpoint::{DisabledReason, Endpoint, EndpointState, Order};
use watchbell_domain::id::{DeliveryId, EndpointId, OrgId};
use watchbell_domain::port::*;
use watchbell_wire::Event;

#[derive(Debug)]
pub(crate) struct Row {
    pub endpoint: EndpointId,
    pub event: Arc<Event>,
    pub state: StateKind,
    pub due_at: Timestamp,
    pub lease: u64,
    pub lease_until: Timestamp,
    pub counted: u32,
    pub attempts: Vec<Attempt>,
    pub hops: u8,
    pub body: Option<Bytes>,
}

#[derive(Debug, Default)]
pub(crate) struct Tables {
    pub endpoints: BTreeMap<EndpointId, Arc<Endpoint>>,
    pub rows: BTreeMap<DeliveryId, Row>,
    /// Answered by every call, while there is one.
    pub failure: Option<StoreError>,
    /// Answered by settle alone.
    pub settle_failure: Option<StoreError>,
    pub claims: usize,
    /// So many questions what is due end in a panic.
    pub panics: usize,
    pub taker: Option<Arc<dyn Taker>>,
}

#[derive(Debug)]
pub(crate) struct MemoryStore {
    tables: Mutex<Tables>,
    settled: mpsc::UnboundedSender<Settlement>,
}

impl MemoryStore {
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<Settlement>) {
        let (settled, settlements) = mpsc::unbounded_channel();
        let tables = Mutex::default();
        (Self { tables, settled }, settlements)
    }

    pub(crate) fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap()
    }
}

impl Tables {
    fn due_at(&self, row: &Row) -> Option<Timestamp> {
        let endpoint = &self.endpoints[&row.endpoint];
        match row.state {
            StateKind::Pending => Some(endpoint.not_before.map_or(row.due_at, |pause| pause.max(row.due_at))),
            StateKind::Sending => Some(row.lease_until),
            StateKind::Held | StateKind::Delivered | StateKind::DeadLettered | StateKind::Cancelled => None,
        }
    }

    fn next_due(&self, endpoint: EndpointId) -> Option<Timestamp> {
        let rows = self.rows.values().filter(|row| row.endpoint == endpoint);
        rows.filter_map(|row| self.due_at(row)).min()
    }

    fn claim(&mut self, claim: Claim, now: Timestamp, lease: SignedDuration) -> Option<Claimed> {
        let endpoint = Arc::clone(self.endpoints.get(&claim.endpoint_id)?);
        let rows = self.rows.iter().filter(|(_, row)| row.endpoint == claim.endpoint_id);
        let mut due: Vec<(Timestamp, DeliveryId)> =
            rows.filter_map(|(id, row)| Some((self.due_at(row).filter(|due| *due <= now)?, *id))).collect();
        due.sort();
        if endpoint.policy.order == Order::Endpoint {
            let is_over = |row: &Row| row.state.is_terminal();
            let first = self.rows.iter().find(|(_, row)| row.endpoint == claim.endpoint_id && !is_over(row));
            due.retain(|(_, id)| first.is_some_and(|(first, row)| first == id && row.state == StateKind::Pending));
        }
        due.truncate(claim.limit as usize);
        let deliveries = due.into_iter().map(|(_, id)| {
            let row = self.rows.get_mut(&id).unwrap();
            row.state = StateKind::Sending;
            row.lease += 1;
            row.lease_until = now + lease;
            ClaimedDelivery {
                id,
                lease: Lease(row.lease),
                attempt_number: u32::try_from(row.attempts.len()).unwrap() + 1,
                attempts_counted: row.counted,
                latest_results: row.attempts.iter().rev().take(3).map(|attempt| attempt.result).collect(),
                event: Arc::clone(&row.event),
                hops: row.hops,
                body: row.body.clone(),
            }
        });
        let deliveries = deliveries.collect();
        Some(Claimed { endpoint, deliveries, next_due_at: self.next_due(claim.endpoint_id) })
    }

    fn settle(&mut self, settlement: &Settlement) -> Result<Settled, StoreError> {
        let row = self.rows.get_mut(&settlement.delivery_id).unwrap();
        if row.state != StateKind::Sending || row.lease != settlement.lease.0 {
            return Err(StoreError::LeaseLost);
        }
        row.attempts.extend(settlement.attempt.clone());
        row.body = settlement.body.clone().or(row.body.take());
        let endpoint = Arc::make_mut(self.endpoints.get_mut(&row.endpoint).unwrap());
        match settlement.next {
            Next::Delivered => row.state = StateKind::Delivered,
            Next::Retry { due_at, counts, endpoint_pause } => {
                row.due_at = due_at;
                row.counted += u32::from(counts);
                endpoint.not_before = endpoint_pause.or(endpoint.not_before);
                row.state = match endpoint.state {
                    EndpointState::Active => StateKind::Pending,
                    EndpointState::Paused { .. } | EndpointState::Disabled { .. } => StateKind::Held,
                };
            }
            Next::DeadLetter { disable, endpoint_pause, .. } => {
                row.state = StateKind::DeadLettered;
                endpoint.not_before = endpoint_pause.or(endpoint.not_before);
                if let Some(reason) = disable {
                    assert_eq!(reason, DisabledReason::Gone);
                    let since = settlement.settled_at;
                    endpoint.state = EndpointState::Disabled { since, reason };
                    let others = self.rows.values_mut().filter(|row| row.endpoint == settlement.endpoint_id);
                    for other in others.filter(|row| row.state == StateKind::Pending) {
                        other.state = StateKind::Held;
                    }
                }
            }
        }
        let row = &self.rows[&settlement.delivery_id];
        Ok(Settled { state: row.state })
    }
}

impl DeliveryStore for MemoryStore {
    fn due_endpoints(&self) -> Pending<'_, Vec<DueEndpoint>> {
        Box::pin(async {
            let mut tables = self.tables();
            if let Some(left) = tables.panics.checked_sub(1) {
                tables.panics = left;
                drop(tables);
                panic!("as the test wants it");
            }
            if let Some(error) = &tables.failure {
                return Err(error.clone());
            }
            let due = tables.endpoints.values().filter_map(|endpoint| {
                Some(DueEndpoint {
                    org_id: endpoint.org_id,
                    endpoint_id: endpoint.id,
                    due_at: tables.next_due(endpoint.id)?,
                    flow: endpoint.policy.flow(),
                })
            });
            Ok(due.collect())
        })
    }

    fn claim(&self, claims: Vec<Claim>, now: Timestamp, lease: SignedDuration) -> Pending<'_, Vec<Claimed>> {
        Box::pin(async move {
            let mut tables = self.tables();
            tables.claims += 1;
            if let Some(error) = &tables.failure {
                return Err(error.clone());
            }
            Ok(claims.into_iter().filter_map(|claim| tables.claim(claim, now, lease)).collect())
        })
    }

    fn settle(&self, settlements: Arc<[Settlement]>) -> Pending<'_, Vec<Result<Settled, StoreError>>> {
        Box::pin(async move {
            let mut tables = self.tables();
            if let Some(error) = tables.failure.as_ref().or(tables.settle_failure.as_ref()) {
                return Err(error.clone());
            }
            let settled: Vec<_> = settlements.iter().map(|settlement| tables.settle(settlement)).collect();
            drop(tables);
            for (settlement, _) in settlements.iter().zip(&settled).filter(|(_, settled)| settled.is_ok()) {
                self.settled.send(settlement.clone()).unwrap_or_default();
            }
            Ok(settled)
        })
    }

    fn weights(&self) -> Pending<'_, Vec<(OrgId, u32)>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn hand_over(&self, to: Arc<dyn Taker>) {
        self.tables().taker = Some(to);
    }

    fn delivery(&self, _: OrgId, _: DeliveryId) -> Pending<'_, Option<(Delivery, Vec<Attempt>)>> {
        unimplemented!("the engine does not look deliveries up")
    }

    fn deliveries(&self, _: OrgId, _: DeliveryFilter, _: PageRequest) -> Pending<'_, Page<(Delivery, Vec<Attempt>)>> {
        unimplemented!("the engine does not list deliveries")
    }

    fn retry_now(&self, _: OrgId, _: DeliveryId, _: Timestamp, _: Option<Deed>) -> Pending<'_, Option<Delivery>> {
        unimplemented!("the engine does not hurry deliveries")
    }

    fn cancel(&self, _: OrgId, _: DeliveryId, _: Timestamp, _: Option<Deed>) -> Pending<'_, Option<Delivery>> {
        unimplemented!("the engine does not cancel deliveries")
    }

    fn replay(&self, _: Replay, _: Terms) -> Pending<'_, Written<Vec<Delivery>>> {
        unimplemented!("the engine does not replay deliveries")
    }

    fn count_deliveries(&self, _: OrgId) -> Pending<'_, Vec<(StateKind, u64)>> {
        unimplemented!("the engine does not count deliveries")
    }
}

/// The result of a settlement's attempt.
pub(crate) fn result_of(settlement: &Settlement) -> Option<AttemptResult> {
    settlement.attempt.as_ref().map(|attempt| attempt.result)
}

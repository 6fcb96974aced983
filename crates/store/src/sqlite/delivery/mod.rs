//! Deliveries: due, claimed, settled; looked up, retried, cancelled, replayed.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use watchbell_domain::audit::Deed;
use watchbell_domain::delivery::{Attempt, Delivery, StateKind};
use watchbell_domain::id::{DeliveryId, OrgId};
use watchbell_domain::port::{
    Claim, Claimed, DeliveryFilter, DeliveryStore, DueEndpoint, Page, PageRequest, Pending, Replay, Settled,
    Settlement, StoreError, Taker, Terms, Written,
};

use super::writer::TakenBack;
use super::{SqliteStore, audit, org};

mod change;
mod claim;
mod due;
mod gather;
mod list;
mod order;
mod replay;
mod row;
mod settle;

pub(super) use change::cancel_in_hand;
pub(super) use claim::release_all;
pub(super) use gather::close_if_full;
pub(super) use list::{first_id, of_event};
pub(super) use order::{keep_all_keys, keep_key, keep_keys};
pub(super) use row::{FIRST_LEASE, NewDelivery, Start, insert};

impl DeliveryStore for SqliteStore {
    fn due_endpoints(&self) -> Pending<'_, Vec<DueEndpoint>> {
        self.read(|read| due::endpoints(read.conn))
    }

    fn claim(&self, claims: Vec<Claim>, now: Timestamp, lease: SignedDuration) -> Pending<'_, Vec<Claimed>> {
        self.submit(TakenBack::WithGroup, move |tx| {
            tx.room.for_claims()?;
            claim::claim(tx, &claims, now, lease)
        })
    }

    fn settle(&self, settlements: Arc<[Settlement]>) -> Pending<'_, Vec<Result<Settled, StoreError>>> {
        self.submit(TakenBack::WithGroup, move |tx| {
            settlements.iter().map(|settlement| settle::settle(tx, settlement)).collect()
        })
    }

    fn weights(&self) -> Pending<'_, Vec<(OrgId, u32)>> {
        self.read(|read| org::weights(read.conn))
    }

    fn hand_over(&self, to: Arc<dyn Taker>) {
        self.taker.set(to);
    }

    fn delivery(&self, org: OrgId, id: DeliveryId) -> Pending<'_, Option<(Delivery, Vec<Attempt>)>> {
        self.read(move |read| {
            Ok(match row::find(read.conn, org, id)? {
                Some(delivery) => Some((delivery, row::attempts(read.conn, org, id)?)),
                None => None,
            })
        })
    }

    fn deliveries(
        &self,
        org: OrgId,
        filter: DeliveryFilter,
        page: PageRequest,
    ) -> Pending<'_, Page<(Delivery, Vec<Attempt>)>> {
        self.read(move |read| list::page(read.conn, org, &filter, page))
    }

    fn retry_now(
        &self,
        org: OrgId,
        id: DeliveryId,
        now: Timestamp,
        deed: Option<Deed>,
    ) -> Pending<'_, Option<Delivery>> {
        self.write(move |tx| {
            let changed = change::retry_now(tx, org, id, now)?;
            if changed.is_some() {
                audit::note(tx, org, deed.as_ref())?;
            }
            Ok(changed)
        })
    }

    fn cancel(&self, org: OrgId, id: DeliveryId, now: Timestamp, deed: Option<Deed>) -> Pending<'_, Option<Delivery>> {
        self.write(move |tx| {
            let changed = change::cancel(tx, org, id, now)?;
            if changed.is_some() {
                audit::note(tx, org, deed.as_ref())?;
            }
            Ok(changed)
        })
    }

    fn replay(&self, replay: Replay, terms: Terms) -> Pending<'_, Written<Vec<Delivery>>> {
        self.add(move |tx| audit::on(tx, replay.org_id, replay.now, &terms, |tx| replay::replay(tx, &replay)))
    }

    fn count_deliveries(&self, org: OrgId) -> Pending<'_, Vec<(StateKind, u64)>> {
        self.read(move |read| list::count(read.conn, org))
    }
}

/// The statements that run while a million deliveries wait.
#[cfg(test)]
pub(super) const HOT_STATEMENTS: [&str; 15] = [
    due::PENDING,
    due::SENDING,
    order::DUE,
    order::DUE_UNTRIED,
    order::HEAD,
    order::KEYS_SENDING,
    claim::NEXT_DUE,
    claim::EXPIRED,
    claim::TAKE,
    order::FIRST_TRIED,
    order::FIRST_UNTRIED,
    order::IS_SENDING,
    settle::SETTLE,
    gather::IS_FULL,
    gather::CLOSE,
];

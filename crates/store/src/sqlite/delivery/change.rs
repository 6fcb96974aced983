//! What people do to single deliveries: send it now, forget it.

use jiff::Timestamp;
use rusqlite::params;
use watchbell_domain::delivery::{CancelReason, Delivery, DeliveryState, StateKind};
use watchbell_domain::id::{DeliveryId, EventId, OrgId};
use watchbell_domain::port::{Change, StoreError};

use super::row::{self, Heard};
use crate::sqlite::error::Result;
use crate::sqlite::in_hand;
use crate::sqlite::row::{micros, truncated};
use crate::sqlite::writer::Tx;

/// Makes a pending delivery due now. A held one waits for its endpoint, not for a time: it is not waiting in this sense.
pub(super) fn retry_now(tx: &mut Tx<'_>, org: OrgId, id: DeliveryId, now: Timestamp) -> Result<Option<Delivery>> {
    let Some(mut delivery) = row::find(tx.conn, org, id)? else {
        return Ok(None);
    };
    match delivery.state {
        DeliveryState::Pending { due_at } => {
            let due_at = due_at.min(truncated(now));
            tx.conn
                .prepare_cached("UPDATE delivery SET due_at = ?3 WHERE org_id = ?1 AND id = ?2")?
                .execute(params![org.0.as_bytes(), id.0.as_bytes(), micros(due_at)])?;
            delivery.state = DeliveryState::Pending { due_at };
            tx.hand_over.told.tell(Change::Delivery { org, id });
            Ok(Some(delivery))
        }
        DeliveryState::Held => Err(StoreError::Conflict("the delivery waits for its endpoint to become active").into()),
        DeliveryState::Sending { .. } => Err(StoreError::Conflict("the delivery is being sent").into()),
        DeliveryState::Delivered { .. } | DeliveryState::DeadLettered { .. } | DeliveryState::Cancelled { .. } => {
            Err(StoreError::Conflict("the delivery is over").into())
        }
    }
}

/// Cancels a delivery that waits, for its time or for its endpoint.
pub(super) fn cancel(tx: &mut Tx<'_>, org: OrgId, id: DeliveryId, now: Timestamp) -> Result<Option<Delivery>> {
    let Some(mut delivery) = row::find(tx.conn, org, id)? else {
        return Ok(None);
    };
    match delivery.state {
        DeliveryState::Pending { .. } | DeliveryState::Held => {}
        DeliveryState::Sending { .. } => return Err(StoreError::Conflict("the delivery is being sent").into()),
        DeliveryState::Delivered { .. } | DeliveryState::DeadLettered { .. } | DeliveryState::Cancelled { .. } => {
            return Err(StoreError::Conflict("the delivery is over").into());
        }
    }
    let (at, reason) = (truncated(now), CancelReason::Requested);
    let key = (org.0.as_bytes(), id.0.as_bytes());
    tx.conn
        .prepare_cached(
            "UPDATE delivery SET state = 'cancelled', due_at = NULL, ended_at = ?3, reason = ?4 \
             WHERE org_id = ?1 AND id = ?2",
        )?
        .execute(params![key.0, key.1, micros(at), reason.as_str()])?;
    tx.conn
        .prepare_cached("DELETE FROM delivery_body WHERE org_id = ?1 AND delivery_id = ?2")?
        .execute(params![key.0, key.1])?;
    delivery.state = DeliveryState::Cancelled { at, reason };
    tx.hand_over.told.tell(Change::Delivery { org, id });
    Ok(Some(delivery))
}

/// Cancels what is in hand of an event: the attempt under way cannot be settled. Answers how many there were.
pub(in crate::sqlite) fn cancel_in_hand(
    tx: &mut Tx<'_>,
    org: OrgId,
    event: EventId,
    now: Timestamp,
    reason: CancelReason,
) -> Result<usize> {
    let in_hand = in_hand::of_event(tx.conn, org, event)?;
    for handed in &in_hand {
        tx.hand_over.in_hand.remove(tx.conn, org, handed.endpoint_id, handed.id)?;
        tx.hand_over.changed(handed.endpoint_id);
        let heard = Heard {
            state: StateKind::Cancelled.as_str(),
            due_at: None,
            ended_at: Some(micros(now)),
            reason: Some(reason.as_str()),
            attempts: 0,
            attempts_counted: 0,
        };
        row::insert_handed(tx.conn, handed, &heard)?;
    }
    Ok(in_hand.len())
}

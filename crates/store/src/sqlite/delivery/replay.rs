//! New deliveries that repeat old ones.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};
use watchbell_domain::delivery::{Delivery, DeliveryState};
use watchbell_domain::endpoint::EndpointState;
use watchbell_domain::id::{DeliveryId, EndpointId, EventId};
use watchbell_domain::port::{Change, Replay, ReplayWhat};

use super::list::{first_id, of_event};
use super::order::keep_key;
use super::row::{self, NewDelivery, Start, insert};
use crate::delivery_ids::Ids;
use crate::sqlite::error::Result;
use crate::sqlite::event::micros_up;
use crate::sqlite::row::truncated;
use crate::sqlite::writer::Tx;
use crate::sqlite::{endpoint, erase};

const WINDOW: &str = "SELECT id, event_id FROM delivery INDEXED BY delivery_endpoint \
    WHERE endpoint_id = ?1 AND org_id = ?2 AND id >= ?3 AND created_at >= ?4 AND created_at < ?5 \
      AND state IN ('delivered', 'dead_lettered', 'cancelled') AND (?6 IS NULL OR state = ?6) \
      AND NOT EXISTS (SELECT 1 FROM delivery AS newer INDEXED BY delivery_event \
        WHERE newer.event_id = delivery.event_id AND newer.org_id = delivery.org_id \
          AND newer.endpoint_id = delivery.endpoint_id AND newer.created_at < ?5 \
          AND (newer.created_at > delivery.created_at OR newer.replay_of = delivery.id)) \
    ORDER BY id LIMIT ?7";

/// What to repeat.
struct Old {
    id: DeliveryId,
    event_id: EventId,
    endpoint_id: EndpointId,
}

pub(super) fn replay(tx: &mut Tx<'_>, replay: &Replay) -> Result<Vec<Delivery>> {
    let now = truncated(replay.now);
    let mut ids = Ids::new(&replay.delivery_ids, replay.now);
    let mut made = Vec::new();
    for old in chosen(tx.conn, replay)? {
        if erase::is_erased(tx.conn, replay.org_id, old.event_id)? {
            continue;
        }
        // There is no way to an endpoint that was deleted.
        let Some(endpoint) = endpoint::cached(tx, replay.org_id, old.endpoint_id)? else {
            continue;
        };
        let is_active = matches!(endpoint.state, EndpointState::Active);
        let new = NewDelivery {
            org_id: replay.org_id,
            id: ids.next(),
            event_id: old.event_id,
            endpoint_id: old.endpoint_id,
            start: if is_active { Start::Due } else { Start::Held },
            created_at: now,
            replay_of: Some(old.id),
        };
        insert(tx.conn, &new)?;
        keep_key(tx.conn, &endpoint, new.id)?;
        tx.hand_over.told.tell(Change::Delivery { org: new.org_id, id: new.id });
        made.push(Delivery {
            id: new.id,
            org_id: new.org_id,
            event_id: new.event_id,
            endpoint_id: new.endpoint_id,
            state: if is_active { DeliveryState::Pending { due_at: now } } else { DeliveryState::Held },
            attempts_counted: 0,
            created_at: now,
            replay_of: new.replay_of,
        });
    }
    Ok(made)
}

fn chosen(conn: &Connection, replay: &Replay) -> Result<Vec<Old>> {
    let old =
        |delivery: Delivery| Old { id: delivery.id, event_id: delivery.event_id, endpoint_id: delivery.endpoint_id };
    match &replay.what {
        ReplayWhat::Delivery(id) => Ok(row::find(conn, replay.org_id, *id)?.map(old).into_iter().collect()),
        ReplayWhat::Event(event) => {
            // Oldest first, so that each endpoint keeps its newest.
            let mut newest = BTreeMap::new();
            for delivery in of_event(conn, replay.org_id, *event)? {
                newest.insert(delivery.endpoint_id, old(delivery));
            }
            Ok(newest.into_values().collect())
        }
        ReplayWhat::Window { endpoint_id, since, until, state, limit } => {
            let mut query = conn.prepare_cached(WINDOW)?;
            let mut rows = query.query(params![
                endpoint_id.0.as_bytes(),
                replay.org_id.0.as_bytes(),
                first_id(*since).0.as_bytes(),
                micros_up(*since),
                micros_up(*until),
                state.map(|state| state.as_str()),
                limit,
            ])?;
            let mut chosen = Vec::new();
            while let Some(row) = rows.next()? {
                let columns = crate::sqlite::row::Columns::of("delivery", row);
                chosen.push(Old {
                    id: DeliveryId(columns.uuid("id")?),
                    event_id: EventId(columns.uuid("event_id")?),
                    endpoint_id: *endpoint_id,
                });
            }
            Ok(chosen)
        }
    }
}

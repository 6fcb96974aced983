//! Replays: new deliveries that repeat old ones, and the loop woken for them.

use jiff::Timestamp;
use watchbell_domain::delivery::Delivery;
use watchbell_domain::id::OrgId;
use watchbell_domain::port::{DeliveryStore, Entropy, Replay, ReplayWhat, StoreError, Terms, Written};

use crate::delivery::Handle;
use crate::ingest::event::delivery_ids;

/// A replay, with a seed for the ids of what it will make.
pub fn prepare(org_id: OrgId, what: ReplayWhat, now: Timestamp, entropy: &dyn Entropy) -> Replay {
    Replay { org_id, what, now, delivery_ids: delivery_ids(entropy) }
}

/// Commits a replay and wakes the endpoints.
///
/// # Errors
/// What the store says.
pub async fn replay(
    deliveries: &dyn DeliveryStore,
    wake: &Handle,
    replay: Replay,
    terms: Terms,
) -> Result<Written<Vec<Delivery>>, StoreError> {
    let org_id = replay.org_id;
    let written = deliveries.replay(replay, terms).await?;
    if let Written::Fresh(made) = &written {
        wake.wake(org_id, made.iter().map(|delivery| delivery.endpoint_id));
    }
    Ok(written)
}

//! Ids of deliveries from a seed: the store knows how many there are, the caller where chance comes from.

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use watchbell_domain::id::{DeliveryId, EventId};
use watchbell_domain::port::DeliveryIds;

/// Gives one id after the other, for ever: UUIDv7 of `at`, the random part SHA-256 of seed and counter.
pub(crate) struct Ids {
    seed: [u8; 32],
    millis: u64,
    given: u64,
}

impl Ids {
    pub(crate) fn new(ids: &DeliveryIds, at: Timestamp) -> Self {
        Self { seed: ids.seed, millis: u64::try_from(at.as_millisecond()).unwrap_or_default(), given: 0 }
    }

    pub(crate) fn next(&mut self) -> DeliveryId {
        let mut hash = Sha256::new();
        hash.update(self.seed);
        hash.update(self.given.to_be_bytes());
        self.given += 1;
        let mut random = [0; 10];
        for (to, from) in random.iter_mut().zip(hash.finalize()) {
            *to = from;
        }
        DeliveryId(uuid::Builder::from_unix_timestamp_millis(self.millis, &random).into_uuid())
    }
}

/// Ids and seeds for what a commit makes by itself, from the seed that its caller gave for deliveries. `purpose` keeps it
/// apart from these and from others.
pub(crate) struct Chance {
    ids: Ids,
}

impl Chance {
    pub(crate) fn new(ids: &DeliveryIds, purpose: &str, at: Timestamp) -> Self {
        let seed = Sha256::new().chain_update(ids.seed).chain_update(purpose).finalize().into();
        Self { ids: Ids::new(&DeliveryIds { seed }, at) }
    }

    pub(crate) fn event_id(&mut self) -> EventId {
        EventId(self.ids.next().0)
    }

    /// For the deliveries of an event.
    pub(crate) fn delivery_ids(&mut self) -> DeliveryIds {
        let id = self.ids.next().0;
        DeliveryIds { seed: Sha256::new().chain_update(self.ids.seed).chain_update(id.as_bytes()).finalize().into() }
    }
}

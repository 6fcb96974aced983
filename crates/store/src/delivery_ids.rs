//! Ids of deliveries from a seed: the store knows how many there are, the caller where chance comes from.

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use watchbell_domain::id::DeliveryId;
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

//! Ids of deliveries from a seed: the store knows how many there are, the caller where chance comes from.

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;
use watchbell_domain::id::DeliveryId;
use watchbell_domain::port::DeliveryIds;

/// Gives one id after the other, for ever: UUIDv7 of `at`, the random part SHA-256 of seed and counter.
///
/// Ids sort as they are given: where RFC 9562 (6.2, methods 2 and 3) allows it, time within the millisecond stands before
/// the random part, and behind that the counter. So what is accepted together goes out in the order it was posted in, to
/// endpoints that want an order.
pub(crate) struct Ids {
    seed: [u8; 32],
    millis: u64,
    /// The millisecond in 4 096 parts.
    part: u16,
    given: u64,
}

impl Ids {
    pub(crate) fn new(ids: &DeliveryIds, at: Timestamp) -> Self {
        let nanos = u64::try_from(at.as_nanosecond().rem_euclid(1_000_000)).unwrap_or_default();
        Self {
            seed: ids.seed,
            millis: u64::try_from(at.as_millisecond()).unwrap_or_default(),
            part: u16::try_from(nanos * 4_096 / 1_000_000).unwrap_or_default(),
            given: 0,
        }
    }

    pub(crate) fn next(&mut self) -> DeliveryId {
        let mut hash = Sha256::new();
        hash.update(self.seed);
        hash.update(self.given.to_be_bytes());
        // 24 bits of counter, of which the variant takes two: a longer acceptance begins again, and is in order no more.
        let counter = u32::try_from(self.given & 0x3F_FFFF).unwrap_or_default();
        self.given += 1;
        let [.., high, middle, low] = counter.to_be_bytes();
        let part = self.part.to_be_bytes();
        let mut tail = [part[0], part[1], high, middle, low, 0, 0, 0, 0, 0];
        for (to, from) in tail.iter_mut().skip(5).zip(hash.finalize()) {
            *to = from;
        }
        DeliveryId(from_parts(self.millis, &tail))
    }
}

fn from_parts(millis: u64, tail: &[u8; 10]) -> Uuid {
    uuid::Builder::from_unix_timestamp_millis(millis, tail).into_uuid()
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn ids_sort_as_they_are_given_and_by_time() {
        let begin = Timestamp::from_microsecond(1_800_000_000_000_123).unwrap();
        let all: Vec<DeliveryId> = (0..5)
            .flat_map(|step| {
                let mut ids =
                    Ids::new(&DeliveryIds { seed: [step; 32] }, begin + SignedDuration::from_micros(i64::from(step)));
                std::iter::repeat_with(move || ids.next()).take(1_000)
            })
            .collect();
        assert!(all.is_sorted_by(|before, after| before < after));
        assert!(all.iter().all(|id| id.0.get_version_num() == 7 && id.0.get_variant() == uuid::Variant::RFC4122));
        let other = Ids::new(&DeliveryIds { seed: [9; 32] }, begin).next();
        assert_ne!(other, all[0], "the seed counts");
    }
}

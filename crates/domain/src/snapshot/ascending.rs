//! Chance whose ids ascend: a scan makes hundreds of thousands at one moment, and what is written in the order of its ids
//! is written at the end of an index, page after page. By chance alone each would go to another page.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::port::Entropy;

/// Random bytes that an id's time leaves free: see [`crate::id`].
const ID_BYTES: usize = 10;
/// Of those at the beginning some are the id's version and variant.
const FIXED_BYTES: usize = 3;

/// As `entropy`, but ids that are made of it at one moment ascend. They stay as hard to guess as their steps are: 32 bits.
#[derive(Debug)]
pub(super) struct Ascending<'a> {
    entropy: &'a dyn Entropy,
    fixed: [u8; FIXED_BYTES],
    /// Begins in the lower half of its 56 bits, where there is room for millions of steps.
    last: AtomicU64,
}

impl<'a> Ascending<'a> {
    pub(super) fn new(entropy: &'a dyn Entropy) -> Self {
        let (mut fixed, mut start) = ([0; FIXED_BYTES], [0; 8]);
        entropy.fill(&mut fixed);
        entropy.fill(&mut start);
        Self { entropy, fixed, last: AtomicU64::new(u64::from_be_bytes(start) >> 9) }
    }
}

impl Entropy for Ascending<'_> {
    fn fill(&self, bytes: &mut [u8]) {
        if bytes.len() != ID_BYTES {
            return self.entropy.fill(bytes);
        }
        let mut step = [0; 4];
        self.entropy.fill(&mut step);
        let step = u64::from(u32::from_be_bytes(step)) + 1;
        let next = self.last.fetch_add(step, Ordering::Relaxed) + step;
        // The highest byte of the number is zero.
        let number = next.to_be_bytes().into_iter().skip(1);
        bytes.iter_mut().zip(self.fixed.into_iter().chain(number)).for_each(|(to, from)| *to = from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::FindingId;
    use crate::port::testing::SeededEntropy;

    #[test]
    fn ids_of_one_moment_ascend_and_differ_between_scans() {
        let now: jiff::Timestamp = "2026-03-01T08:00:00Z".parse().unwrap();
        let seeded = SeededEntropy::new(5);
        let (one, other) = (Ascending::new(&seeded), Ascending::new(&seeded));
        let ids: Vec<FindingId> = (0..10_000).map(|_| FindingId::make(now, &one)).collect();
        assert!(ids.is_sorted_by(|a, b| a < b));
        assert_ne!(ids[0].0.as_u128() >> 32, FindingId::make(now, &other).0.as_u128() >> 32);
        assert_eq!(ids[9_999].0.get_version_num(), 7);
        let (mut a, mut b) = ([0; 32], [0; 32]);
        one.fill(&mut a);
        one.fill(&mut b);
        assert_ne!(a, b, "all else is chance");
    }
}

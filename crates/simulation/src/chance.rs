//! Chance that repeats: every decision of a world comes from its seed. SplitMix64, because it is small and forks well.

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// The same seed gives the same stream.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A stream of its own, named by `label`: what one part of the world draws does not move another's stream.
    pub fn fork(&self, label: u64) -> Self {
        let mut fork = Self(self.0 ^ label.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        Self(fork.draw())
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number in `low..=high`.
    pub fn within(&mut self, low: u64, high: u64) -> u64 {
        low + self.draw() % (high - low + 1)
    }

    /// `true` in so many of a hundred cases.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.draw() % 100 < percent
    }

    /// `true` in so many of ten thousand cases.
    pub fn of_ten_thousand(&mut self, count: u64) -> bool {
        self.draw() % 10_000 < count
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.index(all.len())]
    }

    /// An index below `length`.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.draw() % u64::try_from(length).unwrap()).unwrap()
    }

    /// Time in milliseconds, `low..=high`.
    pub fn millis(&mut self, low: u64, high: u64) -> jiff::SignedDuration {
        jiff::SignedDuration::from_millis(i64::try_from(self.within(low, high)).unwrap())
    }
}

//! What became of a world, and its figures.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use sha2::{Digest, Sha256};

use crate::invariant::Violation;

/// What became of a world.
#[derive(Debug)]
pub struct Outcome {
    /// Its seed.
    pub seed: u64,
    /// What did not hold. Empty: all is well.
    pub violations: Vec<Violation>,
    /// Everything that happened.
    pub trace: Vec<String>,
    /// Fail points that were passed.
    pub points: BTreeSet<&'static str>,
    /// Figures.
    pub tally: Tally,
}

/// Figures of a world.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    /// Worlds that this is about.
    pub worlds: u32,
    /// Processes that ended without being asked to.
    pub crashes: usize,
    /// Faults at fail points.
    pub faults: u64,
    /// Events acknowledged.
    pub events: usize,
    /// Deliveries made of them.
    pub deliveries: usize,
    /// Requests that arrived at endpoints.
    pub arrivals: usize,
    /// Virtual time.
    pub lasted: SignedDuration,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.worlds += other.worlds;
        self.crashes += other.crashes;
        self.faults += other.faults;
        self.events += other.events;
        self.deliveries += other.deliveries;
        self.arrivals += other.arrivals;
        self.lasted += other.lasted;
    }
}

impl Outcome {
    /// A digest of everything that happened.
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for line in &self.trace {
            hash.update(line);
            hash.update(b"\n");
        }
        hash.finalize().into()
    }
}

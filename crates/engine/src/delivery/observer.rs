//! Counters of the delivery loop: cheap to raise, read when somebody asks.

use std::sync::atomic::{AtomicU64, Ordering};

use watchbell_domain::delivery::AttemptResult;

/// Statuses that HTTP can carry.
const STATUSES: usize = 1000;

/// What the loop has done since it began. Shared with whoever shows metrics.
#[derive(Debug)]
pub struct Observer {
    by_status: Vec<AtomicU64>,
    by_result: Vec<(AttemptResult, AtomicU64)>,
    in_flight: AtomicU64,
    leases_lost: AtomicU64,
    settle_failures: AtomicU64,
    claim_failures: AtomicU64,
    panics: AtomicU64,
    loop_panics: AtomicU64,
}

impl Default for Observer {
    fn default() -> Self {
        Self {
            by_status: (0..STATUSES).map(|_| AtomicU64::new(0)).collect(),
            by_result: AttemptResult::WITHOUT_STATUS.iter().map(|result| (*result, AtomicU64::new(0))).collect(),
            in_flight: AtomicU64::new(0),
            leases_lost: AtomicU64::new(0),
            settle_failures: AtomicU64::new(0),
            claim_failures: AtomicU64::new(0),
            panics: AtomicU64::new(0),
            loop_panics: AtomicU64::new(0),
        }
    }
}

impl Observer {
    /// Attempts by result, those that occurred.
    pub fn attempts(&self) -> Vec<(AttemptResult, u64)> {
        let statuses = (0..).zip(&self.by_status).map(|(status, count)| (AttemptResult::Http(status), count));
        let others = self.by_result.iter().map(|(result, count)| (*result, count));
        statuses
            .chain(others)
            .map(|(result, count)| (result, count.load(Ordering::Relaxed)))
            .filter(|(_, count)| *count > 0)
            .collect()
    }

    /// Attempts under way.
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Outcomes that came too late: somebody else had taken the delivery.
    pub fn leases_lost(&self) -> u64 {
        self.leases_lost.load(Ordering::Relaxed)
    }

    /// Times the store did not take an outcome.
    pub fn settle_failures(&self) -> u64 {
        self.settle_failures.load(Ordering::Relaxed)
    }

    /// Times the store did not say what is due or did not hand it out.
    pub fn claim_failures(&self) -> u64 {
        self.claim_failures.load(Ordering::Relaxed)
    }

    /// Times the loop itself panicked, and began anew.
    pub fn loop_panics(&self) -> u64 {
        self.loop_panics.load(Ordering::Relaxed)
    }

    pub(super) fn loop_panicked(&self) {
        self.loop_panics.fetch_add(1, Ordering::Relaxed);
    }

    /// Panics caught.
    pub fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    pub(super) fn attempt_ended(&self, result: AttemptResult) {
        let counter = if let AttemptResult::Http(status) = result {
            self.by_status.get(usize::from(status))
        } else {
            self.by_result.iter().find(|(known, _)| *known == result).map(|(_, count)| count)
        };
        if let Some(counter) = counter {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn set_in_flight(&self, count: u32) {
        self.in_flight.store(u64::from(count), Ordering::Relaxed);
    }

    pub(super) fn lease_lost(&self) {
        self.leases_lost.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn settle_failed(&self) {
        self.settle_failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn claim_failed(&self) {
        self.claim_failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn panicked(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
    }
}

//! Outcomes on their way into the store: gathered while the commit before them runs, then written together.
//!
//! An outcome that the store does not take now is offered again while its claim holds, and as long as one waits like that
//! nothing new is begun: an attempt whose result cannot be written would only be made again.

use std::sync::Arc;

use jiff::SignedDuration;
use watchbell_domain::port::{Settled, Settlement, StoreError};

use super::observer::Observer;

/// Most outcomes of one commit.
const TOGETHER_MAX: usize = 256;

/// First wait before outcomes are offered to the store again; doubles up to [`WAIT_MAX`].
const WAIT: SignedDuration = SignedDuration::from_millis(100);
const WAIT_MAX: SignedDuration = SignedDuration::from_secs(5);

/// What became of a claimed delivery.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) settlement: Settlement,
    /// When it was claimed, by the monotonic clock.
    pub(super) claimed_at: SignedDuration,
}

#[derive(Debug)]
pub(super) struct Outcomes {
    lease: SignedDuration,
    waiting: Vec<Outcome>,
    /// Those that the store was asked to write, with when each was claimed.
    asked: Option<(Arc<[Settlement]>, Vec<SignedDuration>)>,
    /// The store did not take some; it is not asked before this.
    failing: Option<Failing>,
    /// The store found fault with one of several: each is offered alone, so that the others do not suffer.
    alone: usize,
}

#[derive(Debug, Clone, Copy)]
struct Failing {
    retry_at: SignedDuration,
    wait: SignedDuration,
}

impl Outcomes {
    pub(super) const fn new(lease: SignedDuration) -> Self {
        Self { lease, waiting: Vec::new(), asked: None, failing: None, alone: 0 }
    }

    pub(super) fn push(&mut self, outcome: Outcome) {
        self.waiting.push(outcome);
    }

    /// Whether the store refuses outcomes just now.
    pub(super) const fn are_stuck(&self) -> bool {
        self.failing.is_some()
    }

    /// How many are not written yet.
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.asked.as_ref().map_or(0, |(settlements, _)| settlements.len())
    }

    /// When there is something to offer again.
    pub(super) fn retry_at(&self) -> Option<SignedDuration> {
        self.failing.map(|failing| failing.retry_at).filter(|_| self.asked.is_none())
    }

    /// What to write now; `None`: nothing, or something is being written.
    pub(super) fn next(&mut self, now: SignedDuration) -> Option<Arc<[Settlement]>> {
        let rests = self.failing.is_some_and(|failing| now < failing.retry_at);
        if self.asked.is_some() || self.waiting.is_empty() || rests {
            return None;
        }
        let together = if self.alone > 0 { 1 } else { TOGETHER_MAX };
        self.alone = self.alone.saturating_sub(1);
        let count = self.waiting.len().min(together);
        let (settlements, claimed_at): (Vec<_>, Vec<_>) =
            self.waiting.drain(..count).map(|outcome| (outcome.settlement, outcome.claimed_at)).unzip();
        let settlements: Arc<[Settlement]> = settlements.into();
        self.asked = Some((Arc::clone(&settlements), claimed_at));
        Some(settlements)
    }

    /// The store's answer: `settled` hears of each that is written now.
    pub(super) fn answered(
        &mut self,
        answer: Result<Vec<Result<Settled, StoreError>>, StoreError>,
        now: SignedDuration,
        observer: &Observer,
        mut settled: impl FnMut(&Settlement, Option<Settled>),
    ) {
        let Some((settlements, claimed_at)) = self.asked.take() else {
            return;
        };
        match answer {
            Ok(each) => {
                self.failing = None;
                for (settlement, answer) in settlements.iter().zip(each) {
                    match answer {
                        Ok(state) => settled(settlement, Some(state)),
                        Err(_) => {
                            observer.lease_lost();
                            settled(settlement, None);
                        }
                    }
                }
            }
            Err(error @ (StoreError::Conflict(_) | StoreError::Corrupt { .. } | StoreError::LeaseLost)) => {
                observer.settle_failed();
                match settlements.as_ref() {
                    [one] => {
                        tracing::error!(delivery_id = %one.delivery_id, %error, "an outcome cannot be written");
                        settled(one, None);
                    }
                    _ => {
                        self.alone = settlements.len();
                        self.put_back(&settlements, claimed_at, now, settled);
                    }
                }
            }
            Err(StoreError::Unavailable(_) | StoreError::Full) => {
                observer.settle_failed();
                let wait = self.failing.map_or(WAIT, |failing| (failing.wait * 2).min(WAIT_MAX));
                self.failing = Some(Failing { retry_at: now + wait, wait });
                self.put_back(&settlements, claimed_at, now + wait, settled);
            }
        }
    }

    /// They go to the front, but for those whose claim will have run out: these are somebody else's then.
    fn put_back(
        &mut self,
        settlements: &Arc<[Settlement]>,
        claimed_at: Vec<SignedDuration>,
        again_at: SignedDuration,
        mut settled: impl FnMut(&Settlement, Option<Settled>),
    ) {
        let mut again = Vec::with_capacity(settlements.len());
        for (settlement, claimed_at) in settlements.iter().zip(claimed_at) {
            match again_at < claimed_at + self.lease {
                true => again.push(Outcome { settlement: settlement.clone(), claimed_at }),
                false => settled(settlement, None),
            }
        }
        self.waiting.splice(..0, again);
        if self.waiting.is_empty() {
            self.failing = None;
        }
    }
}

//! Outcomes on their way into the store: gathered while the commit before them runs, then written together.
//!
//! An outcome that the store does not take now is offered again while its claim holds, and as long as one waits like that
//! nothing new is begun: an attempt whose result cannot be written would only be made again.

use std::sync::Arc;

use jiff::SignedDuration;
use watchbell_domain::port::{Settled, Settlement, StoreError};

use super::observer::Observer;

/// Most outcomes of one commit. As many acceptances share a commit as there are callers, each with a delivery for every
/// endpoint: with fewer outcomes than that, outcomes gather, lines stay full, and what is made has to wait in the store.
const TOGETHER_MAX: usize = 1024;

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
                self.failing = None;
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

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use uuid::Uuid;
    use watchbell_domain::delivery::{Lease, StateKind};
    use watchbell_domain::id::{DeliveryId, EndpointId, OrgId};
    use watchbell_domain::port::Next;

    use super::*;

    const LEASE: SignedDuration = SignedDuration::from_secs(60);

    fn at(seconds: i64) -> SignedDuration {
        SignedDuration::from_secs(seconds)
    }

    fn outcome(number: u128) -> Outcome {
        let settlement = Settlement {
            org_id: OrgId(Uuid::nil()),
            delivery_id: DeliveryId(Uuid::from_u128(number)),
            endpoint_id: EndpointId(Uuid::nil()),
            lease: Lease(1),
            attempt: None,
            next: Next::Delivered,
            body: None,
            settled_at: Timestamp::UNIX_EPOCH,
        };
        Outcome { settlement, claimed_at: at(0) }
    }

    fn ids(asked: Option<Arc<[Settlement]>>) -> Vec<u128> {
        asked.iter().flat_map(|asked| asked.iter()).map(|settlement| settlement.delivery_id.0.as_u128()).collect()
    }

    /// Answers, and says which were written.
    fn answer(outcomes: &mut Outcomes, answer: Result<usize, StoreError>, now: i64) -> Vec<u128> {
        let mut written = Vec::new();
        let answer = answer.map(|count| vec![Ok(Settled { state: StateKind::Delivered }); count]);
        outcomes.answered(answer, at(now), &Observer::default(), |settlement, _| {
            written.push(settlement.delivery_id.0.as_u128());
        });
        written
    }

    #[test]
    fn what_comes_while_some_are_written_is_written_next() {
        let mut outcomes = Outcomes::new(LEASE);
        (1..=2).for_each(|number| outcomes.push(outcome(number)));
        assert_eq!(ids(outcomes.next(at(0))), [1, 2]);
        outcomes.push(outcome(3));
        assert_eq!((ids(outcomes.next(at(0))), outcomes.len()), (vec![], 3));
        assert_eq!(answer(&mut outcomes, Ok(2), 0), [1, 2]);
        assert_eq!(ids(outcomes.next(at(0))), [3]);
    }

    #[test]
    fn a_store_that_fails_is_asked_again_while_the_claims_hold() {
        let mut outcomes = Outcomes::new(LEASE);
        outcomes.push(outcome(1));
        for (now, wait) in [(0, 100), (1, 200), (2, 400)] {
            assert_eq!(ids(outcomes.next(at(now))), [1]);
            answer(&mut outcomes, Err(StoreError::Full), now);
            assert!(outcomes.are_stuck());
            assert_eq!(outcomes.retry_at(), Some(at(now) + SignedDuration::from_millis(wait)));
            assert_eq!(ids(outcomes.next(at(now))), [0; 0], "not before that");
        }
        outcomes.next(at(60));
        answer(&mut outcomes, Err(StoreError::Full), 60);
        assert_eq!((outcomes.len(), outcomes.are_stuck(), outcomes.retry_at()), (0, false, None), "the claim is over");
    }

    #[test]
    fn one_that_cannot_be_written_keeps_no_other_from_it() {
        let mut outcomes = Outcomes::new(LEASE);
        (1..=3).for_each(|number| outcomes.push(outcome(number)));
        outcomes.next(at(0));
        answer(&mut outcomes, Err(StoreError::Full), 0);
        outcomes.next(at(1));
        answer(&mut outcomes, Err(StoreError::Conflict("one of them")), 1);
        assert_eq!(ids(outcomes.next(at(1))), [1]);
        answer(&mut outcomes, Err(StoreError::Conflict("it is this one")), 1);
        for number in 2..=3 {
            assert_eq!(ids(outcomes.next(at(1))), [number]);
            assert_eq!(answer(&mut outcomes, Ok(1), 1), [number]);
        }
        assert_eq!((outcomes.len(), outcomes.retry_at()), (0, None));
    }

    #[test]
    fn the_last_one_given_up_leaves_nothing_to_wait_for() {
        let mut outcomes = Outcomes::new(LEASE);
        outcomes.push(outcome(1));
        outcomes.next(at(0));
        answer(&mut outcomes, Err(StoreError::Full), 0);
        outcomes.next(at(1));
        answer(&mut outcomes, Err(StoreError::Conflict("never")), 1);
        assert_eq!((outcomes.len(), outcomes.retry_at(), outcomes.are_stuck()), (0, None, false));
    }
}

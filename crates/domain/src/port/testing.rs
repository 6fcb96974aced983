//! Time and chance that a test holds in its hand (feature `testing`).

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::{Clock, Entropy};

/// A clock that stands still until it is moved.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<Mutex<Hands>>);

#[derive(Debug)]
struct Hands {
    now: Timestamp,
    monotonic: SignedDuration,
    sleepers: Vec<(SignedDuration, Waker)>,
}

impl ManualClock {
    /// A clock that shows `now`.
    pub fn at(now: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(Hands { now, monotonic: SignedDuration::ZERO, sleepers: Vec::new() })))
    }

    /// Moves both halves on and wakes whoever waited for it.
    pub fn advance(&self, by: SignedDuration) {
        let mut hands = self.hands();
        hands.now = hands.now.saturating_add(by).unwrap_or(Timestamp::MAX);
        hands.monotonic = hands.monotonic.saturating_add(by);
        let reached = hands.monotonic;
        hands.sleepers.retain(|(until, waker)| {
            let due = *until <= reached;
            if due {
                waker.wake_by_ref();
            }
            !due
        });
    }

    /// Sets the wall clock alone, as an operator or NTP would.
    pub fn set_wall(&self, now: Timestamp) {
        self.hands().now = now;
    }

    /// When the next sleeper wakes, counted from now; `None`: nobody sleeps.
    pub fn next_wake(&self) -> Option<SignedDuration> {
        let hands = self.hands();
        hands.sleepers.iter().map(|(until, _)| *until - hands.monotonic).min()
    }

    fn hands(&self) -> MutexGuard<'_, Hands> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.hands().now
    }

    fn monotonic(&self) -> SignedDuration {
        self.hands().monotonic
    }

    fn sleep(&self, wait: SignedDuration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let until = self.monotonic().saturating_add(wait);
        Box::pin(std::future::poll_fn(move |context| {
            let mut hands = self.hands();
            if hands.monotonic >= until {
                return Poll::Ready(());
            }
            hands.sleepers.push((until, context.waker().clone()));
            Poll::Pending
        }))
    }
}

/// Chance that repeats: SHA-256 of a seed and a counter.
#[derive(Debug)]
pub struct SeededEntropy(Mutex<(u64, u64)>);

impl SeededEntropy {
    /// The same seed gives the same bytes.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new((seed, 0)))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for chunk in bytes.chunks_mut(32) {
            state.1 += 1;
            let mut hash = Sha256::new();
            hash.update(state.0.to_be_bytes());
            hash.update(state.1.to_be_bytes());
            for (to, from) in chunk.iter_mut().zip(hash.finalize()) {
                *to = from;
            }
        }
    }
}

//! The real clock: the one place that asks the operating system for the time. And one that can be pushed ahead of it.

use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use watchbell_domain::port::Clock;

/// Wall clock and monotonic clock of the operating system; waiting is tokio's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// A clock whose monotonic half counts from now.
    #[expect(clippy::disallowed_methods, reason = "the clock that everything else takes")]
    pub(crate) fn start() -> Self {
        Self { started: Instant::now() }
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the clock that everything else takes")]
    fn now(&self) -> Timestamp {
        // Whole microseconds, which is what stores keep: a time that was answered is the time that is found again.
        let now = Timestamp::now();
        Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
    }

    fn monotonic(&self) -> SignedDuration {
        SignedDuration::try_from(self.started.elapsed()).unwrap_or(SignedDuration::MAX)
    }

    fn sleep(&self, wait: SignedDuration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let wait = std::time::Duration::try_from(wait).unwrap_or_default();
        Box::pin(tokio::time::sleep(wait))
    }
}

/// A clock that runs like the real one and can be pushed ahead: for whoever sleeps, and for whoever reads it, the time that
/// was skipped has passed. Whatever waits for something due in it wakes at once.
#[derive(Debug)]
pub(crate) struct MovableClock {
    real: SystemClock,
    ahead: watch::Sender<SignedDuration>,
}

impl MovableClock {
    /// A clock that shows the real time until it is pushed.
    pub(crate) fn start() -> Self {
        Self { real: SystemClock::start(), ahead: watch::Sender::new(SignedDuration::ZERO) }
    }

    /// How far it has been pushed in all.
    pub(crate) fn ahead(&self) -> SignedDuration {
        *self.ahead.borrow()
    }

    /// Lets `time` pass at once. A clock is never pushed back.
    pub(crate) fn push(&self, time: SignedDuration) {
        self.ahead.send_modify(|ahead| *ahead = ahead.saturating_add(time.max(SignedDuration::ZERO)));
    }
}

impl Clock for MovableClock {
    fn now(&self) -> Timestamp {
        self.real.now().saturating_add(self.ahead()).unwrap_or(Timestamp::MAX)
    }

    fn monotonic(&self) -> SignedDuration {
        self.real.monotonic().saturating_add(self.ahead())
    }

    fn sleep(&self, wait: SignedDuration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        // Both before the future is polled: a push between here and there counts.
        let (until, mut pushed) = (self.monotonic().saturating_add(wait), self.ahead.subscribe());
        Box::pin(async move {
            loop {
                let left = until.saturating_sub(self.monotonic());
                if !left.is_positive() {
                    return;
                }
                tokio::select! {
                    biased;
                    // The sender is this clock, which outlives its sleepers.
                    _ = pushed.changed() => {}
                    () = self.real.sleep(left) => return,
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_sleeps_wakes_when_the_clock_is_pushed_past_the_time() {
        let clock = MovableClock::start();
        let (before, began) = (clock.now(), clock.monotonic());
        let mut long = clock.sleep(SignedDuration::from_hours(48));
        let mut longer = clock.sleep(SignedDuration::from_hours(72));
        let pending = |poll: std::task::Poll<()>| assert!(poll.is_pending());
        pending(look(&mut long).await);
        clock.push(SignedDuration::from_hours(47));
        pending(look(&mut long).await);
        clock.push(SignedDuration::from_hours(2));
        long.await;
        pending(look(&mut longer).await);
        let day = SignedDuration::from_hours(49);
        assert!(clock.now().duration_since(before) >= day && clock.monotonic() - began >= day);
        clock.push(SignedDuration::from_hours(-49));
        assert!(clock.now().duration_since(before) >= day, "never back");
        clock.sleep(SignedDuration::from_hours(-1)).await;
    }

    /// One look at a future.
    async fn look(future: &mut (impl Future<Output = ()> + Unpin)) -> std::task::Poll<()> {
        std::future::poll_fn(|context| std::task::Poll::Ready(Pin::new(&mut *future).poll(context))).await
    }
}

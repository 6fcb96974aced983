//! The real clock: the one place that asks the operating system for the time.

use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
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

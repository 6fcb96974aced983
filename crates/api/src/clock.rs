//! The injected clock, as the rate limiter wants it.

use std::sync::Arc;

use governor::nanos::Nanos;
use watchbell_domain::port::Clock;

/// Reads [`Clock::monotonic`].
#[derive(Debug, Clone)]
pub(crate) struct Monotonic(pub(crate) Arc<dyn Clock>);

impl governor::clock::Clock for Monotonic {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        let nanos = u64::try_from(self.0.monotonic().as_nanos()).unwrap_or_default();
        Nanos::from(nanos)
    }
}

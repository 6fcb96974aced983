//! The loop, begun anew when it panics: one fault must not end what everybody waits for.
//!
//! Nothing is lost by it: what the loop had claimed, and what it knew of attempts under way, is on disk as claimed, and is
//! taken again when the claims run out. Attempts under way go on to their ends, which nobody hears of.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;

use super::handle::Woken;
use super::options::{Options, OptionsError};
use super::service::{Parts, Service};

/// First wait before it begins anew; doubles up to [`WAIT_MAX`] while it breaks soon again.
const WAIT: SignedDuration = SignedDuration::from_secs(1);
const WAIT_MAX: SignedDuration = SignedDuration::from_secs(60);

/// A loop that has run for so long did not break on what it found at its start.
const RAN_WELL: SignedDuration = SignedDuration::from_mins(5);

/// Delivers, whatever happens. One for each server.
#[derive(Debug)]
pub struct Supervised {
    options: Options,
    parts: Parts,
    woken: Woken,
    first: Service,
}

impl Supervised {
    /// The loop, not running yet.
    ///
    /// # Errors
    /// When the options cannot work together.
    pub fn new(options: Options, parts: Parts, woken: Woken) -> Result<Self, OptionsError> {
        let first = Service::new(options.clone(), parts.clone(), woken.again())?;
        Ok(Self { options, parts, woken, first })
    }

    /// Delivers until `shutdown`; see [`Service::run`].
    pub async fn run(self, shutdown: CancellationToken) {
        let Self { options, parts, woken, first } = self;
        let clock = Arc::clone(&parts.clock);
        let mut service = first;
        let mut wait = WAIT;
        loop {
            let begun = clock.monotonic();
            if AssertUnwindSafe(service.run(shutdown.clone())).catch_unwind().await.is_ok() {
                return;
            }
            woken.close();
            // Claimed for the loop that is gone: left to their claims.
            drop(woken.take_now());
            parts.observer.loop_panicked();
            if clock.monotonic() - begun >= RAN_WELL {
                wait = WAIT;
            }
            tracing::error!(
                wait_ms = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX),
                "the delivery loop panicked and begins anew"
            );
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                () = clock.sleep(wait) => {}
            }
            wait = (wait * 2).min(WAIT_MAX);
            service = match Service::new(options.clone(), parts.clone(), woken.again()) {
                Ok(service) => service,
                // They were good before.
                Err(_) => return,
            };
        }
    }
}

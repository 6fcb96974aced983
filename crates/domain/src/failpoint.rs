//! Named points between two steps, where a test lets something go wrong.
//!
//! ```text
//!  at("store.commit.before")?  ──▶ nothing                            without the feature `failpoints`
//!                              ──▶ kill · panic · error · delay(…)    with it, where somebody armed the point
//! ```
//!
//! A point is one line where it stands, and no state is handed through for it. What it does is asked of whoever armed the
//! points: a simulated world, for the thread it runs on (so that worlds run beside each other), or the binary, for the
//! whole process, from `WATCHBELL_FAILPOINTS`. Without the feature every point is an `Ok` that the compiler removes.

use crate::port::{Clock, StoreError};

#[cfg(feature = "failpoints")]
mod armed;
#[cfg(feature = "failpoints")]
mod plan;

#[cfg(feature = "failpoints")]
pub use armed::{Action, Armed, Decide, Killed, arm_process, arm_thread};
#[cfg(feature = "failpoints")]
pub use plan::{Plan, PlanError};

/// Every point, and what it stands between.
pub const POINTS: &[(&str, &str)] = &[
    ("store.migrate.before", "the database is open, its schema not yet up to date"),
    ("store.migrate.after", "the schema is up to date, the claims of the process before are not taken back"),
    ("store.release.before", "claims of the process before are taken back, not committed"),
    ("store.unit", "a unit of work is about to run inside the group's transaction"),
    ("store.accept", "an event is written, its deliveries are not"),
    ("store.claim", "a delivery is taken for sending, others of the same claim are not"),
    ("store.settle", "a delivery has its next state, its attempt is not written"),
    ("store.commit.before", "all units of a group ran, nothing is committed"),
    ("store.commit.after", "committed, nobody has been told, nothing is handed over to the loop"),
    ("engine.poll", "the store is about to be asked what is due"),
    ("engine.claim", "the store is about to be asked for deliveries"),
    ("engine.claimed", "deliveries are claimed, no attempt has begun"),
    ("engine.send", "an attempt has begun, nothing is sent"),
    ("engine.settle.before", "an attempt has ended, its outcome is not written"),
    ("engine.settle.after", "an outcome is written, the loop does not know"),
    ("net.connect", "a connection is about to be opened"),
    ("net.write", "bytes are about to be written to an endpoint"),
    ("net.read", "bytes are about to be read from an endpoint"),
];

/// A point was told to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the fail point {0} was told to fail")]
pub struct Failed(pub &'static str);

impl From<Failed> for StoreError {
    fn from(failed: Failed) -> Self {
        Self::Unavailable(failed.to_string())
    }
}

impl From<Failed> for std::io::Error {
    fn from(failed: Failed) -> Self {
        Self::other(failed)
    }
}

/// A point. A delay stops the thread.
///
/// # Errors
/// When it was told to fail.
#[inline]
pub fn at(point: &'static str) -> Result<(), Failed> {
    #[cfg(feature = "failpoints")]
    return armed::at(point);
    #[cfg(not(feature = "failpoints"))]
    {
        let _ = point;
        Ok(())
    }
}

/// A point in a task. A delay passes by `clock`, and others go on meanwhile.
///
/// # Errors
/// When it was told to fail.
#[inline]
pub async fn at_while(point: &'static str, clock: &dyn Clock) -> Result<(), Failed> {
    #[cfg(feature = "failpoints")]
    return armed::at_while(point, clock).await;
    #[cfg(not(feature = "failpoints"))]
    {
        let _ = (point, clock);
        Ok(())
    }
}

/// Whether a bug of this name was planted, to see whether tests find it. Only a simulated world plants bugs, in its own
/// thread; no setting of the binary does.
#[inline]
pub fn is_planted(bug: &'static str) -> bool {
    #[cfg(feature = "failpoints")]
    return armed::is_planted(bug);
    #[cfg(not(feature = "failpoints"))]
    {
        let _ = bug;
        false
    }
}

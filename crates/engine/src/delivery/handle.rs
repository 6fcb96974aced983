//! Hints that something is due.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use watchbell_domain::id::{EndpointId, OrgId};

/// Tells the loop that something is due. Cheap to clone; a hint, never the truth: the store is asked in any case.
///
/// Hints for one endpoint are one hint, so that what is held here grows with endpoints and not with events.
#[derive(Debug, Clone)]
pub struct Handle(Arc<Hints>);

/// The end that the loop listens on.
#[derive(Debug)]
pub struct Woken(Arc<Hints>);

#[derive(Debug, Default)]
struct Hints {
    endpoints: Mutex<BTreeSet<(OrgId, EndpointId)>>,
    arrived: Notify,
}

impl Handle {
    /// A handle and the end that the loop listens on.
    pub fn channel() -> (Self, Woken) {
        let hints = Arc::new(Hints::default());
        (Self(Arc::clone(&hints)), Woken(hints))
    }

    /// These endpoints have something due now.
    pub fn wake(&self, org: OrgId, endpoints: impl IntoIterator<Item = EndpointId>) {
        let mut hints = self.0.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        let before = hints.len();
        hints.extend(endpoints.into_iter().map(|endpoint| (org, endpoint)));
        let new = hints.len() > before;
        drop(hints);
        if new {
            self.0.arrived.notify_one();
        }
    }
}

impl Woken {
    /// Waits for hints and takes all that have come.
    pub(super) async fn take(&self) -> BTreeSet<(OrgId, EndpointId)> {
        loop {
            let arrived = self.0.arrived.notified();
            let hints = std::mem::take(&mut *self.0.endpoints.lock().unwrap_or_else(PoisonError::into_inner));
            if !hints.is_empty() {
                return hints;
            }
            arrived.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn hints_are_kept_once_until_taken() {
        let (handle, woken) = Handle::channel();
        let (org, endpoint) = (OrgId(Uuid::nil()), EndpointId(Uuid::max()));
        assert_eq!(woken.take().now_or_never(), None);
        handle.wake(org, [endpoint, endpoint]);
        handle.clone().wake(org, [endpoint]);
        assert_eq!(woken.take().now_or_never(), Some(BTreeSet::from([(org, endpoint)])));
        assert_eq!(woken.take().now_or_never(), None);
    }
}

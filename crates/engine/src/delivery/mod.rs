//! claim → encode → sign → send → settle.

use watchbell_domain::id::{EndpointId, OrgId};

/// Tells the loop that something is due. Cheap to clone; a hint, never the truth: the store is asked in any case.
#[derive(Debug, Clone)]
pub struct Handle {
    wake: tokio::sync::mpsc::UnboundedSender<(OrgId, EndpointId)>,
}

impl Handle {
    /// A handle and the end that the loop listens on.
    pub fn channel() -> (Self, tokio::sync::mpsc::UnboundedReceiver<(OrgId, EndpointId)>) {
        let (wake, woken) = tokio::sync::mpsc::unbounded_channel();
        (Self { wake }, woken)
    }

    /// These endpoints have something due now.
    pub fn wake(&self, org: OrgId, endpoints: impl IntoIterator<Item = EndpointId>) {
        for endpoint in endpoints {
            // A closed channel means that the loop has stopped: what waits is on disk.
            self.wake.send((org, endpoint)).ok();
        }
    }
}

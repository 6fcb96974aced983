//! Deliveries that are claimed and wait for their turn, a line for each endpoint, the first come first.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use jiff::SignedDuration;
use watchbell_domain::endpoint::Endpoint;
use watchbell_domain::id::EndpointId;
use watchbell_domain::port::ClaimedDelivery;

/// One that waits.
#[derive(Debug)]
pub(super) struct InLine {
    /// As it was when this was claimed.
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) delivery: ClaimedDelivery,
    /// By the monotonic clock.
    pub(super) claimed_at: SignedDuration,
    /// Not begun after this: its claim would not outlast the attempt.
    pub(super) begins_by: SignedDuration,
}

#[derive(Debug, Default)]
pub(super) struct Lines {
    by_endpoint: BTreeMap<EndpointId, VecDeque<InLine>>,
}

impl Lines {
    pub(super) fn push(&mut self, in_line: InLine) {
        self.by_endpoint.entry(in_line.endpoint.id).or_default().push_back(in_line);
    }

    pub(super) fn next(&mut self, endpoint: EndpointId) -> Option<InLine> {
        self.by_endpoint.get_mut(&endpoint)?.pop_front()
    }

    /// An endpoint's whole line.
    pub(super) fn take(&mut self, endpoint: EndpointId) -> VecDeque<InLine> {
        self.by_endpoint.remove(&endpoint).unwrap_or_default()
    }

    pub(super) fn take_all(&mut self) -> impl Iterator<Item = InLine> + use<> {
        std::mem::take(&mut self.by_endpoint).into_values().flatten()
    }

    /// Those that have waited too long; and empty lines are forgotten.
    pub(super) fn take_stale(&mut self, now: SignedDuration) -> Vec<InLine> {
        let mut stale = Vec::new();
        for line in self.by_endpoint.values_mut() {
            while let Some(first) = line.pop_front_if(|first| now > first.begins_by) {
                stale.push(first);
            }
        }
        self.by_endpoint.retain(|_, line| !line.is_empty());
        stale
    }
}

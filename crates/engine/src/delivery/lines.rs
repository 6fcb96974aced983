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

/// A line that does not move for so long goes back: its endpoint hangs, and others could use the room.
const STANDS_MAX: SignedDuration = SignedDuration::from_secs(2);

#[derive(Debug, Default)]
pub(super) struct Lines {
    by_endpoint: BTreeMap<EndpointId, Line>,
}

#[derive(Debug)]
struct Line {
    waiting: VecDeque<InLine>,
    moved_at: SignedDuration,
}

impl Lines {
    pub(super) fn push(&mut self, in_line: InLine) {
        let line = self.by_endpoint.entry(in_line.endpoint.id);
        let line = line.or_insert_with(|| Line { waiting: VecDeque::new(), moved_at: in_line.claimed_at });
        if line.waiting.is_empty() {
            line.moved_at = in_line.claimed_at;
        }
        line.waiting.push_back(in_line);
    }

    pub(super) fn next(&mut self, endpoint: EndpointId, now: SignedDuration) -> Option<InLine> {
        let line = self.by_endpoint.get_mut(&endpoint)?;
        line.moved_at = now;
        line.waiting.pop_front()
    }

    /// At most so many that may go out together with the one before: of the same version of the endpoint, and in time.
    pub(super) fn next_with(&mut self, first: &InLine, max: usize, now: SignedDuration) -> Vec<InLine> {
        let Some(line) = self.by_endpoint.get_mut(&first.endpoint.id) else {
            return Vec::new();
        };
        let fits = |next: &mut InLine| now <= next.begins_by && next.endpoint.updated_at == first.endpoint.updated_at;
        std::iter::from_fn(|| line.waiting.pop_front_if(fits)).take(max).collect()
    }

    /// An endpoint's whole line.
    pub(super) fn take(&mut self, endpoint: EndpointId) -> VecDeque<InLine> {
        self.by_endpoint.remove(&endpoint).map(|line| line.waiting).unwrap_or_default()
    }

    pub(super) fn take_all(&mut self) -> impl Iterator<Item = InLine> + use<> {
        std::mem::take(&mut self.by_endpoint).into_values().flat_map(|line| line.waiting)
    }

    /// Those that have waited too long, and lines that do not move. Empty lines are forgotten.
    pub(super) fn take_stale(&mut self, now: SignedDuration) -> Vec<InLine> {
        let mut stale = Vec::new();
        for line in self.by_endpoint.values_mut() {
            let stands = now - line.moved_at > STANDS_MAX;
            while let Some(first) = line.waiting.pop_front_if(|first| stands || now > first.begins_by) {
                stale.push(first);
            }
        }
        self.by_endpoint.retain(|_, line| !line.waiting.is_empty());
        stale
    }
}

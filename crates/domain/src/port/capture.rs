//! Capture inboxes and what was sent to them.

use jiff::Timestamp;

use super::{Page, PageRequest, Pending, Terms, Written};
use crate::audit::Deed;
use crate::capture::{Captured, Inbox, InboxToken, Keep};
use crate::id::{CaptureId, CapturedId, OrgId};

/// Requests behind a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapturedSince {
    /// The oldest first, with their bodies.
    pub requests: Vec<Captured>,
    /// The number of the inbox's last request, kept or not.
    pub last_number: u64,
    /// Requests behind the number that made way before they were asked for.
    pub missed: u64,
}

/// Capture inboxes.
pub trait CaptureStore: Send + Sync {
    /// Adds an inbox. `Conflict` when the name is taken, or `inboxes_max` are there.
    fn create_capture(&self, inbox: Inbox, inboxes_max: u32, terms: Terms) -> Pending<'_, Written<()>>;

    /// One inbox.
    fn capture(&self, org: OrgId, id: CaptureId) -> Pending<'_, Option<Inbox>>;

    /// The inbox with this token, of an active organisation, that has not expired at `now`.
    fn capture_by_token(&self, token: InboxToken, now: Timestamp) -> Pending<'_, Option<Inbox>>;

    /// An organisation's inboxes, newest first.
    fn captures(&self, org: OrgId, page: PageRequest) -> Pending<'_, Page<Inbox>>;

    /// Deletes an inbox with everything in it. `false`: there is none.
    fn delete_capture(&self, org: OrgId, id: CaptureId, deed: Option<Deed>) -> Pending<'_, bool>;

    /// Writes a request down, and lets the oldest go beyond `keep`. Answers its number; `None`: the inbox is gone.
    fn record_capture(&self, request: Captured, keep: Keep) -> Pending<'_, Option<u64>>;

    /// An inbox's requests, newest first, without their bodies.
    fn captured(&self, org: OrgId, inbox: CaptureId, page: PageRequest) -> Pending<'_, Page<Captured>>;

    /// An inbox's requests behind number `after`, at most so many. `None`: there is no such inbox.
    fn captured_since(
        &self,
        org: OrgId,
        inbox: CaptureId,
        after: u64,
        limit: u32,
    ) -> Pending<'_, Option<CapturedSince>>;

    /// One request.
    fn captured_request(&self, org: OrgId, inbox: CaptureId, id: CapturedId) -> Pending<'_, Option<Captured>>;

    /// Deletes a request. `false`: there is none.
    fn delete_captured(&self, org: OrgId, inbox: CaptureId, id: CapturedId, deed: Option<Deed>) -> Pending<'_, bool>;

    /// Removes requests that came before `before`, and inboxes that have expired at `now`, at most so many rows. Answers
    /// how many went.
    fn expire_captures(&self, now: Timestamp, before: Timestamp, limit: u32) -> Pending<'_, u64>;
}

//! Kept requests, taken again by hand: one that was refused is accepted as it is, one that was taken makes its events anew.
//!
//! Nobody verifies here. That is the point of accepting what was refused, and a receipt that was taken was verified once.

use jiff::Timestamp;
use watchbell_domain::id::{EventId, ReceiptId};
use watchbell_domain::port::Retaking;
use watchbell_domain::receipt::{Kind, Receipt, Verdict};

use super::judge::{Refused, vouched};
use super::{Known, Prepared, Receiver};

/// What a kept request makes, ready to be committed.
#[derive(Debug, Clone, PartialEq)]
pub struct Retaken {
    /// The new receipt, and what is written with it.
    pub retaking: Retaking,
}

impl Retaken {
    /// The new receipt.
    pub fn receipt_id(&self) -> ReceiptId {
        self.retaking.receipt.id
    }

    /// The events it makes.
    pub fn events(&self) -> &[EventId] {
        &self.retaking.receipt.events
    }
}

/// A kept request cannot be taken again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Its body was not kept, or never read.
    #[error("the body of this request was not kept")]
    Incomplete,
    /// It was taken, or was not.
    #[error("{0}")]
    State(&'static str),
    /// It says nothing that we understand.
    #[error("{0}")]
    Content(String),
}

impl Receiver {
    /// Takes a request that was refused, unverified.
    ///
    /// # Errors
    /// [`Unreadable`]
    pub fn accept(&self, known: &Known, old: &Receipt, now: Timestamp) -> Result<Retaken, Unreadable> {
        match old.verdict.kind() {
            Kind::Refused => self.retake(known, old, now, true),
            Kind::Taken => Err(Unreadable::State("the request was taken when it came; replay makes its events anew")),
            Kind::Repeated => Err(Unreadable::State("the request was taken when it first came: see `of`")),
        }
    }

    /// Makes the events of a request that was taken anew.
    ///
    /// # Errors
    /// [`Unreadable`]
    pub fn replay(&self, known: &Known, old: &Receipt, now: Timestamp) -> Result<Retaken, Unreadable> {
        match old.verdict.kind() {
            Kind::Taken => self.retake(known, old, now, false),
            Kind::Repeated => Err(Unreadable::State("the request was taken when it first came: replay that, see `of`")),
            Kind::Refused => Err(Unreadable::State("the request was refused; accept takes it as it is")),
        }
    }

    /// `takes_names`: the vendor's own repetition of it is a duplicate from now on.
    fn retake(&self, known: &Known, old: &Receipt, now: Timestamp, takes_names: bool) -> Result<Retaken, Unreadable> {
        let request = &old.request;
        let bytes = u64::try_from(request.body.len()).unwrap_or(u64::MAX);
        if request.body_bytes != Some(bytes) {
            return Err(Unreadable::Incomplete);
        }
        let content = |refused: Refused| Unreadable::Content(refused.detail);
        let source = &known.source;
        let read = (&request.headers, &request.body);
        let judged = vouched(source.id, source.dialect, (read, &known.settings), self.rules(known), now);
        let judged = judged.map_err(content)?;
        let prepared = Prepared::new(known, judged, (0, true), now, &*self.parts.entropy).map_err(content)?;
        let detail = if takes_names { "accepted by hand, unverified" } else { "replayed by hand" };
        let receipt = Receipt {
            id: ReceiptId::make(now, &*self.parts.entropy),
            received_at: now,
            verdict: prepared.verdict,
            status: Verdict::Accepted.status(source.dialect),
            detail: Some(detail.to_owned()),
            events: prepared.event_ids(),
            vendor_event: Some(prepared.vendor_event),
            of: Some(old.id),
            ..old.clone()
        };
        let keys = if takes_names { prepared.keys } else { Vec::new() };
        let (acceptance, saying) = (prepared.acceptance, prepared.saying);
        Ok(Retaken { retaking: Retaking { receipt, keys, window: self.options.dedup_window, acceptance, saying } })
    }
}

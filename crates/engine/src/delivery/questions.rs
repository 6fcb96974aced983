//! What the loop waits for: answers of the store, each question once at a time, and a moment.

use std::future::Future;
use std::pin::Pin;

use futures_util::future::OptionFuture;
use jiff::SignedDuration;
use watchbell_domain::id::OrgId;
use watchbell_domain::port::{Claim, Claimed, Clock, DueEndpoint, Settled, StoreError};

/// A question to the store under way.
pub(super) type Asking<T> = OptionFuture<Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send>>>;

/// What is due, and what organisations weigh.
pub(super) type Polled = (Vec<DueEndpoint>, Vec<(OrgId, u32)>);

/// What the store is asked just now: each question once at a time.
#[derive(Default)]
pub(super) struct Questions {
    pub(super) polling: Asking<Polled>,
    pub(super) is_polling: bool,
    pub(super) poll_at: SignedDuration,
    pub(super) claiming: Asking<Vec<Claimed>>,
    pub(super) claims: Vec<Claim>,
    /// When they were asked for: from then on they run out, however long the store takes to answer.
    pub(super) claims_asked_at: SignedDuration,
    pub(super) settling: Asking<Vec<Result<Settled, StoreError>>>,
}

pub(super) fn asking<T>(question: impl Future<Output = Result<T, StoreError>> + Send + 'static) -> Asking<T> {
    Some(Box::pin(question) as Pin<Box<_>>).into()
}

type Sleep<'c> = Pin<Box<dyn Future<Output = ()> + Send + 'c>>;

/// A sleep that is made anew only when its end moves.
#[derive(Default)]
pub(super) struct Timer<'c> {
    sleeping: Option<(SignedDuration, Sleep<'c>)>,
}

impl<'c> Timer<'c> {
    pub(super) async fn at(&mut self, at: SignedDuration, clock: &'c dyn Clock) {
        if self.sleeping.as_ref().is_none_or(|(known, _)| *known != at) {
            let wait = (at - clock.monotonic()).max(SignedDuration::ZERO);
            self.sleeping = Some((at, clock.sleep(wait)));
        }
        if let Some((_, sleep)) = &mut self.sleeping {
            sleep.await;
        }
        self.sleeping = None;
    }
}

//! What must hold whatever happens, each with a name. Asked of every world when it has come to rest; the first two and
//! [`Invariant::OneTerminalState`] also while it runs.
//!
//! *To add one*: a variant with its id and its sentence, a function that looks for what violates it, a line in [`check`].

use std::collections::BTreeMap;
use std::fmt;

use watchbell_domain::delivery::{Attempt, Delivery, StateKind};
use watchbell_domain::endpoint::Endpoint;
use watchbell_domain::event::AcceptedEvent;
use watchbell_domain::id::{EndpointId, OrgId};
use watchbell_domain::port::{DeliveryStore, StoreError};

use crate::history::Record;
use crate::node::Node;
use crate::world::World;

mod accepting;
mod delivering;
mod order;
mod telling;
mod timing;

/// Deliveries with their attempts.
pub(crate) type Deliveries = Vec<(Delivery, Vec<Attempt>)>;

/// What must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// `key-once`: one idempotency key, one event (with what is told beside it), and always the same answer.
    OneEventPerKey,
    /// `ends`: once nothing goes wrong any more, every delivery is soon delivered, dead-lettered or cancelled, or held by an
    /// endpoint that is not active; the loop ends when it is asked to and not before; a node can always start again.
    Ends,
    /// `in-is-out`: every acknowledged event is stored, for its organisation, with the data that was posted, and nothing is
    /// stored that nobody posted.
    Kept,
    /// `every-subscriber`: every endpoint that wanted the event at its acceptance has one delivery of it, and no other has.
    EverySubscriber,
    /// `one-end`: what is delivered, dead-lettered or cancelled never changes again, by no crash and no late outcome.
    OneTerminalState,
    /// `own-org`: no endpoint receives what is another's, organisation or endpoint.
    OwnOrg,
    /// `signed`: every request verifies with a secret of the endpoint that it reached.
    Signed,
    /// `same-bytes`: a delivery's body is the same in every attempt.
    SameBytes,
    /// `never-early`: no attempt before the wait of the schedule and the `Retry-After` of the attempt before it.
    NeverEarly,
    /// `paused-as-asked`: a `Retry-After` holds for the whole endpoint.
    PausedAsAsked,
    /// `few-duplicates`: what was answered 2xx in order is sent again only when the process died, or could not write, before
    /// the outcome was on disk; and by a death at most what was in flight.
    FewDuplicates,
    /// `delivered-is-true`: what is called delivered arrived and was answered 2xx.
    DeliveredIsTrue,
    /// `attempts-add-up`: attempts are numbered without gaps, and those that count are counted.
    AttemptsAddUp,
    /// `in-order`: at an endpoint that was always served in order, no delivery comes between two attempts of an older one
    /// that it has to wait for.
    InOrder,
    /// `told-of`: every delivery that was given up has one event that tells of it, and every such event tells the truth.
    ToldOf,
    /// `counts-add-up`: the counts of states are the counts of deliveries.
    CountsAddUp,
}

impl Invariant {
    /// Its name in reports.
    pub const fn id(self) -> &'static str {
        match self {
            Self::OneEventPerKey => "key-once",
            Self::Ends => "ends",
            Self::Kept => "in-is-out",
            Self::EverySubscriber => "every-subscriber",
            Self::OneTerminalState => "one-end",
            Self::OwnOrg => "own-org",
            Self::Signed => "signed",
            Self::SameBytes => "same-bytes",
            Self::NeverEarly => "never-early",
            Self::PausedAsAsked => "paused-as-asked",
            Self::FewDuplicates => "few-duplicates",
            Self::DeliveredIsTrue => "delivered-is-true",
            Self::AttemptsAddUp => "attempts-add-up",
            Self::InOrder => "in-order",
            Self::ToldOf => "told-of",
            Self::CountsAddUp => "counts-add-up",
        }
    }
}

/// Something that must hold did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// What.
    pub invariant: Invariant,
    /// Of what, and how.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant.id(), self.detail)
    }
}

/// What the store holds at the end.
#[derive(Debug)]
pub(crate) struct Final {
    pub(crate) deliveries: Deliveries,
    pub(crate) events: Vec<AcceptedEvent>,
    pub(crate) endpoints: BTreeMap<EndpointId, Endpoint>,
    pub(crate) counts: Vec<(OrgId, Vec<(StateKind, u64)>)>,
}

impl Final {
    pub(crate) async fn gather(world: &World, node: &Node) -> Result<Self, StoreError> {
        let (mut events, mut endpoints, mut counts) = (Vec::new(), BTreeMap::new(), Vec::new());
        for org in &world.plan.orgs {
            events.extend(node.events(*org).await?);
            endpoints.extend(node.endpoints(*org).await?.into_iter().map(|endpoint| (endpoint.id, endpoint)));
            counts.push((*org, node.store.count_deliveries(*org).await?));
        }
        Ok(Self { deliveries: world.all_deliveries(node).await?, events, endpoints, counts })
    }
}

/// Asks everything of a world that has come to rest.
pub(crate) fn check(world: &World, last: &Final) {
    let mut record = world.history.record();
    let checks = [
        accepting::kept,
        accepting::one_event_per_key,
        accepting::every_subscriber,
        telling::told_of,
        order::in_order,
        delivering::ends,
        delivering::own_org,
        delivering::same_bytes,
        delivering::delivered_is_true,
        delivering::attempts_add_up,
        delivering::counts_add_up,
        delivering::few_duplicates,
        timing::never_early,
        timing::paused_as_asked,
    ];
    for check in checks {
        let mut found = Vec::new();
        check(&Past { world, record: &record, last }, &mut found);
        for (invariant, detail) in found {
            record.violated(invariant, detail);
        }
    }
}

/// What a check looks at.
struct Past<'a> {
    world: &'a World,
    record: &'a Record,
    last: &'a Final,
}

/// What a check finds.
type Found = Vec<(Invariant, String)>;

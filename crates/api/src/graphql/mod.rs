//! `/graphql`: Aegis's webhook API, grown to the whole model.
//!
//! ```text
//!  request ─▶ http (key, limits, media types) ─▶ limit (measure) ─▶ schema ─▶ resolver ─▶ operation ─▶ REST's handler
//!                                                                     └─ live ◀─ what the store has committed
//! ```
//!
//! Nothing is decided here that REST decides: see [`operation`]. A file for each noun holds its types, its fields of
//! `Query` and `Mutation` and nothing else.
//!
//! *To add a noun*: a type that REST's answer can be read as, its list in [`org`] and its way by id in [`node`], its writes in a
//! `…Mutation` that is merged below, then `UPDATE_SCHEMA=1 cargo test -p watchbell-api` for `docs/schema.graphql`. A test
//! says which of REST's operations and members have no counterpart here.

use std::sync::LazyLock;

use async_graphql::{MergedObject, Schema};

mod advisory;
mod audit;
mod capture;
mod console;
mod delivery;
mod endpoint;
mod endpoint_input;
mod erasure;
mod error;
mod event;
mod event_type;
mod evidence;
mod finding;
mod group;
mod http;
mod key;
mod limit;
mod list;
mod live;
mod member;
mod mute;
mod node;
mod operation;
mod org;
mod org_change;
mod poam;
mod project;
mod receipt;
mod replay;
mod scalar;
mod scan_run;
mod source;
mod training;
mod verify;
mod webhook;
mod webhook_input;
mod why;

pub(crate) use http::router;
pub(crate) use live::Live;

/// Reads.
#[derive(Debug, Default, MergedObject)]
struct Query(
    org::OrgQuery,
    node::NodeQuery,
    webhook::WebhookQuery,
    advisory::AdvisoryQuery,
    group::GroupQuery,
    poam::PoamQuery,
    audit::AuditQuery,
    verify::VerifyQuery,
    why::WhyQuery,
);

/// Writes, one after the other.
#[derive(Debug, Default, MergedObject)]
struct Mutation(
    webhook::WebhookMutation,
    org_change::OrgMutation,
    endpoint::EndpointMutation,
    event::EventMutation,
    delivery::DeliveryMutation,
    replay::ReplayMutation,
    project::ProjectMutation,
    erasure::ErasureMutation,
    key::KeyMutation,
    evidence::EvidenceMutation,
    finding::FindingMutation,
    advisory::AdvisoryMutation,
    poam::PoamMutation,
    training::TrainingMutation,
    scan_run::ScanRunMutation,
    event_type::EventTypeMutation,
    group::GroupMutation,
    member::MemberMutation,
    source::SourceMutation,
    receipt::ReceiptMutation,
    capture::CaptureMutation,
    mute::MuteMutation,
);

type Root = Schema<Query, Mutation, live::Subscription>;

/// Made when it is asked for: a hub that nobody queries pays for it neither at its start nor in memory.
static SCHEMA: LazyLock<Root> = LazyLock::new(|| {
    Schema::build(Query::default(), Mutation::default(), live::Subscription)
        .limit_complexity(limit::COMPLEXITY_MAX)
        .limit_directives(limit::DIRECTIVES_MAX)
        .limit_recursive_depth(limit::RECURSION_MAX)
        .finish()
});

/// The schema in its own language.
pub fn sdl() -> String {
    SCHEMA.sdl()
}

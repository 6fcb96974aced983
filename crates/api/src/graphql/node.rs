//! The way to anything of an organisation by its id.

use async_graphql::{Context, ID, Interface, Object};

use super::capture::Capture;
use super::delivery::Delivery;
use super::endpoint::Endpoint;
use super::erasure::Erasure;
use super::error::Answer;
use super::event::Event;
use super::evidence::Evidence;
use super::finding::Finding;
use super::member::Member;
use super::operation::session;
use super::org::Org;
use super::poam::PoamItem;
use super::project::Project;
use super::receipt::Receipt;
use super::replay::Replay;
use super::source::Source;
use super::training::Training;
use crate::problem::Problem;

/// Anything of an organisation that has an id.
#[expect(clippy::large_enum_variant, reason = "one at a time, and moved once")]
#[derive(Interface)]
#[graphql(name = "Node", field(name = "id", ty = "&ID"))]
pub(super) enum AnyNode {
    Org(Org),
    Endpoint(Endpoint),
    Event(Event),
    Delivery(Delivery),
    Project(Project),
    Replay(Replay),
    Erasure(Erasure),
    Evidence(Evidence),
    Finding(Finding),
    PoamItem(PoamItem),
    Training(Training),
    Member(Member),
    Source(Source),
    Receipt(Receipt),
    Capture(Capture),
}

#[derive(Debug, Default)]
pub(super) struct NodeQuery;

#[Object]
impl NodeQuery {
    /// Anything of an organisation by its id, the prefix (such as `ep_`) included.
    async fn node(&self, ctx: &Context<'_>, id: ID, org: Option<ID>) -> Answer<Option<AnyNode>> {
        let kind = id.split_once('_').map_or("", |(prefix, _)| prefix);
        if kind == "org" {
            return Ok(Some(AnyNode::Org(session(ctx).org(Some(&id)).await?)));
        }
        let own = session(ctx).org(org.as_ref()).await?;
        let found = match kind {
            "ep" => own.one(ctx, "endpoints", &id).await?.map(AnyNode::Endpoint),
            "evt" => own.one(ctx, "events", &id).await?.map(AnyNode::Event),
            "dlv" => own.one(ctx, "deliveries", &id).await?.map(AnyNode::Delivery),
            "prj" => own.one(ctx, "projects", &id).await?.map(AnyNode::Project),
            "rpl" => own.one(ctx, "replays", &id).await?.map(AnyNode::Replay),
            "ers" => own.one(ctx, "erasures", &id).await?.map(AnyNode::Erasure),
            "fnd" => own.one(ctx, "findings", &id).await?.map(AnyNode::Finding),
            "poam" => own.one(ctx, "poam-items", &id).await?.map(AnyNode::PoamItem),
            "trn" => own.one(ctx, "trainings", &id).await?.map(AnyNode::Training),
            "mbr" => own.one(ctx, "members", &id).await?.map(AnyNode::Member),
            "evd" => own.one(ctx, "evidence", &id).await?.map(AnyNode::Evidence),
            "src" => own.one(ctx, "sources", &id).await?.map(AnyNode::Source),
            "rcp" => own.one(ctx, "receipts", &id).await?.map(AnyNode::Receipt),
            "cap" => own.one(ctx, "captures", &id).await?.map(AnyNode::Capture),
            _ => return Err(Problem::NotFound.into()),
        };
        Ok(found)
    }
}

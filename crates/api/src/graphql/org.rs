//! Organisations: where every list hangs, and the way to anything by its id.

use async_graphql::{ComplexObject, Context, ID, InputObject, Interface, Object, SimpleObject};
use serde::Deserialize;

use super::audit::{AuditEntry, AuditFilter, AuditHeadInput, AuditWalk, from_head};
use super::delivery::{Delivery, DeliveryCounts, DeliveryState};
use super::endpoint::Endpoint;
use super::erasure::Erasure;
use super::error::Answer;
use super::event::Event;
use super::event_type::EventType;
use super::evidence::Evidence;
use super::finding::{Finding, FindingFilter};
use super::key::Key;
use super::list::{Node, Page, Wanted};
use super::member::Member;
use super::operation::{Path, Session, session};
use super::poam::{PoamFilter, PoamItem, PoamPolicy, PoamSettings};
use super::project::Project;
use super::replay::Replay;
use super::scalar::DateTime;
use super::scan_run::ScanRun;
use super::training::Training;
use crate::problem::Problem;

/// An organisation: the wall that no data crosses.
#[derive(Debug, Clone, SimpleObject, Deserialize)]
#[graphql(complex)]
pub(super) struct Org {
    pub(super) id: ID,
    /// Its name in URLs.
    slug: String,
    /// Its name for people.
    name: String,
    /// Its share when deliveries take turns.
    weight: i32,
    /// `active`, `suspended`, `deleting`.
    state: String,
    /// Since when it is not active.
    state_since: Option<DateTime>,
    /// The group that it belongs to.
    group_id: Option<ID>,
    created_at: DateTime,
}

impl Node for Org {
    fn key(&self) -> &str {
        &self.id
    }
}

#[ComplexObject]
impl Org {
    /// Where events are delivered, newest first.
    #[graphql(complexity = "first.unwrap_or(50).max(1) as usize * child_complexity")]
    async fn endpoints(&self, ctx: &Context<'_>, first: Option<i32>, after: Option<String>) -> Answer<Page<Endpoint>> {
        let path = Path::org(&self.id).then("endpoints");
        Ok(session(ctx).list(&self.id, path, "endpoints", Wanted { first, after }).await?)
    }

    /// An endpoint.
    async fn endpoint(&self, ctx: &Context<'_>, id: ID) -> Answer<Option<Endpoint>> {
        self.one(ctx, "endpoints", &id).await
    }

    /// What was accepted, newest first.
    #[graphql(complexity = "first.unwrap_or(50).max(1) as usize * child_complexity")]
    async fn events(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        #[graphql(default)] filter: EventFilter,
    ) -> Answer<Page<Event>> {
        let path = Path::org(&self.id)
            .then("events")
            .with("type", filter.r#type)
            .with("project", filter.project.map(|id| id.0))
            .with("since", filter.since.map(|at| at.0))
            .with("until", filter.until.map(|at| at.0));
        Ok(session(ctx).list(&self.id, path, "events", Wanted { first, after }).await?)
    }

    /// An event.
    async fn event(&self, ctx: &Context<'_>, id: ID) -> Answer<Option<Event>> {
        self.one(ctx, "events", &id).await
    }

    /// What goes to endpoints, newest first.
    #[graphql(complexity = "first.unwrap_or(50).max(1) as usize * child_complexity")]
    async fn deliveries(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        #[graphql(default)] filter: DeliveryFilter,
    ) -> Answer<Page<Delivery>> {
        Ok(deliveries(ctx, &self.id, Wanted { first, after }, filter).await?)
    }

    /// A delivery.
    async fn delivery(&self, ctx: &Context<'_>, id: ID) -> Answer<Option<Delivery>> {
        self.one(ctx, "deliveries", &id).await
    }

    /// How many deliveries are in each state.
    async fn delivery_counts(&self, ctx: &Context<'_>) -> Answer<DeliveryCounts> {
        Ok(session(ctx).get(Path::org(&self.id).then("deliveries").then("counts")).await?)
    }

    /// What is scanned, newest first.
    #[graphql(complexity = "first.unwrap_or(50).max(1) as usize * child_complexity")]
    async fn projects(&self, ctx: &Context<'_>, first: Option<i32>, after: Option<String>) -> Answer<Page<Project>> {
        let path = Path::org(&self.id).then("projects");
        Ok(session(ctx).list(&self.id, path, "projects", Wanted { first, after }).await?)
    }

    /// A project.
    async fn project(&self, ctx: &Context<'_>, id: ID) -> Answer<Option<Project>> {
        self.one(ctx, "projects", &id).await
    }

    /// Findings of every project, newest first.
    #[graphql(complexity = "first.unwrap_or(50).max(1) as usize * child_complexity")]
    async fn findings(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        #[graphql(default)] filter: FindingFilter,
    ) -> Answer<Page<Finding>> {
        let path = filter.on(Path::org(&self.id).then("findings"));
        Ok(session(ctx).list(&self.id, path, "findings", Wanted { first, after }).await?)
    }

    /// A finding. The id of one that was merged into another leads to that one.
    async fn finding(&self, ctx: &Context<'_>, id: ID) -> Answer<Option<Finding>> {
        self.one(ctx, "findings", &id).await
    }

    /// Replays that run as jobs, newest first.
    #[graphql(complexity = "first.unwrap_or(50).max(1) as usize * child_complexity")]
    async fn replays(&self, ctx: &Context<'_>, first: Option<i32>, after: Option<String>) -> Answer<Page<Replay>> {
        let path = Path::org(&self.id).then("replays");
        Ok(session(ctx).list(&self.id, path, "replays", Wanted { first, after }).await?)
    }

    /// A replay.
    async fn replay(&self, ctx: &Context<'_>, id: ID) -> Answer<Option<Replay>> {
        self.one(ctx, "replays", &id).await
    }

    /// Erasures by subject, newest first.
    #[graphql(complexity = "first.unwrap_or(50).max(1) as usize * child_complexity")]
    async fn erasures(&self, ctx: &Context<'_>, first: Option<i32>, after: Option<String>) -> Answer<Page<Erasure>> {
        let path = Path::org(&self.id).then("erasures");
        Ok(session(ctx).list(&self.id, path, "erasures", Wanted { first, after }).await?)
    }

    /// An erasure.
    async fn erasure(&self, ctx: &Context<'_>, id: ID) -> Answer<Option<Erasure>> {
        self.one(ctx, "erasures", &id).await
    }

    /// Documents, newest first.
    #[graphql(complexity = "first.unwrap_or(50).max(1) as usize * child_complexity")]
    async fn evidence(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        #[graphql(desc = "Of this project.")] project: Option<ID>,
    ) -> Answer<Page<Evidence>> {
        let path = Path::org(&self.id).then("evidence").with("project", project.map(|id| id.0));
        Ok(session(ctx).list(&self.id, path, "evidence", Wanted { first, after }).await?)
    }

    /// A document.
    async fn document(&self, ctx: &Context<'_>, id: ID) -> Answer<Option<Evidence>> {
        self.one(ctx, "evidence", &id).await
    }

    /// API keys, without the keys themselves, newest first.
    #[graphql(complexity = "first.unwrap_or(50).max(1) as usize * child_complexity")]
    async fn keys(&self, ctx: &Context<'_>, first: Option<i32>, after: Option<String>) -> Answer<Page<Key>> {
        let path = Path::org(&self.id).then("keys");
        Ok(session(ctx).list(&self.id, path, "keys", Wanted { first, after }).await?)
    }

    /// An API key, without the key itself.
    async fn key(&self, ctx: &Context<'_>, id: ID) -> Answer<Option<Key>> {
        self.one(ctx, "keys", &id).await
    }

    /// Plans of action, newest first.
    #[graphql(complexity = "first.unwrap_or(50).max(1) as usize * child_complexity")]
    async fn poam_items(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        #[graphql(default)] filter: PoamFilter,
    ) -> Answer<Page<PoamItem>> {
        let path = filter.on(Path::org(&self.id).then("poam-items"));
        Ok(session(ctx).list(&self.id, path, "poam-items", Wanted { first, after }).await?)
    }

    /// A plan of action.
    async fn poam_item(&self, ctx: &Context<'_>, id: ID) -> Answer<Option<PoamItem>> {
        self.one(ctx, "poam-items", &id).await
    }

    /// How plans of action ring.
    async fn poam_settings(&self, ctx: &Context<'_>) -> Answer<PoamSettings> {
        Ok(session(ctx).get(Path::org(&self.id).then("settings")).await?)
    }

    /// Which findings get a plan of action by themselves.
    async fn poam_policy(&self, ctx: &Context<'_>) -> Answer<PoamPolicy> {
        Ok(session(ctx).get(Path::org(&self.id).then("poam-policy")).await?)
    }

    /// Completed lessons, newest first.
    #[graphql(complexity = "first.unwrap_or(50).max(1) as usize * child_complexity")]
    async fn trainings(&self, ctx: &Context<'_>, first: Option<i32>, after: Option<String>) -> Answer<Page<Training>> {
        let path = Path::org(&self.id).then("trainings");
        Ok(session(ctx).list(&self.id, path, "trainings", Wanted { first, after }).await?)
    }

    /// A completed lesson.
    async fn training(&self, ctx: &Context<'_>, id: ID) -> Answer<Option<Training>> {
        self.one(ctx, "trainings", &id).await
    }

    /// An announced scan.
    async fn scan(&self, ctx: &Context<'_>, id: ID) -> Answer<Option<ScanRun>> {
        self.one(ctx, "scans", &id).await
    }

    /// Members, newest first.
    #[graphql(complexity = "first.unwrap_or(50).max(1) as usize * child_complexity")]
    async fn members(&self, ctx: &Context<'_>, first: Option<i32>, after: Option<String>) -> Answer<Page<Member>> {
        let path = Path::org(&self.id).then("members");
        Ok(session(ctx).list(&self.id, path, "members", Wanted { first, after }).await?)
    }

    /// A member.
    async fn member(&self, ctx: &Context<'_>, id: ID) -> Answer<Option<Member>> {
        self.one(ctx, "members", &id).await
    }

    /// Who changed what, newest first.
    #[graphql(complexity = "first.unwrap_or(50).max(1) as usize * child_complexity")]
    async fn audit(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        #[graphql(default)] filter: AuditFilter,
    ) -> Answer<Page<AuditEntry>> {
        let path = filter.on(Path::org(&self.id).then("audit"));
        Ok(session(ctx).list(&self.id, path, "audit", Wanted { first, after }).await?)
    }

    /// Check that nobody changed the audit log since it was written.
    async fn audit_verification(&self, ctx: &Context<'_>, known: Option<AuditHeadInput>) -> Answer<AuditWalk> {
        let path = from_head(Path::org(&self.id).then("audit").then("verify"), known);
        Ok(session(ctx).get(path).await?)
    }

    /// The catalogue of event types.
    #[graphql(complexity = "20 * child_complexity")]
    async fn event_types(&self, ctx: &Context<'_>) -> Answer<Vec<EventType>> {
        #[derive(Deserialize)]
        struct Catalogue {
            items: Vec<EventType>,
        }
        let found: Catalogue = session(ctx).get(Path::org(&self.id).then("event-types")).await?;
        Ok(found.items)
    }

    /// A type of the catalogue, by its name.
    async fn event_type(&self, ctx: &Context<'_>, name: String) -> Answer<EventType> {
        Ok(session(ctx).get(Path::org(&self.id).then("event-types").id(&name)).await?)
    }
}

impl Org {
    /// One thing of the organisation. Nothing, and nothing that may be seen, is the error `not_found`.
    async fn one<T: Node>(&self, ctx: &Context<'_>, area: &'static str, id: &ID) -> Answer<Option<T>> {
        let found: T = session(ctx).get(Path::org(&self.id).then(area).id(id)).await?;
        Ok(Some(found.within(&self.id)))
    }
}

/// Which events.
#[derive(Debug, Default, InputObject)]
pub(super) struct EventFilter {
    /// Of this type.
    r#type: Option<String>,
    /// About this project.
    project: Option<ID>,
    /// Accepted at or after.
    since: Option<DateTime>,
    /// Accepted before.
    until: Option<DateTime>,
}

/// Which deliveries.
#[derive(Debug, Default, InputObject)]
pub(super) struct DeliveryFilter {
    /// In this state.
    pub(super) state: Option<DeliveryState>,
    /// To this endpoint.
    pub(super) endpoint: Option<ID>,
    /// Of this event.
    pub(super) event: Option<ID>,
    /// Made at or after.
    pub(super) since: Option<DateTime>,
    /// Made before.
    pub(super) until: Option<DateTime>,
}

/// A page of deliveries.
pub(super) async fn deliveries(
    ctx: &Context<'_>,
    org: &str,
    wanted: Wanted,
    filter: DeliveryFilter,
) -> Result<Page<Delivery>, Problem> {
    let path = Path::org(org)
        .then("deliveries")
        .with("state", filter.state.map(DeliveryState::name))
        .with("endpoint", filter.endpoint.map(|id| id.0))
        .with("event", filter.event.map(|id| id.0))
        .with("since", filter.since.map(|at| at.0))
        .with("until", filter.until.map(|at| at.0));
    session(ctx).list(org, path, "deliveries", wanted).await
}

impl Session {
    /// The organisation meant.
    pub(super) async fn org(&self, id: Option<&ID>) -> Result<Org, Problem> {
        self.get(Path::org(id.map_or(&self.org, |id| id.as_str()))).await
    }
}

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
}

#[derive(Debug, Default)]
pub(super) struct OrgQuery;

#[Object]
impl OrgQuery {
    /// An organisation, by id or slug; the key's own when left out.
    async fn org(&self, ctx: &Context<'_>, id: Option<ID>) -> Answer<Org> {
        Ok(session(ctx).org(id.as_ref()).await?)
    }

    /// The organisations that the key may see, newest first.
    #[graphql(complexity = "first.unwrap_or(50).max(1) as usize * child_complexity")]
    async fn orgs(&self, ctx: &Context<'_>, first: Option<i32>, after: Option<String>) -> Answer<Page<Org>> {
        Ok(session(ctx).list("", Path::orgs(), "orgs", Wanted { first, after }).await?)
    }

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
            _ => return Err(Problem::NotFound.into()),
        };
        Ok(found)
    }
}

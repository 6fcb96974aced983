//! Organisations: where every list hangs.

use async_graphql::{ComplexObject, Context, ID, InputObject, Object, SimpleObject};
use serde::Deserialize;

use super::audit::{AuditEntry, AuditFilter, AuditHeadInput, AuditWalk, from_head};
use super::capture::Capture;
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
use super::mute::{Mute, mutes};
use super::operation::{Path, Session, session};
use super::poam::{PoamFilter, PoamItem, PoamPolicy, PoamSettings};
use super::project::Project;
use super::receipt::{Receipt, ReceiptFilter, receipts};
use super::replay::Replay;
use super::scalar::DateTime;
use super::scan_run::ScanRun;
use super::source::Source;
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

    /// The vendors that call us, newest first.
    #[graphql(complexity = "first.unwrap_or(50).max(1) as usize * child_complexity")]
    async fn sources(&self, ctx: &Context<'_>, first: Option<i32>, after: Option<String>) -> Answer<Page<Source>> {
        let path = Path::org(&self.id).then("sources");
        Ok(session(ctx).list(&self.id, path, "sources", Wanted { first, after }).await?)
    }

    /// A source.
    async fn source(&self, ctx: &Context<'_>, id: ID) -> Answer<Option<Source>> {
        self.one(ctx, "sources", &id).await
    }

    /// What sources called with, those that were refused among them, newest first.
    #[graphql(complexity = "first.unwrap_or(50).max(1) as usize * child_complexity")]
    async fn receipts(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        #[graphql(default)] filter: ReceiptFilter,
    ) -> Answer<Page<Receipt>> {
        Ok(receipts(ctx, &self.id, Wanted { first, after }, filter).await?)
    }

    /// A receipt.
    async fn receipt(&self, ctx: &Context<'_>, id: ID) -> Answer<Option<Receipt>> {
        self.one(ctx, "receipts", &id).await
    }

    /// Capture inboxes, newest first.
    #[graphql(complexity = "first.unwrap_or(50).max(1) as usize * child_complexity")]
    async fn captures(&self, ctx: &Context<'_>, first: Option<i32>, after: Option<String>) -> Answer<Page<Capture>> {
        let path = Path::org(&self.id).then("captures");
        Ok(session(ctx).list(&self.id, path, "captures", Wanted { first, after }).await?)
    }

    /// A capture inbox.
    async fn capture(&self, ctx: &Context<'_>, id: ID) -> Answer<Option<Capture>> {
        self.one(ctx, "captures", &id).await
    }

    /// What is muted for an endpoint, and what lately was; newest first.
    #[graphql(complexity = "20 * child_complexity")]
    async fn mutes(&self, ctx: &Context<'_>, endpoint: ID) -> Answer<Vec<Mute>> {
        mutes(ctx, &self.id, &endpoint).await
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
    pub(super) async fn one<T: Node>(&self, ctx: &Context<'_>, area: &'static str, id: &ID) -> Answer<Option<T>> {
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
}

//! Plans of action: items, how they ring, which findings get one by themselves, what is known to be exploited.

use async_graphql::{ComplexObject, Context, Enum, ID, InputObject, MaybeUndefined, Object, SimpleObject};
use http::Method;
use serde::{Deserialize, Serialize};

use super::error::Answer;
use super::finding::{Finding, Severity};
use super::list::{Node, node_of_org};
use super::operation::{Path, session};
use super::scalar::{DateTime, Json, is_left_out};

/// Where a plan of action stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum PoamStatus {
    /// To be done, and in time.
    Open,
    /// To be done, and late.
    Overdue,
    /// Done.
    Completed,
    /// Taken back.
    Cancelled,
}

impl PoamStatus {
    /// Its name in REST.
    fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Overdue => "overdue",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Until when a finding is to be remediated, and by which steps.
#[derive(Debug, Clone, SimpleObject, Deserialize)]
#[graphql(complex)]
pub(super) struct PoamItem {
    pub(super) id: ID,
    finding_id: ID,
    project_id: Option<ID>,
    status: PoamStatus,
    /// Its own, or the finding's.
    title: Option<String>,
    severity: Severity,
    cve_id: Option<String>,
    owner: Option<String>,
    notes: Option<String>,
    /// As it was given: a date, or an instant.
    scheduled_completion_date: String,
    /// The first instant at which it is late.
    deadline_at: DateTime,
    /// Until the scheduled date; null once that has passed.
    days_remaining: Option<i64>,
    /// Since the scheduled date; null before.
    days_overdue: Option<i64>,
    milestones: Vec<Milestone>,
    /// `api`, or `policy` when the organisation's policy made it.
    origin: String,
    completed_at: Option<DateTime>,
    /// `remediation` or `hand`.
    completed_by: Option<String>,
    cancelled_at: Option<DateTime>,
    created_at: DateTime,
    updated_at: DateTime,
    #[graphql(skip)]
    #[serde(skip)]
    org: String,
}

/// A step on the way.
#[derive(Debug, Clone, SimpleObject, Deserialize)]
struct Milestone {
    title: String,
    /// A date or an instant.
    due: String,
    /// When it was taken.
    completed_at: Option<DateTime>,
}

node_of_org!(PoamItem);

#[ComplexObject]
impl PoamItem {
    /// What is to be remediated; null where only events speak of it.
    async fn finding(&self, ctx: &Context<'_>) -> Answer<Option<Finding>> {
        let path = Path::org(&self.org).then("findings").id(&self.finding_id);
        let found: Option<Finding> = session(ctx).find(path).await?;
        Ok(found.map(|finding| finding.within(&self.org)))
    }
}

/// Which plans of action.
#[derive(Debug, Default, InputObject)]
pub(super) struct PoamFilter {
    status: Option<PoamStatus>,
    /// About this finding.
    finding: Option<ID>,
    /// About findings of this project.
    project: Option<ID>,
    /// Of this owner.
    owner: Option<String>,
    /// Late at or after.
    due_since: Option<DateTime>,
    /// Late before.
    due_before: Option<DateTime>,
}

impl PoamFilter {
    /// As REST's query has it.
    pub(super) fn on(self, path: Path) -> Path {
        path.with("status", self.status.map(PoamStatus::name))
            .with("finding", self.finding.map(|id| id.0))
            .with("project", self.project.map(|id| id.0))
            .with("owner", self.owner)
            .with("due_since", self.due_since.map(|at| at.0))
            .with("due_before", self.due_before.map(|at| at.0))
    }
}

/// A plan of action that is to be made.
#[derive(Debug, InputObject, Serialize)]
pub(super) struct PoamItemInput {
    /// What is to be remediated.
    finding_id: ID,
    /// A date (until its end in the organisation's time zone) or an instant.
    scheduled_completion_date: String,
    /// The finding's title when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    /// Who sees to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notes: Option<String>,
    /// Steps on the way.
    #[graphql(default)]
    milestones: Vec<MilestoneInput>,
}

/// A step on the way.
#[derive(Debug, InputObject, Serialize)]
struct MilestoneInput {
    title: String,
    /// A date or an instant.
    due: String,
    /// When it was taken.
    completed_at: Option<DateTime>,
}

/// What of a plan is to change. Members left out stay; null takes a value away.
#[derive(Debug, InputObject, Serialize)]
pub(super) struct PoamItemChangeInput {
    /// Another date rings from its own beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduled_completion_date: Option<String>,
    #[serde(skip_serializing_if = "is_left_out")]
    title: MaybeUndefined<String>,
    #[serde(skip_serializing_if = "is_left_out")]
    owner: MaybeUndefined<String>,
    #[serde(skip_serializing_if = "is_left_out")]
    notes: MaybeUndefined<String>,
    /// All of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    milestones: Option<Vec<MilestoneInput>>,
    /// `OPEN`, `COMPLETED`, `CANCELLED`.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<PoamStatus>,
}

/// How an organisation's plans of action ring.
#[derive(Debug, SimpleObject, Deserialize)]
pub(super) struct PoamSettings {
    /// IANA name of the time zone whose days count.
    time_zone: String,
    /// How long before its deadline an item rings: `30d`, `12h`.
    lead_times: Vec<String>,
    /// Once overdue: `daily`, once for each day crossed, or `once`.
    overdue: String,
}

/// How plans of action are to ring. A member left out takes its default.
#[derive(Debug, InputObject, Serialize)]
pub(super) struct PoamSettingsInput {
    /// IANA name of the time zone whose days count: `Europe/Berlin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    time_zone: Option<String>,
    /// How long before its deadline an item rings: `30d`, `12h`. At most 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    lead_times: Option<Vec<String>>,
    /// `daily` or `once`.
    #[serde(skip_serializing_if = "Option::is_none")]
    overdue: Option<String>,
}

/// Which findings get a plan of action by themselves. Of the rules that match the one with the fewest days counts.
#[derive(Debug, SimpleObject, Deserialize)]
pub(super) struct PoamPolicy {
    rules: Vec<PoamRule>,
}

/// A rule. Conditions that are null are not asked for.
#[derive(Debug, SimpleObject, Deserialize)]
struct PoamRule {
    severity: Option<Severity>,
    /// Days from the day the finding is found.
    days: u16,
    /// Known to be exploited, or known not to be.
    kev: Option<bool>,
    /// This CVSS score or a higher one.
    cvss_min: Option<f64>,
    /// The package URL type of the component.
    component_type: Option<String>,
}

/// All of an organisation's rules, at most 100.
#[derive(Debug, InputObject, Serialize)]
pub(super) struct PoamPolicyInput {
    rules: Vec<PoamRuleInput>,
}

/// A rule. Conditions left out are not asked for.
#[derive(Debug, InputObject, Serialize)]
struct PoamRuleInput {
    severity: Option<Severity>,
    /// Days from the day the finding is found.
    days: u16,
    /// Known to be exploited, or known not to be.
    kev: Option<bool>,
    /// This CVSS score or a higher one.
    cvss_min: Option<f64>,
    /// The package URL type of the component: `pypi`, `npm`.
    component_type: Option<String>,
}

/// The catalogue of known exploited vulnerabilities.
#[derive(Debug, SimpleObject, Deserialize)]
pub(super) struct Kev {
    /// As its publisher counts.
    version: Option<String>,
    /// How many vulnerabilities.
    count: i64,
    /// Null when none was imported.
    imported_at: Option<DateTime>,
}

#[derive(Debug, Default)]
pub(super) struct PoamQuery;

#[Object]
impl PoamQuery {
    /// What is known of the catalogue of known exploited vulnerabilities.
    async fn kev(&self, ctx: &Context<'_>) -> Answer<Kev> {
        Ok(session(ctx).get(Path::kev()).await?)
    }
}

#[derive(Debug, Default)]
pub(super) struct PoamMutation;

#[Object]
impl PoamMutation {
    /// Plan a finding's remediation.
    async fn create_poam_item(&self, ctx: &Context<'_>, input: PoamItemInput, org: Option<ID>) -> Answer<PoamItem> {
        let own = session(ctx).org(org.as_ref()).await?;
        let path = Path::org(&own.id).then("poam-items");
        let made: PoamItem = session(ctx).write(ctx, Method::POST, path, &input).await?;
        Ok(made.within(&own.id))
    }

    /// Change a plan of action: another date, other milestones, completed, cancelled, open again.
    async fn update_poam_item(
        &self,
        ctx: &Context<'_>,
        id: ID,
        input: PoamItemChangeInput,
        org: Option<ID>,
    ) -> Answer<PoamItem> {
        let own = session(ctx).org(org.as_ref()).await?;
        let path = Path::org(&own.id).then("poam-items").id(&id);
        let changed: PoamItem = session(ctx).write(ctx, Method::PATCH, path, &input).await?;
        Ok(changed.within(&own.id))
    }

    /// Cancel a plan of action. It stays readable, and rings no more.
    async fn cancel_poam_item(&self, ctx: &Context<'_>, id: ID, org: Option<ID>) -> Answer<PoamItem> {
        let own = session(ctx).org(org.as_ref()).await?;
        let path = Path::org(&own.id).then("poam-items").id(&id);
        let cancelled: PoamItem = session(ctx).remove(ctx, path).await?;
        Ok(cancelled.within(&own.id))
    }

    /// Set how the organisation's plans of action ring. Nothing that was told is told again.
    async fn set_poam_settings(
        &self,
        ctx: &Context<'_>,
        input: PoamSettingsInput,
        org: Option<ID>,
    ) -> Answer<PoamSettings> {
        let own = session(ctx).org(org.as_ref()).await?;
        Ok(session(ctx).write(ctx, Method::PUT, Path::org(&own.id).then("settings"), &input).await?)
    }

    /// Set the policy that makes plans of action, from now on: findings that are known already get none.
    async fn set_poam_policy(&self, ctx: &Context<'_>, input: PoamPolicyInput, org: Option<ID>) -> Answer<PoamPolicy> {
        let own = session(ctx).org(org.as_ref()).await?;
        Ok(session(ctx).write(ctx, Method::PUT, Path::org(&own.id).then("poam-policy"), &input).await?)
    }

    /// Replace the catalogue of known exploited vulnerabilities by this one, as CISA publishes it. Takes a key that reaches
    /// every organisation.
    async fn import_kev(&self, ctx: &Context<'_>, catalogue: Json) -> Answer<Kev> {
        Ok(session(ctx).write(ctx, Method::PUT, Path::kev(), &catalogue).await?)
    }
}

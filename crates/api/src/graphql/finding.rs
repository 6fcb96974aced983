//! Findings: vulnerabilities with an identity and a life.

use async_graphql::{ComplexObject, Context, Enum, ID, InputObject, Object, SimpleObject};
use http::Method;
use serde::{Deserialize, Serialize};

use super::error::Answer;
use super::list::{Node, Page, Wanted, node_of_org};
use super::operation::{Path, session};
use super::project::Project;
use super::scalar::DateTime;

/// Where a finding stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FindingStatus {
    /// It is there.
    Open,
    /// It is gone.
    Remediated,
    /// A report or somebody says that it does not count.
    Suppressed,
    /// Its risk is accepted.
    Accepted,
    /// It is none.
    FalsePositive,
}

impl FindingStatus {
    /// Its name in REST.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Remediated => "remediated",
            Self::Suppressed => "suppressed",
            Self::Accepted => "accepted",
            Self::FalsePositive => "false_positive",
        }
    }
}

/// How bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Severity {
    Critical,
    High,
    Medium,
    Low,
    Info,
    Unknown,
}

impl Severity {
    /// Its name in REST.
    fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
            Self::Info => "info",
            Self::Unknown => "unknown",
        }
    }
}

/// A vulnerability of a project.
#[derive(Debug, Clone, SimpleObject, Deserialize)]
#[graphql(complex)]
pub(super) struct Finding {
    pub(super) id: ID,
    project_id: ID,
    status: FindingStatus,
    title: String,
    description: String,
    severity: Severity,
    /// The tool whose words these are: of those that see it the one that saw it first.
    tool: String,
    /// Every tool that sees it.
    tools: Vec<String>,
    /// The records that sources have of it, those that see it first.
    witnesses: Vec<Witness>,
    rule_id: String,
    cve_id: Option<String>,
    aliases: Vec<String>,
    cwes: Vec<String>,
    cvss_score: Option<f64>,
    cvss_vector: Option<String>,
    component: Option<Component>,
    fixed_in: Vec<String>,
    resource_path: Option<String>,
    url: Option<String>,
    first_seen_at: DateTime,
    last_seen_at: DateTime,
    remediated_at: Option<DateTime>,
    /// Until when the risk is accepted; null: it is not, or without an end.
    accepted_until: Option<DateTime>,
    /// What was judged of it beside the reports.
    judgement: Option<Judgement>,
    #[graphql(skip)]
    #[serde(skip)]
    org: String,
}

/// What a finding is in.
#[derive(Debug, Clone, SimpleObject, Deserialize)]
struct Component {
    name: Option<String>,
    version: Option<String>,
    purl: Option<String>,
}

/// A source's own record of a finding, as its webhooks tell it.
#[derive(Debug, Clone, SimpleObject, Deserialize)]
struct Witness {
    /// The source.
    source_id: ID,
    /// What the source calls its tool.
    tool: String,
    /// The source's own key of it.
    key: String,
    /// Its page there.
    url: Option<String>,
    /// Whether it still sees it.
    sees_it: bool,
    /// Since when it knows of it.
    first_seen_at: DateTime,
    /// When it last said that it sees it; null: it has only ever said that it is gone.
    last_seen_at: Option<DateTime>,
    /// When it last said anything of it.
    said_at: DateTime,
    /// How it rates it.
    severity: Severity,
}

/// What was judged of a finding.
#[derive(Debug, Clone, SimpleObject, Deserialize)]
struct Judgement {
    /// Where it stands for it, while it is there.
    status: FindingStatus,
    reason: String,
    at: DateTime,
    by: ChangedBy,
}

/// Who changed where a finding stands.
#[derive(Debug, Clone, SimpleObject, Deserialize)]
struct ChangedBy {
    /// `scan`, `vex`, `source`, `key`, `policy`, `expiry`.
    kind: String,
    /// The scan, source or key.
    id: Option<ID>,
    /// Tool, author, key or policy.
    name: Option<String>,
}

/// One transition of a finding.
#[derive(Debug, Clone, SimpleObject, Deserialize)]
pub(super) struct FindingChange {
    id: ID,
    /// The finding it happened to: another than asked for, where that one was merged into it.
    finding_id: ID,
    /// Counts the finding's transitions, from 1.
    number: i64,
    /// When it became so: the time of the scan, or of the call.
    at: DateTime,
    /// Where it stood; null: it was not known.
    from: Option<FindingStatus>,
    /// Where it stands since.
    to: FindingStatus,
    by: ChangedBy,
    reason: String,
}

node_of_org!(Finding);

impl Node for FindingChange {
    fn key(&self) -> &str {
        &self.id
    }
}

#[ComplexObject]
impl Finding {
    /// Whose finding it is.
    async fn project(&self, ctx: &Context<'_>) -> Answer<Option<Project>> {
        let path = Path::org(&self.org).then("projects").id(&self.project_id);
        let found: Option<Project> = session(ctx).find(path).await?;
        Ok(found.map(|project| project.within(&self.org)))
    }

    /// What happened to it, newest first.
    #[graphql(complexity = "first.unwrap_or(50).max(1) as usize * child_complexity")]
    async fn history(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Answer<Page<FindingChange>> {
        let path = Path::org(&self.org).then("findings").id(&self.id).then("history");
        let scope = format!("{}/history", self.id.as_str());
        Ok(session(ctx).list(&self.org, path, &scope, Wanted { first, after }).await?)
    }
}

/// Which findings.
#[derive(Debug, Default, InputObject)]
pub(super) struct FindingFilter {
    status: Option<FindingStatus>,
    severity: Option<Severity>,
    /// Of this project.
    project: Option<ID>,
    /// That have this name: a CVE, or any other that a report gave them.
    cve: Option<String>,
    /// In a component of this name, or of this package URL (with or without version).
    component: Option<String>,
}

impl FindingFilter {
    /// As REST's query has it.
    pub(super) fn on(self, path: Path) -> Path {
        path.with("status", self.status.map(FindingStatus::name))
            .with("severity", self.severity.map(Severity::name))
            .with("project", self.project.map(|id| id.0))
            .with("cve", self.cve)
            .with("component", self.component)
    }
}

/// What is said of a finding.
#[derive(Debug, InputObject, Serialize)]
pub(super) struct VerdictInput {
    /// `OPEN` (lifts what was said before), `SUPPRESSED`, `ACCEPTED`, `FALSE_POSITIVE`.
    status: FindingStatus,
    /// Why; for the history, and for those who are told.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Until when the risk is accepted; without it, until somebody reopens the finding.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<DateTime>,
}

#[derive(Debug, Default)]
pub(super) struct FindingMutation;

#[Object]
impl FindingMutation {
    /// Judge a finding: suppress it, accept its risk (until a time), call it a false positive, or reopen it.
    async fn judge_finding(&self, ctx: &Context<'_>, id: ID, input: VerdictInput, org: Option<ID>) -> Answer<Finding> {
        let own = session(ctx).org(org.as_ref()).await?;
        let path = Path::org(&own.id).then("findings").id(&id);
        let judged: Finding = session(ctx).write(ctx, Method::PATCH, path, &input).await?;
        Ok(judged.within(&own.id))
    }
}

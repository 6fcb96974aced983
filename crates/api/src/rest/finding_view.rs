//! A finding and its history as JSON.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use watchbell_domain::finding::{Finding, FindingChange, FindingStatus, Sight};
use watchbell_wire::event::Component;

/// A vulnerability of a project.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Finding)]
pub(super) struct FindingView {
    id: String,
    project_id: String,
    /// `open`, `remediated`, `suppressed`, `accepted`, `false_positive`.
    status: &'static str,
    title: String,
    description: String,
    severity: &'static str,
    /// The tool whose words these are: of those that see it the one that saw it first.
    tool: String,
    /// Every tool that sees it.
    tools: Vec<String>,
    /// The records that sources have of it, those that see it first.
    witnesses: Vec<WitnessView>,
    rule_id: String,
    cve_id: Option<String>,
    aliases: Vec<String>,
    cwes: Vec<String>,
    cvss_score: Option<f64>,
    cvss_vector: Option<String>,
    #[schema(value_type = Option<Object>)]
    component: Option<Component>,
    fixed_in: Vec<String>,
    resource_path: Option<String>,
    url: Option<String>,
    first_seen_at: Timestamp,
    last_seen_at: Timestamp,
    remediated_at: Option<Timestamp>,
    /// Until when the risk is accepted; null: it is not, or without an end.
    accepted_until: Option<Timestamp>,
    /// What was judged of it beside the reports.
    judgement: Option<JudgementView>,
}

/// A source's own record of a finding, as its webhooks tell it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Witness)]
struct WitnessView {
    /// The source.
    source_id: String,
    /// What the source calls its tool.
    tool: String,
    /// The source's own key of it: `github:acme/pay:dependabot:17`.
    key: String,
    /// Its page there.
    url: Option<String>,
    /// Whether it still sees it.
    sees_it: bool,
    /// Since when it knows of it.
    first_seen_at: Timestamp,
    /// When it last said that it sees it; null: it has only ever said that it is gone.
    last_seen_at: Option<Timestamp>,
    /// When it last said anything of it.
    said_at: Timestamp,
    /// How it rates it.
    severity: &'static str,
}

fn witnesses(finding: &Finding) -> Vec<WitnessView> {
    let view = |(key, sight): (&String, &Sight)| {
        let witness = sight.witness.as_ref()?;
        let said = finding.said_by(key)?;
        Some(WitnessView {
            source_id: witness.source_id.to_string(),
            tool: said.tool.clone(),
            key: witness.key.clone(),
            url: witness.url.clone(),
            sees_it: sight.there,
            first_seen_at: sight.since,
            last_seen_at: witness.seen_at,
            said_at: sight.at,
            severity: said.severity.as_str(),
        })
    };
    let mut witnesses: Vec<WitnessView> = finding.sights.iter().filter_map(view).collect();
    witnesses.sort_by(|a, b| (!a.sees_it, a.first_seen_at, &a.key).cmp(&(!b.sees_it, b.first_seen_at, &b.key)));
    witnesses
}

/// What was judged of a finding.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Judgement)]
struct JudgementView {
    /// Where it stands for it, while it is there.
    status: &'static str,
    reason: String,
    at: Timestamp,
    by: ByView,
}

/// Who changed where a finding stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChangedBy)]
struct ByView {
    /// `scan`, `vex`, `source`, `key`, `policy`, `expiry`.
    kind: &'static str,
    /// The scan, source or key.
    id: Option<String>,
    /// Tool, author, key or policy.
    name: Option<String>,
}

impl From<&watchbell_domain::finding::ChangedBy> for ByView {
    fn from(by: &watchbell_domain::finding::ChangedBy) -> Self {
        Self { kind: by.kind(), id: by.id(), name: by.name().map(str::to_owned) }
    }
}

impl From<Finding> for FindingView {
    fn from(finding: Finding) -> Self {
        let seeing = finding.sights.iter().filter(|(_, sight)| sight.there);
        let mut tools: Vec<String> = seeing.map(|(key, _)| finding.tool_of(key).to_owned()).collect();
        tools.sort();
        tools.dedup();
        let judgement = finding.judgement.as_ref().map(|judgement| JudgementView {
            status: judgement.status.as_str(),
            reason: judgement.reason.clone(),
            at: judgement.at,
            by: ByView::from(&judgement.by),
        });
        let accepted_until = finding.accepted_until().filter(|_| finding.status == FindingStatus::Accepted);
        Self {
            id: finding.id.to_string(),
            project_id: finding.project_id.to_string(),
            status: finding.status.as_str(),
            tools,
            witnesses: witnesses(&finding),
            cve_id: finding.cve_id().map(str::to_owned),
            aliases: finding.aliases(),
            first_seen_at: finding.first_seen_at,
            last_seen_at: finding.last_seen_at,
            remediated_at: finding.remediated_at,
            accepted_until,
            judgement,
            title: finding.observation.title,
            description: finding.observation.description,
            severity: finding.observation.severity.as_str(),
            tool: finding.observation.tool,
            rule_id: finding.observation.rule_id,
            cwes: finding.observation.cwes,
            cvss_score: finding.observation.cvss_score,
            cvss_vector: finding.observation.cvss_vector,
            component: finding.observation.component,
            fixed_in: finding.observation.fixed_in,
            resource_path: finding.observation.location,
            url: finding.observation.url,
        }
    }
}

/// One transition of a finding.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FindingChange)]
pub(super) struct ChangeView {
    id: String,
    /// The finding it happened to: another than asked for, where that one was merged into it.
    finding_id: String,
    /// Counts the finding's transitions, from 1.
    number: u64,
    /// When it became so: the time of the scan, or of the call.
    at: Timestamp,
    /// Where it stood; null: it was not known.
    from: Option<&'static str>,
    /// Where it stands since.
    to: &'static str,
    by: ByView,
    reason: String,
}

impl From<FindingChange> for ChangeView {
    fn from(change: FindingChange) -> Self {
        Self {
            id: change.id.to_string(),
            finding_id: change.finding_id.to_string(),
            number: change.number,
            at: change.at,
            from: change.from.map(FindingStatus::as_str),
            to: change.to.as_str(),
            by: ByView::from(&change.by),
            reason: change.reason,
        }
    }
}

//! Snapshots: from two scans of a project to what is told of the difference.
//!
//! ```text
//!  findings known ─┐
//!                  ├─diff──▶ changes ──apply──▶ findings as they are now
//!  report read ────┘            └────────────▶ events
//! ```
//!
//! [`weigh`] is pure: the same findings, report, facts and chance give the same [`ScanOutcome`], which the store writes in
//! one commit if nobody else changed the project meanwhile.
//!
//! | change | event | in `project.snapshot` |
//! |---|---|---|
//! | created | `vulnerability.created`, at severity critical `vulnerability.critical` beside it | new |
//! | reopened: it was gone, or what kept it quiet was lifted | `vulnerability.reopened` | new |
//! | suppressed, accepted, false positive, also at first sight | `vulnerability.suppressed` with `status` and `reason` | – |
//! | severity changed, or two turned out to be one | `vulnerability.changed` | – |
//! | gone | `vulnerability.remediated` | removed |
//!
//! Every weighed scan tells `scan.completed`, and all but a project's first `project.snapshot`, also when nothing changed.
//! A scan that failed, or whose report cannot be read, tells `scan.failed` and changes no finding. A scan takes as gone
//! only what its own tools saw before, where they looked ([`Report::scope`], [`Report::targets`]), and nothing at all when
//! it is partial. One that is older than what is known changes only what it alone knows.
//!
//! Of many new findings at once the outcome counts the [`Storm`](crate::route::Storm); which endpoints get a digest of it instead is decided
//! with the routing, in the commit.

use std::collections::BTreeSet;

use jiff::Timestamp;
use watchbell_wire::event::{Data, Event, EventType, Scan as ScanData};

use crate::event::NewEvent;
use crate::finding::{ChangedBy, Finding, FindingChange, FindingStatus, Observation};
use crate::id::{ChangeId, EventId, FindingId, ScanId};
use crate::org::{Org, Project};
use crate::port::{Acceptance, Coverage, DeliveryIds, Entropy, FindingJudgement, ProjectState, ScanOutcome};
use crate::scan::{Report, ReportError, Scan, ScanStatus};

mod apply;
mod ascending;
mod diff;
mod digest;
mod group;
mod instances;
mod issue;
mod project;
mod reason;
mod tell;
mod vex;

pub use apply::{Applied, ChangeKind, Sighting};
pub use diff::{Change, View, by_identity, diff};

/// No event's data is longer than this, in bytes. What is more goes into further events, or is left out where the event
/// counts it anyway.
pub const EVENT_BYTES_MAX: usize = 900 * 1024;

/// What is known of a scan beside its report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanFacts {
    /// Its id.
    pub scan_id: ScanId,
    /// When its report came in.
    pub received_at: Timestamp,
    /// When the tool looked, where the caller says it; else the report may.
    pub scanned_at: Option<Timestamp>,
    /// The report covers a part of the project: nothing is taken as gone.
    pub partial: bool,
}

/// One finding that a scan changed, and what is told of it.
pub(crate) struct Weighed {
    finding: Finding,
    kind: ChangeKind,
    /// Why, for the event; the history has it too.
    reason: Option<String>,
    /// Those that turned out to be this one.
    merged: Vec<FindingId>,
    /// Whether the scan saw it.
    seen: bool,
}

/// Weighs a report against what is known of the project.
pub fn weigh(org: &Org, known: &ProjectState, report: &Report, facts: ScanFacts, entropy: &dyn Entropy) -> ScanOutcome {
    let project = &known.project;
    let ascending = ascending::Ascending::new(entropy);
    let entropy: &dyn Entropy = &ascending;
    let tool = report.tools.iter().cloned().collect::<Vec<_>>().join(", ");
    if let Some(failure) = &report.failure {
        return failed(project, &tool, failure, facts, entropy);
    }
    // A clock that is ahead of ours says nothing about the order of scans.
    let at = facts.scanned_at.or(report.scanned_at).unwrap_or(facts.received_at).min(facts.received_at);
    let view = View { report, partial: facts.partial, at, coverage: &known.coverage };
    let mut weighing =
        Weighing { facts, at, tool: &tool, entropy, changed: Vec::new(), merged: Vec::new(), history: Vec::new() };
    let stated = vex::stated(report, facts.scan_id, &tool, at);
    let statements = vex::Statements::new(&known.statements, &stated);
    weighing.changes(project, known, &view, &statements);
    let Weighing { changed, merged, history, .. } = weighing;

    let count = |wanted: &[ChangeKind]| count(changed.iter().filter(|one| wanted.contains(&one.kind)));
    let scan = Scan {
        tool: tool.clone(),
        status: ScanStatus::Completed,
        findings_seen: self::count(changed.iter().filter(|one| one.seen)),
        findings_new: count(&[ChangeKind::Created, ChangeKind::Reopened]),
        findings_removed: count(&[ChangeKind::Remediated]),
        error: unread(report.skipped),
        ..blank(project, facts)
    };
    let mut events = tell::scan_completed(&scan, &changed);
    events.extend(changed.iter().flat_map(tell::finding));
    if project.last_scan_at.is_some() {
        let after = project::After::new(&known.findings, &changed, &merged);
        events.extend(project::snapshots(org, known, report, &after, at));
    }
    let storm = digest::of(&scan, &changed).map(|(storm, told)| (storm, new_event(project, told, facts, entropy)));
    let findings = changed.into_iter().map(|one| one.finding).chain(merged).collect();
    let coverage = covered(report, facts.partial, at);
    ScanOutcome {
        findings,
        history,
        coverage,
        storm,
        statements: stated,
        ..outcome(project, scan, events, facts, entropy)
    }
}

/// What is being gathered.
struct Weighing<'a> {
    facts: ScanFacts,
    at: Timestamp,
    tool: &'a str,
    entropy: &'a dyn Entropy,
    changed: Vec<Weighed>,
    merged: Vec<Finding>,
    history: Vec<FindingChange>,
}

impl Weighing<'_> {
    fn changes(&mut self, project: &Project, known: &ProjectState, view: &View<'_>, statements: &vex::Statements<'_>) {
        let sighting =
            Sighting { org_id: project.org_id, project_id: project.id, at: self.at, coverage: &known.coverage };
        let mut mentioned = BTreeSet::new();
        for change in diff(&known.findings, view) {
            mentioned.extend(change.before.iter().map(|finding| finding.id));
            let was = change.before.first().copied();
            let is_seen = !change.seen.is_empty();
            let applied = change.apply(sighting, || FindingId::make(self.facts.received_at, self.entropy));
            self.take(was, applied, is_seen, statements);
        }
        for finding in known.findings.iter().filter(|finding| !mentioned.contains(&finding.id)) {
            let mut after = finding.clone();
            if let Some((by, why)) = statements.judge(&mut after, vex::Knew::All) {
                let kind = ChangeKind::of(Some(finding.status), after.status, false);
                let one = Weighed { finding: after, kind, reason: Some(why), merged: Vec::new(), seen: false };
                self.keep(one, Some(finding.status), by);
            }
        }
    }

    fn take(&mut self, was: Option<&Finding>, applied: Applied, is_seen: bool, statements: &vex::Statements<'_>) {
        let Applied { mut finding, from, kind, merged } = applied;
        let ids: Vec<FindingId> = merged.iter().map(|finding| finding.id).collect();
        self.merged.extend(merged);
        let mut by = ChangedBy::Scan { id: self.facts.scan_id, tool: self.tool.to_owned() };
        let mut why = reason::of(kind, was, &finding, &ids);
        let mut kind = kind;
        if let Some((stated_by, stated)) = statements.judge(&mut finding, vex::Knew::of(was)) {
            kind = ChangeKind::of(from, finding.status, kind == ChangeKind::Changed);
            (by, why) = (stated_by, stated);
        }
        self.keep(Weighed { finding, kind, reason: Some(why), merged: ids, seen: is_seen }, from, by);
    }

    fn keep(&mut self, mut one: Weighed, from: Option<FindingStatus>, by: ChangedBy) {
        if one.kind != ChangeKind::Unchanged || !one.merged.is_empty() {
            one.finding.changes += 1;
            self.history.push(FindingChange {
                id: ChangeId::make(self.facts.received_at, self.entropy),
                finding_id: one.finding.id,
                number: one.finding.changes,
                at: self.at,
                from,
                to: one.finding.status,
                by,
                reason: one.reason.clone().unwrap_or_default(),
            });
        }
        one.reason = one.reason.filter(|reason| !reason.is_empty());
        self.changed.push(one);
    }
}

/// A verdict, with what is told of it.
pub fn judged(
    project: &Project,
    judged: crate::finding::Judged,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> FindingJudgement {
    let crate::finding::Judged { finding, change } = judged;
    let mut events = Vec::new();
    if let Some(change) = &change {
        let mut kind = ChangeKind::of(change.from, change.to, false);
        // Another end or another reason of what is muted already.
        if kind == ChangeKind::Unchanged && change.to.is_muted() {
            kind = ChangeKind::Suppressed;
        }
        let reason = Some(change.reason.clone()).filter(|reason| !reason.is_empty());
        let told = Weighed { finding: finding.clone(), kind, reason, merged: Vec::new(), seen: false };
        events = tell::finding(&told);
    }
    let event = |(event_type, data)| {
        let event = Event { id: EventId::make(now, entropy).0, event_type, occurred_at: now, data };
        NewEvent::of(event, Some(project.id))
    };
    FindingJudgement {
        seen_version: project.version,
        acceptance: Acceptance {
            org_id: project.org_id,
            events: events.into_iter().map(event).collect(),
            accepted_at: now,
            delivery_ids: delivery_ids(entropy),
        },
        finding,
        change,
    }
}

/// What the scan's tools have looked at. Not where they say that they left something out: of that an older scan may still
/// know more.
fn covered(report: &Report, partial: bool, at: Timestamp) -> Coverage {
    if partial || !report.unseen.is_empty() {
        return Coverage::default();
    }
    let looked = |tool: &String| -> Vec<(String, Option<String>)> {
        match &report.targets {
            None => vec![(tool.clone(), None)],
            Some(targets) => targets.iter().map(|target| (tool.clone(), Some(target.clone()))).collect(),
        }
    };
    Coverage(report.scope.iter().flat_map(looked).map(|key| (key, at)).collect())
}

/// A scan whose report cannot be read.
pub fn unreadable(
    project: &Project,
    tool_hint: Option<&str>,
    error: &ReportError,
    facts: ScanFacts,
    entropy: &dyn Entropy,
) -> ScanOutcome {
    failed(project, tool_hint.unwrap_or("unknown"), &error.to_string(), facts, entropy)
}

fn failed(project: &Project, tool: &str, error: &str, facts: ScanFacts, entropy: &dyn Entropy) -> ScanOutcome {
    let scan = Scan { tool: tool.to_owned(), error: Some(error.to_owned()), ..blank(project, facts) };
    let data = ScanData {
        scan_id: scan.id.bare(),
        error: scan.error.clone(),
        project_id: Some(project.id.bare()),
        tool: Some(scan.tool.clone()),
        ..ScanData::default()
    };
    let event = (EventType::ScanFailed, Data::from_typed(&data));
    outcome(project, scan, vec![event], facts, entropy)
}

fn blank(project: &Project, facts: ScanFacts) -> Scan {
    Scan {
        id: facts.scan_id,
        org_id: project.org_id,
        project_id: project.id,
        tool: String::new(),
        received_at: facts.received_at,
        status: ScanStatus::Failed,
        findings_seen: 0,
        findings_new: 0,
        findings_removed: 0,
        error: None,
    }
}

fn unread(skipped: u64) -> Option<String> {
    let told = format!("{skipped} entries of the report could not be read, so nothing was taken as gone");
    (skipped > 0).then_some(told)
}

fn new_event(project: &Project, told: (EventType, Data), facts: ScanFacts, entropy: &dyn Entropy) -> NewEvent {
    let (event_type, data) = told;
    let event =
        Event { id: EventId::make(facts.received_at, entropy).0, event_type, occurred_at: facts.received_at, data };
    NewEvent::of(event, Some(project.id))
}

fn delivery_ids(entropy: &dyn Entropy) -> DeliveryIds {
    let mut seed = [0; 32];
    entropy.fill(&mut seed);
    DeliveryIds { seed }
}

fn outcome(
    project: &Project,
    scan: Scan,
    events: Vec<(EventType, Data)>,
    facts: ScanFacts,
    entropy: &dyn Entropy,
) -> ScanOutcome {
    let events = events.into_iter().map(|told| new_event(project, told, facts, entropy)).collect();
    ScanOutcome {
        scan,
        seen_version: project.version,
        findings: Vec::new(),
        history: Vec::new(),
        coverage: Coverage::default(),
        statements: Vec::new(),
        acceptance: Acceptance {
            org_id: project.org_id,
            events,
            accepted_at: facts.received_at,
            delivery_ids: delivery_ids(entropy),
        },
        storm: None,
    }
}

fn count<T>(items: impl Iterator<Item = T>) -> u64 {
    u64::try_from(items.count()).unwrap_or(u64::MAX)
}

/// At most `max` characters.
fn short(text: &str, max: usize) -> String {
    text.chars().take(max).collect()
}

/// The ecosystem of a finding in a component: `pypi`.
fn purl_type(observation: &Observation) -> Option<&str> {
    let purl = observation.component.as_ref()?.purl.as_deref()?;
    purl.strip_prefix("pkg:")?.split('/').next()
}

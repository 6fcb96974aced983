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

pub use apply::{Applied, ChangeKind, Sighting, Was};
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

/// What a scan made of one finding, beside the finding itself.
#[derive(Debug)]
pub(crate) struct Note {
    kind: ChangeKind,
    /// Why, for the event; the history has it too. Of what is new there is nothing to tell but that.
    reason: Option<String>,
    /// Those that turned out to be this one.
    merged: Vec<FindingId>,
    /// Whether the scan saw it.
    seen: bool,
}

/// One finding that a scan changed, and what is told of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weighed<'a> {
    finding: &'a Finding,
    note: &'a Note,
}

/// Weighs a report against what is known of the project. Takes both apart: hundreds of thousands of findings are moved to
/// where they go, and stand in memory once.
pub fn weigh(org: &Org, known: ProjectState, report: Report, facts: ScanFacts, entropy: &dyn Entropy) -> ScanOutcome {
    let ProjectState { project, group, statements, findings: known, coverage: looked_before } = known;
    let ascending = ascending::Ascending::new(entropy);
    let entropy: &dyn Entropy = &ascending;
    let tool = report.tools.iter().cloned().collect::<Vec<_>>().join(", ");
    if let Some(failure) = &report.failure {
        return failed(&project, &tool, failure, facts, entropy);
    }
    // A clock that is ahead of ours says nothing about the order of scans.
    let at = facts.scanned_at.or(report.scanned_at).unwrap_or(facts.received_at).min(facts.received_at);
    let view = View { report: &report, partial: facts.partial, at, coverage: &looked_before };
    let changes = diff(&known, &view);
    let stated = vex::stated(&report, facts.scan_id, &tool, at);
    let coverage = covered(&report, facts.partial, at);
    let tested = project::Tested::of(&report, at);
    let skipped = report.skipped;
    let sighting = Sighting { org_id: project.org_id, project_id: project.id, at, coverage: &looked_before };
    let mut weighing = Weighing::new(facts, sighting, &tool, entropy, changes.len());
    let statements = vex::Statements::new(&statements, &stated);
    let untouched = weighing.changes(changes, known, report.observations, &statements);
    let Weighing { mut changed, notes, merged, history, .. } = weighing;

    let weighed: Vec<Weighed<'_>> =
        changed.iter().zip(&notes).map(|(finding, note)| Weighed { finding, note }).collect();
    let count = |wanted: &[ChangeKind]| count(weighed.iter().filter(|one| wanted.contains(&one.note.kind)));
    let scan = Scan {
        tool: tool.clone(),
        status: ScanStatus::Completed,
        findings_seen: self::count(weighed.iter().filter(|one| one.note.seen)),
        findings_new: count(&[ChangeKind::Created, ChangeKind::Reopened]),
        findings_removed: count(&[ChangeKind::Remediated]),
        error: unread(skipped),
        ..blank(&project, facts)
    };
    let storm = digest::of(&scan, &weighed).map(|(storm, told)| (storm, new_event(&project, told, facts, entropy)));
    let new_event = |told| new_event(&project, told, facts, entropy);
    let mut events = Vec::with_capacity(weighed.len() + 1);
    events.extend(tell::scan_completed(&scan, &weighed).into_iter().map(new_event));
    events.extend(weighed.iter().copied().flat_map(tell::finding).map(new_event));
    if project.last_scan_at.is_some() {
        let after = project::After { changed: &weighed, untouched: &untouched };
        let snapshots = project::snapshots(org, &project, group.as_ref(), &tested, &after);
        events.extend(snapshots.into_iter().map(new_event));
    }
    changed.extend(merged);
    ScanOutcome {
        findings: changed,
        history,
        coverage,
        storm,
        statements: stated,
        ..outcome(&project, scan, events, entropy)
    }
}

/// What is being gathered.
struct Weighing<'a> {
    facts: ScanFacts,
    sighting: Sighting<'a>,
    tool: &'a str,
    entropy: &'a dyn Entropy,
    changed: Vec<Finding>,
    /// One for each of `changed`.
    notes: Vec<Note>,
    merged: Vec<Finding>,
    history: Vec<FindingChange>,
}

impl<'a> Weighing<'a> {
    fn new(facts: ScanFacts, sighting: Sighting<'a>, tool: &'a str, entropy: &'a dyn Entropy, changes: usize) -> Self {
        let (changed, notes) = (Vec::with_capacity(changes), Vec::with_capacity(changes));
        Self { facts, sighting, tool, entropy, changed, notes, merged: Vec::new(), history: Vec::new() }
    }

    /// Answers the findings that stay as they are.
    fn changes(
        &mut self,
        changes: Vec<Change>,
        known: Vec<Finding>,
        seen: Vec<Observation>,
        statements: &vex::Statements<'_>,
    ) -> Vec<Finding> {
        let mut known: Vec<Option<Finding>> = known.into_iter().map(Some).collect();
        let mut seen: Vec<Option<Observation>> = seen.into_iter().map(Some).collect();
        for change in changes {
            let before = change.before.iter().filter_map(|place| known.get_mut(*place)?.take()).collect();
            let saw: Vec<_> = change.seen.iter().filter_map(|place| seen.get_mut(*place)?.take()).collect();
            let is_seen = !saw.is_empty();
            let id = || FindingId::make(self.facts.received_at, self.entropy);
            let applied = change.apply(before, saw, self.sighting, id);
            self.take(applied, is_seen, statements);
        }
        drop(seen);
        let mut untouched: Vec<Finding> = known.into_iter().flatten().collect();
        let mut verdicts = Vec::new();
        let is_judged = |finding: &mut Finding| {
            let from = finding.status;
            let verdict = statements.judge(finding, vex::Knew::All);
            let is_judged = verdict.is_some();
            verdicts.extend(verdict.map(|(by, why)| (from, by, why)));
            is_judged
        };
        let judged: Vec<Finding> = untouched.extract_if(.., is_judged).collect();
        for (finding, (from, by, why)) in judged.into_iter().zip(verdicts) {
            let kind = ChangeKind::of(Some(from), finding.status, false);
            let note = Note { kind, reason: Some(why), merged: Vec::new(), seen: false };
            self.keep(finding, note, Some(from), by);
        }
        untouched
    }

    fn take(&mut self, applied: Applied, is_seen: bool, statements: &vex::Statements<'_>) {
        let Applied { mut finding, was, kind, merged } = applied;
        let ids: Vec<FindingId> = merged.iter().map(|finding| finding.id).collect();
        self.merged.extend(merged);
        let mut by = ChangedBy::Scan { id: self.facts.scan_id, tool: self.tool.to_owned() };
        let mut why = reason::of(kind, was, &finding, &ids);
        let mut kind = kind;
        let from = was.map(|was| was.status);
        if let Some((stated_by, stated)) = statements.judge(&mut finding, vex::Knew::of(was)) {
            kind = ChangeKind::of(from, finding.status, kind == ChangeKind::Changed);
            (by, why) = (stated_by, stated);
        }
        self.keep(finding, Note { kind, reason: Some(why), merged: ids, seen: is_seen }, from, by);
    }

    fn keep(&mut self, mut finding: Finding, mut note: Note, from: Option<FindingStatus>, by: ChangedBy) {
        if note.kind != ChangeKind::Unchanged || !note.merged.is_empty() {
            finding.changes += 1;
            let is_new = note.kind == ChangeKind::Created;
            let reason = if is_new { note.reason.take() } else { note.reason.clone() };
            self.history.push(FindingChange {
                id: ChangeId::make(self.facts.received_at, self.entropy),
                finding_id: finding.id,
                number: finding.changes,
                at: self.sighting.at,
                from,
                to: finding.status,
                by,
                reason: reason.unwrap_or_default(),
            });
        }
        note.reason = note.reason.filter(|reason| !reason.is_empty());
        self.changed.push(finding);
        self.notes.push(note);
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
        let note = Note { kind, reason, merged: Vec::new(), seen: false };
        events = tell::finding(Weighed { finding: &finding, note: &note });
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
    let event = new_event(project, (EventType::ScanFailed, Data::from_typed(&data)), facts, entropy);
    outcome(project, scan, vec![event], entropy)
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

fn outcome(project: &Project, scan: Scan, events: Vec<NewEvent>, entropy: &dyn Entropy) -> ScanOutcome {
    let accepted_at = scan.received_at;
    ScanOutcome {
        scan,
        seen_version: project.version,
        findings: Vec::new(),
        history: Vec::new(),
        coverage: Coverage::default(),
        statements: Vec::new(),
        acceptance: Acceptance { org_id: project.org_id, events, accepted_at, delivery_ids: delivery_ids(entropy) },
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

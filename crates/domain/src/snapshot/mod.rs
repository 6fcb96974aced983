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
//! | reopened: it was gone, or its suppression was lifted | `vulnerability.reopened` | new |
//! | suppressed, also at first sight | `vulnerability.suppressed` | – |
//! | severity changed | `vulnerability.changed` | – |
//! | gone | `vulnerability.remediated` | removed |
//!
//! Every weighed scan tells `scan.completed`, and all but a project's first `project.snapshot`, also when nothing changed.
//! A scan that failed, or whose report cannot be read, tells `scan.failed` and changes no finding. A scan takes as gone
//! only what its own tools saw before ([`Report::scope`]), and nothing at all when it is partial.

use std::collections::BTreeSet;

use jiff::Timestamp;
use watchbell_wire::event::{Data, Event, EventType, Scan as ScanData};

use crate::event::NewEvent;
use crate::finding::{Finding, Observation};
use crate::id::{EventId, FindingId, ScanId};
use crate::org::{Org, Project};
use crate::port::{Acceptance, DeliveryIds, Entropy, ScanOutcome};
use crate::scan::{Report, ReportError, Scan, ScanStatus};

mod diff;
mod issue;
mod project;
mod tell;

pub use diff::{Change, ChangeKind, Seen, Sighting, by_identity, diff};

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
    /// The report covers a part of the project: nothing is taken as gone.
    pub partial: bool,
}

/// Weighs a report against what is known of the project. `existing`: its findings of every status.
pub fn weigh(
    org: &Org,
    project: &Project,
    existing: &[Finding],
    report: &Report,
    facts: ScanFacts,
    entropy: &dyn Entropy,
) -> ScanOutcome {
    let tool = report.tools.iter().cloned().collect::<Vec<_>>().join(", ");
    if let Some(failure) = &report.failure {
        return failed(project, &tool, failure, facts, entropy);
    }
    let nothing = BTreeSet::new();
    let scope = if facts.partial { &nothing } else { &report.scope };
    let seen = by_identity(&report.observations);
    let sighting = Sighting { org_id: project.org_id, project_id: project.id, at: facts.received_at };
    let changed: Vec<(ChangeKind, Finding)> = diff(existing, &seen, scope)
        .iter()
        .map(|change| {
            let id = || FindingId::make(facts.received_at, entropy);
            (change.kind, change.apply(sighting, id))
        })
        .collect();
    let count = |wanted: &[ChangeKind]| count(changed.iter().filter(|(kind, _)| wanted.contains(kind)));
    let scan = Scan {
        tool: tool.clone(),
        status: ScanStatus::Completed,
        findings_seen: u64::try_from(seen.len()).unwrap_or(u64::MAX),
        findings_new: count(&[ChangeKind::Created, ChangeKind::Reopened]),
        findings_removed: count(&[ChangeKind::Remediated]),
        error: unread(report.skipped),
        ..blank(project, facts)
    };
    let mut events = tell::scan_completed(&scan, &changed);
    events.extend(changed.iter().flat_map(|(kind, finding)| tell::finding(*kind, finding)));
    if project.version > 0 {
        let after = project::After::new(existing, &changed);
        events.extend(project::snapshots(org, project, report, &after, facts.received_at));
    }
    let findings = changed.into_iter().map(|(_, finding)| finding).collect();
    outcome(project, scan, findings, events, facts, entropy)
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
    outcome(project, scan, Vec::new(), vec![event], facts, entropy)
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

fn outcome(
    project: &Project,
    scan: Scan,
    findings: Vec<Finding>,
    events: Vec<(EventType, Data)>,
    facts: ScanFacts,
    entropy: &dyn Entropy,
) -> ScanOutcome {
    let new_event = |(event_type, data)| NewEvent {
        hops: 0,
        event: Event {
            id: EventId::make(facts.received_at, entropy).0,
            event_type,
            occurred_at: facts.received_at,
            data,
        },
        project_id: Some(project.id),
        only: None,
    };
    let events = events.into_iter().map(new_event).collect();
    let mut seed = [0; 32];
    entropy.fill(&mut seed);
    ScanOutcome {
        scan,
        seen_version: project.version,
        findings,
        acceptance: Acceptance {
            org_id: project.org_id,
            events,
            accepted_at: facts.received_at,
            delivery_ids: DeliveryIds { seed },
        },
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

//! `project.snapshot`: what one more test of a known project saw, in Snyk's own shape.
//!
//! Snyk sends it for open-source and container projects only, which is a limit of that product; we send it for code and
//! configuration as well.
//!
//! A snapshot whose issues do not fit into one event is told in several, each whole in itself with a part of the issues, so
//! that none is lost. Descriptions are cut (see [`super::issue`]).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::json;
use watchbell_wire::event::{Data, EventType, Issue, ProjectSnapshot, SnapshotGroup, SnapshotOrg, SnapshotProject};

use super::issue::{self, issue, members};
use super::{ChangeKind, EVENT_BYTES_MAX, Weighed, purl_type};
use crate::finding::{Finding, FindingStatus};
use crate::org::{Group, Org, Project};
use crate::scan::Report;

/// The project's findings after the scan.
pub(super) struct After<'a> {
    pub(super) changed: &'a [Weighed<'a>],
    pub(super) untouched: &'a [Finding],
}

impl After<'_> {
    fn open(&self) -> impl Iterator<Item = &Finding> {
        let all = self.changed.iter().map(|one| one.finding).chain(self.untouched);
        all.filter(|finding| finding.status == FindingStatus::Open)
    }

    fn issues(&self, kinds: &[ChangeKind]) -> impl Iterator<Item = Issue> {
        let wanted = self.changed.iter().filter(move |one| kinds.contains(&one.note.kind));
        wanted.map(|one| issue(one.finding))
    }
}

/// What the report says of the project, beside its findings.
pub(super) struct Tested {
    project_type: String,
    components: u64,
    at: Timestamp,
}

impl Tested {
    pub(super) fn of(report: &Report, at: Timestamp) -> Self {
        let components = report.components.unwrap_or_default();
        Self { project_type: project_type(report).to_owned(), components, at }
    }
}

/// The snapshot, in as many events as it takes; at least one.
pub(super) fn snapshots(
    org: &Org,
    project: &Project,
    group: Option<&Group>,
    tested: &Tested,
    after: &After<'_>,
) -> Vec<(EventType, Data)> {
    let group = group.map(snapshot_group);
    let new = after.issues(&[ChangeKind::Created, ChangeKind::Reopened]);
    let removed = after.issues(&[ChangeKind::Remediated]);
    let empty = ProjectSnapshot {
        project: snapshot_project(project, tested, after),
        org: snapshot_org(org),
        group: Some(group.unwrap_or_default()),
        new_issues: Vec::new(),
        removed_issues: Vec::new(),
    };
    let frame_bytes = Data::from_typed(&empty).text().len();
    let mut parts = vec![empty.clone()];
    let mut bytes = frame_bytes;
    let all = new.map(|issue| (true, issue)).chain(removed.map(|issue| (false, issue)));
    for (is_new, issue) in all {
        let size = Data::from_typed(&issue).text().len() + 1;
        if bytes + size > EVENT_BYTES_MAX {
            parts.push(empty.clone());
            bytes = frame_bytes;
        }
        bytes += size;
        if let Some(part) = parts.last_mut() {
            match is_new {
                true => part.new_issues.push(issue),
                false => part.removed_issues.push(issue),
            }
        }
    }
    let event = |part: ProjectSnapshot| (EventType::ProjectSnapshot, Data::from_typed(&part));
    parts.into_iter().map(event).collect()
}

fn snapshot_project(project: &Project, tested: &Tested, after: &After<'_>) -> SnapshotProject {
    let mut counts = BTreeMap::from([("low", 0u64), ("medium", 0), ("high", 0), ("critical", 0)]);
    for finding in after.open() {
        *counts.entry(issue::severity(finding.observation.severity)).or_default() += 1;
    }
    let more = json!({
        "created": millis(project.created_at),
        "origin": "cli",
        "type": tested.project_type,
        "readOnly": false,
        "testFrequency": "never",
        "totalDependencies": tested.components,
        "issueCountsBySeverity": counts,
        "imageId": "",
        "imageTag": "",
        "imageBaseImage": "",
        "imagePlatform": "",
        "imageCluster": "",
        "hostname": null,
        "remoteRepoUrl": "",
        "lastTestedDate": millis(tested.at),
        "browseUrl": "",
        "importingUser": null,
        "owner": null,
        "isMonitored": true,
        "branch": null,
        "targetReference": null,
        "tags": [],
        "attributes": {"criticality": [], "environment": [], "lifecycle": []},
        "remediation": {"upgrade": {}, "patch": {}, "pin": {}},
    });
    SnapshotProject { name: project.name.clone(), id: project.id.bare(), more: members(more) }
}

fn snapshot_org(org: &Org) -> SnapshotOrg {
    SnapshotOrg {
        name: org.name.clone(),
        id: org.id.bare(),
        more: members(json!({"slug": org.slug, "url": "", "created": millis(org.created_at)})),
    }
}

fn snapshot_group(group: &Group) -> SnapshotGroup {
    SnapshotGroup {
        name: group.name.clone(),
        id: group.id.bare(),
        more: members(json!({"url": "", "created": millis(group.created_at)})),
    }
}

/// Snyk's word for the package manager that most vulnerable components are of; `sast` for code.
fn project_type(report: &Report) -> &str {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for observation in &report.observations {
        if let Some(purl_type) = purl_type(observation) {
            *counts.entry(purl_type).or_default() += 1;
        }
    }
    let most = counts.into_iter().max_by_key(|(_, count)| *count);
    match most.map(|(purl_type, _)| purl_type) {
        Some("pypi") => "pip",
        Some("gem") => "rubygems",
        Some("golang") => "gomodules",
        Some(other) => other,
        None if report.components.is_none() => "sast",
        None => "",
    }
}

/// With milliseconds, always three digits.
fn millis(at: Timestamp) -> String {
    format!("{at:.3}")
}

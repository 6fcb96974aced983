//! What the tests of scans and snapshots share: the example reports, and a project to weigh them in.

use watchbell_domain::Timestamp;
use watchbell_domain::finding::{Finding, FindingChange, FindingStatus};
use watchbell_domain::id::{FindingId, OrgId, ProjectId, ScanId};
use watchbell_domain::org::{Group, Org, Project};
use watchbell_domain::port::testing::SeededEntropy;
use watchbell_domain::port::{Coverage, ProjectState, ScanOutcome, Stated};
use watchbell_domain::scan::{self, Report, ScanStatus};
use watchbell_domain::snapshot::{self, ScanFacts};

macro_rules! example {
    ($name:literal) => {
        include_bytes!(concat!("../../../../examples/webshop/reports/", $name))
    };
}

/// The reports of `examples/`, by state and file.
pub(crate) const EXAMPLES: [(&str, &[u8]); 8] = [
    ("before/audit", example!("before/audit.cdx.json")),
    ("before/bandit", example!("before/bandit.sarif")),
    ("before/checkov", example!("before/checkov.sarif")),
    ("before/sbom", example!("before/sbom.cdx.json")),
    ("after/audit", example!("after/audit.cdx.json")),
    ("after/bandit", example!("after/bandit.sarif")),
    ("after/checkov", example!("after/checkov.sarif")),
    ("after/sbom", example!("after/sbom.cdx.json")),
];

/// An example report, read.
pub(crate) fn example(name: &str) -> Report {
    let (_, bytes) = EXAMPLES.iter().find(|(known, _)| *known == name).expect("such an example");
    scan::read(bytes, None).expect("a report that can be read")
}

/// A project whose store is a list.
pub(crate) struct Shop {
    pub(crate) org: Org,
    pub(crate) project: Project,
    /// Those that live, in the order in which they came.
    pub(crate) findings: Vec<Finding>,
    /// Those that were merged into others.
    pub(crate) merged: Vec<Finding>,
    pub(crate) history: Vec<FindingChange>,
    pub(crate) group: Option<Group>,
    pub(crate) statements: Vec<Stated>,
    coverage: Coverage,
    pub(crate) entropy: SeededEntropy,
    hour: i64,
}

impl Shop {
    pub(crate) fn new() -> Self {
        let entropy = SeededEntropy::new(7);
        let created_at: Timestamp = "2026-03-01T08:00:00Z".parse().expect("a time");
        let org = Org {
            id: OrgId::make(created_at, &entropy),
            slug: "acme".to_owned(),
            name: "ACME".to_owned(),
            weight: 1,
            created_at,
        };
        let project = Project {
            id: ProjectId::make(created_at, &entropy),
            org_id: org.id,
            name: "webshop".to_owned(),
            created_at,
            version: 0,
            last_scan_at: None,
            owner: None,
            labels: std::collections::BTreeMap::new(),
        };
        let (findings, merged, history) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            org,
            project,
            findings,
            merged,
            history,
            group: None,
            statements: Vec::new(),
            coverage: Coverage::default(),
            entropy,
            hour: 0,
        }
    }

    pub(crate) fn facts(&mut self) -> ScanFacts {
        self.hour += 1;
        let received_at = self.project.created_at + watchbell_domain::SignedDuration::from_hours(self.hour);
        ScanFacts { scan_id: ScanId::make(received_at, &self.entropy), received_at, scanned_at: None, partial: false }
    }

    /// Weighs a report and keeps the outcome, as a store would.
    pub(crate) fn scan(&mut self, report: &Report) -> ScanOutcome {
        let facts = self.facts();
        self.scan_with(report, facts)
    }

    pub(crate) fn scan_with(&mut self, report: &Report, facts: ScanFacts) -> ScanOutcome {
        let outcome = snapshot::weigh(&self.org, self.state(), report.clone(), facts, &self.entropy);
        self.keep(&outcome);
        outcome
    }

    pub(crate) fn state(&self) -> ProjectState {
        ProjectState {
            project: self.project.clone(),
            group: self.group.clone(),
            statements: self.statements.clone(),
            findings: self.findings.clone(),
            coverage: self.coverage.clone(),
        }
    }

    pub(crate) fn keep(&mut self, outcome: &ScanOutcome) {
        for changed in &outcome.findings {
            self.put(changed.clone());
        }
        self.history.extend(outcome.history.iter().cloned());
        self.statements.extend(outcome.statements.iter().cloned());
        self.statements.sort_by_key(|stated| stated.at);
        for (key, at) in &outcome.coverage.0 {
            let known = self.coverage.0.entry(key.clone()).or_insert(*at);
            *known = (*known).max(*at);
        }
        self.project.version += 1;
        if outcome.scan.status == ScanStatus::Completed {
            self.project.last_scan_at = Some(outcome.scan.received_at);
        }
    }

    pub(crate) fn put(&mut self, finding: Finding) {
        self.findings.retain(|known| known.id != finding.id || finding.merged_into.is_none());
        if finding.merged_into.is_some() {
            return self.merged.push(finding);
        }
        match self.findings.iter_mut().find(|known| known.id == finding.id) {
            Some(known) => *known = finding,
            None => self.findings.push(finding),
        }
    }

    pub(crate) fn history_of(&self, id: FindingId) -> Vec<(Option<FindingStatus>, FindingStatus, &str)> {
        let own = self.history.iter().filter(|change| change.finding_id == id);
        own.map(|change| (change.from, change.to, change.by.kind())).collect()
    }

    pub(crate) fn open(&self) -> Vec<&Finding> {
        let open = self.findings.iter().filter(|finding| finding.status == FindingStatus::Open);
        open.collect()
    }
}

/// The types of an outcome's events, in order.
pub(crate) fn event_types(outcome: &ScanOutcome) -> Vec<&str> {
    let events = outcome.acceptance.events.iter();
    events.map(|new| new.event.event_type.as_str()).collect()
}

/// How many events of a type there are.
pub(crate) fn count(outcome: &ScanOutcome, event_type: &str) -> usize {
    event_types(outcome).into_iter().filter(|known| *known == event_type).count()
}

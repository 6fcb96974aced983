//! What a document holds: a report is read, a bill of materials that names components only is matched against the
//! advisories, anything else is kept unread.

use std::collections::BTreeSet;
use std::fs::File;

use watchbell_domain::advisory::{self, Package};
use watchbell_domain::evidence::Found;
use watchbell_domain::port::{AdvisoryStore, StoreError};
use watchbell_domain::scan::{self, Report, ReportError};
use watchbell_domain::snapshot::by_identity;
use watchbell_wire::Severity;

/// Components that are looked up at once.
const LOOKED_UP_MAX: usize = 200;

/// What came of reading.
pub(super) enum Holds {
    /// A report.
    Report(Box<Report>),
    /// Nothing that we read.
    Other,
    /// A report that cannot be used.
    Broken(String),
}

/// Reads a document off the async threads.
pub(super) async fn read(file: File) -> Holds {
    let read = tokio::task::spawn_blocking(move || scan::read_from(file, None)).await;
    match read {
        Ok(Ok(Report { failure: Some(failure), .. })) => Holds::Broken(failure),
        Ok(Ok(report)) => Holds::Report(Box::new(report)),
        Ok(Err(error)) if is_other(&error) => Holds::Other,
        Ok(Err(error)) => Holds::Broken(error.to_string()),
        Err(failed) => {
            tracing::error!(%failed, "a document's reader failed");
            Holds::Broken("the document cannot be read; the server's log has more".to_owned())
        }
    }
}

/// A picture, a letter, a table: nothing that tried to be a report.
const fn is_other(error: &ReportError) -> bool {
    matches!(
        error,
        ReportError::UnknownFormat { .. }
            | ReportError::NotUtf8 { .. }
            | ReportError::Empty
            | ReportError::NotJson { line: 1, column: 0 | 1, .. }
    )
}

/// Whether it lists components and says nothing of their vulnerabilities.
pub(super) fn is_bare(report: &Report) -> bool {
    report.observations.is_empty() && report.statements.is_empty() && !report.inventory.is_empty()
}

/// The report that the advisories make of a bare bill of materials. It is complete: what it lacks is gone.
pub(super) async fn matched(advisories: &dyn AdvisoryStore, report: Report) -> Result<Report, StoreError> {
    let tools = BTreeSet::from([advisory::TOOL.to_owned()]);
    let mut observations = Vec::new();
    for components in report.inventory.chunks(LOOKED_UP_MAX) {
        let packages: BTreeSet<(String, String)> =
            components.iter().filter_map(Package::of).map(|package| (package.ecosystem, package.name)).collect();
        let known = advisories.advisories_about(packages.into_iter().collect()).await?;
        observations.extend(components.iter().flat_map(|component| advisory::observe(component, &known)));
    }
    Ok(Report { scope: tools.clone(), tools, observations, ..report })
}

/// The figures: what somebody ought to act on, each vulnerability of a component once.
pub(super) fn found(report: &Report) -> Found {
    let seen = by_identity(&report.observations);
    let open: Vec<Severity> = seen.values().filter(|seen| !seen.suppressed).map(|seen| seen.severity).collect();
    let count = |wanted: Option<Severity>| {
        let counted = open.iter().filter(|severity| wanted.is_none_or(|wanted| **severity == wanted));
        u64::try_from(counted.count()).unwrap_or(u64::MAX)
    };
    Found {
        format: Some(report.format.as_str().to_owned()),
        components: report.components.unwrap_or_default(),
        vulnerabilities: count(None),
        critical: count(Some(Severity::Critical)),
        high: count(Some(Severity::High)),
    }
}

//! What VEX documents state of findings. A statement becomes a judgement by VEX, unless a person has judged already; a
//! statement that somebody ought to act, or that nobody knows yet, lifts an earlier one.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::apply::stand;
use crate::finding::{ChangedBy, Finding, FindingStatus, Judgement, identity};
use crate::id::ScanId;
use crate::scan::{Statement, VexStatus};

/// A document's statements, by the names they are about.
pub(super) struct Statements<'a> {
    by_name: BTreeMap<String, Vec<(usize, &'a Statement)>>,
    scan: ScanId,
    /// Who says so, where a statement does not.
    tool: &'a str,
    at: Timestamp,
}

impl<'a> Statements<'a> {
    pub(super) fn new(statements: &'a [Statement], scan: ScanId, tool: &'a str, at: Timestamp) -> Self {
        let mut by_name: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for (index, statement) in statements.iter().enumerate() {
            for name in &statement.names {
                by_name.entry(identity::normal_name(name)).or_default().push((index, statement));
            }
        }
        Self { by_name, scan, tool, at }
    }

    /// What is stated of the finding: of several statements the last one of the document. With it, the version that it
    /// holds for.
    fn about(&self, finding: &Finding) -> Option<(&'a Statement, Option<String>)> {
        let named = finding.names.iter().filter_map(|name| self.by_name.get(name)).flatten();
        let fitting = named.filter_map(|(index, statement)| Some((*index, *statement, holds_for(statement, finding)?)));
        fitting.max_by_key(|(index, _, _)| *index).map(|(_, statement, version)| (statement, version))
    }

    /// Judges the finding by what is stated of it. Whether that changed anything.
    pub(super) fn judge(&self, finding: &mut Finding) -> Option<(ChangedBy, String)> {
        let (statement, version) = self.about(finding)?;
        let known = finding.judgement.as_ref();
        if known.is_some_and(|judgement| judgement.by.is_decision() || judgement.at > self.at) {
            return None;
        }
        let author = if statement.author.is_empty() { self.tool } else { &statement.author };
        let by = ChangedBy::Vex { id: self.scan, author: author.to_owned() };
        let reason = statement.justification.clone();
        let status = match statement.status {
            VexStatus::NotAffected => Some(FindingStatus::Suppressed),
            VexStatus::FalsePositive => Some(FindingStatus::FalsePositive),
            VexStatus::Fixed => Some(FindingStatus::Remediated),
            VexStatus::Affected | VexStatus::UnderInvestigation => None,
        };
        let is_same = |judgement: &Judgement| {
            (Some(judgement.status), &judgement.reason, &judgement.version) == (status, &reason, &version)
        };
        if known.map_or(status.is_none(), is_same) {
            return None;
        }
        let judged =
            |status| Judgement { status, by: by.clone(), at: self.at, reason: reason.clone(), until: None, version };
        finding.judgement = status.map(judged);
        stand(finding);
        Some((by, reason))
    }
}

/// Whether the statement is about the finding's component; with the version that it is limited to.
fn holds_for(statement: &Statement, finding: &Finding) -> Option<Option<String>> {
    if statement.products.is_empty() {
        return Some(None);
    }
    let place = identity::place(&finding.observation);
    let installed = finding.observation.component.as_ref()?.version.as_deref();
    let products = statement.products.iter().map(|purl| identity::package_of(purl));
    let mut fitting = products.filter(|(product, _)| *product == place).map(|(_, version)| version);
    fitting.find(|version| version.is_none() || installed.is_none() || version.as_deref() == installed)
}

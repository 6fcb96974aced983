//! What VEX documents state of findings. A statement becomes a judgement by VEX, unless a person has judged already; a
//! statement that somebody ought to act, or that nobody knows yet, lifts an earlier one.

use std::collections::BTreeMap;

use jiff::Timestamp;
use watchbell_wire::event::Component;

use super::apply::stand;
use crate::finding::{ChangedBy, Finding, FindingStatus, Judgement, identity};
use crate::scan::{Statement, Verdict};

/// A document's statements, by the names they are about.
pub(super) struct Statements<'a> {
    by_name: BTreeMap<String, Vec<(usize, &'a Statement)>>,
    /// What the project is called: a document may speak of it as a whole.
    project: &'a str,
    by: ChangedBy,
    at: Timestamp,
}

impl<'a> Statements<'a> {
    /// `at`: when they were said, where they do not say it themselves.
    pub(super) fn new(statements: &'a [Statement], project: &'a str, by: ChangedBy, at: Timestamp) -> Self {
        let mut by_name: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for (index, statement) in statements.iter().enumerate() {
            for name in &statement.names {
                by_name.entry(identity::normal_name(name)).or_default().push((index, statement));
            }
        }
        Self { by_name, project, by, at }
    }

    /// What is stated of the finding: of several statements the last one of the document, where they are in their order.
    fn about(&self, finding: &Finding) -> Option<&'a Statement> {
        let named = finding.names.iter().filter_map(|name| self.by_name.get(name)).flatten();
        let component = finding.observation.component.as_ref();
        let fitting = named.filter(|(_, statement)| {
            statement.concerns(&finding.names, component) || self.is_of_all(statement.component.as_ref())
        });
        fitting.max_by_key(|(index, _)| *index).map(|(_, statement)| *statement)
    }

    /// Whether the product is the project itself and no component of it: it has its name, or is an image.
    fn is_of_all(&self, product: Option<&Component>) -> bool {
        product.is_some_and(|product| {
            let purl = product.purl.as_deref().unwrap_or_default();
            let is_image = purl.starts_with("pkg:oci/") || purl.starts_with("pkg:docker/");
            is_image || product.name.eq_ignore_ascii_case(self.project)
        })
    }

    /// Judges the finding by what is stated of it; answers who says so and why, if that changes anything.
    pub(super) fn judge(&self, finding: &mut Finding) -> Option<(ChangedBy, String)> {
        let statement = self.about(finding)?;
        let at = statement.said_at.unwrap_or(self.at).min(self.at);
        let known = finding.judgement.as_ref();
        if known.is_some_and(|judgement| judgement.by.is_decision() || judgement.at > at) {
            return None;
        }
        let reason = statement.justification.clone().unwrap_or_default();
        let is_of_all = self.is_of_all(statement.component.as_ref());
        let version = statement.version().filter(|_| !is_of_all);
        let status = match statement.verdict {
            Verdict::NotAffected => Some(FindingStatus::Suppressed),
            Verdict::FalsePositive => Some(FindingStatus::FalsePositive),
            Verdict::Fixed => Some(FindingStatus::Remediated),
            Verdict::Affected | Verdict::UnderInvestigation => None,
        };
        let is_same = |judgement: &Judgement| {
            (Some(judgement.status), &judgement.reason, &judgement.version) == (status, &reason, &version)
        };
        if known.map_or(status.is_none(), is_same) {
            return None;
        }
        let by = self.by.clone();
        let judged = |status| Judgement { status, by, at, reason: reason.clone(), until: None, version };
        finding.judgement = status.map(judged);
        let before = finding.status;
        stand(finding, Some(before));
        Some((self.by.clone(), reason))
    }
}

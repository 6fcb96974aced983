//! What VEX documents state of findings. A statement becomes a judgement by VEX, unless a person has judged already; a
//! statement that somebody ought to act, or that nobody knows yet, lifts an earlier one.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::apply::stand;
use crate::finding::{ChangedBy, Finding, FindingStatus, Judgement, identity};
use crate::scan::{Statement, Verdict};

/// A document's statements, by the names they are about.
pub(super) struct Statements<'a> {
    by_name: BTreeMap<String, Vec<(usize, &'a Statement)>>,
    by: ChangedBy,
    at: Timestamp,
}

impl<'a> Statements<'a> {
    /// `at`: when they were said, where they do not say it themselves.
    pub(super) fn new(statements: &'a [Statement], by: ChangedBy, at: Timestamp) -> Self {
        let mut by_name: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for (index, statement) in statements.iter().enumerate() {
            for name in &statement.names {
                by_name.entry(identity::normal_name(name)).or_default().push((index, statement));
            }
        }
        Self { by_name, by, at }
    }

    /// What is stated of the finding: of several statements the last one of the document, where they are in their order.
    fn about(&self, finding: &Finding) -> Option<&'a Statement> {
        let named = finding.names.iter().filter_map(|name| self.by_name.get(name)).flatten();
        let component = finding.observation.component.as_ref();
        let fitting = named.filter(|(_, statement)| statement.concerns(&finding.names, component));
        fitting.max_by_key(|(index, _)| *index).map(|(_, statement)| *statement)
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
        let version = statement.version();
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

//! What VEX documents state of findings. A statement becomes a judgement by VEX, unless a person has judged already; a
//! statement that somebody ought to act, or that nobody knows yet, lifts an earlier one.
//!
//! What a document stated is kept with the project, and is for findings that come later too: one that is new, or is known
//! by further names, or in another version, is judged by it. One that is as it was has been judged by it when it came; what
//! a person has said since stays.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::apply::{Was, stand};
use crate::finding::{ChangedBy, Finding, FindingStatus, Judgement, identity};
use crate::id::ScanId;
use crate::port::Stated;
use crate::scan::{Report, Statement, VexStatus};

/// Most statements of one document that are kept for later; the last of them.
const KEPT_MAX: usize = 10_000;

/// What a report states, as it is kept.
pub(super) fn stated(report: &Report, scan_id: ScanId, tool: &str, at: Timestamp) -> Vec<Stated> {
    let skipped = report.statements.len().saturating_sub(KEPT_MAX);
    let kept = report.statements.iter().skip(skipped);
    kept.map(|statement| Stated { statement: statement.clone(), scan_id, tool: tool.to_owned(), at }).collect()
}

/// Statements, by the names they are about.
pub(super) struct Statements<'a> {
    by_name: BTreeMap<String, Vec<Entry<'a>>>,
}

#[derive(Clone, Copy)]
struct Entry<'a> {
    /// Of several the last one counts: the later, and of one document the one that comes last.
    order: (Timestamp, usize),
    is_new: bool,
    stated: &'a Stated,
}

/// Which of the older statements a finding was weighed against before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Knew {
    /// All: it is as it was.
    All,
    /// None, for what it is now: it is new, or known otherwise.
    Nothing,
}

impl Knew {
    pub(super) fn of(was: Option<Was>) -> Self {
        match was {
            Some(was) if !was.is_known_otherwise => Self::All,
            Some(_) | None => Self::Nothing,
        }
    }
}

impl<'a> Statements<'a> {
    /// What was stated before, and what is stated now.
    pub(super) fn new(before: &'a [Stated], now: &'a [Stated]) -> Self {
        let mut by_name: BTreeMap<String, Vec<Entry<'a>>> = BTreeMap::new();
        let all = before.iter().map(|stated| (false, stated)).chain(now.iter().map(|stated| (true, stated)));
        for (index, (is_new, stated)) in all.enumerate() {
            let entry = Entry { order: (stated.at, index), is_new, stated };
            for name in &stated.statement.names {
                by_name.entry(identity::normal_name(name)).or_default().push(entry);
            }
        }
        Self { by_name }
    }

    /// What is stated of the finding, and the version that it holds for.
    fn about(&self, finding: &Finding) -> Option<(Entry<'a>, Option<String>)> {
        let named = finding.names.iter().filter_map(|name| self.by_name.get(name)).flatten();
        let fitting = named.filter_map(|entry| Some((*entry, holds_for(&entry.stated.statement, finding)?)));
        fitting.max_by_key(|(entry, _)| entry.order)
    }

    /// Judges the finding by what is stated of it. Whether that changed anything.
    pub(super) fn judge(&self, finding: &mut Finding, knew: Knew) -> Option<(ChangedBy, String)> {
        let (entry, version) = self.about(finding).filter(|(entry, _)| entry.is_new || knew == Knew::Nothing)?;
        let Stated { statement, scan_id, tool, at } = entry.stated;
        let known = finding.judgement.as_ref();
        if known.is_some_and(|judgement| judgement.by.is_decision() || judgement.at > *at) {
            return None;
        }
        let author = if statement.author.is_empty() { tool } else { &statement.author };
        let by = ChangedBy::Vex { id: *scan_id, author: author.clone() };
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
            |status| Judgement { status, by: by.clone(), at: *at, reason: reason.clone(), until: None, version };
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

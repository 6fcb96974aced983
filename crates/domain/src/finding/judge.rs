//! What people and documents say of a finding beside what tools see.
//!
//! A judgement stays with the finding until it is lifted or replaced: a finding that was judged a false positive and goes
//! and comes back is still one. A later scan does not undo it, and a document does not undo what a person said.

use jiff::Timestamp;

use super::{ChangedBy, Finding, FindingChange, FindingStatus, Observation};
use crate::id::ChangeId;
use crate::port::Entropy;

/// What was judged of a finding, beside the reports that see it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Judgement {
    /// Where it stands while it is there. `Open`: somebody ought to act, whatever a report says. `Remediated`: a VEX
    /// document says that it is fixed, whatever a scanner sees.
    pub status: FindingStatus,
    /// Who said so.
    pub by: ChangedBy,
    /// When.
    pub at: Timestamp,
    /// Why; may be empty.
    pub reason: String,
    /// Until when; `None`: until it is lifted.
    pub until: Option<Timestamp>,
    /// The only version that it holds for; `None`: every one.
    pub version: Option<String>,
}

impl Judgement {
    /// Whether it is about what was seen: another version of the component may be another matter.
    pub fn holds_for(&self, seen: &Observation) -> bool {
        let installed = seen.component.as_ref().and_then(|component| component.version.as_ref());
        self.version.is_none() || installed.is_none() || self.version.as_ref() == installed
    }
}

/// What is to be said of a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Where it is to stand. `Open` lifts what was judged before.
    pub status: FindingStatus,
    /// Why; may be empty.
    pub reason: String,
    /// Until when, for accepted risk.
    pub until: Option<Timestamp>,
    /// Who says so.
    pub by: ChangedBy,
}

/// A finding as it is after a verdict, with the entry for its history.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// The finding.
    pub finding: Finding,
    /// What changed; `None`: nothing that anybody would notice.
    pub change: Option<FindingChange>,
}

/// Why a verdict cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unjudgeable {
    /// Gone is what a scan finds.
    #[error("a finding is remediated when a scan no longer sees it; to say that it does not matter, suppress it")]
    RemediatedByWord,
    /// Only accepted risk ends by itself.
    #[error("only an accepted risk has an end: `until` goes with the status accepted")]
    UntilOfAnother,
    /// The end has passed.
    #[error("`until` has to be in the future")]
    UntilPassed,
    /// It is gone.
    #[error("the finding is remediated: there is nothing to reopen")]
    Gone,
}

/// What follows from a verdict. The event is that of the change: see [`crate::snapshot`].
///
/// # Errors
/// [`Unjudgeable`].
pub fn judge(
    finding: &Finding,
    verdict: Verdict,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<Judged, Unjudgeable> {
    match verdict.status {
        FindingStatus::Remediated => return Err(Unjudgeable::RemediatedByWord),
        FindingStatus::Accepted => {}
        FindingStatus::Open | FindingStatus::Suppressed | FindingStatus::FalsePositive if verdict.until.is_some() => {
            return Err(Unjudgeable::UntilOfAnother);
        }
        FindingStatus::Open if !finding.is_there() && finding.judgement.is_none() => return Err(Unjudgeable::Gone),
        FindingStatus::Open | FindingStatus::Suppressed | FindingStatus::FalsePositive => {}
    }
    if verdict.until.is_some_and(|until| until <= now) {
        return Err(Unjudgeable::UntilPassed);
    }
    let mut after = finding.clone();
    let Verdict { status, reason, until, by } = verdict;
    let judged = Judgement { status, by: by.clone(), at: now, reason: reason.clone(), until, version: None };
    after.judgement = None;
    // Reopened where nothing else keeps it quiet: no judgement is needed, and a later report may suppress it again.
    if status != FindingStatus::Open || !matches!(after.standing(), FindingStatus::Open | FindingStatus::Remediated) {
        after.judgement = Some(judged);
    }
    Ok(settled(finding, after, by, reason, now, entropy))
}

/// What was accepted until a time that has come is so no more. `None`: there is nothing to lift yet.
pub fn expire(finding: &Finding, now: Timestamp, entropy: &dyn Entropy) -> Option<Judged> {
    let until = finding.accepted_until().filter(|until| *until <= now)?;
    let after = Finding { judgement: None, ..finding.clone() };
    let reason = format!("the risk was accepted until {until}");
    Some(settled(finding, after, ChangedBy::Expiry, reason, now, entropy))
}

/// The finding where it now stands; a change of what is said (an end, a reason) is an entry in its history too.
fn settled(
    before: &Finding,
    mut after: Finding,
    by: ChangedBy,
    reason: String,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Judged {
    after.status = after.standing();
    let said = |finding: &Finding| finding.judgement.as_ref().map(|it| (it.status, it.until, it.reason.clone()));
    if after.status == before.status && said(before) == said(&after) {
        return Judged { finding: before.clone(), change: None };
    }
    after.remediated_at = after.gone_since();
    after.changes += 1;
    let change = FindingChange {
        id: ChangeId::make(now, entropy),
        finding_id: after.id,
        number: after.changes,
        at: now,
        from: Some(before.status),
        to: after.status,
        by,
        reason,
    };
    Judged { finding: after, change: Some(change) }
}

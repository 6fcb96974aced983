//! What somebody says of a finding: weighed against how it stands, written with its event in one commit.
//!
//! A scan of the project may be applied meanwhile, or another verdict. The store then refuses by the project's version,
//! and the verdict is weighed again, a few times.

use jiff::Timestamp;
use watchbell_domain::audit::{Action, Deed};
use watchbell_domain::event::Accepted;
use watchbell_domain::finding::{self, Finding, Judged, Unjudgeable, Verdict};
use watchbell_domain::id::{FindingId, OrgId};
use watchbell_domain::port::{Entropy, FindingStore, StoreError, Terms, Written};
use watchbell_domain::snapshot;

/// How often a verdict is weighed again because something else of the project came first.
const ROUNDS_MAX: u32 = 8;

/// Why nothing was judged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no such finding.
    #[error("there is no such finding")]
    NoSuchFinding,
    /// It cannot be judged so.
    #[error(transparent)]
    Unjudgeable(#[from] Unjudgeable),
    /// The store failed, or others came first too often (`Conflict`).
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A finding as it was judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    /// The finding as it is now.
    pub finding: Finding,
    /// What the store did.
    pub written: Written<Vec<Accepted>>,
}

/// Judges a finding. `terms` is asked for every weighing, since its answer holds the finding.
///
/// # Errors
/// [`Error`].
pub async fn judge(
    findings: &dyn FindingStore,
    entropy: &dyn Entropy,
    named: (OrgId, FindingId),
    verdict: Verdict,
    now: Timestamp,
    terms: impl Fn(&Finding) -> Terms + Send,
) -> Result<Done, Error> {
    let weigh = |finding: &Finding| finding::judge(finding, verdict.clone(), now, entropy).map(Some);
    match rounds(findings, entropy, named, weigh, now, terms).await? {
        Some(done) => Ok(done),
        None => Err(Error::NoSuchFinding),
    }
}

/// Lifts an acceptance whose time is over. `None`: it was lifted or prolonged already, or the finding is gone.
///
/// # Errors
/// When the store fails.
pub async fn expire(
    findings: &dyn FindingStore,
    entropy: &dyn Entropy,
    named: (OrgId, FindingId),
    now: Timestamp,
) -> Result<Option<Done>, Error> {
    let weigh = |finding: &Finding| Ok(finding::expire(finding, now, entropy));
    let terms = |finding: &Finding| Deed::of_system("acceptance", Action::FindingExpire, finding.id, now).into();
    match rounds(findings, entropy, named, weigh, now, terms).await {
        Err(Error::NoSuchFinding) => Ok(None),
        done => done,
    }
}

async fn rounds(
    findings: &dyn FindingStore,
    entropy: &dyn Entropy,
    (org, id): (OrgId, FindingId),
    weigh: impl Fn(&Finding) -> Result<Option<Judged>, Unjudgeable> + Send,
    now: Timestamp,
    terms: impl Fn(&Finding) -> Terms + Send,
) -> Result<Option<Done>, Error> {
    let mut round = 1;
    loop {
        let (project, finding) = findings.finding_state(org, id).await?.ok_or(Error::NoSuchFinding)?;
        let Some(judged) = weigh(&finding)? else {
            return Ok(None);
        };
        let judgement = snapshot::judged(&project, judged, now, entropy);
        let finding = judgement.finding.clone();
        let mut terms = terms(&finding);
        if judgement.change.is_none() {
            // Nothing is done, so nothing is written down.
            terms.deed = None;
        }
        match findings.judge(judgement, terms).await {
            Ok(written) => return Ok(Some(Done { finding, written })),
            Err(StoreError::Conflict(_)) if round < ROUNDS_MAX => round += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

//! The loop: waiting documents one after the other, and now and then those that are too old.

use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;
use watchbell_domain::event::NewEvent;
use watchbell_domain::evidence::{Evidence, EvidenceState, Found};
use watchbell_domain::id::{EventId, ScanId};
use watchbell_domain::port::{
    Acceptance, AdvisoryStore, Clock, Entropy, EvidenceOutcome, EvidenceStore, OrgStore, ProjectStore, ScanOutcome,
    StoreError,
};
use watchbell_domain::scan::Report;
use watchbell_domain::snapshot::{self, ScanFacts};
use watchbell_wire::event::{Event, Evidence as EvidenceData};
use watchbell_wire::{Data, EventType};

use super::content::Content;
use super::read::{self, Holds};
use crate::ingest::event::delivery_ids;

/// How often a scan is weighed again because another one of the project came first.
const ROUNDS_MAX: u32 = 8;
/// Documents that are asked for at once.
const WAITING_MAX: u32 = 16;
/// Documents that are forgotten in one step.
const EXPIRED_MAX: u32 = 100;

/// How often, and how old is too old.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How often waiting documents are looked for.
    pub poll_every: SignedDuration,
    /// `retention.evidence`: after the document was read; `None`: never.
    pub keep: Option<SignedDuration>,
    /// How often old ones are looked for.
    pub expire_every: SignedDuration,
}

impl Default for Options {
    fn default() -> Self {
        Self { poll_every: SignedDuration::from_millis(500), keep: None, expire_every: SignedDuration::from_mins(10) }
    }
}

/// What the loop needs.
pub struct Parts {
    /// What is known of documents.
    pub evidence: Arc<dyn EvidenceStore>,
    /// Their content.
    pub content: Arc<Content>,
    /// What components are matched against.
    pub advisories: Arc<dyn AdvisoryStore>,
    /// Projects that documents are weighed for.
    pub projects: Arc<dyn ProjectStore>,
    /// Their organisations.
    pub orgs: Arc<dyn OrgStore>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parts")
    }
}

/// Reads documents. One for each store.
#[derive(Debug)]
pub struct Service {
    options: Options,
    parts: Parts,
}

impl Service {
    /// The loop, not running yet.
    pub const fn new(options: Options, parts: Parts) -> Self {
        Self { options, parts }
    }

    /// Reads until `shutdown`. A document under way is let go: what becomes of it is one commit, or waits.
    pub async fn run(self, shutdown: CancellationToken) {
        shutdown.run_until_cancelled(self.work()).await;
    }

    async fn work(&self) {
        match self.parts.content.sweep(&*self.parts.evidence).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "content that no document has was removed"),
            Err(problem) => tracing::warn!(%problem, "content that no document has was not looked for"),
        }
        let clock = &self.parts.clock;
        let mut expire_at = clock.monotonic();
        loop {
            if let Err(problem) = self.round().await {
                tracing::warn!(%problem, "waiting documents cannot be read");
            }
            if clock.monotonic() >= expire_at {
                expire_at = clock.monotonic() + self.options.expire_every;
                if let Err(problem) = self.expire().await {
                    tracing::warn!(%problem, "old documents were not forgotten");
                }
            }
            clock.sleep(self.options.poll_every).await;
        }
    }

    /// Every document that waits.
    async fn round(&self) -> Result<(), super::Error> {
        loop {
            let waiting = self.parts.evidence.waiting_evidence(WAITING_MAX).await?;
            if waiting.is_empty() {
                return Ok(());
            }
            for evidence in waiting {
                if self.parts.evidence.begin_evidence(evidence.org_id, evidence.id).await? {
                    self.process(&evidence).await?;
                }
            }
        }
    }

    async fn process(&self, evidence: &Evidence) -> Result<(), super::Error> {
        let holds = match self.parts.content.read(evidence.org_id, evidence.sha256).await? {
            Some(file) => read::read(file).await,
            None => Holds::Broken("its content is not there any more".to_owned()),
        };
        let report = match holds {
            Holds::Report(report) if read::is_bare(&report) => {
                Ok(Some(read::matched(&*self.parts.advisories, *report).await?))
            }
            Holds::Report(report) => Ok(Some(*report)),
            // For a project a report is wanted.
            Holds::Other if evidence.project_id.is_some() => Err("it is no report that is understood".to_owned()),
            Holds::Other => Ok(None),
            Holds::Broken(reason) => Err(reason),
        };
        let mut round = 1;
        loop {
            let outcome = self.outcome(evidence, report.as_ref()).await?;
            match self.parts.evidence.end_evidence(outcome).await {
                Err(StoreError::Conflict(_)) if round < ROUNDS_MAX => round += 1,
                Err(problem) => return Err(problem.into()),
                Ok(is_written) => {
                    tracing::debug!(evidence = %evidence.id, is_written, "document read");
                    return Ok(());
                }
            }
        }
    }

    /// What follows from what it holds, weighed against its project as it is now.
    async fn outcome(
        &self,
        evidence: &Evidence,
        report: Result<&Option<Report>, &String>,
    ) -> Result<EvidenceOutcome, StoreError> {
        let at = self.parts.clock.now();
        let mut scan = None;
        let (state, found) = match report {
            Err(error) => (EvidenceState::Failed { at, error: error.clone() }, Found::default()),
            Ok(report) => {
                let found = report.as_ref().map(read::found).unwrap_or_default();
                if let Some(report) = report {
                    scan = self.weighed(evidence, report, at).await?;
                }
                (EvidenceState::Completed { at, found: found.clone() }, found)
            }
        };
        let acceptance = Acceptance {
            org_id: evidence.org_id,
            events: vec![self.told(evidence, &state, &found, at)],
            accepted_at: at,
            delivery_ids: delivery_ids(&*self.parts.entropy),
        };
        Ok(EvidenceOutcome { org_id: evidence.org_id, id: evidence.id, state, scan, acceptance })
    }

    async fn weighed(
        &self,
        evidence: &Evidence,
        report: &Report,
        received_at: Timestamp,
    ) -> Result<Option<ScanOutcome>, StoreError> {
        let Some(project_id) = evidence.project_id else { return Ok(None) };
        let org = self.parts.orgs.org(evidence.org_id).await?;
        let state = self.parts.projects.project_state(evidence.org_id, project_id).await?;
        let (Some(org), Some(known)) = (org, state) else { return Ok(None) };
        let entropy = &*self.parts.entropy;
        let scan_id = ScanId::make(received_at, entropy);
        let facts = ScanFacts { scan_id, received_at, scanned_at: None, partial: false };
        Ok(Some(snapshot::weigh(&org, known, report.clone(), facts, entropy)))
    }

    fn told(&self, evidence: &Evidence, state: &EvidenceState, found: &Found, at: Timestamp) -> NewEvent {
        let (event_type, error) = match state {
            EvidenceState::Failed { error, .. } => (EventType::EvidenceFailed, Some(error.clone())),
            EvidenceState::Pending | EvidenceState::Processing | EvidenceState::Completed { .. } => {
                (EventType::EvidenceCompleted, None)
            }
        };
        let data = EvidenceData {
            evidence_id: evidence.id.bare(),
            file_name: evidence.file_name.clone(),
            vulnerabilities_found: found.vulnerabilities,
            critical_count: found.critical,
            high_count: found.high,
            error,
        };
        let id = EventId::make(at, &*self.parts.entropy);
        let event = Event { id: id.0, event_type, occurred_at: at, data: Data::from_typed(&data) };
        NewEvent::of(event, evidence.project_id)
    }

    async fn expire(&self) -> Result<(), super::Error> {
        let Some(keep) = self.options.keep else { return Ok(()) };
        let before = self.parts.clock.now().saturating_sub(keep).unwrap_or(Timestamp::MIN);
        loop {
            let _turn = self.parts.content.turn().await;
            let removed = self.parts.evidence.expire_evidence(before, EXPIRED_MAX).await?;
            for gone in removed.iter().filter(|gone| gone.is_last) {
                self.parts.content.remove(gone.org_id, gone.sha256).await?;
            }
            if removed.is_empty() {
                return Ok(());
            }
        }
    }
}

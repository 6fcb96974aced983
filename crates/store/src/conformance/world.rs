//! What the tests of the suite are written with.

use std::any::Any;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;
use watchbell_domain::access::{ApiKey, KeyHash, Scope};
use watchbell_domain::delivery::{Attempt, AttemptResult, Delivery, DeliveryState, Lease};
use watchbell_domain::endpoint::{Endpoint, EndpointPolicy, EndpointSecret, EndpointState, Transport};
use watchbell_domain::event::{Accepted, NewEvent};
use watchbell_domain::finding::{Finding, FindingStatus, Observation, Sight};
use watchbell_domain::id::{DeliveryId, EndpointId, EventId, FindingId, KeyId, OrgId, ProjectId, ScanId};
use watchbell_domain::notice;
use watchbell_domain::org::{Org, Project};
use watchbell_domain::port::testing::SeededEntropy;
use watchbell_domain::port::{
    Acceptance, Answer, Claim, Claimed, ClaimedDelivery, Coverage, DeliveryIds, EndpointCreation, Entropy, Next, Once,
    PageRequest, ScanOutcome, Settled, Settlement, Store, StoreError, Terms, Written,
};
use watchbell_domain::scan::{Scan, ScanStatus};
use watchbell_wire::{Data, Event, EventType, Secret, Severity};

use super::dialects;

/// An empty store.
pub struct Opened {
    /// The store.
    pub store: Arc<dyn Store>,
    /// What must live as long as it: a directory, a server.
    pub keep: Box<dyn Any + Send + Sync>,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Opened")
    }
}

/// A store, and shorthand for what the tests put into it.
pub struct World {
    /// The store under test.
    pub store: Arc<dyn Store>,
    entropy: SeededEntropy,
    _keep: Box<dyn Any + Send + Sync>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("World")
    }
}

/// How long the suite's claims hold.
pub(crate) const LEASE: SignedDuration = SignedDuration::from_secs(60);

/// Seconds after the suite's beginning.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

/// The first page, of at most `limit`.
pub(crate) const fn first(limit: u16) -> PageRequest {
    PageRequest { before: None, limit }
}

/// The value of a write that was done now.
#[track_caller]
pub(crate) fn fresh<T: std::fmt::Debug>(written: Written<T>) -> T {
    match written {
        Written::Fresh(value) => value,
        other @ (Written::Repeated(_) | Written::KeyReused) => panic!("not written now: {other:?}"),
    }
}

pub(crate) fn once(key: &str, request: u8) -> Option<Once> {
    let answer = Answer { status: 202, body: format!("{{\"request\":{request}}}").into_bytes() };
    Some(Once { key: key.to_owned(), request: [request; 32], answer })
}

/// As [`once`], for a change.
pub(crate) fn terms(key: &str, request: u8) -> Terms {
    once(key, request).into()
}

pub(crate) fn secret(text: &str, seconds: i64) -> EndpointSecret {
    EndpointSecret { text: Secret::new(text), created_at: at(seconds), expires_at: None }
}

pub(crate) fn attempt(number: u32, result: AttemptResult, seconds: i64) -> Attempt {
    Attempt {
        number,
        started_at: at(seconds),
        duration: SignedDuration::from_millis(120),
        result,
        response: None,
        detail: None,
    }
}

pub(crate) const fn retry(due_at: Timestamp) -> Next {
    Next::Retry { due_at, counts: true, endpoint_pause: None }
}

pub(crate) fn pending(seconds: i64) -> DeliveryState {
    DeliveryState::Pending { due_at: at(seconds) }
}

impl World {
    /// Around a store that was just opened.
    pub fn new(opened: Opened) -> Self {
        Self { store: opened.store, entropy: SeededEntropy::new(7), _keep: opened.keep }
    }

    pub(crate) fn uuid(&self, seconds: i64) -> Uuid {
        EventId::make(at(seconds), &self.entropy).0
    }

    pub(crate) fn ids(&self) -> DeliveryIds {
        let mut seed = [0; 32];
        self.entropy.fill(&mut seed);
        DeliveryIds { seed }
    }

    /// An organisation that is in the store.
    pub(crate) async fn org(&self, slug: &str) -> OrgId {
        let id = OrgId(self.uuid(0));
        let org = Org { id, slug: slug.to_owned(), name: slug.to_uppercase(), weight: 1, created_at: at(0) };
        fresh(self.store.create_org(org, Terms::default()).await.unwrap());
        id
    }

    pub(crate) fn new_endpoint(&self, org: OrgId) -> Endpoint {
        // What is told of what was given up would be in the way of most stories.
        let is_told = |of: &&EventType| notice::is_notice(of) || **of == EventType::WebhookPing;
        let wanted = EventType::BUILT_IN.iter().filter(|of| !is_told(of)).cloned().collect();
        Endpoint {
            id: EndpointId(self.uuid(0)),
            org_id: org,
            url: "https://example.test/hook".to_owned(),
            dialect: &dialects::ALL,
            description: None,
            events: Some(wanted),
            state: EndpointState::Active,
            secrets: vec![secret("whsec_0123456789abcdef", 0)],
            headers: Vec::new(),
            settings: watchbell_wire::Settings::default(),
            transport: Transport::default(),
            policy: EndpointPolicy::default(),
            not_before: None,
            created_at: at(0),
            updated_at: at(0),
        }
    }

    /// Puts an endpoint into the store.
    pub(crate) async fn put(&self, endpoint: &Endpoint) {
        let creation = EndpointCreation { endpoint: endpoint.clone(), greeting: None };
        fresh(self.store.create_endpoint(creation, Terms::default()).await.unwrap());
    }

    /// An active endpoint that wants everything that is not told of endpoints and deliveries.
    pub(crate) async fn endpoint(&self, org: OrgId) -> Endpoint {
        let endpoint = self.new_endpoint(org);
        self.put(&endpoint).await;
        endpoint
    }

    pub(crate) async fn load(&self, endpoint: &Endpoint) -> Endpoint {
        self.store.endpoint(endpoint.org_id, endpoint.id).await.unwrap().unwrap()
    }

    /// Changes an endpoint as its owner would.
    pub(crate) async fn change(&self, endpoint: &Endpoint, seconds: i64, change: impl FnOnce(&mut Endpoint)) {
        let seen = self.load(endpoint).await;
        let mut changed = Endpoint { updated_at: at(seconds), ..seen.clone() };
        change(&mut changed);
        fresh(self.store.update_endpoint(seen, changed, Terms::default()).await.unwrap());
    }

    pub(crate) async fn pause(&self, endpoint: &Endpoint, seconds: i64) {
        let since = at(seconds);
        self.change(endpoint, seconds, |endpoint| endpoint.state = EndpointState::Paused { since }).await;
    }

    pub(crate) async fn resume(&self, endpoint: &Endpoint, seconds: i64) {
        self.change(endpoint, seconds, |endpoint| endpoint.state = EndpointState::Active).await;
    }

    pub(crate) fn event(&self, event_type: EventType, data: &str, seconds: i64) -> NewEvent {
        let event = Event {
            id: self.uuid(seconds),
            event_type,
            occurred_at: at(seconds),
            data: Data::from_text(data.to_owned()).unwrap(),
        };
        NewEvent::of(event, None)
    }

    pub(crate) fn acceptance(&self, org: OrgId, events: Vec<NewEvent>, seconds: i64) -> Acceptance {
        Acceptance { org_id: org, events, accepted_at: at(seconds), delivery_ids: self.ids() }
    }

    /// Accepts one event.
    pub(crate) async fn accept(&self, org: OrgId, seconds: i64) -> Accepted {
        let event = self.event(EventType::VulnerabilityCreated, "{}", seconds);
        let acceptance = self.acceptance(org, vec![event], seconds);
        fresh(self.store.accept(acceptance, None).await.unwrap()).remove(0)
    }

    /// Accepts one event that goes to one endpoint only; answers its delivery.
    pub(crate) async fn deliver(&self, endpoint: &Endpoint, seconds: i64) -> DeliveryId {
        let mut event = self.event(EventType::VulnerabilityCreated, "{}", seconds);
        event.only = Some(endpoint.id);
        let acceptance = self.acceptance(endpoint.org_id, vec![event], seconds);
        fresh(self.store.accept(acceptance, None).await.unwrap())[0].deliveries[0].0
    }

    pub(crate) async fn claim(&self, endpoint: &Endpoint, limit: u32, seconds: i64) -> Claimed {
        let claim = Claim { org_id: endpoint.org_id, endpoint_id: endpoint.id, limit, retries: u32::MAX };
        let mut claimed = self.store.claim(vec![claim], at(seconds), LEASE).await.unwrap();
        assert_eq!(claimed.len(), 1);
        claimed.remove(0)
    }

    /// Takes the one delivery that is due.
    pub(crate) async fn take(&self, endpoint: &Endpoint, seconds: i64) -> ClaimedDelivery {
        let mut claimed = self.claim(endpoint, 10, seconds).await;
        assert_eq!(claimed.deliveries.len(), 1, "one delivery is due");
        claimed.deliveries.remove(0)
    }

    pub(crate) fn settlement(
        &self,
        endpoint: &Endpoint,
        taken: &ClaimedDelivery,
        next: Next,
        seconds: i64,
    ) -> Settlement {
        let result = match next {
            Next::Delivered => AttemptResult::Http(200),
            Next::Retry { .. } | Next::DeadLetter { .. } => AttemptResult::Http(503),
        };
        Settlement {
            org_id: endpoint.org_id,
            delivery_id: taken.id,
            endpoint_id: endpoint.id,
            lease: taken.lease,
            attempt: Some(attempt(taken.attempt_number, result, seconds)),
            next,
            body: None,
            settled_at: at(seconds),
        }
    }

    pub(crate) async fn settle(&self, endpoint: &Endpoint, taken: &ClaimedDelivery, next: Next, seconds: i64) {
        let settlement = self.settlement(endpoint, taken, next, seconds);
        self.settle_one(settlement).await.unwrap();
    }

    pub(crate) async fn settle_one(&self, settlement: Settlement) -> Result<Settled, StoreError> {
        let mut settled = self.store.settle([settlement].into()).await?;
        assert_eq!(settled.len(), 1, "each is answered for");
        settled.remove(0)
    }

    pub(crate) async fn delivery(&self, org: OrgId, id: DeliveryId) -> (Delivery, Vec<Attempt>) {
        self.store.delivery(org, id).await.unwrap().unwrap()
    }

    pub(crate) async fn state(&self, org: OrgId, id: DeliveryId) -> DeliveryState {
        self.delivery(org, id).await.0.state
    }

    pub(crate) fn new_project(&self, org: OrgId, name: &str) -> Project {
        Project {
            id: ProjectId(self.uuid(0)),
            org_id: org,
            name: name.to_owned(),
            created_at: at(0),
            version: 0,
            last_scan_at: None,
            owner: None,
            labels: std::collections::BTreeMap::new(),
        }
    }

    pub(crate) async fn project(&self, org: OrgId, name: &str) -> Project {
        let project = self.new_project(org, name);
        fresh(self.store.create_project(project.clone(), Terms::default()).await.unwrap());
        project
    }

    /// A finding that a tool sees.
    pub(crate) fn finding(&self, project: &Project, identity: &str, seconds: i64) -> Finding {
        let sight = Sight { since: at(seconds), at: at(seconds), there: true, observation: None, witness: None };
        Finding {
            id: FindingId(self.uuid(seconds)),
            org_id: project.org_id,
            project_id: project.id,
            identity: identity.to_owned(),
            names: ["CVE-2020-14343".to_owned(), "GHSA-1".to_owned()].into(),
            status: FindingStatus::Open,
            observation: Box::new(Observation {
                tool: "grype".into(),
                title: "a \"title\" 🦀".into(),
                severity: Severity::High,
                cvss_score: Some(9.8),
                aliases: vec!["GHSA-1".into()],
                ..Observation::default()
            }),
            sights: [("grype".to_owned(), sight)].into(),
            judgement: None,
            first_seen_at: at(seconds),
            last_seen_at: at(seconds),
            remediated_at: None,
            merged_into: None,
            changes: 0,
        }
    }

    /// A scan of a project that changed these findings, with one event.
    pub(crate) fn outcome(&self, project: &Project, findings: Vec<Finding>, seconds: i64) -> ScanOutcome {
        let scan = Scan {
            id: ScanId(self.uuid(seconds)),
            org_id: project.org_id,
            project_id: project.id,
            tool: "grype".into(),
            received_at: at(seconds),
            status: ScanStatus::Completed,
            findings_seen: 5,
            findings_new: 4,
            findings_removed: 3,
            error: Some("but".into()),
        };
        let event = self.event(EventType::ScanCompleted, "{}", seconds);
        let acceptance = self.acceptance(project.org_id, vec![event], seconds);
        ScanOutcome {
            scan,
            seen_version: project.version,
            findings,
            history: Vec::new(),
            coverage: Coverage::default(),
            statements: Vec::new(),
            acceptance,
            storm: None,
        }
    }

    /// A project with these findings.
    pub(crate) async fn project_with(&self, org: OrgId, name: &str, findings: &[&str]) -> (Project, Vec<Finding>) {
        let project = self.project(org, name).await;
        let findings: Vec<_> = findings.iter().map(|identity| self.finding(&project, identity, 1)).collect();
        fresh(self.store.apply_scan(self.outcome(&project, findings.clone(), 1), None).await.unwrap());
        (self.store.project(org, project.id).await.unwrap().unwrap(), findings)
    }

    pub(crate) fn key(&self, org: Option<OrgId>, text: &str) -> ApiKey {
        ApiKey {
            id: KeyId(self.uuid(0)),
            org_id: org,
            name: text.to_owned(),
            scopes: [Scope::EventsRead, Scope::KeysWrite].into(),
            hash: KeyHash::of(text),
            created_at: at(0),
            expires_at: Some(at(100)),
            revoked_at: None,
            group_id: None,
            member: None,
            last_used_at: None,
        }
    }
}

/// A token that no claim has.
pub(crate) const NO_LEASE: Lease = Lease(99);

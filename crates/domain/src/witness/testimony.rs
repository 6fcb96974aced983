//! What an event of a source says of a finding.

use jiff::Timestamp;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use watchbell_wire::Data;
use watchbell_wire::event::{Event, EventType, Vulnerability};

use super::project::Named;
use crate::finding::{Finding, Observation, identity};
use crate::id::{EventId, FindingId, SourceId};

/// Longest key of a witness, in bytes; of a longer one the hash stands for it.
const KEY_BYTES_MAX: usize = 300;
/// Longest title and description, in characters.
const TITLE_MAX: usize = 1_000;
const DESCRIPTION_MAX: usize = 8_000;

/// What one event of a source says of one finding.
#[derive(Debug, Clone, PartialEq)]
pub struct Testimony {
    /// The source's own key of it.
    pub key: String,
    /// The id that the source says its finding has, where that is a UUID and nobody else's.
    pub stated_id: Option<FindingId>,
    /// Of which project it says so.
    pub named: Named,
    /// What it says of it.
    pub observation: Observation,
    /// Whether it is there.
    pub presence: Presence,
    /// Since when it knows of it.
    pub since: Timestamp,
    /// When it said so; never later than it came in.
    pub at: Timestamp,
    /// What happened, in its words.
    pub event_type: EventType,
    /// When it says that it happened.
    pub occurred_at: Timestamp,
    /// Its data.
    pub data: Data,
    /// The ids that the events told of it get, as far as they were given away already.
    pub event_ids: Vec<EventId>,
}

/// Whether the finding is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It is.
    There,
    /// It is not, or not any more.
    Gone,
    /// As the source said before.
    AsBefore,
}

impl Testimony {
    /// Reads an event. `None`: it is of no finding, or says too little to be known again.
    ///
    /// `tool` is what its sender is called where it does not say.
    pub fn read(event: &Event, tool: &str, received_at: Timestamp) -> Option<Self> {
        // Most events are of no finding: nothing of theirs is read.
        let presence = presence(&event.event_type)?;
        let said: Vulnerability = event.data.typed().ok()?;
        let members: Map<String, Value> = event.data.typed().ok()?;
        let text = |name: &str| members.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let is_open = presence == Presence::AsBefore && said.status.as_deref() == Some("open");
        let presence = if is_open { Presence::There } else { presence };
        let is_suppressed = event.event_type == EventType::VulnerabilitySuppressed;
        let own_key = text("finding_key").or(text("finding_id")).map(bounded);
        let fixed_in = match members.get("fixed_in") {
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            Some(_) | None => Vec::new(),
        };
        let mut observation = Observation {
            tool: short(text("tool").unwrap_or(tool), 100),
            title: short(said.title.as_deref().unwrap_or_default(), TITLE_MAX),
            description: short(text("description").unwrap_or_default(), DESCRIPTION_MAX),
            severity: said.severity,
            rule_id: said.rule_id.clone().unwrap_or_default(),
            cve_id: said.cve_id.clone(),
            aliases: said.aliases.clone(),
            cwes: Vec::new(),
            cvss_score: said.cvss_score,
            cvss_vector: said.cvss_vector.clone(),
            component: said
                .component
                .clone()
                .filter(|component| component.purl.is_some() || !component.name.is_empty()),
            fixed_in,
            location: said.resource_path.clone(),
            fingerprint: None,
            url: text("url").map(str::to_owned),
            suppressed: is_suppressed,
            suppression_reason: said.reason.clone().filter(|_| is_suppressed),
        };
        let key = match own_key {
            Some(key) => key,
            None => bounded(&place_as_key(&observation)?),
        };
        // What is not in a component is known by the vendor's own key: its rules are its own.
        if observation.component.is_none() {
            observation.fingerprint = Some(format!("full:{key}"));
        }
        let at = event.occurred_at.min(received_at);
        let is_stated = text("finding_key").is_none();
        let stated_id = text("finding_id").filter(|_| is_stated).and_then(|id| id.parse().ok());
        Some(Self {
            key,
            stated_id,
            named: Named::of(&members),
            observation,
            presence,
            since: said.detected_at.unwrap_or(at).min(at),
            at,
            event_type: event.event_type.clone(),
            occurred_at: event.occurred_at,
            data: event.data.clone(),
            event_ids: Vec::new(),
        })
    }

    /// Under which name the witness stands among those who see a finding. No tool of a scan is called so.
    pub fn sight_key(&self, source: SourceId) -> String {
        format!("{source}/{}", self.key)
    }

    /// What leads to the findings that it may be about.
    pub fn digests(&self, source: SourceId) -> Vec<[u8; 16]> {
        let place = identity::place(&self.observation);
        let names = identity::names(&self.observation);
        let mut digests: Vec<_> = names.iter().map(|name| digest(&place, name)).collect();
        digests.push(of_sight(&self.sight_key(source)));
        digests
    }
}

impl Finding {
    /// What leads to it: its place with each of its names, and each of its witnesses.
    pub fn digests(&self) -> Vec<[u8; 16]> {
        let place = identity::place(&self.observation);
        let witnesses = self.sights.iter().filter(|(_, sight)| sight.witness.is_some());
        let of_witnesses = witnesses.map(|(key, _)| of_sight(key));
        self.names.iter().map(|name| digest(&place, name)).chain(of_witnesses).collect()
    }
}

fn of_sight(key: &str) -> [u8; 16] {
    digest("", key)
}

fn digest(place: &str, name: &str) -> [u8; 16] {
    let length = u64::try_from(place.len()).unwrap_or(u64::MAX).to_be_bytes();
    let whole = Sha256::new().chain_update(length).chain_update(place).chain_update(name).finalize();
    let mut digest = [0; 16];
    digest.iter_mut().zip(whole).for_each(|(to, from)| *to = from);
    digest
}

/// What a type says of whether the finding is there. `None`: it is no finding's.
fn presence(event_type: &EventType) -> Option<Presence> {
    match event_type {
        EventType::VulnerabilityCreated
        | EventType::VulnerabilityCritical
        | EventType::VulnerabilityReopened
        | EventType::VulnerabilitySuppressed => Some(Presence::There),
        EventType::VulnerabilityChanged => Some(Presence::AsBefore),
        EventType::VulnerabilityRemediated => Some(Presence::Gone),
        EventType::WebhookPing
        | EventType::ProjectSnapshot
        | EventType::ScanStarted
        | EventType::ScanCompleted
        | EventType::ScanFailed
        | EventType::ScanDigest
        | EventType::PoamDeadlineApproaching
        | EventType::PoamOverdue
        | EventType::PoamCompleted
        | EventType::EvidenceCompleted
        | EventType::EvidenceFailed
        | EventType::TrainingCompleted
        | EventType::EndpointDisabled
        | EventType::DeliveryDeadLettered
        | EventType::SourceSilent
        | EventType::Custom(_) => None,
    }
}

/// The key of a finding whose source gives it none: what it is, and where. `None`: it does not say.
fn place_as_key(observation: &Observation) -> Option<String> {
    let is_named = !observation.rule_id.is_empty() || observation.cve_id.is_some() || !observation.aliases.is_empty();
    let is_placed = observation.component.is_some() || observation.location.is_some();
    (is_named && is_placed).then(|| identity::label(observation, 1))
}

fn bounded(key: &str) -> String {
    let is_plain = key.len() <= KEY_BYTES_MAX && !key.chars().any(char::is_control);
    if is_plain { key.to_owned() } else { hex::encode(Sha256::digest(key.as_bytes())) }
}

fn short(text: &str, max: usize) -> String {
    text.chars().take(max).collect()
}

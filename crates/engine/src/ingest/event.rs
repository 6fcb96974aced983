//! Posted events: checked, completed, accepted.
//!
//! Data goes to the store as it was posted, byte for byte, because pass-through dialects send it on unchanged. The one
//! exception is a `vulnerability.*` without `finding_id`: the member that joins a finding's events has to be known to
//! every receiver, so it is written into the text. It goes to the front, behind the opening brace, because there the
//! text needs no parsing to be changed and everything that was posted stays as it is.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use watchbell_domain::event::NewEvent;
use watchbell_domain::id::{EventId, FindingId, OrgId, ProjectId, SourceId};
use watchbell_domain::port::{Acceptance, DeliveryIds, Entropy};
use watchbell_wire::{Data, Event, EventType, Severity};

/// An event as posted.
#[derive(Debug, Clone)]
pub struct Post {
    /// What happened.
    pub event_type: EventType,
    /// When; `None`: now.
    pub occurred_at: Option<Timestamp>,
    /// The project it is about.
    pub project_id: Option<ProjectId>,
    /// What is said about it.
    pub data: Data,
}

/// A post that will be an event once the acceptance is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The event's id.
    pub id: EventId,
    /// What happened.
    pub event_type: EventType,
    /// When.
    pub occurred_at: Timestamp,
    /// The `vulnerability.critical` told beside a critical `vulnerability.created`.
    pub critical: Option<EventId>,
}

/// The data does not fit the type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Unfit {
    /// Where in the data, as a JSON pointer; empty for the data as a whole.
    pub pointer: String,
    /// What is wrong and what is wanted.
    pub detail: String,
}

/// Gathers posts into one acceptance.
#[derive(Debug)]
pub struct Intake<'a> {
    org_id: OrgId,
    now: Timestamp,
    entropy: &'a dyn Entropy,
    hops: u8,
    source_id: Option<SourceId>,
    tells_critical: bool,
    events: Vec<NewEvent>,
}

impl<'a> Intake<'a> {
    /// An empty intake of an organisation.
    pub fn new(org_id: OrgId, now: Timestamp, entropy: &'a dyn Entropy) -> Self {
        Self { org_id, now, entropy, hops: 0, source_id: None, tells_critical: true, events: Vec::new() }
    }

    /// The posts have come over so many webhooks.
    #[must_use]
    pub fn after(self, hops: u8) -> Self {
        Self { hops, ..self }
    }

    /// The posts came in by this source.
    #[must_use]
    pub fn by_source(self, source: SourceId) -> Self {
        Self { source_id: Some(source), ..self }
    }

    /// Whoever tells of a critical finding tells so beside it: no companion is made here.
    #[must_use]
    pub fn without_companions(self) -> Self {
        Self { tells_critical: false, ..self }
    }

    /// Checks one post and adds what it makes: one event, or two for a critical new finding.
    ///
    /// # Errors
    /// When the data does not fit the type. Nothing is added then.
    pub fn take(&mut self, post: Post) -> Result<Taken, Unfit> {
        let data = self.with_finding_id(&post.event_type, post.data)?;
        watchbell_wire::event::check(&post.event_type, &data)
            .map_err(|mismatch| Unfit { pointer: mismatch.pointer, detail: mismatch.message })?;
        let occurred_at = post.occurred_at.unwrap_or(self.now);
        let is_critical = self.tells_critical
            && post.event_type == EventType::VulnerabilityCreated
            && severity(&data) == Severity::Critical;
        let id = self.add(post.event_type.clone(), occurred_at, post.project_id, data.clone());
        let critical =
            is_critical.then(|| self.add(EventType::VulnerabilityCritical, occurred_at, post.project_id, data));
        Ok(Taken { id, event_type: post.event_type, occurred_at, critical })
    }

    /// As [`Self::take`], and keeps nothing of it: the events are the caller's.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub fn take_apart(&mut self, post: Post) -> Result<Vec<NewEvent>, Unfit> {
        let count = self.events.len();
        self.take(post)?;
        Ok(self.events.split_off(count))
    }

    /// Whether nothing was taken.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// What was taken, ready to be committed.
    pub fn acceptance(self) -> Acceptance {
        Acceptance {
            org_id: self.org_id,
            events: self.events,
            accepted_at: self.now,
            delivery_ids: delivery_ids(self.entropy),
        }
    }

    fn add(
        &mut self,
        event_type: EventType,
        occurred_at: Timestamp,
        project_id: Option<ProjectId>,
        data: Data,
    ) -> EventId {
        let id = EventId::make(self.now, self.entropy);
        self.events.push(NewEvent {
            event: Event { id: id.0, event_type, occurred_at, data },
            project_id,
            only: None,
            source_id: self.source_id,
            hops: self.hops,
        });
        id
    }

    fn with_finding_id(&self, event_type: &EventType, data: Data) -> Result<Data, Unfit> {
        if !is_vulnerability(event_type) {
            return Ok(data);
        }
        let text = data.text();
        let given = serde_json::from_str::<BTreeMap<String, &RawValue>>(text)
            .ok()
            .and_then(|members| members.get("finding_id").copied());
        let made = FindingId::make(self.now, self.entropy).bare();
        let completed = match given {
            None => with_member_in_front(text, "finding_id", &made),
            // A client that writes absent members as null means the same; a second member of the name would not do.
            Some(raw) if raw.get() == "null" => instead_of(text, raw.get(), &format!("\"{made}\"")),
            Some(_) => return Ok(data),
        };
        Data::from_text(completed).map_err(|error| Unfit { pointer: String::new(), detail: error.to_string() })
    }
}

/// A seed for the ids of deliveries to be made.
pub fn delivery_ids(entropy: &dyn Entropy) -> DeliveryIds {
    let mut seed = [0; 32];
    entropy.fill(&mut seed);
    DeliveryIds { seed }
}

fn is_vulnerability(event_type: &EventType) -> bool {
    event_type.as_str().starts_with("vulnerability.")
}

fn severity(data: &Data) -> Severity {
    #[derive(Deserialize)]
    struct View {
        #[serde(default)]
        severity: Severity,
    }
    data.typed::<View>().map(|view| view.severity).unwrap_or_default()
}

/// `{…}` with one more member before the others.
fn with_member_in_front(object: &str, name: &str, value: &str) -> String {
    let rest = object.strip_prefix('{').unwrap_or(object);
    let comma = if rest.trim_start().starts_with('}') { "" } else { "," };
    format!("{{\"{name}\":\"{value}\"{comma}{rest}")
}

/// `text` with `part`, a slice of it, replaced.
fn instead_of(text: &str, part: &str, by: &str) -> String {
    let start = part.as_ptr().addr().saturating_sub(text.as_ptr().addr());
    let head = text.get(..start).unwrap_or_default();
    let tail = text.get(start + part.len()..).unwrap_or_default();
    format!("{head}{by}{tail}")
}

#[cfg(test)]
mod tests {
    use watchbell_domain::port::testing::SeededEntropy;

    use super::*;

    fn post(event_type: EventType, data: &str) -> Post {
        Post { event_type, occurred_at: None, project_id: None, data: Data::from_text(data.to_owned()).unwrap() }
    }

    fn taken(event_type: EventType, data: &str) -> Vec<(String, String)> {
        let entropy = SeededEntropy::new(1);
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let mut intake = Intake::new(OrgId::make(now, &entropy), now, &entropy);
        intake.take(post(event_type, data)).unwrap();
        let events = intake.acceptance().events;
        events.into_iter().map(|new| (new.event.event_type.to_string(), new.event.data.text().to_owned())).collect()
    }

    #[test]
    fn data_with_a_finding_id_stays_as_posted() {
        let text = "{ \"cvss_score\" : 1.10,\n\"finding_id\":\"0ef8ac7e-0000-7000-8000-000000000000\", \"x\":1E5 }";
        assert_eq!(taken(EventType::VulnerabilityCreated, text), [("vulnerability.created".into(), text.into())]);
    }

    #[test]
    fn an_absent_finding_id_is_written_in_front_and_nothing_else_changes() {
        let text = "{ \"title\" : \"T\", \"n\":123456789012345678901234567890 }";
        let events = taken(EventType::VulnerabilityRemediated, text);
        let (_, data) = &events[0];
        assert!(data.starts_with("{\"finding_id\":\""), "{data}");
        assert!(data.ends_with(text.strip_prefix('{').unwrap()), "{data}");
        assert_eq!(data.len(), text.len() + "\"finding_id\":\"\",".len() + 36);
    }

    #[test]
    fn an_empty_object_gets_no_comma() {
        let events = taken(EventType::VulnerabilityChanged, "{ }");
        assert!(events[0].1.ends_with("\" }"), "{}", events[0].1);
        serde_json::from_str::<serde_json::Value>(&events[0].1).unwrap();
    }

    #[test]
    fn a_null_finding_id_is_filled_in_place() {
        let events = taken(EventType::VulnerabilityCreated, "{\"a\":null,\"finding_id\": null, \"b\":2}");
        assert!(events[0].1.starts_with("{\"a\":null,\"finding_id\": \""), "{}", events[0].1);
        assert!(events[0].1.ends_with("\", \"b\":2}"), "{}", events[0].1);
    }

    #[test]
    fn a_critical_new_finding_is_told_twice_with_one_finding_id() {
        let events = taken(EventType::VulnerabilityCreated, "{\"severity\":\"critical\"}");
        let types: Vec<_> = events.iter().map(|(event_type, _)| event_type.as_str()).collect();
        assert_eq!(types, ["vulnerability.created", "vulnerability.critical"]);
        assert_eq!(events[0].1, events[1].1);
        assert_eq!(taken(EventType::VulnerabilityCreated, "{\"severity\":\"high\"}").len(), 1);
        assert_eq!(taken(EventType::VulnerabilityReopened, "{\"severity\":\"critical\"}").len(), 1);
    }

    #[test]
    fn data_that_does_not_fit_adds_nothing() {
        let entropy = SeededEntropy::new(1);
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let mut intake = Intake::new(OrgId::make(now, &entropy), now, &entropy);
        let refused = intake.take(post(EventType::VulnerabilityCreated, "{\"severity\":\"grave\"}"));
        assert!(refused.is_err());
        assert!(intake.is_empty());
    }
}

//! Who gets an event, asked inside the commit that accepts it: [`watchbell_domain::route`] over an organisation's endpoints.
//!
//! What an event says is read only where somebody minds, and once for all who do.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use watchbell_domain::endpoint::Endpoint;
use watchbell_domain::event::{NewEvent, Skip};
use watchbell_domain::id::{EndpointId, OrgId};
use watchbell_domain::route::{self, FilteredBy, Route, SkipReason, Storm, Told};
use watchbell_domain::rule::{Broken, Inquiry};
use watchbell_wire::EventType;
use watchbell_wire::expression::{Facts, Name};

use super::endpoint_cache::OrgEndpoints;
use super::error::Result;
use super::row::Columns;
use super::writer::Tx;
use super::{org, project, source};

/// How the delivery of an endpoint that gets an event begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begins {
    Held,
    Now,
    Later(Timestamp),
    Gathers(Timestamp),
}

/// The endpoints that get an event, and the others, packed.
#[derive(Debug, Default)]
pub(super) struct Routed<'e> {
    pub(super) to: Vec<(&'e Arc<Endpoint>, Begins)>,
    pub(super) skipped: Vec<u8>,
    /// The rules that could not be asked.
    pub(super) broken: Vec<Broken>,
}

impl<'e> Routed<'e> {
    fn add(&mut self, endpoint: &'e Arc<Endpoint>, route: Route) {
        match route {
            Route::Deliver => self.to.push((endpoint, Begins::Now)),
            Route::Later(at) => self.to.push((endpoint, Begins::Later(at))),
            Route::Gather(until) => self.to.push((endpoint, Begins::Gathers(until))),
            Route::Hold => self.to.push((endpoint, Begins::Held)),
            Route::Skip(reason) => {
                self.skipped.extend_from_slice(endpoint.id.0.as_bytes());
                self.skipped.push(skip_code(reason));
            }
        }
    }
}

/// An event's organisation, its endpoints, and when it is accepted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scene<'e> {
    pub(super) org: OrgId,
    pub(super) at: Timestamp,
    pub(super) endpoints: &'e OrgEndpoints,
}

/// A storm: how many of its findings the endpoints with rules of their own would hear of.
#[derive(Debug)]
pub(super) struct Weather<'s> {
    storm: &'s Storm,
    asked: BTreeMap<EndpointId, u64>,
}

impl<'e> Scene<'e> {
    /// Who gets an event.
    pub(super) fn route(self, tx: &Tx<'_>, new: &NewEvent, weather: Option<&Weather<'_>>) -> Result<Routed<'e>> {
        let mut routed = Routed::default();
        if let Some(only) = new.only {
            if let Some(endpoint) = self.endpoints.get(&only) {
                routed.add(endpoint, route::decide_addressed(&new.event.event_type, endpoint));
            }
            return Ok(routed);
        }
        let mut inquiry = self.inquiry(tx, new)?;
        let told = self.told(new);
        for endpoint in self.endpoints.values() {
            let route = match weather {
                None => route::decide(told, endpoint, &mut inquiry),
                Some(Weather { storm, asked }) => route::decide_in_storm(told, storm, asked, endpoint, &mut inquiry),
            };
            routed.add(endpoint, route);
        }
        routed.broken = inquiry.broken;
        Ok(routed)
    }

    /// Who gets the digest of a storm.
    pub(super) fn route_digest(self, weather: &Weather<'_>) -> Routed<'e> {
        let mut routed = Routed::default();
        for endpoint in self.endpoints.values() {
            routed.add(endpoint, route::decide_digest(weather.storm, &weather.asked, endpoint, self.at));
        }
        routed
    }

    /// What endpoints with rules of their own would hear of a storm. The others count by severity alone.
    pub(super) fn weather<'s>(self, tx: &Tx<'_>, storm: &'s Storm, events: &[NewEvent]) -> Result<Weather<'s>> {
        let mut asked = BTreeMap::new();
        let created = EventType::VulnerabilityCreated;
        let asking = |endpoint: &&Arc<Endpoint>| endpoint.policy.rules.ask(self.at);
        let asking: Vec<&Arc<Endpoint>> = self.endpoints.values().filter(asking).collect();
        asked.extend(asking.iter().map(|endpoint| (endpoint.id, 0)));
        for new in events.iter().filter(|new| !asking.is_empty() && new.event.event_type == created) {
            let mut inquiry = self.inquiry(tx, new)?;
            let told = self.told(new);
            for endpoint in &asking {
                let hears = !matches!(route::decide(told, endpoint, &mut inquiry), Route::Skip(_));
                *asked.entry(endpoint.id).or_default() += u64::from(hears);
            }
        }
        Ok(Weather { storm, asked })
    }

    fn told(self, new: &NewEvent) -> Told<'_> {
        let event_type = &new.event.event_type;
        match self.endpoints.values().any(|endpoint| route::minds_severity(endpoint)) {
            true => Told::of(event_type, &new.event.data),
            false => Told { event_type, severity: None },
        }
    }

    fn inquiry<'n>(self, tx: &Tx<'_>, new: &'n NewEvent) -> Result<Inquiry<'n>> {
        let event_type = &new.event.event_type;
        let asking = || self.endpoints.values().filter(|endpoint| route::asks(event_type, endpoint, self.at));
        if asking().next().is_none() {
            return Ok(Inquiry::new(None, self.at));
        }
        let mut facts = Facts::of(event_type, &new.event.data)
            .of_event(&new.event.id.hyphenated().to_string(), new.event.occurred_at);
        let uses = |name| asking().any(|endpoint| endpoint.policy.rules.uses(name, self.at));
        if let Some(id) = new.project_id
            && (uses(Name::Project) || uses(Name::Owner))
            && let Some(project) = project::find(tx.conn, self.org, id)?
        {
            facts = facts.in_project(&id.bare(), &project.name, &project.labels, project.owner.as_deref());
        }
        if let Some(id) = new.source_id
            && (uses(Name::Source) || uses(Name::Vendor))
            && let Some((name, vendor)) = source::called(tx.conn, self.org, id)?
        {
            facts = facts.from_source(&name, &vendor);
        }
        if uses(Name::Org)
            && let Some(org) = org::find(tx.conn, self.org)?
        {
            facts = facts.in_org(&org.id.bare(), &org.name, &org.slug);
        }
        Ok(Inquiry::new(Some(facts), self.at))
    }
}

const fn skip_code(reason: SkipReason) -> u8 {
    match reason {
        SkipReason::NotSubscribed => 1,
        SkipReason::DialectHasNoSuchEvent => 2,
        SkipReason::Filtered(FilteredBy::Severity) => 3,
        SkipReason::Digested => 4,
        SkipReason::Filtered(FilteredBy::Expression) => 5,
        SkipReason::Muted => 6,
    }
}

/// Who did not get an event, from the packed form.
pub(super) fn skips(columns: &Columns<'_, '_>) -> Result<Vec<Skip>> {
    let packed: Vec<u8> = columns.get::<Option<Vec<u8>>>("skipped")?.unwrap_or_default();
    packed
        .chunks(17)
        .map(|skip| {
            let (id, code) =
                skip.split_first_chunk::<16>().ok_or_else(|| columns.corrupt("skipped", "half an entry"))?;
            let reason = SkipReason::ALL.into_iter().find(|reason| [skip_code(*reason)] == code);
            Ok(Skip {
                endpoint_id: EndpointId(uuid::Uuid::from_bytes(*id)),
                reason: reason.ok_or_else(|| columns.corrupt("skipped", "an unknown reason"))?,
            })
        })
        .collect()
}

//! The event that tries an endpoint: a `webhook.ping` where the dialect has one, else a harmless event it knows.
//!
//! Symbiotic, Aegis and the bearer dialect have no ping. Their test is an ordinary event that says in its own words that
//! it is a test: a finding titled so, or a clean scan with `test` in its id; `"test": true` in data goes along where a
//! dialect carries members of its own.

use jiff::Timestamp;
use serde_json::json;
use watchbell_domain::endpoint::Endpoint;
use watchbell_domain::event::NewEvent;
use watchbell_domain::id::EventId;
use watchbell_domain::port::{Acceptance, Entropy};
use watchbell_wire::{Data, Event, EventType};

use crate::ingest::event::delivery_ids;

/// Tries `endpoint`: an acceptance of one event for it alone. `None`: its dialect has nothing to say that could serve.
pub fn for_endpoint(endpoint: &Endpoint, now: Timestamp, entropy: &dyn Entropy) -> Option<Acceptance> {
    let outbound = endpoint.dialect.outbound?;
    let id = EventId::make(now, entropy);
    let (event_type, data) =
        candidates(endpoint, id, now).into_iter().find(|(event_type, _)| outbound.event_name(event_type).is_some())?;
    let event = Event { id: id.0, event_type, occurred_at: now, data: Data::from_typed(&data) };
    Some(Acceptance {
        org_id: endpoint.org_id,
        events: vec![NewEvent { only: Some(endpoint.id), ..NewEvent::of(event, None) }],
        accepted_at: now,
        delivery_ids: delivery_ids(entropy),
    })
}

fn candidates(endpoint: &Endpoint, id: EventId, now: Timestamp) -> [(EventType, serde_json::Value); 3] {
    let ping = json!({"webhook_id": endpoint.id.bare()});
    let finding = json!({
        "finding_id": id.bare(),
        "title": "Test of this webhook by Watchbell: no real finding",
        "severity": "info",
        "cve_id": "CVE-0000-0000",
        "component": {"name": "watchbell-test", "version": "0.0.0", "purl": "pkg:generic/watchbell-test@0.0.0"},
        "rule_id": "watchbell-test",
        "resource_path": "watchbell/test",
        "creator": "watchbell-test@example.com",
        "detected_at": now,
        "test": true,
    });
    let scan =
        json!({"scan_id": format!("watchbell-test-{}", id.bare()), "threats_found": 0, "details": [], "test": true});
    [(EventType::WebhookPing, ping), (EventType::VulnerabilityCreated, finding), (EventType::ScanCompleted, scan)]
}

#[cfg(test)]
mod tests {
    use watchbell_domain::endpoint::{EndpointPolicy, EndpointState};
    use watchbell_domain::id::{EndpointId, OrgId};
    use watchbell_domain::port::testing::SeededEntropy;
    use watchbell_wire::dialect;

    use super::*;

    #[test]
    fn every_dialect_that_is_sent_can_say_its_test() {
        let entropy = SeededEntropy::new(1);
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let mut said = Vec::new();
        for dialect in dialect::ALL.iter().filter(|dialect| dialect.outbound.is_some()) {
            let endpoint = Endpoint {
                id: EndpointId::make(now, &entropy),
                org_id: OrgId::make(now, &entropy),
                url: "https://example.com/".into(),
                dialect,
                description: None,
                events: None,
                state: EndpointState::Active,
                secrets: Vec::new(),
                headers: Vec::new(),
                settings: watchbell_wire::Settings::default(),
                transport: watchbell_domain::endpoint::Transport::default(),
                policy: EndpointPolicy::default(),
                not_before: None,
                created_at: now,
                updated_at: now,
            };
            let acceptance = for_endpoint(&endpoint, now, &entropy).unwrap();
            let new = &acceptance.events[0];
            assert_eq!(new.only, Some(endpoint.id));
            watchbell_wire::event::check(&new.event.event_type, &new.event.data).unwrap();
            dialect.outbound.unwrap().encode(&new.event, &watchbell_wire::Settings::default()).unwrap();
            said.push((dialect.id, new.event.event_type.to_string()));
        }
        let said: Vec<_> = said.iter().map(|(id, event)| (*id, event.as_str())).collect();
        assert_eq!(
            said,
            [
                ("snyk", "webhook.ping"),
                ("symbiotic", "vulnerability.created"),
                ("aegis", "vulnerability.created"),
                ("bearer-scan", "scan.completed"),
                ("standard", "webhook.ping"),
                ("cloudevents", "webhook.ping"),
                ("splunk_hec", "webhook.ping"),
                ("elastic", "webhook.ping"),
                ("rapid7", "webhook.ping"),
                ("ocsf", "webhook.ping"),
                ("syslog", "webhook.ping"),
                ("cef", "webhook.ping"),
                ("email", "webhook.ping"),
                ("slack", "webhook.ping"),
                ("teams", "webhook.ping"),
                ("pagerduty", "webhook.ping"),
                ("opsgenie", "webhook.ping"),
                ("jsm", "webhook.ping"),
                ("jira", "webhook.ping"),
                ("http", "webhook.ping"),
            ]
        );
    }
}

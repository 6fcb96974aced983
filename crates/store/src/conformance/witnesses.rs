//! What receipts say of findings: weighed and written in the commit that takes them.

use std::sync::Arc;

use watchbell_domain::finding::FindingStatus;
use watchbell_domain::id::{EventId, OrgId, ProjectId};
use watchbell_domain::port::{
    AuditFilter, EventFilter, FindingFilter, Reception, Saying, Statement, StoreError, Taking,
};
use watchbell_domain::receipt::Receipt;
use watchbell_domain::source::Source;
use watchbell_domain::witness::{Hearing, Placing, Testimony};
use watchbell_wire::EventType;

use super::World;
use super::receipts::taking;
use super::world::{at, first};

/// A request that says something of one finding of `acme/pay`.
#[expect(clippy::expect_used, reason = "what a test hands in")]
fn says(world: &World, source: &Source, kind: EventType, key: &str, seconds: i64, placing: Placing) -> Taking {
    let data = format!(
        r#"{{"finding_key":"{key}","severity":"high","cve_id":"CVE-2021-23337","repository":"acme/pay",
            "component":{{"name":"lodash","purl":"pkg:npm/lodash"}},"tool":"{}"}}"#,
        key.split(':').next().unwrap_or_default()
    );
    let event = world.event(kind, &data, seconds);
    let testimony = Testimony::read(&event.event, "t", at(seconds)).expect("a testimony");
    let hearing =
        Hearing { source_id: source.id, received_at: at(seconds), hops: 0, tells_critical: true, retells: false };
    let nothing = taking(world, source, seconds, &[0]);
    let digest = world.uuid(seconds);
    let statements = vec![Statement { testimony, relayed: vec![event] }];
    Taking {
        keys: vec![watchbell_domain::receipt::DedupKey(*digest.as_bytes())],
        receipt: Arc::new(Receipt { detail: None, ..(*nothing.receipt).clone() }),
        saying: Some(Saying { hearing, placing, statements }),
        ..nothing
    }
}

async fn told(world: &World, org: OrgId) -> Vec<String> {
    let events = world.store.events(org, EventFilter::default(), first(250)).await.unwrap().items;
    events.iter().rev().map(|event| event.event.event_type.to_string()).collect()
}

/// Two sources' word on one vulnerability in one project is one finding with two witnesses, gone with the last of them.
pub async fn one_finding_of_two_sources(world: World) {
    let org = world.org("acme").await;
    world.endpoint(org).await;
    let (snyk, github) = (world.source(org).await, world.source(org).await);
    let say = |source: &Source, kind, key, seconds| says(&world, source, kind, key, seconds, Placing::default());
    let created = say(&snyk, EventType::VulnerabilityCreated, "snyk:p:i", 1);
    let receipt = created.receipt.id;
    assert_eq!(world.store.take(created).await.unwrap(), Reception::New);
    // The project was made, which is written down; the receipt names what was told.
    let projects = world.store.projects(org, first(250)).await.unwrap().items;
    let names: Vec<_> = projects.iter().map(|project| project.name.as_str()).collect();
    assert_eq!(names, ["acme/pay"]);
    let audit = world.store.audit(org.into(), AuditFilter::default(), first(10)).await.unwrap().items;
    assert!(audit.iter().any(|entry| entry.text.contains("project.create")));
    let kept = world.store.receipt(org, receipt).await.unwrap().unwrap();
    let (event, deliveries) = world.store.event(org, kept.events[0]).await.unwrap().unwrap();
    assert_eq!((event.project_id, deliveries.len()), (Some(projects[0].id), 1));

    let second = say(&github, EventType::VulnerabilityCreated, "github:17", 2);
    let receipt = second.receipt.id;
    assert_eq!(world.store.take(second).await.unwrap(), Reception::New);
    let kept = world.store.receipt(org, receipt).await.unwrap().unwrap();
    assert!(kept.events.is_empty());
    assert!(kept.detail.is_some_and(|detail| detail.contains("snyk sees it too")));

    let findings = || world.store.findings(org, projects[0].id, None, first(250));
    let found = findings().await.unwrap().items;
    assert_eq!((found.len(), found[0].sights.len(), found[0].status), (1, 2, FindingStatus::Open));
    assert_eq!(event.event.data.typed::<serde_json::Value>().unwrap()["finding_id"], found[0].id.bare());

    for (source, key, seconds) in [(&github, "github:17", 3), (&snyk, "snyk:p:i", 4)] {
        assert_eq!(findings().await.unwrap().items[0].status, FindingStatus::Open);
        let gone = say(source, EventType::VulnerabilityRemediated, key, seconds);
        assert_eq!(world.store.take(gone).await.unwrap(), Reception::New);
    }
    let found = findings().await.unwrap().items;
    assert_eq!((found[0].status, found[0].remediated_at), (FindingStatus::Remediated, Some(at(4))));
    assert_eq!(told(&world, org).await, ["vulnerability.created", "vulnerability.remediated"]);
    let history = world.store.finding_history(org, found[0].id, first(250)).await.unwrap().items;
    assert_eq!(history.iter().map(|change| change.by.kind()).collect::<Vec<_>>(), ["source", "source"]);
}

/// A request that was here before changes nothing, and fifty at once make one finding.
pub async fn heard_once_and_many_at_once(world: World) {
    let org = world.org("acme").await;
    let source = world.source(org).await;
    let one = says(&world, &source, EventType::VulnerabilityCreated, "snyk:p:0", 1, Placing::default());
    assert_eq!(world.store.take(one.clone()).await.unwrap(), Reception::New);
    let again = Taking {
        receipt: says(&world, &source, EventType::VulnerabilityCreated, "x", 2, Placing::default()).receipt,
        ..one
    };
    assert!(matches!(world.store.take(again).await.unwrap(), Reception::Duplicate { .. }));
    let keys: Vec<String> = (1..50).map(|number| format!("snyk:p:{number}")).collect();
    let many: Vec<_> = keys
        .iter()
        .zip(3..)
        .map(|(key, seconds)| says(&world, &source, EventType::VulnerabilityCreated, key, seconds, Placing::default()))
        .collect();
    let mut taken = Vec::new();
    for taking in many {
        taken.push(world.store.take(taking));
    }
    for reception in taken {
        assert_eq!(reception.await.unwrap(), Reception::New);
    }
    let filter = FindingFilter { name: Some("CVE-2021-23337".into()), ..FindingFilter::default() };
    let found = world.store.org_findings(org, filter, first(250)).await.unwrap().items;
    assert_eq!((found.len(), found[0].sights.len()), (1, 50));
    assert_eq!(told(&world, org).await, ["vulnerability.created"]);
}

/// Where no project is to be made the vendor's events go on as they came.
pub async fn relayed_without_a_project(world: World) {
    let org = world.org("acme").await;
    let source = world.source(org).await;
    let placing = Placing { makes: false, ..Placing::default() };
    let taking = says(&world, &source, EventType::VulnerabilityCreated, "snyk:p:i", 1, placing.clone());
    let relayed = taking.saying.as_ref().unwrap().statements[0].relayed[0].event.id;
    let receipt = taking.receipt.id;
    assert_eq!(world.store.take(taking).await.unwrap(), Reception::New);
    let kept = world.store.receipt(org, receipt).await.unwrap().unwrap();
    assert_eq!(kept.events, [EventId(relayed)]);
    assert!(world.store.projects(org, first(250)).await.unwrap().items.is_empty());
    // One of that name in another spelling is that project.
    let project = world.project(org, "Acme/Pay").await;
    let taking = says(&world, &source, EventType::VulnerabilityCreated, "snyk:p:i", 2, placing);
    assert_eq!(world.store.take(taking).await.unwrap(), Reception::New);
    assert_eq!(world.store.findings(org, project.id, None, first(250)).await.unwrap().items.len(), 1);
    // Another organisation sees nothing of it.
    let other = world.org("other").await;
    assert!(world.store.findings(other, project.id, None, first(250)).await.unwrap().items.is_empty());
}

/// A scan that was weighed before a webhook came in is weighed again.
pub async fn scans_see_what_was_heard(world: World) {
    let org = world.org("acme").await;
    let project = world.project(org, "acme/pay").await;
    let source = world.source(org).await;
    let seen = world.store.project_state(org, project.id).await.unwrap().unwrap();
    let taking = says(&world, &source, EventType::VulnerabilityCreated, "snyk:p:i", 1, Placing::default());
    assert_eq!(world.store.take(taking).await.unwrap(), Reception::New);
    let outcome = world.outcome(&seen.project, Vec::new(), 2);
    assert!(matches!(world.store.apply_scan(outcome, None).await, Err(StoreError::Conflict(_))));
    let now: ProjectId = seen.project.id;
    assert_eq!(world.store.project_state(org, now).await.unwrap().unwrap().findings.len(), 1);
}

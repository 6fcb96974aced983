//! Findings, one by one: judged, merged, looked for.

use watchbell_domain::endpoint::{EndpointPolicy, StormThreshold};
use watchbell_domain::event::Skip;
use watchbell_domain::finding::{
    ChangedBy, Finding, FindingChange, FindingStatus, Judgement, Observation, Sight, Witness,
};
use watchbell_domain::id::{ChangeId, KeyId, ScanId, SourceId};
use watchbell_domain::org::Project;
use watchbell_domain::port::{FindingFilter, FindingJudgement, PageRequest, ScanOutcome, StoreError, Terms, Written};
use watchbell_domain::route::{FilteredBy, SkipReason, Storm};
use watchbell_wire::event::Component;
use watchbell_wire::{EventType, Severity};

use super::World;
use super::world::{at, first, fresh, once};

/// Risk accepted until ten minutes later.
pub(super) fn judged(world: &World, project: &Project, finding: &Finding, seconds: i64) -> FindingJudgement {
    let by = ChangedBy::Key { id: KeyId(world.uuid(seconds)), name: "ada".into() };
    let (status, until) = (FindingStatus::Accepted, Some(at(seconds + 600)));
    let judgement = Judgement {
        status,
        by: by.clone(),
        at: at(seconds),
        reason: "why 🦀".into(),
        until,
        version: Some("1".into()),
    };
    let changes = finding.changes + 1;
    let event = world.event(EventType::VulnerabilitySuppressed, "{}", seconds);
    FindingJudgement {
        seen_version: project.version,
        finding: Finding { status, judgement: Some(judgement), changes, ..finding.clone() },
        change: Some(FindingChange {
            id: ChangeId(world.uuid(seconds)),
            finding_id: finding.id,
            number: changes,
            at: at(seconds),
            from: Some(finding.status),
            to: status,
            by,
            reason: "why 🦀".into(),
        }),
        acceptance: world.acceptance(project.org_id, vec![event], seconds),
    }
}

/// Every member comes back, whatever it holds.
pub async fn kept_whole(world: World) {
    let org = world.org("acme").await;
    let project = world.project(org, "api").await;
    let seen =
        Observation { tool: "trivy".into(), suppressed: true, location: Some("a|b".into()), ..Observation::default() };
    let witness = Witness {
        source_id: SourceId(world.uuid(1)),
        key: "github:acme/pay:dependabot:17".into(),
        url: Some("https://github.example/acme/pay/security/dependabot/17".into()),
        seen_at: Some(at(3)),
        told_critical: true,
    };
    let sight =
        Sight { since: at(1), at: at(4), there: false, observation: Some(Box::new(seen)), witness: Some(witness) };
    let mut finding = world.finding(&project, "a", 5);
    finding.sights.insert("trivy".into(), sight);
    finding.observation.component =
        Some(Component { name: "p".into(), version: Some("1".into()), purl: Some("pkg:npm/p@1".into()) });
    for by in [
        ChangedBy::Scan { id: ScanId(world.uuid(1)), tool: "t".into() },
        ChangedBy::Vex { id: ScanId(world.uuid(1)), author: "a".into() },
        ChangedBy::Source { id: SourceId(world.uuid(1)), tool: "dependabot".into() },
        ChangedBy::Key { id: KeyId(world.uuid(1)), name: "k".into() },
        ChangedBy::Policy { name: "p".into() },
        ChangedBy::Expiry,
    ] {
        let (status, reason) = (FindingStatus::FalsePositive, "why".to_owned());
        finding.judgement = Some(Judgement { status, by: by.clone(), at: at(6), reason, until: None, version: None });
        finding.changes += 1;
        let change = FindingChange {
            id: ChangeId(world.uuid(6)),
            finding_id: finding.id,
            number: finding.changes,
            at: at(6),
            from: (finding.changes > 1).then_some(FindingStatus::Remediated),
            to: FindingStatus::FalsePositive,
            by,
            reason: "\"why\"".into(),
        };
        let project = world.store.project(org, project.id).await.unwrap().unwrap();
        let outcome = world.outcome(&project, vec![finding.clone()], 6);
        let outcome = ScanOutcome { history: vec![change.clone()], ..outcome };
        fresh(world.store.apply_scan(outcome, None).await.unwrap());
        assert_eq!(world.store.finding(org, finding.id).await.unwrap(), Some(finding.clone()));
        let history = world.store.finding_history(org, finding.id, first(9)).await.unwrap();
        assert!(history.items.contains(&change), "{:?}", history.items);
    }
}

/// Of two verdicts on the same state the second is refused; so is a scan that did not see the verdict.
pub async fn judged_in_turn(world: World) {
    let org = world.org("acme").await;
    let endpoint = world.endpoint(org).await;
    let (project, findings) = world.project_with(org, "api", &["a"]).await;
    let verdict = judged(&world, &project, &findings[0], 5);
    let accepted = fresh(world.store.judge(verdict.clone(), once("judge", 1).into()).await.unwrap());
    assert_eq!(accepted[0].deliveries.len(), 1);
    assert!(matches!(world.store.judge(verdict.clone(), once("judge", 1).into()).await.unwrap(), Written::Repeated(_)));
    let (now, finding) = world.store.finding_state(org, findings[0].id).await.unwrap().unwrap();
    assert_eq!((now.version, now.last_scan_at), (project.version + 1, project.last_scan_at));
    assert_eq!(finding, verdict.finding);
    let history = world.store.finding_history(org, finding.id, first(9)).await.unwrap().items;
    assert_eq!(history, [verdict.change.clone().unwrap()]);

    let late = judged(&world, &project, &findings[0], 6);
    assert!(matches!(world.store.judge(late, Terms::default()).await, Err(StoreError::Conflict(_))));
    let scan = world.outcome(&project, vec![findings[0].clone()], 6);
    assert!(matches!(world.store.apply_scan(scan, None).await, Err(StoreError::Conflict(_))));
    assert_eq!(world.store.finding(org, finding.id).await.unwrap(), Some(finding.clone()));
    // The scan's event and the verdict's.
    assert_eq!(world.claim(&endpoint, 9, 9).await.deliveries.len(), 2);

    let nothing = FindingJudgement { change: None, ..judged(&world, &now, &finding, 7) };
    assert_eq!(fresh(world.store.judge(nothing, Terms::default()).await.unwrap()), []);
    assert_eq!(world.store.finding(org, finding.id).await.unwrap(), Some(finding));
}

/// The id of a finding that was merged leads to where it lives on, through every merge, with both histories.
pub async fn merged_ones_lead_on(world: World) {
    let org = world.org("acme").await;
    let (_, findings) = world.project_with(org, "api", &["a", "b", "c"]).await;
    let project_id = findings[0].project_id;
    for finding in &findings {
        let project = world.store.project(org, project_id).await.unwrap().unwrap();
        fresh(world.store.judge(judged(&world, &project, finding, 2), Terms::default()).await.unwrap());
    }
    for (younger, elder) in [(2, 1), (1, 0)] {
        let project = world.store.project(org, project_id).await.unwrap().unwrap();
        let merged = Finding { merged_into: Some(findings[elder].id), ..findings[younger].clone() };
        fresh(world.store.apply_scan(world.outcome(&project, vec![merged], 3), None).await.unwrap());
    }
    let survivor = world.store.finding(org, findings[0].id).await.unwrap().unwrap();
    for finding in &findings {
        assert_eq!(world.store.finding(org, finding.id).await.unwrap().as_ref(), Some(&survivor));
        assert_eq!(world.store.finding_state(org, finding.id).await.unwrap().unwrap().1, survivor);
    }
    let state = world.store.project_state(org, project_id).await.unwrap().unwrap();
    assert_eq!(state.findings, std::slice::from_ref(&survivor));
    assert_eq!(world.store.findings(org, project_id, None, first(9)).await.unwrap().items.len(), 1);
    let page = world.store.finding_history(org, survivor.id, first(2)).await.unwrap();
    assert_eq!((page.items.len(), page.more), (2, true));
    let before = Some(page.items[1].id.0);
    let rest = world.store.finding_history(org, survivor.id, PageRequest { before, limit: 9 }).await.unwrap();
    assert_eq!((rest.items.len(), rest.more), (1, false));
}

/// Each filter alone, and together.
pub async fn listed_by_filter(world: World) {
    let org = world.org("acme").await;
    let (_, findings) = world.project_with(org, "api", &["a", "b"]).await;
    let project = world.project(org, "web").await;
    let mut other = world.finding(&project, "a", 2);
    other.names = ["PYSEC-1".to_owned()].into();
    other.observation.severity = Severity::Low;
    other.status = FindingStatus::Suppressed;
    other.observation.component =
        Some(Component { name: "lodash".into(), version: Some("4".into()), purl: Some("pkg:npm/lodash@4".into()) });
    fresh(world.store.apply_scan(world.outcome(&project, vec![other.clone()], 2), None).await.unwrap());
    let list = async |filter: FindingFilter| world.store.org_findings(org, filter, first(9)).await.unwrap().items;
    let all = FindingFilter::default();
    assert_eq!(list(all.clone()).await.len(), 3);
    for filter in [
        FindingFilter { status: Some(FindingStatus::Suppressed), ..all.clone() },
        FindingFilter { severity: Some(Severity::Low), ..all.clone() },
        FindingFilter { project_id: Some(project.id), ..all.clone() },
        FindingFilter { name: Some("PYSEC-1".into()), ..all.clone() },
        FindingFilter { component: Some("lodash".into()), ..all.clone() },
        FindingFilter { component: Some("pkg:npm/lodash".into()), ..all.clone() },
        FindingFilter { component: Some("pkg:npm/lodash@4".into()), ..all.clone() },
    ] {
        assert_eq!(list(filter.clone()).await, std::slice::from_ref(&other), "{filter:?}");
        if filter.name.is_none() {
            let neither = FindingFilter { name: Some("CVE-2020-14343".into()), ..filter };
            assert_eq!(list(neither).await, []);
        }
    }
    assert_eq!(list(FindingFilter { component: Some("pkg:npm/lo".into()), ..all.clone() }).await, []);
    for name in ["CVE-2020-14343", "GHSA-1"] {
        assert_eq!(list(FindingFilter { name: Some(name.into()), ..all.clone() }).await.len(), findings.len());
    }
}

/// Accepted risks whose time is over, of all organisations, those first that ended first.
pub async fn lapse_in_order(world: World) {
    let (org, other) = (world.org("acme").await, world.org("other").await);
    let mut expected = Vec::new();
    for (org, seconds) in [(org, 20), (other, 10), (org, 30)] {
        let (project, findings) = world.project_with(org, &seconds.to_string(), &["a"]).await;
        fresh(world.store.judge(judged(&world, &project, &findings[0], seconds), Terms::default()).await.unwrap());
        expected.push((org, findings[0].id));
    }
    let lapsed = async |seconds: i64, limit| world.store.lapsed(at(seconds + 600), limit).await.unwrap();
    assert_eq!(lapsed(9, 9).await, []);
    assert_eq!(lapsed(10, 9).await, [expected[1]]);
    assert_eq!(lapsed(30, 9).await, [expected[1], expected[0], expected[2]]);
    assert_eq!(lapsed(30, 2).await, [expected[1], expected[0]]);
}

/// Of more new findings than an endpoint wants to hear of one by one it gets the digest, and the reason is kept.
pub async fn storms_are_digested(world: World) {
    let org = world.org("acme").await;
    let limited = |threshold| {
        let mut endpoint = world.new_endpoint(org);
        endpoint.policy = EndpointPolicy { storm_threshold: threshold, ..EndpointPolicy::default() };
        endpoint
    };
    let by_default = limited(None);
    let few = limited(Some(StormThreshold::Above(1)));
    let off = limited(Some(StormThreshold::Off));
    for endpoint in [&by_default, &few, &off] {
        world.put(endpoint).await;
    }
    let project = world.project(org, "api").await;
    let mut storm = Storm::default();
    (0..2).for_each(|_| storm.add(Severity::High));
    let mut outcome = world.outcome(&project, Vec::new(), 5);
    outcome.acceptance.events = (0..2).map(|_| world.event(EventType::VulnerabilityCreated, "{}", 5)).collect();
    outcome.storm = Some((storm, world.event(EventType::ScanDigest, "{\"scan_id\":\"s\"}", 5)));
    let accepted = fresh(world.store.apply_scan(outcome.clone(), None).await.unwrap());
    assert_eq!(accepted.len(), 3);
    assert_eq!(accepted[2].deliveries.iter().map(|(_, endpoint)| *endpoint).collect::<Vec<_>>(), [few.id]);
    for accepted in &accepted[..2] {
        assert_eq!(accepted.deliveries.len(), 2);
        let (event, _) = world.store.event(org, accepted.event_id).await.unwrap().unwrap();
        assert_eq!(event.skipped, [Skip { endpoint_id: few.id, reason: SkipReason::Digested }]);
    }

    // Where nobody gets it there is none.
    assert!(world.store.delete_endpoint(org, few.id, at(6), None).await.unwrap());
    let mut again = world.outcome(&world.store.project(org, project.id).await.unwrap().unwrap(), Vec::new(), 7);
    again.acceptance.events = vec![world.event(EventType::VulnerabilityCreated, "{}", 7)];
    again.storm = Some((storm, world.event(EventType::ScanDigest, "{\"scan_id\":\"s\"}", 7)));
    assert_eq!(fresh(world.store.apply_scan(again, None).await.unwrap()).len(), 1);
}

/// What is known to be milder than an endpoint wants is kept from it, with the reason.
pub async fn mild_ones_are_filtered(world: World) {
    let org = world.org("acme").await;
    let mut endpoint = world.new_endpoint(org);
    endpoint.policy.min_severity = Some(Severity::High);
    world.put(&endpoint).await;
    let data = |severity: &str| format!("{{\"severity\":\"{severity}\"}}");
    for (event_type, severity, is_told) in [
        (EventType::VulnerabilityCreated, "medium", false),
        (EventType::VulnerabilityRemediated, "low", false),
        (EventType::VulnerabilityCreated, "high", true),
        (EventType::VulnerabilityCreated, "unknown", true),
        (EventType::ScanCompleted, "low", true),
    ] {
        let event = world.event(event_type, &data(severity), 5);
        let accepted = fresh(world.store.accept(world.acceptance(org, vec![event], 5), None).await.unwrap());
        assert_eq!(accepted[0].deliveries.len(), usize::from(is_told), "{severity}");
        let (event, _) = world.store.event(org, accepted[0].event_id).await.unwrap().unwrap();
        let reasons: Vec<_> = event.skipped.iter().map(|skip| skip.reason).collect();
        assert_eq!(reasons.first(), (!is_told).then_some(&SkipReason::Filtered(FilteredBy::Severity)), "{severity}");
    }
}

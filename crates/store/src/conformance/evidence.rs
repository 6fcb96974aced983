//! Evidence: documents and what becomes of them.

use watchbell_domain::evidence::{Evidence, EvidenceState, Found};
use watchbell_domain::id::{EvidenceId, OrgId, ProjectId};
use watchbell_domain::org::Project;
use watchbell_domain::port::{EvidenceOutcome, PageRequest, StoreError, Terms};
use watchbell_wire::EventType;

use super::World;
use super::world::{at, first, fresh};

async fn create(world: &World, org: OrgId, project: Option<ProjectId>, content: u8, seconds: i64) -> Evidence {
    let evidence = Evidence {
        id: EvidenceId(world.uuid(seconds)),
        org_id: org,
        project_id: project,
        file_name: "../a \"name\" 🦀.json".to_owned(),
        media_type: "application/json".to_owned(),
        sha256: [content; 32],
        bytes: 5_000_000_000,
        created_at: at(seconds),
        state: EvidenceState::Pending,
    };
    fresh(world.store.create_evidence(evidence.clone(), Terms::default()).await.unwrap());
    evidence
}

fn completed(seconds: i64) -> EvidenceState {
    let found = Found { format: Some("cyclonedx".to_owned()), components: 5, vulnerabilities: 4, critical: 1, high: 2 };
    EvidenceState::Completed { at: at(seconds), found }
}

fn outcome(world: &World, evidence: &Evidence, state: EvidenceState, seconds: i64) -> EvidenceOutcome {
    let event = world.event(EventType::EvidenceCompleted, "{\"evidence_id\":\"x\"}", seconds);
    let acceptance = world.acceptance(evidence.org_id, vec![event], seconds);
    EvidenceOutcome { org_id: evidence.org_id, id: evidence.id, state, scan: None, acceptance }
}

/// What was stored comes back; another organisation sees nothing.
pub async fn kept_and_listed(world: World) {
    let (org, other) = (world.org("acme").await, world.org("other").await);
    let project = world.project(org, "api").await;
    let one = create(&world, org, None, 1, 1).await;
    let two = create(&world, org, Some(project.id), 2, 2).await;
    let foreign = create(&world, other, None, 1, 3).await;
    assert_eq!(world.store.evidence(org, one.id).await.unwrap(), Some(one.clone()));
    assert_eq!(world.store.evidence(org, foreign.id).await.unwrap(), None);
    let list = async |project, page| world.store.evidences(org, project, page).await.unwrap();
    assert_eq!(list(None, first(9)).await.items, [two.clone(), one.clone()]);
    assert_eq!(list(Some(project.id), first(9)).await.items, std::slice::from_ref(&two));
    let page = list(None, PageRequest { before: Some(two.id.0), limit: 9 }).await;
    assert_eq!(page.items, std::slice::from_ref(&one));
    let of_foreign_project = Evidence { id: EvidenceId(world.uuid(4)), org_id: other, ..two };
    let refused = world.store.create_evidence(of_foreign_project, Terms::default()).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
}

/// What waits is found until it has ended; it ends once, with its events in the same commit.
pub async fn ends_once(world: World) {
    let org = world.org("acme").await;
    let endpoint = world.endpoint(org).await;
    let (one, two) = (create(&world, org, None, 1, 1).await, create(&world, org, None, 2, 2).await);
    let waiting = async || -> Vec<EvidenceId> {
        world.store.waiting_evidence(9).await.unwrap().iter().map(|evidence| evidence.id).collect()
    };
    assert_eq!(waiting().await, [one.id, two.id]);
    assert!(world.store.begin_evidence(org, one.id).await.unwrap());
    assert_eq!(world.store.evidence(org, one.id).await.unwrap().unwrap().state, EvidenceState::Processing);
    assert_eq!(waiting().await, [one.id, two.id], "what a process was at when it died is found again");
    assert!(world.store.end_evidence(outcome(&world, &one, completed(5), 5)).await.unwrap());
    assert_eq!(world.store.evidence(org, one.id).await.unwrap().unwrap().state, completed(5));
    assert!(!world.store.end_evidence(outcome(&world, &one, completed(6), 6)).await.unwrap(), "it has ended");
    assert!(!world.store.begin_evidence(org, one.id).await.unwrap());
    assert_eq!(waiting().await, [two.id]);
    assert_eq!(world.claim(&endpoint, 9, 9).await.deliveries.len(), 1, "one event");
    let failed = EvidenceState::Failed { at: at(7), error: "no".to_owned() };
    assert!(world.store.end_evidence(outcome(&world, &two, failed.clone(), 7)).await.unwrap());
    assert_eq!(world.store.evidence(org, two.id).await.unwrap().unwrap().state, failed);
}

/// The scan that it was weighed as is written with it, or neither is.
pub async fn weighed_in_the_same_commit(world: World) {
    let org = world.org("acme").await;
    let project = world.project(org, "api").await;
    let evidence = create(&world, org, Some(project.id), 1, 1).await;
    let scan = |project: &Project, seconds: i64| world.outcome(project, Vec::new(), seconds);
    fresh(world.store.apply_scan(scan(&project, 2), None).await.unwrap());
    let late = EvidenceOutcome { scan: Some(scan(&project, 3)), ..outcome(&world, &evidence, completed(3), 3) };
    let refused = world.store.end_evidence(late).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    assert_eq!(world.store.evidence(org, evidence.id).await.unwrap().unwrap().state, EvidenceState::Pending);
    let project = world.store.project(org, project.id).await.unwrap().unwrap();
    let again = scan(&project, 4);
    let ended = EvidenceOutcome { scan: Some(again.clone()), ..outcome(&world, &evidence, completed(4), 4) };
    assert!(world.store.end_evidence(ended).await.unwrap());
    assert_eq!(world.store.scan(org, again.scan.id).await.unwrap(), Some(again.scan));
}

/// The content goes with the last document that has it.
pub async fn deleted_and_expired(world: World) {
    let (org, other) = (world.org("acme").await, world.org("other").await);
    let (one, same) = (create(&world, org, None, 1, 1).await, create(&world, org, None, 1, 2).await);
    let foreign = create(&world, other, None, 1, 3).await;
    assert_eq!(world.store.delete_evidence(other, one.id, None).await.unwrap(), None);
    let removed = world.store.delete_evidence(org, one.id, None).await.unwrap().unwrap();
    assert_eq!((removed.sha256, removed.is_last), ([1; 32], false));
    assert!(world.store.has_content(org, [1; 32]).await.unwrap());
    assert!(world.store.delete_evidence(org, same.id, None).await.unwrap().unwrap().is_last);
    assert!(!world.store.has_content(org, [1; 32]).await.unwrap());
    assert!(world.store.has_content(other, [1; 32]).await.unwrap());

    assert!(world.store.expire_evidence(at(99), 9).await.unwrap().is_empty(), "what has not ended stays");
    assert!(world.store.end_evidence(outcome(&world, &foreign, completed(5), 5)).await.unwrap());
    assert!(world.store.expire_evidence(at(5), 9).await.unwrap().is_empty());
    let expired = world.store.expire_evidence(at(6), 9).await.unwrap();
    assert_eq!(expired.iter().map(|removed| removed.is_last).collect::<Vec<_>>(), [true]);
    assert_eq!(world.store.evidence(other, foreign.id).await.unwrap(), None);
}

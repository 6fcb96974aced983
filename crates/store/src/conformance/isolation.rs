//! Nothing of one organisation is visible to another, nor can be changed by it.

use watchbell_domain::endpoint::Endpoint;
use watchbell_domain::event::NewEvent;
use watchbell_domain::finding::Finding;
use watchbell_domain::id::ScanId;
use watchbell_domain::id::{EndpointId, EventId, OrgId};
use watchbell_domain::org::Project;
use watchbell_domain::port::{
    Claim, DeliveryFilter, EventFilter, FindingFilter, FindingJudgement, Next, PageRequest, Replay, ReplayWhat,
    ScanOutcome, Settlement, StoreError, Terms,
};
use watchbell_domain::scan::Scan;
use watchbell_wire::EventType;

use super::World;
use super::world::{LEASE, at, first, fresh, retry};

/// One thing of each kind.
struct Owned {
    endpoint: Endpoint,
    event: EventId,
    project: Project,
    scan: Scan,
    finding: Finding,
}

async fn owned(world: &World, org: OrgId) -> Owned {
    let endpoint = world.endpoint(org).await;
    let project = world.project(org, "api").await;
    let finding = world.finding(&project, "i", 1);
    let outcome = world.outcome(&project, vec![finding.clone()], 1);
    let (scan, id) = (outcome.scan.clone(), EventId(outcome.acceptance.events[0].event.id));
    fresh(world.store.apply_scan(outcome, None).await.unwrap());
    Owned { endpoint, event: id, project, scan, finding }
}

/// With another's ids: not there; in one's own lists: only one's own.
pub async fn reads_see_nothing(world: World) {
    let (mine, theirs) = (world.org("mine").await, world.org("theirs").await);
    let own = owned(&world, theirs).await;
    let key = world.key(Some(theirs), "wb_theirs");
    fresh(world.store.create_key(theirs, key, Terms::default()).await.unwrap());
    let store = &world.store;
    let (_, deliveries) = store.event(theirs, own.event).await.unwrap().unwrap();
    let delivery = deliveries[0].id;

    assert_eq!(store.endpoint(mine, own.endpoint.id).await.unwrap(), None);
    assert_eq!(store.event(mine, own.event).await.unwrap(), None);
    assert_eq!(store.delivery(mine, delivery).await.unwrap(), None);
    assert_eq!(store.project(mine, own.project.id).await.unwrap(), None);
    assert_eq!(store.project_by_name(mine, own.project.name).await.unwrap(), None);
    assert_eq!(store.project_state(mine, own.project.id).await.unwrap(), None);
    assert_eq!(store.finding(mine, own.finding.id).await.unwrap(), None);
    assert_eq!(store.scan(mine, own.scan.id).await.unwrap(), None);
    assert_eq!(store.finding_state(mine, own.finding.id).await.unwrap(), None);

    // A cursor of theirs opens nothing either.
    for page in [first(250), PageRequest { before: Some(world.uuid(99)), limit: 250 }] {
        assert!(store.keys(mine, page).await.unwrap().items.is_empty());
        assert!(store.endpoints(mine, page).await.unwrap().items.is_empty());
        assert!(store.projects(mine, page).await.unwrap().items.is_empty());
        assert!(store.findings(mine, own.project.id, None, page).await.unwrap().items.is_empty());
        assert!(store.finding_history(mine, own.finding.id, page).await.unwrap().items.is_empty());
        let project_id = Some(own.project.id);
        for filter in [FindingFilter::default(), FindingFilter { project_id, ..FindingFilter::default() }] {
            assert!(store.org_findings(mine, filter, page).await.unwrap().items.is_empty());
        }
        for filter in [EventFilter::default(), EventFilter { project_id, ..EventFilter::default() }] {
            assert!(store.events(mine, filter, page).await.unwrap().items.is_empty());
        }
        for filter in [
            DeliveryFilter::default(),
            DeliveryFilter { endpoint_id: Some(own.endpoint.id), ..DeliveryFilter::default() },
            DeliveryFilter { event_id: Some(own.event), ..DeliveryFilter::default() },
        ] {
            assert!(store.deliveries(mine, filter, page).await.unwrap().items.is_empty());
        }
    }
    assert!(store.count_deliveries(mine).await.unwrap().iter().all(|(_, count)| *count == 0));
}

/// With another's ids: no effect.
pub async fn writes_change_nothing(world: World) {
    let (mine, theirs) = (world.org("mine").await, world.org("theirs").await);
    let own = owned(&world, theirs).await;
    let key = world.key(Some(theirs), "wb_theirs");
    fresh(world.store.create_key(theirs, key.clone(), Terms::default()).await.unwrap());
    let store = &world.store;
    let before = store.event(theirs, own.event).await.unwrap().unwrap();
    let delivery = before.1[0].id;

    assert!(!store.revoke_key(mine, key.id, at(2), None).await.unwrap());
    assert!(!store.delete_endpoint(mine, own.endpoint.id, at(2), None).await.unwrap());
    let claimed_mine = Endpoint { org_id: mine, ..own.endpoint.clone() };
    let refused = store.update_endpoint(claimed_mine.clone(), claimed_mine.clone(), Terms::default()).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    assert_eq!(store.retry_now(mine, delivery, at(2), None).await.unwrap(), None);
    assert_eq!(store.cancel(mine, delivery, at(2), None).await.unwrap(), None);
    for what in [
        ReplayWhat::Delivery(delivery),
        ReplayWhat::Event(own.event),
        ReplayWhat::Window { endpoint_id: own.endpoint.id, since: at(0), until: at(99), state: None, limit: 9 },
    ] {
        let replay = Replay { org_id: mine, what, now: at(2), delivery_ids: world.ids() };
        assert_eq!(fresh(store.replay(replay, Terms::default()).await.unwrap()), []);
    }
    // An event of mine is not routed to an endpoint of theirs, even addressed to it; nor is it about their project.
    let mut event = world.event(EventType::ScanStarted, "{}", 2);
    event.only = Some(own.endpoint.id);
    let accepted = fresh(store.accept(world.acceptance(mine, vec![event.clone()], 2), None).await.unwrap());
    assert_eq!(accepted[0].deliveries, []);
    let event = NewEvent { project_id: Some(own.project.id), ..world.event(EventType::ScanStarted, "{}", 2) };
    let refused = store.accept(world.acceptance(mine, vec![event], 2), None).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");

    let claim = |org_id: OrgId, endpoint_id: EndpointId| Claim { org_id, endpoint_id, limit: 9, retries: u32::MAX };
    assert!(store.claim(vec![claim(mine, own.endpoint.id)], at(2), LEASE).await.unwrap().is_empty());
    assert_eq!(store.event(theirs, own.event).await.unwrap().unwrap(), before);

    let taken = world.take(&own.endpoint, 2).await;
    for next in [Next::Delivered, retry(at(9))] {
        let settlement = world.settlement(&own.endpoint, &taken, next, 3);
        let refused = world.settle_one(Settlement { org_id: mine, ..settlement }).await;
        assert_eq!(refused, Err(StoreError::LeaseLost));
    }
    // An expired claim of theirs is not taken back by a claim of mine.
    assert!(store.claim(vec![claim(mine, own.endpoint.id)], at(99), LEASE).await.unwrap().is_empty());
    world.settle(&own.endpoint, &taken, Next::Delivered, 99).await;

    let scan = Scan { id: ScanId(world.uuid(5)), org_id: mine, ..own.scan.clone() };
    let acceptance = world.acceptance(mine, Vec::new(), 5);
    let outcome = world.outcome(&own.project, vec![own.finding.clone()], 5);
    let outcome = ScanOutcome { scan, seen_version: 1, acceptance, ..outcome };
    let refused = store.apply_scan(outcome, None).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    let judged = super::findings::judged(&world, &own.project, &own.finding, 5);
    let acceptance = world.acceptance(mine, Vec::new(), 5);
    let refused = store.judge(FindingJudgement { acceptance, ..judged }, Terms::default()).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    assert_eq!(store.finding(theirs, own.finding.id).await.unwrap(), Some(own.finding));
    assert_eq!(world.load(&own.endpoint).await, own.endpoint);
}

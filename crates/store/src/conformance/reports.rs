//! What teams and tools report: completed lessons, announced scans; and the event types that they define.

use serde_json::json;
use watchbell_domain::custom_type::{TYPES_MAX, TypeDefinition};
use watchbell_domain::id::{EventId, OrgId, ScanId, TrainingId};
use watchbell_domain::port::{EventFilter, PageRequest, StoreError, Terms, Written};
use watchbell_domain::scan_run::{RunState, ScanRun};
use watchbell_domain::training::{Lesson, Training, User};
use watchbell_wire::EventType;

use super::World;
use super::world::{at, first, fresh, once, terms};

fn training(world: &World, org: OrgId, seconds: i64) -> Training {
    Training {
        id: TrainingId(world.uuid(seconds)),
        org_id: org,
        user: User { email: "ada@example.com".into(), name: None },
        lesson: Lesson { name: "Unencrypted S3 bucket".into(), id: Some("s3".into()) },
        score: -3,
        started_at: at(seconds - 60),
        completed_at: at(seconds),
        created_at: at(seconds),
    }
}

async fn add(world: &World, training: &Training) -> Result<Written<Training>, StoreError> {
    let told = world.acceptance(training.org_id, vec![training.event(EventId(world.uuid(0)))], 0);
    world.store.add_training(training.clone(), told, None).await
}

async fn told(world: &World, org: OrgId) -> Vec<String> {
    let events = world.store.events(org, EventFilter::default(), first(99)).await.unwrap().items;
    events.into_iter().rev().map(|event| event.event.event_type.to_string()).collect()
}

/// Reported once or often, a lesson is there and told once.
pub async fn lessons_are_told_once(world: World) {
    let (org, other) = (world.org("acme").await, world.org("other").await);
    let trainings: Vec<Training> = (0..3).map(|index| training(&world, org, index)).collect();
    for training in &trainings {
        assert_eq!(fresh(add(&world, training).await.unwrap()), *training);
    }
    let again = Training { created_at: at(50), ..trainings[0].clone() };
    assert_eq!(fresh(add(&world, &again).await.unwrap()), trainings[0]);
    let otherwise = Training { score: 5, ..again };
    assert!(matches!(add(&world, &otherwise).await, Err(StoreError::Conflict(_))));
    assert_eq!(told(&world, org).await, ["training.completed"; 3]);
    assert_eq!(world.store.training(org, trainings[1].id).await.unwrap(), Some(trainings[1].clone()));
    assert_eq!(world.store.training(other, trainings[1].id).await.unwrap(), None);
    // The same id elsewhere is another lesson.
    let theirs = Training { org_id: other, ..otherwise };
    assert_eq!(fresh(add(&world, &theirs).await.unwrap()), theirs);
    let page = world.store.trainings(org, first(2)).await.unwrap();
    assert_eq!((page.items, page.more), (vec![trainings[2].clone(), trainings[1].clone()], true));
}

/// The newest first, whatever ids their reporters gave them.
pub async fn lessons_are_listed_by_time(world: World) {
    let org = world.org("acme").await;
    let mut made = Vec::new();
    for (seconds, number) in [(1, 0xf), (2, 0x1), (3, 0xa), (3, 0xb), (4, 0x2)] {
        let id = TrainingId(uuid::Uuid::from_u128(number));
        let training = Training { id, ..training(&world, org, seconds) };
        assert_eq!(fresh(add(&world, &training).await.unwrap()), training);
        made.insert(0, training);
    }
    let mut listed = Vec::new();
    loop {
        let before = listed.last().map(|training: &Training| training.id.0);
        let page = world.store.trainings(org, PageRequest { before, limit: 2 }).await.unwrap();
        listed.extend(page.items);
        if !page.more {
            break;
        }
    }
    assert_eq!(listed, made);
}

/// Announced, a scan ends once, as completed or failed.
pub async fn announced_scans_end_once(world: World) {
    let other = world.org("other").await;
    for (slug, ended) in [
        ("one", RunState::Completed { at: at(5), threats_found: 2 }),
        ("two", RunState::Failed { at: at(6), error: "cut off".to_owned() }),
    ] {
        let org = world.org(slug).await;
        let project = world.project(org, "api").await;
        let event = |event_type, seconds| {
            let event = world.event(event_type, "{\"scan_id\":\"x\"}", seconds);
            world.acceptance(org, vec![event], seconds)
        };
        let run = ScanRun {
            id: ScanId(world.uuid(1)),
            org_id: org,
            project_id: project.id,
            tool: Some("clamav".into()),
            started_at: at(1),
            state: RunState::InProgress,
        };
        fresh(world.store.start_scan(run.clone(), event(EventType::ScanStarted, 1), once("k", 1)).await.unwrap());
        let again = world.store.start_scan(run.clone(), event(EventType::ScanStarted, 1), None).await;
        assert!(matches!(again, Err(StoreError::Conflict(_))), "{again:?}");
        assert_eq!(world.store.scan_run(org, run.id).await.unwrap(), Some(run.clone()));
        assert_eq!(world.store.scan_run(other, run.id).await.unwrap(), None);
        let run = ScanRun { state: ended, ..run };
        fresh(world.store.end_scan(run.clone(), event(EventType::ScanCompleted, 5), None).await.unwrap());
        let again = world.store.end_scan(run.clone(), event(EventType::ScanFailed, 6), None).await;
        assert!(matches!(again, Err(StoreError::Conflict(_))), "{again:?}");
        assert_eq!(world.store.scan_run(org, run.id).await.unwrap(), Some(run));
        assert_eq!(told(&world, org).await, ["scan.started", "scan.completed"]);
    }
}

/// Defined, changed in turn, deleted; of one organisation alone.
pub async fn types_are_defined(world: World) {
    let (org, other) = (world.org("acme").await, world.org("other").await);
    let definition = |name: &str| TypeDefinition {
        org_id: org,
        name: name.parse().unwrap(),
        description: "A build ended.".into(),
        schema: Some(json!({"type": "object", "required": ["build"]})),
        example: Some(json!({"build": 7})),
        version: 0,
        created_at: at(1),
        updated_at: at(1),
    };
    let (build, deploy) = (definition("acme.build_done"), definition("acme.deployed"));
    fresh(world.store.create_type(deploy.clone(), Terms::default()).await.unwrap());
    fresh(world.store.create_type(build.clone(), terms("k", 1)).await.unwrap());
    let again = world.store.create_type(build.clone(), Terms::default()).await;
    assert!(matches!(again, Err(StoreError::Conflict(_))), "{again:?}");
    assert_eq!(world.store.types(org).await.unwrap(), [build.clone(), deploy.clone()]);
    assert_eq!(world.store.types(other).await.unwrap(), []);
    let changed = TypeDefinition { schema: None, example: None, version: 1, updated_at: at(2), ..build.clone() };
    fresh(world.store.update_type(0, changed.clone(), Terms::default()).await.unwrap());
    let late = world.store.update_type(0, build, Terms::default()).await;
    assert!(matches!(late, Err(StoreError::Conflict(_))), "{late:?}");
    assert_eq!(world.store.types(org).await.unwrap(), [changed.clone(), deploy.clone()]);
    assert!(!world.store.delete_type(other, changed.name.clone(), None).await.unwrap());
    assert!(world.store.delete_type(org, changed.name.clone(), None).await.unwrap());
    assert!(!world.store.delete_type(org, changed.name, None).await.unwrap());
    for index in 1..TYPES_MAX {
        fresh(world.store.create_type(definition(&format!("acme.type_{index}")), Terms::default()).await.unwrap());
    }
    let full = world.store.create_type(definition("acme.one_more"), Terms::default()).await;
    assert!(matches!(full, Err(StoreError::Conflict(_))), "{full:?}");
}

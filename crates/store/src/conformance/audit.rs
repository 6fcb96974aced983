//! The audit log: written with the change, in a chain, and never otherwise.

use serde_json::json;
use watchbell_domain::audit::{Action, Chain, Deed, Entry, Head};
use watchbell_domain::id::{EndpointId, OrgId};
use watchbell_domain::port::{AuditFilter, EndpointCreation, PageRequest, StoreError, Terms, Written};

use super::World;
use super::world::{at, fresh, once};

fn deed(action: Action, subject: &str, second: i64) -> Deed {
    Deed::of_system("test", action, subject, at(second)).with(json!({"second": second}))
}

/// Every entry, checked on the way.
async fn walk(world: &World, chain: Chain) -> Vec<Entry> {
    let mut head = world.store.audit_checkpoint(chain).await.unwrap();
    let mut all = Vec::new();
    loop {
        let entries = world.store.audit_behind(chain, head.number, 2).await.unwrap();
        if entries.is_empty() {
            return all;
        }
        for entry in entries {
            entry.follows(head, chain).unwrap();
            head = entry.head();
            all.push(entry);
        }
    }
}

fn actions(entries: &[Entry]) -> Vec<String> {
    entries.iter().map(|entry| entry.json()["action"].as_str().unwrap().to_owned()).collect()
}

/// What was done is there, in its own chain and in order; what failed, was repeated or changed nothing is not.
pub async fn tells_what_was_done(world: World) {
    let org = world.org("acme").await;
    let other = world.org("other").await;
    let endpoint = world.new_endpoint(org);
    let creation = EndpointCreation { endpoint: endpoint.clone(), greeting: None };
    let terms = Terms { once: once("key", 1), deed: Some(deed(Action::EndpointCreate, "ep", 1)) };
    fresh(world.store.create_endpoint(creation.clone(), terms.clone()).await.unwrap());
    let again = world.store.create_endpoint(creation.clone(), terms.clone()).await.unwrap();
    assert!(matches!(again, Written::Repeated(_)));
    let unkeyed = Terms { once: None, ..terms };
    assert!(matches!(world.store.create_endpoint(creation, unkeyed).await, Err(StoreError::Conflict(_))));
    let gone = deed(Action::EndpointDelete, "ep", 2);
    let unknown = EndpointId(world.uuid(5));
    assert!(!world.store.delete_endpoint(org, unknown, at(2), Some(gone.clone())).await.unwrap());
    assert!(world.store.delete_endpoint(org, endpoint.id, at(3), Some(gone)).await.unwrap());

    let entries = walk(&world, Chain::Org(org)).await;
    assert_eq!(actions(&entries), ["endpoint.create", "endpoint.delete"]);
    assert_eq!(entries[0].json()["detail"], json!({"second": 1}));
    assert_eq!(walk(&world, Chain::Org(other)).await, []);
    assert_eq!(walk(&world, Chain::Operator).await, []);
}

/// By whom, what, about what and when; newest first, in pages.
pub async fn found_by_filter_and_page(world: World) {
    let org = world.org("acme").await;
    let chain = Chain::Org(org);
    noted(&world, org, 6).await;
    let list = |filter: AuditFilter, page: PageRequest| world.store.audit(chain, filter, page);
    let all = PageRequest { before: None, limit: 10 };
    let numbers = |entries: &[Entry]| entries.iter().map(|entry| entry.number).collect::<Vec<_>>();

    let first = list(AuditFilter::default(), PageRequest { before: None, limit: 4 }).await.unwrap();
    assert_eq!((numbers(&first.items), first.more), (vec![6, 5, 4, 3], true));
    let rest = PageRequest { before: Some(uuid::Uuid::from_u128(3)), limit: 4 };
    let rest = list(AuditFilter::default(), rest).await.unwrap();
    assert_eq!((numbers(&rest.items), rest.more), (vec![2, 1], false));

    let only = |filter: AuditFilter| async { numbers(&list(filter, all).await.unwrap().items) };
    assert_eq!(only(AuditFilter { subject: Some("s2".into()), ..AuditFilter::default() }).await, [2]);
    assert_eq!(only(AuditFilter { actor: Some("test".into()), ..AuditFilter::default() }).await.len(), 6);
    assert_eq!(only(AuditFilter { actor: Some("nobody".into()), ..AuditFilter::default() }).await, Vec::<u64>::new());
    assert_eq!(only(AuditFilter { action: Some("project.create".into()), ..AuditFilter::default() }).await, [5, 3, 1]);
    assert_eq!(only(AuditFilter { action: Some("key.".into()), ..AuditFilter::default() }).await, [6, 4, 2]);
    assert_eq!(only(AuditFilter { action: Some("*.".into()), ..AuditFilter::default() }).await, Vec::<u64>::new());
    let window = AuditFilter { since: Some(at(2)), until: Some(at(4)), ..AuditFilter::default() };
    assert_eq!(only(window).await, [3, 2]);
}

/// What is old goes, from the beginning; the chain still holds behind it, and its head stays.
pub async fn old_entries_leave_a_checkpoint(world: World) {
    let org = world.org("acme").await;
    let chain = Chain::Org(org);
    noted(&world, org, 6).await;
    let before = walk(&world, chain).await;
    assert_eq!(world.store.forget_audit(at(4), 2).await.unwrap(), 2, "not more than asked");
    assert_eq!(world.store.forget_audit(at(4), 10).await.unwrap(), 1);
    assert_eq!(world.store.forget_audit(at(4), 10).await.unwrap(), 0);
    assert_eq!(world.store.audit_checkpoint(chain).await.unwrap(), before[2].head());
    assert_eq!(walk(&world, chain).await, before[3..]);
    assert_eq!(world.store.forget_audit(at(1000), 10).await.unwrap(), 2, "the last one stays");
    noted(&world, org, 1).await;
    let after = walk(&world, chain).await;
    assert_eq!(after.iter().map(|entry| entry.number).collect::<Vec<_>>(), [6, 7]);
    assert_eq!(world.store.audit_checkpoint(Chain::Operator).await.unwrap(), Head::START);
}

/// Entries 1 … n of an organisation, one a second: projects and keys made in turn.
async fn noted(world: &World, org: OrgId, count: i64) {
    for second in 1..=count {
        let subject = format!("s{second}");
        if second % 2 == 1 {
            let project = world.new_project(org, &format!("p{}", world.uuid(second)));
            let terms = deed(Action::ProjectCreate, &subject, second).into();
            fresh(world.store.create_project(project, terms).await.unwrap());
        } else {
            let key = world.key(Some(org), &format!("wb_{}", world.uuid(second)));
            fresh(world.store.create_key(org, key, deed(Action::KeyCreate, &subject, second).into()).await.unwrap());
        }
    }
}

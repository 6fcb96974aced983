//! Organisations and keys.

use watchbell_domain::access::{KeyHash, Scope};
use watchbell_domain::id::{KeyId, OrgId};
use watchbell_domain::org::Org;
use watchbell_domain::port::{PageRequest, StoreError, Terms};

use super::World;
use super::world::{at, first, fresh};

/// What was stored comes back.
pub async fn found_by_id_and_slug(world: World) {
    let id = world.org("acme").await;
    let org = world.store.org(id).await.unwrap().unwrap();
    assert_eq!(org, Org { id, slug: "acme".into(), name: "ACME".into(), weight: 1, created_at: at(0) });
    assert_eq!(world.store.org_by_slug("acme".into()).await.unwrap(), Some(org));
    assert_eq!(world.store.org_by_slug("ACME".into()).await.unwrap(), None);
    assert_eq!(world.store.org(OrgId(world.uuid(0))).await.unwrap(), None);
}

/// A slug belongs to one.
pub async fn slugs_are_unique(world: World) {
    world.org("acme").await;
    let again =
        Org { id: OrgId(world.uuid(1)), slug: "acme".into(), name: "other".into(), weight: 1, created_at: at(1) };
    let refused = world.store.create_org(again.clone(), Terms::default()).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    assert_eq!(world.store.org(again.id).await.unwrap(), None);
}

/// Newest first, every entry once.
pub async fn listed_in_pages(world: World) {
    let mut made = Vec::new();
    for second in 0..7 {
        let id = OrgId(world.uuid(second));
        let org = Org { id, slug: format!("org-{second}"), name: String::new(), weight: 1, created_at: at(second) };
        fresh(world.store.create_org(org, Terms::default()).await.unwrap());
        made.insert(0, id);
    }
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page = world.store.orgs(PageRequest { before, limit: 3 }).await.unwrap();
        before = page.items.last().map(|org| org.id.0);
        seen.extend(page.items.into_iter().map(|org| org.id));
        if !page.more {
            break;
        }
    }
    assert_eq!(seen, made);
    assert!(!world.store.orgs(first(7)).await.unwrap().more);
}

/// Keys are found by hash whatever their state, and revoked once.
pub async fn keys_live_and_die(world: World) {
    let org = world.org("acme").await;
    let key = world.key(Some(org), "wb_secret");
    fresh(world.store.create_key(org, key.clone(), Terms::default()).await.unwrap());
    assert_eq!(world.store.key_by_hash(KeyHash::of("wb_secret")).await.unwrap(), Some(key.clone()));
    assert_eq!(world.store.key_by_hash(KeyHash::of("wb_other")).await.unwrap(), None);
    assert_eq!(world.store.keys(org, first(10)).await.unwrap().items, std::slice::from_ref(&key));

    assert!(world.store.revoke_key(org, key.id, at(5), None).await.unwrap());
    assert!(world.store.revoke_key(org, key.id, at(9), None).await.unwrap());
    let revoked = world.store.key_by_hash(key.hash).await.unwrap().unwrap();
    assert_eq!(revoked.revoked_at, Some(at(5)), "when it was revoked does not move");
    assert!(!world.store.revoke_key(org, KeyId(world.uuid(0)), at(9), None).await.unwrap());

    let same = world.key(Some(org), "wb_secret");
    let refused = world.store.create_key(org, same, Terms::default()).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
}

/// There is one root key; setting another takes the first one's place.
pub async fn root_key_is_replaced(world: World) {
    let mut root = world.key(None, "first root");
    root.scopes = [Scope::Admin].into();
    root.expires_at = None;
    world.store.set_root_key(root.clone(), None).await.unwrap();
    world.store.set_root_key(root.clone(), None).await.unwrap();
    let found = world.store.key_by_hash(root.hash).await.unwrap().unwrap();
    assert_eq!(found, root);

    let mut other = world.key(None, "second root");
    other.scopes = [Scope::Admin].into();
    world.store.set_root_key(other.clone(), None).await.unwrap();
    assert_eq!(world.store.key_by_hash(root.hash).await.unwrap(), None, "the old key does not work any more");
    let found = world.store.key_by_hash(other.hash).await.unwrap().unwrap();
    assert_eq!((found.id, found.org_id), (root.id, None), "it is the same key with another hash");
}

/// What an organisation weighs is kept, and told of those that do not weigh 1.
pub async fn weights_are_set(world: World) {
    let (heavy, _light) = (world.org("heavy").await, world.org("light").await);
    assert_eq!(world.store.weights().await.unwrap(), []);
    assert!(fresh(world.store.set_weight(heavy, 7, at(1), Terms::default()).await.unwrap()));
    assert_eq!(world.store.weights().await.unwrap(), [(heavy, 7)]);
    assert_eq!(world.store.org(heavy).await.unwrap().unwrap().weight, 7);
    let nobody = OrgId(world.uuid(1));
    assert!(!fresh(world.store.set_weight(nobody, 7, at(1), Terms::default()).await.unwrap()));
    assert!(fresh(world.store.set_weight(heavy, 1, at(2), Terms::default()).await.unwrap()));
    assert_eq!(world.store.weights().await.unwrap(), []);
}

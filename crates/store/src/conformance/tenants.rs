//! Members, groups, and what a change of an organisation's state does.

use watchbell_domain::access::{ApiKey, KeyHash, Scope};
use watchbell_domain::audit::{Action, Chain, Deed};
use watchbell_domain::delivery::{CancelReason, DeliveryState, StateKind};
use watchbell_domain::endpoint::{DisabledReason, EndpointState};
use watchbell_domain::id::{GroupId, MemberId, OrgId};
use watchbell_domain::member::{Invitation, Member, Membership, Role};
use watchbell_domain::org::{Group, OrgState};
use watchbell_domain::port::{StoreError, Terms};
use watchbell_wire::EventType;

use super::World;
use super::world::{at, first, fresh, terms};

fn invited(world: &World, org: OrgId, email: &str, role: Role) -> Member {
    let invitation = Invitation { hash: KeyHash::of(email), expires_at: at(100) };
    Member {
        id: MemberId(world.uuid(1)),
        org_id: org,
        email: email.to_owned(),
        name: email.to_uppercase(),
        role,
        invitation: Some(invitation),
        created_at: at(1),
        joined_at: None,
    }
}

fn own_key(world: &World, member: &Member, text: &str) -> ApiKey {
    let membership = Membership { id: member.id, name: member.name.clone(), role: member.role };
    ApiKey { scopes: [Scope::Admin].into(), member: Some(membership), ..world.key(Some(member.org_id), text) }
}

async fn joined(world: &World, org: OrgId, email: &str, role: Role) -> Member {
    let member = invited(world, org, email, role);
    fresh(world.store.create_member(member.clone(), Terms::default()).await.unwrap());
    let key = own_key(world, &member, &format!("wb_{email}"));
    assert!(world.store.join(member.clone(), key, at(2), None).await.unwrap());
    world.store.member(org, member.id).await.unwrap().unwrap()
}

/// An invitation becomes a key once, and the key is the member's.
pub async fn invitations_are_taken_once(world: World) {
    let org = world.org("acme").await;
    let member = invited(&world, org, "ada@example.com", Role::Viewer);
    fresh(world.store.create_member(member.clone(), terms("k", 1)).await.unwrap());
    let same = Member { id: MemberId(world.uuid(2)), invitation: None, ..member.clone() };
    assert!(matches!(world.store.create_member(same, Terms::default()).await, Err(StoreError::Conflict(_))));
    let hash = KeyHash::of("ada@example.com");
    assert_eq!(world.store.member_by_invitation(hash).await.unwrap(), Some(member.clone()));

    let key = own_key(&world, &member, "wb_ada");
    assert!(world.store.join(member.clone(), key.clone(), at(5), None).await.unwrap());
    let second = own_key(&world, &member, "wb_eve");
    assert!(!world.store.join(member.clone(), second.clone(), at(6), None).await.unwrap(), "it is used up");
    assert_eq!(world.store.key_by_hash(second.hash).await.unwrap(), None);
    assert_eq!(world.store.member_by_invitation(hash).await.unwrap(), None);
    let now = world.store.member(org, member.id).await.unwrap().unwrap();
    assert_eq!((now.joined_at, now.invitation), (Some(at(5)), None));
    assert_eq!(world.store.key_by_hash(key.hash).await.unwrap(), Some(key));
}

/// A change of role is seen by the keys at once, and removing a member kills them.
pub async fn keys_follow_their_member(world: World) {
    let org = world.org("acme").await;
    joined(&world, org, "owner@example.com", Role::Owner).await;
    let member = joined(&world, org, "ada@example.com", Role::Editor).await;
    let hash = KeyHash::of("wb_ada@example.com");
    let role = async || world.store.key_by_hash(hash).await.unwrap().map(|key| key.member.unwrap().role);
    assert_eq!(role().await, Some(Role::Editor));
    let changed = Member { role: Role::Viewer, ..member.clone() };
    fresh(world.store.update_member(member.clone(), changed.clone(), at(5), Terms::default()).await.unwrap());
    assert_eq!(role().await, Some(Role::Viewer));
    let stale = world.store.update_member(member.clone(), changed, at(6), Terms::default()).await;
    assert!(matches!(stale, Err(StoreError::Conflict(_))), "{stale:?}");
    assert!(world.store.remove_member(org, member.id, at(7), None).await.unwrap());
    assert!(!world.store.remove_member(org, member.id, at(7), None).await.unwrap());
    assert_eq!(role().await, None);
    let listed = world.store.keys(org, first(10)).await.unwrap().items;
    assert_eq!(listed.iter().filter(|key| key.revoked_at == Some(at(7))).count(), 1);
}

/// An organisation that had an owner keeps one; whoever has not joined is none.
pub async fn the_last_owner_stays(world: World) {
    let org = world.org("acme").await;
    let owner = joined(&world, org, "a@example.com", Role::Owner).await;
    let waiting = invited(&world, org, "b@example.com", Role::Owner);
    fresh(world.store.create_member(waiting.clone(), Terms::default()).await.unwrap());
    let lesser = Member { role: Role::Editor, ..owner.clone() };
    for _ in 0..2 {
        let left = world.store.remove_member(org, owner.id, at(5), None).await;
        assert!(matches!(left, Err(StoreError::Conflict(_))), "{left:?}");
        let stepped_down = world.store.update_member(owner.clone(), lesser.clone(), at(5), Terms::default()).await;
        assert!(matches!(stepped_down, Err(StoreError::Conflict(_))), "{stepped_down:?}");
    }
    assert!(world.store.remove_member(org, waiting.id, at(5), None).await.unwrap(), "an invitation can be taken back");
    joined(&world, org, "c@example.com", Role::Owner).await;
    assert!(world.store.remove_member(org, owner.id, at(6), None).await.unwrap());
}

/// A group has organisations and keys, and goes only without the former.
pub async fn groups_hold_organisations(world: World) {
    let (one, two) = (world.org("one").await, world.org("two").await);
    let group = Group { id: GroupId(world.uuid(1)), name: "Group".into(), created_at: at(1) };
    fresh(world.store.create_group(group.clone(), Terms::default()).await.unwrap());
    let missing = GroupId(world.uuid(9));
    let refused = world.store.place_org(one, Some(missing), at(2), Terms::default()).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    assert!(fresh(world.store.place_org(one, Some(group.id), at(2), Terms::default()).await.unwrap()));
    assert!(!fresh(world.store.place_org(OrgId(world.uuid(3)), None, at(2), Terms::default()).await.unwrap()));
    assert_eq!(world.store.standing(one).await.unwrap().unwrap().group_id, Some(group.id));
    assert_eq!(world.store.standing(two).await.unwrap().unwrap().group_id, None);
    let orgs = world.store.orgs_of_group(group.id, first(9)).await.unwrap().items;
    assert_eq!(orgs.iter().map(|org| org.id).collect::<Vec<_>>(), [one]);

    let key = ApiKey { group_id: Some(group.id), ..world.key(None, "wb_group") };
    fresh(world.store.create_key(OrgId(uuid::Uuid::nil()), key.clone(), Terms::default()).await.unwrap());
    assert_eq!(world.store.key_by_hash(key.hash).await.unwrap(), Some(key.clone()));
    assert_eq!(world.store.group_keys(group.id, first(9)).await.unwrap().items, std::slice::from_ref(&key));
    assert!(matches!(world.store.delete_group(group.id, None).await, Err(StoreError::Conflict(_))));
    assert!(fresh(world.store.place_org(one, None, at(3), Terms::default()).await.unwrap()));
    assert!(world.store.delete_group(group.id, None).await.unwrap());
    assert!(!world.store.delete_group(group.id, None).await.unwrap());
    assert_eq!(world.store.key_by_hash(key.hash).await.unwrap(), None);
}

/// The states that any delivery is in.
async fn counted(world: &World, org: OrgId) -> Vec<(StateKind, u64)> {
    let counted = world.store.count_deliveries(org).await.unwrap();
    counted.into_iter().filter(|(_, count)| *count > 0).collect()
}

async fn settle(world: &World, org: OrgId) -> u32 {
    let mut steps = 0;
    while world.store.settle_org(org, 3, at(50)).await.unwrap() {
        steps += 1;
        assert!(steps < 1000, "it comes to no end");
    }
    steps
}

/// Suspended, an organisation's keys are dead and its deliveries held; active again, all is as it was.
pub async fn suspending_holds_and_kills_keys(world: World) {
    let (org, other) = (world.org("acme").await, world.org("other").await);
    let (endpoint, theirs) = (world.endpoint(org).await, world.endpoint(other).await);
    let key = world.key(Some(org), "wb_key");
    fresh(world.store.create_key(org, key.clone(), Terms::default()).await.unwrap());
    let event = world.event(EventType::ScanCompleted, "{}", 1);
    fresh(world.store.accept(world.acceptance(org, vec![event], 1), None).await.unwrap());
    let state = OrgState::Suspended { since: at(5) };
    let deed = Deed::of_system("test", Action::OrgSuspend, org, at(5));
    assert!(fresh(world.store.set_org_state(org, state, at(5), deed.into()).await.unwrap()));
    assert_eq!(world.store.key_by_hash(key.hash).await.unwrap(), None, "dead in the same commit");
    assert_eq!(world.store.unsettled_orgs().await.unwrap(), [org]);
    settle(&world, org).await;
    assert_eq!(world.store.unsettled_orgs().await.unwrap(), []);
    let now = world.store.endpoint(org, endpoint.id).await.unwrap().unwrap();
    assert_eq!(now.state, EndpointState::Disabled { since: at(5), reason: DisabledReason::OrgSuspended });
    assert_eq!(counted(&world, org).await, [(StateKind::Held, 1)]);
    assert_eq!(world.store.endpoint(other, theirs.id).await.unwrap().unwrap().state, EndpointState::Active);

    assert!(fresh(world.store.set_org_state(org, OrgState::Active, at(9), Terms::default()).await.unwrap()));
    settle(&world, org).await;
    assert!(world.store.key_by_hash(key.hash).await.unwrap().is_some());
    assert_eq!(world.store.endpoint(org, endpoint.id).await.unwrap().unwrap().state, EndpointState::Active);
    assert_eq!(counted(&world, org).await, [(StateKind::Pending, 1)]);
}

/// Deleted in steps: first what it could still do, then what it had. Its audit log stays, others lose nothing.
pub async fn deleting_leaves_nothing_but_the_audit_log(world: World) {
    let (org, other) = (world.org("acme").await, world.org("other").await);
    for owner in [org, other] {
        let endpoint = world.endpoint(owner).await;
        world.endpoint(owner).await;
        let project = world.project(owner, "api").await;
        let deed = Deed::of_system("test", Action::KeyCreate, "key", at(1));
        let key = world.key(Some(owner), &format!("wb_{owner}"));
        fresh(
            world
                .store
                .create_key(owner, key, Terms { once: super::world::once("k", 1), deed: Some(deed) })
                .await
                .unwrap(),
        );
        joined(&world, owner, &format!("ada@{owner}"), Role::Owner).await;
        let mut events = Vec::new();
        for second in 1..6 {
            let mut event = world.event(EventType::ScanCompleted, "{}", second);
            event.project_id = Some(project.id);
            events.push(event);
        }
        fresh(world.store.accept(world.acceptance(owner, events, 1), None).await.unwrap());
        assert!(!world.claim(&endpoint, 2, 10).await.deliveries.is_empty());
    }
    let before = world.store.count_deliveries(other).await.unwrap();
    let state = OrgState::Deleting { since: at(5) };
    assert!(fresh(world.store.set_org_state(org, state, at(5), Terms::default()).await.unwrap()));
    let back = world.store.set_org_state(org, OrgState::Active, at(6), Terms::default()).await;
    assert!(matches!(back, Err(StoreError::Conflict(_))), "{back:?}");
    assert!(world.store.key_by_hash(KeyHash::of(&format!("wb_{org}"))).await.unwrap().is_none());
    // The first steps take what it could still do.
    assert!(world.store.settle_org(org, 3, at(50)).await.unwrap());
    assert_eq!(world.store.endpoints(org, first(9)).await.unwrap().items, []);
    let filter = watchbell_domain::port::DeliveryFilter::default();
    for (delivery, _) in world.store.deliveries(org, filter, first(99)).await.unwrap().items {
        let is_over = matches!(
            delivery.state,
            DeliveryState::Cancelled { reason: CancelReason::EndpointDeleted, .. } | DeliveryState::Sending { .. }
        );
        assert!(is_over, "{delivery:?}");
    }
    let mut steps = 0;
    while world.store.settle_org(org, 3, at(5000)).await.unwrap() {
        steps += 1;
        assert!(steps < 200, "it comes to no end");
    }
    assert!(steps > 5, "in small steps");
    assert_eq!(world.store.org(org).await.unwrap(), None);
    assert_eq!(world.store.unsettled_orgs().await.unwrap(), []);
    assert_eq!(counted(&world, org).await, []);
    assert_eq!(world.store.members(org, first(9)).await.unwrap().items, []);
    assert_eq!(world.store.audit_behind(Chain::Org(org), 0, 9).await.unwrap().len(), 1, "the log outlives it");
    let last = world.store.audit_behind(Chain::Operator, 0, 9).await.unwrap();
    assert_eq!(last.last().unwrap().json()["action"], "org.removed");
    assert_eq!(last.last().unwrap().json()["detail"]["audit"]["number"], 1);

    assert_eq!(world.store.count_deliveries(other).await.unwrap(), before);
    assert_eq!(world.store.endpoints(other, first(9)).await.unwrap().items.len(), 2);
    assert_eq!(world.store.members(other, first(9)).await.unwrap().items.len(), 1);
}

/// Another name, if it is free.
pub async fn renamed(world: World) {
    let id = world.org("acme").await;
    world.org("other").await;
    let seen = world.store.org(id).await.unwrap().unwrap();
    let mut changed = seen.clone();
    (changed.slug, changed.name) = ("other".into(), "New".into());
    let taken = world.store.update_org(seen.clone(), changed.clone(), at(2), Terms::default()).await;
    assert!(matches!(taken, Err(StoreError::Conflict(_))), "{taken:?}");
    changed.slug = "new".into();
    fresh(world.store.update_org(seen.clone(), changed.clone(), at(2), Terms::default()).await.unwrap());
    assert_eq!(world.store.org_by_slug("new".into()).await.unwrap(), Some(changed.clone()));
    let stale = world.store.update_org(seen, changed, at(3), Terms::default()).await;
    assert!(matches!(stale, Err(StoreError::Conflict(_))), "{stale:?}");
}

/// A key ends when its successor has had time to take its place; when it is used is remembered.
pub async fn keys_are_rotated_and_their_use_remembered(world: World) {
    let org = world.org("acme").await;
    let old = ApiKey { expires_at: None, ..world.key(Some(org), "wb_old") };
    fresh(world.store.create_key(org, old.clone(), Terms::default()).await.unwrap());
    let new = ApiKey { expires_at: None, ..world.key(Some(org), "wb_new") };
    assert!(fresh(world.store.rotate_key(old.id, at(60), new.clone(), Terms::default()).await.unwrap()));
    let found = world.store.key_by_hash(old.hash).await.unwrap().unwrap();
    assert_eq!(found.expires_at, Some(at(60)));
    assert_eq!(world.store.key_by_hash(new.hash).await.unwrap(), Some(new.clone()));
    assert!(world.store.revoke_key(org, new.id, at(70), None).await.unwrap());
    let third = world.key(Some(org), "wb_third");
    assert!(!fresh(world.store.rotate_key(new.id, at(80), third.clone(), Terms::default()).await.unwrap()));
    assert_eq!(world.store.key_by_hash(third.hash).await.unwrap(), None);

    world.store.touch_key(old.id, at(30)).await.unwrap();
    world.store.touch_key(old.id, at(20)).await.unwrap();
    let found = world.store.key_by_hash(old.hash).await.unwrap().unwrap();
    assert_eq!(found.last_used_at, Some(at(30)), "it does not go back");
}

//! Operators: they make, change, pause and delete endpoints, and hurry, cancel and replay deliveries.
//!
//! What was not answered, because the process died, is done again from the state that was found.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use jiff::{SignedDuration, Timestamp};
use watchbell_domain::delivery::{Delivery, StateKind};
use watchbell_domain::endpoint::{Endpoint, EndpointPolicy, Order};
use watchbell_domain::id::{DeliveryId, EndpointId};
use watchbell_domain::org::{Org, Project};
use watchbell_domain::port::{
    Clock, DeliveryStore, EndpointCreation, EndpointStore, OrgStore, ProjectStore, ReplayWhat, StoreError, Terms,
    Written,
};
use watchbell_engine::admin::endpoint::{self, Change, Given, Spec};
use watchbell_engine::admin::replay;
use watchbell_wire::Secret;

use crate::chance::Chance;
use crate::net::pause;
use crate::node::{Node, egress};
use crate::plan::Deed;
use crate::world::World;

/// Times a deed is tried in one life before the operator gives up on it.
const TRIES: u32 = 20;

/// Does what is planned, from where it stood when the process before died.
pub(crate) async fn run(world: Arc<World>, node: Arc<Node>, mut chance: Chance) {
    loop {
        let next = world.progress().deeds;
        let Some((at, deed)) = world.plan.deeds.get(next).copied() else { return };
        let wait = at - world.clock.virtual_now();
        pause(&world.clock, wait.max(SignedDuration::ZERO)).await;
        // Nothing works without the first ones.
        let is_needed = matches!(deed, Deed::MakeOrg { .. }) || at == SignedDuration::ZERO;
        let mut tries = 0;
        while !node.open.load(Ordering::Relaxed) || !attempt(&world, &node, deed, &mut chance).await {
            tries += 1;
            if tries > TRIES && !is_needed {
                break;
            }
            pause(&world.clock, chance.millis(500, 5_000)).await;
        }
        world.progress().deeds = next + 1;
    }
}

/// `true`: done, or there is nothing to do.
async fn attempt(world: &World, node: &Node, deed: Deed, chance: &mut Chance) -> bool {
    let now = world.clock.virtual_now();
    world.history.tell(now, format!("operator: {deed:?}"));
    let done = act(world, node, deed, chance).await;
    if world.faults.is_dead() {
        // Nobody heard of it; what is true is read at the next start.
        return false;
    }
    match done {
        Ok(()) => true,
        Err(error) => {
            world.history.tell(now, format!("operator: {error}"));
            false
        }
    }
}

async fn act(world: &World, node: &Node, deed: Deed, chance: &mut Chance) -> Result<(), StoreError> {
    match deed {
        Deed::MakeOrg { org } => make_org(world, node, org).await,
        Deed::MakeEndpoint { org, number, id } => make_endpoint(world, node, org, number, id).await,
        Deed::Pause { org } => change(world, node, org, chance, |seen, node, _| with_state(seen, node, true)).await,
        Deed::Resume { org } => change(world, node, org, chance, |seen, node, _| with_state(seen, node, false)).await,
        Deed::Move { org, number } => {
            change(world, node, org, chance, |seen, node, _| moved(world, seen, node, number)).await
        }
        Deed::Rotate { org } => change(world, node, org, chance, |seen, node, _| rotated(world, seen, node)).await,
        Deed::Policy { org } => {
            change(world, node, org, chance, |seen, node, chance| {
                let policy = Change { policy: Some(policy(chance)), ..Change::default() };
                changed(seen, node, policy)
            })
            .await
        }
        Deed::Filter { org } => {
            change(world, node, org, chance, |seen, node, chance| {
                let events = events(chance);
                changed(seen, node, Change { events: Some(events), ..Change::default() })
            })
            .await
        }
        Deed::Delete { org } => delete(world, node, org, chance).await,
        Deed::Hurry { org } => one_waiting(world, node, org, true, chance).await,
        Deed::Cancel { org } => one_waiting(world, node, org, false, chance).await,
        Deed::ReplayDelivery { org } => replayed(world, node, org, chance, |old, _| ReplayWhat::Delivery(old.id)).await,
        Deed::ReplayEvent { org } => replayed(world, node, org, chance, |old, _| ReplayWhat::Event(old.event_id)).await,
        Deed::ReplayWindow { org } => replayed(world, node, org, chance, window).await,
    }
}

async fn make_org(world: &World, node: &Node, org: usize) -> Result<(), StoreError> {
    let slug = format!("org-{org}");
    let made = Org { id: world.plan.orgs[org], name: slug.clone(), slug, weight: 1, created_at: node.clock.now() };
    match node.store.create_org(made, Terms::default()).await {
        // It had been made, and the answer was lost.
        Ok(_) | Err(StoreError::Conflict(_)) => {}
        Err(error) => return Err(error),
    }
    for id in world.plan.projects[org] {
        let project = Project {
            id,
            org_id: world.plan.orgs[org],
            name: id.to_string(),
            created_at: node.clock.now(),
            version: 0,
            last_scan_at: None,
            owner: None,
            labels: std::collections::BTreeMap::new(),
        };
        match node.store.create_project(project, Terms::default()).await {
            Ok(_) | Err(StoreError::Conflict(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn address(org: usize, number: u8) -> IpAddr {
    Ipv4Addr::new(10, u8::try_from(org).unwrap(), number, 1).into()
}

fn policy(chance: &mut Chance) -> EndpointPolicy {
    let seconds = |all: &[i64]| Some(all.iter().copied().map(SignedDuration::from_secs).collect());
    let mut policy = EndpointPolicy {
        retry_schedule: match chance.within(0, 3) {
            0 => seconds(&[0, 1, 1]),
            1 => seconds(&[5, 30, 120]),
            _ => None,
        },
        max_in_flight: chance.pick(&[None, None, Some(1), Some(3)]),
        order: chance.pick(&[Order::Any, Order::Any, Order::Endpoint, Order::Project, Order::Project]),
        ..EndpointPolicy::default()
    };
    policy.timeout = chance.pick(&[None, Some(SignedDuration::from_secs(2))]);
    policy
}

fn events(chance: &mut Chance) -> Option<Vec<String>> {
    let created = "vulnerability.created".to_owned();
    match chance.within(0, 3) {
        0 => Some(vec![created]),
        _ => None,
    }
}

async fn make_endpoint(world: &World, node: &Node, org: usize, number: u8, id: EndpointId) -> Result<(), StoreError> {
    // The same again where the answer was lost.
    let chance = &mut Chance::new(id.0.as_u64_pair().0);
    let dialect = chance.pick(&["standard", "standard", "standard", "aegis", "symbiotic"]);
    let secret = (dialect == "symbiotic").then(|| Secret::new("5ec2e7".repeat(11)));
    let spec = Spec {
        url: format!("http://{}/hook", address(org, number)),
        dialect: dialect.to_owned(),
        events: events(chance),
        credential: Given { secret, bearer_token: None },
        policy: policy(chance),
        ..Spec::default()
    };
    let made = endpoint::create(world.plan.orgs[org], spec, &egress(), node.clock.now(), &*node.entropy).unwrap();
    let endpoint = Endpoint { id, ..made.endpoint };
    world.net.add(address(org, number), endpoint.org_id, id, endpoint.dialect, made.secret.unwrap());
    let changing = Changing::begin(world, id);
    let creation = EndpointCreation { endpoint, greeting: None };
    let done = match node.store.create_endpoint(creation, Terms::default()).await {
        Ok(_) | Err(StoreError::Conflict(_)) => Ok(()),
        Err(error) => Err(error),
    };
    changing.end(node).await;
    done
}

/// One of the organisation's endpoints.
async fn some_endpoint(world: &World, node: &Node, org: usize, chance: &mut Chance) -> Option<Endpoint> {
    let mut all = node.endpoints(world.plan.orgs[org]).await.ok()?;
    match all.len() {
        0 => None,
        length => Some(all.swap_remove(chance.index(length))),
    }
}

async fn change(
    world: &World,
    node: &Node,
    org: usize,
    chance: &mut Chance,
    how: impl FnOnce(&Endpoint, &Node, &mut Chance) -> Option<Endpoint>,
) -> Result<(), StoreError> {
    let Some(seen) = some_endpoint(world, node, org, chance).await else { return Ok(()) };
    let Some(changed) = how(&seen, node, chance) else { return Ok(()) };
    let id = seen.id;
    let changing = Changing::begin(world, id);
    let written = node.store.update_endpoint(seen, changed, Terms::default()).await;
    changing.end(node).await;
    match written {
        // Another change came first, such as the endpoint's own 410.
        Ok(Written::Fresh(()) | Written::Repeated(_) | Written::KeyReused) | Err(StoreError::Conflict(_)) => {
            node.wake.wake(world.plan.orgs[org], [id]);
            Ok(())
        }
        Err(error) => Err(error),
    }
}

fn with_state(seen: &Endpoint, node: &Node, paused: bool) -> Option<Endpoint> {
    endpoint::with_state(seen, paused, node.clock.now())
}

fn changed(seen: &Endpoint, node: &Node, change: Change) -> Option<Endpoint> {
    endpoint::change(seen, change, &egress(), node.clock.now(), &*node.entropy).ok().map(|made| made.endpoint)
}

/// Onto another machine, with another secret where we make them.
fn moved(world: &World, seen: &Endpoint, node: &Node, number: u8) -> Option<Endpoint> {
    let org = world.plan.orgs.iter().position(|org| *org == seen.org_id)?;
    let address = address(org, number);
    if world.net.at(address).is_some_and(|host| host.endpoint != seen.id) {
        return None;
    }
    let change = Change { url: Some(format!("http://{address}/moved")), rotate_secret: true, ..Change::default() };
    let made = endpoint::change(seen, change, &egress(), node.clock.now(), &*node.entropy).ok()?;
    world.net.add(address, seen.org_id, seen.id, seen.dialect, made.secret?);
    Some(made.endpoint)
}

fn rotated(world: &World, seen: &Endpoint, node: &Node) -> Option<Endpoint> {
    let overlap = SignedDuration::from_hours(1);
    let made = endpoint::rotate_secret(seen, Given::default(), overlap, node.clock.now(), &*node.entropy).ok()?;
    let secret = made.secret?;
    world.net.of(seen.id).iter().for_each(|host| host.add_secret(secret.clone()));
    Some(made.endpoint)
}

async fn delete(world: &World, node: &Node, org: usize, chance: &mut Chance) -> Result<(), StoreError> {
    let Some(seen) = some_endpoint(world, node, org, chance).await else { return Ok(()) };
    let changing = Changing::begin(world, seen.id);
    let deleted = node.store.delete_endpoint(seen.org_id, seen.id, node.clock.now(), None).await;
    changing.end(node).await;
    deleted.map(drop)
}

/// Makes a waiting delivery due now, or cancels it.
async fn one_waiting(
    world: &World,
    node: &Node,
    org: usize,
    hurry: bool,
    chance: &mut Chance,
) -> Result<(), StoreError> {
    let org_id = world.plan.orgs[org];
    let waiting: Vec<(DeliveryId, EndpointId)> = node
        .deliveries(org_id)
        .await?
        .into_iter()
        .filter(|(delivery, _)| matches!(delivery.state.kind(), StateKind::Pending | StateKind::Held))
        .map(|(delivery, _)| (delivery.id, delivery.endpoint_id))
        .collect();
    if waiting.is_empty() {
        return Ok(());
    }
    let (id, endpoint) = waiting[chance.index(waiting.len())];
    let now = node.clock.now();
    let done = if hurry {
        let at = world.clock.virtual_now();
        world.history.record().hurried.push((id, at));
        node.store.retry_now(org_id, id, now, None).await
    } else {
        node.store.cancel(org_id, id, now, None).await
    };
    node.wake.wake(org_id, [endpoint]);
    match done {
        Ok(_) | Err(StoreError::Conflict(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

fn window(old: &Delivery, now: Timestamp) -> ReplayWhat {
    ReplayWhat::Window { endpoint_id: old.endpoint_id, since: old.created_at, until: now, state: None, limit: 5 }
}

async fn replayed(
    world: &World,
    node: &Node,
    org: usize,
    chance: &mut Chance,
    what: impl FnOnce(&Delivery, Timestamp) -> ReplayWhat,
) -> Result<(), StoreError> {
    let org_id = world.plan.orgs[org];
    let all = node.deliveries(org_id).await?;
    if all.is_empty() {
        return Ok(());
    }
    let (old, _) = &all[chance.index(all.len())];
    let now = node.clock.now();
    let prepared = replay::prepare(org_id, what(old, now), now, &*node.entropy);
    match replay::replay(&*node.store, &node.wake, prepared, Terms::default()).await {
        Ok(_) | Err(StoreError::Conflict(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// An endpoint is being changed: until the end nobody knows which of its states holds.
struct Changing<'w> {
    world: &'w World,
    id: EndpointId,
}

impl<'w> Changing<'w> {
    fn begin(world: &'w World, id: EndpointId) -> Self {
        let mut record = world.history.record();
        record.step += 1;
        let (step, at) = (record.step, world.clock.virtual_now());
        let known = record.endpoints.entry(id).or_default();
        known.changing.push((step, None));
        known.moved.push(at);
        Self { world, id }
    }

    async fn end(self, node: &Node) {
        if !self.world.faults.is_dead() {
            self.world.look_at(node, self.id).await;
        }
    }
}

//! Clients that post events, with an idempotency key, until they are told that it was accepted.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use watchbell_domain::id::{EventId, OrgId, ProjectId};
use watchbell_domain::port::{Answer, Clock, EventStore, Once, StoreError, Written};
use watchbell_engine::ingest::event::{Intake, Post as Posting};
use watchbell_wire::Data;

use crate::chance::Chance;
use crate::history::Posted;
use crate::invariant::Invariant;
use crate::net::pause;
use crate::node::Node;
use crate::plan::Post;
use crate::world::World;

/// Posts what an organisation has to post, from where it stood when the process before died.
pub(crate) async fn run(world: Arc<World>, node: Arc<Node>, org: usize, mut chance: Chance) {
    let posts = &world.plan.posts[org];
    loop {
        let Some(post) = posts.get(world.progress().posted[org]) else { return };
        let wait = post.at - world.clock.virtual_now();
        pause(&world.clock, wait.max(SignedDuration::ZERO)).await;
        let mut wait = SignedDuration::from_millis(200);
        for _ in 0..post.tries {
            if ask(&world, &node, org, post, &mut chance).await {
                break;
            }
            pause(&world.clock, wait + chance.millis(0, 500)).await;
            wait = (wait * 2).min(SignedDuration::from_secs(30));
        }
        world.progress().posted[org] += 1;
    }
}

/// One request. `true`: it was acknowledged, and the client knows.
async fn ask(world: &World, node: &Node, org: usize, post: &Post, chance: &mut Chance) -> bool {
    let is_calm = world.faults.is_healed();
    pause(&world.clock, chance.millis(0, 20)).await;
    if !node.open.load(Ordering::Relaxed) || (!is_calm && chance.percent(5)) {
        return false;
    }
    let org_id = world.plan.orgs[org];
    let step = world.history.tell(world.clock.virtual_now(), format!("posts {}", post.key));
    begun(world, org_id, post, step, node.clock.now());
    let project = post.project.map(|project| world.plan.projects[org][project]);
    let answered = call(node, org_id, project, post).await;
    if world.faults.is_dead() {
        return false;
    }
    let is_lost = !is_calm && chance.percent(10);
    pause(&world.clock, chance.millis(0, 20)).await;
    let now = world.clock.virtual_now();
    let mut record = world.history.record();
    match answered {
        Ok(ids) => {
            let said = if is_lost { "acknowledged, unheard:" } else { "acknowledged" };
            let step = record.tell(now, format!("{said} {}: {} events", post.key, ids.len()));
            let posted = record.posts.get_mut(&post.key).unwrap();
            let earlier = posted.said.get_or_insert_with(|| ids.clone()).clone();
            let was_forgotten = posted.was_forgotten();
            if !is_lost {
                posted.acknowledged = Some(step);
            }
            if earlier != ids && !was_forgotten {
                record.violated(
                    Invariant::OneEventPerKey,
                    format!("{} was answered {earlier:?}, then {ids:?}", post.key),
                );
            }
            !is_lost
        }
        Err(Refused::KeyReused) => {
            let detail = format!("{} is said to be another request's", post.key);
            record.violated(Invariant::OneEventPerKey, detail);
            true
        }
        Err(Refused::Store(error)) => {
            record.tell(now, format!("refused {}: {error}", post.key));
            false
        }
    }
}

/// Writes down that a post is asked for.
fn begun(world: &World, org: OrgId, post: &Post, step: u64, wall: Timestamp) {
    let mut record = world.history.record();
    let posted = record.posts.entry(post.key.clone()).or_insert_with(|| Posted {
        org,
        mark: post.mark.clone(),
        event_type: post.event_type.to_owned(),
        first_step: step,
        asked: (wall, wall),
        said: None,
        acknowledged: None,
    });
    posted.asked = (posted.asked.0.min(wall), posted.asked.1.max(wall));
}

enum Refused {
    Store(StoreError),
    KeyReused,
}

/// What the HTTP edge does: check, complete, render the answer, commit both.
async fn call(node: &Node, org: OrgId, project_id: Option<ProjectId>, post: &Post) -> Result<Vec<EventId>, Refused> {
    let mark = format!("mark.{}", post.mark);
    let data = serde_json::json!({
        "title": mark, "severity": post.severity, "component": {"name": mark}, "resource_path": mark, "creator": mark,
    });
    let posting = Posting {
        event_type: post.event_type.parse().unwrap(),
        occurred_at: None,
        project_id,
        data: Data::from_text(data.to_string()).unwrap(),
    };
    let mut intake = Intake::new(org, node.clock.now(), &*node.entropy);
    let taken = intake.take(posting).unwrap();
    let ids: Vec<EventId> = std::iter::once(taken.id).chain(taken.critical).collect();
    let once = Once {
        key: format!("POST /events {}", post.key),
        request: Sha256::digest(post.mark.as_bytes()).into(),
        answer: Answer { status: 202, body: serde_json::to_vec(&ids).unwrap() },
    };
    match node.store.accept(intake.acceptance(), Some(once)).await {
        Ok(Written::Fresh(_)) => Ok(ids),
        Ok(Written::Repeated(answer)) => Ok(serde_json::from_slice(&answer.body).unwrap()),
        Ok(Written::KeyReused) => Err(Refused::KeyReused),
        Err(error) => Err(Refused::Store(error)),
    }
}

//! Several deliveries of one endpoint as one request: each keeps its own outcome.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use watchbell_domain::delivery::AttemptResult::*;
use watchbell_domain::delivery::DeadLetterReason;
use watchbell_domain::endpoint::Batch;
use watchbell_domain::id::{DeliveryId, EndpointId};
use watchbell_domain::port::{Clock, Next, Settlement};
use watchbell_wire::{EventType, Settings, dialect};

use crate::support::rig::{Rig, options, org, settle_down};
use crate::support::sink::{Sink, Step, write};

fn answered(status: u16, body: &Value) -> Step {
    let body = body.to_string();
    write(format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
}

fn items(statuses: &[u16]) -> Step {
    let item = |status: &u16| json!({"create": {"status": status, "error": {"type": "t", "reason": "r"}}});
    answered(200, &json!({"errors": true, "items": statuses.iter().map(item).collect::<Vec<_>>()}))
}

fn elastic(rig: &Rig, url: &str, batch_max: u16) -> EndpointId {
    rig.endpoint_with(org(1), url, |endpoint| {
        endpoint.dialect = dialect::find("elastic").unwrap();
        endpoint.settings = Settings::new([("batch_max".to_owned(), batch_max.into())].into_iter().collect());
        endpoint.policy.max_in_flight = Some(1);
    })
}

/// The ids of the documents of a request, in their order.
fn documents(request: &str) -> Vec<String> {
    let actions = request.lines().filter(|line| line.starts_with("{\"create\""));
    let id = |line: &str| serde_json::from_str::<Value>(line).unwrap()["create"]["_id"].as_str().unwrap().to_owned();
    actions.map(id).collect()
}

/// One goes out by itself and is not answered before so many more wait.
async fn start(rig: &mut Rig, sink: &mut Sink, endpoint: EndpointId, more: usize) -> Vec<DeliveryId> {
    let first = rig.deliver(endpoint, "{}");
    assert_eq!(documents(&sink.request().await).len(), 1);
    let more: Vec<DeliveryId> = (0..more).map(|_| rig.deliver(endpoint, r#"{"title": "more"}"#)).collect();
    settle_down().await;
    sink.go_on();
    let settlement = rig.settled().await;
    assert_eq!((settlement.delivery_id, settlement.next), (first, Next::Delivered));
    more
}

async fn outcomes(rig: &mut Rig, count: usize) -> BTreeMap<DeliveryId, Settlement> {
    let mut all = BTreeMap::new();
    while all.len() < count {
        let settlement = rig.settled().await;
        all.insert(settlement.delivery_id, settlement);
    }
    all
}

#[tokio::test]
async fn what_waits_goes_out_at_once_and_each_has_its_outcome() {
    let script = vec![Step::Read, Step::Wait, items(&[201]), Step::Read, items(&[201, 400, 429]), Step::Hang];
    let mut sink = Sink::always(script).await;
    let mut rig = Rig::start(options());
    let endpoint = elastic(&rig, &sink.url(), 10);
    let more = start(&mut rig, &mut sink, endpoint, 3).await;
    let request = sink.request().await;
    assert_eq!(documents(&request).len(), 3, "{request}");
    assert!(request.ends_with("}\n"), "{request}");
    let all = outcomes(&mut rig, 3).await;
    let of_document = |id: &String| {
        let is_its = |delivery: &&DeliveryId| rig.store.tables().rows[*delivery].event.id.to_string() == *id;
        all[more.iter().find(is_its).unwrap()].clone()
    };
    let [stored, faulty, busy] = &documents(&request).iter().map(of_document).collect::<Vec<_>>()[..] else { panic!() };
    assert_eq!(stored.next, Next::Delivered);
    assert_eq!(
        faulty.next,
        Next::DeadLetter { reason: DeadLetterReason::Refused, disable: None, endpoint_pause: None }
    );
    assert!(matches!(busy.next, Next::Retry { counts: true, .. }), "{busy:?}");
    let results = [stored, faulty, busy].map(|one| one.attempt.as_ref().unwrap().result);
    assert_eq!(results, [Http(200), Rejected, Rejected]);
    // Each keeps its own body for the attempts to come, not that of all.
    let kept = String::from_utf8(busy.body.clone().unwrap().to_vec()).unwrap();
    assert_eq!(documents(&kept).len(), 1);
    assert_eq!(rig.observer.attempts().iter().map(|(_, count)| count).sum::<u64>(), 4);
}

#[tokio::test]
async fn too_many_at_once_are_fewer_the_next_time() {
    let too_large = answered(413, &json!({"error": "too large"}));
    let script = vec![
        Step::Read,
        Step::Wait,
        items(&[201]),
        Step::Read,
        too_large,
        Step::Read,
        items(&[201, 201]),
        Step::Read,
        items(&[201, 201]),
        Step::Hang,
    ];
    let mut sink = Sink::always(script).await;
    let mut rig = Rig::start(options());
    let endpoint = elastic(&rig, &sink.url(), 4);
    start(&mut rig, &mut sink, endpoint, 5).await;
    assert_eq!(documents(&sink.request().await).len(), 4, "no more than the endpoint takes");
    let mut due = rig.clock.now();
    let mut refused = 0;
    for settlement in outcomes(&mut rig, 4).await.into_values() {
        assert_eq!(settlement.attempt.unwrap().result, Http(413));
        let Next::Retry { due_at, .. } = settlement.next else { panic!("{:?}", settlement.next) };
        due = due.max(due_at);
        refused += 1;
    }
    assert_eq!(refused, 4);
    rig.advance_to(due);
    assert!(documents(&sink.request().await).len() <= 2);
}

#[tokio::test]
async fn one_by_one_where_nothing_else_is_wanted() {
    let script =
        vec![Step::Read, Step::Wait, items(&[201]), Step::Read, items(&[201]), Step::Read, items(&[409]), Step::Hang];
    let mut sink = Sink::always(script).await;
    let mut rig = Rig::start(options());
    let endpoint = elastic(&rig, &sink.url(), 1);
    start(&mut rig, &mut sink, endpoint, 2).await;
    for _ in 0..2 {
        assert_eq!(documents(&sink.request().await).len(), 1);
        assert_eq!(rig.settled().await.next, Next::Delivered, "what is stored already is stored");
    }
}

/// An endpoint whose deliveries gather, and some that are due together.
fn digest(rig: &Rig, sink: &Sink, count: usize, max: u32, due_at: Timestamp) -> (EndpointId, Vec<DeliveryId>) {
    let endpoint = rig.endpoint_with(org(1), &sink.url(), |endpoint| {
        endpoint.dialect = dialect::find("http").unwrap();
        endpoint.secrets.clear();
        endpoint.policy.batch = Some(Batch { max, wait: SignedDuration::from_mins(15), except: None });
    });
    let add = |number| {
        let id =
            rig.add(endpoint, EventType::VulnerabilityCreated, &json!({"title": format!("n{number}")}).to_string());
        rig.store.tables().rows.get_mut(&id).unwrap().due_at = due_at;
        id
    };
    let ids = (0..count).map(add).collect();
    rig.handle.wake(org(1), [endpoint]);
    (endpoint, ids)
}

/// The titles in a request whose body is an array of events.
fn titles(request: &str) -> Vec<String> {
    let (_, body) = request.split_once("\r\n\r\n").unwrap();
    let events: Vec<Value> = serde_json::from_str(body).unwrap();
    events.iter().map(|event| event["data"]["title"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn what_gathers_goes_out_as_one_when_it_is_time() {
    let mut sink =
        Sink::always(vec![Step::Read, answered(200, &json!({})), Step::Read, answered(200, &json!({}))]).await;
    let mut rig = Rig::start(options());
    let due_at = rig.clock.now() + SignedDuration::from_mins(15);
    let (endpoint, ids) = digest(&rig, &sink, 60, 100, due_at);
    settle_down().await;
    rig.advance_to(due_at - SignedDuration::from_secs(1));
    settle_down().await;
    assert!(sink.requests.try_recv().is_err(), "not before its time");
    rig.advance_to(due_at);
    let mut said = titles(&sink.request().await);
    said.sort();
    said.dedup();
    assert_eq!(said.len(), 60, "all of them, each once, in one request");
    let all = outcomes(&mut rig, 60).await;
    assert!(ids.iter().all(|id| all[id].next == Next::Delivered));
    // What comes at once, a ping, goes by itself.
    rig.deliver_type(endpoint, EventType::WebhookPing, "{}");
    assert!(sink.request().await.contains(r#"[{"type":"webhook.ping""#), "in the same shape");
    assert_eq!(rig.settled().await.next, Next::Delivered);
    assert_eq!(rig.observer.attempts().iter().map(|(_, count)| count).sum::<u64>(), 61, "each has its own attempt");
}

#[tokio::test]
async fn a_digest_that_fails_is_one_again_and_each_of_it_counts_for_itself() {
    let down = answered(503, &json!({}));
    let script = vec![Step::Read, down, Step::Read, answered(200, &json!({})), Step::Hang];
    let mut sink = Sink::always(script).await;
    let mut rig = Rig::start(options());
    let (_, ids) = digest(&rig, &sink, 20, 100, rig.clock.now());
    let first = titles(&sink.request().await);
    let failed = outcomes(&mut rig, 20).await;
    let due: Vec<Timestamp> = failed
        .values()
        .map(|one| match one.next {
            Next::Retry { due_at, counts: true, .. } => due_at,
            Next::Retry { .. } | Next::Delivered | Next::DeadLetter { .. } => panic!("{:?}", one.next),
        })
        .collect();
    assert!(due.iter().all(|at| *at == due[0]), "they are due together: {due:?}");
    let kept = String::from_utf8(failed[&ids[0]].body.clone().unwrap().to_vec()).unwrap();
    assert!(kept.starts_with('{'), "each keeps its own body: {kept}");
    settle_down().await;
    rig.advance_to(due[0]);
    let (mut again, mut before) = (titles(&sink.request().await), first);
    again.sort();
    before.sort();
    assert_eq!(again, before, "nothing is lost, and nothing twice");
    assert!(outcomes(&mut rig, 20).await.values().all(|one| one.next == Next::Delivered));
}

#[tokio::test]
async fn more_than_a_digest_holds_are_several() {
    let script: Vec<Step> = (0..4).flat_map(|_| [Step::Read, answered(200, &json!({}))]).collect();
    let mut sink = Sink::always(script).await;
    let mut rig = Rig::start(options());
    let (_, ids) = digest(&rig, &sink, 45, 20, rig.clock.now());
    assert_eq!(outcomes(&mut rig, 45).await.len(), ids.len());
    let mut said = Vec::new();
    while let Ok(request) = sink.requests.try_recv() {
        // The last one alone would be no array.
        said.push(titles(&request).len());
    }
    said.sort_unstable();
    assert_eq!(said, [5, 20, 20]);
}

#[tokio::test]
async fn one_of_a_digest_that_has_no_body_is_given_up_and_the_others_go() {
    let mut sink = Sink::always(vec![Step::Read, answered(200, &json!({})), Step::Hang]).await;
    let mut rig = Rig::start(options());
    let due_at = rig.clock.now() + SignedDuration::from_secs(60);
    let (endpoint, ids) = digest(&rig, &sink, 3, 10, due_at);
    {
        let mut tables = rig.store.tables();
        let members = json!({"body": {"data": {"title": "${title + '!'}"}}});
        let changed = std::sync::Arc::make_mut(tables.endpoints.get_mut(&endpoint).unwrap());
        changed.settings = Settings::new(members.as_object().unwrap().clone());
        let row = tables.rows.get_mut(&ids[1]).unwrap();
        let event = std::sync::Arc::make_mut(&mut row.event);
        event.data = watchbell_wire::Data::from_text(r#"{"title": 5}"#.to_owned()).unwrap();
    }
    settle_down().await;
    rig.advance_to(due_at);
    assert_eq!(titles(&sink.request().await).len(), 2);
    let all = outcomes(&mut rig, 3).await;
    assert_eq!((all[&ids[0]].next, all[&ids[2]].next), (Next::Delivered, Next::Delivered));
    let broken = &all[&ids[1]];
    assert!(matches!(broken.next, Next::DeadLetter { reason: DeadLetterReason::NotEncodable, .. }), "{broken:?}");
    let detail = broken.attempt.as_ref().unwrap().detail.clone().unwrap();
    assert!(detail.contains("the template cannot be filled in") && detail.contains("/body/data/title"), "{detail}");
}

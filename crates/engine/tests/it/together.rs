//! Several deliveries of one endpoint as one request: each keeps its own outcome.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use watchbell_domain::delivery::AttemptResult::*;
use watchbell_domain::delivery::DeadLetterReason;
use watchbell_domain::id::{DeliveryId, EndpointId};
use watchbell_domain::port::{Clock, Next, Settlement};
use watchbell_wire::{Settings, dialect};

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

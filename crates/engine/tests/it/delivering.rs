//! Claim, send, decide, settle: what reaches the endpoint, and what the store is told.

use jiff::SignedDuration;
use watchbell_domain::delivery::AttemptResult::*;
use watchbell_domain::delivery::{DeadLetterReason, StateKind};
use watchbell_domain::endpoint::DisabledReason;
use watchbell_domain::port::{Clock, Next, Settlement, StoreError};
use watchbell_wire::{EventType, Secret, Settings};

use crate::support::dialect::TALKS;
use crate::support::rig::{Rig, SECRET, options, org, settle_down, start_of_time};
use crate::support::sink::{Sink, Step, answer, write};
use crate::support::store::result_of;

fn due_at(settlement: &Settlement) -> jiff::Timestamp {
    match settlement.next {
        Next::Retry { due_at, .. } => due_at,
        ref other @ (Next::Delivered | Next::DeadLetter { .. }) => panic!("{other:?}"),
    }
}

fn dead_letter(reason: DeadLetterReason) -> Next {
    Next::DeadLetter { reason, disable: None, endpoint_pause: None }
}

#[tokio::test]
async fn a_delivery_reaches_its_endpoint_as_the_dialect_says() {
    let mut sink = Sink::always(vec![Step::Read, answer(200), Step::Hang]).await;
    let mut rig = Rig::start(options());
    let endpoint = rig.endpoint_with(org(1), &sink.url(), |endpoint| {
        endpoint.headers = vec![
            ("X-Tenant-ID".to_owned(), Secret::new("forty-two")),
            ("Webhook-ID".to_owned(), Secret::new("not this one")),
        ];
    });
    let delivery = rig.deliver(endpoint, r#"{"a": 1}"#);
    let request = sink.request().await;
    let host = sink.address;
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        request,
        format!(
            "POST /hook HTTP/1.1\r\nHost: {host}\r\nUser-Agent: Watchbell/{version}\r\nAccept-Encoding: identity\r\n\
             Content-Length: 8\r\nContent-Type: application/json\r\nX-Snyk-Transport-ID: {delivery}\r\n\
             symbioticsec_signature: {SECRET}\r\nwebhook-id: vulnerability.created\r\nX-SENT-at: 2026-06-01T12:00:00Z\r\n\
             X-Tenant-ID: forty-two\r\n\r\n{{\"a\": 1}}"
        )
    );
    let settled = rig.settled().await;
    assert_eq!((settled.delivery_id, settled.next, settled.body.clone()), (delivery, Next::Delivered, None));
    let attempt = settled.attempt.unwrap();
    assert_eq!((attempt.number, attempt.result), (1, Http(200)));
    assert_eq!(attempt.response.unwrap().body, b"ok");
    assert_eq!(rig.state(delivery), StateKind::Delivered);
    assert_eq!(rig.observer.attempts(), [(Http(200), 1)]);
}

#[tokio::test]
async fn the_schedule_is_kept_with_the_same_body_and_a_new_time() {
    let script = vec![Step::Read, answer(500)];
    let mut sink = Sink::always(script).await;
    let mut rig = Rig::start(options());
    let endpoint = rig.endpoint(org(1), &sink.url());
    let delivery = rig.deliver(endpoint, r#"{ "kept":  "as it is" }"#);
    let mut ids = Vec::new();
    for (number, wait) in [(1, 5), (2, 300), (3, 1800)] {
        let request = sink.request().await;
        assert!(request.ends_with("\r\n\r\n{ \"kept\":  \"as it is\" }"));
        assert!(request.contains(&format!("X-SENT-at: {}\r\n", rig.clock.now())), "{request}");
        ids.push(request.lines().find(|line| line.starts_with("X-Snyk")).unwrap().to_owned());
        let settled = rig.settled().await;
        assert_eq!(settled.attempt.as_ref().unwrap().number, number);
        assert_eq!(settled.body.is_some(), number == 1, "the body is kept once");
        let waited = rig.clock.now().duration_until(due_at(&settled));
        let least = SignedDuration::from_secs(wait);
        assert!(least <= waited && waited <= least * 11 / 10, "{waited:?}");
        settle_down().await;
        // Not a moment too early.
        rig.advance_to(due_at(&settled) - SignedDuration::from_nanos(1));
        settle_down().await;
        assert!(sink.requests.try_recv().is_err());
        rig.advance_to(due_at(&settled));
    }
    assert!(sink.request().await.contains(&ids[0]) && ids.iter().all(|id| *id == ids[0]));
    assert_eq!(rig.settled().await.next, dead_letter(DeadLetterReason::Exhausted));
    assert_eq!(rig.state(delivery), StateKind::DeadLettered);
}

#[tokio::test]
async fn an_event_that_nobody_hinted_at_is_found() {
    let sink = Sink::always(vec![Step::Read, answer(200), Step::Hang]).await;
    let mut rig = Rig::start(options());
    settle_down().await;
    let endpoint = rig.endpoint(org(1), &sink.url());
    let delivery = rig.add(endpoint, EventType::VulnerabilityCreated, "{}");
    rig.clock.advance(SignedDuration::from_secs(5));
    assert_eq!(rig.settled().await.delivery_id, delivery);
}

#[tokio::test]
async fn f4_gone_disables_the_endpoint_and_holds_the_rest() {
    let sink = Sink::always(vec![Step::Read, answer(410)]).await;
    let mut rig = Rig::start(options());
    let endpoint = rig.endpoint_with(org(1), &sink.url(), |endpoint| endpoint.policy.max_in_flight = Some(1));
    let first = rig.deliver(endpoint, "{}");
    rig.clock.advance(SignedDuration::from_millis(1));
    let second = rig.deliver(endpoint, "{}");
    let settled = rig.settled().await;
    assert_eq!(
        settled.next,
        Next::DeadLetter { reason: DeadLetterReason::Gone, disable: Some(DisabledReason::Gone), endpoint_pause: None }
    );
    settle_down().await;
    rig.clock.advance(SignedDuration::from_hours(1));
    settle_down().await;
    assert_eq!(rig.state(first), StateKind::DeadLettered);
    assert_eq!(rig.state(second), StateKind::Held);
    assert_eq!(sink.connections(), 1);
}

#[tokio::test]
async fn f5_retry_after_pauses_the_whole_endpoint() {
    let busy = write("HTTP/1.1 503 X\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n");
    let mut sink = Sink::start(vec![vec![Step::Read, busy], vec![Step::Read, answer(200)]]).await;
    let mut rig = Rig::start(options());
    let endpoint = rig.endpoint_with(org(1), &sink.url(), |endpoint| endpoint.policy.max_in_flight = Some(1));
    let first = rig.deliver(endpoint, "{}");
    rig.clock.advance(SignedDuration::from_millis(1));
    let second = rig.deliver(endpoint, "{}");
    let settled = rig.settled().await;
    assert_eq!(settled.delivery_id, first);
    let Next::Retry { due_at, endpoint_pause: Some(pause), .. } = settled.next else {
        panic!("{settled:?}");
    };
    assert_eq!(rig.clock.now().duration_until(pause), SignedDuration::from_secs(60));
    assert!(pause <= due_at);
    sink.request().await;
    settle_down().await;
    rig.advance_to(pause - SignedDuration::from_nanos(1));
    settle_down().await;
    assert!(sink.requests.try_recv().is_err());
    rig.advance_to(pause);
    assert_eq!(rig.settled().await.delivery_id, second);
}

#[tokio::test]
async fn f8_retry_after_on_success_is_ignored() {
    let pleased = write("HTTP/1.1 200 X\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n");
    let sink = Sink::always(vec![Step::Read, pleased]).await;
    let mut rig = Rig::start(options());
    let endpoint = rig.endpoint(org(1), &sink.url());
    // No time passes: a pause would hold the second for a minute.
    for _ in 0..2 {
        let delivery = rig.deliver(endpoint, "{}");
        let settled = rig.settled().await;
        assert_eq!((settled.delivery_id, settled.next), (delivery, Next::Delivered));
    }
}

#[tokio::test]
async fn a_bearer_receivers_refusal_is_final() {
    let sink = Sink::always(vec![Step::Read, answer(401)]).await;
    let mut rig = Rig::start(options());
    let endpoint = rig.endpoint_with(org(1), &sink.url(), |endpoint| {
        endpoint.dialect = watchbell_wire::dialect::find("cloudevents").unwrap();
    });
    rig.deliver(endpoint, "{}");
    assert_eq!(rig.settled().await.next, dead_letter(DeadLetterReason::Refused));
}

/// What the second answer of an attempt makes of a delivery.
async fn after_talking(second: &str) -> (Settlement, Vec<String>) {
    let second = write(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{second}", second.len()));
    let mut sink = Sink::always(vec![Step::Read, answer(200), Step::Read, second]).await;
    let mut rig = Rig::start(options());
    let endpoint = rig.endpoint_with(org(1), &sink.url(), |endpoint| {
        endpoint.settings = Settings::new([(TALKS.to_owned(), true.into())].into_iter().collect());
    });
    rig.deliver(endpoint, "{}");
    let settled = rig.settled().await;
    (settled, vec![sink.request().await, sink.request().await])
}

#[tokio::test]
async fn a_dialect_may_ask_more_than_once_and_reads_the_answers() {
    let (settled, requests) = after_talking("fine").await;
    assert_eq!(settled.next, Next::Delivered);
    assert!(requests[0].starts_with("POST /hook/first?of=2 HTTP/1.1\r\n"), "{requests:?}");
    assert!(requests[1].starts_with("GET /second HTTP/1.1\r\n"), "{requests:?}");

    let (settled, _) = after_talking("busy").await;
    assert_eq!(result_of(&settled), Some(Rejected));
    assert!(due_at(&settled) >= start_of_time() + SignedDuration::from_mins(7));
    let (settled, _) = after_talking("never").await;
    assert_eq!(settled.next, dead_letter(DeadLetterReason::Refused));
    assert_eq!(settled.attempt.unwrap().detail.as_deref(), Some("never"));
    let (settled, _) = after_talking("gone").await;
    let Next::DeadLetter { reason, disable, .. } = settled.next else { panic!("{:?}", settled.next) };
    assert_eq!((reason, disable), (DeadLetterReason::Gone, Some(DisabledReason::Gone)));
}

#[tokio::test]
async fn a_key_in_the_body_goes_out_and_is_not_kept() {
    let mut sink = Sink::always(vec![Step::Read, answer(500)]).await;
    let mut rig = Rig::start(options());
    let endpoint = rig.endpoint(org(1), &sink.url());
    rig.deliver(endpoint, r#"{"key":"keyless"}"#);
    let settled = rig.settled().await;
    assert!(sink.request().await.ends_with(&format!("{{\"key\":\"{SECRET}\"}}")));
    assert_eq!(settled.body.as_deref(), Some(&br#"{"key":"keyless"}"#[..]));
}

#[tokio::test]
async fn what_cannot_be_said_or_signed_is_given_up() {
    let sink = Sink::always(vec![Step::Read, answer(200)]).await;
    let mut rig = Rig::start(options());
    let endpoint = rig.endpoint(org(1), &sink.url());
    rig.deliver_type(endpoint, EventType::ScanFailed, "{}");
    let settled = rig.settled().await;
    assert_eq!(settled.next, dead_letter(DeadLetterReason::NotEncodable));
    assert!(settled.attempt.unwrap().detail.unwrap().contains("scan.failed"));
    let keyless = rig.endpoint_with(org(1), &sink.url(), |endpoint| endpoint.secrets.clear());
    rig.deliver(keyless, "{}");
    assert_eq!(rig.settled().await.next, dead_letter(DeadLetterReason::NotEncodable));
    assert_eq!(sink.connections(), 0);
}

#[tokio::test]
async fn h16_a_panic_is_an_attempt_and_the_third_in_a_row_the_last() {
    let sink = Sink::always(vec![Step::Read, answer(200)]).await;
    let mut rig = Rig::start(options());
    let endpoint = rig.endpoint(org(1), &sink.url());
    let delivery = rig.deliver(endpoint, r#"{"poison": 1}"#);
    for _ in 0..2 {
        let settled = rig.settled().await;
        assert_eq!(result_of(&settled), Some(Internal));
        rig.advance_to(due_at(&settled));
    }
    assert_eq!(rig.settled().await.next, dead_letter(DeadLetterReason::Internal));
    assert_eq!(rig.state(delivery), StateKind::DeadLettered);
    assert_eq!(rig.observer.panics(), 3);
    let healthy = rig.deliver(endpoint, "{}");
    assert_eq!(rig.settled().await.delivery_id, healthy);
}

#[tokio::test]
async fn a12_a23_a_forbidden_address_is_tried_three_times_and_not_explained() {
    let mut rig = Rig::start(options());
    let endpoint = rig.endpoint(org(1), "http://169.254.169.254/latest/meta-data");
    rig.deliver(endpoint, "{}");
    for _ in 0..2 {
        let settled = rig.settled().await;
        let attempt = settled.attempt.as_ref().unwrap();
        assert_eq!((attempt.result, &attempt.detail), (EgressForbidden, &None));
        rig.advance_to(due_at(&settled));
    }
    assert_eq!(rig.settled().await.next, dead_letter(DeadLetterReason::EgressForbidden));
}

#[tokio::test]
async fn f31_the_next_attempt_uses_the_new_url_and_secret() {
    let old = Sink::always(vec![Step::Read, answer(500)]).await;
    let mut new = Sink::always(vec![Step::Read, answer(200)]).await;
    let mut rig = Rig::start(options());
    let endpoint = rig.endpoint(org(1), &old.url());
    rig.deliver(endpoint, "{}");
    let settled = rig.settled().await;
    {
        let mut tables = rig.store.tables();
        let changed = std::sync::Arc::make_mut(tables.endpoints.get_mut(&endpoint).unwrap());
        changed.url = new.url();
        changed.secrets[0].text = Secret::new("the-second-secret");
    }
    rig.advance_to(due_at(&settled));
    assert!(new.request().await.contains("symbioticsec_signature: the-second-secret\r\n"));
    assert_eq!(rig.settled().await.next, Next::Delivered);
    assert_eq!(old.connections(), 1);
}

#[tokio::test]
async fn h4_no_new_attempt_while_an_outcome_cannot_be_written() {
    let mut sink = Sink::always(vec![Step::Read, answer(200)]).await;
    let mut rig = Rig::start(options());
    let endpoint = rig.endpoint(org(1), &sink.url());
    let other = rig.endpoint(org(2), &sink.url());
    rig.store.tables().settle_failure = Some(StoreError::Full);
    let first = rig.deliver(endpoint, "{}");
    sink.request().await;
    while rig.observer.settle_failures() == 0 {
        tokio::task::yield_now().await;
    }
    let second = rig.deliver(other, "{}");
    settle_down().await;
    rig.clock.advance(SignedDuration::from_millis(100));
    settle_down().await;
    assert!(sink.requests.try_recv().is_err(), "nothing goes out whose outcome would be lost");
    rig.store.tables().settle_failure = None;
    rig.clock.advance(SignedDuration::from_millis(200));
    assert_eq!(rig.settled().await.delivery_id, first);
    assert_eq!(rig.settled().await.delivery_id, second);
}

#[tokio::test]
async fn h4_the_store_is_asked_again_when_it_comes_back() {
    let sink = Sink::always(vec![Step::Read, answer(200)]).await;
    let mut rig = Rig::start(options());
    let endpoint = rig.endpoint(org(1), &sink.url());
    rig.store.tables().failure = Some(StoreError::Unavailable("gone".to_owned()));
    let delivery = rig.deliver(endpoint, "{}");
    for _ in 0..20 {
        settle_down().await;
        rig.clock.advance(SignedDuration::from_secs(1));
    }
    settle_down().await;
    let asked = rig.observer.claim_failures();
    assert!((4..=16).contains(&asked), "{asked} times in 20 seconds");
    rig.store.tables().failure = None;
    rig.clock.advance(SignedDuration::from_secs(5));
    assert_eq!(rig.settled().await.delivery_id, delivery);
}

#[tokio::test]
async fn g6_a_late_outcome_does_not_overwrite() {
    let script = vec![Step::Read, Step::Wait, answer(500)];
    let mut sink = Sink::always(script).await;
    let rig = Rig::start(options());
    let endpoint = rig.endpoint(org(1), &sink.url());
    let delivery = rig.deliver(endpoint, "{}");
    sink.request().await;
    {
        let mut tables = rig.store.tables();
        let row = tables.rows.get_mut(&delivery).unwrap();
        row.lease += 1;
        row.state = StateKind::Delivered;
    }
    sink.go_on();
    while rig.observer.leases_lost() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(rig.state(delivery), StateKind::Delivered);
}

#[tokio::test]
async fn a21_what_came_with_a_count_goes_on_with_one_more() {
    let mut sink = Sink::always(vec![Step::Read, answer(200), Step::Read, answer(200), Step::Hang]).await;
    let mut rig = Rig::start(options());
    let endpoint = rig.endpoint(org(1), &sink.url());
    for (hops, said) in [(0, None), (4, Some("\r\nwebhook-hops: 5\r\n"))] {
        let delivery = rig.add(endpoint, EventType::ScanStarted, "{}");
        rig.store.tables().rows.get_mut(&delivery).unwrap().hops = hops;
        rig.handle.wake(org(1), [endpoint]);
        let request = sink.request().await;
        assert_eq!(request.contains("webhook-hops"), said.is_some(), "{request}");
        assert!(said.is_none_or(|said| request.contains(said)), "{request}");
        rig.settled().await;
    }
}

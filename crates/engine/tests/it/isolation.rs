//! A slow or dead endpoint holds its own window and nothing else.

use std::collections::BTreeMap;

use watchbell_domain::id::EndpointId;
use watchbell_engine::delivery::Options;

use crate::support::rig::{Rig, options, org, settle_down};
use crate::support::sink::{Sink, Step, answer, exchanges};

#[tokio::test]
async fn f28_nine_endpoints_do_not_wait_for_the_tenth() {
    let mut hanging = Sink::always(vec![Step::Read, Step::Hang]).await;
    let healthy = Sink::always(exchanges(1000)).await;
    let mut rig = Rig::start(options());
    let dead = rig.endpoint(org(1), &hanging.url());
    let others: Vec<EndpointId> = (0..9).map(|_| rig.endpoint(org(1), &healthy.url())).collect();
    for _ in 0..200 {
        rig.deliver(dead, "{}");
    }
    for _ in 0..10 {
        hanging.request().await;
    }
    for endpoint in &others {
        for _ in 0..20 {
            rig.deliver(*endpoint, "{}");
        }
    }
    // No time passes: were any of them behind the dead one, this would wait for ever.
    let mut delivered = BTreeMap::new();
    for _ in 0..180 {
        *delivered.entry(rig.settled().await.endpoint_id).or_insert(0) += 1;
    }
    assert_eq!(delivered, others.into_iter().map(|endpoint| (endpoint, 20)).collect());
    assert!(hanging.requests.try_recv().is_err(), "ten in flight to the dead one, and no more");
    assert_eq!(rig.observer.in_flight(), 10);
}

#[tokio::test]
async fn an_organisation_holds_its_share_and_an_endpoint_its_window() {
    let mut hanging = Sink::always(vec![Step::Read, Step::Hang]).await;
    let mut other = Sink::always(vec![Step::Read, answer(200)]).await;
    let rig = Rig::start(Options { max_in_flight: 20, max_in_flight_per_org: 12, ..options() });
    let narrow = rig.endpoint_with(org(1), &hanging.url(), |endpoint| endpoint.policy.max_in_flight = Some(3));
    let wide = rig.endpoint(org(1), &hanging.url());
    let neighbour = rig.endpoint(org(2), &other.url());
    for endpoint in [narrow, wide] {
        for _ in 0..30 {
            rig.deliver(endpoint, "{}");
        }
    }
    for _ in 0..12 {
        hanging.request().await;
    }
    settle_down().await;
    assert!(hanging.requests.try_recv().is_err());
    assert_eq!(rig.observer.in_flight(), 12);
    rig.deliver(neighbour, "{}");
    other.request().await;
}

#[tokio::test]
async fn what_waits_is_not_claimed() {
    let mut hanging = Sink::always(vec![Step::Read, Step::Hang]).await;
    let rig = Rig::start(options());
    let endpoint = rig.endpoint(org(1), &hanging.url());
    for _ in 0..500 {
        rig.deliver(endpoint, "{}");
    }
    for _ in 0..10 {
        hanging.request().await;
    }
    settle_down().await;
    let tables = rig.store.tables();
    let claimed = tables.rows.values().filter(|row| row.lease > 0).count();
    assert_eq!(claimed, 10);
    assert!(tables.claims < 20, "{} claims while nothing could be sent", tables.claims);
}

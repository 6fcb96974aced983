//! Endpoints, and what becomes of their deliveries when they change.

use jiff::SignedDuration;
use watchbell_domain::delivery::{CancelReason, DeliveryState};
use watchbell_domain::endpoint::{
    Auth, AuthStyle, Batch, ClientIdentity, DisabledReason, Endpoint, EndpointPolicy, EndpointSecret, EndpointState,
    HttpVersion, OAuth2Client, Order, StormThreshold, TlsSettings, Transport,
};
use watchbell_domain::port::{EndpointCreation, Next, StoreError, Terms};
use watchbell_wire::{EventType, Secret};

use super::world::{at, first, fresh, pending, retry, secret, terms};
use super::{World, dialects};

/// Every member comes back, secrets and all.
pub async fn kept_whole(world: World) {
    let org = world.org("acme").await;
    let states = [
        EndpointState::Active,
        EndpointState::Paused { since: at(3) },
        EndpointState::Disabled { since: at(4), reason: DisabledReason::Gone },
        EndpointState::Disabled { since: at(4), reason: DisabledReason::Failing },
    ];
    for state in states {
        let custom: EventType = "acme.thing".parse().unwrap();
        let endpoint = Endpoint {
            url: "https://user:pass@example.test/ä?x=1".into(),
            dialect: &dialects::FEW,
            description: Some("for\0people 🦀".into()),
            events: Some([custom, EventType::ScanCompleted].into()),
            state,
            secrets: vec![
                secret("newest", 9),
                EndpointSecret { expires_at: Some(at(99)), ..secret("older \"quoted\"", 1) },
            ],
            headers: vec![("X-Token".into(), Secret::new("t0ken")), ("X-Token".into(), Secret::new(""))],
            policy: EndpointPolicy {
                min_severity: Some(watchbell_wire::Severity::High),
                storm_threshold: Some(StormThreshold::Above(7)),
                rules: watchbell_domain::rule::Rules::default(),
                retry_schedule: Some(vec![SignedDuration::ZERO, SignedDuration::from_millis(1500)]),
                timeout: Some(SignedDuration::from_secs(7)),
                max_in_flight: Some(3),
                max_attempts: Some(u32::MAX),
                rate_limit: Some("7/s burst 9".parse().unwrap()),
                order: Order::Project,
                batch: Some(Batch {
                    max: 50,
                    wait: SignedDuration::from_mins(15),
                    except: Some(watchbell_wire::Severity::Critical),
                }),
            },
            not_before: Some(at(8)),
            ..world.new_endpoint(org)
        };
        world.put(&endpoint).await;
        assert_eq!(world.load(&endpoint).await, endpoint);
    }
    let none = Endpoint { events: Some([].into()), secrets: Vec::new(), ..world.new_endpoint(org) };
    world.put(&none).await;
    assert_eq!(world.load(&none).await, none, "an empty set of events is not every event");
}

/// Every way to connect comes back, secrets and all, changes, and can be taken away.
pub async fn transports_kept_whole(world: World) {
    let org = world.org("acme").await;
    let endpoint = world.endpoint(org).await;
    let oauth2 = OAuth2Client {
        token_url: "https://id.example.test/token".into(),
        client_id: "watch".into(),
        client_secret: Secret::new("s3cr\"t ä"),
        scope: Some("a b".into()),
        audience: None,
        auth_style: AuthStyle::Body,
    };
    let auths = [
        Some(Auth::Basic { username: "ä".into(), password: Secret::new("") }),
        Some(Auth::Bearer { token: Secret::new("t0ken") }),
        Some(Auth::OAuth2(oauth2.clone())),
        Some(Auth::OAuth2(OAuth2Client { audience: Some("them".into()), scope: None, ..oauth2 })),
        None,
    ];
    let client = ClientIdentity { certificate_pem: "CERTIFICATE".into(), key_pem: Secret::new("KEY") };
    let tls = [
        TlsSettings { client: Some(client), ca_pem: None },
        TlsSettings { client: None, ca_pem: Some("CA".into()) },
        TlsSettings::default(),
    ];
    let versions = [HttpVersion::Http1, HttpVersion::Http2, HttpVersion::Auto];
    let orders = [Order::Endpoint, Order::Project, Order::Any];
    let mut second = 1;
    for auth in auths {
        for ((tls, http_version), order) in tls.iter().zip(versions).zip(orders) {
            let transport = Transport { auth: auth.clone(), tls: tls.clone(), http_version };
            world
                .change(&endpoint, second, |endpoint| {
                    endpoint.transport = transport.clone();
                    endpoint.policy.order = order;
                })
                .await;
            let now = world.load(&endpoint).await;
            assert_eq!((now.transport, now.policy.order), (transport, order));
            second += 1;
        }
    }
    assert_eq!(world.load(&endpoint).await.transport, Transport::default());
}

/// Whoever saw an older state is told so.
pub async fn updated_if_unchanged(world: World) {
    let org = world.org("acme").await;
    let endpoint = world.endpoint(org).await;
    let seen = world.load(&endpoint).await;
    let mine = Endpoint { url: "https://mine.test".into(), updated_at: at(5), ..seen.clone() };
    let theirs = Endpoint { url: "https://theirs.test".into(), updated_at: at(5), ..seen.clone() };
    fresh(world.store.update_endpoint(seen.clone(), mine.clone(), Terms::default()).await.unwrap());
    let refused = world.store.update_endpoint(seen, theirs.clone(), Terms::default()).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    assert_eq!(world.load(&endpoint).await, mine);

    let unknown = world.new_endpoint(org);
    let refused = world.store.update_endpoint(unknown.clone(), unknown, Terms::default()).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
}

/// An owner who did not see that we disabled the endpoint does not switch it on by changing its description.
pub async fn disabled_meanwhile_is_a_conflict(world: World) {
    let org = world.org("acme").await;
    let endpoint = world.endpoint(org).await;
    world.deliver(&endpoint, 1).await;
    let taken = world.take(&endpoint, 1).await;
    let seen = world.load(&endpoint).await;
    let gone = Next::DeadLetter {
        reason: watchbell_domain::delivery::DeadLetterReason::Gone,
        disable: Some(DisabledReason::Gone),
        endpoint_pause: None,
    };
    world.settle(&endpoint, &taken, gone, 2).await;
    let changed = Endpoint { description: Some("new".into()), ..seen.clone() };
    let refused = world.store.update_endpoint(seen, changed, Terms::default()).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    assert_eq!(world.load(&endpoint).await.state.as_str(), "disabled");
}

/// A pause that the endpoint asked for meanwhile is neither a conflict nor lost.
pub async fn pause_survives_an_update(world: World) {
    let org = world.org("acme").await;
    let endpoint = world.endpoint(org).await;
    world.deliver(&endpoint, 1).await;
    let taken = world.take(&endpoint, 1).await;
    let seen = world.load(&endpoint).await;
    let asked = Next::Retry { due_at: at(50), counts: true, endpoint_pause: Some(at(50)) };
    world.settle(&endpoint, &taken, asked, 2).await;
    let changed = Endpoint { description: Some("new".into()), updated_at: at(3), ..seen.clone() };
    fresh(world.store.update_endpoint(seen, changed, Terms::default()).await.unwrap());
    let now = world.load(&endpoint).await;
    assert_eq!((now.not_before, now.description.as_deref()), (Some(at(50)), Some("new")));
    world.change(&endpoint, 4, |endpoint| endpoint.not_before = None).await;
    assert_eq!(world.load(&endpoint).await.not_before, None, "its owner may lift it");
}

/// Pausing holds what waits; resuming makes it due; what is being sent is left alone.
pub async fn pausing_holds_and_resuming_releases(world: World) {
    let org = world.org("acme").await;
    let endpoint = world.endpoint(org).await;
    let other = world.endpoint(org).await;
    let sent = world.deliver(&endpoint, 1).await;
    let taken = world.take(&endpoint, 1).await;
    let waits = world.deliver(&endpoint, 2).await;
    let elsewhere = world.deliver(&other, 2).await;

    world.pause(&endpoint, 3).await;
    assert_eq!(world.state(org, waits).await, DeliveryState::Held);
    assert_eq!(world.state(org, sent).await.as_str(), "sending");
    assert_eq!(world.state(org, elsewhere).await, pending(2));
    let arrives = world.deliver(&endpoint, 4).await;
    assert_eq!(world.state(org, arrives).await, DeliveryState::Held);
    let claimed = world.claim(&endpoint, 10, 5).await;
    assert_eq!((claimed.deliveries.len(), claimed.next_due_at), (0, None));

    world.settle(&endpoint, &taken, retry(at(9)), 5).await;
    assert_eq!(world.state(org, sent).await, DeliveryState::Held);
    world.resume(&endpoint, 6).await;
    for delivery in [sent, waits, arrives] {
        assert_eq!(world.state(org, delivery).await, pending(6));
    }
    assert_eq!(world.claim(&endpoint, 10, 6).await.deliveries.len(), 3);
}

/// Deleting an endpoint cancels what waits, lets what is being sent end, and leaves history.
pub async fn deleting_cancels_what_waits(world: World) {
    let org = world.org("acme").await;
    let endpoint = world.endpoint(org).await;
    let done = world.deliver(&endpoint, 1).await;
    let taken = world.take(&endpoint, 1).await;
    world.settle(&endpoint, &taken, Next::Delivered, 1).await;
    let sending = world.deliver(&endpoint, 2).await;
    let taken = world.take(&endpoint, 2).await;
    let waits = world.deliver(&endpoint, 3).await;

    assert!(world.store.delete_endpoint(org, endpoint.id, at(4), None).await.unwrap());
    assert!(!world.store.delete_endpoint(org, endpoint.id, at(4), None).await.unwrap());
    assert_eq!(world.store.endpoint(org, endpoint.id).await.unwrap(), None);
    let cancelled = DeliveryState::Cancelled { at: at(4), reason: CancelReason::EndpointDeleted };
    assert_eq!(world.state(org, waits).await, cancelled);
    assert_eq!(world.state(org, done).await.as_str(), "delivered");
    assert_eq!(world.state(org, sending).await.as_str(), "sending");
    world.settle(&endpoint, &taken, retry(at(9)), 5).await;
    let cancelled = DeliveryState::Cancelled { at: at(5), reason: CancelReason::EndpointDeleted };
    assert_eq!(world.state(org, sending).await, cancelled);
    assert_eq!(world.delivery(org, sending).await.1.len(), 1, "its attempt is kept");
    assert_eq!(world.accept(org, 6).await.deliveries, []);
    assert!(world.store.due_endpoints().await.unwrap().is_empty());

    // Held ones too.
    let paused = world.endpoint(org).await;
    world.pause(&paused, 7).await;
    let held = world.deliver(&paused, 8).await;
    assert!(world.store.delete_endpoint(org, paused.id, at(9), None).await.unwrap());
    assert_eq!(world.state(org, held).await.as_str(), "cancelled");
}

/// The event that greets a new endpoint is there when the endpoint is, or neither is.
pub async fn greeted_in_the_same_commit(world: World) {
    let org = world.org("acme").await;
    let endpoint = world.new_endpoint(org);
    let mut ping = world.event(EventType::WebhookPing, "{}", 1);
    ping.only = Some(endpoint.id);
    let greeting = world.acceptance(org, vec![ping], 1);
    let creation = EndpointCreation { endpoint: endpoint.clone(), greeting: Some(greeting) };
    fresh(world.store.create_endpoint(creation.clone(), terms("k", 1)).await.unwrap());
    let taken = world.take(&endpoint, 1).await;
    assert_eq!(taken.event.event_type, EventType::WebhookPing);

    // The same greeting again, for another endpoint: its event exists, so nothing is made.
    let other = world.new_endpoint(org);
    let creation = EndpointCreation { endpoint: other.clone(), ..creation };
    let refused = world.store.create_endpoint(creation, terms("l", 1)).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    assert_eq!(world.store.endpoint(org, other.id).await.unwrap(), None);
    let accepted = world.accept(org, 2).await;
    assert_eq!(accepted.deliveries.len(), 1, "what was taken back is not routed to");
}

/// Newest first, every entry once.
pub async fn listed_in_pages(world: World) {
    let org = world.org("acme").await;
    for _ in 0..5 {
        world.endpoint(org).await;
    }
    let all = world.store.endpoints(org, first(250)).await.unwrap();
    assert_eq!((all.items.len(), all.more), (5, false));
    assert!(all.items.is_sorted_by(|newer, older| newer.id > older.id));
    let start = world.store.endpoints(org, first(2)).await.unwrap();
    assert_eq!((start.items.as_slice(), start.more), (&all.items[..2], true));
    let mut rest = first(3);
    rest.before = Some(start.items[1].id.0);
    let rest = world.store.endpoints(org, rest).await.unwrap();
    assert_eq!((rest.items.as_slice(), rest.more), (&all.items[2..], false));
}

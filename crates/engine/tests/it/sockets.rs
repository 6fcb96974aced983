//! Connections: kept, reused, bounded, and never shared between endpoints.

use jiff::SignedDuration;
use watchbell_domain::delivery::AttemptResult::*;

use crate::support::rig::{Net, post_to, settle_down};
use crate::support::sink::{Sink, Step, answer, exchanges, write};

#[tokio::test]
async fn a_connection_is_used_again() {
    let sink = Sink::always(exchanges(100)).await;
    let client = Net::new().client();
    let peer = client.peer(&sink.url()).unwrap();
    for _ in 0..100 {
        assert_eq!(post_to(&client, &peer, "{}").await.result, Http(200));
    }
    assert_eq!(sink.connections(), 1);
}

#[tokio::test]
async fn chunked_answers_and_empty_ones_keep_the_connection() {
    let script = vec![
        Step::Read,
        write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-T: y\r\n\r\n"),
        Step::Read,
        write("HTTP/1.1 204 No Content\r\n\r\n"),
        Step::Read,
        answer(200),
    ];
    let sink = Sink::always(script).await;
    let client = Net::new().client();
    let peer = client.peer(&sink.url()).unwrap();
    for status in [200, 204, 200] {
        assert_eq!(post_to(&client, &peer, "{}").await.result, Http(status));
    }
    assert_eq!(sink.connections(), 1);
}

#[tokio::test]
async fn connection_close_is_honoured() {
    let script =
        vec![Step::Read, write("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"), Step::Read];
    let sink = Sink::always(script).await;
    let client = Net::new().client();
    let peer = client.peer(&sink.url()).unwrap();
    for _ in 0..3 {
        assert_eq!(post_to(&client, &peer, "{}").await.result, Http(200));
    }
    assert_eq!(sink.connections(), 3);
}

#[tokio::test]
async fn two_endpoints_never_share_a_socket() {
    let sink = Sink::always(exchanges(10)).await;
    let client = Net::new().client();
    let peers = [client.peer(&sink.url()).unwrap(), client.peer(&sink.url()).unwrap()];
    for _ in 0..3 {
        for peer in &peers {
            assert_eq!(post_to(&client, peer, "{}").await.result, Http(200));
        }
    }
    assert_eq!(sink.connections(), 2);
}

#[tokio::test]
async fn idle_connections_are_bounded_in_number_and_time() {
    let sink = Sink::always(exchanges(10)).await;
    let mut net = Net::new();
    net.limits.idle_max = 2;
    let client = net.client();
    let peers: Vec<_> = (0..3).map(|_| client.peer(&sink.url()).unwrap()).collect();
    for _ in 0..2 {
        for peer in &peers {
            post_to(&client, peer, "{}").await;
        }
    }
    assert_eq!(sink.connections(), 4, "the third endpoint finds no room to keep its connection");

    net.clock.advance(SignedDuration::from_secs(31));
    for peer in &peers {
        client.sweep(peer);
    }
    post_to(&client, &peers[2], "{}").await;
    post_to(&client, &peers[2], "{}").await;
    assert_eq!(sink.connections(), 5, "what idled too long has made room");
}

#[tokio::test]
async fn an_old_connection_is_not_used_for_ever() {
    let sink = Sink::always(exchanges(1000)).await;
    let net = Net::new();
    let client = net.client();
    let peer = client.peer(&sink.url()).unwrap();
    for _ in 0..61 {
        post_to(&client, &peer, "{}").await;
        net.clock.advance(SignedDuration::from_secs(10));
    }
    assert_eq!(sink.connections(), 2, "after ten minutes the name is judged again");
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_is_noticed() {
    let closes = vec![Step::Read, answer(200), Step::Wait];
    let mut sink = Sink::start(vec![closes, exchanges(1)]).await;
    let client = Net::new().client();
    let peer = client.peer(&sink.url()).unwrap();
    post_to(&client, &peer, "{}").await;
    sink.request().await;
    sink.go_on();
    settle_down().await;
    assert_eq!(post_to(&client, &peer, "{}").await.result, Http(200));
    assert_eq!(sink.connections(), 2);
}

//! More of how endpoints misbehave (F3, F9–F14, F17–F21, F26, F32): what is left on the wire afterwards, and what is done next.

use jiff::SignedDuration;
use rstest::rstest;
use tokio::net::{TcpSocket, TcpStream};
use watchbell_domain::delivery::AttemptResult::*;
use watchbell_domain::delivery::StateKind;
use watchbell_domain::port::{Clock, Next};
use watchbell_engine::net::client::Exchange;

use crate::support::rig::{Net, Rig, options, org, post, post_to, settle_down};
use crate::support::sink::{Sink, Step, answer, write};

/// One exchange beside a clock that runs, a second a step.
async fn post_while_time_passes(sink: &Sink, body: &str) -> (Exchange, SignedDuration) {
    let net = Net::new();
    let client = net.client();
    let url = sink.url();
    let time = async {
        loop {
            // The endpoint's scripts wait for each step.
            sink.go_on();
            settle_down().await;
            net.clock.advance(SignedDuration::from_secs(1));
        }
    };
    let exchange = tokio::select! {
        exchange = post(&client, &url, body) => exchange,
        () = time => unreachable!(),
    };
    (exchange, net.clock.monotonic())
}

#[rstest]
#[case("HTTP/1.1 401 X\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n")]
#[case("HTTP/1.1 407 X\r\nProxy-Authenticate: Negotiate\r\nContent-Length: 0\r\n\r\n")]
#[case("HTTP/1.1 200 X\r\nSet-Cookie: a=b\r\nRefresh: 0; url=/x\r\nAlt-Svc: h2=\":1\"\r\nContent-Length: 0\r\n\r\n")]
#[tokio::test]
async fn f3_a17_an_answer_asks_for_nothing_more(#[case] head: &str) {
    let mut sink = Sink::always(vec![Step::Read, write(head), Step::Read, answer(200), Step::Hang]).await;
    let client = Net::new().client();
    let peer = client.peer(&sink.url()).unwrap();
    post_to(&client, &peer, "{}").await;
    let first = sink.request().await;
    settle_down().await;
    assert!(sink.requests.try_recv().is_err(), "one request for one attempt");
    post_to(&client, &peer, "{}").await;
    assert_eq!(sink.request().await, first, "nothing of the answer comes back");
}

#[rstest]
#[case(400)]
#[case(401)]
#[case(404)]
#[case(409)]
#[case(413)]
#[case(500)]
#[case(999)]
#[tokio::test]
async fn f3_f32_other_statuses_are_retried_with_the_same_body(#[case] status: u16) {
    let mut sink = Sink::start(vec![vec![Step::Read, answer(status)], vec![Step::Read, answer(200)]]).await;
    let mut rig = Rig::start(options());
    let endpoint = rig.endpoint(org(1), &sink.url());
    let data = format!(r#"{{"a":"{}"}}"#, "x".repeat(100_000));
    let delivery = rig.deliver(endpoint, &data);
    let first = sink.request().await;
    let Next::Retry { due_at, .. } = rig.settled().await.next else { panic!("{status} is retried") };
    settle_down().await;
    rig.advance_to(due_at);
    let second = sink.request().await;
    assert_eq!(rig.settled().await.next, Next::Delivered);
    assert_eq!(rig.state(delivery), StateKind::Delivered);
    let without_time = |request: &str| {
        let lines = request.split("\r\n").filter(|line| !line.starts_with("X-SENT-at"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(without_time(&first), without_time(&second), "whole, and the same");
}

#[tokio::test]
async fn f19_work_that_was_done_and_not_acknowledged_is_sent_again_under_its_id() {
    let mut sink = Sink::start(vec![vec![Step::Read, Step::Reset], vec![Step::Read, answer(200)]]).await;
    let mut rig = Rig::start(options());
    let endpoint = rig.endpoint(org(1), &sink.url());
    let delivery = rig.deliver(endpoint, r#"{"n":1}"#);
    let first = sink.request().await;
    let settled = rig.settled().await;
    assert_eq!(settled.attempt.as_ref().unwrap().result, ConnectionReset);
    let Next::Retry { due_at, .. } = settled.next else { panic!("{settled:?}") };
    settle_down().await;
    rig.advance_to(due_at);
    let second = sink.request().await;
    let id = format!("X-Snyk-Transport-ID: {delivery}\r\n");
    assert!(first.contains(&id) && second.contains(&id));
    assert_eq!(rig.settled().await.next, Next::Delivered);
}

#[tokio::test]
async fn f9_a_full_listen_queue_is_a_black_hole() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    // Fills the queue: the connects that are still under way after a while will stay so.
    for _ in 0..8 {
        waiting.push(tokio::spawn(TcpStream::connect(address)));
    }
    settle_down().await;
    let net = Net::new();
    let client = net.client();
    let time = async {
        settle_down().await;
        net.clock.advance(SignedDuration::from_secs(5));
        std::future::pending::<()>().await;
    };
    let url = format!("http://{address}/");
    let exchange = tokio::select! {
        exchange = post(&client, &url, "{}") => exchange,
        () = time => unreachable!(),
    };
    assert_eq!(exchange.result, ConnectTimeout);
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn f10_a_body_that_is_read_byte_by_byte_ends_at_the_deadline() {
    let script = std::iter::repeat_n([Step::ReadBytes(1), Step::Wait], 100).flatten().collect();
    let sink = Sink::always(script).await;
    let (exchange, took) = post_while_time_passes(&sink, &"x".repeat(8 * 1024 * 1024)).await;
    assert_eq!(exchange.result, ResponseTimeout);
    assert_eq!(took, SignedDuration::from_secs(20));
}

#[rstest]
#[case::status_line("HTTP/1.1 200 OK, and this goes on and on and on")]
#[case::headers("HTTP/1.1 200 OK\r\nX: this goes on and on and on and on")]
#[tokio::test]
async fn f11_a_head_that_drips_ends_at_the_deadline(#[case] text: &str) {
    let bytes = text.bytes().flat_map(|byte| [write([byte]), Step::Wait]);
    let sink = Sink::always([Step::Read].into_iter().chain(bytes).collect()).await;
    let (exchange, took) = post_while_time_passes(&sink, "{}").await;
    assert_eq!(exchange.result, ResponseTimeout);
    assert_eq!(took, SignedDuration::from_secs(20));
}

#[rstest]
#[case(200)]
#[case(503)]
#[tokio::test]
async fn f12_f13_a_body_that_drips_ends_at_its_own_deadline(#[case] status: u16) {
    let head = [Step::Read, write(format!("HTTP/1.1 {status} X\r\nContent-Length: 1000\r\n\r\n"))];
    let bytes = std::iter::repeat_n([write("x"), Step::Wait], 100).flatten();
    let sink = Sink::always(head.into_iter().chain(bytes).collect()).await;
    let (exchange, took) = post_while_time_passes(&sink, "{}").await;
    assert_eq!(exchange.result, Http(status));
    assert!(exchange.response.unwrap().truncated);
    // The head came in the first second.
    assert!((5..=6).contains(&took.as_secs()), "{took:?}");
}

#[rstest]
#[case::extension("4;", "xxxxxxxx")]
#[case::extensions("", "1;x\r\ny\r\n")]
#[case::trailers("0\r\n", "X-Trailer: y\r\n")]
#[case::trailer("0\r\nX: ", "yyyyyyyy")]
#[tokio::test]
async fn f14_what_goes_with_chunks_is_bounded(#[case] begin: &str, #[case] flood: &str) {
    let head = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{begin}");
    let script = vec![Step::Read, write(head), Step::Flood(flood.repeat(500).into_bytes())];
    let sink = Sink::always(script).await;
    let client = Net::new().client();
    let peer = client.peer(&sink.url()).unwrap();
    // No time passes: were it not for the bounds, this would go on for ever.
    let exchange = post_to(&client, &peer, "{}").await;
    assert_eq!(exchange.result, Http(200));
    let response = exchange.response.unwrap();
    assert!(response.truncated && response.body.len() <= 16 * 1024);
    post_to(&client, &peer, "{}").await;
    assert_eq!(sink.connections(), 2, "the connection is not used again");
}

#[tokio::test]
async fn f14_a_header_of_a_mebibyte_is_too_large() {
    let head = format!("HTTP/1.1 200 OK\r\nX: {}\r\nContent-Length: 0\r\n\r\n", "x".repeat(1 << 20));
    let sink = Sink::always(vec![Step::Read, write(head)]).await;
    assert_eq!(post(&Net::new().client(), &sink.url(), "{}").await.result, ResponseTooLarge);
}

#[rstest]
#[case("gzip")]
#[case("gzip, gzip, br")]
#[case("nonsense")]
#[tokio::test]
async fn f17_f26_bodies_are_kept_as_they_came(#[case] coding: &str) {
    let bytes = b"\x1f\x8b\x1b[31m<script>\0\xff\xfe\xc3(".repeat(8);
    let mut script = format!(
        "HTTP/1.1 500 X\r\nContent-Encoding: {coding}\r\nX-Odd: \u{e4}<b>\r\nContent-Length: {}\r\n\r\n",
        bytes.len()
    )
    .into_bytes();
    script.extend(&bytes);
    let mut sink = Sink::always(vec![Step::Read, write(script)]).await;
    let response = post(&Net::new().client(), &sink.url(), "{}").await.response.unwrap();
    assert_eq!(response.body, bytes);
    assert!(response.headers.iter().any(|(name, _)| name == "x-odd"));
    assert!(sink.request().await.contains("\r\nAccept-Encoding: identity\r\n"));
}

#[rstest]
#[case::garbage("garbage\r\n\r\n")]
#[case::two_lengths("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok")]
#[case::length_and_chunked("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")]
#[case::switching("HTTP/1.1 101 X\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")]
#[tokio::test]
async fn f21_a_connection_that_broke_the_rules_is_not_used_again(#[case] bytes: &str) {
    let breaks = vec![Step::Read, write(bytes), Step::Read, answer(200), Step::Hang];
    let sink = Sink::start(vec![breaks, vec![Step::Read, answer(201), Step::Hang]]).await;
    let client = Net::new().client();
    let peer = client.peer(&sink.url()).unwrap();
    assert_eq!(post_to(&client, &peer, "{}").await.result, ProtocolError);
    assert_eq!(post_to(&client, &peer, "{}").await.result, Http(201));
    assert_eq!(sink.connections(), 2);
}

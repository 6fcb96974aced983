//! How endpoints misbehave: rows F1–F23 and A16, each on a real socket.

use jiff::SignedDuration;
use rstest::rstest;
use watchbell_domain::delivery::AttemptResult::{self, *};
use watchbell_domain::retry::RetryAfter;

use crate::support::rig::{Net, SECRET, post, post_to};
use crate::support::sink::{Sink, Step, answer, write};

async fn result_of(script: Vec<Step>) -> AttemptResult {
    let sink = Sink::always(script).await;
    post(&Net::new().client(), &sink.url(), "{}").await.result
}

/// What a script leads to that answers at once.
async fn result_of_answer(bytes: impl AsRef<[u8]>) -> AttemptResult {
    result_of(vec![Step::Read, write(bytes)]).await
}

#[rstest]
#[case("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Http(200))]
#[case("HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n\x7f\0", Http(201))]
#[case("HTTP/1.1 202 \r\nContent-Length: 0\r\n\r\n", Http(202))]
#[case("HTTP/1.1 204 No Content\r\n\r\n", Http(204))]
#[case("HTTP/1.1 299 Odd\r\n\r\nuntil the end", Http(299))]
#[case("HTTP/1.0 200 OK\r\n\r\n", Http(200))]
#[case("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", Http(200))]
#[case("HTTP/1.1 200 OK\nContent-Length: 0\n\n", Http(200))]
#[case("HTTP/1.1 400 X\r\nContent-Length: 0\r\n\r\n", Http(400))]
#[case("HTTP/1.1 401 X\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n", Http(401))]
#[case("HTTP/1.1 407 X\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n", Http(407))]
#[case("HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n", Http(410))]
#[case("HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n", Http(500))]
#[case("HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n", Http(999))]
#[case(
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    Http(200)
)]
#[case("HTTP/1.1 300 X\r\nContent-Length: 0\r\n\r\n", RedirectRefused)]
#[case("HTTP/1.1 304 X\r\n\r\n", RedirectRefused)]
#[tokio::test]
async fn f1_f2_f3_f15_a_complete_head_decides(#[case] bytes: &str, #[case] wanted: AttemptResult) {
    assert_eq!(result_of_answer(bytes).await, wanted);
}

#[rstest]
#[case("garbage\r\n\r\n")]
#[case("<html>hello</html>")]
#[case("HTTP/1.1 20 OK\r\n\r\n")]
#[case("HTTP/1.1 2000 OK\r\n\r\n")]
#[case("HTTP/1.1 abc OK\r\n\r\n")]
#[case("HTTP/3.0 200 OK\r\n\r\n")]
#[case("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n")]
#[case("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n")]
#[case("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n")]
#[case("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok")]
#[case("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok")]
#[case("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")]
#[case("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok")]
#[case("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n")]
#[case("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")]
#[case("HTTP/1.1 200 OK\r\nX: a\r\n folded\r\n\r\n")]
#[case("HTTP/1.1 200 OK\r\nbroken\r\n\r\n")]
#[case("HTTP/1.1 200 OK\r\nX : y\r\n\r\n")]
#[case("HTTP/1.1 200 OK\r\nX: \0\r\n\r\n")]
#[case("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n")]
#[tokio::test]
async fn f16_f21_what_is_not_http(#[case] bytes: &str) {
    assert_eq!(result_of_answer(bytes).await, ProtocolError, "{bytes:?}");
}

#[rstest]
#[case("")]
#[case("HTTP/1.1 2")]
#[case("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n")]
#[case("HTTP/1.1 100 Continue\r\n\r\n")]
#[tokio::test]
async fn f16_f18_closed_before_the_head_is_complete(#[case] bytes: &str) {
    assert_eq!(result_of_answer(bytes).await, ConnectionClosed);
}

#[tokio::test]
async fn f9_f18_f19_resets() {
    assert_eq!(result_of(vec![Step::Reset]).await, ConnectionReset);
    assert_eq!(result_of(vec![Step::Read, Step::Reset]).await, ConnectionReset);
    let inside = vec![Step::Read, write("HTTP/1.1 200 OK\r\n"), Step::Reset];
    assert_eq!(result_of(inside).await, ConnectionReset);
}

#[tokio::test]
async fn f9_nobody_listens() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let exchange = post(&Net::new().client(), &format!("http://{address}/"), "{}").await;
    assert_eq!(exchange.result, ConnectRefused);
}

#[rstest]
#[case(vec![Step::Read])]
#[case(vec![Step::Read, write("HTTP/1.1 200 OK\r\nX: y\r\n")])]
#[case(vec![Step::Read, write("HTTP/1.1 100 Continue\r\n\r\n")])]
#[tokio::test]
async fn f10_f11_silence_ends_at_the_deadline(#[case] mut script: Vec<Step>) {
    script.push(Step::Hang);
    let mut sink = Sink::always(script).await;
    let url = sink.url();
    let net = Net::new();
    let client = net.client();
    let later = async {
        sink.request().await;
        net.clock.advance(SignedDuration::from_secs(20));
    };
    let (exchange, ()) = tokio::join!(post(&client, &url, "{}"), later);
    assert_eq!(exchange.result, ResponseTimeout);
}

#[tokio::test]
async fn f11_each_byte_does_not_buy_more_time() {
    let script = vec![
        Step::Read,
        write("HTTP/1.1 200 OK\r\n"),
        Step::Wait,
        write("X: y\r\n"),
        Step::Wait,
        write("\r\n"),
        Step::Hang,
    ];
    let mut sink = Sink::always(script).await;
    let net = Net::new();
    let client = net.client();
    let url = sink.url();
    let later = async {
        sink.request().await;
        net.clock.advance(SignedDuration::from_secs(19));
        sink.go_on();
        net.clock.advance(SignedDuration::from_millis(1000));
    };
    let (exchange, ()) = tokio::join!(post(&client, &url, "{}"), later);
    assert_eq!(exchange.result, ResponseTimeout);
}

#[tokio::test]
async fn f10_a_body_that_is_never_read_ends_at_the_deadline() {
    let sink = Sink::always(vec![Step::Hang]).await;
    let net = Net::new();
    let client = net.client();
    let body = "x".repeat(8 * 1024 * 1024);
    let later = async {
        while sink.connections() == 0 {
            tokio::task::yield_now().await;
        }
        crate::support::rig::settle_down().await;
        net.clock.advance(SignedDuration::from_secs(20));
    };
    let url = sink.url();
    let (exchange, ()) = tokio::join!(post(&client, &url, &body), later);
    assert_eq!(exchange.result, ResponseTimeout);
}

#[rstest]
#[case(200)]
#[case(500)]
#[tokio::test]
async fn f12_f13_endless_bodies_are_cut(#[case] status: u16) {
    let script = vec![Step::Read, write(format!("HTTP/1.1 {status} X\r\n\r\n")), Step::Flood(vec![b'x'; 8192])];
    let sink = Sink::always(script).await;
    let exchange = post(&Net::new().client(), &sink.url(), "{}").await;
    assert_eq!(exchange.result, Http(status));
    let response = exchange.response.unwrap();
    assert!(response.truncated);
    assert_eq!(response.body.len(), 16 * 1024);
}

#[rstest]
#[case("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", Some(Step::Hang))]
#[case("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", None)]
#[case("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", Some(Step::Reset))]
#[case("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nxyz\r\n", Some(Step::Hang))]
#[case("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n10000000000000000\r\n", None)]
#[tokio::test]
async fn f12_f18_f21_after_the_head_the_body_may_break(#[case] bytes: &str, #[case] then: Option<Step>) {
    let script = [Step::Read, write(bytes)].into_iter().chain(then).collect();
    let sink = Sink::always(script).await;
    let net = Net::new();
    let client = net.client();
    let peer = client.peer(&sink.url()).unwrap();
    let body_deadline = async {
        while net.clock.next_wake().is_none_or(|wake| wake > SignedDuration::from_secs(5)) {
            tokio::task::yield_now().await;
        }
        crate::support::rig::settle_down().await;
        net.clock.advance(SignedDuration::from_secs(5));
        std::future::pending::<()>().await;
    };
    let exchange = tokio::select! {
        exchange = post_to(&client, &peer, "{}") => exchange,
        () = body_deadline => unreachable!(),
    };
    assert_eq!(exchange.result, Http(200));
    let response = exchange.response.unwrap();
    assert!(response.truncated);
    assert!(response.body.is_empty() || response.body == b"half", "{response:?}");
}

#[tokio::test]
async fn f14_heads_without_end() {
    let endless_header = vec![Step::Read, write("HTTP/1.1 200 OK\r\nX: "), Step::Flood(vec![b'x'; 4096])];
    assert_eq!(result_of(endless_header).await, ResponseTooLarge);
    let endless_headers = vec![Step::Read, write("HTTP/1.1 200 OK\r\n"), Step::Flood(b"X: y\r\n".repeat(100))];
    assert_eq!(result_of(endless_headers).await, ResponseTooLarge);
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(101));
    assert_eq!(result_of_answer(many).await, ResponseTooLarge);
    let enough = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(100));
    assert_eq!(result_of_answer(enough).await, Http(200));
    let status_line = vec![Step::Read, write("HTTP/1.1 200 "), Step::Flood(vec![b'x'; 4096])];
    assert_eq!(result_of(status_line).await, ResponseTooLarge);
}

#[tokio::test]
async fn f16_informational_responses_without_end() {
    let script = vec![Step::Read, Step::Flood(b"HTTP/1.1 103 Early\r\nX: y\r\n\r\n".repeat(10))];
    assert_eq!(result_of(script).await, ProtocolError);
}

#[tokio::test]
async fn f17_compressed_answers_stay_compressed() {
    let bytes = [0x1f, 0x8b, 0x08, 0, 0, 0, 0, 0, 0, 3, 0x4b, 4, 0];
    let mut script =
        format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", bytes.len()).into_bytes();
    script.extend(bytes);
    let sink = Sink::always(vec![Step::Read, write(script)]).await;
    let exchange = post(&Net::new().client(), &sink.url(), "{}").await;
    assert_eq!(exchange.response.unwrap().body, bytes);
}

#[rstest]
#[case(301)]
#[case(302)]
#[case(303)]
#[case(307)]
#[case(308)]
#[tokio::test]
async fn a16_redirects_are_shown_and_not_followed(#[case] status: u16) {
    let elsewhere = Sink::always(vec![Step::Read, answer(200)]).await;
    let location = format!("{}?token={SECRET}", elsewhere.url());
    let head = format!("HTTP/1.1 {status} X\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
    let sink = Sink::always(vec![Step::Read, write(head)]).await;
    let exchange = post(&Net::new().client(), &sink.url(), "{}").await;
    assert_eq!(exchange.result, RedirectRefused);
    assert_eq!(exchange.detail.unwrap(), format!("Location: {}?…", elsewhere.url()));
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn f5_f7_the_larger_retry_after_is_handed_on() {
    let bytes = "HTTP/1.1 503 X\r\nRetry-After: 7\r\nRetry-After: 9\r\nRetry-After: soon\r\nContent-Length: 0\r\n\r\n";
    let sink = Sink::always(vec![Step::Read, write(bytes)]).await;
    let exchange = post(&Net::new().client(), &sink.url(), "{}").await;
    assert_eq!(exchange.retry_after, Some(RetryAfter::Seconds(9)));
}

#[tokio::test]
async fn f20_a_reused_connection_that_breaks_is_replaced_once() {
    for breaks in [Step::Reset, Step::Read] {
        // The first connection answers once, then breaks as the second request comes.
        let first = vec![Step::Read, answer(200), Step::Wait, breaks, Step::Reset];
        let mut sink = Sink::start(vec![first, vec![Step::Read, answer(200), Step::Hang]]).await;
        let client = Net::new().client();
        let peer = client.peer(&sink.url()).unwrap();
        assert_eq!(post_to(&client, &peer, "{}").await.result, Http(200));
        sink.request().await;
        sink.go_on();
        assert_eq!(post_to(&client, &peer, "{}").await.result, Http(200));
        assert_eq!(sink.connections(), 2);
    }
}

#[tokio::test]
async fn f20_there_is_no_third_try_and_none_on_a_fresh_connection() {
    let first = vec![Step::Read, answer(200), Step::Read, Step::Reset];
    let mut sink = Sink::start(vec![first, vec![Step::Read, Step::Reset]]).await;
    let client = Net::new().client();
    let peer = client.peer(&sink.url()).unwrap();
    assert_eq!(post_to(&client, &peer, "{}").await.result, Http(200));
    assert_eq!(post_to(&client, &peer, "{}").await.result, ConnectionReset);
    assert_eq!(sink.connections(), 2);
    for _ in 0..3 {
        sink.request().await;
    }
    assert!(sink.requests.try_recv().is_err());
}

#[tokio::test]
async fn f20_a_byte_of_answer_forbids_the_resend() {
    let first = vec![Step::Read, answer(200), Step::Read, write("H"), Step::Wait, Step::Reset];
    let mut sink = Sink::start(vec![first, vec![Step::Read, answer(200)]]).await;
    let client = Net::new().client();
    let peer = client.peer(&sink.url()).unwrap();
    assert_eq!(post_to(&client, &peer, "{}").await.result, Http(200));
    sink.request().await;
    let reset_later = async {
        sink.request().await;
        // The byte is on its way before the reset; a reset must not overtake it.
        crate::support::rig::settle_down().await;
        sink.go_on();
    };
    let (exchange, ()) = tokio::join!(post_to(&client, &peer, "{}"), reset_later);
    assert_eq!(exchange.result, ConnectionReset);
    assert_eq!(sink.connections(), 1);
}

#[tokio::test]
async fn f22_an_answer_that_nobody_asked_for_ends_the_connection() {
    let twice = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n";
    let mut sink = Sink::start(vec![
        vec![Step::Read, write(twice), Step::Read, Step::Hang],
        vec![Step::Read, answer(200), Step::Hang],
    ])
    .await;
    let client = Net::new().client();
    let peer = client.peer(&sink.url()).unwrap();
    assert_eq!(post_to(&client, &peer, "{}").await.result, Http(200));
    sink.request().await;
    assert_eq!(post_to(&client, &peer, "{}").await.result, Http(200));
    assert_eq!(sink.connections(), 2);
}

#[tokio::test]
async fn f22_an_answer_that_comes_while_idle_ends_the_connection() {
    let late = vec![Step::Read, answer(200), Step::Wait, answer(500), Step::Read, Step::Hang];
    let mut sink = Sink::start(vec![late, vec![Step::Read, answer(201), Step::Hang]]).await;
    let client = Net::new().client();
    let peer = client.peer(&sink.url()).unwrap();
    assert_eq!(post_to(&client, &peer, "{}").await.result, Http(200));
    sink.request().await;
    sink.go_on();
    crate::support::rig::settle_down().await;
    assert_eq!(post_to(&client, &peer, "{}").await.result, Http(201));
    assert_eq!(sink.connections(), 2);
}

#[tokio::test]
async fn f23_an_answer_before_the_body_was_read_counts() {
    let sink = Sink::always(vec![answer(202), Step::Wait]).await;
    let body = "x".repeat(4 * 1024 * 1024);
    let exchange = post(&Net::new().client(), &sink.url(), &body).await;
    assert_eq!(exchange.result, Http(202));
    let sink = Sink::always(vec![answer(202)]).await;
    let exchange = post(&Net::new().client(), &sink.url(), &body).await;
    assert_eq!(exchange.result, Http(202));
}

#[tokio::test]
async fn f26_secrets_that_are_echoed_are_masked() {
    let body = format!("you sent {SECRET}");
    let bytes = format!("HTTP/1.1 400 X\r\nX-Echo: <{SECRET}>\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let sink = Sink::always(vec![Step::Read, write(bytes)]).await;
    let response = post(&Net::new().client(), &sink.url(), "{}").await.response.unwrap();
    assert!(response.headers.contains(&("x-echo".to_owned(), "<••••>".to_owned())), "{response:?}");
    assert_eq!(String::from_utf8(response.body).unwrap(), "you sent ••••");
    assert!(!response.truncated);
}

//! How endpoints misbehave in HTTP/2, frame by frame: rows F24 and F25.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::SignedDuration;
use rstest::rstest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use watchbell_domain::delivery::AttemptResult::{self, *};
use watchbell_engine::net::client::{Client, Exchange, Peer};

use crate::support::rig::{Net, post_to, settle_down};
use crate::tls::{Presented, ca, net, params};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// `:status: 200` in HPACK.
const OK: &[u8] = &[0x88];

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

fn answer_200(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, stream, OK)
}

fn go_away(last_stream: u32, code: u32) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[last_stream.to_be_bytes(), code.to_be_bytes()].concat())
}

/// What an endpoint does on a connection, once it has said and heard the settings.
#[derive(Debug, Clone)]
enum Step {
    /// Waits for so many heads of requests.
    Heads(usize),
    Write(Vec<u8>),
    /// Writes these bytes until the client has had enough.
    Flood(Vec<u8>),
    Hang,
}

struct Endpoint {
    connections: Arc<AtomicUsize>,
    /// A word for each head of a request, and for each flood that ended.
    heard: mpsc::UnboundedReceiver<()>,
    client: Client,
    peer: Peer,
    net: Net,
}

/// The n-th connection follows the n-th script, later ones the last. `settings` are the endpoint's.
async fn endpoint(settings: &'static [u8], scripts: Vec<Vec<Step>>) -> Endpoint {
    let (ca, root) = ca("root");
    let mut presented = Presented::leaf(&params(&["hooks.example.com"]), &ca);
    presented.alpn = &[b"h2"];
    let acceptor = TlsAcceptor::from(presented.config());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let connections = Arc::new(AtomicUsize::new(0));
    let (said, heard) = mpsc::unbounded_channel();
    let count = Arc::clone(&connections);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let number = count.fetch_add(1, Ordering::SeqCst);
            let script = scripts.get(number).or(scripts.last()).cloned().unwrap_or_default();
            let stream = acceptor.accept(stream).await.unwrap();
            tokio::spawn(follow(stream, settings, script, said.clone()));
        }
    });
    let net = net(&root);
    let client = net.client();
    let peer = client.peer(&format!("https://hooks.example.com:{port}/hook")).unwrap();
    Endpoint { connections, heard, client, peer, net }
}

async fn follow(
    mut stream: TlsStream<TcpStream>,
    settings: &[u8],
    script: Vec<Step>,
    said: mpsc::UnboundedSender<()>,
) -> Option<()> {
    stream.write_all(&[frame(SETTINGS, 0, 0, settings), frame(SETTINGS, 1, 0, &[])].concat()).await.ok()?;
    stream.read_exact(&mut [0; 24]).await.ok()?;
    for step in script {
        match step {
            Step::Heads(count) => {
                for _ in 0..count {
                    while next_kind(&mut stream).await? != HEADERS {}
                    said.send(()).ok()?;
                }
            }
            Step::Write(bytes) => stream.write_all(&bytes).await.ok()?,
            Step::Flood(bytes) => {
                while stream.write_all(&bytes).await.is_ok() {}
                said.send(()).ok()?;
            }
            Step::Hang => {
                // What comes is read, as by an endpoint that is merely busy.
                while next_kind(&mut stream).await.is_some() {}
            }
        }
        stream.flush().await.ok()?;
    }
    Some(())
}

/// Reads a frame and answers its kind.
async fn next_kind(stream: &mut TlsStream<TcpStream>) -> Option<u8> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.ok()?;
    let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
    stream.read_exact(&mut vec![0; length]).await.ok()?;
    Some(head[3])
}

impl Endpoint {
    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    async fn post(&self, body: &str) -> Exchange {
        post_to(&self.client, &self.peer, body).await
    }

    /// Posts, and lets the attempt's time pass once the endpoint has the request.
    async fn post_until_the_deadline(&mut self) -> AttemptResult {
        let later = async {
            self.heard.recv().await.unwrap();
            settle_down().await;
            self.net.clock.advance(SignedDuration::from_secs(20));
        };
        let (exchange, ()) = tokio::join!(post_to(&self.client, &self.peer, "{}"), later);
        exchange.result
    }
}

#[tokio::test]
async fn f24_a_stream_above_the_last_of_goaway_is_sent_again_at_once() {
    let leaves = vec![Step::Heads(1), Step::Write(go_away(0, 0)), Step::Hang];
    let takes = vec![Step::Heads(1), Step::Write(answer_200(1)), Step::Hang];
    let endpoint = endpoint(&[], vec![leaves, takes]).await;
    assert_eq!(endpoint.post("{}").await.result, Http(200));
    assert_eq!(endpoint.connections(), 2);
}

#[tokio::test]
async fn f24_there_is_no_third_try() {
    let leaves = vec![Step::Heads(1), Step::Write(go_away(0, 0)), Step::Hang];
    let endpoint = endpoint(&[], vec![leaves]).await;
    assert_eq!(endpoint.post("{}").await.result, ConnectionClosed);
    assert_eq!(endpoint.connections(), 2);
}

#[tokio::test]
async fn f25_goaway_that_covers_the_stream_and_then_silence() {
    let covers = vec![Step::Heads(1), Step::Write(go_away(1, 0)), Step::Hang];
    let takes = vec![Step::Heads(1), Step::Write(answer_200(1)), Step::Hang];
    let mut endpoint = endpoint(&[], vec![covers, takes]).await;
    assert_eq!(endpoint.post_until_the_deadline().await, ResponseTimeout);
    assert_eq!(endpoint.post("{}").await.result, Http(200));
    assert_eq!(endpoint.connections(), 2);
}

#[tokio::test]
async fn f25_goaway_that_covers_the_stream_and_then_its_answer() {
    let covers = [go_away(1, 0), answer_200(1)].concat();
    let endpoint = endpoint(&[], vec![vec![Step::Heads(1), Step::Write(covers), Step::Hang]]).await;
    assert_eq!(endpoint.post("{}").await.result, Http(200));
    assert_eq!(endpoint.connections(), 1);
}

#[tokio::test]
async fn f25_silence_ends_at_the_deadline() {
    let mut endpoint = endpoint(&[], vec![vec![Step::Heads(1), Step::Hang]]).await;
    assert_eq!(endpoint.post_until_the_deadline().await, ResponseTimeout);
}

#[rstest]
#[case::frame_too_large(frame(DATA, 0, 1, &[0; 20_000]))]
#[case::data_on_no_stream(frame(DATA, 0, 0, &[0]))]
#[case::data_before_the_head(frame(DATA, 0, 1, b"x"))]
#[case::short_ping(frame(PING, 0, 0, &[0; 7]))]
#[case::odd_settings(frame(SETTINGS, 0, 0, &[0; 5]))]
#[case::window_overflow(frame(WINDOW_UPDATE, 0, 0, &[127, 255, 255, 255]).repeat(2))]
#[case::push(frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2, 0x82, 0x87, 0x84, 0x41, 1, b'a']))]
#[case::bad_hpack(frame(HEADERS, END_STREAM | END_HEADERS, 1, &[255; 50]))]
#[case::no_status(frame(HEADERS, END_STREAM | END_HEADERS, 1, &[0, 1, b'x', 1, b'y']))]
#[case::answer_to_nothing(answer_200(7))]
#[case::continuation_of_nothing(frame(CONTINUATION, END_HEADERS, 1, OK))]
#[case::http1(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec())]
#[case::noise(vec![0xaa; 300])]
#[tokio::test]
async fn f25_frames_that_break_the_rules(#[case] bytes: Vec<u8>) {
    let breaks = vec![Step::Heads(1), Step::Write(bytes), Step::Hang];
    let takes = vec![Step::Heads(1), Step::Write(answer_200(1)), Step::Hang];
    let endpoint = endpoint(&[], vec![breaks, takes]).await;
    assert_eq!(endpoint.post("{}").await.result, ProtocolError);
    assert_eq!(endpoint.post("{}").await.result, Http(200), "on a new connection");
    assert_eq!(endpoint.connections(), 2);
}

#[tokio::test]
async fn f25_a_head_without_end_is_not_gathered() {
    let long_header = {
        let mut header = vec![0, 1, b'x', 127, 0xa1, 0x1e];
        header.extend([b'v'; 4000]);
        header
    };
    for piece in [long_header, Vec::new()] {
        let begins = frame(HEADERS, 0, 1, OK);
        let flood = frame(CONTINUATION, 0, 1, &piece).repeat(4);
        let script = vec![Step::Heads(1), Step::Write(begins), Step::Flood(flood)];
        let mut endpoint = endpoint(&[], vec![script]).await;
        let result = endpoint.post("{}").await.result;
        assert!(matches!(result, ProtocolError | ResponseTooLarge), "{result:?}");
        endpoint.heard.recv().await.unwrap();
        endpoint.heard.recv().await.expect("the client had enough");
    }
}

#[rstest]
#[case::pings(frame(PING, 0, 0, &[0; 8]))]
#[case::settings(frame(SETTINGS, 0, 0, &[]))]
#[case::windows(frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]))]
#[case::informational(frame(HEADERS, END_HEADERS, 1, &[0x08, 3, b'1', b'0', b'3']))]
#[tokio::test]
async fn f25_floods_end_with_the_attempt(#[case] nothing: Vec<u8>) {
    let floods = vec![Step::Heads(1), Step::Flood(nothing.repeat(100))];
    let takes = vec![Step::Heads(1), Step::Write(answer_200(1)), Step::Hang];
    let mut endpoint = endpoint(&[], vec![floods, takes]).await;
    let result = endpoint.post_until_the_deadline().await;
    assert!(matches!(result, ResponseTimeout | ProtocolError), "{result:?}");
    endpoint.heard.recv().await.expect("the connection is dropped, not only the stream");
    assert_eq!(endpoint.post("{}").await.result, Http(200));
    assert_eq!(endpoint.connections(), 2);
}

#[tokio::test]
async fn f12_f25_a_body_without_end_is_cut_and_its_stream_reset() {
    let begins = frame(HEADERS, END_HEADERS, 1, OK);
    let flood = vec![Step::Heads(1), Step::Write(begins), Step::Flood(frame(DATA, 0, 1, &[b'x'; 8192]))];
    let endpoint = endpoint(&[], vec![flood]).await;
    let exchange = endpoint.post("{}").await;
    assert_eq!(exchange.result, Http(200));
    let response = exchange.response.unwrap();
    assert!(response.truncated);
    assert!(response.body.len() <= 16 * 1024);
}

#[tokio::test]
async fn f10_f25_a_window_that_stays_shut() {
    // SETTINGS_INITIAL_WINDOW_SIZE = 0: the head may go, the body may not.
    let mut endpoint = endpoint(&[0, 4, 0, 0, 0, 0], vec![vec![Step::Heads(1), Step::Hang]]).await;
    assert_eq!(endpoint.post_until_the_deadline().await, ResponseTimeout);
}

#[tokio::test]
async fn f25_an_endpoint_that_takes_no_streams() {
    // SETTINGS_MAX_CONCURRENT_STREAMS = 0.
    let endpoint = endpoint(&[0, 3, 0, 0, 0, 0], vec![vec![Step::Hang]]).await;
    // The first stream may be on its way before the settings are known.
    let attempts = async {
        for _ in 0..2 {
            let result = endpoint.post("{}").await.result;
            assert_eq!(result, ResponseTimeout);
        }
    };
    let time = async {
        loop {
            settle_down().await;
            if endpoint.connections() > 0 {
                endpoint.net.clock.advance(SignedDuration::from_secs(1));
            }
        }
    };
    tokio::select! {
        () = attempts => {}
        () = time => {}
    }
}

#[tokio::test]
async fn f25_one_connections_end_fails_each_of_its_attempts_and_no_later_one() {
    let breaks = vec![
        Step::Heads(1),
        Step::Write(answer_200(1)),
        Step::Heads(2),
        Step::Write(frame(RST_STREAM, 0, 3, &2u32.to_be_bytes())),
        Step::Write(frame(PING, 0, 0, &[0; 7])),
        Step::Hang,
    ];
    let takes = vec![Step::Heads(1), Step::Write(answer_200(1)), Step::Hang];
    let endpoint = endpoint(&[], vec![breaks, takes]).await;
    assert_eq!(endpoint.post("{}").await.result, Http(200));
    let (one, other) = tokio::join!(endpoint.post("{}"), endpoint.post("{}"));
    let mut results = [one.result, other.result];
    results.sort_by_key(|result| *result == ProtocolError);
    assert_eq!(results, [ConnectionReset, ProtocolError]);
    assert_eq!(endpoint.post("{}").await.result, Http(200));
    assert_eq!(endpoint.connections(), 2);
}

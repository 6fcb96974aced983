//! HTTP/2 frame by frame: C12, and what of the other rows is different there.

use rstest::rstest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use watchbell_api::serve::Options;

use crate::running::{HEALTH, Running, answer, start};
use crate::world::ROOT;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

const PROTOCOL_ERROR: u32 = 1;
const REFUSED_STREAM: u32 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A header as HPACK writes one that it does not remember.
fn literal(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| {
        let mut bytes = Vec::new();
        match text.len() {
            length @ 0..127 => bytes.push(u8::try_from(length).unwrap()),
            length => {
                bytes.push(127);
                let mut left = length - 127;
                while left >= 128 {
                    bytes.push(u8::try_from(left % 128).unwrap() | 128);
                    left /= 128;
                }
                bytes.push(u8::try_from(left).unwrap());
            }
        }
        bytes.extend(text.as_bytes());
        bytes
    };
    [vec![0], text(name), text(value)].concat()
}

fn head(method: &str, path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let pseudo = [(":method", method), (":scheme", "http"), (":path", path), (":authority", "a")];
    pseudo.iter().chain(headers).flat_map(|(name, value)| literal(name, value)).collect()
}

fn get(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &head("GET", path, &[]))
}

/// A connection by prior knowledge.
async fn open(running: &Running) -> TcpStream {
    let mut stream = running.connect().await;
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
    stream
}

struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Frame {
    fn error(&self) -> u32 {
        let code = self.payload[self.payload.len().saturating_sub(4)..].first_chunk::<4>().unwrap();
        let code = if self.kind == GOAWAY { self.payload[4..8].first_chunk::<4>().unwrap() } else { code };
        u32::from_be_bytes(*code)
    }
}

/// The complete frames in what has been read.
fn frames(mut bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let Some(head) = bytes.first_chunk::<9>() {
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let stream = u32::from_be_bytes([head[5] & 127, head[6], head[7], head[8]]);
        let Some(payload) = bytes.get(9..9 + length) else { break };
        frames.push(Frame { kind: head[3], flags: head[4], stream, payload: payload.to_vec() });
        bytes = bytes.get(9 + length..).unwrap_or_default();
    }
    frames
}

/// Writes, reading what comes, until the server closes the connection or `bytes` are written; then reads to the end.
async fn flood(stream: TcpStream, bytes: impl Iterator<Item = Vec<u8>>) -> (usize, Vec<Frame>) {
    let (mut reader, mut writer) = stream.into_split();
    let writing = async move {
        let mut written = 0;
        for piece in bytes {
            if writer.write_all(&piece).await.is_err() {
                break;
            }
            written += 1;
        }
        (written, writer)
    };
    let mut read = Vec::new();
    // A connection that is closed with unread input is reset: what came before counts.
    let ((written, _writer), _) = tokio::join!(writing, reader.read_to_end(&mut read));
    (written, frames(&read))
}

fn goodbye(frames: &[Frame]) -> Option<u32> {
    frames.iter().filter(|frame| frame.kind == GOAWAY).map(Frame::error).next_back()
}

async fn others_are_served(running: &Running) {
    let mut other = running.connect().await;
    assert!(answer(&mut other, HEALTH).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn c12_requests_are_answered() {
    let running = start(Options::default()).await;
    let mut stream = open(&running).await;
    for number in 0..300 {
        stream.write_all(&get(1 + 2 * number, "/healthz")).await.unwrap();
        let mut read = Vec::new();
        while !frames(&read).iter().any(|frame| frame.kind == DATA && frame.flags & END_STREAM != 0) {
            stream.read_buf(&mut read).await.unwrap();
        }
    }
}

#[tokio::test]
async fn c12_rapid_resets_end_the_connection() {
    let running = start(Options::default()).await;
    let stream = open(&running).await;
    let resets = (0..10_000).map(|number| {
        let id = 1 + 2 * number;
        [get(id, "/openapi.json"), frame(RST_STREAM, 0, id, &8u32.to_be_bytes())].concat()
    });
    let (_, frames) = flood(stream, resets).await;
    assert_eq!(goodbye(&frames), Some(ENHANCE_YOUR_CALM));
    others_are_served(&running).await;
}

#[tokio::test]
async fn c12_resets_that_take_their_time_end_it_too() {
    let running = start(Options::default()).await;
    let mut stream = open(&running).await;
    for number in 0..1000u32 {
        let id = 1 + 2 * number;
        let reset = [get(id, "/healthz"), frame(RST_STREAM, 0, id, &8u32.to_be_bytes())].concat();
        if stream.write_all(&reset).await.is_err() {
            assert!(number < 400, "{number}");
            others_are_served(&running).await;
            return;
        }
        running.turns().await;
    }
    panic!("a thousand resets were borne");
}

#[rstest]
#[case::ping(frame(PING, 0, 0, &[0; 8]))]
#[case::settings(frame(SETTINGS, 0, 0, &[]))]
#[case::settings_that_change(frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 255, 255]))]
#[case::priority(frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1]))]
#[case::window(frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]))]
#[case::unknown(frame(200, 0, 0, &[7; 100]))]
#[tokio::test]
async fn c12_floods_of_nothing_end_the_connection(#[case] nothing: Vec<u8>) {
    let running = start(Options::default()).await;
    let (written, frames) = flood(open(&running).await, std::iter::repeat_n(nothing.repeat(10), 100_000)).await;
    assert_eq!(goodbye(&frames), Some(ENHANCE_YOUR_CALM));
    assert!(written < 100_000);
    others_are_served(&running).await;
}

#[tokio::test]
async fn c12_a_flood_whose_answers_are_not_read_is_not_gathered() {
    let running = start(Options::default()).await;
    let mut stream = open(&running).await;
    let mut written = 0;
    while stream.write_all(&frame(PING, 0, 0, &[0; 8]).repeat(1000)).await.is_ok() {
        written += 1;
        assert!(written < 100_000);
    }
    others_are_served(&running).await;
}

#[tokio::test]
async fn c12_empty_data_is_a_flood() {
    let running = start(Options::default()).await;
    let path = running.world.path("/events");
    let credential = format!("Bearer {ROOT}");
    let headers = [("authorization", credential.as_str()), ("content-type", "application/json")];
    let mut stream = open(&running).await;
    stream.write_all(&frame(HEADERS, END_HEADERS, 1, &head("POST", &path, &headers))).await.unwrap();
    let (_, frames) = flood(stream, std::iter::repeat_n(frame(DATA, 0, 1, &[]), 1_000_000)).await;
    assert_eq!(goodbye(&frames), Some(ENHANCE_YOUR_CALM));
    assert_eq!(running.events().await, 0);
}

#[tokio::test]
async fn c12_continuation_without_end_ends_the_connection() {
    let running = start(Options::default()).await;
    let mut stream = open(&running).await;
    stream.write_all(&frame(HEADERS, 0, 1, &head("GET", "/healthz", &[]))).await.unwrap();
    for piece in [literal("x-long", &"v".repeat(4000)), Vec::new()] {
        let pieces = std::iter::repeat_n(frame(CONTINUATION, 0, 1, &piece), 1_000_000);
        let mut stream = open(&running).await;
        stream.write_all(&frame(HEADERS, 0, 1, &head("GET", "/healthz", &[]))).await.unwrap();
        let (written, frames) = flood(stream, pieces).await;
        assert!(goodbye(&frames).is_some_and(|code| code != 0) && written < 100_000, "{written}");
    }
    others_are_served(&running).await;
}

#[tokio::test]
async fn c12_streams_beyond_the_limit_are_refused() {
    let running = start(Options::default()).await;
    let path = running.world.path("/events");
    let credential = format!("Bearer {ROOT}");
    let headers = [("authorization", credential.as_str()), ("content-type", "application/json")];
    let mut stream = open(&running).await;
    let mut read = Vec::new();
    for number in 0..1000 {
        // Their bodies do not come, so that they stay open.
        let opened = frame(HEADERS, END_HEADERS, 1 + 2 * number, &head("POST", &path, &headers));
        if stream.write_all(&opened).await.is_err() {
            break;
        }
        running.turns().await;
        drop(stream.try_read_buf(&mut read));
    }
    running.turns().await;
    drop(stream.try_read_buf(&mut read));
    let frames = frames(&read);
    let refused: Vec<_> = frames.iter().filter(|frame| frame.kind == RST_STREAM).collect();
    assert!(!refused.is_empty() && refused.iter().all(|frame| frame.error() == REFUSED_STREAM));
    assert!(refused.iter().all(|frame| frame.stream > 2 * 128), "128 are taken");
    assert_eq!(refused.first().unwrap().stream, 2 * 128 + 1);
    let limits = frames.iter().find(|frame| frame.kind == SETTINGS && frame.flags == 0).unwrap();
    assert!(limits.payload.chunks(6).any(|setting| setting == [0, 3, 0, 0, 0, 128]), "and the client is told so");
    others_are_served(&running).await;
}

#[tokio::test]
async fn c12_a_window_that_stays_shut_does_not_hold_the_connection() {
    let running = start(Options::default()).await;
    let mut stream = open(&running).await;
    stream.write_all(&frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0])).await.unwrap();
    for number in 0..100 {
        stream.write_all(&get(1 + 2 * number, "/openapi.json")).await.unwrap();
    }
    running.pass(30).await;
    others_are_served(&running).await;
    running.pass(40).await;
    let mut read = Vec::new();
    stream.read_to_end(&mut read).await.ok();
    let frames = frames(&read);
    assert_eq!(frames.iter().filter(|frame| frame.kind == HEADERS).count(), 100);
    assert_eq!(frames.iter().filter(|frame| frame.kind == DATA && !frame.payload.is_empty()).count(), 0);
}

#[tokio::test]
async fn c12_an_idle_connection_ends_also_when_it_pings() {
    let running = start(Options::default()).await;
    let mut stream = open(&running).await;
    stream.write_all(&get(1, "/healthz")).await.unwrap();
    for _ in 0..8 {
        if stream.write_all(&frame(PING, 0, 0, &[0; 8])).await.is_err() {
            break;
        }
        running.pass(10).await;
    }
    let mut read = Vec::new();
    stream.read_to_end(&mut read).await.ok();
    let frames = frames(&read);
    assert_eq!(goodbye(&frames), Some(0));
    let pings = frames.iter().filter(|frame| frame.kind == PING && frame.flags == 1).count();
    assert!((5..=7).contains(&pings), "{pings}");
}

/// The first answer's status as HPACK's table names it, or the error its stream or connection ended with.
async fn outcome(running: &Running, request: Vec<u8>) -> Result<u8, u32> {
    let mut stream = open(running).await;
    stream.write_all(&request).await.unwrap();
    let mut read = Vec::new();
    loop {
        let frames = frames(&read);
        let told = frames.iter().find(|frame| matches!(frame.kind, HEADERS | RST_STREAM | GOAWAY));
        match told {
            Some(answer) if answer.kind == HEADERS => return Ok(answer.payload[0]),
            Some(error) => return Err(error.error()),
            None => assert!(stream.read_buf(&mut read).await.unwrap() > 0, "closed without a word"),
        }
    }
}

/// `:status` that is not in HPACK's table is spelled out: 0x48, length, figures (Huffman-coded or not).
const OTHER_STATUS: u8 = 0x48;
const STATUS_200: u8 = 0x88;
const STATUS_400: u8 = 0x8c;
const STATUS_404: u8 = 0x8d;

#[rstest]
#[case::too_long(vec![("x-long", "v".repeat(1000)); 40])]
#[case::too_many((0..120).map(|_| ("x", "v".to_owned())).collect())]
#[tokio::test]
async fn c4_c12_heads_have_limits_over_http2(#[case] headers: Vec<(&str, String)>) {
    let running = start(Options::default()).await;
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let block = head("GET", "/healthz", &headers);
    let mut pieces = block.chunks(16_000);
    let first = pieces.next().unwrap();
    let rest: Vec<_> = pieces.collect();
    let ended = if rest.is_empty() { END_HEADERS } else { 0 };
    let mut request = frame(HEADERS, END_STREAM | ended, 1, first);
    for (number, piece) in rest.iter().enumerate() {
        let ended = if number + 1 == rest.len() { END_HEADERS } else { 0 };
        request.extend(frame(CONTINUATION, ended, 1, piece));
    }
    let outcome = outcome(&running, request).await;
    assert!(matches!(outcome, Ok(OTHER_STATUS) | Err(PROTOCOL_ERROR | ENHANCE_YOUR_CALM)), "{outcome:?}");
}

#[rstest]
#[case::in_order(&[], Ok(STATUS_200))]
#[case::capitals(&[("X-Capital", "y")], Err(PROTOCOL_ERROR))]
#[case::coding(&[("transfer-encoding", "chunked")], Err(PROTOCOL_ERROR))]
#[case::connection(&[("connection", "close")], Err(PROTOCOL_ERROR))]
#[case::late_pseudo(&[("x", "y"), (":path", "/metrics")], Err(PROTOCOL_ERROR))]
#[case::second_path(&[(":path", "/metrics")], Err(PROTOCOL_ERROR))]
#[case::line_feed(&[("x", "a\nb")], Err(PROTOCOL_ERROR))]
#[case::two_hosts(&[("host", "a"), ("host", "b")], Ok(STATUS_400))]
#[case::false_length(&[("content-length", "5")], Err(PROTOCOL_ERROR))]
#[tokio::test]
async fn c1_c12_heads_of_http2_are_checked(#[case] headers: &[(&str, &str)], #[case] wanted: Result<u8, u32>) {
    let running = start(Options::default()).await;
    let request = frame(HEADERS, END_STREAM | END_HEADERS, 1, &head("GET", "/healthz", headers));
    assert_eq!(outcome(&running, request).await, wanted);
}

#[rstest]
#[case::tunnel(literal(":method", "CONNECT"), &[(":authority", "evil.example:443")])]
#[case::extended(literal(":method", "CONNECT"), &[(":protocol", "websocket"), (":scheme", "http"), (":path", "/"), (":authority", "a")])]
#[tokio::test]
async fn c13_nothing_is_tunnelled_over_http2(#[case] method: Vec<u8>, #[case] headers: &[(&str, &str)]) {
    let running = start(Options::default()).await;
    let block: Vec<u8> =
        method.into_iter().chain(headers.iter().flat_map(|(name, value)| literal(name, value))).collect();
    let outcome = outcome(&running, frame(HEADERS, END_HEADERS, 1, &block)).await;
    assert!(matches!(outcome, Ok(OTHER_STATUS) | Err(PROTOCOL_ERROR)), "{outcome:?}");
}

#[rstest]
#[case::frame_too_large(frame(DATA, 0, 1, &[0; 20_000]))]
#[case::data_on_no_stream(frame(DATA, 0, 0, &[0]))]
#[case::even_stream(get(2, "/healthz"))]
#[case::short_ping(frame(PING, 0, 0, &[0; 7]))]
#[case::odd_settings(frame(SETTINGS, 0, 0, &[0; 5]))]
#[case::window_overflow(frame(WINDOW_UPDATE, 0, 0, &[127, 255, 255, 255]).repeat(2))]
#[case::push(frame(5, END_HEADERS, 1, &[0, 0, 0, 2, 0x82]))]
#[case::bad_hpack(frame(HEADERS, END_STREAM | END_HEADERS, 1, &[255; 50]))]
#[case::continuation_of_nothing(frame(CONTINUATION, END_HEADERS, 1, &[]))]
#[case::noise(vec![0xaa; 300])]
#[tokio::test]
async fn c12_frames_that_break_the_rules_end_the_connection(#[case] bytes: Vec<u8>) {
    let running = start(Options::default()).await;
    let (_, frames) = flood(open(&running).await, std::iter::once(bytes)).await;
    assert!(goodbye(&frames).is_some_and(|code| code != 0));
    others_are_served(&running).await;
}

#[tokio::test]
async fn c8_a_slow_body_is_given_up_over_http2() {
    let running = start(Options::default()).await;
    let path = running.world.path("/events");
    let credential = format!("Bearer {ROOT}");
    let headers = [("authorization", credential.as_str()), ("content-type", "application/json")];
    let mut stream = open(&running).await;
    stream.write_all(&frame(HEADERS, END_HEADERS, 1, &head("POST", &path, &headers))).await.unwrap();
    for _ in 0..6 {
        stream.write_all(&frame(DATA, 0, 1, b" ")).await.unwrap();
        running.pass(1).await;
    }
    stream.write_all(&get(3, "/nothing")).await.unwrap();
    let mut read = Vec::new();
    while frames(&read).iter().filter(|frame| frame.kind == HEADERS).count() < 2 {
        stream.read_buf(&mut read).await.unwrap();
    }
    let frames = frames(&read);
    let heads: Vec<_> = frames.iter().filter(|frame| frame.kind == HEADERS).collect();
    assert_eq!((heads[0].stream, heads[0].payload[0]), (1, OTHER_STATUS));
    let body: Vec<u8> =
        frames.iter().filter(|f| f.kind == DATA && f.stream == 1).flat_map(|f| f.payload.clone()).collect();
    assert!(String::from_utf8_lossy(&body).contains("body_timeout"));
    assert_eq!((heads[1].stream, heads[1].payload[0]), (3, STATUS_404), "other streams go on");
    assert_eq!(running.events().await, 0);
}

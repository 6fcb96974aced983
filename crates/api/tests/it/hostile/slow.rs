//! Clients that take their time: C7, C8, C10.

use rstest::rstest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use watchbell_api::serve::Options;
use watchbell_domain::SignedDuration;

use super::crowd::room_for_sockets;
use crate::running::{HEALTH, Running, answer, rest, start, start_with};

/// Whether the server has closed the connection, as far as can be seen without waiting.
fn is_closed(stream: &TcpStream) -> bool {
    let mut byte = [0];
    match stream.try_read(&mut byte) {
        Ok(count) => count == 0,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    }
}

#[tokio::test]
async fn c7_a_thousand_slow_heads_from_twenty_addresses_are_cut_in_time() {
    room_for_sockets(2200);
    let running = start(Options::default()).await;
    let mut slow = Vec::new();
    for number in 0..1000 {
        slow.push(running.connect_from(u8::try_from(2 + number % 20).unwrap()).await);
    }
    let line = b"GET /healthz HTTP/1.1\r\nX-Slow: ";
    for second in 0..9 {
        for (number, stream) in slow.iter_mut().enumerate() {
            // A quarter of them says nothing at all.
            if number % 4 != 0 {
                stream.write_all(&line[second..=second]).await.unwrap();
            }
        }
        running.pass(1).await;
        // No time passes until somebody else is answered.
        let mut other = running.connect().await;
        assert!(answer(&mut other, HEALTH).await.starts_with("HTTP/1.1 200"));
        assert!(!slow.iter().any(is_closed), "{second}");
    }
    // The limit is 10 s, judged every 2.5 s.
    running.pass(5).await;
    for stream in &mut slow {
        assert_eq!(rest(stream).await, "");
    }
}

#[tokio::test]
async fn c7_bytes_of_a_later_head_buy_no_more_time() {
    let running = start(Options::default()).await;
    let mut stream = running.connect().await;
    assert!(answer(&mut stream, HEALTH).await.starts_with("HTTP/1.1 200"));
    running.pass(30).await;
    for byte in HEALTH.bytes().take(16) {
        stream.write_all(&[byte]).await.ok();
        running.pass(1).await;
    }
    assert_eq!(rest(&mut stream).await, "");
}

#[tokio::test]
async fn c7_the_preface_of_http2_has_to_come_in_time_too() {
    let running = start(Options::default()).await;
    for beginning in ["PRI * HT", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r"] {
        let mut stream = running.connect().await;
        stream.write_all(beginning.as_bytes()).await.unwrap();
        running.pass(15).await;
        assert_eq!(rest(&mut stream).await, "");
    }
}

/// Sends the body in pieces, a second after each, and answers how many were sent before the server had enough.
async fn send_slowly(running: &Running, pieces: impl Iterator<Item = Vec<u8>>) -> (u32, String) {
    let mut stream = running.connect().await;
    let head = format!("{}Content-Length: 100000\r\n\r\n", running.post_head());
    stream.write_all(head.as_bytes()).await.unwrap();
    for (sent, piece) in (0..).zip(pieces) {
        running.pass(1).await;
        let mut text = [0; 4096];
        if let Ok(count) = stream.try_read(&mut text) {
            let mut answer = String::from_utf8_lossy(&text[..count]).into_owned();
            let mut more = String::new();
            stream.read_to_string(&mut more).await.ok();
            answer.push_str(&more);
            return (sent, answer);
        }
        stream.write_all(&piece).await.unwrap();
    }
    panic!("all was taken");
}

#[rstest]
#[case::nothing(0, 5)]
#[case::a_byte_a_second(1, 5)]
#[case::almost_enough(1000, 5)]
#[case::enough_but_for_the_timeout(1280, 20)]
#[tokio::test]
async fn c8_a_slow_body_is_given_up(#[case] bytes_a_second: usize, #[case] seconds: u32) {
    let running = start(Options::default()).await;
    let (sent, answer) = send_slowly(&running, std::iter::repeat(vec![b' '; bytes_a_second])).await;
    // The request is taken up while the first second passes.
    assert!((seconds - 1..=seconds).contains(&sent), "after {sent} s: {answer}");
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("body_timeout"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    assert_eq!(running.events().await, 0);
}

#[tokio::test]
async fn c8_a_fast_beginning_buys_no_slow_end() {
    let limits = |edge: &mut watchbell_api::Options| edge.bodies.timeout = SignedDuration::from_mins(10);
    let running = start_with(Options::default(), limits).await;
    let pieces = std::iter::once(vec![b' '; 60_000]).chain(std::iter::repeat(vec![b' ']));
    let (sent, answer) = send_slowly(&running, pieces).await;
    assert!((9..=11).contains(&sent), "the second window is the one that falls short, not {sent} s: {answer}");
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[tokio::test]
async fn c8_the_rate_is_a_setting() {
    let limits = |edge: &mut watchbell_api::Options| edge.bodies.bytes_per_second_min = 0;
    let running = start_with(Options::default(), limits).await;
    let (sent, answer) = send_slowly(&running, std::iter::repeat(vec![b' '])).await;
    assert!((19..=20).contains(&sent), "after {sent} s: {answer}");
}

#[tokio::test]
async fn c8_a_body_that_nobody_reads_holds_no_connection() {
    let running = start(Options::default()).await;
    let mut stream = running.connect().await;
    let head = running.post_head().replace("Bearer ", "Bearer x");
    stream.write_all(format!("{head}Content-Length: 100000\r\n\r\n{{").as_bytes()).await.unwrap();
    let text = rest(&mut stream).await;
    assert!(text.starts_with("HTTP/1.1 401"), "{text}");
}

#[tokio::test]
async fn c10_an_idle_connection_is_closed_after_a_minute() {
    let running = start(Options::default()).await;
    let mut stream = running.connect().await;
    assert!(answer(&mut stream, HEALTH).await.starts_with("HTTP/1.1 200"));
    running.pass(50).await;
    assert!(answer(&mut stream, HEALTH).await.starts_with("HTTP/1.1 200"));
    running.pass(59).await;
    assert!(!is_closed(&stream));
    running.pass(5).await;
    assert!(is_closed(&stream));
}

/// Asks for the contract again and again on one connection and reads `bytes` a second of the answers. How many seconds
/// the server bears it, up to `seconds`.
async fn read_slowly(running: &Running, bytes: usize, seconds: u32) -> u32 {
    let mut stream = running.connect().await;
    let asking = "GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n".repeat(600);
    stream.write_all(asking.as_bytes()).await.unwrap();
    let mut text = vec![0; bytes.max(1)];
    for second in 0..seconds {
        running.pass(1).await;
        if bytes > 0 && stream.read_exact(&mut text).await.is_err() {
            return second;
        }
        if stream.write_all(b"\r\n").await.is_err() {
            return second;
        }
    }
    seconds
}

#[tokio::test]
async fn c10_answers_that_are_not_read_hold_no_connection() {
    let running = start(Options::default()).await;
    let borne = read_slowly(&running, 0, 120).await;
    assert!((60..=70).contains(&borne), "{borne}");
}

#[tokio::test]
async fn c10_answers_that_are_read_keep_the_connection() {
    let running = start(Options::default()).await;
    assert_eq!(read_slowly(&running, 200_000, 120).await, 120);
}

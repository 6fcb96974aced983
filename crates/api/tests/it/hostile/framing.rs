//! How a request is framed: C1, C2, C4, C9, C11.

use rstest::rstest;
use watchbell_api::serve::Options;

use crate::running::{EVENT, HEALTH, answer, next, rest, start};
use tokio::io::AsyncWriteExt;

/// An event in a chunk, which one reader would take, and what another would take for the next request.
const SMUGGLED: &str = "28\r\n{\"type\":\"acme.thing_happened\",\"data\":{}}\r\n0\r\n\r\nPOST /smuggled HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";

#[rstest]
#[case::length_then_coding("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")]
#[case::coding_then_length("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n")]
#[case::two_lengths("Content-Length: 5\r\nContent-Length: 6\r\n")]
#[case::the_same_length_twice("Content-Length: 5\r\nContent-Length: 5\r\n")]
#[case::list("Content-Length: 5, 5\r\n")]
#[case::plus("Content-Length: +5\r\n")]
#[case::minus("Content-Length: -5\r\n")]
#[case::hex("Content-Length: 0x5\r\n")]
#[case::empty("Content-Length: \r\n")]
#[case::words("Content-Length: five\r\n")]
#[case::overflow("Content-Length: 18446744073709551621\r\n")]
#[case::coding_twice("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")]
#[case::coding_list("Transfer-Encoding: chunked, chunked\r\n")]
#[case::identity_then_chunked("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n")]
#[case::unknown("Transfer-Encoding: gzip\r\n")]
#[case::gzip_chunked("Transfer-Encoding: gzip, chunked\r\n")]
#[case::chunked_last_but_one("Transfer-Encoding: chunked, identity\r\n")]
#[case::obfuscated("Transfer-Encoding: xchunked\r\n")]
#[case::vertical_tab("Transfer-Encoding: \x0bchunked\r\n")]
#[case::quoted("Transfer-Encoding: \"chunked\"\r\n")]
#[case::blank_before_colon("Transfer-Encoding : chunked\r\n")]
#[case::blank_before_colon_of_length("Content-Length : 5\r\n")]
#[case::folded("Transfer-Encoding:\r\n chunked\r\n")]
#[case::cr_in_a_value("X: a\rTransfer-Encoding: chunked\r\n")]
#[case::nul_in_a_name("Content\0-Length: 5\r\n")]
#[tokio::test]
async fn c1_a_body_with_two_readings_is_refused(#[case] lines: &str) {
    let running = start(Options::default()).await;
    let answer = running.refuses(format!("{}{lines}\r\n{SMUGGLED}", running.post_head())).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert_eq!(running.events().await, 0);
    // On a kept connection, behind a request that was in order, as well.
    for before in ["Content-Length: 40\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n28\r\n"] {
        let end = if before.contains("chunked") { "\r\n0\r\n\r\n" } else { "" };
        let mut stream = running.connect().await;
        let first = format!("{}{before}{EVENT}{end}", running.post_head());
        assert!(self::answer(&mut stream, &first).await.starts_with("HTTP/1.1 202"));
        let second = format!("{}{lines}\r\n{SMUGGLED}{HEALTH}", running.post_head());
        stream.write_all(second.as_bytes()).await.unwrap();
        let answers = rest(&mut stream).await;
        assert!(answers.starts_with("HTTP/1.1 400") && answers.matches("HTTP/1.1 ").count() == 1, "{answers}");
    }
    assert_eq!(running.events().await, 2);
}

#[tokio::test]
async fn c1_a_coding_needs_http_1_1() {
    let running = start(Options::default()).await;
    let request = running.post_head().replace("HTTP/1.1", "HTTP/1.0");
    let answer = running.tell(format!("{request}Transfer-Encoding: chunked\r\n\r\n{SMUGGLED}")).await;
    assert!(answer.starts_with("HTTP/1.1 400") || answer.starts_with("HTTP/1.0 400"), "{answer}");
    assert_eq!(answer.matches("HTTP/1.").count(), 1, "{answer}");
}

#[rstest]
#[case::no_digits("x\r\n")]
#[case::negative("-5\r\n")]
#[case::prefix("0x5\r\nhello\r\n0\r\n\r\n")]
#[case::overflow("fffffffffffffffff\r\nhello\r\n0\r\n\r\n")]
#[case::huge("ffffffffffffffff\r\nhello\r\n0\r\n\r\n")]
#[case::bare_lf("28\n")]
#[case::lf_after_data("2\r\n{}\n0\r\n\r\n")]
#[case::junk_after_data("2\r\n{}junk\r\n0\r\n\r\n")]
#[case::blank_in_size("2 8\r\n")]
#[case::lf_in_extension("2;a\nb\r\n{}\r\n0\r\n\r\n")]
#[case::cr_in_extension("2;a\rb\r\n{}\r\n0\r\n\r\n")]
#[case::no_end_of_trailers("2\r\n{}\r\n0\r\nX\x00: y\r\n\r\n")]
#[tokio::test]
async fn c2_bad_chunks_are_refused(#[case] chunks: &str) {
    let running = start(Options::default()).await;
    let request = format!("{}Transfer-Encoding: chunked\r\n\r\n{chunks}", running.post_head());
    let answer = running.refuses(request).await;
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    assert_eq!(running.events().await, 0);
}

#[rstest]
#[case::long_trailers(format!("28\r\n{EVENT}\r\n0\r\n{}\r\n", "X-Long: 0123456789\r\n".repeat(500)))]
#[case::long_trailer(format!("28\r\n{EVENT}\r\n0\r\nX: {}\r\n\r\n", "y".repeat(9000)))]
#[case::endless_extension(format!("28;{}", "x".repeat(64 * 1024)))]
#[case::extensions_everywhere(format!("1;{0}\r\n \r\n", "x".repeat(1000)).repeat(40))]
#[tokio::test]
async fn c2_what_goes_with_chunks_has_limits(#[case] chunks: String) {
    let running = start(Options::default()).await;
    let request = format!("{}Transfer-Encoding: chunked\r\n\r\n{chunks}", running.post_head());
    let answer = running.refuses(request).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert_eq!(running.events().await, 0);
}

#[tokio::test]
async fn c2_good_chunks_pass_with_extensions_and_trailers() {
    let running = start(Options::default()).await;
    let mut stream = running.connect().await;
    let (front, back) = EVENT.split_at(8);
    let chunks = format!("8;x=\"y\"\r\n{front}\r\n0020 \r\n{back}\r\n000\r\nX-Checksum: 1\r\n\r\n");
    let request = format!("{}Transfer-Encoding: chunked\r\n\r\n{chunks}", running.post_head());
    for _ in 0..3 {
        let text = answer(&mut stream, &request).await;
        assert!(text.starts_with("HTTP/1.1 202"), "{text}");
    }
    assert_eq!(running.events().await, 3);
}

#[rstest]
#[case::one_long_line(format!("X-Long: {}\r\n", "v".repeat(40 * 1024)), "431")]
#[case::many_lines((0..120).map(|n| format!("X-{n}: v\r\n")).collect(), "431")]
#[case::many_long_lines(format!("X-Long: {}\r\n", "v".repeat(1000)).repeat(40), "431")]
#[case::within_the_limits(format!("X-Long: {}\r\n", "v".repeat(300)).repeat(90), "200")]
#[tokio::test]
async fn c4_heads_have_limits(#[case] lines: String, #[case] status: &str) {
    let running = start(Options::default()).await;
    let request = format!("GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{lines}\r\n");
    let answer = running.tell(request).await;
    assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
}

#[rstest]
#[case(8 * 1024, "200")]
#[case(8 * 1024 + 1, "414")]
#[case(20 * 1024, "414")]
#[case(70 * 1024, "4")]
#[tokio::test]
async fn c4_targets_have_a_limit(#[case] bytes: usize, #[case] status: &str) {
    let running = start(Options::default()).await;
    let query = "q".repeat(bytes - "/healthz?".len());
    let answer = running.tell(format!("GET /healthz?{query} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).await;
    assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
}

#[tokio::test]
async fn c4_a_head_without_end_is_not_gathered() {
    let running = start(Options::default()).await;
    let mut stream = running.connect().await;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nX: ").await.unwrap();
    let mut written = 0;
    while stream.write_all(&[b'v'; 4096]).await.is_ok() {
        written += 4096;
        assert!(written < 64 * 1024 * 1024, "the server goes on reading");
        tokio::task::yield_now().await;
    }
}

#[rstest]
#[case::length("Content-Length: 100\r\n\r\n", "")]
#[case::chunk("Transfer-Encoding: chunked\r\n\r\n", "64\r\n")]
#[case::no_last_chunk("Transfer-Encoding: chunked\r\n\r\n", "28\r\n")]
#[tokio::test]
async fn c9_a_body_that_ends_early_stores_nothing(#[case] lines: &str, #[case] size: &str) {
    let running = start(Options::default()).await;
    for reset in [false, true] {
        let mut stream = running.connect().await;
        let request = format!("{}{lines}{size}{EVENT}", running.post_head());
        stream.write_all(request.as_bytes()).await.unwrap();
        running.turns().await;
        match reset {
            true => stream.set_zero_linger().unwrap(),
            false => {
                stream.shutdown().await.unwrap();
                let answer = rest(&mut stream).await;
                assert!(answer.is_empty() || answer.contains("body_incomplete"), "{answer}");
            }
        }
        drop(stream);
        running.turns().await;
    }
    assert_eq!(running.events().await, 0);
}

#[tokio::test]
async fn c11_what_is_refused_is_not_asked_for() {
    let running = start(Options::default()).await;
    let oversize = format!("{}Expect: 100-continue\r\nContent-Length: 99999999\r\n\r\n", running.post_head());
    let answer = running.refuses(&oversize).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    let stranger = oversize.replace("Bearer ", "Bearer x").replace("99999999", "40");
    let answer = running.refuses(&stranger).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
}

#[tokio::test]
async fn c11_what_is_taken_is_asked_for() {
    let running = start(Options::default()).await;
    let mut stream = running.connect().await;
    let head = format!("{}Expect: 100-continue\r\nContent-Length: {}\r\n\r\n", running.post_head(), EVENT.len());
    assert_eq!(answer(&mut stream, &head).await, "HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(EVENT.as_bytes()).await.unwrap();
    let text = next(&mut stream).await;
    assert!(text.starts_with("HTTP/1.1 202"), "{text}");
}

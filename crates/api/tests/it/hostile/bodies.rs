//! Bodies over the wire, at both doors: the event API and a source. Rows B1, B3 to B11, C8 and C9.

use rstest::rstest;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use watchbell_api::serve::Options;

use crate::ingress::{Lines, STANDARD, Vendor, events};
use crate::running::{EVENT, HEALTH, Running, answer, next, rest, start, start_with};

/// Where a body may be sent to.
#[derive(Debug, Clone, Copy)]
enum Door {
    Events,
    Source,
}

/// A head that proves who sends the body `signed`, without the lines about the body's length and without its end.
async fn head(running: &Running, door: Door, signed: &str) -> (String, Option<Vendor>) {
    match door {
        Door::Events => (running.post_head(), None),
        Door::Source => {
            let vendor = Vendor::new(&running.world, "standard", json!({})).await;
            let lines = vendor.signed(&running.world, "", "msg_1", signed);
            (head_of(&vendor, &lines), Some(vendor))
        }
    }
}

fn head_of(vendor: &Vendor, lines: &Lines) -> String {
    let lines: String = lines.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("POST {} HTTP/1.1\r\nHost: a\r\n{lines}", vendor.path)
}

async fn verdict(running: &Running, vendor: Option<&Vendor>) -> Option<String> {
    match vendor {
        Some(vendor) => Some(vendor.verdict(&running.world).await),
        None => None,
    }
}

/// The limits of both, small enough to be reached soon.
fn small(edge: &mut watchbell_api::Options) {
    edge.bodies.event_bytes_max = 1000;
    edge.bodies.ingress_bytes_max = 1000;
}

#[rstest]
#[tokio::test]
async fn b1_what_is_announced_too_large_is_refused_by_its_head(#[values(Door::Events, Door::Source)] door: Door) {
    let running = start_with(Options::default(), small).await;
    let (head, vendor) = head(&running, door, "").await;
    // The body never comes, and is not waited for.
    let answer = running.refuses(format!("{head}Content-Length: 1001\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("body_too_large"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    assert_eq!(running.events().await, 0);
    assert!(verdict(&running, vendor.as_ref()).await.is_none_or(|verdict| verdict == "body_too_large"));
}

#[rstest]
#[tokio::test]
async fn b1_chunks_without_end_are_cut_off(#[values(Door::Events, Door::Source)] door: Door) {
    let running = start_with(Options::default(), small).await;
    let (head, vendor) = head(&running, door, "").await;
    let mut stream = running.connect().await;
    stream.write_all(format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes()).await.unwrap();
    let chunk = format!("400\r\n{}\r\n", " ".repeat(1024));
    let mut written = 0;
    while stream.write_all(chunk.as_bytes()).await.is_ok() {
        written += chunk.len();
        // What the kernel takes for a server that does not read any more is some megabytes.
        assert!(written < 64 << 20, "the server goes on reading");
        tokio::task::yield_now().await;
    }
    assert_eq!(running.events().await, 0);
    assert!(verdict(&running, vendor.as_ref()).await.is_none_or(|verdict| verdict == "body_too_large"));
    // In pieces small enough to be read in time, the answer is.
    let (head, _) = self::head(&running, door, "").await;
    let answer = running.tell(format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunk}")).await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("body_too_large"), "{answer}");
}

#[rstest]
#[case::empty(b"", "invalid_json")]
#[case::cut(b"{\"a\":", "invalid_json")]
#[case::not_a_number(b"{\"a\":NaN}", "invalid_json")]
#[case::lines(b"{}\n{}", "invalid_json")]
#[case::byte_order_mark(b"\xef\xbb\xbf{}", "invalid_json")]
#[case::control(b"{\"a\":\"\x01\"}", "invalid_json")]
#[case::latin1(b"{\"a\":\"\xe4\"}", "invalid_utf8")]
#[case::utf16(b"\xff\xfe{\0}\0", "invalid_utf8")]
#[case::surrogate(b"{\"a\":\"\\ud800\"}", "invalid_unicode")]
#[case::twice(b"{\"a\":1,\"\\u0061\":2}", "duplicate_key")]
#[case::overflow(b"{\"a\":1e999999999}", "number_out_of_range")]
#[tokio::test]
async fn b3_to_b11_refused_and_the_connection_kept(#[case] body: &[u8], #[case] code: &str) {
    let running = start(Options::default()).await;
    let mut stream = running.connect().await;
    let vendor = Vendor::new(&running.world, "aegis", json!({})).await;
    let (occurred_at, sent_at) = (running.world.now(), running.world.now());
    let message = watchbell_wire::Message { id: "", event: "", occurred_at, sent_at, body };
    let signed = vendor.dialect.sign(&message, &[vendor.key()]).unwrap();
    let lines: Lines = signed.into_iter().map(|header| (header.name.to_owned(), header.value)).collect();
    for head in [running.post_head(), head_of(&vendor, &lines)] {
        let head = format!("{head}Content-Length: {}\r\n\r\n", body.len());
        stream.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
        let text = next(&mut stream).await;
        assert!(text.starts_with("HTTP/1.1 400") && text.contains(code), "{text}");
    }
    assert!(answer(&mut stream, HEALTH).await.starts_with("HTTP/1.1 200"));
    assert_eq!(running.events().await, 0);
}

#[rstest]
#[case::unclosed("[".repeat(500_000))]
#[case::closed(format!("{}{}", "[".repeat(250_000), "]".repeat(250_000)))]
#[case::objects("{\"a\":".repeat(150_000))]
#[tokio::test]
async fn b10_depth_costs_a_refusal(#[case] body: String, #[values(Door::Events, Door::Source)] door: Door) {
    let running = start(Options::default()).await;
    let (head, _) = head(&running, door, &body).await;
    let answer = running.tell(format!("{head}Connection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len())).await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("json_too_deep"), "{answer}");
    assert_eq!(running.events().await, 0);
}

#[rstest]
#[case::nothing(0)]
#[case::a_byte_a_second(1)]
#[tokio::test]
async fn c8_a_vendors_slow_body_is_given_up_and_kept_as_refused(#[case] bytes_a_second: usize) {
    let running = start(Options::default()).await;
    let (head, vendor) = head(&running, Door::Source, STANDARD).await;
    let mut stream = running.connect().await;
    stream.write_all(format!("{head}Content-Length: {}\r\n\r\n", STANDARD.len()).as_bytes()).await.unwrap();
    for second in 0..8 {
        running.pass(1).await;
        let piece = &STANDARD.as_bytes()[second * bytes_a_second..(second + 1) * bytes_a_second];
        stream.write_all(piece).await.ok();
    }
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("body_timeout"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    assert_eq!(verdict(&running, vendor.as_ref()).await.unwrap(), "body_timeout");
    assert_eq!(events(&running.world).await.len(), 0);
}

#[rstest]
#[case::length(format!("Content-Length: {}\r\n\r\n{STANDARD}", STANDARD.len() + 1))]
#[case::half(format!("Content-Length: {}\r\n\r\n{}", STANDARD.len(), &STANDARD[..20]))]
#[case::no_last_chunk(format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{STANDARD}\r\n", STANDARD.len()))]
#[tokio::test]
async fn c9_a_vendors_body_that_ends_early_is_nothing_and_may_come_again(#[case] body: String) {
    let running = start(Options::default()).await;
    let (head, vendor) = head(&running, Door::Source, STANDARD).await;
    for reset in [false, true] {
        let mut stream = running.connect().await;
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        running.turns().await;
        match reset {
            true => stream.set_zero_linger().unwrap(),
            false => {
                stream.shutdown().await.unwrap();
                rest(&mut stream).await;
            }
        }
        drop(stream);
        running.turns().await;
    }
    assert_eq!(running.events().await, 0);
    let whole = format!("{head}Connection: close\r\nContent-Length: {}\r\n\r\n{STANDARD}", STANDARD.len());
    let answer = running.tell(whole).await;
    assert!(answer.starts_with("HTTP/1.1 200") && !answer.contains("duplicate"), "{answer}");
    assert_eq!((running.events().await, verdict(&running, vendor.as_ref()).await.unwrap().as_str()), (1, "accepted"));
}

/// What the event API takes, a source takes as well, on one connection.
#[tokio::test]
async fn b2_both_doors_take_the_limit_and_refuse_one_byte_more() {
    let running = start_with(Options::default(), small).await;
    let sized = |bytes: usize| {
        let frame = r#"{"type":"a.b","data":{"s":""}}"#.len();
        format!(r#"{{"type":"a.b","data":{{"s":"{}"}}}}"#, "x".repeat(bytes - frame))
    };
    assert!(EVENT.len() < 1000);
    for door in [Door::Events, Door::Source] {
        for (bytes, taken) in [(1000, true), (1001, false)] {
            let body = sized(bytes);
            let (head, _) = head(&running, door, &body).await;
            let whole = format!(
                "{head}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n{bytes:x}\r\n{body}\r\n0\r\n\r\n"
            );
            let answer = running.tell(whole).await;
            assert_eq!(answer.starts_with("HTTP/1.1 20"), taken, "{door:?} {bytes}: {answer}");
            assert_eq!(answer.starts_with("HTTP/1.1 413"), !taken, "{door:?} {bytes}: {answer}");
        }
    }
    assert_eq!(running.events().await, 2);
}

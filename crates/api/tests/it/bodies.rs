//! Bodies: rows B1 to B18 of the list of bad inputs, at the events route.

use axum::body::{Body, Bytes};
use http::{Method, Request, header};
use rstest::rstest;
use serde_json::json;

use crate::world::{ROOT, World, request};

const LIMIT: usize = 1024 * 1024;

fn event_of(bytes: usize) -> String {
    let frame = r#"{"type":"a.b","data":{"s":""}}"#.len();
    format!(r#"{{"type":"a.b","data":{{"s":"{}"}}}}"#, "x".repeat(bytes - frame))
}

#[tokio::test]
async fn a_body_of_the_limit_passes_and_one_byte_more_does_not() {
    let world = World::new().await;
    world.post_text(&world.path("/events"), event_of(LIMIT)).await.is(202);
    let reply = world.post_text(&world.path("/events"), event_of(LIMIT + 1)).await.is(413);
    assert_eq!(reply.code(), "body_too_large");
    assert_eq!(reply.headers[header::CONNECTION], "close");
}

#[tokio::test]
async fn an_announced_length_is_refused_without_reading() {
    let world = World::new().await;
    let unread = futures_util::stream::pending::<Result<Bytes, std::io::Error>>();
    let mut given = request(ROOT, Method::POST, &world.path("/events"), Some(String::new()));
    given.headers_mut().insert(header::CONTENT_LENGTH, (LIMIT + 1).to_string().parse().unwrap());
    *given.body_mut() = Body::from_stream(unread);
    world.send(given).await.is(413);
}

#[tokio::test]
async fn chunks_are_read_to_the_limit_and_no_further() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    let world = World::new().await;
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&taken);
    let endless = futures_util::stream::repeat_with(move || {
        counter.fetch_add(16 * 1024, Ordering::Relaxed);
        Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 16 * 1024]))
    });
    let mut given = request(ROOT, Method::POST, &world.path("/events"), Some(String::new()));
    *given.body_mut() = Body::from_stream(endless);
    world.send(given).await.is(413);
    assert!(taken.load(Ordering::Relaxed) <= LIMIT + 64 * 1024);
}

#[rstest]
#[case::empty("")]
#[case::blanks("  \n")]
#[case::cut(r#"{"type":"a.b""#)]
#[case::comma(r#"{"type":"a.b","data":{},}"#)]
#[case::comment(r#"{"type":"a.b",/*x*/"data":{}}"#)]
#[case::quotes("{'type':'a.b'}")]
#[case::nan(r#"{"type":"a.b","data":{"n":NaN}}"#)]
#[case::infinity(r#"{"type":"a.b","data":{"n":Infinity}}"#)]
#[case::minus_infinity(r#"{"type":"a.b","data":{"n":-Infinity}}"#)]
#[case::in_capitals(r#"{"type":"a.b","data":{"n":TRUE}}"#)]
#[case::zero(r#"{"type":"a.b","data":{"n":01}}"#)]
#[case::plus(r#"{"type":"a.b","data":{"n":+1}}"#)]
#[case::point(r#"{"type":"a.b","data":{"n":.5}}"#)]
#[case::nothing_behind_the_point(r#"{"type":"a.b","data":{"n":1.}}"#)]
#[case::hex(r#"{"type":"a.b","data":{"n":0x1F}}"#)]
#[case::two("{} {}")]
#[case::lines("{\"type\":\"a.b\",\"data\":{}}\n{\"type\":\"a.b\",\"data\":{}}\n")]
#[case::after(r#"{"type":"a.b","data":{}} x"#)]
#[case::bom("\u{feff}{\"type\":\"a.b\",\"data\":{}}")]
#[case::xml("<event/>")]
#[case::yaml("type: a.b\ndata: {}\n")]
#[case::newline("{\"type\":\"a.b\",\"data\":{\"s\":\"a\nb\"}}")]
#[case::tab("{\"type\":\"a.b\",\"data\":{\"s\":\"a\tb\"}}")]
#[case::nul("{\"type\":\"a.b\",\"data\":{\"s\":\"a\0b\"}}")]
#[case::escape_character("{\"type\":\"a.b\",\"data\":{\"s\":\"a\u{1b}b\"}}")]
#[case::control_in_a_key("{\"type\":\"a.b\",\"data\":{\"a\nb\":1}}")]
#[case::utf16_of_ascii("{\0}\0")]
#[case::utf32_of_ascii("{\0\0\0}\0\0\0")]
#[case::escape(r#"{"type":"a.b","data":{"s":"\q"}}"#)]
#[case::escape_cut(r#"{"type":"a.b","data":{"s":"\u12"}}"#)]
#[tokio::test]
async fn what_is_no_json_is_refused(#[case] body: &str) {
    let world = World::new().await;
    let reply = world.post_text(&world.path("/events"), body).await.is(400);
    assert_eq!(reply.code(), "invalid_json");
}

#[rstest]
#[case::latin1(b"{\"type\":\"a.b\",\"data\":{\"s\":\"\xe4\"}}", "invalid_utf8")]
#[case::overlong(b"{\"type\":\"a.b\",\"data\":{\"s\":\"\xc0\xaf\"}}", "invalid_utf8")]
#[case::encoded_surrogate(b"{\"type\":\"a.b\",\"data\":{\"s\":\"\xed\xa0\x80\"}}", "invalid_utf8")]
#[case::cut_short(b"{\"type\":\"a.b\",\"data\":{\"s\":\"\xe2\x82\"}}", "invalid_utf8")]
#[case::beyond_unicode(b"{\"type\":\"a.b\",\"data\":{\"s\":\"\xf4\x90\x80\x80\"}}", "invalid_utf8")]
#[case::utf16(b"\xff\xfe{\0}\0", "invalid_utf8")]
#[case::surrogate(br#"{"type":"a.b","data":{"s":"\ud800"}}"#, "invalid_unicode")]
#[case::reversed(br#"{"type":"a.b","data":{"s":"\udc00\ud800"}}"#, "invalid_unicode")]
#[case::duplicate(br#"{"type":"a.b","data":{"a":1,"a":2}}"#, "duplicate_key")]
#[case::unescaped(br#"{"type":"a.b","data":{"a":1,"\u0061":2}}"#, "duplicate_key")]
#[case::envelope(br#"{"type":"a.b","type":"a.c","data":{}}"#, "duplicate_key")]
#[case::deep(br#"{"type":"a.b","data":{"a":[{"b":{"c":1,"d":2,"c":1}}]}}"#, "duplicate_key")]
#[case::pair(b"{\"type\":\"a.b\",\"data\":{\"\xf0\x9f\xa6\x81\":1,\"\\ud83e\\udd81\":2}}", "duplicate_key")]
#[case::overflow_below(br#"{"type":"a.b","data":{"n":-1e400}}"#, "number_out_of_range")]
#[case::overflow(br#"{"type":"a.b","data":{"n":1e400}}"#, "number_out_of_range")]
#[case::overflow_far(br#"{"type":"a.b","data":{"n":1e999999999}}"#, "number_out_of_range")]
#[tokio::test]
async fn ambiguous_json_is_refused(#[case] body: &'static [u8], #[case] code: &str) {
    let world = World::new().await;
    let mut given = request(ROOT, Method::POST, &world.path("/events"), Some(String::new()));
    *given.body_mut() = Body::from(body);
    assert_eq!(world.send(given).await.is(400).code(), code);
}

#[tokio::test]
async fn depth_is_limited() {
    let world = World::new().await;
    let nested = |levels: usize| {
        let inner = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        format!(r#"{{"type":"a.b","data":{{"a":{inner}}}}}"#)
    };
    world.post_text(&world.path("/events"), nested(62)).await.is(202);
    for levels in [63, 1000, 500_000] {
        let reply = world.post_text(&world.path("/events"), nested(levels)).await.is(400);
        assert_eq!(reply.code(), "json_too_deep", "{levels}");
    }
    let unclosed = format!(r#"{{"type":"a.b","data":{{"a":{}"#, "[".repeat(500_000));
    world.post_text(&world.path("/events"), unclosed).await.is(400);
}

#[rstest]
#[case::numbers(r#"{ "a" : 9007199254740993, "b":18446744073709551615, "c":-0, "d":1.10,"e":1E5, "f":123456789012345678901234567890 }"#)]
#[case::nul_characters(r#"{"a\u0000b":"\u0000"}"#)]
#[case::keys(r#"{"a":1,"A":2,"\u00e9":3,"e\u0301":4}"#)]
#[case::markup(r#"{"x":"<script>alert(1)</script> ${jndi:ldap://x} {{7*7}} \u202e \u0000 =1+1"}"#)]
#[tokio::test]
async fn data_is_kept_byte_for_byte(#[case] data: &str) {
    let world = World::new().await;
    let body = format!("{{\"data\" : {data} ,\n \"type\":\"a.b\"}}");
    let id = world.post_text(&world.path("/events"), body).await.is(202).json()["id"].clone();
    let event = world.get(&world.path(&format!("/events/{}", id.as_str().unwrap()))).await.is(200);
    assert!(event.text().contains(&format!("\"data\":{data},")), "{}", event.text());
}

#[rstest]
#[case::array("[]", "")]
#[case::text("\"x\"", "")]
#[case::no_data(r#"{"type":"a.b"}"#, "")]
#[case::no_type(r#"{"data":{}}"#, "")]
#[case::type_number(r#"{"type":1,"data":{}}"#, "/type")]
#[case::type_unknown(r#"{"type":"Nonsense","data":{}}"#, "/type")]
#[case::data_list(r#"{"type":"a.b","data":[]}"#, "/data")]
#[case::time_number(r#"{"type":"a.b","data":{},"occurred_at":-1}"#, "/occurred_at")]
#[case::time_day(r#"{"type":"a.b","data":{},"occurred_at":"2025-02-30T00:00:00Z"}"#, "/occurred_at")]
#[case::time_year(r#"{"type":"a.b","data":{},"occurred_at":"10000-01-01T00:00:00Z"}"#, "/occurred_at")]
#[case::time_second(r#"{"type":"a.b","data":{},"occurred_at":"2025-02-28T23:59:61Z"}"#, "/occurred_at")]
#[case::time_far(r#"{"type":"a.b","data":{},"occurred_at":100000000000000000}"#, "/occurred_at")]
#[case::time_early(r#"{"type":"a.b","data":{},"occurred_at":"0001-01-01T00:00:00Z"}"#, "/occurred_at")]
#[case::member(r#"{"type":"a.b","data":{},"occured_at":"2025-01-01T00:00:00Z"}"#, "/occured_at")]
#[case::severity(r#"{"type":"vulnerability.created","data":{"severity":"grave"}}"#, "/data/severity")]
#[case::project(r#"{"type":"a.b","data":{},"project":"none"}"#, "/project")]
#[tokio::test]
async fn json_that_does_not_fit_is_named_by_pointer(#[case] body: &str, #[case] pointer: &str) {
    let world = World::new().await;
    let reply = world.post_text(&world.path("/events"), body).await.is(422);
    assert_eq!(reply.code(), "payload_invalid");
    assert_eq!(reply.json()["errors"][0]["pointer"], pointer, "{}", reply.text());
}

/// RFC 3339 has leap seconds, and no clock of ours does: it is the last second before it.
#[tokio::test]
async fn a_leap_second_is_the_second_before_it() {
    let world = World::new().await;
    let body = r#"{"type":"a.b","data":{},"occurred_at":"2016-12-31T23:59:60Z"}"#;
    let taken = world.post_text(&world.path("/events"), body).await.is(202).json();
    assert_eq!(taken["occurred_at"], "2016-12-31T23:59:59Z");
}

#[rstest]
#[case::none(None)]
#[case::text(Some("text/plain"))]
#[case::form(Some("application/x-www-form-urlencoded"))]
#[case::multipart(Some("multipart/form-data; boundary=x"))]
#[case::charset(Some("application/json; charset=utf-16"))]
#[tokio::test]
async fn other_media_types_are_refused(#[case] media_type: Option<&str>) {
    let world = World::new().await;
    let mut given = request(ROOT, Method::POST, &world.path("/events"), Some(event_of(100)));
    given.headers_mut().remove(header::CONTENT_TYPE);
    if let Some(media_type) = media_type {
        given.headers_mut().insert(header::CONTENT_TYPE, media_type.parse().unwrap());
    }
    assert_eq!(world.send(given).await.is(415).code(), "unsupported_media_type");
}

#[rstest]
#[case("application/json; charset=utf-8")]
#[case("application/json;charset=\"UTF-8\"")]
#[case("application/vnd.acme+json")]
#[tokio::test]
async fn json_media_types_are_taken(#[case] media_type: &str) {
    let world = World::new().await;
    let mut given = request(ROOT, Method::POST, &world.path("/events"), Some(event_of(100)));
    given.headers_mut().insert(header::CONTENT_TYPE, media_type.parse().unwrap());
    world.send(given).await.is(202);
}

#[rstest]
#[case("gzip")]
#[case("deflate")]
#[case("br, gzip")]
#[case("gzip, gzip, gzip")]
#[case("identity, gzip")]
#[case("nonsense")]
#[tokio::test]
async fn coded_bodies_are_refused(#[case] coding: &str) {
    let world = World::new().await;
    let mut given = request(ROOT, Method::POST, &world.path("/events"), Some(event_of(100)));
    given.headers_mut().insert(header::CONTENT_ENCODING, coding.parse().unwrap());
    assert_eq!(world.send(given).await.is(415).code(), "unsupported_encoding");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let world = World::new().await;
    let unread = futures_util::stream::pending::<Result<Bytes, std::io::Error>>();
    let given: Request<Body> = {
        let mut given = request(ROOT, Method::POST, &world.path("/events"), Some(String::new()));
        *given.body_mut() = Body::from_stream(unread);
        given
    };
    let clock = world.clock.clone();
    let advance = async move {
        while clock.next_wake().is_none() {
            tokio::task::yield_now().await;
        }
        clock.advance(watchbell_domain::SignedDuration::from_secs(20));
    };
    let (reply, ()) = tokio::join!(world.send(given), advance);
    assert_eq!(reply.is(408).code(), "body_timeout");
    let listed = world.get(&world.path("/events")).await.is(200).json();
    assert_eq!(listed["items"], json!([]));
}

#[tokio::test]
async fn large_bodies_of_all_kinds_end_well() {
    let world = World::new().await;
    let digits = format!(r#"{{"type":"a.b","data":{{"n":{}}}}}"#, "9".repeat(100_000));
    let keys: Vec<String> = (0..55_000).map(|n| format!("\"k{n}\":1")).collect();
    let keys = format!(r#"{{"type":"a.b","data":{{{}}}}}"#, keys.join(","));
    let arrays = format!(r#"{{"type":"a.b","data":{{"a":[{}[]]}}}}"#, "[],".repeat(340_000));
    let escapes = format!(r#"{{"type":"a.b","data":{{"s":"{}"}}}}"#, r"\u00e4".repeat(170_000));
    let key = format!(r#"{{"type":"a.b","data":{{"{}":1}}}}"#, "k".repeat(1_000_000));
    for (body, status) in [(digits, 400), (keys, 202), (arrays, 202), (escapes, 202), (key, 202)] {
        world.post_text(&world.path("/events"), body).await.is(status);
    }
}

#[tokio::test]
async fn a_false_coding_is_no_json() {
    let world = World::new().await;
    let mut given = request(ROOT, Method::POST, &world.path("/events"), Some(String::new()));
    given.headers_mut().insert(header::CONTENT_ENCODING, "identity".parse().unwrap());
    *given.body_mut() = Body::from(&b"\x1f\x8b\x08\0\0\0\0\0\0\xff"[..]);
    world.send(given).await.is(400);
}

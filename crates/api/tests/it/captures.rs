//! Capture inboxes: what is kept of what is sent, over real sockets where the bytes matter.

use std::time::Duration;

use http::Method;
use rstest::rstest;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use watchbell_api::serve::Options;
use watchbell_domain::access::Scope;

use crate::running::{Running, answer, next, rest, start};
use crate::world::{ROOT, Reply, World, non_zero, request};

/// An inbox: its view, and the path of its API.
async fn inbox(world: &World, given: Value) -> (Value, String) {
    let made = world.post(&world.path("/captures"), given).await.is(201).json();
    let path = world.path(&format!("/captures/{}", made["id"].as_str().unwrap()));
    (made, path)
}

/// The path of its address.
fn url(inbox: &Value) -> &str {
    inbox["url"].as_str().unwrap().strip_prefix("http://localhost:8420").unwrap()
}

async fn newest(world: &World, path: &str) -> Value {
    let list = world.get(&format!("{path}/requests")).await.is(200).json();
    let id = list["items"][0]["id"].as_str().unwrap_or_else(|| panic!("nothing came: {list}"));
    world.get(&format!("{path}/requests/{id}")).await.is(200).json()
}

async fn send(world: &World, method: &str, path: &str, body: &str) -> Reply {
    world.send(request("", method.parse().unwrap(), path, (!body.is_empty()).then(|| body.to_owned()))).await
}

#[tokio::test]
async fn an_inbox_keeps_what_is_sent_and_answers_what_it_says() {
    let world = World::new().await;
    let (plain, path) = inbox(&world, json!({"name": "plain"})).await;
    let reply = send(&world, "POST", &format!("{}/a%20b/c?x=1&x=2", url(&plain)), r#"{"a": 1}"#).await.is(200);
    assert_eq!(reply.text(), "{}");
    assert_eq!(reply.headers["content-security-policy"], "sandbox; default-src 'none'; frame-ancestors 'none'");
    assert_eq!(reply.headers["x-content-type-options"], "nosniff");
    let found = newest(&world, &path).await;
    assert_eq!(found["path"], format!("{}/a%20b/c", url(&plain)));
    assert_eq!(found["query"], "x=1&x=2");
    assert_eq!((&found["method"], &found["number"], &found["complete"]), (&json!("POST"), &json!(1), &json!(true)));
    assert_eq!((&found["body"], &found["body_base64"]), (&json!("{\"a\": 1}"), &json!("eyJhIjogMX0=")));
    assert_eq!((&found["address"], &found["body_bytes"]), (&json!("192.0.2.1"), &json!(8)));
    let listed = world.get(&format!("{path}/requests")).await.is(200).json();
    assert!(listed["items"][0].get("body").is_none() && listed["items"][0].get("body_base64").is_none(), "{listed}");

    let answer = json!({"status": 418, "headers": {"X-A": "b", "Retry-After": "1"}, "body": "no"});
    let (_, _) = inbox(&world, json!({"name": "other"})).await;
    let (teapot, _) = inbox(&world, json!({"name": "teapot", "answer": answer, "ttl": "1h"})).await;
    let reply = send(&world, "GET", url(&teapot), "").await.is(418);
    assert_eq!(
        (reply.text().as_str(), &reply.headers["x-a"], &reply.headers["retry-after"]),
        ("no", &"b".parse().unwrap(), &"1".parse().unwrap())
    );
}

#[rstest]
#[case(json!({"name": ""}), "/name")]
#[case(json!({"name": "a\nb"}), "/name")]
#[case(json!({"name": "a", "ttl": "1000h"}), "/ttl")]
#[case(json!({"name": "a", "ttl": "1s"}), "/ttl")]
#[case(json!({"name": "a", "answer": {"status": 101}}), "/answer/status")]
#[case(json!({"name": "a", "answer": {"delay": "31s"}}), "/answer/delay")]
#[case(json!({"name": "a", "answer": {"body": "x".repeat(70_000)}}), "/answer/body")]
#[tokio::test]
async fn what_is_no_inbox_is_refused(#[case] given: Value, #[case] pointer: &str) {
    let world = World::new().await;
    let refused = world.post(&world.path("/captures"), given).await.is(422).json();
    assert_eq!(refused["errors"][0]["pointer"], pointer);
}

#[rstest]
fn e13_an_answer_speaks_for_itself_alone(
    #[values(
        "Set-Cookie",
        "content-security-policy",
        "Service-Worker-Allowed",
        "Access-Control-Allow-Origin",
        "Content-Length",
        "a b"
    )]
    name: &str,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let world = World::new().await;
        let given = json!({"name": "a", "answer": {"headers": {name: "x"}}});
        assert_eq!(world.post(&world.path("/captures"), given).await.is(422).code(), "header_forbidden");
    });
}

#[tokio::test]
async fn names_are_unique_and_writes_done_once() {
    let world = World::new().await;
    inbox(&world, json!({"name": "one"})).await;
    let again = world.post(&world.path("/captures"), json!({"name": "one"})).await.is(409);
    assert_eq!(again.code(), "conflict");
    let mut once = request(ROOT, Method::POST, &world.path("/captures"), Some("{\"name\":\"two\"}".to_owned()));
    once.headers_mut().insert("idempotency-key", "k".parse().unwrap());
    let first = world.send(once).await.is(201).json();
    let mut once = request(ROOT, Method::POST, &world.path("/captures"), Some("{\"name\":\"two\"}".to_owned()));
    once.headers_mut().insert("idempotency-key", "k".parse().unwrap());
    assert_eq!(world.send(once).await.is(201).json(), first);
    let audit = world.get(&world.path("/audit")).await.is(200);
    let token = url(&first).rsplit('/').next().unwrap().to_owned();
    assert!(audit.text().contains("capture.create") && !audit.text().contains(&token), "{}", audit.text());
}

#[tokio::test]
async fn the_path_lets_write_and_nothing_else() {
    let world = World::new().await;
    let (made, path) = inbox(&world, json!({"name": "one"})).await;
    let token = url(&made).to_owned();
    send(&world, "GET", &token, "").await.is(200);
    let unknown = format!("/capture/{}", "0".repeat(32));
    let expected = send(&world, "GET", "/nowhere", "").await.is(404).without_request_id();
    for none in [unknown.as_str(), "/capture/x", "/capture", &token.to_uppercase().replace("/CAPTURE", "/capture")] {
        if none != token {
            assert_eq!(send(&world, "POST", none, "{}").await.is(404).without_request_id(), expected, "{none}");
        }
    }
    world.call("", Method::GET, &format!("{path}/requests"), None).await.is(401);
    world.add_key("reader", Some(world.org), &[Scope::SourcesRead]).await;
    world.call("reader", Method::GET, &format!("{path}/requests"), None).await.is(200);
    world.call("reader", Method::DELETE, &path, None).await.is(403);
    world.delete(&path).await.is(204);
    send(&world, "GET", &token, "").await.is(404);
    world.get(&format!("{path}/requests")).await.is(404);
    world.delete(&path).await.is(404);
}

#[tokio::test]
async fn credentials_are_masked_unless_asked_for() {
    let world = World::new().await;
    let (made, path) = inbox(&world, json!({"name": "one"})).await;
    let mut sent = request("a-token-that-is-quite-secret", Method::POST, url(&made), Some("{}".to_owned()));
    sent.headers_mut().insert("x-gitlab-token", "short".parse().unwrap());
    world.send(sent).await.is(200);
    let found = newest(&world, &path).await;
    let value = |found: &Value, name: &str| -> String {
        let line = found["headers"].as_array().unwrap().iter().find(|line| line[0] == name).unwrap().clone();
        line[1].as_str().unwrap().to_owned()
    };
    assert_eq!(value(&found, "authorization"), "Bearer ••••cret");
    assert_eq!(value(&found, "x-gitlab-token"), "••••");
    let one = format!("{path}/requests/{}?unmasked=true", found["id"].as_str().unwrap());
    assert_eq!(value(&world.get(&one).await.is(200).json(), "authorization"), "Bearer a-token-that-is-quite-secret");
    world.add_key("reader", Some(world.org), &[Scope::SourcesRead]).await;
    assert_eq!(world.call("reader", Method::GET, &one, None).await.is(403).code(), "forbidden");
    let listed = world.get(&format!("{path}/requests")).await.is(200).text();
    assert!(!listed.contains("quite-secret"), "{listed}");
}

#[tokio::test]
async fn a_captured_request_is_explained() {
    let world = World::new().await;
    let (made, path) = inbox(&world, json!({"name": "one"})).await;
    let body = r#"{"webhookId":"d3cf26b3-2d77-497b-bce2-23b33cc15362"}"#;
    let mut sent = request("", Method::POST, url(&made), Some(body.to_owned()));
    let signature = "sha256=d5ca4bacc32bac605a08061007d5249dc59e05cae6bd00ba0c6a0276acf69aeb";
    sent.headers_mut().insert("x-hub-signature", signature.parse().unwrap());
    sent.headers_mut().insert("x-snyk-event", "ping/v0".parse().unwrap());
    world.send(sent).await.is(200);
    let id = newest(&world, &path).await["id"].as_str().unwrap().to_owned();
    let verify = format!("{path}/requests/{id}/verify");
    let told = world.post(&verify, json!({"secret": "a8be22bb7bed43a3ac24de3580093560"})).await.is(200).json();
    assert_eq!((&told["verified"], &told["dialect"]), (&json!(true), &json!("snyk")));
    let told = world.post(&verify, json!({"dialect": "snyk", "secret": "wrong"})).await.is(200).json();
    assert_eq!((&told["verified"], &told["findings"][0]["fault"]), (&json!(false), &json!("nothing_fits")));
    let told = world.call(ROOT, Method::POST, &verify, None).await.is(200).json();
    assert_eq!((&told["verified"], &told["reason"]), (&json!(false), &Value::Null));
    world.delete(&format!("{path}/requests/{id}")).await.is(204);
    world.post(&verify, json!({})).await.is(404);
}

/// Writes bytes to the inbox's server and answers what came back.
async fn told(running: &Running, text: impl AsRef<[u8]>) -> String {
    running.tell(text).await
}

#[tokio::test]
async fn names_keep_their_letters_and_order() {
    let running = start(Options::default()).await;
    let (made, path) = inbox(&running.world, json!({"name": "one"})).await;
    let url = url(&made);
    let first = format!(
        "POST {url}/a HTTP/1.1\r\nhOST: a\r\nX-hUb-SIGNATURE:  x \r\nsymbioticsec_signature: b\r\nx-hub-signature: y\r\nContent-Length: 2\r\n\r\nab"
    );
    // On the same connection: another path, and a second one whose head comes in two pieces.
    let health = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    let second = format!(
        "DELETE {url} HTTP/1.1\r\nHOST: a\r\nX-Other: z\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nc\r\n0\r\n\r\n"
    );
    let (begin, end) = second.split_at(30);
    let mut stream = running.connect().await;
    stream.write_all(format!("{first}{health}{begin}").as_bytes()).await.unwrap();
    let mut answers = String::new();
    while answers.matches("HTTP/1.1 200").count() < 2 {
        answers.push_str(&next(&mut stream).await);
    }
    assert!(answer(&mut stream, end).await.starts_with("HTTP/1.1 200"));
    let listed = running.world.get(&format!("{path}/requests")).await.is(200).json();
    let names = |index: usize| -> Vec<String> {
        let lines = listed["items"][index]["headers"].as_array().unwrap();
        lines.iter().map(|line| format!("{}={}", line[0].as_str().unwrap(), line[1].as_str().unwrap())).collect()
    };
    assert_eq!(
        names(1),
        ["hOST=a", "X-hUb-SIGNATURE=x", "symbioticsec_signature=b", "x-hub-signature=y", "Content-Length=2"]
    );
    assert_eq!(names(0), ["HOST=a", "X-Other=z", "Transfer-Encoding=chunked"]);
    assert_eq!(listed["items"][0]["method"], "DELETE");
}

#[rstest]
#[case("PROPFIND")]
#[case("TRACE")]
#[case("OPTIONS")]
#[case("HEAD")]
#[case("M-SEARCH")]
#[case("lower")]
#[tokio::test]
async fn any_method_is_kept(#[case] method: &str) {
    let running = start(Options::default()).await;
    let (made, path) = inbox(&running.world, json!({"name": "one"})).await;
    let text = format!("{method} {} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", url(&made));
    assert!(told(&running, text).await.starts_with("HTTP/1.1 200"));
    assert_eq!(newest(&running.world, &path).await["method"], method);
}

#[tokio::test]
async fn a_huge_body_is_cut_and_kept() {
    let running = start(Options::default()).await;
    let (made, path) = inbox(&running.world, json!({"name": "one"})).await;
    let send = async |bytes: usize| {
        let head =
            format!("POST {} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {bytes}\r\n\r\n", url(&made));
        told(&running, [head.into_bytes(), vec![b'x'; bytes]].concat()).await
    };
    assert!(send(300_000).await.starts_with("HTTP/1.1 200"));
    let found = newest(&running.world, &path).await;
    assert_eq!((&found["complete"], &found["body_bytes"]), (&json!(false), &json!(300_000)));
    assert_eq!(found["body"].as_str().unwrap().len(), 256 * 1024);
    let verify = format!("{path}/requests/{}/verify", found["id"].as_str().unwrap());
    assert_eq!(running.world.post(&verify, json!({})).await.is(409).code(), "conflict");
    let answer = send(9 * 1024 * 1024).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413"), "{answer}");
    let found = newest(&running.world, &path).await;
    assert_eq!((&found["number"], &found["complete"]), (&json!(2), &json!(false)));
}

#[tokio::test]
async fn a_slow_or_broken_body_is_kept_as_far_as_it_came() {
    let running = start(Options::default()).await;
    let (made, path) = inbox(&running.world, json!({"name": "one"})).await;
    let head = format!("POST {} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc", url(&made));
    let mut slow = running.connect().await;
    slow.write_all(head.as_bytes()).await.unwrap();
    running.pass(12).await;
    assert!(rest(&mut slow).await.starts_with("HTTP/1.1 408"));
    let found = newest(&running.world, &path).await;
    assert_eq!((&found["body"], &found["complete"], &found["number"]), (&json!("abc"), &json!(false), &json!(1)));
    let mut broken = running.connect().await;
    broken.write_all(head.as_bytes()).await.unwrap();
    running.turns().await;
    drop(broken);
    // The other side notices in its own time.
    while newest(&running.world, &path).await["number"] != 2 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_answer_waits_and_so_many_and_no_more() {
    let running = start(Options::default()).await;
    let (made, path) = inbox(&running.world, json!({"name": "one", "answer": {"delay": "30s"}})).await;
    let text = format!("POST {} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab", url(&made));
    let mut waiting = Vec::new();
    for _ in 0..16 {
        let mut stream = running.connect().await;
        stream.write_all(text.as_bytes()).await.unwrap();
        waiting.push(stream);
    }
    let count = async || {
        let listed = running.world.get(&format!("{path}/requests")).await.is(200).json();
        listed["items"].as_array().unwrap().len()
    };
    // Each is kept before its answer goes out.
    while count().await < 16 {
        tokio::task::yield_now().await;
    }
    let mut beyond = running.connect().await;
    let refused = answer(&mut beyond, &text).await;
    assert!(refused.starts_with("HTTP/1.1 429") && refused.contains("retry-after: 1"), "{refused}");
    running.pass(29).await;
    let mut byte = [0];
    assert!(waiting.iter().all(|stream| stream.try_read(&mut byte).is_err()), "it waits");
    running.pass(2).await;
    for stream in &mut waiting {
        assert!(next(stream).await.starts_with("HTTP/1.1 200"));
    }
    assert_eq!(count().await, 16);
    let mut again = running.connect().await;
    again.write_all(text.as_bytes()).await.unwrap();
    while count().await < 17 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn one_inbox_and_one_address_have_their_rate() {
    let world = World::new().await;
    let (made, _) = inbox(&world, json!({"name": "one"})).await;
    for _ in 0..100 {
        send(&world, "GET", url(&made), "").await.is(200);
    }
    let refused = send(&world, "GET", url(&made), "").await.is(429);
    assert_eq!(refused.code(), "rate_limited");
    let (other, _) = inbox(&world, json!({"name": "two"})).await;
    send(&world, "GET", url(&other), "").await.is(200);
    // Guessing paths has an end too.
    let mut statuses = Vec::new();
    for guess in 0..100_u32 {
        statuses.push(send(&world, "GET", &format!("/capture/{guess:032x}"), "").await.status.as_u16());
    }
    assert!(statuses.starts_with(&[404]) && statuses.ends_with(&[429]), "{statuses:?}");
}

#[tokio::test]
async fn every_bound_is_a_setting() {
    let world = World::with(|options| {
        let capture = &mut options.capture;
        capture.inboxes_max = 2;
        capture.keep.requests = 3;
        capture.body_bytes_max = 4;
        capture.read_bytes_max = 8;
        capture.ttl = watchbell_domain::SignedDuration::from_mins(5);
        capture.ttl_max = watchbell_domain::SignedDuration::from_mins(10);
        capture.per_inbox = Some(watchbell_api::limits::RateLimit { per_second: non_zero(1), burst: non_zero(6) });
        capture.per_address = None;
    })
    .await;
    let (made, path) = inbox(&world, json!({"name": "one"})).await;
    let life = |made: &Value| -> Vec<String> {
        ["created_at", "expires_at"].map(|name| made[name].as_str().unwrap().to_owned()).to_vec()
    };
    assert_eq!(life(&made), ["2027-01-15T08:00:00Z", "2027-01-15T08:05:00Z"]);
    let long = json!({"name": "two", "ttl": "11m"});
    let refused = world.post(&world.path("/captures"), long).await.is(422).json();
    assert_eq!(refused["errors"][0]["pointer"], "/ttl");
    inbox(&world, json!({"name": "two", "ttl": "10m"})).await;
    world.post(&world.path("/captures"), json!({"name": "three"})).await.is(409);
    for body in ["1", "22", "333", "55555"] {
        send(&world, "POST", url(&made), body).await.is(200);
        // So that they sort by when they came.
        world.clock.advance(watchbell_domain::SignedDuration::from_millis(1));
    }
    let found = newest(&world, &path).await;
    assert_eq!((&found["body"], &found["body_bytes"], &found["complete"]), (&json!("5555"), &json!(5), &json!(false)));
    send(&world, "POST", url(&made), "999999999").await.is(413);
    let listed = world.get(&format!("{path}/requests")).await.is(200).json();
    let numbers: Vec<_> = listed["items"].as_array().unwrap().iter().map(|item| item["number"].clone()).collect();
    assert_eq!(numbers, [5, 4, 3], "the last three");
    send(&world, "POST", url(&made), "").await.is(200);
    send(&world, "POST", url(&made), "").await.is(429);
    // Of addresses nothing is counted any more.
    for guess in 0..300_u32 {
        send(&world, "GET", &format!("/capture/{guess:032x}"), "").await.is(404);
    }
}

#[tokio::test]
async fn what_comes_is_waited_for_and_nothing_missed() {
    let running = start(Options::default()).await;
    let world = &running.world;
    let (made, path) = inbox(world, json!({"name": "one"})).await;
    let live = |query: &str| format!("{path}/requests/live{query}");
    let numbers = |news: &Value| -> Vec<u64> {
        news["items"].as_array().unwrap().iter().map(|item| item["number"].as_u64().unwrap()).collect()
    };
    let begun = world.get(&live("")).await.is(200).json();
    assert_eq!((numbers(&begun), &begun["after"], &begun["missed"]), (vec![], &json!(0), &json!(0)));
    for _ in 0..3 {
        send(world, "POST", url(&made), "{}").await.is(200);
    }
    let last = world.get(&live("?last=2")).await.is(200).json();
    assert_eq!((numbers(&last), &last["after"]), (vec![2, 3], &json!(3)));
    assert_eq!(last["items"][0]["body_base64"], "e30=");
    assert_eq!(numbers(&world.get(&live("?after=0")).await.is(200).json()), [1, 2, 3]);

    // Nothing new: it waits, and is rung.
    let head = format!("GET {} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {ROOT}\r\n\r\n", live("?after=3&wait=30s"));
    let mut stream = running.connect().await;
    stream.write_all(head.as_bytes()).await.unwrap();
    running.turns().await;
    let mut byte = [0];
    assert!(stream.try_read(&mut byte).is_err(), "it waits");
    send(world, "POST", url(&made), "{}").await.is(200);
    let news = next(&mut stream).await;
    assert!(news.starts_with("HTTP/1.1 200") && news.contains("\"number\":4"), "{news}");

    // Nothing comes: an empty answer, from the same place.
    let head = format!("GET {} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {ROOT}\r\n\r\n", live("?after=4&wait=5s"));
    let mut stream = running.connect().await;
    stream.write_all(head.as_bytes()).await.unwrap();
    running.pass(6).await;
    let news = next(&mut stream).await;
    assert!(news.contains("\"items\":[]") && news.contains("\"after\":4"), "{news}");
    world.get(&live("?after=4&wait=31s")).await.is(400);
    world.add_key("reader", Some(world.org), &[Scope::SourcesRead]).await;
    world.call("reader", Method::GET, &live("?unmasked=true"), None).await.is(403);
}

#[tokio::test]
async fn those_who_wait_have_their_number() {
    let running = start(Options::default()).await;
    let (_, path) = inbox(&running.world, json!({"name": "one"})).await;
    let head = format!(
        "GET {path}/requests/live?after=0&wait=30s HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {ROOT}\r\n\r\n"
    );
    let mut waiting = Vec::new();
    for _ in 0..10 {
        let mut stream = running.connect().await;
        stream.write_all(head.as_bytes()).await.unwrap();
        waiting.push(stream);
    }
    let mut refused = String::new();
    while !refused.starts_with("HTTP/1.1 429") {
        // Until all of them are taken up, this one waits as well.
        let mut stream = running.connect().await;
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut text = vec![0; 1024];
        let read = tokio::time::timeout(Duration::from_millis(50), stream.read(&mut text)).await;
        refused =
            read.map_or_else(|_| String::new(), |count| String::from_utf8_lossy(&text[..count.unwrap()]).into_owned());
    }
    assert!(refused.contains("too_many_streams"), "{refused}");
    // A node that stops lets them go.
    running.world.edge.ready().set(false);
    running.pass(3).await;
    for stream in &mut waiting {
        assert!(next(stream).await.starts_with("HTTP/1.1 200"));
    }
}

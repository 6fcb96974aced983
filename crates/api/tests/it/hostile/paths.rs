//! What a request names: C3, C5, C6, C13, C14, C16, C17.

use rstest::rstest;
use watchbell_api::serve::Options;
use watchbell_domain::SignedDuration;

use crate::running::{EVENT, Running, answer, start, start_with};
use crate::world::{ROOT, non_zero};

impl Running {
    /// A POST of an event with these lines beside the usual ones, on a connection of its own.
    async fn post_with(&self, lines: &str) -> String {
        let length = EVENT.len();
        let head = self.post_head();
        self.tell(format!("{head}Connection: close\r\nContent-Length: {length}\r\n{lines}\r\n{EVENT}")).await
    }
}

#[rstest]
#[case::none("GET /healthz HTTP/1.1\r\n\r\n")]
#[case::two("GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")]
#[case::the_same_twice("GET /healthz HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n")]
#[tokio::test]
async fn c3_one_host_is_given(#[case] request: &str) {
    let running = start(Options::default()).await;
    let answer = running.refuses(request).await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("header_invalid"), "{answer}");
}

#[tokio::test]
async fn c3_no_answer_repeats_a_host() {
    let running = start(Options::default()).await;
    let root = format!("Authorization: Bearer {ROOT}\r\nConnection: close\r\n");
    let path = running.world.path("/endpoints");
    let body = r#"{"url":"https://hooks.example.com/in","dialect":"standard"}"#;
    let json = format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    for request in [
        format!("POST {path} HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: evil.example\r\n{root}{json}"),
        format!("POST http://evil.example{path} HTTP/1.1\r\nHost: a\r\n{root}{json}"),
        format!("GET http://evil.example{path}?limit=1 HTTP/1.1\r\nHost: a\r\n{root}\r\n"),
        format!("GET /openapi.json HTTP/1.1\r\nHost: evil.example\r\n{root}\r\n"),
        format!("GET {path}/ HTTP/1.1\r\nHost: evil.example\r\n{root}\r\n"),
        format!("GET /nothing HTTP/1.1\r\nHost: evil.example\r\n{root}\r\n"),
    ] {
        let answer = running.tell(&request).await;
        assert!(answer.starts_with("HTTP/1.1 ") && !answer.contains("evil.example"), "{request} got {answer}");
        assert!(!answer.starts_with("HTTP/1.1 5"), "{request} got {answer}");
    }
}

#[rstest]
#[case::latin1(b"Idempotency-Key: caf\xe9\r\n")]
#[case::utf8("Idempotency-Key: caf\u{e9}\r\n".as_bytes())]
#[case::blank(b"Idempotency-Key: a b\r\n")]
#[case::tab(b"Idempotency-Key: a\tb\r\n")]
#[case::nul(b"Idempotency-Key: a\0b\r\n")]
#[case::cr(b"Idempotency-Key: a\rb\r\n")]
#[case::delete(b"Idempotency-Key: a\x7fb\r\n")]
#[case::empty(b"Idempotency-Key: \r\n")]
#[case::two(b"Idempotency-Key: a\r\nIdempotency-Key: b\r\n")]
#[case::the_same_twice(b"Idempotency-Key: a\r\nIdempotency-Key: a\r\n")]
#[tokio::test]
async fn c5_c6_a_header_that_is_used_is_clean_and_alone(#[case] line: &[u8]) {
    let running = start(Options::default()).await;
    let length = EVENT.len();
    let head = format!("{}Connection: close\r\nContent-Length: {length}\r\n", running.post_head());
    let answer = running.tell([head.as_bytes(), line, b"\r\n", EVENT.as_bytes()].concat()).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert_eq!(running.events().await, 0);
}

#[tokio::test]
async fn c6_two_credentials_are_none() {
    let running = start(Options::default()).await;
    let answer = running.post_with(&format!("Authorization: Bearer {ROOT}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
}

#[rstest]
#[case("TRACE", "/healthz")]
#[case("PUT", "/healthz")]
#[case("DELETE", "/api/v1/orgs/acme/events")]
#[case("TRACE", "/api/v1/orgs/acme/events")]
#[case("BREW", "/healthz")]
#[tokio::test]
async fn c13_other_methods_are_not_allowed(#[case] method: &str, #[case] path: &str) {
    let running = start(Options::default()).await;
    let credential = format!("Authorization: Bearer {ROOT}\r\nMax-Forwards: 0\r\nX-Secret: canary\r\n");
    let answer =
        running.tell(format!("{method} {path} HTTP/1.1\r\nHost: a\r\n{credential}Connection: close\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
    assert!(answer.to_lowercase().contains("\r\nallow: "), "{answer}");
    assert!(!answer.contains("canary"), "{answer}");
}

#[rstest]
#[case("CONNECT evil.example:443 HTTP/1.1")]
#[case("CONNECT a:80 HTTP/1.1")]
#[tokio::test]
async fn c13_nothing_is_tunnelled(#[case] line: &str) {
    let running = start(Options::default()).await;
    let answer = running.refuses(format!("{line}\r\nHost: a\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
    assert!(answer.to_lowercase().contains("\r\nallow: "), "{answer}");
}

#[rstest]
#[case("/../etc/passwd")]
#[case("/%2e%2e/%2e%2e/etc/passwd")]
#[case("/problems/..%2f..%2fCargo.toml")]
#[case("/problems/%2e%2e%2fREADME.md")]
#[case("/problems/not_found%00")]
#[case("/problems/not_found%zz")]
#[case("/problems/%ff%fe")]
#[case("//healthz")]
#[case("/healthz/")]
#[case("/healthz/../metrics")]
#[case("/healthz%2f..%2fmetrics")]
#[case("/healthz;x=y")]
#[case("/api/v1/orgs/acme/../../../healthz")]
#[case("/api/v1//orgs")]
#[case("/api/v1/orgs/%00/events")]
#[case("/api/v1/orgs/%zz/events")]
#[case("/api/v1/orgs/acme%2fevents")]
#[case("/API/v1/orgs")]
#[case("/%61pi/v1/orgs")]
#[case("/.git/config")]
#[tokio::test]
async fn c14_odd_paths_lead_nowhere(#[case] path: &str) {
    let running = start(Options::default()).await;
    for credential in [String::new(), format!("Authorization: Bearer {ROOT}\r\n")] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n{credential}Connection: close\r\n\r\n");
        let answer = running.tell(request).await;
        let status = answer.get(9..12).unwrap_or_default();
        let wanted: &[&str] = if credential.is_empty() { &["400", "401", "404"] } else { &["400", "404"] };
        assert!(wanted.contains(&status), "{path} got {answer}");
    }
}

#[rstest]
#[case("GET *\u{0} HTTP/1.1")]
#[case("GET  /healthz HTTP/1.1")]
#[case("GET /healthz\t HTTP/1.1")]
#[case("GET /healthz")]
#[case("GET /healthz HTTP/9.9")]
#[case("GET healthz HTTP/1.1")]
#[case("\u{0}\u{1}\u{2} / HTTP/1.1")]
#[tokio::test]
async fn c14_odd_request_lines_are_refused(#[case] line: &str) {
    let running = start(Options::default()).await;
    let answer = running.tell(format!("{line}\r\nHost: a\r\nConnection: close\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 4") || answer.is_empty(), "{answer}");
}

/// What a stranger with a wrong key is answered, time after time, naming another address each time.
async fn refusals(running: &Running, from: u8) -> Vec<String> {
    let mut stream = running.connect_from(from).await;
    let mut statuses = Vec::new();
    for number in 0..4 {
        let request = format!(
            "GET /api/v1/orgs HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer wrong\r\nX-Forwarded-For: 192.0.2.{number}\r\n\
             X-Real-IP: 192.0.2.{number}\r\nForwarded: for=192.0.2.{number}\r\n\r\n"
        );
        let text = answer(&mut stream, &request).await;
        statuses.push(text.get(9..12).unwrap_or_default().to_owned());
    }
    statuses
}

#[tokio::test]
async fn c16_a_strangers_forwarded_for_is_ignored() {
    let proxies = vec!["127.0.0.3/32".parse().unwrap()].into();
    let options = Options { trusted_proxies: proxies, ..Options::default() };
    let running = start_with(options, |edge| edge.failures_per_minute = non_zero(2)).await;
    assert_eq!(refusals(&running, 2).await, ["401", "401", "429", "429"]);
    assert_eq!(refusals(&running, 3).await, ["401", "401", "401", "401"], "its proxy is believed");
    assert_eq!(refusals(&running, 3).await, ["401", "401", "401", "401"]);
    assert_eq!(refusals(&running, 3).await, ["429", "429", "429", "429"], "each address was wrong twice");
    running.world.clock.advance(SignedDuration::from_secs(60));
    assert_eq!(refusals(&running, 4).await, ["401", "401", "429", "429"]);
}

#[tokio::test]
async fn c16_a_trusted_proxy_has_no_limit_of_its_own() {
    let proxies = vec!["127.0.0.3/32".parse().unwrap()].into();
    let options = Options { trusted_proxies: proxies, connections_per_address_max: 2, ..Options::default() };
    let running = start(options).await;
    let mut kept = Vec::new();
    for number in 0..6 {
        let mut stream = running.connect_from(3).await;
        let text = answer(&mut stream, crate::running::HEALTH).await;
        assert!(text.starts_with("HTTP/1.1 200"), "{number}: {text}");
        kept.push(stream);
    }
}

#[rstest]
#[case::form("application/x-www-form-urlencoded", "415")]
#[case::multipart("multipart/form-data; boundary=x", "415")]
#[case::text("text/plain", "415")]
#[case::text_that_mentions_json("text/plain; application/json", "415")]
#[tokio::test]
async fn c17_forms_of_other_sites_are_refused(#[case] media_type: &str, #[case] status: &str) {
    let running = start(Options::default()).await;
    let length = EVENT.len();
    let lines =
        format!("Origin: https://evil.example\r\nCookie: a=b\r\nContent-Length: {length}\r\nConnection: close\r\n");
    let head = running.post_head().replace("application/json", media_type);
    let answer = running.tell(format!("{head}{lines}\r\n{EVENT}")).await;
    assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    assert!(!answer.to_lowercase().contains("access-control"), "{answer}");
    assert_eq!(running.events().await, 0);
}

#[tokio::test]
async fn c17_no_other_site_is_let_in() {
    let running = start(Options::default()).await;
    let path = running.world.path("/events");
    let origin = "Host: a\r\nOrigin: https://evil.example\r\nConnection: close\r\n";
    let preflight = format!(
        "OPTIONS {path} HTTP/1.1\r\n{origin}Access-Control-Request-Method: POST\r\n\
         Access-Control-Request-Headers: authorization,content-type\r\nAccess-Control-Request-Private-Network: true\r\n\r\n"
    );
    let answer = running.tell(preflight).await;
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    assert!(!answer.to_lowercase().contains("access-control"), "{answer}");
    for path in ["/healthz", "/openapi.json", &path] {
        let request = format!("GET {path} HTTP/1.1\r\n{origin}Authorization: Bearer {ROOT}\r\n\r\n");
        let answer = running.tell(request).await;
        assert!(!answer.to_lowercase().contains("access-control"), "{answer}");
        assert!(answer.contains("x-content-type-options: nosniff"), "{answer}");
    }
}

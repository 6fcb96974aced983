//! Who we say we are: basic, bearer, and tokens that a token server gives.

use jiff::SignedDuration;
use rstest::rstest;
use watchbell_domain::delivery::{Attempt, AttemptResult::*};
use watchbell_domain::endpoint::{Auth, AuthStyle, OAuth2Client};
use watchbell_domain::id::EndpointId;
use watchbell_wire::Secret;

use crate::support::rig::{Rig, options, org, settle_down};
use crate::support::sink::{Sink, Step, answer, exchanges, write};

const CLIENT_SECRET: &str = "cl&ent secret";

fn oauth2(token_server: &Sink) -> OAuth2Client {
    OAuth2Client {
        token_url: format!("http://{}/token", token_server.address),
        client_id: "watch:bell".into(),
        client_secret: Secret::new(CLIENT_SECRET),
        scope: None,
        audience: None,
        auth_style: AuthStyle::Basic,
    }
}

fn json(status: u16, body: &str) -> Step {
    write(format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
}

fn token(name: &str, seconds: u32) -> Step {
    json(200, &format!(r#"{{"access_token": "{name}", "token_type": "bearer", "expires_in": {seconds}}}"#))
}

fn endpoint(rig: &Rig, sink: &Sink, auth: Auth) -> EndpointId {
    rig.endpoint_with(org(1), &sink.url(), |endpoint| endpoint.transport.auth = Some(auth))
}

/// What the request says in `Authorization`.
async fn authorization(sink: &mut Sink) -> String {
    let request = sink.request().await;
    let line = request.lines().find_map(|line| line.strip_prefix("Authorization: "));
    line.unwrap_or_else(|| panic!("no authorization: {request}")).to_owned()
}

async fn attempt(rig: &mut Rig) -> Attempt {
    rig.settled().await.attempt.unwrap()
}

#[rstest]
#[case(Auth::Basic { username: "wätch".into(), password: Secret::new("a:password") }, "Basic d8OkdGNoOmE6cGFzc3dvcmQ=")]
#[case(Auth::Bearer { token: Secret::new("a-bearer-token") }, "Bearer a-bearer-token")]
#[tokio::test]
async fn fixed_credentials_are_sent_and_not_kept_of_an_echo(#[case] auth: Auth, #[case] wanted: &str) {
    let echo = json(200, &format!("you are {wanted}; a:password"));
    let mut sink = Sink::always(vec![Step::Read, echo]).await;
    let mut rig = Rig::start(options());
    let endpoint = endpoint(&rig, &sink, auth);
    rig.deliver(endpoint, "{}");
    assert_eq!(authorization(&mut sink).await, wanted);
    let response = attempt(&mut rig).await.response.unwrap();
    let kept = String::from_utf8(response.body).unwrap();
    assert!(kept.contains("••••") && !kept.contains(wanted.split_once(' ').unwrap().1), "{kept}");
}

#[tokio::test]
async fn a_token_is_fetched_once_and_renewed_shortly_before_it_ends() {
    let scripts = ["first-token", "second-token"].map(|name| vec![Step::Read, token(name, 300)]);
    let mut server = Sink::start(scripts.to_vec()).await;
    let mut sink = Sink::always(exchanges(3)).await;
    let mut rig = Rig::start(options());
    let endpoint = endpoint(&rig, &sink, Auth::OAuth2(oauth2(&server)));
    let asked = |request: String| {
        assert!(request.starts_with("POST /token HTTP/1.1\r\n"), "{request}");
        assert!(
            request.to_ascii_lowercase().contains("content-type: application/x-www-form-urlencoded\r\n"),
            "{request}"
        );
        // RFC 6749, section 2.3.1: "watch%3Abell:cl%26ent+secret".
        assert!(request.contains("Basic d2F0Y2glM0FiZWxsOmNsJTI2ZW50K3NlY3JldA==\r\n"), "{request}");
        assert!(request.ends_with("\r\n\r\ngrant_type=client_credentials"), "{request}");
    };
    for (seconds, wanted) in [(0, "first-token"), (239, "first-token"), (1, "second-token"), (1, "second-token")] {
        rig.clock.advance(SignedDuration::from_secs(seconds));
        rig.deliver(endpoint, "{}");
        assert_eq!(authorization(&mut sink).await, format!("Bearer {wanted}"));
        assert_eq!(attempt(&mut rig).await.result, Http(200));
    }
    asked(server.request().await);
    asked(server.request().await);
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn id_and_secret_go_in_the_body_where_that_is_wanted() {
    let mut server = Sink::always(vec![Step::Read, token("a-token", 300)]).await;
    let mut sink = Sink::always(exchanges(1)).await;
    let mut rig = Rig::start(options());
    let oauth2 = OAuth2Client {
        scope: Some("a b".into()),
        audience: Some("https://them".into()),
        auth_style: AuthStyle::Body,
        ..oauth2(&server)
    };
    let endpoint = endpoint(&rig, &sink, Auth::OAuth2(oauth2));
    rig.deliver(endpoint, "{}");
    let request = server.request().await;
    let body = "grant_type=client_credentials&scope=a+b&audience=https%3A%2F%2Fthem&client_id=watch%3Abell&client_secret=cl%26ent+secret";
    assert!(request.ends_with(body) && !request.contains("Basic"), "{request}");
    assert_eq!(authorization(&mut sink).await, "Bearer a-token");
    assert_eq!(attempt(&mut rig).await.result, Http(200));
}

#[tokio::test]
async fn a_refused_token_is_renewed_once_within_the_attempt() {
    let scripts = ["first-token", "second-token"].map(|name| vec![Step::Read, token(name, 300)]);
    let server = Sink::start(scripts.to_vec()).await;
    let script = [answer(200), answer(401), answer(200), answer(401), answer(401)];
    let script = script.into_iter().flat_map(|answer| [Step::Read, answer]).collect();
    let mut sink = Sink::always(script).await;
    let mut rig = Rig::start(options());
    let endpoint = endpoint(&rig, &sink, Auth::OAuth2(oauth2(&server)));
    rig.deliver(endpoint, "{}");
    assert_eq!(attempt(&mut rig).await.result, Http(200));
    rig.deliver(endpoint, "{}");
    let renewed = attempt(&mut rig).await;
    assert_eq!((renewed.number, renewed.result), (1, Http(200)));
    for wanted in ["first-token", "first-token", "second-token"] {
        assert_eq!(authorization(&mut sink).await, format!("Bearer {wanted}"));
    }
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_new_token_that_is_refused_is_the_endpoints_last_word() {
    let server = Sink::always(vec![Step::Read, token("a-token", 300)]).await;
    let sink = Sink::always(vec![Step::Read, answer(401)]).await;
    let mut rig = Rig::start(options());
    let endpoint = endpoint(&rig, &sink, Auth::OAuth2(oauth2(&server)));
    rig.deliver(endpoint, "{}");
    assert_eq!(attempt(&mut rig).await.result, Http(401));
    assert_eq!((server.connections(), sink.connections()), (1, 1));
}

#[rstest]
#[case(token("the-token", 300), Http(200))]
#[case(json(503, ""), TokenError)]
#[tokio::test]
async fn one_fetches_and_all_take_what_comes_of_it(
    #[case] answered: Step,
    #[case] wanted: watchbell_domain::delivery::AttemptResult,
) {
    let server = Sink::always(vec![Step::Read, Step::Wait, answered]).await;
    let sink = Sink::always(exchanges(3)).await;
    let mut rig = Rig::start(options());
    let endpoint = endpoint(&rig, &sink, Auth::OAuth2(oauth2(&server)));
    for _ in 0..3 {
        rig.deliver(endpoint, "{}");
    }
    settle_down().await;
    server.go_on();
    for _ in 0..3 {
        assert_eq!(attempt(&mut rig).await.result, wanted);
    }
    assert_eq!(server.connections(), 1);
}

#[rstest]
#[case::refused(
    json(401, r#"{"error": "invalid_client", "error_description": "cl&ent secret is\u0000 wrong"}"#),
    "it answered 401: invalid_client (•••• is wrong)"
)]
#[case::bare(json(500, "oops cl&ent secret"), "it answered 500")]
#[case::gone(json(410, ""), "it answered 410")]
#[case::redirect(
    write("HTTP/1.1 302 X\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n"),
    "it answered 302"
)]
#[case::no_json(json(200, "<html>"), "its answer is no JSON")]
#[case::no_token(json(200, r#"{"token_type": "bearer"}"#), "it gave no access_token")]
#[case::kind(json(200, r#"{"access_token": "t", "token_type": "mac"}"#), "its token is not of the type bearer")]
#[case::lines(json(200, r#"{"access_token": "t\r\nX: y"}"#), "its token holds what a header cannot hold")]
#[case::long(json(200, &format!(r#"{{"access_token": "{}"}}"#, "t".repeat(70_000))), "connection_closed, the answer is incomplete or too long")]
#[case::noise(write("SSH-2.0-x\r\n\r\n"), "protocol_error")]
#[tokio::test]
async fn what_the_token_server_gets_wrong_is_said_without_the_secret(#[case] answered: Step, #[case] wanted: &str) {
    let server = Sink::always(vec![Step::Read, answered]).await;
    let sink = Sink::always(exchanges(1)).await;
    let mut rig = Rig::start(options());
    let endpoint = endpoint(&rig, &sink, Auth::OAuth2(oauth2(&server)));
    rig.deliver(endpoint, "{}");
    let attempt = attempt(&mut rig).await;
    assert_eq!((attempt.result, attempt.response), (TokenError, None));
    assert_eq!(attempt.detail.unwrap(), format!("the token server: {wanted}"));
    assert_eq!(sink.connections(), 0);
}

#[tokio::test]
async fn a_silent_token_server_costs_the_attempts_time_and_no_more() {
    let server = Sink::always(vec![Step::Read, Step::Hang]).await;
    let sink = Sink::always(exchanges(1)).await;
    let mut rig = Rig::start(options());
    let endpoint = endpoint(&rig, &sink, Auth::OAuth2(oauth2(&server)));
    rig.deliver(endpoint, "{}");
    let mut server = server;
    server.request().await;
    settle_down().await;
    rig.clock.advance(SignedDuration::from_secs(20));
    let attempt = attempt(&mut rig).await;
    assert_eq!(attempt.result, TokenError);
    assert_eq!(attempt.detail.unwrap(), "the token server: response_timeout");
}

#[rstest]
#[case("https://10.0.0.1/token")]
#[case("http://id.example.com/token")]
#[tokio::test]
async fn token_servers_are_judged_like_endpoints(#[case] token_url: &str) {
    let sink = Sink::always(exchanges(1)).await;
    let mut rig = Rig::start(options());
    let nobody = Sink::always(Vec::new()).await;
    let oauth2 = OAuth2Client { token_url: token_url.into(), ..oauth2(&nobody) };
    let endpoint = endpoint(&rig, &sink, Auth::OAuth2(oauth2));
    rig.deliver(endpoint, "{}");
    let attempt = attempt(&mut rig).await;
    assert_eq!((attempt.result, attempt.detail), (EgressForbidden, None));
    assert_eq!(sink.connections(), 0);
}

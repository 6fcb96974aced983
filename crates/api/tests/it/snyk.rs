//! Snyk's webhooks API, to the byte.

use axum::body::Body;
use http::{Method, Request, header};
use rstest::rstest;
use serde_json::{Value, json};

use crate::world::{ROOT, Reply, World};

const HOOK: &str =
    r#"{"url": "https://my.app.com/webhook-handler/snyk123", "secret": "a8be22bb7bed43a3ac24de3580093560"}"#;

async fn call(world: &World, method: Method, path: &str, body: &str) -> Reply {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::AUTHORIZATION, format!("token {ROOT}"))
        .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
        .body(Body::from(body.to_owned()))
        .unwrap();
    world.send(request).await
}

fn path(world: &World, rest: &str) -> String {
    format!("/v1/org/{}/webhooks{rest}", world.org.bare())
}

#[rstest]
#[case("/v1")]
#[case("/api/v1")]
#[tokio::test]
async fn the_five_calls_answer_as_documented(#[case] base: &str) {
    let world = World::new().await;
    let hooks = format!("{base}/org/{}/webhooks", world.org.bare());
    let made = call(&world, Method::POST, &hooks, HOOK).await.is(200);
    let id = made.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(id.len(), 36);
    let hook = json!({"id": id, "url": "https://my.app.com/webhook-handler/snyk123"});
    assert_eq!(made.json(), hook);
    assert_eq!(made.headers[header::CONTENT_TYPE], "application/json");

    // The ping after creation.
    let events = world.get(&world.path("/events?type=webhook.ping")).await.is(200).json();
    assert_eq!(events["items"].as_array().unwrap().len(), 1);
    let deliveries = world.get(&world.path(&format!("/deliveries?endpoint={id}"))).await.is(200).json();
    assert_eq!(deliveries["items"].as_array().unwrap().len(), 1);

    let listed = call(&world, Method::GET, &hooks, "").await.is(200).json();
    assert_eq!(listed, json!({"results": [hook], "total": 1}));
    let one = format!("{hooks}/{id}");
    assert_eq!(call(&world, Method::GET, &one, "").await.is(200).json(), hook);
    let pinged = call(&world, Method::POST, &format!("{one}/ping"), "").await.is(200);
    assert_eq!(pinged.text(), "");
    let deliveries = world.get(&world.path(&format!("/deliveries?endpoint={id}"))).await.is(200).json();
    assert_eq!(deliveries["items"].as_array().unwrap().len(), 2);
    let deleted = call(&world, Method::DELETE, &one, "").await.is(200);
    assert_eq!(deleted.text(), "");
    call(&world, Method::GET, &one, "").await.is(404);
}

#[tokio::test]
async fn the_same_url_twice_makes_two() {
    let world = World::new().await;
    call(&world, Method::POST, &path(&world, ""), HOOK).await.is(200);
    call(&world, Method::POST, &path(&world, ""), HOOK).await.is(200);
    // Endpoints of other dialects are no webhooks of Snyk's.
    world.endpoint().await;
    assert_eq!(call(&world, Method::GET, &path(&world, ""), "").await.is(200).json()["total"], 2);
}

fn errors(reply: &Reply) -> Vec<String> {
    let body = reply.json();
    assert_eq!(
        (&body["code"], &body["ok"], &body["error"]["name"]),
        (&json!(400), &json!(false), &json!("ValidationError"))
    );
    let texts = body["error"]["innerErrors"].as_array().unwrap();
    texts.iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

#[rstest]
#[case::both("{}", 2)]
#[case::no_url(r#"{"secret": "a8be22bb7bed43a3ac24de3580093560"}"#, 1)]
#[case::url_number(r#"{"url": 1, "secret": "a8be22bb7bed43a3ac24de3580093560"}"#, 1)]
#[case::no_secret(r#"{"url": "https://my.app.com/"}"#, 1)]
#[case::empty_secret(r#"{"url": "https://my.app.com/", "secret": ""}"#, 1)]
#[case::unparsable(r#"{"url": "my app", "secret": "a8be22bb7bed43a3ac24de3580093560"}"#, 1)]
#[case::private(r#"{"url": "https://10.0.0.1/", "secret": "a8be22bb7bed43a3ac24de3580093560"}"#, 1)]
#[case::broken("{", 1)]
#[case::list("[]", 2)]
#[case::empty("", 1)]
#[tokio::test]
async fn what_does_not_fit_is_a_validation_error(#[case] body: &str, #[case] texts: usize) {
    let world = World::new().await;
    let reply = call(&world, Method::POST, &path(&world, ""), body).await.is(400);
    assert_eq!(errors(&reply).len(), texts, "{}", reply.text());
}

#[tokio::test]
async fn credentials_in_a_url_are_masked() {
    let world = World::new().await;
    let body = r#"{"url": "https://my.app.com/in?a=1&token=deadbeef", "secret": "a8be22bb7bed43a3ac24de3580093560"}"#;
    let made = call(&world, Method::POST, &path(&world, ""), body).await.is(200).json();
    let listed = call(&world, Method::GET, &path(&world, ""), "").await.is(200).json();
    assert_eq!(listed["results"][0]["url"], "https://my.app.com/in?a=1&token=****");
    assert_eq!(listed["results"][0], made);
}

#[tokio::test]
async fn plain_http_is_refused_in_snyks_words() {
    let world = World::new().await;
    let body = r#"{"url": "http://my.app.com/", "secret": "a8be22bb7bed43a3ac24de3580093560"}"#;
    let reply = call(&world, Method::POST, &path(&world, ""), body).await.is(400);
    let expected = r#"{"code":400,"ok":false,"error":{"name":"ValidationError","innerErrors":["invalid url url must use the https protocol"]}}"#;
    assert_eq!(reply.json(), serde_json::from_str::<Value>(expected).unwrap());
}

#[tokio::test]
async fn ids_that_are_none_are_validation_errors() {
    let world = World::new().await;
    errors(&call(&world, Method::GET, "/v1/org/acme/webhooks", "").await.is(400));
    errors(&call(&world, Method::GET, &path(&world, "/not-a-uuid"), "").await.is(400));
}

#[tokio::test]
async fn what_is_not_there_is_404_with_three_members() {
    let world = World::new().await;
    let org = "39db46b1-ad57-47e6-a87d-e34f6968030b";
    let reply = call(&world, Method::GET, &format!("/v1/org/{org}/webhooks"), "").await.is(404);
    let text = format!("Org {org} was not found or you may not have the correct permissions to access the org.");
    assert_eq!(reply.json(), json!({"code": 404, "message": text, "error": text}));
    let reply = call(&world, Method::GET, &path(&world, &format!("/{org}")), "").await.is(404);
    assert_eq!(reply.json()["code"], 404);
    assert_eq!(reply.json()["message"], reply.json()["error"]);
}

#[tokio::test]
async fn other_refusals_have_snyks_shape_too() {
    let world = World::new().await;
    let reply = world.call("wrong", Method::GET, &path(&world, ""), None).await.is(401);
    assert_eq!(reply.json(), json!({"code": 401, "error": "Not authorised", "message": "Not authorised"}));
    assert_eq!(reply.headers[header::CONTENT_TYPE], "application/json");
    let reply = call(&world, Method::PUT, &path(&world, ""), HOOK).await.is(405);
    assert_eq!(reply.json()["code"], 405);
    assert!(reply.headers.contains_key(header::ALLOW));
    for _ in 0..20 {
        world.call("wrong", Method::GET, &path(&world, ""), None).await;
    }
    let reply = world.call("wrong", Method::GET, &path(&world, ""), None).await.is(429);
    assert_eq!(reply.text(), "Too many requests");
}

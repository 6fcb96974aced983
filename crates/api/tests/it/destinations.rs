//! Endpoints that are destinations: what each wants to be made, and what of them is shown.

use rstest::rstest;
use serde_json::{Value, json};

use crate::world::{Reply, World};

const SLACK: &str = "https://hooks.slack.com/services/T000/B000/XXXXthisPostsXXXX";
const TEAMS: &str = "https://prod-1.westeurope.logic.azure.com:443/workflows/abc/triggers/manual/paths/invoke?api-version=1&sig=BBBBsigned";
const KEY: &str = "0123456789abcdef0123456789abcdef";

async fn create(world: &World, given: Value) -> Reply {
    world.post(&world.path("/endpoints"), given).await
}

#[rstest]
#[case(json!({"dialect": "slack", "url": SLACK}), Some("1/s burst 4"))]
#[case(json!({"dialect": "teams", "url": TEAMS, "settings": {"link_base": "https://bell.example.com"}}), Some("1/s burst 4"))]
#[case(json!({"dialect": "pagerduty", "url": "https://events.pagerduty.com/v2/enqueue", "secret": KEY}), Some("2/s burst 4"))]
#[case(json!({"dialect": "opsgenie", "url": "https://api.eu.opsgenie.com", "secret": KEY}), Some("5/s burst 20"))]
#[case(json!({"dialect": "jsm", "url": "https://api.atlassian.com/jsm/ops/integration/v2/alerts", "secret": KEY}), Some("5/s burst 20"))]
#[case(json!({"dialect": "jira", "url": "https://acme.atlassian.net", "secret": "bot@example.com:ATATT3xFfGF0", "settings": {"project": "SEC"}}), Some("2/s burst 8"))]
#[case(json!({"dialect": "http", "url": "https://collector.example.com/in", "auth": {"type": "bearer", "token": KEY}}), None)]
#[tokio::test]
async fn each_is_made_and_has_its_pace(#[case] given: Value, #[case] pace: Option<&str>) {
    let world = World::new().await;
    let made = create(&world, given.clone()).await.is(201).json();
    assert_eq!(made["rate_limit"].as_str(), pace, "{made}");
    let id = made["id"].as_str().unwrap();
    world.post(&world.path(&format!("/endpoints/{id}/ping")), json!({})).await.is(202);
    let mut unlimited = given;
    unlimited["rate_limit"] = json!("off");
    assert_eq!(create(&world, unlimited).await.is(201).json()["rate_limit"], Value::Null);
}

#[rstest]
#[case::slack_takes_no_secret(json!({"dialect": "slack", "url": SLACK, "secret": KEY}), "/secret")]
#[case::pagerduty_needs_its_key(json!({"dialect": "pagerduty", "url": "https://events.pagerduty.com/v2/enqueue"}), "/secret")]
#[case::and_no_other(json!({"dialect": "pagerduty", "url": "https://events.pagerduty.com/v2/enqueue", "secret": "too-short-for-a-key"}), "/secret")]
#[case::jira_needs_a_project(json!({"dialect": "jira", "url": "https://acme.atlassian.net", "secret": KEY}), "/settings/project")]
#[case::links_are_https(json!({"dialect": "slack", "url": SLACK, "settings": {"link_base": "javascript:alert(1)"}}), "/settings/link_base")]
#[case::no_unknown_setting(json!({"dialect": "teams", "url": TEAMS, "settings": {"channel": "x"}}), "/settings/channel")]
#[case::one_authorization(json!({"dialect": "opsgenie", "url": "https://api.opsgenie.com", "secret": KEY, "auth": {"type": "bearer", "token": KEY}}), "/auth")]
#[case::of_http_as_well(json!({"dialect": "http", "url": "https://a.example.com", "secret": KEY, "auth": {"type": "bearer", "token": KEY}}), "/auth")]
#[tokio::test]
async fn what_does_not_do_is_named(#[case] given: Value, #[case] pointer: &str) {
    let world = World::new().await;
    let refused = create(&world, given).await.is(422).text();
    assert!(refused.contains(&format!("\"{pointer}\"")), "{refused}");
    assert!(!refused.contains(KEY) && !refused.contains("thisPosts") && !refused.contains("BBBBsigned"), "{refused}");
}

#[tokio::test]
async fn e16_their_own_headers_cannot_be_overridden() {
    let world = World::new().await;
    let opsgenie = json!({"dialect": "opsgenie", "url": "https://api.opsgenie.com", "secret": KEY});
    let with = |mut given: Value, name: &str| {
        given["headers"] = json!({name: "GenieKey of somebody else"});
        given
    };
    create(&world, with(opsgenie.clone(), "Authorization")).await.is(422);
    create(&world, with(opsgenie.clone(), "Content-Type")).await.is(422);
    create(&world, with(opsgenie, "X-Team")).await.is(201);
    let http = json!({"dialect": "http", "url": "https://collector.example.com/in"});
    create(&world, with(http, "Authorization")).await.is(201);
}

#[rstest]
#[case("slack", SLACK, "https://hooks.slack.com/••••XXXX", "thisPosts")]
#[case("teams", TEAMS, "https://prod-1.westeurope.logic.azure.com/••••gned", "BBBBsigned")]
#[tokio::test]
async fn e8_a_url_that_is_a_secret_is_never_shown(
    #[case] dialect: &str,
    #[case] url: &str,
    #[case] shown: &str,
    #[case] secret: &str,
) {
    let world = World::new().await;
    let made = create(&world, json!({"dialect": dialect, "url": url})).await.is(201).json();
    assert_eq!(made["url"], shown);
    let id = made["id"].as_str().unwrap().to_owned();
    let moved = json!({"url": url.replace("000/B000", "000/B111").replace("abc", "abd"), "description": "moved"});
    world.patch(&world.path(&format!("/endpoints/{id}")), moved).await.is(200);
    let mut seen = vec![made.to_string()];
    for path in [format!("/endpoints/{id}"), "/endpoints".to_owned(), "/audit".to_owned()] {
        seen.push(world.get(&world.path(&path)).await.is(200).text());
    }
    let all = "{ org(id: \"acme\") { endpoints(first: 10) { nodes { url settings } } } }";
    seen.push(world.post("/graphql", json!({"query": all})).await.text());
    for answer in seen {
        assert!(
            !answer.contains(secret) && !answer.contains("/workflows/") && !answer.contains("/services/"),
            "{answer}"
        );
    }
}

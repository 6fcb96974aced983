//! From a finding to a message in a channel, an alert on a pager and an issue, and back: a real server, and the services'
//! [`fakes`](crate::fakes), which refuse what the real ones refuse.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use crate::client::{Client, make_endpoint, make_org};
use crate::fakes::jira::LOGIN;
use crate::fakes::pagers::GENIE_KEY;
use crate::fakes::{Fakes, State};
use crate::process::Home;

const FINDING: &str = "0ef8ac7e-1b9d-48d9-82eb-2f2355ba2b31";
const KEY: &str = "watchbell:finding/0ef8ac7e-1b9d-48d9-82eb-2f2355ba2b31";
const ROUTING_KEY: &str = "0123456789abcdef0123456789ABCDEF";
/// What makes the URLs of Slack and Teams secrets.
const IN_URL: [&str; 2] = ["XXXXpostsToTheChannelXXXX", "AAAAsignatureOfTheFlowAAAA"];
const HOSTILE: &str =
    "<!channel> @here [bank](https://evil.example) {{7*7}} \u{202e}txt.exe\u{200b} \"}],\r\nX: y `c` *b* 🦁";

/// An endpoint of every destination; what was answered for each.
async fn everywhere(client: &mut Client, url: &str) -> Vec<Value> {
    let wishes = [
        json!({"dialect": "slack", "url": format!("{url}/services/T1/B1/{}", IN_URL[0])}),
        json!({"dialect": "teams", "url": format!("{url}/workflows/1/triggers/manual/paths/invoke?api-version=1&sig={}", IN_URL[1]),
            "settings": {"link_base": "https://bell.example.com/api/v1/orgs/acme"}}),
        json!({"dialect": "pagerduty", "url": format!("{url}/v2/enqueue"), "secret": ROUTING_KEY}),
        json!({"dialect": "opsgenie", "url": url, "secret": GENIE_KEY, "settings": {"tags": ["watchbell"]}}),
        json!({"dialect": "jsm", "url": format!("{url}/jsm/ops/integration/v2/alerts"), "secret": GENIE_KEY}),
        json!({"dialect": "jira", "url": url, "secret": LOGIN, "settings": {"project": "SEC", "labels": ["appsec"]}}),
        json!({"dialect": "http", "url": format!("{url}/any"), "secret": "a-token-of-its-own", "settings": {"method": "PUT"},
            "events": ["vulnerability.created", "vulnerability.remediated"]}),
    ];
    let mut made = Vec::new();
    for mut wish in wishes {
        // The pace of a real channel would make the test wait.
        wish["rate_limit"] = json!("off");
        wish["ordered"] = json!(true);
        made.push(make_endpoint(client, "acme", wish).await);
    }
    made
}

async fn tell(client: &mut Client, event_type: &str, title: &str) {
    let data = json!({"finding_id": FINDING, "title": title, "severity": "critical", "cve_id": "CVE-2019-10744",
        "component": {"name": title, "version": "4.17.11"}, "resource_path": title});
    client.must_post("/api/v1/orgs/acme/events", json!({"type": event_type, "data": data})).await;
}

fn all(wanted: bool) -> Option<()> {
    wanted.then_some(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_finding_opens_its_remediation_closes() {
    let home = Home::new("");
    let server = home.start();
    let mut client = Client::new(&server.address);
    make_org(&mut client, "acme").await;
    let mut fakes = Fakes::start().await;
    everywhere(&mut client, &fakes.url.clone()).await;

    tell(&mut client, "vulnerability.created", HOSTILE).await;
    let is_open = |state: &mut State| {
        let alerts = state.alerts.open.get(KEY).is_some_and(|(count, _)| *count == 2);
        let paged = state.pagerduty.open.contains_key(&(ROUTING_KEY.to_owned(), KEY.to_owned()));
        all(alerts
            && paged
            && state.slack.posted.len() == 1
            && state.teams.shown.len() == 1
            && state.jira.issues.len() == 1
            && state.any.len() == 1)
    };
    fakes.until("message, card, page, alerts and issue", is_open).await;
    {
        let state = fakes.state();
        let page = &state.pagerduty.open[&(ROUTING_KEY.to_owned(), KEY.to_owned())];
        assert_eq!((&page["severity"], &state.alerts.created[0]["priority"]), (&json!("critical"), &json!("P1")));
        let slack = state.slack.posted[0].to_string();
        assert!(!slack.contains("<!") && !slack.contains("@here") && slack.contains("&lt;!channel&gt;"), "{slack}");
        let card = state.teams.shown[0].to_string();
        assert!(
            !card.contains("](https://evil") && card.contains("https://bell.example.com/api/v1/orgs/acme/events/"),
            "{card}"
        );
        let (method, headers, body) = &state.any[0];
        assert_eq!((method.as_str(), headers["authorization"].to_str().unwrap()), ("PUT", "Bearer a-token-of-its-own"));
        let event: Value = serde_json::from_slice(body).unwrap();
        assert_eq!((&event["type"], &event["data"]["title"]), (&json!("vulnerability.created"), &json!(HOSTILE)));
        assert_eq!(state.jira.issues[0].fields["labels"][1], "appsec");
    }

    tell(&mut client, "vulnerability.remediated", HOSTILE).await;
    let is_closed = |state: &mut State| {
        all(state.alerts.closed.len() == 1
            && state.pagerduty.resolved == 1
            && state.slack.posted.len() == 2
            && state.teams.shown.len() == 2
            && state.jira.issues[0].is_done)
    };
    fakes.until("the end everywhere", is_closed).await;
    let state = fakes.state();
    assert!(state.pagerduty.open.is_empty() && state.alerts.open.is_empty());
    assert_eq!(state.jira.issues[0].comments.len(), 1);
    assert!(state.slack.posted[1].to_string().len() < state.slack.posted[0].to_string().len());
    assert!(state.refused.is_empty(), "{:?}", state.refused);
    // Port, path and query of a flow go out as they were given.
    let target = format!("/workflows/1/triggers/manual/paths/invoke?api-version=1&sig={}", IN_URL[1]);
    assert!(state.teams.targets.iter().all(|seen| *seen == target), "{:?}", state.teams.targets);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ping_works_everywhere_and_leaves_nothing_open() {
    let home = Home::new("");
    let server = home.start();
    let mut client = Client::new(&server.address);
    make_org(&mut client, "acme").await;
    let mut fakes = Fakes::start().await;
    for endpoint in everywhere(&mut client, &fakes.url.clone()).await {
        let id = endpoint["id"].as_str().unwrap();
        client.must_post(&format!("/api/v1/orgs/acme/endpoints/{id}/ping"), json!({})).await;
    }
    let is_tried = |state: &mut State| {
        all(state.slack.posted.len() == 1
            && state.teams.shown.len() == 1
            && state.pagerduty.resolved == 1
            && state.alerts.closed.len() == 2
            && state.jira.requests == 1
            && state.any.len() == 1)
    };
    fakes.until("seven pings", is_tried).await;
    let state = fakes.state();
    assert!(state.pagerduty.open.is_empty() && state.alerts.open.is_empty() && state.jira.issues.is_empty());
    assert!(state.refused.is_empty(), "{:?}", state.refused);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jira_hears_nothing_twice_though_an_answer_was_lost() {
    let home = Home::new("[delivery]\nretry_schedule = [\"0s\", \"100ms\", \"100ms\", \"100ms\"]\n");
    let server = home.start();
    let mut client = Client::new(&server.address);
    make_org(&mut client, "acme").await;
    let mut fakes = Fakes::start().await;
    let jira = json!({"dialect": "jira", "url": fakes.url, "secret": LOGIN, "ordered": true, "rate_limit": "off",
        "settings": {"project": "SEC"}});
    make_endpoint(&mut client, "acme", jira).await;
    // The second request makes the issue; its answer is lost.
    fakes.state().jira.fails_after = Some(1);
    tell(&mut client, "vulnerability.created", "T").await;
    fakes.until("the second search", |state| all(state.jira.requests >= 3)).await;
    // Of the end, the comment's answer is lost: the third request.
    fakes.state().jira.fails_after = Some(2);
    tell(&mut client, "vulnerability.remediated", "T").await;
    fakes.until("the end", |state| all(state.jira.issues.first().is_some_and(|issue| issue.is_done))).await;
    let state = fakes.state();
    assert_eq!((state.jira.issues.len(), state.jira.issues[0].comments.len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i5_what_a_service_refuses_ends_at_once_with_its_words() {
    let home = Home::new("");
    let server = home.start();
    let mut client = Client::new(&server.address);
    make_org(&mut client, "acme").await;
    let mut fakes = Fakes::start().await;
    fakes.state().slack.says = Some((400, "invalid_blocks"));
    fakes.state().teams.says = Some((404, "WorkflowNotFound"));
    let made = everywhere(&mut client, &fakes.url.clone()).await;
    tell(&mut client, "vulnerability.created", "T").await;
    fakes.until("both refusals", |state| all(state.refused.len() >= 2)).await;
    let (slack, teams) = (made[0]["id"].as_str().unwrap(), made[1]["id"].as_str().unwrap());
    let dead = async |client: &mut Client, id: &str| loop {
        let path = format!("/api/v1/orgs/acme/deliveries?endpoint={id}&state=dead_lettered");
        let (_, list) = client.get(&path).await.unwrap();
        if let Some(delivery) = list["items"].get(0) {
            let path = format!("/api/v1/orgs/acme/deliveries/{}", delivery["id"].as_str().unwrap());
            return client.get(&path).await.unwrap().1;
        }
        tokio::task::yield_now().await;
    };
    let delivery = dead(&mut client, slack).await;
    assert_eq!(delivery["attempts"].as_array().unwrap().len(), 1);
    assert!(delivery.to_string().contains("Slack answered 400: invalid_blocks"), "{delivery}");
    dead(&mut client, teams).await;
    let (_, endpoint) = client.get(&format!("/api/v1/orgs/acme/endpoints/{teams}")).await.unwrap();
    assert_eq!((&endpoint["state"], &endpoint["disabled_reason"]), (&json!("disabled"), &json!("gone")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e8_the_url_is_shown_to_nobody() {
    let home = Home::new("");
    let server = home.start();
    let mut client = Client::new(&server.address);
    make_org(&mut client, "acme").await;
    let mut fakes = Fakes::start().await;
    let made = everywhere(&mut client, &fakes.url.clone()).await;
    tell(&mut client, "vulnerability.created", "T").await;
    fakes.until("a message and a card", |state| all(state.slack.posted.len() + state.teams.shown.len() >= 2)).await;
    assert!(made[0]["url"].as_str().unwrap().starts_with(&format!("{}/••••", fakes.url)), "{}", made[0]["url"]);
    let basic = BASE64.encode(LOGIN);
    let secrets = [&IN_URL[..], &[ROUTING_KEY, GENIE_KEY, LOGIN, basic.as_str()]].concat();
    let query = json!({"query": "{ org(id: \"acme\") { endpoints(first: 50) { nodes { id url } } } }"});
    let graphql = client.post("/graphql", &query).await.unwrap().1;
    // A secret is shown in the answer to the request that brought it, and never again; a URL not even there.
    let answers = Value::from(made).to_string();
    assert!(IN_URL.iter().all(|secret| !answers.contains(secret)), "{answers}");
    let mut seen = vec![graphql];
    for path in ["endpoints", "audit", "deliveries", "events"] {
        let (status, answer) = client.get(&format!("/api/v1/orgs/acme/{path}")).await.unwrap();
        assert_eq!(status, 200, "{path}: {answer}");
        for item in answer["items"].as_array().into_iter().flatten().filter(|_| path == "deliveries") {
            let path = format!("/api/v1/orgs/acme/deliveries/{}", item["id"].as_str().unwrap());
            seen.push(client.get(&path).await.unwrap().1);
        }
        seen.push(answer);
    }
    for answer in &seen {
        let text = answer.to_string();
        assert!(secrets.iter().all(|secret| !text.contains(secret)), "{text}");
    }
    drop(server);
    for file in ["watchbell.db", "watchbell.db-wal"] {
        let bytes = std::fs::read(home.path().join("data").join(file)).unwrap_or_default();
        let found = secrets.iter().find(|secret| bytes.windows(secret.len()).any(|at| at == secret.as_bytes()));
        assert_eq!(found, None, "in {file}");
    }
}

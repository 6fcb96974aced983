//! Aegis's documented operations, word for word.

use http::{HeaderName, Method};
use serde_json::{Value, json};
use watchbell_domain::access::Scope;

use super::{asked, with_header};
use crate::world::{ROOT, World, request};

/// From the webhook page.
const DOCUMENTED: &str = "mutation CreateWebhook($input: WebhookInput!) {
  createWebhook(input: $input) {
    id
    url
    events
    secret
    active
  }
}";

fn input() -> Value {
    json!({"input": {
        "url": "https://your-app.com/webhooks/aegis",
        "events": ["VULNERABILITY_DETECTED", "POAM_OVERDUE", "EVIDENCE_COMPLETED"],
        "secret": "your-webhook-secret",
    }})
}

#[tokio::test]
async fn the_documented_mutation_works_with_variables() {
    let world = World::new().await;
    let data = world.data(DOCUMENTED, input()).await;
    let made = &data["createWebhook"];
    assert_eq!(made["url"], "https://your-app.com/webhooks/aegis");
    assert_eq!(made["events"], json!(["VULNERABILITY_DETECTED", "POAM_OVERDUE", "EVIDENCE_COMPLETED"]));
    assert_eq!((&made["secret"], &made["active"]), (&json!("your-webhook-secret"), &json!(true)));
    let endpoint = world.get(&world.path("/endpoints")).await.json()["items"][0].clone();
    assert_eq!((&endpoint["id"], &endpoint["dialect"]), (&made["id"], &json!("aegis")));
}

#[tokio::test]
async fn inline_with_strings_and_with_enum_words_and_without_a_secret() {
    let world = World::new().await;
    for events in ["[\"VULNERABILITY_DETECTED\"]", "[VULNERABILITY_DETECTED]", "\"VULNERABILITY_DETECTED\""] {
        let query = format!(
            "mutation {{ createWebhook(input: {{ url: \"https://hooks.example.com/in\", events: {events} }}) \
             {{ id secret events active createdAt updatedAt }} }}"
        );
        let made = world.data(&query, json!({})).await["createWebhook"].clone();
        assert_eq!(made["events"], json!(["VULNERABILITY_DETECTED"]));
        assert!(made["secret"].as_str().unwrap().len() >= 16, "{made}");
        assert!(made["createdAt"].as_str().unwrap().ends_with('Z'), "{made}");
    }
    // From the integrations guide.
    let filtered = "mutation { createWebhook(input: { url: \"https://hooks.example.com/c\", \
                    events: [\"VULNERABILITY_DETECTED\"], filters: { severities: [\"CRITICAL\"] } }) { id } }";
    let filtered = world.data(filtered, json!({})).await["createWebhook"]["id"].clone();
    let endpoint = world.get(&world.path(&format!("/endpoints/{}", filtered.as_str().unwrap()))).await.json();
    assert_eq!(endpoint["min_severity"], "critical");
    let listed = world.data("{ webhooks { id secret events } }", json!({})).await;
    assert_eq!(listed["webhooks"].as_array().unwrap().len(), 4);
    assert!(listed["webhooks"].as_array().unwrap().iter().all(|hook| hook["secret"].is_null()), "{listed}");
}

#[tokio::test]
async fn errors_are_written_as_aegis_documents_them() {
    let world = World::new().await;
    let mut http = input();
    http["input"]["url"] = json!("http://your-app.com/webhooks/aegis");
    let error = world.error(DOCUMENTED, http.clone()).await;
    assert_eq!(error["message"], "url must use https");
    assert_eq!(error["path"], json!(["createWebhook"]));
    let extensions = &error["extensions"];
    assert_eq!(
        (&extensions["code"], &extensions["problem"]),
        (&json!("VALIDATION_ERROR"), &json!("endpoint_url_scheme"))
    );
    assert_eq!(extensions["details"], json!({"field": "input.url", "reason": "Must be an https URL"}));
    assert!(extensions["request_id"].as_str().unwrap().starts_with("req_"), "{error}");
    let reply = world.gql(DOCUMENTED, http).await.is(200).json();
    assert_eq!(reply["data"], Value::Null);

    let cases = [
        (json!({"url": "https://127.0.0.1/", "events": ["POAM_OVERDUE"]}), "input.url"),
        (json!({"url": "https://a.example.com/", "events": []}), "input.events"),
        (json!({"url": "https://a.example.com/", "events": ["POAM_OVERDUE", "POAM_OVERDUE"]}), "input.events.1"),
        (json!({"url": "https://a.example.com/", "events": ["POAM_OVERDUE"], "secret": "short"}), "input.secret"),
        (
            json!({"url": "https://a.example.com/", "events": ["POAM_OVERDUE"], "filters": {"severities": ["LOW"]}}),
            "input.filters.severities",
        ),
    ];
    for (input, field) in cases {
        let error = world.error(DOCUMENTED, json!({"input": input})).await;
        assert_eq!(error["extensions"]["code"], "VALIDATION_ERROR", "{error}");
        assert_eq!(error["extensions"]["details"]["field"], field, "{error}");
    }
    // In a variable and in the document.
    let unknown = json!({"input": {"url": "https://a.example.com/", "events": ["NO_SUCH"]}});
    let inline = "mutation { createWebhook(input: {url: \"https://a.example.com/\", events: [NO_SUCH]}) { id } }";
    for (query, variables) in [(DOCUMENTED, unknown), (inline, json!({}))] {
        let error = world.error(query, variables).await;
        assert_eq!(error["extensions"]["code"], "VALIDATION_ERROR", "{error}");
        assert!(error["message"].as_str().unwrap().contains("VULNERABILITY_DETECTED"), "{error}");
    }
    assert!(world.get(&world.path("/endpoints")).await.json()["items"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn whole_requests_fail_with_aegis_codes() {
    let world = World::new().await;
    for key in ["", "no-such-key"] {
        let reply = world.gql_as(key, DOCUMENTED, input()).await.is(401);
        let error = reply.json()["errors"][0].clone();
        assert_eq!(error["extensions"]["code"], "AUTHENTICATION_ERROR");
        assert_eq!(reply.headers["www-authenticate"], "Bearer");
        assert_eq!(reply.json()["data"], Value::Null);
    }
    let reply = world.gql("{ webhooks { ", json!({})).await.is(400).json();
    assert_eq!(reply["errors"][0]["extensions"]["code"], "GRAPHQL_PARSE_FAILED");
    let reply = world.gql("{ webhooks { nothing } }", json!({})).await.is(400).json();
    assert_eq!(reply["errors"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED");
    world.add_key("reader-of-endpoints", Some(world.org), &[Scope::EndpointsRead]).await;
    let reply = world.gql_as("reader-of-endpoints", DOCUMENTED, input()).await.is(200).json();
    let error = &reply["errors"][0];
    assert_eq!(error["extensions"]["code"], "AUTHORIZATION_ERROR");
    assert!(error["message"].as_str().unwrap().contains("endpoints:write"), "{error}");
    let listed = world.gql_as("reader-of-endpoints", "{ webhooks { id } }", json!({})).await.is(200).json();
    assert_eq!(listed["data"]["webhooks"], json!([]));
}

#[tokio::test]
async fn a_webhook_lives() {
    let world = World::new().await;
    let mut given = input();
    given["input"]["active"] = json!(false);
    let made = world.data(DOCUMENTED, given).await["createWebhook"].clone();
    assert_eq!(made["active"], false);
    let id = &made["id"];
    let update = "mutation U($id: ID!, $input: WebhookUpdateInput!) { updateWebhook(id: $id, input: $input) \
                  { id active events secret url } }";
    let change = json!({"id": id, "input": {"active": true, "events": ["POAM_OVERDUE"]}});
    let changed = world.data(update, change).await["updateWebhook"].clone();
    assert_eq!(
        changed,
        json!({"id": id, "active": true, "events": ["POAM_OVERDUE"], "secret": null,
        "url": "https://your-app.com/webhooks/aegis"})
    );
    let one = "query One($id: ID!) { webhook(id: $id) { id active } \
               webhookDeliveries(webhookId: $id) { id event attempt status deliveredAt error } }";
    let shown = world.data(one, json!({"id": id})).await;
    assert_eq!(shown["webhook"], json!({"id": id, "active": true}));
    assert_eq!(shown["webhookDeliveries"], json!([]));
    let test = world.data("mutation T($id: ID!) { testWebhook(id: $id) }", json!({"id": id})).await;
    assert_eq!(test["testWebhook"], true);
    let tested = world.data(one, json!({"id": id})).await["webhookDeliveries"].clone();
    assert_eq!(tested[0]["event"], "VULNERABILITY_DETECTED", "{tested}");
    assert_eq!((&tested[0]["attempt"], &tested[0]["status"]), (&json!(0), &json!(null)));
    let rotate = "mutation R($id: ID!) { rotateWebhookSecret(id: $id) { id secret } }";
    let rotated = world.data(rotate, json!({"id": id})).await["rotateWebhookSecret"]["secret"].clone();
    assert!(rotated.as_str().unwrap().len() >= 16 && rotated != "your-webhook-secret");
    let delete = "mutation D($id: ID!) { deleteWebhook(id: $id) }";
    assert_eq!(world.data(delete, json!({"id": id})).await["deleteWebhook"], true);
    let error = world.error(delete, json!({"id": id})).await;
    assert_eq!(error["extensions"]["code"], "NOT_FOUND");
}

#[tokio::test]
async fn another_dialects_endpoint_is_no_webhook() {
    let world = World::new().await;
    let endpoint = world.endpoint().await;
    assert_eq!(world.data("{ webhooks { id } }", json!({})).await["webhooks"], json!([]));
    let id = json!({"id": endpoint["id"]});
    for query in [
        "mutation($id: ID!) { deleteWebhook(id: $id) }",
        "mutation($id: ID!) { testWebhook(id: $id) }",
        "mutation($id: ID!) { rotateWebhookSecret(id: $id) { id } }",
        "query($id: ID!) { webhook(id: $id) { id } }",
        "query($id: ID!) { webhookDeliveries(webhookId: $id) { id } }",
    ] {
        assert_eq!(world.error(query, id.clone()).await["extensions"]["code"], "NOT_FOUND", "{query}");
    }
}

#[tokio::test]
async fn a_key_of_an_organisation_means_its_own() {
    let world = World::new().await;
    world.add_key("writer", Some(world.org), &[Scope::EndpointsRead, Scope::EndpointsWrite]).await;
    let body = json!({"query": DOCUMENTED, "variables": input()}).to_string();
    world.send(request("writer", Method::POST, "/graphql", Some(body.clone()))).await.is(200);
    // Another one in the address changes nothing.
    world.send(request("writer", Method::POST, "/graphql?org=other", Some(body.clone()))).await.is(200);
    let made = world.get(&world.path("/endpoints")).await.json();
    assert_eq!(made["items"].as_array().unwrap().len(), 2);
    // The key that reaches every one means the one of the first start, where the address names none.
    let reply = world.send(request(ROOT, Method::POST, "/graphql", Some(body))).await.is(200).json();
    assert_eq!(reply["errors"][0]["extensions"]["code"], "NOT_FOUND", "this world has no default: {reply}");
}

#[tokio::test]
async fn e5_a_write_that_is_sent_again_is_done_once() {
    let world = World::new().await;
    let keyed = |variables: Value| {
        let request = asked(ROOT, "acme", DOCUMENTED, variables);
        with_header(request, HeaderName::from_static("idempotency-key"), "k1")
    };
    let mut given = input();
    given["input"].as_object_mut().unwrap().remove("secret");
    let first = world.send(keyed(given.clone())).await.is(200).json();
    let again = world.send(keyed(given)).await.is(200).json();
    assert_eq!(first, again);
    assert!(first["data"]["createWebhook"]["secret"].is_string(), "{first}");
    let other = world.send(keyed(input())).await.is(200).json();
    assert_eq!(other["errors"][0]["extensions"]["problem"], "idempotency_conflict");
    let two = "mutation { a: createOrg(input: {name: \"A\"}) { id } b: createOrg(input: {name: \"B\"}) { id } }";
    let twice = asked(ROOT, "acme", two, json!({}));
    let made = world.send(with_header(twice, HeaderName::from_static("idempotency-key"), "k2")).await.is(200).json();
    assert_ne!(made["data"]["a"]["id"], made["data"]["b"]["id"], "{made}");
}

//! What comes in: sources, receipts, capture inboxes, and what is said of a message; mutes and reasons of endpoints.

use http::Method;
use serde_json::{Value, json};
use watchbell_domain::access::Scope;

use super::asked;
use crate::ingress::{PING, SNAPSHOT, Vendor, with};
use crate::world::{World, request};

#[tokio::test]
async fn a_source_is_made_changed_rotated_and_deleted() {
    let world = World::new().await;
    let make =
        "mutation($input: SourceInput!) { createSource(input: $input) { id url dialect state secret settings } }";
    let input = json!({"dialect": "snyk", "name": "S", "makeSecret": true, "allowedIps": ["192.0.2.0/24"],
        "settings": {"project": "Payments"}});
    let made = world.data(make, json!({"input": input})).await["createSource"].clone();
    let (id, secret) = (made["id"].as_str().unwrap().to_owned(), made["secret"].as_str().unwrap().to_owned());
    assert_eq!(made["url"], format!("http://localhost:8420/in/{id}"));
    assert_eq!(made["settings"], json!({"project": "Payments"}));

    let change = "mutation($id: ID!, $input: SourceChangeInput!) { updateSource(id: $id, input: $input) \
        { name rateLimit maxEventAge allowedIps secret } }";
    let input = json!({"name": "T", "rateLimit": "5/s burst 9", "maxEventAge": "off"});
    let changed = world.data(change, json!({"id": id, "input": input})).await["updateSource"].clone();
    assert_eq!((&changed["name"], &changed["rateLimit"]), (&json!("T"), &json!("5/s burst 9")));
    assert_eq!((&changed["maxEventAge"], &changed["allowedIps"]), (&json!("off"), &json!(["192.0.2.0/24"])));
    assert_ne!(changed["secret"], json!(secret), "shown once");
    // Null means the server's own, and what is left out stays.
    let changed = world.data(change, json!({"id": id, "input": {"rateLimit": null}})).await["updateSource"].clone();
    assert_eq!((&changed["rateLimit"], &changed["maxEventAge"]), (&Value::Null, &json!("off")));

    let rotate = "mutation($id: ID!) { rotateSourceSecret(id: $id) { secret secrets { masked expiresAt } } }";
    let rotated = world.data(rotate, json!({"id": id})).await["rotateSourceSecret"].clone();
    assert_eq!(rotated["secrets"].as_array().unwrap().len(), 2);
    assert!(rotated["secret"] != json!(secret) && rotated["secrets"][1]["expiresAt"].is_string(), "{rotated}");
    let pause =
        world.data("mutation($id: ID!) { pauseSource(id: $id) { state pausedSince } }", json!({"id": id})).await;
    assert_eq!(pause["pauseSource"]["state"], "PAUSED");
    let resume =
        world.data("mutation($id: ID!) { resumeSource(id: $id) { state pausedSince } }", json!({"id": id})).await;
    assert_eq!(resume["resumeSource"], json!({"state": "ACTIVE", "pausedSince": null}));
    let listed = world.data("{ org { sources(first: 1) { nodes { id } pageInfo { hasNextPage } } } }", json!({})).await;
    assert_eq!(listed["org"]["sources"], json!({"nodes": [{"id": id}], "pageInfo": {"hasNextPage": false}}));
    world.data("mutation($id: ID!) { deleteSource(id: $id) }", json!({"id": id})).await;
    let gone = world.error("query($id: ID!) { org { source(id: $id) { id } } }", json!({"id": id})).await;
    assert_eq!(gone["extensions"]["code"], "not_found");
    let audit = world.get(&world.path("/audit?action=source")).await.is(200);
    assert_eq!(audit.json()["items"].as_array().unwrap().len(), 7);
    assert!(!audit.text().contains(&secret));
}

#[tokio::test]
async fn a_write_is_done_once_and_takes_its_scope() {
    let world = World::new().await;
    let make = r#"mutation { createCapture(input: {name: "one"}) { id } }"#;
    let keyed = || {
        super::with_header(
            asked(crate::world::ROOT, "acme", make, json!({})),
            http::HeaderName::from_static("idempotency-key"),
            "k",
        )
    };
    let first = world.send(keyed()).await.is(200).json();
    assert_eq!(world.send(keyed()).await.is(200).json()["data"], first["data"]);
    world.add_key("reader", Some(world.org), &[Scope::SourcesRead]).await;
    let refused = world.gql_as("reader", make, json!({})).await.json();
    assert_eq!(refused["errors"][0]["extensions"]["code"], "forbidden");
    let accept =
        format!("mutation {{ acceptReceipt(id: \"rcp_{}\") {{ id }} }}", "0192f0c1-0000-7000-8000-00000000dead");
    assert_eq!(world.gql_as("reader", &accept, json!({})).await.json()["errors"][0]["extensions"]["code"], "forbidden");
}

#[tokio::test]
async fn receipts_are_read_accepted_and_replayed() {
    let world = World::new().await;
    let vendor = Vendor::new(&world, "snyk", json!({})).await;
    let lines = vendor.signed(&world, "project_snapshot/v0", "d1", SNAPSHOT);
    let wrong = with(&lines, "X-Hub-Signature", Some(&format!("sha256={}", "0".repeat(64))));
    vendor.call(&world, &wrong, SNAPSHOT).await.is(401);
    vendor.tell(&world, "ping/v0", "d2", PING).await.is(200);
    let query = "query($verdict: String) { org { receipts(first: 5, filter: {verdict: $verdict}) \
        { nodes { id verdict status body bodyBase64 bodyBytes headers { name value } source { name } made { type } } } } }";
    let found = world.data(query, json!({"verdict": "signature_mismatch"})).await["org"]["receipts"]["nodes"].clone();
    assert_eq!(found.as_array().unwrap().len(), 1);
    let refused = &found[0];
    assert_eq!((&refused["status"], &refused["body"]), (&json!(401), &json!(SNAPSHOT)));
    assert_eq!((&refused["source"]["name"], &refused["made"]), (&json!("vendor"), &json!([])));
    let taken = world.data(query, json!({"verdict": "accepted"})).await["org"]["receipts"]["nodes"][0].clone();
    assert_eq!(taken["made"], json!([{"type": "webhook.ping"}]));

    let accept = "mutation($id: ID!) { acceptReceipt(id: $id) { id of events } }";
    let accepted = world.data(accept, json!({"id": refused["id"]})).await["acceptReceipt"].clone();
    assert_eq!((&accepted["of"], accepted["events"].as_array().unwrap().len()), (&refused["id"], 3));
    let again = world.error(accept, json!({"id": taken["id"]})).await;
    assert_eq!(again["extensions"]["code"], "receipt_state");
    let replay = "mutation($id: ID!) { replayReceipt(id: $id) { of events } }";
    let replayed = world.data(replay, json!({"id": taken["id"]})).await["replayReceipt"].clone();
    assert_eq!((&replayed["of"], replayed["events"].as_array().unwrap().len()), (&taken["id"], 1));
    let of_source = "query($id: ID!) { node(id: $id) { id ... on Source { receipts { nodes { verdict } } } } }";
    let listed = world.data(of_source, json!({"id": vendor.id})).await["node"]["receipts"]["nodes"].clone();
    assert_eq!(listed.as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn a_capture_inbox_and_what_is_said_of_what_it_gets() {
    let world = World::new().await;
    let make = "mutation($input: CaptureInput!) { createCapture(input: $input) { id url answer { status delay headers { name value } } } }";
    let answer = json!({"status": 418, "headers": [{"name": "x-a", "value": "b"}]});
    let made = world.data(make, json!({"input": {"name": "c", "answer": answer}})).await["createCapture"].clone();
    assert_eq!(made["answer"], json!({"status": 418, "delay": "0s", "headers": [{"name": "x-a", "value": "b"}]}));
    let url = made["url"].as_str().unwrap().strip_prefix("http://localhost:8420").unwrap();
    let vendor = Vendor::new(&world, "snyk", json!({})).await;
    let mut sent =
        request("a-token-that-is-quite-secret", Method::POST, &format!("{url}/x?y=z"), Some(PING.to_owned()));
    for (name, value) in vendor.signed(&world, "ping/v0", "d1", PING) {
        sent.headers_mut().insert(http::HeaderName::try_from(name).unwrap(), value.parse().unwrap());
    }
    world.send(sent).await.is(418);
    let query = "query($id: ID!, $with: VerifyWithInput!) { org { capture(id: $id) { name requests { nodes { id number \
        query body complete headers { name value } verification(with: $with) { verified findings { fault } } } } } } }";
    let with_source = json!({"id": made["id"], "with": {"source": vendor.id}});
    let found = world.data(query, with_source).await["org"]["capture"]["requests"]["nodes"][0].clone();
    assert_eq!((&found["number"], &found["query"], &found["body"]), (&json!(1), &json!("y=z"), &json!(PING)));
    assert_eq!(found["verification"], json!({"verified": true, "findings": []}));
    assert!(!found["headers"].to_string().contains("quite-secret"), "{found}");
    let one = "query($id: ID!, $request: ID!) { org { capture(id: $id) { request(id: $request, unmasked: true) { headers { value } } } } }";
    let of_one = json!({"id": made["id"], "request": found["id"]});
    assert!(world.data(one, of_one.clone()).await.to_string().contains("quite-secret"));
    world.add_key("reader", Some(world.org), &[Scope::SourcesRead]).await;
    let refused = world.gql_as("reader", one, of_one).await.json();
    assert_eq!(refused["errors"][0]["extensions"]["code"], "forbidden");
    let delete = "mutation($id: ID!, $request: ID!) { deleteCapturedRequest(capture: $id, id: $request) deleteCapture(id: $id) }";
    world.data(delete, json!({"id": made["id"], "request": found["id"]})).await;
    assert_eq!(
        world.data("{ org { captures { nodes { id } } } }", json!({})).await["org"]["captures"]["nodes"],
        json!([])
    );

    let verify = "query($input: VerifyInput!) { verifyMessage(input: $input) { verified dialect reason findings { fault } } \
        verifyOrgMessage(input: $input) { verified } }";
    let headers = vec![json!({"name": "X-Acme-Signature", "value": "sha1=00"})];
    let input = json!({"dialect": "custom", "headers": headers, "body": "{}", "secret": "sixteen-bytes-and-more",
        "settings": {"auth": {"header": "X-Acme-Signature"}}});
    let told = world.data(verify, json!({"input": input})).await;
    assert_eq!(
        (&told["verifyMessage"]["reason"], &told["verifyOrgMessage"]["verified"]),
        (&json!("signature_malformed"), &json!(false)),
        "{told}"
    );
}

#[tokio::test]
async fn mutes_reasons_and_filters_of_an_endpoint() {
    let world = World::new().await;
    let endpoint = world.endpoint().await["id"].clone();
    let mute = "mutation($id: ID!) { mute(endpoint: $id, input: {type: \"acme.thing_happened\", for: \"4h\", reason: \"r\"}) \
        { id when live reason by } }";
    let made = world.data(mute, json!({"id": endpoint})).await["mute"].clone();
    assert_eq!((&made["live"], &made["reason"]), (&json!(true), &json!("r")));
    let event = world.event().await;
    let why = "query($id: ID!) { org { event(id: $id) { why { nodes { endpointId got reason now { wouldGet rules \
        { rule muteId passes names parts { text decides } } } } } } } }";
    let told = world.data(why, json!({"id": event["id"]})).await["org"]["event"]["why"]["nodes"][0].clone();
    assert_eq!((&told["endpointId"], &told["got"], &told["reason"]), (&endpoint, &json!(false), &json!("muted")));
    let rules = told["now"]["rules"].as_array().unwrap();
    assert!(rules.iter().any(|rule| rule["muteId"] == made["id"] && rule["passes"] == false), "{rules:?}");
    let unmute = "mutation($endpoint: ID!, $id: ID!) { unmute(endpoint: $endpoint, id: $id) }";
    world.data(unmute, json!({"endpoint": endpoint, "id": made["id"]})).await;
    let listed = "query($id: ID!) { org { mutes(endpoint: $id) { id live } endpoint(id: $id) { mutes { id } } } }";
    let listed = world.data(listed, json!({"id": endpoint})).await["org"].clone();
    assert_eq!(listed, json!({"mutes": [{"id": made["id"], "live": false}], "endpoint": {"mutes": []}}));
    let past = mute.replace("for: \"4h\"", "until: \"2020-01-01T00:00:00Z\"");
    let refused = world.error(&past, json!({"id": endpoint})).await;
    assert_eq!(refused["extensions"]["errors"][0]["pointer"], "/until");
    let tried = "query($id: ID!, $input: FilterTrialInput!) { tryFilter(endpoint: $id, input: $input) \
        { filter items { type answer names parts { text answer } } } }";
    let input =
        json!({"filter": "severity >= high", "event": {"type": "vulnerability.created", "data": {"severity": "low"}}});
    let tried = world.data(tried, json!({"id": endpoint, "input": input})).await["tryFilter"].clone();
    assert_eq!(
        (&tried["items"][0]["type"], &tried["items"][0]["answer"]),
        (&json!("vulnerability.created"), &json!(false))
    );
    let project = world.post(&world.path("/projects"), json!({"name": "p"})).await.is(201).json()["id"].clone();
    let change = "mutation($id: ID!) { updateProject(id: $id, input: {owner: \"team\", labels: {tier: \"1\"}}) { name owner labels } }";
    let changed = world.data(change, json!({"id": project})).await["updateProject"].clone();
    assert_eq!(changed, json!({"name": "p", "owner": "team", "labels": {"tier": "1"}}));
}

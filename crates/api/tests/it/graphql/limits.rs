//! E18: what a request may ask for.

use http::{Method, StatusCode, header};
use serde_json::{Value, json};

use super::{asked, with_header};
use crate::world::{ROOT, World, request};

fn fault(reply: &Value) -> (&str, &str) {
    let extensions = &reply["errors"][0]["extensions"];
    (extensions["code"].as_str().unwrap_or_default(), extensions["problem"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn e18_depth_aliases_and_batches_are_refused() {
    let world = World::new().await;
    let nodes = |inner: &str| format!("{{ org {{ events {{ nodes {{ {inner} }} }} }} }}");
    let deep = nodes("deliveries { nodes { event { deliveries { nodes { id } } } } }");
    let aliases: String = (0..21).map(|n| format!("a{n}: org {{ id }} ")).collect();
    let many = format!("{{ {} }}", "org { id } ".repeat(1001));
    let dear =
        nodes("deliveries(first: 250) { nodes { endpoint { deliveries(first: 250) { pageInfo { hasNextPage } } } } }");
    let long = format!("{{ org {{ id }} }} #{}", "x".repeat(40 * 1024));
    let directives = format!("{{ org {} {{ id }} }}", "@include(if: true) ".repeat(20));
    for query in [deep, format!("{{ {aliases} }}"), many, dear, long, directives] {
        let reply = world.gql(&query, json!({})).await.is(400).json();
        assert_eq!(fault(&reply).0, "GRAPHQL_VALIDATION_FAILED", "{query}: {reply}");
        assert_eq!(reply["data"], Value::Null);
    }
    let one = json!({"query": "{ org { id } }"});
    for batch in [json!([one]), json!([one, one]), json!([])] {
        let reply = world.call(ROOT, Method::POST, "/graphql?org=acme", Some(batch.to_string())).await.is(400).json();
        assert_eq!(fault(&reply), ("GRAPHQL_VALIDATION_FAILED", "graphql_limit"));
    }
    let open = "{a".repeat(15_000);
    let reply = world.gql(&open, json!({})).await.is(400).json();
    assert_eq!(fault(&reply).1, "graphql_limit");
}

#[tokio::test]
async fn e18_the_schema_is_shown_to_who_has_a_key() {
    let world = World::new().await;
    for query in [
        "{ __schema { types { name } } }",
        "{ __type(name: \"Org\") { name } }",
        "query A { ...F } fragment F on Query { __schema { queryType { name } } }",
    ] {
        let reply = world.gql_as("", query, json!({})).await.is(400).json();
        assert_eq!(fault(&reply).0, "GRAPHQL_VALIDATION_FAILED");
        world.gql_as("wrong", query, json!({})).await.is(400);
        world.gql(query, json!({})).await.is(200);
    }
    world.gql_as("", "{ __typename }", json!({})).await.is(401);
}

#[tokio::test]
async fn a_request_causes_so_many_operations_at_most() {
    let world = World::new().await;
    let events: Vec<_> = (0..250).map(|_| json!({"type": "a.b", "data": {}})).collect();
    world.post(&world.path("/events/batch"), json!({"events": events})).await.is(202);
    world.post(&world.path("/events/batch"), json!({"events": events})).await.is(202);
    let page = |name: &str, after: Value| {
        format!(
            "{name}: events(first: 250, after: {after}) {{ nodes {{ deliveries(first: 1) {{ pageInfo {{ hasNextPage }} }} }} }}"
        )
    };
    let first = world.data("{ org { events(first: 250) { pageInfo { endCursor } } } }", json!({})).await;
    let cursor = first["org"]["events"]["pageInfo"]["endCursor"].clone();
    let query = format!("{{ org {{ {} {} }} }}", page("a", json!(null)), page("b", cursor));
    let reply = world.gql(&query, json!({})).await.json();
    assert!(
        reply["errors"].as_array().unwrap().iter().any(|error| error["extensions"]["code"] == "graphql_limit"),
        "{:.300}",
        reply.to_string()
    );
}

#[tokio::test]
async fn only_json_is_taken() {
    let world = World::new().await;
    let body = json!({"query": "{ org { id } }"}).to_string();
    for kind in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/graphql"]
    {
        let mut request = request(ROOT, Method::POST, "/graphql?org=acme", Some(body.clone()));
        request.headers_mut().insert(header::CONTENT_TYPE, kind.parse().unwrap());
        let reply = world.send(request).await.is(415);
        assert_eq!(fault(&reply.json()).1, "unsupported_media_type", "{kind}");
    }
    for bad in ["", "nothing", "{\"query\": 1}", "{}", "{\"query\": \"{org{id}}\", \"query\": \"\"}"] {
        world.call(ROOT, Method::POST, "/graphql?org=acme", Some(bad.to_owned())).await.is(400);
    }
    let given = json!({"query": "{ org { id } }", "variables": []}).to_string();
    world.call(ROOT, Method::POST, "/graphql?org=acme", Some(given)).await.is(400);
    world.call(ROOT, Method::DELETE, "/graphql", None).await.is(405);
}

#[tokio::test]
async fn media_types_of_answers() {
    let world = World::new().await;
    let ask = |accept: &str| {
        let request = asked(ROOT, "acme", "{ org { slug } }", json!({}));
        with_header(request, header::ACCEPT, accept)
    };
    let plain = world.send(ask("*/*")).await;
    assert_eq!((plain.status, &plain.headers["content-type"]), (StatusCode::OK, &"application/json".parse().unwrap()));
    let own = world.send(ask("application/graphql-response+json, application/json;q=0.9")).await;
    assert_eq!(own.headers["content-type"], "application/graphql-response+json");
    let stream = world.send(ask("text/event-stream")).await.is(200);
    assert!(stream.headers["content-type"].to_str().unwrap().starts_with("text/event-stream"));
    assert_eq!(
        stream.text(),
        "event: next\ndata: {\"data\":{\"org\":{\"slug\":\"acme\"}}}\n\nevent: complete\ndata:\n\n"
    );
}

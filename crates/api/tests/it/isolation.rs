//! Nothing of one organisation can be seen, changed or even noticed with the key of another; and each key does what its
//! scopes say.
//!
//! What is asked is taken from the contract: a new route is asked as well, and fails here when the other organisation has
//! nothing of its kind to try it with.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};
use watchbell_domain::access::Scope;
use watchbell_domain::id::{GroupId, OrgId};
use watchbell_domain::member::Role;

use crate::world::{ROOT, Reply, World};

const NOTHING: &str = "0192f0c1-0000-7000-8000-00000000dead";

/// Routes that every key of the organisation may ask: what it may do is decided by more than a scope.
const ANY_KEY: [&str; 2] = ["GET /api/v1/orgs/{org}", "POST /api/v1/orgs/{org}/members/{id}/keys"];

/// What changes nothing and is asked by POST for the length of the question.
const QUESTIONS: [&str; 2] =
    ["POST /api/v1/orgs/{org}/verify", "POST /api/v1/orgs/{org}/captures/{id}/requests/{request}/verify"];

/// What the other organisation has: an id for each area.
struct Theirs {
    org: String,
    ids: BTreeMap<String, String>,
}

/// One of each. What is listed below the organisation is found by itself once there is one.
async fn theirs(world: &World) -> Theirs {
    let org: OrgId = "0192f0c1-0000-7000-8000-0000000000b0".parse().unwrap();
    world.add_org(org, "other").await;
    let path = |rest: &str| format!("/api/v1/orgs/{org}{rest}");
    for (rest, given) in [
        ("/endpoints", json!({"url": "https://b.example.com/", "dialect": "snyk", "secret": "sixteen-bytes-and-more"})),
        ("/events", json!({"type": "webhook.ping", "data": {"webhook_id": "d3cf26b3-2d77-497b-bce2-23b33cc15362"}})),
        ("/projects", json!({"name": "p"})),
        ("/keys", json!({"name": "k", "scopes": ["events:read"]})),
        ("/members", json!({"email": "b@example.com", "role": "viewer"})),
        ("/replays", json!({"state": "dead_lettered"})),
        ("/erasures", json!({"text": "nobody"})),
        ("/evidence?file_name=e", json!({})),
        ("/sources", serde_json::from_str(&body_for("/sources")).unwrap()),
        ("/poam-items", serde_json::from_str(&body_for("/poam-items")).unwrap()),
        ("/captures", json!({"name": "c"})),
        ("/trainings", serde_json::from_str(&body_for("/trainings")).unwrap()),
    ] {
        let reply = world.post(&path(rest), given).await;
        assert!(reply.status.is_success(), "{rest}: {}", reply.text());
    }
    // A call makes a receipt, also one that proves nothing.
    let source = world.get(&path("/sources")).await.is(200).json()["items"][0]["id"].as_str().unwrap().to_owned();
    world.call("", Method::POST, &format!("/in/{source}"), Some("{}".to_owned())).await.is(401);
    let mut ids = BTreeMap::new();
    for (method, template) in operations() {
        if method != Method::GET || template.matches('{').count() != 1 || !template.starts_with("/api/v1/orgs/{org}/") {
            continue;
        }
        let reply = world.get(&template.replace("{org}", &org.to_string())).await;
        let listed: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        if let Some(id) = listed["items"][0]["id"].as_str() {
            ids.insert(area(&template), id.to_owned());
        }
    }
    let report = json!({"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "t"}}, "results": [{"ruleId": "r",
        "message": {"text": "m"}}]}]});
    world.post(&path(&format!("/projects/{}/scans", ids["projects"])), report).await.is(201);
    let found = world.get(&path("/findings")).await.is(200).json();
    ids.insert("findings".to_owned(), found["items"][0]["id"].as_str().unwrap().to_owned());
    let start = path(&format!("/projects/{}/scans/start", ids["projects"]));
    let scan = world.post(&start, json!({})).await.is(201).json();
    ids.insert("scans".to_owned(), scan["id"].as_str().unwrap().to_owned());
    let group = world.post("/api/v1/groups", json!({"name": "theirs"})).await.is(201).json();
    ids.insert("groups".to_owned(), group["id"].as_str().unwrap().to_owned());
    Theirs { org: org.to_string(), ids }
}

/// A body that a route would take.
fn body_for(path: &str) -> String {
    let body = match path.rsplit('/').next().unwrap() {
        "replay" if path.contains("/endpoints/") => json!({"since": "2020-01-01T00:00:00Z"}),
        "replays" => json!({"state": "dead_lettered"}),
        "erasures" => json!({"text": "nobody"}),
        "events" => json!({"type": "a.b", "data": {}}),
        "batch" => json!({"events": [{"type": "a.b", "data": {}}]}),
        "endpoints" => json!({"url": "https://a.example.com/", "dialect": "standard"}),
        "keys" if path.contains("/members/") => json!({"name": "k"}),
        "keys" => json!({"name": "k", "scopes": ["events:read"]}),
        "projects" => json!({"name": "q"}),
        "captures" => json!({"name": "d"}),
        "poam-items" => {
            json!({"finding_id": "0ef8ac7e-1b9d-48d9-82eb-2f2355ba2b31", "scheduled_completion_date": "2030-01-01"})
        }
        "trainings" => json!({"user": "a@example.com", "training": "t", "score": 1,
            "started_at": "2026-01-01T00:00:00Z", "completed_at": "2026-01-01T00:00:01Z"}),
        "sources" => json!({"dialect": "standard", "name": "s", "make_secret": true}),
        "event-types" => json!({"type": "a.b", "description": "d"}),
        "poam-policy" => json!({"rules": []}),
        "fail" => json!({"error": "e"}),
        "members" => json!({"email": "c@example.com", "role": "viewer"}),
        "group" => json!({"group": null}),
        "groups" => json!({"name": "g"}),
        _ if path.contains("/findings/") => json!({"status": "suppressed"}),
        _ => json!({}),
    };
    body.to_string()
}

/// Every documented operation that needs a key: method and path template.
fn operations() -> Vec<(Method, String)> {
    let contract = serde_json::to_value(watchbell_api::openapi()).unwrap();
    let mut found = Vec::new();
    for (path, item) in contract["paths"].as_object().unwrap() {
        for method in ["get", "post", "patch", "delete", "put"] {
            let Some(operation) = item.get(method) else { continue };
            let needs_a_key = operation["security"].as_array().is_none_or(|any| !any.contains(&json!({})));
            if needs_a_key && path.starts_with("/api/v1/") {
                found.push((method.to_uppercase().parse().unwrap(), path.clone()));
            }
        }
    }
    assert!(found.len() > 50, "{found:?}");
    found
}

/// `endpoints` of `/api/v1/orgs/{org}/endpoints/{id}`, `groups` of `/api/v1/groups/{id}`.
fn area(template: &str) -> String {
    let part = if template.starts_with("/api/v1/orgs/{org}") { 5 } else { 3 };
    template.split('/').nth(part).unwrap_or_default().to_owned()
}

fn fill(template: &str, org: &str, id: &str) -> String {
    let filled = template.replace("{org}", org).replace("{id}", id).replace("{type}", "a.b");
    // Further ids are of nothing, whoever asks.
    let mut parts: Vec<&str> = filled.split('/').collect();
    parts.iter_mut().filter(|part| part.starts_with('{')).for_each(|part| *part = NOTHING);
    parts.join("/")
}

async fn call(world: &World, key: &str, method: &Method, path: &str) -> Reply {
    world.call(key, method.clone(), path, (*method != Method::GET).then(|| body_for(path))).await
}

#[tokio::test]
async fn every_route_answers_another_organisations_things_like_nothing() {
    let world = World::with(|options| options.rate_limit = None).await;
    let theirs = theirs(&world).await;
    let all: Vec<_> = Scope::ALL.iter().copied().filter(|scope| *scope != Scope::Admin).collect();
    world.add_key("ours", Some(world.org), &all).await;
    world.add_key("boss", Some(world.org), &[Scope::Admin]).await;
    for (method, template) in operations() {
        let (has_org, has_id) = (template.contains("{org}"), template.contains("{id}"));
        if !has_org && !has_id {
            continue;
        }
        let their_id = match has_id {
            true => {
                theirs.ids.get(&area(&template)).unwrap_or_else(|| panic!("the other organisation has no {template}"))
            }
            false => NOTHING,
        };
        let own_org = world.org.to_string();
        let mut attempts = Vec::new();
        if has_org {
            attempts.extend([fill(&template, &theirs.org, their_id), fill(&template, "other", their_id)]);
        }
        if has_id {
            attempts.push(fill(&template, &own_org, their_id));
        }
        for key in ["ours", "boss"] {
            let expected = call(&world, key, &method, &fill(&template, NOTHING, NOTHING)).await;
            assert_eq!(expected.status, 404, "{method} {template}: {}", expected.text());
            for path in &attempts {
                let reply = call(&world, key, &method, path).await;
                assert_eq!(reply.status, 404, "{key} {method} {path}: {}", reply.text());
                assert_eq!(reply.without_request_id(), expected.without_request_id(), "{key} {method} {path}");
                for header in ["content-type", "content-length", "idempotency-replayed", "retry-after"] {
                    assert_eq!(reply.headers.get(header), expected.headers.get(header), "{header} of {method} {path}");
                }
            }
        }
    }
    // Nothing of it had an effect.
    let path = |rest: &str| format!("/api/v1/orgs/{}{rest}", theirs.org);
    for (area, id) in &theirs.ids {
        match area.as_str() {
            "groups" => drop(world.get(&format!("/api/v1/groups/{id}")).await.is(200)),
            area => drop(world.get(&path(&format!("/{area}/{id}"))).await.is(200)),
        }
    }
    assert_eq!(world.get(&path("")).await.is(200).json()["state"], "active");
    let events = world.get(&path("/events")).await.is(200).json();
    // The ping of the endpoint's creation, the posted one, the lesson's, and the three of the scans.
    assert_eq!(events["items"].as_array().unwrap().len(), 6);
}

/// The scope that an answer names, where it says that one is missing.
fn missing(reply: &Reply) -> Option<Scope> {
    if reply.status != 403 || reply.code() != "forbidden" {
        return None;
    }
    let detail = reply.json()["detail"].as_str().unwrap().to_owned();
    Some(detail.rsplit(' ').next().unwrap().parse().unwrap())
}

/// What each route of the organisation needs: asked with a key that may nothing. `None`: any key will do.
async fn needs(world: &World) -> Vec<(Method, String, Option<Scope>)> {
    world.add_key("nothing", Some(world.org), &[]).await;
    let mut needs = Vec::new();
    for (method, template) in operations() {
        if template.starts_with("/api/v1/orgs/{org}") {
            let path = fill(&template, &world.org.to_string(), NOTHING);
            let scope = missing(&call(world, "nothing", &method, &path).await);
            needs.push((method, template, scope));
        }
    }
    needs
}

#[tokio::test]
async fn every_route_needs_its_scope_and_no_other() {
    let world = World::with(|options| options.rate_limit = None).await;
    let needs = needs(&world).await;
    for (method, template, scope) in &needs {
        let name = format!("{method} {template}");
        assert_eq!(scope.is_none(), ANY_KEY.contains(&name.as_str()), "{name} needs {scope:?}");
        let reads = scope.is_some_and(|scope| scope.as_str().ends_with(":read"));
        assert!(
            *method == Method::GET || !reads || QUESTIONS.contains(&name.as_str()),
            "{name} changes something with {scope:?}"
        );
    }
    for scope in Scope::ALL {
        world.add_key(scope.as_str(), Some(world.org), &[*scope]).await;
        for (method, template, needed) in &needs {
            let path = fill(template, &world.org.to_string(), NOTHING);
            let reply = call(&world, scope.as_str(), method, &path).await;
            // An organisation's admin may everything in it; what needs an operator still names admin.
            let is_operators = *needed == Some(Scope::Admin);
            let may = needed.is_none() || needed == &Some(*scope) || *scope == Scope::Admin;
            let expected = if may && !is_operators { None } else { *needed };
            assert_eq!(missing(&reply), expected, "{scope}: {method} {template}: {}", reply.text());
        }
    }
}

#[tokio::test]
async fn every_role_may_what_its_scopes_say() {
    let world = World::with(|options| options.rate_limit = None).await;
    let needs = needs(&world).await;
    for role in Role::ALL {
        let (_, key) = world.member(&format!("{}@example.com", role.as_str()), role).await;
        for (method, template, needed) in &needs {
            let path = fill(template, &world.org.to_string(), NOTHING);
            let reply = call(&world, &key, method, &path).await;
            let is_operators = *needed == Some(Scope::Admin);
            let may = needed.is_none_or(|scope| role.allows(scope)) && !is_operators;
            let expected = if may { None } else { *needed };
            assert_eq!(missing(&reply), expected, "{role:?}: {method} {template}: {}", reply.text());
        }
    }
}

#[tokio::test]
async fn a_groups_key_sees_its_organisations_and_no_other() {
    let world = World::new().await;
    let (inside, outside): (OrgId, OrgId) = (
        "0192f0c1-0000-7000-8000-0000000000b1".parse().unwrap(),
        "0192f0c1-0000-7000-8000-0000000000b2".parse().unwrap(),
    );
    world.add_org(inside, "inside").await;
    world.add_org(outside, "outside").await;
    let group = world.post("/api/v1/groups", json!({"name": "g"})).await.is(201).json();
    let id: GroupId = group["id"].as_str().unwrap().parse().unwrap();
    let place = |org: OrgId, group: Value| {
        let body = json!({"group": group}).to_string();
        let world = &world;
        async move { world.call(ROOT, Method::PUT, &format!("/api/v1/orgs/{org}/group"), Some(body)).await }
    };
    assert_eq!(place(inside, json!(id.to_string())).await.is(200).json()["group_id"], id.to_string());
    let given = json!({"name": "g", "scopes": ["admin"]});
    let made = world.post(&format!("/api/v1/groups/{id}/keys"), given).await.is(201).json();
    let key = made["key"].as_str().unwrap();
    let get = async |path: String| world.call(key, Method::GET, &path, None).await;
    get(format!("/api/v1/orgs/{inside}/endpoints")).await.is(200);
    get("/api/v1/orgs/inside".to_owned()).await.is(200);
    get(format!("/api/v1/orgs/{outside}/endpoints")).await.is(404);
    let orgs = get("/api/v1/orgs".to_owned()).await.is(200).json();
    assert_eq!(orgs["items"].as_array().unwrap().len(), 1);
    assert_eq!(get("/api/v1/groups".to_owned()).await.is(200).json()["items"][0]["id"], id.to_string());
    get(format!("/api/v1/groups/{id}/orgs")).await.is(200);
    // It is no operator's.
    for path in ["/api/v1/audit", "/metrics"] {
        get(path.to_owned()).await.is(403);
    }
    let more = world.call(key, Method::POST, "/api/v1/orgs", Some(json!({"name": "X"}).to_string())).await;
    more.is(403);
    let out = Some(json!({"group": null}).to_string());
    world.call(key, Method::PUT, &format!("/api/v1/orgs/{inside}/group"), out).await.is(403);
    // Taken out, it is seen no more.
    world.call(ROOT, Method::DELETE, &format!("/api/v1/groups/{id}"), None).await.is(409);
    place(inside, Value::Null).await.is(200);
    get(format!("/api/v1/orgs/{inside}/endpoints")).await.is(404);
    world.delete(&format!("/api/v1/groups/{id}")).await.is(204);
    get("/api/v1/orgs".to_owned()).await.is(401);
}

#[tokio::test]
async fn filters_and_cursors_show_nothing_of_others() {
    let world = World::new().await;
    let theirs = theirs(&world).await;
    world.add_key("ours", Some(world.org), &[Scope::EventsRead, Scope::DeliveriesRead, Scope::AuditRead]).await;
    let id = |area: &str| theirs.ids[area].clone();
    for query in [
        format!("/deliveries?endpoint={}", id("endpoints")),
        format!("/deliveries?event={}", id("events")),
        format!("/events?project={}", id("projects")),
        format!("/audit?subject={}", id("endpoints")),
        format!("/audit?org={}", theirs.org),
    ] {
        let reply = world.call("ours", Method::GET, &world.path(&query), None).await.is(200);
        assert_eq!(reply.json()["items"], json!([]));
    }
    for list in ["events", "audit"] {
        let first = world.get(&format!("/api/v1/orgs/{}/{list}?limit=1", theirs.org)).await.is(200).json();
        let cursor = first["next_cursor"].as_str().unwrap();
        let path = world.path(&format!("/{list}?cursor={cursor}"));
        let reply = world.call("ours", Method::GET, &path, None).await.is(400);
        assert_eq!(reply.code(), "cursor_invalid");
    }
    let orgs = world.call("ours", Method::GET, "/api/v1/orgs", None).await.is(200).json();
    assert_eq!(orgs["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn snyks_api_is_walled_as_well() {
    let world = World::new().await;
    let theirs = theirs(&world).await;
    world.add_key("ours", Some(world.org), &[Scope::EndpointsRead, Scope::EndpointsWrite]).await;
    let hook = &theirs.ids["endpoints"];
    let their_org = theirs.org.strip_prefix("org_").unwrap();
    for (method, path) in [
        (Method::GET, format!("/v1/org/{their_org}/webhooks")),
        (Method::POST, format!("/v1/org/{their_org}/webhooks")),
        (Method::GET, format!("/v1/org/{}/webhooks/{hook}", world.org.bare())),
        (Method::DELETE, format!("/v1/org/{}/webhooks/{hook}", world.org.bare())),
        (Method::POST, format!("/v1/org/{}/webhooks/{hook}/ping", world.org.bare())),
    ] {
        world.call("ours", method, &path, Some("{}".into())).await.is(404);
    }
    world.get(&format!("/v1/org/{their_org}/webhooks/{hook}")).await.is(200);
}

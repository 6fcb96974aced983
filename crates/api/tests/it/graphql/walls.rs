//! I7: every field that takes an id answers another organisation's things like nothing.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};
use watchbell_domain::access::Scope;
use watchbell_domain::id::OrgId;

use super::bare_type;
use crate::world::{ROOT, World};

const RANDOM: &str = "0192f0c1-0000-7000-8000-00000000dead";

/// What the other organisation has, by prefix of its id.
async fn theirs(world: &World) -> BTreeMap<String, String> {
    let org: OrgId = "0192f0c1-0000-7000-8000-0000000000b0".parse().unwrap();
    world.add_org(org, "other").await;
    let path = |rest: &str| format!("/api/v1/orgs/{org}{rest}");
    let given = json!({"url": "https://b.example.com/", "dialect": "aegis"});
    let mut made = vec![world.post(&path("/endpoints"), given).await.is(201).json()];
    let given = json!({"type": "vulnerability.created", "data": {"severity": "low"}});
    made.push(world.post(&path("/events"), given).await.is(202).json());
    made.push(world.get(&path("/deliveries")).await.is(200).json()["items"][0].clone());
    made.push(world.post(&path("/projects"), json!({"name": "p"})).await.is(201).json());
    made.push(world.post(&path("/keys"), json!({"name": "k", "scopes": ["events:read"]})).await.is(201).json());
    made.push(world.post(&path("/replays"), json!({"state": "dead_lettered"})).await.is(202).json());
    made.push(world.post(&path("/erasures"), json!({"text": "nobody"})).await.is(202).json());
    let project = made[3]["id"].as_str().unwrap().to_owned();
    let sarif = json!({"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "t"}},
        "results": [{"ruleId": "R1", "message": {"text": "bad"}}]}]});
    world.post(&path(&format!("/projects/{project}/scans")), sarif).await.is(201);
    made.push(world.get(&path("/findings")).await.is(200).json()["items"][0].clone());
    let upload = path("/evidence?file_name=f");
    made.push(world.call(ROOT, Method::POST, &upload, Some("{}".to_owned())).await.is(202).json());
    let plan = json!({"finding_id": RANDOM, "scheduled_completion_date": "2030-01-01"});
    made.push(world.post(&path("/poam-items"), plan).await.is(201).json());
    let lesson = json!({"user": "a@example.com", "training": "t", "score": 1,
        "started_at": "2026-01-01T00:00:00Z", "completed_at": "2026-01-01T00:00:01Z"});
    made.push(world.post(&path("/trainings"), lesson).await.is(201).json());
    made.push(world.post(&path("/members"), json!({"email": "b@example.com", "role": "viewer"})).await.is(201).json());
    made.push(world.post(&path(&format!("/projects/{project}/scans/start")), json!({})).await.is(201).json());
    let source = json!({"dialect": "standard", "name": "s", "make_secret": true});
    made.push(world.post(&path("/sources"), source).await.is(201).json());
    let called =
        made.last().unwrap()["url"].as_str().unwrap().strip_prefix("http://localhost:8420").unwrap().to_owned();
    world.call("", Method::POST, &called, Some("{}".to_owned())).await.is(401);
    made.push(world.get(&path("/receipts")).await.is(200).json()["items"][0].clone());
    made.push(world.post(&path("/captures"), json!({"name": "c"})).await.is(201).json());
    made.push(world.post("/api/v1/groups", json!({"name": "theirs"})).await.is(201).json());
    made.push(json!({"id": org.to_string()}));
    made.iter()
        .map(|thing| thing["id"].as_str().unwrap())
        .map(|id| (id.split_once('_').unwrap().0.to_owned(), id.to_owned()))
        .collect()
}

/// A literal that an argument takes; what is about ids is `$id`.
fn literal(types: &[Value], argument: &Value, id_argument: &str) -> Option<String> {
    let name = argument["name"].as_str().unwrap();
    if name == id_argument {
        return Some("$id".to_owned());
    }
    if argument["type"]["kind"] != "NON_NULL" {
        return None;
    }
    let bare = bare_type(&argument["type"]);
    let found = types.iter().find(|found| found["name"] == bare).unwrap();
    Some(match (found["kind"].as_str().unwrap(), bare) {
        ("INPUT_OBJECT", "WindowInput") => "{since: \"2020-01-01T00:00:00Z\"}".to_owned(),
        ("INPUT_OBJECT", "MuteInput") => "{for: \"4h\"}".to_owned(),
        ("INPUT_OBJECT", "OrgChangeInput") => "{weight: 1}".to_owned(),
        ("INPUT_OBJECT", "VerdictInput") => "{status: SUPPRESSED}".to_owned(),
        ("INPUT_OBJECT", "ScanInput") => "{reportText: \"{}\"}".to_owned(),
        ("INPUT_OBJECT", "PoamItemInput") => {
            format!("{{findingId: \"fnd_{RANDOM}\", scheduledCompletionDate: \"2030-01-01\"}}")
        }
        ("INPUT_OBJECT", "PoamPolicyInput") => "{rules: []}".to_owned(),
        ("INPUT_OBJECT", "MemberInput") => "{email: \"c@example.com\", role: VIEWER}".to_owned(),
        ("INPUT_OBJECT", "EventTypeInput") => "{type: \"a.b\", description: \"d\"}".to_owned(),
        ("INPUT_OBJECT", "TrainingInput") => "{user: {email: \"a@example.com\"}, training: {name: \"t\"}, score: 1, \
            startedAt: \"2026-01-01T00:00:00Z\", completedAt: \"2026-01-01T00:00:01Z\"}"
            .to_owned(),
        ("INPUT_OBJECT", _) => {
            let fields = found["inputFields"].as_array().unwrap().iter();
            let given = fields.filter(|field| {
                field["type"]["kind"] == "NON_NULL" && field["type"]["ofType"]["kind"] != "SCALAR"
                    || field["type"]["ofType"]["name"] == "String"
            });
            let given = given.filter(|field| field["type"]["kind"] == "NON_NULL").map(|field| {
                format!("{}: {}", field["name"].as_str().unwrap(), literal(types, field, "").unwrap_or_default())
            });
            format!("{{{}}}", given.collect::<Vec<_>>().join(", "))
        }
        ("SCALAR", "Int") => "1".to_owned(),
        ("SCALAR", "Boolean") => "false".to_owned(),
        ("LIST", _) => "[]".to_owned(),
        _ => "\"x\"".to_owned(),
    })
}

/// Every field of the roots and of an organisation that takes an id: operation, field, its argument.
fn fields(schema: &Value) -> Vec<(String, String)> {
    let types = schema["types"].as_array().unwrap();
    let mut found = Vec::new();
    for root in ["Query", "Mutation", "Org"] {
        let fields = types.iter().find(|found| found["name"] == root).unwrap()["fields"].as_array().unwrap();
        for field in fields {
            let args = field["args"].as_array().unwrap();
            for arg in args.iter().filter(|arg| bare_type(&arg["type"]) == "ID") {
                let argument = arg["name"].as_str().unwrap();
                // A filter, which finds nothing: see below.
                if (field["name"].as_str(), argument) == (Some("evidence"), "project") {
                    continue;
                }
                let given: Vec<_> = args
                    .iter()
                    .filter_map(|arg| {
                        Some(format!("{}: {}", arg["name"].as_str().unwrap(), literal(types, arg, argument)?))
                    })
                    .collect();
                let result = types.iter().find(|found| found["name"] == bare_type(&field["type"])).unwrap();
                let selection =
                    if ["SCALAR", "ENUM"].contains(&result["kind"].as_str().unwrap()) { "" } else { " { __typename }" };
                let name = field["name"].as_str().unwrap();
                let call = format!("{name}({}){selection}", given.join(", "));
                let query = match root {
                    "Org" => format!("query($id: ID!) {{ org {{ {call} }} }}"),
                    "Query" => format!("query($id: ID!) {{ {call} }}"),
                    _ => format!("mutation($id: ID!) {{ {call} }}"),
                };
                found.push((format!("{root}.{name}({argument})"), query));
            }
        }
    }
    found
}

#[tokio::test]
async fn e2_every_field_answers_another_organisations_things_like_nothing() {
    let world = World::with(|options| options.rate_limit = None).await;
    let theirs = theirs(&world).await;
    let scopes: Vec<_> = Scope::ALL.iter().copied().filter(|scope| *scope != Scope::Admin).collect();
    world.add_key("ours", Some(world.org), &scopes).await;
    let fields = fields(&world.introspected().await);
    assert!(fields.len() > 70, "{fields:?}");
    for (name, query) in &fields {
        let ask = async |id: &str| {
            let mut reply = world.gql_as("ours", query, json!({"id": id})).await.json();
            let error = reply["errors"][0].as_object_mut().unwrap_or_else(|| panic!("{name} answers {id}: {query}"));
            error["extensions"].as_object_mut().unwrap().remove("request_id");
            reply
        };
        for (prefix, id) in &theirs {
            let expected = ask(&format!("{prefix}_{RANDOM}")).await;
            let code = expected["errors"][0]["extensions"]["code"].as_str().unwrap();
            assert!(["not_found", "NOT_FOUND"].contains(&code), "{name} {prefix}: {expected}");
            assert_eq!(ask(id).await, expected, "{name} {id}");
            assert_eq!(
                ask(id.split_once('_').unwrap().1).await["errors"][0]["extensions"]["code"]
                    .as_str()
                    .unwrap()
                    .to_lowercase(),
                "not_found",
                "{name} {id}"
            );
        }
    }
    // Nothing of it had an effect.
    let things = [
        ("endpoints", "ep"),
        ("events", "evt"),
        ("deliveries", "dlv"),
        ("projects", "prj"),
        ("replays", "rpl"),
        ("findings", "fnd"),
        ("poam-items", "poam"),
        ("scans", "scn"),
    ];
    for (area, prefix) in things {
        let path = format!("/api/v1/orgs/{}/{area}/{}", theirs["org"], theirs[prefix]);
        let thing = world.get(&path).await.is(200).json();
        assert!(
            !["cancelled", "paused", "suppressed", "completed", "failed"]
                .contains(&thing["state"].as_str().or(thing["status"].as_str()).unwrap_or_default()),
            "{thing}"
        );
    }
    // Filters by ids of others find nothing.
    let query = "query($id: ID!) { org { events(filter: {project: $id}) { nodes { id } } } }";
    let reply = world.gql_as("ours", query, json!({"id": theirs["prj"]})).await.json();
    assert_eq!(reply["data"]["org"]["events"]["nodes"], json!([]));
    let query = "query($id: ID!) { org { evidence(project: $id) { nodes { id } } } }";
    let reply = world.gql_as("ours", query, json!({"id": theirs["prj"]})).await.json();
    assert_eq!(reply["data"]["org"]["evidence"]["nodes"], json!([]));
    for filter in ["endpoint", "event"] {
        let query =
            format!("query($id: ID!) {{ org {{ deliveries(filter: {{{filter}: $id}}) {{ nodes {{ id }} }} }} }}");
        let id = if filter == "event" { &theirs["evt"] } else { &theirs["ep"] };
        let reply = world.gql_as("ours", &query, json!({"id": id})).await.json();
        assert_eq!(reply["data"]["org"]["deliveries"]["nodes"], json!([]), "{filter}");
    }
}

#[tokio::test]
async fn e2_a_cursor_of_another_organisation_is_refused() {
    let world = World::new().await;
    theirs(&world).await;
    for _ in 0..2 {
        world.event().await;
    }
    let query =
        "query($org: ID, $after: String) { org(id: $org) { events(first: 1, after: $after) { edges { cursor } } } }";
    let cursor = world.data(query, json!({})).await["org"]["events"]["edges"][0]["cursor"].clone();
    let error = world.error(query, json!({"org": "other", "after": cursor})).await;
    assert_eq!(error["extensions"]["code"], "cursor_invalid");
}

#[tokio::test]
async fn e3_a_field_without_its_scope_is_forbidden_and_names_it() {
    let world = World::new().await;
    world.add_key("reader", Some(world.org), &[Scope::EventsRead]).await;
    let reply = world.gql_as("reader", "{ org { slug events { nodes { id } } } }", json!({})).await.is(200).json();
    assert_eq!(reply["data"]["org"], json!({"slug": "acme", "events": {"nodes": []}}));
    let cases = [
        ("{ org { endpoints { nodes { id } } } }", "endpoints:read"),
        ("{ org { deliveries { nodes { id } } } }", "deliveries:read"),
        ("{ org { keys { nodes { id } } } }", "keys:read"),
        ("mutation { postEvent(input: {type: \"a.b\", data: {}}) { id } }", "events:write"),
        ("mutation { createProject(input: {name: \"p\"}) { id } }", "projects:write"),
        ("mutation { createKey(input: {name: \"k\", scopes: [\"events:read\"]}) { key } }", "keys:write"),
        ("mutation { createOrg(input: {name: \"o\"}) { id } }", "admin"),
    ];
    for (query, scope) in cases {
        let reply = world.gql_as("reader", query, json!({})).await.is(200).json();
        let error = &reply["errors"][0];
        assert_eq!(error["extensions"]["code"], "forbidden", "{query}: {reply}");
        assert!(error["message"].as_str().unwrap().contains(scope), "{error}");
    }
    // E4: a key gives what it has itself.
    world.add_key("maker", Some(world.org), &[Scope::KeysWrite]).await;
    let query = "mutation { createKey(input: {name: \"k\", scopes: [\"events:write\"]}) { key } }";
    let reply = world.gql_as("maker", query, json!({})).await.json();
    assert_eq!(reply["errors"][0]["extensions"]["code"], "key_escalation", "{reply}");
}

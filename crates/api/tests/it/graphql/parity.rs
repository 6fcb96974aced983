//! GraphQL says what REST says: no operation, no member of a body and none of an answer is missing.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::world::World;

#[test]
fn the_committed_schema_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/schema.graphql");
    let text = watchbell_api::graphql::sdl();
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(committed == text, "docs/schema.graphql is stale: UPDATE_SCHEMA=1 cargo test -p watchbell-api graphql");
}

/// Where each of REST's operations is in GraphQL.
const OPERATIONS: &[(&str, &str)] = &[
    ("list_orgs", "Query.orgs"),
    ("create_org", "Mutation.createOrg"),
    ("get_org", "Query.org"),
    ("change_org", "Mutation.updateOrg"),
    ("list_evidence", "Org.evidence"),
    ("post_evidence", "Mutation.uploadEvidence"),
    ("get_evidence", "Org.document"),
    ("delete_evidence", "Mutation.deleteEvidence"),
    ("get_content", "Evidence.contentPath"),
    ("list_advisories", "Query.advisories"),
    ("import_advisories", "Mutation.importAdvisories"),
    ("advisory_stats", "Query.advisoryStats"),
    ("get_advisory", "Query.advisory"),
    ("list_deliveries", "Org.deliveries"),
    ("count_deliveries", "Org.deliveryCounts"),
    ("get_delivery", "Org.delivery"),
    ("cancel_delivery", "Mutation.cancelDelivery"),
    ("retry_delivery", "Mutation.retryDelivery"),
    ("list_endpoints", "Org.endpoints"),
    ("create_endpoint", "Mutation.createEndpoint"),
    ("get_endpoint", "Org.endpoint"),
    ("delete_endpoint", "Mutation.deleteEndpoint"),
    ("change_endpoint", "Mutation.updateEndpoint"),
    ("pause_endpoint", "Mutation.pauseEndpoint"),
    ("ping_endpoint", "Mutation.pingEndpoint"),
    ("replay_window", "Mutation.replayEndpoint"),
    ("resume_endpoint", "Mutation.resumeEndpoint"),
    ("rotate_secret", "Mutation.rotateEndpointSecret"),
    ("list_erasures", "Org.erasures"),
    ("create_erasure", "Mutation.createErasure"),
    ("get_erasure", "Org.erasure"),
    ("list_event_types", "Org.eventTypes"),
    ("get_event_type", "Org.eventType"),
    ("list_events", "Org.events"),
    ("post_event", "Mutation.postEvent"),
    ("post_batch", "Mutation.postEvents"),
    ("get_event", "Org.event"),
    ("erase_event", "Mutation.eraseEvent"),
    ("replay_event", "Mutation.replayEvent"),
    ("list_keys", "Org.keys"),
    ("create_key", "Mutation.createKey"),
    ("revoke_key", "Mutation.revokeKey"),
    ("list_projects", "Org.projects"),
    ("create_project", "Mutation.createProject"),
    ("get_project", "Org.project"),
    ("list_findings", "Project.findings"),
    ("list_org_findings", "Org.findings"),
    ("get_finding", "Org.finding"),
    ("judge_finding", "Mutation.judgeFinding"),
    ("finding_history", "Finding.history"),
    ("post_scan", "Mutation.postScan"),
    ("list_replays", "Org.replays"),
    ("create_replay", "Mutation.createReplay"),
    ("get_replay", "Org.replay"),
    ("cancel_replay", "Mutation.cancelReplay"),
];

/// Operations that GraphQL does not have yet. `docs/graphql.md` names them as well.
const NOT_YET: &[&str] = &[
    "accept_invitation",
    "accept_receipt",
    "add_training",
    "cancel_poam_item",
    "change_event_type",
    "change_group",
    "change_member",
    "change_poam_item",
    "change_source",
    "complete_scan",
    "create_capture",
    "create_event_type",
    "create_group",
    "create_group_key",
    "create_own_key",
    "create_poam_item",
    "create_source",
    "delete_capture",
    "delete_captured",
    "delete_event_type",
    "delete_group",
    "delete_org",
    "delete_source",
    "export_audit",
    "export_operator_audit",
    "export_poam_items",
    "fail_scan",
    "get_capture",
    "get_captured",
    "get_group",
    "get_kev",
    "get_key",
    "get_member",
    "get_poam_item",
    "get_poam_policy",
    "get_poam_settings",
    "get_receipt",
    "get_scan",
    "get_source",
    "get_training",
    "import_kev",
    "invite_member",
    "list_audit",
    "list_captured",
    "list_captures",
    "list_group_keys",
    "list_group_orgs",
    "list_groups",
    "list_members",
    "list_operator_audit",
    "list_poam_items",
    "list_receipts",
    "list_sources",
    "list_trainings",
    "pause_source",
    "place_org",
    "remove_member",
    "renew_invitation",
    "replay_receipt",
    "resume_org",
    "resume_source",
    "revoke_group_key",
    "rotate_key",
    "rotate_source_secret",
    "set_poam_policy",
    "set_poam_settings",
    "start_scan",
    "suspend_org",
    "verify_audit",
    "verify_captured",
    "verify_message",
    "verify_operator_audit",
    "verify_org_message",
    "watch_captured",
];

/// REST's member, and GraphQL's.
type Renamed = &'static [(&'static str, &'static str)];

/// Which of REST's shapes is which type, and which of its members are spelled otherwise.
const SHAPES: &[(&str, &str, Renamed)] = &[
    ("Org", "Org", &[]),
    ("OrgChange", "OrgChangeInput", &[]),
    ("Evidence", "Evidence", &[]),
    ("Advisory", "Advisory", &[]),
    ("AdvisoryStats", "AdvisoryStats", &[]),
    ("AdvisoryImport", "AdvisoryImport", &[]),
    ("Endpoint", "Endpoint", &[]),
    ("NewEndpoint", "EndpointInput", &[]),
    ("EndpointChange", "EndpointChangeInput", &[]),
    ("Rotation", "RotationInput", &[]),
    ("Event", "Event", &[]),
    ("NewEvent", "EventInput", &[]),
    ("AcceptedEvent", "AcceptedEvent", &[]),
    ("Delivery", "Delivery", &[]),
    ("Attempt", "Attempt", &[]),
    ("Replay", "Replay", &[]),
    ("ReplayFilter", "ReplayFilter", &[("endpoint", "endpointId")]),
    ("NewReplay", "ReplayInput", &[]),
    ("Window", "WindowInput", &[]),
    ("Replayed", "Replayed", &[]),
    ("Erasure", "Erasure", &[]),
    ("NewErasure", "ErasureInput", &[]),
    ("Key", "Key", &[]),
    ("NewKey", "KeyInput", &[]),
    ("Project", "Project", &[]),
    ("NewProject", "ProjectInput", &[]),
    ("Scan", "Scan", &[]),
    ("Finding", "Finding", &[]),
    ("FindingChange", "FindingChange", &[]),
    ("FindingVerdict", "VerdictInput", &[]),
    ("EventType", "EventType", &[]),
    ("Pinged", "Pinged", &[]),
];

fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let mut text = words.next().unwrap_or_default().to_owned();
    for word in words {
        text.push_str(&word[..1].to_uppercase());
        text.push_str(&word[1..]);
    }
    text
}

/// The names of each type's fields.
async fn fields() -> BTreeMap<String, BTreeSet<String>> {
    let schema = World::new().await.introspected().await;
    let named = |fields: &Value| -> Vec<String> {
        fields.as_array().into_iter().flatten().map(|field| field["name"].as_str().unwrap().to_owned()).collect()
    };
    let types = schema["types"].as_array().unwrap().iter();
    types
        .map(|found| {
            let mut names = named(&found["fields"]);
            names.extend(named(&found["inputFields"]));
            (found["name"].as_str().unwrap().to_owned(), names.into_iter().collect())
        })
        .collect()
}

#[tokio::test]
async fn every_operation_of_rest_has_a_field() {
    let contract = serde_json::to_value(watchbell_api::openapi()).unwrap();
    let fields = fields().await;
    let known: BTreeMap<_, _> = OPERATIONS.iter().copied().collect();
    let mut missing = BTreeSet::new();
    for (path, item) in contract["paths"].as_object().unwrap() {
        for operation in item.as_object().unwrap().values() {
            let id = operation["operationId"].as_str().unwrap();
            if !path.starts_with("/api/") {
                continue;
            }
            let Some(field) = known.get(id) else {
                missing.insert(id);
                continue;
            };
            let (of, name) = field.split_once('.').unwrap();
            assert!(fields[of].contains(name), "{field} is not there");
        }
    }
    // One that is missing gets a field and a line above.
    assert_eq!(missing, NOT_YET.iter().copied().collect());
}

#[tokio::test]
async fn every_member_of_rest_has_a_field() {
    let contract = serde_json::to_value(watchbell_api::openapi()).unwrap();
    let fields = fields().await;
    let mut missing = Vec::new();
    for (shape, of, spelled) in SHAPES {
        let schema = &contract["components"]["schemas"][shape];
        for member in schema["properties"].as_object().unwrap_or_else(|| panic!("{shape}")).keys() {
            let name = spelled
                .iter()
                .find(|(rest, _)| rest == member)
                .map_or_else(|| camel(member), |(_, own)| (*own).to_owned());
            if !fields[*of].contains(&name) {
                missing.push(format!("{of}.{name}"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
}

#[tokio::test]
async fn every_problem_of_a_write_is_the_one_of_rest() {
    let world = World::new().await;
    let cases = [
        (
            "/endpoints",
            "createEndpoint",
            "EndpointInput",
            serde_json::json!({"url": "https://10.0.0.1/", "dialect": "standard"}),
        ),
        (
            "/endpoints",
            "createEndpoint",
            "EndpointInput",
            serde_json::json!({"url": "https://a.example.com/", "dialect": "none"}),
        ),
        ("/events", "postEvent", "EventInput", serde_json::json!({"type": "No", "data": {}})),
        (
            "/events",
            "postEvent",
            "EventInput",
            serde_json::json!({"type": "vulnerability.created", "data": {"severity": 1}}),
        ),
        ("/projects", "createProject", "ProjectInput", serde_json::json!({"name": ""})),
        ("/keys", "createKey", "KeyInput", serde_json::json!({"name": "k", "scopes": []})),
        ("/replays", "createReplay", "ReplayInput", serde_json::json!({})),
        ("/erasures", "createErasure", "ErasureInput", serde_json::json!({"text": "x"})),
    ];
    for (path, field, input, body) in cases {
        let rest = world.post(&world.path(path), body.clone()).await;
        let query = format!("mutation($input: {input}!) {{ {field}(input: $input) {{ __typename }} }}");
        let error = world.error(&query, serde_json::json!({"input": body})).await;
        let extensions = &error["extensions"];
        let rest = rest.json();
        for member in ["code", "detail", "status", "errors"] {
            assert_eq!(extensions[member], rest[member], "{field} {member}: {error} {rest}");
        }
        assert!(extensions["request_id"].is_string());
    }
}

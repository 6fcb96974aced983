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
    ("suspend_org", "Mutation.suspendOrg"),
    ("resume_org", "Mutation.resumeOrg"),
    ("delete_org", "Mutation.deleteOrg"),
    ("place_org", "Mutation.placeOrg"),
    ("list_groups", "Query.groups"),
    ("create_group", "Mutation.createGroup"),
    ("get_group", "Query.group"),
    ("change_group", "Mutation.updateGroup"),
    ("delete_group", "Mutation.deleteGroup"),
    ("list_group_orgs", "Group.orgs"),
    ("list_group_keys", "Group.keys"),
    ("create_group_key", "Mutation.createGroupKey"),
    ("revoke_group_key", "Mutation.revokeGroupKey"),
    ("list_members", "Org.members"),
    ("invite_member", "Mutation.inviteMember"),
    ("get_member", "Org.member"),
    ("change_member", "Mutation.updateMember"),
    ("remove_member", "Mutation.removeMember"),
    ("renew_invitation", "Mutation.renewInvitation"),
    ("create_own_key", "Mutation.createOwnKey"),
    ("get_key", "Org.key"),
    ("rotate_key", "Mutation.rotateKey"),
    ("list_audit", "Org.audit"),
    ("verify_audit", "Org.auditVerification"),
    ("list_operator_audit", "Query.operatorAudit"),
    ("verify_operator_audit", "Query.operatorAuditVerification"),
    ("list_poam_items", "Org.poamItems"),
    ("create_poam_item", "Mutation.createPoamItem"),
    ("get_poam_item", "Org.poamItem"),
    ("change_poam_item", "Mutation.updatePoamItem"),
    ("cancel_poam_item", "Mutation.cancelPoamItem"),
    ("get_poam_settings", "Org.poamSettings"),
    ("set_poam_settings", "Mutation.setPoamSettings"),
    ("get_poam_policy", "Org.poamPolicy"),
    ("set_poam_policy", "Mutation.setPoamPolicy"),
    ("get_kev", "Query.kev"),
    ("import_kev", "Mutation.importKev"),
    ("list_trainings", "Org.trainings"),
    ("add_training", "Mutation.addTraining"),
    ("get_training", "Org.training"),
    ("start_scan", "Mutation.startScan"),
    ("get_scan", "Org.scan"),
    ("complete_scan", "Mutation.completeScan"),
    ("fail_scan", "Mutation.failScan"),
    ("create_event_type", "Mutation.createEventType"),
    ("change_event_type", "Mutation.updateEventType"),
    ("delete_event_type", "Mutation.deleteEventType"),
    ("change_project", "Mutation.updateProject"),
    ("list_sources", "Org.sources"),
    ("create_source", "Mutation.createSource"),
    ("get_source", "Org.source"),
    ("change_source", "Mutation.updateSource"),
    ("delete_source", "Mutation.deleteSource"),
    ("rotate_source_secret", "Mutation.rotateSourceSecret"),
    ("pause_source", "Mutation.pauseSource"),
    ("resume_source", "Mutation.resumeSource"),
    ("list_receipts", "Org.receipts"),
    ("get_receipt", "Org.receipt"),
    ("accept_receipt", "Mutation.acceptReceipt"),
    ("replay_receipt", "Mutation.replayReceipt"),
    ("list_captures", "Org.captures"),
    ("create_capture", "Mutation.createCapture"),
    ("get_capture", "Org.capture"),
    ("delete_capture", "Mutation.deleteCapture"),
    ("list_captured", "Capture.requests"),
    ("get_captured", "Capture.request"),
    ("delete_captured", "Mutation.deleteCapturedRequest"),
    ("verify_captured", "CapturedRequest.verification"),
    ("verify_message", "Query.verifyMessage"),
    ("verify_org_message", "Query.verifyOrgMessage"),
    ("list_mutes", "Org.mutes"),
    ("mute", "Mutation.mute"),
    ("unmute", "Mutation.unmute"),
    ("why_event", "Event.why"),
    ("try_filter", "Query.tryFilter"),
];

/// Operations that REST alone has: files to download, what takes no key, and waiting for what a capture inbox is sent.
/// `docs/graphql.md` names them as well.
const REST_ONLY: &[&str] =
    &["accept_invitation", "export_audit", "export_operator_audit", "export_poam_items", "watch_captured"];

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
    ("PoamItem", "PoamItem", &[]),
    ("NewItem", "PoamItemInput", &[]),
    ("ItemChange", "PoamItemChangeInput", &[]),
    ("Milestone", "Milestone", &[]),
    ("PoamSettings", "PoamSettings", &[]),
    ("PoamPolicy", "PoamPolicy", &[]),
    ("PoamRule", "PoamRule", &[]),
    ("Kev", "Kev", &[]),
    ("Training", "Training", &[]),
    ("NewTraining", "TrainingInput", &[]),
    ("ScanRun", "ScanRun", &[]),
    ("NewRun", "ScanStartInput", &[]),
    ("Completion", "ScanCompletionInput", &[]),
    ("Member", "Member", &[]),
    ("NewMember", "MemberInput", &[]),
    ("MemberChange", "MemberChangeInput", &[]),
    ("Group", "Group", &[]),
    ("AuditEntry", "AuditEntry", &[]),
    ("AuditWalk", "AuditWalk", &[]),
    ("NewType", "EventTypeInput", &[]),
    ("TypeChange", "EventTypeChangeInput", &[]),
    ("ProjectChange", "ProjectChangeInput", &[]),
    ("Source", "Source", &[]),
    ("NewSource", "SourceInput", &[]),
    ("SourceChange", "SourceChangeInput", &[]),
    ("SourceRotation", "SourceRotationInput", &[]),
    ("Receipt", "Receipt", &[]),
    ("TakenAgain", "TakenAgain", &[]),
    ("Capture", "Capture", &[]),
    ("CaptureAnswer", "CaptureAnswer", &[]),
    ("NewCapture", "CaptureInput", &[]),
    ("NewCaptureAnswer", "CaptureAnswerInput", &[]),
    ("CapturedRequest", "CapturedRequest", &[]),
    ("CapturedQuestion", "VerifyWithInput", &[]),
    ("MessageQuestion", "VerifyInput", &[]),
    ("Diagnosis", "Diagnosis", &[]),
    ("DecodedMessage", "DecodedMessage", &[]),
    ("Mute", "Mute", &[]),
    ("NewMute", "MuteInput", &[]),
    ("Why", "Why", &[]),
    ("WhyNow", "WhyNow", &[]),
    ("Trial", "FilterTrialInput", &[]),
    ("Tried", "Tried", &[]),
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
    assert_eq!(missing, REST_ONLY.iter().copied().collect());
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
        ("/members", "inviteMember", "MemberInput", serde_json::json!({"email": "none", "role": "VIEWER"})),
        ("/sources", "createSource", "SourceInput", serde_json::json!({"dialect": "snyk", "name": "n"})),
        (
            "/sources",
            "createSource",
            "SourceInput",
            serde_json::json!({"dialect": "custom", "name": "n", "secret": "sixteen-bytes-and-more",
                "settings": {"auth": {"kind": "hmac-sha1"}}}),
        ),
        ("/captures", "createCapture", "CaptureInput", serde_json::json!({"name": ""})),
        ("/captures", "createCapture", "CaptureInput", serde_json::json!({"name": "n", "answer": {"delay": "1h"}})),
        (
            "/event-types",
            "createEventType",
            "EventTypeInput",
            serde_json::json!({"type": "vulnerability.created", "description": "d"}),
        ),
    ];
    for (path, field, input, body) in cases {
        let mut in_rest = body.clone();
        // The one word that is spelled otherwise.
        if let Some(role) = in_rest.get_mut("role") {
            *role = role.as_str().unwrap().to_lowercase().into();
        }
        let rest = world.post(&world.path(path), in_rest).await;
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

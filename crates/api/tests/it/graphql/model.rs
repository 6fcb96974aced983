//! The whole model: lists, filters, single things, writes.

use http::Method;
use serde_json::{Value, json};

use crate::world::World;

#[tokio::test]
async fn lists_are_connections_whose_every_cursor_leads_on() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.insert(0, world.event().await["id"].clone());
        world.later(1);
    }
    let query = "query($first: Int, $after: String) { org { events(first: $first, after: $after) {
        edges { cursor node { id } } nodes { id } pageInfo { hasNextPage hasPreviousPage endCursor startCursor } } } }";
    let page = |first: Value, after: Value| {
        let world = &world;
        async move { world.data(query, json!({"first": first, "after": after})).await["org"]["events"].clone() }
    };
    let first = page(json!(2), json!(null)).await;
    assert_eq!(first["nodes"], json!([{"id": ids[0]}, {"id": ids[1]}]));
    assert_eq!(first["pageInfo"]["hasNextPage"], true);
    assert_eq!(first["pageInfo"]["endCursor"], first["edges"][1]["cursor"]);
    // Also the cursor of an edge that is not the last.
    let second = page(json!(2), first["edges"][0]["cursor"].clone()).await;
    assert_eq!(second["nodes"], json!([{"id": ids[1]}, {"id": ids[2]}]));
    let last = page(json!(10), first["pageInfo"]["endCursor"].clone()).await;
    assert_eq!(last["nodes"].as_array().unwrap().len(), 3);
    assert_eq!((&last["pageInfo"]["hasNextPage"], &last["pageInfo"]["hasPreviousPage"]), (&json!(false), &json!(true)));
    for bad in [json!(0), json!(251), json!(-1)] {
        let error = world.error(query, json!({"first": bad})).await;
        assert_eq!(error["extensions"]["code"], "query_invalid", "{error}");
    }
    let forged = world.error(query, json!({"after": "AAAA"})).await;
    assert_eq!(forged["extensions"]["code"], "cursor_invalid");
    // REST's cursors are the same.
    let rest = world.get(&world.path("/events?limit=2")).await.json();
    assert_eq!(rest["next_cursor"], first["pageInfo"]["endCursor"]);
}

#[tokio::test]
async fn every_list_has_cursors_that_its_own_list_takes() {
    let world = World::new().await;
    for n in 0..3 {
        let given = json!({"url": format!("https://hooks.example.com/{n}"), "dialect": "standard"});
        world.post(&world.path("/endpoints"), given).await.is(201);
        world.event().await;
        world.post(&world.path("/projects"), json!({"name": format!("p{n}")})).await.is(201);
        world.post(&world.path("/keys"), json!({"name": "k", "scopes": ["events:read"]})).await.is(201);
        world.post(&world.path("/replays"), json!({"state": "dead_lettered"})).await.is(202);
        world.post(&world.path("/erasures"), json!({"text": "nobody"})).await.is(202);
        world.later(1);
    }
    for list in ["endpoints", "events", "deliveries", "projects", "keys", "replays", "erasures"] {
        let query = format!(
            "query($after: String) {{ org {{ {list}(first: 1, after: $after) {{ edges {{ cursor node {{ id }} }} }} }} }}"
        );
        let first = world.data(&query, json!({})).await["org"][list]["edges"][0].clone();
        let second = world.data(&query, json!({"after": first["cursor"]})).await["org"][list]["edges"][0].clone();
        assert!(first["node"]["id"].is_string() && second["node"]["id"].is_string(), "{list}");
        assert_ne!(first["node"]["id"], second["node"]["id"], "{list}");
    }
}

#[tokio::test]
async fn an_event_is_posted_and_followed() {
    let world = World::new().await;
    let endpoint = world.endpoint().await;
    let post = "mutation P($input: EventInput!) { postEvent(input: $input) {
        id type criticalId event { id dataText data skipped { reason } } } }";
    let given = json!({"input": {"type": "acme.thing_happened", "dataText": "{ \"z\":1, \"a\": 123456789012345678901234567890 }"}});
    let posted = world.data(post, given).await["postEvent"].clone();
    assert_eq!(posted["event"]["dataText"], "{ \"z\":1, \"a\": 123456789012345678901234567890 }");
    let given =
        json!({"input": {"type": "vulnerability.created", "data": {"z": [1, {"b": null}], "severity": "critical"}}});
    let posted = world.data(post, given).await["postEvent"].clone();
    assert!(posted["criticalId"].is_string(), "{posted}");
    assert_eq!(posted["event"]["data"]["z"], json!([1, {"b": null}]));
    for bad in [
        json!({"type": "a.b"}),
        json!({"type": "a.b", "data": {}, "dataText": "{}"}),
        json!({"type": "a.b", "dataText": "{"}),
    ] {
        assert_eq!(world.error(post, json!({"input": bad})).await["extensions"]["code"], "payload_invalid");
    }
    let follow = "query { org { deliveries(first: 1, filter: {state: PENDING}) { nodes { id state
        event { type deliveries { nodes { id } } } endpoint { id url state } attempts { number } } } deliveryCounts { undelivered pending } } }";
    let followed = world.data(follow, json!({})).await["org"].clone();
    let delivery = &followed["deliveries"]["nodes"][0];
    assert_eq!(delivery["endpoint"]["id"], endpoint["id"]);
    assert_eq!(delivery["event"]["deliveries"]["nodes"][0]["id"], delivery["id"]);
    assert_eq!(followed["deliveryCounts"], json!({"undelivered": 3, "pending": 3}));
    let cancel = "mutation($id: ID!) { cancelDelivery(id: $id) { state reason } }";
    let cancelled = world.data(cancel, json!({"id": delivery["id"]})).await;
    assert_eq!(cancelled["cancelDelivery"], json!({"state": "CANCELLED", "reason": "requested"}));
    let again = world.error(cancel, json!({"id": delivery["id"]})).await;
    assert_eq!((&again["extensions"]["code"], &again["extensions"]["status"]), (&json!("delivery_state"), &json!(409)));
    let retry = "mutation($id: ID!) { retryDelivery(id: $id) { isNew delivery { id replayOf state } } }";
    let retried = world.data(retry, json!({"id": delivery["id"]})).await["retryDelivery"].clone();
    assert_eq!((&retried["isNew"], &retried["delivery"]["replayOf"]), (&json!(true), &delivery["id"]), "{retried}");
    let same = world.data(retry, json!({"id": retried["delivery"]["id"]})).await["retryDelivery"].clone();
    assert_eq!((&same["isNew"], &same["delivery"]["id"]), (&json!(false), &retried["delivery"]["id"]));
}

#[tokio::test]
async fn endpoints_are_made_changed_and_paused() {
    let world = World::new().await;
    let create = "mutation($input: EndpointInput!) { createEndpoint(input: $input) { id secret dialect ordered timeout
        headers { name value } auth { type username } retry { schedule } maxInFlight httpVersion } }";
    let given = json!({"input": {
        "url": "https://hooks.example.com/in", "dialect": "standard", "headers": [{"name": "X-Team", "value": "a-long-secret-value"}],
        "auth": {"basic": {"username": "u", "password": "p"}}, "ordered": "PROJECT", "timeout": "5s", "maxInFlight": 3,
        "retry": {"schedule": ["0s", "1m"]}, "httpVersion": "HTTP1",
    }});
    let made = world.data(create, given).await["createEndpoint"].clone();
    assert!(made["secret"].as_str().unwrap().starts_with("whsec_"), "{made}");
    assert_eq!((&made["ordered"], &made["auth"]["username"]), (&json!("PROJECT"), &json!("u")));
    assert_eq!(made["headers"][0]["name"], "X-Team");
    assert_ne!(made["headers"][0]["value"], "a-long-secret-value");
    let update = "mutation($id: ID!, $input: EndpointChangeInput!) { updateEndpoint(id: $id, input: $input) {
        timeout maxInFlight auth { type } description ordered secret } }";
    let change =
        json!({"id": made["id"], "input": {"timeout": null, "auth": null, "description": "new", "ordered": "NONE"}});
    let changed = world.data(update, change).await["updateEndpoint"].clone();
    assert_eq!(
        (&changed["timeout"], &changed["auth"], &changed["maxInFlight"]),
        (&json!(null), &json!(null), &json!(3))
    );
    assert_eq!((&changed["description"], &changed["ordered"]), (&json!("new"), &json!("NONE")));
    assert_ne!(changed["secret"], made["secret"], "a secret is shown once");
    let id = json!({"id": made["id"]});
    let state = |data: Value, field: &str| data[field]["state"].clone();
    let paused = world.data("mutation($id: ID!) { pauseEndpoint(id: $id) { state } }", id.clone()).await;
    assert_eq!(state(paused, "pauseEndpoint"), "PAUSED");
    let resumed = world.data("mutation($id: ID!) { resumeEndpoint(id: $id) { state } }", id.clone()).await;
    assert_eq!(state(resumed, "resumeEndpoint"), "ACTIVE");
    let pinged = world.data("mutation($id: ID!) { pingEndpoint(id: $id) { type eventId } }", id.clone()).await;
    assert_eq!(pinged["pingEndpoint"]["type"], "webhook.ping");
    let rotated = world
        .data("mutation($id: ID!) { rotateEndpointSecret(id: $id) { secret secrets { expiresAt } } }", id.clone())
        .await;
    assert_ne!(rotated["rotateEndpointSecret"]["secret"], made["secret"]);
    let deleted = world.data("mutation($id: ID!) { deleteEndpoint(id: $id) }", id.clone()).await;
    assert_eq!(deleted["deleteEndpoint"], made["id"]);
    let error = world.error("query($id: ID!) { org { endpoint(id: $id) { id } } }", id).await;
    assert_eq!(error["extensions"]["code"], "not_found");
}

#[tokio::test]
async fn projects_scans_findings_and_the_rest() {
    let world = World::new().await;
    let made = world.data("mutation { createProject(input: {name: \"shop\"}) { id name } }", json!({})).await;
    let project = made["createProject"]["id"].clone();
    let sarif = json!({"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "t", "rules": []}},
        "results": [{"ruleId": "R1", "level": "error", "message": {"text": "bad"},
            "locations": [{"physicalLocation": {"artifactLocation": {"uri": "a.c"}, "region": {"startLine": 3}}}]}]}]});
    let post = "mutation($id: ID!, $input: ScanInput!) { postScan(project: $id, input: $input) { status findingsSeen findingsNew } }";
    let scanned = world.data(post, json!({"id": project, "input": {"report": sarif}})).await["postScan"].clone();
    assert_eq!(scanned["findingsNew"], 1, "{scanned}");
    world.later(1);
    let text = sarif.to_string();
    let scanned = world.data(post, json!({"id": project, "input": {"reportText": text}})).await["postScan"].clone();
    assert_eq!(scanned["findingsSeen"], 1);
    let find = "query($id: ID!) { org { project(id: $id) { name findings(status: OPEN) { nodes { id title severity status ruleId project { id } } } } } }";
    let found = world.data(find, json!({"id": project})).await["org"]["project"]["findings"]["nodes"].clone();
    assert_eq!(found[0]["ruleId"], "R1", "{found}");
    assert_eq!(found[0]["project"]["id"], project);
    let judge = "mutation($id: ID!) { judgeFinding(id: $id, input: {status: ACCEPTED, reason: \"later\"}) { status judgement { reason by { kind } } \
                 history(first: 5) { nodes { to reason } } } }";
    let judged = world.data(judge, json!({"id": found[0]["id"]})).await["judgeFinding"].clone();
    assert_eq!((&judged["status"], &judged["judgement"]["by"]["kind"]), (&json!("ACCEPTED"), &json!("key")));
    assert_eq!(judged["history"]["nodes"][0], json!({"to": "ACCEPTED", "reason": "later"}));
    let all = world
        .data("{ org { findings(filter: {status: ACCEPTED, severity: HIGH}) { nodes { id } } } }", json!({}))
        .await;
    assert_eq!(all["org"]["findings"]["nodes"][0]["id"], found[0]["id"], "{all}");
    let broken = world.error(post, json!({"id": project, "input": {"reportText": "no report"}})).await;
    assert_eq!(broken["extensions"]["code"], "report_invalid");
    let key = world
        .data(
            "mutation { createKey(input: {name: \"k\", scopes: [\"events:read\"]}) { key about { id scopes } } }",
            json!({}),
        )
        .await;
    assert!(key["createKey"]["key"].as_str().unwrap().starts_with("wb_"));
    let revoke = json!({"id": key["createKey"]["about"]["id"]});
    world.data("mutation($id: ID!) { revokeKey(id: $id) }", revoke).await;
    let types = world.data("{ org { eventTypes { type dialects { dialect name } example schema } } }", json!({})).await;
    assert!(types["org"]["eventTypes"].as_array().unwrap().len() > 10);
    let upload =
        "mutation($input: EvidenceInput!) { uploadEvidence(input: $input) { id fileName bytes state contentPath } }";
    let kept =
        world.data(upload, json!({"input": {"fileName": "a.bin", "base64": "AAEC/w=="}})).await["uploadEvidence"]
            .clone();
    assert_eq!((&kept["bytes"], &kept["state"]), (&json!(4), &json!("PENDING")));
    let content = world.get(kept["contentPath"].as_str().unwrap()).await.is(200);
    assert_eq!(content.body, [0, 1, 2, 255]);
    let listed = world
        .data(
            "{ org { evidence { nodes { id } } } advisoryStats { advisories } advisories { nodes { id } } }",
            json!({}),
        )
        .await;
    assert_eq!(listed["org"]["evidence"]["nodes"][0]["id"], kept["id"]);
    assert_eq!((&listed["advisoryStats"]["advisories"], &listed["advisories"]["nodes"]), (&json!(0), &json!([])));
    let dry = "mutation { createReplay(input: {state: DEAD_LETTERED, dryRun: true}) { replay { id } matched complete sample } }";
    let dry = world.data(dry, json!({})).await["createReplay"].clone();
    assert_eq!(dry, json!({"replay": null, "matched": 0, "complete": true, "sample": []}));
    let replay = "mutation { createReplay(input: {state: DEAD_LETTERED}) { replay { id state filter { state } } } }";
    let replay = world.data(replay, json!({})).await["createReplay"]["replay"].clone();
    assert_eq!((&replay["state"], &replay["filter"]["state"]), (&json!("RUNNING"), &json!("DEAD_LETTERED")));
    let cancelled =
        world.data("mutation($id: ID!) { cancelReplay(id: $id) { state } }", json!({"id": replay["id"]})).await;
    assert_eq!(cancelled["cancelReplay"]["state"], "CANCELLED");
    let erasure =
        world.data("mutation { createErasure(input: {text: \"nobody\"}) { id state erased } }", json!({})).await;
    assert_eq!(erasure["createErasure"]["state"], "RUNNING");
}

#[tokio::test]
async fn anything_is_found_by_its_id() {
    let world = World::new().await;
    let endpoint = world.endpoint().await;
    let event = world.event().await;
    let project = world.post(&world.path("/projects"), json!({"name": "p"})).await.is(201).json();
    let org = json!({"id": world.org.to_string()});
    let query = "query($id: ID!) { node(id: $id) { __typename id ... on Endpoint { url } ... on Event { type } ... on Project { name } } }";
    for (thing, kind) in [(&endpoint, "Endpoint"), (&event, "Event"), (&project, "Project"), (&org, "Org")] {
        let node = world.data(query, json!({"id": thing["id"]})).await["node"].clone();
        assert_eq!((&node["__typename"], &node["id"]), (&json!(kind), &thing["id"]));
    }
    for nothing in ["", "x", "ep_", "ep_../x", "nope_0192f0c1-0000-7000-8000-00000000dead"] {
        assert_eq!(world.error(query, json!({"id": nothing})).await["extensions"]["code"], "not_found", "{nothing:?}");
    }
}

#[tokio::test]
async fn queries_may_be_asked_by_get_and_writes_may_not() {
    let world = World::new().await;
    let path = "/graphql?org=acme&query=query(%24n%3AInt)%7Borg%7Bevents(first%3A%24n)%7Bnodes%7Bid%7D%7D%7D%7D&variables=%7B%22n%22%3A1%7D";
    let answer = world.get(path).await.is(200).json();
    assert_eq!(answer["data"]["org"]["events"]["nodes"], json!([]));
    let reply = world
        .get("/graphql?org=acme&query=mutation%7BcreateOrg(input%3A%7Bname%3A%22x%22%7D)%7Bid%7D%7D")
        .await
        .is(405);
    assert_eq!(reply.headers["allow"], "POST");
    world.call("", Method::GET, path, None).await.is(401);
}

#[tokio::test]
async fn an_operation_is_run_once_however_many_fields_ask() {
    let world = World::new().await;
    world.endpoint().await;
    let events: Vec<_> = (0..250).map(|_| json!({"type": "a.b", "data": {}})).collect();
    world.post(&world.path("/events/batch"), json!({"events": events})).await.is(202);
    // 250 deliveries to one endpoint: the endpoint is asked for once, or the operations would not do.
    let query = "{ org { deliveries(first: 250) { nodes { endpoint { url } } } } }";
    let data = world.data(query, json!({})).await;
    assert_eq!(data["org"]["deliveries"]["nodes"].as_array().unwrap().len(), 250);
}

#[tokio::test]
async fn plans_trainings_and_announced_scans() {
    let world = World::new().await;
    let finding = "fnd_0192f0c1-0000-7000-8000-00000000dead";
    let create = "mutation($input: PoamItemInput!) { createPoamItem(input: $input) { id status title milestones { title } finding { id } } }";
    let input = json!({"findingId": finding, "scheduledCompletionDate": "2030-01-01", "title": "Upgrade",
        "milestones": [{"title": "Test", "due": "2029-12-01"}]});
    let made = world.data(create, json!({"input": input})).await["createPoamItem"].clone();
    assert_eq!(
        (&made["status"], &made["milestones"][0]["title"], &made["finding"]),
        (&json!("OPEN"), &json!("Test"), &json!(null))
    );
    let change = "mutation($id: ID!, $input: PoamItemChangeInput!) { updatePoamItem(id: $id, input: $input) { status title owner completedBy } }";
    let input = json!({"title": null, "owner": "ada@example.com"});
    let changed = world.data(change, json!({"id": made["id"], "input": input})).await["updatePoamItem"].clone();
    assert_eq!((&changed["title"], &changed["owner"]), (&json!(null), &json!("ada@example.com")));
    let list = "query($filter: PoamFilter!) { org { poamItems(filter: $filter) { nodes { id } } } node(id: \"ID\") { id __typename } }"
        .replace("ID\"", &format!("{}\"", made["id"].as_str().unwrap()));
    let found = world.data(&list, json!({"filter": {"status": "OPEN", "owner": "ada@example.com"}})).await;
    assert_eq!(found["org"]["poamItems"]["nodes"][0]["id"], made["id"]);
    assert_eq!(found["node"]["__typename"], "PoamItem");
    let cancelled = world
        .data("mutation($id: ID!) { cancelPoamItem(id: $id) { status cancelledAt } }", json!({"id": made["id"]}))
        .await;
    assert_eq!(cancelled["cancelPoamItem"]["status"], "CANCELLED");

    let set = "mutation { setPoamSettings(input: {timeZone: \"Europe/Berlin\", leadTimes: [\"7d\"]}) { timeZone leadTimes overdue }
        setPoamPolicy(input: {rules: [{severity: CRITICAL, days: 14}]}) { rules { severity days kev } } }";
    let set = world.data(set, json!({})).await;
    assert_eq!(set["setPoamSettings"], json!({"timeZone": "Europe/Berlin", "leadTimes": ["7d"], "overdue": "daily"}));
    assert_eq!(set["setPoamPolicy"]["rules"][0], json!({"severity": "CRITICAL", "days": 14, "kev": null}));
    let read = world
        .data("{ org { poamSettings { timeZone } poamPolicy { rules { days } } } kev { count } }", json!({}))
        .await;
    assert_eq!((&read["org"]["poamSettings"]["timeZone"], &read["kev"]["count"]), (&json!("Europe/Berlin"), &json!(0)));
    let kev = json!({"catalogue": {"catalogVersion": "1", "vulnerabilities": [{"cveID": "CVE-2021-44228"}]}});
    let kev =
        world.data("mutation($catalogue: JSON!) { importKev(catalogue: $catalogue) { count version } }", kev).await;
    assert_eq!(kev["importKev"], json!({"count": 1, "version": "1"}));

    let add =
        "mutation($input: TrainingInput!) { addTraining(input: $input) { id user { email } training { name } score } }";
    let input = json!({"user": {"email": "ada@example.com"}, "training": {"name": "S3"}, "score": 110,
        "startedAt": "2026-01-09T10:02:59Z", "completedAt": "2026-01-09T10:07:07Z"});
    let lesson = world.data(add, json!({"input": input})).await["addTraining"].clone();
    let lessons = world
        .data(
            "query($id: ID!) { org { trainings { nodes { id } } training(id: $id) { score } } }",
            json!({"id": lesson["id"]}),
        )
        .await;
    assert_eq!(lessons["org"], json!({"trainings": {"nodes": [{"id": lesson["id"]}]}, "training": {"score": 110}}));

    let project = world.post(&world.path("/projects"), json!({"name": "p"})).await.is(201).json();
    let start = "mutation($id: ID!) { startScan(project: $id, input: {tool: \"clamav\"}) { id status } }";
    let scan = world.data(start, json!({"id": project["id"]})).await["startScan"].clone();
    assert_eq!(scan["status"], "in_progress");
    let complete = "mutation($id: ID!) { completeScan(id: $id, input: {threatsFound: 2}) { status threatsFound } }";
    let ended = world.data(complete, json!({"id": scan["id"]})).await["completeScan"].clone();
    assert_eq!(ended, json!({"status": "completed", "threatsFound": 2}));
    let again = world
        .error("mutation($id: ID!) { failScan(id: $id, error: \"late\") { status } }", json!({"id": scan["id"]}))
        .await;
    assert_eq!(again["extensions"]["code"], "conflict");
    let scan =
        world.data("query($id: ID!) { org { scan(id: $id) { tool endedAt } } }", json!({"id": scan["id"]})).await;
    assert_eq!(scan["org"]["scan"]["tool"], "clamav");
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, told in order")]
async fn own_event_types_members_groups_and_the_audit_log() {
    let world = World::new().await;
    let define = "mutation { createEventType(input: {type: \"acme.build_done\", description: \"A build\",
        schema: {type: \"object\", required: [\"ok\"]}, example: {ok: true}}) { type builtIn schema dialects { dialect } } }";
    let defined = world.data(define, json!({})).await["createEventType"].clone();
    assert_eq!((&defined["builtIn"], &defined["schema"]["required"][0]), (&json!(false), &json!("ok")));
    let change = "mutation { updateEventType(name: \"acme.build_done\", input: {schema: null, description: \"B\"}) { schema example description } }";
    let changed = world.data(change, json!({})).await["updateEventType"].clone();
    assert_eq!(changed, json!({"schema": null, "example": {"ok": true}, "description": "B"}));
    let gone = world.data("mutation { deleteEventType(name: \"acme.build_done\") }", json!({})).await;
    assert_eq!(gone["deleteEventType"], "acme.build_done");

    let invite = "mutation { inviteMember(input: {email: \"ada@example.com\", role: OPERATOR}) { invitation member { id role state } } }";
    let invited = world.data(invite, json!({})).await["inviteMember"].clone();
    assert!(invited["invitation"].as_str().unwrap().starts_with("wbi_"), "{invited}");
    let member = json!({"id": invited["member"]["id"]});
    let raise = "mutation($id: ID!) { updateMember(id: $id, input: {role: EDITOR}) { role email } renewInvitation(id: $id) { invitation } }";
    let raised = world.data(raise, member.clone()).await;
    assert_eq!(raised["updateMember"], json!({"role": "EDITOR", "email": "ada@example.com"}));
    assert_ne!(raised["renewInvitation"]["invitation"], invited["invitation"]);
    let own =
        world.error("mutation($id: ID!) { createOwnKey(member: $id, name: \"k\") { key } }", member.clone()).await;
    assert_eq!(own["extensions"]["code"], "key_escalation", "{own}");
    let members = world
        .data(
            "query($id: ID!) { org { members { nodes { id } } member(id: $id) { role } } node(id: $id) { id } }",
            member.clone(),
        )
        .await;
    assert_eq!(
        (&members["org"]["members"]["nodes"][0]["id"], &members["org"]["member"]["role"]),
        (&member["id"], &json!("EDITOR"))
    );
    let removed = world.data("mutation($id: ID!) { removeMember(id: $id) }", member.clone()).await;
    assert_eq!(removed["removeMember"], member["id"]);

    let group =
        world.data("mutation { createGroup(input: {name: \"all\"}) { id name } }", json!({})).await["createGroup"]
            .clone();
    let place = "mutation($org: ID!, $group: ID) { placeOrg(org: $org, group: $group) { groupId } }";
    let own = json!({"org": world.org.to_string(), "group": group["id"], "id": group["id"]});
    assert_eq!(world.data(place, own.clone()).await["placeOrg"]["groupId"], group["id"]);
    let key = "mutation($id: ID!) { createGroupKey(group: $id, input: {name: \"k\", scopes: [\"events:read\"]}) { key about { id } } }";
    let key = world.data(key, json!({"id": group["id"]})).await["createGroupKey"].clone();
    let seen = "query($id: ID!) { groups { nodes { id } } group(id: $id) { name orgs { nodes { slug } } keys { nodes { id } } } }";
    let seen = world.data(seen, json!({"id": group["id"]})).await;
    assert_eq!(seen["group"]["orgs"]["nodes"][0]["slug"], "acme");
    assert_eq!(seen["group"]["keys"]["nodes"][0]["id"], key["about"]["id"]);
    let revoke = json!({"id": group["id"], "key": key["about"]["id"]});
    world.data("mutation($id: ID!, $key: ID!) { revokeGroupKey(group: $id, id: $key) }", revoke).await;
    let away = json!({"org": world.org.to_string()});
    assert_eq!(world.data(place, away).await["placeOrg"]["groupId"], json!(null));
    let drop = "mutation($id: ID!) { updateGroup(id: $id, input: {name: \"some\"}) { name } deleteGroup(id: $id) }";
    assert_eq!(world.data(drop, json!({"id": group["id"]})).await["updateGroup"]["name"], "some");

    let made = "mutation { createKey(input: {name: \"k\", scopes: [\"events:read\"]}) { about { id } } }";
    let key = json!({"id": world.data(made, json!({})).await["createKey"]["about"]["id"]});
    let rotated = world
        .data("mutation($id: ID!) { rotateKey(id: $id, overlap: \"0s\") { key about { scopes } } }", key.clone())
        .await;
    assert_eq!(rotated["rotateKey"]["about"]["scopes"], json!(["events:read"]));
    assert!(
        world.data("query($id: ID!) { org { key(id: $id) { expiresAt } } }", key).await["org"]["key"]["expiresAt"]
            .is_string()
    );

    let audit = "query($after: String) { org { audit(first: 2, after: $after, filter: {action: \"member\"}) {
        edges { cursor node { number action actor { kind } detail } } } auditVerification { ok complete checked head { number } } }
        operatorAudit(first: 1, filter: {action: \"group\"}) { nodes { action } } operatorAuditVerification { ok } }";
    let first = world.data(audit, json!({})).await;
    let entries = first["org"]["audit"]["edges"].clone();
    assert_eq!(entries[0]["node"]["action"], "member.remove");
    let next = world.data(audit, json!({"after": entries[0]["cursor"]})).await["org"]["audit"]["edges"].clone();
    assert_eq!(next[0], entries[1]);
    assert_eq!(first["org"]["auditVerification"]["ok"], true);
    assert_eq!(first["operatorAudit"]["nodes"][0]["action"], "group.delete");

    let other = world.post("/api/v1/orgs", json!({"name": "Other"})).await.is(201).json();
    let id = json!({"id": other["id"]});
    let states = world.data("mutation($id: ID!) { suspendOrg(id: $id) { state } resumeOrg(id: $id) { state } deleteOrg(id: $id) { state } }", id).await;
    assert_eq!(
        states,
        json!({"suspendOrg": {"state": "suspended"}, "resumeOrg": {"state": "active"}, "deleteOrg": {"state": "deleting"}})
    );
}

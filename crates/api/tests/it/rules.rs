//! Filters, mutes and quiet hours: saved, tried, explained.

use serde_json::{Value, json};

use crate::world::World;

async fn endpoint(world: &World, rules: Value) -> Value {
    let mut given = json!({"url": "https://a.example.com/", "dialect": "standard"});
    given.as_object_mut().unwrap().extend(rules.as_object().unwrap().clone());
    world.post(&world.path("/endpoints"), given).await.is(201).json()
}

fn of(world: &World, endpoint: &Value, rest: &str) -> String {
    world.path(&format!("/endpoints/{}{rest}", endpoint["id"].as_str().unwrap()))
}

async fn post_event(world: &World, data: Value) -> String {
    let event = json!({"type": "vulnerability.created", "data": data});
    world.post(&world.path("/events"), event).await.is(202).json()["id"].as_str().unwrap().to_owned()
}

async fn why(world: &World, event: &str, endpoint: &Value) -> Value {
    let path = format!("/events/{event}/why?endpoint={}", endpoint["id"].as_str().unwrap());
    world.get(&world.path(&path)).await.is(200).json()["items"][0].clone()
}

#[tokio::test]
async fn a_filter_is_checked_kept_and_asked() {
    let world = World::new().await;
    let text = "type == 'vulnerability.created' && severity >= high";
    let made = endpoint(&world, json!({"filter": text})).await;
    assert_eq!(made["filter"], text);
    let low = post_event(&world, json!({"title": "a", "severity": "low"})).await;
    let high = post_event(&world, json!({"title": "a", "severity": "high"})).await;
    let told = why(&world, &low, &made).await;
    assert_eq!((&told["got"], &told["reason"]), (&json!(false), &json!("filtered")));
    assert_eq!(told["because"], "the endpoint's filter was not true of it");
    let rule = told["now"]["rules"].as_array().unwrap().iter().find(|rule| rule["rule"] == "filter").unwrap();
    assert_eq!((&rule["passes"], &rule["because"]), (&json!(false), &json!("false, because of severity >= high")));
    assert_eq!(rule["names"], json!({"type": "vulnerability.created", "severity": "low"}));
    assert_eq!(rule["parts"][1]["decides"], true);
    let told = why(&world, &high, &made).await;
    assert_eq!((&told["got"], &told["now"]["would_get"]), (&json!(true), &json!(true)));
    let changed = world.patch(&of(&world, &made, ""), json!({"filter": null})).await.is(200).json();
    assert_eq!(changed["filter"], Value::Null);
    let told = why(&world, &low, &made).await;
    assert_eq!(
        (&told["got"], &told["now"]["would_get"], &told["now"]["changed_since"]),
        (&json!(false), &json!(true), &json!(true))
    );
}

#[tokio::test]
async fn what_is_wrong_is_pointed_at() {
    let world = World::new().await;
    let path = world.path("/endpoints");
    let create = async |filter: &str| {
        let given = json!({"url": "https://a.example.com/", "dialect": "standard", "filter": filter});
        world.post(&path, given).await.is(422).json()
    };
    let problem = create("severty >= high").await;
    assert_eq!((&problem["code"], &problem["errors"][0]["pointer"]), (&json!("filter_invalid"), &json!("/filter")));
    assert_eq!(problem["detail"], "line 1, column 1: severty is not known: did you mean severity?");
    let problem = create("title > 3").await;
    assert!(problem["detail"].as_str().unwrap().contains("on the sample of"), "{problem}");
    let made = endpoint(&world, json!({})).await;
    world.patch(&of(&world, &made, ""), json!({"filter": "severity"})).await.is(422);
    for quiet in [
        json!({"from": "22", "to": "07:00"}),
        json!({"from": "22:00", "to": "25:00"}),
        json!({"from": "22:00", "to": "07:00", "time_zone": "Mars/Olympus"}),
        json!({"from": "22:00", "to": "07:00", "days": ["someday"]}),
        json!({"from": "22:00"}),
    ] {
        world.patch(&of(&world, &made, ""), json!({"quiet": quiet})).await.is(422);
    }
}

#[tokio::test]
async fn a_filter_is_tried_without_being_saved() {
    let world = World::new().await;
    let made = endpoint(&world, json!({"events": ["vulnerability.created", "poam.overdue"]})).await;
    let path = of(&world, &made, "/filter/try");
    world.post(&path, json!({})).await.is(422);
    let tried = world.post(&path, json!({"filter": "severity >= high"})).await.is(200).json();
    let answers: Vec<_> =
        tried["items"].as_array().unwrap().iter().map(|item| (&item["type"], &item["answer"])).collect();
    assert_eq!(answers.len(), 2);
    assert!(answers.contains(&(&json!("vulnerability.created"), &json!(true))), "{answers:?}");
    let event = json!({"type": "vulnerability.created", "data": {"title": "x", "severity": "low"}});
    let tried =
        world.post(&path, json!({"filter": "severity >= high || title == 'x'", "event": event})).await.is(200).json();
    assert_eq!(tried["items"][0]["answer"], true);
    assert_eq!(tried["items"][0]["parts"][0]["answer"], false);
    let tried = world.post(&path, json!({"filter": "title > 3", "event": event})).await.is(200).json();
    assert!(tried["items"][0]["answer"].is_null() && tried["items"][0]["error"].as_str().unwrap().contains("compare"));
    let id = post_event(&world, json!({"title": "kept", "severity": "low"})).await;
    let tried = world.post(&path, json!({"filter": "title == 'kept'", "event_id": id})).await.is(200).json();
    assert_eq!(tried["items"][0]["answer"], true);
    let problem = world.post(&path, json!({"filter": "nonsense ("})).await.is(422).json();
    assert_eq!(problem["code"], "filter_invalid");
    assert_eq!(world.get(&of(&world, &made, "")).await.is(200).json()["filter"], Value::Null);
}

#[tokio::test]
async fn mutes_have_an_end_and_a_name() {
    let world = World::new().await;
    let made = endpoint(&world, json!({})).await;
    let path = of(&world, &made, "/mutes");
    let finding = "0ef8ac7e-36a5-4f1c-9c4b-21a2a4c7f001";
    let muted = world.post(&path, json!({"finding": finding, "for": "4h", "reason": "known"})).await.is(201).json();
    assert_eq!((&muted["when"], &muted["live"]), (&json!(format!("data.finding_id == '{finding}'")), &json!(true)));
    assert!(!muted["by"].as_str().unwrap().is_empty());
    let event = post_event(&world, json!({"finding_id": finding, "title": "a", "severity": "high"})).await;
    let told = why(&world, &event, &made).await;
    assert_eq!((&told["got"], &told["reason"]), (&json!(false), &json!("muted")));
    let rule = told["now"]["rules"].as_array().unwrap().iter().find(|rule| rule["rule"] == "mute").unwrap();
    assert_eq!((&rule["mute_id"], &rule["passes"]), (&muted["id"], &json!(false)));
    assert!(rule["because"].as_str().unwrap().contains("(known)"), "{rule}");
    for wrong in [
        json!({"finding": finding}),
        json!({"finding": finding, "type": "poam.overdue", "for": "1h"}),
        json!({"type": "No", "for": "1h"}),
        json!({"when": "severty", "for": "1h"}),
        json!({"when": "title", "for": "1h"}),
        json!({"for": "1h", "until": "2100-01-01T00:00:00Z"}),
        json!({"until": "2000-01-01T00:00:00Z"}),
    ] {
        world.post(&path, wrong.clone()).await.is(422);
    }
    let end = format!("{path}/{}", muted["id"].as_str().unwrap());
    world.delete(&end).await.is(204);
    world.delete(&end).await.is(404);
    let listed = world.get(&path).await.is(200).json();
    assert_eq!(listed["items"][0]["live"], false);
    let event = post_event(&world, json!({"finding_id": finding, "title": "a", "severity": "high"})).await;
    assert_eq!(why(&world, &event, &made).await["got"], true);
    assert_eq!(world.get(&of(&world, &made, "")).await.is(200).json()["mutes"], json!([]));
}

#[tokio::test]
async fn a_rule_that_fails_is_seen_at_its_endpoint() {
    let world = World::new().await;
    // True or false of the sample, but not of what comes.
    let made = endpoint(&world, json!({"filter": "data.score > 3"})).await;
    assert!(made.get("rules_failing").is_none());
    let event = post_event(&world, json!({"title": "a", "score": "high"})).await;
    assert_eq!(why(&world, &event, &made).await["got"], true, "nothing is lost");
    let failing = world.get(&of(&world, &made, "")).await.is(200).json()["rules_failing"].clone();
    assert_eq!((&failing["events"], &failing["event_id"]), (&json!(1), &json!(event)));
    let listed = world.get(&world.path("/endpoints")).await.is(200).json();
    assert_eq!(listed["items"][0]["rules_failing"], failing);
    world.patch(&of(&world, &made, ""), json!({"filter": "type == 'vulnerability.created'"})).await.is(200);
    assert!(world.get(&of(&world, &made, "")).await.is(200).json().get("rules_failing").is_none());
}

#[tokio::test]
async fn every_endpoint_is_asked_why() {
    let world = World::new().await;
    endpoint(&world, json!({"events": ["poam.overdue"]})).await;
    endpoint(&world, json!({"quiet": {"from": "00:00", "to": "00:00", "except": "critical"}})).await;
    let gone = endpoint(&world, json!({})).await;
    let event = post_event(&world, json!({"title": "a", "severity": "low"})).await;
    world.delete(&of(&world, &gone, "")).await.is(204);
    let page = world.get(&world.path(&format!("/events/{event}/why"))).await.is(200).json();
    let told: Vec<_> = page["items"].as_array().unwrap().iter().map(|item| item["because"].as_str().unwrap()).collect();
    assert_eq!(told.len(), 2);
    assert!(told[1].contains("waits until"), "{told:?}");
    assert_eq!(told[0], "the endpoint had not asked for vulnerability.created");
    let told = why(&world, &event, &gone).await;
    assert_eq!((&told["got"], &told["now"]["would_get"]), (&json!(true), &Value::Null));
    world
        .get(&world.path(&format!("/events/{event}/why?endpoint=ep_0192f0c1-7a3b-7c4d-8e5f-0123456789ab")))
        .await
        .is(404);
}

#[tokio::test]
async fn projects_have_owners_and_labels() {
    let world = World::new().await;
    let given = json!({"name": "pay-api", "owner": "ann", "labels": {"team": "payments"}});
    let made = world.post(&world.path("/projects"), given).await.is(201).json();
    assert_eq!((&made["owner"], &made["labels"]), (&json!("ann"), &json!({"team": "payments"})));
    let path = world.path(&format!("/projects/{}", made["id"].as_str().unwrap()));
    let changed = world.patch(&path, json!({"owner": null, "labels": {"tier": "1"}})).await.is(200).json();
    assert_eq!((&changed["owner"], &changed["labels"]), (&Value::Null, &json!({"tier": "1"})));
    assert_eq!(world.get(&path).await.is(200).json(), changed);
    for wrong in
        [json!({"name": ""}), json!({"owner": ""}), json!({"labels": {"a b": "c"}}), json!({"labels": {"": "c"}})]
    {
        world.patch(&path, wrong).await.is(422);
    }
}

#[tokio::test]
async fn deliveries_gather_for_a_digest_and_say_until_when() {
    let world = World::new().await;
    let given = json!({"dialect": "http", "batch": {"wait": "1h", "except": "critical"}});
    let made = endpoint(&world, given).await;
    assert_eq!(made["batch"], json!({"wait": "1h", "max": 100, "except": "critical"}));
    let event = post_event(&world, json!({"title": "a", "severity": "high"})).await;
    let told = why(&world, &event, &made).await;
    let because = told["because"].as_str().unwrap();
    assert!(
        because.starts_with("a delivery was made for it and is held until ") && because.ends_with(" for the digest")
    );
    let rule = told["now"]["rules"].as_array().unwrap().iter().find(|rule| rule["rule"] == "batch").unwrap();
    assert!(rule["because"].as_str().unwrap().ends_with("for the digest, or until 100 of them wait"), "{rule}");
    let trial = json!({"filter": "true", "event_id": event});
    let tried = world.post(&of(&world, &made, "/filter/try"), trial).await.is(200).json();
    assert!(tried["items"][0]["goes_out"].as_str().unwrap().starts_with("held until "), "{tried}");
    let tried = world.post(&of(&world, &made, "/filter/try"), json!({"filter": "false"})).await.is(200).json();
    assert_eq!(tried["items"][0]["goes_out"], Value::Null);
    let event = post_event(&world, json!({"title": "b", "severity": "critical"})).await;
    assert!(!why(&world, &event, &made).await["because"].as_str().unwrap().contains("digest"));
    let changed = world.patch(&of(&world, &made, ""), json!({"batch": {"wait": "10m", "max": 5}})).await.is(200).json();
    assert_eq!(changed["batch"], json!({"wait": "10m", "max": 5}));
    let same = world.patch(&of(&world, &made, ""), json!({"description": "x"})).await.is(200).json();
    assert_eq!(same["batch"]["max"], 5);
    assert_eq!(world.patch(&of(&world, &made, ""), json!({"batch": null})).await.is(200).json()["batch"], Value::Null);
}

#[tokio::test]
async fn what_cannot_gather_is_told_so() {
    let world = World::new().await;
    let refused = async |given: Value| {
        let mut whole = json!({"url": "https://a.example.com/", "dialect": "http"});
        whole.as_object_mut().unwrap().extend(given.as_object().unwrap().clone());
        world.post(&world.path("/endpoints"), whole).await.is(422).json()["errors"][0].clone()
    };
    let wait = json!({"wait": "1h"});
    let error = refused(json!({"dialect": "standard", "batch": wait})).await;
    assert_eq!(error["pointer"], "/batch");
    assert_eq!(
        error["detail"],
        "the dialect standard says one thing at a time; these can say many: splunk_hec, elastic, email, slack, teams, http"
    );
    let error = refused(json!({"batch": wait, "ordered": "project"})).await;
    assert!(error["detail"].as_str().unwrap().contains("batch or ordered, not both"), "{error}");
    assert_eq!(refused(json!({"batch": {"wait": "1s"}})).await["pointer"], "/batch/wait");
    assert_eq!(refused(json!({"batch": {"wait": "25h"}})).await["pointer"], "/batch/wait");
    assert_eq!(refused(json!({"batch": {"wait": "1h", "max": 1}})).await["pointer"], "/batch/max");
    assert_eq!(refused(json!({"batch": {"wait": "1h", "max": 501}})).await["pointer"], "/batch/max");
    let made = endpoint(&world, json!({"dialect": "http", "ordered": true})).await;
    world.patch(&of(&world, &made, ""), json!({"batch": wait})).await.is(422);
    world.patch(&of(&world, &made, ""), json!({"batch": wait, "ordered": false})).await.is(200);
    world.patch(&of(&world, &made, ""), json!({"ordered": true})).await.is(422);
}

#[tokio::test]
async fn a_template_is_tried_before_it_is_saved() {
    let world = World::new().await;
    let given = |body: Value| json!({"url": "https://a.example.com/", "dialect": "http", "settings": {"body": body}});
    let path = world.path("/endpoints");
    let refused = async |body: Value| world.post(&path, given(body)).await.is(422).json()["errors"][0].clone();
    let error = refused(json!({"text": ["a", "b ${ titel }"]})).await;
    assert_eq!(error["pointer"], "/settings/body/text/1");
    assert_eq!(error["detail"], "line 1, column 6: titel is not known: did you mean title?");
    let error = refused(json!({"text": "${ title + 1 }"})).await;
    assert_eq!(error["pointer"], "/settings/body/text");
    assert!(error["detail"].as_str().unwrap().contains("on the sample of"), "{error}");
    let error = refused(json!("${ owner }")).await;
    assert!(error["detail"].as_str().unwrap().contains("and not owner"), "{error}");
    let body = json!({"summary": "${ data.training + '!' }"});
    let mut one = given(body.clone());
    one["events"] = json!(["training.completed"]);
    let made = world.post(&path, one).await.is(201).json();
    assert_eq!(made["settings"]["body"], body);
    let more = json!({"events": ["training.completed", "vulnerability.created"]});
    let error = world.patch(&of(&world, &made, ""), more).await.is(422).json();
    assert_eq!(error["errors"][0]["pointer"], "/settings/body/summary", "{error}");
}

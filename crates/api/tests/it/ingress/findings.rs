//! What vendors say of findings: one finding with its witnesses, told once, as the routes show it.

use rstest::rstest;
use serde_json::{Value, json};

use super::{Vendor, events, types};
use crate::world::World;

const SNYK: &str = r#"{"project":{"id":"af137b96-6966-46c1-826b-2e79ac49bbd9","name":"acme/pay(main):package-lock.json","type":"npm"},
"org":{"id":"a04d9cbd-ae6e-44af-b573-0556b0ad4bd2"},"newIssues":[{"id":"SNYK-JS-LODASH-1040724","pkgName":"lodash","pkgVersions":["4.17.20"],
"issueData":{"title":"Command Injection","severity":"high","url":"https://security.example/SNYK-JS-LODASH-1040724","language":"js",
"identifiers":{"CVE":["CVE-2021-23337"],"GHSA":["GHSA-35jh-r3h4-6jhm"]}}}],"removedIssues":[]}"#;

fn github(action: &str, at: &str) -> String {
    json!({"action": action, "repository": {"full_name": "Acme/pay"}, "alert": {
        "number": 17, "html_url": "https://github.example/Acme/pay/security/dependabot/17", "created_at": at, "updated_at": at,
        "dependency": {"package": {"ecosystem": "npm", "name": "lodash"}, "manifest_path": "package-lock.json"},
        "security_advisory": {"ghsa_id": "GHSA-35jh-r3h4-6jhm", "cve_id": "CVE-2021-23337", "summary": "Command Injection in lodash",
            "severity": "high", "identifiers": []}}})
    .to_string()
}

async fn findings(world: &World) -> Vec<Value> {
    world.get(&world.path("/findings?limit=250")).await.is(200).json()["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn two_vendors_word_is_one_finding_with_two_witnesses() {
    let world = World::new().await;
    let snyk = Vendor::new(&world, "snyk", json!({})).await;
    let hub = Vendor::new(&world, "github", json!({})).await;
    let at = world.now().to_string();
    snyk.tell(&world, "project_snapshot/v0", "t1", SNYK).await.is(200);
    hub.tell(&world, "dependabot_alert", "d1", &github("created", &at)).await.is(200);
    assert_eq!(types(&world).await, ["vulnerability.created", "project.snapshot"]);
    let found = findings(&world).await;
    assert_eq!(found.len(), 1, "{found:?}");
    let witnesses = found[0]["witnesses"].as_array().unwrap();
    let mut keys: Vec<_> = witnesses.iter().map(|witness| witness["key"].as_str().unwrap()).collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        ["github:Acme/pay:dependabot:17", "snyk:af137b96-6966-46c1-826b-2e79ac49bbd9:SNYK-JS-LODASH-1040724"]
    );
    assert_eq!(found[0]["tools"], json!(["dependabot", "snyk"]));
    assert!(witnesses.iter().all(|witness| witness["sees_it"] == true && witness["url"].is_string()));
    let projects = world.get(&world.path("/projects")).await.is(200).json();
    assert_eq!(projects["items"][0]["name"], "acme/pay");
    // The second word told nothing; its receipt says why, and is no unknown event.
    let receipt = &hub.receipts(&world).await[0];
    assert_eq!((&receipt["verdict"], &receipt["events"]), (&json!("accepted"), &json!([])));
    assert!(receipt["detail"].as_str().unwrap().contains("snyk sees it too"), "{receipt}");

    // Gone for one of them: it stays open. Gone for both: it is remediated, once, by the same id.
    world.later(60);
    let later = world.now().to_string();
    hub.tell(&world, "dependabot_alert", "d2", &github("fixed", &later)).await.is(200);
    assert_eq!(findings(&world).await[0]["status"], "open");
    let removed = SNYK
        .replace("newIssues", "x")
        .replace("removedIssues\":[]", "newIssues\":[]")
        .replace("\"x\"", "\"removedIssues\"");
    snyk.tell(&world, "project_snapshot/v0", "t2", &removed).await.is(200);
    assert_eq!(findings(&world).await[0]["status"], "remediated");
    let told = types(&world).await;
    assert_eq!(told.iter().filter(|name| *name == "vulnerability.remediated").count(), 1, "{told:?}");
    let ids: Vec<Value> = events(&world)
        .await
        .iter()
        .filter(|event| event["type"] != "project.snapshot")
        .map(|event| event["data"]["finding_id"].clone())
        .collect();
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "{ids:?}");
}

#[tokio::test]
async fn settings_say_which_project_is_meant() {
    let world = World::new().await;
    let fixed = Vendor::new(&world, "aegis", json!({"settings": {"project": "Payments"}})).await;
    let aegis = super::AEGIS.replace("2027-01-15T08:00:00Z", &world.now().to_string());
    fixed.tell(&world, "", "", &aegis).await.is(200);
    let found = findings(&world).await;
    assert_eq!(found[0]["id"].as_str().unwrap().strip_prefix("fnd_"), Some("0ef8ac7e-1b9d-48d9-82eb-2f2355ba2b31"));
    // Without a project of its own the same vendor's word goes on as it is, and makes nothing.
    let world = World::new().await;
    let plain = Vendor::new(&world, "aegis", json!({})).await;
    plain.tell(&world, "", "", &super::AEGIS.replace("2027-01-15T08:00:00Z", &world.now().to_string())).await.is(200);
    assert_eq!((types(&world).await, findings(&world).await.len()), (vec!["vulnerability.created".to_owned()], 0));
    let not = Vendor::new(&world, "snyk", json!({"settings": {"make_projects": false}})).await;
    not.tell(&world, "project_snapshot/v0", "t1", SNYK).await.is(200);
    assert!(world.get(&world.path("/projects")).await.is(200).json()["items"].as_array().unwrap().is_empty());
}

#[rstest]
#[case("snyk", json!({"project": 7}), "/settings/project")]
#[case("snyk", json!({"auth": {}}), "/settings/auth")]
#[case("custom", json!({"auth": {"kind": "hmac-sha1"}}), "/settings/auth/kind")]
#[case("custom", json!({"members": {"title": "t"}}), "/settings/members/title")]
#[case("custom", json!({"project_match": [{"name": "a"}], "auth": {}}), "/settings/project_match/0/project")]
#[tokio::test]
async fn settings_that_do_not_do_are_pointed_at(#[case] dialect: &str, #[case] settings: Value, #[case] pointer: &str) {
    let world = World::new().await;
    let given = json!({"dialect": dialect, "name": "n", "secret": "sixteen-bytes-and-more", "settings": settings});
    let refused = world.post(&world.path("/sources"), given).await;
    assert!((400..500).contains(&refused.status.as_u16()));
    assert!(refused.text().contains(pointer), "{}", refused.text());
}

#[tokio::test]
async fn a_custom_source_is_verified_and_mapped_by_its_settings() {
    let world = World::new().await;
    let settings = json!({
        "auth": {"kind": "token", "header": "X-Acme-Sesame"},
        "event": {"pointer": "/what", "values": {"new": "vulnerability.created"}},
        "members": {"finding_id": "/id", "title": "/name", "severity": "/level", "repository": "/repo"}
    });
    let vendor = Vendor::new(&world, "custom", json!({"settings": settings})).await;
    let body = json!({"what": "new", "id": 7, "name": "Bad", "level": "High", "repo": "acme/pay"}).to_string();
    let lines = |token: &str| {
        vec![("Content-Type".to_owned(), "application/json".to_owned()), ("X-Acme-Sesame".to_owned(), token.to_owned())]
    };
    vendor.call(&world, &lines("another-token-of-acme"), body.clone()).await.is(401);
    vendor.call(&world, &lines(&vendor.secret), body).await.is(200);
    let found = findings(&world).await;
    assert_eq!((&found[0]["title"], &found[0]["severity"]), (&json!("Bad"), &json!("high")));
    assert_eq!(found[0]["witnesses"][0]["key"], "7");
    // The token is in no receipt.
    let receipts = vendor.receipts(&world).await;
    assert!(!json!(receipts).to_string().contains(&vendor.secret));
}

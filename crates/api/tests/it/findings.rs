//! Findings over the API: judged, merged, looked for; and the complaints of users of other tools.

use http::Method;
use serde_json::{Value, json};
use watchbell_domain::access::Scope;
use watchbell_domain::id::OrgId;
use watchbell_domain::{SignedDuration, Timestamp};

use crate::world::{ROOT, Reply, World};

async fn project(world: &World, name: &str) -> String {
    let made = world.post(&world.path("/projects"), json!({"name": name})).await.is(201).json();
    made["id"].as_str().unwrap().to_owned()
}

/// A CycloneDX document with these vulnerabilities of lodash: each a severity and names.
fn bom(tool: &str, seen: &[(&str, &[&str])]) -> Value {
    let vulnerability = |(severity, names): &(&str, &[&str])| {
        let references: Vec<Value> = names[1..].iter().map(|name| json!({"id": name})).collect();
        json!({"id": names[0], "references": references, "ratings": [{"severity": severity}], "affects": [{"ref": "c"}]})
    };
    json!({
        "bomFormat": "CycloneDX", "specVersion": "1.6", "metadata": {"tools": [{"name": tool}]},
        "components": [{"bom-ref": "c", "name": "lodash", "version": "4.17.11", "purl": "pkg:npm/lodash@4.17.11"}],
        "vulnerabilities": seen.iter().map(vulnerability).collect::<Vec<_>>(),
    })
}

async fn scan(world: &World, project: &str, report: &Value) -> Value {
    world.later(60);
    world.post(&world.path(&format!("/projects/{project}/scans")), report.clone()).await.is(201).json()
}

async fn list(world: &World, path: &str) -> Vec<Value> {
    let listed = world.get(&world.path(path)).await.is(200).json();
    listed["items"].as_array().unwrap().clone()
}

/// The types of the events about vulnerabilities, oldest first.
async fn told(world: &World) -> Vec<String> {
    let events = list(world, "/events?limit=250").await;
    let types = events.iter().rev().map(|event| event["type"].as_str().unwrap().to_owned());
    types.filter(|event_type| event_type.starts_with("vulnerability.")).collect()
}

async fn judge(world: &World, id: &Value, verdict: Value) -> Reply {
    world.later(60);
    world.patch(&world.path(&format!("/findings/{}", id.as_str().unwrap())), verdict).await
}

async fn history(world: &World, id: &Value) -> Vec<Value> {
    list(world, &format!("/findings/{}/history", id.as_str().unwrap())).await
}

#[tokio::test]
async fn a_finding_is_judged_and_its_history_says_who_and_why() {
    let world = World::new().await;
    let shop = project(&world, "shop").await;
    scan(&world, &shop, &bom("grype", &[("high", &["CVE-2019-10744"])])).await;
    let id = list(&world, "/findings").await[0]["id"].clone();
    let until = "2027-06-01T00:00:00Z";
    let verdict = json!({"status": "accepted", "reason": "behind the firewall", "until": until});
    let accepted = judge(&world, &id, verdict.clone()).await.is(200).json();
    assert_eq!((&accepted["status"], &accepted["accepted_until"]), (&json!("accepted"), &json!(until)));
    assert_eq!(accepted["judgement"]["by"]["name"], ROOT, "the key's name");
    judge(&world, &id, verdict).await.is(200);
    let events = list(&world, "/events?type=vulnerability.suppressed").await;
    assert_eq!(events.len(), 1, "said once");
    let data = &events[0]["data"];
    assert_eq!((&data["status"], &data["reason"]), (&json!("accepted"), &json!("behind the firewall")));
    assert_eq!(data["accepted_until"], until);
    scan(&world, &shop, &bom("grype", &[("high", &["CVE-2019-10744"])])).await;
    assert_eq!(list(&world, "/findings?status=accepted").await.len(), 1, "a later scan does not undo it");
    judge(&world, &id, json!({"status": "open", "reason": "reached after all"})).await.is(200);
    let entries = history(&world, &id).await;
    let brief = |entry: &Value| (entry["from"].clone(), entry["to"].clone(), entry["by"]["kind"].clone());
    let expected = [
        (json!("accepted"), json!("open"), json!("key")),
        (json!("open"), json!("accepted"), json!("key")),
        (Value::Null, json!("open"), json!("scan")),
    ];
    assert_eq!(entries.iter().map(brief).collect::<Vec<_>>(), expected);
    assert_eq!((&entries[0]["reason"], &entries[0]["number"]), (&json!("reached after all"), &json!(3)));
    assert_eq!(entries[2]["by"]["name"], "grype");
    assert_eq!(told(&world).await, ["vulnerability.created", "vulnerability.suppressed", "vulnerability.reopened"]);
}

#[tokio::test]
async fn what_cannot_be_said_is_refused_with_its_place() {
    let world = World::new().await;
    let shop = project(&world, "shop").await;
    scan(&world, &shop, &bom("grype", &[("high", &["CVE-2019-10744"])])).await;
    let id = list(&world, "/findings").await[0]["id"].clone();
    for (verdict, pointer) in [
        (json!({"status": "remediated"}), "/status"),
        (json!({"status": "lost"}), "/status"),
        (json!({"status": "suppressed", "until": "2030-01-01T00:00:00Z"}), "/until"),
        (json!({"status": "accepted", "until": "2020-01-01T00:00:00Z"}), "/until"),
        (json!({"status": "accepted", "reason": "x".repeat(2_001)}), "/reason"),
    ] {
        let refused = judge(&world, &id, verdict.clone()).await.is(422);
        assert_eq!(refused.json()["errors"][0]["pointer"], pointer, "{verdict}");
    }
    assert_eq!(history(&world, &id).await.len(), 1);
    for query in ["status=lost", "severity=grave", "project=x", "limit=0"] {
        world.get(&world.path(&format!("/findings?{query}"))).await.is(400);
    }
}

#[tokio::test]
async fn a_verdict_is_given_once_with_its_key() {
    let world = World::new().await;
    let shop = project(&world, "shop").await;
    scan(&world, &shop, &bom("grype", &[("high", &["CVE-2019-10744"])])).await;
    let id = list(&world, "/findings").await[0]["id"].as_str().unwrap().to_owned();
    let path = world.path(&format!("/findings/{id}"));
    let send = async |body: Value| {
        let mut request = crate::world::request(ROOT, Method::PATCH, &path, Some(body.to_string()));
        request.headers_mut().insert("idempotency-key", "k".parse().unwrap());
        world.send(request).await
    };
    let first = send(json!({"status": "suppressed"})).await.is(200);
    judge(&world, &json!(id), json!({"status": "open"})).await.is(200);
    let again = send(json!({"status": "suppressed"})).await.is(200);
    assert_eq!(first.body, again.body);
    assert_eq!(world.get(&path).await.json()["status"], "open", "it was not done again");
    send(json!({"status": "accepted"})).await.is(409);
}

#[tokio::test]
async fn the_organisations_findings_are_filtered() {
    let world = World::new().await;
    let (shop, site) = (project(&world, "shop").await, project(&world, "site").await);
    scan(&world, &shop, &bom("grype", &[("high", &["CVE-2019-10744", "GHSA-jf85-cpcp-j695"])])).await;
    scan(&world, &site, &bom("grype", &[("low", &["CVE-2020-8203"])])).await;
    for (query, expected) in [
        ("", 2),
        ("?severity=low", 1),
        ("?cve=cve-2019-10744", 1),
        ("?cve=GHSA-JF85-CPCP-J695", 1),
        ("?cve=CVE-2000-0001", 0),
        ("?component=lodash", 2),
        ("?component=pkg:npm/lodash", 2),
        ("?component=lodas", 0),
        ("?status=open&severity=high", 1),
        ("?status=remediated", 0),
    ] {
        assert_eq!(list(&world, &format!("/findings{query}")).await.len(), expected, "{query}");
    }
    assert_eq!(list(&world, &format!("/findings?project={site}")).await[0]["cve_id"], "CVE-2020-8203");
    let first = world.get(&world.path("/findings?limit=1")).await.is(200).json();
    let cursor = first["next_cursor"].as_str().unwrap();
    assert_eq!(list(&world, &format!("/findings?limit=1&cursor={cursor}")).await.len(), 1);
}

/// One vulnerability announced under its CVE and its GHSA name.
#[tokio::test]
async fn one_vulnerability_under_two_names_is_one() {
    let world = World::new().await;
    let shop = project(&world, "shop").await;
    scan(&world, &shop, &bom("grype", &[("high", &["GHSA-jf85-cpcp-j695"])])).await;
    let elder = list(&world, "/findings").await[0]["id"].clone();
    scan(&world, &shop, &bom("trivy", &[("high", &["CVE-2019-10744"])])).await;
    let both = list(&world, "/findings").await;
    assert_eq!(both.len(), 2, "nobody knows yet");
    let younger = both[0]["id"].clone();
    scan(&world, &shop, &bom("osv", &[("high", &["CVE-2019-10744", "GHSA-jf85-cpcp-j695"])])).await;
    let one = list(&world, "/findings").await;
    assert_eq!((one.len(), &one[0]["id"]), (1, &elder));
    assert_eq!(one[0]["tools"], json!(["grype", "osv", "trivy"]));
    let led = world.get(&world.path(&format!("/findings/{}", younger.as_str().unwrap()))).await.is(200).json();
    assert_eq!(led["id"], elder, "the old id leads there");
    assert_eq!(history(&world, &younger).await, history(&world, &elder).await);
    assert_eq!(history(&world, &elder).await.len(), 3, "both histories, and how they became one");
    let expected = ["vulnerability.created", "vulnerability.created", "vulnerability.changed"];
    assert_eq!(told(&world).await, expected, "nothing was remediated");
    judge(&world, &younger, json!({"status": "false_positive"})).await.is(200);
    assert_eq!(list(&world, "/findings?status=false_positive").await.len(), 1);
}

/// Events before de-duplication has finished: what one report says twice is told once, and only when it is weighed whole.
#[tokio::test]
async fn events_leave_when_the_whole_scan_is_weighed() {
    let world = World::new().await;
    let shop = project(&world, "shop").await;
    let names: [&[&str]; 3] =
        [&["GHSA-jf85-cpcp-j695"], &["CVE-2019-10744"], &["SNYK-1", "CVE-2019-10744", "GHSA-jf85-cpcp-j695"]];
    let twice = bom("grype", &names.map(|names| ("high", names)));
    let scanned = scan(&world, &shop, &twice).await;
    assert_eq!(
        (&scanned["findings_new"], told(&world).await.as_slice()),
        (&json!(1), ["vulnerability.created".to_owned()].as_slice())
    );
    let event = &list(&world, "/events?type=vulnerability.created").await[0];
    assert_eq!(event["data"]["cve_id"], "CVE-2019-10744");
    // The state and its events are one commit: a finding that is seen has been told, and the other way round.
    assert_eq!(
        event["data"]["finding_id"],
        list(&world, "/findings").await[0]["id"].as_str().unwrap().trim_start_matches("fnd_")
    );
}

/// Alerts that carry another project's data.
#[tokio::test]
async fn projects_keep_to_themselves() {
    let world = World::new().await;
    let (shop, site) = (project(&world, "shop").await, project(&world, "site").await);
    let report = bom("grype", &[("high", &["CVE-2019-10744"])]);
    scan(&world, &shop, &report).await;
    scan(&world, &site, &report).await;
    let id = list(&world, &format!("/findings?project={shop}")).await[0]["id"].clone();
    judge(&world, &id, json!({"status": "suppressed"})).await.is(200);
    scan(&world, &site, &bom("grype", &[])).await;
    scan(&world, &site, &report).await;
    for (project, expected) in [(&shop, 2), (&site, 3)] {
        let events = list(&world, &format!("/events?project={project}&limit=250")).await;
        let about = events.iter().filter(|event| event["type"].as_str().unwrap().starts_with("vulnerability."));
        let bare = project.trim_start_matches("prj_");
        let about: Vec<_> = about.inspect(|event| assert_eq!(event["data"]["project_id"], bare)).collect();
        assert_eq!(about.len(), expected);
    }
    let of = async |project: String| list(&world, &format!("/projects/{project}/findings")).await;
    assert_eq!(of(shop).await[0]["status"], "suppressed");
    assert_eq!(of(site).await[0]["status"], "open");
}

/// No event for accepted risk, and no filter by severity.
#[tokio::test]
async fn endpoints_hear_of_accepted_risk_and_not_of_what_is_mild() {
    let world = World::new().await;
    let given =
        json!({"url": "https://a.example.com/", "dialect": "standard", "min_severity": "high", "storm_threshold": 3});
    let endpoint = world.post(&world.path("/endpoints"), given).await.is(201).json();
    assert_eq!((&endpoint["min_severity"], &endpoint["storm_threshold"]), (&json!("high"), &json!(3)));
    let shop = project(&world, "shop").await;
    scan(&world, &shop, &bom("grype", &[("high", &["V-1"]), ("low", &["V-2"])])).await;
    let skipped = async |severity: &str| {
        let events = list(&world, "/events?type=vulnerability.created").await;
        let id = events.iter().find(|event| event["data"]["severity"] == severity).unwrap()["id"].clone();
        let shown = world.get(&world.path(&format!("/events/{}", id.as_str().unwrap()))).await.is(200).json();
        shown["skipped"][0]["reason"].clone()
    };
    assert_eq!((skipped("low").await, skipped("high").await), (json!("filtered"), Value::Null));
    let id = list(&world, "/findings?severity=high").await[0]["id"].clone();
    judge(&world, &id, json!({"status": "accepted", "reason": "ours to take"})).await.is(200);
    let deliveries = list(&world, "/deliveries").await;
    // scan.completed, created, suppressed.
    assert_eq!(deliveries.len(), 3);
    let path = world.path(&format!("/endpoints/{}", endpoint["id"].as_str().unwrap()));
    let changed = world.patch(&path, json!({"min_severity": null, "storm_threshold": "off"})).await.is(200).json();
    assert_eq!((&changed["min_severity"], &changed["storm_threshold"]), (&Value::Null, &json!("off")));
    for wrong in [json!({"min_severity": "grave"}), json!({"storm_threshold": 0}), json!({"storm_threshold": "on"})] {
        world.patch(&path, wrong).await.is(422);
    }
}

#[tokio::test]
async fn a_storm_is_one_digest_beside_the_snapshot() {
    let world = World::new().await;
    for given in [
        json!({"url": "https://a.example.com/", "dialect": "standard", "events": ["vulnerability.created"]}),
        json!({"url": "https://b.example.com/", "dialect": "standard", "storm_threshold": "off"}),
        json!({"url": "https://c.example.com/", "dialect": "symbiotic", "secret": "00112233445566778899aabbccddeeff"}),
    ] {
        world.post(&world.path("/endpoints"), given).await.is(201);
    }
    let shop = project(&world, "shop").await;
    scan(&world, &shop, &bom("grype", &[])).await;
    let names: Vec<String> = (0..101).map(|n| format!("V-{n}")).collect();
    let named: Vec<[&str; 1]> = names.iter().map(|name| [name.as_str()]).collect();
    let seen: Vec<(&str, &[&str])> = named.iter().map(|name| ("medium", name.as_slice())).collect();
    scan(&world, &shop, &bom("grype", &seen)).await;
    let digests = list(&world, "/events?type=scan.digest").await;
    assert_eq!((digests.len(), &digests[0]["data"]["new_findings"]), (1, &json!(101)));
    assert_eq!(list(&world, "/events?type=project.snapshot").await.len(), 1);
    let endpoints = list(&world, "/endpoints").await;
    let of = async |host: &str| {
        let endpoint = endpoints.iter().find(|endpoint| endpoint["url"].as_str().unwrap().contains(host)).unwrap();
        list(&world, &format!("/deliveries?limit=250&endpoint={}", endpoint["id"].as_str().unwrap())).await.len()
    };
    assert_eq!(of("a.example").await, 1, "the digest alone");
    assert_eq!(of("b.example").await, 101 + 3, "each, two scans and a snapshot");
    assert_eq!(of("c.example").await, 101, "its vendor has no digest");
    let event = list(&world, "/events?type=vulnerability.created&limit=1").await[0]["id"].clone();
    let shown = world.get(&world.path(&format!("/events/{}", event.as_str().unwrap()))).await.is(200).json();
    assert_eq!(shown["skipped"][0]["reason"], "digested");
}

#[tokio::test]
async fn a_late_scan_is_put_where_it_belongs() {
    let world = World::new().await;
    let shop = project(&world, "shop").await;
    let report = bom("grype", &[("high", &["CVE-2019-10744"])]);
    scan(&world, &shop, &report).await;
    scan(&world, &shop, &bom("grype", &[])).await;
    let yesterday: Timestamp = Timestamp::from_second(1_800_000_000).unwrap() - SignedDuration::from_hours(24);
    let path = world.path(&format!("/projects/{shop}/scans?scanned_at={yesterday}"));
    world.post(&path, report).await.is(201);
    let finding = &list(&world, "/findings").await[0];
    assert_eq!((&finding["status"], &finding["first_seen_at"]), (&json!("remediated"), &json!(yesterday.to_string())));
    assert_eq!(told(&world).await, ["vulnerability.created", "vulnerability.remediated"]);
    world.post(&world.path(&format!("/projects/{shop}/scans?scanned_at=then")), json!({})).await.is(400);
}

#[tokio::test]
async fn findings_of_another_organisation_are_not_there() {
    let world = World::new().await;
    let shop = project(&world, "shop").await;
    scan(&world, &shop, &bom("grype", &[("high", &["CVE-2019-10744"])])).await;
    let id = list(&world, "/findings").await[0]["id"].as_str().unwrap().to_owned();
    let other: OrgId = "0192f0c1-0000-7000-8000-0000000000b0".parse().unwrap();
    world.add_org(other, "other").await;
    let scopes = [Scope::FindingsRead, Scope::FindingsWrite];
    world.add_key("theirs", Some(other), &scopes).await;
    let random = "fnd_0192f0c1-0000-7000-8000-00000000dead";
    for (method, rest, body) in [
        (Method::GET, "", None),
        (Method::GET, "/history", None),
        (Method::PATCH, "", Some(json!({"status": "suppressed"}).to_string())),
    ] {
        for org in [other, world.org] {
            let call = async |id: &str| {
                let path = format!("/api/v1/orgs/{org}/findings/{id}{rest}");
                world.call("theirs", method.clone(), &path, body.clone()).await.is(404).without_request_id()
            };
            assert_eq!(call(&id).await, call(random).await);
        }
    }
    let path = format!("/api/v1/orgs/{other}/findings?project={shop}");
    let listed = world.call("theirs", Method::GET, &path, None).await.is(200).json();
    assert_eq!(listed["items"], json!([]));
    // Who may only read does not judge.
    world.add_key("reader", Some(world.org), &[Scope::FindingsRead, Scope::ProjectsRead, Scope::ProjectsWrite]).await;
    let path = world.path(&format!("/findings/{id}"));
    world.call("reader", Method::PATCH, &path, Some(json!({"status": "suppressed"}).to_string())).await.is(403);
    world.call("reader", Method::GET, &path, None).await.is(200);
    assert_eq!(list(&world, "/findings").await[0]["status"], "open");
}

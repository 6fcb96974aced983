//! What several vendors say of one vulnerability, in every order.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::json;
use watchbell_wire::event::Component;

use super::*;
use crate::SignedDuration;
use crate::finding::Observation;
use crate::id::{OrgId, ProjectId};
use crate::port::testing::SeededEntropy;

fn at(hour: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap() + SignedDuration::from_hours(hour)
}

fn source(number: u128) -> SourceId {
    SourceId(uuid::Uuid::from_u128(number))
}

const SNYK: u128 = 1;
const GITHUB: u128 = 2;

/// A project whose store is a list.
struct Shop {
    project: Project,
    findings: Vec<Finding>,
    history: Vec<FindingChange>,
    told: Vec<(EventType, Value)>,
    notes: Vec<String>,
    entropy: SeededEntropy,
    tells_critical: bool,
    retells: bool,
}

impl Shop {
    fn new() -> Self {
        let entropy = SeededEntropy::new(3);
        let project = Project {
            owner: None,
            labels: std::collections::BTreeMap::new(),
            id: ProjectId::make(at(0), &entropy),
            org_id: OrgId::make(at(0), &entropy),
            name: "acme/pay".to_owned(),
            created_at: at(0),
            version: 0,
            last_scan_at: None,
        };
        Self {
            project,
            findings: Vec::new(),
            history: Vec::new(),
            told: Vec::new(),
            notes: Vec::new(),
            entropy,
            tells_critical: true,
            retells: false,
        }
    }

    fn hear(&mut self, who: u128, said: &Testimony) {
        let hearing = Hearing {
            source_id: source(who),
            received_at: at(1_000),
            hops: 0,
            tells_critical: self.tells_critical,
            retells: self.retells,
        };
        // As the store would: only those that its digests lead to.
        let wanted = said.digests(source(who));
        let led = self.findings.iter().filter(|finding| finding.digests().iter().any(|one| wanted.contains(one)));
        let known: Vec<Finding> = led.cloned().collect();
        let heard = hear(&self.project, &known, said, &hearing, &self.entropy);
        for finding in heard.findings {
            self.findings.retain(|known| known.id != finding.id);
            self.findings.push(finding);
        }
        self.findings.retain(|finding| finding.merged_into.is_none());
        self.history.extend(heard.change);
        let told = |new: NewEvent| (new.event.event_type, new.event.data.typed::<Value>().unwrap());
        self.told.extend(heard.events.into_iter().map(told));
        self.notes.extend(heard.note);
    }

    fn only(&self) -> &Finding {
        assert_eq!(self.findings.len(), 1, "{:#?}", self.findings);
        &self.findings[0]
    }

    fn types(&self) -> Vec<&str> {
        self.told.iter().map(|(event_type, _)| event_type.as_str()).collect()
    }

    /// All that is known, without ids and what is first said of what.
    fn known(&self) -> Vec<String> {
        let mut known: Vec<String> = self
            .findings
            .iter()
            .map(|finding| {
                format!(
                    "{:?}",
                    (
                        &finding.names,
                        finding.status,
                        &finding.observation,
                        finding
                            .sights
                            .iter()
                            .map(|(key, sight)| (key, sight.since, sight.at, sight.there, &sight.observation))
                            .collect::<Vec<_>>(),
                        finding.first_seen_at,
                        finding.last_seen_at,
                        finding.remediated_at,
                    )
                )
            })
            .collect();
        known.sort();
        known
    }
}

fn said(kind: EventType, key: &str, names: &[&str], hour: i64) -> Testimony {
    let data = json!({
        "finding_key": key, "title": format!("{key} at {hour}"), "severity": "high", "aliases": names,
        "component": {"name": "lodash", "purl": "pkg:npm/lodash"}, "repository": "acme/pay", "tool": key.split(':').next(),
        "url": format!("https://vendor.example/{key}"), "vendor_says": 1.10,
    });
    read(kind, data, hour)
}

fn read(event_type: EventType, data: Value, hour: i64) -> Testimony {
    let data = Data::from_text(data.to_string()).unwrap();
    let event = Event { id: uuid::Uuid::nil(), event_type, occurred_at: at(hour), data };
    Testimony::read(&event, "vendor", at(1_000)).unwrap()
}

use EventType::{
    VulnerabilityChanged as Changed, VulnerabilityCreated as Created, VulnerabilityCritical as Critical,
    VulnerabilityRemediated as Remediated, VulnerabilityReopened as Reopened, VulnerabilitySuppressed as Suppressed,
};

#[test]
fn two_vendors_word_on_one_cve_is_one_finding_with_two_witnesses() {
    let mut shop = Shop::new();
    shop.hear(SNYK, &said(Created, "snyk:p:i", &["SNYK-JS-1", "CVE-2021-23337"], 1));
    shop.hear(GITHUB, &said(Created, "github:acme/pay:dependabot:17", &["GHSA-35jh-r3h4-6jhm", "cve-2021-23337"], 2));
    let finding = shop.only();
    assert_eq!(finding.status, FindingStatus::Open);
    assert_eq!(shop.types(), ["vulnerability.created"]);
    assert_eq!(shop.history.len(), 1);
    let witnesses: Vec<_> = finding.sights.values().filter_map(|sight| sight.witness.clone()).collect();
    let keys: Vec<_> = witnesses.iter().map(|witness| witness.key.as_str()).collect();
    assert_eq!(keys, ["snyk:p:i", "github:acme/pay:dependabot:17"]);
    assert_eq!(witnesses[1].url.as_deref(), Some("https://vendor.example/github:acme/pay:dependabot:17"));
    assert_eq!(finding.cve_id(), Some("CVE-2021-23337"));
    assert!(shop.notes[0].contains("it was known, snyk sees it too"), "{:?}", shop.notes);
}

#[test]
fn it_is_gone_when_the_last_witness_no_longer_sees_it() {
    let mut shop = Shop::new();
    shop.hear(SNYK, &said(Created, "snyk:p:i", &["CVE-1"], 1));
    shop.hear(GITHUB, &said(Created, "github:17", &["CVE-1"], 2));
    shop.hear(GITHUB, &said(Remediated, "github:17", &["CVE-1"], 3));
    assert_eq!(shop.only().status, FindingStatus::Open);
    assert_eq!(shop.types(), ["vulnerability.created"]);
    assert!(shop.notes[1].contains("github no longer sees it, snyk still does"), "{:?}", shop.notes);
    shop.hear(SNYK, &said(Remediated, "snyk:p:i", &["CVE-1"], 4));
    assert_eq!((shop.only().status, shop.only().remediated_at), (FindingStatus::Remediated, Some(at(4))));
    assert_eq!(shop.types(), ["vulnerability.created", "vulnerability.remediated"]);
    shop.hear(GITHUB, &said(Reopened, "github:17", &["CVE-1"], 5));
    assert_eq!(shop.types().last(), Some(&"vulnerability.reopened"));
    let standing: Vec<_> = shop.history.iter().map(|change| (change.number, change.to, change.by.kind())).collect();
    let (open, gone) = (FindingStatus::Open, FindingStatus::Remediated);
    assert_eq!(standing, [(1, open, "source"), (2, gone, "source"), (3, open, "source")]);
}

#[test]
fn what_is_told_is_the_vendors_data_about_our_finding() {
    let mut shop = Shop::new();
    shop.hear(SNYK, &said(Created, "snyk:p:i", &["SNYK-JS-1", "CVE-2021-1"], 1));
    let (_, data) = &shop.told[0];
    assert_eq!(data["finding_id"], shop.only().id.bare());
    assert_eq!(data["project_id"], shop.project.id.bare());
    assert_eq!(data["cve_id"], "CVE-2021-1");
    assert_eq!(data["vendor_says"].to_string(), "1.1");
    assert_eq!(data["title"], "snyk:p:i at 1");
    assert_eq!(data["status"], "open");
    watchbell_wire::event::check(&Created, &Data::from_text(data.to_string()).unwrap()).unwrap();
}

#[test]
fn a_dismissal_counts_until_it_is_lifted_and_its_reason_is_told_as_it_is() {
    let mut shop = Shop::new();
    shop.hear(SNYK, &said(Created, "snyk:p:i", &["CVE-1"], 1));
    shop.hear(GITHUB, &said(Created, "github:17", &["CVE-1"], 2));
    let mut data = said(Suppressed, "github:17", &["CVE-1"], 3).data.typed::<Value>().unwrap();
    data["status"] = "false_positive".into();
    data["reason"] = "not reachable".into();
    shop.hear(GITHUB, &read(Suppressed, data, 3));
    assert_eq!(shop.only().status, FindingStatus::Suppressed);
    let (_, told) = shop.told.last().unwrap();
    assert_eq!((&told["status"], &told["reason"]), (&json!("false_positive"), &json!("not reachable")));
    assert_eq!(shop.history.last().unwrap().reason, "not reachable");
    // A word that says nothing of its life leaves it so.
    shop.hear(GITHUB, &said(Changed, "github:17", &["CVE-1"], 4));
    assert_eq!(shop.only().status, FindingStatus::Suppressed);
    shop.hear(GITHUB, &said(Reopened, "github:17", &["CVE-1"], 5));
    assert_eq!(shop.only().status, FindingStatus::Open);
    assert_eq!(shop.types(), ["vulnerability.created", "vulnerability.suppressed", "vulnerability.reopened"]);
}

#[test]
fn a_name_that_joins_two_findings_makes_them_one() {
    let mut shop = Shop::new();
    shop.hear(SNYK, &said(Created, "snyk:p:i", &["SNYK-JS-1"], 1));
    shop.hear(GITHUB, &said(Created, "github:17", &["CVE-1"], 2));
    assert_eq!(shop.findings.len(), 2);
    let (elder, younger) = (shop.findings[0].id, shop.findings[1].id);
    shop.hear(SNYK, &said(Changed, "snyk:p:i", &["SNYK-JS-1", "CVE-1"], 3));
    assert_eq!(shop.only().id, elder);
    assert_eq!(shop.types(), ["vulnerability.created", "vulnerability.created", "vulnerability.changed"]);
    assert_eq!(shop.told[2].1["merged_finding_ids"], json!([younger.bare()]));
}

#[test]
fn records_in_code_are_their_vendors_own() {
    let mut shop = Shop::new();
    let code =
        |key: &str| json!({"finding_key": key, "rule_id": "js/xss", "resource_path": "a.js:3", "severity": "low"});
    shop.hear(GITHUB, &read(Created, code("github:acme/pay:code-scanning:1"), 1));
    shop.hear(GITHUB, &read(Created, code("github:acme/pay:code-scanning:2"), 1));
    assert_eq!(shop.findings.len(), 2);
    shop.hear(GITHUB, &read(Remediated, json!({"finding_key": "github:acme/pay:code-scanning:1"}), 2));
    let gone: Vec<_> = shop.findings.iter().filter(|one| one.status == FindingStatus::Remediated).collect();
    assert_eq!(gone.len(), 1);
    assert_eq!(gone[0].observation.rule_id, "js/xss");
}

#[test]
fn gone_that_nobody_knew_is_told_and_an_older_word_does_not_bring_it_back() {
    let mut shop = Shop::new();
    shop.hear(SNYK, &said(Remediated, "snyk:p:i", &["CVE-1"], 4));
    shop.hear(SNYK, &said(Created, "snyk:p:i", &["CVE-1"], 1));
    assert_eq!(shop.only().status, FindingStatus::Remediated);
    assert_eq!(shop.types(), ["vulnerability.remediated"]);
    assert!(shop.notes[0].contains("something newer"), "{:?}", shop.notes);
}

#[test]
fn critical_is_told_once_beside_created() {
    let critical = |key: &str, kind: EventType, hour| {
        let mut data = said(kind.clone(), key, &["CVE-1"], hour).data.typed::<Value>().unwrap();
        data["severity"] = "critical".into();
        read(kind, data, hour)
    };
    let both = ["vulnerability.created", "vulnerability.critical"];
    let mut shop = Shop::new();
    shop.hear(SNYK, &critical("snyk:p:i", Created, 1));
    assert_eq!(shop.types(), both);
    // A vendor with a word of its own for it, in either order.
    for order in [[Created, Critical], [Critical, Created]] {
        let mut shop = Shop { tells_critical: false, ..Shop::new() };
        for kind in order.into_iter().chain([Critical, Created]) {
            shop.hear(SNYK, &critical("aegis:1", kind, 1));
        }
        assert_eq!(shop.types(), both);
    }
    shop.tells_critical = false;
    shop.hear(GITHUB, &critical("aegis:1", Critical, 2));
    assert_eq!(shop.types(), both);
}

#[test]
fn a_stated_id_is_the_findings_and_a_replay_tells_again() {
    let mut shop = Shop::new();
    let id = "0190a000-0000-7000-8000-000000000001";
    let data = json!({"finding_id": id, "rule_id": "r", "resource_path": "main.tf", "severity": "low"});
    shop.hear(SNYK, &read(Created, data.clone(), 1));
    assert_eq!(shop.only().id.bare(), id);
    shop.hear(SNYK, &read(Created, data.clone(), 1));
    assert_eq!(shop.types(), ["vulnerability.created"]);
    shop.retells = true;
    shop.hear(SNYK, &read(Created, data, 1));
    assert_eq!(shop.types(), ["vulnerability.created", "vulnerability.created"]);
    assert_eq!(shop.history.len(), 1);
}

#[test]
fn an_event_that_says_too_little_is_no_testimony() {
    let event = |data: Value| Event {
        id: uuid::Uuid::nil(),
        event_type: Created,
        occurred_at: at(1),
        data: Data::from_text(data.to_string()).unwrap(),
    };
    assert!(Testimony::read(&event(json!({"severity": "low"})), "v", at(2)).is_none());
    assert!(Testimony::read(&event(json!({"cve_id": "CVE-1"})), "v", at(2)).is_none());
    let placed = event(json!({"cve_id": "CVE-1", "component": {"name": "a"}}));
    let first = Testimony::read(&placed, "v", at(2)).unwrap();
    assert_eq!(first.key, Testimony::read(&placed, "v", at(3)).unwrap().key);
    let ahead = Event { occurred_at: at(50), ..placed };
    assert_eq!(Testimony::read(&ahead, "v", at(2)).unwrap().at, at(2));
}

fn word() -> impl Strategy<Value = (u128, Testimony)> {
    let kinds = prop::sample::select(vec![Created, Remediated, Reopened, Suppressed]);
    let names = prop::sample::subsequence(vec!["CVE-1", "GHSA-1", "SNYK-1"], 1..3);
    (1..4u128, 0..2usize, kinds, names, 1..9i64)
        .prop_map(|(who, record, kind, names, hour)| (who, said(kind, &format!("v{who}:{record}"), &names, hour)))
}

/// Of one witness at one time there is one word: what it says twice at once is nobody's order.
fn words() -> impl Strategy<Value = Vec<(u128, Testimony)>> {
    prop::collection::vec(word(), 1..9).prop_map(|words| {
        let mut seen = BTreeSet::new();
        words.into_iter().filter(|(who, said)| seen.insert((*who, said.key.clone(), said.at))).collect()
    })
}

proptest! {
    #[test]
    fn the_order_of_witnesses_plays_no_part(words in words(), seed in any::<u64>()) {
        let mut other = words.clone();
        // A permutation by the seed.
        other.sort_by_cached_key(|(who, said)| {
            use sha2::Digest as _;
            sha2::Sha256::digest(format!("{seed} {who} {} {}", said.key, said.at)).to_vec()
        });
        let known = |words: &[(u128, Testimony)]| {
            let mut shop = Shop::new();
            words.iter().for_each(|(who, said)| shop.hear(*who, said));
            shop.known()
        };
        prop_assert_eq!(known(&words), known(&other));
    }

    #[test]
    fn twice_is_once(words in words()) {
        let mut shop = Shop::new();
        for (who, said) in &words {
            shop.hear(*who, said);
            let (before, told) = (shop.findings.clone(), shop.told.len());
            shop.hear(*who, said);
            prop_assert_eq!(&shop.findings, &before);
            prop_assert_eq!((shop.told.len(), shop.history.len()), (told, shop.history.len()));
        }
    }

    #[test]
    fn the_history_leads_to_where_each_finding_stands(words in words()) {
        let mut shop = Shop::new();
        words.iter().for_each(|(who, said)| shop.hear(*who, said));
        for finding in &shop.findings {
            let last = shop.history.iter().rfind(|change| change.finding_id == finding.id).unwrap();
            prop_assert_eq!(last.to, finding.status);
            prop_assert_eq!(last.number, finding.changes);
            let is_there = finding.sights.values().any(|sight| sight.there);
            prop_assert_eq!(is_there, finding.status != FindingStatus::Remediated);
        }
    }
}

#[test]
fn a_component_of_another_name_is_another_finding() {
    let mut shop = Shop::new();
    shop.hear(SNYK, &said(Created, "snyk:p:i", &["CVE-1"], 1));
    let mut other = said(Created, "github:17", &["CVE-1"], 2);
    other.observation = Observation {
        component: Some(Component {
            name: "lodash-es".to_owned(),
            version: None,
            purl: Some("pkg:npm/lodash-es".to_owned()),
        }),
        ..other.observation
    };
    shop.hear(GITHUB, &other);
    assert_eq!(shop.findings.len(), 2);
}

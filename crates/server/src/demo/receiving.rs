//! The second act, the other way round: vendors call, and the right people are told.
//!
//! ```text
//!  Snyk: a snapshot with CVE-2021-44228          ─▶ a card, a message, a page, an OCSF record, a CEF line
//!  GitHub: Dependabot's alert of the same        ─▶ one finding, now with two witnesses; nobody is told again
//!  somebody without the secret: "it is fixed"    ─▶ 401; the receipt says why, and nothing happens
//!  GitHub with Snyk's secret by mistake          ─▶ 401; the diagnosis says so
//!  GitHub: fixed                                 ─▶ Snyk still sees it: it stays open
//!  Snyk: gone                                    ─▶ remediated; the page ends, the records are closed, once
//! ```
//!
//! It plays in an organisation of its own, so that what the others' endpoints are told stays theirs. Each step is verified:
//! how the vendor was answered, what the receipt says, what was told to whom, what the API shows.

use serde_json::{Value, json};
use watchbell_domain::port::Clock;
use watchbell_wire::Key;

use super::play::{Play, Seen, expect, member, named};
use super::receiver::Verdict;
use super::vendors::{self, CVE, Call, REPOSITORY, Vendor};
use super::{Error, services};

const ORG: &str = "acme";

/// What begins, in each service's own word.
const BEGINS: [(&str, &str); 5] = [
    ("teams", "vulnerability.created"),
    ("slack", "vulnerability.created"),
    ("pagerduty", "trigger"),
    ("ocsf", "Vulnerability Finding: Create"),
    ("cef", "vulnerability.created"),
];

/// What ends.
const ENDS: [(&str, &str); 5] = [
    ("teams", "vulnerability.remediated"),
    ("slack", "vulnerability.remediated"),
    ("pagerduty", "resolve"),
    ("ocsf", "Vulnerability Finding: Close"),
    ("cef", "vulnerability.remediated"),
];

pub(super) async fn perform(play: &mut Play<'_>) -> Result<(), Error> {
    let vendors = open(play).await?;
    let found = found(play, &vendors).await?;
    seen_twice(play, &vendors, &found).await?;
    forged(play, &vendors, &found).await?;
    fixed(play, &vendors, &found).await?;
    play.stage.go_home();
    Ok(())
}

/// Who calls.
struct Vendors {
    snyk: Vendor,
    github: Vendor,
}

/// What the act follows.
struct Found {
    /// The finding's id.
    id: String,
    project: String,
    /// What the services file it under, in their order.
    matters: Vec<Option<String>>,
}

/// What became of a request: the receipt that the server keeps of it.
struct Receipt(Value);

impl Receipt {
    fn of(&self, name: &str) -> String {
        member(&self.0, name)
    }
}

async fn open(play: &mut Play<'_>) -> Result<Vendors, Error> {
    play.show.chapter("The other way round: vendors call, and the right people are told");
    play.stage.found(ORG, "Acme").await?;
    let vendors =
        Vendors { snyk: Vendor::register(play, "snyk").await?, github: Vendor::register(play, "github").await? };
    for vendor in [&vendors.snyk, &vendors.github] {
        play.show.registered(vendor.dialect.id, "calls", &vendor.url);
    }
    for service in services::ALL {
        play.stage.subscribe(service).await?;
        play.show.registered(service.dialect, "tells", service.who);
    }
    Ok(vendors)
}

async fn found(play: &mut Play<'_>, vendors: &Vendors) -> Result<Found, Error> {
    play.show.chapter(&format!("Snyk has tested {REPOSITORY}, and found {CVE}"));
    let call = vendors::snapshot("one new issue", &[vendors::issue()], &[]);
    accepted(play, &vendors.snyk, &call, 3).await?;
    let told = play.each_told(&BEGINS).await?;
    play.show.seen_there(&told);
    let projects = play.list("/projects", &[]).await?;
    let [project] = projects.as_slice() else {
        return Err(Error::NotVerified(format!("{} projects were made, in place of one", projects.len())));
    };
    expect("the project", project, &[("name", REPOSITORY)])?;
    let project = member(project, "id");
    let finding = named(play, &project, CVE).await?;
    expect("the finding", &finding, &[("status", "open"), ("severity", "critical")])?;
    let id = member(&finding, "id");
    let matters = matters(&told);
    let is_of_it = |matter: &String| matter.ends_with(id.trim_start_matches("fnd_"));
    if matters.iter().flatten().filter(|matter| is_of_it(matter)).count() != 3 {
        return Err(Error::NotVerified(format!("page, record and line are not filed under {id}: {matters:?}")));
    }
    play.show.holds(&format!("{CVE} is open in {REPOSITORY}; all five were told once"));
    Ok(Found { id, project, matters })
}

async fn seen_twice(play: &mut Play<'_>, vendors: &Vendors, found: &Found) -> Result<(), Error> {
    play.pass(1);
    play.show.chapter("The next day Dependabot raises its alert of the same, at GitHub");
    let now = play.stage.clock.now();
    accepted(play, &vendors.github, &vendors::alert("created", "created", now, now), 0).await?;
    play.each_told(&[]).await?;
    let finding = named(play, &found.project, CVE).await?;
    expect("the finding by GitHub's word", &finding, &[("id", &found.id), ("status", "open")])?;
    let witnesses = witnesses(&finding);
    let [(_, true), (_, true)] = witnesses.as_slice() else {
        return Err(Error::NotVerified(format!("the finding has other witnesses than two: {witnesses:?}")));
    };
    play.show.holds("one finding with two witnesses; nobody is told of it again");
    play.show.witnesses(&witnesses);
    Ok(())
}

async fn forged(play: &mut Play<'_>, vendors: &Vendors, found: &Found) -> Result<(), Error> {
    let now = play.stage.clock.now();
    let call = vendors::alert("fixed", "fixed", now, now);
    play.show.chapter("Somebody found out the address, and says in GitHub's name that it is fixed");
    let forgers = vendors.github.other_key(play)?;
    refused(play, &vendors.github, &call, &forgers, "nothing_fits").await?;
    play.show.chapter("And a mistake that everybody makes once: the wrong secret is entered at GitHub");
    refused(play, &vendors.github, &call, &vendors.snyk.key, "secret_other").await?;
    play.each_told(&[]).await?;
    let finding = play.get(&format!("/findings/{}", found.id)).await?;
    expect("the finding after what was forged", &finding, &[("status", "open")])?;
    play.show.holds("it is open as before, and nobody was told anything");
    Ok(())
}

async fn fixed(play: &mut Play<'_>, vendors: &Vendors, found: &Found) -> Result<(), Error> {
    let raised_at = play.stage.clock.now();
    play.pass(1);
    play.show.chapter("A day later log4j-core is 2.17.1. Both vendors look again");
    let now = play.stage.clock.now();
    accepted(play, &vendors.github, &vendors::alert("fixed", "fixed", raised_at, now), 0).await?;
    play.each_told(&[]).await?;
    let path = format!("/findings/{}", found.id);
    expect("the finding that Snyk still sees", &play.get(&path).await?, &[("status", "open")])?;
    play.show.holds("GitHub sees it no more, Snyk has not looked yet: it stays open, and nobody is told");

    let call = vendors::snapshot("one issue removed", &[], &[vendors::issue()]);
    accepted(play, &vendors.snyk, &call, 2).await?;
    let told = play.each_told(&ENDS).await?;
    play.show.seen_there(&told);
    let ended = matters(&told);
    if ended != found.matters {
        return Err(Error::NotVerified(format!("what began as {:?} ended as {ended:?}", found.matters)));
    }
    let finding = play.get(&path).await?;
    expect("the finding", &finding, &[("status", "remediated")])?;
    let all_gone = witnesses(&finding).iter().all(|(_, sees_it)| !sees_it);
    expect("the witnesses", &json!({"see it": !all_gone}), &[("see it", "false")])?;
    play.show.holds("remediated: the page was ended by the key that began it, record and line as well, each once");
    Ok(())
}

/// A call that is genuine, and makes so many events.
async fn accepted(play: &mut Play<'_>, vendor: &Vendor, call: &Call, events: usize) -> Result<(), Error> {
    let receipt = sent(play, vendor, call, &vendor.key, 200).await?;
    expect("the receipt", &receipt.0, &[("verdict", "accepted"), ("status", "200")])?;
    let made = receipt.0.get("events").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if made.len() != events {
        return Err(Error::NotVerified(format!("the receipt names {} events, and ought to name {events}", made.len())));
    }
    let mut types = Vec::new();
    for id in made.iter().filter_map(Value::as_str) {
        types.push(member(&play.get(&format!("/events/{id}")).await?, "type"));
    }
    play.show.answered("200 accepted", true, &types.join(", "));
    if types.is_empty() {
        play.show.quoted("its receipt", &receipt.of("detail"));
    }
    Ok(())
}

/// A call that is not genuine: what the sender learns, what the owner can read, and what trying finds out.
async fn refused(play: &mut Play<'_>, vendor: &Vendor, call: &Call, key: &Key, fault: &str) -> Result<(), Error> {
    let receipt = sent(play, vendor, call, key, 401).await?;
    let verdict = "signature_mismatch";
    expect("the receipt", &receipt.0, &[("verdict", verdict), ("status", "401"), ("events", "[]")])?;
    play.show.answered("401 refused", false, verdict);
    play.show.quoted("its receipt", &receipt.of("detail"));
    let lines = receipt.0.get("headers").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let headers: Vec<Value> = lines.iter().map(|line| json!([line.get("name"), line.get("value")])).collect();
    let question = json!({"source": vendor.source, "headers": headers, "body": receipt.of("body")});
    let diagnosis = play.post("/verify", &question).await?;
    expect("the diagnosis", &diagnosis, &[("verified", "false"), ("reason", verdict)])?;
    let finding = diagnosis.pointer("/findings/0").unwrap_or(&Value::Null);
    expect("what is found", finding, &[("fault", fault)])?;
    play.show.quoted("tried out", &member(finding, "detail"));
    Ok(())
}

/// Makes a call, and finds its receipt.
async fn sent(play: &mut Play<'_>, vendor: &Vendor, call: &Call, key: &Key, wanted: u16) -> Result<Receipt, Error> {
    let answer = vendor.call(play, call, key).await?;
    play.show.called(vendor.dialect.id, &format!("{} ({})", call.event, call.words));
    if answer.status != wanted {
        return Err(Error::NotVerified(format!(
            "{} was answered {} {}, and ought to be {wanted}",
            vendor.dialect.name, answer.status, answer.body
        )));
    }
    let receipts = play.list("/receipts", &[("source", &vendor.source), ("limit", "1")]).await?;
    let id = receipts.first().map(|receipt| member(receipt, "id")).unwrap_or_default();
    Ok(Receipt(play.get(&format!("/receipts/{id}")).await?))
}

/// What the services file it under.
fn matters(told: &[Seen]) -> Vec<Option<String>> {
    let matter = |seen: &Seen| match &seen.arrival.verdict {
        Verdict::Verified(said) => said.matter.clone(),
        Verdict::Down | Verdict::Refused(_) => None,
    };
    told.iter().map(matter).collect()
}

/// The keys of a finding's witnesses, and whether each still sees it.
fn witnesses(finding: &Value) -> Vec<(String, bool)> {
    let witnesses = finding.get("witnesses").and_then(Value::as_array).into_iter().flatten();
    witnesses.map(|one| (member(one, "key"), one.get("sees_it") == Some(&Value::Bool(true)))).collect()
}

//! The third act: the life of a vulnerability, in eleven days that take seconds.
//!
//! ```text
//!  day 0   first scan; the rule: what is critical is done with in 14 days, and rings 7 days before
//!  day 1   npm finds two holes in minimist, by their GHSA ids           told in each dialect; a plan is made
//!  day 2   another scanner knows them by their CVE ids
//!            the one that it also knows as GHSA-… is the same           not told again
//!            the other nobody can know to be the same                   told
//!  day 3   … now it knows both names of both: two findings become one   told once; both ids lead to it
//!  day 9   the deadline is seven days ahead                             it rings
//!  day 11  fixed: neither scanner sees them any more                    told; the plan is completed
//! ```
//!
//! Each step is verified: what arrived, in every dialect, is exactly what was wanted, and the API says the same.

use serde_json::{Value, json};
use watchbell_wire::EventType::{
    PoamCompleted, PoamDeadlineApproaching, ProjectSnapshot, ScanCompleted, VulnerabilityChanged, VulnerabilityCreated,
    VulnerabilityCritical, VulnerabilityRemediated,
};

use super::play::{Play, expect, member, named};
use super::{Error, samples};

/// The project of this act.
const PROJECT: &str = "backoffice";

/// The critical vulnerability of minimist.
const CRITICAL: [&str; 2] = ["GHSA-xvch-5gv4-984h", "CVE-2021-44906"];
/// The milder one.
const MILD: [&str; 2] = ["GHSA-vh95-rmgr-6w4m", "CVE-2020-7598"];

/// Days from finding to deadline, by the rule that is set; and how long before it rings.
const DAYS: i32 = 14;
const LEAD_DAYS: i32 = 7;

pub(super) async fn perform(play: &mut Play<'_>) -> Result<(), Error> {
    let project = play.project(PROJECT).await?;
    first_scan(play, &project).await?;
    let found = found(play, &project).await?;
    merged(play, &project, &found).await?;
    approaching(play, &found).await?;
    fixed(play, &project, &found).await
}

/// What the act follows.
struct Found {
    critical: String,
    mild: String,
    plan: String,
}

async fn first_scan(play: &mut Play<'_>, project: &str) -> Result<(), Error> {
    play.show.chapter(&format!("The life of a vulnerability. Day 0: a first scan of {PROJECT:?}"));
    play.put("/settings", &json!({"lead_times": [format!("{LEAD_DAYS}d")]})).await?;
    play.put("/poam-policy", &json!({"rules": [{"severity": "critical", "days": DAYS}]})).await?;
    play.show
        .says(&format!("the rule: what is critical is fixed within {DAYS} days; it rings {LEAD_DAYS} days before"));
    play.scan(project, &samples::NPM_EARLIER).await?;
    play.told(&[(ScanCompleted, 1), (VulnerabilityCreated, 2)]).await
}

async fn found(play: &mut Play<'_>, project: &str) -> Result<Found, Error> {
    play.pass(1);
    play.show.chapter("Day 1: minimist 1.2.0 came in. npm finds two vulnerabilities, by their GHSA ids");
    play.scan(project, &samples::NPM).await?;
    let events = [(ScanCompleted, 1), (ProjectSnapshot, 1), (VulnerabilityCreated, 2), (VulnerabilityCritical, 1)];
    play.told(&events).await?;
    let (critical, mild) = (named(play, project, CRITICAL[0]).await?, named(play, project, MILD[0]).await?);
    expect("the finding", &critical, &[("status", "open"), ("severity", "critical")])?;
    let (critical, mild) = (member(&critical, "id"), member(&mild, "id"));
    let plans = play.list("/poam-items", &[("finding", &critical)]).await?;
    let [plan] = plans.as_slice() else {
        return Err(Error::NotVerified(format!("{} plans of action were made, in place of one", plans.len())));
    };
    expect(
        "the plan of action",
        plan,
        &[("status", "open"), ("origin", "policy"), ("days_remaining", &DAYS.to_string())],
    )?;
    let until = member(plan, "scheduled_completion_date");
    play.show
        .holds(&format!("{} is open and critical; its plan of action by the rule: fixed until {until}", CRITICAL[0]));
    Ok(Found { critical, mild, plan: member(plan, "id") })
}

async fn merged(play: &mut Play<'_>, project: &str, found: &Found) -> Result<(), Error> {
    play.pass(1);
    play.show.chapter("Day 2: another scanner knows them by their CVE ids");
    play.scan(project, &samples::AUDIT_ONE_NAME).await?;
    play.told(&[(ScanCompleted, 1), (ProjectSnapshot, 1), (VulnerabilityCreated, 1)]).await?;
    let same = named(play, project, CRITICAL[1]).await?;
    expect("the finding by its other name", &same, &[("id", &found.critical), ("cve_id", CRITICAL[1])])?;
    play.show.holds(&format!("{} is {}: one finding of two scanners, not told again", CRITICAL[1], CRITICAL[0]));
    let other = member(&named(play, project, MILD[1]).await?, "id");
    differ("two names that nothing joins yet", &other, &found.mild)?;
    play.show.holds(&format!("{} and {}: nothing says yet that they are one, so there are two", MILD[1], MILD[0]));

    play.pass(1);
    play.show.chapter(&format!("Day 3: the scanner has learnt that {} is {}", MILD[1], MILD[0]));
    play.scan(project, &samples::AUDIT_BOTH_NAMES).await?;
    play.told(&[(ScanCompleted, 1), (ProjectSnapshot, 1), (VulnerabilityChanged, 1)]).await?;
    let one = play.get(&format!("/findings/{other}")).await?;
    expect("what the other id leads to", &one, &[("id", &found.mild), ("cve_id", MILD[1]), ("status", "open")])?;
    let changed = play.list("/events", &[("type", "vulnerability.changed"), ("limit", "1")]).await?;
    let merged = changed.first().and_then(|event| event.pointer("/data/merged_finding_ids/0")).and_then(Value::as_str);
    if !merged.is_some_and(|merged| other.ends_with(merged)) {
        return Err(Error::NotVerified(format!("the event of the merge names {merged:?}, not {other}")));
    }
    play.show.holds("two findings have become one, told once; both ids lead to it, both histories are kept");
    Ok(())
}

async fn approaching(play: &mut Play<'_>, found: &Found) -> Result<(), Error> {
    play.pass(DAYS - LEAD_DAYS - 1);
    // Until the end of its last day: after today there are as many days as the lead has, the last one included.
    let remaining = LEAD_DAYS - 1;
    play.show
        .chapter(&format!("Day 9: the deadline, the end of day {}, is {LEAD_DAYS} days ahead, and rings", DAYS + 1));
    play.told(&[(PoamDeadlineApproaching, 1)]).await?;
    let plan = play.get(&format!("/poam-items/{}", found.plan)).await?;
    expect("the plan of action", &plan, &[("status", "open"), ("days_remaining", &remaining.to_string())])?;
    play.show.holds(&format!("its plan of action is open, {remaining} days remain until its date"));
    Ok(())
}

async fn fixed(play: &mut Play<'_>, project: &str, found: &Found) -> Result<(), Error> {
    play.pass(2);
    play.show.chapter("Day 11: minimist 1.2.8. Both scanners look again");
    play.scan(project, &samples::NPM_FIXED).await?;
    play.told(&[(ScanCompleted, 1), (ProjectSnapshot, 1)]).await?;
    play.show.holds("npm sees them no more; the other scanner has not looked yet, so they stay open");
    play.scan(project, &samples::AUDIT_FIXED).await?;
    let events = [(ScanCompleted, 1), (ProjectSnapshot, 1), (VulnerabilityRemediated, 2), (PoamCompleted, 1)];
    play.told(&events).await?;
    for id in [&found.critical, &found.mild] {
        let finding = play.get(&format!("/findings/{id}")).await?;
        expect("the finding", &finding, &[("status", "remediated")])?;
    }
    let plan = play.get(&format!("/poam-items/{}", found.plan)).await?;
    expect("the plan of action", &plan, &[("status", "completed"), ("completed_by", "remediation")])?;
    play.show.holds("both are remediated, and the plan of action is completed by it: closed in time");
    let history = play.list(&format!("/findings/{}/history", found.critical), &[]).await?;
    play.show.history(CRITICAL[0], &history);
    Ok(())
}

fn differ(what: &str, one: &str, other: &str) -> Result<(), Error> {
    match one == other {
        true => Err(Error::NotVerified(format!("{what} are one finding"))),
        false => Ok(()),
    }
}

//! Plans of action: kept, rung, and following what becomes of their findings.

use std::collections::BTreeSet;

use watchbell_domain::finding::{Finding, FindingStatus};
use watchbell_domain::id::{FindingId, OrgId, PoamId};
use watchbell_domain::org::{OrgState, Project};
use watchbell_domain::poam::policy::{Policy, Rule};
use watchbell_domain::poam::{
    About, CompletedBy, Due, Item, Lead, Milestone, Origin, OverdueRings, Settings, State, Status,
};
use watchbell_domain::port::{
    EventFilter, KevCatalogue, PageRequest, PoamFilter, PoamUpdate, RingStep, Rung, ScanOutcome, StoreError, Terms,
    Written,
};
use watchbell_wire::event::Poam;
use watchbell_wire::{EventType, Severity};

use super::World;
use super::world::{at, first, fresh, terms};

pub(super) const HOUR: i64 = 3_600;
pub(super) const DAY: i64 = 24 * HOUR;

pub(super) fn item(world: &World, org: OrgId, finding: FindingId, due: i64) -> Item {
    Item {
        id: PoamId(world.uuid(0)),
        org_id: org,
        finding_id: finding,
        project_id: None,
        about: About {
            title: Some("a \"title\" 🦀".into()), severity: Severity::High, cve_id: Some("CVE-1-2".into())
        },
        title: None,
        owner: Some("ada@example.com".into()),
        notes: Some("two\nlines".into()),
        due: Due::Instant(at(due)),
        milestones: vec![Milestone {
            title: "one".into(),
            due: "2027-01-20".parse().unwrap(),
            completed_at: Some(at(1)),
        }],
        state: State::Open,
        origin: Origin::Api,
        told: None,
        version: 0,
        created_at: at(0),
        updated_at: at(0),
    }
}

pub(super) async fn put(world: &World, item: &Item) {
    fresh(world.store.create_poam_item(item.clone(), Terms::default()).await.unwrap());
}

async fn load(world: &World, item: &Item) -> Item {
    world.store.poam_item(item.org_id, item.id).await.unwrap().unwrap()
}

pub(super) async fn update(world: &World, seen: Item, seconds: i64, change: impl FnOnce(&mut Item)) {
    let mut changed = Item { updated_at: at(seconds), ..seen.clone() };
    change(&mut changed);
    fresh(world.store.update_poam_item(PoamUpdate { seen, changed, told: None }, Terms::default()).await.unwrap());
}

/// Everything that is due rings.
pub(super) async fn ring(world: &World, seconds: i64) -> u16 {
    let mut all = 0;
    loop {
        let Rung { looked_at, rung, unreadable: 0 } =
            world.store.ring(RingStep { now: at(seconds), limit: 3 }).await.unwrap()
        else {
            panic!("all can be read");
        };
        all += rung;
        if looked_at < 3 {
            return all;
        }
    }
}

/// What was told of plans, oldest first.
pub(super) async fn told(world: &World, org: OrgId) -> Vec<(EventType, Poam)> {
    let mut all = Vec::new();
    let mut before = None;
    loop {
        let page = PageRequest { before, limit: 250 };
        let found = world.store.events(org, EventFilter::default(), page).await.unwrap();
        before = found.items.last().map(|event| event.event.id);
        let poam = found.items.into_iter().filter(|event| event.event.event_type.as_str().starts_with("poam."));
        all.extend(poam.map(|event| (event.event.event_type.clone(), event.event.data.typed().unwrap())));
        if !found.more {
            all.reverse();
            return all;
        }
    }
}

async fn types_told(world: &World, org: OrgId) -> Vec<String> {
    told(world, org).await.into_iter().map(|(event_type, _)| event_type.to_string()).collect()
}

async fn set(world: &World, org: OrgId, zone: &str, leads: &[u16], overdue: OverdueRings, seconds: i64) {
    let leads = leads.iter().map(|days| Lead::Days(*days)).collect();
    let settings = Settings { zone: zone.parse().unwrap(), leads, overdue };
    fresh(world.store.set_poam_settings(org, settings.clone(), at(seconds), Terms::default()).await.unwrap());
    assert_eq!(world.store.poam_settings(org).await.unwrap(), settings);
}

async fn set_policy(world: &World, org: OrgId, rules: Vec<Rule>) {
    fresh(world.store.set_poam_policy(org, Policy { rules }, at(0), Terms::default()).await.unwrap());
}

const fn rule(severity: Option<Severity>, days: u16) -> Rule {
    Rule { severity, days, kev: None, cvss_min: None, component_type: None }
}

async fn of_finding(world: &World, org: OrgId, finding: FindingId) -> Vec<Item> {
    let filter = PoamFilter { finding_id: Some(finding), ..PoamFilter::all(at(0)) };
    world.store.poam_items(org, filter, first(10)).await.unwrap().items
}

/// A scan that leaves a finding with this status.
async fn scan(world: &World, project: &Project, seen: &Finding, status: FindingStatus, seconds: i64) -> ScanOutcome {
    let project = world.store.project(project.org_id, project.id).await.unwrap().unwrap();
    let finding = Finding { status, last_seen_at: at(seconds), ..seen.clone() };
    let outcome = world.outcome(&project, vec![finding], seconds);
    fresh(world.store.apply_scan(outcome.clone(), None).await.unwrap());
    outcome
}

/// What was stored comes back, by id and by filter, in pages; a repeated key adds nothing.
pub async fn kept_whole(world: World) {
    let (org, other) = (world.org("acme").await, world.org("other").await);
    let numbered = |index: i64| {
        let item = item(&world, org, FindingId(world.uuid(0)), index * DAY);
        Item { id: PoamId(world.uuid(index)), ..item }
    };
    let mut items: Vec<Item> = (0..4).map(numbered).collect();
    items[1].title = Some("Its own".into());
    items[2].state = State::Completed { at: at(5), by: CompletedBy::Hand };
    items[3].state = State::Cancelled { at: at(6) };
    items[3].owner = None;
    items[0].due = Due::Date("2027-01-14".parse().unwrap());
    for item in &items {
        put(&world, item).await;
        assert_eq!(load(&world, item).await, *item);
        assert_eq!(world.store.poam_item(other, item.id).await.unwrap(), None);
    }
    fresh(world.store.create_poam_item(item(&world, other, FindingId(world.uuid(0)), 0), terms("k", 1)).await.unwrap());
    let again = world.store.create_poam_item(item(&world, other, FindingId(world.uuid(0)), 0), terms("k", 1)).await;
    assert!(matches!(again.unwrap(), Written::Repeated(_)));
    items.reverse();
    let list = async |change: &dyn Fn(&mut PoamFilter)| {
        let mut filter = PoamFilter::all(at(HOUR));
        change(&mut filter);
        world.store.poam_items(org, filter, first(9)).await.unwrap().items
    };
    assert_eq!(list(&|_| {}).await, items);
    assert_eq!(list(&|filter| filter.status = Some(Status::Overdue)).await, items[3..]);
    assert_eq!(list(&|filter| filter.status = Some(Status::Open)).await, items[2..3]);
    assert_eq!(list(&|filter| filter.status = Some(Status::Completed)).await, items[1..2]);
    assert_eq!(list(&|filter| filter.status = Some(Status::Cancelled)).await, items[..1]);
    assert_eq!(list(&|filter| filter.owner = Some("ada@example.com".into())).await, items[1..]);
    assert_eq!(list(&|filter| filter.finding_id = Some(items[2].finding_id)).await, items[2..3]);
    assert_eq!(list(&|filter| filter.due_since = Some(at(2 * DAY))).await, items[..2]);
    assert_eq!(list(&|filter| filter.due_before = Some(at(2 * DAY))).await, items[2..]);
    let page = world.store.poam_items(org, PoamFilter::all(at(0)), first(2)).await.unwrap();
    assert_eq!((page.items.as_slice(), page.more), (&items[..2], true));
}

/// Of two changes to the same version the second is refused; what was rung meanwhile is not forgotten.
pub async fn changed_in_turn(world: World) {
    let org = world.org("acme").await;
    let item = item(&world, org, FindingId(world.uuid(0)), -HOUR);
    put(&world, &item).await;
    assert_eq!(ring(&world, 0).await, 1);
    let mut changed = Item { notes: None, ..item.clone() };
    let late = PoamUpdate { seen: item.clone(), changed: changed.clone(), told: None };
    fresh(world.store.update_poam_item(late.clone(), Terms::default()).await.unwrap());
    let refused = world.store.update_poam_item(late, Terms::default()).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    let now = load(&world, &item).await;
    assert_eq!((now.notes.clone(), now.version), (None, 1));
    assert_eq!(ring(&world, 1).await, 0, "it has rung for this day");
    // Its completion is told in the same commit.
    let settings = world.store.poam_settings(org).await.unwrap();
    changed = Item { state: State::Completed { at: at(2), by: CompletedBy::Hand }, ..now.clone() };
    let event = changed.completed(&settings, at(2), watchbell_domain::id::EventId(world.uuid(2)));
    let told = Some(world.acceptance(org, vec![event], 2));
    fresh(world.store.update_poam_item(PoamUpdate { seen: now, changed, told }, Terms::default()).await.unwrap());
    assert_eq!(types_told(&world, org).await, ["poam.overdue", "poam.completed"]);
    assert_eq!(ring(&world, 9 * DAY).await, 0, "it is done");
}

/// At the lead times, and each day after; to every endpoint that wants it.
pub async fn rings_in_its_time(world: World) {
    let org = world.org("acme").await;
    let endpoint = world.endpoint(org).await;
    let item = item(&world, org, FindingId(world.uuid(0)), 10 * DAY);
    put(&world, &item).await;
    let mut rings = Vec::new();
    for hour in 0..(24 * 13) {
        if ring(&world, hour * HOUR).await > 0 {
            rings.push(hour / 24);
        }
    }
    assert_eq!(rings, [0, 3, 9, 10, 11, 12]);
    let said = told(&world, org).await;
    let days: Vec<_> = said.iter().map(|(_, data)| (data.days_remaining, data.days_overdue)).collect();
    let (remaining, overdue) = (|days| (Some(days), None), |days| (None, Some(days)));
    assert_eq!(days, [remaining(10), remaining(7), remaining(1), overdue(1), overdue(2), overdue(3)]);
    let (event_type, data) = &said[0];
    assert_eq!(*event_type, EventType::PoamDeadlineApproaching);
    assert_eq!((data.poam_id.as_str(), data.finding_id.clone()), (&*item.id.bare(), Some(item.finding_id.bare())));
    assert_eq!((data.cve_id.as_deref(), data.severity), (Some("CVE-1-2"), Some(Severity::High)));
    assert_eq!(world.claim(&endpoint, 99, 13 * DAY).await.deliveries.len(), 6);
}

/// A clock three days ahead: one ring for the state now. Back again: none twice. Many are due: a few in each commit.
pub async fn jumps_and_crowds(world: World) {
    let org = world.org("acme").await;
    for _ in 0..10 {
        put(&world, &item(&world, org, FindingId(world.uuid(0)), DAY / 2)).await;
    }
    let step = RingStep { now: at(4 * DAY), limit: 4 };
    assert_eq!(world.store.ring(step).await.unwrap(), Rung { looked_at: 4, rung: 4, unreadable: 0 });
    assert_eq!(ring(&world, 4 * DAY).await, 6);
    assert_eq!(ring(&world, 0).await + ring(&world, 2 * DAY).await + ring(&world, 4 * DAY).await, 0);
    let said = told(&world, org).await;
    assert!(said.iter().all(|(_, data)| data.days_overdue == Some(4)), "{said:?}");
    let items: BTreeSet<_> = said.iter().map(|(_, data)| data.poam_id.clone()).collect();
    assert_eq!((said.len(), items.len()), (10, 10));
}

/// Another time zone, other lead times, another date.
pub async fn settings_and_dates_change(world: World) {
    let org = world.org("acme").await;
    assert_eq!(world.store.poam_settings(org).await.unwrap(), Settings::default());
    // 2027-01-15T08:00Z: in the far west it is still the 14th.
    let mut item = item(&world, org, FindingId(world.uuid(0)), 0);
    item.due = Due::Date("2027-01-14".parse().unwrap());
    put(&world, &item).await;
    set(&world, org, "Pacific/Pago_Pago", &[], OverdueRings::Once, 0).await;
    assert_eq!(ring(&world, 0).await, 0);
    let filter = PoamFilter { status: Some(Status::Overdue), ..PoamFilter::all(at(0)) };
    assert_eq!(world.store.poam_items(org, filter.clone(), first(9)).await.unwrap().items, []);
    assert_eq!(ring(&world, 3 * HOUR).await, 1);
    assert_eq!(ring(&world, 30 * DAY).await, 0, "once");
    set(&world, org, "Asia/Tokyo", &[], OverdueRings::Daily, 30 * DAY).await;
    assert_eq!(ring(&world, 30 * DAY).await, 1, "it is overdue for a month");
    let now = load(&world, &item).await;
    update(&world, now, 30 * DAY, |item| item.due = Due::Instant(at(40 * DAY))).await;
    assert_eq!(ring(&world, 31 * DAY).await, 0);
    set(&world, org, "Asia/Tokyo", &[9, 20], OverdueRings::Daily, 31 * DAY).await;
    assert_eq!(ring(&world, 31 * DAY).await, 1);
    assert_eq!(ring(&world, 40 * DAY).await, 1);
    let types = types_told(&world, org).await;
    assert_eq!(types, ["poam.overdue", "poam.overdue", "poam.deadline_approaching", "poam.overdue"]);
}

/// A remediated finding completes its plan in the same commit; back again, so is the plan; suppressed, it is quiet.
pub async fn follows_its_finding(world: World) {
    let org = world.org("acme").await;
    let project = world.project(org, "api").await;
    let seen = world.finding(&project, "a", 1);
    scan(&world, &project, &seen, FindingStatus::Open, 1).await;
    let item = item(&world, org, seen.id, DAY);
    put(&world, &item).await;
    assert_eq!(ring(&world, 2).await, 1);

    scan(&world, &project, &seen, FindingStatus::Remediated, 10).await;
    let completed = load(&world, &item).await;
    assert_eq!(completed.state, State::Completed { at: at(10), by: CompletedBy::Remediation });
    assert_eq!(completed.about.severity, seen.observation.severity);
    assert_eq!(completed.project_id, Some(project.id));
    assert_eq!(ring(&world, 5 * DAY).await, 0);
    let refused = world.store.create_poam_item(super::poam::item(&world, org, seen.id, 0), Terms::default()).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    scan(&world, &project, &seen, FindingStatus::Remediated, 11).await;
    assert_eq!(types_told(&world, org).await, ["poam.deadline_approaching", "poam.completed"]);

    scan(&world, &project, &seen, FindingStatus::Open, 5 * DAY).await;
    assert_eq!(load(&world, &item).await.state, State::Open);
    assert_eq!(ring(&world, 5 * DAY).await, 1);
    scan(&world, &project, &seen, FindingStatus::Suppressed, 5 * DAY).await;
    assert_eq!(ring(&world, 9 * DAY).await, 0, "nobody need act");
    // Looked at all the same: it stays quiet.
    let now = load(&world, &item).await;
    update(&world, now, 9 * DAY, |item| item.notes = None).await;
    assert_eq!(ring(&world, 9 * DAY).await, 0);
    scan(&world, &project, &seen, FindingStatus::Open, 10 * DAY).await;
    assert_eq!(ring(&world, 10 * DAY).await, 1);

    // By hand it is done, whatever the finding does.
    let now = load(&world, &item).await;
    let by_hand = State::Completed { at: at(10 * DAY), by: CompletedBy::Hand };
    update(&world, now, 10 * DAY, |item| item.state = by_hand).await;
    scan(&world, &project, &seen, FindingStatus::Remediated, 11 * DAY).await;
    scan(&world, &project, &seen, FindingStatus::Open, 12 * DAY).await;
    assert_eq!(load(&world, &item).await.state, by_hand);
}

/// Of findings that only events speak of, events say what becomes of them.
pub async fn follows_what_is_said(world: World) {
    let (org, other) = (world.org("acme").await, world.org("other").await);
    let finding = FindingId(world.uuid(0));
    let (item, theirs) = (item(&world, org, finding, DAY), item(&world, other, finding, DAY));
    put(&world, &item).await;
    put(&world, &theirs).await;
    let say = async |event_type: EventType, seconds| {
        let data = format!("{{\"finding_id\":\"{}\",\"severity\":\"low\",\"title\":\"t\"}}", finding.bare());
        let event = world.event(event_type, &data, seconds);
        fresh(world.store.accept(world.acceptance(org, vec![event], seconds), None).await.unwrap());
    };
    say(EventType::VulnerabilityRemediated, 5).await;
    let now = load(&world, &item).await;
    assert_eq!(now.state, State::Completed { at: at(5), by: CompletedBy::Remediation });
    assert_eq!(now.about, About { title: Some("t".into()), severity: Severity::Low, cve_id: None });
    assert_eq!(types_told(&world, org).await, ["poam.completed"]);
    assert_eq!(load(&world, &theirs).await.state, State::Open);
    say(EventType::VulnerabilityReopened, 6).await;
    assert_eq!(load(&world, &item).await.state, State::Open);
    say(EventType::VulnerabilitySuppressed, 7).await;
    assert_eq!(ring(&world, 8).await, 1, "theirs alone");
    assert_eq!(types_told(&world, org).await, ["poam.completed"]);
}

/// A finding that is new, or open again, gets a plan when a rule matches, once.
pub async fn made_by_policy(world: World) {
    let org = world.org("acme").await;
    let project = world.project(org, "api").await;
    let known = world.finding(&project, "known", 1);
    scan(&world, &project, &known, FindingStatus::Open, 1).await;
    assert_eq!(world.store.poam_policy(org).await.unwrap(), Policy::default());
    set_policy(&world, org, vec![rule(Some(Severity::High), 90), rule(Some(Severity::Low), 1)]).await;
    scan(&world, &project, &known, FindingStatus::Open, 2).await;
    assert_eq!(of_finding(&world, org, known.id).await, [], "it was known before");

    let new = world.finding(&project, "new", 3);
    for seconds in 3..6 {
        scan(&world, &project, &new, FindingStatus::Open, seconds).await;
    }
    let items = of_finding(&world, org, new.id).await;
    assert_eq!(items.len(), 1);
    assert_eq!((items[0].due.to_string().as_str(), items[0].origin), ("2027-04-15", Origin::Policy));
    assert_eq!((items[0].about.title.as_deref(), items[0].project_id), (Some("a \"title\" 🦀"), Some(project.id)));
    scan(&world, &project, &known, FindingStatus::Remediated, 7).await;
    scan(&world, &project, &known, FindingStatus::Open, 8).await;
    assert_eq!(of_finding(&world, org, known.id).await.len(), 1, "open again");

    // Posted as well, and only where the catalogue of exploited vulnerabilities has it.
    set_policy(&world, org, vec![Rule { kev: Some(true), ..rule(None, 3) }]).await;
    let said = [("CVE-2021-44228", true), ("CVE-2020-0001", false)];
    assert_eq!(world.store.kev_facts().await.unwrap(), None);
    let cve_ids = ["CVE-2021-44228", "CVE-2019-19781"].map(str::to_owned).into();
    let catalogue = KevCatalogue { version: "2027.01.15".into(), cve_ids, imported_at: at(0) };
    world.store.import_kev(catalogue.clone(), None).await.unwrap();
    world.store.import_kev(catalogue, None).await.unwrap();
    let facts = world.store.kev_facts().await.unwrap().unwrap();
    assert_eq!((facts.version.as_str(), facts.count, facts.imported_at), ("2027.01.15", 2, at(0)));
    for (cve, is_planned) in said {
        let finding = FindingId(world.uuid(9));
        let data = format!("{{\"finding_id\":\"{}\",\"aliases\":[\"{cve}\"]}}", finding.bare());
        let event = world.event(EventType::VulnerabilityCreated, &data, 9);
        fresh(world.store.accept(world.acceptance(org, vec![event], 9), None).await.unwrap());
        assert_eq!(of_finding(&world, org, finding).await.len(), usize::from(is_planned), "{cve}");
    }
}

/// A plan that cannot be made takes the scan with it: both or neither.
pub async fn one_commit_with_the_scan(world: World) {
    let org = world.org("acme").await;
    let project = world.project(org, "api").await;
    set_policy(&world, org, vec![rule(None, 5)]).await;
    let seen = world.finding(&project, "a", 1);
    let same = Finding { id: FindingId(world.uuid(1)), ..seen.clone() };
    let refused = world.store.apply_scan(world.outcome(&project, vec![seen.clone(), same], 1), None).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    assert_eq!(of_finding(&world, org, seen.id).await, []);
}

/// While its organisation is suspended nothing rings; then it rings once, for where it stands.
pub async fn suspended_organisations_are_quiet(world: World) {
    let (org, other) = (world.org("acme").await, world.org("other").await);
    for index in 0..5 {
        put(&world, &item(&world, org, FindingId(world.uuid(index)), 40 * DAY)).await;
    }
    put(&world, &item(&world, other, FindingId(world.uuid(0)), 40 * DAY)).await;
    let suspended = OrgState::Suspended { since: at(1) };
    assert!(fresh(world.store.set_org_state(org, suspended, at(1), Terms::default()).await.unwrap()));
    // Over all lead times, and over the deadline.
    for day in 0..43 {
        ring(&world, day * DAY).await;
    }
    assert_eq!(types_told(&world, org).await, [] as [String; 0]);
    assert!(types_told(&world, other).await.len() > 3, "others ring");
    assert!(fresh(world.store.set_org_state(org, OrgState::Active, at(43 * DAY), Terms::default()).await.unwrap()));
    while world.store.settle_org(org, 2, at(43 * DAY)).await.unwrap() {}
    ring(&world, 43 * DAY).await;
    assert_eq!(types_told(&world, org).await, ["poam.overdue"; 5]);
    ring(&world, 43 * DAY).await;
    assert_eq!(types_told(&world, org).await.len(), 5, "once");
}

/// Two findings that turn out to be one had a plan each: one goes on, and rings once.
pub async fn merged_findings_keep_one_plan_of_the_policy(world: World) {
    let org = world.org("acme").await;
    let project = world.project(org, "api").await;
    set_policy(&world, org, vec![rule(None, 3)]).await;
    let (elder, younger) = (world.finding(&project, "a", 1), world.finding(&project, "b", 2));
    scan(&world, &project, &elder, FindingStatus::Open, 1).await;
    scan(&world, &project, &younger, FindingStatus::Open, DAY).await;
    let by_hand = item(&world, org, younger.id, 20 * DAY);
    put(&world, &by_hand).await;
    let now = world.store.project(org, project.id).await.unwrap().unwrap();
    let merged = Finding { merged_into: Some(elder.id), ..younger.clone() };
    let outcome = world.outcome(&now, vec![elder.clone(), merged], DAY + 1);
    fresh(world.store.apply_scan(outcome, None).await.unwrap());
    let mut items = of_finding(&world, org, elder.id).await;
    items.sort_by_key(|item| (item.origin == Origin::Api, item.created_at));
    let states: Vec<_> = items.iter().map(|item| (item.origin, item.state)).collect();
    let cancelled = State::Cancelled { at: at(DAY + 1) };
    assert_eq!(
        states,
        [(Origin::Policy, State::Open), (Origin::Policy, cancelled), (Origin::Api, State::Open)],
        "a person's own stays"
    );
}

//! What a world is made of and what will happen in it, drawn from the seed before it begins.

use jiff::SignedDuration;
use uuid::Uuid;
use watchbell_domain::id::{EndpointId, OrgId, ProjectId};

use crate::chance::Chance;
use crate::clock::Moment;
use crate::net::Mode;

/// A world to be.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Its organisations.
    pub orgs: Vec<OrgId>,
    /// The projects of each.
    pub projects: Vec<[ProjectId; 2]>,
    /// How long work is given and things go wrong.
    pub span: Moment,
    /// What clients post, a list for each organisation, in order.
    pub posts: Vec<Vec<Post>>,
    /// What operators do, in order.
    pub deeds: Vec<(Moment, Deed)>,
    /// What befalls the world, in order.
    pub incidents: Vec<(Moment, Incident)>,
}

/// A post of a client.
#[derive(Debug, Clone)]
pub struct Post {
    /// Not before.
    pub at: Moment,
    /// Its idempotency key.
    pub key: String,
    /// Found again in every body.
    pub mark: String,
    /// The type.
    pub event_type: &'static str,
    /// The severity.
    pub severity: &'static str,
    /// The project that it is about.
    pub project: Option<usize>,
    /// The client stops asking after so many tries.
    pub tries: u32,
}

/// What an operator does.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Deed {
    MakeOrg { org: usize },
    MakeEndpoint { org: usize, number: u8, id: EndpointId },
    Pause { org: usize },
    Resume { org: usize },
    Move { org: usize, number: u8 },
    Rotate { org: usize },
    Policy { org: usize },
    Filter { org: usize },
    Delete { org: usize },
    Hurry { org: usize },
    Cancel { org: usize },
    ReplayDelivery { org: usize },
    ReplayEvent { org: usize },
    ReplayWindow { org: usize },
}

/// What befalls the world.
#[derive(Debug, Clone, Copy)]
pub enum Incident {
    /// The wall clock is set.
    SetClock(SignedDuration),
    /// A host behaves differently for a while.
    Host(Mode, SignedDuration),
    /// A host cannot be reached, nor answer.
    Cut(SignedDuration),
    /// The disk has so many bytes left.
    FullDisk(u64, SignedDuration),
    /// The store fails in so many of a hundred cases.
    Burst(u64, SignedDuration),
    /// Every call of the store takes longer.
    SlowDisk(SignedDuration, SignedDuration),
    /// Another process holds the database's write lock.
    Busy(SignedDuration),
    /// The process is killed, between any two steps.
    Kill,
    /// The process is asked to end, and started again.
    Restart,
}

const EVENT_TYPES: [&str; 4] =
    ["vulnerability.created", "vulnerability.created", "vulnerability.remediated", "simulation.noted"];

impl Plan {
    /// The plan of a seed.
    pub fn new(chance: &Chance) -> Self {
        let mut chance = chance.fork(0x914);
        let orgs: Vec<_> = (1..=chance.within(2, 3)).map(|org| OrgId(Uuid::from_u128(u128::from(org) << 64))).collect();
        let span = chance.millis(120_000, 900_000);
        let posts = (0..orgs.len()).map(|org| posts(&mut chance, org, span)).collect();
        let deeds = deeds(&mut chance, orgs.len(), span);
        let incidents = incidents(&mut chance, span);
        let projects =
            orgs.iter().map(|org| [1, 2].map(|number| ProjectId(Uuid::from_u128(org.0.as_u128() + number)))).collect();
        Self { orgs, projects, span, posts, deeds, incidents }
    }
}

fn posts(chance: &mut Chance, org: usize, span: Moment) -> Vec<Post> {
    let mut posts: Vec<_> = (0..chance.within(4, 16))
        .map(|number| Post {
            at: some_time(chance, span),
            key: format!("key-{org}-{number}"),
            mark: format!("o{org}.e{number}."),
            event_type: chance.pick(&EVENT_TYPES),
            severity: chance.pick(&["low", "high", "critical"]),
            project: chance.pick(&[None, Some(0), Some(1)]),
            tries: if chance.percent(10) { 1 } else { u32::MAX },
        })
        .collect();
    posts.sort_by_key(|post| post.at);
    posts
}

fn deeds(chance: &mut Chance, orgs: usize, span: Moment) -> Vec<(Moment, Deed)> {
    let mut deeds: Vec<_> = (0..orgs).map(|org| (Moment::ZERO, Deed::MakeOrg { org })).collect();
    let mut number = 0;
    let mut endpoint = |org, chance: &mut Chance| {
        number += 1;
        Deed::MakeEndpoint { org, number, id: EndpointId(Uuid::from_u64_pair(chance.draw(), u64::from(number))) }
    };
    for org in 0..orgs {
        for _ in 0..chance.within(1, 3) {
            deeds.push((Moment::ZERO, endpoint(org, chance)));
        }
    }
    let mut later = Vec::new();
    for index in 0..chance.within(0, 20) {
        let org = chance.index(orgs);
        let deed = match chance.within(0, 13) {
            0..=1 => endpoint(org, chance),
            2..=3 => Deed::Pause { org },
            4..=5 => Deed::Resume { org },
            6 => Deed::Move { org, number: 100 + u8::try_from(index).unwrap() },
            7 => Deed::Rotate { org },
            8 => chance.pick(&[Deed::Policy { org }, Deed::Filter { org }]),
            9 => Deed::Delete { org },
            10 => Deed::Hurry { org },
            11 => Deed::Cancel { org },
            12 => Deed::ReplayDelivery { org },
            _ => chance.pick(&[Deed::ReplayEvent { org }, Deed::ReplayWindow { org }]),
        };
        later.push((some_time(chance, span), deed));
    }
    later.sort_by_key(|(at, _)| *at);
    deeds.extend(later);
    if chance.percent(50) {
        deeds.extend((0..orgs).map(|org| (span, Deed::Resume { org })));
    }
    deeds
}

fn incidents(chance: &mut Chance, span: Moment) -> Vec<(Moment, Incident)> {
    let mut incidents = Vec::new();
    for _ in 0..chance.within(0, 14) {
        let long = chance.millis(1_000, 120_000);
        let short = chance.millis(100, 15_000);
        let incident = match chance.within(0, 15) {
            0..=5 => {
                let modes = [
                    Mode::Flaky(30),
                    Mode::Flaky(90),
                    Mode::Flaky(90),
                    Mode::Broken,
                    Mode::Overloaded,
                    Mode::Hangs,
                    Mode::Refuses,
                    Mode::Gone,
                ];
                Incident::Host(chance.pick(&modes), long)
            }
            6..=7 => Incident::Cut(long),
            8 => Incident::FullDisk(chance.pick(&[1 << 19, 1 << 14, 0]), long),
            9 => Incident::Burst(chance.pick(&[20, 60, 100]), short),
            10 => Incident::SlowDisk(chance.millis(1, 3_000), long),
            11 => Incident::Busy(short),
            12 => Incident::Kill,
            13 => Incident::Restart,
            _ => {
                let hours = chance.pick(&[-24, -1, 1, 24]);
                Incident::SetClock(SignedDuration::from_hours(hours))
            }
        };
        incidents.push((some_time(chance, span), incident));
    }
    incidents.sort_by_key(|(at, _)| *at);
    apart(&mut incidents);
    incidents
}

/// The loop looks at its clock every few seconds; a clock that is set on and back in between was never seen. So settings
/// keep their distance.
fn apart(incidents: &mut Vec<(Moment, Incident)>) {
    let mut latest = None;
    incidents.retain(|(at, incident)| {
        if !matches!(incident, Incident::SetClock(_)) {
            return true;
        }
        let is_apart = latest.is_none_or(|latest| *at - latest > SignedDuration::from_secs(60));
        if is_apart {
            latest = Some(*at);
        }
        is_apart
    });
}

fn some_time(chance: &mut Chance, span: Moment) -> Moment {
    chance.millis(0, u64::try_from(span.as_millis()).unwrap())
}

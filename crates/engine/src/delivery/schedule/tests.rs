use proptest::prelude::*;
use uuid::Uuid;

use super::*;

const WINDOWS: Windows = Windows { all: 20, org: 12, endpoint: 5 };

fn endpoint(number: u128) -> EndpointId {
    EndpointId(Uuid::from_u128(number))
}

fn org(number: u128) -> OrgId {
    OrgId(Uuid::from_u128(number))
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

/// An endpoint whose window is known.
fn known(schedule: &mut Schedule, of: u128, number: u128, due: i64) {
    schedule.due(org(of), endpoint(number), at(due), at(0));
    schedule.set_window(endpoint(number), None);
}

fn taken(claims: &[Claim]) -> Vec<(u128, u32)> {
    claims.iter().map(|claim| (claim.endpoint_id.0.as_u128(), claim.limit)).collect()
}

#[test]
fn an_endpoint_is_claimed_when_it_is_due_and_within_its_window() {
    let mut schedule = Schedule::new(WINDOWS);
    known(&mut schedule, 1, 1, 10);
    assert_eq!(schedule.claims(at(9)), []);
    assert_eq!(schedule.next_due(), Some(at(10)));
    assert_eq!(taken(&schedule.claims(at(10))), [(1, 5)]);
    assert_eq!(schedule.claims(at(10)), [], "one claim at a time");
    schedule.claimed(endpoint(1), 5, Some(at(10)), at(10));
    assert_eq!(schedule.claims(at(10)), [], "the window is full");
    schedule.finished(endpoint(1), at(10));
    assert_eq!(taken(&schedule.claims(at(10))), [(1, 1)]);
    schedule.claimed(endpoint(1), 0, None, at(10));
    assert_eq!(schedule.in_flight(), 4);
    assert_eq!((schedule.claims(at(99)), schedule.next_due()), (vec![], None));
}

#[test]
fn an_unknown_window_is_one_until_it_is_known() {
    let mut schedule = Schedule::new(WINDOWS);
    schedule.due(org(1), endpoint(1), at(0), at(0));
    assert_eq!(taken(&schedule.claims(at(0))), [(1, 1)]);
    schedule.set_window(endpoint(1), Some(3));
    schedule.claimed(endpoint(1), 1, Some(at(0)), at(0));
    assert_eq!(taken(&schedule.claims(at(0))), [(1, 2)]);
}

#[test]
fn what_becomes_due_during_a_claim_is_not_forgotten() {
    let mut schedule = Schedule::new(WINDOWS);
    known(&mut schedule, 1, 1, 0);
    schedule.claims(at(0));
    schedule.due(org(1), endpoint(1), at(1), at(1));
    schedule.claimed(endpoint(1), 1, None, at(1));
    assert_eq!(taken(&schedule.claims(at(1))), [(1, 4)]);
}

#[test]
fn endpoints_take_turns() {
    let mut schedule = Schedule::new(Windows { all: 2, org: 2, endpoint: 5 });
    for number in 1..=3 {
        known(&mut schedule, number, number, 0);
    }
    let mut turns = Vec::new();
    for _ in 0..6 {
        let claims = schedule.claims(at(1));
        for claim in &claims {
            schedule.claimed(claim.endpoint_id, claim.limit, Some(at(0)), at(1));
        }
        for claim in &claims {
            turns.push(claim.endpoint_id.0.as_u128());
            for _ in 0..claim.limit {
                schedule.finished(claim.endpoint_id, at(1));
            }
        }
    }
    assert_eq!(turns, [1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3]);
}

#[test]
fn an_organisation_that_is_full_waits_for_itself_alone() {
    let mut schedule = Schedule::new(WINDOWS);
    for number in 1..=4 {
        known(&mut schedule, 1, number, 0);
    }
    known(&mut schedule, 2, 5, 0);
    let claims = taken(&schedule.claims(at(0)));
    let of_first: u32 = claims.iter().filter(|(number, _)| *number < 5).map(|(_, limit)| limit).sum();
    assert_eq!(of_first, 12);
    assert!(claims.iter().any(|(number, _)| *number == 5), "{claims:?}");
    for (number, limit) in claims {
        schedule.claimed(endpoint(number), limit, Some(at(0)), at(0));
    }
    schedule.finished(endpoint(1), at(0));
    assert_eq!(schedule.claims(at(0)).len(), 1, "one place came free, one endpoint gets it");
}

#[test]
fn a_pause_holds_the_endpoint_back() {
    let mut schedule = Schedule::new(WINDOWS);
    known(&mut schedule, 1, 1, 0);
    schedule.pause(endpoint(1), at(60), at(0));
    assert_eq!(schedule.claims(at(59)), []);
    assert_eq!(taken(&schedule.claims(at(60))), [(1, 5)]);
}

#[test]
fn endpoints_without_anything_to_do_are_forgotten() {
    let mut schedule = Schedule::new(WINDOWS);
    known(&mut schedule, 1, 1, 0);
    schedule.claims(at(0));
    schedule.claimed(endpoint(1), 1, None, at(0));
    schedule.prune(at(1000));
    assert!(schedule.knows(endpoint(1)), "something is in flight");
    schedule.finished(endpoint(1), at(1000));
    schedule.prune(at(1059));
    assert!(schedule.knows(endpoint(1)));
    schedule.prune(at(1060));
    assert!(!schedule.knows(endpoint(1)));
}

#[derive(Debug, Clone)]
enum Step {
    Due(u128, i64),
    Claim,
    /// The oldest claim is answered: a share of it was taken; whether more is due.
    Answer(u32, bool),
    Finish(u128),
    Pause(u128, i64),
    Advance(i64),
    Prune,
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..8_u128, 0..50_i64).prop_map(|(number, due)| Step::Due(number, due)),
        4 => Just(Step::Claim),
        4 => (0..6_u32, any::<bool>()).prop_map(|(taken, more)| Step::Answer(taken, more)),
        6 => (0..8_u128).prop_map(Step::Finish),
        1 => (0..8_u128, 0..50_i64).prop_map(|(number, until)| Step::Pause(number, until)),
        2 => (1..20_i64).prop_map(Step::Advance),
        1 => Just(Step::Prune),
    ]
}

proptest! {
    /// No window is ever exceeded, and when all is answered and ended, everything due is claimed.
    #[test]
    fn windows_hold_and_nothing_starves(steps in proptest::collection::vec(steps(), 1..200)) {
        let mut schedule = Schedule::new(WINDOWS);
        let (mut now, mut open, mut flying) = (0, VecDeque::new(), BTreeMap::<u128, u32>::new());
        for step in steps {
            match step {
                Step::Due(number, due) => {
                    schedule.due(org(number % 2), endpoint(number), at(due), at(now));
                    schedule.set_window(endpoint(number), None);
                }
                Step::Claim => open.extend(schedule.claims(at(now))),
                Step::Answer(taken, more) => if let Some(claim) = open.pop_front() {
                    let taken = taken.min(claim.limit);
                    *flying.entry(claim.endpoint_id.0.as_u128()).or_default() += taken;
                    schedule.claimed(claim.endpoint_id, taken, more.then_some(at(now)), at(now));
                },
                Step::Finish(number) => if let Some(count) = flying.get_mut(&number).filter(|count| **count > 0) {
                    *count -= 1;
                    schedule.finished(endpoint(number), at(now));
                },
                Step::Pause(number, until) => schedule.pause(endpoint(number), at(until), at(now)),
                Step::Advance(by) => now += by,
                Step::Prune => schedule.prune(at(now)),
            }
            let mut by_org = [0, 0];
            for (number, count) in &flying {
                let claimed = open.iter().filter(|claim| claim.endpoint_id == endpoint(*number));
                let all = count + claimed.map(|claim| claim.limit).sum::<u32>();
                prop_assert!(all <= WINDOWS.endpoint);
                by_org[usize::try_from(number % 2).unwrap()] += all;
            }
            prop_assert!(by_org.iter().all(|all| *all <= WINDOWS.org));
            prop_assert!(schedule.in_flight() <= WINDOWS.all);
        }
        for claim in open.drain(..) {
            schedule.claimed(claim.endpoint_id, 0, Some(at(now)), at(now));
        }
        for (number, count) in flying {
            for _ in 0..count {
                schedule.finished(endpoint(number), at(now));
            }
        }
        prop_assert_eq!(schedule.in_flight(), 0);
        let waiting: BTreeSet<EndpointId> =
            schedule.slots.iter().filter(|(_, slot)| slot.due.is_some()).map(|(endpoint, _)| *endpoint).collect();
        let mut served = BTreeSet::new();
        for _ in 0..100 {
            for claim in schedule.claims(at(1000)) {
                served.insert(claim.endpoint_id);
                schedule.claimed(claim.endpoint_id, 0, None, at(1000));
            }
        }
        prop_assert_eq!(served, waiting);
    }
}

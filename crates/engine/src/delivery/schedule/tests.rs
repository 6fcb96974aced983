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
    schedule.set_flow(endpoint(number), Flow::default(), at(0));
}

fn asked(claims: &[Claim]) -> Vec<(u128, u32)> {
    claims.iter().map(|claim| (claim.endpoint_id.0.as_u128(), claim.limit)).collect()
}

/// Claims, is given all it asked for and told that more is due, or not; what was claimed.
fn claim(schedule: &mut Schedule, now: i64, more: bool) -> Vec<(u128, u32)> {
    let claims = schedule.claims(at(now));
    for claim in &claims {
        schedule.claimed(claim, claim.limit, more.then_some(at(now)), at(now));
    }
    asked(&claims)
}

fn begin(schedule: &mut Schedule, now: i64) -> Vec<u128> {
    schedule.starts(at(now)).iter().map(|endpoint| endpoint.0.as_u128()).collect()
}

#[test]
fn an_endpoint_is_claimed_when_it_is_due_and_within_its_window() {
    let mut schedule = Schedule::new(WINDOWS);
    known(&mut schedule, 1, 1, 10);
    assert_eq!(schedule.claims(at(9)), []);
    assert_eq!(schedule.next_due(), Some(at(10)));
    let claims = schedule.claims(at(10));
    assert_eq!(asked(&claims), [(1, 5)]);
    assert_eq!(schedule.claims(at(10)), [], "one claim at a time");
    schedule.claimed(&claims[0], 5, Some(at(10)), at(10));
    assert_eq!(begin(&mut schedule, 10), [1, 1, 1, 1, 1]);
    assert_eq!(schedule.claims(at(10)), [], "the window is full");
    schedule.finished(endpoint(1), Sign::Life, at(10));
    assert_eq!(claim(&mut schedule, 10, false), [(1, 1)]);
    assert_eq!(begin(&mut schedule, 10), [1]);
    assert_eq!(schedule.in_flight(), 5);
    assert_eq!((schedule.claims(at(99)), schedule.next_due()), (vec![], None));
}

#[test]
fn while_all_goes_well_more_are_claimed_ahead() {
    let mut schedule = Schedule::new(WINDOWS);
    known(&mut schedule, 1, 1, 0);
    claim(&mut schedule, 0, true);
    begin(&mut schedule, 0);
    schedule.finished(endpoint(1), Sign::Success, at(0));
    assert_eq!(claim(&mut schedule, 0, true), [(1, 16)]);
    assert_eq!(begin(&mut schedule, 0), [1], "the window holds for what is begun");
    schedule.finished(endpoint(1), Sign::Life, at(0));
    assert_eq!(claim(&mut schedule, 0, true), [], "a failure ends that");
}

#[test]
fn an_unknown_window_is_one_until_it_is_known() {
    let mut schedule = Schedule::new(WINDOWS);
    schedule.due(org(1), endpoint(1), at(0), at(0));
    assert_eq!(claim(&mut schedule, 0, true), [(1, 1)]);
    schedule.set_flow(endpoint(1), Flow { max_in_flight: Some(3), ..Flow::default() }, at(0));
    assert_eq!(claim(&mut schedule, 0, true), [(1, 2)]);
}

#[test]
fn what_becomes_due_during_a_claim_is_not_forgotten() {
    let mut schedule = Schedule::new(WINDOWS);
    known(&mut schedule, 1, 1, 0);
    let claims = schedule.claims(at(0));
    schedule.due(org(1), endpoint(1), at(1), at(1));
    schedule.claimed(&claims[0], 1, None, at(1));
    assert_eq!(claim(&mut schedule, 1, false), [(1, 4)]);
}

#[test]
fn what_was_just_made_is_taken_unless_older_ones_wait() {
    let mut schedule = Schedule::new(WINDOWS);
    assert_eq!(schedule.room(endpoint(1), at(0)), 0, "the endpoint is not known");
    schedule.taken(org(1), endpoint(1), at(0));
    schedule.set_flow(endpoint(1), Flow::default(), at(0));
    assert_eq!((schedule.room(endpoint(1), at(0)), begin(&mut schedule, 0)), (4, vec![1]));
    schedule.due(org(1), endpoint(1), at(5), at(0));
    assert_eq!(schedule.room(endpoint(1), at(4)), 4, "what is due later does not wait");
    assert_eq!(schedule.room(endpoint(1), at(5)), 0);
    let claims = schedule.claims(at(5));
    assert_eq!(schedule.room(endpoint(1), at(5)), 0, "older ones are being claimed");
    schedule.claimed(&claims[0], 1, None, at(5));
    assert_eq!(schedule.room(endpoint(1), at(5)), 3);
    schedule.pause(endpoint(1), at(9), at(5));
    assert_eq!((schedule.room(endpoint(1), at(8)), schedule.room(endpoint(1), at(9))), (0, 3));
}

#[test]
fn organisations_take_turns_and_within_one_its_endpoints() {
    let mut schedule = Schedule::new(Windows { all: 40, org: 40, endpoint: 10 });
    for (of, number) in [(1, 1), (1, 2), (1, 3), (2, 4)] {
        known(&mut schedule, of, number, 0);
    }
    claim(&mut schedule, 0, false);
    let begun = begin(&mut schedule, 0);
    assert_eq!(begun[..16], [1, 2, 3, 1, 4, 4, 4, 4, 2, 3, 1, 2, 4, 4, 4, 4]);
    assert_eq!(begun.len(), 40);
}

#[test]
fn endpoints_take_turns_at_claims() {
    let mut schedule = Schedule::new(Windows { all: 2, org: 2, endpoint: 5 });
    for number in 1..=3 {
        known(&mut schedule, number, number, 0);
    }
    let mut turns = Vec::new();
    for _ in 0..6 {
        claim(&mut schedule, 1, true);
        for number in begin(&mut schedule, 1) {
            turns.push(number);
            schedule.finished(endpoint(number), Sign::Life, at(1));
        }
    }
    for number in 1..=3 {
        let times = turns.iter().filter(|turn| **turn == number).count();
        assert_eq!(times, 4, "{turns:?}");
    }
}

#[test]
fn an_organisation_that_is_full_waits_for_itself_alone() {
    let mut schedule = Schedule::new(WINDOWS);
    for number in 1..=4 {
        known(&mut schedule, 1, number, 0);
    }
    known(&mut schedule, 2, 5, 0);
    let claims = claim(&mut schedule, 0, true);
    let of_first: u32 = claims.iter().filter(|(number, _)| *number < 5).map(|(_, limit)| limit).sum();
    assert_eq!(of_first, 20, "each of its endpoints a window");
    assert!(claims.iter().any(|(number, _)| *number == 5), "{claims:?}");
    let begun = begin(&mut schedule, 0);
    assert_eq!(begun.iter().filter(|number| **number < 5).count(), 12);
    claim(&mut schedule, 0, true);
    let more = begin(&mut schedule, 0);
    assert!(more.iter().all(|number| *number == 5), "{more:?}");
    schedule.finished(endpoint(begun[0]), Sign::Life, at(0));
    let more = begin(&mut schedule, 0);
    assert_eq!(more.iter().filter(|number| **number < 5).count(), 1, "one place came free, one endpoint gets it");
}

#[test]
fn a_pause_holds_the_endpoint_back() {
    let mut schedule = Schedule::new(WINDOWS);
    known(&mut schedule, 1, 1, 0);
    claim(&mut schedule, 0, true);
    schedule.pause(endpoint(1), at(60), at(0));
    assert_eq!(begin(&mut schedule, 59), [0; 0], "nor does its line");
    assert_eq!(schedule.next_due(), Some(at(60)));
    assert_eq!(begin(&mut schedule, 60), [1; 5]);
}

#[test]
fn what_is_given_back_makes_room() {
    let mut schedule = Schedule::new(WINDOWS);
    known(&mut schedule, 1, 1, 0);
    claim(&mut schedule, 0, false);
    schedule.given_back(endpoint(1), 5, at(0));
    schedule.due(org(1), endpoint(1), at(0), at(0));
    assert_eq!((begin(&mut schedule, 0), schedule.held), (vec![], Held::default()));
    assert_eq!(claim(&mut schedule, 0, false), [(1, 5)]);
}

#[test]
fn endpoints_without_anything_to_do_are_forgotten() {
    let mut schedule = Schedule::new(WINDOWS);
    known(&mut schedule, 1, 1, 0);
    let claims = schedule.claims(at(0));
    schedule.claimed(&claims[0], 1, None, at(0));
    begin(&mut schedule, 0);
    schedule.prune(at(1000));
    assert!(schedule.knows(endpoint(1)), "something is in flight");
    schedule.finished(endpoint(1), Sign::Success, at(1000));
    schedule.prune(at(1059));
    assert!(schedule.knows(endpoint(1)));
    schedule.prune(at(1060));
    assert!(!schedule.knows(endpoint(1)));
}

/// An endpoint with a policy.
fn with_flow(schedule: &mut Schedule, number: u128, flow: Flow) {
    schedule.due(org(1), endpoint(number), at(0), at(0));
    schedule.set_flow(endpoint(number), flow, at(0));
}

#[test]
fn a_rate_limits_what_begins_and_what_is_claimed_ahead() {
    let mut schedule = Schedule::new(WINDOWS);
    let limit = "1/s burst 2".parse().unwrap();
    with_flow(&mut schedule, 1, Flow { rate_limit: Some(limit), ..Flow::default() });
    assert_eq!(claim(&mut schedule, 0, true), [(1, 3)], "the burst, and a second's worth");
    assert_eq!(begin(&mut schedule, 0), [1, 1]);
    assert_eq!((claim(&mut schedule, 0, true), schedule.next_due()), (vec![], Some(at(1))));
    for now in 1..20 {
        schedule.finished(endpoint(1), Sign::Success, at(now));
        assert_eq!(begin(&mut schedule, now), [1]);
        assert_eq!(claim(&mut schedule, now, true), [(1, 1)]);
        assert_eq!((begin(&mut schedule, now), schedule.room(endpoint(1), at(now))), (vec![], 0));
    }
}

#[test]
fn f27_an_endpoint_in_trouble_is_probed_and_then_reopened_step_by_step() {
    let mut schedule = Schedule::new(WINDOWS);
    known(&mut schedule, 1, 1, 0);
    claim(&mut schedule, 0, true);
    assert_eq!(begin(&mut schedule, 0).len(), 5);
    (0..5).for_each(|_| schedule.finished(endpoint(1), Sign::Trouble, at(0)));
    assert!(schedule.rests(endpoint(1), at(0)) && schedule.room(endpoint(1), at(0)) == 0);
    let mut probes = Vec::new();
    for _ in 0..6 {
        let now = schedule.next_due().unwrap().as_second();
        assert_eq!(claim(&mut schedule, now, true), [(1, 1)]);
        assert_eq!(begin(&mut schedule, now), [1]);
        assert_eq!((claim(&mut schedule, now, true), begin(&mut schedule, now)), (vec![], vec![]));
        schedule.finished(endpoint(1), Sign::Trouble, at(now));
        probes.push(now);
    }
    assert_eq!(probes, [1, 3, 7, 15, 31, 61]);
    let (mut windows, mut in_flight) = (Vec::new(), 0);
    for now in 91..95 {
        claim(&mut schedule, now, true);
        in_flight += begin(&mut schedule, now).len();
        windows.push(in_flight);
        schedule.finished(endpoint(1), Sign::Success, at(now));
        in_flight -= 1;
    }
    assert_eq!(windows, [1, 2, 4, 5]);
}

#[test]
fn endpoints_in_trouble_leave_half_the_organisation_to_the_others() {
    let mut schedule = Schedule::new(Windows { all: 20, org: 4, endpoint: 4 });
    for number in 1..=3 {
        (0..4).for_each(|_| schedule.taken(org(1), endpoint(number), at(0)));
        schedule.set_flow(endpoint(number), Flow::default(), at(0));
        assert_eq!(begin(&mut schedule, 0).len(), 4);
        (0..4).for_each(|_| schedule.finished(endpoint(number), Sign::Trouble, at(0)));
    }
    for number in 1..=3 {
        (0..4).for_each(|_| schedule.taken(org(1), endpoint(number), at(0)));
    }
    assert_eq!(begin(&mut schedule, 0).len(), 2, "retries hold half the window");
    schedule.taken(org(1), endpoint(4), at(0));
    schedule.taken(org(1), endpoint(5), at(0));
    assert_eq!(begin(&mut schedule, 0), [4, 5], "and first attempts find room");
    let troubled = schedule.slots.iter().find(|(_, slot)| slot.held.in_flight > 0).map(|(id, _)| *id).unwrap();
    schedule.finished(troubled, Sign::Success, at(0));
    assert!(!begin(&mut schedule, 0).is_empty(), "who waited for that has its turn");
}

#[test]
fn in_order_the_next_waits_until_the_outcome_is_written() {
    let mut schedule = Schedule::new(WINDOWS);
    with_flow(&mut schedule, 1, Flow { order: Order::Endpoint, max_in_flight: Some(5), ..Flow::default() });
    assert_eq!(claim(&mut schedule, 0, true), [(1, 1)]);
    assert_eq!((begin(&mut schedule, 0), claim(&mut schedule, 0, true)), (vec![1], vec![]));
    schedule.writing(endpoint(1));
    schedule.finished(endpoint(1), Sign::Success, at(0));
    assert_eq!(claim(&mut schedule, 0, true), [], "the store does not know yet that it is done");
    schedule.written(endpoint(1), at(0));
    assert_eq!(claim(&mut schedule, 0, true), [(1, 1)]);
}

#[test]
fn in_order_by_project_the_window_is_the_endpoints_and_each_outcome_asks_for_more() {
    let mut schedule = Schedule::new(WINDOWS);
    with_flow(&mut schedule, 1, Flow { order: Order::Project, max_in_flight: Some(3), ..Flow::default() });
    assert_eq!(claim(&mut schedule, 0, false), [(1, 3)]);
    assert_eq!(begin(&mut schedule, 0), [1, 1, 1]);
    schedule.writing(endpoint(1));
    schedule.finished(endpoint(1), Sign::Success, at(0));
    assert_eq!(claim(&mut schedule, 0, false), [], "nothing that is known of");
    schedule.written(endpoint(1), at(0));
    assert_eq!(claim(&mut schedule, 0, false), [(1, 1)], "the next of its project, and none ahead");
}

#[test]
fn retries_may_hold_half_the_window() {
    let mut schedule = Schedule::new(WINDOWS);
    known(&mut schedule, 1, 1, 0);
    let shares = |schedule: &mut Schedule| {
        schedule.due(org(1), endpoint(1), at(0), at(0));
        let claims = schedule.claims(at(0));
        let share = claims[0].retries;
        schedule.claimed(&claims[0], 0, None, at(0));
        share
    };
    assert_eq!([shares(&mut schedule), shares(&mut schedule)], [3, 2], "of five, rounded up and down in turn");
    schedule.retries_come(endpoint(1), 2);
    assert_eq!([shares(&mut schedule), shares(&mut schedule)], [1, 0]);
    schedule.retries_gone(endpoint(1), 2);
    assert_eq!(shares(&mut schedule), 3);
}

/// A store of endless retries and first attempts, as the port promises it: by age, retries within their share.
#[derive(Debug)]
struct Endless {
    next: [u64; 2],
}

impl Endless {
    /// Which of those claimed are retries; `older` says which kind is older.
    fn claim(&mut self, claim: &Claim, retries_are_older: bool) -> Vec<bool> {
        let (limit, share) = (claim.limit as usize, claim.retries.min(claim.limit) as usize);
        let retries = if retries_are_older { share } else { 0 };
        self.next[0] += (limit - retries) as u64;
        self.next[1] += retries as u64;
        std::iter::repeat_n(true, retries).chain(std::iter::repeat_n(false, limit - retries)).collect()
    }
}

proptest! {
    /// However long retries take and however many wait: they hold at most half an endpoint's window, rounded up, and first
    /// attempts begin again and again.
    #[test]
    fn retries_never_starve_first_attempts(
        window in 1..12_u32,
        ends in proptest::collection::vec((any::<prop::sample::Index>(), 0..4_u8), 50..200),
    ) {
        let mut schedule = Schedule::new(Windows { all: 100, org: 100, endpoint: window });
        known(&mut schedule, 1, 1, 0);
        let (mut store, mut flying, mut line) = (Endless { next: [0; 2] }, Vec::new(), VecDeque::new());
        let mut begun = [0_u32; 2];
        for (which, patience) in ends {
            schedule.due(org(1), endpoint(1), at(0), at(0));
            for claim in schedule.claims(at(0)) {
                let kinds = store.claim(&claim, true);
                let retries = u32::try_from(kinds.iter().filter(|is_retry| **is_retry).count()).unwrap();
                schedule.retries_come(endpoint(1), retries);
                schedule.claimed(&claim, claim.limit, Some(at(0)), at(0));
                line.extend(kinds);
            }
            for _ in schedule.starts(at(0)) {
                let is_retry: bool = line.pop_front().unwrap();
                begun[usize::from(is_retry)] += 1;
                flying.push(is_retry);
            }
            let retries = u32::try_from(flying.iter().filter(|is_retry| **is_retry).count()).unwrap();
            prop_assert!(retries <= window.div_ceil(2), "{retries} of {window}");
            // A retry ends seldom: it hangs.
            let index = which.index(flying.len());
            let index = if flying[index] && patience > 0 { flying.iter().position(|it| !it).unwrap_or(index) } else { index };
            let is_retry = flying.remove(index);
            schedule.retries_gone(endpoint(1), is_retry.into());
            schedule.finished(endpoint(1), Sign::Life, at(0));
        }
        let turns = begun[0] + begun[1];
        prop_assert!(begun[0] * 3 >= turns.saturating_sub(window), "{begun:?}");
        prop_assert!(begun[1] > 0);
    }

    /// While organisations all have something to start, what each has begun for a unit of its weight differs by at most
    /// two turns, however full the node is and in whatever order attempts end.
    #[test]
    fn organisations_share_by_weight(
        all in 1..30_u32,
        weights in proptest::collection::vec(1..5_u32, 2..6),
        ends in proptest::collection::vec(any::<prop::sample::Index>(), 100..400),
    ) {
        // The node is what is full, never an organisation or endpoint by itself.
        let mut schedule = Schedule::new(Windows { all, org: 2 * all, endpoint: 2 * all });
        let number = |index: usize| u128::try_from(index).unwrap() + 1;
        schedule.set_weights(weights.iter().enumerate().map(|(index, weight)| (org(number(index)), *weight)));
        for index in 0..weights.len() {
            schedule.taken(org(number(index)), endpoint(number(index)), at(0));
            schedule.set_flow(endpoint(number(index)), Flow::default(), at(0));
            // Never without something to start.
            (0..100).for_each(|_| schedule.taken(org(number(index)), endpoint(number(index)), at(0)));
        }
        let (mut begun, mut flying) = (vec![0_u32; weights.len()], Vec::new());
        for which in ends {
            for number in begin(&mut schedule, 0) {
                let index = usize::try_from(number - 1).unwrap();
                begun[index] += 1;
                flying.push(number);
                schedule.taken(org(number), endpoint(number), at(0));
            }
            let turns: Vec<u32> = begun.iter().zip(&weights).map(|(begun, weight)| begun / weight).collect();
            let (least, most) = (turns.iter().min().unwrap(), turns.iter().max().unwrap());
            prop_assert!(most - least <= 2 * STARTS_A_TURN, "{begun:?} of {weights:?}");
            let number = flying.swap_remove(which.index(flying.len()));
            schedule.finished(endpoint(number), Sign::Life, at(0));
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Due(u128, i64),
    Taken(u128),
    Claim,
    /// The oldest claim is answered: a share of it was taken; whether more is due.
    Answer(u32, bool),
    Begin,
    Finish(u128, bool),
    GiveBack(u128),
    Pause(u128, i64),
    Advance(i64),
    Prune,
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..8_u128, 0..50_i64).prop_map(|(number, due)| Step::Due(number, due)),
        4 => (0..8_u128).prop_map(Step::Taken),
        4 => Just(Step::Claim),
        4 => (0..11_u32, any::<bool>()).prop_map(|(taken, more)| Step::Answer(taken, more)),
        4 => Just(Step::Begin),
        6 => (0..8_u128, any::<bool>()).prop_map(|(number, well)| Step::Finish(number, well)),
        1 => (0..8_u128).prop_map(Step::GiveBack),
        1 => (0..8_u128, 0..50_i64).prop_map(|(number, until)| Step::Pause(number, until)),
        2 => (1..20_i64).prop_map(Step::Advance),
        1 => Just(Step::Prune),
    ]
}

/// What the steps did, told apart from the schedule itself.
#[derive(Debug, Default)]
struct Seen {
    line: BTreeMap<u128, u32>,
    flying: BTreeMap<u128, u32>,
}

impl Seen {
    fn begin(&mut self, begun: Vec<u128>) {
        for number in begun {
            let line = self.line.get_mut(&number).unwrap();
            *line = line.checked_sub(1).expect("only what stands in line begins");
            *self.flying.entry(number).or_default() += 1;
        }
    }
}

proptest! {
    /// No window is ever exceeded, and when all is answered and ended, everything due is claimed and everything in line
    /// begins.
    #[test]
    fn windows_hold_and_nothing_starves(steps in proptest::collection::vec(steps(), 1..200)) {
        let mut schedule = Schedule::new(WINDOWS);
        let (mut now, mut open, mut seen) = (0, VecDeque::<Claim>::new(), Seen::default());
        for step in steps {
            match step {
                Step::Due(number, due) => {
                    schedule.due(org(number % 2), endpoint(number), at(due), at(now));
                    schedule.set_flow(endpoint(number), Flow::default(), at(now));
                }
                Step::Taken(number) => if schedule.room(endpoint(number), at(now)) > 0 {
                    *seen.line.entry(number).or_default() += 1;
                    schedule.taken(org(number % 2), endpoint(number), at(now));
                },
                Step::Claim => open.extend(schedule.claims(at(now))),
                Step::Answer(taken, more) => if let Some(claim) = open.pop_front() {
                    let taken = taken.min(claim.limit);
                    *seen.line.entry(claim.endpoint_id.0.as_u128()).or_default() += taken;
                    schedule.claimed(&claim, taken, more.then_some(at(now)), at(now));
                },
                Step::Begin => seen.begin(begin(&mut schedule, now)),
                Step::Finish(number, well) => if let Some(count) = seen.flying.get_mut(&number).filter(|count| **count > 0) {
                    *count -= 1;
                    schedule.finished(endpoint(number), if well { Sign::Success } else { Sign::Trouble }, at(now));
                },
                Step::GiveBack(number) => if let Some(line) = seen.line.insert(number, 0) {
                    schedule.given_back(endpoint(number), line, at(now));
                },
                Step::Pause(number, until) => schedule.pause(endpoint(number), at(until), at(now)),
                Step::Advance(by) => now += by,
                Step::Prune => schedule.prune(at(now)),
            }
            let (mut flying, mut waiting) = ([0, 0], [0, 0]);
            for number in 0..8 {
                let of_org = usize::try_from(number % 2).unwrap();
                let claimed = open.iter().filter(|claim| claim.endpoint_id == endpoint(number));
                let claimed = claimed.map(|claim| claim.limit).sum::<u32>();
                let line = seen.line.get(&number).copied().unwrap_or_default();
                let in_flight = seen.flying.get(&number).copied().unwrap_or_default();
                prop_assert!(in_flight <= WINDOWS.endpoint && line + claimed + in_flight <= LINES_PER_WINDOW * WINDOWS.endpoint);
                flying[of_org] += in_flight;
                waiting[of_org] += line + claimed;
            }
            for (held, org, all) in [
                (flying, WINDOWS.org, WINDOWS.all),
                (waiting, WINDOWS.org_line(), WINDOWS.all_lines()),
            ] {
                prop_assert!(held.iter().all(|count| *count <= org), "{held:?}");
                prop_assert!(held.iter().sum::<u32>() <= all, "{held:?}");
            }
        }
        let end = now + 1000;
        for claim in open.drain(..) {
            schedule.claimed(&claim, 0, Some(at(now)), at(now));
        }
        for _ in 0..100 {
            for (number, count) in std::mem::take(&mut seen.flying) {
                (0..count).for_each(|_| schedule.finished(endpoint(number), Sign::Success, at(end)));
            }
            seen.begin(begin(&mut schedule, end));
        }
        prop_assert_eq!(schedule.held, Held::default());
        let waiting: BTreeSet<EndpointId> =
            schedule.slots.iter().filter(|(_, slot)| slot.due.is_some()).map(|(endpoint, _)| *endpoint).collect();
        let mut served = BTreeSet::new();
        for _ in 0..100 {
            for claim in schedule.claims(at(end)) {
                served.insert(claim.endpoint_id);
                schedule.claimed(&claim, 0, None, at(end));
            }
        }
        prop_assert_eq!(served, waiting);
    }
}

fn gathering(schedule: &mut Schedule, number: u128, most: u32) {
    with_flow(schedule, number, Flow { gathers: Some(most), max_in_flight: Some(2), ..Flow::default() });
}

#[test]
fn a_digest_is_got_ready_whole_and_begins_once() {
    let mut schedule = Schedule::new(WINDOWS);
    gathering(&mut schedule, 1, 30);
    assert_eq!(claim(&mut schedule, 0, true), [(1, 30)], "more than its window");
    assert_eq!(begin(&mut schedule, 0), [1], "one request");
    assert_eq!(begin(&mut schedule, 0), [], "who goes with it is not known yet");
    schedule.ride_along(endpoint(1), 29, at(0));
    assert_eq!((schedule.in_flight(), claim(&mut schedule, 0, false)), (1, vec![(1, 30)]), "the next is got ready");
}

#[test]
fn a_digest_waits_for_what_is_claimed_of_it_and_no_longer() {
    let mut schedule = Schedule::new(WINDOWS);
    schedule.due(org(1), endpoint(1), at(0), at(0));
    let claims = schedule.claims(at(0));
    assert_eq!(asked(&claims), [(1, 1)], "that it gathers is not known yet");
    schedule.claimed(&claims[0], 1, Some(at(0)), at(0));
    schedule.set_flow(endpoint(1), Flow { gathers: Some(10), ..Flow::default() }, at(0));
    assert_eq!(begin(&mut schedule, 0), [], "there is more");
    let claims = schedule.claims(at(0));
    assert_eq!(asked(&claims), [(1, 9)]);
    assert_eq!(begin(&mut schedule, 0), [], "it is on its way");
    schedule.claimed(&claims[0], 4, Some(at(60)), at(0));
    assert_eq!(begin(&mut schedule, 0), [1], "that was all");
    schedule.ride_along(endpoint(1), 4, at(0));
    schedule.finished(endpoint(1), Sign::Success, at(1));
    assert_eq!((begin(&mut schedule, 1), schedule.next_due()), (vec![], Some(at(60))));
}

#[test]
fn a_digest_without_room_for_all_of_it_goes_as_it_is() {
    let mut schedule = Schedule::new(WINDOWS);
    // The line of an organisation holds 48.
    gathering(&mut schedule, 1, 100);
    assert_eq!(claim(&mut schedule, 0, true), [(1, 48)]);
    assert_eq!(begin(&mut schedule, 0), []);
    assert_eq!(schedule.claims(at(0)), [], "there is no room for the rest");
    assert_eq!(begin(&mut schedule, 0), [1]);
    schedule.ride_along(endpoint(1), 47, at(0));
    assert_eq!(claim(&mut schedule, 0, false), [(1, 48)], "the rest of it follows");
}

#[test]
fn a_token_of_the_rate_is_for_a_digest() {
    let mut schedule = Schedule::new(WINDOWS);
    let limit = Some("1/s burst 1".parse().unwrap());
    with_flow(&mut schedule, 1, Flow { gathers: Some(5), rate_limit: limit, ..Flow::default() });
    assert_eq!(claim(&mut schedule, 0, true), [(1, 5)]);
    assert_eq!(begin(&mut schedule, 0), [1]);
    schedule.ride_along(endpoint(1), 4, at(0));
    assert_eq!(claim(&mut schedule, 0, false), [(1, 5)]);
    assert_eq!((begin(&mut schedule, 0), begin(&mut schedule, 1)), (vec![], vec![1]));
}

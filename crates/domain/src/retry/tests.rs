use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn policy() -> RetryPolicy {
    RetryPolicy {
        schedule: [0, 5, 300, 1800].map(SignedDuration::from_secs).to_vec(),
        jitter_percent: 10,
        retry_after_max: SignedDuration::from_hours(24),
    }
}

fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

fn ended(result: AttemptResult) -> Ended<'static> {
    Ended {
        counted_before: 0,
        result,
        heard: Heard::Status,
        latest_results: &[],
        retry_after: None,
        now: now(),
        chance: 0,
    }
}

fn in_seconds(wait: i64) -> Timestamp {
    now() + SignedDuration::from_secs(wait)
}

fn retry(at: Timestamp) -> Decision {
    Decision::Retry { at, counts: true, endpoint_pause: None }
}

fn dead(reason: DeadLetterReason) -> Decision {
    Decision::DeadLetter { reason, endpoint_gone: reason == DeadLetterReason::Gone, endpoint_pause: None }
}

#[rstest]
#[case(200)]
#[case(201)]
#[case(202)]
#[case(204)]
#[case(299)]
fn any_2xx_is_delivered(#[case] status: u16) {
    assert_eq!(decide(&policy(), &ended(AttemptResult::Http(status))), Decision::Delivered);
}

#[rstest]
#[case(0, Some(5))]
#[case(1, Some(300))]
#[case(2, Some(1800))]
#[case(3, None)]
#[case(u32::MAX, None)]
fn the_schedule_is_followed_to_its_end(#[case] counted_before: u32, #[case] wait: Option<i64>) {
    let decision = decide(&policy(), &Ended { counted_before, ..ended(AttemptResult::Http(500)) });
    let wanted = wait.map_or(dead(DeadLetterReason::Exhausted), |wait| retry(in_seconds(wait)));
    assert_eq!(decision, wanted);
}

#[test]
fn gone_is_final_and_so_is_what_the_dialect_says() {
    assert_eq!(decide(&policy(), &ended(AttemptResult::Http(410))), dead(DeadLetterReason::Gone));
    let heard = |heard, result| decide(&policy(), &Ended { heard, ..ended(result) });
    assert_eq!(heard(Heard::Refused, AttemptResult::Http(401)), dead(DeadLetterReason::Refused));
    assert_eq!(heard(Heard::Gone, AttemptResult::Http(404)), dead(DeadLetterReason::Gone));
    assert_eq!(heard(Heard::Status, AttemptResult::Http(401)), retry(in_seconds(5)));
    assert_eq!(heard(Heard::Failed, AttemptResult::Rejected), retry(in_seconds(5)));
}

#[test]
fn an_interrupted_attempt_costs_nothing() {
    let decision = decide(&policy(), &Ended { counted_before: 3, ..ended(AttemptResult::Interrupted) });
    assert_eq!(decision, Decision::Retry { at: now(), counts: false, endpoint_pause: None });
}

#[rstest]
#[case(AttemptResult::EgressForbidden, DeadLetterReason::EgressForbidden)]
#[case(AttemptResult::Internal, DeadLetterReason::Internal)]
fn the_hopeless_is_tried_three_times_in_a_row(#[case] result: AttemptResult, #[case] reason: DeadLetterReason) {
    let after = |latest: &[AttemptResult]| decide(&policy(), &Ended { latest_results: latest, ..ended(result) });
    assert_eq!(after(&[result]), retry(in_seconds(5)));
    assert_eq!(after(&[result, AttemptResult::Http(500), result]), retry(in_seconds(5)));
    assert_eq!(after(&[result, result]), dead(reason));
    assert_eq!(after(&[result, AttemptResult::Interrupted, result]), dead(reason));
}

#[rstest]
#[case(429, "7", 7, Some(7))]
#[case(503, "7", 7, Some(7))]
#[case(503, "3", 5, Some(3))]
#[case(503, "0", 5, None)]
#[case(500, "7", 5, None)]
#[case(503, "99999999999999999999999999999999999999999999999999999999999", 86_400, Some(86_400))]
#[case(503, "9223372036854775807", 86_400, Some(86_400))]
#[case(503, "Fri, 02 Jan 2026 03:04:35 GMT", 30, Some(30))]
#[case(503, "Friday, 02-Jan-26 03:04:35 GMT", 30, Some(30))]
#[case(503, "Fri Jan  2 03:04:35 2026", 30, Some(30))]
#[case(503, "Fri, 02 Jan 2026 03:04:00 GMT", 5, None)]
#[case(503, "Fri, 31 Dec 9999 23:59:59 GMT", 86_400, Some(86_400))]
#[case(503, "Mon, 01 Jan 0001 00:00:00 GMT", 5, None)]
fn retry_after_lengthens_the_wait_and_pauses_the_endpoint(
    #[case] status: u16,
    #[case] value: &str,
    #[case] wait: i64,
    #[case] pause: Option<i64>,
) {
    let decision = decide(
        &policy(),
        &Ended { retry_after: RetryAfter::parse(value.as_bytes()), ..ended(AttemptResult::Http(status)) },
    );
    assert_eq!(decision, Decision::Retry { at: in_seconds(wait), counts: true, endpoint_pause: pause.map(in_seconds) });
}

#[rstest]
#[case("-1")]
#[case("+7")]
#[case("2.5")]
#[case("inf")]
#[case("NaN")]
#[case("1e308")]
#[case("soon")]
#[case("")]
#[case(" ")]
#[case("7, 8")]
#[case("٧")]
#[case("Fri, 02 Jan 2026 03:04:35 CET")]
#[case("Fri, 31 Feb 2026 03:04:35 GMT")]
#[case("2026-01-02T03:04:35Z")]
fn what_is_no_retry_after_is_not_used(#[case] value: &str) {
    assert_eq!(RetryAfter::parse(value.as_bytes()), None);
    assert_eq!(RetryAfter::parse("x7".repeat(4000).as_bytes()), None);
    assert_eq!(RetryAfter::parse(b"\xff7"), None);
}

#[test]
fn of_two_retry_afters_the_larger_valid_one_counts() {
    let longest = |values: &[&'static str]| RetryAfter::longest(values.iter().map(|value| value.as_bytes()), now());
    assert_eq!(longest(&["7", "9", "soon"]), Some(RetryAfter::Seconds(9)));
    assert_eq!(longest(&["Fri, 02 Jan 2026 03:04:35 GMT", "9"]), Some(RetryAfter::At(in_seconds(30))));
    assert_eq!(longest(&["soon", ""]), None);
}

#[test]
fn jitter_covers_its_window() {
    let at = |chance| match decide(&policy(), &Ended { counted_before: 1, chance, ..ended(AttemptResult::DnsError) }) {
        Decision::Retry { at, .. } => at,
        other @ (Decision::Delivered | Decision::DeadLetter { .. }) => panic!("{other:?}"),
    };
    assert_eq!(at(0), in_seconds(300));
    let latest = now().duration_until(at(u64::MAX));
    assert!(latest > SignedDuration::from_millis(329_999) && latest <= SignedDuration::from_secs(330), "{latest:?}");
    assert_eq!(at(1 << 63), in_seconds(315));
}

fn results() -> impl Strategy<Value = AttemptResult> {
    prop_oneof![any::<u16>().prop_map(AttemptResult::Http), proptest::sample::select(AttemptResult::WITHOUT_STATUS),]
}

proptest! {
    #[test]
    fn a_retry_lies_between_its_wait_and_the_wait_with_jitter(
        counted_before in 0_u32..5,
        result in results(),
        latest in proptest::collection::vec(results(), 0..4),
        asked in proptest::option::of(any::<u64>().prop_map(RetryAfter::Seconds)),
        chance: u64,
        percent: u8,
    ) {
        let policy = RetryPolicy { jitter_percent: percent, ..policy() };
        let ended = Ended { counted_before, latest_results: &latest, retry_after: asked, chance, ..ended(result) };
        if let Decision::Retry { at, counts: true, endpoint_pause } = decide(&policy, &ended) {
            let scheduled = policy.schedule[counted_before as usize + 1];
            let least = endpoint_pause.map_or(scheduled, |pause| now().duration_until(pause).max(scheduled));
            let waited = now().duration_until(at);
            prop_assert!(waited >= least);
            prop_assert!(waited.as_nanos() * 100 <= least.as_nanos() * (100 + i128::from(percent)));
        }
    }

    #[test]
    fn no_policy_and_no_time_panics(
        seconds in proptest::collection::vec(any::<i64>(), 0..4),
        max: i64,
        now in any::<i64>(),
        counted_before: u32,
        result in results(),
        value: Vec<u8>,
        chance: u64,
    ) {
        let now = Timestamp::from_second(now % 253_402_200_000).unwrap_or(Timestamp::MIN);
        let policy = RetryPolicy {
            schedule: seconds.into_iter().map(SignedDuration::from_secs).collect(),
            jitter_percent: 255,
            retry_after_max: SignedDuration::from_secs(max),
        };
        let retry_after = RetryAfter::longest([value.as_slice()], now);
        decide(&policy, &Ended { heard: Heard::Status, counted_before, result, latest_results: &[], retry_after, now, chance });
    }

    #[test]
    fn retry_after_takes_any_bytes(value: Vec<u8>, text in "[A-Za-z0-9 ,:-]{0,50}") {
        RetryAfter::parse(&value);
        RetryAfter::parse(text.as_bytes());
    }
}

//! Of when it goes out. Times that the product wrote down are turned back into virtual time; waits are measured by the
//! time that deliveries are due by, which follows the wall clock forwards and never runs backwards.

use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use watchbell_domain::delivery::{Attempt, AttemptResult, Delivery};
use watchbell_domain::id::EndpointId;

use super::{Found, Invariant, Past};
use crate::clock::Moment;
use crate::node::options;

/// What is stored is rounded down to microseconds, virtual time to milliseconds.
const ROUNDED: SignedDuration = SignedDuration::from_millis(2);

/// How long after its answer a `Retry-After` may not be known yet: attempts begun meanwhile, outcomes that wait for a
/// disturbed store.
const HEARD_WITHIN: SignedDuration = SignedDuration::from_secs(25);

pub(super) fn never_early(past: &Past<'_>, found: &mut Found) {
    for (delivery, attempts) in &past.last.deliveries {
        let mut counted = 0;
        for pair in attempts.windows(2) {
            let [attempt, next] = pair else { continue };
            counted += usize::from(attempt.result != AttemptResult::Interrupted);
            let (Some(ended), Some(begun)) = (ended_at(past, attempt), past.world.clock.moment(next.started_at)) else {
                found.push((Invariant::NeverEarly, format!("{} has times that never were", delivery.id)));
                continue;
            };
            if attempt.result == AttemptResult::Interrupted || was_moved(past, delivery, ended, begun) {
                continue;
            }
            let asked = retry_after(past, attempt, ended).unwrap_or_default();
            let wait = least_wait(past, delivery.endpoint_id, counted).max(asked);
            let waited = past.world.clock.steady_at(ended).duration_until(past.world.clock.steady_at(begun));
            if waited + ROUNDED < wait {
                let detail = format!(
                    "{} waited {waited:#} after attempt {} ({:?}) instead of {wait:#}",
                    delivery.id, attempt.number, attempt.result
                );
                found.push((Invariant::NeverEarly, detail));
            }
        }
    }
}

pub(super) fn paused_as_asked(past: &Past<'_>, found: &mut Found) {
    for (delivery, attempts) in &past.last.deliveries {
        for attempt in attempts {
            let Some(ended) = ended_at(past, attempt) else { continue };
            let Some(asked) = retry_after(past, attempt, ended).filter(|asked| *asked > HEARD_WITHIN) else { continue };
            let until = past.world.clock.steady_at(ended) + asked;
            for (other, begun) in begun_of(past, delivery.endpoint_id) {
                let is_within = begun > ended + HEARD_WITHIN && past.world.clock.steady_at(begun) + ROUNDED < until;
                if is_within && !was_moved(past, other, ended, begun) {
                    let detail = format!(
                        "{} of {} began at {:.3}, {:.3} after a Retry-After of {asked:#}",
                        other.id,
                        delivery.endpoint_id,
                        begun.as_secs_f64(),
                        (begun - ended).as_secs_f64()
                    );
                    found.push((Invariant::PausedAsAsked, detail));
                }
            }
        }
    }
}

/// Every attempt to an endpoint that was begun, and when.
fn begun_of<'p>(past: &'p Past<'_>, endpoint: EndpointId) -> impl Iterator<Item = (&'p Delivery, Moment)> {
    let of_it = past.last.deliveries.iter().filter(move |(delivery, _)| delivery.endpoint_id == endpoint);
    of_it.flat_map(move |(delivery, attempts)| {
        // An interrupted one may have been claimed and never begun.
        let begun = attempts.iter().filter(|attempt| attempt.result != AttemptResult::Interrupted);
        begun.filter_map(move |attempt| Some((delivery, past.world.clock.moment(attempt.started_at)?)))
    })
}

/// When it ended.
fn ended_at(past: &Past<'_>, attempt: &Attempt) -> Option<Moment> {
    if attempt.result == AttemptResult::Interrupted {
        // Claimed by the time of due deliveries, which may run ahead of the wall clock.
        return Some(Moment::ZERO);
    }
    past.world.clock.moment(attempt.started_at).map(|started| started + attempt.duration)
}

/// Whether somebody meanwhile made the delivery due at another time: an operator, or a change of its endpoint.
fn was_moved(past: &Past<'_>, delivery: &Delivery, from: Moment, to: Moment) -> bool {
    let is_between = |at: Moment| at >= from - options().timeout && at <= to;
    let hurried = past.record.hurried.iter().any(|(id, at)| *id == delivery.id && is_between(*at));
    let known = past.record.endpoints.get(&delivery.endpoint_id);
    hurried || known.is_some_and(|known| known.moved.iter().any(|at| is_between(*at)))
}

/// The least wait that any of the endpoint's schedules has before its next attempt.
fn least_wait(past: &Past<'_>, endpoint: EndpointId, counted: usize) -> SignedDuration {
    let known = past.record.endpoints.get(&endpoint);
    let seen = known.into_iter().flat_map(|known| &known.seen).filter_map(|(_, endpoint)| endpoint.as_ref());
    let own = seen.map(|endpoint| endpoint.policy.retry_schedule.clone().unwrap_or(options().retry_schedule));
    let wait = own.filter_map(|schedule| schedule.get(counted).copied()).min();
    wait.unwrap_or(SignedDuration::ZERO)
}

/// The pause that an answer asked for and was granted.
fn retry_after(past: &Past<'_>, attempt: &Attempt, ended: Moment) -> Option<SignedDuration> {
    if !matches!(attempt.result, AttemptResult::Http(429 | 503)) {
        return None;
    }
    let headers = &attempt.response.as_ref()?.headers;
    let (_, text) = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("retry-after"))?;
    let asked = match text.parse() {
        Ok(seconds) => SignedDuration::from_secs(seconds),
        Err(_) if text.bytes().all(|byte| byte.is_ascii_digit()) => SignedDuration::MAX,
        Err(_) => past.world.clock.wall_at(ended).duration_until(date(text)?),
    };
    asked.is_positive().then(|| asked.min(options().retry_after_max))
}

fn date(text: &str) -> Option<Timestamp> {
    let date: DateTime = strtime::parse("%a, %d %b %Y %H:%M:%S GMT", text).ok()?.to_datetime().ok()?;
    Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

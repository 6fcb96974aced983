//! Of what goes out.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use watchbell_domain::delivery::{Attempt, AttemptResult, Delivery, StateKind};
use watchbell_domain::endpoint::EndpointState;
use watchbell_domain::id::OrgId;

use super::{Found, Invariant, Past, telling};
use crate::history::Arrival;
use crate::node::options;

pub(super) fn ends(past: &Past<'_>, found: &mut Found) {
    for (delivery, _) in &past.last.deliveries {
        let endpoint = past.last.endpoints.get(&delivery.endpoint_id);
        let problem = match (delivery.state.kind(), endpoint.map(|endpoint| &endpoint.state)) {
            (StateKind::Delivered | StateKind::DeadLettered | StateKind::Cancelled, _)
            | (StateKind::Held, Some(EndpointState::Paused { .. } | EndpointState::Disabled { .. })) => continue,
            (StateKind::Held, Some(EndpointState::Active)) => "although its endpoint is active",
            (StateKind::Held, None) => "although its endpoint is deleted",
            (StateKind::Pending | StateKind::Sending, _) => "for ever",
        };
        let state = &delivery.state;
        found.push((Invariant::Ends, format!("{} of {} is {state:?} {problem}", delivery.id, delivery.endpoint_id)));
    }
}

pub(super) fn own_org(past: &Past<'_>, found: &mut Found) {
    let deliveries: BTreeMap<String, &Delivery> =
        past.last.deliveries.iter().map(|(delivery, _)| (delivery.id.to_string(), delivery)).collect();
    for arrival in &past.record.arrivals {
        let marked = arrival.mark.as_deref().and_then(|mark| marked_org(past, mark));
        let org_of_mark = marked.or_else(|| telling::org_of(past, &String::from_utf8_lossy(&arrival.body)));
        if org_of_mark != Some(arrival.org) {
            let detail = format!("{} received {:?}, which is of {org_of_mark:?}", arrival.endpoint, arrival.mark);
            found.push((Invariant::OwnOrg, detail));
        }
        if let Some(delivery) = arrival.delivery.as_ref().and_then(|id| deliveries.get(id))
            && (delivery.endpoint_id != arrival.endpoint || delivery.org_id != arrival.org)
        {
            let detail = format!("{} received {} of {}", arrival.endpoint, delivery.id, delivery.endpoint_id);
            found.push((Invariant::OwnOrg, detail));
        }
        if !arrival.signed {
            found.push((Invariant::Signed, format!("{} received {} unsigned", arrival.endpoint, arrival.kind)));
        }
    }
}

/// `o2.e7.` is of the third organisation.
fn marked_org(past: &Past<'_>, mark: &str) -> Option<OrgId> {
    let index: usize = mark.strip_prefix('o')?.split('.').next()?.parse().ok()?;
    past.world.plan.orgs.get(index).copied()
}

pub(super) fn same_bytes(past: &Past<'_>, found: &mut Found) {
    let mut bodies = BTreeMap::new();
    let twice: Vec<_> = past.record.posts.values().filter(|post| post.was_forgotten()).map(|post| &post.mark).collect();
    for arrival in &past.record.arrivals {
        // Without an id in the request two events of one post look alike.
        if arrival.delivery.is_none() && arrival.mark.as_ref().is_some_and(|mark| twice.contains(&mark)) {
            continue;
        }
        let first = bodies.entry(&arrival.kind).or_insert(&arrival.body);
        if **first != arrival.body {
            found.push((Invariant::SameBytes, format!("{} came with two bodies", arrival.kind)));
        }
    }
}

pub(super) fn delivered_is_true(past: &Past<'_>, found: &mut Found) {
    for (delivery, attempts) in &past.last.deliveries {
        if delivery.state.kind() != StateKind::Delivered {
            continue;
        }
        let id = delivery.id.to_string();
        let last = attempts.last().map(|attempt| attempt.result);
        let of_it =
            |arrival: &&Arrival| arrival.endpoint == delivery.endpoint_id && arrival.delivery == Some(id.clone());
        let says_id = past.last.endpoints.get(&delivery.endpoint_id).is_some_and(|e| e.dialect.id == "standard");
        let was_answered = past
            .record
            .arrivals
            .iter()
            .filter(of_it)
            .any(|arrival| arrival.answered.is_some_and(|(status, _)| (200..300).contains(&status)));
        if !last.is_some_and(AttemptResult::is_success) || (says_id && !was_answered) {
            let detail = format!("{id} is delivered; its last attempt: {last:?}; answered 2xx: {was_answered}");
            found.push((Invariant::DeliveredIsTrue, detail));
        }
    }
}

pub(super) fn attempts_add_up(past: &Past<'_>, found: &mut Found) {
    for (delivery, attempts) in &past.last.deliveries {
        let numbered = (1..).zip(attempts).all(|(number, attempt)| attempt.number == number);
        let counts = |attempt: &&Attempt| attempt.result != AttemptResult::Interrupted;
        let counted = attempts.iter().filter(counts).count();
        if !numbered || u32::try_from(counted) != Ok(delivery.attempts_counted) {
            let results: Vec<_> = attempts.iter().map(|attempt| (attempt.number, attempt.result)).collect();
            let detail = format!("{} counts {} of {results:?}", delivery.id, delivery.attempts_counted);
            found.push((Invariant::AttemptsAddUp, detail));
        }
    }
}

pub(super) fn counts_add_up(past: &Past<'_>, found: &mut Found) {
    for (org, counts) in &past.last.counts {
        for kind in StateKind::ALL {
            let said = counts.iter().find(|(known, _)| *known == kind).map_or(0, |(_, count)| *count);
            let all = past.last.deliveries.iter().map(|(delivery, _)| delivery);
            let listed = all.filter(|delivery| delivery.org_id == *org && delivery.state.kind() == kind).count();
            if u64::try_from(listed) != Ok(said) {
                found.push((Invariant::CountsAddUp, format!("{org} has {listed} {}, counted {said}", kind.as_str())));
            }
        }
    }
}

pub(super) fn few_duplicates(past: &Past<'_>, found: &mut Found) {
    let mut by_crash: BTreeMap<SignedDuration, u32> = BTreeMap::new();
    let mut latest: BTreeMap<&String, &Arrival> = BTreeMap::new();
    for arrival in past.record.arrivals.iter().filter(|arrival| arrival.delivery.is_some()) {
        let Some(before) = latest.insert(&arrival.kind, arrival) else { continue };
        let Some(answered_at) = in_order(before) else { continue };
        let crash = past.record.crashes.iter().find(|crash| **crash >= before.at && **crash <= arrival.at);
        match crash {
            Some(crash) => *by_crash.entry(*crash).or_default() += 1,
            None if may_repeat(past, before, answered_at, arrival) => {}
            None => {
                let detail = format!(
                    "{} was answered at {:.3} and sent again at {:.3}",
                    arrival.kind,
                    answered_at.as_secs_f64(),
                    arrival.at.as_secs_f64()
                );
                found.push((Invariant::FewDuplicates, detail));
            }
        }
    }
    for (crash, count) in by_crash {
        if count > options().max_in_flight {
            found.push((Invariant::FewDuplicates, format!("{count} by the death at {crash:#}")));
        }
    }
}

/// When a request was answered 2xx so that the node must know.
fn in_order(arrival: &Arrival) -> Option<SignedDuration> {
    let (status, at) = arrival.answered.filter(|_| arrival.clean)?;
    let in_time = at - arrival.at < SignedDuration::from_millis(1_500);
    ((200..300).contains(&status) && in_time).then_some(at)
}

/// Whether the node could not read the answer, or could not write the outcome while its claim held.
fn may_repeat(past: &Past<'_>, before: &Arrival, answered_at: SignedDuration, again: &Arrival) -> bool {
    let in_exchange = |at: SignedDuration| at >= before.at && at <= answered_at + SignedDuration::from_millis(1);
    // The longest delay may have begun before.
    let since = |at: SignedDuration| at >= before.at - SignedDuration::from_secs(60) && at <= again.at;
    let claim_is_over = again.at - before.at >= options().lease - options().timeout;
    past.record
        .disturbances
        .iter()
        .any(|(at, what)| (what.starts_with("net.") && in_exchange(*at)) || (claim_is_over && since(*at)))
}

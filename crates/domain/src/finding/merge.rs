//! Two findings that turn out to be one.

use super::{Finding, Judgement, Sight};

/// The two as one: the elder, with all that is known of both. Which is given first plays no part, nor, of several, which
/// two are made one first. Its history stays its own; the younger keeps its entries under its own id.
pub fn merge(a: &Finding, b: &Finding) -> Finding {
    let rank = |finding: &Finding| (finding.first_seen_at, finding.id);
    let (elder, younger) = if rank(a) <= rank(b) { (a, b) } else { (b, a) };
    let mut one = unpacked(elder.clone());
    let other = unpacked(younger.clone());
    one.names.extend(other.names);
    for (tool, theirs) in other.sights {
        let ours = one.sights.remove(&tool);
        let sight = match ours {
            None => theirs,
            Some(ours) => newer(ours, theirs),
        };
        one.sights.insert(tool, sight);
    }
    one.judgement = match (one.judgement, other.judgement) {
        (Some(ours), Some(theirs)) => Some(if weight(&ours) >= weight(&theirs) { ours } else { theirs }),
        (ours, theirs) => ours.or(theirs),
    };
    one.first_seen_at = one.first_seen_at.min(other.first_seen_at);
    one.last_seen_at = one.last_seen_at.max(other.last_seen_at);
    let mut one = packed(one);
    one.status = one.standing();
    one.remediated_at = one.gone_since();
    one
}

/// What the tool said last; at one time, that it is there.
fn newer(a: Sight, b: Sight) -> Sight {
    let since = a.since.min(b.since);
    // The words only where nothing else tells them apart, so that the order does not.
    let rank = |sight: &Sight| (sight.at, sight.there);
    let words = |sight: &Sight| format!("{:?}", sight.observation);
    let is_first = rank(&a).cmp(&rank(&b)).then_with(|| words(&a).cmp(&words(&b))).is_ge();
    Sight { since, ..if is_first { a } else { b } }
}

/// A person's word before a document's, then the later.
fn weight(judgement: &Judgement) -> impl Ord + use<> {
    let Judgement { status, by, at, reason, until, version } = judgement;
    (by.is_decision(), *at, *status, reason.clone(), *until, version.clone(), format!("{by:?}"))
}

/// With the leading tool's words beside those of the others, until it is [`packed`].
pub(crate) fn unpacked(mut finding: Finding) -> Finding {
    let Finding { sights, observation, .. } = &mut finding;
    let mut leading = None;
    for sight in sights.values_mut().filter(|sight| sight.observation.is_none()) {
        match leading {
            None => leading = Some(sight),
            Some(_) => sight.observation = Some(observation.clone()),
        }
    }
    if let Some(sight) = leading {
        sight.observation = Some(std::mem::take(observation));
    }
    finding
}

/// With the leading tool's words as the finding's own.
pub(crate) fn packed(mut finding: Finding) -> Finding {
    let lead = finding.lead().map(str::to_owned);
    if let Some(sight) = lead.and_then(|lead| finding.sights.get_mut(&lead))
        && let Some(observation) = sight.observation.take()
    {
        finding.observation = observation;
    }
    finding
}

//! Why an endpoint got an event, or did not: what was recorded when the event was accepted, and what the rules say now.
//!
//! What was recorded is a fact. What the rules say is computed anew, from the event and from the endpoint as it is today: where
//! a rule was changed since, it may say something else than it did then, and the answer says so.

use jiff::Timestamp;
use watchbell_wire::EventType;
use watchbell_wire::expression::{Explanation, Facts};

use crate::delivery::{Delivery, DeliveryState};
use crate::endpoint::{DisabledReason, Endpoint, EndpointState};
use crate::event::AcceptedEvent;
use crate::id::{EndpointId, MuteId};
use crate::org::{Org, Project};
use crate::route::{self, FilteredBy, Route, SkipReason, Told};
use crate::rule::{Filter, RuleFailure};
use crate::source::Source;

/// The question.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// About this event.
    pub event: &'a AcceptedEvent,
    /// All its deliveries, or at least those to the endpoint.
    pub deliveries: &'a [Delivery],
    /// Its project, as it is now.
    pub project: Option<&'a Project>,
    /// The source that it came in by, as it is now.
    pub source: Option<&'a Source>,
    /// Its organisation.
    pub org: Option<&'a Org>,
    /// About this endpoint.
    pub endpoint_id: EndpointId,
    /// The endpoint as it is now. `None`: it is gone.
    pub endpoint: Option<&'a Endpoint>,
    /// How its rules fail, if they do.
    pub failure: Option<&'a RuleFailure>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Why {
    /// The endpoint.
    pub endpoint_id: EndpointId,
    /// Whether it got the event: whether there was a delivery.
    pub got: bool,
    /// The recorded reason, where it did not.
    pub reason: Option<SkipReason>,
    /// What was recorded, in words.
    pub because: String,
    /// Whether the endpoint was changed after the event was accepted: the rules may have been others.
    pub changed_since: bool,
    /// What each rule says now, in the order in which they are asked.
    pub rules: Vec<Rule>,
}

/// What one rule says.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Which.
    pub name: RuleName,
    /// Whether it lets the event pass; `None`: it cannot say, and so does not stand in the way.
    pub passes: Option<bool>,
    /// In words.
    pub said: String,
    /// Its expression, taken apart.
    pub explanation: Option<Explanation>,
}

/// The rules, in the order in which they are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleName {
    /// Whether the dialect can say it.
    Dialect,
    /// Whether the endpoint asked for the type.
    Subscription,
    /// Whether it is bad enough.
    MinSeverity,
    /// The endpoint's filter.
    Filter,
    /// A mute.
    Mute(MuteId),
    /// Quiet hours.
    Quiet,
    /// Digests.
    Batch,
    /// Whether the endpoint is active.
    State,
}

impl RuleName {
    /// The name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dialect => "dialect",
            Self::Subscription => "subscription",
            Self::MinSeverity => "min_severity",
            Self::Filter => "filter",
            Self::Mute(_) => "mute",
            Self::Quiet => "quiet",
            Self::Batch => "batch",
            Self::State => "state",
        }
    }
}

/// Answers it.
pub fn why(question: Question<'_>) -> Why {
    let Question { event, deliveries, endpoint_id, endpoint, .. } = question;
    let own = || deliveries.iter().filter(|delivery| delivery.endpoint_id == endpoint_id);
    let reason = event.skipped.iter().find(|skip| skip.endpoint_id == endpoint_id).map(|skip| skip.reason);
    let first = own().min_by_key(|delivery| delivery.id);
    let because = match (first, reason) {
        (Some(first), _) => delivered(first, own().count(), event.accepted_at, endpoint),
        (None, Some(reason)) => skipped(reason, &event.event.event_type),
        (None, None) => nothing(endpoint, event),
    };
    Why {
        endpoint_id,
        got: first.is_some(),
        reason: if first.is_some() { None } else { reason },
        because,
        changed_since: endpoint.is_none_or(|endpoint| endpoint.updated_at > event.accepted_at),
        rules: endpoint.map(|endpoint| rules(question, endpoint)).unwrap_or_default(),
    }
}

fn delivered(first: &Delivery, count: usize, accepted_at: Timestamp, endpoint: Option<&Endpoint>) -> String {
    let gathers = endpoint.is_some_and(|endpoint| endpoint.policy.batch.is_some());
    let state = match &first.state {
        DeliveryState::Pending { due_at } if *due_at > accepted_at && gathers && first.attempts_counted == 0 => {
            format!("a delivery was made for it and is held until {due_at} for the digest")
        }
        DeliveryState::Pending { due_at } if *due_at > accepted_at => {
            format!("a delivery was made for it and waits until {due_at}")
        }
        DeliveryState::Pending { .. } => "a delivery was made for it and waits for its turn".to_owned(),
        DeliveryState::Sending { .. } => "a delivery was made for it and is being sent".to_owned(),
        DeliveryState::Held => "a delivery was made for it and is held until the endpoint is active".to_owned(),
        DeliveryState::Delivered { at } => format!("it was delivered at {at}"),
        DeliveryState::DeadLettered { at, .. } => format!("a delivery was made for it and given up at {at}"),
        DeliveryState::Cancelled { at, .. } => format!("a delivery was made for it and cancelled at {at}"),
    };
    if count > 1 { format!("{state}; it was repeated since") } else { state }
}

fn skipped(reason: SkipReason, event_type: &EventType) -> String {
    match reason {
        SkipReason::NotSubscribed => format!("the endpoint had not asked for {event_type}"),
        SkipReason::DialectHasNoSuchEvent => format!("the endpoint's dialect could not say {event_type}"),
        SkipReason::Filtered(FilteredBy::Severity) => "it was milder than the endpoint's min_severity".to_owned(),
        SkipReason::Filtered(FilteredBy::Expression) => "the endpoint's filter was not true of it".to_owned(),
        SkipReason::Digested => {
            "its scan had more new findings than the endpoint wants to hear of one by one: a scan.digest told of them"
                .to_owned()
        }
        SkipReason::Muted => "it was muted for the endpoint".to_owned(),
    }
}

fn nothing(endpoint: Option<&Endpoint>, event: &AcceptedEvent) -> String {
    match endpoint {
        Some(endpoint) if endpoint.created_at > event.accepted_at => {
            "the endpoint was made after the event was accepted".to_owned()
        }
        Some(_) => "the event was addressed to another endpoint alone".to_owned(),
        None => "there is no such endpoint, and it did not get the event".to_owned(),
    }
}

fn rules(question: Question<'_>, endpoint: &Endpoint) -> Vec<Rule> {
    let event = question.event;
    let event_type = &event.event.event_type;
    let plain = |name, passes, said: String| Rule { name, passes: Some(passes), said, explanation: None };
    let mut rules = vec![
        match route::can_say(event_type, endpoint) {
            true => plain(RuleName::Dialect, true, format!("{} can say {event_type}", endpoint.dialect.id)),
            false => plain(RuleName::Dialect, false, format!("{} has no word for {event_type}", endpoint.dialect.id)),
        },
        match (route::wants(event_type, endpoint), &endpoint.events) {
            (true, None) => plain(RuleName::Subscription, true, "the endpoint asks for every type".to_owned()),
            (true, Some(_)) => plain(RuleName::Subscription, true, format!("the endpoint asks for {event_type}")),
            (false, _) => plain(RuleName::Subscription, false, format!("the endpoint does not ask for {event_type}")),
        },
    ];
    if event.erased_at.is_some() {
        let said = "what the event said was erased: rules about it cannot be asked".to_owned();
        rules.push(Rule { name: RuleName::Filter, passes: None, said, explanation: None });
        rules.push(state(endpoint));
        return rules;
    }
    let told = Told::of(event_type, &event.event.data);
    if let Some(least) = endpoint.policy.min_severity {
        let passes = !route::is_too_mild(told.severity, endpoint);
        let said = match told.severity {
            Some(severity) => format!("{} against min_severity {}", severity.as_str(), least.as_str()),
            None => "nobody rated it, so it is not known to be too mild".to_owned(),
        };
        rules.push(plain(RuleName::MinSeverity, passes, said));
    }
    let facts = facts(question);
    if let Some(filter) = &endpoint.policy.rules.filter {
        rules.push(filtered(filter, &facts, question.failure));
    }
    for mute in endpoint.policy.rules.mutes.iter().filter(|mute| mute.is_live(event.accepted_at)) {
        let explanation = mute.when.compiled().ok().map(|expression| expression.explain(&facts));
        let matches = explanation.as_ref().is_some_and(|said| said.answer == Ok(true));
        let word = if matches { "is true of it" } else { "is not true of it" };
        let reason = mute.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        let said = format!("{} muted until {}{reason}: {} {word}", mute.by, mute.until, mute.when.source());
        rules.push(Rule { name: RuleName::Mute(mute.id), passes: Some(!matches), said, explanation });
    }
    if let Some(quiet) = &endpoint.policy.rules.quiet {
        let said = match quiet.holds_until(event.accepted_at, told.severity) {
            Some(end) => format!("it came within quiet hours: the delivery waits until {end}"),
            None => "it did not have to wait for the end of quiet hours".to_owned(),
        };
        rules.push(plain(RuleName::Quiet, true, said));
    }
    if let Some(batch) = &endpoint.policy.batch {
        let said = match route::when_wanted(endpoint, told.severity, event.accepted_at) {
            Route::Gather(until) => {
                format!("it is held until {until} for the digest, or until {} of them wait", batch.max)
            }
            Route::Later(until) => format!("it goes out in the digest at {until}, when quiet hours end"),
            Route::Deliver => "it did not have to wait for a digest".to_owned(),
            Route::Hold | Route::Skip(_) => "it goes out in a digest once the endpoint is active".to_owned(),
        };
        rules.push(plain(RuleName::Batch, true, said));
    }
    rules.push(state(endpoint));
    rules
}

/// What a filter can ask about an event that was accepted.
pub fn facts(question: Question<'_>) -> Facts<'_> {
    let event = &question.event.event;
    let facts =
        Facts::of(&event.event_type, &event.data).of_event(&event.id.hyphenated().to_string(), event.occurred_at);
    let facts = match question.project {
        Some(project) => facts.in_project(&project.id.bare(), &project.name, &project.labels, project.owner.as_deref()),
        None => facts,
    };
    let facts = match question.source {
        Some(source) => facts.from_source(&source.name, source.dialect.id),
        None => facts,
    };
    match question.org {
        Some(org) => facts.in_org(&org.id.bare(), &org.name, &org.slug),
        None => facts,
    }
}

/// When an event that passes goes to an endpoint, in words.
pub fn when(endpoint: &Endpoint, event: &AcceptedEvent) -> String {
    let told = Told::of(&event.event.event_type, &event.event.data);
    match (route::when_wanted(endpoint, told.severity, event.accepted_at), &endpoint.policy.batch) {
        (Route::Gather(until), Some(batch)) => {
            format!("held until {until} for the digest, or until {} of them wait", batch.max)
        }
        (Route::Later(until) | Route::Gather(until), _) => format!("held until {until}, when quiet hours end"),
        (Route::Hold, _) => "held until the endpoint is active".to_owned(),
        (Route::Deliver | Route::Skip(_), _) => "at once".to_owned(),
    }
}

fn filtered(filter: &Filter, facts: &Facts<'_>, failure: Option<&RuleFailure>) -> Rule {
    let name = RuleName::Filter;
    let expression = match filter.compiled() {
        Ok(expression) => expression,
        Err(mistake) => {
            let said = format!("the filter cannot be asked, so everything passes: {mistake}");
            return Rule { name, passes: None, said, explanation: None };
        }
    };
    let explanation = expression.explain(facts);
    let parts = || explanation.parts.iter().filter(|part| part.decides).map(|part| part.text.as_str());
    let joined = || parts().collect::<Vec<_>>().join(" and ");
    let (passes, said) = match &explanation.answer {
        Ok(true) => (Some(true), format!("true, because of {}", joined())),
        Ok(false) => (Some(false), format!("false, because of {}", joined())),
        Err(trouble) => (None, format!("it cannot say, so the event passes: {trouble}")),
    };
    let said = match failure {
        Some(failure) if filter.is_switched_off() => format!("{said}; it is not asked any more: {}", failure.why),
        Some(_) | None => said,
    };
    Rule { name, passes, said, explanation: Some(explanation) }
}

fn state(endpoint: &Endpoint) -> Rule {
    let said = match &endpoint.state {
        EndpointState::Active => "the endpoint is active".to_owned(),
        EndpointState::Paused { since } => format!("the endpoint is paused since {since}: deliveries are held"),
        EndpointState::Disabled { since, reason } => {
            let why = match reason {
                DisabledReason::Gone => "it answered 410",
                DisabledReason::Failing => "it had nothing but failures",
                DisabledReason::OrgSuspended => "its organisation is suspended",
            };
            format!("the endpoint is disabled since {since}, because {why}: deliveries are held")
        }
    };
    // A delivery is made in any case: it is not lost, it waits.
    Rule { name: RuleName::State, passes: Some(true), said, explanation: None }
}

#[cfg(test)]
mod tests;

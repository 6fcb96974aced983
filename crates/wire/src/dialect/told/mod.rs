//! An event as people are told of it: what happened, to what, how bad it is, and whether something opens or ends by it.
//!
//! ```text
//!  vulnerability.created, .critical, .reopened      opens    finding/<id>
//!  vulnerability.changed                            changes  finding/<id>
//!  vulnerability.remediated, .suppressed            closes   finding/<id>, and those that were found to be the same
//!  poam.deadline_approaching, .overdue              opens    poam/<id>
//!  poam.completed                                   closes   poam/<id>
//!  webhook.ping                                     tests
//!  everything else, custom types too                tells    event/<id>
//! ```
//!
//! Every text in here has gone through [`text::line`]; what a destination's own markup makes of it is the dialect's to
//! prevent, and so is the cutting.

use std::borrow::Cow;

use jiff::Timestamp;

use super::{Answer, EncodeError};
use crate::{Event, EventType, Severity};

mod digest;
mod facts;
mod text;

pub(super) use digest::{Members, join};
pub(super) use text::{LinkBase, cut, fitted, line};

/// What people are told.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Told {
    /// What happened, in our words: `New vulnerability`.
    pub(super) what: Cow<'static, str>,
    /// To what: mostly foreign text.
    pub(super) title: String,
    /// How bad it is; `None`: it is not of a kind that is good or bad.
    pub(super) severity: Option<Severity>,
    /// What it does to the matter that `key` names.
    pub(super) act: Act,
    /// The matter: the same for everything that is told of one finding or one plan of action.
    pub(super) key: String,
    /// Matters that turned out to be this one.
    pub(super) merged: Vec<String>,
    /// What else is known, the most telling first.
    pub(super) facts: Vec<Fact>,
    /// Of several things: each, the worst first.
    pub(super) list: Vec<Listed>,
    /// How many more there are than `list` names.
    pub(super) more: u64,
    /// Where to read on.
    pub(super) link: Option<String>,
    /// Ours: `vulnerability.created`.
    pub(super) event_type: String,
    /// When it happened.
    pub(super) occurred_at: Timestamp,
}

/// What an event does to the matter it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Somebody should see to it from now on.
    Opens,
    /// It goes on, and is known better.
    Changes,
    /// Nobody need see to it any more.
    Closes,
    /// It is news and no matter.
    Tells,
    /// It tries the destination.
    Tests,
}

/// Something known: `Component`, `lodash 4.17.11`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fact {
    /// What it is.
    pub(super) name: Cow<'static, str>,
    /// The value, never empty.
    pub(super) value: String,
}

/// One of several things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    /// Its coloured sign.
    pub(super) sign: &'static str,
    /// How bad it is.
    pub(super) severity: Severity,
    /// Title, and where.
    pub(super) text: String,
    /// Where to read on, where that is not where to read on of all.
    pub(super) link: Option<String>,
}

impl Told {
    /// Tells an event; links begin with `base`.
    ///
    /// # Errors
    /// When the data does not fit the event's type.
    pub(super) fn of(event: &Event, base: Option<&LinkBase>) -> Result<Self, EncodeError> {
        let mut told = facts::tell(event)?;
        told.link = base.map(|base| base.join(&format!("events/{}", event.id)));
        told.facts.retain(|fact| !fact.value.is_empty());
        Ok(told)
    }

    /// `New vulnerability: Prototype pollution (CVE-2019-10744, lodash 4.17.11)`: whoever is woken by it reads nothing else.
    pub(super) fn headline(&self) -> String {
        if self.title.is_empty() {
            return self.what.clone().into_owned();
        }
        let unsaid = ["CVE", "Component"].into_iter().filter_map(|name| self.fact(name));
        let unsaid: Vec<&str> = unsaid.filter(|value| !self.title.contains(value)).collect();
        match unsaid.is_empty() {
            true => format!("{}: {}", self.what, self.title),
            false => format!("{}: {} ({})", self.what, self.title, unsaid.join(", ")),
        }
    }

    /// The value of the fact of this name.
    pub(super) fn fact(&self, name: &str) -> Option<&str> {
        self.facts.iter().find(|fact| fact.name == name).map(|fact| fact.value.as_str())
    }

    /// The matters that end beside the one that `key` names, each by a request of its own: those that were found to be the
    /// same, or, of a test, the one that was opened just now.
    pub(super) fn also_closed(&self) -> impl Iterator<Item = &str> {
        let opened_by_test = (self.act == Act::Tests).then_some(self.key.as_str());
        let merged = self.merged.iter().filter(|_| self.act == Act::Closes).take(MERGED_MAX);
        opened_by_test.into_iter().chain(merged.map(String::as_str))
    }

    /// How bad it is for those who must say something.
    pub(super) fn grade(&self) -> Severity {
        self.severity.unwrap_or(Severity::Info)
    }

    /// A coloured sign, so that an eye that skims stops at the right place.
    pub(super) fn sign(&self) -> &'static str {
        match (self.act, self.severity) {
            (Act::Closes, _) => "✅",
            (_, None) => "🔔",
            (_, Some(severity)) => sign(severity),
        }
    }

    /// `… and 211 more`, where there are more.
    pub(super) fn more(&self) -> Option<String> {
        (self.more > 0).then(|| format!("… and {} more", self.more))
    }
}

/// The coloured sign of a severity.
pub(super) const fn sign(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "🔴",
        Severity::High => "🟠",
        Severity::Medium => "🟡",
        Severity::Low => "🔵",
        Severity::Info => "⚪",
        Severity::Unknown => "⚫",
    }
}

/// What people want to hear of unless they say what: everything but what is told beside another event or begins it.
pub(super) fn is_news(event_type: &EventType) -> bool {
    !matches!(event_type, EventType::VulnerabilityCritical | EventType::ScanStarted)
}

/// What somebody must see to unless the endpoint says what: what opens and what ends it.
pub(super) fn is_matter(event_type: &EventType) -> bool {
    match event_type {
        EventType::VulnerabilityCreated
        | EventType::VulnerabilityReopened
        | EventType::VulnerabilityChanged
        | EventType::VulnerabilityRemediated
        | EventType::VulnerabilitySuppressed
        | EventType::PoamDeadlineApproaching
        | EventType::PoamOverdue
        | EventType::PoamCompleted
        | EventType::ScanDigest
        | EventType::ScanFailed
        | EventType::EvidenceFailed
        | EventType::EndpointDisabled
        | EventType::DeliveryDeadLettered
        | EventType::SourceSilent
        | EventType::Custom(_) => true,
        EventType::VulnerabilityCritical
        | EventType::WebhookPing
        | EventType::ProjectSnapshot
        | EventType::ScanStarted
        | EventType::ScanCompleted
        | EventType::EvidenceCompleted
        | EventType::TrainingCompleted => false,
    }
}

/// Most matters that end together with another one: an attempt makes no more than eight requests.
const MERGED_MAX: usize = 7;

/// Characters of an answer that are repeated.
const ANSWER_UNITS_MAX: usize = 200;

/// `Slack answered 400: invalid_blocks`.
pub(super) fn answered(who: &str, answer: &Answer<'_>) -> String {
    let said = cut(&line(&String::from_utf8_lossy(answer.body)), ANSWER_UNITS_MAX);
    match said.is_empty() {
        true => format!("{who} answered {}", answer.status),
        false => format!("{who} answered {}: {said}", answer.status),
    }
}

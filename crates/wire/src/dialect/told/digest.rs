//! Several events told at once: how many of each severity, the worst by name, how many more.

use std::borrow::Cow;
use std::cmp::Reverse;

use serde::Deserialize;

use super::{Act, Fact, LinkBase, Listed, Told, sign};
use crate::Severity;
use crate::dialect::{EncodeError, Part, Settings};

/// Most that are named.
const NAMED_MAX: usize = 10;

/// What an endpoint may set whose messages stand for themselves, one for an event or a digest.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::dialect) struct Members {
    /// Where links to events begin: `https://watchbell.example.com/api/v1/orgs/acme`. None: messages have no link.
    pub(in crate::dialect) link_base: Option<LinkBase>,
}

/// What `say` makes of the digest of several events. Of one event it is the message that it has already.
///
/// # Errors
/// As [`digest`].
pub(in crate::dialect) fn join(
    parts: &[Part<'_>],
    settings: &Settings,
    say: impl FnOnce(&Told) -> Vec<u8>,
) -> Result<Vec<u8>, EncodeError> {
    if let [one] = parts {
        return Ok(one.body.to_vec());
    }
    let members: Members = settings.read()?;
    Ok(say(&digest(parts, members.link_base.as_ref())?))
}

/// Tells what went out at once as one.
///
/// # Errors
/// When there is nothing to tell, or the data of an event does not fit its type.
fn digest(parts: &[Part<'_>], base: Option<&LinkBase>) -> Result<Told, EncodeError> {
    let mut all = parts.iter().map(|part| Told::of(part.event, base)).collect::<Result<Vec<_>, _>>()?;
    let nothing = || EncodeError::Data("nothing to tell".to_owned());
    let key = all.first().map(|first| first.key.clone()).ok_or_else(nothing)?;
    let occurred_at = all.iter().map(|told| told.occurred_at).max().ok_or_else(nothing)?;
    let ended = |told: &&Told| told.act == Act::Closes;
    let count =
        |severity: Option<Severity>| all.iter().filter(|told| !ended(told) && told.severity == severity).count();
    let by_severity = [
        ("Critical", Some(Severity::Critical)),
        ("High", Some(Severity::High)),
        ("Medium", Some(Severity::Medium)),
        ("Low", Some(Severity::Low)),
        ("Info", Some(Severity::Info)),
        ("Unknown", Some(Severity::Unknown)),
        ("Other news", None),
    ];
    let mut facts: Vec<(&'static str, usize)> =
        by_severity.into_iter().map(|(name, severity)| (name, count(severity))).collect();
    facts.push(("Ended", all.iter().filter(ended).count()));
    let severity = all.iter().filter(|told| !ended(told)).filter_map(|told| told.severity).max();
    // The sort is stable: what is equally bad stays in its order of time. What nobody need see to any more comes last.
    all.sort_by_key(|told| (told.act == Act::Closes, Reverse(told.severity)));
    let total = all.len();
    let list: Vec<Listed> = all
        .into_iter()
        .take(NAMED_MAX)
        .map(|told| Listed { sign: told.sign(), severity: told.grade(), text: told.headline(), link: told.link })
        .collect();
    let fact = |(name, count): (&'static str, usize)| Fact { name: Cow::Borrowed(name), value: count.to_string() };
    Ok(Told {
        what: Cow::Owned(format!("{total} events")),
        title: String::new(),
        severity,
        act: Act::Tells,
        key,
        merged: Vec::new(),
        facts: facts.into_iter().filter(|(_, count)| *count > 0).map(fact).collect(),
        more: u64::try_from(total - list.len()).unwrap_or(u64::MAX),
        list,
        link: base.map(|base| base.join("events")),
        event_type: "digest".to_owned(),
        occurred_at,
    })
}

impl Listed {
    /// One of several things, by how bad it is.
    pub(in crate::dialect) fn new(severity: Severity, text: String) -> Self {
        Self { sign: sign(severity), severity, text, link: None }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::{Data, Event};

    fn event(number: u128, event_type: &str, severity: &str) -> Event {
        let data =
            json!({"title": format!("finding {number}"), "severity": severity, "finding_id": number.to_string()});
        Event {
            id: Uuid::from_u128(number),
            event_type: event_type.parse().unwrap(),
            occurred_at: jiff::Timestamp::from_second(i64::try_from(number).unwrap()).unwrap(),
            data: Data::from_text(data.to_string()).unwrap(),
        }
    }

    fn told(events: &[Event]) -> Told {
        let parts: Vec<Part<'_>> = events.iter().map(|event| Part { event, body: b"" }).collect();
        let base = LinkBase::try_from("https://bell.example/o".to_owned()).unwrap();
        digest(&parts, Some(&base)).unwrap()
    }

    #[test]
    fn the_worst_are_named_and_the_rest_is_counted() {
        let mut events: Vec<Event> = (1..=12).map(|number| event(number, "vulnerability.created", "low")).collect();
        events.push(event(13, "vulnerability.remediated", "critical"));
        events.push(event(14, "vulnerability.created", "high"));
        let told = told(&events);
        assert_eq!((told.headline().as_str(), told.severity, told.more), ("14 events", Some(Severity::High), 4));
        let facts: Vec<_> = told.facts.iter().map(|fact| (&*fact.name, fact.value.as_str())).collect();
        assert_eq!(facts, [("High", "1"), ("Low", "12"), ("Ended", "1")]);
        let first = &told.list[0];
        assert_eq!((first.sign, first.text.as_str()), ("🟠", "New vulnerability: finding 14"));
        assert_eq!(first.link.as_deref(), Some("https://bell.example/o/events/00000000-0000-0000-0000-00000000000e"));
        assert_eq!((told.list[1].text.as_str(), told.list.len()), ("New vulnerability: finding 1", 10));
        assert_eq!(told.link.as_deref(), Some("https://bell.example/o/events"));
    }

    #[test]
    fn what_has_ended_is_no_alarm() {
        let told = told(&[event(1, "vulnerability.remediated", "critical"), event(2, "acme.deployed", "")]);
        assert_eq!((told.severity, told.sign()), (None, "🔔"));
        assert_eq!((told.list[1].sign, told.list.len()), ("✅", 2));
    }
}

//! The services by which people and machines are told, as far as the demo has them: each takes what the real one takes,
//! refuses the rest with a reason, and shows what would be seen there.
//!
//! - [`chat`]: a card in Microsoft Teams, a message in Slack
//! - [`pager`]: a page of PagerDuty's
//! - [`siem`]: an OCSF record in a data lake, a CEF line in a SIEM
//!
//! *To add one*: a `Service`, and its line in [`ALL`].

mod chat;
mod pager;
mod siem;

use http::{HeaderMap, StatusCode};
use serde_json::Value;

/// In the order in which they are shown.
pub(super) static ALL: &[&Service] = &[&chat::TEAMS, &chat::SLACK, &pager::PAGERDUTY, &siem::OCSF, &siem::CEF];

/// Characters of a line, so that all of what is shown fits into 100.
const LINE_MAX: usize = 83;

/// A service.
#[derive(Debug)]
pub(super) struct Service {
    /// The dialect that it is told in.
    pub(super) dialect: &'static str,
    /// Who is told there.
    pub(super) who: &'static str,
    /// What is looked at before a message counts as right.
    pub(super) checks: &'static str,
    /// Path and query of the URL that it gives out; `{}` stands for the credential. Empty: it takes log messages.
    pub(super) place: &'static str,
    /// Looks at a message, with the credential that was given out.
    pub(super) take: fn(&Call<'_>, &str) -> Result<Said, String>,
    /// What it answers when it has taken one.
    pub(super) answers: (StatusCode, &'static str),
}

/// A message as it came.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) query: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Said {
    /// Its receiver's word for what happened.
    pub(super) event: String,
    /// The key under which its receiver files it, so that what ends can be told to be what began.
    pub(super) matter: Option<String>,
    /// What is seen of it there.
    pub(super) lines: Vec<String>,
}

impl Call<'_> {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body, which has to be a JSON object and to say so.
    fn json(&self) -> Result<Value, String> {
        let is_json = self.header("content-type").split(';').next() == Some("application/json");
        let body: Option<Value> = serde_json::from_slice(self.body).ok().filter(|_| is_json);
        body.filter(Value::is_object).ok_or_else(|| "the body is no JSON object".to_owned())
    }
}

/// `wrong` as the reason, unless `holds`.
fn need(holds: bool, wrong: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(wrong.to_owned()) }
}

/// The text at a JSON pointer, empty where there is none.
fn text<'a>(of: &'a Value, pointer: &str) -> &'a str {
    of.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(of: &'a Value, pointer: &str) -> &'a [Value] {
    of.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The text, or as much of it as there is room for.
fn cut(text: &str, max: usize) -> String {
    match text.chars().count() > max {
        true => text.chars().take(max.saturating_sub(1)).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

/// Facts under one another, their values in one column.
fn column(facts: &[(String, String)]) -> Vec<String> {
    let width = facts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    facts.iter().map(|(name, value)| cut(&format!("{name:width$}  {value}"), LINE_MAX)).collect()
}

/// The text in lines, broken at blanks.
pub(super) fn wrapped(text: &str, max: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= max => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use watchbell_wire::{Data, Event, EventType, Message, Secret, Settings, dialect};

    use super::*;

    const CREDENTIAL: &str = "0123456789abcdef0123456789abcdef";
    const OTHER: &str = "fedcba9876543210fedcba9876543210";

    /// An event as a service is told it: the headers and the body.
    fn told(service: &Service, event: &Event) -> (HeaderMap, Vec<u8>) {
        let outbound = dialect::find(service.dialect).unwrap().outbound.unwrap();
        let keys = [dialect::find(service.dialect).unwrap().secrets.key(&Secret::new(CREDENTIAL)).unwrap()];
        let body = outbound.encode(event, &Settings::default()).unwrap();
        let (id, at) = ("id", event.occurred_at);
        let message = Message { id, event: event.event_type.as_str(), occurred_at: at, sent_at: at, body: &body };
        let headers = outbound.headers(&message, &keys).unwrap().into_iter();
        let headers = headers.map(|line| (line.name.parse().unwrap(), line.value.parse().unwrap()));
        let headers: Vec<(http::HeaderName, http::HeaderValue)> = headers.collect();
        (headers.into_iter().collect(), outbound.keyed(&body, &keys).unwrap().into_owned())
    }

    #[test]
    fn each_takes_what_is_right_and_nothing_else() {
        let data = EventType::VulnerabilityCreated.sample().unwrap();
        let occurred_at = jiff::Timestamp::UNIX_EPOCH;
        let id = watchbell_domain::id::EventId::make(occurred_at, &crate::entropy::OsEntropy).0;
        for service in ALL {
            let event = |event_type, data: &Data| Event { id, event_type, occurred_at, data: data.clone() };
            let created = event(EventType::VulnerabilityCreated, &data);
            let (headers, body) = told(service, &created);
            let query = service.place.split_once('?').map_or("", |(_, query)| query).replace("{}", CREDENTIAL);
            let take =
                |body: &[u8], credential| (service.take)(&Call { query: &query, headers: &headers, body }, credential);
            let said = take(&body, CREDENTIAL).unwrap();
            assert!(!said.event.is_empty() && said.lines.len() > 1, "{}: {said:?}", service.dialect);
            assert!(said.lines.iter().all(|line| line.chars().count() <= LINE_MAX), "{said:?}");
            // Slack's token stands in the path, and log servers have none.
            let has_credential = !["slack", "cef"].contains(&service.dialect);
            assert_eq!(take(&body, OTHER).is_err(), has_credential, "{}", service.dialect);
            for broken in [&b""[..], b"{}", b"[]", body.get(..body.len() / 8).unwrap()] {
                assert!(take(broken, CREDENTIAL).is_err(), "{}: {}", service.dialect, String::from_utf8_lossy(broken));
            }
            // What ends is filed under what began.
            let (_, body) = told(service, &event(EventType::VulnerabilityRemediated, &data));
            let ended = take(&body, CREDENTIAL).unwrap();
            assert!(ended.matter == said.matter && ended.event != said.event, "{}: {ended:?}", service.dialect);
        }
    }

    #[test]
    fn lines_are_broken_at_blanks_and_cut_where_they_must_be() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("  indivisible x", 5), ["indivisible", "x"]);
        assert_eq!((cut("four", 4), cut("fives", 4)), ("four".to_owned(), "fiv…".to_owned()));
        let facts = [("A".to_owned(), "1".to_owned()), ("Long".to_owned(), "2".to_owned())];
        assert_eq!(column(&facts), ["A     1", "Long  2"]);
    }
}

//! Microsoft Teams by a Workflows hook: an event as an Adaptive Card.
//!
//! Source: Microsoft, "Create incoming webhooks with Workflows for Microsoft Teams" and the Adaptive Card schema 1.4. The
//! URL with its `sig` is the credential, and is opaque: port, path and query go out as they were given. A card cannot be
//! changed through a hook, so what ends is told by a card of its own.
//!
//! `TextBlock`s, the values of facts and the fallback text take a little Markdown, and `{{DATE(…)}}`; every sign that could mean something
//! is escaped in what is foreign. A message stays below 27,000 bytes: the facts go first, from the last one on, then
//! the list, then the length of texts.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::opaque::Opaque;
use super::told::{self, Act, Members, Told, cut};
use super::{
    Answer, Carrier, Credential, Dialect, EncodeError, Exchange, Header, Judgement, Message, Outbound, Pace, Part,
    Settings, SettingsError,
};
use crate::{Event, EventType, Key, Severity};

pub(super) static DIALECT: Dialect = Dialect {
    id: "teams",
    name: "Microsoft Teams",
    source: "https://learn.microsoft.com/en-us/connectors/teams/#microsoft-teams-webhook",
    credential: Credential::None,
    carrier: Carrier::Http,
    url_is_secret: true,
    secrets: &Opaque,
    inbound: None,
    outbound: Some(&Teams),
};

/// Vendor: 28 KB.
const BODY_BYTES_MAX: usize = 27_000;
const TITLE_UNITS_MAX: usize = 2000;
const VALUE_UNITS_MAX: usize = 1000;
/// Where everything else has been left out already.
const MINIMAL_UNITS_MAX: usize = 200;
/// Facts of a card that tells of an end.
const FACTS_OF_END_MAX: usize = 3;

struct Teams;

impl Outbound for Teams {
    fn event_name<'a>(&self, event_type: &'a EventType) -> Option<Cow<'a, str>> {
        Some(event_type.as_str().into())
    }

    fn is_wanted(&self, event_type: &EventType) -> bool {
        told::is_news(event_type)
    }

    fn encode(&self, event: &Event, settings: &Settings) -> Result<Vec<u8>, EncodeError> {
        let members: Members = settings.read()?;
        let mut told = Told::of(event, members.link_base.as_ref())?;
        if told.act == Act::Closes {
            told.facts.truncate(FACTS_OF_END_MAX);
        }
        Ok(fitting(&told))
    }

    fn joins(&self) -> bool {
        true
    }

    fn join(&self, parts: &[Part<'_>], settings: &Settings) -> Option<Result<Vec<u8>, EncodeError>> {
        Some(told::join(parts, settings, fitting))
    }

    fn headers(&self, _: &Message<'_>, _: &[Key]) -> Result<Vec<Header>, EncodeError> {
        Ok(vec![Header { name: "Content-Type", value: "application/json".to_owned() }])
    }

    fn check_settings(&self, settings: &Settings) -> Result<(), SettingsError> {
        settings.read::<Members>().map(|_| ())
    }

    fn pace(&self) -> Option<Pace> {
        Some(Pace::new(1, 4))
    }

    fn judge(&self, exchange: &Exchange<'_>) -> Judgement {
        let Some(answer) = exchange.latest() else { return Judgement::ByStatus };
        let detail = told::answered("Teams", answer);
        match answer.status {
            200 if !exchange.path.contains("/workflows/") && !is_taken(answer) => {
                Judgement::Failed { detail, pause: None }
            }
            400 | 413 => Judgement::Refused { detail },
            // The signature in the URL has expired or was never right, or the flow was deleted: only another URL helps.
            401 | 403 | 404 | 410 => Judgement::Gone { detail },
            _ => Judgement::ByStatus,
        }
    }
}

/// The hooks of old connectors answer 200 with `1`, and errors with 200 as well.
fn is_taken(answer: &Answer<'_>) -> bool {
    matches!(answer.body.trim_ascii(), b"" | b"1")
}

/// The message, with as much of what is told as there is room for.
fn fitting(told: &Told) -> Vec<u8> {
    let all = told.facts.len() + told.list.len();
    let said = |kept: usize| message(&shortened(told, kept), (TITLE_UNITS_MAX, VALUE_UNITS_MAX)).to_string();
    let whole = said(all);
    if whole.len() < BODY_BYTES_MAX {
        return whole.into_bytes();
    }
    // The more is kept the longer it is: between what fits and what does not lies the most that fits.
    let (mut fits, mut too_much) = (None, all);
    let mut least = 0;
    while least < too_much {
        let kept = least + (too_much - least) / 2;
        let shorter = said(kept);
        if shorter.len() < BODY_BYTES_MAX {
            (fits, least) = (Some(shorter), kept + 1);
        } else {
            too_much = kept;
        }
    }
    let minimal = || message(&shortened(told, 0), (MINIMAL_UNITS_MAX, MINIMAL_UNITS_MAX)).to_string();
    fits.unwrap_or_else(minimal).into_bytes()
}

/// With so many facts and entries of the list as are to be kept: facts go first.
fn shortened(told: &Told, kept: usize) -> Told {
    let mut told = told.clone();
    let listed = told.list.len();
    told.facts.truncate(kept.saturating_sub(listed));
    told.list.truncate(kept);
    told.more += u64::try_from(listed - told.list.len()).unwrap_or(u64::MAX);
    told
}

fn message(told: &Told, (title_max, value_max): (usize, usize)) -> Value {
    let mut body = vec![json!({
        "type": "TextBlock", "text": inert(&format!("{} {}", told.sign(), told.what), title_max),
        "weight": "Bolder", "size": "Large", "color": color(told), "wrap": true,
    })];
    if !told.title.is_empty() {
        body.push(json!({"type": "TextBlock", "text": inert(&told.title, title_max), "wrap": true}));
    }
    let severity = told.severity.map(|severity| json!({"title": "Severity", "value": severity.as_str()}));
    let told_facts = told
        .facts
        .iter()
        .map(|fact| json!({"title": inert(&fact.name, value_max), "value": inert(&fact.value, value_max)}));
    let facts: Vec<_> = severity.into_iter().chain(told_facts).collect();
    if !facts.is_empty() {
        body.push(json!({"type": "FactSet", "facts": facts}));
    }
    for listed in &told.list {
        let text = inert(&format!("{} {}", listed.sign, listed.text), value_max);
        // Ours: made of letters, digits and a few signs that mean nothing here.
        let link = listed.link.as_ref().map(|link| format!(" [open]({link})")).unwrap_or_default();
        body.push(json!({"type": "TextBlock", "text": text + &link, "wrap": true, "spacing": "Small"}));
    }
    if let Some(more) = told.more() {
        body.push(json!({"type": "TextBlock", "text": more, "wrap": true, "isSubtle": true}));
    }
    let small = inert(&format!("{} · {:.0}", told.event_type, told.occurred_at), value_max);
    body.push(json!({"type": "TextBlock", "text": small, "wrap": true, "isSubtle": true, "size": "Small"}));
    let mut card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4",
        "fallbackText": inert(&told.headline(), MINIMAL_UNITS_MAX), "body": body,
    });
    if let (Some(link), Some(card)) = (&told.link, card.as_object_mut()) {
        let open = json!([{"type": "Action.OpenUrl", "title": "Open in Watchbell", "url": link}]);
        card.insert("actions".to_owned(), open);
    }
    let attachment =
        json!({"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": card});
    json!({"type": "message", "attachments": [attachment]})
}

const fn color(told: &Told) -> &'static str {
    match (told.act, told.severity) {
        (Act::Closes, _) => "Good",
        (_, Some(Severity::Critical | Severity::High)) => "Attention",
        (_, Some(Severity::Medium)) => "Warning",
        (_, Some(Severity::Low)) => "Accent",
        (_, Some(Severity::Info | Severity::Unknown) | None) => "Default",
    }
}

/// The text with every sign of Markdown escaped, cut to `units_max` as it is meant.
fn inert(text: &str, units_max: usize) -> String {
    let text = cut(text, units_max);
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    // A list begins with a dash, a plus sign, or a number with a full stop and a blank.
    let mut is_number = true;
    let mut characters = text.chars().enumerate().peekable();
    while let Some((place, character)) = characters.next() {
        let before_blank = characters.peek().is_none_or(|(_, next)| *next == ' ');
        let is_markup = match character {
            '\\' | '*' | '_' | '[' | ']' | '(' | ')' | '#' | '~' | '`' | '>' | '<' | '{' | '}' | '|' | '!' | '&' => {
                true
            }
            '-' | '+' | '=' => place == 0,
            '.' => is_number && place > 0 && before_blank,
            _ => false,
        };
        is_number = is_number && character.is_ascii_digit();
        if is_markup {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dialect::told::Fact;

    #[test]
    fn markdown_is_text() {
        let cases = [
            ("[click](https://evil.example)", r"\[click\]\(https://evil.example\)"),
            ("{{DATE(2024-01-01T00:00:00Z)}}", r"\{\{DATE\(2024-01-01T00:00:00Z\)\}\}"),
            ("- item", r"\- item"),
            ("1. item 2. item", r"1\. item 2. item"),
            ("a-b 1.2.3", "a-b 1.2.3"),
            ("9.1", "9.1"),
            ("<b>&lt;", r"\<b\>\&lt;"),
        ];
        for (text, said) in cases {
            assert_eq!(inert(text, 100), said);
        }
    }

    fn big(facts: usize, listed: usize, length: usize) -> Told {
        let data = EventType::ScanDigest.sample().unwrap();
        let occurred_at = "2024-10-09T08:47:57Z".parse().unwrap();
        let event = Event { id: uuid::Uuid::nil(), event_type: EventType::ScanDigest, occurred_at, data };
        let mut told = Told::of(&event, Some(&"https://a.example".to_owned().try_into().unwrap())).unwrap();
        let text = "*🦁\"".repeat(length);
        told.title.clone_from(&text);
        told.facts = vec![Fact { name: "Name".into(), value: text.clone() }; facts];
        let listing = told::Listed::new(Severity::High, text);
        told.list = vec![listing; listed];
        told
    }

    #[test]
    fn whatever_there_is_the_message_stays_small() {
        for (facts, listed, length) in [(0, 0, 10), (20, 0, 5000), (0, 50, 5000), (20, 50, 300), (3, 500, 10)] {
            let told = big(facts, listed, length);
            let said = fitting(&told);
            assert!(said.len() < BODY_BYTES_MAX, "{}", said.len());
            let card: Value = serde_json::from_slice(&said).unwrap();
            let card = &card["attachments"][0]["content"];
            assert_eq!(card["actions"][0]["type"], "Action.OpenUrl");
            let room_left = BODY_BYTES_MAX - said.len();
            assert!(length < 300 && facts < 20 && listed < 500 || room_left < 12_000, "{facts} {listed}: {room_left}");
        }
    }

    proptest! {
        #[test]
        fn unescaping_gives_the_text(text in "\\PC{0,80}|[-+*_.0-9\\\\\\[\\]{}<>()#~`!|& a]{0,60}") {
            let said = inert(&text, 1000);
            let mut meant = String::new();
            let mut characters = said.chars();
            while let Some(character) = characters.next() {
                match character {
                    '\\' => meant.extend(characters.next()),
                    markup if "*_[]()#~`><{}|".contains(markup) => prop_assert!(false, "{said}"),
                    other => meant.push(other),
                }
            }
            prop_assert_eq!(meant, text);
        }
    }
}

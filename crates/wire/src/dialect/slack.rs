//! Slack incoming webhooks: an event as a message of blocks.
//!
//! Source: <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>, the pages on text formatting and
//! on the reference of blocks. The URL is the credential. A message cannot be changed or answered through a hook, so what
//! ends is told by a message of its own, a shorter one.
//!
//! What is foreign stands in `plain_text`, where nothing is markup, or in a code span of `mrkdwn`; `&`, `<` and `>` are
//! entities in both, so that no text of theirs becomes a mention, a link or a date. `verbatim` keeps Slack from finding
//! links and names by itself.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::opaque::Opaque;
use super::told::{self, Act, Fact, Listed, Members, Told, cut, fitted, line};
use super::{
    Carrier, Credential, Dialect, EncodeError, Exchange, Header, Judgement, Message, Outbound, Pace, Part, Settings,
    SettingsError,
};
use crate::{Event, EventType, Key};

pub(super) static DIALECT: Dialect = Dialect {
    id: "slack",
    name: "Slack",
    source: "https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks",
    credential: Credential::None,
    carrier: Carrier::Http,
    url_is_secret: true,
    secrets: &Opaque,
    inbound: None,
    outbound: Some(&Slack),
};

/// Vendor: 40,000, and what is above 4,000 is folded away.
const FALLBACK_UNITS_MAX: usize = 3900;
const HEADER_UNITS_MAX: usize = 150;
const SECTION_UNITS_MAX: usize = 3000;
/// Of a line of a section that has one for each event.
const LINE_UNITS_MAX: usize = 280;
const LINK_UNITS_MAX: usize = 180;
const FIELDS_MAX: usize = 10;
const FIELD_UNITS_MAX: usize = 2000;
/// Facts of a message that tells of an end.
const FACTS_OF_END_MAX: usize = 3;

struct Slack;

impl Outbound for Slack {
    fn event_name<'a>(&self, event_type: &'a EventType) -> Option<Cow<'a, str>> {
        Some(event_type.as_str().into())
    }

    fn is_wanted(&self, event_type: &EventType) -> bool {
        told::is_news(event_type)
    }

    fn encode(&self, event: &Event, settings: &Settings) -> Result<Vec<u8>, EncodeError> {
        let members: Members = settings.read()?;
        Ok(message(&Told::of(event, members.link_base.as_ref())?))
    }

    fn joins(&self) -> bool {
        true
    }

    fn join(&self, parts: &[Part<'_>], settings: &Settings) -> Option<Result<Vec<u8>, EncodeError>> {
        Some(told::join(parts, settings, message))
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
        let detail = told::answered("Slack", answer);
        match answer.status {
            400 | 413 => Judgement::Refused { detail },
            403 | 404 | 410 => Judgement::Gone { detail },
            _ => Judgement::ByStatus,
        }
    }
}

fn message(told: &Told) -> Vec<u8> {
    let fallback = fitted(&format!("{} {}", told.sign(), unmentioned(&told.headline())), FALLBACK_UNITS_MAX, spell);
    let body = json!({
        "text": fallback,
        "blocks": blocks(told),
        "unfurl_links": false,
        "unfurl_media": false,
    });
    body.to_string().into_bytes()
}

fn blocks(told: &Told) -> Vec<Value> {
    let heading = match told.severity {
        Some(severity) => format!("{} {} · {}", told.sign(), told.what, severity.as_str()),
        None => format!("{} {}", told.sign(), told.what),
    };
    let mut blocks = vec![json!({"type": "header", "text": plain(&heading, HEADER_UNITS_MAX)})];
    if !told.title.is_empty() {
        blocks.push(json!({"type": "section", "text": plain(&told.title, SECTION_UNITS_MAX)}));
    }
    let facts_max = if told.act == Act::Closes { FACTS_OF_END_MAX } else { FIELDS_MAX };
    let fields: Vec<_> = told.facts.iter().take(facts_max).map(field).collect();
    if !fields.is_empty() {
        blocks.push(json!({"type": "section", "fields": fields}));
    }
    if told.list.iter().any(|listed| listed.link.is_some()) {
        let text = told.list.iter().map(linked).chain(told.more()).collect::<Vec<_>>().join("\n");
        blocks.push(json!({"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": true}}));
    } else if !told.list.is_empty() {
        let lines = told.list.iter().map(|listed| format!("{} {}", listed.sign, listed.text));
        let text = lines.chain(told.more()).collect::<Vec<_>>().join("\n");
        blocks.push(json!({"type": "section", "text": plain(&text, SECTION_UNITS_MAX)}));
    }
    let mut small = format!("{} · {:.0}", told.event_type, told.occurred_at);
    if let Some(link) = &told.link {
        // Ours: made of letters, digits and a few signs that mean nothing here.
        small = format!("<{link}|Open in Watchbell> · {small}");
    }
    blocks.push(json!({"type": "context", "elements": [{"type": "mrkdwn", "text": small, "verbatim": true}]}));
    blocks
}

/// Text in which nothing is markup.
fn plain(text: &str, units_max: usize) -> Value {
    json!({"type": "plain_text", "text": fitted(&unmentioned(text), units_max, spell), "emoji": false})
}

/// One of several things, and where to read on.
fn linked(listed: &Listed) -> String {
    // Of ten such lines a section is made: a link that would leave no room for words is left out.
    let link = listed.link.as_ref().filter(|link| link.len() <= LINK_UNITS_MAX);
    let link = link.map(|link| format!(" <{link}|open>")).unwrap_or_default();
    format!("{} {}{link}", listed.sign, code(&listed.text, LINE_UNITS_MAX - link.len()))
}

/// A code span: the one place of `mrkdwn` in which stars and underscores are what they are.
fn code(text: &str, units_max: usize) -> String {
    let text = fitted(&unmentioned(text), units_max, |character, out| match character {
        '`' => out.push('\''),
        other => spell(other, out),
    });
    format!("`{text}`")
}

/// A fact, its value in a code span.
fn field(fact: &Fact) -> Value {
    let name = cut(&fact.name, HEADER_UNITS_MAX);
    let name = line(&name.replace(['*', '`', '_', '~'], " "));
    let start = format!("*{}*\n", fitted(&unmentioned(&name), SECTION_UNITS_MAX, spell));
    let room = FIELD_UNITS_MAX - start.encode_utf16().count().min(FIELD_UNITS_MAX / 2) - 2;
    json!({"type": "mrkdwn", "text": format!("{start}{}", code(&fact.value, room)), "verbatim": true})
}

/// Slack's three entities.
fn spell(character: char, out: &mut String) {
    match character {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        other => out.push(other),
    }
}

/// The text without the words that call everybody, should a workspace look for them in spite of all.
fn unmentioned(text: &str) -> Cow<'_, str> {
    const CALLS: [&str; 3] = ["channel", "here", "everyone"];
    if !text.contains('@') {
        return Cow::Borrowed(text);
    }
    let mut parts = text.split('@');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let calls = |word: &str| part.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
        out.push(if CALLS.iter().any(|word| calls(word)) { '\u{ff20}' } else { '@' });
        out.push_str(part);
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn foreign_text_mentions_nobody() {
        assert_eq!(
            unmentioned("@channel @HERE a@b.example @everyone"),
            "\u{ff20}channel \u{ff20}HERE a@b.example \u{ff20}everyone"
        );
        assert_eq!(plain("<!channel> & <https://a|b>", 100)["text"], "&lt;!channel&gt; &amp; &lt;https://a|b&gt;");
        let fact = Fact { name: "*N*".into(), value: "`x` *b* _i_ <@U1>".to_owned() };
        assert_eq!(field(&fact)["text"], "*N*\n`'x' *b* _i_ &lt;@U1&gt;`");
    }

    proptest! {
        #[test]
        fn no_markup_gets_through(text in "\\PC{0,80}|[<>&@!|`*_~a-z ]{0,80}", max in 10..60usize) {
            for (said, limit) in [
                (plain(&text, max)["text"].clone(), max),
                (field(&Fact { name: text.clone().into(), value: text.clone() })["text"].clone(), FIELD_UNITS_MAX),
            ] {
                let said = said.as_str().unwrap();
                prop_assert!(said.encode_utf16().count() <= limit);
                prop_assert!(!said.contains(['<', '>']));
                prop_assert!(!said.to_lowercase().contains("@channel") && !said.to_lowercase().contains("@here"));
                let entities = ["&amp;", "&lt;", "&gt;"];
                prop_assert!(said.match_indices('&').all(|(at, _)| entities.iter().any(|entity| said.get(at..).is_some_and(|rest| rest.starts_with(entity)))));
            }
        }

        #[test]
        fn a_code_span_is_one(value in "\\PC{1,80}|[`*\\n]{1,20}") {
            let text = field(&Fact { name: "Name".into(), value: line(&value) })["text"].as_str().unwrap().to_owned();
            prop_assert_eq!(text.matches('`').count(), 2);
            prop_assert!(text.starts_with("*Name*\n`") && text.ends_with('`'));
        }
    }
}

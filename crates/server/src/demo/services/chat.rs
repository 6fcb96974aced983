//! Channels: Microsoft Teams by a Workflows hook, Slack by an incoming webhook. In both the URL is the credential.

use http::StatusCode;
use serde_json::Value;

use super::{Call, LINE_MAX, Said, Service, column, cut, list, need, text};

pub(super) static TEAMS: Service = Service {
    dialect: "teams",
    who: "a channel in Microsoft Teams",
    checks: "the flow's signature; an Adaptive Card of 1.4, at most 28 KB",
    place: "/workflows/7/triggers/manual/paths/invoke?api-version=2016-06-01&sig={}",
    take: card,
    answers: (StatusCode::ACCEPTED, ""),
};

pub(super) static SLACK: Service = Service {
    dialect: "slack",
    who: "a channel in Slack",
    checks: "the hook's token; blocks of Block Kit that call nobody",
    place: "/services/T0WATCH/B0BELL/{}",
    take: message,
    answers: (StatusCode::OK, "ok"),
};

/// Facts that are shown; how many more there are is said.
const FACTS_SHOWN: usize = 4;
const CARD_BYTES_MAX: usize = 28 * 1024;
const BLOCKS_MAX: usize = 50;
const FIELDS_MAX: usize = 10;
const HEADER_MAX: usize = 150;

fn card(call: &Call<'_>, credential: &str) -> Result<Said, String> {
    need(call.query.split('&').any(|pair| pair.strip_prefix("sig=") == Some(credential)), "another flow's signature")?;
    need(call.body.len() <= CARD_BYTES_MAX, "more than 28 KB")?;
    let message = call.json()?;
    need(text(&message, "/type") == "message", "no message")?;
    let [attachment] = list(&message, "/attachments") else {
        return Err("a message has one card".to_owned());
    };
    let is_card = text(attachment, "/contentType") == "application/vnd.microsoft.card.adaptive"
        && text(attachment, "/content/type") == "AdaptiveCard"
        && text(attachment, "/content/version") == "1.4";
    need(is_card, "no Adaptive Card that every client can show")?;
    let (mut lines, mut facts) = (Vec::new(), Vec::new());
    for element in list(attachment, "/content/body") {
        match text(element, "/type") {
            "TextBlock" => lines.push(unescaped(text(element, "/text"))),
            "FactSet" => facts.extend(list(element, "/facts").iter().map(|fact| {
                let part = |pointer: &str| unescaped(text(fact, pointer));
                (part("/title"), part("/value"))
            })),
            other => return Err(format!("an element {other:?}")),
        }
    }
    let event = event_of(&lines.pop().unwrap_or_default())?;
    lines = lines.iter().map(|line| cut(line, LINE_MAX)).collect();
    lines.extend(column(shown(&facts)));
    lines.extend(more(&facts));
    Ok(Said { event, matter: None, lines })
}

fn message(call: &Call<'_>, _: &str) -> Result<Said, String> {
    // The token stands in the path: with another one there is no hook.
    let message = call.json()?;
    need(!text(&message, "/text").is_empty(), "no_text")?;
    let blocks = list(&message, "/blocks");
    need((1..=BLOCKS_MAX).contains(&blocks.len()), "invalid_blocks")?;
    let calls_all = ["<!", "<@", "@channel", "@here", "@everyone"];
    need(!calls_all.iter().any(|call| message.to_string().contains(call)), "it calls people by name")?;
    let (mut lines, mut facts, mut small) = (Vec::new(), Vec::new(), String::new());
    for block in blocks {
        match text(block, "/type") {
            "header" => {
                need(text(block, "/text/text").chars().count() <= HEADER_MAX, "a header that is too long")?;
                lines.push(meant(text(block, "/text/text")));
            }
            "section" => {
                let fields = list(block, "/fields");
                need(fields.len() <= FIELDS_MAX, "too many fields")?;
                facts.extend(fields.iter().map(fact));
                lines.extend(block.pointer("/text/text").and_then(Value::as_str).map(meant));
            }
            "context" => small = meant(text(block, "/elements/0/text")),
            other => return Err(format!("a block {other:?}")),
        }
    }
    lines = lines.iter().map(|line| cut(line, LINE_MAX)).collect();
    // Slack puts fields into two columns.
    let half = LINE_MAX / 2 - 1;
    let cells: Vec<String> = shown(&facts).iter().map(|(name, value)| cut(&format!("{name} {value}"), half)).collect();
    lines.extend(cells.chunks(2).map(|pair| match pair {
        [left, right] => format!("{left:half$}  {right}"),
        _ => pair.concat(),
    }));
    lines.extend(more(&facts));
    Ok(Said { event: event_of(&small)?, matter: None, lines })
}

/// `*Name*` and its value in a code span.
fn fact(field: &Value) -> (String, String) {
    let field = meant(text(field, "/text"));
    let (name, value) = field.split_once('\n').unwrap_or_default();
    (name.trim_matches('*').to_owned(), value.trim_matches('`').to_owned())
}

/// The small line at the end names the event, and when it happened.
fn event_of(small: &str) -> Result<String, String> {
    let event = small.split(" · ").next().filter(|event| event.contains('.'));
    event.map(str::to_owned).ok_or_else(|| "it names no event".to_owned())
}

fn shown(facts: &[(String, String)]) -> &[(String, String)] {
    facts.get(..FACTS_SHOWN).unwrap_or(facts)
}

fn more(facts: &[(String, String)]) -> Option<String> {
    let more = facts.len().saturating_sub(FACTS_SHOWN);
    (more > 0).then(|| format!("and {more} more facts"))
}

/// Text of a card as it is meant: without the backslashes that keep Markdown from meaning anything.
fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        out.extend(if character == '\\' { characters.next() } else { Some(character) });
    }
    out
}

/// Text of Slack's as it is meant: with its three entities read.
fn meant(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

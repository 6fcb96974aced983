//! Slack and Teams.

use serde_json::Value;

use super::{Call, Reply, has_only, is_text};

/// Slack's incoming webhooks: one is `/services/T000/B000/token`.
#[derive(Default)]
pub(crate) struct Slack {
    /// Messages that were posted.
    pub(crate) posted: Vec<Value>,
    /// What is answered instead of looking.
    pub(crate) says: Option<(u16, &'static str)>,
}

impl Slack {
    pub(super) fn take(&mut self, call: &Call) -> Reply {
        if let Some((status, text)) = self.says {
            let mut reply = Reply::text(status, text);
            if status == 429 {
                reply.headers.push(("retry-after", "1".to_owned()));
            }
            return reply;
        }
        if call.path.split('/').count() != 5 {
            return Reply::text(404, "no_service");
        }
        let Some(message) = call.json().filter(|_| call.method == http::Method::POST) else {
            return Reply::text(400, "invalid_payload");
        };
        // Old attachments are somebody else's matter.
        let has_attachments = message["attachments"].is_array();
        if !has_attachments && !is_text(&message["text"], 1..=40_000) {
            return Reply::text(400, "no_text");
        }
        if !message["blocks"].is_null() && !are_blocks(&message["blocks"]) {
            return Reply::text(400, "invalid_blocks");
        }
        self.posted.push(message);
        Reply::text(200, "ok")
    }
}

fn are_blocks(blocks: &Value) -> bool {
    blocks.as_array().is_some_and(|blocks| (1..=50).contains(&blocks.len()) && blocks.iter().all(is_block))
}

fn is_block(block: &Value) -> bool {
    match block["type"].as_str() {
        Some("header") => has_only(block, &["type", "text", "block_id"]) && is_plain(&block["text"], 150),
        Some("section") => {
            let fields = block["fields"].as_array();
            let has_text = block["text"].is_object();
            (has_text || fields.is_some())
                && (!has_text || is_said(&block["text"], 3000))
                && fields.is_none_or(|fields| {
                    (1..=10).contains(&fields.len()) && fields.iter().all(|field| is_said(field, 2000))
                })
        }
        Some("context") => block["elements"].as_array().is_some_and(|elements| {
            (1..=10).contains(&elements.len()) && elements.iter().all(|element| is_said(element, 3000))
        }),
        Some("divider") => true,
        _ => false,
    }
}

fn is_plain(text: &Value, length_max: usize) -> bool {
    text["type"] == "plain_text" && has_only(text, &["type", "text", "emoji"]) && is_text(&text["text"], 1..=length_max)
}

fn is_said(text: &Value, length_max: usize) -> bool {
    let is_mrkdwn = text["type"] == "mrkdwn"
        && has_only(text, &["type", "text", "verbatim"])
        && is_text(&text["text"], 1..=length_max);
    is_mrkdwn || is_plain(text, length_max)
}

/// Teams: `…/workflows/…` of Power Automate, `/webhookb2/…` of old connectors.
#[derive(Default)]
pub(crate) struct Teams {
    /// Cards that were shown.
    pub(crate) shown: Vec<Value>,
    /// Paths with query as they came.
    pub(crate) targets: Vec<String>,
    /// What is answered instead of looking.
    pub(crate) says: Option<(u16, &'static str)>,
}

impl Teams {
    pub(super) fn take(&mut self, call: &Call) -> Reply {
        self.targets.push(format!("{}?{}", call.path, call.query));
        if let Some((status, text)) = self.says {
            return Reply::text(status, text);
        }
        let is_old = call.path.starts_with("/webhookb2/");
        if !is_old && !call.query.split('&').any(|pair| pair.starts_with("sig=")) {
            return Reply::text(401, "DirectApiAuthorizationRequired");
        }
        if call.body.len() > 28 * 1024 {
            return Reply::text(413, "RequestEntityTooLarge");
        }
        let Some(message) = call.json().filter(|_| call.method == http::Method::POST) else {
            return Reply::text(400, "InvalidRequestContent");
        };
        let cards = message["attachments"].as_array().filter(|cards| !cards.is_empty());
        let Some(cards) = cards.filter(|cards| message["type"] == "message" && cards.iter().all(is_card)) else {
            return Reply::text(400, "attachments is of type 'Null'");
        };
        self.shown.extend(cards.iter().map(|card| card["content"].clone()));
        if is_old { Reply::text(200, "1") } else { Reply::text(202, "") }
    }
}

fn is_card(attachment: &Value) -> bool {
    let card = &attachment["content"];
    let version = card["version"].as_str().and_then(|version| version.parse::<f32>().ok());
    let elements = card["body"].as_array();
    let actions = card["actions"].as_array();
    let is_element = |element: &Value| match element["type"].as_str() {
        Some("TextBlock") => element["text"].is_string(),
        Some("FactSet") => element["facts"]
            .as_array()
            .is_some_and(|facts| facts.iter().all(|fact| fact["title"].is_string() && fact["value"].is_string())),
        Some(other) => ["Container", "ColumnSet", "Image", "RichTextBlock"].contains(&other),
        None => false,
    };
    let is_action = |action: &Value| {
        action["type"] == "Action.OpenUrl" && action["url"].as_str().is_some_and(|url| url.starts_with("https://"))
    };
    attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
        && card["type"] == "AdaptiveCard"
        && version.is_some_and(|version| version <= 1.5)
        && elements.is_some_and(|elements| elements.iter().all(is_element))
        && actions.is_none_or(|actions| actions.iter().all(is_action))
}

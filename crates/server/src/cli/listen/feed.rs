//! Where what comes is read from: a capture inbox, or the receipts of a source.
//!
//! An inbox numbers its requests, and is waited for behind a number. Receipts are listed, the newest first: the list is read
//! as far as it holds what was not seen, and what was seen is remembered, so that receipts which are committed in another
//! order than they came are neither lost nor told twice.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use crate::cli::connect::{Connect, segment};
use crate::client::{Client, Error, Request};

/// How long the server lets us wait for something new. Shorter than the client's own patience.
const WAIT: &str = "20s";
/// From one look at the list of receipts to the next.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Receipts of a page, and those that are remembered.
const PAGE: u64 = 50;
const SEEN_MAX: usize = 5000;

/// What came.
#[derive(Debug, Default)]
pub(super) struct News {
    /// The oldest first, each with `id`, `method`, `headers`, `body_base64` and what else is known of it.
    pub(super) requests: Vec<Value>,
    /// So many made way before they were asked for.
    pub(super) missed: u64,
}

/// What is listened to, and how far it was read.
pub(super) struct Feed {
    client: Client,
    what: What,
}

enum What {
    Capture {
        path: String,
        /// The number to go on behind; `None`: not begun yet.
        after: Option<u64>,
        last: u64,
    },
    Source {
        receipts: String,
        id: String,
        seen: BTreeSet<String>,
        /// How many of those before to begin with, until it has begun.
        last: Option<u64>,
        /// Found, and not fetched yet.
        waiting: VecDeque<Value>,
    },
}

impl Feed {
    pub(super) fn of_capture(client: Client, connect: &Connect, id: &str, last: u64) -> Self {
        let path = connect.path(&format!("/captures/{}/requests/live", segment(id)));
        Self { client, what: What::Capture { path, after: None, last } }
    }

    pub(super) fn of_source(client: Client, connect: &Connect, id: String, last: u64) -> Self {
        let receipts = connect.path("/receipts");
        let (seen, waiting) = (BTreeSet::new(), VecDeque::new());
        Self { client, what: What::Source { receipts, id, seen, last: Some(last), waiting } }
    }

    /// What came since this was asked last; waits a while for it. A failure loses nothing.
    pub(super) async fn next(&mut self) -> Result<News, Error> {
        let client = &self.client;
        match &mut self.what {
            What::Capture { path, after, last } => {
                let request = Request::get(path.as_str()).with("unmasked", Some(true));
                let request = match *after {
                    Some(after) => request.with("after", Some(after)).with("wait", Some(WAIT)),
                    None => request.with("last", Some(*last)),
                };
                let mut news = client.json(request).await?;
                *after = news.get("after").and_then(Value::as_u64).or(*after);
                let missed = news.get("missed").and_then(Value::as_u64).unwrap_or_default();
                Ok(News { requests: items(&mut news), missed })
            }
            What::Source { receipts, id, seen, last, waiting } => {
                if waiting.is_empty() {
                    if last.is_none() {
                        tokio::time::sleep(LOOK_EVERY).await;
                    }
                    let unseen = unseen(client, receipts, id, seen, *last).await?;
                    let from = last
                        .take()
                        .map_or(0, |last| unseen.len().saturating_sub(usize::try_from(last).unwrap_or(usize::MAX)));
                    seen.extend(unseen.iter().filter_map(|receipt| id_of(receipt)).map(str::to_owned));
                    while seen.len() > SEEN_MAX {
                        seen.pop_first();
                    }
                    waiting.extend(unseen.into_iter().skip(from));
                }
                let Some(receipt) = waiting.front() else {
                    return Ok(News::default());
                };
                let request = fetched(client, receipts, receipt).await?;
                waiting.pop_front();
                Ok(News { requests: vec![request], missed: 0 })
            }
        }
    }
}

fn items(page: &mut Value) -> Vec<Value> {
    match page.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    }
}

fn id_of(receipt: &Value) -> Option<&str> {
    receipt.get("id")?.as_str()
}

/// Receipts that were not seen, the oldest first: all of them, or on the first look so many as to begin with.
async fn unseen(
    client: &Client,
    receipts: &str,
    source: &str,
    seen: &BTreeSet<String>,
    first: Option<u64>,
) -> Result<Vec<Value>, Error> {
    let mut found = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let request =
            Request::get(receipts).with("source", Some(source)).with("limit", Some(PAGE)).with("cursor", cursor.take());
        let mut page = client.json(request).await?;
        cursor = page.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
        let items = items(&mut page);
        let before = found.len();
        let is_new = |receipt: &Value| id_of(receipt).is_some_and(|id| !seen.contains(id));
        let total = items.len();
        found.extend(items.into_iter().filter(is_new));
        let is_all_new = found.len() - before == total;
        let is_enough = first.is_some_and(|first| u64::try_from(found.len()).is_ok_and(|found| found >= first));
        if cursor.is_none() || !is_all_new || is_enough || found.len() >= SEEN_MAX {
            found.reverse();
            return Ok(found);
        }
    }
}

/// A receipt with its body, in the shape of a captured request. A duplicate's body is that of its first.
async fn fetched(client: &Client, receipts: &str, receipt: &Value) -> Result<Value, Error> {
    let text = |value: &Value, member: &str| value.get(member).and_then(Value::as_str).map(str::to_owned);
    let get = async |id: &str| client.json(Request::get(format!("{receipts}/{}", segment(id)))).await;
    let whole = get(id_of(receipt).unwrap_or_default()).await?;
    let body_of = |receipt: &Value| {
        text(receipt, "body_base64").unwrap_or_else(|| BASE64.encode(text(receipt, "body").unwrap_or_default()))
    };
    let mut body = body_of(&whole);
    if body.is_empty()
        && let (Some("duplicate"), Some(first)) = (whole.get("verdict").and_then(Value::as_str), text(&whole, "of"))
    {
        body = body_of(&get(&first).await?);
    }
    let lines = whole.get("headers").and_then(Value::as_array).into_iter().flatten();
    let headers: Vec<Value> = lines.map(|line| json!([line.get("name"), line.get("value")])).collect();
    Ok(json!({
        "id": whole.get("id"),
        "received_at": whole.get("received_at"),
        "method": whole.get("method"),
        "verdict": whole.get("verdict"),
        "headers": headers,
        "body_bytes": whole.get("body_bytes"),
        "body_base64": body,
    }))
}

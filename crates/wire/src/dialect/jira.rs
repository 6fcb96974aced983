//! Jira: a finding or a plan of action is an issue. What opens makes it, what follows is a comment, what ends it a comment
//! and a transition.
//!
//! Source: <https://developer.atlassian.com/cloud/jira/platform/rest/v3/>, the Atlassian Document Format beside it. The
//! endpoint's URL is the site (`https://acme.atlassian.net`), or `https://api.atlassian.com/ex/jira/<cloud id>` with an
//! OAuth token. Jira joins nothing by itself, so each issue bears a label made of the matter's key, and every talk begins
//! with a search for it:
//!
//! ```text
//!  search by label ─┬─ none ──▶ create                                          (opens, changes, tells)
//!                   └─ issue ─▶ its comments ─▶ comment ─▶ its transitions ─▶ transition    (the last two: closes)
//! ```
//!
//! Whatever was done already in an attempt that broke off is seen and not done twice: an issue knows the event that made
//! it, a comment names its event, and a finished issue needs no transition.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::opaque::{Opaque, token};
use super::told::{self, Act, Told, cut};
use super::{
    Answer, Carrier, Credential, Dialect, EncodeError, Exchange, Header, Judgement, Message, Outbound, Pace, Request,
    Secrets, Settings, SettingsError,
};
use crate::{Event, EventType, Key, Secret, SecretError, Severity, percent};

pub(super) static DIALECT: Dialect = Dialect {
    id: "jira",
    name: "Jira",
    source: "https://developer.atlassian.com/cloud/jira/platform/rest/v3/",
    credential: Credential::SecretGiven,
    carrier: Carrier::Http,
    url_is_secret: false,
    secrets: &Tokens,
    inbound: None,
    outbound: Some(&Jira),
};

/// What an endpoint of Jira sets.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Members {
    /// Key of the project that issues are made in: `SEC`. Must be given.
    project: String,
    /// The name of their type.
    issue_type: String,
    /// Labels of every issue, beside the one that it is found by. No blanks in them.
    labels: Vec<String>,
    /// Names of priorities by our severities: `{"critical": "Highest"}`. A severity that is left out sets none.
    priorities: BTreeMap<String, String>,
    /// Name of the transition that ends an issue. When left out, the first that leads to a status of the category "done";
    /// an empty text for none.
    close_transition: Option<String>,
    /// Where links to events begin: `https://watchbell.example.com/api/v1/orgs/acme`. None: issues have no link.
    link_base: Option<told::LinkBase>,
}

impl Default for Members {
    fn default() -> Self {
        Self {
            project: String::new(),
            issue_type: "Task".to_owned(),
            labels: Vec::new(),
            priorities: BTreeMap::new(),
            close_transition: None,
            link_base: None,
        }
    }
}

const SUMMARY_UNITS_MAX: usize = 255;
/// Ours: a description has 32,767 at most.
const TEXT_UNITS_MAX: usize = 1000;
const LABEL_UNITS_MAX: usize = 255;
const NAME_UNITS_MAX: usize = 255;
/// The API, after what the site's address may have before it.
const API: &str = "/rest/api/3";
/// The property that holds the event an issue was made by.
const PROPERTY: &str = "watchbell";

struct Jira;

impl Outbound for Jira {
    fn event_name<'a>(&self, event_type: &'a EventType) -> Option<Cow<'a, str>> {
        Some(event_type.as_str().into())
    }

    fn is_wanted(&self, event_type: &EventType) -> bool {
        let has_life = event_type.as_str().starts_with("vulnerability.") || event_type.as_str().starts_with("poam.");
        has_life && told::is_matter(event_type)
    }

    /// The search that everything begins with.
    fn encode(&self, event: &Event, settings: &Settings) -> Result<Vec<u8>, EncodeError> {
        let members: Members = settings.read()?;
        let told = Told::of(event, None)?;
        let search = json!({
            "jql": format!(r#"project = "{}" AND labels = "{}" ORDER BY created DESC"#, members.project, label(&told.key)),
            "fields": ["status"],
            "properties": [PROPERTY],
            "maxResults": 50,
        });
        Ok(search.to_string().into_bytes())
    }

    fn headers(&self, _: &Message<'_>, keys: &[Key]) -> Result<Vec<Header>, EncodeError> {
        let token = token(keys, "an API token")?;
        let authorization = match basic(token) {
            Some(basic) => format!("Basic {basic}"),
            None => format!("Bearer {token}"),
        };
        let line = |name, value: &str| Header { name, value: value.to_owned() };
        Ok(vec![
            line("Content-Type", "application/json"),
            line("Accept", "application/json"),
            Header { name: "Authorization", value: authorization },
        ])
    }

    fn check_settings(&self, settings: &Settings) -> Result<(), SettingsError> {
        let members: Members = settings.read()?;
        let wrong =
            |pointer: &str, detail: &str| Err(SettingsError { pointer: pointer.to_owned(), detail: detail.to_owned() });
        let is_key = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if members.project.is_empty() || members.project.len() > NAME_UNITS_MAX || !is_key(&members.project) {
            return wrong("/project", "the key of a project is wanted: letters, digits and _");
        }
        if members.issue_type.is_empty() || members.issue_type.len() > NAME_UNITS_MAX {
            return wrong("/issue_type", "the name of a type of issues is wanted");
        }
        let is_label = |label: &String| {
            !label.is_empty() && label.len() <= LABEL_UNITS_MAX && !label.contains(|c: char| c.is_whitespace())
        };
        if members.labels.len() > 20 || !members.labels.iter().all(is_label) {
            return wrong("/labels", "there are at most 20 labels of 1 to 255 characters without blanks");
        }
        match members.priorities.keys().find(|name| Severity::parse(name).is_none()) {
            Some(_) => wrong("/priorities", "the members are severities: critical, high, medium, low, info, unknown"),
            None => Ok(()),
        }
    }

    fn pace(&self) -> Option<Pace> {
        Some(Pace::new(2, 8))
    }

    fn target(&self, _: &Event, _: &Settings, path: &str) -> Option<String> {
        Some(format!("{}{API}/search/jql", site(path)))
    }

    fn judge(&self, exchange: &Exchange<'_>) -> Judgement {
        let talk = exchange.settings.read().map_err(EncodeError::from).and_then(|members: Members| {
            let told = Told::of(exchange.event, members.link_base.as_ref())?;
            Ok(Talk { exchange, heard: 0, members, told })
        });
        match talk {
            Err(error) => Judgement::Refused { detail: error.to_string() },
            Ok(mut talk) => talk.hold().err().unwrap_or(Judgement::ByStatus),
        }
    }
}

/// What has been said so far, from the start. Every answer that is there is read; the first that is not is asked for.
struct Talk<'a> {
    exchange: &'a Exchange<'a>,
    heard: usize,
    members: Members,
    told: Told,
}

/// An issue as the search finds it.
struct Issue {
    key: String,
    is_done: bool,
    made_by: Option<String>,
}

impl<'a> Talk<'a> {
    /// `Ok`: there is nothing more to say. `Err`: what comes next, or what went wrong.
    fn hold(&mut self) -> Result<(), Judgement> {
        let found = issues(self.next_answer(None)?);
        let open = found.iter().find(|issue| !issue.is_done);
        match (self.told.act, open) {
            (Act::Tests, _) => Ok(()),
            (Act::Closes, Some(issue)) => {
                self.comment(issue)?;
                self.finish(issue)
            }
            (Act::Closes, None) => Ok(()),
            (Act::Opens | Act::Changes | Act::Tells, Some(issue)) => self.comment(issue),
            // What this event made was finished in the meantime.
            (Act::Opens | Act::Changes | Act::Tells, None) if found.iter().any(|issue| self.made(issue)) => Ok(()),
            (Act::Opens | Act::Changes | Act::Tells, None) => {
                let fields = self.fields();
                let property = json!({"key": PROPERTY, "value": {"event": self.event_id()}});
                let issue = json!({"fields": fields, "properties": [property]});
                self.post("/issue", &issue).map(|_| ())
            }
        }
    }

    fn event_id(&self) -> String {
        self.exchange.event.id.to_string()
    }

    fn made(&self, issue: &Issue) -> bool {
        issue.made_by.as_ref().is_some_and(|event| *event == self.event_id())
    }

    /// Says it in a comment, unless the issue or a comment says it already.
    fn comment(&mut self, issue: &Issue) -> Result<(), Judgement> {
        if self.made(issue) {
            return Ok(());
        }
        let comments = format!("/issue/{}/comment", segment(&issue.key));
        let said = self.get(&format!("{comments}?orderBy=-created&maxResults=50"))?;
        if String::from_utf8_lossy(said.body).contains(&self.event_id()) {
            return Ok(());
        }
        let body = json!({"body": self.document(&format!("Watchbell, event {}", self.event_id()))});
        self.post(&comments, &body).map(|_| ())
    }

    fn finish(&mut self, issue: &Issue) -> Result<(), Judgement> {
        if self.members.close_transition.as_deref() == Some("") {
            return Ok(());
        }
        let transitions = format!("/issue/{}/transitions", segment(&issue.key));
        let possible = self.get(&transitions)?.json().unwrap_or_default();
        let possible = possible.get("transitions").and_then(Value::as_array).cloned().unwrap_or_default();
        let ends = |transition: &&Value| match &self.members.close_transition {
            Some(name) => transition.get("name").and_then(Value::as_str).is_some_and(|known| known == name),
            None => transition.pointer("/to/statusCategory/key").and_then(Value::as_str) == Some("done"),
        };
        let Some(id) = possible.iter().find(ends).and_then(|transition| transition.get("id")).cloned() else {
            let detail = format!("Jira knows no transition that ends the issue {}", told::line(&issue.key));
            return Err(Judgement::Refused { detail });
        };
        self.post(&transitions, &json!({"transition": {"id": id}})).map(|_| ())
    }

    fn fields(&self) -> Value {
        let mut labels = vec![label(&self.told.key)];
        labels.extend(self.members.labels.iter().cloned());
        let mut fields = json!({
            "project": {"key": self.members.project},
            "issuetype": {"name": self.members.issue_type},
            "summary": cut(&self.told.headline(), SUMMARY_UNITS_MAX),
            "description": self.document("Made by Watchbell, which finds this issue by its label: leave that as it is."),
            "labels": labels,
        });
        let priority = self.members.priorities.get(self.told.severity.unwrap_or_default().as_str());
        if let (Some(name), Some(fields)) = (priority, fields.as_object_mut()) {
            fields.insert("priority".to_owned(), json!({"name": name}));
        }
        fields
    }

    /// What is told as an Atlassian document. It knows no markup but its own nodes: text is text.
    fn document(&self, last: &str) -> Value {
        let text = |text: &str| json!({"type": "text", "text": cut(text, TEXT_UNITS_MAX)});
        let paragraph = |node: Value| json!({"type": "paragraph", "content": [node]});
        let severity = self.told.severity.map(|severity| format!("Severity: {}", severity.as_str()));
        let facts = self.told.facts.iter().map(|fact| format!("{}: {}", fact.name, fact.value));
        let list = self.told.list.iter().map(|listed| format!("{}: {}", listed.severity.as_str(), listed.text));
        let lines = severity.into_iter().chain(facts).chain(list).chain(self.told.more());
        let items: Vec<_> =
            lines.map(|line| json!({"type": "listItem", "content": [paragraph(text(&line))]})).collect();
        let mut content = vec![paragraph(text(&self.told.headline()))];
        if !items.is_empty() {
            content.push(json!({"type": "bulletList", "content": items}));
        }
        if let Some(link) = &self.told.link {
            let marks = json!([{"type": "link", "attrs": {"href": link}}]);
            content.push(paragraph(json!({"type": "text", "text": "Open in Watchbell", "marks": marks})));
        }
        content.push(paragraph(text(last)));
        json!({"type": "doc", "version": 1, "content": content})
    }

    fn get(&mut self, path: &str) -> Result<Answer<'a>, Judgement> {
        let target = format!("{}{API}{path}", site(self.exchange.path));
        self.next_answer(Some(Request { method: "GET", target, body: Vec::new() }))
    }

    fn post(&mut self, path: &str, body: &Value) -> Result<Answer<'a>, Judgement> {
        let target = format!("{}{API}{path}", site(self.exchange.path));
        self.next_answer(Some(Request { method: "POST", target, body: body.to_string().into_bytes() }))
    }

    /// The answer to `request`, once it was sent.
    fn next_answer(&mut self, request: Option<Request>) -> Result<Answer<'a>, Judgement> {
        let Some(answer) = self.exchange.answers.get(self.heard) else {
            return Err(request.map_or(Judgement::ByStatus, Judgement::Ask));
        };
        self.heard += 1;
        match answer.status {
            200..=299 => Ok(*answer),
            400 | 401 | 403 | 404 | 413 | 422 => Err(Judgement::Refused { detail: told::answered("Jira", answer) }),
            _ => Err(Judgement::ByStatus),
        }
    }
}

fn issues(answer: Answer<'_>) -> Vec<Issue> {
    let found = answer.json().unwrap_or_default();
    let issues = found.get("issues").and_then(Value::as_array).into_iter().flatten();
    let issue = |issue: &Value| {
        let text = |pointer: &str| issue.pointer(pointer).and_then(Value::as_str);
        Some(Issue {
            key: text("/key")?.to_owned(),
            is_done: text("/fields/status/statusCategory/key") == Some("done"),
            made_by: text("/properties/watchbell/event").map(str::to_owned),
        })
    };
    issues.filter_map(issue).collect()
}

/// The label that all issues of a matter bear, and none of another.
fn label(key: &str) -> String {
    let digest = hex::encode(Sha256::digest(key));
    format!("watchbell-{}", digest.get(..32).unwrap_or(&digest))
}

/// What the site's address has before the API, whether or not somebody gave the API's own.
fn site(path: &str) -> &str {
    let path = path.split_once(['?', '#']).map_or(path, |(path, _)| path);
    path.split_once("/rest/api").map_or(path, |(before, _)| before).trim_end_matches('/')
}

fn segment(text: &str) -> String {
    percent::encode(text, |character| character.is_ascii_alphanumeric() || "-._~".contains(character))
}

/// `email:api_token` in base64; `None`: it is a bearer token.
fn basic(token: &str) -> Option<String> {
    token.contains(':').then(|| BASE64.encode(token))
}

/// `email:api_token`, or a token of OAuth's.
struct Tokens;

impl Secrets for Tokens {
    fn key(&self, secret: &Secret) -> Result<Key, SecretError> {
        Opaque.key(secret)
    }

    fn check(&self, secret: &Secret) -> Result<Secret, SecretError> {
        Opaque.check(secret)
    }

    fn make(&self, random: [u8; 32]) -> Secret {
        Opaque.make(random)
    }

    fn spoken(&self, secret: &Secret) -> Option<Secret> {
        basic(secret.expose()).map(Secret::new)
    }
}
